"""The project's own locks behind the adapter, over SQLite with a clock of the test's; and wrong ones.

As a program it is a shim. Argument: the name of one of `LOCKS`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

from oneleader.conformance.locks.adapter import LockAdapter, LockGrant
from oneleader_raft.locks import Grant, HeldError, Locks, LostError, StaleError, sql
from oneleader_raft.locks.sqlite import SqliteStore
from oneleader_raft.locks.steps import IssueStep, LockStep, WriteStep


class Store(SqliteStore):
    """In memory, on a clock that is set. Statements of `wrong` take the place of the right ones."""

    wrong: ClassVar[Mapping[type[LockStep], str]] = {}

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.seconds = 1.0
        self.statements = sql.with_clock("milliseconds()") | self.wrong
        self._connection.create_function("milliseconds", 0, lambda: int(self.seconds * 1000))


class SqliteLock(LockAdapter):
    store: ClassVar[type[Store]] = Store
    ttl = 10.0  # seconds

    def __init__(self, clients: Sequence[str]) -> None:
        self.kept = self.store()
        self.locks = Locks(self.kept, clock=lambda: self.kept.seconds)
        self.deadlines: dict[str, float] = {}  # by nonce: of grants that were renewed or released

    def acquire(self, client: str) -> LockGrant | None:
        try:
            grant = self.locks.acquire("lock", ttl=self.ttl)
        except HeldError:
            return None
        return LockGrant(client, grant.token, grant)

    def write(self, grant: LockGrant, value: str) -> bool:
        try:
            self.locks.write_with_fencing("key", value, grant.token, grant.handle.nonce)
        except StaleError:
            return False
        return True

    def renew(self, grant: LockGrant) -> bool:
        try:
            renewed = self.locks.renew(grant.handle)
        except LostError:
            return False
        self.deadlines[grant.handle.nonce] = renewed.deadline
        return True

    def release(self, grant: LockGrant) -> bool:
        self.deadlines[grant.handle.nonce] = 0.0
        return self.locks.release(grant.handle)

    def expire(self) -> None:
        self.kept.seconds += 2 * self.ttl

    def holds(self, grant: LockGrant) -> bool:
        held: Grant = grant.handle
        return self.deadlines.get(held.nonce, held.deadline) > self.kept.seconds

    def read(self) -> Hashable:
        found = self.locks.read("key")
        return found.value if found else None

    def close(self) -> None:
        self.locks.close()


class WithoutFencing(SqliteLock):
    """It writes whatever comes."""

    class store(Store):
        wrong: ClassVar[Mapping[type[LockStep], str]] = {
            WriteStep: sql.WRITE.partition("WHERE")[0] + "RETURNING token, nonce"
        }


class TokensGoBack(SqliteLock):
    """The row of a lock is replaced once its time is over, and counts from 1."""

    class store(Store):
        wrong: ClassVar[Mapping[type[LockStep], str]] = {
            IssueStep: sql.ISSUE.replace("held.token + 1", "1").format(now="milliseconds()")
        }


class WritesAfterItsTime(SqliteLock):
    """A holder looks at no clock."""

    def holds(self, grant: LockGrant) -> bool:
        return self.deadlines.get(grant.handle.nonce, 1.0) > 0.0


class AnybodyReleases(SqliteLock):
    """A release compares nothing."""

    def release(self, grant: LockGrant) -> bool:
        super().release(grant)
        self.kept._connection.execute("UPDATE oneleader_lock SET expires = 0")
        return True


class RefusesTheNewest(SqliteLock):
    """A write has to have a greater token than the last, also of the same grant."""

    class store(Store):
        wrong: ClassVar[Mapping[type[LockStep], str]] = {
            WriteStep: sql.WRITE.partition(" OR ")[0] + "\nRETURNING token, nonce"
        }


class ReadsAnOldValue(SqliteLock):
    """The first value for ever."""

    def read(self) -> Hashable:
        self.first: Hashable = getattr(self, "first", None) or super().read()
        return self.first


LOCKS = {kind.__name__: kind for kind in (SqliteLock, WithoutFencing, TokensGoBack, WritesAfterItsTime)}


def answer(lock: SqliteLock, grants: list[LockGrant], request: dict[str, Any]) -> dict[str, Any]:
    do = request["do"]
    if do == "acquire":
        grant = lock.acquire(request["client"])
        grants += [grant] if grant else []
        return {"grant": {"token": grant.token, "handle": len(grants) - 1} if grant else None}
    if do == "read":
        return {"value": lock.read()}
    if do == "expire":
        lock.expire()
        return {}
    grant = grants[request["handle"]]
    done = lock.write(grant, request["value"]) if do == "write" else getattr(lock, do)(grant)
    return {"done": done}


def main(kind: type[SqliteLock]) -> None:
    lock, grants = kind(()), list[LockGrant]()
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "hello":
            said: dict[str, Any] = {
                "version": 1,
                "can": ["acquire", "renew", "release", "expire", "holds", "read"],
            }
        elif request["do"] == "start":
            lock, grants, said = kind(request["nodes"]), [], {}
        else:
            said = answer(lock, grants, request)
        print(json.dumps({"id": request["id"], **said}), flush=True)


if __name__ == "__main__":
    main(LOCKS[sys.argv[1]])
