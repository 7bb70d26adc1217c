"""What each store promises beyond the property test: time, races, restarts, what a server itself refuses."""

from __future__ import annotations

import asyncio
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import redis.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from redis.retry import Retry

from oneleader_raft.fencing import GREATEST, Storage
from oneleader_raft.locks import Found, HeldError, Locks, LostError, StaleError, UnknownError, etcd
from oneleader_raft.locks.cluster import AsyncClusterStore, ClusterStore
from oneleader_raft.locks.etcd import AsyncEtcdStore, EtcdStore
from oneleader_raft.locks.postgres import AsyncPostgresStore, PostgresStore
from oneleader_raft.locks.redis import SCRIPTS, AsyncRedisStore, RedisStore
from oneleader_raft.locks.sqlite import AsyncSqliteStore, DatabaseBusyError, SqliteStore
from oneleader_raft.locks.steps import (
    AsyncLockStore,
    IssueStep,
    LockStep,
    LockStore,
    ReadStep,
    ReleaseStep,
    RenewStep,
    Row,
    WriteStep,
)
from oneleader_raft.node.client import UnknownOutcomeError
from tests.reference.locks.subjects import postgres_set_back, redis_set_back, sqlite_set_back
from tests.services import EtcdServer, PostgresServer, RedisServer, running_etcd, running_redis

NAMES = (f"name {number}" for number in count())
STORES = ["sqlite", "postgres", "redis", "etcd", "cluster"]


@pytest.fixture(params=STORES)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], LockStore]:
    """Makes a store: each is another client of the same server."""
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path / "locks.db")
    if request.param == "postgres":
        conninfo = request.getfixturevalue("postgres_server").conninfo
        return lambda: PostgresStore(conninfo)
    if request.param == "redis":
        server = request.getfixturevalue("redis_server")
        return lambda: RedisStore(server.client())
    if request.param == "etcd":
        server = request.getfixturevalue("etcd_server")
        return lambda: EtcdStore([server.url])
    urls = list(request.getfixturevalue("nodes").apis.values())
    return lambda: ClusterStore(urls)


@pytest.fixture
def locks(make: Callable[[], LockStore]) -> Iterator[Locks]:
    with Locks(make()) as locks:
        yield locks


# -- Time --------------------------------------------------------------------------------------------
def test_a_grant_ends_by_time_and_its_holder_harms_nobody(locks: Locks) -> None:
    name, started = next(NAMES), time.monotonic()
    old = locks.acquire(name, ttl=1)
    with pytest.raises(HeldError):
        locks.acquire(name)
    new = locks.acquire(name, ttl=60, wait=20)

    assert time.monotonic() - started > 0.97
    assert new.token > old.token
    assert locks.release(old) is False
    with pytest.raises(LostError):
        locks.renew(old)
    with pytest.raises(HeldError):
        locks.acquire(name)
    locks.write(new, name, "new")
    with pytest.raises(StaleError):
        locks.write_with_fencing(name, "old", old.token, old.nonce)
    assert locks.release(new) is True


@pytest.mark.parametrize("make", ["sqlite", "postgres", "redis"], indirect=True)
def test_a_renewal_gives_more_time(make: Callable[[], LockStore]) -> None:
    name, store = next(NAMES), make()
    row = store.perform(IssueStep(name, "n", 500))
    assert row is not None
    assert store.perform(RenewStep(name, int(row[0]), "n", 60_000)) == row
    time.sleep(0.6)
    assert store.perform(IssueStep(name, "m", 500)) is None
    store.close()


# -- Races -------------------------------------------------------------------------------------------
def test_of_many_at_once_one_is_granted(make: Callable[[], LockStore]) -> None:
    name, stores = next(NAMES), [make() for _ in range(6)]
    ready = threading.Barrier(len(stores))

    def ask(store: LockStore) -> object:
        ready.wait()
        return store.perform(IssueStep(name, "n", 60_000))

    with ThreadPoolExecutor(len(stores)) as pool:
        rows = list(pool.map(ask, stores))
    for store in stores:
        store.close()
    assert len([row for row in rows if row is not None]) == 1


async def ask_at_once(stores: list[AsyncLockStore]) -> list[Row]:
    rows = await asyncio.gather(*(store.perform(IssueStep("at once", "n", 60_000)) for store in stores * 5))
    for store in stores:
        await store.close()
    return [row for row in rows if row is not None]


