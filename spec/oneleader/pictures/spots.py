"""What a vocabulary says of a lane, as a table: for a page that has no Python.

The vocabulary is asked again and again, each time with one more cell of the state known, until it needs no
other: so the table holds what it says in every state, and nothing of a vocabulary is written a second time.
"""

from __future__ import annotations

from typing import Any

from oneleader.pictures.telling import Values, plain
from oneleader.pictures.vocabulary import Vocabulary
from oneleader.readers.run import Run
from oneleader.story import Spot

MOST_NODES = 60_000  # of the tables of all lanes: a page of more would be slow to load

Node = list[Any]  # [cell, node for its first value, node for its second ...], by number; or a spot


class NeedsCell(Exception):
    """The vocabulary has asked for a cell whose value is open."""

    def __init__(self, cell: int) -> None:
        super().__init__(cell)
        self.cell = cell


class AskedValues(Values):
    """A state of which some cells are known."""

    def __init__(self, told: Values, run: Run) -> None:
        super().__init__(run.model, told.elements, told.quorums, told.parameters)
        at = run.configuration
        keyed = (
            (f.name, tuple(plain(at, s, k) for s, k in zip(f.index, key, strict=True)))
            for f, key in run.cells.keys
        )
        self.position = {cell: number for number, cell in enumerate(keyed)}
        self.known: dict[int, Any] = {}

    def __call__(self, field: str, *key: Any) -> Any:
        cell = self.position.get((field, key))
        if cell is None:
            return self.first.get(field)
        if cell not in self.known:
            raise NeedsCell(cell)
        return self.known[cell]


class TooManySpots(Exception):
    """The table would be too large."""


class SpotTable:
    """The tables of all lanes: `nodes` are shared, `roots` says where a lane's begins."""

    def __init__(self, run: Run, words: Vocabulary, told: Values, lanes: list[str]) -> None:
        self.run, self.words, self.now = run, words, AskedValues(told, run)
        self.spots: dict[Spot, int] = {}
        self.nodes: dict[tuple[int, ...], int] = {}
        self.roots = {lane: self._node(lane) for lane in lanes}

    def _node(self, lane: str) -> int:
        """The number of a node; of a spot -1 - its number."""
        try:
            said = self.words.spot(self.now, lane)
        except NeedsCell as needs:
            return self._asked(lane, needs.cell)
        return -1 - self.spots.setdefault(said, len(self.spots))

    def _asked(self, lane: str, cell: int) -> int:
        at, f = self.run.configuration, self.run.cells.keys[cell][0]
        made = [cell]
        least, most = at.bounds(f.of)
        for value in range(least, most + 1):
            self.now.known[cell] = plain(at, f.of, value)
            made.append(self._node(lane))
        del self.now.known[cell]
        if len(set(made[1:])) == 1:
            return made[1]
        if len(self.nodes) > MOST_NODES:
            raise TooManySpots
        return self.nodes.setdefault(tuple(made), len(self.nodes))

    def as_json(self) -> dict[str, Any]:
        """The tables; a spot as [role, term, lease, words, life]."""
        spots = [[s.role, s.term, s.lease, s.words, s.life] for s in self.spots]
        return {"spots": spots, "nodes": list(self.nodes), "roots": self.roots}
