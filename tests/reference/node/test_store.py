"""What is stored comes back, after a crash as well; what is damaged is refused, and nothing overwritten."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneleader_raft.node.errors import DamagedError
from oneleader_raft.node.store import NodeStore
from oneleader_raft.raft import NOOP, Durable, Entry
from oneleader_raft.state_machine import Put, Request

MEMBERS = ("n1", "n2", "n3")
LOG = tuple(Entry(1, Request("c", i, Put(f"key {i}", "value"))) for i in range(1, 40))
STATE = Durable(3, "n2", (*LOG, Entry(3, NOOP)))
ENTRIES = st.builds(Entry, st.integers(1, 3), st.just(NOOP) | st.sampled_from([e.command for e in LOG]))
STATES = st.builds(
    Durable, st.integers(0, 9), st.none() | st.sampled_from(MEMBERS), st.lists(ENTRIES, max_size=6).map(tuple)
)


def opened(path: Path) -> NodeStore:
    return NodeStore(path, "n1", MEMBERS)


def stored(path: Path, *states: Durable) -> bytes:
    store = opened(path)
    for state in states:
        store.save(state, "lines\n")
    store.close()
    return path.read_bytes()


@settings(max_examples=30, deadline=None)
@given(st.lists(STATES, max_size=5))
def test_what_is_saved_comes_back(tmp_path_factory: pytest.TempPathFactory, states: list[Durable]) -> None:
    path = tmp_path_factory.mktemp("store") / "n1.db"
    stored(path, *states)
    again = opened(path)
    assert again.durable == (states[-1] if states else Durable())
    assert again.trace == ("lines\n" if states else "")
    again.close()


def test_what_is_saved_is_there_after_a_crash(tmp_path: Path) -> None:
    """The files as kill -9 leaves them, the WAL beside the database."""
    store = opened(tmp_path / "n1.db")
    store.save(STATE)
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for file in tmp_path.glob("n1.db*"):
        shutil.copy(file, crashed)
    assert (crashed / "n1.db-wal").stat().st_size > 0
    assert opened(crashed / "n1.db").durable == STATE


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    store = opened(tmp_path / "n1.db")
    store.save(STATE)
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    store.save(Durable(3, "n2", (*STATE.log, Entry(3, NOOP))))
    assert [s.split()[0] for s in statements] == ["BEGIN", "INSERT", "UPDATE", "COMMIT"]
    statements.clear()
    store.save(Durable(4, None, STATE.log))
    assert [s.split()[0] for s in statements] == ["BEGIN", "DELETE", "UPDATE", "COMMIT"]
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_damage_is_refused_or_harmless_and_never_repaired(tmp_path: Path) -> None:
    """A byte changed anywhere, or the file cut anywhere: it is refused and left alone, or the state is whole
    (the byte was one that nobody reads)."""
    path, chance = tmp_path / "n1.db", random.Random(1)
    whole = stored(path, STATE)
    damaged = [whole[:size] for size in chance.sample(range(1, len(whole)), 40)]
    for position in chance.sample(range(len(whole)), 150):
        bit = whole[position] ^ 1 << chance.randrange(8)
        damaged.append(whole[:position] + bytes([bit]) + whole[position + 1 :])
    refused = []
    for data in damaged:
        path.write_bytes(data)
        try:
            store = opened(path)
        except DamagedError as error:
            refused.append(str(error))
            assert path.read_bytes() == data
            assert list(tmp_path.iterdir()) == [path]
        else:
            assert store.durable == STATE
            store.close()
    assert len(refused) > 50
    assert all("do not delete it" in sentence and "\n" not in sentence for sentence in refused)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE state SET term = 9", "the checksum of its state is wrong"),
        ("UPDATE state SET vote = 'n1'", "the checksum of its state is wrong"),
        ("DELETE FROM state", "the checksum of its state is wrong"),
        ("UPDATE log SET command = x'00' WHERE number = 7", "entry 7 of its log is damaged or missing"),
        ("UPDATE log SET term = 2 WHERE number = 7", "entry 7 of its log is damaged or missing"),
        ("UPDATE log SET command = '\"no-op\"' WHERE number = 7", "entry 7 of its log is damaged or missing"),
        ("DELETE FROM log WHERE number = 7", "entry 7 of its log is damaged or missing"),
        ("DELETE FROM log WHERE number = 40", "its log is cut off: 39 entries, where it says 40"),
        ("DROP TABLE log", "no such table: log"),
        ("PRAGMA user_version = 5", "it was written by a newer version (5; this one reads 4)"),
        ("PRAGMA application_id = 1", "it is a database, but none of oneleader"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change: str, says: str) -> None:
    path = tmp_path / "n1.db"
    stored(path, STATE)
    with sqlite3.connect(path) as db:
        db.execute(change)
    db.close()
    before = path.read_bytes()
    with pytest.raises(DamagedError) as refused:
        opened(path)
    assert says in str(refused.value)
    assert path.read_bytes() == before


def test_it_is_the_state_of_one_node_of_one_cluster_in_one_process(tmp_path: Path) -> None:
    path = tmp_path / "n1.db"
    stored(path, STATE)
    with pytest.raises(DamagedError, match="it is the state of n1, and this is n2"):
        NodeStore(path, "n2", MEMBERS)
    with pytest.raises(DamagedError, match="its cluster has the members n1 n2 n3, and this one n1 n2"):
        NodeStore(path, "n1", ("n1", "n2"))
    store = opened(path)
    with pytest.raises(DamagedError, match="is in use"):
        opened(path)
    store.close()
    opened(path).close()


@pytest.mark.parametrize("content", [b"hello", b"SQLite format 3\0", bytes(4096)])
def test_what_never_was_a_state_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "n1.db"
    path.write_bytes(content)
    with pytest.raises(DamagedError, match="it does not begin as a state of oneleader does"):
        opened(path)
    assert path.read_bytes() == content
