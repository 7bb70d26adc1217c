"""Reads under a lease: proved for any cluster and any log, and each premise seen to be needed."""

from __future__ import annotations

import pytest

from oneleader.language import action, both, implies, ite, theorem
from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model, model
from oneleader.models import election, lease, lease_read, replication
from oneleader.models.election import LEADER, Node, Quorum
from oneleader.models.lease_read import MODEL, State
from oneleader.models.replication import Index
from oneleader.readers.explore.explore import explore, explore_all, ghosts_read
from oneleader.readers.explore.refine import refine
from oneleader.readers.prove.prove import prove
from oneleader.verdict import HOLDS, VIOLATED, Verdict

OWN = MODEL.properties.keys() - replication.MODEL.properties.keys()
BOUNDS = {"Node": 3, "Term": 2, "Index": 2, "Value": 1}


def at(**sizes: int) -> Configuration:
    return configure(MODEL, {**BOUNDS, **sizes})


def verdict(of: Model, name: str, where: Configuration) -> Verdict:
    prop = of.properties[name]
    return explore(of, where, ghosts=ghosts_read(of, prop), properties=[prop], engine="native").verdict


# -- The three parts of the argument ---------------------------------------------------------------
def test_proved_for_any_cluster_and_any_log() -> None:
    proof = prove(MODEL, only=OWN)
    assert {(row.verdict, row.hint) for row in proof.rows} == {(HOLDS, "used")}
    assert len(proof.rows) == 44
    assert {"lease_read_is_latest", "lease_read_is_agreed"} <= OWN


def test_the_premise_is_what_the_lease_model_proves() -> None:
    proof = prove(lease.MODEL, only=["no_newer_leader"])
    assert {row.verdict for row in proof.rows} == {HOLDS}


@pytest.mark.parametrize(
    ("of", "sizes", "states"),
    [
        (replication.MODEL, {"Node": 2, "Term": 2, "Index": 1, "Value": 1}, 771),
        (lease.MODEL, {"Node": 2, "Term": 1, "lease": 2, "promise": 3, "slow": 2, "fast": 3}, 431),
        (lease.MODEL, {"Node": 3, "Term": 1, "lease": 1, "promise": 1, "slow": 1, "fast": 1}, 3896),
    ],
    ids=["replication", "lease that drifts", "lease of three"],
)
def test_both_are_elections_with_something_added(of: Model, sizes: dict[str, int], states: int) -> None:
    found = refine(of, configure(of, sizes))
    assert of.refines is election.MODEL
    assert (found.violation, found.states) == (None, states)
    assert found.abstract > states


@pytest.mark.parametrize(
    ("of", "sizes", "states"),
    [
        (replication.MODEL, {"Node": 2, "Term": 2, "Index": 1, "Value": 1}, 2_915),
        (lease.MODEL, {"Node": 2, "Term": 2, "lease": 1, "promise": 1, "slow": 1, "fast": 1}, 39_463),
    ],
    ids=["replication", "lease"],
)
def test_and_hold_where_every_action_is_taken(of: Model, sizes: dict[str, int], states: int) -> None:
    found = refine(of, configure(of, sizes, "n2, n1 n2"))
    assert (found.verdict, found.states) == (HOLDS, states)


# -- Nothing holds vacuously -----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "depth"), [("a_read_is_due", 18), ("limit_too_early", 15), ("limit_too_late", 18)]
)
def test_witnesses(name: str, depth: int) -> None:
    (found,) = explore_all(MODEL, at(), only=[name], engine="native")
    assert found.witnesses == {name: depth}


@theorem
def anybody_reads(s: State, n: Node, m: Node) -> bool:
    """A leader reads without asking whether another was elected."""
    reads = both(s.role[n] == LEADER, lease_read.has_committed(s, n))
    return implies(reads, s.commit_index[m] <= s.commit_index[n])


@theorem
def reads_at_once(s: State, n: Node, m: Node) -> bool:
    """A leader reads as soon as it is elected."""
    return implies(lease_read.leads_last(s, n), s.commit_index[m] <= s.commit_index[n])


WEAKER = model(__name__, State, extends=MODEL)


@pytest.mark.parametrize("name", ["anybody_reads", "reads_at_once"])
def test_without_either_premise_a_read_is_stale(name: str) -> None:
    assert verdict(WEAKER, name, at()) is VIOLATED


# -- What breaks it --------------------------------------------------------------------------------
@action
def advance_commit(s: State, n: Node, i: Index, q: Quorum) -> None:
    """History forgets that what was committed in a term is committed in all later ones."""
    is_leader = s.role[n] == LEADER
    quorum_stores = replication.acknowledged_by(s, q, s.term[n], i)
    entry_is_own = both(s.commit_index[n] < i, i <= s.log_length[n], s.log_term[n, i] == s.term[n])
    s.require(is_leader, quorum_stores, entry_is_own)

    t = s.term[n]
    s.commit_index[n] = i
    s.leader_commit[t] = i
    s.committed_in.where(lambda old, u: ite(u == t, t, old))


MUTANTS = {
    "committed_in_grows": MODEL.with_action(advance_commit),
    "leader_knows_its_commits": MODEL.without_guard("advance_commit", "entry_is_own"),
    "own_commit_was_noted": MODEL.without_guard("become_leader", "quorum_voted"),
    "lease_read_is_latest": MODEL.without_guard("become_leader", "quorum_voted"),
    "lease_read_is_agreed": MODEL.without_guard("become_leader", "quorum_voted"),
}


def test_each_property_has_a_mutant() -> None:
    assert MUTANTS.keys() == OWN


@pytest.mark.parametrize("name", MUTANTS)
def test_the_mutant_breaks_the_property_and_the_model_does_not(name: str) -> None:
    assert verdict(MUTANTS[name], name, at(Node=2)) is VIOLATED
    assert verdict(MODEL, name, at(Node=2)) is HOLDS
