"""Verdicts: what a reader says, how it is printed, and the exit status that follows from it.

Exit status: 0 holds, 1 violated, 2 usage, 3 inconclusive, 130 interrupted; of several results 1
outranks 3 outranks 0. A reader that cannot tell says so, and nothing prints that as ok.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

HOLDS, VIOLATED, INCONCLUSIVE, NOT_EXPRESSIBLE = "holds", "violated", "inconclusive", "not expressible"
INTERRUPTED = 130

# The words of the single readers, in the words of the table.
SAME_AS = {"proved": HOLDS, "accepted": HOLDS, "caught": HOLDS, "refused": VIOLATED, "missed": VIOLATED}
MARKS = {HOLDS: "ok", VIOLATED: "FAIL", INCONCLUSIVE: "????", NOT_EXPRESSIBLE: "n/a"}
STYLES = {HOLDS: "green", VIOLATED: "bold red", INCONCLUSIVE: "yellow", NOT_EXPRESSIBLE: "dim"}


@dataclass(frozen=True)
class Row:
    """One line of a table of results. `detail` says why, where the verdict is not `holds`."""

    model: str
    reader: str
    what: str
    verdict: str
    strength: str
    seconds: float
    detail: str = ""

    @property
    def general(self) -> str:
        """The verdict in the words that all readers share."""
        return SAME_AS.get(self.verdict, self.verdict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"seconds": round(self.seconds, 3)}


def exit_status(verdicts: Iterable[str]) -> int:
    """The status for several verdicts."""
    said = {SAME_AS.get(v, v) for v in verdicts}
    return 1 if VIOLATED in said else 3 if INCONCLUSIVE in said else 0
