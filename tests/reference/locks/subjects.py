"""The stores, as the property test wants them; and stores with something wrong, for the test to find it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import redis
import redis.asyncio

from oneleader_raft.locks import AsyncLocks, Grant, Locks
from oneleader_raft.locks import postgres as postgres_store
from oneleader_raft.locks import redis as redis_store
from oneleader_raft.locks import sqlite as sqlite_store
from oneleader_raft.locks.cluster import AsyncClusterStore, ClusterStore
from oneleader_raft.locks.etcd import AsyncEtcdStore, EtcdStore
from oneleader_raft.locks.steps import AsyncLockStore, LockStore, RenewStep
from oneleader_raft.node.local import LocalCluster
from tests.reference.locks.machine import Subject, soon
from tests.services import EtcdServer, PostgresServer, RedisServer

UNSAFE = "PRAGMA synchronous = OFF"  # no test turns the machine off
SetBack = Callable[[str, int], None]
Making = Callable[..., AbstractContextManager[Subject]]


def blocking(store: LockStore, set_back: SetBack) -> Subject:
    def expire(grant: Grant) -> None:
        store.perform(RenewStep(grant.resource, grant.token, grant.nonce, 1))
        soon()

    return Subject(Locks(store), expire, set_back, between=getattr(store, "between", []))


class Driven:
    """AsyncLocks, each call run to its end."""

    def __init__(self, locks: AsyncLocks, run: Callable[[Any], Any]) -> None:
        self._locks, self._run = locks, run

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._locks, name)
        return lambda *words: self._run(method(*words))


@contextmanager
def driven(store: AsyncLockStore, set_back: SetBack, runner: asyncio.Runner) -> Iterator[Subject]:
    def expire(grant: Grant) -> None:
        runner.run(store.perform(RenewStep(grant.resource, grant.token, grant.nonce, 1)))
        soon()

    locks = AsyncLocks(store)
    yield Subject(Driven(locks, runner.run), expire, set_back)
    runner.run(locks.close())


# -- SQLite ------------------------------------------------------------------------------------------
SET_BACK = """
INSERT INTO oneleader_lock (lock, token, nonce, expires) VALUES (:lock, :token, '', 0)
ON CONFLICT (lock) DO UPDATE SET token = excluded.token, nonce = '', expires = 0
"""
FORGET = "DELETE FROM oneleader_lock WHERE lock = :lock"


def sqlite_set_back(path: Path) -> SetBack:
    def set_back(lock: str, token: int) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute(SET_BACK if token else FORGET, {"lock": lock, "token": token})
        connection.close()

    return set_back


@contextmanager
def sqlite(path: Path, kind: type[sqlite_store.SqliteStore] = sqlite_store.SqliteStore) -> Iterator[Subject]:
    store = kind(path)
    store._connection.execute(UNSAFE)
    yield blocking(store, sqlite_set_back(path))
    store.close()


@contextmanager
def async_sqlite(path: Path) -> Iterator[Subject]:
    store = sqlite_store.AsyncSqliteStore(path)
    store._store._connection.execute(UNSAFE)
    with asyncio.Runner() as runner, driven(store, sqlite_set_back(path), runner) as subject:
        yield subject


# -- PostgreSQL --------------------------------------------------------------------------------------
@contextmanager
def postgres_set_back(server: PostgresServer) -> Iterator[SetBack]:
    with server.connect() as connection:

        def set_back(lock: str, token: int) -> None:
            text = postgres_store.named(SET_BACK if token else FORGET)
            connection.execute(text, {"lock": lock, "token": token})

        yield set_back


@contextmanager
def postgres(server: PostgresServer) -> Iterator[Subject]:
    store = postgres_store.PostgresStore(server.conninfo)
    with postgres_set_back(server) as set_back:
        yield blocking(store, set_back)
    store.close()


@contextmanager
def async_postgres(server: PostgresServer) -> Iterator[Subject]:
    store = postgres_store.AsyncPostgresStore(server.conninfo)
    with (
        postgres_set_back(server) as set_back,
        asyncio.Runner() as runner,
        driven(store, set_back, runner) as subject,
    ):
        yield subject


# -- Redis -------------------------------------------------------------------------------------------
def redis_set_back(client: redis.Redis) -> SetBack:
    def set_back(lock: str, token: int) -> None:
        key = f"{redis_store.PREFIX}:lock:{lock}"
        if token:
            client.hset(key, mapping={"token": token, "nonce": "", "expires": 0})
        else:
            client.delete(key)

    return set_back


@contextmanager
def redis_(
    server: RedisServer, kind: type[redis_store.RedisStore] = redis_store.RedisStore
) -> Iterator[Subject]:
    with server.client() as client:
        yield blocking(kind(client), redis_set_back(client))


@contextmanager
def async_redis(server: RedisServer) -> Iterator[Subject]:
    store = redis_store.AsyncRedisStore(
        redis.asyncio.Redis(port=server.port, decode_responses=True, retry=None)
    )
    with (
        server.client() as client,
        asyncio.Runner() as runner,
        driven(store, redis_set_back(client), runner) as subject,
    ):
        yield subject
        runner.run(store._client.aclose())


# -- etcd --------------------------------------------------------------------------------------------
@contextmanager
def etcd(server: EtcdServer) -> Iterator[Subject]:
    """A grant is released rather than left to time, as a lease lasts two seconds at the least."""
    with Locks(EtcdStore([server.url])) as locks:
        yield Subject(locks, locks.release)


@contextmanager
def async_etcd(server: EtcdServer) -> Iterator[Subject]:
    locks = AsyncLocks(AsyncEtcdStore([server.url]))
    with asyncio.Runner() as runner:
        driver = Driven(locks, runner.run)
        yield Subject(driver, driver.release)
        runner.run(locks.close())


# -- DynamoDB ------------------------------------------------------------------------------------------
@contextmanager
def dynamodb(client: Any, kind: type[Any] | None = None) -> Iterator[Subject]:
    """Of moto, as Amazon's own emulator has no free licence."""
    from oneleader_raft.locks.dynamodb import TABLE, DynamoStore

    def set_back(lock: str, token: int) -> None:
        key = {"name": {"S": f"lock/{lock}"}}
        if token:
            state = {"token": {"N": str(token)}, "nonce": {"S": ""}, "expires": {"N": "0"}}
            client.put_item(TableName=TABLE, Item=key | state)
        else:
            client.delete_item(TableName=TABLE, Key=key)

    yield blocking((kind or DynamoStore)(client), set_back)


