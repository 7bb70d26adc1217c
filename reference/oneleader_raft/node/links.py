"""Connections to the other members: each node dials every other one, and sends on the connections it dialled.
Whom to dial, and who may connect, changes as members come and go (`meet`).

What is sent may be lost, as the core expects: where there is no connection, or one whose buffer is full, a
message is dropped. Nothing is queued for a peer that is away.

A long message leaves in parts, as fast as they are taken, and what is short goes between them: so a heartbeat
never waits behind a big value.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..messages import why_impossible
from ..raft import Message, NodeId
from . import codec, frames
from .complaints import Complaints
from .errors import ClockError
from .frames import Channel, FrameError, Identity, Recognise
from .trace import Source

log = logging.getLogger(__name__)

Address = tuple[str, int]
OnMessage = Callable[[Source, Message], Awaitable[None]]
OnChunk = Callable[[NodeId, bytes], None]
MOST_BUFFERED = 1 << 20  # bytes not yet sent, above which messages are dropped
PART = 1 << 16  # bytes: what is longer leaves in parts, and with more than this unsent a connection is busy
MOST_STRANGERS = 32  # connections in the handshake
RETRY_SECONDS = 0.05, 1.0  # the first pause before dialling again, and the longest
ENDS = (OSError, EOFError, FrameError, asyncio.TimeoutError)  # of a connection; the first is ssl's as well


@dataclass(frozen=True)
class Tls:
    """Both sides show a certificate that the cluster's authority signed, and that names the node's id."""

    serving: ssl.SSLContext
    dialling: ssl.SSLContext

    @classmethod
    def of(cls, certificate: str, key: str, authority: str) -> Tls:
        serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
        dialling = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=authority)
        serving.verify_mode, dialling.check_hostname = ssl.CERT_REQUIRED, False
        for context in (serving, dialling):
            context.load_cert_chain(certificate, key)
        return cls(serving, dialling)


@dataclass
class DialledLine:
    """A connection that was dialled: to where, under which key, whether it was used lately, and the message
    that is leaving in parts."""

    writer: asyncio.StreamWriter
    channel: Channel
    is_idle: bool = True
    in_parts: asyncio.Task[None] | None = None

    @property
    def unsent(self) -> int:
        return self.writer.transport.get_write_buffer_size()

    def write(self, kind: int, body: bytes) -> None:
        self.writer.write(self.channel.seal(kind, body))
        self.is_idle = False

    async def write_in_parts(self, body: bytes) -> None:
        """The last part is the message's own frame."""
        try:
            for at in range(0, len(body) - PART, PART):
                self.write(frames.PART, body[at : at + PART])
                await self.writer.drain()
            self.write(frames.LAST_PART, body[(len(body) - 1) // PART * PART :])
        except OSError:
            pass  # the connection is gone, and `_dial` sees it
        finally:
            self.in_parts = None


@dataclass(frozen=True)
class AcceptedLine:
    """A connection that a peer dialled, and which process of it."""

    writer: asyncio.StreamWriter
    process: str


class Links:
    """`heard` says when a frame of each peer came last, on the node's clock; `apis` where they serve."""

    def __init__(
        self,
        own: Identity,
        on_message: OnMessage,
        now: Callable[[], int],
        recognise: Recognise,
        tls: Tls | None = None,
        on_chunk: OnChunk = lambda peer, body: None,
    ) -> None:
        self._own, self._on_message, self._now, self._tls = own, on_message, now, tls
        self._on_chunk = on_chunk
        self._recognise = recognise
        self.complaints = Complaints()
        self._addresses: dict[NodeId, Address] = {}  # of those that are dialled
        self.told: dict[NodeId, Address] = {}  # what peers said of themselves
        self._dialling: dict[NodeId, asyncio.Task[None]] = {}
        self.heard: dict[NodeId, int] = {}
        self.apis: dict[NodeId, str] = {}
        self._lines: dict[NodeId, DialledLine] = {}
        self._incoming: dict[NodeId, AcceptedLine] = {}
        self._frames: Counter[NodeId] = Counter()  # that have come
        self._silence = 0.0  # seconds, after which a process would have been heard
        self._strangers = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket, ping_seconds: float) -> None:
        self._silence = min(4 * ping_seconds, frames.HANDSHAKE_SECONDS / 2)
        serving = self._tls and self._tls.serving
        self._server = await asyncio.start_server(self._accepted, sock=listener, ssl=serving)
        self._tasks.add(asyncio.create_task(self._ping(ping_seconds)))

    def meet(
        self, peers: Collection[NodeId], addresses: Mapping[NodeId, Address], known: frozenset[NodeId] | None
    ) -> None:
        """Dial these from now on, and no others; those that are known may connect. Where the address of one
        is not known it is as the peer said. Who is yet to join dials all that it has heard of."""
        self._own = replace(self._own, known=known)
        places = self.told | dict(addresses)
        chosen = {*places} if known is None else places.keys() & {*peers}
        wanted = {peer: places[peer] for peer in chosen - {self._own.id}}
        for peer, address in list(self._addresses.items()):
            if wanted.get(peer) != address:
                del self._addresses[peer]
                self._dialling.pop(peer).cancel()
        for peer in wanted.keys() - self._addresses.keys():
            self._addresses[peer] = wanted[peer]
            self._dialling[peer] = asyncio.create_task(self._keep_dialling(peer, wanted[peer]))

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        tasks = [*self._tasks, *self._dialling.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in [
            *(heard.writer for heard in self._incoming.values()),
            *(line.writer for line in self._lines.values()),
        ]:
            writer.close()

    # Sending

    def send(self, to: NodeId, step: int, message: Message) -> bool:
        """`step` numbers the last line of this node's trace. Whether it was not dropped."""
        line = self._lines.get(to)
        if line is None or line.unsent > MOST_BUFFERED:
            return False
        said = {"step": step, "message": codec.plain(message)}
        body = json.dumps(said, separators=(",", ":")).encode()
        if len(body) <= PART:
            line.write(frames.MESSAGE, body)
            return True
        if line.in_parts:
            return False
        line.in_parts = asyncio.create_task(line.write_in_parts(body))
        return True

    def connection(self, to: NodeId) -> object:
        """The one that there is; None without."""
        return self._lines.get(to)

    def is_busy(self, to: NodeId) -> bool:
        """What is sent now would wait for a while."""
        line = self._lines.get(to)
        return line is not None and (line.in_parts is not None or line.unsent > PART)

    def is_in_parts(self, to: NodeId) -> bool:
        """A long message is leaving: what is sent now overtakes it."""
        line = self._lines.get(to)
        return line is not None and line.in_parts is not None

    def drop(self, peer: NodeId) -> None:
        """End the connections with a peer. Both sides may try again."""
        line, incoming = self._lines.get(peer), self._incoming.get(peer)
        for writer in (line and line.writer, incoming and incoming.writer):
            if writer:
                writer.close()

    def reaches(self, to: NodeId) -> bool:
        return to in self._lines

    async def stream(self, to: NodeId, chunks: Iterable[bytes]) -> bool:
        """Send the parts of a snapshot, no faster than they are taken; what else is to be said goes between
        them. Whether all have left on one connection."""
        line = self._lines.get(to)
        for chunk in chunks:
            if line is None or self._lines.get(to) is not line:
                return False
            line.write(frames.SNAPSHOT, chunk)
            await line.writer.drain()
        return line is not None

    async def _ping(self, seconds: float) -> None:
        """Who has nothing to say says so: then silence means that a peer is away."""
        while True:
            await asyncio.sleep(seconds)
            for line in self._lines.values():
                if line.is_idle and not line.unsent:
                    line.write(frames.PING, b"")
                line.is_idle = True

    async def _keep_dialling(self, peer: NodeId, address: Address) -> None:
        pause, longest = RETRY_SECONDS
        while True:
            try:
                await self._dial(peer, address)
                pause = RETRY_SECONDS[0]
            except FrameError as error:
                self.complaints.warn("not joined", str(error), address=peer)
            except ENDS as error:
                log.debug("dial", extra={"peer": peer, "why": str(error)})
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    async def _dial(self, peer: NodeId, address: Address) -> None:
        """Connect, and be connected until the other side is gone."""
        dialling = self._tls and self._tls.dialling
        async with asyncio.timeout(frames.HANDSHAKE_SECONDS):
            reader, writer = await asyncio.open_connection(*address, ssl=dialling)
        try:
            _notice_silence(writer)
            async with asyncio.timeout(frames.HANDSHAKE_SECONDS):
                channel = await frames.dial(reader, writer, self._own, peer, self._recognise)
            _check_certificate(writer, peer)
            self.apis[peer] = channel.api
            self._lines[peer] = DialledLine(writer, channel)
            log.info("connected", extra={"peer": peer})
            await reader.read(1)  # nothing comes on it: this waits for its end
        finally:
            if line := self._lines.pop(peer, None):
                if line.in_parts:
                    line.in_parts.cancel()
                log.info("disconnected", extra={"peer": peer})
            writer.close()

    # Receiving

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except FrameError as error:
            host, *_ = writer.get_extra_info("peername") or ("",)
            self.complaints.warn("refused", str(error), address=host)
        except (*ENDS, ClockError, asyncio.CancelledError):
            pass  # of its clock the node hears itself, and stops
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._strangers >= MOST_STRANGERS:
            raise FrameError("too many connections that have not proved who they are")
        self._strangers += 1
        try:
            async with asyncio.timeout(frames.HANDSHAKE_SECONDS):
                channel = await frames.accept(reader, writer, self._own, self._recognise, self._alone)
        finally:
            self._strangers -= 1
        _notice_silence(writer)
        _check_certificate(writer, channel.peer)
        self.apis[channel.peer] = channel.api
        self._note_address(channel)
        former = self._incoming.get(channel.peer)
        if former:
            former.writer.close()
        heard = self._incoming[channel.peer] = AcceptedLine(writer, channel.process)
        try:
            await self._listen(reader, channel)
        finally:
            if self._incoming.get(channel.peer) is heard:
                del self._incoming[channel.peer]

    async def _alone(self, peer: NodeId, process: str) -> None:
        """FrameError where another process speaks for this peer. One that has ended is not heard any more."""
        former = self._incoming.get(peer)
        if former is None or former.process == process:
            return
        before = self._frames[peer]
        await asyncio.sleep(self._silence)
        if self._incoming.get(peer) is former and self._frames[peer] > before:
            raise FrameError(
                f"another process runs as {peer}, on this store or a copy of it: stop one of the two, "
                f"and if the copy has run before, replace the node: {replacement(peer)}"
            )

    def _note_address(self, channel: Channel) -> None:
        host, colon, port = channel.address.rpartition(":")
        if colon and port.isdecimal() and int(port) < 65536:
            self.told[channel.peer] = host.strip("[]"), int(port)

    async def _listen(self, reader: asyncio.StreamReader, channel: Channel) -> None:
        pace, parts = frames.Pace(), bytearray()
        while True:
            kind, body = await channel.unseal(reader)
            await pace.spend(len(body))
            self.heard[channel.peer] = self._now()
            self._frames[channel.peer] += 1
            if kind in (frames.PART, frames.LAST_PART):
                parts += body
                if len(parts) > frames.MOST_BYTES:
                    raise FrameError(f"a message of more than {frames.MOST_BYTES} bytes")
            if kind == frames.LAST_PART:
                await self._on_message(*read(bytes(parts), channel.peer, self._own))
                parts.clear()
            elif kind == frames.MESSAGE:
                await self._on_message(*read(body, channel.peer, self._own))
            elif kind == frames.SNAPSHOT:
                self._on_chunk(channel.peer, body)
            elif kind not in (frames.PART, frames.PING):
                raise FrameError(f"a frame of kind {kind} is not known")


def read(body: bytes, peer: NodeId, own: Identity) -> tuple[Source, Message]:
    """The message in a frame of `peer`; FrameError if it is malformed, or `peer` cannot have sent it."""
    try:
        said: Any = json.loads(body)
        if not isinstance(said, dict) or said.keys() != {"step", "message"} or type(said["step"]) is not int:
            raise FrameError("a message has a step and the message")
        message = codec.message(said["message"])
    except (ValueError, RecursionError, codec.MalformedError) as error:
        raise FrameError(f"a message that cannot be read: {error}") from None
    why = why_impossible(message, peer, own.id, {peer, own.id})
    if why:
        raise FrameError(f"a message that nobody can have sent: {why}")
    return (peer, said["step"]), message


def replacement(peer: NodeId) -> str:
    """The command that puts another node in its place."""
    return f"oneleader node replace {peer} NAME=HOST:PORT"


def _check_certificate(writer: asyncio.StreamWriter, peer: NodeId) -> None:
    """Under TLS: that of another node of the same cluster is not this peer's."""
    certificate = writer.get_extra_info("peercert")
    if certificate is None:
        return
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    names += [value for part in certificate["subject"] for kind, value in part if kind == "commonName"]
    if peer not in names:
        raise FrameError(f"{peer} shows a certificate of {', '.join(names) or 'nobody'}")


def _notice_silence(writer: asyncio.StreamWriter) -> None:
    """Small frames leave at once, and wait behind little that the system keeps unsent, where it can be told;
    a connection whose other end is gone ends."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 5000)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, PART)
