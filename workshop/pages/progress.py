"""The command `progress`: docs/results/progress.md, by a run that proves what the models come to, and tries
to without each of the assumptions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

import click

from oneleader.cli.console import say
from oneleader.language.model import Model
from oneleader.language.progress import LeadsTo
from oneleader.models import PROGRESS, find
from oneleader.readers.prove.hints import Hints, load_hints
from oneleader.readers.prove.progress import Chain
from oneleader.readers.prove.prove import ProofRow, judge
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict, exit_status, gravest
from workshop import ROOT
from workshop.pages.documents import template

PAGE = ROOT / "docs/results/progress.md"


@dataclass(frozen=True)
class Without:
    """The obligation that fails without an assumption: a step leads away, or one is not possible. The state
    from which that happens was confirmed by the plain interpreter."""

    assumption: str
    row: ProofRow | None

    @property
    def is_needed(self) -> bool:
        row = self.row
        return row is not None and row.verdict is VIOLATED and row.counterexample is not None

    @property
    def servers(self) -> int:
        assert self.row
        assert self.row.counterexample
        return len(self.row.counterexample.configuration.elements["Node"])


@dataclass(frozen=True)
class ComesTo:
    """What is known of one thing that a model comes to. `seconds` are of processor time."""

    model: str
    name: str
    obligations: int
    verdict: Verdict
    seconds: float
    without: tuple[Without, ...] = ()


def weaker(found: LeadsTo) -> dict[str, LeadsTo]:
    """Without each assumption in turn."""
    without = {
        f"given {given.__name__}": replace(found, given=tuple(p for p in found.given if p is not given))
        for given in found.given
    }
    for stop in found.stops:
        without[stop.name] = replace(found, stops=tuple(s for s in found.stops if s is not stop))
    return without


def fails_without(model: Model, found: LeadsTo, assumption: str, hints: Hints) -> ProofRow | None:
    """The first obligation that is not proved without it; those of a step that it names are tried first."""
    chain = Chain(model, weaker(found)[assumption])
    likely_first = sorted(chain.obligations(), key=lambda o: f" {o.step}(" not in assumption)
    rows = (judge(obligation, hints.get(obligation.key)) for obligation in likely_first)
    return next((row for row in rows if row.verdict is not HOLDS), None)


def reached(name: str) -> Iterator[ComesTo]:
    """Each that the model comes to: proved, and then tried without each assumption."""
    model = find(name)
    hints = load_hints(model)
    for found in model.progress.values():
        began = time.process_time()
        rows = [
            judge(obligation, hints.get(obligation.key)) for obligation in Chain(model, found).obligations()
        ]
        seconds = time.process_time() - began
        proved = ComesTo(name, found.name, len(rows), gravest(row.verdict for row in rows), seconds)
        say(f"{name}, {found.name}: {len(rows)} obligations, {seconds:.1f} s")
        yield replace(proved, without=tuple(_without(model, found, hints)))


def _without(model: Model, found: LeadsTo, hints: Hints) -> Iterator[Without]:
    for assumption in weaker(found):
        row = fails_without(model, found, assumption, hints)
        found_out = Without(assumption, row)
        say(f"  without {assumption}: {row.key if row and found_out.is_needed else 'nothing fails'}")
        yield found_out


@click.command("progress")
def progress() -> int:
    """Prove what the models come to, and see that it is not proved without each assumption; write
    docs/results/progress.md."""
    rows = [one for name in PROGRESS for one in reached(name)]
    needed = all(two.is_needed for one in rows for two in one.without)
    verdict = gravest([*(one.verdict for one in rows), HOLDS if needed else INCONCLUSIVE])
    if verdict is HOLDS:
        page = template("progress.md.j2").render(day=date.today().isoformat(), rows=rows)
        PAGE.write_text(page, encoding="utf-8")
        say(f"written to {PAGE.relative_to(ROOT)}")
    return exit_status([verdict])
