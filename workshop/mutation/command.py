"""The command `mutants`: what notices a small mistake in a model or in the core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from oneleader.cli.options import json_option, print_json
from oneleader.errors import UsageError
from oneleader.verdict import exit_status

PAGES = Path("docs/results")
KEPT = Path("runs/mutants.jsonl")


@click.command()
@click.argument("names", nargs=-1, metavar="[MODEL]...")
@click.option("--sample", is_flag=True, help="Some of them, the same each time: about a minute.")
@click.option("--list", "listing", is_flag=True, help="Only list them, with what is known of each.")
@click.option("--workers", type=click.IntRange(1), default=1, help="Processes.  [default: 1]")
@click.option("--write", is_flag=True, help=f"Write the pages in {PAGES}, from all models and the core.")
@click.option("--as-kept", is_flag=True, help="Judge none: what is not kept is unjudged, and said to be.")
@click.option("--fresh", is_flag=True, help="Judge again what was judged before of the same source.")
@json_option
def mutants(
    names: tuple[str, ...],
    sample: bool,
    listing: bool,
    workers: int,
    write: bool,
    as_kept: bool,
    fresh: bool,
    as_json: bool,
) -> int:
    """Judge each mutant of each MODEL, or of `core`; of all of them by default.

    A mutant has one guard dropped, one comparison turned or one effect removed. What survives has to stand
    in workshop/mutation/equivalent.toml with the reason. What was judged of the same source is taken from
    docs/results/mutants/ and runs/mutants.jsonl, unless --fresh.
    """
    from workshop.mutation import print_mutants as show
    from workshop.mutation import table

    chosen = [table.checked(name) for name in names] or [*table.NAMES]
    if write and (names or sample or listing):
        raise UsageError("--write is of all models and all their mutants: give no name and no --sample")
    if listing:
        for name in chosen:
            print("\n".join(table.ids(name)))
        return 0
    if fresh:
        KEPT.unlink(missing_ok=True)
    kept = table.KeptJudgements(KEPT, () if fresh or sample else show.read(PAGES))
    found: dict[str, list[Any]] = {name: [] for name in chosen}
    for name in chosen:
        wanted = table.sample(name) if sample else table.ids(name)
        judging = table.as_kept(wanted, kept) if as_kept else table.judge_all(name, wanted, kept, workers)
        for judged in judging:
            found[name].append(judged)
            if not as_json:
                show.line(judged)
        if not as_json:
            show.summary(name, found[name])
    everything = [judged for judgements in found.values() for judged in judgements]
    if write:
        show.write(found, PAGES)
    if as_json:
        print_json([table.as_json(judged) for judged in everything])
    return exit_status([*map(table.verdict, everything)])
