"""Rafts that are odd and correct raise no alarm."""

from __future__ import annotations

import pytest

from oneleader.conformance.adapter import May
from oneleader.conformance.conform import conform
from oneleader.conformance.network import Network
from oneleader.conformance.trial import FIGURE_3
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from tests.conformance.odd_rafts import (
    AnswersLate,
    Batches,
    Closed,
    CommitsLate,
    Forwards,
    Learns,
    NoOps,
    OneAtATime,
    OwnTerms,
    Pipelines,
    ShowsLittle,
    Sticky,
    StoringBeside,
    Truncates,
)
from tests.conformance.small_raft import SmallAdapter, SmallRaft


def adapted(kind: type[SmallRaft], over: Network = SmallAdapter.network) -> type[SmallAdapter]:
    return type(f"{kind.__name__}Adapter", (SmallAdapter,), {"server": kind, "network": over})


@pytest.mark.parametrize("adapter", [AnswersLate, Batches])
def test_answers_may_come_late_and_together(adapter: type[SmallAdapter]) -> None:
    found = conform(adapter, walks=16, seed=3)
    assert found.verdict is HOLDS, found.text
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
    found = conform(adapted(kind), nodes=nodes, walks=8, seed=2, liveness=True)
    assert found.verdict is HOLDS, found.text
    assert found.by_model["replication"]


def test_what_the_leader_does_not_have_may_be_dropped_by_declaration() -> None:
    class Drops(SmallAdapter):
        server, network = Truncates, Network.tcp()

    class Declares(Drops):
        may = (May.DROP_CONFLICTS,)

    class Unordered(Declares):
        network = Network.udp()

    found = conform(Drops, walks=20, seed=1)
    assert (found.verdicts[FIGURE_3], found.verdict) == (HOLDS, INCONCLUSIVE), found.text
    assert {may for _, may in found.no_word} == {May.DROP_CONFLICTS}
    assert conform(Declares, walks=20, seed=1, liveness=True).verdict is HOLDS
    assert conform(Unordered, walks=40, seed=1).verdict is VIOLATED  # where an older message comes later


@pytest.mark.parametrize(
    ("adapter", "may", "models"),
    [
        (adapted(NoOps), (), ()),
        (adapted(Forwards, Network.tcp()), (), ()),  # a copy would be a second proposal
        (StoringBeside, (), ()),
        (adapted(Sticky), (May.STEP_DOWN, May.ASK_AGAIN), ("pre_vote",)),
    ],
)
def test_leaders_may_have_their_ways(
    adapter: type[SmallAdapter], may: tuple[May, ...], models: tuple[str, ...]
) -> None:
    kind = type(adapter.__name__, (adapter,), {"may": may, "models": models})
    found = conform(kind, walks=12, seed=7, liveness=True)
    assert found.verdict is HOLDS, found.text
    assert all(found.by_model[model] for model in ("replication", *models))


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
