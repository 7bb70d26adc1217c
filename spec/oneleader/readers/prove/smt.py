"""smt: what a traced expression means to Z3, at any size and at a finite one: two algebras.

| in the language  | AnySize                                | Finite                                  |
|------------------|----------------------------------------|-----------------------------------------|
| a set sort       | an uninterpreted sort                  | the integers 0 .. size-1                |
| a number sort    | integers, quantified over those >= 0   | 0 .. greatest; `+` may go beyond        |
| an IntEnum       | an enumeration                         | its integers                            |
| a time sort      | the reals >= 0                         | 0 .. longest; what is above is stored so |
| Option[X]        | a datatype: nil, some(X)               | -1, or the integer of X                 |
| Each[X, time]    | an uninterpreted function              | one constant for each element           |
| a field          | an uninterpreted function              | one constant a cell                     |
| all, any         | a quantifier                           | unrolled                                |
| count            | refused                                | a sum                                   |

The integers of `Finite` are those of the plain interpreter, so its models decode without a table.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any

import z3

from oneleader.errors import Inexpressible
from oneleader.language.configuration import Configuration
from oneleader.language.fields import Field
from oneleader.language.sorts import (
    LONG_AGO,
    NIL,
    AnySort,
    EachSort,
    LongAgo,
    OptionSort,
    base,
    is_enum,
    is_number,
    is_set,
    is_time,
    name_of,
)
from oneleader.language.trace import TracedProperty
from oneleader.readers.prove.algebra import SymbolicState, meaning

_pressed: list[int] = []  # Ctrl-C, not yet acted on


@contextmanager
def orderly_interrupts() -> Iterator[None]:
    """Within this block Ctrl-C is raised by `answer`, or at the end: elsewhere it may arrive in a destructor
    of z3's objects, where Python prints it and drops it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, lambda number, frame: _pressed.append(number))
    try:
        yield
        _raise_if_pressed()
    finally:
        _pressed.clear()
        signal.signal(signal.SIGINT, previous)


def _raise_if_pressed() -> None:
    if _pressed:
        raise KeyboardInterrupt


def answer(solver: z3.Solver, rlimit: int) -> tuple[z3.CheckSatResult, int]:
    """Z3's answer within so many units of its work, and how many it used. Ctrl-C interrupts it."""
    _raise_if_pressed()
    before = _work(solver)
    solver.set(rlimit=rlimit)
    result = solver.check()
    used = _work(solver) - before
    # Z3 catches the signal itself, and then says the same as where its units are used up.
    if result == z3.unknown and used < rlimit and "cancel" in solver.reason_unknown():
        raise KeyboardInterrupt
    return result, used


def _work(solver: z3.Solver) -> int:
    return next((int(value) for name, value in solver.statistics() if name == "rlimit count"), 0)


