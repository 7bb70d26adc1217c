"""How the catalogue of faults is printed: its list, one fault's story, and the matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from oneleader.cli.console import judged, say
from oneleader.cli.print_results import save, violation
from oneleader.faults.fault import Because, Fault, Unlive, Variant
from oneleader.readers.explore.explore import explore, ghosts_read
from oneleader.verdict import HOLDS, VIOLATED
from oneleader.words import plural

if TYPE_CHECKING:
    from oneleader.campaigns.fault_table import FaultRow

FAULT_WIDTHS = (10, 15, 9, 8)


def faults(found: Sequence[Fault]) -> None:
    """The catalogue, a line each."""
    width = max(len(f.id) for f in found)
    for f in found:
        say(f"  {f.id:{width}}  {f.title}")
    say(f"\n{len(found)} faults.   Tell one: oneleader faults show ID.   Every reader: oneleader faults run.")


def fault(found: Fault) -> None:
    """The story, where it happened, the lines that change, and the shortest counterexample."""
    say(f"{found.id}: {found.title}", style="bold")
    say(f"  {found.story}")
    say(f"  Seen in  {found.sources}")
    say(f"  Breaks   {found.breaks}")
    for where, lines in found.changes.items():
        say(f"\n{where}")
        for line in lines.splitlines():
            say(f"  {line}".rstrip())
    in_the_reference(found)
    if isinstance(found.faulty, Because) or isinstance(found.explore, Because):
        return
    model, broken = found.model, found.broken
    result = explore(model, found.configuration, properties=[broken], ghosts=ghosts_read(model, broken))
    if result.violation:
        path = save(Path("runs"), model, result.run, result.violation, found.id)
        violation(result.run, result.violation, path)


def in_the_reference(found: Fault) -> None:
    """The smallest scenario of the reference that does harm, and what it breaks."""
    from oneleader.campaigns import fault_table as table
    from oneleader.conformance.reference import program

    if isinstance(found.variant, Variant):
        say("\nthe smallest scenario of the reference")
        lines = program.lines(found.variant.program)
        for line in lines:
            say(f"  {line}")
        say(f"broken   {table.played(found.variant, lines)}", style="bold")
    if isinstance(found.unlive, Unlive):
        said = table.by_simulation(found)
        say(f"\nwhen faults have ended, but for one that lasts (seed {said.seed})")
        say(f"broken   {said.detail}", style="bold")


def fault_row(found: Fault, row: FaultRow, *, first: bool) -> None:
    """What one reader said, in columns; before the first the name of the fault."""
    if first:
        say(f"{found.id}: {found.title}")
    length = "" if row.length is None else plural(row.length, "steps")
    seconds = f"{row.seconds:5.1f} s"
    drawn = "" if row.found is None else f" (seed {row.seed}, {plural(row.found, 'steps')} when found)"
    judged(
        row.verdict,
        row.reader,
        row.verdict.worded("fault"),
        length,
        seconds,
        row.detail + drawn,
        widths=FAULT_WIDTHS,
    )


def fault_summary(rows: Sequence[FaultRow], blind: Sequence[str]) -> None:
    """How many were caught, and who found nothing."""
    said = Counter(row.verdict for row in rows)
    counts = ", ".join(f"{n} {verdict.worded('fault')}" for verdict, n in said.most_common())
    say()
    bad = bool(blind) or VIOLATED in said
    judged(VIOLATED if bad else HOLDS, counts, f"{sum(row.seconds for row in rows):.0f} s")
    for sentence in blind:
        say(f"        {sentence}")
