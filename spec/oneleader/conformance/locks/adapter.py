"""What the conformance test asks of a lock, or of leaders that are elected without a log.

Write a subclass of `LockAdapter` with two methods: a client acquires the lock, and a write arrives where the
data is kept. All else is optional. A client that pauses is one whose write arrives late: the test decides
when, and whether it arrives again. The same steps must do the same again: time passes in `expire` alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LockGrant:
    """The lock, or the leadership, once granted. `handle` is the adapter's own."""

    client: str
    token: int
    handle: Any = None


class LockAdapter(ABC):
    """One lock and one value that it protects, made with its clients' names: `MyLock(["c1", "c2", "c3"])`."""

    abilities: frozenset[str] | None = None  # which of the optional methods work; None: those overridden

    @abstractmethod
    def acquire(self, client: str) -> LockGrant | None:
        """The client asks for the lock; None where somebody else has it."""

    @abstractmethod
    def write(self, grant: LockGrant, value: str) -> bool:
        """A write of this grant arrives, no matter who has the lock by now; whether it is accepted."""

    # You may leave out the rest.

    def renew(self, grant: LockGrant) -> bool:
        """The grant is to last for its time from now; False where it is over."""
        raise NotImplementedError

    def release(self, grant: LockGrant) -> bool:
        """The grant ends; False where it is over already."""
        raise NotImplementedError

    def expire(self) -> None:
        """So much time passes, for the lock and for all clients, that no grant lasts."""
        raise NotImplementedError

    def holds(self, grant: LockGrant) -> bool:
        """Whether the client takes itself to hold the lock, and would begin a write, by this grant."""
        raise NotImplementedError

    def read(self) -> Hashable:
        """The value that was written last; None before."""
        raise NotImplementedError

    def fail_over(self) -> None:
        """The issuer goes on without its last grant, like a replica that has not heard of it: nobody has the
        lock for it, and it may give out that token again."""
        raise NotImplementedError

    def close(self) -> None:  # noqa: B027 (nothing to do, unless an adapter says so)
        """The lock is not needed any more."""


LOCK_OPTIONAL = ("renew", "release", "expire", "holds", "read", "fail_over")
MakeLock = Callable[[Sequence[str]], LockAdapter]


def lock_can(adapter: LockAdapter) -> frozenset[str]:
    """Which of the optional methods a lock has."""
    if adapter.abilities is not None:
        return adapter.abilities
    kind = type(adapter)
    return frozenset(n for n in LOCK_OPTIONAL if getattr(kind, n) is not getattr(LockAdapter, n))


def named(clients: int) -> tuple[str, ...]:
    return tuple(f"c{i}" for i in range(1, clients + 1))
