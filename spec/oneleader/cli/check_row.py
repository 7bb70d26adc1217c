"""A row of the table of `oneleader check`, and what follows from all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from oneleader.verdict import Kind, Verdict, decided, exit_status, gravest


@dataclass(frozen=True)
class CheckRow:
    """What one reader said of one model or fault.

    `detail` says why, where the verdict is not `holds`; `left_out` what bounds leave out, in sentences.
    `is_earlier`: an earlier run has found it, reading the same texts.
    """

    model: str
    reader: str
    what: str
    verdict: Verdict
    strength: str
    seconds: float
    detail: str = ""
    left_out: tuple[str, ...] = ()
    kind: Kind = "property"
    is_earlier: bool = False

    @property
    def question(self) -> str:
        """What was asked: of a fault the same of every reader, otherwise something else in each row."""
        return self.model if self.kind == "fault" else f"{self.model}, {self.reader}, {self.what}"

    def as_json(self) -> dict[str, Any]:
        row = asdict(self) | {"verdict": self.verdict.worded(self.kind), "seconds": round(self.seconds, 3)}
        del row["kind"]
        return row


def answers(rows: Iterable[CheckRow]) -> list[Verdict]:
    """The verdicts that count; a reader that cannot express a fault stands aside where another found it."""
    return decided((row.question, row.verdict) for row in rows)


def total(rows: Iterable[CheckRow]) -> Verdict:
    return gravest(answers(rows))


def status(rows: Iterable[CheckRow], *, interrupted: bool) -> int:
    return exit_status(answers(rows), interrupted=interrupted)
