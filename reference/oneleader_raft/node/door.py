"""The door for clients: at most so many connections, and none that stays open without a request.

aiohttp waits for a request's headers as long as the other side likes; connections that send none would use
up the files that peers and the store need. What is not HTTP it logs with a traceback each time, which would
use up the disk: here it is one line, once in a while.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from .complaints import Complaints

MOST_CLIENTS = 256  # connections
REQUEST_SECONDS = 10.0  # from a connection, or the last answer on it, to the next request's whole headers
BODY_SECONDS = 10.0


def most_clients() -> int:
    """No more than half of the files that this process may open: the others are for peers and the store."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CLIENTS if files == resource.RLIM_INFINITY else max(1, min(MOST_CLIENTS, files // 2))


class MalformedFilter(logging.Filter):
    """Takes what was wrong with a request out of the log of aiohttp's server. A fault of ours stays in it."""

    def __init__(self, complaints: Complaints) -> None:
        super().__init__()
        self._complaints = complaints

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        is_theirs = isinstance(error, HttpProcessingError | web.RequestPayloadError | ConnectionError)
        if is_theirs:
            self._complaints.warn("malformed request", type(error).__name__, address=_address(record))
        return not is_theirs


def _address(record: logging.LogRecord) -> str:
    return str(record.args[0]) if isinstance(record.args, tuple) and record.args else ""


MALFORMED = MalformedFilter(Complaints())


class Door:
    """Makes the connections of an HTTP server; `most` at once, each heard within `seconds`."""

    def __init__(self, server: web.Server, most: int = 0, seconds: float = REQUEST_SECONDS) -> None:
        self._server, self._most, self.seconds = server, most or most_clients(), seconds
        logging.getLogger("aiohttp.server").addFilter(MALFORMED)
        self.open: dict[asyncio.Transport, asyncio.TimerHandle] = {}

    def __call__(self) -> asyncio.Protocol:
        return _Guarded(cast(asyncio.Protocol, self._server()), self)

    def admit(self, transport: asyncio.Transport) -> bool:
        if len(self.open) >= self._most:
            return False
        self._wait(transport)
        return True

    def forget(self, transport: asyncio.Transport) -> None:
        timer = self.open.pop(transport, None)
        if timer:
            timer.cancel()

    @contextmanager
    def answering(self, transport: asyncio.BaseTransport | None) -> Iterator[None]:
        """While a request is answered, its connection may take as long as the answer does."""
        timer = self.open.get(cast(asyncio.Transport, transport))
        if timer:
            timer.cancel()
        try:
            yield
        finally:
            if timer and transport in self.open:
                self._wait(transport)

    def _wait(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        self.open[transport] = loop.call_later(self.seconds, transport.abort)


class _Guarded(asyncio.Protocol):
    """A connection of aiohttp behind the door."""

    def __init__(self, inner: asyncio.Protocol, door: Door) -> None:
        self._inner, self._door = inner, door
        self._transport: asyncio.Transport | None = None  # where it was admitted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        if not self._door.admit(transport):
            transport.abort()
            return
        self._transport = transport
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport:
            self._door.forget(self._transport)
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._transport:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._transport else None

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()
