"""Warnings about what comes from outside: not one for each attempt, which would fill the disk."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

SECONDS = 60.0  # between two equal lines of the log
MOST = 60  # lines in that time


class Complaints:
    """The same once in a while, no more than so many of all; the next line says how many were left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[tuple[str, ...], float] = {}  # oldest first, each lately
        self._left_out = 0

    def warn(self, event: str, why: str, **of: str) -> None:
        """`of` says who it is about, as `address` or `source`."""
        now, what = self._clock(), (*of.values(), why)
        while self._said and now - next(iter(self._said.values())) >= SECONDS:
            del self._said[next(iter(self._said))]
        if what in self._said:
            return
        if len(self._said) >= MOST:
            self._left_out += 1
            return
        self._said[what] = now
        more: dict[str, object] = {"left_out": self._left_out} if self._left_out else {}
        self._left_out = 0
        log.warning(event, extra={**of, "why": why, **more})
