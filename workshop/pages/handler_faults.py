"""The command `handler-faults`: what the handlers' proof refuses, and docs/results/handler-faults.md.

Each fault of the catalogue first, and then the mutants of the core, one of each function after the other: so
a run that ends early has seen some of all. What a run finds is kept as soon as it is found.
"""

from __future__ import annotations

import re
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby, zip_longest

import click

from oneleader.cli.console import say
from oneleader.conformance.handlers.earlier import READ
from oneleader.faults import membership
from oneleader.faults.catalogue import FAULTS
from oneleader.faults.fault import Because, Fault, Unlive, Variant
from oneleader.verdict import HOLDS, INCONCLUSIVE, exit_status
from workshop import ROOT
from workshop.mutation.core_mutation import CoreMutant, core_mutants
from workshop.mutation.proof_judge import (
    NOT_RUN,
    NOT_UNDERSTOOD,
    OPEN,
    PROVED,
    REFUSED,
    Changed,
    Said,
    is_loop,
    judge,
    judge_loop,
    of_fault,
    of_mutant,
)
from workshop.pages.documents import template

PAGE = ROOT / "docs/results/handler-faults.md"
REASONS = ROOT / "workshop/pages/handler-faults.toml"
ROW = re.compile(r"^\| `([\w-]+)` \| (.+?) \| (.+?) \|$", re.MULTILINE)
KINDS = (REFUSED, NOT_UNDERSTOOD, PROVED, NOT_RUN, OPEN)
PARTS = ("core/raft/", "core/lease/")  # what handlers run; the state machine and fencing are none of theirs

OF_MEMBERS = "members change: the proof within bounds has that, the one for any number of servers has not"
NOT_TO_ASK = {"double-count": "its servers are of another kind: they keep a number of votes beside their set"}
OF_LIVENESS = "proved to break no safety: it breaks liveness"


def reasons() -> dict[str, str]:
    """By fault: why the proof goes through, or cannot be asked."""
    return tomllib.loads(REASONS.read_text(encoding="utf-8"))


def why_not_asked(fault: Fault) -> str:
    """Why the proof is not asked about a fault; "" if it is."""
    if fault.id in NOT_TO_ASK:
        return NOT_TO_ASK[fault.id]
    if isinstance(fault.variant, Because) and not isinstance(fault.unlive, Unlive):
        return str(fault.variant)
    if isinstance(fault.variant, Variant) and fault.variant.make.__module__ == membership.__name__:
        return OF_MEMBERS
    return "" if of_fault(fault) else "it is one of locks or of the state machine, which no handler runs"


@dataclass
class Questions:
    """What is known of the changed cores, and until when more is asked. `seconds`: for each, of processor
    time."""

    until: float
    seconds: float
    earlier: dict[str, str] = field(default_factory=dict)
    said: dict[str, Said] = field(default_factory=dict)

    def fault(self, fault: Fault) -> None:
        changed = of_fault(fault)
        if changed and not why_not_asked(fault):
            self._ask(changed.id, changed.mark, lambda: self._judge(changed))

    def mutant(self, mutant: CoreMutant) -> None:
        if is_loop(mutant):
            self._ask(mutant.id, "", lambda: judge_loop(mutant))
        else:
            self._ask(mutant.id, "", lambda: self._judge(of_mutant(mutant)))

    def _judge(self, changed: Changed) -> Said:
        return judge(changed, self.seconds, self.earlier.get(changed.id, ""))

    def _ask(self, id: str, mark: str, ask: object) -> None:
        found = READ.known("a changed core", id, mark)
        if found is None and time.monotonic() < self.until:
            found = ask()  # type: ignore[operator]
            say(f"{id}: {found.by} {found.where} {found.what} ({found.seconds:.0f} s)")
            if found.by != OPEN:
                READ.keep(found, "a changed core", id, mark)
        self.said[id] = found or Said(id, OPEN)


def in_turn(mutants: Sequence[CoreMutant]) -> Iterator[CoreMutant]:
    """One of each function, then a second of each, and so on."""
    of_functions = [[*some] for _, some in groupby(mutants, key=lambda mutant: mutant.function)]
    for some in zip_longest(*of_functions):
        yield from (mutant for mutant in some if mutant)