# -- S3 ------------------------------------------------------------------------------------------------
@contextmanager
def s3(client: Any, kind: type[Any] | None = None) -> Iterator[Subject]:
    """Of moto. Between what a write reads and what it writes, others do what they do."""
    from oneleader_raft.locks.s3 import PREFIX, S3Store

    class Interrupted(kind or S3Store):  # type: ignore[misc]
        def __init__(self, *words: Any) -> None:
            super().__init__(*words)
            self.between: list[Callable[[], None]] = []

        def _put(self, *words: Any) -> bool:
            while self.between:
                self.between.pop()()
            return bool(super()._put(*words))

    def set_back(lock: str, token: int) -> None:
        place = store._place(RenewStep(lock, 1, "", 1))
        state = {"token": token, "nonce": "", "expires": 0, "write": ""}
        if token:
            client.put_object(Bucket="locks", Key=place, Body=json.dumps(state).encode())
        else:
            client.delete_object(Bucket="locks", Key=place)

    store = Interrupted(client, "locks", PREFIX)
    yield blocking(store, set_back)


# -- The cluster -------------------------------------------------------------------------------------
@contextmanager
def cluster(nodes: LocalCluster) -> Iterator[Subject]:
    """A grant is released rather than left to time: a test of its own waits for that."""
    with Locks(ClusterStore(list(nodes.apis.values()))) as locks:
        yield Subject(locks, locks.release, replace=partial(replace, nodes))


@contextmanager
def async_cluster(nodes: LocalCluster) -> Iterator[Subject]:
    locks = AsyncLocks(AsyncClusterStore(list(nodes.apis.values())))
    with asyncio.Runner() as runner:
        driver = Driven(locks, runner.run)
        yield Subject(driver, driver.release, replace=partial(replace, nodes))
        runner.run(locks.close())


def replace(nodes: LocalCluster) -> None:
    """The leader dies; it comes back once another one leads."""
    leader = nodes.leader()
    nodes.kill(leader)
    nodes.leader()
    nodes.start(leader)
