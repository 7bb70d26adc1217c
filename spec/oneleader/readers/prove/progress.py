"""progress: what has to be proved of a `leads_to`, as obligations.

| step of the model    | goal                     | from                                               |
|----------------------|--------------------------|----------------------------------------------------|
| the fair one         | `enabled` stage k        | what is given, no goal yet, stage k - 1 and not k  |
| the fair one         | `effective` stage k      | the same and its guards: after it k, or the goal   |
| the last one         | `enabled`, `effective`   | every member is at the last stage                  |
| none (`by=()`)       | `reached`                | every member is at the last stage: that is the goal |
| any that is not      | `stable` stage k, and of | what is given, no goal yet, k: after it the same,  |
| stopped              | whatever is given        | or the goal                                        |
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from oneleader.language.expr import Expr, Symbolic, both, either, equal, implies, lift, no, variable
from oneleader.language.model import Model
from oneleader.language.progress import FairStep, LeadsTo, Predicate, Stop, sort_of_each
from oneleader.language.sealed import tracing
from oneleader.language.sorts import reading
from oneleader.language.trace import TracedAction, TracedState, trace_action
from oneleader.readers.prove.obligations import AFTER, GUARDS, THEOREM, Obligation, guards_of, obligations

Facts: TypeAlias = tuple[tuple[str, Expr], ...]
Steps: TypeAlias = tuple[FairStep, ...]


def every_obligation(model: Model) -> Iterator[Obligation]:
    """Of safety, and of what the model comes to."""
    yield from obligations(model)
    for found in model.progress.values():
        yield from Chain(model, found).obligations()


class Chain:
    """One `leads_to`. Its parameters have names of their own, so that none is an action's."""

    def __init__(self, model: Model, found: LeadsTo) -> None:
        self.model, self.found = model, found
        sorts = dict(found.params)
        if found.each:
            sorts[found.each[0]] = sort_of_each(found)
        self.values = {name: variable(f"{found.name}.{name}", sort) for name, sort in sorts.items()}

    def obligations(self) -> Iterator[Obligation]:
        for k, steps in enumerate(self.found.fair):
            reached = self._stage(k)
            facts = (*self._always(), *self._member(), *self._stage_facts(k - 1), ("not yet", no_(reached)))
            yield from self._ensures(steps, f" {self.found.stages[k].__name__}", facts, reached)
        at_last = (*self._always(), ("all members", self._all()))
        if self.found.by:
            yield from self._ensures(self.found.by, "", at_last, None)
        else:
            yield self._reached(at_last)
        for name in self.model.actions:
            yield from self._stable(name)

    # -- what holds ------------------------------------------------------------------------------
    def say(self, predicate: Predicate, own: dict[str, Expr] | None = None) -> Expr:
        """What a predicate says, its parameters known by their names."""
        values = self.values | (own or {})
        names = [*predicate.__code__.co_varnames[1 : predicate.__code__.co_argcount]]
        with tracing(), reading(Symbolic()):
            said = predicate(TracedState(self.model.fields), *(values[name] for name in names))
        return lift(said, bool)

    def _goal(self) -> Expr:
        return self.say(self.found.function)

    def _stage(self, k: int) -> Expr:
        return self.say(self.found.stages[k])

    def _stage_facts(self, k: int) -> Facts:
        return ((f"stage {self.found.stages[k].__name__}", self._stage(k)),) if k >= 0 else ()

    def _always(self) -> Facts:
        """What is given, and that the goal is not reached."""
        given = ((f"given {predicate.__name__}", self.say(predicate)) for predicate in self.found.given)
        return (*given, ("no goal yet", no_(self._goal())))

    def _member(self) -> Facts:
        return (("member", self._is_member()),) if self.found.each else ()

    def _is_member(self) -> Expr:
        assert self.found.each
        v, q = (self.values[name] for name in self.found.each)
        field = next(
            f for f in self.model.fields.values() if f.kind == "constant" and f.index == (v.sort, q.sort)
        )
        return Expr("read", (field.name, v, q), bool)

    def _all(self) -> Expr:
        """Every member is at the last stage; or, where it is about one server, that one is."""
        last = self._stage(-1) if self.found.stages else lift(True, bool)
        if not self.found.each:
            return last
        member = self.values[self.found.each[0]]
        return Expr("all", (member, lift(implies(self._is_member(), last), bool)), bool)

    def stages(self) -> Iterator[Expr]:
        """What is assumed at each stage, the first one included, for some values of the parameters."""
        for k in range(-1, len(self.found.stages)):
            facts = (*self._always(), *self._member(), *self._stage_facts(k))
            said = lift(both(*(fact for _, fact in facts)), bool)
            for value in self.values.values():
                said = Expr("any", (value, said), bool)
            yield said

    # -- obligations -----------------------------------------------------------------------------
    def _ensures(self, steps: Steps, stage: str, facts: Facts, reached: Expr | None) -> Iterator[Obligation]:
        """One of the steps is possible, and each leads on."""
        name, goal = self.found.name, self._goal()
        leads = goal if reached is None else lift(either(reached, goal), bool)
        possible = []
        for fair in steps:
            traced, arguments = self._taken(fair.action, fair.arguments)
            guards, known = guards_of(traced), (*facts, *arguments)
            possible.append(both(*(expr for _, expr in guards)))
            of = f"{name}: effective{stage}"
            yield Obligation(self.model, fair.action, of, traced, (*known, *guards), leads, AFTER)
        some = lift(either(*possible), bool)  # several steps of one place have the same parameters
        yield Obligation(self.model, fair.action, f"{name}: enabled{stage}", traced, known, some, GUARDS)

    def _reached(self, facts: Facts) -> Obligation:
        """No step is left to be taken: where every member is at the last stage, that is the goal."""
        never = lift(no(both(*(fact for _, fact in facts))), bool)
        params = (value for name, value in self.values.items() if name in dict(self.found.params))
        for value in params:
            never = Expr("all", (value, never), bool)
        return Obligation(self.model, THEOREM, f"{self.found.name}: reached", None, (), never)

    def _stable(self, name: str) -> Iterator[Obligation]:
        stops = [stop for stop in self.found.stops if stop.action == name]
        if any(not stop.arguments and stop.when is None and stop.leaving is None for stop in stops):
            return
        traced, _ = self._taken(name, ())
        before = [stop for stop in stops if stop.leaving is None]
        left = [
            no(self.say(stop.leaving)) for stop in stops if stop.leaving
        ]  # after a step that is not taken
        goes_on = tuple((f"goes on {i}", no_(self._stopped(stop, traced))) for i, stop in enumerate(before))
        facts = (*self._always(), *goes_on, *guards_of(traced))

        def kept(what: str, said: Expr, more: Facts) -> Obligation:
            goal = lift(either(said, self._goal(), *left), bool)
            return Obligation(
                self.model, name, f"{self.found.name}: stable {what}", traced, (*facts, *more), goal, AFTER
            )

        for predicate in self.found.given:
            yield kept(predicate.__name__, self.say(predicate), ())
        for k, predicate in enumerate(self.found.stages):
            yield kept(predicate.__name__, self._stage(k), (*self._member(), *self._stage_facts(k)))

    def _stopped(self, stop: Stop, traced: TracedAction) -> Expr:
        own = {param.args[0]: param for param in traced.params[: len(traced.action.params)]}
        same = [equal(own[name], self._value(value, own[name])) for name, value in stop.arguments]
        when = [self.say(stop.when, own)] if stop.when else []
        return lift(both(*same, *when), bool)

    def _value(self, value: str | int, of: Expr) -> Expr:
        return self.values[value] if isinstance(value, str) else lift(value, of.sort)

    def _taken(self, name: str, arguments: tuple[tuple[str, str | int], ...]) -> tuple[TracedAction, Facts]:
        """The action with the property's parameters beside its own, and which of them are the same."""
        found = trace_action(self.model, self.model.actions[name])
        own = {param.args[0]: param for param in found.params}
        facts = tuple(
            (f"argument {n}", lift(equal(own[n], self._value(value, own[n])), bool)) for n, value in arguments
        )
        params = (*found.params, *self.values.values())
        return TracedAction(found.action, params, found.guards, found.claims, found.updates), facts


def no_(expr: Expr) -> Expr:
    return lift(no(expr), bool)
