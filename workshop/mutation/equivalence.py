"""Is a mutant the same step? Asked of Z3, for any number of servers and any numbers.

It is, where in every state that the invariants allow

- the guards of the one imply those of the other, both ways;
- what each effect writes is the same, or what stands there already where an effect was removed.

Then no reader can tell them apart. Where Z3 does not prove it, that says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from oneleader.language.definitions import Action
from oneleader.language.expr import TRUE, Expr, equal, lift
from oneleader.language.model import Model
from oneleader.language.sorts import is_time
from oneleader.language.trace import TracedAction, Update, trace_action
from oneleader.readers.prove.attempts import PORTFOLIO, attempt
from oneleader.readers.prove.obligations import Obligation
from workshop.mutation.model_mutation import Mutant


def proved_the_same(mutant: Mutant, rlimit: int) -> bool:
    """Whether Z3 proves that the mutated action takes the steps of its original."""
    action: Action = mutant.base.actions[mutant.action]
    original = trace_action(mutant.base, action)
    goals = [
        *((mutant.traced, guard) for _, guard in original.guards),
        *((original, guard) for _, guard in mutant.traced.guards),
        *((original, effect) for effect in _same_effects(original, mutant.traced)),
    ]
    return all(_proved(mutant.base, traced, goal, rlimit) for traced, goal in goals)


def _proved(model: Model, traced: TracedAction, goal: Expr | None, rlimit: int) -> bool:
    """The invariants and the guards of an action imply the goal; None: it cannot be said."""
    facts = tuple((f"guard {i} {guard.name}", expr) for i, (guard, expr) in enumerate(traced.guards))
    if goal is None:
        return False
    if goal is TRUE or any(goal is fact for _, fact in facts):
        return True
    step = Obligation(model, traced.action.name, "the same step", traced, facts, goal)
    return any(attempt(step, options, rlimit=rlimit).result == "unsat" for options in PORTFOLIO)


def _same_effects(original: TracedAction, mutated: TracedAction) -> Iterator[Expr | None]:
    """What has to be true for both to leave the same in each field."""
    for name, update in original.updates.items():
        other = mutated.updates.get(name)
        if update.rewriting is not None:
            rewriting = other.rewriting if other else _read(update, update.variables)
            same = _equal(update, update.rewriting, rewriting)
            yield None if same is None else _everywhere(update.variables, same)
        kept = {_key(write.index): write.value for write in other.writes} if other else {}
        for write in update.writes:
            value = kept.get(_key(write.index), _read(update, write.index))
            yield _equal(update, write.value, value)


def _equal(update: Update, x: Expr, y: Expr | None) -> Expr | None:
    """None of two times, unless they are one expression: the language does not compare them for equality."""
    if x is y:
        return TRUE
    return None if is_time(update.field.of) else lift(equal(x, y), bool)


def _key(index: tuple[Expr, ...]) -> tuple[int, ...]:
    return tuple(part.serial for part in index)


def _read(update: Update, index: tuple[Expr, ...]) -> Expr:
    return Expr("read", (update.field.name, *index), update.field.of)


def _everywhere(variables: tuple[Expr, ...], body: Expr) -> Expr:
    if body is TRUE:
        return body
    for bound in reversed(variables):
        body = Expr("all", (bound, body), bool)
    return body
