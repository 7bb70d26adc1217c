"""Pre-vote and check-quorum: explored, proved, equal to the twin, and each guard that safety needs."""

from __future__ import annotations

import pytest

from oneleader.errors import MissingTool
from oneleader.language import action, both, implies, ite
from oneleader.language.configuration import Configuration, bounded
from oneleader.language.model import Model
from oneleader.models import election
from oneleader.models.election import CANDIDATE, LEADER, Node, Quorum
from oneleader.models.pre_vote import MODEL, State
from oneleader.readers.explore.explore import explore, ghosts_read
from oneleader.readers.explore.refine import refine
from oneleader.readers.explore.walk import walk
from oneleader.readers.prove.prove import prove
from oneleader.readers.tlc import tlc
from oneleader.readers.tlc.twin import compare
from oneleader.verdict import HOLDS, VIOLATED

N2_DECIDES = bounded(MODEL, nodes=2, terms=2, quorums="n2, n1 n2")  # n2 can be elected beside n1
EXPLORED = {
    "two nodes": (bounded(MODEL, nodes=2, terms=1), 295),
    "three nodes": (bounded(MODEL, nodes=3, terms=1), 156_688),
    "two terms": (bounded(MODEL, nodes=2, terms=2), 45_434),
    "two leaders": (N2_DECIDES, 710_740),
}


def test_explored_within_bounds_every_action_and_witness_is_seen() -> None:
    fired, reached = set[str](), set[str]()
    for at, states in EXPLORED.values():
        found = explore(MODEL, at)
        assert (found.verdict, found.states) == (HOLDS, states)
        fired |= {*found.fired}
        reached |= {name for name, depth in found.witnesses.items() if depth is not None}
    assert fired == {*MODEL.actions}
    walked = walk(MODEL, bounded(MODEL, nodes=3, terms=3), seed=1, runs=3_000, engine="native")
    assert walked.verdict is HOLDS
    reached |= {name for name, seen in walked.witnesses.items() if seen}
    kept_apart = {name for name, w in MODEL.witnesses.items() if ghosts_read(MODEL, w)}
    assert reached | kept_apart == {*MODEL.witnesses}


def test_proved_for_any_cluster_size() -> None:
    proof = prove(MODEL)
    assert proof.verdict is HOLDS, [row.key for row in proof.rows if row.verdict is not HOLDS]
    assert len(proof.rows) > 300


@pytest.mark.parametrize(
    ("action", "guard", "broken", "steps"),
    [
        ("start_election", "quorum_pre_voted", "no_term_without_pre_votes", 1),
        ("grant_vote", "vote_is_free", "granted_is_stored", 7),
        ("reply_vote", "vote_is_stored", "granted_is_stored", 1),
        ("receive_vote", "vote_was_granted", "votes_were_granted", 3),
        ("become_leader", "quorum_voted", "election_safety", 8),
        ("update_term", "term_was_sent", "term_was_requested", 1),
        ("receive_pre_vote", "pre_vote_was_granted", "pre_votes_were_granted", 2),
        ("receive_pre_vote", "is_asking", "pre_votes_are_asked_for", 3),
        ("hear_leader", "is_follower", "candidate_hears_no_leader", 8),
        ("learn_term", "term_was_told", "term_was_requested", 1),
    ],
)
def test_a_guard_less_breaks_a_property(action: str, guard: str, broken: str, steps: int) -> None:
    mutant = MODEL.without_guard(action, guard)
    at = bounded(MODEL, nodes=2, terms=1, quorums="n2, n1 n2")
    properties = [p for p in MODEL.properties.values() if not ghosts_read(MODEL, p)]
    found = explore(mutant, at, properties=properties).violation
    assert found
    assert (found.what, len(found.steps)) == (broken, steps)


# -- Each property is broken by something ---------------------------------------------------------------
@action
def become_leader(s: State, n: Node, q: Quorum) -> None:
    """It leads, and nobody is told; nor does history note who elected it."""
    is_candidate = s.role[n] == CANDIDATE
    quorum_voted = Node.all(lambda v: implies(s.member[v, q], s.votes[n, v]))
    s.require(is_candidate, quorum_voted)

    s.role[n] = LEADER


def unnoted() -> Model:
    @action
    def become_leader(s: State, n: Node, q: Quorum) -> None:
        """History does not note who elected it."""
        is_candidate = s.role[n] == CANDIDATE
        quorum_voted = Node.all(lambda v: implies(s.member[v, q], s.votes[n, v]))
        s.require(is_candidate, quorum_voted)

        s.role[n] = LEADER
        s.heartbeat[n, s.term[n]] = True

    return MODEL.with_action(become_leader)


@action
def start_election(s: State, n: Node, q: Quorum) -> None:
    """It stands, and asks nobody; nor does history note who backed it."""
    quorum_pre_voted = Node.all(lambda v: implies(s.member[v, q], s.pre_votes[n, v]))
    not_leader = s.role[n] != LEADER
    s.require(quorum_pre_voted, not_leader)

    t = s.term[n] + 1
    s.term[n] = t
    s.voted_for[n] = n
    s.role[n] = CANDIDATE
    s.votes.where(lambda old, c, v: ite(c == n, v == n, old))
    s.granted[n, t, n] = True
    s.asking[n] = False
    s.pre_votes.where(lambda old, c, v: both(c != n, old))


