"""Times when a node could not keep its own: the machine did not run its process, or the disk took long.

Its peers cannot tell either from a crash, and elect another leader. So the log says it: a cluster that has no
leader since its machine gives it no time is not broken.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

PROCESSOR, DISK = "the machine did not run this process", "the disk took long to store"
SECONDS = 1.0  # between two lines about the same


class Stalls:
    """What takes `least` seconds or more is logged, once a second: the longest, and all together."""

    def __init__(self, least: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.least, self._clock = least, clock
        self._since: dict[str, list[float]] = {PROCESSOR: [], DISK: []}
        self._said: dict[str, float] = {}

    def note(self, what: str, seconds: float) -> None:
        if seconds < self.least:
            return
        found, now = self._since[what], self._clock()
        found.append(seconds)
        if now - self._said.get(what, now - SECONDS) < SECONDS:
            return
        longest, all_together = (round(1000 * of(found)) for of in (max, sum))
        log.warning("stalled", extra={"why": what, "longest_ms": longest, "ms": all_together})
        self._said[what] = now
        found.clear()

    @contextmanager
    def storing(self) -> Iterator[None]:
        began = self._clock()
        yield
        self.note(DISK, self._clock() - began)
