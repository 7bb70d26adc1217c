"""Configurations: what a run puts in place of the sorts and constants of a model.

A set sort becomes a list of element names, a number sort the numbers up to its greatest, a constant
a table. Bounds live here and never in a model. `configure` makes one from sizes; `bounded` is short for
those of models that have nodes and terms.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from math import prod
from typing import Any

from oneleader.errors import UsageError
from oneleader.language import members
from oneleader.language.definitions import Definition
from oneleader.language.fields import Field
from oneleader.language.members import Members
from oneleader.language.model import Model
from oneleader.language.sorts import (
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
from oneleader.language.trace import compared_times

MOST_VALUES = 1_000
MOST_CELLS = 20_000
MOST_STEPS = 200_000  # instances of actions: each is tried in every state


@dataclass(frozen=True)
class Configuration:
    """A finite interpretation of every sort and constant.

    elements   set sort -> the names of its elements
    greatest   number sort -> the greatest number of the run
    constants  constant -> the indices at which it is true
    parameters parameter -> its value
    longest    time sort -> the greatest of its parameters, stored for every time above it
    chosen     constant -> the names at which `where` made it true
    members    what each number of Config stands for, where members change
    """

    elements: Mapping[str, tuple[str, ...]]
    greatest: Mapping[str, int]
    constants: Mapping[str, frozenset[tuple[int, ...]]] = field(default_factory=dict)
    parameters: Mapping[str, int] = field(default_factory=dict)
    longest: Mapping[str, int] = field(default_factory=dict)
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    members: tuple[Members, ...] = ()

    def domain(self, sort: AnySort) -> Sequence[Any]:
        """Every value of a sort, in order."""
        if isinstance(sort, OptionSort):
            return (NIL, *self.domain(sort.of))
        if sort is bool:
            return (False, True)
        if is_enum(sort):
            return tuple(sort)
        if is_set(sort):
            return tuple(range(len(self._given(self.elements, sort))))
        if isinstance(sort, EachSort):
            return tuple(product(self.domain(sort.of), repeat=self.size(sort.index)))
        return range(self.size(sort))

    def bounds(self, sort: AnySort) -> tuple[int, int]:
        """The least and the greatest value of a sort, as integers; all between are values too."""
        least = int(NIL) if isinstance(sort, OptionSort) else 0
        return least, least + self.size(sort) - 1

    def size(self, sort: AnySort) -> int:
        """How many values a sort has, without listing them."""
        if isinstance(sort, OptionSort):
            return 1 + self.size(sort.of)
        if isinstance(sort, EachSort):
            return int(self.size(sort.of) ** self.size(sort.index))
        if is_number(sort) or is_time(sort):
            greatest: int = self._given(self.greatest if is_number(sort) else self.longest, sort)
            return greatest + 1
        return len(self.domain(sort))

    def first(self, field: Field) -> Any:
        """What a cell of the field holds at first."""
        return self.longest[field.of.__name__] if isinstance(field.init, LongAgo) else field.init

    def stored(self, field: Field, value: Any) -> Any:
        """What a cell holds of this value: of a time, no more than the longest."""
        if not is_time(field.of):
            return value
        longest: int = self.longest[field.of.__name__]
        return min(value, longest)

    def show(self, sort: AnySort, value: Any) -> str:
        """A value as people write it: `n1`, `3`, `leader`, `NIL`, `true`."""
        if value == NIL and isinstance(sort, OptionSort):
            return "NIL"
        sort = base(sort)
        if isinstance(sort, EachSort):
            names = self.elements[sort.index.__name__]
            return ", ".join(f"{n} {v}" for n, v in zip(names, value, strict=True))
        if sort is bool:
            return "true" if value else "false"
        if is_enum(sort):
            return str(sort(value).name.lower())
        if is_time(sort) and value >= self.longest[sort.__name__]:
            return f"{value}+"  # or more
        names = self.elements[sort.__name__] if is_set(sort) else ()
        return names[value] if value in range(len(names)) else str(value)

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
        many = {sort: f"{sort.lower()}{'es' if sort.endswith('x') else 's'}" for _, sort in sizes}
        counted = [f"{n} {sort.lower() if n == 1 else many[sort]}" for n, sort in sizes]
        true_at = {name: (", " if " " in "".join(at) else " ").join(at) for name, at in self.chosen.items()}
        named = {**self.parameters, **{name: at for name, at in true_at.items() if at}}
        return ", ".join([*counted, *(f"{name} {value}" for name, value in named.items())])

    def where(self, constant: Field, texts: Iterable[str]) -> Configuration:
        """The same with this constant true at just these: `off` at `terms` and `lease`, `link` at `n1 n2`."""
        if constant.kind != "constant":
            raise UsageError(f"{constant} is no constant: only a constant is told where it is true")
        keys = sorted({self._key(constant, text) for text in texts})
        shown = tuple(self._shown(constant, key) for key in keys)
        return replace(
            self,
            constants={**self.constants, constant.name: frozenset(keys)},
            chosen={**self.chosen, constant.name: shown},
        )

    def _key(self, constant: Field, text: str) -> tuple[int, ...]:
        """`n1 n2`, or `{n1 n2} n3`: one index of a constant."""
        parts = re.findall(r"\{[^}]*\}|\S+", text)
        if len(parts) != len(constant.index):
            raise UsageError(
                f"{constant} takes {len(constant.index)} values and {text!r} has {len(parts)}: "
                f"write --where {self._example(constant)}"
            )
        return tuple(int(self.value(s, p)) for s, p in zip(constant.index, parts, strict=True))

    def _shown(self, constant: Field, key: tuple[int, ...]) -> str:
        return " ".join(self.show(sort, value) for sort, value in zip(constant.index, key, strict=True))

    def _example(self, constant: Field) -> str:
        """`"link=n1 n1,n2 n2"`: how a person says where a constant is true."""
        ends = [[self.domain(sort)[i] for sort in constant.index] for i in (0, -1)]
        return f'"{constant.name}={",".join(dict.fromkeys(self._shown(constant, tuple(k)) for k in ends))}"'

    def call(self, definition: Definition, args: tuple[Any, ...]) -> str:
        """`grant_vote(voter=n3, candidate=n2, t=2)`."""
        shown = (
            f"{name}={self.show(sort, v)}" for (name, sort), v in zip(definition.params, args, strict=True)
        )
        return f"{definition.name}({', '.join(shown)})"

    def check(self, model: Model) -> None:
        """UsageError unless every sort of the model has a sensible size here."""
        for sort in model.sorts.values():
            if (is_set(sort) or is_number(sort)) and self.size(sort) < (1 if is_set(sort) else 2):
                raise UsageError(f"{name_of(sort)} needs at least 1 value here: give a bound of 1 or more")
        cells = sum(prod(self.size(i) for i in f.index) for f in model.fields.values())
        steps = sum(prod(self.size(s) for _, s in a.params) for a in model.actions.values())
        if cells > MOST_CELLS or steps > MOST_STEPS:
            raise UsageError(
                f"{self.describe()} make {cells:,} cells and {steps:,} possible steps a state; "
                f"at most {MOST_CELLS:,} and {MOST_STEPS:,} can be indexed: choose smaller bounds"
            )
        for f in model.fields.values():
            if f.kind == "parameter" and f.name not in self.parameters:
                raise UsageError(f"{model.name} needs a value for {f.name}: give --size {f.name}=2, say")
            if f.kind == "constant" and f.name not in self.constants:
                raise UsageError(
                    f"{model.name} needs to know where {f} is true: give --where {self._example(f)}, say, "
                    f"or --where {f.name}= for nowhere (a proof leaves it open)"
                )
            if is_number(base(f.of)) and f.init >= self.size(base(f.of)):
                raise UsageError(
                    f"{f} starts at {f.init}: give {name_of(base(f.of))} a bound of {f.init} or more"
                )

        if self.parameters:
            self._check_times(model)

    def _check_times(self, model: Model) -> None:
        """`a * x <= b * y` is as true of times that are cut at the longest one, where a <= b."""
        for name, a, b in compared_times(model):
            left, right = (self.parameters[x.args[0]] if x is not None else 1 for x in (a, b))
            if left > right:
                raise UsageError(
                    f"{name} says {left} * x <= {right} * y of two times: a run stores none above the "
                    f"longest, and can judge that only where the first factor is not the greater one"
                )

    def _given(self, table: Mapping[str, Any], sort: AnySort) -> Any:
        if sort.__name__ not in table:
            raise UsageError(f"the configuration gives no size for {sort.__name__}")
        return table[sort.__name__]


def bounded(model: Model, *, nodes: int, terms: int, quorums: str = "majority") -> Configuration:
    """The configuration with `nodes` named n1, n2 ... and the terms 0 to `terms`; the rest as usual."""
    return configure(model, {"Node": nodes, "Term": terms}, quorums)


def configure(
    model: Model,
    sizes: Mapping[str, int],
    quorums: str = "majority",
    where: Mapping[str, Iterable[str]] | None = None,
) -> Configuration:
    """The configuration in which each set sort has the size given and each number sort that greatest number.

    `quorums` is "majority" (the smallest ones: any set that contains a quorum has a quorum's votes)
    or a list such as "n1 n2, n1 n3"; it is for models whose constant `member` relates Node and Quorum.
    A tally of votes, Count, may reach twice the number of nodes. Parameters are given like sizes, by their
    names; `where` says of other constants where they are true. Where members change, `quorums` lists the
    configurations, whose majorities are the quorums: see `members`.
    """
    texts = {name: said for name, said in model.usual.items() if not isinstance(said, int)}
    sizes = {**{name: size for name, size in model.usual.items() if isinstance(size, int)}, **sizes}
    changes_members = _is_constant(model, "quorum_of", "Quorum", "Config")
    if changes_members and quorums != "majority":
        sizes["Config"] = max(1, len(quorums.split(",")) - 1)
    sizes |= {"Count": 2 * sizes["Node"]} if "Node" in sizes and "Count" not in sizes else {}
    elements: dict[str, tuple[str, ...]] = {}
    greatest: dict[str, int] = {}
    constants: dict[str, frozenset[tuple[int, ...]]] = {}
    for sort in model.sorts.values():
        name = name_of(sort)
        if (name == "Quorum" and _has_quorums(model)) or not (is_set(sort) or is_number(sort)):
            continue
        if name not in sizes:
            raise UsageError(f"{model.name} needs a size for {name}: give --size {name}=2, say")
        if not 1 <= sizes[name] <= MOST_VALUES:
            raise UsageError(f"{name}={sizes[name]} cannot be indexed: give a size from 1 to {MOST_VALUES}")
        if is_number(sort):
            greatest[name] = sizes[name]
        else:
            elements[name] = tuple(f"{name[0].lower()}{i + 1}" for i in range(sizes[name]))
    system: Iterable[frozenset[int]] = ()
    configurations: Sequence[Members] = ()
    if changes_members:
        configurations = _configurations(elements["Node"], greatest["Config"] + 1, quorums)
        changing = members.system(configurations)
        system = changing.quorums
        constants["quorum_of"] = changing.quorum_of
        if _is_constant(model, "adjacent", "Config", "Config"):
            constants["adjacent"] = changing.adjacent
    elif _has_quorums(model):
        system = _system(elements["Node"], quorums)
    if _has_quorums(model):
        elements["Quorum"] = tuple(
            "{" + " ".join(elements["Node"][n] for n in sorted(q)) + "}" for q in system
        )
        constants["member"] = frozenset((n, i) for i, q in enumerate(system) for n in q)
    times = _times(model, sizes)
    at = Configuration(elements, greatest, constants, *times, members=tuple(configurations))
    for name, said in {**texts, **(where or {})}.items():
        at = at.where(_constant(model, name), said)
    return at


def _has_quorums(model: Model) -> bool:
    """Whether the model's `member` says which Node is in which Quorum."""
    return _is_constant(model, "member", "Node", "Quorum")


def _is_constant(model: Model, name: str, *sorts: str) -> bool:
    """Whether the model has this constant over these sorts: only then is it filled in here."""
    field = model.fields.get(name)
    if field is None or field.kind != "constant" or [*map(name_of, field.index)] != [*sorts]:
        return False
    return all(is_number(sort) if name_of(sort) == "Config" else is_set(sort) for sort in field.index)


def _constant(model: Model, name: str) -> Field:
    known = [f.name for f in model.fields.values() if f.kind == "constant"]
    if name not in known:
        said = f"its constants are {', '.join(known)}" if known else "it has none"
        raise UsageError(f"{model.name} has no constant {name}: {said}")
    return model.fields[name]


def _times(model: Model, sizes: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """The value of each parameter, and the greatest one of each time sort."""
    values: dict[str, int] = {}
    longest: dict[str, int] = {}
    for name in model.parameters:
        if name not in sizes:
            raise UsageError(f"{model.name} needs a value for {name}: give --size {name}=2, say")
        if not 0 <= sizes[name] <= MOST_VALUES:
            raise UsageError(f"{name}={sizes[name]} is no time: give a value from 0 to {MOST_VALUES}")
        values[name] = sizes[name]
        sort = name_of(model.fields[name].of)
        longest[sort] = max(sizes[name], longest.get(sort, 1))
    return values, longest


def _configurations(nodes: tuple[str, ...], number: int, text: str) -> list[Members]:
    return members.nested(len(nodes), number) if text == "majority" else members.listed(nodes, text)


def _system(nodes: tuple[str, ...], quorums: str) -> list[frozenset[int]]:
    if quorums != "majority":
        return _listed(nodes, quorums)
    if len(nodes) > 9:
        raise UsageError("more than 9 nodes have too many majorities to list: choose smaller bounds")
    return majorities(len(nodes))


def majorities(nodes: int) -> list[frozenset[int]]:
    """The smallest ones: whatever contains one of them is a majority."""
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
        return Cells(kept, tuple(keys), start, tuple(configuration.first(f) for f, _ in keys))
