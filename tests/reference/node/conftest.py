"""Real clusters, real faults: processes to kill and pause, proxies to cut, clients that remember."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oneleader_raft.node.client import Client, UnknownOutcomeError
from oneleader_raft.node.links import Address
from oneleader_raft.node.local import HOST, LocalCluster
from oneleader_raft.raft import NodeId
from oneleader_raft.testbench.clients import Operation

Pair = tuple[NodeId, NodeId]


class Proxies:
    """One for each directed pair of nodes. What is sent over a cut one is held back, and comes when it mends:
    late messages are part of the fault."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._open: dict[Pair, asyncio.Event] = {}
        self._at: dict[Pair, Address] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def route(self, source: NodeId, to: NodeId, address: Address) -> Address:
        if source == to:
            return address
        if (source, to) not in self._at:
            self._at[source, to] = self._call(self._serve((source, to), address))
        return self._at[source, to]

    def cut(self, node: NodeId) -> None:
        """Nothing to this node, and nothing from it."""
        for pair in self._open:
            if node in pair:
                self._loop.call_soon_threadsafe(self._open[pair].clear)

    def heal(self) -> None:
        for event in self._open.values():
            self._loop.call_soon_threadsafe(event.set)

    def close(self) -> None:
        async def cancelled() -> None:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        self._call(cancelled())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _call(self, coroutine):  # type: ignore[no-untyped-def]
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _serve(self, pair: Pair, address: Address) -> Address:
        self._open[pair] = asyncio.Event()
        self._open[pair].set()

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            self._tasks.add(task)
            try:
                await self._open[pair].wait()
                there, back = await asyncio.open_connection(*address)
                await asyncio.gather(self._copy(pair, reader, back), self._copy(pair, there, writer))
            except (OSError, asyncio.CancelledError):
                pass
            finally:
                writer.close()
                self._tasks.discard(task)

        server = await asyncio.start_server(accepted, HOST, 0)
        host, port = server.sockets[0].getsockname()[:2]
        return host, port

    async def _copy(self, pair: Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                await self._open[pair].wait()
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


class Clients:
    """Threads that write, compare and read through the client, and one for each node that reads from it alone
    and does not follow it to others. `history` is what they did and saw."""

    KEYS = ("x", "y")

    def __init__(self, cluster: LocalCluster, writers: int = 2, pause: float = 0.05) -> None:
        self.history: list[Operation] = []
        self._cluster, self._pause = cluster, pause
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(f"w{i}", i)) for i in range(writers)]
        self._threads += [threading.Thread(target=self._read, args=(id,)) for id in cluster.members]
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[Operation]:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self.history

    @property
    def acknowledged(self) -> int:
        return sum(o.returned != float("inf") and o.kind != "read" for o in list(self.history))

    def _write(self, name: str, seed: int) -> None:
        chance, number = random.Random(seed), 0
        with Client(list(self._cluster.apis.values()), name, deadline=5) as client:
            while not self._stop.wait(self._pause):
                number += 1
                key, value = chance.choice(self.KEYS), f"{name}-{number}"
                called = time.monotonic()
                try:
                    self.history.append(self._one(chance.random(), client, key, value, called))
                except UnknownOutcomeError:
                    self.history.append(Operation(name, "write", key, called, value=value))

    def _one(self, chance: float, client: Client, key: str, value: str, called: float) -> Operation:
        if chance < 0.6:
            client.put(key, value)
            return Operation(client.name, "write", key, called, time.monotonic(), value)
        read = client.get(key)
        seen = Operation(client.name, "read", key, called, time.monotonic(), result=read)
        if chance < 0.8:
            return seen
        self.history.append(seen)
        called = time.monotonic()
        try:
            done = client.compare_and_set(key, read, value)
        except UnknownOutcomeError:
            return Operation(client.name, "cas", key, called, value=value, expected=read)
        return Operation(client.name, "cas", key, called, time.monotonic(), value, read, done)

    def _read(self, id: NodeId) -> None:
        """Without following to another node."""
        opener = urllib.request.build_opener(_StayHere)
        while not self._stop.wait(self._pause / 2):
            for key in self.KEYS:
                called = time.monotonic()
                try:
                    with opener.open(f"{self._cluster.apis[id]}/v1/keys/{key}", timeout=3) as answer:
                        value = json.load(answer)["value"]
                except OSError:
                    continue
                self.history.append(Operation(f"r-{id}", "read", key, called, time.monotonic(), result=value))


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *of: object) -> None:
        return None


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[Callable[..., LocalCluster]]:
    """Makes clusters of processes, which are gone after the test."""
    made: list[LocalCluster] = []

    def make(folder: Path | None = None, **how: object) -> LocalCluster:
        made.append(LocalCluster(folder or tmp_path / "cluster", **how))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for cluster in made:
        cluster.stop()


@pytest.fixture(scope="module")
def proxies() -> Iterator[Callable[[], Proxies]]:
    """Makes those of one cluster."""
    made: list[Proxies] = []

    def make() -> Proxies:
        made.append(Proxies())
        return made[-1]

    yield make
    for proxies in made:
        proxies.close()


@pytest.fixture(scope="module")
def clients() -> type[Clients]:
    return Clients
