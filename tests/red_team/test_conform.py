"""Attacks on what `conform` says of a model that could not follow."""

from __future__ import annotations

from oneleader.conformance.conform import conform
from oneleader.verdict import HOLDS, INCONCLUSIVE
from tests.conformance.test_leases import LEASE, GoesBack


def test_a_model_that_left_each_walk_at_once_does_not_hold() -> None:
    """Before: `lease holds (judged 20 walks, 20 of them in part)`, and it had compared nothing."""
    found = conform(GoesBack, walks=20, seed=1)
    assert found.verdicts[LEASE] is INCONCLUSIVE, found.text
    assert f"{LEASE:10} inconclusive  (followed no step once there was a leader)" in found.text
    assert found.verdicts["election"] is HOLDS
    assert found.verdict is HOLDS  # by those who judged
