"""Locks in a SQLite file: for the processes of one host. Needs SQLite 3.35 and nothing else.

What it assumes: a file system of this host, as SQLite does (no network share), and the host's wall clock,
by which locks expire. If that clock is set forward a lock ends early; fencing holds whatever it shows.
Each accepted write is synced (WAL, synchronous FULL) and survives a crash of the host.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from . import sql
from .steps import LockError, LockStep, Row, UnknownError, step_name

NOW = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
STATEMENTS: Mapping[type[LockStep], str] = sql.with_clock(NOW)


class DatabaseBusyError(LockError):
    """Other processes have kept the file to themselves for too long."""

    def __init__(self, step: LockStep) -> None:
        name = step_name(step)
        super().__init__(
            f"the file was busy, and {name} has not happened: try again, or give it more patience"
        )


class SqliteStore:
    """One connection, used by one thread at a time. `patience`: seconds to wait for other writers."""

    statements = STATEMENTS

    def __init__(self, path: str | Path, patience: float = 5.0) -> None:
        self._alone = threading.Lock()
        self._connection = sqlite3.connect(
            path, timeout=patience, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(sql.TABLES)

    def perform(self, step: LockStep) -> Row | None:
        try:
            with self._alone:
                rows = self._connection.execute(self.statements[type(step)], asdict(step)).fetchall()
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise  # it was refused before it happened
        except sqlite3.DatabaseError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            raise DatabaseBusyError(step) if is_busy else UnknownError(step, error) from error
        return rows[0] if rows else None

    def close(self) -> None:
        self._connection.close()


class AsyncSqliteStore:
    """The same in a thread: SQLite waits for its disk."""

    def __init__(self, path: str | Path, patience: float = 5.0) -> None:
        self._store = SqliteStore(path, patience)

    async def perform(self, step: LockStep) -> Row | None:
        return await asyncio.to_thread(self._store.perform, step)

    async def close(self) -> None:
        await asyncio.to_thread(self._store.close)
