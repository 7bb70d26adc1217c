# ruff: noqa: RUF005  # logs are added to as the core does it
"""A long life: the log that is not copied, snapshots, what is applied in slices, and followers far behind."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map

from oneleader_raft.configuration import InEffect, Membership
from oneleader_raft.fencing import Holding, Storage
from oneleader_raft.lease import LONG_AGO, Round
from oneleader_raft.node import snapshots
from oneleader_raft.node.acknowledged import Acknowledged
from oneleader_raft.node.applying import MOST_AT_ONCE, Applying
from oneleader_raft.node.client import Client
from oneleader_raft.node.errors import DamagedError
from oneleader_raft.node.frames import FrameError
from oneleader_raft.node.loading import Loading
from oneleader_raft.node.local import LocalCluster
from oneleader_raft.node.log import Log, common_prefix, growing
from oneleader_raft.node.store import NodeStore
from oneleader_raft.node.transfer import Receiving, chunks, heartbeat
from oneleader_raft.raft import (
    AppendReply,
    Durable,
    Entry,
    InstallSnapshot,
    Leadership,
    Node,
    Role,
    Snapshot,
    initial,
)
from oneleader_raft.state_machine import Put, Request, Session, StateMachine, apply

MEMBERS = ("n1", "n2", "n3")
IN_EFFECT = InEffect(0, Membership(MEMBERS))
STATE = StateMachine(
    Map({"k": "v", "n": -3, "none": None}),
    Map({"l": Holding("c", 7, "c/4", 1000, 9)}),
    Map({"f": Storage(7, "c/4", "v")}),
    Map({"c": Session(9, True, 7), "d": Session(1, None, 3)}),
    Map({"n4": "h:7001"}),
)

# -- The log -------------------------------------------------------------------------------------------

ENTRIES = st.lists(st.builds(Entry, st.integers(1, 2), st.sampled_from("ab")), max_size=3).map(tuple)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), ENTRIES), max_size=12))
def test_a_log_is_a_tuple_whatever_became_of_the_logs_that_it_came_from(
    steps: list[tuple[int, int, tuple[Entry, ...]]],
) -> None:
    """Each step takes any log so far, up to an index, and adds entries: as leaders and followers do."""
    logs, plain = [growing(())], [()]
    for which, kept, entries in steps:
        of = which % len(logs)
        logs.append(logs[of][:kept] + entries)
        plain.append(plain[of][:kept] + entries)
    for log, same in zip(logs, plain, strict=True):
        assert isinstance(log, Log)
        assert (tuple(log), len(log)) == (same, len(same))
        assert log == same
        assert log[1:] == same[1:]
        assert (log[-1:], [*log]) == (same[-1:], [*same])
        for other, same_other in zip(logs, plain, strict=True):
            assert (log == other) == (same == same_other)
            pairs = zip(same, same_other, strict=False)
            least = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(same), len(same_other)))
            assert common_prefix(log, other) == least


def test_an_entry_costs_the_same_at_any_length() -> None:
    """Counted, not timed: what is appended shares the list; a tuple would be copied."""
    log = growing(tuple(Entry(1, i) for i in range(1000)))
    grown = log[:1000] + (Entry(1, "x"),)
    assert grown._list is log._list  # type: ignore[attr-defined]
    again = log[:998] + (Entry(1, 998), Entry(1, 999), Entry(1, "x"), Entry(1, "y"))
    assert again._list is log._list, "a leader repeats what is not acknowledged yet"
    other = log[:999] + (Entry(2, "z"),)
    assert other._list is not log._list
    assert grown[999:] == (Entry(1, 999), Entry(1, "x"))


# -- Snapshots -----------------------------------------------------------------------------------------


def test_a_snapshot_comes_back_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path, chance = tmp_path / "n1.snapshot-9", random.Random(1)
    snapshots.write(path, 9, STATE)
    assert snapshots.read(path, 9) == STATE
    assert snapshots.size(STATE) == 8
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    whole = path.read_bytes()
    damaged = [whole[:size] for size in range(0, len(whole) - 1, 7)]
    for position in chance.sample(range(len(whole)), 100):
        bit = 1 << chance.randrange(7)
        damaged.append(whole[:position] + bytes([whole[position] ^ bit]) + whole[position + 1 :])
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(DamagedError, match="is damaged"):
            snapshots.read(path, 9)
    path.write_bytes(whole)
    with pytest.raises(DamagedError, match="is the state after entry 9, and 8 was expected"):
        snapshots.read(path, 8)
    with pytest.raises(DamagedError, match="is missing"):
        snapshots.read(tmp_path / "other", 9)


def entry(number: int) -> Entry:
    return Entry(1, Request("c", number, Put("k", number)))


def test_what_is_compacted_is_stored_so(tmp_path: Path) -> None:
    """Within the log, at its end, and beyond it, as a follower has it; old files go, newer ones stay."""
    path = tmp_path / "n1.db"
    log = tuple(entry(i) for i in range(1, 11))
    states = [Durable(1, "n1", log)]
    for index, kept in ((4, log[4:]), (10, ()), (50, ()), (60, (entry(61), entry(62)))):
        states.append(Durable(2, None, kept, Snapshot(index, 1, IN_EFFECT, STATE)))
    store = NodeStore(path, "n1", MEMBERS)
    for state in states:
        if state.snapshot.index:
            store.write_snapshot(state.snapshot.index, STATE)
        store.write_snapshot(99, STATE)
        store.save(state)
        store.close()
        there = {int(file.name.rpartition("-")[2]) for file in tmp_path.glob("n1.snapshot-*")}
        assert there == {99} | {state.snapshot.index} - {0}
        store = NodeStore(path, "n1", MEMBERS)
        assert store.durable == state
    store.close()
    store.snapshot_path(60).unlink()
    with pytest.raises(DamagedError, match="snapshot-60 is missing; this node may have voted"):
        NodeStore(path, "n1", MEMBERS)


def with_snapshot(path: Path, index: int = 60, state: StateMachine = STATE) -> NodeStore:
    """A store with the snapshot up to `index`, and an entry after it."""
    store = NodeStore(path, "n1", MEMBERS)
    store.write_snapshot(index, state)
    store.save(Durable(2, None, (entry(index + 1),), Snapshot(index, 1, IN_EFFECT, state)))
    return store


OTHER = replace(STATE, values=Map({"k": "of another cluster"}))


@pytest.mark.parametrize(
    ("index", "state", "says"),
    [
        (60, OTHER, "is not the one that was stored, but of another cluster, node or time"),
        (60, STATE, ""),  # the file itself
        (40, STATE, "is the state after entry 40, and 60 was expected"),
    ],
    ids=["of another cluster", "its own", "older"],
)
def test_a_snapshot_that_was_not_stored_is_refused(
    tmp_path: Path, index: int, state: StateMachine, says: str
) -> None:
    """In a sentence; and with its own one the node goes on, with all that it had."""
    stored = with_snapshot(tmp_path / "n1.db")
    before, path = stored.durable, stored.snapshot_path(60)
    stored.close()
    own = path.read_bytes()
    other = with_snapshot(tmp_path / "other.db", index, state)
    path.write_bytes(other.snapshot_path(index).read_bytes() if says else own)
    other.close()
    if says:
        with pytest.raises(DamagedError, match=f"n1.snapshot-60 {says}; this node may have voted"):
            NodeStore(tmp_path / "n1.db", "n1", MEMBERS)
        path.write_bytes(own)
    again = NodeStore(tmp_path / "n1.db", "n1", MEMBERS)
    assert again.durable == before
    again.close()


def test_a_snapshot_that_was_not_stored_is_not_sent_either(tmp_path: Path) -> None:
    store = with_snapshot(tmp_path / "n1.db")
    with store.open_snapshot(60) as file:
        assert file.read() == store.snapshot_path(60).read_bytes()
    snapshots.write(store.snapshot_path(60), 60, OTHER)
    with pytest.raises(DamagedError, match="of another cluster, node or time"):
        store.open_snapshot(60)
    store.snapshot_path(60).write_bytes(b"")
    with pytest.raises(DamagedError, match="is damaged"):
        store.open_snapshot(60)
    store.close()


def test_what_is_stored_is_not_written_over(tmp_path: Path) -> None:
    """A node compacts up to an entry while it receives a snapshot up to the same one: the later file would
    have another seal, though it says the same."""
    store = with_snapshot(tmp_path / "n1.db")
    whole = store.snapshot_path(60).read_bytes()
    store.write_snapshot(60, OTHER)
    store.write_snapshot(50, OTHER)
    assert store.snapshot_path(60).read_bytes() == whole
    store.write_snapshot(61, STATE)
    assert {file.name for file in tmp_path.glob("*snapshot*")} == {"n1.snapshot-60", "n1.snapshot-61"}
    store.close()


def test_a_store_of_the_version_without_seals_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "n1.db"
    stored = with_snapshot(path)
    before = stored.durable
    stored.close()
    with sqlite3.connect(path) as db:
        number, term, in_effect, _, _ = db.execute("SELECT * FROM snapshot").fetchone()
        row = number, term, in_effect
        db.execute("DROP TABLE snapshot")
        db.execute("CREATE TABLE snapshot (number INTEGER, term INTEGER, in_effect TEXT, checksum INTEGER)")
        db.execute("INSERT INTO snapshot VALUES (?, ?, ?, ?)", (*row, crc32(json.dumps(row).encode())))
        db.execute("PRAGMA user_version = 3")
    db.close()
    for _ in range(2):
        store = NodeStore(path, "n1", MEMBERS)
        assert store.durable == before
        store.close()
    snapshots.write(store.snapshot_path(60), 60, OTHER)
    with pytest.raises(DamagedError, match="of another cluster, node or time"):
        NodeStore(path, "n1", MEMBERS)


# -- Applying ------------------------------------------------------------------------------------------


def test_what_is_committed_is_applied_in_order_and_leaves_the_loop_free() -> None:
    many = 5 * MOST_AT_ONCE
    turns, seen = [], []

    async def main() -> None:
        applying = Applying(apply, lambda before, command, result: turns.append(len(seen)))
        applying.entries(1, tuple(entry(i) for i in range(1, many + 1)))
        applying.then(lambda: seen.append(("read", applying.index)))
        applying.restore(Snapshot(many + 7, 1, IN_EFFECT, STATE))
        applying.entries(many + 8, (entry(10_000),))
        assert len(turns) == MOST_AT_ONCE, "the rest is for later turns"
        while not applying.is_done:
            seen.append("a turn of the loop")
            await asyncio.sleep(0)
        assert applying.index == many + 8
        assert applying.state.values.get("k") == 10_000
        assert applying.state.values.get("none", 1) is None, "what the snapshot had"

    asyncio.run(main())
    assert ("read", many) in seen
    assert seen.count("a turn of the loop") >= 3
    assert len(turns) == many + 1


# -- A snapshot on its way -----------------------------------------------------------------------------


def test_parts_of_a_snapshot_follow_each_other(tmp_path: Path) -> None:
    file = tmp_path / "sent"
    file.write_bytes(random.Random(1).randbytes(200_000))
    with file.open("rb") as opened:
        parts = list(chunks(opened))
    assert len(parts) == 4
    receiving = Receiving(lambda peer: tmp_path / f"from-{peer}")
    for part in (parts[0], parts[1], *parts):  # it is begun again after a connection broke
        receiving.chunk("n2", part)
    assert receiving.whole("n2").read_bytes() == file.read_bytes()
    with pytest.raises(FrameError, match="does not follow the one before"):
        receiving.chunk("n2", parts[1])
    receiving.chunk("n2", parts[0])
    with pytest.raises(FrameError, match="does not follow the one before"):
        receiving.chunk("n2", parts[2])
    receiving.stop()


def test_a_snapshot_that_is_not_what_its_message_says_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It came damaged, or is of another entry: the log says so, the core never sees it, the next is taken."""
    taken: list[InstallSnapshot] = []

    async def deliver(source: object, message: InstallSnapshot) -> None:
        taken.append(message)

    async def main() -> None:
        store = with_snapshot(tmp_path / "n1.db")
        before = store.durable
        receiving = Receiving(lambda peer: tmp_path / f"from-{peer}")
        loading = Loading(receiving, store.place_snapshot, ThreadPoolExecutor(1), deliver)
        snapshots.write(tmp_path / "sent", 90, STATE)
        whole = (tmp_path / "sent").read_bytes()
        for data, index in ((whole[:-90], 90), (whole, 91), (whole, 90)):
            receiving.chunk("n2", bytes(8) + data)
            snapshot = Snapshot(index, 2, IN_EFFECT)
            loading.begin(("n2", 1), InstallSnapshot(2, "n2", snapshot, Round(1, 1)))
            await asyncio.gather(*loading._under_way.values())
        assert store.durable == before
        store.close()

    asyncio.run(main())
    cut, other = (str(vars(record)["why"]) for record in caplog.records)
    assert "from-n2 is damaged: " in cut
    assert "from-n2 is the state after entry 90, and 91 was expected" in other
    assert [message.snapshot for message in taken] == [Snapshot(90, 2, IN_EFFECT, STATE)]
    assert (tmp_path / "n1.snapshot-90").exists()


