"""`make bench-node`: the 3-node local cluster beside PySyncObj and etcd, with the same clients and disk.

Both are three processes with a journal on disk, and both serve `PUT /v1/keys/{key}` by aiohttp; clients write
by HTTP to the leader, each one write after the other. PySyncObj never syncs its journal: so it is run as it
is, and with its own `flush` (msync) after each entry. The node syncs before it answers; for comparison it is
also run with SQLite's synchronous=OFF. etcd syncs; its clients write by its JSON gateway. A write without an
answer in time is counted, and the load goes on. Each is measured in turn, several times; the median run
counts. Then: how long after kill -9 of the leader another one holds a lease.

`bench_node.py SECONDS ROUNDS KILLS`: how long a load lasts, how often each is measured, how many kills.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from oneleader_raft.node.client import AsyncClient, UnknownOutcomeError
from oneleader_raft.node.local import MODULE, LocalCluster, free_ports

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
KILLS = int(sys.argv[3]) if len(sys.argv) > 3 else 20
CLIENTS = (1, 16, 64)

UNSYNCED = """
import sys
from oneleader_raft.node import __main__, store

def without_sync(self):
    self._db.execute("PRAGMA journal_mode = WAL")
    self._db.execute("PRAGMA synchronous = OFF")

store.NodeStore._make_durable = without_sync
sys.exit(__main__.main())
"""

PYSYNCOBJ = """
import argparse, asyncio, sys
from aiohttp import web
from pysyncobj import SyncObj, SyncObjConf, replicated
from pysyncobj import journal

parser = argparse.ArgumentParser()
for name in ("--id", "--peers", "--listen", "--api", "--data"):
    parser.add_argument(name)
parser.add_argument("--flush", action="store_true")
options, _ = parser.parse_known_args()
if options.flush:
    add = journal.FileJournal.add
    journal.FileJournal.add = lambda self, *entry: (add(self, *entry), self.flush())[0]
peers = dict(peer.split("=") for peer in options.peers.split(","))

class Store(SyncObj):
    def __init__(self):
        others = [at for id, at in peers.items() if id != options.id]
        super().__init__(peers[options.id], others, SyncObjConf(
            journalFile=f"{options.data}/{options.id}.journal", appendEntriesUseBatch=False,
            raftMinTimeout=0.3, raftMaxTimeout=0.6, appendEntriesPeriod=0.06, connectionRetryTime=0.2))
        self.values = {}

    @replicated
    def write(self, key, value):
        self.values[key] = value
        return True

store = Store()

async def put(request):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    value = (await request.json())["value"]
    store.write(request.match_info["key"], value,
                callback=lambda result, error: loop.call_soon_threadsafe(done.set_result, error))
    error = await done
    return web.json_response({"ok": not error}, status=503 if error else 200)

async def status(request):
    leads = str(store._getLeader()) == peers[options.id]
    return web.json_response({"lease_ms": int(leads)})

app = web.Application()
app.add_routes([web.put("/v1/keys/{key}", put), web.get("/v1/status", status)])
host, port = options.api.split(":")
web.run_app(app, host=host, port=int(port), print=None, access_log=None)
"""


Put = Callable[[str, str], Awaitable[object]]
Connect = Callable[[Sequence[str]], AbstractAsyncContextManager[Put]]


@asynccontextmanager
async def by_the_client(apis: Sequence[str]) -> AsyncIterator[Put]:
    async with AsyncClient(apis) as client:
        yield client.put


@asynccontextmanager
async def by_the_gateway(apis: Sequence[str]) -> AsyncIterator[Put]:
    """Of etcd."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:

        async def put(key: str, value: str) -> None:
            said = {
                name: b64encode(text.encode()).decode() for name, text in (("key", key), ("value", value))
            }
            try:
                async with session.post(f"{apis[0]}/v3/kv/put", json=said) as answer:
                    answer.raise_for_status()
                    await answer.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                raise UnknownOutcomeError(str(error)) from None

        yield put


