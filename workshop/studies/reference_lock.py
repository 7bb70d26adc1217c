"""The reference's locks by the door of locks: its state machine grants, and its storage judges writes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from oneleader.conformance.locks.adapter import LockAdapter, LockGrant
from oneleader.conformance.reference.patch import LOCKS, LockRules
from oneleader_raft.fencing import Storage
from oneleader_raft.state_machine import Acquire, Release, Request, Result, StateMachine

LOCK = "lock"


class ReferenceLock(LockAdapter):
    """Who acquires again does so under a new name, as clients of one session each."""

    def __init__(self, clients: Sequence[str], rules: LockRules = LOCKS) -> None:
        self.rules = rules
        self.issuer, self.storage = StateMachine(), Storage()
        self.index = self.asked = 0
        self.before: list[tuple[StateMachine, int]] = []  # each grant that it knows of

    def acquire(self, client: str) -> LockGrant | None:
        self.asked += 1
        name, before = f"{client}.{self.asked}", (self.issuer, self.index)
        token = self.applied(Request(name, 1, Acquire(LOCK, ttl=0)))
        is_granted = isinstance(token, int) and not isinstance(token, bool)
        self.before += [before] if is_granted else []
        return LockGrant(client, token, name) if is_granted else None  # type: ignore[arg-type]

    def write(self, grant: LockGrant, value: str) -> bool:
        self.storage = self.rules.write(self.storage, grant.token, grant.handle, value)
        return self.storage.value == value

    def expire(self) -> None:
        """The issuer takes the lock back. Its holder hears nothing of it."""
        held = self.issuer.locks.get(LOCK)
        if held is not None:
            self.applied(Request("issuer", self.index, Release(LOCK, held.token)))

    def fail_over(self) -> None:
        self.issuer, self.index = self.before.pop()

    def read(self) -> Hashable:
        return self.storage.value

    def applied(self, request: Request) -> Result:
        self.index += 1
        self.issuer, result = self.rules.apply(self.issuer, self.index, request)
        return result