def unbacked() -> Model:
    @action
    def start_election(s: State, n: Node, q: Quorum) -> None:
        """History does not note who backed it."""
        quorum_pre_voted = Node.all(lambda v: implies(s.member[v, q], s.pre_votes[n, v]))
        s.require(quorum_pre_voted)

        election.start_election(s, n)

    return MODEL.with_action(start_election)


MUTANTS = {
    "election_safety": MODEL.without_guard("grant_vote", "vote_is_free"),
    "granted_once": MODEL.without_guard("grant_vote", "vote_is_free"),
    "granted_is_stored": MODEL.without_guard("grant_vote", "vote_is_free"),
    "elected_by_quorum": MODEL.without_guard("grant_vote", "vote_is_free"),
    "granted_not_from_future": MODEL.without_guard("reply_vote", "term_is_current"),
    "votes_were_granted": MODEL.without_guard("receive_vote", "vote_was_granted"),
    "term_was_requested": MODEL.without_guard("update_term", "term_was_sent"),
    "told_term_was_requested": MODEL.without_guard("update_term", "term_was_sent"),
    "no_term_without_pre_votes": MODEL.without_guard("start_election", "quorum_pre_voted"),
    "backed_by_quorum": MODEL.without_guard("start_election", "quorum_pre_voted"),
    "pre_votes_were_granted": MODEL.without_guard("receive_pre_vote", "pre_vote_was_granted"),
    "pre_votes_are_asked_for": MODEL.without_guard("receive_pre_vote", "is_asking"),
    "pre_candidate_hears_no_leader": MODEL.without_guard("start_pre_vote", "leader_is_silent"),
    "candidate_hears_no_leader": MODEL.without_guard("hear_leader", "is_follower"),
    "leader_was_announced": MODEL.with_action(become_leader),
    "elected_by_some_quorum": unnoted(),
    "backed_by_some_quorum": unbacked(),
    "leader_asked_for_votes": MODEL.with_action(start_election),
    "candidate_asked_for_votes": MODEL.with_action(start_election),
}
SMALL = (bounded(MODEL, nodes=2, terms=1, quorums="n2, n1 n2"), bounded(MODEL, nodes=2, terms=2))


def test_each_property_has_a_mutant() -> None:
    assert MUTANTS.keys() == MODEL.properties.keys()


@pytest.mark.parametrize("name", MUTANTS)
def test_the_mutant_breaks_the_property(name: str) -> None:
    prop = MODEL.properties[name]
    found = [
        explore(MUTANTS[name], at, ghosts=ghosts_read(MODEL, prop), properties=[prop], engine="native")
        for at in SMALL
    ]
    assert VIOLATED in {result.verdict for result in found}


# Guards that no property needs: they make the model Raft's, and the twin has them.
UNNEEDED = [
    ("grant_vote", "leader_is_silent"),
    *(("grant_vote", "vote_was_requested"), ("grant_vote", "term_is_current")),
    *(("receive_vote", "is_candidate"), ("become_leader", "is_candidate")),
    *(("update_term", "not_leader"), ("update_term", "leader_is_silent")),
    *(("step_down", "leader_was_heard"), ("step_down", "term_is_current")),
    *(("start_pre_vote", "not_leader"), ("grant_pre_vote", "pre_vote_was_requested")),
    *(("grant_pre_vote", "term_is_newer"), ("grant_pre_vote", "not_leader")),
    *(("grant_pre_vote", "leader_is_silent"), ("hear_leader", "leader_was_heard")),
    *(("hear_leader", "term_is_current"), ("receive_reply", "reply_was_sent")),
    *(("receive_reply", "term_is_current"), ("give_up", "stands_or_leads")),
    *(("give_up", "quorum_is_silent"), ("tell_term", "message_was_sent")),
    ("tell_term", "term_was_reached"),
]


@pytest.mark.parametrize(("name", "guard"), UNNEEDED, ids=str)
def test_the_guard_is_seen_in_the_graph_that_the_twin_has(name: str, guard: str) -> None:
    mutant = MODEL.without_guard(name, guard)
    assert any(count(mutant, at) != count(MODEL, at) for at in SMALL)


def test_whoever_has_pre_votes_is_no_leader() -> None:
    """Of start_election's guard not_leader, taken over from `election`, nothing is seen: it is implied."""
    mutant = MODEL.without_guard("start_election", "not_leader")
    assert all(count(mutant, at) == count(MODEL, at) for at in SMALL)


def count(model: Model, at: Configuration) -> tuple[int, int]:
    """States and transitions."""
    found = explore(model, at, properties=[], engine="native")
    return found.states, found.transitions


def test_it_refines_the_election() -> None:
    at = bounded(MODEL, nodes=2, terms=1, quorums="n2, n1 n2")  # where every action is taken
    assert refine(MODEL, at).verdict is HOLDS


@pytest.mark.parametrize(
    "at", [bounded(MODEL, nodes=2, terms=1), bounded(MODEL, nodes=2, terms=1, quorums="n2, n1 n2")]
)
def test_the_twin_has_the_same_graph(at: Configuration) -> None:
    try:
        tlc.find_java(), tlc.find_jar()
    except MissingTool as missing:
        pytest.skip(str(missing))
    assert compare(MODEL, at).difference == ""
