"""The command `handler-faults`: what the handlers' proof refuses, and docs/results/handler-faults.md.

Each fault of the catalogue first, and then the mutants of the core, one of each function after the other: so
a run that ends early has seen some of all. What a run finds is kept as soon as it is found, in a journal that
is committed: the next run goes on from there, on whatever machine.
"""

from __future__ import annotations

import ast
import json
import re
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

import click

from oneleader.cli.console import say
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
    Said,
    judge,
    judge_changes,
    judge_mutant,
    mark_of,
    mark_of_proof,
    of_fault,
)
from workshop.pages.documents import template

PAGE = ROOT / "docs/results/handler-faults.md"
JOURNAL = ROOT / "docs/results/handler-faults.json"
REASONS = ROOT / "workshop/pages/handler-faults.toml"
ROW = re.compile(r"^\| `([\w-]+)` \| (.+?) \| (.+?) \|$", re.MULTILINE)
KINDS = (REFUSED, NOT_UNDERSTOOD, PROVED, NOT_RUN, OPEN)
PARTS = ("core/raft/", "core/lease/")  # what handlers run; the state machine and fencing are none of theirs

NOT_TO_ASK = {
    "double-count": "its servers are of another kind: they keep a number of votes beside their set",
    "joint-counts-together": "of two servers a majority of both sets is one of them together, and where "
    "members change the proof has two",
}
OF_MEMBERS = "oneleader.faults.membership"
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
    return "" if of_fault(fault) else "it is one of locks or of the state machine, which no handler runs"


# --- What was asked ---------------------------------------------------------------------------------------


class Answers:
    """What was said of each changed core, on whatever machine: with a mark of what is changed in it, and one
    of the proof that was asked. If what is changed has become something else, nothing is known of it; if the
    proof has, the answer is an earlier proof's and is asked for again, but only after all others."""

    def __init__(self, path: Path, proof: str) -> None:
        self.path, self.proof = path, proof
        self.rows: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8")) if path.exists() else {}

    def known(self, id: str, mark: str) -> Said | None:
        row = self.rows.get(id, {})
        if row.get("mark") != mark:
            return None
        return Said(id, row["by"], row["where"], row["what"], row["seconds"])

    def is_earlier(self, id: str) -> bool:
        """The answer is an earlier proof's."""
        return id in self.rows and self.rows[id]["proof"] != self.proof

    def keep(self, said: Said, mark: str) -> None:
        row = asdict(said) | {"seconds": round(said.seconds, 1), "mark": mark, "proof": self.proof}
        self.rows[row.pop("id")] = row
        lines = (f"{json.dumps(id)}: {json.dumps(self.rows[id])}" for id in sorted(self.rows))
        part = self.path.with_suffix(".part")
        part.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
        part.replace(self.path)  # whole or not at all


@dataclass(frozen=True)
class AskedOf:
    """About a changed core. `mark`: of what is changed in it."""

    id: str
    mark: str
    ask: Callable[[float, str], Said]  # seconds of processor time, and the handler to begin with


def about_fault(fault: Fault) -> AskedOf | None:
    """None where the proof is not asked."""
    changed = of_fault(fault)
    if changed is None or why_not_asked(fault):
        return None
    of_members = isinstance(fault.variant, Variant) and fault.variant.make.__module__ == OF_MEMBERS
    return AskedOf(changed.id, changed.mark, partial(judge_changes if of_members else judge, changed))


def about_mutant(mutant: CoreMutant) -> AskedOf:
    mark = mark_of(ast.unparse(mutant.tree))
    return AskedOf(mutant.id, mark, partial(judge_mutant, mutant))


def questions() -> list[AskedOf]:
    of_faults = (about_fault(fault) for fault in FAULTS.values())
    return [*filter(None, of_faults), *map(about_mutant, in_turn(mutants()))]


def known(journal: Answers, asked: Sequence[AskedOf]) -> dict[str, Said]:
    """What is known of each, so far."""
    return {one.id: journal.known(one.id, one.mark) or Said(one.id, OPEN) for one in asked}


def to_ask(journal: Answers, asked: Sequence[AskedOf], seconds: float) -> list[AskedOf]:
    """Those that nobody has asked, then those for which there was too little time, then earlier proofs', of
    these the quickest first: most are refused at once."""

    def order(one: AskedOf) -> tuple[int, float] | None:
        found = journal.known(one.id, one.mark)
        if found is None:
            return 0, 0
        if found.by == OPEN:
            return (1, 0) if found.seconds < seconds or journal.is_earlier(one.id) else None
        return (2, found.seconds) if journal.is_earlier(one.id) else None

    ordered = [(place, one) for one in asked if (place := order(one)) is not None]
    return [one for _, one in sorted(ordered, key=lambda pair: pair[0])]


def in_turn(mutants: Sequence[CoreMutant]) -> Iterator[CoreMutant]:
    """One of each function, then a second of each, and so on."""
    of_functions = [[*some] for _, some in groupby(mutants, key=lambda mutant: mutant.function)]
    for some in zip_longest(*of_functions):
        yield from (mutant for mutant in some if mutant)


def mutants() -> list[CoreMutant]:
    return [mutant for mutant in core_mutants() if mutant.id.startswith(PARTS)]


# --- The page ---------------------------------------------------------------------------------------------


def page(journal: Answers, said: dict[str, Said]) -> str:
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
        earlier=sum(one.by != OPEN and journal.is_earlier(one.id) for one in said.values()),
        raised=sum(one.by == REFUSED and "Error: " in one.what for one in known),
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

    Hours of processor time from the start; a run goes on where the last one ended, as the journal beside the
    page says. What was asked of an earlier version of the proof is asked again, after all others.
    """
    journal, asked = Answers(JOURNAL, mark_of_proof()), questions()
    asked = [one for one in asked if one.id in FAULTS] if faults_only else asked
    until = time.monotonic() + 60 * minutes
    for one in to_ask(journal, asked, seconds):
        if time.monotonic() > until:
            break
        earlier = journal.known(one.id, one.mark)
        found = one.ask(seconds, earlier.where if earlier else "")
        say(f"{found.id}: {found.by} {found.where} {found.what} ({found.seconds:.0f} s)")
        journal.keep(found, one.mark)
    said = known(journal, asked)
    for id in unexplained(said):
        say(f"the proof goes through with it, and {REASONS.name} does not say why: {id}")
    is_explained = not [*unexplained(said)]
    if is_explained and not faults_only:
        PAGE.write_text(page(journal, said), encoding="utf-8")
        say(f"written to {PAGE.relative_to(ROOT)}")
    is_known = all(one.by != OPEN for one in said.values())
    return exit_status([HOLDS if is_explained and is_known else INCONCLUSIVE])
