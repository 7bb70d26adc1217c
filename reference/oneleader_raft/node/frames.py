"""Frames between nodes, and the handshake that begins a connection.

    magic "1L", version, kind   length of the body   body    tag
    2 + 1 + 1 bytes             4 bytes              ...     16 bytes

The tag is an HMAC-SHA256, cut to 16 bytes, over the frame's number on its connection and all that stands
before it. So it is the checksum, and a frame that is changed, left out, repeated or taken from another
connection does not pass. The key is the connection's own, made in the handshake from the cluster's secret
and a nonce of each side:

    dialer    HELLO    cluster, the members that it began with, its id, whom it takes this for, store,
                       process, clocks, where clients and peers reach it, a nonce
    acceptor  WELCOME  the same of its own; or REFUSED, and a sentence that says why
    dialer    PROOF    the first frame under the connection's key
    acceptor  PROOF    the same

A node that does not know the secret cannot make any of these. Without a secret the tag is only a checksum,
and any node that reaches the port may join: then the network has to be trusted. TLS, where used, lies below.

Clocks are compared because a lease rests on the others' promises; members, because two lists have two
majorities that need not meet; stores, because one that was wiped has forgotten its vote; processes, because
two that run on copies of one store would vote twice.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..lease import Clocks
from .members import NODE_NAME

MAGIC, VERSION = b"1L", 5
HELLO, WELCOME, PROOF, MESSAGE, PING, REFUSED, SNAPSHOT, PART, LAST_PART = range(9)
HEADER = struct.Struct("!2sBBI")
TAG = 16
MOST_BYTES = 8 << 20  # of a body
MOST_BYTES_BEFORE_PROOF = 4096
HANDSHAKE_SECONDS = 3.0


class FrameError(Exception):
    """What came is no frame of a member: the connection cannot go on."""


class ByteReader(Protocol):
    async def readexactly(self, n: int) -> bytes: ...


class ByteWriter(Protocol):
    def write(self, data: bytes) -> None: ...


def seal(key: bytes, number: int, kind: int, body: bytes) -> bytes:
    """The frame, as bytes."""
    head = HEADER.pack(MAGIC, VERSION, kind, len(body))
    return head + body + _tag(key, number, head + body)


async def unseal(reader: ByteReader, key: bytes, number: int, most: int = MOST_BYTES) -> tuple[int, bytes]:
    """The next frame: its kind and body. FrameError if it is malformed, IncompleteReadError where it ends."""
    head = await reader.readexactly(HEADER.size)
    magic, version, kind, length = HEADER.unpack(head)
    if magic != MAGIC:
        raise FrameError("these are no frames of oneleader")
    if version != VERSION:
        raise FrameError(f"frames of version {version}, and this node speaks {VERSION}")
    if length > most:
        raise FrameError(f"a frame of {length} bytes, and at most {most} are read")
    body = await reader.readexactly(length)
    if not hmac.compare_digest(await reader.readexactly(TAG), _tag(key, number, head + body)):
        raise FrameError("a frame is damaged, or its sender does not know the cluster's secret")
    return kind, body


def _tag(key: bytes, number: int, data: bytes) -> bytes:
    return hmac.digest(key, number.to_bytes(8) + data, "sha256")[:TAG]


# -- A connection --------------------------------------------------------------------------------------


Recognise = Callable[[str, str], Awaitable[None]]  # a peer and its store; FrameError if it is another store
Alone = Callable[[str, str], Awaitable[None]]  # and its process; FrameError if another one speaks for it


@dataclass
class Channel:
    """One side of a connection after its handshake. Each direction has its own key and counts its frames."""

    peer: str
    process: str
    api: str  # where the peer serves clients
    address: str  # where peers reach it
    sends_with: bytes
    reads_with: bytes
    sent: int = 0
    read: int = 0

    def seal(self, kind: int, body: bytes) -> bytes:
        self.sent += 1
        return seal(self.sends_with, self.sent, kind, body)

    async def unseal(self, reader: ByteReader) -> tuple[int, bytes]:
        self.read += 1
        return await unseal(reader, self.reads_with, self.read)


@dataclass(frozen=True)
class Identity:
    """What a node says of itself, and by which secret and names it knows the others.

    members  those that the cluster began with, the same on all nodes for ever
    store    drawn when the node's store was first made
    process  drawn when this process began
    address  where peers reach it, as HOST:PORT; "" if it does not know
    known    who may connect: members, and those that joined; None where it is to join and knows nobody yet
    """

    cluster: str
    id: str
    api: str
    members: frozenset[str]
    clocks: Clocks
    secret: bytes = b""
    store: str = ""
    address: str = ""
    process: str = ""
    known: frozenset[str] | None = frozenset()

    def knows(self, peer: str) -> bool:
        return peer != self.id and (self.known is None or peer in self.known or peer in self.members)


async def dial(
    reader: ByteReader, writer: ByteWriter, own: Identity, peer: str, recognise: Recognise
) -> Channel:
    """The dialer's side of the handshake. FrameError if the other one is not `peer`, or refuses this node."""
    ours = _introduction(own, peer)
    writer.write(seal(own.secret, 0, HELLO, ours))
    theirs = await _expect(reader, own.secret, 0, WELCOME)
    channel = _channel(own, theirs, ours + theirs, dials=True)
    if channel.peer != peer:
        raise FrameError(f"{channel.peer} answers where {peer} was expected")
    await recognise(peer, _fields(theirs)["store"])
    writer.write(channel.seal(PROOF, b""))
    await _proof(reader, channel)
    return channel


