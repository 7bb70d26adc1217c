"""The command `coupling`: each fact of the coupling left out in turn, and docs/results/coupling.md.

What a run has found of one proof is kept, so a run that was broken off goes on where it was.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date

import click

from oneleader.cli.console import say
from oneleader.conformance.handlers.earlier import READ
from oneleader.conformance.handlers.facts import Asked, everything, facts_of, needed
from oneleader.conformance.handlers.running import Size
from oneleader.conformance.handlers.servers import Scope
from oneleader.conformance.handlers.stable import MODELS_OF_CORE
from oneleader.verdict import HOLDS, INCONCLUSIVE, exit_status
from workshop import ROOT
from workshop.pages.documents import template

PAGE = ROOT / "docs/results/coupling.md"
REASONS = ROOT / "workshop/pages/coupling.toml"
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.*?) \| (.*?) \|$", re.MULTILINE)


def asked(model: str) -> list[Asked]:
    """Each fact of a model's coupling, with the first proof that fails without it."""
    found: dict[str, Asked] = {}
    facts = facts_of(model)
    for proof, size in everything(model):
        left = [fact for fact in facts if fact not in found]
        if not left:
            break
        missed, by = _once(model, proof, size, left), f"{_size(size)}{proof}"
        found |= {fact: Asked(model, fact, by, goal) for fact, goal in missed.items()}
        say(f"{model}, {by}: {len(missed)} more facts are needed, {len(left) - len(missed)} are left")
    return [found.get(fact, Asked(model, fact)) for fact in facts]


def _size(size: Scope | Size | None) -> str:
    if size is None:
        return "a step of another: "
    if isinstance(size, Scope):
        return "two servers: "
    return "a server alone: " if size.alone else "any number: "


def _once(model: str, proof: str, size: Scope | Size | None, facts: list[str]) -> dict[str, str]:
    earlier: dict[str, str] | None = READ.known("facts", model, proof, size, facts)
    if earlier is None:
        earlier = needed(model, proof, size, facts)
        READ.keep(earlier, "facts", model, proof, size, facts)
    return earlier


def reasons() -> dict[str, dict[str, str]]:
    """By model and fact: why nothing needs it."""
    return tomllib.loads(REASONS.read_text(encoding="utf-8"))


def unexplained(rows: Sequence[Asked]) -> Iterator[Asked]:
    """What nothing needs, and nobody has said why."""
    said = reasons()
    yield from (row for row in rows if not row.by and row.fact not in said.get(row.model, {}))


def page(rows: Sequence[Asked]) -> str:
    return template("coupling.md.j2").render(
        day=date.today().isoformat(),
        rows=[row for row in rows if row.by],
        others=[row for row in rows if not row.by],
        reasons=reasons(),
    )


def told(text: str) -> list[tuple[str, str]]:
    """The facts of a page, each with its model."""
    return [(model, fact) for model, fact, *_ in ROW.findall(text)]


@click.command("coupling")
@click.option("--workers", type=click.IntRange(1), default=1, help="Processes.  [default: 1]")
def coupling(workers: int) -> int:
    """Leave out each fact of the handlers' coupling in turn, and write docs/results/coupling.md.

    Hours of processor time from the start; what an earlier run of the same code has found is not asked again.
    """
    with ProcessPoolExecutor(workers) as pool:
        rows = [row for found in pool.map(asked, MODELS_OF_CORE) for row in found]
    open_ones = [*unexplained(rows)]
    for row in open_ones:
        say(f"no proof needs it, and {REASONS.name} does not say why: {row.model}: {row.fact}")
    if not open_ones:
        PAGE.write_text(page(rows), encoding="utf-8")
        say(f"written to {PAGE.relative_to(ROOT)}")
    return exit_status([INCONCLUSIVE if open_ones else HOLDS])