def test_a_leader_may_send_what_it_sends_instead_of_a_snapshot() -> None:
    from oneleader_raft.messages import why_impossible

    snapshot = Snapshot(9, 1, IN_EFFECT)
    node = Node(
        "n1", initial(MEMBERS), current_term=2, log=(Entry(2, "x"),), snapshot=snapshot, role=Role.LEADER
    )
    message = heartbeat(node, InstallSnapshot(2, "n1", snapshot, Round(5, 7)))
    assert why_impossible(message, "n1", "n2", MEMBERS) == ""
    assert (message.prev_log_index, message.prev_log_term, message.entries) == (10, 2, ())


# -- A follower that has lost entries ------------------------------------------------------------------


def reply(round: int, index: int, success: bool = False, conflict: int = 0, term: int = 3) -> AppendReply:
    return AppendReply(term, "n2", success, Round(round, round), index, conflict)


def in_round(number: int, term: int = 3) -> Node:
    leadership = Leadership(round=Round(number, number))
    return Node("n1", initial(MEMBERS), current_term=term, role=Role.LEADER, leadership=leadership)


@pytest.mark.parametrize(
    ("answer", "node", "is_lost"),
    [
        (reply(8, 5), in_round(8), True),
        (reply(8, 1), in_round(9), True),
        (reply(8, 6), in_round(8), False),  # it ends where it said
        (reply(7, 5), in_round(8), False),  # what it says may be from before
        (reply(8, 5, conflict=2), in_round(8), False),  # it goes back by a term, and has no less
        (reply(8, 5, success=True), in_round(8), False),  # an older round's entries
        (reply(8, 5, term=4), in_round(8, term=4), False),  # another leadership knows nothing yet
        (reply(8, 5), replace(in_round(8), role=Role.FOLLOWER), False),
        (AppendReply(3, "n3", False, Round(8, 8), 1), in_round(8), False),
        (AppendReply(3, "n2", False, Round(0, LONG_AGO), 0), in_round(8), False),  # to an older leader
    ],
)
def test_only_who_has_lost_entries_is_said_to(answer: AppendReply, node: Node, is_lost: bool) -> None:
    acknowledged = Acknowledged()
    assert not acknowledged.is_lost(in_round(5), reply(4, 3, success=True))
    assert not acknowledged.is_lost(in_round(7), reply(6, 5, success=True))
    assert not acknowledged.is_lost(in_round(8), reply(5, 4, success=True))  # comes late
    assert acknowledged.is_lost(node, answer) is is_lost


