"""A run in the words of a model: what the header of its recording says, and what its states show."""

from __future__ import annotations

from dataclasses import replace

from oneleader_raft.configuration import Membership
from oneleader_raft.lease import Clocks, Round
from oneleader_raft.raft import (
    NIL,
    NO_SNAPSHOT,
    AppendEntries,
    Compact,
    Durable,
    ElectionTimeout,
    Entry,
    Receive,
    Role,
    restart,
    step,
)
from oneleader_raft.views import VIEWS

MEMBERS = ("n1", "n2", "n3")
FOUR = (*MEMBERS, "n4")
LOG = (Entry(1, "x"), Entry(1, "y"), Entry(2, Membership(FOUR)), Entry(2, "z"))


def test_where_not_every_node_is_a_member_the_majorities_are_listed() -> None:
    clocks = Clocks()
    said = VIEWS["election"].header(clocks, ("n3", "n1", "n2"), FOUR)
    assert said["quorums"] == [["n1", "n2"], ["n1", "n3"], ["n2", "n3"]]
    assert VIEWS["election"].header(clocks, ("n1", "n2"), FOUR)["quorums"] == [["n1", "n2"]]
    assert VIEWS["election"].header(clocks, FOUR, FOUR)["quorums"] == "majority"


def test_each_entry_is_shown_with_the_configuration_of_its_time() -> None:
    """Also where the entries of an older one are compacted."""
    node = restart("n1", MEMBERS, Durable(2, NIL, LOG, NO_SNAPSHOT), now=0).node
    state = VIEWS["membership"].state(node, 0)
    before, after = [[*MEMBERS]], [[*FOUR]]
    assert state["log_config"] == {"0": before, "1": before, "2": before, "3": after, "4": after}
    assert state["log_since"] == {"0": 0, "1": 0, "2": 0, "3": 3, "4": 3}
    compacted = step(replace(node, commit_index=4), Compact(2, "two"), 0).node
    assert VIEWS["snapshots"].state(compacted, 0)["log_config"] == {"2": before, "3": after, "4": after}


def test_whom_a_server_has_heard_is_shown_of_all_but_leaders() -> None:
    """Of a leader the model says whom it has heard since some moment, and the node does not know that."""
    clocks = Clocks()
    node = restart("n1", MEMBERS, Durable(2, NIL, (), NO_SNAPSHOT), now=0).node
    heard = step(node, Receive(AppendEntries(2, "n2", 0, 0, (), 0, Round(1, 0))), 0).node
    assert VIEWS["pre_vote"].state(node, 0)["heard"] == []
    assert VIEWS["pre_vote"].state(heard, 0)["heard"] == ["n2"]
    leader = restart("n1", ("n1",), Durable(2, NIL, (), NO_SNAPSHOT), now=0).node
    leads = step(leader, ElectionTimeout(), clocks.promise).node
    assert leads.role is Role.LEADER
    assert "heard" not in VIEWS["pre_vote"].state(leads, 0)
