"""Symmetry: renaming the elements of set sorts turns runs into runs.

A model cannot name an element of a set sort (the language has no constants of it), so any renaming
that leaves the configuration's constants as they are is sound. Quorums follow their members: for
each renaming of the nodes, the quorums are renamed so that membership is kept, or there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, permutations, product
from typing import Any

from oneleader.language.configuration import Cells, Configuration
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.language.sorts import base, is_set

MOST_RENAMINGS = 720


@dataclass(frozen=True)
class Renaming:
    """For each set sort, the new element in the place of each; NIL (-1) stays itself, as the last entry."""

    values: Mapping[str, tuple[int, ...]]

    def index(self, field: Field, key: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            self.values[s.__name__][k] if is_set(s) else k for k, s in zip(key, field.index, strict=True)
        )

    def image(self, cells: Cells, number: str) -> list[str]:
        """The renamed state as Python expressions over `c`, one a cell; tables are named `Sort_number`."""
        at = {(f.name, key): i for i, (f, key) in enumerate(cells.keys)}
        out = [""] * len(cells.keys)
        for i, (f, key) in enumerate(cells.keys):
            of = base(f.of)
            out[at[f.name, self.index(f, key)]] = (
                f"{of.__name__}_{number}[c[{i}]]" if is_set(of) else f"c[{i}]"
            )
        return out


def renamings(model: Model, configuration: Configuration) -> list[Renaming]:
    """Every renaming that keeps the constants, the identity first; just that one if there are too many.

    All are tried on every state, and there are as many as the factorial of the number of nodes: past
    `MOST_RENAMINGS` telling renamed states apart is the cheaper way.
    """
    constants = [f for f in model.fields.values() if f.kind == "constant"]
    sorts = sorted(configuration.elements, key=lambda s: len(configuration.elements[s]))
    found = list(islice(_extend(configuration, constants, sorts, {}), MOST_RENAMINGS + 1))
    if len(found) > MOST_RENAMINGS:
        found = [{sort: tuple(range(len(names))) for sort, names in configuration.elements.items()}]
    return [Renaming({sort: (*p, -1) for sort, p in table.items()}) for table in found]


def _extend(
    configuration: Configuration, constants: list[Field], sorts: list[str], chosen: dict[str, tuple[int, ...]]
) -> Iterator[dict[str, tuple[int, ...]]]:
    """All ways to choose a permutation for each remaining sort, one sort after the other."""
    if not sorts:
        yield chosen
        return
    sort, rest = sorts[0], sorts[1:]
    known = {*chosen, sort}
    decided = [
        f
        for f in constants
        if {s.__name__ for s in f.index} <= known and sort in {s.__name__ for s in f.index}
    ]
    for permutation in _candidates(configuration, decided, sort, chosen):
        extended = chosen | {sort: permutation}
        if all(_keeps(configuration, f, extended) for f in decided):
            yield from _extend(configuration, constants, rest, extended)


def _candidates(
    configuration: Configuration, decided: list[Field], sort: str, chosen: dict[str, tuple[int, ...]]
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
    yield from permutations(range(size))


Row = frozenset[tuple[int, ...]]


def _rows(configuration: Configuration, f: Field, place: int) -> dict[int, Row]:
    """For each element at one place of a constant, where the constant is true of it."""
    size = len(configuration.elements[f.index[place].__name__])
    true_at = configuration.constants.get(f.name, frozenset())
    return {e: frozenset(k[:place] + k[place + 1 :] for k in true_at if k[place] == e) for e in range(size)}


def _renamed(row: Row, f: Field, place: int, chosen: dict[str, tuple[int, ...]]) -> Row:
    sorts = [s.__name__ for i, s in enumerate(f.index) if i != place]
    return frozenset(
        tuple(chosen[s][k] if s in chosen else k for k, s in zip(key, sorts, strict=True)) for key in row
    )


def _keeps(configuration: Configuration, f: Field, chosen: dict[str, tuple[int, ...]]) -> bool:
    """Whether a constant is the same table after renaming its indices."""
    true_at = configuration.constants.get(f.name, frozenset())
    sizes = [len(configuration.domain(s)) for s in f.index]
    names = [s.__name__ for s in f.index]
    return all(
        (key in true_at)
        == (tuple(chosen[s][k] if s in chosen else k for k, s in zip(key, names, strict=True)) in true_at)
        for key in product(*map(range, sizes))
    )
