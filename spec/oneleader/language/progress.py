"""progress: what a model comes to, once its environment is calm, and by which steps.

    @leads_to(
        given=(calm,),                                       # from now on, as long as there is no leader
        stops=(never(start_election), never(restart, n="c")),  # what the environment does no more
        each=("v", "q"),                                     # of each member v of the quorum q:
        stages=(in_term, voted, granted, counted),           # it gets from one to the next
        fair=(step(update_term, n="v", t="t"), ...),         # by these steps, each taken if it stays possible
        by=step(become_leader, n="c", q="q"),                # and then, of all members at once, by this one
    )
    def a_leader_is_elected(s: State, c: Node, t: Term, q: Quorum) -> bool:
        return s.heartbeat[c, t]

This is UNITY's `ensures`, a chain of them for each member. A reader proves, for any number of servers, that
each step is *enabled* in its stage, *effective* (it leads to the next stage) and that stages and givens are
*stable* under every step that the environment may still take, or the goal is reached. What remains outside
of the prover is that a quorum is finite, and weak fairness: a step that stays possible is taken.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from oneleader.errors import SpecError
from oneleader.language.definitions import Property, define, marked
from oneleader.language.sorts import AnySort, resolve

F = TypeVar("F", bound=Callable[..., Any])
Predicate = Callable[..., Any]  # of the state and of parameters, known by their names


@dataclass(frozen=True)
class FairStep:
    """An action, with parameters of the property, or numbers, for some of its own."""

    action: str
    arguments: tuple[tuple[str, str | int], ...]


@dataclass(frozen=True)
class Stop:
    """Steps that the environment takes no more: with these arguments, where `when` holds before the step, and
    `leaving` does not after it."""

    action: str
    arguments: tuple[tuple[str, str | int], ...]
    when: Predicate | None = None
    leaving: Predicate | None = None

    @property
    def name(self) -> str:
        said = ", ".join(f"{name}={value}" for name, value in self.arguments)
        named = f" when {self.when.__name__}" if self.when else ""
        left = f" that ends {self.leaving.__name__}" if self.leaving else ""
        return f"no more {self.action}({said}){named}{left}"


@dataclass(frozen=True)
class LeadsTo(Property):
    """A property that the model comes to. `fair[k]`: the steps, one of which leads to `stages[k]`."""

    given: tuple[Predicate, ...] = ()
    stops: tuple[Stop, ...] = ()
    each: tuple[str, str] | None = None
    stages: tuple[Predicate, ...] = ()
    fair: tuple[tuple[FairStep, ...], ...] = ()
    by: tuple[FairStep, ...] = field(default_factory=tuple)

    @property
    def predicates(self) -> tuple[Predicate, ...]:
        whens = tuple(said for stop in self.stops for said in (stop.when, stop.leaving) if said)
        return (*self.given, *self.stages, *whens)


def step(action: Callable[..., Any], **arguments: str | int) -> FairStep:
    """A step that is taken if it stays possible."""
    return FairStep(action.__name__, tuple(arguments.items()))


def never(
    action: Callable[..., Any],
    when: Predicate | None = None,
    leaving: Predicate | None = None,
    **arguments: str | int,
) -> Stop:
    """A step that the environment takes no more."""
    return Stop(action.__name__, tuple(arguments.items()), when, leaving)


Steps = FairStep | tuple[FairStep, ...]


def leads_to(
    *,
    given: tuple[Predicate, ...] = (),
    stops: tuple[Stop, ...] = (),
    each: tuple[str, str] | None = None,
    stages: tuple[Predicate, ...] = (),
    fair: tuple[Steps, ...] = (),
    by: Steps = (),
) -> Callable[[F], F]:
    """Mark a function as the goal of these stages; several steps in one place: one of them is taken."""
    if len(stages) != len(fair):
        raise SpecError(f"{len(stages)} stages and {len(fair)} steps that lead to them: give one for each")

    def mark(function: F) -> F:
        function.__oneleader_progress__ = {  # type: ignore[attr-defined]
            "given": given,
            "stops": stops,
            "each": each,
            "stages": stages,
            "fair": tuple(map(_several, fair)),
            "by": _several(by),
        }
        return marked(function, "leads_to")

    return mark


def _several(steps: Steps) -> tuple[FairStep, ...]:
    return (steps,) if isinstance(steps, FairStep) else steps


def define_progress(function: Callable[..., Any]) -> LeadsTo:
    """Read a function marked by `leads_to`."""
    goal = define(function)
    found = LeadsTo(**vars(goal), **function.__oneleader_progress__)  # type: ignore[attr-defined]
    names = {*dict(found.params), *(found.each or ())}
    for predicate in (*found.given, *found.stages):
        unknown = [name for name in _parameters(predicate) if name not in names]
        if unknown:
            raise SpecError(f"{found.where}: {predicate.__name__} asks for {unknown[0]}, no parameter of it")
    return found


def _parameters(predicate: Predicate) -> list[str]:
    return [*inspect.signature(predicate).parameters][1:]


def sort_of_each(found: LeadsTo) -> AnySort | None:
    """Of the members: as some stage says."""
    for predicate in found.stages:
        hints = typing.get_type_hints(predicate)
        if found.each and found.each[0] in _parameters(predicate):
            return resolve(hints[found.each[0]])
    return None