def mutants() -> list[CoreMutant]:
    return [mutant for mutant in core_mutants() if mutant.id.startswith(PARTS)]


# --- The page ---------------------------------------------------------------------------------------------


def page(said: dict[str, Said]) -> str:
    """Of what was said."""
    of_faults = [said[id] for id in FAULTS if id in said]
    of_mutants = [said[mutant.id] for mutant in mutants() if mutant.id in said]
    known = [one for one in of_mutants if one.by != OPEN]
    return template("handler-faults.md.j2").render(
        day=date.today().isoformat(),
        refused=[one for one in of_faults if one.by == REFUSED],
        others=[*_others(said)],
        known=known,
        total=len(of_mutants),
        rows=[*_by_function(of_mutants)],
        harmless=[one.id for one in known if one.by == PROVED],
        kinds=KINDS,
        strange=[one for one in known if one.by == NOT_UNDERSTOOD],
        reasons=reasons(),
    )


def _others(said: dict[str, Said]) -> Iterator[tuple[str, list[str]]]:
    """Why faults are not refused, and which."""
    found: dict[str, list[str]] = {}
    for id, fault in FAULTS.items():
        if id not in said or said[id].by != REFUSED:
            found.setdefault(_why(fault, said.get(id)), []).append(id)
    yield from found.items()


def _why(fault: Fault, one: Said | None) -> str:
    """Why a fault is not refused."""
    if one is None:
        return why_not_asked(fault)
    said = reasons().get(fault.id, "")
    if one.by == PROVED and isinstance(fault.unlive, Unlive):
        return OF_LIVENESS
    return {
        PROVED: said,
        NOT_RUN: said,
        NOT_UNDERSTOOD: "not understood, and so not proved: it takes apart what may have any size",
        OPEN: "not known yet",
    }[one.by]


def _by_function(said: Sequence[Said]) -> Iterator[tuple[str, int, dict[str, int]]]:
    """Function, mutants, and how many of each kind."""
    for function, some in groupby(said, key=lambda one: one.id.split("/")[2]):
        found = [one.by for one in some]
        yield function, len(found), {by: found.count(by) for by in {*found}}


def told(text: str) -> dict[str, tuple[str, str]]:
    """Of each fault that a page calls refused: the handler, and the goal that fails."""
    return {id: (where, what) for id, where, what in ROW.findall(text)}


def unexplained(said: dict[str, Said]) -> Iterator[str]:
    """What is known to go through, and nobody has said why."""
    for id, one in said.items():
        goes_through = id in FAULTS and one.by in (PROVED, NOT_RUN) and id not in reasons()
        if goes_through and not isinstance(FAULTS[id].unlive, Unlive):
            yield id


@click.command("handler-faults")
@click.option("--minutes", type=click.FloatRange(0), default=600, help="Then stop asking.  [default: 600]")
@click.option(
    "--seconds", type=click.FloatRange(1), default=300, help="Of processor time, for each.  [default: 300]"
)
@click.option("--faults", "faults_only", is_flag=True, help="Only about the catalogue; write no page.")
def handler_faults(minutes: float, seconds: float, faults_only: bool) -> int:
    """Ask the handlers' proof about each fault of the core and each mutant of it, and write
    docs/results/handler-faults.md.

    Hours of processor time from the start; what an earlier run of the same code has found is not asked again.
    """
    earlier = {id: where for id, (where, _) in told(PAGE.read_text("utf-8")).items()} if PAGE.exists() else {}
    questions = Questions(time.monotonic() + 60 * minutes, seconds, earlier)
    for fault in FAULTS.values():
        questions.fault(fault)
    for mutant in () if faults_only else in_turn(mutants()):
        questions.mutant(mutant)
    for id in unexplained(questions.said):
        say(f"the proof goes through with it, and {REASONS.name} does not say why: {id}")
    is_explained = not [*unexplained(questions.said)]
    if is_explained and not faults_only:
        PAGE.write_text(page(questions.said), encoding="utf-8")
        say(f"written to {PAGE.relative_to(ROOT)}")
    is_known = all(one.by != OPEN for one in questions.said.values())
    return exit_status([HOLDS if is_explained and is_known else INCONCLUSIVE])
