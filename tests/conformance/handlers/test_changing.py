"""Handlers where the members change, of any size and within bounds; each rule of a change is needed."""

from __future__ import annotations

import os
from itertools import product

import pytest
import z3

from oneleader.conformance.handlers.changing import Changing, is_quorum
from oneleader.conformance.handlers.facts import needed
from oneleader.conformance.handlers.handlers import RLIMIT, PathProof, prove_handler, runs
from oneleader.conformance.handlers.running import (
    CHANGE,
    CHANGING,
    OF_WHOLE_LOGS,
    WITH_CHANGES,
    of_names,
)
from oneleader.conformance.handlers.servers import Scope
from oneleader.conformance.handlers.stable import MEMBERS_CHANGE
from oneleader.faults import membership, snapshots
from oneleader.faults.catalogue import variant
from oneleader.readers.prove.smt import answer
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from oneleader_raft.configuration import Membership
from workshop.pages.handlers import PAGE_OF_CHANGES, told

DEEP = os.environ.get("ONELEADER_PROFILE") == "deep"
TWO = Scope(2, log=1, reads=0, changes=True)


# Followers and candidates; in deep, minutes each, all handlers and leaders too, as `make handlers` does.
SMALL = ("TimeoutNow", Scope(2, log=0, reads=0, changes=True))
NAMED = of_names((*OF_WHOLE_LOGS, CHANGE))


@pytest.mark.parametrize(("handler", "scope"), [SMALL, *((one, TWO) for one in NAMED if DEEP)])
def test_a_handler_is_proved_where_members_change(handler: str, scope: Scope) -> None:
    found = prove_handler(handler, scope)
    assert (found.verdict, found.failing) == (HOLDS, "")
    assert found.paths >= 10


FAULTS = {
    "several-at-once": ("heartbeat timeout", "change_config: is_adjacent"),  # R1
    "change-upon-change": ("heartbeat timeout", "transfer"),  # R2
    "joint-left-early": ("heartbeat timeout", "change_config: last_is_committed"),  # R2
    "added-and-added": ("heartbeat timeout", "change_config: own_is_committed"),  # R3
    "joins-at-once": ("heartbeat timeout", "change_config: new_members_caught_up"),
    "removed-leader-counts-itself": ("propose", "advance_commit: is_a_quorum"),
    "in-effect-when-applied": ("heartbeat timeout", "advance_commit: is_a_quorum"),
}
QUICK = ("several-at-once",)


@pytest.mark.parametrize("id", FAULTS if DEEP else QUICK)
def test_a_fault_of_changes_is_not_proved(id: str) -> None:
    handler, failing = FAULTS[id]
    found = prove_handler(handler, TWO, core=variant(id))
    assert (found.verdict, found.failing) == (VIOLATED, f"membership: {failing}")


# --- Any number of servers, logs of any length -------------------------------------------------------------


@pytest.mark.parametrize("handler", WITH_CHANGES)
def test_a_handler_is_proved_for_any_number_of_servers(handler: str) -> None:
    """Logs of any length, compacted or not; docs/results/handlers-members.md has the figures of this run."""
    found = prove_handler(handler, CHANGING)
    assert (found.verdict, found.failing) == (HOLDS, "")
    listed = {name: figures for name, *figures in told(PAGE_OF_CHANGES.read_text("utf-8"))}
    assert listed[handler] == [found.paths, found.goals]


OF_ANY_SIZE = {
    "several-at-once": ("advance_change", "change_config: is_adjacent"),  # R1
    "change-upon-change": ("advance_change", "change_config: last_is_committed"),  # R2
    "joint-left-early": ("advance_change", "change_config: last_is_committed"),  # R2
    "added-and-added": ("advance_change", "change_config: own_is_committed"),  # R3
    "joins-at-once": ("advance_change", "change_config: new_members_caught_up"),
    "snapshot-of-the-latest-configuration": ("compact", "state: log_config"),
    "snapshot-of-anything": ("compact", "compact: entry_is_committed"),
    "sends-what-is-gone": ("heartbeat timeout", "AppendEntries: what is before"),
    "state-not-restored": ("serve", "restored"),
    "takes-an-old-snapshot": ("InstallSnapshot", "install_snapshot: is_news"),
}


@pytest.mark.parametrize("id", [id for id in OF_ANY_SIZE if DEEP or id != "joins-at-once"])
def test_a_fault_is_not_proved_for_any_number(id: str) -> None:
    """That Z3 cannot tell is not proved: of sets of any size it finds no state in numbers."""
    handler, failing = OF_ANY_SIZE[id]
    found = prove_handler(handler, CHANGING, variant(id), (membership, snapshots))
    assert found.verdict is INCONCLUSIVE
    assert found.failing.startswith(f"snapshots: {failing}: ")


@pytest.mark.parametrize(
    ("handler", "fact", "goal"),
    [
        ("heartbeat timeout", "its log is the leader's", "InstallSnapshot: its last entry"),
        ("AppendEntries", "AppendEntries: its configurations", "state: log_config"),
        ("InstallSnapshot", "InstallSnapshot: its configuration", "history"),
    ],
)
def test_a_fact_that_is_left_out_is_missed(handler: str, fact: str, goal: str) -> None:
    assert [*needed(MEMBERS_CHANGE, handler, CHANGING, [fact])] == [(fact, goal)]


@pytest.mark.parametrize(
    ("handler", "each"), [("restart", 1), ("is_leader", 1), ("compact", 1), ("serve", 4), ("transfer", 4)]
)
def test_what_is_assumed_refutes_few_paths(handler: str, each: int) -> None:
    """By what proves the goals, a contradiction is found of those paths alone that the model's facts rule
    out: the others were not proved from one."""
    ruled_out = asked = 0
    for number, (path, ran, cluster) in enumerate(runs(handler, CHANGING)):
        if number % each == 0:
            proof = PathProof(cluster, "snapshots", path, ran)
            result, _ = answer(proof._solver(z3.BoolVal(False, cluster.context), mbqi=False), RLIMIT // 8)
            ruled_out, asked = ruled_out + (result == z3.unsat), asked + 1
    assert asked >= 8
    assert ruled_out <= asked // 4 if each > 1 else ruled_out == 0


def test_quorums_are_counted() -> None:
    joint = (("n1", "n2"), ("n2", "n3", "n4"))
    assert is_quorum(joint, ("n1", "n2", "n3"))
    assert not is_quorum(joint, ("n2", "n3", "n4"))  # a majority of all, and not of the old members
    assert not is_quorum((("n1", "n2", "n3"),), ("n1", "n4"))
    assert not is_quorum((("n1",),), ("n1", "n2"))  # nobody else


def test_each_change_that_the_core_makes_is_to_an_adjacent_configuration() -> None:
    """R1, counted for any members of three servers; and some configurations are not adjacent."""
    cluster = Changing(("n1", "n2", "n3"))
    for one, wanted in product(cluster.every, cluster.single):
        if one != wanted:
            assert cluster.meet(one.sets, one.towards(wanted.members).sets)
    assert not cluster.meet(Membership(("n1",)).sets, Membership(("n2", "n3")).sets)
