"""The command `hunt`: the reference, looked at for minutes."""

from __future__ import annotations

from pathlib import Path

import click

from oneleader.campaigns import hunt as hunting
from oneleader.verdict import HOLDS, VIOLATED, exit_status


@click.command()
@click.option("--minutes", type=click.FloatRange(0.01), default=5.0, help="For how long.  [default: 5]")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one per core]")
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("runs/hunt"),
    help="Where findings are kept.  [default: runs/hunt]",
)
@click.option("--fault", help="Hunt in a core with this fault (ids: `oneleader faults`).")
def hunt(minutes: float, workers: int | None, folder: Path, fault: str | None) -> int:
    """Look for failures of the reference for a number of minutes.

    It draws scenarios and simulates runs, on all cores.
    """
    found = hunting.hunt(minutes * 60, workers, folder, fault, say=print)
    print(hunting.report(found))
    return exit_status([VIOLATED if found.broken else HOLDS])
