"""Sorts: the kinds of value that a state may hold.

    class Node(SetSort): ...          a set: equality only; any set in a proof; elements may be renamed
    class Term(NumberSort): ...       naturals: order and `+`; bounded only by the configuration of a run
    class Role(IntEnum): ...          a finite enumeration with named members (Python's own)
    class Elapsed(TimeSort): ...      what a stopwatch shows: compared with declared parameters alone
    Option[Node]                      a Node or NIL
    Each[Node, Elapsed]               a parameter of the action that lets time pass: a value for each Node
    bool                              truth

A sort is a class, so that it can stand as the annotation of an action's parameter. It never has
instances: in a plain run its values are small integers, under tracing they are expressions
(`expr.py`). Elements of a set sort have no names inside a model: that is what makes symmetry sound
and lets a proof hold for any cluster size.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic, NoReturn, Protocol, TypeVar

from oneleader.errors import SpecError

I = TypeVar("I")  # noqa: E741
T = TypeVar("T")
Body = Callable[[Any], Any]


class Reading(Protocol):
    """Who reads the model just now: it alone knows what a quantifier ranges over."""

    def quantify(self, kind: str, sort: type[Sort], body: Body) -> Any:
        """`kind` is "all", "any" or "count"."""


_readings: list[Reading] = []


@contextmanager
def reading(reader: Reading) -> Iterator[None]:
    """Within this block the quantifiers of every sort are answered by `reader`."""
    _readings.append(reader)
    try:
        yield
    finally:
        _readings.pop()


def _quantify(kind: str, sort: type[Sort], body: Body) -> Any:
    if not _readings:
        raise SpecError(f"{sort.__name__}.{kind}(...) has a meaning only while a model is read")
    return _readings[-1].quantify(kind, sort, body)


class Sort:
    """What set sorts and number sorts share: one may quantify over them."""

    @classmethod
    def all(cls, body: Body) -> bool:
        """True when `body` is true of every element."""
        return bool_like(_quantify("all", cls, body))

    @classmethod
    def any(cls, body: Body) -> bool:
        """True when `body` is true of some element."""
        return bool_like(_quantify("any", cls, body))

    @classmethod
    def count(cls, body: Body) -> Any:
        """How many elements `body` is true of. Finite readers only: `prove` calls it not expressible."""
        return _quantify("count", cls, body)


def bool_like(value: Any) -> bool:
    """For the type checker: an expression of sort bool stands where a bool does."""
    return typing.cast(bool, value)


class SetSort(Sort):
    """A set whose elements can only be compared for equality."""


class NumberSort(Sort):
    """Natural numbers: order and `+`. A run bounds them, a model does not."""

    if typing.TYPE_CHECKING:  # what a model may write; at run time these are ints or expressions

        def __lt__(self, other: Any) -> bool: ...
        def __le__(self, other: Any) -> bool: ...
        def __gt__(self, other: Any) -> bool: ...
        def __ge__(self, other: Any) -> bool: ...
        def __add__(self, other: Any) -> Any: ...


class TimeSort(Sort):
    """How much time has passed, or has to: by the clock of the stopwatch's owner, in any unit.

    A stopwatch is set to 0 when something happens, is advanced by the one action that lets time pass,
    and answers one question: has at least so much time passed? (`>=` or `<` a parameter.) So a run may
    store the greatest parameter for everything above it, and time needs no last moment.
    """

    @classmethod
    def _refuse(cls, body: Body) -> NoReturn:
        raise SpecError(f"{cls.__name__} is no sort to quantify over: time is not counted")

    all = any = count = _refuse

    if typing.TYPE_CHECKING:

        def __lt__(self, other: Any) -> bool: ...
        def __le__(self, other: Any) -> bool: ...
        def __gt__(self, other: Any) -> bool: ...
        def __ge__(self, other: Any) -> bool: ...
        def __add__(self, other: Any) -> Any: ...
        def __mul__(self, other: Any) -> Any: ...


class Option(Generic[T]):
    """`Option[Node]`: an element of Node, or NIL."""


class Each(Generic[I, T]):
    """`Each[Node, Elapsed]`: one value for each Node, chosen afresh in each step."""

    if typing.TYPE_CHECKING:

        def __getitem__(self, index: Any) -> Any: ...


@dataclass(frozen=True)
class OptionSort:
    """The sort that `Option[of]` denotes."""

    of: type[Sort]


@dataclass(frozen=True)
class EachSort:
    """The sort that `Each[index, of]` denotes: a tuple in a plain run, a function in a proof."""

    index: type[Sort]
    of: type[Sort]

    @property
    def __name__(self) -> str:
        return f"Each[{self.index.__name__}, {self.of.__name__}]"


AnySort = Any  # a subclass of Sort or of IntEnum, an OptionSort, an EachSort, or bool


class Nil(int):
    """Absence. An integer, so that a plain state is a tuple of small integers throughout."""

    def __repr__(self) -> str:
        return "NIL"


NIL = Nil(-1)


class LongAgo(int):
    """What a stopwatch shows that was started long ago: more than any length of time, and so it stays."""

    def __repr__(self) -> str:
        return "LONG_AGO"

    def __lt__(self, other: int) -> bool:
        return False

    def __le__(self, other: int) -> bool:
        return isinstance(other, LongAgo)

    def __gt__(self, other: int) -> bool:
        return not isinstance(other, LongAgo)

    def __ge__(self, other: int) -> bool:
        return True

    def __add__(self, other: int) -> LongAgo:
        return self

    __sub__ = __mul__ = __rmul__ = __radd__ = __add__


LONG_AGO = LongAgo(1 << 20)  # no number to compute with; a run stores the greatest of its parameters instead


def resolve(annotation: Any) -> AnySort:
    """The sort that an annotation or an `of=` names; SpecError if it names none."""
    if typing.get_origin(annotation) is Option:
        (of,) = typing.get_args(annotation)
        if is_time(of):
            raise SpecError(f"Option[{of.__name__}]: a stopwatch always runs; LONG_AGO stands for never")
        if isinstance(of, type) and issubclass(of, Sort):
            return OptionSort(of)
    if typing.get_origin(annotation) is Each:
        index, of = typing.get_args(annotation)
        if not (is_set(index) and is_time(of)):
            raise SpecError("Each gives every element of a set sort a time: Each[Node, Elapsed]")
        return EachSort(index, of)
    if annotation is bool or (isinstance(annotation, type) and issubclass(annotation, Sort | IntEnum)):
        if is_enum(annotation) and any(i != x for i, x in enumerate(typing.cast(Any, annotation))):
            raise SpecError(f"the members of {annotation.__name__} must be 0, 1, 2 ...: they index cells")
        if is_enum(annotation) and (own := answers_of(annotation)):
            raise SpecError(f"{annotation.__name__} defines {own}: an enumeration has members only")
        return annotation
    raise SpecError(
        f"{annotation!r} is not a sort: use a SetSort, a NumberSort, a TimeSort, an IntEnum, Option[...] "
        f"or bool"
    )


def answers_of(enum: Any) -> str:
    """An operator or a conversion that an enumeration defines itself: it would not be the symbols'."""
    said = "eq ne lt le gt ge hash bool int index add radd mul rmul getitem call getattr getattribute"
    own = {name for cls in enum.__mro__ if cls not in IntEnum.__mro__ for name in vars(cls)}
    return next((name for name in (f"__{one}__" for one in said.split()) if name in own), "")


def name_of(sort: AnySort) -> str:
    """`Node`, `Option[Node]`, `bool`."""
    return f"Option[{sort.of.__name__}]" if isinstance(sort, OptionSort) else str(sort.__name__)


def is_number(sort: AnySort) -> bool:
    return isinstance(sort, type) and issubclass(sort, NumberSort)


def is_time(sort: AnySort) -> bool:
    return isinstance(sort, type) and issubclass(sort, TimeSort)


def is_set(sort: AnySort) -> bool:
    return isinstance(sort, type) and issubclass(sort, SetSort)


def is_enum(sort: AnySort) -> bool:
    return isinstance(sort, type) and issubclass(sort, IntEnum)


def base(sort: AnySort) -> AnySort:
    """The sort of an optional value's elements; any other sort itself."""
    return sort.of if isinstance(sort, OptionSort) else sort
