"""The command `coupling`: each fact of the coupling left out in turn, and docs/results/coupling.md.

What a run finds is kept as soon as it is found, so a run that was broken off goes on where it was. What the
page has of an earlier run is asked first: where the code has changed, most facts still fail at the same goal.
"""

from __future__ import annotations

import re
import time
import tomllib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby, zip_longest

import click

from oneleader.cli.console import say
from oneleader.conformance.handlers.earlier import READ
from oneleader.conformance.handlers.facts import Asked, Proof, everything, facts_of, needed
from oneleader.conformance.handlers.servers import Scope
from oneleader.conformance.handlers.stable import COUPLINGS
from oneleader.verdict import HOLDS, INCONCLUSIVE, exit_status
from workshop import ROOT
from workshop.pages.documents import template

PAGE = ROOT / "docs/results/coupling.md"
FEW = 4  # paths: where a fact is needed, that is mostly seen on the first that use it
REASONS = ROOT / "workshop/pages/coupling.toml"
ROW = re.compile(r"^\| `([\w, ]+)` \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)


def said(proof: Proof) -> str:
    """A proof as the page names it."""
    name, size = proof
    if size is None:
        return f"a step of another: {name}"
    if isinstance(size, Scope):
        return f"two servers: {name}"
    return f"{'a server alone' if size.alone else 'members change' if size.changes else 'any number'}: {name}"


@dataclass
class Inquiry:
    """What is known of a model's facts, and until when more is asked."""

    coupling: str
    until: float
    found: dict[str, Asked] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.facts = facts_of(self.coupling)
        self.proofs = [*everything(self.coupling)]
        for fact in self.facts:
            known = READ.known("a fact", self.coupling, fact)
            self.found |= {fact: known} if known else {}

    def left(self, proof: Proof) -> list[str]:
        """The facts that may be needed there, for all that is known."""
        return [fact for fact in self.facts if fact not in self.found and not self._is_tried(proof, fact)]

    def _is_tried(self, proof: Proof, fact: str) -> bool:
        return READ.known("a fact is not needed", self.coupling, said(proof), fact) is not None

    def ask(self, proof: Proof, facts: Collection[str], paths: int | None) -> None:
        """Keeps what it finds at once, and of the others, once all paths were tried, that they are not needed
        there."""
        (name, size), began = proof, time.process_time()
        for fact, goal in needed(self.coupling, name, size, facts, paths):
            self.found[fact] = Asked(self.coupling, fact, said(proof), goal)
            READ.keep(self.found[fact], "a fact", self.coupling, fact)
            say(f"{self.coupling}: {fact}: needed by {said(proof)}: {goal}")
        for fact in facts:
            if fact not in self.found and paths is None:
                READ.keep(True, "a fact is not needed", self.coupling, said(proof), fact)
        say(f"{self.coupling}, {said(proof)}: {time.process_time() - began:.0f} s, {self._count()} left")

    def _count(self) -> int:
        return len(self.facts) - len(self.found)

    def attempt(self, proof: Proof, facts: Collection[str], paths: int | None = None) -> None:
        if facts and time.monotonic() < self.until:
            self.ask(proof, facts, paths)

    def rows(self) -> list[Asked]:
        return [self.found.get(fact) or self._unknown(fact) for fact in self.facts]

    def _unknown(self, fact: str) -> Asked:
        untried = (said(proof) for proof in self.proofs if not self._is_tried(proof, fact))
        return Asked(self.coupling, fact, untried=tuple(untried))


def search(models: Sequence[str], until: float, earlier: Sequence[tuple[str, str, str]]) -> list[Asked]:
    """Where a fact was needed by an earlier run first; then each handler, on a few of its paths; and then
    proof by proof, those that take long last."""
    inquiries = [Inquiry(model, until) for model in models]
    for one in inquiries:
        of_facts = {fact: by for model, fact, by in earlier if model == one.coupling}
        for proof in one.proofs:
            one.attempt(proof, [fact for fact in one.left(proof) if of_facts.get(fact) == said(proof)])
    for paths in (FEW, None):
        for proofs in zip_longest(*(one.proofs for one in inquiries)):
            for one, proof in zip(inquiries, proofs, strict=True):
                if proof and (paths is None or proof[1] is not None):
                    one.attempt(proof, one.left(proof), paths)
    return [row for one in inquiries for row in one.rows()]


def reasons() -> dict[str, dict[str, str]]:
    """By model and fact: why nothing needs it."""
    return tomllib.loads(REASONS.read_text(encoding="utf-8"))


def unexplained(rows: Sequence[Asked]) -> Iterator[Asked]:
    """What nothing needs, and nobody has said why."""
    about = reasons()
    for row in rows:
        if not row.by and not row.untried and row.fact not in about.get(row.coupling, {}):
            yield row


def page(rows: Sequence[Asked]) -> str:
    return template("coupling.md.j2").render(
        day=date.today().isoformat(),
        rows=[row for row in rows if row.by],
        others=[row for row in rows if not row.by and not row.untried],
        open=_open(rows),
        reasons=reasons(),
    )


def _open(rows: Sequence[Asked]) -> list[tuple[str, str, list[Asked]]]:
    """Those that may be needed, for all that is known: by model and the proofs that were not tried."""

    def alike(row: Asked) -> tuple[str, tuple[str, ...]]:
        return row.coupling, row.untried

    found = sorted((row for row in rows if row.untried), key=alike)
    return [(model, _listed(untried), [*some]) for (model, untried), some in groupby(found, key=alike)]


def _listed(proofs: Sequence[str]) -> str:
    found: dict[str, list[str]] = {}
    for proof in proofs:
        size, _, name = proof.partition(": ")
        found.setdefault(size, []).append(name)
    return "; ".join(f"{size}: {', '.join(names)}" for size, names in found.items())


def told(text: str) -> list[tuple[str, str, str, str]]:
    """Model, fact, the proof that fails and its goal, of each fact that a page calls needed."""
    return [(model, fact, by, goal) for model, fact, by, goal in ROW.findall(text)]


@click.command("coupling")
@click.option("--minutes", type=click.FloatRange(0), default=600, help="Then stop asking.  [default: 600]")
@click.option("--model", "models", multiple=True, type=click.Choice([*COUPLINGS]), help="Only this one.")
def coupling(minutes: float, models: tuple[str, ...]) -> int:
    """Leave out each fact of the handlers' coupling in turn, and write docs/results/coupling.md.

    Hours of processor time from the start; what an earlier run of the same code has found is not asked again.
    """
    until = time.monotonic() + 60 * minutes
    earlier = [row[:3] for row in told(PAGE.read_text("utf-8"))] if PAGE.exists() else []
    rows = search(models or [*COUPLINGS], until, earlier)
    for row in unexplained(rows):
        say(f"no proof needs it, and {REASONS.name} does not say why: {row.coupling}: {row.fact}")
    is_known = not [*unexplained(rows)]
    if is_known and not models:
        PAGE.write_text(page(rows), encoding="utf-8")
        say(f"written to {PAGE.relative_to(ROOT)}")
    return exit_status([HOLDS if is_known and not _open(rows) else INCONCLUSIVE])
