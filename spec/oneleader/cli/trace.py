"""The commands `trace schema`, `lint` and `merge`: recordings in our own format, before they are judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import click

from oneleader.cli.console import say
from oneleader.cli.options import InputFile
from oneleader.readers.replay.form import faults_of, schema
from oneleader.readers.replay.lines import opened
from oneleader.readers.replay.merging import UNDECIDED, Merging
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, exit_status

MOST_SHOWN = 20


@click.group()
def trace() -> None:
    """Check and merge recordings, and print their schema."""


@trace.command("schema")
def print_schema() -> int:
    """Print the JSON Schema of a line."""
    say(json.dumps(schema(), indent=2))
    return exit_status([HOLDS])


@trace.command()
@click.argument("file", type=InputFile())
def lint(file: Path) -> int:
    """Check the form of FILE's lines; `replay` judges what they say."""
    with opened(file) as lines:
        faults = list(faults_of(lines))
    for fault in faults[:MOST_SHOWN]:
        say(f"{file}: {fault}")
    if len(faults) > MOST_SHOWN:
        say(f"{len(faults) - MOST_SHOWN:,} more")
    return exit_status([VIOLATED if faults else HOLDS])


@trace.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=InputFile())
@click.option("--output", type=click.File("w", lazy=True), default="-", help="[default: standard output]")
def merge(files: tuple[Path, ...], output: IO[str]) -> int:
    """Write the recordings of several nodes, a file for each, as one.

    Effects come after their causes.
    """
    return exit_status([merge_into(output, files).verdict])


def merge_into(output: IO[str], files: Sequence[Path]) -> Merging:
    """Merge, and say on standard error what was seen."""
    with ExitStack() as stack:
        merging = Merging([(str(file), stack.enter_context(opened(file))) for file in files])
        for line in merging.lines():
            output.write(line)
    for hint in merging.hints():
        click.echo(f"hint: {hint}", err=True)
    for place in merging.waiting:
        click.echo(f"no order of the lines allows {place}", err=True)
    if merging.verdict is INCONCLUSIVE:
        click.echo(UNDECIDED, err=True)
    return merging