def test_of_many_tasks_at_once_one_is_granted(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Also where they share a connection."""
    redis_port = request.getfixturevalue("redis_server").port
    conninfo = request.getfixturevalue("postgres_server").conninfo
    urls = list(request.getfixturevalue("nodes").apis.values())
    etcd_url = request.getfixturevalue("etcd_server").url

    async def ask() -> None:
        async with redis.asyncio.Redis(port=redis_port, retry=None) as client:
            for make in (
                lambda: AsyncSqliteStore(tmp_path / "locks.db"),
                lambda: AsyncPostgresStore(conninfo),
                lambda: AsyncRedisStore(client),
                lambda: AsyncEtcdStore([etcd_url]),
                lambda: AsyncClusterStore(urls),
            ):
                assert len(await ask_at_once([make(), make()])) == 1

    asyncio.run(ask())


def test_of_writes_at_once_the_greatest_token_stays(make: Callable[[], LockStore]) -> None:
    """Four writers, tokens in any order: who reads sees them grow, and the greatest at the end."""
    key, stores, seen = next(NAMES), [make() for _ in range(5)], [0]
    writing = threading.Event()
    writing.set()

    def write(writer: int) -> None:
        for number in range(25):
            token = 1 + (number * 7 + writer * 5) % 25 + number
            stores[writer].perform(WriteStep(key, f"{token}", token, f"nonce {writer}"))

    def look() -> None:
        with Locks(stores[4]) as locks:
            while writing.is_set() or seen[-1] == 0:
                found = locks.read(key)
                if found:
                    assert found.value == f"{found.token}"
                    seen.append(found.token)

    with ThreadPoolExecutor(5) as pool:
        looking = pool.submit(look)
        list(pool.map(write, range(4)))
        writing.clear()
        looking.result()
    with Locks(stores[0]) as locks:
        found = locks.read(key)
    assert found is not None
    greatest = max(1 + (n * 7 + w * 5) % 25 + n for n in range(25) for w in range(4))
    assert found.token == greatest
    assert seen == sorted(seen)
    for store in stores[1:4]:
        store.close()


# -- The rule ----------------------------------------------------------------------------------------
EDGES = [1, 9, 10, 11, 99, 100, 2**53 - 1, 2**53, 2**53 + 1, 10**18, 10**18 - 1, GREATEST - 1, GREATEST]


def test_a_store_accepts_what_the_rule_accepts(locks: Locks) -> None:
    """`fencing.Storage` beside it, at the tokens where strings, doubles and lengths go wrong."""

    @settings(max_examples=20, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from(EDGES), st.sampled_from("ab")), min_size=4, max_size=12))
    def compare(writes: list[tuple[int, str]]) -> None:
        key, rule = next(NAMES), Storage()
        for number, (token, nonce) in enumerate(writes):
            accepted = rule.accepts(token, nonce)
            rule = rule.write(token, nonce, f"{number}")
            try:
                locks.write_with_fencing(key, f"{number}", token, nonce)
            except StaleError:
                assert not accepted
            else:
                assert accepted
            found = locks.read(key)
            assert found is not None
            assert (found.value, found.token) == (rule.value, rule.token)

    compare()


@contextmanager
def at_the_last_token(name: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Locks]:
    lock, last = "r", GREATEST - 1
    if name == "sqlite":
        store: LockStore = SqliteStore(folder / "locks.db")
        sqlite_set_back(folder / "locks.db")(lock, last)
    elif name == "postgres":
        server = request.getfixturevalue("postgres_server")
        store = PostgresStore(server.conninfo)
        with postgres_set_back(server) as set_back:
            set_back(lock, last)
    else:
        client = request.getfixturevalue("redis_server").client()
        store = RedisStore(client)
        redis_set_back(client)(lock, last)
    with Locks(store) as locks:
        yield locks


@pytest.mark.parametrize("name", ["sqlite", "postgres", "redis"])
def test_tokens_end_rather_than_begin_anew(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with at_the_last_token(name, request, tmp_path) as locks:
        grant = locks.acquire("r")
        assert grant.token == GREATEST
        locks.release(grant)
        for _ in range(2):
            with pytest.raises((sqlite3.IntegrityError, psycopg.DataError, redis.ResponseError)):
                locks.acquire("r")


@pytest.mark.parametrize(
    "name", ["a/b", "/", "a b", "é", "%2F", "%", "..", ".", "?x=1#y", "'\"", "a:b", "x" * 200]
)
def test_names_and_values_come_back_as_they_are(name: str, locks: Locks) -> None:
    with locks.hold(name) as grant:
        for value in ("", name, "\n\t", "\U0001f512"):
            locks.write(grant, name, value)
            assert locks.read(name) == Found(value, grant.token)


# -- SQLite ------------------------------------------------------------------------------------------
def test_sqlite_syncs_each_write(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "locks.db")
    shown = [
        store._connection.execute(f"PRAGMA {name}").fetchone() for name in ("journal_mode", "synchronous")
    ]
    assert shown == [("wal",), (2,)]
    store.close()


def test_sqlite_says_when_others_take_too_long(tmp_path: Path) -> None:
    locks = Locks(SqliteStore(tmp_path / "locks.db", patience=0.1))
    other = sqlite3.connect(tmp_path / "locks.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseBusyError, match="has not happened"):
        locks.acquire("r")
    other.execute("ROLLBACK")
    assert locks.acquire("r").token == 1
    other.close()


HOLDER = """
import sys
from oneleader_raft.locks import LockError, Locks
from oneleader_raft.locks.sqlite import SqliteStore

locks = Locks(SqliteStore(sys.argv[1]))
grant = locks.acquire("r", ttl=2)
print(grant.token, flush=True)
sys.stdin.readline()
for write in (
    lambda: locks.write(grant, "r", "late"),
    lambda: locks.write_with_fencing("r", "late", grant.token, grant.nonce),
):
    try:
        write()
    except LockError as error:
        print(type(error).__name__)
"""


def test_a_process_that_was_paused_wakes_and_does_no_harm(tmp_path: Path) -> None:
    """The incident, played with a real process: its clock has gone on, and so has the resource."""
    path = tmp_path / "locks.db"
    command = [sys.executable, "-c", HOLDER, str(path)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "1\n"
        holder.send_signal(signal.SIGSTOP)
        with Locks(SqliteStore(path)) as locks:
            new = locks.acquire("r", wait=20)
            locks.write(new, "r", "new")
            holder.send_signal(signal.SIGCONT)
            said, _ = holder.communicate("go on\n")
            assert said.split() == ["LostError", "StaleError"]
            assert locks.read("r") == Found("new", new.token)
    finally:
        holder.kill()
        holder.communicate()


# -- PostgreSQL --------------------------------------------------------------------------------------
def test_postgres_comes_back_after_a_lost_connection(postgres_server: PostgresServer) -> None:
    name, store = next(NAMES), PostgresStore(postgres_server.conninfo)
    with Locks(store) as locks, postgres_server.connect() as other:
        other.execute("SELECT pg_terminate_backend(%s)", (store._connection.info.backend_pid,))
        with pytest.raises(UnknownError, match="can be repeated"):
            locks.acquire(name)
        locks.acquire(name)


def test_postgres_compares_with_what_is_there_now(postgres_server: PostgresServer) -> None:
    """A role whose transactions are serializable and not synchronous: the store sets its own."""
    with postgres_server.connect() as other:
        other.execute("ALTER ROLE oneleader SET default_transaction_isolation = 'serializable'")
        other.execute("ALTER ROLE oneleader SET synchronous_commit = off")
        try:
            store = PostgresStore(postgres_server.conninfo + " options='-c application_name=mine'")
            shown = [store._connection.execute(f"SHOW {name}".encode()).fetchone() for name in SESSION]
        finally:
            other.execute("ALTER ROLE oneleader RESET ALL")
    store.close()
    assert shown == [("read committed",), ("on",), ("mine",)]


SESSION = ["default_transaction_isolation", "synchronous_commit", "application_name"]


@pytest.mark.parametrize("kind", [PostgresStore, AsyncPostgresStore])
def test_a_commit_that_did_not_wait_for_its_standby_is_not_acknowledged(
    kind: type[Any], postgres_server: PostgresServer
) -> None:
    """A standby that never comes; the statement that waits for it is cancelled, and PostgreSQL says OK."""
    key, store = next(NAMES), kind(postgres_server.conninfo)

    def perform(step: LockStep) -> object:
        done = store.perform(step)
        return runner.run(done) if asyncio.iscoroutine(done) else done

    def write_in_vain() -> None:
        for _ in range(200):  # the server takes a moment to know that it has to wait
            writing = pool.submit(perform, WriteStep(key, "v", 2, "n"))
            while not writing.done():
                other.execute(CANCEL)
            writing.result()

    with postgres_server.connect() as other, asyncio.Runner() as runner, ThreadPoolExecutor(1) as pool:
        perform(WriteStep(key, "before", 1, "n"))
        standbys(other, "nobody")
        try:
            with pytest.raises(UnknownError, match="synchronous replication"):
                write_in_vain()
        finally:
            standbys(other, "")
        assert perform(ReadStep(key)) == ("v", 2), "it has happened, here"
        perform(WriteStep(key, "again", 2, "n"))
        closing = store.close()
        if closing is not None:
            runner.run(closing)


CANCEL = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


def standbys(connection: psycopg.Connection[Any], names: str) -> None:
    connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'".encode())
    connection.execute("SELECT pg_reload_conf()")
    while connection.execute("SHOW synchronous_standby_names").fetchone() != (names,):
        pass


# -- Redis -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "token", ["0", "-1", "01", " 1", "1 ", "1.0", "1e3", "nan", "inf", "0x1", "", f"{2**63}"]
)
def test_redis_itself_refuses_what_is_no_token(token: str, redis_server: RedisServer) -> None:
    """Another client may not be this one."""
    key = next(NAMES)
    with redis_server.client() as client:
        with pytest.raises(redis.ResponseError, match="no token"):
            client.eval(SCRIPTS[WriteStep], 1, key, "v", token, "n")
        assert client.exists(key) == 0


def test_no_key_of_redis_has_a_time_to_live_and_each_has_a_prefix() -> None:
    with running_redis() as server, Locks(RedisStore(server.client())) as locks:
        with locks.hold("r", ttl=5) as grant:
            locks.write(grant, "r", "v")
        locks.acquire("r", ttl=5)
        client = server.client(decode_responses=True)
        assert sorted(client.keys()) == ["oneleader:fenced:r", "oneleader:lock:r"]
        assert {client.ttl(key) for key in client.scan_iter()} == {-1}


def test_scripts_are_sent_again_to_a_redis_that_has_forgotten_them(redis_server: RedisServer) -> None:
    with redis_server.client() as client, Locks(RedisStore(client)) as locks:
        with locks.hold(next(NAMES)):
            client.script_flush()
        locks.acquire(next(NAMES))


def test_a_redis_cluster_finds_all_of_a_script_in_one_slot() -> None:
    with running_redis("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no") as server:
        server.client().execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        server.wait_for(lambda: server.client().set("up", 1))
        client = redis.RedisCluster(host="127.0.0.1", port=server.port, retry=Retry(NoBackoff(), 0))
        with Locks(RedisStore(client)) as locks:
            for name in ("r", "{a}b", "}{", "{}", "a{b"):
                with locks.hold(name) as grant:
                    locks.write(grant, name, "v")
        client.close()


def test_a_redis_that_syncs_remembers_through_a_kill(tmp_path: Path) -> None:
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with running_redis(*options, folder=tmp_path) as server, Locks(RedisStore(server.client())) as locks:
        old = locks.acquire("r")
        locks.release(old)
        new = locks.acquire("r")
        locks.write(new, "r", "new")
        server.kill()
        with pytest.raises(UnknownError):
            locks.read("r")
    with running_redis(*options, folder=tmp_path) as server, Locks(RedisStore(server.client())) as locks:
        with pytest.raises(StaleError):
            locks.write_with_fencing("r", "old", old.token, old.nonce)
        with pytest.raises(HeldError):
            locks.acquire("r")


# -- etcd --------------------------------------------------------------------------------------------
def test_etcd_remembers_through_a_kill_and_tokens_go_on(tmp_path: Path) -> None:
    with running_etcd(tmp_path) as server, Locks(EtcdStore([server.url])) as locks:
        old = locks.acquire("r")
        locks.release(old)
        new = locks.acquire("r")
        locks.write(new, "r", "new")
        server.kill()
    with running_etcd(tmp_path, server.port) as server, Locks(EtcdStore([NOBODY, server.url])) as locks:
        with pytest.raises(StaleError):
            locks.write_with_fencing("r", "old", old.token, old.nonce)
        with pytest.raises(HeldError):
            locks.acquire("r")
        assert locks.release(new)
        assert locks.acquire("r").token > new.token


def unpadded(token: int, nonce: str = "") -> str:
    return f"{token}/{nonce.encode().hex()}"


def without_nonce(token: int, nonce: str = "") -> str:
    return f"{token:019d}/"


@pytest.mark.parametrize("wrong", [unpadded, without_nonce])
def test_a_wrong_etcd_store_accepts_what_the_rule_refuses(
    wrong: Callable[..., str], etcd_server: EtcdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens compared as texts of different lengths; two grants with one token taken for one."""
    writes = [(9, "a"), (10, "a"), (9, "a"), (10, "b")]
    store = EtcdStore([etcd_server.url])

    def accepted() -> list[bool]:
        key = next(NAMES)
        return [store.perform(WriteStep(key, "v", token, nonce)) is not None for token, nonce in writes]

    assert accepted() == [True, True, False, False]
    monkeypatch.setattr(etcd, "begins", wrong)
    assert accepted() != [True, True, False, False]


# -- No answer ---------------------------------------------------------------------------------------
NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def hangs_up() -> Iterator[int]:
    """The port of a server that hears a request and ends the connection."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(1 << 16)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_no_answer_is_unknown_on_every_store(hangs_up: int) -> None:
    """And async: whatever a library calls it."""
    url = f"http://127.0.0.1:{hangs_up}"
    conninfo = f"host=127.0.0.1 port={hangs_up} user=u dbname=d sslmode=disable gssencmode=disable"
    for store in (
        RedisStore(redis.Redis(port=hangs_up, retry=None)),
        EtcdStore([url]),
        ClusterStore([url], deadline=0.3),
    ):
        with pytest.raises(UnknownError, match="it may have happened"):
            store.perform(STEPS[3])
        store.close()

    async def ask() -> None:
        client = redis.asyncio.Redis(port=hangs_up, retry=None)
        for store in (
            AsyncRedisStore(client),
            AsyncPostgresStore(conninfo),
            AsyncEtcdStore([url]),
            AsyncClusterStore([url], deadline=0.3),
        ):
            with pytest.raises(UnknownError, match="it may have happened"):
                await store.perform(STEPS[3])
            await store.close()
        await client.aclose()

    asyncio.run(ask())


@pytest.mark.parametrize("make", [redis.Redis, redis.asyncio.Redis])
@pytest.mark.parametrize("store", [RedisStore, AsyncRedisStore])
def test_a_redis_client_that_repeats_commands_is_refused(make: Any, store: Any) -> None:
    """It hears no answer, sends the command again, and what was accepted is refused."""
    for client in (make(), make(retry=Retry(NoBackoff(), 1)), make(retry=Retry(NoBackoff(), -1))):
        with pytest.raises(ValueError, match="repeats no command whose answer was lost"):
            store(client)
    store(make(retry=None))
    store(make(retry=Retry(NoBackoff(), 0)))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\n\r\n{",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_an_answer_of_etcd_that_is_cut_off_is_unknown(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(UnknownError, match="it may have happened"):
            EtcdStore([f"http://127.0.0.1:{listener.getsockname()[1]}"]).perform(STEPS[3])
        thread.join()


class NoAnswer:
    """A cluster that answers nobody in time."""

    def do(self, operation: Any) -> Any:
        raise UnknownOutcomeError("no answer within 10 s")

    def close(self) -> None:
        pass


class NoAnswerAsync(NoAnswer):
    async def do(self, operation: Any) -> Any:
        raise UnknownOutcomeError("no answer within 10 s")

    async def close(self) -> None:  # type: ignore[override]
        pass


STEPS: list[LockStep] = [
    IssueStep("lock", "a", 1000),
    RenewStep("lock", 1, "a", 1000),
    ReleaseStep("lock", 1, "a"),
    WriteStep("key", "v", 1, "a"),
    ReadStep("key"),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_an_unknown_outcome_on_the_cluster_is_not_called_a_refusal(step: LockStep) -> None:
    """ "Nothing was changed" would be a lie: the write may have happened, or may yet."""
    store, later = ClusterStore(["http://127.0.0.1:1"]), AsyncClusterStore(["http://127.0.0.1:1"])
    store.close()
    store._client, later._client = NoAnswer(), NoAnswerAsync()  # type: ignore[assignment]
    with pytest.raises(UnknownError, match="it may have happened"):
        store.perform(step)
    with pytest.raises(UnknownError, match="it may have happened"):
        asyncio.run(later.perform(step))


def test_nor_by_those_who_use_it() -> None:
    store = ClusterStore(["http://127.0.0.1:1"])
    store.close()
    store._client = NoAnswer()  # type: ignore[assignment]
    with Locks(store) as locks:
        with pytest.raises(UnknownError):
            locks.write_with_fencing("key", "v", 1, "a")
        with pytest.raises(UnknownError):
            locks.acquire("lock", ttl=1)
