"""Packing: a state as a few 64-bit words.

Each cell gets as many bits as its domain needs and stands in one word; NIL is stored as 0 and every
other value of an option one higher. Two states are equal exactly if their words are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oneleader.language.sorts import OptionSort
from oneleader.readers.run import Run, State

WORD = 64
Rows = npt.NDArray[np.uint64]  # shape (states, words)


@dataclass(frozen=True)
class Place:
    """Where a cell stands: `(word >> shift & mask) - offset` is its value."""

    word: int
    shift: int
    width: int
    offset: int
    truth: bool = False

    def value(self, word: int) -> int:
        """What the cell holds: a bool where it is one, for the plain interpreter tells them apart."""
        value = (word >> self.shift & self.mask) - self.offset
        return bool(value) if self.truth else value

    @property
    def mask(self) -> int:
        return (1 << self.width) - 1


class Packing:
    """The places of all cells, in the order of `Cells`. Boolean cells take one bit."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.places: list[Place] = []
        word = shift = 0
        for f, _ in run.cells.keys:
            width = max(1, (run.configuration.size(f.of) - 1).bit_length())
            if shift + width > WORD:
                word, shift = word + 1, 0
            self.places.append(Place(word, shift, width, int(isinstance(f.of, OptionSort)), f.of is bool))
            shift += width
        self.words = word + 1
        self.bits = sum(place.width for place in self.places)

    def pack(self, states: Sequence[State]) -> Rows:
        """States as rows of words."""
        rows = np.zeros((len(states), self.words), np.uint64)
        for row, state in zip(rows, states, strict=True):
            for value, place in zip(state, self.places, strict=True):
                row[place.word] |= np.uint64(int(value) + place.offset << place.shift)
        return rows

    def unpack(self, rows: Rows) -> list[State]:
        """Rows of words as states."""
        words = rows.tolist()
        return [tuple(p.value(row[p.word]) for p in self.places) for row in words]
