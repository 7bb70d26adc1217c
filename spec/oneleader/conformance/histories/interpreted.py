"""The search for an order: Wing and Gong (1993), with Lowe's memory of what was tried.

From all operations that are called before any other returns, take one whose result fits, and go back where
no result fits ("Testing for linearizability", 2017, as in Porcupine). What was taken and the state reached
are remembered; the same pair is not tried twice. A read or a failed cas that fits is taken at once
and for good: any order in which it comes later explains as much with it moved here.

`compiled.py` does the same move by move, some ten times as fast.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import inf

from oneleader.conformance.histories.objects import SharedObject
from oneleader.conformance.histories.timeline import (
    MOST_BYTES,
    MOVES,
    Searched,
    Searching,
    Timeline,
    changes_nothing,
)
from oneleader_raft.testbench.clients import Operation

BYTES = 256  # of one pair that was tried, with its part of a table; and a bit for each operation


def searching(operations: Sequence[Operation], model: SharedObject, initial: Hashable) -> Searching:
    """Turn by turn: an order in which the operations of one object may have taken effect, if there is one."""
    line, most = Timeline(operations), MOST_BYTES
    held, taken, tried = initial, 0, {(0, initial)}
    undo: list[tuple[int, Hashable, bool]] = []
    certain = sum(o.returned != inf for o in operations)
    at, farthest, moves = line.first, -1, 0
    while certain:
        moves += 1
        if moves % MOVES == 0:
            most = yield
        if line.is_call(at):
            o = operations[at]
            fits, then = model.step(o, held)
            is_free = fits and changes_nothing(o)
            is_idle = o.returned == inf and then == held
            after = (taken | 1 << at, then)
            if not fits or is_idle or (not is_free and after in tried):
                at = line.after[at]
                continue
            if not is_free:
                if len(tried) * (BYTES + line.n // 8) > most:
                    tried.clear()
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
