"""Crashes that keep some of what was not synced, and tear a write: who counts on the rest is found."""

from __future__ import annotations

import sys

import pytest

from oneleader.conformance.adapter import Observed
from oneleader.conformance.conform import again, conform
from oneleader.conformance.observations import DURABLE, STORED, UNSYNCED
from oneleader.conformance.shim import Shim
from oneleader.conformance.trial import FIGURE_3, Event
from oneleader.verdict import HOLDS
from tests.conformance.small_raft import SmallAdapter
from tests.conformance.unsynced import (
    AnswersBeforeItSyncs,
    BelievesWhatIsTorn,
    Journaled,
    JournaledAdapter,
    LeadsBeforeItSyncs,
    WritesInParallel,
)

SHIM = [sys.executable, "-m", "tests.conformance.small_shim", "BelievesWhatIsTorn"]
# The entry is written, and nothing has left since.
TORN: tuple[Event, ...] = (
    ("timeout", "n1"),
    ("deliver", "n1", "n2"),
    ("deliver", "n2", "n1"),
    ("propose", "n1", "v1"),
    ("crash_keeping", "n1", "0", "torn"),
    ("restart", "n1"),
)
LOST: tuple[Event, ...] = (*TORN[:-2], ("timeout", "n1"), ("crash_keeping", "n1", "0"), ("restart", "n1"))


def made(kind: type[Journaled]) -> type[JournaledAdapter]:
    class Made(JournaledAdapter):
        server = kind

    return Made


class ShowsItsDisk(JournaledAdapter):
    """Of a server that is down, what it will read back."""

    def observe(self, node: str) -> Observed | None:
        if node in self.up:
            return super().observe(node)
        disk = self.server.recovered(self.journals[node])
        return Observed(disk["term"], disk["vote"], None, log=tuple(disk["log"]))


@pytest.mark.parametrize("adapter", [JournaledAdapter, ShowsItsDisk, made(WritesInParallel)])
def test_one_that_syncs_before_it_says_anything_holds(adapter: type[JournaledAdapter]) -> None:
    found = conform(adapter, walks=30, seed=1)
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    assert found.compared[UNSYNCED]


def test_what_a_crash_loses_may_be_lost() -> None:
    assert not again(JournaledAdapter, LOST).causes


@pytest.mark.parametrize(("kind", "clause"), [(AnswersBeforeItSyncs, DURABLE), (LeadsBeforeItSyncs, STORED)])
def test_who_counts_on_what_is_not_synced_is_found(kind: type[Journaled], clause: str) -> None:
    found = conform(made(kind), walks=30, seed=1)
    assert f"{FIGURE_3}: {clause}" in [cause.key for cause in found.causes], found.text


def test_who_believes_a_torn_write_is_found_over_the_protocol_too() -> None:
    wrong = [f"{FIGURE_3}: {UNSYNCED}"]
    assert not again(JournaledAdapter, TORN).causes
    found = again(made(BelievesWhatIsTorn), TORN)
    assert [c.key for c in found.causes if c.judge == FIGURE_3] == wrong, found.text
    with Shim(SHIM, timeout=60.0) as shim:
        assert [c.key for c in again(shim.adapter, TORN).causes if c.judge == FIGURE_3] == wrong


def test_without_such_crashes_it_is_not_judged() -> None:
    found = conform(SmallAdapter, walks=2, seed=1)
    assert found.not_judged[UNSYNCED] == "the adapter has no method crash_keeping"
