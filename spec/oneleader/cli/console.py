"""Printing for people: aligned columns, verdicts in colour on a terminal. NO_COLOR is honoured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click
from rich.console import Console
from rich.text import Text

from oneleader.verdict import HOLDS, INCONCLUSIVE, NOT_EXPRESSIBLE, USAGE, VIOLATED, Verdict

out = Console(highlight=False, soft_wrap=True)
MARKS = {HOLDS: "ok", VIOLATED: "FAIL", INCONCLUSIVE: "????", NOT_EXPRESSIBLE: "n/a"}
STYLES = {HOLDS: "green", VIOLATED: "bold red", INCONCLUSIVE: "yellow", NOT_EXPRESSIBLE: "dim"}
NAME = 34  # the width of a property's name
MARK_WIDTH = max(map(len, MARKS.values()))


def say(text: str = "", style: str | None = None) -> None:
    """One line, without rich's markup."""
    out.print(Text(text, style=style or ""))


def mark(verdict: Verdict) -> Text:
    """`ok`, `FAIL`, `????` or `n/a`, in its colour."""
    return Text(MARKS[verdict].ljust(MARK_WIDTH), style=STYLES[verdict])


def judged(verdict: Verdict, *columns: str, widths: Sequence[int] = ()) -> None:
    """A line that begins with a verdict: `  ok    ElectionSafety   exhaustive`."""
    padded = [c.ljust(w) for c, w in zip(columns, (*widths, *[0] * len(columns)), strict=False)]
    out.print(Text.assemble("  ", mark(verdict), "  ", "  ".join(padded).rstrip()))


def complain(sentence: str) -> int:
    """One sentence on standard error, and status 2."""
    click.echo(f"oneleader: {sentence}", err=True)
    return USAGE


def skipped(cut: int) -> list[str]:
    """How many steps left the bounds, as a sentence; none where none did."""
    steps, were = ("step", "was") if cut == 1 else ("steps", "were")
    said = f"{cut:,} {steps} exceeded the bounds and {were} skipped; results hold within the bounds"
    return [said] if cut else []


def not_tested(names: Sequence[str]) -> list[str]:
    """Which properties nothing put to the test, as a sentence."""
    return [f"never put to the test: {', '.join(names)}"] if names else []


def not_tried(places: Sequence[str]) -> list[str]:
    """Where a value above the bounds may matter, which no bounded reader tries, as a sentence."""
    said = "values above the bounds matter, and are not tried"
    return [f"{said}: {', '.join(places)}"] if places else []


def beneath(sentences: Iterable[str]) -> None:
    """Sentences that belong to the line above."""
    for sentence in sentences:
        say(f"        {sentence}")