@dataclass(frozen=True)
class Loaded:
    """Writes a second, how long each took in milliseconds, sorted, and how many had no answer in time."""

    rate: float
    took: Sequence[float]
    unanswered: int


async def load(apis: Sequence[str], clients: int, seconds: float, connect: Connect = by_the_client) -> Loaded:
    took: list[float] = []
    unanswered = 0

    async def write(number: int) -> None:
        nonlocal unanswered
        async with connect(apis) as put:
            while time.perf_counter() < until:
                began = time.perf_counter()
                try:
                    await put(f"key-{number}-{len(took) % 100}", "v" * 100)
                    took.append((time.perf_counter() - began) * 1000)
                except UnknownOutcomeError:
                    unanswered += 1

    began = time.perf_counter()
    until = began + seconds
    await asyncio.gather(*map(write, range(clients)))
    return Loaded(len(took) / (time.perf_counter() - began), sorted(took) or [float("nan")], unanswered)


def percentile(values: Sequence[float], part: float) -> float:
    return values[min(len(values) - 1, int(len(values) * part))]


@dataclass(frozen=True)
class Subject:
    """Who is measured: how to run a node of it; nothing for etcd, which is run as it is."""

    name: str
    run: Sequence[str] = ()
    options: Sequence[str] = ()


@dataclass(frozen=True)
class Measured:
    rate: float
    p50: float
    p99: float
    unanswered: int


def measure(subject: Subject, clients: int) -> Measured:
    with tempfile.TemporaryDirectory() as folder, running(subject, Path(folder)) as (apis, connect):
        asyncio.run(load(apis, clients, 0.5, connect))
        done = asyncio.run(load(apis, clients, SECONDS, connect))
    return Measured(done.rate, percentile(done.took, 0.5), percentile(done.took, 0.99), done.unanswered)


@contextmanager
def running(subject: Subject, folder: Path) -> Iterator[tuple[Sequence[str], Connect]]:
    """The addresses of its nodes, the leader's first, and how to write to them."""
    if not subject.run:
        with running_etcd(folder) as apis:
            yield apis, by_the_gateway
        return
    cluster = LocalCluster(folder, run=subject.run, options=subject.options, trace=False)
    cluster.start()
    try:
        leader = cluster.leader(20)
        yield (
            [cluster.apis[leader], *(api for id, api in cluster.apis.items() if id != leader)],
            by_the_client,
        )
    finally:
        cluster.stop()


@contextmanager
def running_etcd(folder: Path) -> Iterator[Sequence[str]]:
    """Three members; the addresses for clients, the leader's first."""
    ports = free_ports(6)
    apis, peers = ([f"http://127.0.0.1:{port}" for port in some] for some in (ports[:3], ports[3:]))
    all_of_them = ",".join(f"e{i}={peer}" for i, peer in enumerate(peers))
    processes = []
    for i, (api, peer) in enumerate(zip(apis, peers, strict=True)):
        words = ["etcd", "--name", f"e{i}", "--data-dir", str(folder / f"e{i}")]
        words += ["--initial-cluster", all_of_them, "--listen-peer-urls", peer]
        words += ["--initial-advertise-peer-urls", peer, "--listen-client-urls", api]
        words += ["--advertise-client-urls", api, "--log-level", "error"]
        processes.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    try:
        yield sorted(apis, key=lambda api: not etcd_leads(api))
    finally:
        for process in processes:
            process.kill()
            process.wait()


