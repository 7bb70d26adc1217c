"""The command `walk`, and what it prints."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oneleader.cli.console import NAME, beneath, judged, not_tested, not_tried, say
from oneleader.cli.counterexamples import save, save_test_option, violation, write_test
from oneleader.cli.explore import agreed
from oneleader.cli.options import (
    bounds,
    chosen,
    configuration,
    fault_option,
    json_option,
    model_argument,
    print_json,
)
from oneleader.verdict import exit_status
from oneleader.words import title

if TYPE_CHECKING:
    from oneleader.readers.explore.walk import Walked


@click.command()
@model_argument
@bounds(5, 6)
@fault_option
@click.option("--runs", type=click.IntRange(1), default=200, help="How many runs.  [default: 200]")
@click.option("--length", type=click.IntRange(1), default=100, help="Steps per run.  [default: 100]")
@click.option(
    "--engine",
    type=click.Choice(["python", "native"]),
    default="python",
    help="native compiles the model first: for long walks.  [default: python]",
)
@click.option("--seed", type=int, help="The seed; by default a random one, printed.")
@click.option("--out", "folder", default="runs", help="Where a counterexample is written.  [default: runs]")
@save_test_option
@json_option
def walk(
    name: str,
    nodes: int | None,
    terms: int | None,
    quorums: str | None,
    sizes: tuple[str, ...],
    where: tuple[str, ...],
    fault: str | None,
    runs: int,
    length: int,
    engine: str,
    seed: int | None,
    folder: str,
    save_test: Path | None,
    as_json: bool,
) -> int:
    """Walk through MODEL at random and check every state."""
    from oneleader.readers.explore import walk as walk_reader

    model, found = chosen(name, fault)
    at = configuration(model, found, (5, 6), nodes, terms, quorums, sizes, where)
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    result = walk_reader.walk(model, at, seed=seed, runs=runs, length=length, engine=engine)
    path = save(Path(folder), model, result.run, result.violation, fault) if result.violation else None
    if result.violation and save_test:
        write_test(save_test, result.run, result.violation, fault)
    if as_json:
        print_json(walked_json(result))
    else:
        walked(result)
        if result.violation and path:
            violation(result.run, result.violation, path, fault, save_test)
    return exit_status([result.verdict], interrupted=result.why == "interrupted")


def walked(result: Walked) -> None:
    """Verdict, seed, how often each action fired, which never did."""
    rate = result.steps / result.seconds if result.seconds else 0
    say(
        f"walk     {result.run.model.name}  {result.run.configuration.describe()}   seed {result.seed}   "
        f"{result.runs:,} runs   {result.steps:,} steps   {rate:,.0f} steps/s"
    )
    agreed(result.agreement)
    judged(result.verdict, "every property in every state", result.why or result.strength, widths=(NAME,))
    beneath([*not_tested(result.untested), *not_tried(result.untried)])
    for name in result.run.model.actions:
        times = result.fired[name]
        say(f"        {name:26} {f'{times:,} times' if times else 'never'}")
    for name, reached in result.witnesses.items():
        say(f"        witness {title(name):{NAME}} {'reached' if reached else 'not reached'}")


def walked_json(result: Walked) -> dict[str, Any]:
    return {
        "model": result.run.model.name,
        "configuration": result.run.configuration.describe(),
        "seed": result.seed,
        "verdict": result.verdict.value,
        "why": result.why,
        "agreement": result.agreement and str(result.agreement),
        "runs": result.runs,
        "steps": result.steps,
        "seconds": round(result.seconds, 3),
        "fired": {name: result.fired[name] for name in result.run.model.actions},
        "never_fired": result.never_fired,
        "untested": result.untested,
        "untried": result.untried,
        "witnesses": result.witnesses,
        "violation": result.violation
        and {"what": result.violation.what, "steps": result.violation.calls(result.run)},
    }