def test_a_follower_that_was_set_back_is_not_filled_up_again(clusters: Callable[..., LocalCluster]) -> None:
    """Its store is an older copy of itself. The others go on; it can be replaced."""
    cluster = clusters(options=("--promise-ms", "2000", "--heartbeat-ms", "100"), trace=False)
    cluster.start()
    leader = cluster.leader()
    other = next(id for id in cluster.members if id != leader)

    def metric() -> str:
        with urllib.request.urlopen(f"{cluster.apis[leader]}/metrics", timeout=10) as answer:
            return next(
                li for li in answer.read().decode().splitlines() if li.startswith("oneleader_strange")
            )

    with Client([cluster.apis[leader]], deadline=30) as client:
        assert client.put("before", "v")
        cluster.processes[other].terminate()
        cluster.processes[other].wait(20)
        copy = (cluster.folder / f"{other}.db").read_bytes()
        cluster.start(other)
        soon(lambda: leader in (cluster.status(other) or {"connected": ()})["connected"])
        for number in range(20):
            assert client.put("k", number)
        soon(lambda: (cluster.status(other) or {"last": 0})["last"] >= 20)
        assert metric().endswith(" 0.0")
        cluster.processes[other].terminate()
        cluster.processes[other].wait(20)
        (cluster.folder / f"{other}.db").write_bytes(copy)
        cluster.start(other)
        log = cluster.folder / f"{leader}.log"
        soon(lambda: "has lost entries that it acknowledged" in log.read_text())
        soon(lambda: "or has lost what it acknowledged" in (cluster.folder / f"{other}.log").read_text())
        assert metric().endswith(" 1.0")
        assert client.put("after", "v")
        assert (cluster.status(other, 10) or {})["last"] < 20


