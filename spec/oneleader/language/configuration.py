"""Configurations: what a run puts in place of the sorts and constants of a model.

A set sort becomes a list of element names, a number sort the numbers up to its greatest, a constant
a table. Bounds live here and never in a model. `cluster` makes the usual one: nodes, terms and a
quorum system.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, product
from math import prod
from typing import Any

from oneleader.errors import UsageError
from oneleader.language.fields import Field
from oneleader.language.model import Definition, Model
from oneleader.language.sorts import NIL, AnySort, OptionSort, base, is_enum, is_number, is_set, name_of

MOST_CELLS = 20_000
MOST_STEPS = 200_000  # instances of actions: each is tried in every state


@dataclass(frozen=True)
class Configuration:
    """A finite interpretation of every sort and constant.

    elements   set sort -> the names of its elements
    greatest   number sort -> the greatest number of the run
    constants  constant -> the indices at which it is true
    """

    elements: Mapping[str, tuple[str, ...]]
    greatest: Mapping[str, int]
    constants: Mapping[str, frozenset[tuple[int, ...]]] = field(default_factory=dict)

    def domain(self, sort: AnySort) -> tuple[Any, ...]:
        """Every value of a sort, in order."""
        if isinstance(sort, OptionSort):
            return (NIL, *self.domain(sort.of))
        if sort is bool:
            return (False, True)
        if is_enum(sort):
            return tuple(sort)
        if is_set(sort):
            return tuple(range(len(self._given(self.elements, sort))))
        return tuple(range(self._given(self.greatest, sort) + 1))

    def show(self, sort: AnySort, value: Any) -> str:
        """A value as people write it: `n1`, `3`, `leader`, `NIL`, `true`."""
        if value == NIL and isinstance(sort, OptionSort):
            return "NIL"
        sort = base(sort)
        if sort is bool:
            return "true" if value else "false"
        if is_enum(sort):
            return str(sort(value).name.lower())
        return self.elements[sort.__name__][value] if is_set(sort) else str(value)

    def value(self, sort: AnySort, text: Any) -> Any:
        """The value that `show` writes as `text`; KeyError-like UsageError if there is none."""
        for value in self.domain(sort):
            if self.show(sort, value) == str(text):
                return value
        raise UsageError(f"{text!r} is no value of {name_of(sort)} here: {self.describe()}")

    def assignments(self, params: Iterable[tuple[str, AnySort]]) -> Iterator[tuple[Any, ...]]:
        """Every tuple of values that the parameters can take."""
        return product(*(self.domain(sort) for _, sort in params))

    def describe(self) -> str:
        """`3 nodes, 3 quorums, 2 terms`: numbers count from 1 where 0 means "not yet"."""
        sizes = [(len(names), sort) for sort, names in self.elements.items()]
        sizes += [(greatest, sort) for sort, greatest in self.greatest.items()]
        return ", ".join(f"{n} {sort.lower()}{'' if n == 1 else 's'}" for n, sort in sizes)

    def call(self, definition: Definition, args: tuple[Any, ...]) -> str:
        """`grant_vote(voter=n3, candidate=n2, t=2)`."""
        shown = (
            f"{name}={self.show(sort, v)}" for (name, sort), v in zip(definition.params, args, strict=True)
        )
        return f"{definition.name}({', '.join(shown)})"

    def check(self, model: Model) -> None:
        """UsageError unless every sort of the model has a sensible size here."""
        for sort in _sorts(model):
            if is_set(sort) or is_number(sort):
                given = self.domain(sort)
                if len(given) < (1 if is_set(sort) else 2):
                    raise UsageError(
                        f"{name_of(sort)} needs at least 1 value here: give a bound of 1 or more"
                    )
        cells = sum(prod(len(self.domain(i)) for i in f.index) for f in model.fields.values())
        steps = sum(prod(len(self.domain(s)) for _, s in a.params) for a in model.actions.values())
        if cells > MOST_CELLS or steps > MOST_STEPS:
            raise UsageError(
                f"{self.describe()} make {cells:,} cells and {steps:,} possible steps a state; "
                f"at most {MOST_CELLS:,} and {MOST_STEPS:,} can be indexed: choose smaller bounds"
            )

    def _given(self, table: Mapping[str, Any], sort: AnySort) -> Any:
        if sort.__name__ not in table:
            raise UsageError(f"the configuration gives no size for {sort.__name__}")
        return table[sort.__name__]


def _sorts(model: Model) -> list[AnySort]:
    """Every sort that the model uses, once each, in order of appearance."""
    used = [s for f in model.fields.values() for s in (*f.index, base(f.of))]
    used += [base(s) for a in model.actions.values() for _, s in a.params]
    return list(dict.fromkeys(used))


def cluster(model: Model, *, nodes: int, terms: int, quorums: str = "majority") -> Configuration:
    """The configuration of a Raft model: `nodes` named n1, n2 ..., terms 0 to `terms`.

    `quorums` is "majority" (the smallest ones: any set that contains a quorum has a quorum's votes)
    or a list such as "n1 n2, n1 n3".
    """
    if nodes < 1 or terms < 1:
        raise UsageError("a cluster needs at least 1 node and 1 term")
    if nodes > 64 or terms > 10_000:
        raise UsageError("at most 64 nodes and 10,000 terms can be indexed: choose smaller bounds")
    if quorums == "majority" and nodes > 9:
        raise UsageError("more than 9 nodes have too many majorities to list: choose smaller bounds")
    names = tuple(f"n{i + 1}" for i in range(nodes))
    system = _majorities(nodes) if quorums == "majority" else _listed(names, quorums)
    labels = tuple("{" + " ".join(names[n] for n in sorted(q)) + "}" for q in system)
    member = frozenset((n, i) for i, q in enumerate(system) for n in q)
    everything: dict[str, Any] = {"Node": names, "Quorum": labels}
    known = {s.__name__ for s in _sorts(model)}
    return Configuration(
        elements={sort: value for sort, value in everything.items() if sort in known},
        greatest={"Term": terms} | ({"Count": 2 * nodes} if "Count" in known else {}),
        constants={"member": member} if "member" in model.fields else {},
    )


def _majorities(nodes: int) -> list[frozenset[int]]:
    return [frozenset(q) for q in combinations(range(nodes), nodes // 2 + 1)]


def _listed(names: tuple[str, ...], text: str) -> list[frozenset[int]]:
    system = []
    for part in text.split(","):
        members = part.split()
        unknown = [m for m in members if m not in names]
        if unknown or not members:
            raise UsageError(
                f"quorum {part.strip()!r} names no node of {', '.join(names)}: write e.g. 'n1 n2, n1 n3'"
            )
        system.append(frozenset(names.index(m) for m in members))
    return system


@dataclass(frozen=True)
class Cells:
    """A state as a flat tuple: which cell holds which field at which index.

    Ghost fields are left out unless named. Cells of one field are adjacent, the last index fastest.
    """

    fields: tuple[Field, ...]
    keys: tuple[tuple[Field, tuple[Any, ...]], ...]
    start: Mapping[str, int]
    initial: tuple[int, ...]

    @staticmethod
    def of(model: Model, configuration: Configuration, ghosts: frozenset[str] = frozenset()) -> Cells:
        kept = tuple(
            f for f in model.fields.values() if f.kind == "field" or (f.kind == "ghost" and f.name in ghosts)
        )
        keys: list[tuple[Field, tuple[Any, ...]]] = []
        start = {}
        for f in kept:
            start[f.name] = len(keys)
            keys += [(f, key) for key in product(*(configuration.domain(i) for i in f.index))]
        return Cells(kept, tuple(keys), start, tuple(f.init for f, _ in keys))
