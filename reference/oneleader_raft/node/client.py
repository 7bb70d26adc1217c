"""A client of the cluster: it finds the leader, and repeats what it asked for until it has an answer.

Each request carries the client's name and a number, so that a repetition takes effect once however often it
arrives. A client has one request under way. `Client` blocks; `AsyncClient` is the same for asyncio. What they
share is a conversation that knows no socket: it says what to ask whom, and is told the answer.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import SplitResult, quote, urlsplit

import aiohttp
from yarl import URL

T = TypeVar("T")
Value: TypeAlias = str | int | None

ATTEMPT_SECONDS = 1.0  # for one node to answer
PAUSE_SECONDS = 0.03  # where no leader is known


class RefusedError(Exception):
    """The cluster says that this makes no sense."""


class UnknownOutcomeError(Exception):
    """The deadline has passed: it may or may not have been done."""


@dataclass(frozen=True)
class Ask:
    """A request to the node at `origin`."""

    origin: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None
    seconds: float


@dataclass(frozen=True)
class Backoff:
    seconds: float


@dataclass(frozen=True)
class Answer:
    status: int
    location: str
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        return json.loads(self.body)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class ApiOperation(Generic[T]):
    """What is asked for, and what an answer means. 409 is an answer as well."""

    method: str
    path: str
    body: dict[str, Any] | None
    means: Callable[[Answer], T]


@dataclass(frozen=True)
class HeldLock:
    """A lock that is held."""

    lock: str
    token: int
    nonce: str


@dataclass(frozen=True)
class Fenced:
    """What a fenced key holds, and the token that it was written with; 0 where nothing was."""

    value: Value
    token: int


# -- What can be asked for -----------------------------------------------------------------------------


def _done(answer: Answer) -> bool:
    return answer.status < 300


def get(key: str) -> ApiOperation[Value]:
    return ApiOperation("GET", f"/v1/keys/{_path(key)}", None, lambda answer: answer.said["value"])


def put(key: str, value: Value) -> ApiOperation[bool]:
    return ApiOperation("PUT", f"/v1/keys/{_path(key)}", {"value": value}, _done)


def compare_and_set(key: str, expected: Value, value: Value) -> ApiOperation[bool]:
    return ApiOperation("PUT", f"/v1/keys/{_path(key)}", {"value": value, "expected": expected}, _done)


def acquire(lock: str, ttl_ms: int) -> ApiOperation[HeldLock | None]:
    def grant(answer: Answer) -> HeldLock | None:
        return HeldLock(lock, answer.said["token"], answer.said["nonce"]) if _done(answer) else None

    return ApiOperation("POST", f"/v1/locks/{_path(lock)}", {"ttl_ms": ttl_ms}, grant)


def renew(lock: str, token: int) -> ApiOperation[bool]:
    return ApiOperation("PUT", f"/v1/locks/{_path(lock)}", {"token": token}, _done)


def release(lock: str, token: int) -> ApiOperation[bool]:
    return ApiOperation("DELETE", f"/v1/locks/{_path(lock)}?token={token}", None, _done)


def fenced_put(key: str, value: Value, token: int, nonce: str) -> ApiOperation[bool]:
    body = {"value": value, "token": token, "nonce": nonce}
    return ApiOperation("PUT", f"/v1/fenced/{_path(key)}", body, _done)


def fenced_get(key: str) -> ApiOperation[Fenced]:
    def fenced(answer: Answer) -> Fenced:
        return Fenced(answer.said["value"], answer.said["token"])

    return ApiOperation("GET", f"/v1/fenced/{_path(key)}", None, fenced)


def _path(name: str) -> str:
    """The name as one part of a path; its dots too, since a part of dots alone means another place."""
    return quote(name, safe="").replace(".", "%2E")


# -- The conversation ----------------------------------------------------------------------------------


class Conversations:
    """Whom to ask: the node that led last, else one after the other."""

    def __init__(self, nodes: Sequence[str], name: str | None = None, token: str = "") -> None:
        if not nodes:
            raise ValueError("a client needs the address of a node: http://HOST:PORT")
        self.name = name or f"client-{secrets.token_hex(8)}"
        self._nodes = [node.rstrip("/") for node in nodes]
        self._at = self._nodes[0]
        self._number = 0
        self._shown = {"Authorization": f"Bearer {token}"} if token else {}

    def hold(self, operation: ApiOperation[T], deadline: float) -> Generator[Ask | Backoff, Answer | None, T]:
        """Yields what is to be done and takes the answer to it, None for a failure. `deadline` is by
        `time.monotonic`. RefusedError, UnknownOutcomeError."""
        self._number += 1
        identity = {"X-Client": self.name, "X-Request": str(self._number)} | self._shown
        body = None if operation.body is None else json.dumps(operation.body).encode()
        while (left := deadline - time.monotonic()) > 0:
            seconds = min(left, ATTEMPT_SECONDS)
            headers = identity | {"X-Deadline-Ms": str(max(1, int(seconds * 1000)))}
            answer = yield Ask(self._at, operation.method, operation.path, headers, body, seconds)
            if answer is None:
                self._ask_another()
                yield Backoff(PAUSE_SECONDS)
            elif answer.status == 307:
                where = urlsplit(answer.location)
                self._at = f"{where.scheme}://{where.netloc}"
            elif answer.status >= 500:
                self._ask_another()
                yield Backoff(PAUSE_SECONDS)
            elif answer.status < 300 or answer.status == 409:
                return operation.means(answer)
            else:
                raise RefusedError(answer.said.get("error", answer.status))
        raise UnknownOutcomeError(f"no answer to {operation.method} {operation.path} in time")

    def _ask_another(self) -> None:
        known = self._nodes.index(self._at) if self._at in self._nodes else -1
        self._at = self._nodes[(known + 1) % len(self._nodes)]


# -- Clients -------------------------------------------------------------------------------------------


class Client:
    """Blocks. `deadline` is in seconds, from before the request; `token` is what the cluster wants to be
    shown, and `tls` the context of https. RefusedError, UnknownOutcomeError."""

    def __init__(
        self,
        nodes: Sequence[str],
        name: str | None = None,
        deadline: float = 10.0,
        token: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._conversations, self.deadline, self._tls = Conversations(nodes, name, token), deadline, tls
        self._one_at_a_time = threading.Lock()
        self._open: dict[str, http.client.HTTPConnection] = {}

    @property
    def name(self) -> str:
        return self._conversations.name

    def do(self, operation: ApiOperation[T]) -> T:
        with self._one_at_a_time:
            conversation = self._conversations.hold(operation, time.monotonic() + self.deadline)
            answer: Answer | None = None
            while True:
                try:
                    wanted = conversation.send(answer)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]
                if isinstance(wanted, Ask):
                    answer = self._ask(wanted)
                else:
                    time.sleep(wanted.seconds)

    def get(self, key: str) -> Value:
        return self.do(get(key))

    def put(self, key: str, value: Value) -> bool:
        return self.do(put(key, value))

    def compare_and_set(self, key: str, expected: Value, value: Value) -> bool:
        return self.do(compare_and_set(key, expected, value))

    def acquire(self, lock: str, ttl_ms: int) -> HeldLock | None:
        return self.do(acquire(lock, ttl_ms))

    def renew(self, lock: str, token: int) -> bool:
        return self.do(renew(lock, token))

    def release(self, lock: str, token: int) -> bool:
        return self.do(release(lock, token))

    def fenced_put(self, key: str, value: Value, token: int, nonce: str) -> bool:
        return self.do(fenced_put(key, value, token, nonce))

    def fenced_get(self, key: str) -> Fenced:
        return self.do(fenced_get(key))

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _ask(self, ask: Ask) -> Answer | None:
        at = urlsplit(ask.origin)
        connection = self._open.get(ask.origin) or self._connection(at)
        self._open[ask.origin] = connection
        try:
            connection.timeout = ask.seconds
            if connection.sock:
                connection.sock.settimeout(ask.seconds)
            connection.request(ask.method, ask.path, ask.body, ask.headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers.get("Location", ""), answer.read())
        except (OSError, http.client.HTTPException):
            connection.close()
            del self._open[ask.origin]
            return None

    def _connection(self, at: SplitResult) -> http.client.HTTPConnection:
        if at.scheme == "https":
            return http.client.HTTPSConnection(at.hostname or "", at.port, context=self._tls)
        return http.client.HTTPConnection(at.hostname or "", at.port)


class AsyncClient:
    """The same for asyncio; to be closed, or used by `async with`."""

    def __init__(
        self,
        nodes: Sequence[str],
        name: str | None = None,
        deadline: float = 10.0,
        token: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._conversations, self.deadline, self._tls = Conversations(nodes, name, token), deadline, tls
        self._one_at_a_time = asyncio.Lock()
        self._http: aiohttp.ClientSession | None = None

    @property
    def name(self) -> str:
        return self._conversations.name

    async def do(self, operation: ApiOperation[T]) -> T:
        deadline = time.monotonic() + self.deadline
        async with self._one_at_a_time:
            conversation = self._conversations.hold(operation, deadline)
            answer: Answer | None = None
            while True:
                try:
                    wanted = conversation.send(answer)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]
                answer = await (
                    self._ask(wanted) if isinstance(wanted, Ask) else asyncio.sleep(wanted.seconds, None)
                )

    async def get(self, key: str) -> Value:
        return await self.do(get(key))

    async def put(self, key: str, value: Value) -> bool:
        return await self.do(put(key, value))

    async def compare_and_set(self, key: str, expected: Value, value: Value) -> bool:
        return await self.do(compare_and_set(key, expected, value))

    async def acquire(self, lock: str, ttl_ms: int) -> HeldLock | None:
        return await self.do(acquire(lock, ttl_ms))

    async def renew(self, lock: str, token: int) -> bool:
        return await self.do(renew(lock, token))

    async def release(self, lock: str, token: int) -> bool:
        return await self.do(release(lock, token))

    async def fenced_put(self, key: str, value: Value, token: int, nonce: str) -> bool:
        return await self.do(fenced_put(key, value, token, nonce))

    async def fenced_get(self, key: str) -> Fenced:
        return await self.do(fenced_get(key))

    async def close(self) -> None:
        if self._http:
            await self._http.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _ask(self, ask: Ask) -> Answer | None:
        self._http = self._http or aiohttp.ClientSession()
        limit = aiohttp.ClientTimeout(total=ask.seconds)
        try:
            async with self._http.request(
                ask.method,
                URL(ask.origin + ask.path, encoded=True),
                data=ask.body,
                headers=ask.headers,
                timeout=limit,
                allow_redirects=False,
                ssl=self._tls or True,
            ) as answer:
                return Answer(answer.status, answer.headers.get("Location", ""), await answer.read())
        except (aiohttp.ClientError, TimeoutError):
            return None