class AnySize:
    """Any number of elements, unbounded numbers. A context of its own makes every answer repeatable."""

    def __init__(self) -> None:
        self.context = z3.Context()
        self._sorts: dict[AnySort, Any] = {}
        self._bound = 0

    # -- sorts, constants, states ------------------------------------------------------------
    def sort(self, sort: AnySort) -> Any:
        if sort not in self._sorts:
            self._sorts[sort] = self._make(sort)
        return self._sorts[sort]

    def _make(self, sort: AnySort) -> Any:
        if sort is bool:
            return z3.BoolSort(self.context)
        if is_number(sort) or sort is int:
            return z3.IntSort(self.context)
        if is_time(sort):
            return z3.RealSort(self.context)
        if is_set(sort):
            return z3.DeclareSort(name_of(sort), self.context)
        if is_enum(sort):
            made, _ = z3.EnumSort(name_of(sort), [m.name for m in sort], self.context)
            return made
        option = z3.Datatype(name_of(sort), self.context)
        option.declare("nil")
        option.declare("some", ("value", self.sort(sort.of)))
        return option.create()

    def constant(self, name: str, sort: AnySort) -> Any:
        if isinstance(sort, EachSort):
            return z3.Function(name, self.sort(sort.index), self.sort(sort.of))
        return z3.Const(name, self.sort(sort))

    def state(self, fields: Mapping[str, Field]) -> SymbolicState:
        """A state of which nothing is known."""
        return {name: self._function(f) for name, f in fields.items()}

    def initial(self, fields: Mapping[str, Field]) -> SymbolicState:
        """The first state: constants are unknown, everything else is as declared."""
        return {name: self._function(f) if f.fixed else self._always(f) for name, f in fields.items()}

    def _function(self, f: Field) -> Callable[..., Any]:
        function = z3.Function(f.name, *map(self.sort, f.index), self.sort(f.of))
        return lambda *index: function(*index)

    def _always(self, f: Field) -> Callable[..., Any]:
        value = self.literal(f.init, f.of)
        return lambda *index: value

    # -- naturals ----------------------------------------------------------------------------
    def natural(self, x: Any, sort: AnySort) -> Any | None:
        """`x >= 0` where the sort is one of numbers or times. None: there is nothing to say."""
        if isinstance(sort, EachSort):
            index = self._variable(sort.index)
            return z3.ForAll([index], x(index) >= 0)
        if not (is_number(base(sort)) or is_time(sort)):
            return None
        if not isinstance(sort, OptionSort):
            return x >= 0
        option = self.sort(sort)
        return z3.Or(option.is_nil(x), option.value(x) >= 0)

    def field_is_natural(self, f: Field, state: SymbolicState) -> Any:
        """Every value of the field is >= 0.

        True of every reachable state, although no invariant says so: a literal is >= 0 and + is the
        only operation, so no step can write anything else.
        """
        index = [self._variable(i) for i in f.index]
        if f.kind == "parameter":
            return self.both(state[f.name]() >= 0, state[f.name]() <= self._long_ago(f.of))
        return self.forall(index, f.index, self.natural(state[f.name](*index), f.of))

    # -- quantifiers -------------------------------------------------------------------------
    def _variable(self, sort: AnySort) -> Any:
        """A new name each time: a value that is substituted under a quantifier must not be captured."""
        self._bound += 1
        return self.constant(f"{name_of(sort)}!{self._bound}", sort)

    def forall(self, variables: list[Any], sorts: tuple[AnySort, ...], body: Any) -> Any:
        naturals = [n for n in map(self.natural, variables, sorts) if n is not None]
        body = z3.Implies(self.both(*naturals), body) if naturals else body
        return z3.ForAll(variables, body) if variables else body

    def closed(self, prop: TracedProperty, state: SymbolicState) -> Any:
        """The property, for all values of its parameters."""
        values = {p.args[0]: self._variable(p.sort) for p in prop.params}
        body = meaning(self, prop.body, state, values)
        return self.forall(list(values.values()), tuple(p.sort for p in prop.params), body)

    def quantify(self, kind: str, sort: AnySort, body: Callable[[Any], Any]) -> Any:
        if kind == "count":
            raise Inexpressible(
                f"counting {sort.__name__}s has no meaning at any cluster size: explore a bounded one"
            )
        variable = self._variable(sort)
        if kind == "all":
            return self.forall([variable], (sort,), body(variable))
        natural = self.natural(variable, sort)
        inner = body(variable) if natural is None else z3.And(natural, body(variable))
        return z3.Exists([variable], inner)

    # -- operations --------------------------------------------------------------------------
    def literal(self, value: Any, sort: AnySort) -> Any:
        if sort is bool:
            return z3.BoolVal(value, self.context)
        if isinstance(sort, OptionSort):
            option = self.sort(sort)
            return option.nil if value == NIL else option.some(self.literal(value, sort.of))
        if is_enum(sort):
            return self.sort(sort).constructor(list(sort).index(value))()
        if is_time(sort):
            return self._long_ago(sort) if isinstance(value, LongAgo) else z3.RealVal(value, self.context)
        return z3.IntVal(int(value), self.context)

    def _long_ago(self, sort: AnySort) -> Any:
        """Some time that is no less than any parameter: which one is left open."""
        return z3.Const(f"{name_of(sort)} long ago", self.sort(sort))

    def stored(self, x: Any, f: Field) -> Any:
        return x

    def some(self, x: Any, sort: AnySort) -> Any:
        return self.sort(sort).some(x)

    def equal(self, x: Any, y: Any) -> Any:
        return x == y

    def less(self, x: Any, y: Any) -> Any:
        return x < y

    def at_most(self, x: Any, y: Any) -> Any:
        return x <= y

    def add(self, x: Any, y: Any) -> Any:
        return x + y

    def multiply(self, x: Any, y: Any) -> Any:
        return x * y

    def both(self, *xs: Any) -> Any:
        return z3.And(*xs, self.context)

    def either(self, *xs: Any) -> Any:
        return z3.Or(*xs, self.context)

    def no(self, x: Any) -> Any:
        return z3.Not(x)

    def ite(self, condition: Any, x: Any, y: Any) -> Any:
        return z3.If(condition, x, y)


