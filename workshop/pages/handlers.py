"""The command `handlers`: docs/results/handlers.md, by a run that proves what has changed since the last.

Of members that change: docs/results/handlers-members.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import partial
from itertools import groupby

import click

from oneleader.cli.checks import SOON
from oneleader.cli.console import say
from oneleader.conformance.handlers.contracts import CONTRACTS, Met, check_contract
from oneleader.conformance.handlers.earlier import once
from oneleader.conformance.handlers.handlers import Handled, prove_handler
from oneleader.conformance.handlers.running import ANY, CHANGING, of_any_size, of_changing
from oneleader.conformance.handlers.stable import MEMBERS_CHANGE, Kept, everything, prove_stable
from oneleader.verdict import HOLDS, exit_status
from workshop import ROOT
from workshop.pages.documents import template

PAGE = ROOT / "docs/results/handlers.md"
PAGE_OF_CHANGES = ROOT / "docs/results/handlers-members.md"
ROW = re.compile(r"^\| `(.+)` \| ([\d,]+) \| ([\d,]+) \| [\d.]+ \|", re.MULTILINE)


def page(handlers: Sequence[Handled], steps: Sequence[Kept], loops: Sequence[Met]) -> str:
    seconds = [*(h.seconds for h in handlers), *(s.seconds for s in steps), *(m.seconds for m in loops)]
    checked = {h.handler: h.seconds for h in handlers if h.scope == ANY}
    return template("handlers.md.j2").render(
        day=date.today().isoformat(),
        paths=sum(h.paths for h in handlers) + sum(m.paths for m in loops),
        goals=sum(h.goals for h in handlers) + sum(s.goals for s in steps),
        minutes=sum(seconds) / 60,
        of_check=sum(checked.values()),
        of_quick=sum(checked.get(handler, 0) for handler in SOON),
        handled=[(size, [*rows]) for size, rows in groupby(handlers, key=lambda one: one.scope)],
        kept=[(model, [*rows]) for model, rows in groupby(steps, key=lambda one: one.coupling)],
        met=loops,
    )


def told(text: str) -> list[tuple[str, int, int]]:
    """Handlers, paths and goals as a page has them, in its order."""
    part = text.partition("\n## Each handler")[2].partition("\n## Each step")[0]
    numbers = [
        (name, paths.replace(",", ""), goals.replace(",", "")) for name, paths, goals in ROW.findall(part)
    ]
    return [(name, int(paths), int(goals)) for name, paths, goals in numbers]


def page_of_changes(handlers: Sequence[Handled], steps: Sequence[Kept], loops: Sequence[Met]) -> str:
    seconds = [*(h.seconds for h in handlers), *(s.seconds for s in steps), *(m.seconds for m in loops)]
    return template("handlers-members.md.j2").render(
        day=date.today().isoformat(),
        paths=sum(h.paths for h in handlers) + sum(m.paths for m in loops),
        goals=sum(h.goals for h in handlers) + sum(s.goals for s in steps),
        minutes=sum(seconds) / 60,
        size=CHANGING,
        handlers=handlers,
        steps=steps,
        loops=loops,
    )


@click.command("handlers")
@click.option("--workers", type=click.IntRange(1), default=2, help="Processes.  [default: 2]")
@click.option("--changes", is_flag=True, help="Where the members change: docs/results/handlers-members.md.")
def handlers(workers: int, changes: bool) -> int:
    """Prove the handlers and what that rests on, where it has changed, and write docs/results/handlers.md."""
    kept = [one for one in everything() if (one[0] == MEMBERS_CHANGE) == changes]
    with ProcessPoolExecutor(workers) as pool:
        loops = [one for one, _ in pool.map(partial(once, check_contract), CONTRACTS)]
        steps = [one for one, _ in pool.map(partial(once, prove_stable), *zip(*kept, strict=True))]
        found = []
        work = of_changing() if changes else of_any_size()
        for one, _ in pool.map(partial(once, prove_handler), *zip(*work, strict=True)):
            say(f"{one.handler}: {one.paths:,} paths, {one.seconds:.1f} s")
            found.append(one)
    verdicts = [*(h.verdict for h in found), *(s.verdict for s in steps), *(m.verdict for m in loops)]
    if all(verdict is HOLDS for verdict in verdicts):
        written, made = (PAGE_OF_CHANGES, page_of_changes) if changes else (PAGE, page)
        written.write_text(made(found, steps, loops), encoding="utf-8")
        say(f"written to {written.relative_to(ROOT)}")
    return exit_status(verdicts)
