"""Locks in PostgreSQL (psycopg 3): for any number of hosts, and through a failover that loses no commit.

What it assumes: an accepted write that was answered survives. On one server that is `fsync = on`; a failover
keeps it only with a SYNCHRONOUS standby (`synchronous_standby_names`), and only if that one is promoted.
`synchronous_commit = on` is set here, whatever the role's default; and a commit that stopped waiting for its
standby (PostgreSQL warns, and answers as if all were well) counts as one that got no answer. Locks expire by
the server's clock_timestamp(); set forward it ends a lock early, and fencing holds whatever it shows.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Mapping
from dataclasses import asdict

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from . import sql
from .steps import LockStep, Row, UnknownError

NOW = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


def named(statement: str) -> bytes:
    """`:name`, as psycopg writes it."""
    return re.sub(r":(\w+)", r"%(\1)s", statement).encode()


STATEMENTS: Mapping[type[LockStep], bytes] = {
    step: named(statement) for step, statement in sql.with_clock(NOW).items()
}
SESSION = "-c default_transaction_isolation=read\\ committed -c synchronous_commit=on"
TABLES = b"BEGIN; SELECT pg_advisory_xact_lock(1869505900);" + sql.TABLES.encode() + b"COMMIT"
LOST = (psycopg.OperationalError, psycopg.InterfaceError)


def with_session(conninfo: str) -> str:
    """The conninfo with the settings that this needs, after its own."""
    options = conninfo_to_dict(conninfo).get("options") or ""
    return make_conninfo(conninfo, options=f"{options} {SESSION}")


class Warnings:
    """What a server warned of during a step: that it has given up waiting for its standby."""

    def __init__(self) -> None:
        self._heard: list[str] = []

    def hear(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            self._heard.append(diagnostic.message_primary or "a warning")

    def raise_for(self, step: LockStep) -> None:
        """UnknownError if anything was heard since this was asked last."""
        heard, self._heard = self._heard, []
        if heard:
            raise UnknownError(step, "; ".join(heard))


class PostgresStore:
    """One connection, used by one thread at a time, and reopened after it was lost.

    `conninfo` is libpq's; with several hosts and `target_session_attrs=read-write` it finds the primary.
    """

    statements = STATEMENTS

    def __init__(self, conninfo: str) -> None:
        self._conninfo, self._alone, self._warnings = conninfo, threading.Lock(), Warnings()
        self._connection = self._connected()

    def perform(self, step: LockStep) -> Row | None:
        try:
            with self._alone:
                if self._connection.broken:
                    self._connection = self._connected()
                row = self._connection.execute(self.statements[type(step)], asdict(step)).fetchone()
                self._warnings.raise_for(step)
                return row
        except LOST as error:
            raise UnknownError(step, str(error).strip()) from error

    def close(self) -> None:
        self._connection.close()

    def _connected(self) -> psycopg.Connection[Row]:
        connection = psycopg.Connection.connect(with_session(self._conninfo), autocommit=True)
        connection.add_notice_handler(self._warnings.hear)
        connection.execute(TABLES)
        return connection


class AsyncPostgresStore:
    """The same over psycopg's AsyncConnection, which is made by the first step."""

    statements = STATEMENTS

    def __init__(self, conninfo: str) -> None:
        self._conninfo, self._alone, self._warnings = conninfo, asyncio.Lock(), Warnings()
        self._connection: psycopg.AsyncConnection[Row] | None = None

    async def perform(self, step: LockStep) -> Row | None:
        try:
            async with self._alone:
                if self._connection is None or self._connection.broken:
                    self._connection = await self._connected()
                cursor = await self._connection.execute(self.statements[type(step)], asdict(step))
                row = await cursor.fetchone()
                self._warnings.raise_for(step)
                return row
        except LOST as error:
            raise UnknownError(step, str(error).strip()) from error

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _connected(self) -> psycopg.AsyncConnection[Row]:
        connection = await psycopg.AsyncConnection.connect(with_session(self._conninfo), autocommit=True)
        connection.add_notice_handler(self._warnings.hear)
        await connection.execute(TABLES)
        return connection
