"""Orbits: the least of all renamed images of a packed state, in NumPy and as tables for C.

A renaming moves the bits of a state, and changes the values of cells that hold an element of a set
sort. Both are data: `moves` (all bits that travel equally far in one go) and `maps` (one table of
values). `orbits.c` reads the same tables.
"""

from __future__ import annotations

import ctypes
from collections import defaultdict

import numpy as np

from oneleader.language.sorts import base, is_set
from oneleader.language.symmetry import Renaming, renamings
from oneleader.readers.engines.packing import WORD, Packing, Rows
from oneleader.readers.run import Run


class Tables(ctypes.Structure):
    """What `orbits.c` reads: the rows of `moves` and `maps`, and where those of each renaming begin."""

    _fields_ = [
        ("order", ctypes.c_uint64),
        *((name, ctypes.c_void_p) for name in ("moves", "moves_at", "maps", "maps_at", "values")),
    ]


class Orbits:
    """The renamings of a model under a configuration, the identity first.

    moves   word, mask, distance to rotate to the left, word: shape (n, 4)
    maps    word, shift, mask, word, shift, first of its entries in `values`: shape (n, 6)
    """

    def __init__(self, run: Run, packing: Packing, group: list[Renaming]) -> None:
        self.run, self.packing, self.order = run, packing, len(group)
        moves: list[list[int]] = []
        maps: list[list[int]] = []
        values: list[int] = []
        moves_at, maps_at = [0], [0]
        for renaming in group:
            self._image(renaming, moves, maps, values)
            moves_at.append(len(moves))
            maps_at.append(len(maps))
        self._moves = np.array(moves, np.uint64).reshape(-1, 4)
        self._maps = np.array(maps, np.uint64).reshape(-1, 6)
        self._values = np.array(values or [0], np.uint64)
        self._moves_at, self._maps_at = np.array(moves_at, np.uint64), np.array(maps_at, np.uint64)

    @staticmethod
    def of(run: Run, packing: Packing) -> Orbits:
        """All renamings that keep the configuration's constants."""
        return Orbits(run, packing, renamings(run.model, run.configuration))

    def _image(
        self, renaming: Renaming, moves: list[list[int]], maps: list[list[int]], values: list[int]
    ) -> None:
        """What one renaming does to each cell."""
        keys = self.run.cells.keys
        at = {(f.name, key): self.packing.places[i] for i, (f, key) in enumerate(keys)}
        masks: defaultdict[tuple[int, int, int], int] = defaultdict(int)
        for (f, key), place in zip(keys, self.packing.places, strict=True):
            to = at[f.name, renaming.index(f, key)]
            if is_set(base(f.of)):
                table = renaming.values[base(f.of).__name__]  # NIL, the last entry, stays itself
                codes = range(len(table) - 1 + place.offset)
                maps.append([place.word, place.shift, place.mask, to.word, to.shift, len(values)])
                values += [table[code - place.offset] + place.offset for code in codes]
            else:
                masks[place.word, (to.shift - place.shift) % WORD, to.word] |= place.mask << place.shift
        moves += [[word, mask, distance, to] for (word, distance, to), mask in masks.items()]

    def tables(self) -> Tables:
        """The tables for C; they live as long as this object."""
        arrays = self._moves, self._moves_at, self._maps, self._maps_at, self._values
        return Tables(self.order, *(a.ctypes.data for a in arrays))

    def canonical(self, rows: Rows) -> Rows:
        """The least image of each row, words compared in order."""
        least = rows
        for number in range(1, self.order):
            image = self._renamed(rows, number)
            least = np.where(_less(image, least)[:, None], image, least)
        return least

    def _renamed(self, rows: Rows, number: int) -> Rows:
        image = np.zeros_like(rows)
        for word, mask, distance, to in self._moves[self._moves_at[number] : self._moves_at[number + 1]]:
            bits = rows[:, int(word)] & mask
            if distance:
                bits = bits << distance | bits >> np.uint64(WORD) - distance
            image[:, int(to)] |= bits
        for word, shift, mask, to, at, first in self._maps[self._maps_at[number] : self._maps_at[number + 1]]:
            code = rows[:, int(word)] >> shift & mask
            image[:, int(to)] |= self._values[(first + code).astype(np.int64)] << at
        return image


def _less(x: Rows, y: Rows) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which rows of x come before those of y."""
    less = x[:, -1] < y[:, -1]
    for word in reversed(range(x.shape[1] - 1)):
        less = (x[:, word] < y[:, word]) | ((x[:, word] == y[:, word]) & less)
    return less
