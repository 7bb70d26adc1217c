"""The HTTP API of one node: what it answers, what it refuses in words, and that its description is true."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from oneleader_raft.node.api import Api
from oneleader_raft.node.client import Answer as Reply
from oneleader_raft.node.client import (
    AsyncClient,
    Backoff,
    Client,
    Conversations,
    Fenced,
    RefusedError,
    UnknownOutcomeError,
    get,
)
from oneleader_raft.node.clock import ClockWentBackError
from oneleader_raft.node.complaints import Complaints
from oneleader_raft.node.door import MALFORMED, Door, most_clients
from oneleader_raft.node.errors import UnusableError
from oneleader_raft.node.links import Address
from oneleader_raft.node.local import HOST, free_ports
from oneleader_raft.node.openapi import DOCUMENT
from oneleader_raft.node.server import Server
from oneleader_raft.node.settings import NodeSettings
from oneleader_raft.state_machine import Put

Http = TestClient[web.Request, web.Application]
Test = Callable[[Http, Server], Awaitable[None]]


def with_node(folder: Path, test: Test, others: dict[str, Address] | None = None, door: bool = False) -> None:
    """Run the test against a node that leads, or, where it has `others` that are away, does not; behind its
    door for clients, if that is asked."""

    async def main() -> None:
        listener = socket.create_server((HOST, 0))
        peers = {"n1": listener.getsockname()[:2]} | (others or {})
        server = Server(NodeSettings("n1", peers, folder, promise_ms=50, heartbeat_ms=10))
        node = asyncio.create_task(server.run(listener))
        serving = TestServer(Api(server).app)
        async with TestClient(serving) as http:
            if door:
                assert serving.runner.server
                Door(serving.runner.server)
            while not others and server.lease_left == 0:
                await asyncio.sleep(0.01)
            await test(http, server)
        node.cancel()
        await asyncio.gather(node, return_exceptions=True)

    asyncio.run(main())


async def answer(http: Http, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.request(method, path, json=body, headers=named, allow_redirects=False) as said:
        return said.status, await said.json()


def test_keys(tmp_path: Path) -> None:
    async def test(http: Http, server: Server) -> None:
        key = "/v1/keys/a%2Fb"
        assert await answer(http, "GET", key) == (200, {"key": "a/b", "value": None, "found": False})
        assert await answer(http, "PUT", key, {"value": "one"}) == (200, {"ok": True})
        assert await answer(http, "GET", key) == (200, {"key": "a/b", "value": "one", "found": True})
        status, said = await answer(http, "PUT", key, {"value": "two", "expected": None})
        assert (status, said["ok"]) == (409, False)
        assert await answer(http, "PUT", key, {"value": 2, "expected": "one"}) == (200, {"ok": True})
        assert (await answer(http, "GET", key))[1]["value"] == 2

    with_node(tmp_path, test)


@pytest.mark.parametrize("key", ["a{b}", "{", "..", ".", "a/../b", "ä %2F?#&", "x.y"])
def test_any_name_is_a_key(key: str, tmp_path: Path) -> None:
    async def test(http: Http, server: Server) -> None:
        origin = str(http.make_url(""))
        async with AsyncClient([origin]) as client:
            await client.put(key, "one")
            assert await client.get(key) == "one"
        assert await asyncio.to_thread(Client([origin]).get, key) == "one"
        assert dict(server.machine.values) == {key: "one"}

    with_node(tmp_path, test)


def test_locks_and_fenced_keys(tmp_path: Path) -> None:
    async def test(http: Http, server: Server) -> None:
        status, grant = await answer(
            http, "POST", "/v1/locks/l", {"ttl_ms": 200}, X_Client="c", X_Request="1"
        )
        assert status == 201
        assert grant["nonce"] == "c/1"
        token = grant["token"]
        assert (await answer(http, "POST", "/v1/locks/l", {"ttl_ms": 200}))[0] == 409
        assert (await answer(http, "PUT", "/v1/locks/l", {"token": token}))[0] == 200
        assert (await answer(http, "PUT", "/v1/locks/l", {"token": token + 1}))[0] == 409
        assert (await answer(http, "DELETE", f"/v1/locks/l?token={token + 1}"))[0] == 409
        began = time.monotonic()
        while (found := await answer(http, "POST", "/v1/locks/l", {"ttl_ms": 60_000}))[0] == 409:
            assert time.monotonic() < began + 10, "the lock does not run out"
            await asyncio.sleep(0.01)
        newer = found[1]
        assert newer["token"] > token
        assert (await answer(http, "DELETE", f"/v1/locks/l?token={token}"))[0] == 409, "it harms nobody"

        assert (await answer(http, "PUT", "/v1/fenced/f", {"value": "new", **newer}))[0] == 200
        assert (await answer(http, "PUT", "/v1/fenced/f", {"value": "late", **grant}))[0] == 409
        assert await answer(http, "GET", "/v1/fenced/f") == (
            200,
            {"value": "new", "token": newer["token"], "found": True},
        )
        assert (await answer(http, "GET", "/v1/keys/f"))[1]["found"] is False
        assert (await answer(http, "DELETE", f"/v1/locks/l?token={newer['token']}"))[0] == 200

    with_node(tmp_path, test)


def test_a_retry_takes_effect_once(tmp_path: Path) -> None:
    async def test(http: Http, server: Server) -> None:
        first = {"X_Client": "c", "X_Request": "1"}
        assert (await answer(http, "PUT", "/v1/keys/k", {"value": 1}, **first))[0] == 200
        assert (await answer(http, "PUT", "/v1/keys/k", {"value": 2}))[0] == 200
        assert (await answer(http, "PUT", "/v1/keys/k", {"value": 1}, **first))[0] == 200
        assert (await answer(http, "GET", "/v1/keys/k"))[1]["value"] == 2
        at_once = [answer(http, "POST", "/v1/locks/l", {"ttl_ms": 9999}, X_Client="c", X_Request="2")] * 1
        at_once += [answer(http, "POST", "/v1/locks/l", {"ttl_ms": 9999}, X_Client="c", X_Request="2")]
        one, two = await asyncio.gather(*at_once)
        assert one == two
        assert one[0] == 201
        status, said = await answer(http, "PUT", "/v1/keys/k", {"value": 3}, **first)
        assert (status, said) == (400, {"error": "request 1 of c is older than 2"})

    with_node(tmp_path, test)


BAD: list[tuple[str, str, Any, dict[str, str], str]] = [
    ("PUT", "/v1/keys/k", [], {}, "the body is not a JSON object"),
    ("PUT", "/v1/keys/k", {}, {}, "the body needs value"),
    ("PUT", "/v1/keys/k", {"value": 1, "exp": 2}, {}, "the body says 'exp', which is not known"),
    ("PUT", "/v1/keys/k", {"value": [1]}, {}, "value is a string, a 64-bit integer, or null"),
    ("PUT", "/v1/keys/k", {"value": True}, {}, "value is a string, a 64-bit integer, or null"),
    ("PUT", "/v1/keys/k", {"value": 2**63}, {}, "value is a string, a 64-bit integer, or null"),
    ("PUT", "/v1/keys/k", {"value": "\ud800"}, {}, "value is no Unicode text"),
    ("PUT", "/v1/keys/" + "k" * 1025, {"value": 1}, {}, "the key is a string of 1 to 1024 characters"),
    ("PUT", "/v1/keys/k", {"value": 1}, {"X_Client": "c"}, "X-Client and X-Request belong together"),
    (
        "PUT",
        "/v1/keys/k",
        {"value": 1},
        {"X_Client": "c", "X_Request": "01"},
        "X-Request is an integer from 1",
    ),
    ("PUT", "/v1/keys/k", {"value": 1}, {"X_Client": "node:n1", "X_Request": "1"}, "as only nodes' own"),
    ("PUT", "/v1/keys/k", {"value": 1}, {"X_Deadline_Ms": "soon"}, "X-Deadline-Ms is an integer from 1"),
    ("POST", "/v1/locks/l", {"ttl_ms": 0}, {}, "ttl_ms is an integer from 1 to 86400000"),
    ("POST", "/v1/locks/l", {"ttl_ms": 1.5}, {}, "ttl_ms is an integer"),
    ("PUT", "/v1/locks/l", {"token": "1"}, {}, "token is an integer from 1"),
    ("DELETE", "/v1/locks/l", None, {}, "token is an integer from 1"),
    ("DELETE", "/v1/locks/l?token=+1", None, {}, "token is an integer from 1"),
    ("PUT", "/v1/fenced/f", {"value": 1, "token": 1, "nonce": ""}, {}, "nonce is a string of 1 to"),
]


def test_bad_input_is_refused_in_one_sentence(tmp_path: Path) -> None:
    async def test(http: Http, server: Server) -> None:
        last = server.node.last_index
        for method, path, body, headers, sentence in BAD:
            status, said = await answer(http, method, path, body, **headers)
            assert (status, sentence in said["error"]) == (400, True), (path, body, said)
            assert "\n" not in said["error"]
        async with http.put("/v1/keys/k", data=b"\xff{") as said:
            assert (said.status, await said.json()) == (400, {"error": "the body is not valid JSON"})
        async with http.put("/v1/keys/k", data=b"x" * (1 << 19)) as said:
            assert said.status == 413
        assert (await answer(http, "GET", "/v1/nothing"))[0] == 404
        async with http.patch("/v1/keys/k") as said:
            assert (said.status, said.headers["Allow"]) == (405, "GET,HEAD,PUT")
        assert server.node.last_index == last, "nothing was proposed"

    with_node(tmp_path, test)


def test_a_name_is_decoded_once(tmp_path: Path) -> None:
    async def test(http: Http, server: Server) -> None:
        for path, key in (("%2525", "%25"), ("a%2Fb", "a/b"), ("%25FF", "%FF"), ("%E2%82%AC", "€")):
            async with http.get(URL(f"/v1/keys/{path}", encoded=True)) as said:
                assert (await said.json())["key"] == key
        async with http.get(URL("/v1/keys/%FF", encoded=True)) as said:
            assert (said.status, await said.json()) == (400, {"error": "the key is not UTF-8"})

    with_node(tmp_path, test)


def test_a_form_of_a_foreign_page_takes_no_lock(tmp_path: Path) -> None:
    async def test(http: Http, server: Server) -> None:
        status, said = await answer(
            http, "POST", "/v1/locks/l", {"ttl_ms": 1000}, Origin="http://evil.example"
        )
        assert (status, "a page of http://evil.example asks" in said["error"]) == (403, True)
        own = f"http://{HOST}:{http.port}"
        assert (await answer(http, "POST", "/v1/locks/l", {"ttl_ms": 1000}, Origin=own))[0] == 201

    with_node(tmp_path, test)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("PUT /v1/keys/a HTTP/1.1\r\nContent-Encoding: gzip", 400),
        ("PUT /v1/keys/a HTTP/1.1\r\nContent-Encoding: identity", 400),
        ("PUT /v1/keys/a HTTP/1.1\r\nAuthorization: Bearer \xff\xfe", 200),
        ("PUT /v1/keys/a HTTP/1.1\r\nAuthorization: \xff", 200),
        ("PUT /v1/keys/a HTTP/1.1\r\nOrigin: http://[::1", 403),
        ("PUT /v1/keys/a HTTP/1.1\r\nOrigin: \xff", 403),
        ("PUT /v1/keys/a HTTP/1.1\r\nSec-Fetch-Site: cross-site", 403),
        ("GET /v1/keys/a HTTP/1.1\r\nSec-Fetch-Site: cross-site", 200),
        ("PUT /v1/keys/[::1 HTTP/1.1", 200),
        ("PUT //[::1/v1/keys/a HTTP/1.1", 404),
        ("PUT http://[::1/v1/keys/a HTTP/1.1", 400),
        ("PUT /v1/keys/\xff HTTP/1.1", 400),
    ],
)
def test_what_no_client_sends_is_answered_without_a_fault(tmp_path: Path, head: str, status: int) -> None:
    async def test(http: Http, server: Server) -> None:
        reader, writer = await asyncio.open_connection(HOST, http.port)
        body = '{"value": 1}' if head.startswith("PUT") else ""
        rest = f"Host: {HOST}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        writer.write(f"{head}\r\n{rest}".encode("latin-1"))
        said = (await reader.readline()).split()
        assert int(said[1]) == status
        writer.close()

    with_node(tmp_path, test)


CHUNKED = b"PUT /v1/keys/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(("files", "clients"), [(-1, 256), (1024, 256), (256, 128), (1, 1)])
def test_clients_leave_files_for_peers_and_the_store(
    files: int, clients: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, -1))
    assert most_clients() == clients


ODD_REQUESTS = [
    b"hello\r\n\r\n",
    b"\x16\x03\x01" + bytes(500),
    b"GET / HTTP/9.9\r\nHost: h\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000,
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
    b"GET /\0 HTTP/1.1\r\n\r\n",
    CHUNKED + b"zz\r\n",
    CHUNKED + b"-5\r\n",
    CHUNKED + b"5\r\n{",
    CHUNKED + b"f" * 20 + b"\r\n",
    b"PUT /v1/keys/a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{",
    b"PUT /v1/keys/a HTTP/1.1\r\nHost: h\r\nContent-Length: -9\r\n\r\n{",
    b"PUT /v1/keys/a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nContent-Length: 8\r\n\r\n{",
]


def test_what_is_no_http_does_not_fill_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line for each kind, once in a while; what goes wrong in the node itself keeps its traceback."""
    monkeypatch.setattr(MALFORMED, "_complaints", Complaints())

    async def test(http: Http, server: Server) -> None:
        for data in 3 * ODD_REQUESTS:
            reader, writer = await asyncio.open_connection(HOST, http.port)
            writer.write(data)
            writer.write_eof()
            with suppress(ConnectionError):
                assert (await reader.read()).split()[1:2] in ([], [b"400"])
            writer.close()
        assert (await answer(http, "GET", "/health"))[0] == 200

        def broken() -> None:
            raise LookupError("a fault of the node")

        server.status = broken  # type: ignore[assignment, method-assign]
        async with http.get("/v1/status") as said:
            assert said.status == 500

    with_node(tmp_path, test, door=True)
    assert [r.levelname for r in caplog.records if r.exc_info] == ["ERROR"]
    complaints = [r for r in caplog.records if r.getMessage() == "malformed request"]
    assert 3 <= len(complaints) <= 10
    assert len(caplog.records) < 20


