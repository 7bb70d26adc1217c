"""What is committed, applied in the order of the log, in slices that leave the event loop free.

After a restart the first commit brings all that the log has: applying it at one go would hold up heartbeats.
So the state machine has a queue of its own. Reads wait in it behind what they have to see, and a snapshot
that was installed takes its turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import TypeAlias, cast

from ..raft import Entry, Snapshot
from ..state_machine import Result, StateMachine

MOST_AT_ONCE = 500  # entries, some milliseconds

Apply: TypeAlias = Callable[[StateMachine, int, object], tuple[StateMachine, Result]]
OnApplied: TypeAlias = Callable[[StateMachine, Hashable, Result], None]  # the state before it
Work: TypeAlias = tuple[int, Entry] | Snapshot | Callable[[], None]


class Applying:
    """`state` is the state after the entry at `index`."""

    def __init__(self, apply: Apply, on_applied: OnApplied) -> None:
        self.state, self.index = StateMachine(), 0
        self._apply, self._on_applied = apply, on_applied
        self._work: deque[Work] = deque()
        self._goes_on = False

    @property
    def is_done(self) -> bool:
        return not self._work

    def entries(self, first: int, entries: tuple[Entry, ...]) -> None:
        self._work.extend(enumerate(entries, first))
        self._begin()

    def restore(self, snapshot: Snapshot) -> None:
        self._work.append(snapshot)
        self._begin()

    def then(self, do: Callable[[], None]) -> None:
        """When all that came before is applied."""
        self._work.append(do)
        self._begin()

    def _begin(self) -> None:
        if not self._goes_on:
            self._slice()

    def _slice(self) -> None:
        for _ in range(min(MOST_AT_ONCE, len(self._work))):
            self._do(self._work.popleft())
        self._goes_on = bool(self._work)
        if self._goes_on:
            asyncio.get_running_loop().call_soon(self._slice)

    def _do(self, work: Work) -> None:
        match work:
            case Snapshot(index, state=state):
                self.state, self.index = cast(StateMachine, state), index
            case (int(index), Entry(command=command)):
                before = self.state
                self.state, result = self._apply(before, index, command)
                self.index = index
                self._on_applied(before, command, result)
            case _:
                work()