class Finite:
    """A finite instance, in the integers of the plain interpreter. What is known stays a Python value.

    Reading an index beyond a number's bound gives the field's initial value, as in a plain run.
    """

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.context = z3.Context()
        self.domains: list[Any] = []  # every constant is a value of its sort

    # -- constants and states ----------------------------------------------------------------
    def constant(self, name: str, sort: AnySort) -> Any:
        if isinstance(sort, EachSort):
            elements = range(self.configuration.size(sort.index))
            return ValueRow(self, [self.constant(f"{name}[{e}]", sort.of) for e in elements])
        if sort is bool:
            return z3.Bool(name, self.context)
        made = z3.Int(name, self.context)
        self.domains.append(self.within(made, sort))
        return made

    def within(self, x: Any, sort: AnySort) -> Any:
        """Whether the value is in the domain: nothing but a number can leave it."""
        if sort is bool:
            return True
        least, most = self.configuration.bounds(sort)
        return self.both(self.at_most(least, x), self.at_most(x, most))

    def keys(self, f: Field) -> list[tuple[Any, ...]]:
        return [
            tuple(self.literal(v, s) for v, s in zip(key, f.index, strict=True))
            for key in product(*map(self.configuration.domain, f.index))
        ]

    def state(self, fields: Mapping[str, Field]) -> dict[str, FieldTable]:
        """A state of which nothing is known: one constant a cell."""
        return {
            name: FieldTable(
                self, f, {key: self.constant(f"{name}{list(key)}", f.of) for key in self.keys(f)}
            )
            for name, f in fields.items()
        }

    def initial(self, fields: Mapping[str, Field]) -> dict[str, FieldTable]:
        """The first state: constants are unknown, everything else is as declared."""
        unknown = self.state({n: f for n, f in fields.items() if f.fixed})
        known = {
            name: FieldTable(self, f, dict.fromkeys(self.keys(f), self.first(f)))
            for name, f in fields.items()
            if name not in unknown
        }
        return {**unknown, **known}

    def first(self, f: Field) -> Any:
        """What a cell holds at first."""
        return self.literal(self.configuration.first(f), f.of)

    def stored(self, x: Any, f: Field) -> Any:
        """Of a time, no more than the longest of the run."""
        if not is_time(f.of):
            return x
        longest = self.configuration.stored(f, LONG_AGO)
        return self.ite(x >= longest, longest, x)

    def tabled(self, state: SymbolicState, fields: Mapping[str, Field]) -> dict[str, FieldTable]:
        """The same state with each cell computed once."""
        return {
            name: read
            if isinstance(read, FieldTable)
            else FieldTable(self, f, {k: read(*k) for k in self.keys(f)})
            for name, f in fields.items()
            for read in (state[name],)
        }

    def closed(self, prop: TracedProperty, state: SymbolicState) -> Any:
        """The property, for all values of its parameters."""
        names = [p.args[0] for p in prop.params]
        domains = product(*([self.literal(v, p.sort) for v in self._domain(p.sort)] for p in prop.params))
        return self.both(
            *(meaning(self, prop.body, state, dict(zip(names, args, strict=True))) for args in domains)
        )

    def _domain(self, sort: AnySort) -> Sequence[Any]:
        return self.configuration.domain(sort)

    def quantify(self, kind: str, sort: AnySort, body: Callable[[Any], Any]) -> Any:
        values = [body(x) for x in self._domain(sort)]
        if kind == "all":
            return self.both(*values)
        return self.either(*values) if kind == "any" else self._sum(values)

    def _sum(self, values: list[Any]) -> Any:
        total: Any = 0
        for value in values:
            total = total + self.ite(value, 1, 0)
        return total

    # -- operations --------------------------------------------------------------------------
    def literal(self, value: Any, sort: AnySort) -> Any:
        return bool(value) if sort is bool else int(value)

    def some(self, x: Any, sort: AnySort) -> Any:
        return x

    def equal(self, x: Any, y: Any) -> Any:
        return x == y

    def less(self, x: Any, y: Any) -> Any:
        return x < y

    def at_most(self, x: Any, y: Any) -> Any:
        return x <= y

    def add(self, x: Any, y: Any) -> Any:
        return x + y

    def multiply(self, x: Any, y: Any) -> Any:
        return x * y

    def both(self, *xs: Any) -> Any:
        open_ = [x for x in xs if x is not True]
        if any(x is False for x in open_):
            return False
        return z3.And(*open_) if len(open_) > 1 else open_[0] if open_ else True

    def either(self, *xs: Any) -> Any:
        open_ = [x for x in xs if x is not False]
        if any(x is True for x in open_):
            return True
        return z3.Or(*open_) if len(open_) > 1 else open_[0] if open_ else False

    def no(self, x: Any) -> Any:
        return not x if isinstance(x, bool) else z3.Not(x)

    def ite(self, condition: Any, x: Any, y: Any) -> Any:
        if isinstance(condition, bool):
            return x if condition else y
        return x if x is y else z3.If(condition, x, y, self.context)