def test_readiness_is_not_liveness(tmp_path: Path) -> None:
    async def leads(http: Http, server: Server) -> None:
        assert await answer(http, "GET", "/ready") == (200, {"ok": True})
        await server.hand_over()
        assert await answer(http, "GET", "/ready") == (503, {"error": "this node is stopping"})
        assert (await answer(http, "GET", "/health"))[0] == 200
        status, said = await answer(http, "PUT", "/v1/keys/k", {"value": 1})
        assert (status, said) == (503, {"error": "this node is stopping"})

    async def alone(http: Http, server: Server) -> None:
        assert await answer(http, "GET", "/ready") == (503, {"error": "no leader is known to this node"})

    with_node(tmp_path, leads)
    with_node(tmp_path / "away", alone, {"n2": (HOST, free_ports(1)[0])})


def test_a_clock_that_goes_back_stops_the_node(tmp_path: Path) -> None:
    async def main() -> None:
        listener = socket.create_server((HOST, 0))
        peers = {"n1": listener.getsockname()[:2]}
        server = Server(NodeSettings("n1", peers, tmp_path, promise_ms=50, heartbeat_ms=10))
        node = asyncio.create_task(server.run(listener))
        while server.lease_left == 0:
            await asyncio.sleep(0.01)
        now = server.clock.now()
        server.clock._source = lambda: now - 1_000_000
        with pytest.raises(ClockWentBackError, match="went back by"):
            await asyncio.wait_for(node, 10)

    asyncio.run(main())


