"""A disk that is full, or is not this node's: one sentence, nothing half written is taken for the whole, and
what could be done once there is room can be done.

A limit on the size of files stands in for the full disk: writes beyond it fail in the same place.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import resource
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from immutables import Map

from oneleader.readers.replay.formats import node_folders
from oneleader.verdict import HOLDS
from oneleader_raft.configuration import InEffect, Membership
from oneleader_raft.lease import Clocks, Round
from oneleader_raft.node import backup, snapshots
from oneleader_raft.node.api import Api
from oneleader_raft.node.client import Client
from oneleader_raft.node.errors import DamagedError, UnusableError
from oneleader_raft.node.frames import FrameError
from oneleader_raft.node.loading import Loading
from oneleader_raft.node.local import HOST
from oneleader_raft.node.metrics import Metrics
from oneleader_raft.node.server import Server
from oneleader_raft.node.settings import NodeSettings
from oneleader_raft.node.store import NodeStore
from oneleader_raft.node.trace import Rotation, Trace
from oneleader_raft.node.transfer import Receiving, chunks
from oneleader_raft.node.trust import Trust
from oneleader_raft.raft import Durable, Entry, InstallSnapshot, Snapshot, restart
from oneleader_raft.state_machine import StateMachine

STATE = StateMachine(Map({f"key-{i}": "v" * 100 for i in range(1000)}))  # 128 kB
LARGE = Snapshot(9, 1, InEffect(0, Membership(("n1",))), STATE)


@contextmanager
def full(size: int) -> Iterator[None]:
    """No file of this process grows beyond this."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("size", [0, 8192])
def test_a_store_that_cannot_be_made_is_not_called_damaged(tmp_path: Path, size: int) -> None:
    path = tmp_path / "n1.db"
    with full(size), pytest.raises(UnusableError, match="cannot be used: disk I/O error; see if the disk is"):
        NodeStore(path, "n1", ("n1",))
    for each in tmp_path.iterdir():  # what was begun, as nothing was acknowledged
        each.unlink()
    NodeStore(path, "n1", ("n1",)).close()


def test_a_store_that_is_no_file_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "n1.db"
    for other, says in (
        ("n1.db", "Too many levels"),
        ("/dev/full", "is not a file"),
        (str(tmp_path), "is not a file"),
    ):
        path.symlink_to(other)
        with pytest.raises(UnusableError, match=says):
            NodeStore(path, "n1", ("n1",))
        path.unlink()


def test_a_snapshot_that_cannot_be_written_takes_no_room(tmp_path: Path) -> None:
    with full(4096), pytest.raises(OSError, match="File too large"):
        snapshots.write(tmp_path / "n1.snapshot-9", 9, STATE)
    assert not names(tmp_path)


@pytest.mark.parametrize("size", [0, 8192, 70_000])
def test_a_backup_is_restored_whole_or_not_at_all(tmp_path: Path, size: int) -> None:
    """A store without the data would be taken for a new one."""
    file, folder = tmp_path / "backup", tmp_path / "data"
    snapshots.write(file, 9, STATE)
    with full(size), pytest.raises((OSError, UnusableError)):
        backup.restore(file, folder, "m1")
    assert not (folder / "m1.db").exists()
    assert backup.restore(file, folder, "m1") == 1000
    store = NodeStore(folder / "m1.db", "m1", ("m1",))
    assert store.durable.snapshot.state == STATE
    store.close()
    with pytest.raises(DamagedError, match="is there already: a backup is restored into a new folder"):
        backup.restore(file, folder, "m1")


