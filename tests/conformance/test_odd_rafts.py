"""Rafts that are odd and correct raise no alarm."""

from __future__ import annotations

import pytest

from oneleader.conformance.adapter import May
from oneleader.conformance.conform import conform
from oneleader.conformance.trial import FIGURE_3
from oneleader.verdict import HOLDS, INCONCLUSIVE
from tests.conformance.odd_rafts import (
    AnswersLate,
    Batches,
    Closed,
    CommitsLate,
    Learns,
    OneAtATime,
    OwnTerms,
    Pipelines,
    ShowsLittle,
)
from tests.conformance.small_raft import SmallAdapter, SmallRaft


@pytest.mark.parametrize("adapter", [AnswersLate, Batches])
def test_answers_may_come_late_and_together(adapter: type[SmallAdapter]) -> None:
    found = conform(adapter, walks=16, seed=3)
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    assert found.compared["Leader Completeness"]


def test_terms_may_be_skipped_by_declaration() -> None:
    class Skips(SmallAdapter):
        server = OwnTerms

    class Declares(Skips):
        may = (May.SKIPS_TERMS,)

    found = conform(Skips, walks=6, seed=3)
    assert (found.verdicts[FIGURE_3], found.verdict) == (HOLDS, INCONCLUSIVE), found.text
    assert {may for _, may in found.no_word} == {May.SKIPS_TERMS}
    assert conform(Declares, walks=6, seed=3).verdict is HOLDS


@pytest.mark.parametrize(("kind", "nodes"), [(OneAtATime, 5), (Pipelines, 3), (CommitsLate, 3)])
def test_logs_may_go_their_own_ways(kind: type[SmallRaft], nodes: int) -> None:
    adapter = type(f"{kind.__name__}Adapter", (SmallAdapter,), {"server": kind})
    found = conform(adapter, nodes=nodes, walks=8, seed=2, liveness=True)
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    assert found.by_model["replication"]


@pytest.mark.parametrize("adapter", [Closed, ShowsLittle])
def test_what_is_not_shown_is_not_judged(adapter: type[SmallAdapter]) -> None:
    found = conform(adapter, walks=8, seed=2)
    assert found.verdict is HOLDS, found.text
    assert "replication" not in found.verdicts
    assert "Leader Completeness" in found.not_judged


def test_a_learner_is_no_member() -> None:
    """The models take all servers for members; who says that some are none is followed by Figure 3."""
    adapter = type("Learning", (SmallAdapter,), {"server": Learns, "may": (May.CHANGE_MEMBERS,)})
    found = conform(adapter, nodes=4, walks=8, seed=2, liveness=True)
    assert found.verdicts[FIGURE_3] is found.verdict is HOLDS, found.text
