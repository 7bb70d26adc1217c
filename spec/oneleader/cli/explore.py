"""The command `explore`, and what it prints."""

from __future__ import annotations

from pathlib import Path

import click

from oneleader.cli.console import NAME, beneath, judged, not_tried, say, skipped
from oneleader.cli.counterexamples import save, save_test_option, violation, write_test
from oneleader.cli.options import (
    bounds,
    chosen,
    configuration,
    fault_option,
    json_option,
    model_argument,
    print_json,
)
from oneleader.cli.progress import ProgressLine
from oneleader.errors import UsageError
from oneleader.language.configuration import Configuration
from oneleader.language.model import Model
from oneleader.readers.agree import Agreement
from oneleader.readers.explore import explore as explore_reader
from oneleader.readers.explore.explored import Explored
from oneleader.readers.explore.search import Limits
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict, exit_status
from oneleader.words import plural, snake, title

MOST_STATES = 50_000  # in which each run of a page is sought


@click.command()
@model_argument
@bounds(3, 2)
@fault_option
@click.option("--property", "only", multiple=True, metavar="NAME", help="Check only this (may be repeated).")
@click.option("--no-symmetry", is_flag=True, help="Count states that differ only in nodes' names separately.")
@click.option(
    "--engine",
    type=click.Choice(explore_reader.ENGINES),
    default="numpy",
    help="python is the slow oracle, native compiles C.  [default: numpy]",
)
@click.option("--max-states", type=click.IntRange(1), help="Stop as inconclusive after this many states.")
@click.option("--max-memory", type=click.IntRange(1), metavar="MIB", help="Stop as inconclusive above this.")
@click.option("--out", "folder", default="runs", help="Where a counterexample is written.  [default: runs]")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, dir_okay=False),
    help="If the search ends early, save it in this file and resume from it next time. Needs --property.",
)
@click.option(
    "--disk",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the states in files in this folder instead of in memory; resume from it after an early end.",
)
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page that takes MODEL's steps in a browser, and explore no further than its runs need.",
)
@save_test_option
@json_option
def explore(
    name: str,
    nodes: int | None,
    terms: int | None,
    quorums: str | None,
    sizes: tuple[str, ...],
    where: tuple[str, ...],
    fault: str | None,
    only: tuple[str, ...],
    no_symmetry: bool,
    engine: str,
    max_states: int | None,
    max_memory: int | None,
    folder: str,
    checkpoint: Path | None,
    disk: Path | None,
    page: Path | None,
    save_test: Path | None,
    as_json: bool,
) -> int:
    """Visit every reachable state of a bounded MODEL.

    A violation is printed as a shortest run to it, and saved.
    """
    model, found = chosen(name, fault)
    at = configuration(model, found, (3, 2), nodes, terms, quorums, sizes, where)
    if page:
        return write_page(model, at, page, fault)
    if checkpoint and disk:
        raise UsageError("--disk goes on by itself: give it without --checkpoint")
    if checkpoint and len(only) != 1:
        raise UsageError("--checkpoint keeps one search: name one property with --property")
    wanted = [snake(p) for p in only] or ([found.broken.name] if found else None)
    results = []
    with ProgressLine(quiet=as_json) as progress:
        for result in explore_reader.explore_all(
            model,
            at,
            only=wanted,
            symmetry=not no_symmetry,
            engine=engine,
            limits=Limits(max_states, max_memory),
            progress=progress,
            announce=lambda sentence: None if as_json else click.echo(f"memory   {sentence}", err=True),
            checkpoint=checkpoint,
            disk=disk,
        ):
            results.append(result)
            if not as_json:
                progress.clear()
                explored(result)
            if result.violation:
                path = save(Path(folder), model, result.run, result.violation, fault)
                is_first = not any(r.violation for r in results[:-1])
                test = save_test if is_first else None
                if test:
                    write_test(test, result.run, result.violation, fault)
                if not as_json:
                    violation(result.run, result.violation, path, fault, test)
            if result.why == "interrupted":
                break
    if as_json:
        print_json([r.as_json() for r in results])
    verdicts = [r.verdict for r in results] + [open_verdict(r) for r in results]
    verdicts += [INCONCLUSIVE for r in results if r.unfired]
    if not any(r.properties or r.witnesses or r.violation for r in results):
        verdicts.append(INCONCLUSIVE)
        if not as_json:
            judged(INCONCLUSIVE, "the model has no property: there is nothing to judge")
    return exit_status(verdicts, interrupted=any(r.why == "interrupted" for r in results))


