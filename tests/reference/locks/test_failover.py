"""Failovers of a store itself: what survives one, and what does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest

from oneleader_raft.locks import Found, Locks, StaleError, UnknownError
from oneleader_raft.locks.postgres import PostgresStore
from oneleader_raft.locks.redis import RedisStore
from tests.services import FAST, PostgresServer, running_postgres, running_redis

AT_ONCE = ("--repl-diskless-sync-delay", "0")  # begin a copy without waiting for other replicas
KEYS = ["k0", "k1", "k2"]


@contextmanager
def primary_and_standby(synchronous: bool) -> Iterator[tuple[PostgresServer, PostgresServer]]:
    with running_postgres(*FAST) as primary, running_postgres(*FAST, copy_of=primary) as standby:
        names = "*" if synchronous else ""
        with primary.connect() as connection:
            connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'".encode())
            connection.execute("SELECT pg_reload_conf()")
            states = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = %s"
            wait_for(connection, states, "sync" if synchronous else "async")
        yield primary, standby


def wait_for(connection: psycopg.Connection[Any], query: str, *words: str) -> None:
    for _ in range(500):
        with suppress(psycopg.errors.UndefinedTable):  # a standby has not heard of it yet
            if connection.execute(query.encode(), words).fetchone() == (1,):
                return
        time.sleep(0.02)
    raise AssertionError(f"{query} {words}: it never came to that")


class Writer(threading.Thread):
    """Acquires the lock of its key, writes, and gives it up, again and again, until the store is gone."""

    def __init__(self, key: str, conninfo: str) -> None:
        super().__init__()
        self.key, self.conninfo = key, conninfo
        self.acknowledged: list[Found] = []
        self.first_answers = threading.Event()

    def run(self) -> None:
        with Locks(PostgresStore(self.conninfo)) as locks, suppress(UnknownError):
            while True:
                grant = locks.acquire(self.key, ttl=3)
                locks.write(grant, self.key, f"under {grant.token}")
                self.acknowledged.append(Found(f"under {grant.token}", grant.token))
                if len(self.acknowledged) == 20:
                    self.first_answers.set()
                locks.release(grant)


def test_postgres_with_a_synchronous_standby_keeps_what_it_acknowledged() -> None:
    """Three clients write; the standby is cut off; the primary dies, and the standby is promoted."""
    with primary_and_standby(synchronous=True) as (primary, standby):
        writers = [Writer(key, primary.conninfo) for key in KEYS]
        for writer in writers:
            writer.start()
        for writer in writers:
            assert writer.first_answers.wait(30)
        cut_off(standby)
        time.sleep(0.2)  # without a synchronous standby they would go on
        primary.kill()
        for writer in writers:
            writer.join(30)
        promote(standby)

        either = (
            f"host=127.0.0.1,127.0.0.1 port={primary.port},{standby.port} user=oneleader dbname=postgres "
            "connect_timeout=5 target_session_attrs=read-write"
        )
        with Locks(PostgresStore(either)) as locks:
            for writer in writers:
                last = writer.acknowledged[-1]
                found = locks.read(writer.key)
                assert found is not None
                assert found.token >= last.token  # the last write of all may have got no answer
                with pytest.raises(StaleError):
                    locks.write_with_fencing(writer.key, "stale", last.token - 1)
                assert locks.acquire(writer.key, wait=15).token > last.token


def test_postgres_with_an_asynchronous_standby_loses_the_greatest_token() -> None:
    """The standby lags; it is promoted; and the old holder, whom the new one had overtaken, writes."""
    with primary_and_standby(synchronous=False) as (primary, standby):
        with Locks(PostgresStore(primary.conninfo)) as locks:
            old = locks.acquire("r")
            locks.write(old, "r", "old")
            locks.release(old)
            with standby.connect() as connection:
                wait_for(connection, "SELECT count(*) FROM oneleader_lock WHERE expires = 0")
            cut_off(standby)
            new = locks.acquire("r")
            locks.write(new, "r", "new")
        primary.kill()
        promote(standby)
        with Locks(PostgresStore(standby.conninfo)) as locks:
            locks.write_with_fencing("r", "stale", old.token, old.nonce)  # the violation
            assert locks.read("r") == Found("stale", old.token)


def cut_off(standby: PostgresServer) -> None:
    """It hears no more from its primary."""
    with standby.connect() as connection:
        connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
        connection.execute("SELECT pg_reload_conf()")
        wait_for(connection, "SELECT 1 - count(*) FROM pg_stat_wal_receiver")


def promote(standby: PostgresServer) -> None:
    with standby.connect() as connection:
        assert connection.execute("SELECT pg_promote(true, 30)").fetchone() == (True,)


def test_redis_loses_the_greatest_token_when_a_replica_is_promoted() -> None:
    """The same there, and nothing can be set so that it does not happen: replication is asynchronous."""
    with (
        running_redis(*AT_ONCE) as primary,
        running_redis("--replicaof", f"127.0.0.1 {primary.port}") as other,
    ):
        replica = other.client()
        with Locks(RedisStore(primary.client())) as locks:
            old = locks.acquire("r")
            locks.write(old, "r", "old")
            locks.release(old)
            assert primary.client().wait(1, 30_000) == 1
            replica.replicaof("127.0.0.1", "1")  # the network between them is cut
            new = locks.acquire("r")
            locks.write(new, "r", "new")
            with pytest.raises(StaleError):
                locks.write_with_fencing("r", "stale", old.token, old.nonce)
        primary.kill()
        replica.replicaof("NO", "ONE")
        with Locks(RedisStore(replica)) as locks:
            locks.write_with_fencing("r", "stale", old.token, old.nonce)  # the violation
            assert locks.read("r") == Found("stale", old.token)
            assert locks.acquire("r").token == new.token  # and this token is given out again
