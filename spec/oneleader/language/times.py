"""times: what may be said of a stopwatch, so that a run may store the greatest parameter for all above it.

Expressions of a time sort are of three kinds: *readings* of stopwatches, *advances* (parameters of the
action that lets time pass), and *spans* (parameters of the model, their sums and products).

| allowed                              | where                        | why a capped reading is as good      |
|--------------------------------------|------------------------------|--------------------------------------|
| reading >= parameter, < parameter    | everywhere                   | no parameter is above the cap        |
| a * reading <= b * reading           | invariants, where a <= b     | true of all, so of the capped ones   |
| anything between spans and advances  | everywhere                   | these are never capped               |
| stopwatch = 0, LONG_AGO, a reading   | actions                      | a copy of a capped one is capped     |
| stopwatch = reading + advance        | the action that lets time pass, of every stopwatch       |          |

So the capped states of a run and the states of unbounded time take the same steps (a bisimulation).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from oneleader.errors import SpecError
from oneleader.language.sorts import EachSort, LongAgo, is_time

if TYPE_CHECKING:
    from oneleader.language.expr import Expr
    from oneleader.language.fields import Field
    from oneleader.language.trace import TracedAction, Update

READING, ADVANCE, SPAN = "a stopwatch", "an advance", "a span"


def kind(x: Expr) -> str:
    """What an expression of a time sort speaks of: readings before advances before spans."""
    if x.op == "read":
        return READING
    if x.op in ("var", "apply"):
        return ADVANCE
    parts = {kind(a) for a in _values(x)}
    return next((k for k in (READING, ADVANCE) if k in parts), SPAN)


def _values(x: Expr) -> tuple[Any, ...]:
    if x.op == "ite":
        return x.args[1:]
    return x.args if x.op in ("add", "mul") else ()


# -- operators: each is refused where it stands -----------------------------------------------------
def check_sum(x: Expr, y: Expr) -> None:
    kinds = {kind(x), kind(y)}
    if READING in kinds and (kinds != {READING, ADVANCE} or not (_plain(x) or _plain(y))):
        raise SpecError("only an advance, a parameter of the action that lets time pass, is added to a stopwatch")


def check_product(x: Expr, y: Expr) -> None:
    if not is_time(x.sort) or SPAN not in (kind(x), kind(y)) or _literal(x) or _literal(y):
        raise SpecError("`*` multiplies a time by a parameter of the model")


def check_equality(x: Expr, y: Expr) -> None:
    if READING in (kind(x), kind(y)):
        raise SpecError("a stopwatch is compared by >= or < with a parameter: has so much time passed?")
    _no_long_ago(x, y)


def check_order(op: str, x: Expr, y: Expr) -> None:
    """`x < y` or `x <= y`."""
    _no_long_ago(x, y)
    if READING not in (kind(x), kind(y)):
        return
    if op == "le" and _scaled(x) and _scaled(y):
        return  # of two stopwatches: allowed in an invariant, see `check_property`
    passed = op == "le" and x.op == "parameter" and _plain(y)
    running = op == "lt" and _plain(x) and y.op == "parameter"
    if not (passed or running):
        raise SpecError("a stopwatch is compared by >= or < with a parameter: has so much time passed?")


def check_stored(field: Field, x: Expr) -> None:
    """What a stopwatch may be set to."""
    advanced = x.op == "add" and READING in (kind(x.args[0]), kind(x.args[1]))
    branches = x.args[1:] if x.op == "ite" else ()
    if x.op in ("const", "read") or advanced:
        return
    if not branches:
        raise SpecError(f"{field.name} is a stopwatch: set it to 0, LONG_AGO or another stopwatch")
    for branch in branches:
        check_stored(field, branch)


def _literal(x: Expr) -> bool:
    return x.op == "const"


def _no_long_ago(*sides: Expr) -> None:
    if any(_literal(x) and isinstance(x.args[0], LongAgo) for x in sides):
        raise SpecError("LONG_AGO is no length of time: compare the stopwatch with a parameter")


def _plain(x: Expr) -> bool:
    """A reading as it is stored, not computed with."""
    if x.op == "ite":
        return all(map(_plain, x.args[1:]))
    return x.op == "read"


def _scaled(x: Expr) -> bool:
    return _plain(x) or (x.op == "mul" and any(map(_plain, x.args)) and any(a.op == "parameter" for a in x.args))


# -- what only the whole of an action or a property shows -------------------------------------------
def relations(x: Expr) -> Iterator[tuple[Expr | None, Expr | None]]:
    """For each comparison `a * reading <= b * reading`: the parameters a and b, None for 1."""
    if x.op == "le" and is_time(x.args[0].sort) and all(kind(a) == READING for a in x.args):
        yield _factor(x.args[0]), _factor(x.args[1])
        return
    for part in x.args:
        if hasattr(part, "op"):
            yield from relations(part)


def _factor(x: Expr) -> Expr | None:
    return next((a for a in x.args if a.op == "parameter"), None) if x.op == "mul" else None


def check_compared(said: str, x: Expr) -> None:
    """Two stopwatches are compared in invariants alone."""
    if any(True for _ in relations(x)):
        raise SpecError(f"{said} compares two stopwatches: only an invariant may, and a run judges it when capped")


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
            raise SpecError(f"{field} is a stopwatch and no action lets time pass: give one an Each[Node, Elapsed]")
        update = passing[0].updates.get(field.name)
        if update is None or not _advances(update):
            name = passing[0].action.name
            raise SpecError(f"{name} lets time pass and does not advance {field}: write s.{field.name}.where(...)")


def _advances(update: Update) -> bool:
    """Every cell becomes itself plus an advance."""
    new = update.rewriting
    if new is None or new.op != "add":
        return False
    old = (update.field.name, *update.variables)
    own = [x for x in new.args if x.op == "read" and x.args == old]
    return len(own) == 1 and any(kind(x) == ADVANCE for x in new.args)
