"""times: what may be said of a stopwatch, so that a run may store the longest parameter for all above it.

Expressions of a time sort are of three kinds: *readings* of stopwatches, *advances* (parameters of the
action that lets time pass), and *spans* (parameters of the model, their sums and products).

| allowed                            | where                        | and of times cut at the longest span   |
|------------------------------------|------------------------------|----------------------------------------|
| reading >= parameter, < parameter  | everywhere                   | the same: no parameter is longer       |
| anything between spans             | everywhere                   | the same: these are never cut          |
| a * reading <= b * reading         | invariants, where a <= b     | true, where it is true of all times    |
| a * advance <= b * advance         | guards, where a <= b         | likewise                               |
| stopwatch = 0, LONG_AGO, a reading | actions                      | a copy of what is cut is cut           |
| stopwatch = reading + advance      | the action that lets time pass, of every stopwatch       |            |

So the states of a run and those of time without end take the same steps (a bisimulation). Where a <= b
is said, a and b are parameters of the model, or 1; a configuration is checked for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from oneleader.errors import SpecError
from oneleader.language.sealed import refuse
from oneleader.language.sorts import EachSort, LongAgo, is_time

if TYPE_CHECKING:
    from oneleader.language.expr import Expr
    from oneleader.language.fields import Field
    from oneleader.language.trace import TracedAction, Update

READING, ADVANCE, SPAN = "a stopwatch", "an advance", "a span"

ONE_QUESTION = "a stopwatch is compared by >= or < with a parameter: has so much time passed?"
ONLY_ADVANCES = "only an advance, a parameter of the action that lets time pass, is added to a stopwatch"


def kind(x: Expr) -> str:
    """What an expression of a time sort speaks of: readings before advances before spans."""
    if x.op == "read":
        return READING
    if x.op in ("var", "apply"):
        return ADVANCE
    parts = {kind(a) for a in _values(x)}
    return next((k for k in (READING, ADVANCE) if k in parts), SPAN)


def _values(x: Expr) -> tuple[Any, ...]:
    """The times that an expression computes with."""
    if x.op == "ite":
        return x.args[1:]
    return x.args if x.op in ("add", "mul") else ()


# -- operators: each is refused where it stands -----------------------------------------------------
def check_sum(x: Expr, y: Expr) -> None:
    kinds = {kind(x), kind(y)}
    if READING in kinds and (kinds != {READING, ADVANCE} or not (_plain(x) or _plain(y))):
        refuse(ONLY_ADVANCES)


def check_product(x: Expr, y: Expr) -> None:
    if not is_time(x.sort) or SPAN not in (kind(x), kind(y)) or "const" in (x.op, y.op):
        refuse("`*` multiplies a time by a parameter of the model")


def check_equality(x: Expr, y: Expr) -> None:
    if {READING, ADVANCE} & {kind(x), kind(y)}:
        refuse(ONE_QUESTION)


def check_order(op: str, x: Expr, y: Expr) -> None:
    """`x < y` or `x <= y`."""
    kinds = {kind(x), kind(y)}
    if any(side.op == "const" and isinstance(side.args[0], LongAgo) for side in (x, y)):
        refuse("LONG_AGO is no length of time: compare the stopwatch with a parameter")
    related = op == "le" and len(kinds) == 1 and _scaled(x) and _scaled(y)
    passed = op == "le" and x.op == "parameter" and _plain(y)
    running = op == "lt" and _plain(x) and y.op == "parameter"
    if kinds != {SPAN} and not (related or passed or running):
        refuse(ONE_QUESTION if READING in kinds else "advances are compared by a * x <= b * y alone")


def check_stored(field: Field, x: Expr) -> None:
    """What a stopwatch may be set to."""
    if x.op == "ite":
        for branch in x.args[1:]:
            check_stored(field, branch)
    elif not (x.op in ("const", "read") or (x.op == "add" and READING in map(kind, x.args))):
        refuse(f"{field.name} is a stopwatch: set it to 0, LONG_AGO or another stopwatch")


def _plain(x: Expr) -> bool:
    """A reading as it is stored, not computed with."""
    return all(map(_plain, x.args[1:])) if x.op == "ite" else x.op == "read"


def _scaled(x: Expr) -> bool:
    """A reading or an advance, alone or times a parameter."""
    if x.op == "mul" and any(a.op == "parameter" for a in x.args):
        return any(_plain(a) or a.op in ("var", "apply") for a in x.args)
    return _plain(x) or x.op in ("var", "apply")


# -- what only the whole of an action or a property shows -------------------------------------------
def relations(x: Expr, of: tuple[str, ...] = (READING, ADVANCE)) -> Iterator[tuple[Expr | None, Expr | None]]:
    """For each comparison `a * x <= b * y` of two times: the parameters a and b, None for 1."""
    if x.op == "le" and is_time(x.args[0].sort) and kind(x.args[0]) == kind(x.args[1]) in of:
        yield _factor(x.args[0]), _factor(x.args[1])
        return
    for part in x.args:
        if hasattr(part, "op"):
            yield from relations(part, of)


def _factor(x: Expr) -> Expr | None:
    return next((a for a in x.args if a.op == "parameter"), None) if x.op == "mul" else None


def check_compared(said: str, x: Expr) -> None:
    """Two stopwatches are compared in invariants alone: a step may not depend on it."""
    if any(True for _ in relations(x, (READING,))):
        raise SpecError(f"{said} compares two stopwatches: only an invariant may")


def lets_time_pass(traced: TracedAction) -> bool:
    return any(is_time(p.sort) or isinstance(p.sort, EachSort) for p in traced.params)


def check_passing(stopwatches: list[Field], actions: list[TracedAction]) -> None:
    """One action lets time pass, and it advances every stopwatch."""
    passing = [a for a in actions if lets_time_pass(a)]
    if len(passing) > 1:
        names = " and ".join(a.action.name for a in passing)
        raise SpecError(f"{names} let time pass: one action does, for every stopwatch")
    for field in stopwatches:
        if not passing:
            raise SpecError(
                f"{field} is a stopwatch and no action lets time pass: one takes an Each[Node, Elapsed]"
            )
        update = passing[0].updates.get(field.name)
        if update is None or not _advances(update):
            name = passing[0].action.name
            raise SpecError(f"{name} lets time pass: it has to advance {field}")


def _advances(update: Update) -> bool:
    """Every cell becomes itself plus an advance."""
    new = update.rewriting
    if not update.field.index:
        new = update.writes[0].value
    if new is None or new.op != "add":
        return False
    old = (update.field.name, *update.variables)
    return any(x.op == "read" and x.args == old for x in new.args) and ADVANCE in map(kind, new.args)
