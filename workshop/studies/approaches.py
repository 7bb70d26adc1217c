"""approaches: what each way to have one leader gives, and what it does not: the cells of the trade-offs.

An approach is a setting of the switches of `environment`; a question is a property of it, with what is given
of clocks and pauses. Each cell is an exploration of its own, so that what is broken has its own shortest run.
Whether a leader can still serve when the network has split is asked by `possible`. The bully algorithm
itself answers from its own model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from oneleader import models
from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model
from oneleader.models import environment
from oneleader.readers.explore.explore import explore_all
from oneleader.readers.explore.explored import Violation
from oneleader.readers.run import Run
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict
from workshop.studies.possible import possible

MODEL = environment.MODEL
SIZES = {"Node": 3, "Term": 2, "Era": 3}
EARLY = {"Node": 3, "Term": 2, "Era": 2}  # of `possible`: room for one more election
SERVER = "n1"  # the quorum of a lock server
SERVED = "a_write_is_served"


@dataclass(frozen=True)
class Approach:
    """One way: which cures are off, who votes, and whether reads are fenced too."""

    id: str
    name: str
    off: tuple[str, ...] = ()
    quorums: str = "majority"
    fences_reads: bool = False

    @property
    def has_quorum(self) -> bool:
        """A vote of a majority, or of one lock server, and a number that it gives."""
        return not {"quorum", "terms"} & {*self.off}


BULLY = ("quorum", "terms")
APPROACHES = (
    Approach("raft", "Raft", ("lease", "fencing")),
    Approach("raft-lease", "Raft, lease", ("fencing",)),
    Approach("raft-fencing", "Raft, fencing", ("lease",)),
    Approach("raft-fenced-reads", "Raft, fencing of reads too", ("lease",), fences_reads=True),
    Approach("raft-lease-fencing", "Raft, lease, fencing"),
    Approach("raft-lease-fenced-reads", "Raft, lease, fencing of reads too", fences_reads=True),
    Approach("lease", "lease only", ("fencing",), SERVER),
    Approach("fencing", "fencing only", ("lease",), SERVER),
    Approach("lease-fencing", "lease, fencing", (), SERVER),
    Approach("bully", "bully", (*BULLY, "lease", "fencing")),
    Approach("bully-lease", "bully, lease", (*BULLY, "fencing")),
    Approach("bully-fencing", "bully, fencing", (*BULLY, "lease")),
    Approach("bully-lease-fencing", "bully, lease, fencing", BULLY),
)


@dataclass(frozen=True)
class StudyQuestion:
    """A property, and what is given while it is asked."""

    id: str
    heading: str
    asks: str
    given: tuple[str, ...] = ("clocks", "prompt")
    proved_by: tuple[str, str] | None = None  # model and theorem that say the same at any size
    needs: str = ""  # the cure without which that theorem does not apply


QUESTIONS = (
    StudyQuestion(
        "split-brain", "split brain", "one_leader_per_term", proved_by=("election", "election_safety")
    ),
    StudyQuestion(
        "two-act",
        "two act at once",
        "one_acting_leader",
        proved_by=("lease", "leases_are_disjoint"),
        needs="lease",
    ),
    StudyQuestion(
        "stale-write",
        "stale write",
        "no_stale_write",
        proved_by=("fencing", "no_stale_write"),
        needs="fencing",
    ),
    StudyQuestion("lost-update", "lost update", "no_lost_update"),
    StudyQuestion("minority", "service with a minority cut off", SERVED),
    StudyQuestion("drift-two-act", "drift: two act at once", "one_acting_leader", ("prompt",)),
    StudyQuestion(
        "drift-stale-write",
        "drift: stale write",
        "no_stale_write",
        ("prompt",),
        ("fencing", "no_stale_write"),
        "fencing",
    ),
    StudyQuestion(
        "pause-stale-write",
        "pause: stale write",
        "no_stale_write",
        ("clocks",),
        ("fencing", "no_stale_write"),
        "fencing",
    ),
    StudyQuestion("pause-lost-update", "pause: lost update", "no_lost_update", ("clocks",)),
    StudyQuestion("drift-minority", "drift: service with a minority cut off", SERVED, ("prompt",)),
    StudyQuestion("pause-minority", "pause: service with a minority cut off", SERVED, ("clocks",)),
)


@dataclass(frozen=True)
class Cell:
    """What was found: a shortest run where it is broken; of service, how many states were asked about."""

    approach: Approach
    question: StudyQuestion
    verdict: Verdict
    run: Run
    violation: Violation | None = None
    asked: int = 0
    proved: str = ""  # the model in which the same is proved for any number of servers

    @property
    def name(self) -> str:
        """Of its counterexample."""
        return f"{self.approach.id}-{self.question.id}"

    @property
    def steps(self) -> int | None:
        return len(self.violation.steps) if self.violation else None


def configured(approach: Approach, question: StudyQuestion, sizes: dict[str, int] = SIZES) -> Configuration:
    """The setting of `environment` that a cell explores."""
    given = (*question.given, *(["fenced_reads"] if approach.fences_reads else []))
    at = configure(MODEL, sizes, approach.quorums)
    return at.where(MODEL.fields["off"], approach.off).where(MODEL.fields["given"], given)


def cells(
    approach: Approach, is_proved: Callable[[str], bool], questions: tuple[StudyQuestion, ...] = QUESTIONS
) -> Iterator[Cell]:
    """One row. `is_proved` is asked whether a model's proof goes through, where the theorem applies."""
    for question in questions:
        if question.asks == SERVED:
            yield service(approach, question)
        elif question.id == "split-brain" and approach.id == "bully":
            yield bully(approach, question)
        else:
            cell = explored(approach, question, MODEL, configured(approach, question), question.asks)
            applies = approach.has_quorum and (not question.needs or question.needs not in approach.off)
            if question.proved_by and applies and cell.verdict is HOLDS and is_proved(question.proved_by[0]):
                cell = replace(cell, proved=question.proved_by[0])
            yield cell


def explored(approach: Approach, question: StudyQuestion, model: Model, at: Configuration, name: str) -> Cell:
    """Every state, or the shortest run that breaks the property."""
    (found,) = explore_all(model, at, only=[name])
    return Cell(approach, question, found.verdict, found.run, found.violation)


def bully(approach: Approach, question: StudyQuestion) -> Cell:
    """The algorithm of 1982 itself, in a network that may split."""
    model = models.find("flawed/bully")
    at = configure(model, {"Node": 1}).where(model.fields["assumed"], ("fail_stop", "prompt"))
    return explored(approach, question, model, at, "one_coordinator")


def service(approach: Approach, question: StudyQuestion) -> Cell:
    """From every state of up to one election: can the newest leader still write, with a minority cut off?

    Any server may be of that minority: with majorities they are interchangeable, and else the lock server
    may be. A way that fails is told by the run to the state from which nothing helps.
    """
    asked = 0
    for away in ("n3",) if approach.quorums == "majority" else ("n3", SERVER):
        at = configured(approach, question, EARLY).where(MODEL.fields["away"], (away,))
        found = possible(MODEL, at, MODEL.witnesses[question.asks], lambda told: told["elected"] <= 1)
        asked += found.asked
        if found.stuck is not None:
            stuck = Violation(question.asks, (), found.stuck)
            return Cell(approach, question, VIOLATED, found.run, stuck, found.asked)
    return Cell(approach, question, HOLDS if asked else INCONCLUSIVE, found.run, asked=asked)
