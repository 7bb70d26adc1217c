"""When the log is compacted: as soon as it is long, and what is kept of it for followers a little behind.

When the log has grown long, the state is remembered as it is then: that costs nothing, as states are
persistent. Some entries later it is written to a file, in a thread, and then the core may forget the entries
before it; those that came since are kept. The more there is to write, the rarer that is done: so a write
costs the same, however much is stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor

from ..raft import Compact, Node
from ..state_machine import StateMachine
from . import snapshots
from .applying import Applying

log = logging.getLogger(__name__)

KEPT = 10  # of the entries that make the log long, one part in so many


class Compacting:
    """`after` so many entries at the least; `write` is how a state after an entry gets to the disk."""

    def __init__(
        self,
        after: int,
        write: Callable[[int, StateMachine], None],
        scribe: Executor,
        compact: Callable[[Compact], Awaitable[None]],
    ) -> None:
        self._after, self._to_disk, self._scribe, self._compact = after, write, scribe, compact
        self._remembered: tuple[int, StateMachine] | None = None
        self._writing: asyncio.Task[None] | None = None

    def look(self, node: Node, applied: Applying) -> None:
        """After a step of the node."""
        if self._remembered and self._remembered[0] <= node.snapshot.index:
            self._remembered = None
        if self._remembered is None:
            if applied.index - node.snapshot.index >= max(self._after, snapshots.size(applied.state) // 4):
                self._remembered = applied.index, applied.state
        elif self._writing is None and self._remembered[0] + self._after // KEPT <= applied.index:
            self._writing = asyncio.create_task(self._write(*self._remembered))

    def stop(self) -> None:
        if self._writing:
            self._writing.cancel()

    async def _write(self, index: int, state: StateMachine) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._scribe, self._to_disk, index, state)
            await self._compact(Compact(index, state))
        except OSError as error:
            self._remembered = None
            log.error("cannot write a snapshot", extra={"index": index, "why": str(error)})
        finally:
            self._writing = None
