"""What a node must remember, in an SQLite database: synced when `save` returns, refused where it is damaged.

    meta      one row: whose state this is, and the store's identity, drawn when it was first made
    peers     a row for each peer that was met, and the identity of its store
    state     one row: term, vote, length of the log, the trace's lines of the last save; a checksum
    snapshot  one row: the last entry that it stands for, its term, configuration and seal; a checksum
    log       a row for each entry after the snapshot: index, term, command; a checksum

A save is one transaction in WAL mode with synchronous=FULL: it writes the rows that changed, and is synced
before it returns; a crash leaves it whole or undone. Each row has a checksum over its values, the length of
the log has to be the number of its rows, and the pages are checked by SQLite (`quick_check`). A node without
its term and vote must not take part, as it may have voted; so what is damaged, cut off, another node's or
of a newer version is refused, and nothing is written to it. What no check can see is a file that is whole but
old, such as a backup, or one that lost the end of its WAL, which looks like a crash before the last syncs.

What the snapshot holds is in a file of its own, NODE.snapshot-INDEX, which is whole and synced before a save
speaks of it (`snapshots`); those that no save speaks of any more are deleted. Because of the seal a file
that is whole and not the one that was stored is refused: another cluster's, or an older one.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import IO, Any
from zlib import crc32

from ..raft import NO_SNAPSHOT, Durable, Entry, NodeId, Snapshot
from ..state_machine import StateMachine
from . import codec, snapshots
from .disk import using
from .errors import DamagedError, UnusableError
from .log import after, common_prefix, growing, last_index

VERSION, WITHOUT_SEAL = 4, 3
APPLICATION = 0x6F6E656C  # "onel"
TABLES = """
    CREATE TABLE meta (id TEXT NOT NULL, members TEXT NOT NULL, identity TEXT NOT NULL,
                       checksum INTEGER NOT NULL);
    CREATE TABLE peers (id TEXT PRIMARY KEY, identity TEXT NOT NULL);
    CREATE TABLE state (term INTEGER NOT NULL, vote TEXT, length INTEGER NOT NULL, trace TEXT NOT NULL,
                        checksum INTEGER NOT NULL);
    CREATE TABLE log (number INTEGER PRIMARY KEY, term INTEGER NOT NULL, command TEXT NOT NULL,
                      checksum INTEGER NOT NULL);
"""
SNAPSHOT_TABLE = """
    CREATE TABLE snapshot (number INTEGER NOT NULL, term INTEGER NOT NULL, in_effect TEXT NOT NULL,
                           seal TEXT NOT NULL, checksum INTEGER NOT NULL)
