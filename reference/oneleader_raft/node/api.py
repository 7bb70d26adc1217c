"""The HTTP API of a node: what clients ask for, as commands and reads of the core (see `openapi`)."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ..state_machine import (
    Acquire,
    Cas,
    Command,
    FencedPut,
    Put,
    Release,
    Renew,
    Request,
    Result,
    StateMachine,
)
from .door import BODY_SECONDS, Door
from .errors import BusyError, ClockError, NotLeaderError, OutcomeUnknownError, StaleRequestError
from .members import NODE_NAME, ChangeRefusedError
from .openapi import DOCUMENT
from .server import OWN_NAME, Server

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MOST_BYTES = 1 << 18  # of a body
LONGEST_NAME = 1024  # of a key, lock, client or nonce
USUAL_DEADLINE_MS, LONGEST_DEADLINE_MS = 5000, 60_000
LONGEST_TTL_MS = 24 * 60 * 60 * 1000
BIGGEST = 2**63 - 1


class BadInputError(Exception):
    """What was asked for makes no sense: one sentence."""


class ForeignSiteError(Exception):
    """A browser sent it for a page of another site."""


OPEN_TO_ALL = {"/health", "/ready"}  # without the token


class UnauthorizedError(Exception):
    """The client has not shown the token."""


class Api:
    """`token` is what clients have to show, as `Authorization: Bearer ...`; if it is empty, nothing."""

    def __init__(self, server: Server, token: bytes = b"") -> None:
        self._server, self._token = server, token
        self.door: Door | None = None
        self.app = web.Application(middlewares=[self._errors], client_max_size=MOST_BYTES)
        self.app.add_routes(
            [
                web.get("/v1/keys/{key:[^/]+}", self.get_key),
                web.put("/v1/keys/{key:[^/]+}", self.put_key),
                web.post("/v1/locks/{name:[^/]+}", self.acquire),
                web.put("/v1/locks/{name:[^/]+}", self.renew),
                web.delete("/v1/locks/{name:[^/]+}", self.release),
                web.get("/v1/fenced/{key:[^/]+}", self.get_fenced),
                web.put("/v1/fenced/{key:[^/]+}", self.put_fenced),
                web.get("/v1/members", self.members),
                web.post("/v1/members", self.change_members),
                web.get("/v1/backup", self.backup),
                web.get("/v1/leader", self.leader),
                web.get("/v1/status", self.status),
                web.get("/health", self.health),
                web.get("/ready", self.ready),
                web.get("/metrics", self.metrics),
                web.get("/openapi.json", self.openapi),
            ]
        )

    # Keys

    async def get_key(self, request: web.Request) -> web.Response:
        key = _name(request, "key")
        values = (await self._read(request)).values
        return web.json_response({"key": key, "value": values.get(key), "found": key in values})

    async def put_key(self, request: web.Request) -> web.Response:
        key, body = _name(request, "key"), await _body(request, {"value"}, "expected")
        value = _value(body, "value")
        cas = "expected" in body
        done = await self._write(
            request, Cas(key, _value(body, "expected"), value) if cas else Put(key, value)
        )
        return _ok(done, "the key has another value")

    # Locks

    async def acquire(self, request: web.Request) -> web.Response:
        name, body = _name(request, "name"), await _body(request, {"ttl_ms"})
        wanted = self._request(request, Acquire(name, _integer(body["ttl_ms"], "ttl_ms", LONGEST_TTL_MS)))
        token = await self._commit(request, wanted)
        if token is None:
            return _error(409, "somebody holds the lock")
        return web.json_response({"token": token, "nonce": f"{wanted.client}/{wanted.number}"}, status=201)

    async def renew(self, request: web.Request) -> web.Response:
        name, body = _name(request, "name"), await _body(request, {"token"})
        done = await self._write(request, Renew(name, _integer(body["token"], "token")))
        return _ok(done, "the lock is not held under this token")

    async def release(self, request: web.Request) -> web.Response:
        token = request.query.get("token", "")
        done = await self._write(request, Release(_name(request, "name"), _digits(token, "token")))
        return _ok(done, "the lock is not held under this token")

    # Fenced keys

    async def get_fenced(self, request: web.Request) -> web.Response:
        key = _name(request, "key")
        stored = (await self._read(request)).fenced.get(key)
        found = {"value": stored and stored.value, "token": stored.token if stored else 0}
        return web.json_response(found | {"found": stored is not None})

    async def put_fenced(self, request: web.Request) -> web.Response:
        key, body = _name(request, "key"), await _body(request, {"value", "token", "nonce"})
        token, nonce = _integer(body["token"], "token"), _word(body["nonce"], "nonce")
        done = await self._write(request, FencedPut(key, _value(body, "value"), token, nonce))
        self._server.metrics.fenced_write(bool(done))
        return _ok(done, "a newer grant has written to this key, or another one with this token")

    # Members

    async def members(self, request: web.Request) -> web.Response:
        return web.json_response(self._members())

    async def change_members(self, request: web.Request) -> web.Response:
        body = await _body(request, set(), "join", "leave")
        join, leave = _joining(body.get("join", {})), _leaving(body.get("leave", []))
        try:
            async with asyncio.timeout(_deadline(request)):
                await self._server.change_members(join, leave)
        except ChangeRefusedError as refused:
            return _error(409, str(refused))
        return web.json_response(self._members())

    async def backup(self, request: web.Request) -> web.StreamResponse:
        try:
            async with asyncio.timeout(_deadline(request)):
                path = await self._server.backup()
        except TimeoutError:
            return _error(504, "the backup is not written: the deadline has passed")
        except OSError as error:
            log.error("cannot write a backup", extra={"why": str(error)})
            return _error(503, f"the backup is not written: {error.strerror}")
        with path.open("rb") as file:
            path.unlink()
            response = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
            await response.prepare(request)
            while chunk := file.read(1 << 16):
                await response.write(chunk)
        await response.write_eof()
        return response

    def _members(self) -> dict[str, Any]:
        addresses = self._server.addresses
        places = {id: addresses.get(id, ("", 0)) for id in self._server.node.members}
        return {"members": {id: f"{host}:{port}" for id, (host, port) in places.items()}}

    # The node

    async def leader(self, request: web.Request) -> web.Response:
        said = self._server.status()
        if said["leader"] is None:
            return _error(503, "no leader is known to this node")
        leads = said["leader"] == said["id"]
        lease = {"lease_ms": said["lease_ms"]} if leads else {}
        return web.json_response({"id": said["leader"], "term": said["term"]} | lease)

    async def status(self, request: web.Request) -> web.Response:
        return web.json_response(self._server.status())

    async def health(self, request: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    async def ready(self, request: web.Request) -> web.Response:
        why = self._server.not_ready
        return _error(503, why) if why else web.json_response({"ok": True})

    async def metrics(self, request: web.Request) -> web.Response:
        server = self._server
        server.metrics.observe(server.node, server.clock.now(), server.connected)
        body, content_type = server.metrics.exposition()
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def openapi(self, request: web.Request) -> web.Response:
        return web.json_response(DOCUMENT)

    # Within

    @web.middleware
    async def _errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            _from_its_own_site(request)
            self._check_token(request)
            with self.door.answering(request.transport) if self.door else nullcontext():
                return await handler(request)
        except ForeignSiteError as error:
            return _error(403, str(error))
        except UnauthorizedError as error:
            answer = _error(401, str(error))
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        except (BadInputError, StaleRequestError) as error:
            return _error(400, str(error))
        except NotLeaderError as error:
            return self._elsewhere(request, error)
        except BusyError as error:
            return _error(503, str(error))
        except ClockError as error:
            return _error(503, f"this node stops: {error}")
        except (OutcomeUnknownError, TimeoutError) as error:
            why = str(error) or "the deadline has passed"
            return _error(504, f"it may or may not have been done: {why}")
        except web.HTTPException as error:
            answer = _error(error.status, error.reason)
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
            return answer

    def _check_token(self, request: web.Request) -> None:
        kind, _, shown = request.headers.get("Authorization", "").partition(" ")
        is_shown = kind.lower() == "bearer" and hmac.compare_digest(
            shown.strip().encode(errors="surrogateescape"), self._token
        )
        if self._token and request.path not in OPEN_TO_ALL and not is_shown:
            raise UnauthorizedError("this cluster wants a token, as Authorization: Bearer TOKEN")

    def _elsewhere(self, request: web.Request, error: NotLeaderError) -> web.Response:
        api = self._server.links.apis.get(error.leader) if error.leader else None
        if not api:
            return _error(503, "no leader is known to this node")
        response = _error(307, f"{error.leader} leads")
        target = urlsplit(request.raw_path)  # a client may name a host in it
        response.headers["Location"] = api + target.path + (f"?{target.query}" if target.query else "")
        return response

    async def _read(self, request: web.Request) -> StateMachine:
        async with asyncio.timeout(_deadline(request)):
            return await self._server.read()

    async def _write(self, request: web.Request, command: Command) -> Result:
        return await self._commit(request, self._request(request, command))

    def _request(self, request: web.Request, command: Command) -> Request:
        """The client's request, if it says who it is, else one of this node's own."""
        client, number = request.headers.get("X-Client"), request.headers.get("X-Request")
        if client is None and number is None:
            return self._server.request(command)
        if not client or number is None:
            raise BadInputError("X-Client and X-Request belong together")
        if client.startswith(OWN_NAME):
            raise BadInputError(f"X-Client begins with {OWN_NAME!r}, as only nodes' own names do")
        return Request(_word(client, "X-Client"), _digits(number, "X-Request"), command)

    async def _commit(self, request: web.Request, wanted: Request) -> Result:
        async with asyncio.timeout(_deadline(request)):
            return await self._server.write(wanted)


# -- What clients say ----------------------------------------------------------------------------------


async def _body(request: web.Request, required: set[str], *optional: str) -> dict[str, Any]:
    if "Content-Encoding" in request.headers:
        raise BadInputError("the body is compressed or otherwise encoded; send it as it is")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body: Any = json.loads(await request.read())
    except TimeoutError:
        raise BadInputError(f"the body did not arrive within {BODY_SECONDS:g} seconds") from None
    except (web.RequestPayloadError, HttpProcessingError, ConnectionError):
        raise BadInputError("the body is cut off, or its chunks make no sense") from None
    except (ValueError, RecursionError):
        raise BadInputError("the body is not valid JSON") from None
    if not isinstance(body, dict):
        raise BadInputError("the body is not a JSON object")
    missing, unknown = required - body.keys(), body.keys() - required - {*optional}
    if missing:
        raise BadInputError(f"the body needs {' and '.join(sorted(missing))}")
    if unknown:
        raise BadInputError(f"the body says {sorted(unknown)[0][:40]!r}, which is not known")
    return body


def _from_its_own_site(request: web.Request) -> None:
    """A browser says which page's request it is; a form of a foreign page must not take a lock."""
    origin = request.headers.get("Origin")
    if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and request.method != "GET":
        raise ForeignSiteError("a page of another site asks")
    if origin is not None and origin.partition("://")[2] != request.host:
        raise ForeignSiteError(f"a page of {origin[:100]} asks, and this is {request.host[:100]}")


