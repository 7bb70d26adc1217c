"""House rule 5: each invariant has a mutant that breaks it, and each guard something that misses it."""

from __future__ import annotations

import pytest

from oneleader.errors import MissingTool
from oneleader.faults.catalogue import FAULTS
from oneleader.language import action, implies
from oneleader.language.configuration import bounded
from oneleader.language.model import Model
from oneleader.models.election import CANDIDATE, LEADER, MODEL, Node, Quorum, State
from oneleader.readers.explore.explore import explore, ghosts_read
from oneleader.readers.tlc import tlc
from oneleader.readers.tlc.twin import compare
from oneleader.verdict import HOLDS, VIOLATED


def silent() -> Model:
    """A leader that announces itself to nobody."""

    @action
    def become_leader(s: State, n: Node, q: Quorum) -> None:
        is_candidate = s.role[n] == CANDIDATE
        quorum_voted = Node.all(lambda v: implies(s.member[v, q], s.votes[n, v]))
        s.require(is_candidate, quorum_voted)

        s.role[n] = LEADER
        s.elected_by[s.term[n]] = q

    return MODEL.with_action(become_leader)


def unrecorded() -> Model:
    """A leader of whom history does not say which quorum elected it."""

    @action
    def become_leader(s: State, n: Node, q: Quorum) -> None:
        is_candidate = s.role[n] == CANDIDATE
        quorum_voted = Node.all(lambda v: implies(s.member[v, q], s.votes[n, v]))
        s.require(is_candidate, quorum_voted)

        s.role[n] = LEADER
        s.heartbeat[n, s.term[n]] = True

    return MODEL.with_action(become_leader)


MUTANTS = {
    "granted_once": FAULTS["no-terms"].model,
    "granted_not_from_future": FAULTS["no-terms"].model,
    "granted_is_stored": FAULTS["vote-twice"].model,
    "votes_were_granted": FAULTS["old-reply"].model,
    "leader_was_announced": silent(),
    "elected_by_some_quorum": unrecorded(),
    "elected_by_quorum": FAULTS["no-quorum"].model,
    "election_safety": FAULTS["no-quorum"].model,
}


def test_each_property_has_a_mutant() -> None:
    assert MUTANTS.keys() == MODEL.properties.keys()


@pytest.mark.parametrize("name", MUTANTS)
def test_the_mutant_breaks_the_property_and_the_model_does_not(name: str) -> None:
    at = bounded(MODEL, nodes=3, terms=2)
    prop = MODEL.properties[name]
    for model, verdict in ((MUTANTS[name], VIOLATED), (MODEL, HOLDS)):
        found = explore(model, at, ghosts=ghosts_read(model, prop), properties=[prop])
        assert found.verdict == verdict


# Dropping one of these breaks no property: safety does not need it. The twin has it, and misses it.
UNNEEDED = [
    ("start_election", "not_leader"),
    ("grant_vote", "vote_was_requested"),
    ("grant_vote", "term_is_current"),
    ("receive_vote", "is_candidate"),
    ("become_leader", "is_candidate"),
    ("update_term", "term_was_sent"),
    ("step_down", "leader_was_heard"),
    ("step_down", "term_is_current"),
    ("step_down", "is_candidate"),
]


@pytest.mark.parametrize(("name", "guard"), UNNEEDED, ids=lambda part: str(part))
def test_the_twin_misses_a_guard_that_safety_does_not_need(name: str, guard: str) -> None:
    try:
        tlc.find_java(), tlc.find_jar()
    except MissingTool as missing:
        pytest.skip(str(missing))
    mutant = MODEL.without_guard(name, guard)
    assert compare(mutant, bounded(mutant, nodes=2, terms=2)).verdict is VIOLATED
