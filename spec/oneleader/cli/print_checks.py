"""How `oneleader check` is printed: one line a model and one a fault; then what holds, and how strongly."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from oneleader.cli.check_row import CheckRow, status, total
from oneleader.cli.checks import Check, by_model, in_order
from oneleader.cli.console import beneath, judged, say
from oneleader.cli.progress import ProgressLine
from oneleader.verdict import HOLDS, INCONCLUSIVE, NOT_EXPRESSIBLE, VIOLATED
from oneleader.words import plural

WIDTHS = (36, 9)  # of a name and of seconds
ROW_WIDTHS = (36, 10, 72, 7)


class Table:
    """Prints lines as soon as all of a group is done; `every`: each row as soon as it is done."""

    def __init__(self, checks: Sequence[Check], *, every: bool, quiet: bool) -> None:
        self.checks, self.every, self.quiet = checks, every, quiet
        self.groups = by_model(checks)
        self.rows: dict[Check, list[CheckRow]] = {}
        self.progress = ProgressLine(quiet=quiet, every=10)

    def tick(self, running: Sequence[str], left: float) -> None:
        """The live line."""
        done = f"{len(self.rows)} of {len(self.checks)} checks"
        self.progress.tell(f"  {done}   about {left:.0f} s left   now {', '.join(running)}"[:110])

    def add(self, check: Check, rows: list[CheckRow]) -> None:
        self.rows[check] = rows
        if self.quiet:
            return
        self.progress.clear()
        group = self.groups[check.model]
        if self.every:
            for row in rows:
                whole_row(row)
        elif all(other in self.rows for other in group):
            group_line(check.model, in_order(group, self.rows), "")

    def unfinished(self) -> None:
        """What is done of the groups that were not printed."""
        self.progress.clear()
        for model, group in self.groups.items():
            some = in_order(group, self.rows)
            if some and not self.every and any(other not in self.rows for other in group):
                group_line(model, some, f", {sum(c in self.rows for c in group)} of {len(group)} checks done")

    @property
    def all_rows(self) -> list[CheckRow]:
        return in_order(self.checks, self.rows)


def whole_row(row: CheckRow) -> None:
    """Model, reader, strength and seconds in columns; then what was seen."""
    seconds = f"{row.seconds:.1f} s".rjust(ROW_WIDTHS[3])
    judged(row.verdict, row.model, row.reader, row.strength, seconds, row.what, widths=ROW_WIDTHS)
    _details(row)
    beneath(row.left_out)


def _details(row: CheckRow) -> None:
    beneath(row.detail.splitlines() if row.verdict in (VIOLATED, INCONCLUSIVE) else [])


def group_line(model: str, rows: Sequence[CheckRow], note: str) -> None:
    """One model or fault: its gravest verdict, what holds by which reader, and in full what does not hold."""
    if rows and all(row.is_earlier for row in rows):
        note += ", by an earlier run"
    seconds = f"{sum(row.seconds for row in rows):.1f} s".rjust(WIDTHS[1])
    judged(total(rows), model, seconds, f"{_said(rows)}{note}", widths=WIDTHS)
    for row in rows:
        if row.verdict in (VIOLATED, INCONCLUSIVE):
            judged(row.verdict, f"  {row.reader}", row.what, row.strength, widths=(12,))
            _details(row)


def _said(rows: Sequence[CheckRow]) -> str:
    """`explore 3, prove, tlc`; `caught by explore and prove; not expressible: tlc`."""
    readers = Counter(row.reader for row in rows if row.verdict is HOLDS)
    names = ", ".join(f"{reader} {n}" if n > 1 else reader for reader, n in readers.items())
    is_caught = all(row.kind == "fault" for row in rows if row.verdict is HOLDS)
    said = [f"caught by {names}" if is_caught else names] if names else []
    mute = dict.fromkeys(row.reader for row in rows if row.verdict is NOT_EXPRESSIBLE)
    return "; ".join([*said, f"not expressible: {', '.join(mute)}"] if mute else said)


# -- what was claimed ------------------------------------------------------------------------------
def claimed(rows: Iterable[CheckRow]) -> list[str]:
    """One line for each reader and strength: of what it holds, and how often."""
    found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row.verdict is HOLDS:
            found[row.reader, _kind(row)][row.model] += 1
    return [f"{reader:11} {kind:46} {_models(models)}" for (reader, kind), models in found.items()]


def _kind(row: CheckRow) -> str:
    """The strength without the bounds and counts of the single row."""
    if row.kind in ("fault", "recording"):
        return row.verdict.worded(row.kind)
    return re.split(r", (?=\d)| within ", row.strength, maxsplit=1)[0]


def _models(models: Counter[str]) -> str:
    faults = sum(model.startswith("fault ") for model in models)
    names = [
        f"{model} ({n} times)" if n > 1 else model
        for model, n in models.items()
        if not model.startswith("fault ")
    ]
    return ", ".join([*names, plural(faults, "faults")] if faults else names)


def summary(
    rows: Sequence[CheckRow],
    *,
    interrupted: bool = False,
    quick: bool = False,
    deep: Sequence[str] = (),
    seconds: float,
) -> None:
    """What was claimed and how strongly; how many rows hold. `deep`: the titles that --deep would add."""
    say()
    say("what holds, and how strongly")
    for line in claimed(rows):
        say(f"  {line}")
    said = Counter(row.verdict for row in rows)
    counts = ", ".join(f"{n} {'hold' if verdict is HOLDS else verdict}" for verdict, n in said.most_common())
    word = INCONCLUSIVE if interrupted else total(rows)
    say()
    judged(word, f"{plural(len(rows), 'rows')}: {counts}", f"{seconds:.0f} s")
    if interrupted:
        say("        interrupted: the rest was not checked")
    if before := sum(row.is_earlier for row in rows):
        say(f"        {before:,} of them by an earlier run that read the same: --no-cache checks them again")
    leaving_out = dict.fromkeys(row.model for row in rows if row.left_out)
    if leaving_out:
        say(f"        bounds leave something out of {', '.join(leaving_out)}: --all says what")
    if quick:
        say("        --quick leaves out the larger bounds and three of the six readers of the faults")
    if deep:
        more = ", ".join(f"{title} ({n})" for title, n in sorted(Counter(deep).items()))
        say(f"        --deep adds {plural(len(deep), 'checks')} that take longest: {more}")


def as_json(rows: Sequence[CheckRow], *, interrupted: bool) -> dict[str, Any]:
    """Every row, in the order of the list."""
    told = [row.as_json() for row in rows]
    return {"rows": told, "interrupted": interrupted, "status": status(rows, interrupted=interrupted)}
