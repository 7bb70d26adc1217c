"""A smallest failing part of a history that no order explains.

First the history up to the first return at which it fails: what was under way then has no return. Then
without whatever may be left out, as the object says (a read, a write of a value that nobody saw). A history
that is linearizable stays so without these, so what still fails is the whole one's failure.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from math import inf

from oneleader.conformance.histories.objects import SharedObject
from oneleader.conformance.histories.search import OutOfTime, search
from oneleader_raft.testbench.clients import Operation


def first_failure(
    operations: Sequence[Operation], stuck: Operation, model: SharedObject, start: Hashable, until: float
) -> Operation | None:
    """The first operation by whose return the history fails, whatever comes later; None if time runs out.

    That is where the search was stuck, or later: the search knows the results that came after it.
    """
    ends = sorted((o for o in operations if stuck.returned <= o.returned != inf), key=lambda o: o.returned)
    low, high, leap = 0, len(ends) - 1, 0
    try:
        while low < high:
            middle = min(low + leap, (low + high) // 2)
            if search(up_to(operations, ends[middle].returned), model, start, until).order is None:
                high = middle
            else:
                low, leap = middle + 1, 2 * leap + 1
    except OutOfTime:
        return None
    return ends[low]


def smallest(
    failing: list[Operation], model: SharedObject, start: Hashable, until: float
) -> tuple[list[Operation], bool]:
    """A part that fails, and whether nothing more can be left out; not, where time (`until`) ran out."""

    def fails(rest: list[Operation]) -> bool:
        return search(rest, model, start, until).order is None

    try:
        size = len(failing)
        while size > 1:
            size = (size + 1) // 2
            for at in range(len(failing) - size, -size, -size):
                rest = without(failing, failing[max(at, 0) : at + size], model)
                if len(rest) < len(failing) and fails(rest):
                    failing = rest
        at = 0
        while at < len(failing):
            rest = without(failing, [failing[at]], model)
            shorter = len(rest) < len(failing) and fails(rest)
            failing, at = (rest, 0) if shorter else (failing, at + 1)
    except OutOfTime:
        return failing, False
    return failing, True


def without(
    operations: Sequence[Operation], chosen: Sequence[Operation], model: SharedObject
) -> list[Operation]:
    """All but those chosen that may be left out: what was linearizable still is without them."""
    ids = set(map(id, chosen))
    may_go = model.may_go([o for o in operations if id(o) not in ids])
    return [o for o in operations if id(o) not in ids or not may_go(o)]


def up_to(operations: Sequence[Operation], time: float) -> list[Operation]:
    """The history as it was at this time."""
    begun = (o for o in operations if o.called <= time)
    return [o if o.returned <= time else replace(o, returned=inf, result=None) for o in begun]
