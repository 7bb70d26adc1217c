"""rows: the cells of a field that differ in their last index alone, so that many can be changed at once.

    NumberRow   the last index is a number: chunks of a table, shared by copies until one of them is written
    SetRow      it is anything else: what is there, a value for all others, and what was added to all

A candidate writes only to rows that it owns; `copy` gives it one, at the cost of a row's chunks.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Any

BITS = 9
SIZE = 1 << BITS
MASK = SIZE - 1
MOST_LATEST = 128
ABSENT = object()


class NumberRow:
    """A table without end. `top` is no less than any index that was written."""

    __slots__ = ("chunks", "initial", "owned", "top")

    def __init__(self, initial: Any) -> None:
        self.initial, self.top = initial, -1
        self.chunks: dict[int, list[Any]] = {}
        self.owned: set[int] = set()  # the chunks that no other row shares

    def get(self, i: int) -> Any:
        chunk = self.chunks.get(i >> BITS)
        return self.initial if chunk is None else chunk[i & MASK]

    def put(self, i: int, value: Any) -> None:
        k = i >> BITS
        chunk = self.chunks[k] if k in self.owned else self._chunk(k)
        chunk[i & MASK] = value
        if i > self.top:
            self.top = i

    def copy(self) -> NumberRow:
        new = NumberRow(self.initial)
        new.chunks, new.top = self.chunks.copy(), self.top
        self.owned.clear()  # both write to copies of the chunks from now on
        return new

    def slice(self, low: int, high: int) -> list[Any]:
        """The values from low to high."""
        if low == high:
            return [self.get(low)]
        found: list[Any] = []
        while low <= high:
            k, a = low >> BITS, low & MASK
            b = min(a + high - low, MASK)
            chunk = self.chunks.get(k)
            found += [self.initial] * (b - a + 1) if chunk is None else chunk[a : b + 1]
            low += b - a + 1
        return found

    def assign(self, low: int, values: list[Any]) -> None:
        """These values from low on."""
        at = 0
        if len(values) == 1:
            self.put(low, values[0])
            return
        self.top = max(self.top, low + len(values) - 1)
        while at < len(values):
            k, a = (low + at) >> BITS, (low + at) & MASK
            n = min(SIZE - a, len(values) - at)
            self._chunk(k)[a : a + n] = values[at : at + n]
            at += n

    def take(self, other: NumberRow, low: int, high: int) -> None:
        """The values of another row from low to high."""
        if low != high:
            self.assign(low, other.slice(low, high))
            return
        chunk = other.chunks.get(low >> BITS)
        self.put(low, other.initial if chunk is None else chunk[low & MASK])

    def written(self, low: int, high: int) -> Iterator[int]:
        """The indices from low to high at which anything was written; nothing above `top` was."""
        high = min(high, self.top)
        for k in range(low >> BITS, (high >> BITS) + 1):
            if k in self.chunks:
                yield from range(max(low, k << BITS), min(high, (k << BITS) + MASK) + 1)

    def clear(self, keys: list[int]) -> None:
        """The initial value at these indices, which ascend. A chunk that has nothing else is given up."""
        for i in keys:
            self.put(i, self.initial)
        if self.top - keys[0] + 1 == len(keys):
            self.top = keys[0] - 1
        for k in dict.fromkeys(i >> BITS for i in keys):
            if self.chunks[k].count(self.initial) == SIZE:
                del self.chunks[k]
                self.owned.discard(k)

    def forget_below(self, i: int) -> None:
        """Give up the chunks that have nothing from this index on."""
        for k in [k for k in self.chunks if k < i >> BITS]:
            del self.chunks[k]
            self.owned.discard(k)

    def differs(self, other: NumberRow, low: int, high: int) -> bool:
        """Whether some index from low to high holds something else in the other row."""
        while low <= high:
            k, a = low >> BITS, low & MASK
            b = min(a + high - low, MASK)
            mine, theirs = self.chunks.get(k), other.chunks.get(k)
            if mine is not theirs or (mine is None and self.initial != other.initial):
                low_to = low + b - a
                if self.slice(low, low_to) != other.slice(low, low_to):
                    return True
            low += b - a + 1
        return False

    def _chunk(self, k: int) -> list[Any]:
        """A chunk of the row's own."""
        if k in self.owned:
            return self.chunks[k]
        found = self.chunks.get(k)
        chunk = self.chunks[k] = [self.initial] * SIZE if found is None else found.copy()
        self.owned.add(k)
        return chunk


class SetRow:
    """What is at each key, `rest` at all others; `added` has been added to all of them since.

    What was written last is in `latest`, which copies copy; the others are in `older`, which they share.
    """

    __slots__ = ("added", "latest", "older", "rest")

    def __init__(self, initial: Any) -> None:
        self.older: dict[Any, Any] = {}  # never changed, only replaced
        self.latest: dict[Any, Any] = {}
        self.rest, self.added = initial, 0

    def get(self, key: Any) -> Any:
        value = self.latest.get(key, ABSENT)
        if value is ABSENT:
            value = self.older.get(key, self.rest)
        return value + self.added if self.added else value

    def put(self, key: Any, value: Any) -> None:
        self.latest[key] = value - self.added if self.added else value
        if len(self.latest) > max(MOST_LATEST, len(self.older) >> 4):
            self.older, self.latest = self.older | self.latest, {}

    def copy(self) -> SetRow:
        new = SetRow(self.rest)
        new.older, new.latest, new.added = self.older, self.latest.copy(), self.added
        return new

    def keys(self) -> Iterable[Any]:
        """Where something was written."""
        return self.older.keys() | self.latest.keys()

    def keep(self, keys: Container[Any]) -> None:
        """Forget what was written at all other keys."""
        written = self.older | self.latest
        self.older, self.latest = {key: v for key, v in written.items() if key in keys}, {}

    def reset(self, value: Any) -> SetRow:
        """This value everywhere."""
        self.older, self.latest, self.rest, self.added = {}, {}, value, 0
        return self

    def but(self, key: Any, value: Any) -> SetRow:
        """And another at this key."""
        self.put(key, value)
        return self

    def add(self, value: Any) -> None:
        self.added += value


Row = NumberRow | SetRow
