"""`make bench-node`: the 3-node local cluster beside PySyncObj and etcd, with the same clients and disk.

All are three processes with a journal on disk. Clients write and read by HTTP at the leader, each one request
after the other; reads are linearizable, which PySyncObj has none of. PySyncObj never syncs its journal: so it
is run as it is, and with its own `flush` (msync) after each entry. The node syncs before it answers; for
comparison it is also run with SQLite's synchronous=OFF. etcd syncs; its clients use its JSON gateway. All
send heartbeats every 100 ms and have an election timeout of a second or two. A request without an answer
in time is counted, and the load goes on. Each is measured in turn, several times; the median run counts. On a
machine that has other things to do, rates say little: so the processor time of all three for a request is
measured as well.

All are measured again with that many entries written before. They lie in the stores of the node (as it leaves
them: a snapshot, and the last entries) and of PySyncObj when these start; etcd's are written by transactions.
Who has no leader within five minutes is said to have none, and the rest goes on. Then: whether the term moves
under the load of 64 clients, and of values of 240 KB; how long after kill -9 and after SIGTERM of the leader
another one holds a lease, and has answered a write.

`bench_node.py SECONDS ROUNDS STOPS [ENTRIES ...]`: how long a load lasts, how often each is measured, how
many leaders are stopped, and with how many entries; 0, 1000, 100000 and 1000000 if nothing else is said.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
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
from typing import TypeAlias

import aiohttp
from immutables import Map

from oneleader_raft.configuration import InEffect, Membership
from oneleader_raft.node.client import AsyncClient, UnknownOutcomeError
from oneleader_raft.node.local import MODULE, LocalCluster, free_ports
from oneleader_raft.node.log import growing
from oneleader_raft.node.settings import NodeSettings
from oneleader_raft.node.store import NodeStore
from oneleader_raft.raft import NO_SNAPSHOT, Durable, Entry, Snapshot
from oneleader_raft.state_machine import Put, Request, Session, StateMachine

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
STOPS = int(sys.argv[3]) if len(sys.argv) > 3 else 20
ENTRIES = [int(word) for word in sys.argv[4:]] or [0, 1000, 100_000, 1_000_000]
KEYS = 100_000  # over which the entries before are spread
START_SECONDS = 300
PATIENT = ("--promise-ms", "1000", "--heartbeat-ms", "100")  # as etcd does if nothing is said
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

PYSYNCOBJ = (
    f"KEYS = {KEYS}\n"
    + """
import argparse, asyncio, sys
from aiohttp import web
from pysyncobj import SyncObj, SyncObjConf, replicated
from pysyncobj import journal

parser = argparse.ArgumentParser()
for name in ("--id", "--peers", "--listen", "--api", "--data"):
    parser.add_argument(name)
parser.add_argument("--flush", action="store_true")
parser.add_argument("--before", type=int, default=0)
options, _ = parser.parse_known_args()
file = f"{options.data}/{options.id}.journal"
if options.before:
    from pysyncobj.pickle import dumps
    written = journal.FileJournal(file)
    written.add(b"\\1", 1, 0)  # the no-op that each of its journals begins with
    for i in range(2, options.before + 2):  # the method's number is 0, as it is the only replicated one
        written.add(b"\\0" + dumps((0, (f"old-{i % KEYS}", "v" * 100))), i, 1)
    written.setCurrentTerm(1, None)
    written._destroy()
if options.flush:
    add = journal.FileJournal.add
    journal.FileJournal.add = lambda self, *entry: (add(self, *entry), self.flush())[0]
peers = dict(peer.split("=") for peer in options.peers.split(","))

class Store(SyncObj):
    def __init__(self):
        others = [at for id, at in peers.items() if id != options.id]
        super().__init__(peers[options.id], others, SyncObjConf(
            journalFile=file, appendEntriesUseBatch=False,
            raftMinTimeout=1, raftMaxTimeout=2, appendEntriesPeriod=0.1, connectionRetryTime=0.2))
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
)


Call = Callable[[str, str], Awaitable[object]]
Process: TypeAlias = "subprocess.Popen[bytes]"
Connect = Callable[[Sequence[str]], AbstractAsyncContextManager[dict[str, Call]]]


