"""The command `progress`: docs/results/progress.md, by a run that proves what the models come to, and tries
to without each of the assumptions, and seeks a run that starves without it."""

from __future__ import annotations

import time
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
from oneleader.readers.prove.hints import Hints, load_hints
from oneleader.readers.prove.progress import Chain
from oneleader.readers.prove.prove import ProofRow, judge
from oneleader.readers.run import Run
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict, exit_status, gravest
from workshop import ROOT
from workshop.pages.documents import template
from workshop.studies.starving import Starved, Taken, starve, why_not

PAGE = ROOT / "docs/results/progress.md"
MOST = 3_000  # states, at each of these bounds, before the assumptions hold
SMALL = ((1, "majority"), (2, "majority"), (2, "n1, n1 n2"))  # servers, and their quorums
CHANGING = ((2, "n1, n1 n2"), (2, "n1 n2, n1"), (3, "n1, n1 n2, n1 n3"))  # or their configurations
SIZES = {"Term": 2, "Index": 2, "Value": 1, "Round": 1}
NOT_FOUND = {  # why a run that starves need not exist, where the proof needs the assumption
    ("an_election_is_started", "no more step_down() when of_the_quorum"): "each candidate steps down "
    "at most once, and nobody else stands: it happens finitely often, which the proof rule cannot express",
}


@dataclass(frozen=True)
class StarvedRun:
    """A run that never comes to what is promised, as cells of a table: for which values, and the steps."""

    values: str
    before: str
    calm: str
    loop: str


@dataclass(frozen=True)
class Without:
    """The obligation that fails without an assumption: a step leads away, or one is not possible. The state
    from which that happens was confirmed by the plain interpreter. And a whole run, where one was found."""

    assumption: str
    row: ProofRow | None
    starved: StarvedRun | None = None

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
        found_out = Without(assumption, row, starving(model, weaker(found)[assumption]))
        say(f"  without {assumption}: {row.key if row and found_out.is_needed else 'nothing fails'}")
        yield found_out


def starving(model: Model, found: LeadsTo) -> StarvedRun | None:
    """A run that starves, among the fewest servers; the plain interpreter has confirmed it."""
    for run in small(model):
        starved = starve(run, found, most=MOST)
        if starved is not None:
            if refused := why_not(run, found, starved):
                raise Disagreement(refused)
            return in_words(run, found, starved)
    return None


def small(model: Model) -> Iterator[Run]:
    """The model among few servers."""
    for nodes, quorums in CHANGING if "quorum_of" in model.fields else SMALL:
        sizes = {name: size for name, size in SIZES.items() if name in model.sorts}
        sizes |= {"Node": nodes, **dict.fromkeys(model.parameters, 1)}
        yield Run(model, configure(model, sizes, quorums))


def in_words(run: Run, found: LeadsTo, starved: Starved) -> StarvedRun:
    show, call = run.configuration.show, run.configuration.call

    def steps(taken: Taken) -> str:
        instances = (run.instances[position] for position in taken)
        return "<br>".join(f"`{call(each.action, each.args)}`" for each in instances)

    values = ", ".join(f"{name}={show(sort, starved.values[name])}" for name, sort in found.params)
    return StarvedRun(values, steps(starved.before), steps(starved.calm), steps(starved.loop))


@click.command("progress")
def progress() -> int:
    """Prove what the models come to, see that it is not proved without each assumption, and seek a run that
    starves without it; write docs/results/progress.md."""
    rows = [one for name in PROGRESS for one in reached(name)]
    needed = all(two.is_needed for one in rows for two in one.without)
    verdict = gravest([*(one.verdict for one in rows), HOLDS if needed else INCONCLUSIVE])
    if verdict is HOLDS:
        page = template("progress.md.j2").render(
            day=date.today().isoformat(), rows=rows, most=MOST, not_found=NOT_FOUND
        )
        PAGE.write_text(page, encoding="utf-8")
        say(f"written to {PAGE.relative_to(ROOT)}")
    return exit_status([verdict])
