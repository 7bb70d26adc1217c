"""The command `tlc`, and what it prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oneleader import models
from oneleader.cli.console import beneath, judged, not_tried, say
from oneleader.cli.options import bounds, configuration, json_option, model_argument, print_json
from oneleader.pictures.plain import show_state
from oneleader.shipped import tla_folder
from oneleader.verdict import VIOLATED, exit_status

if TYPE_CHECKING:
    from oneleader.readers.tlc.coverage import ModelCoverage
    from oneleader.readers.tlc.printed import Result
    from oneleader.readers.tlc.twin import Compared


@click.command()
@model_argument
@bounds(3, 1)
@click.option("--config", metavar="FILE", help="Run TLC on this .cfg of tla/ instead of comparing graphs.")
@click.option("--workers", type=click.IntRange(1), default=2, help="TLC's workers.  [default: 2]")
@click.option(
    "--graph",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Use the graph that `oneleader graph` wrote instead of exploring again.",
)
@json_option
def tlc(
    name: str,
    nodes: int | None,
    terms: int | None,
    quorums: str | None,
    sizes: tuple[str, ...],
    where: tuple[str, ...],
    config: str | None,
    workers: int,
    graph: Path | None,
    as_json: bool,
) -> int:
    """Compare the state graphs of MODEL and of its TLA+ twin.

    Without bounds: at several small ones, whose graphs together fire every action and see every guard true
    and false. With bounds: at these alone; what they do not exercise is named.
    """
    from oneleader.readers.tlc import tlc as tlc_reader
    from oneleader.readers.tlc import twin as twin_reader

    model = models.find(name)
    if config:
        path = Path(config) if Path(config).exists() else tla_folder() / config
        module = tla_folder() / f"{path.stem.partition('_')[0]}.tla"
        result = tlc_reader.run(module, path, workers=workers)
        print_json(tlc_json(result)) if as_json else tlc_result(module.name, path.name, result)
        if result.trace and not as_json:
            from oneleader.pictures import pages, traced

            say(pages.see(lambda: traced.of_tlc(path, result), path.stem))
        return exit_status([result.verdict])
    if any(given is not None for given in (nodes, terms, quorums, graph)) or sizes or where:
        at = configuration(model, None, (3, 1), nodes, terms, quorums, sizes, where)
        compared = twin_reader.compare(model, at, workers=workers, graph=graph)
        if as_json:
            print_json(compared_json(compared))
        else:
            graphs_compared(compared)
            exercised(compared)
        return exit_status([compared.verdict])
    found = []
    for compared in twin_reader.compare_all(model):
        found.append(compared)
        if not as_json:
            graphs_compared(compared)
    covered = twin_reader.covered(model, found)
    print_json(twin_json(found, covered)) if as_json else coverage_shown(covered)
    return exit_status([*(compared.verdict for compared in found), covered.verdict])


def tlc_result(module: str, config: str, result: Result) -> None:
    say(
        f"tlc      {module} with {config}   {result.distinct:,} states   {result.generated:,} generated   "
        f"depth {result.depth}   {result.seconds:.1f} s"
    )
    if result.violated is None:
        found = result.vacuous or "no error found within the bounds of the .cfg"
        judged(result.verdict, found, f"checked: {', '.join(result.claims) or 'no invariant, no property'}")
        beneath(as_configured(result))
        return
    judged(VIOLATED, result.violated or "", f"{len(result.trace) - 1} steps")
    before: dict[Any, Any] = {}
    for step in result.trace:
        changed = {k: v for k, v in step.state.items() if before.get(k) != v} if before else {}
        say(f"  {step.action}")
        for variable, value in changed.items():
            say(f"      {variable} = {tla(value)}")
        before = dict(step.state)


def as_configured(result: Result) -> Iterator[str]:
    """What a .cfg makes of its module: a claim holds of that, and of no more."""
    if result.replaced:
        puts = ", ".join(f"{name} <- {other}" for name, other in result.replaced.items())
        yield f"in place of what the module says: {puts}"
    if result.constraints:
        yield f"bounded by: {', '.join(result.constraints)}"


def tla(value: Any) -> str:
    """A value read from TLC, in TLA+ again."""
    if isinstance(value, frozenset):
        return "{" + ", ".join(sorted(map(tla, value))) + "}"
    if isinstance(value, tuple):
        return "<<" + ", ".join(map(tla, value)) + ">>"
    if hasattr(value, "items"):
        return "(" + " @@ ".join(f"{tla(k)} :> {tla(v)}" for k, v in value.items()) + ")"
    return str(value).upper() if isinstance(value, bool) else str(value)


def tlc_json(result: Result) -> dict[str, Any]:
    return {
        "verdict": result.verdict.value,
        "violated": result.violated,
        "claims": result.claims,
        "replaced": dict(result.replaced),
        "constraints": result.constraints,
        "distinct": result.distinct,
        "generated": result.generated,
        "depth": result.depth,
        "seconds": round(result.seconds, 3),
        "trace": [step.action for step in result.trace],
    }


def graphs_compared(result: Compared) -> None:
    """Whether the two graphs are one."""
    say(
        f"tlc      {result.run.model.name}  {result.run.configuration.describe()}   "
        f"TLC {result.tlc_seconds:.1f} s, in all {result.seconds:.1f} s"
    )
    if result.difference:
        judged(result.verdict, "the graphs differ")
        for line in difference(result):
            say(f"        {line}")
    else:
        judged(result.verdict, f"the same {result.states:,} states and {result.edges:,} labelled transitions")
    beneath(not_tried(result.untried))


def difference(result: Compared) -> list[str]:
    """Where the graphs part, with the two states of the transition that only one of them has."""
    lines = result.difference.splitlines()
    if result.edge:
        cells, at = result.run.cells, result.run.configuration
        before, _, after = result.edge
        lines += ["from this state:", *(f"  {line}" for line in show_state(cells, at, before))]
        lines += ["to this state:", *(f"  {line}" for line in show_state(cells, at, after))]
    return lines


def exercised(result: Compared) -> None:
    """What bounds that somebody chose exercise: a note, since equal graphs are what was asked for."""
    coverage = result.coverage
    say(f"        at these bounds {coverage.describe()}")
    for name in coverage.missing:
        say(f"        not seen: {name}")


def coverage_shown(coverage: ModelCoverage) -> None:
    """Whether the bounds together exercise every rule; what they leave out is named."""
    say("tlc      what the bounds exercise together")
    judged(coverage.verdict, coverage.describe())
    for name in coverage.missing:
        say(f"        not seen: {name}")
    for name, reason in coverage.reasons.items():
        say(f"        cannot be seen: {name}: {reason}")


def twin_json(found: Sequence[Compared], coverage: ModelCoverage) -> dict[str, Any]:
    return {
        "compared": [compared_json(one) for one in found],
        "coverage": {
            "verdict": str(coverage.verdict),
            "describe": coverage.describe(),
            "missing": coverage.missing,
            "reasons": dict(coverage.reasons),
        },
    }


def compared_json(result: Compared) -> dict[str, Any]:
    return {
        "model": result.run.model.name,
        "configuration": result.run.configuration.describe(),
        "verdict": result.verdict.value,
        "states": result.states,
        "edges": result.edges,
        "seconds": round(result.seconds, 3),
        "difference": result.difference,
        "not_seen": result.coverage.missing,
        "untried": result.untried,
    }
