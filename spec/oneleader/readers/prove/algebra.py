"""algebra: what a traced expression means, whatever the terms are made of.

`meaning` walks an expression; an `Algebra` says what each operation becomes: terms of Z3 (`smt.py`) or
text for another prover (`smtlib.py`). A state is a table of functions, field name -> (index... ->
value), and so is the state after a step (`after`): nothing has to be said about the cells that a step
leaves alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from oneleader.language.expr import Expr
from oneleader.language.fields import Field
from oneleader.language.sorts import AnySort
from oneleader.language.trace import TracedProperty, Update

SymbolicState = Mapping[str, Callable[..., Any]]
Values = Mapping[str, Any]  # of parameters and bound variables, by name


class Algebra(Protocol):
    """What the operations of the language become."""

    def literal(self, value: Any, sort: AnySort) -> Any: ...
    def some(self, x: Any, sort: AnySort) -> Any: ...
    def equal(self, x: Any, y: Any) -> Any: ...
    def less(self, x: Any, y: Any) -> Any: ...
    def at_most(self, x: Any, y: Any) -> Any: ...
    def add(self, x: Any, y: Any) -> Any: ...
    def multiply(self, x: Any, y: Any) -> Any: ...
    def stored(self, x: Any, f: Field) -> Any: ...
    def both(self, *xs: Any) -> Any: ...
    def either(self, *xs: Any) -> Any: ...
    def no(self, x: Any) -> Any: ...
    def ite(self, condition: Any, x: Any, y: Any) -> Any: ...
    def quantify(self, kind: str, sort: AnySort, body: Callable[[Any], Any]) -> Any: ...


OPERATIONS = {
    "eq": "equal",
    "lt": "less",
    "le": "at_most",
    "add": "add",
    "mul": "multiply",
    "and": "both",
    "or": "either",
    "not": "no",
    "ite": "ite",
}


def meaning(algebra: Algebra, expr: Expr, state: SymbolicState, values: Values) -> Any:
    """The expression in a state, its variables having these values."""
    op, args = expr.op, expr.args
    if op == "const":
        return algebra.literal(args[0], expr.sort)
    if op == "var":
        return values[args[0]]
    if op in ("all", "any", "count"):
        bound, body = args
        name = bound.args[0]
        return algebra.quantify(op, bound.sort, lambda x: meaning(algebra, body, state, {**values, name: x}))
    if op == "parameter":
        return state[args[0]]()
    if op == "read":
        field, *index = args
        return state[field](*(meaning(algebra, i, state, values) for i in index))
    parts = [meaning(algebra, a, state, values) for a in args]
    if op == "apply":
        return parts[0](parts[1])
    if op == "some":
        return algebra.some(parts[0], expr.sort)
    return getattr(algebra, OPERATIONS[op])(*parts)


def after(
    algebra: Algebra, updates: Mapping[str, Update], before: SymbolicState, values: Values
) -> SymbolicState:
    """The state after a step: every right-hand side is read in the state before it."""
    changed = {name: _updated(algebra, update, before, values) for name, update in updates.items()}
    return {**before, **changed}


def _updated(algebra: Algebra, update: Update, before: SymbolicState, values: Values) -> Callable[..., Any]:
    old, rewriting = before[update.field.name], update.rewriting
    if rewriting is not None:
        names = [v.args[0] for v in update.variables]

        def rewritten(*key: Any) -> Any:
            at = {**values, **dict(zip(names, key, strict=True))}
            return algebra.stored(meaning(algebra, rewriting, before, at), update.field)

        return rewritten
    writes = [
        (
            [meaning(algebra, i, before, values) for i in w.index],
            algebra.stored(meaning(algebra, w.value, before, values), update.field),
        )
        for w in update.writes
    ]

    def read(*key: Any) -> Any:
        value = old(*key)
        for index, new in writes:  # no two meet: that is an obligation of its own
            value = algebra.ite(algebra.both(*map(algebra.equal, key, index)), new, value)
        return value

    return read


class Unbounded(Algebra, Protocol):
    """An algebra in which a whole obligation can be said, for any number of elements."""

    def constant(self, name: str, sort: AnySort) -> Any: ...
    def state(self, fields: Mapping[str, Field]) -> SymbolicState: ...
    def initial(self, fields: Mapping[str, Field]) -> SymbolicState: ...
    def closed(self, prop: TracedProperty, state: SymbolicState) -> Any: ...
    def natural(self, x: Any, sort: AnySort) -> Any | None: ...
    def field_is_natural(self, f: Field, state: SymbolicState) -> Any: ...