@asynccontextmanager
async def by_the_client(apis: Sequence[str]) -> AsyncIterator[dict[str, Call]]:
    async with AsyncClient(apis) as client:
        yield {"writes": client.put, "reads": lambda key, value: client.get(key)}


@asynccontextmanager
async def by_the_gateway(apis: Sequence[str]) -> AsyncIterator[dict[str, Call]]:
    """Of etcd."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:

        async def call(path: str, said: object) -> None:
            try:
                async with session.post(f"{apis[0]}/v3/kv/{path}", json=said) as answer:
                    answer.raise_for_status()
                    await answer.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                raise UnknownOutcomeError(str(error)) from None

        yield {
            "writes": lambda key, value: call("put", {"key": in_base64(key), "value": in_base64(value)}),
            "reads": lambda key, value: call("range", {"key": in_base64(key)}),
        }


def in_base64(text: str) -> str:
    return b64encode(text.encode()).decode()


@dataclass(frozen=True)
class Loaded:
    """Requests a second, how long each took in milliseconds, sorted, and how many had no answer in time."""

    rate: float
    took: Sequence[float]
    unanswered: int


async def load(
    apis: Sequence[str], clients: int, seconds: float, connect: Connect, what: str, size: int = 100
) -> Loaded:
    took: list[float] = []
    unanswered = 0

    async def ask(number: int) -> None:
        nonlocal unanswered
        async with connect(apis) as calls:
            while time.perf_counter() < until:
                began = time.perf_counter()
                try:
                    await calls[what](f"key-{number}-{len(took) % 100}", "v" * size)
                    took.append((time.perf_counter() - began) * 1000)
                except UnknownOutcomeError:
                    unanswered += 1

    began = time.perf_counter()
    until = began + seconds
    await asyncio.gather(*map(ask, range(clients)))
    return Loaded(len(took) / (time.perf_counter() - began), sorted(took) or [float("nan")], unanswered)


def percentile(values: Sequence[float], part: float) -> float:
    return values[min(len(values) - 1, int(len(values) * part))]


@dataclass(frozen=True)
class Subject:
    """Who is measured: how to run a node of it; nothing for etcd, which is run as it is."""

    name: str
    run: Sequence[str] = ()
    options: Sequence[str] = ()
    reads: bool = True
    fills_itself: bool = False

    @property
    def is_synced(self) -> bool:
        return "fsync" not in self.name and "traced" not in self.name


@dataclass(frozen=True)
class Measured:
    rate: float
    p50: float
    p99: float
    unanswered: int
    processor: float  # milliseconds of all three, for each request


def measure(subject: Subject, entries: int) -> dict[tuple[int, str], Measured]:
    """By the number of clients and what they do. Nothing, if it has no leader in time."""
    found = {}
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            running(subject, Path(folder), entries) as (apis, connect, processes),
        ):
            for clients in CLIENTS:
                asyncio.run(load(apis, clients, 0.5, connect, "writes"))
                for what in ("writes", "reads")[: 1 + subject.reads]:
                    before = processor_ms(processes)
                    done = asyncio.run(load(apis, clients, SECONDS, connect, what))
                    each = (processor_ms(processes) - before) / len(done.took)
                    middle, late = percentile(done.took, 0.5), percentile(done.took, 0.99)
                    found[clients, what] = Measured(done.rate, middle, late, done.unanswered, each)
    except TimeoutError:
        print(f"{subject.name:34} {entries:9,} entries   no leader within {START_SECONDS} s", flush=True)
    return found


def processor_ms(processes: Sequence[Process]) -> float:
    """Of all of them since they began; nothing where the system does not say it so."""
    ticks = 0
    for process in processes:
        stat = Path(f"/proc/{process.pid}/stat")
        ticks += sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13])) if stat.exists() else 0
    return 1000 * ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(
    subject: Subject, folder: Path, entries: int
) -> Iterator[tuple[Sequence[str], Connect, Sequence[Process]]]:
    """The addresses of its nodes, the leader's first, how to ask them, and their processes."""
    if not subject.run:
        with running_etcd(folder) as (apis, processes):
            asyncio.run(fill_etcd(apis[0], entries))
            yield apis, by_the_gateway, processes
        return
    options = (*subject.options, *(("--before", str(entries)) if subject.fills_itself else ()))
    cluster = LocalCluster(folder, run=subject.run, options=(*PATIENT, *options), trace=False)
    if entries and not subject.fills_itself:
        fill(cluster, entries)
    cluster.start()
    try:
        leader = cluster.leader(START_SECONDS)
        yield (
            [cluster.apis[leader], *(api for id, api in cluster.apis.items() if id != leader)],
            by_the_client,
            list(cluster.processes.values()),
        )
    finally:
        cluster.stop()


