"""Packing: a state as a few 64-bit words.

Each cell gets as many bits as its domain needs and stands in one word; NIL is stored as 0 and every
other value of an option one higher. Two states are equal exactly if their words are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from oneleader.errors import UsageError
from oneleader.language.sorts import OptionSort
from oneleader.readers.run import Run, State

WORD = 64
Rows = npt.NDArray[np.uint64]  # shape (states, words)


@dataclass(frozen=True)
class CellPlace:
    """Where a cell stands: `(word >> shift & mask) - offset` is its value, a bool where `truth` says so."""

    word: int
    shift: int
    width: int
    offset: int
    truth: bool = False

    @property
    def mask(self) -> int:
        return (1 << self.width) - 1


class Packing:
    """The places of all cells, in the order of `Cells`. Boolean cells take one bit."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.places: list[CellPlace] = []
        word = shift = 0
        for f, _ in run.cells.keys:
            width = max(1, (run.configuration.size(f.of) - 1).bit_length())
            if width >= WORD:
                raise UsageError(f"{f} may hold more than 2^63 values: choose a smaller bound")
            if shift + width > WORD:
                word, shift = word + 1, 0
            self.places.append(CellPlace(word, shift, width, int(isinstance(f.of, OptionSort)), f.of is bool))
            shift += width
        self.words = word + 1
        self.bits = sum(place.width for place in self.places)
        self._columns: dict[str, npt.NDArray[Any]] = {}

    def pack(self, states: Sequence[State]) -> Rows:
        """States as rows of words."""
        values = np.array(states, np.int64).reshape(len(states), len(self.places))
        codes = (values + self._of("offset", np.int64)).astype(np.uint64)
        shifted = codes << self._of("shift", np.uint64)
        rows = np.zeros((self.words, len(states)), np.uint64)
        np.bitwise_or.at(rows, self._of("word", np.int64), shifted.T)
        return np.ascontiguousarray(rows.T)

    def unpack(self, rows: Rows) -> list[State]:
        """Rows of words as states; truth values as bools, for the plain interpreter tells them apart."""
        codes = rows[:, self._of("word", np.int64)] >> self._of("shift", np.uint64)
        values = (codes & self._of("mask", np.uint64)).astype(np.int64) - self._of("offset", np.int64)
        cells, truth = values.astype(object), self._of("truth", np.bool_)
        cells[:, truth] = values[:, truth].astype(np.bool_).astype(object)
        return [*map(tuple, cells.tolist())]

    def _of(self, name: str, kind: type[np.generic]) -> npt.NDArray[Any]:
        """One attribute of all places."""
        if name not in self._columns:
            self._columns[name] = np.array([getattr(place, name) for place in self.places], kind)
        return self._columns[name]
