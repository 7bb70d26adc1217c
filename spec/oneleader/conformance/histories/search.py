"""The search for an order: Wing and Gong (1993), with Lowe's memory of what was tried.

From all operations that are called before any other returns, take one whose result fits, and go back where
no result fits ("Testing for linearizability", 2017, as in Porcupine). What was taken and the state reached
are remembered; the same pair is not tried twice. A read or a failed cas that fits is taken at once
and for good: any order in which it comes later explains as much with it moved here.

An operation without a return may have taken effect at any time after its call, or never.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import inf
from time import process_time

from oneleader_raft.testbench.simulator import Operation

Step = Callable[[Operation, Hashable], tuple[bool, Hashable]]
LOOKS = 1024  # moves between two looks at the clock


class OutOfTime(Exception):
    """The search was given up: nothing is known."""


@dataclass(frozen=True)
class Searched:
    """An order that explains the history; or the operation at whose return no order is left."""

    order: list[Operation] | None
    stuck: Operation | None = None


def search(operations: Sequence[Operation], step: Step, initial: Hashable, until: float = inf) -> Searched:
    """An order in which the operations of one object may have taken effect, if there is one.

    `until` is in processor time; OutOfTime where it passes.
    """
    line = Timeline(operations)
    held, taken, tried = initial, 0, {(0, initial)}
    undo: list[tuple[int, Hashable, bool]] = []
    certain = sum(o.returned != inf for o in operations)
    at, farthest, moves = line.first, -1, 0
    while certain:
        moves += 1
        if moves % LOOKS == 0 and process_time() > until:
            raise OutOfTime
        if line.is_call(at):
            o = operations[at]
            fits, then = step(o, held)
            is_free = fits and changes_nothing(o)
            is_idle = o.returned == inf and then == held
            after = (taken | 1 << at, then)
            if not fits or is_idle or (not is_free and after in tried):
                at = line.after[at]
                continue
            if not is_free:
                tried.add(after)
            undo.append((at, held, is_free))
            taken, held = after
            certain -= o.returned != inf
            line.lift(at)
            at = line.first
            continue
        if line.rank[at] > farthest:  # something returns that was not taken: go back
            farthest, stuck = line.rank[at], operations[at - line.n]
        is_free = True
        while is_free and undo:
            at, held, is_free = undo.pop()
            taken ^= 1 << at
            certain += operations[at].returned != inf
            line.unlift(at)
        if is_free:
            return Searched(None, stuck)
        at = line.after[at]
    return Searched([operations[i] for i, _, _ in undo])


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
