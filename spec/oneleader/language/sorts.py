"""Sorts: the kinds of value that a state may hold.

    class Node(SetSort): ...          a set: equality only; any set in a proof; elements may be renamed
    class Term(NumberSort): ...       naturals: order and `+`; bounded only by the configuration of a run
    class Role(IntEnum): ...          a finite enumeration with named members (Python's own)
    Option[Node]                      a Node or NIL
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
from typing import Any, Generic, Protocol, TypeVar

from oneleader.errors import SpecError

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


class Option(Generic[T]):
    """`Option[Node]`: an element of Node, or NIL."""


@dataclass(frozen=True)
class OptionSort:
    """The sort that `Option[of]` denotes."""

    of: type[Sort]


AnySort = Any  # a subclass of Sort or of IntEnum, an OptionSort, or bool


class Nil(int):
    """Absence. An integer, so that a plain state is a tuple of small integers throughout."""

    def __repr__(self) -> str:
        return "NIL"


NIL = Nil(-1)


def resolve(annotation: Any) -> AnySort:
    """The sort that an annotation or an `of=` names; SpecError if it names none."""
    if typing.get_origin(annotation) is Option:
        (of,) = typing.get_args(annotation)
        if isinstance(of, type) and issubclass(of, Sort):
            return OptionSort(of)
    if annotation is bool or (isinstance(annotation, type) and issubclass(annotation, Sort | IntEnum)):
        if is_enum(annotation) and any(i != x for i, x in enumerate(typing.cast(Any, annotation))):
            raise SpecError(f"the members of {annotation.__name__} must be 0, 1, 2 ...: they index cells")
        return annotation
    raise SpecError(
        f"{annotation!r} is not a sort: use a SetSort, a NumberSort, an IntEnum, Option[...] or bool"
    )


def name_of(sort: AnySort) -> str:
    """`Node`, `Option[Node]`, `bool`."""
    return f"Option[{sort.of.__name__}]" if isinstance(sort, OptionSort) else str(sort.__name__)


def is_number(sort: AnySort) -> bool:
    return isinstance(sort, type) and issubclass(sort, NumberSort)


def is_set(sort: AnySort) -> bool:
    return isinstance(sort, type) and issubclass(sort, SetSort)


def is_enum(sort: AnySort) -> bool:
    return isinstance(sort, type) and issubclass(sort, IntEnum)


def base(sort: AnySort) -> AnySort:
    """The sort of an optional value's elements; any other sort itself."""
    return sort.of if isinstance(sort, OptionSort) else sort
