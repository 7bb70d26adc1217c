"""A state of TLC read as a state of the model: the correspondence is by name and shape.

A field `voted_for` is the variable votedFor; a function of TLA+ is applied to the indices one by one, a set
holds the (remaining) indices at which a relation is true; NIL is Nil and the members of an enumeration are
strings. Where there is no variable logTerm, the field `log_term` is the component `term` of the sequences of
records in the variable log, counted from 1, and `log_length` is how long they are; beyond the end of one
there is the field's first value. A configuration of changing members is a number in Python, and the set of
its sets of servers in TLA+.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from oneleader.errors import UsageError
from oneleader.language.configuration import Configuration
from oneleader.language.fields import Field
from oneleader.language.sorts import NIL, OptionSort, base, is_enum, is_number, is_set, is_time
from oneleader.readers.run import Run, State
from oneleader.readers.tlc.values import TlcState


class StateReader:
    """Reads a TLA+ state as a plain state of the same model."""

    def __init__(self, run: Run) -> None:
        self.run, self.configuration = run, run.configuration
        self.keys = {f: [key for field, key in run.cells.keys if field is f] for f in run.cells.fields}
        self._read: dict[tuple[str, Any], tuple[int, ...]] = {}
        self._sources: dict[tuple[Any, ...], list[tuple[str, Field, bool]]] = {}

    def state(self, told: TlcState) -> State:
        """The plain state; UsageError where the TLA+ state lacks a variable or has an unknown value."""
        cells: list[int] = []
        variables = tuple(told)
        if variables not in self._sources:
            self._sources[variables] = list(self._variables(told))
        for variable, f, records in self._sources[variables]:
            key = (f.name, told[variable])
            if key not in self._read:
                cells_of = partial(self._components, f) if records else partial(self._cells, f)
                try:
                    self._read[key] = tuple(cells_of(told[variable]))
                except (LookupError, TypeError, ValueError, RuntimeError):  # StopIteration is RuntimeError
                    raise UsageError(
                        f"TLC has a state in which {variable} is {_told(told[variable])}, "
                        f"and {f} cannot be read from it"
                    ) from None
            cells += self._read[key]
        return tuple(cells)

    def _variables(self, told: TlcState) -> Iterator[tuple[str, Field, bool]]:
        """Of each field the variable that has it, and whether as a component of its records."""
        for f in self.run.cells.fields:
            variable, stem = camel(f.name), camel(f.name.rpartition("_")[0])
            records = variable not in told and stem in told
            variable = stem if records else variable
            if variable not in told:
                raise UsageError(f"the TLA+ module has no variable {variable} for the field {f}")
            yield variable, f, records

    def _components(self, f: Field, told: Any) -> Iterator[int]:
        """One component of the records in sequences, or the length of each."""
        part = f.name.rpartition("_")[2]
        for key in self.keys[f]:
            at, whole = told, key if part == "length" else key[:-1]
            for sort, k in zip(f.index, whole, strict=False):
                at = _applied(at, self._name(sort, k))
            if part == "length":
                yield len(at)
            else:
                yield self._value(f, at[key[-1] - 1][part]) if 0 < key[-1] <= len(at) else f.init

    def _cells(self, f: Field, told: Any) -> Iterator[int]:
        sets: dict[tuple[Any, ...], int] = {}  # how many elements each has that no cell has shown yet
        for key in self.keys[f]:
            at, rest = told, [self._name(s, k) for s, k in zip(f.index, key, strict=True)]
            while rest and not isinstance(at, frozenset):
                at = _applied(at, rest.pop(0))
            if isinstance(at, frozenset) and f.of is bool:
                holds = (rest[0] if len(rest) == 1 else tuple(rest)) in at
                whole = key[: len(key) - len(rest)]
                sets[whole] = sets.get(whole, len(at)) - holds
                yield holds
            else:
                yield self._value(f, at)
        if any(sets.values()):
            raise UsageError(
                f"TLC has a state in which {camel(f.name)} holds what is no element: {_told(told)}"
            )

    def _name(self, sort: Any, value: int) -> Any:
        """How TLA+ writes an index."""
        return value if is_number(sort) else self.configuration.show(sort, value)

    def _value(self, f: Field, told: Any) -> int:
        if told == "Nil" and isinstance(f.of, OptionSort):
            return NIL
        of = base(f.of)
        if isinstance(told, frozenset) and is_number(of):
            return member_sets(self.configuration).index(told)
        if isinstance(told, frozenset):  # an element that is, in TLA+, a set of others: see _subsets
            names = self.configuration.elements[of.__name__]
            return next(i for i, shown in enumerate(names) if set(shown.strip("{}").split()) == told)
        if is_set(of) or is_enum(of):
            return int(self.configuration.value(of, told))
        return int(told) if is_number(of) or is_time(of) else bool(told)


def camel(name: str) -> str:
    """`voted_for` as TLA+ writes it: `votedFor`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def member_sets(configuration: Configuration) -> list[frozenset[frozenset[str]]]:
    """What each number of Config stands for: a set of servers, or two while they are joint."""
    names = configuration.elements["Node"]
    return [frozenset(frozenset(names[n] for n in s) for s in c.sets) for c in configuration.members]


def _told(value: Any) -> str:
    return "{" + ", ".join(sorted(map(str, value))) + "}" if isinstance(value, frozenset) else str(value)


def _applied(function: Any, index: Any) -> Any:
    """A function of TLA+ at an index; one whose domain is 1..n is a sequence."""
    return function[index - 1] if isinstance(function, tuple) else function[index]
