"""Fenced locks: a lock whose holder can be paused for as long as it likes and do no harm.

    with Locks(SqliteStore("locks.db")) as locks:            # or PostgresStore, RedisStore, EtcdStore ...
        with locks.hold("orders") as grant:
            locks.write(grant, "orders/1", "shipped")

    async with AsyncLocks(AsyncRedisStore(client)) as locks:
        async with locks.hold("orders") as grant:
            await locks.write(grant, "orders/1", "shipped")

The contract
- A lock has at most one grant at a time, by the clock of its store. Each grant has a token, greater than
  those before it, and a nonce of its own.
- A write carries the token and the nonce. It is accepted if no greater token has been seen for its key;
  of several grants with one token (an issuer that lost its state repeats it) the first that writes has it.
- So once a newer holder has written a key, no older one writes it. Before that, an older one may: only the
  deadline keeps it from that, and `write` looks at it. `write_with_fencing` does not: it is for a holder that
  was handed a token, and has no deadline.
- A key is protected by one lock. Tokens of two locks do not compare.
- A deadline is a reading of this process' clock, which counts through a suspend: from BEFORE the request was
  sent, the ttl shortened by `rates`, a bound on how unevenly two clocks may run (`lease.Clocks`).
- A lock may be issued by one store (a Raft cluster) and its writes kept in another (PostgreSQL):
  `Locks(issuer, storage)`.

What each store guarantees, and assumes, stands on top of its module and in docs/locks.md.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Self, TypeVar

from ..lease import Clocks
from .operations import (
    Found,
    Grant,
    HeldError,
    LockOperation,
    LostError,
    Operations,
    Pause,
    StaleError,
    boot_time,
)
from .steps import AsyncLockStore, LockError, LockStep, LockStore, ReadStep, UnknownError, WriteStep

__all__ = [
    "AsyncLocks",
    "Found",
    "Grant",
    "HeldError",
    "LockError",
    "Locks",
    "LostError",
    "StaleError",
    "UnknownError",
]

T = TypeVar("T")
TTL = 10.0  # seconds
UNNAMED = "-"  # the nonce of a caller that gives none
RATES = (990, 1010)  # the least and the greatest rate of a clock, as the node assumes them


class Base:
    """What both are made with. `rates`: the least and the greatest rate of a clock, in whole numbers."""

    def __init__(self, rates: tuple[int, int], clock: Callable[[], float]) -> None:
        Clocks(1, *rates)  # ValueError if they are not rates
        self._do = Operations(rates, clock)

    def left(self, grant: Grant) -> float:
        """Seconds for which the grant may still be relied on; 0 or less: it is over."""
        return grant.deadline - self._do.clock()

    def check(self, grant: Grant) -> None:
        """LostError if the grant's deadline has passed."""
        self._do.check(grant)


class Locks(Base):
    """Locks, for threads. `issuer` grants them, `storage` (the same, unless given) keeps what is written."""

    def __init__(
        self,
        issuer: LockStore,
        storage: LockStore | None = None,
        *,
        rates: tuple[int, int] = RATES,
        clock: Callable[[], float] = boot_time,
    ) -> None:
        super().__init__(rates, clock)
        self._issuer, self._storage = issuer, storage or issuer

    def acquire(self, resource: str, ttl: float = TTL, wait: float = 0.0) -> Grant:
        """The lock for `ttl` seconds; HeldError if it is not free within `wait` seconds."""
        return self._drive(self._do.acquire(resource, ttl, wait))

    def renew(self, grant: Grant) -> Grant:
        """The grant with a later deadline, its ttl from now; LostError if it is over."""
        return self._drive(self._do.renew(grant))

    def release(self, grant: Grant) -> bool:
        """End the grant; False, and nothing happens, if it was over already."""
        return self._drive(self._do.release(grant))

    def write(self, grant: Grant, key: str, value: str) -> None:
        """Write under the grant; LostError after its deadline, StaleError once a newer one has written."""
        self._drive(self._do.write(grant, key, value))

    def write_with_fencing(self, key: str, value: str, token: int, nonce: str = UNNAMED) -> None:
        """Write with a token alone; StaleError if a newer grant has written, or another one with this token.

        A holder without a nonce is one grant: leave it out only where no token is given out twice."""
        self._drive(self._do.write_with_fencing(key, value, token, nonce))

    def read(self, key: str) -> Found | None:
        """The last write accepted."""
        return self._drive(self._do.read(key))

    @contextmanager
    def hold(self, resource: str, ttl: float = TTL, wait: float = 0.0) -> Iterator[Grant]:
        """Acquire, and release at the end. A release that gets no answer is left to the ttl."""
        grant = self.acquire(resource, ttl, wait)
        try:
            yield grant
        finally:
            with suppress(LockError):
                self.release(grant)

    def close(self) -> None:
        self._issuer.close()
        if self._storage is not self._issuer:
            self._storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _drive(self, operation: LockOperation[T]) -> T:
        try:
            wanted = next(operation)
            while True:
                if isinstance(wanted, Pause):
                    time.sleep(wanted.seconds)
                    wanted = next(operation)
                else:
                    wanted = operation.send(self._store_of(wanted).perform(wanted))
        except StopIteration as done:
            result: T = done.value
            return result

    def _store_of(self, step: LockStep) -> LockStore:
        return self._storage if isinstance(step, WriteStep | ReadStep) else self._issuer


class AsyncLocks(Base):
    """The same for asyncio."""

    def __init__(
        self,
        issuer: AsyncLockStore,
        storage: AsyncLockStore | None = None,
        *,
        rates: tuple[int, int] = RATES,
        clock: Callable[[], float] = boot_time,
    ) -> None:
        super().__init__(rates, clock)
        self._issuer, self._storage = issuer, storage or issuer

    async def acquire(self, resource: str, ttl: float = TTL, wait: float = 0.0) -> Grant:
        return await self._drive(self._do.acquire(resource, ttl, wait))

    async def renew(self, grant: Grant) -> Grant:
        return await self._drive(self._do.renew(grant))

    async def release(self, grant: Grant) -> bool:
        return await self._drive(self._do.release(grant))

    async def write(self, grant: Grant, key: str, value: str) -> None:
        await self._drive(self._do.write(grant, key, value))

    async def write_with_fencing(self, key: str, value: str, token: int, nonce: str = UNNAMED) -> None:
        await self._drive(self._do.write_with_fencing(key, value, token, nonce))

    async def read(self, key: str) -> Found | None:
        return await self._drive(self._do.read(key))

    @asynccontextmanager
    async def hold(self, resource: str, ttl: float = TTL, wait: float = 0.0) -> AsyncIterator[Grant]:
        grant = await self.acquire(resource, ttl, wait)
        try:
            yield grant
        finally:
            with suppress(LockError):
                await self.release(grant)

    async def close(self) -> None:
        await self._issuer.close()
        if self._storage is not self._issuer:
            await self._storage.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _drive(self, operation: LockOperation[T]) -> T:
        try:
            wanted = next(operation)
            while True:
                if isinstance(wanted, Pause):
                    await asyncio.sleep(wanted.seconds)
                    wanted = next(operation)
                else:
                    wanted = operation.send(await self._store_of(wanted).perform(wanted))
        except StopIteration as done:
            result: T = done.value
            return result

    def _store_of(self, step: LockStep) -> AsyncLockStore:
        return self._storage if isinstance(step, WriteStep | ReadStep) else self._issuer
