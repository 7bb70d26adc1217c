"""Expressions: what an action says, once it has been traced.

The connectives `both, either, no, implies, ite` work on plain values and on expressions alike. An
`Expr` is hash-consed (equal expressions are one object), carries its sort, and is sealed: it refuses
everything that would make Python decide in its place (`sealed.py`).

| op                      | args                       | sort        |
|-------------------------|----------------------------|-------------|
| const                   | value                      | as given    |
| var                     | name                       | as given    |
| read                    | field name, index...       | the field's |
| some                    | x                          | Option[x]   |
| eq, lt, le              | x, y                       | bool        |
| add                     | x, y                       | a number    |
| parameter               | name                       | a time      |
| apply                   | x of an Each, index        | a time      |
| mul                     | x, y, one of parameters    | a time      |
| and, or                 | x...                       | bool        |
| not                     | x                          | bool        |
| ite                     | condition, x, y            | of x and y  |
| all, any                | variable, body             | bool        |
| count                   | variable, body             | int         |
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, ClassVar, TypeGuard

from oneleader.language import times
from oneleader.language.sealed import Sealed, refuse, sealed
from oneleader.language.sorts import (
    NIL,
    AnySort,
    EachSort,
    LongAgo,
    Nil,
    OptionSort,
    Sort,
    base,
    bool_like,
    is_number,
    is_time,
    name_of,
)


class Expr(Sealed):
    """A hash-consed, sorted expression over the state before a step."""

    __slots__ = ("args", "op", "serial", "sort")
    op: str
    args: tuple[Any, ...]
    sort: AnySort
    serial: int  # in order of creation: the same in every run

    _made: ClassVar[dict[Any, Expr]] = {}

    def __new__(cls, op: str, args: tuple[Any, ...], sort: AnySort) -> Expr:
        key = (op, sort, *((a.serial,) if isinstance(a, Expr) else (type(a), a) for a in args))
        made = cls._made.get(key)
        if made is None:
            made = cls._made[key] = object.__new__(cls)
            parts = {"op": op, "args": args, "sort": sort, "serial": len(cls._made)}
            for name, part in parts.items():
                object.__setattr__(made, name, part)
        return made

    # -- what a model may write -------------------------------------------------------------------
    def __eq__(self, other: object) -> Any:
        return equal(self, other)

    def __ne__(self, other: object) -> Any:
        return no(equal(self, other))

    def __lt__(self, other: Any) -> Expr:
        return _ordered("lt", self, other)

    def __le__(self, other: Any) -> Expr:
        return _ordered("le", self, other)

    def __gt__(self, other: Any) -> Expr:
        return _ordered("lt", other, self)

    def __ge__(self, other: Any) -> Expr:
        return _ordered("le", other, self)

    def __add__(self, other: Any) -> Expr:
        x, y = _numbers("+", self, other)
        if is_time(x.sort):
            times.check_sum(x, y)
        return x if is_const(y, 0) else y if is_const(x, 0) else Expr("add", (x, y), _wider(x, y))

    def __mul__(self, other: Any) -> Expr:
        if not is_time(self.sort):
            refuse(f"`*` on {name_of(self.sort)}: only a time is multiplied, by a parameter")
        x, y = _numbers("*", self, other)
        times.check_product(x, y)
        return Expr("mul", (x, y), x.sort)

    def __getitem__(self, index: Any) -> Expr:
        if not isinstance(self.sort, EachSort):
            refuse(f"a value of sort {name_of(self.sort)} has no parts to index")
        return Expr("apply", (self, lift(index, self.sort.index)), self.sort.of)

    def __repr__(self) -> str:
        return super().__repr__() if sealed() else text(self)

    __radd__, __rmul__ = __add__, __mul__
    __hash__ = Sealed.__hash__  # a class that defines == loses it


def text(x: Any) -> str:
    """A symbol, or another value, for an error's sentence."""
    if is_expr(x):
        return f"{x.op}({', '.join(map(text, x.args))})"
    return x._what if isinstance(x, Sealed) else repr(x)


def is_expr(x: Any) -> TypeGuard[Expr]:
    """Whether this is a symbol: `isinstance` would ask a sealed value for its class."""
    return type(x) is Expr


def is_const(x: Any, value: object) -> bool:
    return is_expr(x) and x.op == "const" and x.args == (value,)


TRUE = Expr("const", (True,), bool)
FALSE = Expr("const", (False,), bool)


def variable(name: str, sort: AnySort) -> Expr:
    return Expr("var", (name,), sort)


# -- sorts of mixed operands ---------------------------------------------------------------------
def lift(value: Any, sort: AnySort) -> Expr:
    """`value` as an expression of `sort`; SpecError if it is of another one."""
    if is_expr(value):
        if value.sort == sort:
            return value
        if isinstance(sort, OptionSort) and value.sort == sort.of:
            return Expr("some", (value,), sort)
        if is_number(sort) and value.sort is int:
            return value
        refuse(f"a value of sort {name_of(value.sort)} stands where {name_of(sort)} is wanted")
    if isinstance(value, Sealed):
        refuse(f"{value._what} stands where {name_of(sort)} is wanted")
    if isinstance(value, Nil):
        if isinstance(sort, OptionSort):
            return Expr("const", (NIL,), sort)
        refuse(f"NIL stands where {name_of(sort)} is wanted: declare the field as Option[{name_of(sort)}]")
    if is_time(sort):
        return _time(value, sort)
    if isinstance(value, bool):
        wanted = sort is bool
    elif isinstance(value, IntEnum):
        wanted = sort is type(value)
    else:
        wanted = isinstance(value, int) and value >= 0 and (is_number(base(sort)) or sort is int)
        wanted &= not isinstance(value, LongAgo)
    if not wanted:
        refuse(f"{value!r} stands where {name_of(sort)} is wanted (a set sort has no constants)")
    return Expr("const", (value,), sort)


