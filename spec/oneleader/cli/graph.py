"""The command `graph`: a state graph as a file."""

from __future__ import annotations

from pathlib import Path

import click

from oneleader.cli.console import beneath, not_tried, say
from oneleader.cli.options import (
    bounds,
    chosen,
    configuration,
    fault_option,
    json_option,
    model_argument,
    print_json,
)
from oneleader.readers.run import Run


@click.command()
@model_argument
@bounds(2, 1)
@fault_option
@click.option("--out", "file", type=click.Path(path_type=Path), required=True, help="A .dot or .npz file.")
@json_option
def graph(
    name: str,
    nodes: int | None,
    terms: int | None,
    quorums: str | None,
    sizes: tuple[str, ...],
    where: tuple[str, ...],
    fault: str | None,
    file: Path,
    as_json: bool,
) -> int:
    """Write the state graph of a bounded MODEL to a file.

    DOT for Graphviz, or a NumPy archive that `oneleader tlc --graph` compares.
    """
    from oneleader.readers.beyond import untried
    from oneleader.readers.explore.graph import Graph

    model, found = chosen(name, fault)
    at = configuration(model, found, (2, 1), nodes, terms, quorums, sizes, where)
    made = Graph.of(Run(model, at))
    made.write(file)
    left = untried(model, at, ())
    told = {"file": str(file), "states": len(made.states), "steps": len(made.steps), "untried": left}
    if as_json:
        print_json(told)
    else:
        said = f"{at.describe()}   {told['states']:,} states   {told['steps']:,} steps"
        say(f"graph    {model.name}  {said}   written to {file}")
        beneath(not_tried(left))
    return 0
