"""The command `handlers`: the reference's handlers, and what their proof rests on, proved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, TypeAlias

import click

from oneleader.conformance.handlers.contracts import CONTRACTS, check_contract
from oneleader.conformance.handlers.earlier import afresh, once
from oneleader.conformance.handlers.handlers import Handled, prove_handler
from oneleader.conformance.handlers.running import (
    ALONE,
    CHANGE,
    HANDLERS,
    OF_WHOLE_LOGS,
    OTHER_PARTS,
    Size,
    of_any_size,
    of_changing,
    of_names,
)
from oneleader.conformance.handlers.servers import Scope
from oneleader.conformance.handlers.stable import everything, prove_stable
from oneleader.errors import UsageError
from oneleader.verdict import HOLDS, Verdict, exit_status

Proving: TypeAlias = Callable[..., Any]


@click.command()
@click.option(
    "--nodes", type=click.IntRange(1, 5), help="Prove it for this many servers only, within the bounds below."
)
@click.option(
    "--log",
    type=click.IntRange(0, 4),
    help="With --nodes: entries of a log, at most; a leader has one, so 0 leaves leaders out.  [default: 1]",
)
@click.option(
    "--reads",
    type=click.IntRange(0, 4),
    help="With --nodes: pending reads of a leader, at most.  [default: 1]",
)
@click.option(
    "--changes",
    is_flag=True,
    help="Only where the members change: any of the servers are members, and any entry may bring another "
    "configuration, joint or not. By the model snapshots; with --nodes, where no log is compacted, by "
    "membership.",
)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice((*HANDLERS, CHANGE)),
    metavar="HANDLER",
    help=f"Only this handler (may be repeated): {', '.join((*HANDLERS, CHANGE))}.",
)
@click.option(
    "--rest",
    is_flag=True,
    help="Only what the handlers' proof rests on: the contracts of the core's loops, and that what it "
    "assumes of a server holds at first and is kept by the steps of others.",
)
@click.option("--no-cache", is_flag=True, help="Prove again what an earlier run of the same code has proved.")
@click.option("--workers", type=click.IntRange(1), default=2, help="Processes.  [default: 2]")
def handlers(
    nodes: int | None,
    log: int | None,
    reads: int | None,
    changes: bool,
    only: tuple[str, ...],
    rest: bool,
    no_cache: bool,
    workers: int,
) -> int:
    """Prove each handler of the reference along every path.

    The proof is for any number of servers, and logs of any length, compacted or not, while the members stay
    and then where they change, together with what it rests on (--rest). What an earlier run of the same
    code has proved is not proved again. With --nodes the proof is for that many servers, and a failure comes
    with concrete values.
    """
    if nodes is None and (log is not None or reads is not None):
        raise UsageError("--log and --reads are of a cluster of --nodes servers: give --nodes as well")
    if CHANGE in only and nodes and not changes:
        raise UsageError("while the members stay nobody changes them: give --changes as well")
    if rest and (only or nodes or changes):
        raise UsageError(
            "--rest is of no single handler and of members that stay and change: give it without --only, "
            "--nodes, --changes"
        )
    verdicts: list[Verdict] = []
    proving = afresh if no_cache else once
    with ProcessPoolExecutor(workers) as pool:
        if rest or (nodes is None and not only and not changes):
            verdicts += _contracts(pool, proving)
            verdicts += _kept(pool, proving)
        if not rest:
            verdicts += _handlers(
                pool,
                proving,
                _any_size(changes, only) if nodes is None else _bounded(nodes, log, reads, changes, only),
            )
    return exit_status(verdicts)


def _contracts(pool: ProcessPoolExecutor, proving: Proving) -> Iterator[Verdict]:
    print(
        "The core's loops meet the contracts by which they are taken below, up to so many servers or entries."
    )
    for met, is_earlier in pool.map(partial(proving, check_contract), CONTRACTS):
        said = _said(met.failing, is_earlier)
        print(
            f"{met.verdict.worded('proof'):13} {met.function:20} up to {met.most} {met.paths:>5,} paths "
            f"{met.seconds:8.1f} s{said}",
            flush=True,
        )
        yield met.verdict


def _kept(pool: ProcessPoolExecutor, proving: Proving) -> Iterator[Verdict]:
    print(
        "What is assumed of a server and of a message holds at first, and is kept by each step of another "
        "server. Any number of servers, logs of any length."
    )
    for kept, is_earlier in pool.map(partial(proving, prove_stable), *zip(*everything(), strict=True)):
        said = _said(kept.failing, is_earlier)
        print(
            f"{kept.verdict.worded('proof'):13} {kept.coupling:25} {kept.action:22} {kept.goals:>5,} goals "
            f"{kept.seconds:8.1f} s{said}",
            flush=True,
        )
        yield kept.verdict


def _handlers(pool: ProcessPoolExecutor, proving: Proving, work: list[tuple[str, Any]]) -> Iterator[Verdict]:
    said = None
    for found, is_earlier in pool.map(partial(proving, prove_handler), *zip(*work, strict=True)):
        if found.scope != said:
            said = found.scope
            print(f"{said} By {', '.join(said.models)}.")
        print(_line(found, is_earlier), flush=True)
        yield found.verdict


def _any_size(changes: bool, only: tuple[str, ...]) -> list[tuple[str, Size]]:
    return of_changing(only) if changes else [*of_any_size(only), *of_changing(only)]


def _bounded(
    nodes: int, log: int | None, reads: int | None, changes: bool, only: tuple[str, ...]
) -> list[tuple[str, Scope]]:
    if changes and nodes == 1:
        raise UsageError("a server alone has nobody to add: ask for --nodes 2 or more")
    scope = Scope(nodes, 1 if log is None else log, 1 if reads is None else reads, changes)
    possible = ALONE if nodes == 1 else OF_WHOLE_LOGS  # of named servers all are members: alone, nobody sends
    possible = (*OF_WHOLE_LOGS, CHANGE) if changes else possible
    possible = of_names(possible)
    wanted = [(handler, scope) for handler in only or possible if handler in possible]
    if not wanted and set(only) <= {*OTHER_PARTS}:
        raise UsageError(
            "with --nodes a step is run whole: ask for the handler of an event, or leave --nodes out"
        )
    if not wanted and set(only) <= {*OF_WHOLE_LOGS}:
        raise UsageError("a server alone receives no message: ask for --nodes 2 or more")
    if not wanted:
        raise UsageError("with --nodes no log is compacted: leave --nodes out for any size")
    return wanted


def _said(failing: str, is_earlier: bool) -> str:
    return "  by an earlier run" if is_earlier else f"  {failing}" if failing else ""


def _line(found: Handled, is_earlier: bool) -> str:
    said = _said(found.failing, is_earlier)
    if found.verdict is not HOLDS and isinstance(found.scope, Size):
        changes = " --changes" if found.scope.changes else ""
        only = "" if found.handler in OTHER_PARTS else f" --only '{found.handler}'"
        said += f" (`oneleader handlers --nodes 2{changes}{only}` may show it in numbers)"
    return (
        f"{found.verdict.worded('proof'):13} {found.handler:18} {found.paths:>7,} paths "
        f"{found.goals:>10,} goals {found.seconds:8.1f} s{said}"
    )
