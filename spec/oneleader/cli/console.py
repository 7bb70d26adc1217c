"""Printing for people: aligned columns, verdicts in colour on a terminal. NO_COLOR is honoured."""

from __future__ import annotations

from collections.abc import Sequence

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


def not_tried(places: Sequence[str]) -> None:
    """Where a value above the bounds may matter, which no bounded reader tries."""
    if places:
        say(f"        values above the bounds matter, and are not tried: {', '.join(places)}")