class ValueRow:
    """A value for each element of a sort, as `Each` gives: read at an index that may not be known yet."""

    def __init__(self, finite: Finite, values: list[Any]) -> None:
        self.finite, self.values = finite, values

    def __call__(self, index: Any) -> Any:
        if not z3.is_expr(index):
            return self.values[index]
        value = self.values[-1]
        for element, other in enumerate(self.values[:-1]):
            value = self.finite.ite(index == element, other, value)
        return value


class FieldTable:
    """One field of a finite state: the value of each cell, and reading it at an index not yet known."""

    def __init__(self, finite: Finite, field: Field, cells: dict[tuple[Any, ...], Any]) -> None:
        self.finite, self.field, self.cells = finite, field, cells
        self._read: dict[tuple[Any, ...], tuple[Any, tuple[Any, ...]]] = {}

    def __call__(self, *index: Any) -> Any:
        beyond = self.finite.first(self.field)
        if not any(map(z3.is_expr, index)):
            return self.cells.get(index, beyond)
        seen = tuple(i.get_id() if z3.is_expr(i) else (i,) for i in index)
        if seen not in self._read:
            self._read[seen] = self._chain(index, beyond), index  # the index too: its id stays taken
        return self._read[seen][0]

    def _chain(self, index: tuple[Any, ...], value: Any) -> Any:
        for key, cell in self.cells.items():
            here = self.finite.both(*map(self.finite.equal, index, key))
            value = self.finite.ite(here, cell, value)
        return value
