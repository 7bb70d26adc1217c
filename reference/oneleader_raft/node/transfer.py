"""A snapshot on its way to a follower: its file in chunks, and then the message that says what it is.

The core sends a snapshot whole, and again at each round until it is acknowledged. One file is under way to a
follower at a time. Meanwhile each round sends an AppendEntries without entries instead, at the end of the
leader's log, as a leader may at any time: the follower cannot store anything, but hears its leader, and the
leader hears it. So neither a lease nor a leadership is lost to a transfer that takes long.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from ..raft import AppendEntries, InstallSnapshot, Node, NodeId, Role
from .errors import DamagedError
from .frames import FrameError
from .links import Links

log = logging.getLogger(__name__)

CHUNK = 1 << 16  # bytes
MOST_BYTES = 1 << 34  # of a file that is received
OFFSET = 8  # bytes: where in the file a chunk belongs
PATIENCE_SECONDS = 60.0  # for the follower to say that it has it


class Sending:
    """The leader's side."""

    def __init__(self, links: Links, open: Callable[[int], IO[bytes]], node: Callable[[], Node]) -> None:
        self._links, self._open, self._node = links, open, node
        self._under_way: dict[NodeId, asyncio.Task[None]] = {}
        self._heard_of: dict[NodeId, tuple[int, int]] = {}  # the last term and round that each was sent

    def send(self, leader: Node, line: int, to: NodeId, message: InstallSnapshot) -> None:
        round = message.term, message.round.number
        if self._heard_of.get(to, (0, 0)) < round:
            self._heard_of[to] = round
            self._links.send(to, line, heartbeat(leader, message))
        if to not in self._under_way and self._links.reaches(to):
            self._under_way[to] = asyncio.create_task(self._send(line, to, message))

    def stop(self) -> None:
        for task in self._under_way.values():
            task.cancel()

    async def _send(self, line: int, to: NodeId, message: InstallSnapshot) -> None:
        index = message.snapshot.index
        try:
            with self._open(index) as file:
                log.info("sends a snapshot", extra={"peer": to, "index": index})
                is_whole = await self._links.stream(to, chunks(file))
            if is_whole:
                self._links.send(to, line, replace(message, snapshot=replace(message.snapshot, state=None)))
                await self._acknowledged(to, message)
        except (DamagedError, OSError) as error:
            log.warning("cannot send a snapshot", extra={"peer": to, "why": str(error)})
        finally:
            del self._under_way[to]

    async def _acknowledged(self, to: NodeId, message: InstallSnapshot) -> None:
        until = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while asyncio.get_running_loop().time() < until and self._links.reaches(to):
            node = self._node()
            leads = node.role is Role.LEADER and node.current_term == message.term
            follower = node.leadership.progress.get(to)
            if not (leads and follower) or follower.match_index >= message.snapshot.index:
                return
            await asyncio.sleep(0.05)


class Receiving:
    """The follower's side: a file for each peer."""

    def __init__(self, path: Callable[[NodeId], Path]) -> None:
        self._path = path
        self._files: dict[NodeId, IO[bytes]] = {}

    def chunk(self, peer: NodeId, body: bytes) -> None:
        """FrameError, which ends the connection, if it is not the next one, or cannot be stored."""
        try:
            self._store(peer, body)
        except OSError as error:
            self._give_up(peer)
            raise FrameError(f"a part of a snapshot cannot be stored: {error.strerror}") from None

    def _store(self, peer: NodeId, body: bytes) -> None:
        offset = int.from_bytes(body[:OFFSET])
        if offset == 0:
            self.whole(peer)
            self._files[peer] = self._path(peer).open("wb")
        file = self._files.get(peer)
        if file is None or file.tell() != offset or offset > MOST_BYTES:
            raise FrameError("a part of a snapshot that does not follow the one before")
        file.write(body[OFFSET:])

    def whole(self, peer: NodeId) -> Path:
        """All has come."""
        if file := self._files.pop(peer, None):
            file.close()
        return self._path(peer)

    def stop(self) -> None:
        for peer in list(self._files):
            self._give_up(peer)

    def _give_up(self, peer: NodeId) -> None:
        """What has come is of no use, and may be what fills the disk."""
        if file := self._files.pop(peer, None):
            with suppress(OSError):  # what is buffered cannot be written either
                file.close()
        self._path(peer).unlink(missing_ok=True)


def heartbeat(leader: Node, message: InstallSnapshot) -> AppendEntries:
    last, term = leader.last_index, leader.last_term
    return AppendEntries(message.term, leader.id, last, term, (), leader.commit_index, message.round)


def chunks(file: IO[bytes]) -> Iterator[bytes]:
    while True:
        offset = file.tell()
        data = file.read(CHUNK)
        if not data:
            return
        yield offset.to_bytes(OFFSET) + data
