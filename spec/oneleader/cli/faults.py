"""The command `faults`, and what it prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from oneleader.cli.console import judged, say
from oneleader.cli.counterexamples import save, violation
from oneleader.cli.options import json_option, print_json
from oneleader.faults import catalogue
from oneleader.faults.fault import Because, Fault, Unlive, Variant
from oneleader.readers.explore.explore import explore, ghosts_read
from oneleader.verdict import HOLDS, VIOLATED
from oneleader.words import plural

if TYPE_CHECKING:
    from oneleader.campaigns.fault_table import FaultRow

FAULT_WIDTHS = (10, 15, 9, 8)


@click.group(invoke_without_command=True)
@click.pass_context
def faults(context: click.Context) -> None:
    """List the faults, show one, or run every reader on each."""
    if context.invoked_subcommand is None:
        catalogue_listed(list(catalogue.FAULTS.values()))


@faults.command("show")
@click.argument("id")
def faults_show(id: str) -> int:
    """Show the story of one fault, with its shortest counterexample."""
    fault_told(catalogue.find(id))
    return 0


@faults.command("run")
@click.option("--only", "ids", multiple=True, metavar="ID", help="Only this fault (may be repeated).")
@click.option(
    "--reader",
    "readers",
    multiple=True,
    type=click.Choice(["explore", "prove", "tlc", "hypothesis", "simulate", "replay"]),
    help="Only this reader (may be repeated).",
)
@json_option
def faults_run(ids: tuple[str, ...], readers: tuple[str, ...], as_json: bool) -> int:
    """Run every reader on every fault: a table."""
    from oneleader.campaigns import fault_table

    wanted = [catalogue.find(id) for id in ids] or list(catalogue.FAULTS.values())
    rows = []
    for fault in wanted:
        found = []
        for row in fault_table.judge(fault, readers or fault_table.READERS):
            found.append(row)
            if not as_json:
                fault_row(fault, row, first=len(found) == 1)
        rows += found
    whole = not ids and not readers
    if as_json:
        print_json([r.as_json() for r in rows])
    else:
        fault_summary(rows, fault_table.blind(rows) if whole else [])
    return fault_table.status(rows, whole=whole)


def catalogue_listed(found: Sequence[Fault]) -> None:
    """The catalogue, a line each."""
    width = max(len(f.id) for f in found)
    for f in found:
        say(f"  {f.id:{width}}  {f.title}")
    say(f"\n{len(found)} faults.   Tell one: oneleader faults show ID.   Every reader: oneleader faults run.")


def fault_told(found: Fault) -> None:
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
        violation(result.run, result.violation, path, found.id)


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
