"""Configurations that take effect when they are applied: what holds, and what each rule is good for."""

from __future__ import annotations

import os

import pytest

from oneleader.errors import MissingTool
from oneleader.language.configuration import configure
from oneleader.language.model import Model
from oneleader.models.membership_on_apply import MODEL
from oneleader.readers.explore.explore import explore
from oneleader.readers.explore.explored import Explored
from oneleader.verdict import HOLDS, VIOLATED


def explored(model: Model, configurations: str = "n1 n2 n3, n1 n2, n1") -> Explored:
    """One server fewer each time, or others: 3 nodes, 2 terms, 3 entries."""
    at = configure(model, {"Node": 3, "Term": 2, "Index": 3}, configurations)
    try:
        return explore(model, at, engine="native")
    except MissingTool as missing:
        pytest.skip(str(missing))


def test_everything_holds_and_happens() -> None:
    """Two million states: in fewer nobody is two changes behind."""
    found = explored(MODEL)
    assert (found.verdict, found.states, found.never_fired) == (HOLDS, 2_002_734, [])
    assert None not in found.witnesses.values()


@pytest.mark.skipif(os.environ.get("ONELEADER_PROFILE") != "deep", reason="with ONELEADER_PROFILE=deep")
@pytest.mark.parametrize(
    ("configurations", "states"),
    [("n1, n1 n2, n1 n2 n3", 1_995_604), ("n1 n2 n3, n1 n2 n3 + n1, n1", 1_033_118)],
    ids=["one more each time", "joint"],
)
def test_servers_that_join_and_joint_consensus(configurations: str, states: int) -> None:
    found = explored(MODEL, configurations)
    assert (found.verdict, found.states, found.never_fired, found.untested) == (HOLDS, states, [], [])
    assert None not in found.witnesses.values()


@pytest.mark.parametrize(
    ("action", "guard", "steps"),
    [("elect", "all_changes_are_applied", 14), ("replicate", "change_before_is_told", 14)],
)
def test_each_rule_is_needed(action: str, guard: str, steps: int) -> None:
    """etcd-io/raft #456; and who is not told that a change is committed cannot know that it may not stand."""
    found = explored(MODEL.without_guard(action, guard))
    assert found.verdict is VIOLATED
    assert found.violation
    assert (found.violation.what, len(found.violation.steps)) == ("election_safety", steps)
