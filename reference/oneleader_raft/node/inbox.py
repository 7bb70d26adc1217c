"""What waits to be handed to the core. Timers and what peers say come before what clients propose: a leader
that has many big values to store still counts its followers' answers in time, and keeps its leadership."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from ..raft import Event, Propose
from .pipeline import weight
from .trace import Source

MOST_AT_ONCE = 256  # events that share a sync
MOST_BYTES_AT_ONCE = 1 << 17  # of the entries that they bring, if they are more than one


@dataclass(frozen=True)
class Happening:
    event: Event
    source: Source | None = None


class Inbox(asyncio.Queue[Happening]):
    def _init(self, maxsize: int) -> None:
        self._urgent: deque[Happening] = deque()
        self._proposed: deque[Happening] = deque()

    def _put(self, item: Happening) -> None:
        (self._proposed if isinstance(item.event, Propose) else self._urgent).append(item)

    def _get(self) -> Happening:
        return (self._urgent or self._proposed).popleft()

    def qsize(self) -> int:
        return len(self._urgent) + len(self._proposed)

    def empty(self) -> bool:
        return self.qsize() == 0

    async def batch(self) -> list[Happening]:
        """Events that share a sync: all that wait, but no more bytes than are stored in a moment."""
        batch = [await self.get()]
        brought = weight(batch[0].event)
        while brought < MOST_BYTES_AT_ONCE and len(batch) < MOST_AT_ONCE and not self.empty():
            batch.append(self.get_nowait())
            brought += weight(batch[-1].event)
        return batch
