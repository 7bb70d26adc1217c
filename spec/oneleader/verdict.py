"""Verdicts: what a reader can say of a question, and the exit status that follows.

| verdict        | status | meaning                                                                    |
|----------------|--------|----------------------------------------------------------------------------|
| holds          | 0      | within what was asked: see the reader's strength                           |
| violated       | 1      | there is a counterexample, or a finding that must not be                   |
| inconclusive   | 3      | the reader cannot tell: it was stopped, or a witness was not reached       |
| not expressible| 3      | the reader has no words for the question, so it has not answered it        |

Bad input ends with 2, Ctrl-C with 130. Of several verdicts 1 outranks 3 outranks 0, and no verdict at
all is inconclusive: nothing holds that nobody asked. A question that a reader cannot express is never
ok for that reader. Where several readers are asked the same question and another one decides it,
`decided` leaves those aside that could not express it (docs/decisions).

This is the only place where verdicts are named; a reader may word them in its own way, by `WORDS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Literal

USAGE, INTERRUPTED = 2, 130


class ShownInNotebooks:
    """How a notebook shows a verdict. (An Enum refuses the name in its own body.)"""

    def _repr_html_(self) -> str:
        verdict = Verdict(getattr(self, "value", None))
        return f'<strong style="color: {COLOURS[verdict]}">{verdict}</strong>'


class Verdict(ShownInNotebooks, Enum):
    """What a reader says. No string equals a verdict, so that mypy finds every comparison with one."""

    HOLDS = "holds"
    VIOLATED = "violated"
    INCONCLUSIVE = "inconclusive"
    NOT_EXPRESSIBLE = "not expressible"

    def __str__(self) -> str:
        return self.value

    def worded(self, of: Kind) -> str:
        """The verdict in the words for questions of this kind."""
        return WORDS[of].get(self, self.value)


HOLDS, VIOLATED = Verdict.HOLDS, Verdict.VIOLATED
INCONCLUSIVE, NOT_EXPRESSIBLE = Verdict.INCONCLUSIVE, Verdict.NOT_EXPRESSIBLE

# Readable on white and on black.
COLOURS = {HOLDS: "#0a8f5b", VIOLATED: "#d9364f", INCONCLUSIVE: "#a8790a", NOT_EXPRESSIBLE: "#7c8796"}

# A proof is of an obligation; a recording is judged; a fault is there to be found.
Kind = Literal["property", "proof", "recording", "fault"]
WORDS: Mapping[Kind, Mapping[Verdict, str]] = {
    "property": {},
    "proof": {HOLDS: "proved"},
    "recording": {HOLDS: "accepted", VIOLATED: "refused"},
    "fault": {HOLDS: "caught", VIOLATED: "missed"},
}
RANKS = (VIOLATED, INCONCLUSIVE, NOT_EXPRESSIBLE, HOLDS)  # the gravest first
STATUS = {HOLDS: 0, VIOLATED: 1, INCONCLUSIVE: 3, NOT_EXPRESSIBLE: 3}


def gravest(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on all of them together."""
    return min(verdicts, key=RANKS.index, default=INCONCLUSIVE)


def exit_status(verdicts: Iterable[Verdict], *, interrupted: bool = False) -> int:
    """The exit status of a command that came to these verdicts."""
    return INTERRUPTED if interrupted else STATUS[gravest(verdicts)]


def decided(answers: Iterable[tuple[str, Verdict]]) -> list[Verdict]:
    """The verdicts of (question, verdict) without `not expressible` where another reader decided."""
    answers = list(answers)
    settled = {question for question, verdict in answers if verdict in (HOLDS, VIOLATED)}
    return [v for question, v in answers if v is not NOT_EXPRESSIBLE or question not in settled]
