"""Pre-vote and check-quorum: explored, proved, equal to the twin, and each guard that safety needs."""

from __future__ import annotations

import pytest

from oneleader.errors import MissingTool
from oneleader.language.configuration import Configuration, cluster
from oneleader.models.pre_vote import MODEL
from oneleader.readers import tlc
from oneleader.readers.explore import explore, ghosts_read
from oneleader.readers.prove import prove
from oneleader.readers.refine import refine
from oneleader.readers.twin import compare
from oneleader.readers.walk import walk

N2_DECIDES = cluster(MODEL, nodes=2, terms=2, quorums="n2, n1 n2")  # n2 can be elected beside n1
EXPLORED = {
    "two nodes": (cluster(MODEL, nodes=2, terms=1), 295),
    "three nodes": (cluster(MODEL, nodes=3, terms=1), 156_688),
    "two terms": (cluster(MODEL, nodes=2, terms=2), 45_434),
    "two leaders": (N2_DECIDES, 710_740),
}


def test_explored_within_bounds_every_action_and_witness_is_seen() -> None:
    fired, reached = set[str](), set[str]()
    for at, states in EXPLORED.values():
        found = explore(MODEL, at)
        assert (found.verdict, found.states) == ("holds", states)
        fired |= {*found.fired}
        reached |= {name for name, depth in found.witnesses.items() if depth is not None}
    assert fired == {*MODEL.actions}
    walked = walk(MODEL, cluster(MODEL, nodes=3, terms=3), seed=1, runs=3_000, engine="native")
    assert walked.verdict == "holds"
    reached |= {name for name, seen in walked.witnesses.items() if seen}
    kept_apart = {name for name, w in MODEL.witnesses.items() if ghosts_read(MODEL, w)}
    assert reached | kept_apart == {*MODEL.witnesses}


def test_proved_for_any_cluster_size() -> None:
    proof = prove(MODEL)
    assert proof.verdict == "proved", [row.key for row in proof.rows if row.verdict != "proved"]
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
    at = cluster(MODEL, nodes=2, terms=1, quorums="n2, n1 n2")
    properties = [p for p in MODEL.properties.values() if not ghosts_read(MODEL, p)]
    found = explore(mutant, at, properties=properties).violation
    assert found
    assert (found.what, len(found.steps)) == (broken, steps)


def test_it_refines_the_election() -> None:
    assert refine(MODEL, cluster(MODEL, nodes=2, terms=1)).verdict == "holds"


@pytest.mark.parametrize(
    "at", [cluster(MODEL, nodes=2, terms=1), cluster(MODEL, nodes=2, terms=1, quorums="n2, n1 n2")]
)
def test_the_twin_has_the_same_graph(at: Configuration) -> None:
    try:
        tlc.find_java(), tlc.find_jar()
    except MissingTool as missing:
        pytest.skip(str(missing))
    assert compare(MODEL, at).difference == ""
