"""Symmetry: renaming the elements of set sorts turns runs into runs.

A model cannot name an element of a set sort: the language has no constants of it, and every cell of a
field starts alike. So any renaming that leaves the configuration's constants as they are, whatever
else they are indexed by, is sound. Quorums follow their members: for each renaming of the nodes, the
quorums are renamed so that membership is kept, or there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, permutations
from math import factorial, prod
from typing import Any

from oneleader.language.configuration import Configuration
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.language.sorts import is_set

MOST_RENAMINGS = 5_040  # of seven elements: beyond, the tables for them take longer to make than they save


@dataclass(frozen=True)
class Renaming:
    """For each set sort, the new element in the place of each; NIL (-1) stays itself, as the last entry."""

    values: Mapping[str, tuple[int, ...]]

    def index(self, field: Field, key: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            self.values[s.__name__][k] if is_set(s) else k for k, s in zip(key, field.index, strict=True)
        )


def renamings(model: Model, configuration: Configuration) -> list[Renaming]:
    """Every renaming that keeps the constants, the identity first.

    Where these are more than MOST_RENAMINGS, those that also keep the last elements of the larger sorts:
    a smaller group is as sound, and identifies less.
    """
    constants = [f for f in model.fields.values() if f.kind == "constant"]
    own = _own(model, configuration)
    free = {sort: len(names) for sort, names in configuration.elements.items()}
    while len(found := _some(configuration, constants, own, free)) > MOST_RENAMINGS:
        some = [sort for sort in own if free[sort] > 1] or [*free]  # those that follow last
        free[max(some, key=free.__getitem__)] -= 1
    return [Renaming({sort: (*p, -1) for sort, p in table.items()}) for table in found]


def why_fewer(model: Model, configuration: Configuration, group: list[Renaming]) -> str:
    """A sentence where some renamings are not used; else ""."""
    own = _own(model, configuration)
    every = prod(factorial(len(configuration.elements[s])) for s in own)
    if len(group) >= every:
        return ""
    reason = f"more than {MOST_RENAMINGS:,} take longer than they save"
    if every <= MOST_RENAMINGS:
        told = [f.name for f in model.fields.values() if f.kind == "constant"]
        reason = f"the others change {' and '.join(told)} of this configuration"
    return f"{len(group):,} of {every:,} renamings are used: {reason}"


def _own(model: Model, configuration: Configuration) -> list[str]:
    """The sorts whose elements are renamed at will; the others follow, as quorums do their members."""
    constants = [f for f in model.fields.values() if f.kind == "constant"]
    orders = [[s.__name__ for s in f.index if is_set(s)] for f in constants]
    follow = {s for order in orders for s in order[1:]} - {s for order in orders for s in order[:1]}
    return [sort for sort in configuration.elements if sort not in follow]


def _sets(field: Field) -> set[str]:
    """The set sorts among the indices of a field. What it says of a number or of a member of an enumeration
    stays where it is: neither is ever renamed."""
    return {s.__name__ for s in field.index if is_set(s)}


def _some(
    configuration: Configuration, constants: list[Field], own: list[str], free: dict[str, int]
) -> list[dict[str, tuple[int, ...]]]:
    """The renamings that move only the first `free` elements of a sort, or as many as are too many."""
    if prod(factorial(free[s]) for s in own) > 4 * MOST_RENAMINGS:
        return [{}] * (MOST_RENAMINGS + 1)  # not worth counting
    sorts = sorted(configuration.elements, key=lambda s: len(configuration.elements[s]))
    return list(islice(_extend(configuration, constants, sorts, free, {}), MOST_RENAMINGS + 1))


def _extend(
    configuration: Configuration,
    constants: list[Field],
    sorts: list[str],
    free: dict[str, int],
    chosen: dict[str, tuple[int, ...]],
) -> Iterator[dict[str, tuple[int, ...]]]:
    """All ways to choose a permutation for each remaining sort, one sort after the other."""
    if not sorts:
        yield chosen
        return
    sort, rest = sorts[0], sorts[1:]
    known = {*chosen, sort}
    decided = [f for f in constants if sort in (sets := _sets(f)) and sets <= known]
    for permutation in _candidates(configuration, decided, sort, free[sort], chosen):
        extended = chosen | {sort: permutation}
        if all(_keeps(configuration, f, extended) for f in decided):
            yield from _extend(configuration, constants, rest, free, extended)


def _candidates(
    configuration: Configuration,
    decided: list[Field],
    sort: str,
    free: int,
    chosen: dict[str, tuple[int, ...]],
) -> Iterator[tuple[int, ...]]:
    """Permutations of one sort: the one that the constants force, where they force one, else all."""
    size = len(configuration.elements[sort])
    for f in decided:
        places = [i for i, s in enumerate(f.index) if s.__name__ == sort]
        if len(places) == 1:
            rows = _rows(configuration, f, places[0])
            image = {_renamed(row, f, places[0], chosen): element for element, row in rows.items()}
            back = {row: element for element, row in rows.items()}
            if len(back) == size:  # every element is told apart by its row
                if set(image) == set(back):
                    forced = {image[row]: back[row] for row in back}
                    yield tuple(forced[e] for e in range(size))
                return
    yield from ((*moved, *range(free, size)) for moved in permutations(range(free)))


Row = frozenset[tuple[int, ...]]


def _rows(configuration: Configuration, f: Field, place: int) -> dict[int, Row]:
    """For each element at one place of a constant, where the constant is true of it."""
    size = len(configuration.elements[f.index[place].__name__])
    true_at = configuration.constants.get(f.name, frozenset())
    rows: dict[int, set[tuple[int, ...]]] = {element: set() for element in range(size)}
    for key in true_at:
        rows[key[place]].add(key[:place] + key[place + 1 :])
    return {element: frozenset(row) for element, row in rows.items()}


def _renamed(row: Row, f: Field, place: int, chosen: dict[str, tuple[int, ...]]) -> Row:
    sorts = [s.__name__ for i, s in enumerate(f.index) if i != place]
    return frozenset(
        tuple(chosen[s][k] if s in chosen else k for k, s in zip(key, sorts, strict=True)) for key in row
    )


def _keeps(configuration: Configuration, f: Field, chosen: dict[str, tuple[int, ...]]) -> bool:
    """Whether a constant is the same table after renaming its indices."""
    true_at = configuration.constants.get(f.name, frozenset())
    tables = [chosen.get(s.__name__) for s in f.index]
    moved = {tuple(k if t is None else t[k] for k, t in zip(key, tables, strict=True)) for key in true_at}
    return moved == true_at
