"""What every engine of the search shares: the operations in the order of time, and what is found.

An operation without a return may have taken effect at any time after its call, or never.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

from oneleader_raft.testbench.clients import Operation

MOVES = 4096  # of one turn
MOST_BYTES = 1 << 30  # that a search holds of what it tried: then it forgets, which takes time and no more


@dataclass(frozen=True)
class Searched:
    """An order that explains the history; or the operation at whose return no order is left."""

    order: list[Operation] | None
    stuck: Operation | None = None


# A search, turn by turn. It is sent how many bytes it may hold.
Searching: TypeAlias = Generator[None, int, Searched]


def changes_nothing(o: Operation) -> bool:
    """A read, or a cas that failed: whatever is held, it is held afterwards too."""
    return o.kind == "read" or (o.kind == "cas" and o.result is False and o.returned != inf)


class Timeline:
    """Calls and returns in the order of time, as a list that operations are lifted out of and put back into.

    Operation i is called at entry i and returns at entry i + n. Where a call and a return come at once,
    the call is first: then the two operations overlap.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.n = n = len(operations)
        calls = [(o.called, 0, i) for i, o in enumerate(operations)]
        returns = [(o.returned, 1, i + n) for i, o in enumerate(operations)]
        entries = [entry for _, _, entry in sorted(calls + returns)]
        self.rank = [0] * (2 * n + 1)
        for place, entry in enumerate(entries):
            self.rank[entry] = place
        self.after = [0] * (2 * n + 1)
        self.before = [0] * (2 * n + 1)
        self.head = 2 * n
        for a, b in zip([self.head, *entries], [*entries, self.head], strict=True):
            self.after[a], self.before[b] = b, a

    @property
    def first(self) -> int:
        return self.after[self.head]

    def is_call(self, entry: int) -> bool:
        return entry < self.n

    def lift(self, i: int) -> None:
        for entry in (i, i + self.n):
            self.after[self.before[entry]] = self.after[entry]
            self.before[self.after[entry]] = self.before[entry]

    def unlift(self, i: int) -> None:
        for entry in (i + self.n, i):
            self.after[self.before[entry]] = entry
            self.before[self.after[entry]] = entry
