"""The command `handlers`: the reference's handlers, proved."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial

import click

from oneleader.conformance.handlers.handlers import ALONE, HANDLERS, Scope, prove_handler
from oneleader.errors import UsageError
from oneleader.verdict import exit_status


@click.command()
@click.option("--nodes", type=click.IntRange(1, 5), default=2, help="Servers.  [default: 2]")
@click.option(
    "--log",
    type=click.IntRange(0, 4),
    default=1,
    help="Entries of a log, at most; a leader has one, so 0 leaves leaders out.  [default: 1]",
)
@click.option(
    "--reads", type=click.IntRange(0, 4), default=1, help="Pending reads of a leader, at most.  [default: 1]"
)
@click.option(
    "--only", multiple=True, type=click.Choice(HANDLERS), help="Only this handler (may be repeated)."
)
@click.option("--workers", type=click.IntRange(1), default=2, help="Processes.  [default: 2]")
def handlers(nodes: int, log: int, reads: int, only: tuple[str, ...], workers: int) -> int:
    """Prove each handler of the reference along every path.

    The proof is for all integers, and for the number of servers and entries given.
    """
    scope = Scope(nodes, log, reads)
    possible = ALONE if nodes == 1 else HANDLERS  # alone, nobody sends it anything
    wanted = [handler for handler in only or possible if handler in possible]
    if not wanted:
        raise UsageError("a server alone receives no message: ask for --nodes 2 or more")
    print(f"{scope} Four models.")
    verdicts = []
    with ProcessPoolExecutor(workers) as pool:
        work = partial(prove_handler, scope=scope)
        for found in pool.map(work, wanted):
            said = f"  {found.failing}" if found.failing else ""
            print(
                f"{found.verdict.worded('proof'):13} {found.handler:18} {found.paths:>7,} paths "
                f"{found.goals:>10,} goals {found.seconds:8.1f} s{said}",
                flush=True,
            )
            verdicts.append(found.verdict)
    return exit_status(verdicts)
