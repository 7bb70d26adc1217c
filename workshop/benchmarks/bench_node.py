"""`make bench-node`: the 3-node local cluster beside PySyncObj, with the same clients, on the same machine.

Both are three processes with a journal on disk, and both serve `PUT /v1/keys/{key}` by aiohttp; clients write
by HTTP to the leader, each one write after the other. PySyncObj never syncs its journal: so it is run as it
is, and with its own `flush` (msync) after each entry. The node syncs before it answers; for comparison it is
also run with SQLite's synchronous=OFF. Each is measured in turn, several times; the median run counts. Then:
how long after kill -9 of the leader another one holds a lease.

`bench_node.py SECONDS ROUNDS KILLS`: how long a load lasts, how often each is measured, how many kills.
"""

from __future__ import annotations

import asyncio
import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oneleader_raft.node.client import AsyncClient, UnknownOutcomeError
from oneleader_raft.node.local import MODULE, LocalCluster

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

store.Store._make_durable = without_sync
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


async def load(api: str, clients: int, seconds: float) -> tuple[float, list[float]]:
    """Writes a second, and how long each took, in milliseconds."""
    took: list[float] = []

    async def write(number: int) -> None:
        async with AsyncClient([api]) as client:
            while time.perf_counter() < until:
                began = time.perf_counter()
                await client.put(f"key-{number}-{len(took) % 100}", "v" * 100)
                took.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    until = began + seconds
    await asyncio.gather(*map(write, range(clients)))
    return len(took) / (time.perf_counter() - began), sorted(took)


def percentile(values: Sequence[float], part: float) -> float:
    return values[min(len(values) - 1, int(len(values) * part))]


@dataclass(frozen=True)
class Subject:
    """Who is measured: how to run a node of it."""

    name: str
    run: Sequence[str]
    options: Sequence[str] = ()


@dataclass(frozen=True)
class Measured:
    rate: float
    p50: float
    p99: float


def measure(subject: Subject, clients: int) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        cluster = LocalCluster(Path(folder), run=subject.run, options=subject.options)
        cluster.start()
        try:
            api = cluster.apis[cluster.leader(20)]
            asyncio.run(load(api, clients, 0.5))
            rate, took = asyncio.run(load(api, clients, SECONDS))
        finally:
            cluster.stop()
    return Measured(rate, percentile(took, 0.5), percentile(took, 0.99))


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
        print(f"{name:34} {clients:3} clients {numbers}", flush=True)
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


async def one_write(nodes: Sequence[str]) -> None:
    async with AsyncClient(nodes) as client:
        try:
            await client.put("k", "v")
        except UnknownOutcomeError:
            raise SystemExit("the cluster does not take a write after its leader was killed") from None


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
        for clients in CLIENTS:
            rates = list(side_by_side(subjects, clients).values())
            if len(rates) == 5:
                ratios = f"both synced {rates[0] / rates[3]:.2f}, both unsynced {rates[2] / rates[4]:.2f}"
                print(f"{clients} clients, writes/s, oneleader : PySyncObj: {ratios}", flush=True)
    failover()


if __name__ == "__main__":
    main()
