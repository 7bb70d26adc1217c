"""Which locks have run out: the leader's measure, by its own clock.

A ttl begins when the leader applies the entry that granted or renewed the lock, which is after the client
asked for it; a new leader restarts it. So a lock lasts its ttl at the least, and longer where leaders
change. Fencing makes up for the holder whose clock disagrees.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..fencing import Holding
from ..state_machine import Expire

MICROSECONDS = 1000  # a millisecond


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