def test_connections_without_a_request_do_not_stay(tmp_path: Path) -> None:
    """Nor are there more than so many at once; one with a request may take its time."""

    async def main() -> None:
        async def slow(request: web.Request) -> web.Response:
            with door.answering(request.transport):
                await asyncio.sleep(0.6)
                return web.Response(text="done")

        app = web.Application()
        app.router.add_get("/", slow)
        runner = web.AppRunner(app)
        await runner.setup()
        assert runner.server
        door = Door(runner.server, most=3, seconds=0.3)
        listening = await asyncio.get_running_loop().create_server(door, HOST, 0)
        where = listening.sockets[0].getsockname()

        asking = [await asyncio.open_connection(*where) for _ in range(3)]
        asking[0][1].write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        asking[1][1].write(b"GET / HTTP/1.1\r\nHost: ")  # and never more
        too_many, _ = await asyncio.open_connection(*where)
        assert await ended(too_many) == b""
        assert [await ended(asking[1][0]), await ended(asking[2][0])] == [b"", b""]
        assert len(door.open) == 1
        assert b"done" in await ended(asking[0][0])
        assert not door.open  # kept alive, and ended when nothing more was asked
        listening.close()
        await runner.cleanup()

    async def ended(reader: asyncio.StreamReader) -> bytes:
        try:
            return await asyncio.wait_for(reader.read(), 10)
        except ConnectionError:
            return b""

    asyncio.run(main())


