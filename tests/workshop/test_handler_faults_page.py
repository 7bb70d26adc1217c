"""docs/results/handler-faults.md speaks of each fault, and what it says of some is asked again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from oneleader.faults.catalogue import FAULTS
from workshop.mutation.core_mutation import CoreMutant
from workshop.mutation.proof_judge import (
    OPEN,
    PROVED,
    READ,
    REFUSED,
    Said,
    judge,
    judge_mutant,
    loops_with,
    of_fault,
    of_mutant,
    reached,
)
from workshop.pages.handler_faults import (
    JOURNAL,
    PAGE,
    Answers,
    AskedOf,
    in_turn,
    known,
    mutants,
    page,
    questions,
    reasons,
    to_ask,
    told,
    unexplained,
    why_not_asked,
)

TEXT = PAGE.read_text("utf-8")
KEPT = Answers(JOURNAL, "another proof")
MADE = page(KEPT, known(KEPT, questions()))
MUTANTS = {mutant.id: mutant for mutant in mutants()}


def mutant(id: str) -> CoreMutant:
    return MUTANTS[f"core/raft/{id}"]


LOADED = """
import sys
from oneleader.conformance.handlers import alive, clusters, handlers, licences, named, stable
prover = [name for name in sys.modules if name.startswith("oneleader.readers.prove.")]
print(*(sys.modules[name].__file__ for name in prover))
"""


def test_an_answer_is_marked_with_all_of_the_prover_that_the_proof_loads() -> None:
    loaded = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True).stdout
    read = {str(file) for folder, pattern in READ for file in folder.glob(pattern)}
    assert loaded
    assert {*loaded.split()} <= read


def test_each_fault_is_refused_or_said_why_not() -> None:
    others = TEXT.partition("Not refused, and why")[2].partition("\n## ")[0]
    last = [row.removesuffix(" |").rpartition(" | ")[2] for row in others.splitlines()]
    named = {id for some in last for id in some.split(", ")}
    assert {*told(TEXT)} | named >= {*FAULTS}
    assert not {*told(TEXT)} & named
    assert {*reasons()} <= {*FAULTS}
    assert "not known yet" not in others


@pytest.mark.parametrize("id", ["role-is-a-lease", "vote-not-durable", "snapshot-of-anything"])
def test_a_fault_is_refused_as_the_page_says(id: str) -> None:
    """Three that are seen soon."""
    changed = of_fault(FAULTS[id])
    assert changed is not None
    where, what = told(TEXT)[id]
    said = judge(changed, 60, where)
    assert (said.by, said.where, said.what) == (REFUSED, where, what)


@pytest.mark.parametrize(
    ("id", "by"),
    [
        ("is_leader/and→or", REFUSED),
        ("on_compact/if not is_new: dropped", REFUSED),
        ("on_heartbeat_timeout/always Step(node)", PROVED),  # a leader that sends no heartbeats is safe
    ],
)
def test_a_mutant_is_refused_or_harmless(id: str, by: str) -> None:
    assert judge(of_mutant(mutant(id)), 60).by == by


@pytest.mark.parametrize(
    ("id", "loop", "where"),
    [
        ("reaching/>=→>", "reaching", "the contract of reaching"),  # those that it names have not reached it
        ("answer_reads/-lease or read.round <= confirmed", "answer_reads", "serve"),  # its contract allows it
    ],
)
def test_a_loop_is_judged_by_its_contract_and_by_the_handlers_that_run_it(
    id: str, loop: str, where: str
) -> None:
    assert loop in loops_with(mutant(id))
    said = judge_mutant(mutant(id), 60)
    assert (said.by, said.where) == (REFUSED, where)


def test_what_a_handler_may_come_to_is_known_by_name() -> None:
    assert {"on_vote_reply", "count_votes", "become_leader", "adopt_term", "then"} <= reached("VoteReply")
    assert "on_append_reply" not in reached("VoteReply")
    assert "on_compact" in reached("compact")


def test_a_run_that_ends_early_has_seen_some_of_each_function() -> None:
    several = [*in_turn([*MUTANTS.values()])]
    assert {m.id for m in several} == {*MUTANTS}
    functions = {m.function for m in several}
    assert {m.function for m in several[: len(functions)]} == functions


def test_the_page_is_what_the_journal_says() -> None:
    """Row by row; the day, and how many answers are an earlier proof's, are above them."""
    made, on_page = (
        [line for line in text.splitlines() if line[:2] in ("| ", "- ")] for text in (MADE, TEXT)
    )
    assert made == on_page


def test_a_run_goes_on_where_the_last_one_ended_on_any_machine(tmp_path: Path) -> None:
    """What was asked of an earlier proof, or in too little time, is asked again after what nobody has asked;
    of what has become something else nothing is known."""
    path = tmp_path / "journal.json"
    asked = [AskedOf(id, "mark", lambda seconds, first: Said("", OPEN)) for id in "abcd"]
    for proof, said in (("old", Said("a", REFUSED, "read", "x", 1)), ("new", Said("b", OPEN, "", "", 8))):
        Answers(path, proof).keep(said, "mark")
    Answers(path, "new").keep(Said("c", PROVED), "mark")
    journal = Answers(path, "new")
    assert [one.id for one in to_ask(journal, asked, 60)] == ["d", "b", "a"]
    assert [one.id for one in to_ask(journal, asked, 8)] == ["d", "a"]
    assert journal.known("a", "mark") == Said("a", REFUSED, "read", "x", 1)
    assert journal.known("a", "another mark") is None
    assert known(journal, asked)["d"] == Said("d", OPEN)


@pytest.mark.parametrize("id", ["several-at-once", "removed-leader-counts-itself"])
def test_a_fault_of_changes_is_refused_where_members_change(id: str) -> None:
    where, what = told(TEXT)[id]
    assert (where.endswith(", members change"), what.startswith("snapshots: ")) == (True, True)


def test_what_goes_through_needs_a_reason() -> None:
    said = {id: Said(id, PROVED) for id in ("vote-twice", "no-stickiness")}
    assert [*unexplained(said)] == ["vote-twice"]  # the other one breaks liveness alone
    assert why_not_asked(FAULTS["vote-twice"]) == ""
    assert "| not known yet | vote-twice |" in page(
        Answers(JOURNAL, ""), {"vote-twice": Said("vote-twice", OPEN)}
    )
