"""The command `refine`: one model beside the one that it refines, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from oneleader import models
from oneleader.cli.console import beneath, judged, not_tried, say
from oneleader.cli.counterexamples import save, save_test_option, violation, write_test
from oneleader.cli.options import bounds, configuration, json_option, print_json
from oneleader.readers.explore.refine import Refined
from oneleader.readers.explore.refine import refine as compare
from oneleader.verdict import exit_status


@click.command()
@click.argument("name", metavar="CONCRETE")
@click.argument("abstract", metavar="[ABSTRACT]", required=False)
@bounds(2, 1)
@click.option("--runs", type=click.IntRange(0), default=0, help="Compare random runs, not every state.")
@click.option("--length", type=click.IntRange(1), default=200, help="Steps per run.  [default: 200]")
@click.option("--seed", type=int, default=1, help="The seed of the runs.  [default: 1]")
@click.option("--out", "folder", default="runs", help="Where a counterexample is written.  [default: runs]")
@save_test_option
@json_option
def refine(
    name: str,
    abstract: str | None,
    nodes: int | None,
    terms: int | None,
    quorums: str | None,
    sizes: tuple[str, ...],
    where: tuple[str, ...],
    runs: int,
    length: int,
    seed: int,
    folder: str,
    save_test: Path | None,
    as_json: bool,
) -> int:
    """Is each step of CONCRETE a step of ABSTRACT, or no step?

    Each is a model or a .py file.

    Without ABSTRACT, it is the model that CONCRETE says it refines. Fields are matched by name."""
    model = models.find(name)
    other = models.beside(model, abstract) if abstract else None
    at = configuration(model, None, (2, 1), nodes, terms, quorums, sizes, where)
    result = compare(model, at, other, runs=runs, length=length, seed=seed)
    path = save(Path(folder), model, result.run, result.violation, None) if result.violation else None
    if result.violation and save_test:
        write_test(save_test, result.run, result.violation, None)
    if as_json:
        print_json(as_data(result))
    else:
        printed(result)
        if result.violation and path:
            violation(result.run, result.violation, path, None, save_test)
    return exit_status([result.verdict])


def printed(result: Refined) -> None:
    """What was compared, what was not, and the verdict."""
    say(
        f"refine   {result.run.model.name} → {result.to.model.name}  {result.run.configuration.describe()}   "
        f"{result.states:,} states   {result.seconds:.1f} s"
    )
    say(
        f"        {result.abstract:,} steps are steps of {result.to.model.name}, "
        f"{result.stuttering:,} change nothing there; "
        f"{result.cut:,} left the bound and were compared with nothing"
    )
    if result.left_out:
        say(f"        fields left out: {', '.join(result.left_out)}")
    for of, agreed in zip((result.run, result.to), result.agreements, strict=True):
        say(f"        {of.model.name} {agreed}")
    if result.never_taken:
        say(f"        never taken in {result.run.model.name}: {', '.join(result.never_taken)}")
    if result.never_matched:
        say(f"        never a step of {result.to.model.name}: {', '.join(result.never_matched)}")
    beneath(not_tried(result.untried))
    judged(result.verdict, "each step is allowed", result.why or result.strength)


def as_data(result: Refined) -> dict[str, Any]:
    """The same for machines."""
    return {
        "model": result.run.model.name,
        "abstract": result.to.model.name,
        "configuration": result.run.configuration.describe(),
        "verdict": result.verdict.value,
        "why": result.why,
        "strength": result.strength,
        "states": result.states,
        "steps": result.abstract,
        "stuttering": result.stuttering,
        "cut": result.cut,
        "left_out": result.left_out,
        "never_taken": result.never_taken,
        "never_matched": result.never_matched,
        "untried": result.untried,
        "agreement": [str(agreed) for agreed in result.agreements],
        "violation": result.violation and result.violation.calls(result.run),
    }