def test_a_node_that_hears_no_leader_says_so(tmp_path: Path) -> None:
    """Two others that are away: nobody can be elected."""

    async def test(http: Http, server: Server) -> None:
        for method, path, body in (("GET", "/v1/keys/k", None), ("PUT", "/v1/keys/k", {"value": 1})):
            assert await answer(http, method, path, body) == (
                503,
                {"error": "no leader is known to this node"},
            )
        assert (await answer(http, "GET", "/v1/leader"))[0] == 503
        assert (await answer(http, "GET", "/health"))[0] == 200
        assert (await answer(http, "GET", "/v1/status"))[1]["connected"] == []

    away = dict(zip(("n2", "n3"), ((HOST, port) for port in free_ports(2)), strict=True))
    with_node(tmp_path, test, away)


def test_what_it_tells_prometheus(tmp_path: Path) -> None:
    async def test(http: Http, server: Server) -> None:
        assert (await answer(http, "PUT", "/v1/fenced/f", {"value": 1, "token": 5, "nonce": "a"}))[0] == 200
        assert (await answer(http, "PUT", "/v1/fenced/f", {"value": 1, "token": 4, "nonce": "b"}))[0] == 409
        async with http.get("/metrics") as said:
            assert said.status == 200
            text = await said.text()
        of = 'cluster="oneleader",member="n1"'
        assert f'oneleader_role{{{of},role="leader"}} 1.0' in text
        assert f'oneleader_fenced_writes_total{{{of},outcome="accepted"}} 1.0' in text
        assert f'oneleader_fenced_writes_total{{{of},outcome="refused"}} 1.0' in text

    with_node(tmp_path, test)