def _name(request: web.Request, part: str) -> str:
    """Decoded once, and by us: aiohttp takes `%FF` and `%25FF` for one name."""
    try:
        segment = urlsplit(request.raw_path).path.split("/")[3]
    except (ValueError, IndexError):
        raise BadInputError(f"the {part} is not to be found in this path") from None
    try:
        return _word(unquote_to_bytes(segment).decode(), f"the {part}")
    except UnicodeDecodeError:
        raise BadInputError(f"the {part} is not UTF-8") from None


def _word(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value or len(value) > LONGEST_NAME:
        raise BadInputError(f"{what} is a string of 1 to {LONGEST_NAME} characters")
    return _text(value, what)


def _text(value: str, what: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadInputError(f"{what} is no Unicode text: it has half of a pair of surrogates") from None
    return value


def _value(body: dict[str, Any], what: str) -> str | int | None:
    value = body[what]
    if isinstance(value, str):
        return _text(value, what)
    if value is None or (type(value) is int and abs(value) <= BIGGEST):
        return value
    raise BadInputError(f"{what} is a string, a 64-bit integer, or null")


def _integer(value: Any, what: str, most: int = BIGGEST) -> int:
    if type(value) is not int or not 0 < value <= most:
        raise BadInputError(f"{what} is an integer from 1 to {most}")
    return value


def _joining(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise BadInputError("join is an object: of each node's name, where peers reach it")
    return {_node_name(id): _place(address) for id, address in value.items()}


def _leaving(value: Any) -> set[str]:
    if not isinstance(value, list):
        raise BadInputError("leave is a list of nodes' names")
    return set(map(_node_name, value))


def _node_name(value: Any) -> str:
    if not (isinstance(value, str) and NODE_NAME.fullmatch(value)):
        raise BadInputError("a node's name has up to 64 letters, digits, '.', '_' and '-'")
    return value


def _place(value: Any) -> str:
    host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not (colon and host and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise BadInputError("where a node is reached is of the form HOST:PORT")
    return _word(value, "where a node is reached")


def _digits(text: str, what: str) -> int:
    """A canonical positive integer."""
    if not (text.isascii() and text.isdigit() and len(text) < 20) or text.startswith("0"):
        raise BadInputError(f"{what} is an integer from 1 to {BIGGEST}")
    return _integer(int(text), what)


def _deadline(request: web.Request) -> float:
    """In seconds."""
    said = request.headers.get("X-Deadline-Ms")
    wanted = USUAL_DEADLINE_MS if said is None else _digits(said, "X-Deadline-Ms")
    return min(wanted, LONGEST_DEADLINE_MS) / 1000


# -- What they are told --------------------------------------------------------------------------------


def _ok(done: Result, otherwise: str) -> web.Response:
    if done:
        return web.json_response({"ok": True})
    return web.json_response({"ok": False, "error": otherwise}, status=409)


def _error(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=status)


def url(host: str, port: int, scheme: str = "http") -> str:
    return f"{scheme}://{quote(f'[{host}]' if ':' in host else host, safe='[]:.')}:{port}"