def test_a_crash_while_a_backup_is_restored_leaves_no_empty_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst moment: the store is made, and the state not yet in it."""
    file, folder = tmp_path / "backup", tmp_path / "data"
    snapshots.write(file, 9, STATE)

    class Crash(BaseException):
        pass

    def crash(*_: object) -> None:
        raise Crash

    monkeypatch.setattr(NodeStore, "save", crash)
    with pytest.raises(Crash):
        backup.restore(file, folder, "m1")
    assert not (folder / "m1.db").exists()
    monkeypatch.undo()
    assert backup.restore(file, folder, "m1") == 1000


def test_a_snapshot_that_cannot_be_received_ends_the_connection_and_is_begun_again(tmp_path: Path) -> None:
    """The peer is told nothing, and tries again; the log says why."""
    file = tmp_path / "sent"
    file.write_bytes(random.Random(1).randbytes(200_000))
    with file.open("rb") as sent:
        parts = list(chunks(sent))
    path = tmp_path / "from-n2"
    receiving = Receiving(lambda peer: path)
    receiving.chunk("n2", parts[0])
    with full(0), pytest.raises(FrameError, match="a part of a snapshot cannot be stored: File too large"):
        receiving.chunk("n2", parts[1])
    assert not path.exists()
    for part in parts:
        receiving.chunk("n2", part)
    assert receiving.whole("n2").read_bytes() == file.read_bytes()


def test_a_snapshot_whose_end_cannot_be_stored_is_taken_the_next_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Disk(Receiving):
        is_full = True

        def whole(self, peer: str) -> Path:
            if self.is_full:
                raise OSError(28, "No space left on device")
            return tmp_path / "received"

    taken: list[object] = []

    async def deliver(source: object, message: object) -> None:
        taken.append(message)

    async def main() -> None:
        receiving = Disk(lambda peer: tmp_path / "received")
        loading = Loading(receiving, lambda index, file: None, ThreadPoolExecutor(1), deliver)
        snapshots.write(tmp_path / "received", 9, STATE)
        message = InstallSnapshot(1, "n2", LARGE, Round(1, 1))
        for is_full in (True, False):
            receiving.is_full = is_full
            loading.begin(("n2", 1), message)
            await asyncio.gather(*loading._under_way.values())

    asyncio.run(main())
    assert [record.getMessage() for record in caplog.records] == ["cannot take a snapshot"]
    assert len(taken) == 1


def test_a_backup_that_cannot_be_written_or_is_not_waited_for_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        listener = socket.create_server((HOST, 0))
        peers = {"n1": listener.getsockname()[:2]}
        server = Server(NodeSettings("n1", peers, tmp_path, promise_ms=50, heartbeat_ms=10))
        node = asyncio.create_task(server.run(listener))
        async with TestClient(TestServer(Api(server).app)) as http:
            while server.lease_left == 0:
                await asyncio.sleep(0.01)
            server._applying.state = STATE
            with full(0):
                async with http.get("/v1/backup") as answer:
                    said = answer.status, await answer.json()
            assert said == (503, {"error": "the backup is not written: File too large"})
            server._scribe.submit(time.sleep, 0.2)
            async with http.get("/v1/backup", headers={"X-Deadline-Ms": "50"}) as answer:
                assert answer.status == 504
            async with http.get("/v1/backup") as answer:
                assert answer.status == 200
                assert len((await answer.read()).splitlines()) == 1002
            assert not list(tmp_path.glob("*.backup-*"))
        node.cancel()
        await asyncio.gather(node, return_exceptions=True)

    asyncio.run(main())


def test_what_a_crash_left_unfinished_is_gone_after_the_next_start(tmp_path: Path) -> None:
    NodeStore(tmp_path / "n1.db", "n1", ("n1",)).close()
    for kind in ("snapshot-9.part", "backup-ab", "backup-ab.part", "from-n2"):
        (tmp_path / f"n1.{kind}").touch()
        (tmp_path / f"n10.{kind}").touch()  # another node's
    NodeStore(tmp_path / "n1.db", "n1", ("n1",)).close()
    assert not [name for name in names(tmp_path) if name.startswith("n1.") and name != "n1.db"]
    assert len(names(tmp_path)) == 5


def test_a_trace_that_cannot_be_written_names_its_file(tmp_path: Path) -> None:
    with full(0), pytest.raises(UnusableError, match="jsonl cannot be used: File too large"):
        Trace(tmp_path, "n1", ("n1",), Clocks(), Durable())


FULL = r" cannot be used: (File too large|disk I/O error); see if the disk is full"


def test_a_trace_whose_disk_is_full_in_the_midst_of_a_line_goes_on_where_it_was_whole(tmp_path: Path) -> None:
    path, began = tmp_path / "n1.trace.jsonl", restart("n1", ("n1",), Durable(), 7)
    trace = Trace(tmp_path, "n1", ("n1",), Clocks(), Durable())
    line = trace.line("restart", None, 7, began.actions, None, began.node)
    with full(path.stat().st_size + 20), pytest.raises(UnusableError, match=f"{path}{FULL}"):
        trace.write(line)
    trace.close()
    assert path.read_text().endswith(line[:20])
    Trace(tmp_path, "n1", ("n1",), Clocks(), Durable(), kept=line).close()
    assert path.read_text().splitlines(keepends=True)[1:] == [line]


def test_a_trace_that_cannot_begin_its_next_file_names_it(tmp_path: Path) -> None:
    began = restart("n1", ("n1",), Durable(), 7)
    trace = Trace(tmp_path, "n1", ("n1",), Clocks(), Durable(), rotation=Rotation(full=1))
    line = trace.line("restart", None, 7, began.actions, None, began.node)
    (tmp_path / "n1.trace-2.new").mkdir()
    with pytest.raises(UnusableError, match=r"new cannot be used: Is a directory; see if"):
        trace.write(line)
    trace.close()


def test_a_store_that_cannot_write_names_its_file_and_keeps_what_was_stored(tmp_path: Path) -> None:
    path = tmp_path / "n1.db"
    store = NodeStore(path, "n1", ("n1",))
    store.save(Durable(1, "n1"))
    with full(8192):
        for write in (
            lambda: store.save(Durable(2, "n1", (Entry(2, "x" * 10_000),))),
            lambda: store.is_known("n2", "x" * 10_000),
        ):
            with pytest.raises(UnusableError, match=f"{path}{FULL}"):
                write()
    store.close()
    assert NodeStore(path, "n1", ("n1",)).durable == Durable(1, "n1")


def test_a_peer_whose_identity_cannot_be_kept_is_refused_and_may_come_again(tmp_path: Path) -> None:
    store = NodeStore(tmp_path / "n1.db", "n1", ("n1", "n2"))
    trust = Trust("n1", store, ThreadPoolExecutor(1), Metrics("cluster", "n1"), lambda peer: None)
    with full(8192), pytest.raises(FrameError, match=f"the identity of n2 cannot be kept: .*{FULL}"):
        asyncio.run(trust.recognise("n2", "x" * 10_000))
    asyncio.run(trust.recognise("n2", "its own"))


@pytest.mark.parametrize("leads", [True, False])
def test_a_node_whose_disk_is_full_stops_and_goes_on_once_there_is_room(clusters: Any, leads: bool) -> None:
    """One sentence says why; clients wait for the others, and what all did is judged."""
    cluster = clusters()
    cluster.start()
    leader = cluster.leader()
    victim = leader if leads else next(id for id in cluster.members if id != leader)
    client = Client(list(cluster.apis.values()))
    client.put("before", "x")
    largest = max(path.stat().st_size for path in cluster.folder.glob(f"{victim}.*"))
    resource.prlimit(cluster.processes[victim].pid, resource.RLIMIT_FSIZE, (largest + 4200, largest + 4200))
    until = time.monotonic() + 60
    while cluster.is_running(victim) and time.monotonic() < until:
        client.put("meanwhile", "y" * 500)
    assert cluster.processes[victim].wait(10) == 1
    *_, last = map(json.loads, (cluster.folder / f"{victim}.log").read_text().splitlines())
    assert re.fullmatch(rf".*{victim}\.(db|trace\.jsonl){FULL}.*", last["why"]), last
    client.put("after", "z")
    resumed = cluster.status(cluster.leader())
    assert resumed
    cluster.start(victim)
    while (cluster.status(victim) or {"commit": 0})["commit"] < resumed["commit"]:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert set(cluster.stop().values()) <= {0, 1}
    (judged,) = node_folders.judge(cluster.folder, ["replication"])
    assert judged.result.verdict is HOLDS