def fill(cluster: LocalCluster, entries: int) -> None:
    """Its stores as an earlier leader left them: the last entries, and a snapshot of what came before."""
    kept = min(entries, NodeSettings.compact_after)
    gone = entries - kept
    log = (Request("filler", i, Put(f"old-{i % KEYS}", "v" * 100)) for i in range(gone + 1, entries + 1))
    state = StateMachine(
        Map({f"old-{i % KEYS}": "v" * 100 for i in range(1, gone + 1)}),
        sessions=Map({"filler": Session(gone, True, gone)}),
    )
    snapshot = (
        Snapshot(gone, 1, InEffect(0, Membership(tuple(cluster.members))), state) if gone else NO_SNAPSHOT
    )
    durable = Durable(1, None, growing(tuple(Entry(1, value) for value in log)), snapshot)
    for id in cluster.members:
        store = NodeStore(cluster.folder / f"{id}.db", id, cluster.members)
        if gone:
            store.write_snapshot(gone, state)
        store.save(durable)
        store.close()


async def fill_etcd(api: str, entries: int) -> None:
    value = in_base64("v" * 100)
    async with aiohttp.ClientSession() as session:
        for first in range(0, entries, 100):
            puts = [
                {"requestPut": {"key": in_base64(f"old-{i % KEYS}"), "value": value}}
                for i in range(first, min(first + 100, entries))
            ]
            async with session.post(f"{api}/v3/kv/txn", json={"success": puts}) as answer:
                answer.raise_for_status()
                await answer.read()


