"""Real servers for tests: Redis, etcd and PostgreSQL on free loopback ports, data in a temporary folder.

As fixtures (`redis_server`, `etcd_server`, `postgres_server`: one for the session) and as context managers,
for a test that needs several or kills one. Where a program is missing a test skips and says what to install;
in CI it fails.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from oneleader_raft.node.local import free_ports

PATIENCE = 30.0  # seconds for a server to answer


def program(name: str, package: str) -> str:
    """The path of a program; Debian keeps PostgreSQL's apart. Skips, or fails in CI, where it is missing."""
    found = shutil.which(name)
    apart = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[-3]))
    if found or apart:
        return found or str(apart[-1])
    missing = f"{name} is missing: install it, on Debian by apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def free_port() -> int:
    """Far below 55,536: a Redis of a cluster takes the port 10,000 above its own, too."""
    return free_ports(1)[0]


@dataclass
class Server:
    """A process that this test run started."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()[-2000:]

    def wait_for(self, answers: Callable[[], object]) -> None:
        """Until it answers; what it said last where it never does."""
        give_up = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < give_up:
            with suppress(redis.RedisError, psycopg.Error, OSError):
                answers()
                return
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"the server on port {self.port} does not answer:\n{self.log}")

    def kill(self, with_signal: int = signal.SIGKILL) -> None:
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        self.process.wait(PATIENCE)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Short, as sockets want it, and open to the user as whom PostgreSQL runs."""
    folder = Path(tempfile.mkdtemp(prefix="oneleader-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# -- Redis -----------------------------------------------------------------------------------------
class RedisServer(Server):
    def client(self, **options: object) -> redis.Redis:
        return redis.Redis(port=self.port, retry=None, **options)  # type: ignore[arg-type]


@contextmanager
def running_redis(*options: str, folder: Path | None = None) -> Iterator[RedisServer]:
    """A Redis that keeps nothing on disk unless `options` say otherwise."""
    with temporary_folder() as own:
        folder = folder or own
        port = free_port()
        words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options]
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen([program("redis-server", "redis-server"), *words], stdout=log)
        server = RedisServer(process, port, folder)
        try:
            server.wait_for(server.client().ping)
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


# -- etcd ------------------------------------------------------------------------------------------
class EtcdServer(Server):
    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def health(self) -> None:
        with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
            assert b"true" in answer.read()


@contextmanager
def running_etcd(folder: Path | None = None, port: int | None = None) -> Iterator[EtcdServer]:
    with temporary_folder() as own:
        folder, port, peers = folder or own, port or free_port(), free_port()
        at, peers_at = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peers}"
        words = ["--name", "e", "--data-dir", str(folder / "data"), "--initial-cluster", f"e={peers_at}"]
        words += ["--listen-client-urls", at, "--advertise-client-urls", at]
        words += ["--listen-peer-urls", peers_at, "--initial-advertise-peer-urls", peers_at]
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen([program("etcd", "etcd-server"), *words], stdout=log, stderr=log)
        server = EtcdServer(process, port, folder)
        try:
            server.wait_for(server.health)
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def etcd_server() -> Iterator[EtcdServer]:
    with running_etcd() as server:
        yield server


# -- PostgreSQL --------------------------------------------------------------------------------------
FAST = ("-c", "fsync=off")  # for a server that no test kills
QUIET = ("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=40")


class PostgresServer(Server):
    @property
    def conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=oneleader dbname=postgres connect_timeout=5"

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.conninfo, autocommit=True)

    def kill(self, with_signal: int = signal.SIGQUIT) -> None:
        """At once and without a checkpoint, as by a crash; the postmaster takes its children with it."""
        super().kill(with_signal)


def unprivileged() -> dict[str, Any]:
    """As whom PostgreSQL runs, as arguments of a process: it refuses to be root."""
    if os.geteuid() != 0:
        return {}
    users = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def run_as_user(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, **unprivileged())
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"


@contextmanager
def running_postgres(*options: str, copy_of: PostgresServer | None = None) -> Iterator[PostgresServer]:
    """A PostgreSQL with a database and a role of its own, or a standby of another one."""
    with temporary_folder() as folder:
        if identity := unprivileged():
            os.chown(folder, identity["user"], identity["group"])
        data, port = str(folder / "data"), free_port()
        if copy_of is None:
            initdb = program("initdb", "postgresql")
            run_as_user([initdb, "-D", data, "-U", "oneleader", "-A", "trust", "--no-sync"], folder)
        else:
            backup = [program("pg_basebackup", "postgresql"), "-D", data, "-d", copy_of.conninfo]
            run_as_user([*backup, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"], folder)
        words = ["-D", data, "-p", str(port), *QUIET, *options]
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [program("postgres", "postgresql"), *words], cwd=folder, stdout=log, stderr=log, **identity
            )
        server = PostgresServer(process, port, folder)
        try:
            server.wait_for(lambda: server.connect().close())
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with running_postgres(*FAST) as server:
        yield server


# -- DynamoDB ------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def dynamodb_client() -> Iterator[Any]:
    """A client of moto, with the table for locks. Skips where moto is missing."""
    moto = pytest.importorskip(
        "moto", reason="moto is missing: pip install 'oneleader[dynamodb]' 'moto[dynamodb]'"
    )
    import boto3

    from oneleader_raft.locks.dynamodb import make_table

    with moto.mock_aws():
        client = boto3.client("dynamodb", "eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
        make_table(client)
        yield client


# -- S3 ------------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def s3_client() -> Iterator[Any]:
    """A client of moto, with the bucket `locks`. Skips where moto is missing."""
    moto = pytest.importorskip("moto", reason="moto is missing: pip install 'oneleader[s3]' 'moto[s3]'")
    import boto3

    with moto.mock_aws():
        client = boto3.client("s3", "us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
        client.create_bucket(Bucket="locks")
        yield client
