"""Snapshots that a peer has sent: each is read in a thread, and then goes to the core with its state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from ..raft import InstallSnapshot, NodeId
from ..state_machine import StateMachine
from . import snapshots
from .errors import DamagedError
from .trace import Source
from .transfer import Receiving

log = logging.getLogger(__name__)


class Loading:
    """`place` puts a file among the node's own snapshots; `deliver` hands a message to the core."""

    def __init__(
        self,
        receiving: Receiving,
        place: Callable[[int, Path], None],
        scribe: Executor,
        deliver: Callable[[Source, InstallSnapshot], Awaitable[None]],
    ) -> None:
        self._receiving, self._place, self._scribe, self._deliver = receiving, place, scribe, deliver
        self._under_way: dict[NodeId, asyncio.Task[None]] = {}

    def begin(self, source: Source, message: InstallSnapshot) -> None:
        """All that the message speaks of has come before it. One snapshot of a peer is read at a time."""
        peer, _ = source
        if peer not in self._under_way:
            self._under_way[peer] = asyncio.create_task(self._load(source, message))

    def stop(self) -> None:
        for task in self._under_way.values():
            task.cancel()

    async def _load(self, source: Source, message: InstallSnapshot) -> None:
        peer, _ = source
        loop = asyncio.get_running_loop()
        try:
            received = self._receiving.whole(peer)
            state = await loop.run_in_executor(self._scribe, self._taken_over, received, message)
            snapshot = replace(message.snapshot, state=state)
            await self._deliver(source, replace(message, snapshot=snapshot))
        except (DamagedError, OSError) as error:
            log.warning("cannot take a snapshot", extra={"peer": peer, "why": str(error)})
        finally:
            del self._under_way[peer]

    def _taken_over(self, received: Path, message: InstallSnapshot) -> StateMachine:
        """The state in a file that was received, which then stands among the node's own."""
        index = message.snapshot.index
        state = snapshots.read(received, index)
        self._place(index, received)
        return state
