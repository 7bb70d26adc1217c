"""Locks in PostgreSQL (psycopg 3): for any number of hosts, and through a failover that loses no commit.

What it assumes: an accepted write that was answered survives. On one server that is `fsync = on`; a failover
keeps it only with a SYNCHRONOUS standby (`synchronous_standby_names`), and only if that one is promoted.
`synchronous_commit = on` is set here, whatever the role's default. Locks expire by the server's
clock_timestamp(); a clock that is set forward ends a lock early, and fencing holds whatever it shows.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Mapping
from dataclasses import asdict

import psycopg

from . import sql
from .steps import Row, Step, UnknownError

NOW = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


def named(statement: str) -> bytes:
    """`:name`, as psycopg writes it."""
    return re.sub(r":(\w+)", r"%(\1)s", statement).encode()


STATEMENTS: Mapping[type[Step], bytes] = {
    step: named(statement) for step, statement in sql.with_clock(NOW).items()
}
SESSION = "-c default_transaction_isolation=read\\ committed -c synchronous_commit=on"
TABLES = b"BEGIN; SELECT pg_advisory_xact_lock(1869505900);" + sql.TABLES.encode() + b"COMMIT"
LOST = (psycopg.OperationalError, psycopg.InterfaceError)


class PostgresStore:
    """One connection, used by one thread at a time, and made anew after it was lost.

    `conninfo` is libpq's; with several hosts and `target_session_attrs=read-write` it finds the primary.
    """

    statements = STATEMENTS

    def __init__(self, conninfo: str) -> None:
        self._conninfo, self._alone = conninfo, threading.Lock()
        self._connection = self._connected()
        self._connection.execute(TABLES)

    def perform(self, step: Step) -> Row | None:
        try:
            with self._alone:
                if self._connection.broken:
                    self._connection = self._connected()
                return self._connection.execute(self.statements[type(step)], asdict(step)).fetchone()
        except LOST as error:
            raise UnknownError(step, str(error).strip()) from error

    def close(self) -> None:
        self._connection.close()

    def _connected(self) -> psycopg.Connection[Row]:
        return psycopg.Connection.connect(self._conninfo, autocommit=True, options=SESSION)


class AsyncPostgresStore:
    """The same over psycopg's AsyncConnection, which is made by the first step."""

    statements = STATEMENTS

    def __init__(self, conninfo: str) -> None:
        self._conninfo, self._alone = conninfo, asyncio.Lock()
        self._connection: psycopg.AsyncConnection[Row] | None = None

    async def perform(self, step: Step) -> Row | None:
        try:
            async with self._alone:
                connection = self._connection
                if connection is None or connection.broken:
                    connection = self._connection = await self._connected()
                cursor = await connection.execute(self.statements[type(step)], asdict(step))
                return await cursor.fetchone()
        except LOST as error:
            raise UnknownError(step, str(error).strip()) from error

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _connected(self) -> psycopg.AsyncConnection[Row]:
        connection = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True, options=SESSION)
        await connection.execute(TABLES)
        return connection
