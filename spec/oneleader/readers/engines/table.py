"""The NumPy engine's memory of states: which of these rows are new?

Open addressing over the rows of one array. The table holds positions of rows, so it says exactly
which states are known and is small beside them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oneleader.readers.engines.packing import Rows

FULLEST = 0.6  # of the table: beyond it, it is doubled
MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
Hashes = npt.NDArray[np.uint64]


def mixed(rows: Rows) -> Hashes:
    """A 64-bit hash of each row."""
    half = np.uint64(32)
    hashes = np.zeros(len(rows), np.uint64)
    for word in rows.T:
        hashes = (hashes ^ word) * MIX[0]
        hashes ^= hashes >> half
        hashes *= MIX[1]
        hashes ^= hashes >> half
    return hashes


class StateTable:
    """Positions of the rows of `states`, by hash; 0 stands for an empty place, so positions count from 1."""

    def __init__(self, states: Rows) -> None:
        self.states = states
        self.size = 0
        self._places = np.zeros(1 << 12, np.uint32)

    @property
    def nbytes(self) -> int:
        return self._places.nbytes

    def add(self, rows: Rows) -> None:
        """Append those rows to `states` that are not among them; rows may repeat each other."""
        if self.size + len(rows) > FULLEST * len(self._places):
            self._grow(self.size + len(rows))
        hashes = mixed(rows)
        mask = np.uint64(len(self._places) - 1)
        while len(rows):
            at = (hashes & mask).astype(np.int64)
            known = self._places[at]
            empty = np.flatnonzero(known == 0)
            if len(empty):
                known[empty] = self._claim(at[empty], rows[empty])
            same = (self.states[known.astype(np.int64) - 1] == rows).all(axis=1)
            others = np.flatnonzero(~same)
            rows, hashes = rows[others], hashes[others] + np.uint64(1)

    def _claim(self, at: npt.NDArray[np.int64], rows: Rows) -> npt.NDArray[np.uint32]:
        """Put a row into each of these empty places, the last where several want one; who is there now."""
        self._places[at] = np.arange(1, len(at) + 1, dtype=np.uint32)
        won = np.flatnonzero(self._places[at] == np.arange(1, len(at) + 1, dtype=np.uint32))
        self.states[self.size : self.size + len(won)] = rows[won]
        self._places[at[won]] = np.arange(self.size + 1, self.size + len(won) + 1, dtype=np.uint32)
        self.size += len(won)
        return self._places[at]

    def refill(self, size: int) -> None:
        """Forget the table, and enter the first `size` rows of `states`, which are distinct."""
        self.size = size
        self._grow(size)

    def _grow(self, wanted: int) -> None:
        """A larger table where that is wanted, refilled: the old one is freed first."""
        places = len(self._places)
        while wanted > FULLEST * places:
            places *= 2
        self._places = np.zeros(0, np.uint32)
        self._places = np.zeros(places, np.uint32)
        self._refill()

    def _refill(self, chunk: int = 1 << 18) -> None:
        """Enter all rows of `states`, which are distinct."""
        mask = np.uint64(len(self._places) - 1)
        for start in range(0, self.size, chunk):
            number = np.arange(start + 1, min(start + chunk, self.size) + 1, dtype=np.uint32)
            hashes = mixed(self.states[start : start + len(number)])
            while len(number):
                at = (hashes & mask).astype(np.int64)
                empty = self._places[at] == 0
                self._places[at[empty]] = number[empty]
                left = np.flatnonzero(self._places[at] != number)
                number, hashes = number[left], hashes[left] + np.uint64(1)