"""
ADVICE = (
    "this node may have voted, so do not delete it to start over: "
    "restore the file, or replace the node by a new one under another name"
)


class NodeStore:
    """The state of one node in one file. While it is open, no other process can open it."""

    def __init__(self, path: Path, id: NodeId, members: Iterable[NodeId]) -> None:
        """DamagedError, in one sentence, where the file is not this node's state, whole; UnusableError."""
        self.path, self._members = path, " ".join(sorted(members))
        self.identity = ""
        self.durable, self.trace = Durable(), ""  # what was stored last
        self._sealed = 0, ""  # the index of its snapshot, and the seal
        self._placing = threading.Lock()  # a file may not change between its seal and the save
        is_new = _is_new(path)
        try:
            if not is_new:
                _look_at_header(path)
            with using(path):
                self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
                try:
                    self._open(id, is_new)
                except BaseException:
                    self._db.close()
                    raise
        except DamagedError as damaged:
            raise DamagedError(f"{path}: {damaged}; {ADVICE}") from None
        except (sqlite3.DatabaseError, UnicodeDecodeError, ValueError) as error:
            if "locked" in str(error):
                raise DamagedError(f"{path} is in use: another node runs with this data") from None
            raise DamagedError(f"{path}: {error}; {ADVICE}") from None

    def save(self, durable: Durable, trace: str = "") -> None:
        """Store and sync. `trace` is kept beside it until the next time (see `trace`). UnusableError"""
        before, first = self.durable, durable.snapshot.index
        is_compacted = first != before.snapshot.index
        there = after(before, first) if is_compacted else before.log
        kept = first + common_prefix(there, durable.log)
        new = [_row(number, entry) for number, entry in enumerate(after(durable, kept), kept + 1)]
        state = (durable.current_term, durable.voted_for, len(durable.log), trace)
        with self._placing, using(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            if kept < last_index(before):
                self._db.execute("DELETE FROM log WHERE number > ?", (kept,))
            if is_compacted:
                self._db.execute("DELETE FROM log WHERE number <= ?", (first,))
                self._db.execute("DELETE FROM snapshot")
                self._insert_snapshot(durable.snapshot)
            self._db.executemany("INSERT INTO log VALUES (?, ?, ?, ?)", new)
            self._db.execute(
                "UPDATE state SET term = ?, vote = ?, length = ?, trace = ?, checksum = ?",
                (*state, _checksum(*state)),
            )
            self._db.execute("COMMIT")
        self.durable, self.trace = durable, trace
        if is_compacted:
            self._delete_old_snapshots()

    def snapshot_path(self, index: int | str) -> Path:
        return self.path.with_suffix(f".snapshot-{index}")

    def write_snapshot(self, index: int, state: StateMachine) -> None:
        """The state after the entry at `index`, in its file. OSError"""
        file = self.snapshot_path(f"{index}.part")
        snapshots.write(file, index, state)
        self.place_snapshot(index, file)

    def place_snapshot(self, index: int, file: Path) -> None:
        """A file that is whole becomes the snapshot of this index, before a save speaks of it; where one does
        already, the file is of no use."""
        with self._placing:
            stored, _ = self._sealed
            if index <= stored:
                file.unlink()
            else:
                snapshots.move(file, self.snapshot_path(index))

    def open_snapshot(self, index: int) -> IO[bytes]:
        """To send it. DamagedError if it is another one than was stored; OSError"""
        path, (stored, seal) = self.snapshot_path(index), self._sealed
        if index == stored:
            _check_seal(path, seal)
        return path.open("rb")

    def is_known(self, peer: NodeId, identity: str) -> bool:
        """Whether this is the store that the peer had when it was first met, now or before. UnusableError"""
        with using(self.path):
            known = self._db.execute("SELECT identity FROM peers WHERE id = ?", (peer,)).fetchone()
            if known is None:
                self._db.execute("INSERT INTO peers VALUES (?, ?)", (peer, identity))
        return known is None or bool(known[0] == identity)

    def distrust(self, peer: NodeId) -> None:
        """Its store is not to be known again, whatever it says. UnusableError"""
        with using(self.path):
            self._db.execute("UPDATE peers SET identity = '' WHERE id = ?", (peer,))

    def close(self) -> None:
        self._db.close()

    # Within

    def _open(self, id: NodeId, is_new: bool) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        if is_new:
            self._create(id)
            return
        self._db.execute("BEGIN EXCLUSIVE")  # the lock; reads only until all was checked
        version = self._value("PRAGMA user_version")
        if self._value("PRAGMA application_id") != APPLICATION:
            raise DamagedError("it is a database, but none of oneleader")
        if version not in (VERSION, WITHOUT_SEAL):
            age = "a newer" if version > VERSION else "no known"
            raise DamagedError(f"it was written by {age} version ({version}; this one reads {VERSION})")
        found = self._value("PRAGMA quick_check")
        if found != "ok":
            raise DamagedError(f"SQLite finds it damaged ({' '.join(str(found).split())})")
        self._check_owner(id)
        self.durable, self.trace = self._read()
        if version == WITHOUT_SEAL:
            self._db.execute("DROP TABLE snapshot")
            self._create_snapshot(self.durable.snapshot)
        self._db.execute("COMMIT")
        self._make_durable()
        self._delete_old_snapshots()
        self._delete_begun()

    def _make_durable(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")

    def _create(self, id: NodeId) -> None:
        self._make_durable()
        self._db.execute("BEGIN EXCLUSIVE")
        for statement in TABLES.split(";")[:-1]:
            self._db.execute(statement)
        self.identity = secrets.token_hex(16)
        owner, state = (id, self._members, self.identity), (0, None, 0, "")
        self._db.execute("INSERT INTO meta VALUES (?, ?, ?, ?)", (*owner, _checksum(*owner)))
        self._db.execute("INSERT INTO state VALUES (?, ?, ?, ?, ?)", (*state, _checksum(*state)))
        self._create_snapshot(NO_SNAPSHOT)
        self._db.execute(f"PRAGMA application_id = {APPLICATION}")
        self._db.execute("COMMIT")

    def _create_snapshot(self, snapshot: Snapshot) -> None:
        self._db.execute(SNAPSHOT_TABLE)
        self._insert_snapshot(snapshot)
        self._db.execute(f"PRAGMA user_version = {VERSION}")

    def _check_owner(self, id: NodeId) -> None:
        of, members, self.identity = self._row("meta")
        if of != id:
            raise DamagedError(f"it is the state of {of}, and this is {id}")
        if members != self._members:
            raise DamagedError(f"its cluster has the members {members}, and this one {self._members}")

    def _read(self) -> tuple[Durable, str]:
        term, vote, length, trace = self._row("state")
        snapshot, log = self._read_snapshot(), []
        with closing(self._db.execute("SELECT * FROM log ORDER BY number")) as rows:
            for number, row in enumerate(rows, snapshot.index + 1):
                found, of_term, command, checksum = row
                if found != number or checksum != _checksum(found, of_term, command):
                    raise DamagedError(f"entry {number} of its log is damaged or missing")
                log.append(Entry(of_term, _command(number, command)))
        if len(log) != length:
            raise DamagedError(f"its log is cut off: {len(log)} entries, where it says {length}")
        return Durable(term, vote, growing(tuple(log)), snapshot), trace

    def _read_snapshot(self) -> Snapshot:
        index, term, written, *seals = self._row("snapshot")
        if index == 0:
            return NO_SNAPSHOT
        try:
            in_effect = codec.in_effect(json.loads(written))
        except codec.MalformedError as error:
            raise DamagedError(f"the configuration of its snapshot cannot be read: {error}") from None
        path = self.snapshot_path(index)
        snapshot = Snapshot(index, term, in_effect, snapshots.read(path, index))
        for seal in seals:  # none in a store of the version before
            _check_seal(path, seal)
            self._sealed = index, seal
        return snapshot

    def _insert_snapshot(self, snapshot: Snapshot) -> None:
        index = snapshot.index
        seal = snapshots.seal(self.snapshot_path(index)) if index else ""
        row = index, snapshot.term, json.dumps(codec.plain(snapshot.in_effect)), seal
        self._db.execute("INSERT INTO snapshot VALUES (?, ?, ?, ?, ?)", (*row, _checksum(*row)))
        self._sealed = index, seal

    def _delete_old_snapshots(self) -> None:
        """One of a later index waits for its save."""
        for path in self.path.parent.glob(self.snapshot_path("*").name):
            index = path.name.rpartition("-")[2]
            if index.isdigit() and int(index) < self.durable.snapshot.index:
                path.unlink()

    def _delete_begun(self) -> None:
        """Files that a crash left unfinished, or that nobody waits for any more."""
        for kind in (".snapshot-*.part", ".backup-*", ".from-*"):
            for path in self.path.parent.glob(self.path.with_suffix(kind).name):
                path.unlink()

    def _row(self, table: str) -> tuple[Any, ...]:
        """The only row of a table."""
        rows = self._db.execute(f"SELECT * FROM {table}").fetchall()
        if len(rows) != 1 or rows[0][-1] != _checksum(*rows[0][:-1]):
            raise DamagedError(f"the checksum of its {table} is wrong")
        return tuple(rows[0][:-1])

    def _value(self, statement: str) -> Any:
        return self._db.execute(statement).fetchone()[0]


def _is_new(path: Path) -> bool:
    """Whether there is no state yet. UnusableError if there is what this process may not read and write."""
    with using(path):
        if not os.path.lexists(path):
            return True
        if path.exists() and not path.is_file():
            raise UnusableError(f"{path} is not a file")
        with path.open("r+b"):
            return path.stat().st_size == 0


def _check_seal(path: Path, seal: str) -> None:
    if snapshots.seal(path) != seal:
        raise DamagedError(f"{path} is not the one that was stored, but of another cluster, node or time")


def _look_at_header(path: Path) -> None:
    """What SQLite would take for a database that it may recover or recreate is refused before."""
    with path.open("rb") as file:
        head = file.read(100)
    if len(head) < 100 or not head.startswith(b"SQLite format 3\0"):
        raise DamagedError("it does not begin as a state of oneleader does")
    page = int.from_bytes(head[16:18]) or 65536
    if path.stat().st_size % (65536 if page == 1 else page):
        raise DamagedError("it is cut off: its size is no whole number of pages")


def _row(number: int, entry: Entry) -> tuple[int, int, str, int]:
    command = json.dumps(codec.plain(entry.command))
    return number, entry.term, command, _checksum(number, entry.term, command)


def _command(number: int, written: str) -> Any:
    try:
        return codec.command(json.loads(written))
    except (ValueError, RecursionError, codec.MalformedError) as error:
        raise DamagedError(f"entry {number} of its log is no command: {error}") from None


def _checksum(*values: Any) -> int:
    return crc32(json.dumps(values, default=repr).encode())  # a damaged one may be of any type
