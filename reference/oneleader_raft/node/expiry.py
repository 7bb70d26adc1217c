"""Which locks have run out, and which clients are silent: the leader's measure, by its own clock.

A ttl begins when the leader applies the entry that granted or renewed the lock, which is after the client
asked for it; a new leader restarts it. So a lock lasts its ttl at the least, and longer where leaders
change. Fencing makes up for the holder whose clock disagrees. A client is forgotten when it has asked for
nothing for an hour at the least, again by the clock of one leader.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..fencing import Holding
from ..state_machine import Expire, ForgetClients
from .clock import MICROSECONDS

HOUR = 60 * 60 * 1_000_000  # microseconds


class Expiry:
    """Since when this leader has known each grant."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[Holding, int]] = {}

    def forget(self) -> None:
        """It leads no more."""
        self._since = {}

    def due(self, locks: Mapping[str, Holding], now: int) -> list[Expire]:
        """What has run out; said again a ttl later, should the command be lost."""
        before, self._since = self._since, {}
        for lock, grant in locks.items():
            known, since = before.get(lock, (None, now))
            self._since[lock] = (grant, since if known == grant else now)
        ran_out = [
            (lock, grant)
            for lock, (grant, since) in self._since.items()
            if since + grant.ttl * MICROSECONDS <= now
        ]
        for lock, grant in ran_out:
            self._since[lock] = (grant, now)
        return [Expire(lock, grant.token, grant.renewed) for lock, grant in ran_out]


class Silence:
    """Which entries this leader had seen applied an hour ago."""

    def __init__(self, patience: int = HOUR) -> None:
        self._patience = patience
        self._mark: tuple[int, int] | None = None  # when, and which entry was the last one

    def forget(self) -> None:
        """It leads no more."""
        self._mark = None

    def due(self, index: int, now: int) -> ForgetClients | None:
        """What to forget, where entry `index` is the last one applied now."""
        if self._mark is None:
            self._mark = now, index
        since, until = self._mark
        if now < since + self._patience:
            return None
        self._mark = now, index
        return ForgetClients(until)