def soon(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


# -- All of it -----------------------------------------------------------------------------------------


def test_a_follower_far_behind_gets_a_snapshot_and_all_come_back_with_it(
    clusters: Callable[..., LocalCluster],
) -> None:
    cluster = clusters(options=("--compact-after", "40"), trace=False)
    cluster.start()
    leader = cluster.leader()
    away = next(id for id in cluster.members if id != leader)
    with Client(list(cluster.apis.values()), deadline=30) as client:
        assert client.put("first", "v")
        cluster.kill(away)
        for number in range(100):
            assert client.put(f"k{number % 25}", number)
        assert list(cluster.folder.glob(f"{leader}.snapshot-*"))
        assert not list(cluster.folder.glob(f"{away}.snapshot-*"))
        cluster.start(away)
        until = time.monotonic() + 30
        while (cluster.status(away) or {"commit": 0})["commit"] < 100:
            assert time.monotonic() < until, (cluster.folder / f"{away}.log").read_text()[-2000:]
            time.sleep(0.05)
        assert '"sends a snapshot"' in (cluster.folder / f"{leader}.log").read_text()
        cluster.stop()
        cluster.start()
        assert client.get("first") == "v"
        assert [client.get(f"k{i}") for i in range(25)] == list(range(75, 100))
    logs = "".join((cluster.folder / f"{id}.log").read_text() for id in cluster.members)
    assert "Traceback" not in logs
    assert '"level": "error"' not in logs