def etcd_leads(api: str) -> bool:
    """Once it answers and knows a leader."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"{api}/v3/maintenance/status", b"{}", timeout=5) as answer:
                said = json.load(answer)
            if said.get("leader", "0") != "0":
                return bool(said["leader"] == said["header"]["member_id"])
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit("etcd has no leader within 30 seconds")


def side_by_side(subjects: Sequence[Subject], clients: int) -> dict[str, float]:
    """Writes a second, by name: the median of the rounds, in which each had its turn."""
    runs: dict[str, list[Measured]] = {subject.name: [] for subject in subjects}
    for _ in range(ROUNDS):
        for subject in subjects:
            runs[subject.name].append(measure(subject, clients))
    rates = {}
    for name, measured in runs.items():
        middle = sorted(measured, key=lambda m: m.rate)[len(measured) // 2]
        rates[name] = middle.rate
        numbers = f"{middle.rate:6.0f} writes/s   p50 {middle.p50:6.1f} ms   p99 {middle.p99:6.1f} ms"
        lost = sum(m.unanswered for m in measured)
        lost_too = f"   {lost} without an answer" if lost else ""
        print(f"{name:34} {clients:3} clients {numbers}{lost_too}", flush=True)
    return rates


def failover() -> None:
    """kill -9 of the leader, until another node holds a lease and has answered a write."""
    elected, written = [], []
    with tempfile.TemporaryDirectory() as folder:
        cluster = LocalCluster(Path(folder), trace=False)
        cluster.start()
        try:
            for _ in range(KILLS):
                leader = cluster.leader()
                others = [id for id in cluster.members if id != leader]
                while any(not cluster.status(id) for id in others):
                    time.sleep(0.05)
                time.sleep(1.0)  # everybody has heard it
                cluster.kill(leader)
                began = time.perf_counter()
                while not any((cluster.status(id) or {"lease_ms": 0})["lease_ms"] for id in others):
                    time.sleep(0.002)
                elected.append((time.perf_counter() - began) * 1000)
                asyncio.run(one_write([cluster.apis[id] for id in others]))
                written.append((time.perf_counter() - began) * 1000)
                cluster.start(leader)
        finally:
            cluster.stop()
    for what, took in (("holds a lease", sorted(elected)), ("has answered a write", sorted(written))):
        p99, median = percentile(took, 0.99), statistics.median(took)
        print(
            f"kill -9: another node {what:21} median {median:5.0f} ms   p99 {p99:5.0f} ms   ({KILLS} times)"
        )
    print("configured: promise 300 ms, election timeouts drawn from 300 to 600 ms")


BESIDE = [
    ("oneleader", "PySyncObj, flush after each entry"),
    ("oneleader, without fsync", "PySyncObj, as it is (no fsync)"),
    ("oneleader", "etcd"),
]


async def one_write(nodes: Sequence[str]) -> None:
    async with AsyncClient(nodes) as client:
        try:
            await client.put("k", "v")
        except UnknownOutcomeError:
            print("no write was answered within 10 s after a kill", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        unsynced, peer = Path(folder) / "unsynced.py", Path(folder) / "peer.py"
        unsynced.write_text(UNSYNCED)
        peer.write_text(PYSYNCOBJ)
        subjects = [
            Subject("oneleader", MODULE),
            Subject("oneleader, traced", MODULE, ("--trace",)),
            Subject("oneleader, without fsync", (str(unsynced),)),
        ]
        if importlib.util.find_spec("pysyncobj"):
            subjects += [
                Subject("PySyncObj, flush after each entry", (str(peer),), ("--flush",)),
                Subject("PySyncObj, as it is (no fsync)", (str(peer),)),
            ]
        else:
            print("PySyncObj is not installed: pip install 'oneleader[bench]'")
        if shutil.which("etcd"):
            subjects.append(Subject("etcd"))
        else:
            print("etcd is not installed: apt-get install etcd-server")
        for clients in CLIENTS:
            rates = side_by_side(subjects, clients)
            for ours, theirs in BESIDE:
                if theirs in rates:
                    ratio = rates[ours] / rates[theirs]
                    print(f"{clients} clients, writes/s, {ours} : {theirs}: {ratio:.2f}", flush=True)
    failover()


if __name__ == "__main__":
    main()
