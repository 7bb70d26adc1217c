"""The commands `oneleader campaign walk|explore|conform`: many jobs, one merged result."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import click

from oneleader.campaigns import campaign as reader
from oneleader.campaigns.dask_executor import over
from oneleader.campaigns.journal import Journal
from oneleader.cli import print_campaign as show
from oneleader.cli.options import F, chosen, fault_option, json_option, model_argument, print_json
from oneleader.cli.progress import ProgressLine
from oneleader.errors import UsageError
from oneleader.readers.explore.explore import ENGINES
from oneleader.verdict import Verdict, exit_status
from oneleader.words import plural, snake

POSITIVE = click.IntRange(1)


@click.group()
def campaign() -> None:
    """Spread many walks, explorations or tests over all cores.

    Or over a Dask cluster, with --cluster ADDRESS.
    """


# -- options that several commands share ---------------------------------------------------------
def campaign_options(command: F) -> F:
    for option in (
        json_option,
        click.option("--out", "folder", default="runs", help="Where counterexamples go.  [default: runs]"),
        click.option(
            "--journal",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Append each finished job to this file, and skip those already in it.",
        ),
        click.option(
            "--cluster",
            is_flag=False,
            flag_value="local",
            metavar="[ADDRESS]",
            help="Use every core of this machine (local), or a Dask scheduler (tcp://HOST:8786).",
        ),
    ):
        command = option(command)
    return command


def shares(what: str, total: int, chunk: int) -> Callable[[F], F]:
    def add(command: F) -> F:
        helped = f"How many {what} per job.  [default: {chunk:,}]"
        command = click.option("--chunk", type=POSITIVE, default=chunk, help=helped)(command)
        helped = f"How many {what} in all.  [default: {total:,}]"
        command = click.option(f"--{what}", type=POSITIVE, default=total, help=helped)(command)
        helped = "Master seed; defaults to the journal's, else a random one, printed."
        return click.option("--seed", type=int, help=helped)(command)

    return add


def sizes_options(nodes: str, terms: str) -> Callable[[F], F]:
    def add(command: F) -> F:
        helped = "The size of any sort, e.g. Client=2."
        command = click.option("--size", "sizes", multiple=True, metavar="SORT=N", help=helped)(command)
        helped = "'majority', or a list such as 'n1 n2, n1 n3'."
        command = click.option("--quorums", metavar="LIST", help=helped)(command)
        helped = f"The greatest term.  [default: {terms}]"
        command = click.option("--terms", metavar="N", help=helped)(command)
        return click.option("--nodes", metavar="N", help=f"How many servers.  [default: {nodes}]")(command)

    return add


class About:
    """What the options say of the model: its sizes, each a list, and its quorums."""

    def __init__(self, usual: tuple[str, str], asked: dict[str, Any]) -> None:
        self.model, self.found = chosen(asked["name"], asked["fault"])
        self.job = reader.subject(asked["name"], asked["fault"])
        faulty = self.found.faulty_model if self.found else None
        if faulty and faulty.constants:
            raise UsageError(
                f"{asked['fault']} is a setting of {faulty.base.name}: a campaign has no settings"
            )
        self.quorums = asked["quorums"] or (faulty.quorums if faulty else "majority")
        said = dict(zip(("Node", "Term"), usual, strict=True))
        said |= {sort: str(size) for sort, size in (faulty.sizes if faulty else {}).items()}
        said |= {sort: asked[name] for sort, name in (("Node", "nodes"), ("Term", "terms")) if asked[name]}
        said |= {sort: listed for sort, _, listed in (text.partition("=") for text in asked["sizes"])}
        known = {*self.model.sorts, *self.model.parameters}
        self.sizes = {name: numbers(text) for name, text in said.items() if name in known}


def numbers(text: str) -> list[int]:
    """`2,3`: the numbers of a sweep."""
    if not all(part.strip().isdecimal() for part in text.split(",")):
        raise UsageError(f"{text!r} is no number and no list of numbers: write 3, or 2,3 for a sweep")
    return list(dict.fromkeys(map(int, text.split(","))))


def carry_out(
    jobs: Callable[[int], list[reader.Job]],
    seed: int | None,
    cluster: str | None,
    journal: Path | None,
    folder: str,
    as_json: bool,
) -> int:
    """Run the campaign and print what it found, complete or not."""
    drawn = random.SystemRandom().randrange(2**32) if seed is None else seed
    with ExitStack() as stack:
        kept = stack.enter_context(closing(Journal(journal, drawn))) if journal else None
        if kept and kept.ignored:
            click.echo(f"journal  {plural(kept.ignored, 'lines')} of {journal} cannot be read", err=True)
        seed = kept.seed if kept and seed is None else drawn
        listed = jobs(seed)
        reader.check(listed)
        execute = over(cluster) if cluster else reader.here
        line = stack.enter_context(ProgressLine(quiet=as_json))
        made = reader.campaign(
            listed, execute=execute, journal=kept, progress=lambda made: line.tell(show.progress(made))
        )
    if as_json:
        print_json(show.as_json(made, seed))
    else:
        show.campaign(made, seed)
    show.violations(made, Path(folder), silent=as_json)
    if journal and made.why:
        click.echo(f"journal  the same command goes on from {journal}", err=True)
    verdict = Verdict(made.merged["verdict"])
    return exit_status([verdict], interrupted=made.why == "interrupted")


# -- the commands --------------------------------------------------------------------------------
@campaign.command()
@model_argument
@sizes_options("5", "6")
@fault_option
@click.option("--length", type=POSITIVE, default=100, help="Steps per run.  [default: 100]")
@shares("runs", 10_000, 200)
@campaign_options
def walk(
    seed: int | None,
    runs: int,
    chunk: int,
    length: int,
    cluster: str | None,
    journal: Path | None,
    folder: str,
    as_json: bool,
    **asked: Any,
) -> int:
    """Walk through MODEL at random, many times.

    The first violation is reported.
    """
    about = About(("5", "6"), asked)
    if any(len(listed) > 1 for listed in about.sizes.values()):
        raise UsageError("walks have one configuration: give one number, or use campaign explore")
    sizes = {sort: size for sort, (size,) in about.sizes.items()}

    def jobs(seed: int) -> list[reader.Job]:
        return reader.walks(about.job, sizes, about.quorums, seed=seed, runs=runs, length=length, chunk=chunk)

    return carry_out(jobs, seed, cluster, journal, folder, as_json)


@campaign.command()
@model_argument
@sizes_options("2,3", "1,2")
@fault_option
@click.option("--property", "only", multiple=True, metavar="NAME", help="Check only this (may be repeated).")
@click.option("--no-symmetry", is_flag=True, help="Count states that differ only in nodes' names separately.")
@click.option("--engine", type=click.Choice(ENGINES), default="numpy", help="[default: numpy]")
@click.option(
    "--max-states", type=POSITIVE, help="Stop a configuration as inconclusive after this many states."
)
@campaign_options
def explore(
    only: tuple[str, ...],
    no_symmetry: bool,
    engine: str,
    max_states: int | None,
    cluster: str | None,
    journal: Path | None,
    folder: str,
    as_json: bool,
    **asked: Any,
) -> int:
    """Explore MODEL in several configurations.

    --nodes 2,3 --terms 1,2,3 makes six, in one table.
    """
    about = About(("2,3", "1,2"), asked)
    wanted = [snake(name) for name in only] or ([about.found.broken.name] if about.found else None)
    options = {"only": wanted, "symmetry": not no_symmetry, "engine": engine, "states": max_states}
    jobs = reader.sweep(about.job, about.sizes, about.quorums, **options)
    return carry_out(lambda _: jobs, None, cluster, journal, folder, as_json)


@campaign.command()
@click.argument("name", metavar="ADAPTER", default="reference")
@click.option("--nodes", type=POSITIVE, default=3, help="How many servers.  [default: 3]")
@click.option("--terms", type=POSITIVE, default=6, help="Elections are started to this term.  [default: 6]")
@click.option("--fault", help="Inject this fault into the reference (ids: `oneleader faults`).")
@click.option("--steps", type=POSITIVE, default=50, help="Steps per example.  [default: 50]")
@shares("examples", 10_000, 200)
@campaign_options
def conform(
    name: str,
    fault: str | None,
    nodes: int,
    terms: int,
    steps: int,
    seed: int | None,
    examples: int,
    chunk: int,
    cluster: str | None,
    journal: Path | None,
    folder: str,
    as_json: bool,
) -> int:
    """Run the conformance test on the reference or on ADAPTER.

    ADAPTER is FILE.py:CLASS. Hypothesis looks for a step that the model forbids.
    """
    about = reader.subject(name, fault)

    def jobs(seed: int) -> list[reader.Job]:
        asked = {"nodes": nodes, "terms": terms, "examples": examples, "steps": steps, "chunk": chunk}
        return reader.conformance(about, seed=seed, **asked)

    return carry_out(jobs, seed, cluster, journal, folder, as_json)
