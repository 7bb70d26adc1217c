"""The command `progress`: docs/results/progress.md, by a run that proves what the models come to, tries to
without each of the assumptions, and then seeks a run that starves."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

import click

from oneleader.cli.console import say
from oneleader.errors import Disagreement
from oneleader.language.configuration import configure
from oneleader.language.model import Model
from oneleader.language.progress import LeadsTo
from oneleader.models import PROGRESS, find
from oneleader.readers.explore.starving import Starved, starve, why_not
from oneleader.readers.prove.hints import Hints, load_hints
from oneleader.readers.prove.progress import Chain
from oneleader.readers.prove.prove import ProofRow, judge
from oneleader.readers.run import Run
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict, exit_status, gravest
from workshop import ROOT
from workshop.pages.documents import template

PAGE = ROOT / "docs/results/progress.md"
REASONS = ROOT / "workshop/pages/progress.toml"
SERVERS = (1, 2, 3)
CHANGES = ("n1, n1 n2", "n1 n2, n1, n2")  # the members, where they change: at first, and what may follow
SIZES = {
    "Term": 2,
    "Index": 2,
    "Value": 1,
    "Config": 1,
    "Round": 1,
    "lease": 1,
    "promise": 2,
    "slow": 1,
    "fast": 1,
}


@dataclass(frozen=True)
class Starving:
    """A run that never comes to the goal: `servers` there are, steps `before` the rest of the assumptions
    hold, in the `calm` from then on, and again and again in the `loop`."""

    servers: int
    before: tuple[str, ...]
    calm: tuple[str, ...]
    loop: tuple[str, ...]


@dataclass(frozen=True)
class Without:
    """The obligation that fails without an assumption: a step leads away, or one is not possible. The state
    from which that happens was confirmed by the plain interpreter. And a run that starves, confirmed too, or
    the reason why none does."""

    assumption: str
    row: ProofRow | None
    starving: Starving | None
    reason: str = ""

    @property
    def is_needed(self) -> bool:
        row = self.row
        fails = row is not None and row.verdict is VIOLATED and row.counterexample is not None
        return fails and (self.starving is not None) == (not self.reason)

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


def small(model: Model) -> Iterator[Run]:
    """The model with few servers, and of everything else very few."""
    known = {name: size for name, size in SIZES.items() if name in model.sorts or name in model.parameters}
    if "quorum_of" in model.fields:
        yield from (Run(model, configure(model, {"Node": 2, **known}, members)) for members in CHANGES)
    else:
        yield from (Run(model, configure(model, {"Node": servers, **known})) for servers in SERVERS)


def starves(model: Model, found: LeadsTo, assumption: str) -> Starving | None:
    """A run that starves without this assumption, of as few servers as can be; the judge agrees."""
    weakened = weaker(found)[assumption]
    for run in small(model):
        if starved := starve(run, weakened):
            if why := why_not(run, weakened, starved):
                raise Disagreement(f"{found.name} without {assumption}: {why}")
            return Starving(len(run.configuration.elements["Node"]), *_told(run, starved))
    return None


def reason(name: str, assumption: str) -> str:
    """Why no run starves without it; "" where one has to."""
    said: str = tomllib.loads(REASONS.read_text("utf-8")).get(name, {}).get(assumption, "")
    return said


def _told(run: Run, starved: Starved) -> Iterator[tuple[str, ...]]:
    for part in (starved.before, starved.calm, starved.loop):
        taken = (run.instances[position] for position in part)
        yield tuple(run.configuration.call(instance.action, instance.args) for instance in taken)


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
        why = reason(found.name, assumption)
        found_out = Without(assumption, row, None if why else starves(model, found, assumption), why)
        told = (
            row.key if row and found_out.is_needed else "nothing fails" if row is None else "nothing starves"
        )
        say(f"  without {assumption}: {told}")
        yield found_out


@click.command("progress")
def progress() -> int:
    """Prove what the models come to, see that it is not proved without each assumption, and find a run that
    starves without it; write docs/results/progress.md."""
    rows = [one for name in PROGRESS for one in reached(name)]
    needed = all(two.is_needed for one in rows for two in one.without)
    verdict = gravest([*(one.verdict for one in rows), HOLDS if needed else INCONCLUSIVE])
    if verdict is HOLDS:
        page = template("progress.md.j2").render(day=date.today().isoformat(), rows=rows)
        PAGE.write_text(page, encoding="utf-8")
        say(f"written to {PAGE.relative_to(ROOT)}")
    return exit_status([verdict])
