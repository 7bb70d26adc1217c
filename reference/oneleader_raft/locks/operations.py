"""What `Locks` asks of a store, and what it makes of the answers: once for both kinds, without I/O.

An operation is a generator. It yields a step that is to be performed and is sent its row, or yields a pause;
what it returns is the result. So a deadline, an error and a retry are written in one place, and `Locks` and
`AsyncLocks` only do what they are told, the one blocking and the other not.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from ..lease import Clocks
from .steps import IssueStep, LockError, LockStep, ReadStep, ReleaseStep, RenewStep, Row, WriteStep

T = TypeVar("T")
POLL = 0.05  # seconds between two attempts to acquire
LONGEST_WAIT = 1e9  # seconds, but for ever


class HeldError(LockError):
    """Somebody else holds the lock."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"the lock {resource!r} is held: try again, or wait for it (wait=SECONDS)")


class LostError(LockError):
    """The grant is over; somebody else may hold the lock."""

    def __init__(self, grant: Grant, why: str) -> None:
        super().__init__(
            f"{why}: the grant of {grant.resource!r} with token {grant.token} is over; "
            "stop what it protects, acquire the lock again, and read again before you write"
        )


class StaleError(LockError):
    """A newer grant has written the key, or another one with this token: nothing was changed."""

    def __init__(self, key: str, token: int) -> None:
        super().__init__(
            f"{key!r} has been written under a newer grant than token {token} (or another grant with it): "
            "stop, acquire the lock again, and read again before you write"
        )


@dataclass(frozen=True)
class Grant:
    """A lock, granted: what to write with, and until when to rely on it (seconds on the clock of `Locks`)."""

    resource: str
    token: int
    nonce: str
    ttl: int  # milliseconds
    deadline: float


@dataclass(frozen=True)
class Found:
    """What a key holds, and the token that it was written with."""

    value: str
    token: int


def boot_time() -> float:
    """Seconds on a clock that never goes back, and goes on while the machine sleeps, where there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


# -- What is done -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Pause:
    """Wait for so many seconds."""

    seconds: float


LockOperation: TypeAlias = Generator[LockStep | Pause, Any, T]  # it is sent the row of each step


class Operations:
    """What to ask of a store, and what its answers mean. No waiting and no I/O: the driver does that."""

    def __init__(self, rates: tuple[int, int], clock: Callable[[], float]) -> None:
        self.rates, self.clock = rates, clock

    def acquire(self, resource: str, ttl: float, wait: float) -> LockOperation[Grant]:
        step = IssueStep(resource, secrets.token_hex(16), milliseconds(ttl))
        give_up = self.clock() + patience(wait)
        while True:
            asked = self.clock()
            row: Row | None = yield step
            if row is not None:
                return self.granted(resource, row, step.ttl, asked)
            if self.clock() >= give_up:
                raise HeldError(resource)
            yield Pause(POLL)

    def renew(self, grant: Grant) -> LockOperation[Grant]:
        asked = self.clock()
        row: Row | None = yield RenewStep(grant.resource, grant.token, grant.nonce, grant.ttl)
        if row is None:
            raise LostError(grant, "the store would not renew it")
        return self.granted(grant.resource, row, grant.ttl, asked)

    def release(self, grant: Grant) -> LockOperation[bool]:
        row: Row | None = yield ReleaseStep(grant.resource, grant.token, grant.nonce)
        return row is not None

    def write(self, grant: Grant, key: str, value: str) -> LockOperation[None]:
        self.check(grant)
        yield from self.write_with_fencing(key, value, grant.token, grant.nonce)

    def write_with_fencing(self, key: str, value: str, token: int, nonce: str) -> LockOperation[None]:
        row: Row | None = yield WriteStep(key, value, token, nonce)
        if row is None:
            raise StaleError(key, token)

    def read(self, key: str) -> LockOperation[Found | None]:
        row: Row | None = yield ReadStep(key)
        return None if row is None else Found(str(row[0]), int(row[1]))

    def granted(self, resource: str, row: Row, ttl: int, asked: float) -> Grant:
        """The grant, from before it was asked for; LostError if that is over already."""
        slow, fast = self.rates
        deadline = asked + Clocks(ttl, slow, fast).lease / 1000
        grant = Grant(resource, int(row[0]), str(row[1]), ttl, deadline)
        self.check(grant)
        return grant

    def check(self, grant: Grant) -> None:
        if self.clock() >= grant.deadline:
            raise LostError(grant, "its deadline has passed")


def milliseconds(seconds: float) -> int:
    is_number = type(seconds) in (int, float)  # True is no second
    if not (is_number and 0.001 <= seconds <= 24 * 60 * 60):  # so that nan is refused, too
        raise ValueError(f"a ttl is given in seconds, from 0.001 to a day; this is {seconds!r}")
    return int(seconds * 1000)


def patience(seconds: float) -> float:
    """How long to wait for a lock, `math.inf` for ever."""
    is_number = type(seconds) in (int, float)
    if not (is_number and (0 <= seconds <= LONGEST_WAIT or seconds == math.inf)):
        raise ValueError(f"a wait is given in seconds, 0 or more; this is {seconds!r}")
    return float(seconds)
