"""Fields: what a state consists of.

    class State(Fields):
        term = field(Node, of=Term, init=0)              # a function from Node to Term
        granted = field(Node, Term, Node, of=bool)       # a relation, empty at first
        holder = field(of=Option[Client], init=NIL)      # no index: a single value

`constant` is fixed by the configuration of a run (who belongs to which quorum), and so is `parameter`,
a length of time or a rate (how long a lease is). `ghost` is history
that a proof speaks of: no guard and no effect on another field may read it, so leaving it out
changes no behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from oneleader.errors import SpecError
from oneleader.language.sorts import (
    NIL,
    AnySort,
    EachSort,
    LongAgo,
    Nil,
    OptionSort,
    base,
    is_enum,
    is_number,
    is_time,
    name_of,
    resolve,
)


@dataclass(frozen=True)
class Field:
    """One declared field: a total function from its index sorts to a value sort."""

    name: str
    index: tuple[AnySort, ...]
    of: AnySort
    init: Any
    kind: str  # "field", "ghost", "constant" or "parameter"

    @property
    def fixed(self) -> bool:
        """Whether no step changes it: the configuration of a run says what it is."""
        return self.kind in ("constant", "parameter")

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(map(name_of, self.index))}]" if self.index else self.name


@dataclass(frozen=True)
class _Declared:
    """A field before its class gave it a name."""

    index: tuple[AnySort, ...]
    of: AnySort
    init: Any
    kind: str


def _declare(index: tuple[Any, ...], of: Any, init: Any, kind: str) -> Any:
    sort, sorts = resolve(of), tuple(resolve(i) for i in index)
    for i in sorts:
        if isinstance(i, OptionSort):
            raise SpecError(f"{name_of(i)} is no index: index by {i.of.__name__}, NIL stands for no cell")
        if is_time(i) or isinstance(i, EachSort):
            raise SpecError(f"{name_of(i)} is no index: time is not counted")
    if isinstance(sort, EachSort):
        raise SpecError(f"{name_of(sort)} is no field's sort: index the field by {name_of(sort.index)}")
    if init is None:
        init = _least(sort)
    elif not _may_start_with(sort, init):
        raise SpecError(f"init={init!r} is no constant of {name_of(sort)} (a set sort has none)")
    return _Declared(sorts, sort, init, kind)


def _may_start_with(sort: AnySort, init: Any) -> bool:
    """Whether `init` is a constant that a model may write for this sort."""
    if isinstance(init, Nil):
        return isinstance(sort, OptionSort)
    if isinstance(init, bool | IntEnum):
        return sort is type(init)
    if is_time(sort):
        return init == 0 or isinstance(init, LongAgo)
    return not isinstance(init, LongAgo) and isinstance(init, int) and init >= 0 and is_number(base(sort))


def _least(sort: AnySort) -> Any:
    if sort is bool:
        return False
    if isinstance(sort, OptionSort):
        return NIL
    if is_number(sort) or is_time(sort):
        return 0
    if is_enum(sort):
        return next(iter(sort))
    raise SpecError(f"a field of {name_of(sort)} has no first value: a set sort has no constants; use Option")


def field(*index: Any, of: Any, init: int | IntEnum | None = None) -> Any:
    """A part of the state: `init` everywhere at first (false, 0, NIL or the first member by default)."""
    return _declare(index, of, init, "field")


def ghost(*index: Any, of: Any, init: int | IntEnum | None = None) -> Any:
    """History for proofs and witnesses; never read by a guard or by an effect on another field."""
    return _declare(index, of, init, "ghost")


def constant(*index: Any, of: Any = bool) -> Any:
    """Fixed during a run; the configuration says what it is, axioms say what must be true of it."""
    if of is not bool:
        raise SpecError(
            "a constant is a relation: a configuration lists where it is true, so its sort is bool"
        )
    if not index:
        raise SpecError("a constant without an index cannot be told to a run: index it by a sort")
    return _declare(index, of, None, "constant")


def parameter(*, of: Any) -> Any:
    """A length of time, or a rate, that a run is told and a proof leaves open; axioms relate them."""
    if not is_time(resolve(of)):
        raise SpecError(f"a parameter is a time or a rate: {name_of(resolve(of))} is no TimeSort")
    return _declare((), of, None, "parameter")


class Fields:
    """The base of a state class: collects the declarations of the class and of its bases."""

    declared: dict[str, Field]

    def __init_subclass__(cls) -> None:
        inherited = {n: f for b in reversed(cls.__mro__[1:]) for n, f in getattr(b, "declared", {}).items()}
        own = {
            name: Field(name, d.index, d.of, d.init, d.kind)
            for name, d in vars(cls).items()
            if isinstance(d, _Declared)
        }
        for name in own:
            if name in vars(Fields) or name.startswith("_"):
                raise SpecError(f"a field cannot be named {name}: the language uses that name")
        cls.declared = inherited | own

    # What an action may say of the whole step; the reading in force answers.
    def require(self, *guards: Any) -> None:
        """The step is possible only where all `guards` hold. Each is a named boolean; effects come after."""
        raise NotImplementedError

    def claim(self, *facts: Any) -> None:
        """Facts that hold where all guards of the action do: proved once, then usable; asserted in a run.

        One that reads a ghost field is asserted where the run keeps that field.
        """
        raise NotImplementedError
