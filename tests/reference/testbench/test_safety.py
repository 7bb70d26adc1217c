"""Figure 3 as `safety` watches it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oneleader.conformance.reference.scenario import Scenario
from oneleader_raft.raft import Entry
from oneleader_raft.testbench.safety import UnsafeError


def an_old_leader_beside_a_later_commit() -> Scenario:
    """n1 leads term 4 while n3, in term 5, commits n3's entry of term 3, which n1 never had."""
    s = Scenario(3)
    for _ in range(2):
        s.campaign("n1", "n2")
    s.sync("n1", "n3")
    for _ in range(3):
        s.campaign("n3", "n1")
    s.campaign("n1", "n2")
    s.campaign("n3", "n1")
    s.succeed("n3", "n2")
    return s


def test_a_leader_of_a_later_term_has_to_have_it() -> None:
    s = an_old_leader_beside_a_later_commit()
    later = s.cluster.node("n1").current_term + 2
    lacking = replace(s.cluster.node("n1"), current_term=later, log=(Entry(1, "no-op"),))
    with pytest.raises(UnsafeError, match="Leader Completeness"):
        s._safety.leader_completeness(lacking)