def test_who_leads(tmp_path: Path) -> None:
    async def test(http: Http, server: Server) -> None:
        status, said = await answer(http, "GET", "/v1/leader")
        assert (status, said["id"], said["term"]) == (200, "n1", 1)
        assert 0 < said["lease_ms"] <= 50

    with_node(tmp_path, test)


def test_a_node_that_cannot_store_stops(tmp_path: Path) -> None:
    """It does not answer, and does not go on."""

    async def main() -> None:
        listener = socket.create_server((HOST, 0))
        server = Server(NodeSettings("n1", {"n1": listener.getsockname()[:2]}, tmp_path, promise_ms=50))
        node = asyncio.create_task(server.run(listener))
        while server.lease_left == 0:
            await asyncio.sleep(0.01)
        server._store._db.execute("PRAGMA query_only = 1")
        write = asyncio.create_task(server.write(server.request(Put("k", "v"))))
        with pytest.raises(
            UnusableError, match=r"n1\.db cannot be used: attempt to write a readonly database"
        ):
            await asyncio.wait_for(node, 10)
        assert not write.done()
        assert dict(server.machine.values) == {}
        write.cancel()

    asyncio.run(main())


def test_the_description_is_true(tmp_path: Path) -> None:
    """Each route is described, and each description has a route."""

    async def test(http: Http, server: Server) -> None:
        routes = {
            (route.resource.canonical, route.method.lower())
            for route in Api(server).app.router.routes()
            if route.resource and route.method != "HEAD"
        }
        described = {
            (path, method)
            for path, item in DOCUMENT["paths"].items()
            for method in item
            if method != "parameters"
        }
        assert described == routes
        assert await answer(http, "GET", "/openapi.json") == (200, DOCUMENT)

    with_node(tmp_path, test)


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_each_description_says_what_is_asked_and_answered(path: str) -> None:
    item = DOCUMENT["paths"][path]
    in_path = {part[1:-1] for part in path.split("/") if part.startswith("{")}
    assert {p["name"] for p in item.get("parameters", [])} == in_path
    for method, described in item.items():
        if method == "parameters":
            continue
        assert described["summary"].endswith(".")
        assert described["responses"]
        assert ("requestBody" in described) is (method in ("put", "post"))


