"""ClockBound's word for a clock that was disrupted, as of a machine that was moved or set back to a snapshot.

Amazon's daemon of that name keeps what it knows in a file, by version 2 of its protocol. A number in it, the
disruption marker, changes when the machine's clock may have stood still or jumped. The daemon writes it some
time after that has happened, so this narrows the gap and does not close it.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

from .errors import ClockError, DamagedError

USUAL = Path("/var/run/clockbound/shm0")
LAYOUT = struct.Struct("=IIIHH 16x 16x 8x QIiB")
MAGIC = 0x414D5A4E, 0x43420200
VERSION = 2
DISRUPTED = 3
TRIES = 100  # to read it between two updates


class ClockDisruptedError(ClockError):
    """The clock may have stood still, or jumped."""


class Told(NamedTuple):
    marker: int
    status: int


class Disruption:
    """Watches the file, if the daemon runs; `check` raises as soon as the marker is another one."""

    def __init__(self, path: Path = USUAL, *, is_wanted: bool = False) -> None:
        """`is_wanted`: DamagedError if it is not there, or does not tell of disruptions."""
        self._path = path
        self._first = self._read()
        if is_wanted and self._first is None:
            raise DamagedError(
                f"{path} is no file of a ClockBound daemon that watches for disruptions of the clock"
            )

    def check(self) -> None:
        if self._first is None:
            return
        told = self._read()
        if told is None:  # the daemon is away, and says so when it is back
            return
        if told.marker != self._first.marker:
            numbers = f"its marker is {told.marker}, and was {self._first.marker}"
            raise ClockDisruptedError(f"ClockBound says that the clock was disrupted: {numbers}")
        if told.status == DISRUPTED:
            raise ClockDisruptedError("ClockBound says that the clock is disrupted")

    def _read(self) -> Told | None:
        """What stands there; None where nothing can be read, or where the daemon does not watch for it."""
        for _ in range(TRIES):
            try:
                data = self._path.read_bytes()[: LAYOUT.size]
                again = self._path.read_bytes()[: LAYOUT.size]
            except OSError:
                return None
            if len(data) < LAYOUT.size:
                return None
            *magic, _, version, generation, marker, _, status, watches = LAYOUT.unpack(data)
            if tuple(magic) != MAGIC or version != VERSION or not watches:
                return None
            if data == again and generation % 2 == 0:
                return Told(marker, status)
        return None
