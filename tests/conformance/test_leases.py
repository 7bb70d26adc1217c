"""The model `lease` judges an adapter that shows its clocks: to a walk's end, and a lease that is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import pytest

from oneleader.conformance.adapter import Observed, Report
from oneleader.conformance.conform import conform
from oneleader.conformance.trial import FIGURE_3
from oneleader.verdict import HOLDS, VIOLATED
from tests.conformance.small_raft import SmallRaft
from tests.conformance.test_observations import KeepsItsLease, LeasedAdapter

LEASE = "lease"


class ByTheClock(LeasedAdapter):
    """A timeout takes as long as a promise binds, and a lease lasts."""

    models = (LEASE,)
    promise = lease = 10

    def __init__(self, nodes: Sequence[str]) -> None:
        super().__init__(nodes)
        self.time = 0

    def timeout(self, node: str) -> Report:
        self.time += self.promise
        return super().timeout(node)

    def observe(self, node: str) -> Observed:
        return replace(super().observe(node), clock=self.time)


class Kept(ByTheClock):
    server: ClassVar[type[SmallRaft]] = KeepsItsLease


def test_a_correct_lease_is_followed_to_the_end() -> None:
    found = conform(ByTheClock, walks=20, seed=1)
    assert found.verdicts[LEASE] is HOLDS, found.text
    assert found.by_model[LEASE] > found.in_part[LEASE], "some walk was judged to its end"


def test_a_lease_that_is_shown_too_long_is_refused_by_the_model_itself() -> None:
    """Figure 3 sees it only where another leads meanwhile."""
    found = conform(Kept, walks=20, seed=1, known=[f"{FIGURE_3}: nobody leads beside a lease"])
    assert found.verdicts[LEASE] is VIOLATED, found.text
    (cause,) = (cause for cause in found.causes if cause.judge == LEASE)
    assert "shows that it holds one, and the model has that it holds none" in cause.words
    assert len(cause.events) <= 12, cause


class GoesBack(ByTheClock):
    """Each look at a clock shows less."""

    looks = 0

    def observe(self, node: str) -> Observed:
        self.looks += 1
        return replace(super().observe(node), clock=10_000_000 - self.looks)


class IsHidden(ByTheClock):
    """From the first timeout on nobody shows a clock."""

    def observe(self, node: str) -> Observed:
        shown = super().observe(node)
        return replace(shown, clock=None) if self.time else shown


@pytest.mark.parametrize("adapter", [GoesBack, IsHidden])
def test_who_cannot_be_told_the_time_is_not_followed(adapter: type[ByTheClock]) -> None:
    found = conform(adapter, walks=10, seed=1)
    assert found.in_part[LEASE] == found.by_model[LEASE] > 0, found.text
    assert not [cause for cause in found.causes if cause.judge == LEASE]