def write_page(model: Model, at: Configuration, page: Path, fault: str | None) -> int:
    """The explorer's page of a model, with shortest runs to what can be seen within some thousand states."""
    from oneleader.pictures.explorer import Explorer, runs_of

    if fault:
        raise UsageError("--html has every fault of the model as a switch: give it without --fault")
    made = Explorer(model, at, runs_of(model, at, MOST_STATES)).page()
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(made, encoding="utf-8")
    say(f"see  {page}")
    return 0


def explored(result: Explored) -> None:
    """The header line, a line a property and a witness, and what was cut."""
    digits = str(result.symmetry)
    many = digits if len(digits) < 8 else f"some 10^{len(digits) - 1}"
    orbits = f" (orbits of {many})" if result.symmetry > 1 else ""
    ghosts = ", ".join(f.name for f in result.run.cells.fields if f.kind == "ghost")
    rate = (result.states - result.taken_up) / result.seconds if result.seconds else 0
    depth = max(result.depth, len(result.violation.steps) if result.violation else 0)
    say(
        f"explore  {result.run.model.name}  {result.run.configuration.describe()}"
        f"{'  with ' + ghosts if ghosts else ''}   {result.states:,} states{orbits}   "
        f"{result.transitions:,} steps   depth {depth}   {rate:,.0f} states/s"
    )
    if result.symmetry_why:
        say(f"        symmetry: {result.symmetry_why}")
    agreed(result.agreement)
    for name in result.properties:
        judged(result.verdict_of(name), title(name), _said(result, name), widths=(NAME,))
    for name, at in result.witnesses.items():
        end = "within the bound" if result.exhausted else "before the run ended"
        reached = f"reached at depth {at}" if at is not None else f"not reached {end}"
        judged(HOLDS if at is not None else INCONCLUSIVE, f"witness {title(name)}", reached, widths=(NAME,))
    if result.violation and result.violation.what not in result.properties:
        judged(VIOLATED, result.violation.what, f"{len(result.violation.steps)} steps", widths=(NAME,))
    if result.unfired:
        never = f"never possible within the bounds: {', '.join(result.unfired)}"
        judged(INCONCLUSIVE, "every action", never, widths=(NAME,))
    if result.exhausted:
        beneath([*skipped(result.cut), *not_tried(result.untried)])


def agreed(agreement: Agreement | None) -> None:
    """Whether traced and plain are the same: a difference in bold, for it makes everything else worthless."""
    if agreement and agreement.difference:
        judged(VIOLATED, str(agreement))
    elif agreement:
        say(f"        {agreement}")


def _said(result: Explored, name: str) -> str:
    """How strongly one property holds, or why it is not known to."""
    if result.violation:
        broken = result.violation.what == name
        steps = plural(len(result.violation.steps), "steps")
        return steps if broken else "not decided: the run ended at another violation"
    if name in result.untested:
        return f"never put to the test, {result.strength}: {_unmet(result, name)}"
    return result.strength if result.exhausted else result.why


def _unmet(result: Explored, name: str) -> str:
    """`premise 2 of 3 never holds`."""
    premises = [at for premise, at in result.premises.items() if premise.tests == name]
    never = [str(number) for number, at in enumerate(premises, start=1) if at is None]
    return f"premise {' and '.join(never)} of {len(premises)} is never met"


def open_verdict(result: Explored) -> Verdict:
    """What a complete exploration did not reach or test leaves open whether anything holds for a reason."""
    is_open = result.untested or None in result.witnesses.values()
    return INCONCLUSIVE if result.exhausted and is_open else HOLDS
