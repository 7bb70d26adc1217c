"""The reference conforms to the model, and each faulty reference does not."""

from __future__ import annotations

import os
from functools import partial

import pytest
from hypothesis import settings

from oneleader.conformance.adapter import ReferenceAdapter
from oneleader.conformance.machine import MakeAdapter, check_conformance, conformance_machine
from oneleader.faults.catalogue import variant
from oneleader.verdict import HOLDS, VIOLATED

EXAMPLES = {"dev": 200, "ci": 200, "deep": 5000}
PROFILE = os.environ.get("ONELEADER_PROFILE") or ("ci" if os.environ.get("CI") else "dev")

TestReference = conformance_machine(ReferenceAdapter).TestCase
TestReference.settings = settings(max_examples=EXAMPLES[PROFILE] // 4, stateful_step_count=40, deadline=None)


def faulty(id: str) -> MakeAdapter:
    return partial(ReferenceAdapter, core=variant(id))


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 5])
def test_the_reference_conforms(nodes: int) -> None:
    found = check_conformance(ReferenceAdapter, nodes=nodes, examples=EXAMPLES[PROFILE], seed=1)
    assert found.verdict is HOLDS, found.text
    assert found.steps > found.examples


def test_nothing_is_left_untried() -> None:
    """Every action of the model, every disturbance, and crashes within a step."""
    found = check_conformance(ReferenceAdapter, examples=300, seed=1)
    assert found.never == []
    happened = set(found.coverage.happened)
    assert {"crash", "restart", "message lost", "message duplicated", "crash in a step"} <= happened
    assert {"crash, unsynced write lost", "crash, unsynced write kept", "crash, messages unsent"} <= happened


CAUSES = {  # of a few; the whole catalogue is for drawn scenarios
    "no-terms": "grant_vote: term_is_current (Figure 2, RequestVote receiver 1)",
    "vote-not-durable": "observation: voted_for",
    "vote-twice": "grant_vote: vote_is_free (Figure 2, RequestVote receiver 2)",
}


@pytest.mark.parametrize("id", CAUSES)
def test_a_fault_is_caught_and_its_rule_named(id: str) -> None:
    found = check_conformance(faulty(id), examples=500, seed=1)
    assert (found.verdict, found.cause) == (VIOLATED, CAUSES[id])
    assert 1 <= len(found.shrunk_steps) <= 15, found.failure
    assert found.program


def test_two_leaders_are_seen_without_the_model() -> None:
    """The weaker judge: observed roles and terms alone. Most faults need far more examples to show so."""
    found = check_conformance(faulty("no-quorum"), examples=500, seed=1, refinement=False)
    assert (found.verdict, found.cause) == (VIOLATED, "two leaders in one term")
    fair = check_conformance(ReferenceAdapter, examples=50, seed=1, refinement=False)
    assert fair.verdict is HOLDS


def test_the_same_seed_fails_the_same() -> None:
    one, two = (check_conformance(faulty("vote-cleared"), examples=200, seed=4) for _ in range(2))
    assert (one.failure, one.program) == (two.failure, two.program)