@contextmanager
def running_etcd(folder: Path) -> Iterator[tuple[Sequence[str], Sequence[Process]]]:
    """Three members; the addresses for clients, the leader's first, and the processes."""
    ports = free_ports(6)
    apis, peers = ([f"http://127.0.0.1:{port}" for port in some] for some in (ports[:3], ports[3:]))
    all_of_them = ",".join(f"e{i}={peer}" for i, peer in enumerate(peers))
    processes = []
    for i, (api, peer) in enumerate(zip(apis, peers, strict=True)):
        words = ["etcd", "--name", f"e{i}", "--data-dir", str(folder / f"e{i}")]
        words += ["--initial-cluster", all_of_them, "--listen-peer-urls", peer]
        words += ["--initial-advertise-peer-urls", peer, "--listen-client-urls", api]
        words += ["--advertise-client-urls", api, "--log-level", "error"]
        with open(os.devnull, "ab") as nowhere:  # a session for each, as the others have
            started = subprocess.Popen(words, stdout=nowhere, stderr=nowhere, start_new_session=True)
        processes.append(started)
    try:
        yield sorted(apis, key=lambda api: not etcd_leads(api)), processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def etcd_leads(api: str) -> bool:
    """Once it answers and knows a leader."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"{api}/v3/maintenance/status", b"{}", timeout=5) as answer:
                said = json.load(answer)
            if said.get("leader", "0") != "0":
                return bool(said["leader"] == said["header"]["member_id"])
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError


def side_by_side(subjects: Sequence[Subject], entries: int) -> None:
    """Of each the median of the rounds, in which each had its turn, and how they stand to each other."""
    runs: dict[tuple[int, str, str], list[Measured]] = {}
    for _ in range(ROUNDS):
        for subject in subjects:
            for (clients, what), measured in measure(subject, entries).items():
                runs.setdefault((clients, what, subject.name), []).append(measured)
    medians: dict[tuple[int, str, str], Measured] = {}
    for (clients, what, name), some in sorted(runs.items()):
        middle = sorted(some, key=lambda m: m.rate)[len(some) // 2]
        medians[clients, what, name] = middle
        numbers = f"{middle.rate:6.0f} {what}/s   p50 {middle.p50:6.1f} ms   p99 {middle.p99:6.1f} ms"
        numbers += f"   {middle.processor:6.2f} ms of processor time each"
        lost = sum(m.unanswered for m in some)
        lost_too = f"   {lost} without an answer" if lost else ""
        print(f"{name:34} {entries:9,} entries {clients:3} clients {numbers}{lost_too}", flush=True)
    for (clients, what, name), ours in medians.items():
        for first, second in BESIDE:
            theirs = medians.get((clients, what, second))
            if name == first and theirs:
                told = ", ".join(
                    f"{getattr(ours, each) / max(getattr(theirs, each), 0.001):.2f} of its {called}"
                    for each, called in (
                        ("rate", f"{what}/s"),
                        ("p50", "p50"),
                        ("p99", "p99"),
                        ("processor", "processor time each"),
                    )
                )
                print(f"{entries:,} entries, {clients} clients, {first} : {second}: {told}", flush=True)


def stops(name: str, how: Callable[[LocalCluster, str], object]) -> None:
    """Of the leader, until another node holds a lease and has answered a write."""
    elected, written = [], []
    with tempfile.TemporaryDirectory() as folder:
        cluster = LocalCluster(Path(folder), trace=False)
        cluster.start()
        try:
            for _ in range(STOPS):
                leader = cluster.leader()
                others = [id for id in cluster.members if id != leader]
                while any(not cluster.status(id) for id in others):
                    time.sleep(0.05)
                time.sleep(1.0)  # everybody has heard it
                began = time.perf_counter()
                how(cluster, leader)
                while not any((cluster.status(id) or {"lease_ms": 0})["lease_ms"] for id in others):
                    time.sleep(0.002)
                elected.append((time.perf_counter() - began) * 1000)
                asyncio.run(one_write([cluster.apis[id] for id in others]))
                written.append((time.perf_counter() - began) * 1000)
                cluster.processes[leader].wait(30)
                cluster.start(leader)
        finally:
            cluster.stop()
    for what, took in (("holds a lease", sorted(elected)), ("has answered a write", sorted(written))):
        p99, median = percentile(took, 0.99), statistics.median(took)
        print(f"{name}: another node {what:21} median {median:5.0f} ms   p99 {p99:5.0f} ms   ({STOPS} times)")


def terms() -> None:
    """That a load elects nobody: the term before and after it, with the election timeout of 300 ms."""
    for clients, size in ((64, 100), (16, 240_000)):
        with tempfile.TemporaryDirectory() as folder:
            cluster = LocalCluster(Path(folder), trace=False)
            cluster.start()
            try:
                leader = cluster.leader()
                before = (cluster.status(leader, 10) or {})["term"]
                done = asyncio.run(
                    load([*cluster.apis.values()], clients, 4 * SECONDS, by_the_client, "writes", size)
                )
                after = (cluster.status(cluster.leader(), 10) or {})["term"]
            finally:
                cluster.stop()
            logs = [path.read_text() for path in Path(folder).glob("*.log")]
            stalled = sum(log.count('"stalled"') for log in logs)
            told = f"term {before} before, {after} after, and {stalled} times a node or its disk was stalled"
            print(f"{clients} clients, {done.rate:.0f} writes/s of {size:,} bytes: {told}", flush=True)


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
            print("no write was answered within 10 s after a stop", flush=True)


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
                Subject(
                    "PySyncObj, flush after each entry",
                    (str(peer),),
                    ("--flush",),
                    reads=False,
                    fills_itself=True,
                ),
                Subject("PySyncObj, as it is (no fsync)", (str(peer),), reads=False, fills_itself=True),
            ]
        else:
            print("PySyncObj is not installed: pip install 'oneleader[bench]'")
        if shutil.which("etcd"):
            subjects.append(Subject("etcd"))
        else:
            print("etcd is not installed: apt-get install etcd-server")
        synced = [subject for subject in subjects if subject.is_synced]
        for entries in ENTRIES:
            side_by_side(synced if entries else subjects, entries)
    terms()
    stops("kill -9", LocalCluster.kill)
    stops("SIGTERM", lambda cluster, leader: cluster.processes[leader].terminate())
    print("configured for the stops: promise 300 ms, election timeouts drawn from 300 to 600 ms")


if __name__ == "__main__":
    main()
