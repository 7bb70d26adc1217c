"""Peers that are not trusted: a store that was wiped, exchanged or set back has forgotten what counted.

Its vote may have elected a leader, and its acknowledgement may have committed an entry. So such a peer is
neither heard nor sent to, until it is started with its own data or replaced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor

from ..raft import AppendReply, Event, Node, NodeId, Receive
from .acknowledged import Acknowledged
from .errors import UnusableError
from .frames import FrameError
from .links import replacement
from .metrics import Metrics
from .store import NodeStore

log = logging.getLogger(__name__)


class Trust:
    """What this node has seen of its peers' stores. `drop` ends the connection to a peer."""

    def __init__(
        self,
        id: NodeId,
        store: NodeStore,
        disk: Executor,
        metrics: Metrics,
        drop: Callable[[NodeId], None],
    ) -> None:
        self._id = id
        self._store, self._disk, self._metrics, self._drop = store, disk, metrics, drop
        self._acknowledged = Acknowledged()

    async def recognise(self, peer: NodeId, identity: str) -> None:
        """FrameError where the peer's store is not the one that this node met first."""
        loop = asyncio.get_running_loop()
        try:
            is_known = await loop.run_in_executor(self._disk, self._store.is_known, peer, identity)
        except UnusableError as error:  # the peer tries again, and there may be room then
            raise FrameError(f"the identity of {peer} cannot be kept: {error}") from None
        self._metrics.strange_store(peer, not is_known)
        if not is_known:
            raise FrameError(
                f"{peer} has another store than the one {self._id} knows, or has lost what it "
                f"acknowledged: start it with its own data again, or replace it: {replacement(peer)}"
            )

    async def has_lost(self, event: Event, leader: Node) -> bool:
        """A follower that is shorter than what it acknowledged is not sent to any more, and not heard."""
        match event:
            case Receive(AppendReply() as reply) if self._acknowledged.is_lost(leader, reply):
                await self._distrust(reply.follower_id)
                return True
        return False

    async def _distrust(self, peer: NodeId) -> None:
        advice = f"stop it, and: {replacement(peer)}"
        log.critical(
            "a follower has lost entries that it acknowledged", extra={"peer": peer, "advice": advice}
        )
        await asyncio.get_running_loop().run_in_executor(self._disk, self._store.distrust, peer)
        self._metrics.strange_store(peer, True)
        self._drop(peer)
