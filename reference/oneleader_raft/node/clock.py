"""The node's clock: microseconds, never back, and on through a suspend.

Leases and promises compare readings of one clock (`lease`), so it must neither step back nor stand still
while other servers' clocks run. CLOCK_BOOTTIME counts through a suspend; where there is none, CLOCK_MONOTONIC
stands in, and a machine that suspends breaks the lease. So does a virtual machine that is copied, migrated or
set back to a snapshot: then the clock of a node that believes in its lease may have stood still. Both are
assumptions of the operator. A clock that is seen to go back cannot carry a lease: the node stops. So it does
where ClockBound runs and says that the clock was disrupted (`disruption`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .errors import ClockError

MICROSECONDS = 1000  # a millisecond
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def read() -> int:
    return time.clock_gettime_ns(CLOCK) // 1000


class ClockWentBackError(ClockError):
    """The clock showed less than before."""


class Clock:
    """A clock that never goes back, and was not disrupted as far as anybody has said."""

    def __init__(self, source: Callable[[], int] = read, check: Callable[[], None] = lambda: None) -> None:
        self._source, self._check = source, check
        self._latest = source()

    def now(self) -> int:
        """ClockWentBackError if the source has, now or before; what `check` raises."""
        reading = self._source()
        self._check()
        if reading < self._latest:
            raise ClockWentBackError(f"the clock went back by {self._latest - reading} microseconds")
        self._latest = reading
        return reading