async def is_alone(peer: str, process: str) -> None:
    """The check of an acceptor that cannot know of another process."""


async def accept(
    reader: ByteReader, writer: ByteWriter, own: Identity, recognise: Recognise, alone: Alone = is_alone
) -> Channel:
    """The acceptor's side. FrameError if the other one is no member; it is told why."""
    theirs = await _expect(reader, own.secret, 0, HELLO)
    try:
        said = _fields(theirs)
        ours = _introduction(own, said["id"])
        channel = _channel(own, theirs, theirs + ours, dials=False)
        await recognise(channel.peer, said["store"])
        await alone(channel.peer, channel.process)
    except FrameError as refusal:
        writer.write(seal(own.secret, 0, REFUSED, str(refusal).encode()))
        raise
    writer.write(seal(own.secret, 0, WELCOME, ours))
    await _proof(reader, channel)
    writer.write(channel.seal(PROOF, b""))
    return channel


def _introduction(own: Identity, to: str) -> bytes:
    said = {"cluster": own.cluster, "members": _list(own.members), "id": own.id, "to": to, "api": own.api}
    said |= {
        "address": own.address,
        "store": own.store,
        "process": own.process,
        "clocks": str(own.clocks),
        "nonce": secrets.token_hex(16),
    }
    return json.dumps(said).encode()


def _list(members: frozenset[str]) -> str:
    return " ".join(sorted(members))


def _channel(own: Identity, theirs: bytes, both: bytes, *, dials: bool) -> Channel:
    said = _fields(theirs)
    if said["cluster"] != own.cluster:
        raise FrameError(f"a node of the cluster {said['cluster']!r}, and this one is of {own.cluster!r}")
    if not NODE_NAME.fullmatch(said["id"]):  # files are named after it
        raise FrameError(f"{said['id']!r} is no name of a node")
    if not own.knows(said["id"]):
        raise FrameError(
            f"{said['id']!r} is not another member of this cluster: add it with `oneleader node add`"
        )
    if said["members"] != _list(own.members):
        raise FrameError(
            f"{said['id']} has the members {said['members']}, and {own.id} has {_list(own.members)}: "
            "give all nodes the same --peers, the members that the cluster began with"
        )
    if said["to"] != own.id:
        raise FrameError(f"{said['id']} wants to speak to {said['to']!r}, and this is {own.id}")
    if said["clocks"] != str(own.clocks):
        raise FrameError(f"{said['id']} has {said['clocks']}, and this node {own.clocks}")
    of_dialer = hmac.digest(own.secret, b"dialer" + both, "sha256")
    of_acceptor = hmac.digest(own.secret, b"acceptor" + both, "sha256")
    keys = (of_dialer, of_acceptor) if dials else (of_acceptor, of_dialer)
    return Channel(said["id"], said["process"], said["api"], said["address"], *keys)


def _fields(body: bytes) -> dict[str, str]:
    try:
        said: Any = json.loads(body)
    except ValueError:
        raise FrameError("an introduction that is not valid JSON") from None
    wanted = {"cluster", "members", "id", "to", "store", "process", "api", "address", "clocks", "nonce"}
    if (
        not isinstance(said, dict)
        or said.keys() != wanted
        or not all(isinstance(v, str) for v in said.values())
    ):
        raise FrameError(f"an introduction says {', '.join(sorted(wanted))}, each a string")
    return said


async def _expect(reader: ByteReader, key: bytes, number: int, wanted: int) -> bytes:
    kind, body = await unseal(reader, key, number, MOST_BYTES_BEFORE_PROOF)
    if kind == REFUSED:
        raise FrameError(f"refused by the other node: {body.decode(errors='replace')}")
    if kind != wanted:
        raise FrameError(f"a frame of kind {kind}, where the handshake has kind {wanted}")
    return body


async def _proof(reader: ByteReader, channel: Channel) -> None:
    channel.read += 1
    await _expect(reader, channel.reads_with, channel.read, PROOF)


# -- Rate ----------------------------------------------------------------------------------------------


class Pace:
    """How fast a connection is read: so many bytes a second, each frame counted as `least` at the least.

    Who sends faster is read no faster, and waits."""

    def __init__(self, a_second: float = 64 << 20, least: int = 4096) -> None:
        self._a_second, self._least = a_second, least
        self._free_at = 0.0

    async def spend(self, size: int) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._free_at = max(self._free_at, now - 0.5) + max(size, self._least) / self._a_second
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)