def test_the_async_client(tmp_path: Path) -> None:
    async def test(http: Http, server: Server) -> None:
        async with AsyncClient([str(http.make_url(""))]) as client:
            assert await client.get("k") is None
            assert await client.put("k", "v")
            assert not await client.compare_and_set("k", "x", "y")
            grant = await client.acquire("l", 5000)
            assert grant
            assert await client.acquire("l", 5000) is None
            assert await client.renew("l", grant.token)
            assert await client.fenced_put("f", 7, grant.token, grant.nonce)
            assert not await client.fenced_put("f", 8, grant.token, "another")
            assert await client.fenced_get("f") == Fenced(7, grant.token)
            assert await client.release("l", grant.token)
            with pytest.raises(RefusedError, match="64-bit"):
                await client.put("k", 2**63)

    with_node(tmp_path, test)


def test_a_client_goes_on_until_its_deadline() -> None:
    """It follows to the leader, tries others where there is none, and repeats with the same number."""
    conversation = Conversations(["http://a", "http://b"], "c").hold(get("k"), time.monotonic() + 60)
    first = next(conversation)
    asked = [first]
    for reply in (Reply(307, "http://b/v1/keys/k", b""), None, Reply(503, "", b""), Reply(504, "", b"")):
        wanted = conversation.send(reply)
        while isinstance(wanted, Backoff):
            wanted = conversation.send(None)
        asked.append(wanted)
    assert [getattr(ask, "origin", None) for ask in asked] == [
        "http://a",
        "http://b",
        "http://a",
        "http://b",
        "http://a",
    ]
    assert len({getattr(ask, "headers", {})["X-Request"] for ask in asked}) == 1
    with pytest.raises(StopIteration) as end:
        conversation.send(Reply(200, "", b'{"value": "v"}'))
    assert end.value.value == "v"
    with pytest.raises(UnknownOutcomeError):
        next(Conversations(["http://a"]).hold(get("k"), time.monotonic() - 1))
