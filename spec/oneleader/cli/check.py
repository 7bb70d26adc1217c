"""The command `check`: every reader on everything, in one table."""

from __future__ import annotations

import time
from contextlib import closing

import click

from oneleader.cli.options import json_option, print_json
from oneleader.errors import UsageError


@click.command()
@click.option("--quick", is_flag=True, help="Smaller bounds: a minute or two.")
@click.option("--deep", is_flag=True, help="Larger bounds too, and all readers where members change.")
@click.option(
    "--all", "every", is_flag=True, help="One line per row, instead of one per model and one per fault."
)
@click.option("--only", multiple=True, metavar="NAME", help="Only this model or fault (may be repeated).")
@click.option("--no-cache", is_flag=True, help="Check again what an earlier run has found in the same code.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one per core]")
@json_option
def check(
    quick: bool,
    deep: bool,
    every: bool,
    only: tuple[str, ...],
    no_cache: bool,
    workers: int | None,
    as_json: bool,
) -> int:
    """Run every reader on all models, faults and the reference.

    What holds is kept, with a hash of all that the check reads, and not checked again while that is the same.
    """
    from oneleader.cli import checks, print_checks
    from oneleader.cli.check_row import status

    if quick and deep:
        raise UsageError("--quick and --deep exclude each other: give one of them")
    started, interrupted = time.perf_counter(), False
    wanted = checks.chosen(quick=quick, deep=deep, only=only)
    left = [] if quick or deep else checks.left_to_deep(only)
    table = print_checks.Table(wanted, every=every, quiet=as_json)
    try:
        with closing(checks.done(wanted, workers=workers, cached=not no_cache, tick=table.tick)) as doing:
            for one, rows in doing:
                table.add(one, rows)
    except KeyboardInterrupt:
        interrupted = True
    if as_json:
        print_json(print_checks.as_json(table.all_rows, interrupted=interrupted))
    else:
        table.unfinished()
        seconds = time.perf_counter() - started
        print_checks.summary(table.all_rows, interrupted=interrupted, quick=quick, deep=left, seconds=seconds)
    return status(table.all_rows, interrupted=interrupted)