def _time(value: Any, sort: AnySort) -> Expr:
    """A literal time. 0 is the same in every unit; any other length is a parameter."""
    if isinstance(value, LongAgo) or (value == 0 and type(value) is int):
        return Expr("const", (value,), sort)
    return refuse(f"{value!r} stands where {name_of(sort)} is wanted: declare it, = parameter(of=...)")


def _pair(x: Any, y: Any) -> tuple[Expr, Expr]:
    """Both as expressions of one sort: `Node` meets `Option[Node]`, a literal takes the other's sort."""
    if not is_expr(x):
        right, left = _pair(y, x)
        return left, right
    if is_expr(y) and isinstance(y.sort, OptionSort):
        return lift(x, y.sort), y
    if is_expr(y) and x.sort is int and is_number(y.sort):
        return x, y
    return x, lift(y, x.sort)


def _numbers(sign: str, x: Any, y: Any) -> tuple[Expr, Expr]:
    x, y = _pair(x, y)
    for side in (x, y):
        if not (is_number(side.sort) or is_time(side.sort) or side.sort is int):
            refuse(f"`{sign}` on {name_of(side.sort)}: only numbers have order and +")
    return x, y


def _wider(x: Expr, y: Expr) -> AnySort:
    return y.sort if x.sort is int else x.sort


def _ordered(op: str, x: Any, y: Any) -> Expr:
    x, y = _numbers("<" if op == "lt" else "<=", x, y)
    if is_time(x.sort):
        times.check_order(op, x, y)
    return Expr(op, (x, y), bool)


def equal(x: Any, y: Any) -> Expr:
    x, y = _pair(x, y)
    if is_time(x.sort):
        times.check_equality(x, y)
    if x is y:
        return TRUE
    return Expr("eq", (x, y) if x.serial < y.serial else (y, x), bool)


# -- connectives, on plain values and on expressions ---------------------------------------------
def _truth(x: Any) -> Any:
    """`x`, if it is a truth value of either kind."""
    if x is True or x is False or (is_expr(x) and x.sort is bool):
        return x
    return refuse(f"{text(x)} is not a truth value")


def both(*xs: Any) -> bool:
    """Conjunction. All arguments are evaluated."""
    return bool_like(_fold("and", xs, unit=True))


def either(*xs: Any) -> bool:
    """Disjunction. All arguments are evaluated."""
    return bool_like(_fold("or", xs, unit=False))


def _fold(op: str, xs: tuple[Any, ...], *, unit: bool) -> Any:
    unit_expr, zero_expr = (TRUE, FALSE) if unit else (FALSE, TRUE)
    open_ = []
    symbolic = False
    decided = False
    for x in map(_truth, xs):
        if is_expr(x):
            symbolic = True
            decided |= x is zero_expr
            if x is not unit_expr:
                open_.append(x)
        else:
            decided |= x is not unit
    if decided:
        return zero_expr if symbolic else not unit
    if not open_:
        return unit_expr if symbolic else unit
    return open_[0] if len(open_) == 1 else Expr(op, tuple(open_), bool)


def no(x: Any) -> bool:
    """Negation."""
    x = _truth(x)
    if not is_expr(x):
        return not x
    if x is TRUE or x is FALSE:
        return bool_like(FALSE if x is TRUE else TRUE)
    return bool_like(x.args[0] if x.op == "not" else Expr("not", (x,), bool))


def implies(x: Any, y: Any) -> bool:
    """`y`, where `x` holds."""
    return either(no(x), y)


def ite(condition: Any, x: Any, y: Any) -> Any:
    """`x` where the condition holds, else `y`. Both are evaluated."""
    condition = _truth(condition)
    if not is_expr(condition):
        if not is_expr(x) and not is_expr(y):
            return x if condition else y
        condition = TRUE if condition else FALSE
    if not is_expr(x) and not is_expr(y):
        x, y = lift(x, _sort_of(x)), lift(y, _sort_of(y))
    x, y = _pair(x, y)
    if condition is TRUE or condition is FALSE or x is y:
        return x if condition is TRUE else y
    return Expr("ite", (condition, x, y), _wider(x, y))


def _sort_of(literal: Any) -> AnySort:
    """The sort of a literal that stands beside no expression."""
    if isinstance(literal, Nil):
        refuse("both branches of ite are literals and one is NIL: give one of them a sort")
    return type(literal) if isinstance(literal, bool | IntEnum) else int


# -- quantifiers ---------------------------------------------------------------------------------
class Symbolic:
    """The reading under which quantifiers become expressions.

    A bound variable is named by its depth, so that equal quantified expressions are one object.
    """

    def __init__(self) -> None:
        self.depth = 0

    def quantify(self, kind: str, sort: type[Sort], body: Any) -> Expr:
        bound = variable(f"{sort.__name__}.{self.depth}", sort)
        self.depth += 1
        try:
            inner = lift(body(bound), bool)
        finally:
            self.depth -= 1
        if kind != "count" and (inner is TRUE or inner is FALSE):
            return inner  # no sort is empty
        return Expr(kind, (bound, inner), int if kind == "count" else bool)
