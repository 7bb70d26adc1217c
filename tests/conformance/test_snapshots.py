"""Snapshots: a correct one that takes the place of a log that conflicts holds; a wrong one is found."""

from __future__ import annotations

import pytest

from oneleader.conformance import observations as clauses
from oneleader.conformance.calm import COMMITS, LEARNED
from oneleader.conformance.conform import again, conform
from oneleader.conformance.network import Network
from oneleader.conformance.observations import CLAUSES
from oneleader.conformance.trial import FIGURE_3, Event, Trial
from oneleader.verdict import HOLDS
from tests.conformance.snapshots import (
    CompactsAtOnce,
    CompactsTooMuch,
    CompactsUnseen,
    DropsWhatFollows,
    KeepsWhatFollows,
    OffByOne,
    SnapshotAdapter,
    Snapshots,
)

REPLICATION = "replication"
NODES = ("n1", "n2", "n3")
LEADS_ALONE: tuple[Event, ...] = (
    ("timeout", "n1"),
    ("deliver", "n1", "n2"),
    ("deliver", "n2", "n1"),
    ("groups", "n1", "n2 n3"),
    ("propose", "n1", "v1"),
)
LEADS_THE_OTHERS: tuple[Event, ...] = (
    ("timeout", "n2"),
    ("deliver", "n2", "n3"),
    ("deliver", "n3", "n2"),
    ("propose", "n2", "v2"),
    ("burst", "n2", "n3"),
    ("burst", "n3", "n2"),
    ("compact", "n2"),
    ("heal",),
    ("heartbeat", "n2"),
    ("deliver", "n2", "n1"),
)
# n1 keeps v1 to itself; n2 commits v2 with n3, and sends n1 a snapshot of it: the last event.
CONFLICT = (*LEADS_ALONE, *LEADS_THE_OTHERS)
LONGER_CONFLICT = (*LEADS_ALONE, ("propose", "n1", "v1b"), *LEADS_THE_OTHERS)
# n2 commits v1 with n1 and compacts it; n3 has v1 and v2, and does not know it, when the snapshot arrives.
LATE: tuple[Event, ...] = (
    ("timeout", "n2"),
    ("deliver", "n2", "n1"),
    ("deliver", "n1", "n2"),
    ("propose", "n2", "v1"),
    ("propose", "n2", "v2"),
    ("deliver", "n2", "n1"),
    ("deliver", "n2", "n1"),
    ("burst", "n1", "n2"),
    ("compact", "n2"),
    ("heartbeat", "n2"),
    ("deliver", "n2", "n3"),
    ("deliver", "n2", "n3"),
    ("deliver", "n2", "n3"),
    ("deliver", "n2", "n3"),
    ("deliver", "n2", "n3"),
)
COMPACTS = (*LEADS_ALONE, ("compact", "n1"))
WERE_SENT = "entries_were_sent (Figure 2, AppendEntries arguments)"
QUORUM = "advance_commit: quorum_stores (Figure 2, Leaders 4: a majority of matchIndex)"


def adapter(kind: type[Snapshots], over: Network = SnapshotAdapter.network) -> type[SnapshotAdapter]:
    class Made(SnapshotAdapter):
        server = kind
        network = over

    return Made


def test_a_snapshot_takes_the_place_of_an_entry_that_conflicts() -> None:
    """Figure 13, 7: one entry before and none after, and what it ends with is committed."""
    trial = Trial(SnapshotAdapter(NODES), NODES)
    for event in CONFLICT[:-1]:
        trial.play(event)
    before = trial.seen["n1"]
    trial.play(CONFLICT[-1])
    after = trial.seen["n1"]
    assert before is not None
    assert after is not None
    assert (before.first, before.log, after.first, after.log) == (1, ((1, "v1"),), 2, ())

    found = again(adapter(Snapshots), CONFLICT)
    assert set(found.verdicts.values()) == {HOLDS}, found.text


def test_what_is_committed_may_be_in_a_snapshot_alone() -> None:
    found = conform(adapter(CompactsAtOnce), walks=2, seed=1, liveness=True)
    assert (found.liveness[COMMITS], found.liveness[LEARNED]) == ("", "")


@pytest.mark.parametrize("network", [Network.tcp(), Network.udp()], ids=["tcp", "udp"])
def test_correct_snapshots_hold(network: Network) -> None:
    found = conform(adapter(Snapshots, network), walks=40, seed=1, liveness=True)
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    assert found.by_model[REPLICATION]
    assert not found.in_part[REPLICATION]


@pytest.mark.parametrize(
    ("kind", "run", "cause"),
    [
        (CompactsTooMuch, COMPACTS, QUORUM),
        (CompactsUnseen, COMPACTS, QUORUM),
        (KeepsWhatFollows, LONGER_CONFLICT, f"append_entries: {WERE_SENT}"),
        (DropsWhatFollows, LATE, "observation: log_length"),
        (OffByOne, CONFLICT, f"replace_entries: {WERE_SENT}"),
    ],
)
def test_the_model_refuses_a_wrong_snapshot(
    kind: type[Snapshots], run: tuple[Event, ...], cause: str
) -> None:
    correct = again(adapter(Snapshots), run)
    assert correct.verdict is HOLDS, correct.text
    found = again(adapter(kind), run, known=[f"{FIGURE_3}: {clause}" for clause in CLAUSES])
    assert f"{REPLICATION}: {cause}" in [c.key for c in found.causes], found.text


@pytest.mark.parametrize("kind", [CompactsTooMuch, CompactsUnseen])
def test_a_snapshot_of_what_is_not_committed_breaks_figure_3(kind: type[Snapshots]) -> None:
    found = again(adapter(kind), COMPACTS)
    assert f"{FIGURE_3}: {clauses.STORED}" in [c.key for c in found.causes], found.text
