"""Fenced writes a second on each store, beside the store's own plain write, in one run: each write synced.

Everything runs on this machine, clients and servers, so what is worth quoting is the ratios of one run. The
cluster has three nodes and syncs on two of them before it answers; PostgreSQL has no standby here.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from oneleader_raft.locks import Locks
from oneleader_raft.locks.cluster import ClusterStore
from oneleader_raft.locks.postgres import PostgresStore
from oneleader_raft.locks.redis import RedisStore
from oneleader_raft.locks.sqlite import SqliteStore
from oneleader_raft.locks.steps import LockStore
from oneleader_raft.node.client import Client
from oneleader_raft.node.local import LocalCluster
from tests.services import running_postgres, running_redis, temporary_folder

SECONDS = 0.5  # of one round
ROUNDS = 9  # plain and fenced in turn: a busy machine then slows both
CLIENTS = 8
ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")
UPSERT = "INSERT INTO plain VALUES ('k', {}) ON CONFLICT (k) DO UPDATE SET v = excluded.v"


@dataclass
class Contender:
    name: str
    store: Callable[[], LockStore]
    plain: Callable[[str], object]  # the store's own write of a value, without a token


@contextmanager
def sqlite() -> Iterator[Contender]:
    with temporary_folder() as folder:
        path = folder / "locks.db"
        SqliteStore(path).close()
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE plain (k TEXT PRIMARY KEY, v TEXT)")
        yield Contender(
            "SQLite",
            lambda: SqliteStore(path, patience=60),
            lambda v: connection.execute(UPSERT.format("?"), (v,)),
        )
        connection.close()


@contextmanager
def postgres() -> Iterator[Contender]:
    with running_postgres() as server, server.connect() as connection:
        connection.execute("CREATE TABLE plain (k TEXT PRIMARY KEY, v TEXT)")
        statement = UPSERT.format("%s").encode()
        yield Contender(
            "PostgreSQL",
            lambda: PostgresStore(server.conninfo),
            lambda v: connection.execute(statement, (v,)),
        )


@contextmanager
def redis() -> Iterator[Contender]:
    with running_redis(*ALWAYS) as server, server.client() as client:
        yield Contender("Redis", lambda: RedisStore(server.client()), lambda v: client.hset("plain", "v", v))


@contextmanager
def cluster() -> Iterator[Contender]:
    with temporary_folder() as folder:
        nodes = LocalCluster(folder)
        try:
            nodes.start()
            nodes.leader()
            urls = list(nodes.apis.values())
            with Client(urls) as client:
                yield Contender("the cluster", lambda: ClusterStore(urls), lambda v: client.put("plain", v))
        finally:
            nodes.stop()


def rate(write: Callable[[str], object]) -> float:
    """Writes a second, one after the other."""
    started, done = time.perf_counter(), 0
    while (passed := time.perf_counter() - started) < SECONDS:
        write(str(done))
        done += 1
    return done / passed


def side_by_side(contender: Contender) -> tuple[float, float]:
    """Medians of the plain rate and of the fenced one."""
    with Locks(contender.store()) as locks, locks.hold("r", ttl=600) as grant:
        kinds = (contender.plain, lambda value: locks.write(grant, "r", value))
        rounds = [[rate(write) for write in kinds] for _ in range(ROUNDS)]
    plain, fenced = map(statistics.median, zip(*rounds, strict=True))
    return plain, fenced


def fenced_at_once(store: Callable[[], LockStore]) -> float:
    """Clients at once, each with a lock and a key of its own: their rates together."""

    def run(client: int) -> float:
        resource = f"r{client}"
        with Locks(store()) as locks, locks.hold(resource, ttl=600) as grant:
            ready.wait()
            return rate(lambda value: locks.write(grant, resource, value))

    ready = threading.Barrier(CLIENTS)
    with ThreadPoolExecutor(CLIENTS) as pool:
        return sum(pool.map(run, range(CLIENTS)))


def main() -> None:
    print(f"fenced writes a second, each synced; median of {ROUNDS} rounds, Python {sys.version.split()[0]}")
    at_once = f"{CLIENTS} clients"
    print(
        f"  {'':12} {'plain':>8} {'fenced':>8} {'of plain':>9} {'of SQLite':>10} {at_once:>10} {'of one':>8}"
    )
    with ExitStack() as stack:
        first = 0.0
        for contender in [stack.enter_context(made()) for made in (sqlite, postgres, redis, cluster)]:
            plain, one = side_by_side(contender)
            many = statistics.median(fenced_at_once(contender.store) for _ in range(ROUNDS // 2))
            first = first or one
            print(
                f"  {contender.name:12} {plain:8,.0f} {one:8,.0f} {one / plain:8.2f}x {one / first:9.2f}x"
                f" {many:10,.0f} {many / one:7.1f}x",
                flush=True,
            )


if __name__ == "__main__":
    main()
