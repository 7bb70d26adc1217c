"""Progress of a long run: one live line on a terminal, one plain line a second elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from oneleader.readers.explore.explored import SearchProgress


class ProgressLine:
    """Call it with each `Progress`; leaving the block clears the live line. Writes to standard error."""

    def __init__(self, *, quiet: bool = False, every: float = 1) -> None:
        self.quiet = quiet
        self.every = every  # seconds between two plain lines
        self.live = sys.stderr.isatty()
        self._written = time.perf_counter()

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Take the live line away, so that something else can be printed."""
        if self.live and not self.quiet:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()

    def __call__(self, at: SearchProgress) -> None:
        level = f"{at.expanded:,} of {at.level:,} at depth {at.depth}"
        left = f" (its end in {at.left:.0f} s)" if at.left and at.left >= 1 else ""
        self.tell(f"  {at.states:,} states   {level}{left}   {at.rate:,.0f} states/s   {at.seconds:.0f} s")

    def tell(self, text: str) -> None:
        """Show this line in the place of the last one."""
        now = time.perf_counter()
        if self.quiet or (not self.live and now - self._written < self.every):
            return
        self._written = now
        sys.stderr.write(f"\r\x1b[2K{text}" if self.live else f"{text}\n")
        sys.stderr.flush()
