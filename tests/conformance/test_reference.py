"""The conformance test: the reference passes, eight faults are caught, and other Rafts can be tested."""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hypothesis import settings
from oneleader.conformance.adapter import Adapter, Observed, ReferenceAdapter, Report, Sent, Taken
from oneleader.conformance.judge import Refused, in_words
from oneleader.conformance.machine import (
    Conformed,
    ConformanceMachine,
    NotConforming,
    check_conformance,
    conformance_machine,
)
from oneleader.errors import UsageError
from oneleader.faults.catalogue import FAULTS
from oneleader.faults.reference import REFERENCE_FAULTS
from oneleader.models import election
from oneleader_raft.simulator import RAFT, Core

EXAMPLES = 8 * settings.default.max_examples  # 200 in the profile dev, 480 in ci, 24,000 in deep


def check_core(core: Core, **options: Any) -> Conformed:
    return check_conformance(partial(ReferenceAdapter, core=core), **options)


# --- The reference passes ---------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[3, 4, 5], ids="{} nodes".format)
def passed(request: pytest.FixtureRequest) -> Conformed:
    return check_conformance(ReferenceAdapter, nodes=request.param, examples=EXAMPLES, seed=2)


def test_the_reference_conforms(passed: Conformed) -> None:
    assert passed.verdict == "holds", passed.text
    assert passed.examples >= EXAMPLES
    assert passed.text.startswith(f"holds  (sampled, {passed.examples:,} examples")


def test_the_reference_conforms_for_any_seed() -> None:
    result = check_conformance(ReferenceAdapter, examples=EXAMPLES // 4)
    assert result.verdict == "holds", result.text


def test_each_action_of_the_model_and_each_disturbance_occurred(passed: Conformed) -> None:
    assert passed.never == []
    assert set(passed.coverage.happened) == {
        "election timeout",
        "heartbeat timeout",
        "message delivered",
        "message duplicated",
        "message lost",
        "message lost at a node that is down",
        "crash",
        "crash in a step",
        "crash before the write",
        "crash, unsynced write lost",
        "crash, unsynced write kept",
        "crash, messages unsent",
        "restart",
    }
    assert passed.coverage.actions["become_leader"] > 10
    assert passed.coverage.cut == 0


def test_the_reference_conforms_if_its_actions_are_inferred() -> None:
    class Silent(ReferenceAdapter):
        """Says nothing of its actions, and shows no votes."""

        def _report(self, begun: int, sent: list[Sent]) -> Report:
            return replace(super()._report(begun, sent), actions=None)

        def observe(self, node: str) -> Observed:
            return replace(super().observe(node), votes=None)

    for nodes in (3, 5):
        result = check_conformance(Silent, nodes=nodes, examples=EXAMPLES // 2, seed=1)
        assert result.verdict == "holds", result.text
        assert result.coverage.actions["become_leader"] > 3


def test_what_never_occurred_is_named() -> None:
    result = check_conformance(ReferenceAdapter, examples=2, steps=2, seed=1)
    assert "step_down" in result.never
    assert "never occurred, so nothing was learned about:" in result.text


# --- Each fault of the catalogue is caught ----------------------------------------------------------------

BROKEN = {  # what refinement says of each, and how many steps it takes at most after shrinking
    "no-quorum": ("become_leader: quorum_voted", 1),
    "no-terms": ("grant_vote: term_is_current", 4),
    "vote-not-durable": ("observation: voted_for", 12),
    "vote-twice": ("grant_vote: vote_is_free", 8),
    "old-reply": ("receive_vote: term_is_current", 10),
    "vote-cleared": ("observation: voted_for", 8),
    "double-count": ("become_leader: quorum_voted", 12),
    "disjoint-quorums": ("become_leader: quorum_voted", 6),
}


def test_the_faults_are_those_of_the_catalogue() -> None:
    assert set(REFERENCE_FAULTS) == set(FAULTS) == set(BROKEN)
    assert all(fault.story.endswith(".") for fault in REFERENCE_FAULTS.values())


@pytest.mark.parametrize("id", REFERENCE_FAULTS)
def test_a_faulty_core_is_caught_where_it_leaves_the_model(id: str) -> None:
    fault, (cause, most) = REFERENCE_FAULTS[id], BROKEN[id]
    result = check_core(fault.core, nodes=fault.nodes, examples=2000, seed=1)
    assert result.verdict == "violated"
    assert result.cause.startswith(cause), result.text
    assert len(result.shrunk_steps) <= most, result.text


@pytest.mark.parametrize("id", REFERENCE_FAULTS)
def test_a_faulty_core_elects_two_leaders(id: str) -> None:
    """Without the model, judged by Election Safety alone."""
    fault = REFERENCE_FAULTS[id]
    options: dict[str, Any] = {"nodes": fault.nodes, "terms": fault.terms, "seed": SEED_ALONE.get(id, 1)}
    result = check_core(fault.core, examples=5000, refinement=False, **options)
    assert result.cause == "two leaders in one term", result.text
    assert len(result.shrunk_steps) <= 40, result.text


SEED_ALONE: dict[str, int] = {}
