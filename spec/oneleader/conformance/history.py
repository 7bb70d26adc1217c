"""Linearizability: did clients see one register for each key, whose operations took effect one by one?

Herlihy and Wing (1990): a history is linearizable if each operation can be given a moment between its
call and its return, so that in the order of these moments every result is what a register would have
said. Registers are independent, and a history is linearizable if it is so for each key (locality,
theorem 1 there), so keys are judged apart and long histories stay feasible.

The search is that of Wing and Gong (1993) with Lowe's memory of what was tried ("Testing for
linearizability", 2017), as in Porcupine: from all operations that are called before any other returns,
take one whose result fits, and go back where none does. What was taken and what the register then holds
is remembered; the same again is not tried twice.

An operation without a return may have taken effect at any time after its call, or never.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import inf
from typing import Final

from oneleader.verdict import HOLDS, VIOLATED, Verdict
from oneleader_raft.testbench.simulator import Operation

__all__ = ["JudgedHistory", "Operation", "judge", "linearization", "smallest"]

READ: Final = "read"
WRITE: Final = "write"
CAS: Final = "cas"


@dataclass(frozen=True)
class JudgedHistory:
    """The verdict on a history; where it is violated, the key and a smallest part that shows it."""

    operations: int
    keys: int
    key: str = ""
    failing: tuple[Operation, ...] = ()

    @property
    def verdict(self) -> Verdict:
        return VIOLATED if self.failing else HOLDS


def judge(history: Iterable[Operation]) -> JudgedHistory:
    """Whether the history is linearizable, key by key. ValueError where one ends before it begins."""
    operations = sorted(history, key=lambda o: (o.key, o.called))
    for o in operations:
        if o.returned < o.called:
            raise ValueError(f"this operation ends before it begins: {o}")
    keys = 0
    for key, of_key in groupby(operations, key=lambda o: o.key):
        keys += 1
        register = list(of_key)
        if linearization(register) is None:
            return JudgedHistory(len(operations), keys, key, tuple(smallest(register)))
    return JudgedHistory(len(operations), keys)


def applied(o: Operation, held: Hashable) -> tuple[bool, Hashable]:
    """Whether the register, holding this, gives this result; and what it holds then."""
    unknown = o.returned == inf
    if o.kind == READ:
        return unknown or o.result == held, held
    if o.kind == WRITE:
        return True, o.value
    succeeds = held == o.expected
    return unknown or o.result is succeeds, o.value if succeeds else held


def linearization(operations: Sequence[Operation]) -> list[Operation] | None:
    """An order in which the operations of one key may have taken effect; None if there is none."""
    line = Timeline(operations)
    held: Hashable = None
    taken, tried = 0, {(0, held)}
    undo: list[tuple[int, Hashable]] = []
    certain = sum(o.returned != inf for o in operations)
    at = line.first
    while certain:
        if line.is_call(at):
            fits, then = applied(operations[at], held)
            after = (taken | 1 << at, then)
            if fits and after not in tried:
                tried.add(after)
                undo.append((at, held))
                taken, held = after
                certain -= operations[at].returned != inf
                line.lift(at)
                at = line.first
            else:
                at = line.after[at]
        elif undo:  # something returns that was not taken: go back
            at, held = undo.pop()
            taken ^= 1 << at
            certain += operations[at].returned != inf
            line.unlift(at)
            at = line.after[at]
        else:
            return None
    return [operations[i] for i, _ in undo]


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


# -- a smallest failing part ----------------------------------------------------------------------
def smallest(operations: Sequence[Operation]) -> list[Operation]:
    """A part of a history that is no more linearizable than the whole; nothing more can be left out.

    First the history up to the first return at which it fails: what was under way then has no return.
    Then without whatever may be left out: a read, or a write of a value that nobody saw. A history that is
    linearizable stays so without these, so what still fails is the whole one's failure.
    """
    returns = sorted({o.returned for o in operations if o.returned != inf})
    low, high = 0, len(returns) - 1
    while low < high:
        middle = (low + high) // 2
        if linearization(up_to(operations, returns[middle])) is None:
            high = middle
        else:
            low = middle + 1
    failing = up_to(operations, returns[high])
    size = len(failing)
    while size > 1:
        size = (size + 1) // 2
        for start in range(len(failing) - size, -size, -size):
            rest = without(failing, failing[max(start, 0) : start + size])
            if linearization(rest) is None:
                failing = rest
    return without_one_by_one(failing)


def without_one_by_one(failing: list[Operation]) -> list[Operation]:
    """The same, until no single one can be left out any more."""
    for o in failing:
        rest = without(failing, [o])
        if len(rest) < len(failing) and linearization(rest) is None:
            return without_one_by_one(rest)
    return failing


def without(operations: Sequence[Operation], chosen: Sequence[Operation]) -> list[Operation]:
    """All but those chosen that may be left out: what was linearizable still is without them."""
    ids = set(map(id, chosen))
    rest = [o for o in operations if id(o) not in ids]
    seen = {o.result for o in rest if o.kind == READ and o.returned != inf}
    compared = any(o.kind == CAS for o in operations)

    def may_go(o: Operation) -> bool:
        return o.kind == READ or (o.kind == WRITE and o.value not in seen and not compared)

    return [o for o in operations if id(o) not in ids or not may_go(o)]


def up_to(operations: Sequence[Operation], time: float) -> list[Operation]:
    """The history as it was at this time."""
    begun = (o for o in operations if o.called <= time)
    return [o if o.returned <= time else replace(o, returned=inf, result=None) for o in begun]
