"""Random walks, and steps of one model as steps of another."""

from __future__ import annotations

import pytest

from oneleader.errors import UsageError
from oneleader.language.configuration import cluster
from oneleader.models import election, vote_count
from oneleader.readers.refine import refine
from oneleader.readers.walk import walk


def test_the_same_seed_is_the_same_walk() -> None:
    at = cluster(election.MODEL, nodes=3, terms=4)
    one, two, other = (walk(election.MODEL, at, seed=s, runs=5) for s in (7, 7, 8))
    assert (one.steps, one.fired) == (two.steps, two.fired)
    assert one.fired != other.fired


def test_a_walk_takes_every_action_and_reaches_every_witness() -> None:
    result = walk(election.MODEL, cluster(election.MODEL, nodes=5, terms=6), seed=1, runs=200)
    assert result.verdict == "holds"
    assert result.never_fired == []
    assert all(result.witnesses.values()), result.witnesses
    assert result.fired.total() == result.steps


def test_an_action_that_cannot_fire_is_named() -> None:
    """In a cluster of one there is nobody to step down for."""
    result = walk(election.MODEL, cluster(election.MODEL, nodes=1, terms=3), seed=1, runs=20)
    assert "step_down" in result.never_fired


def test_a_walk_finds_a_fault_and_its_run_is_one_of_the_plain_interpreter() -> None:
    model = election.MODEL.without_guard("grant_vote", "vote_is_free")
    result = walk(model, cluster(model, nodes=3, terms=2), seed=3, runs=50)
    assert result.verdict == "violated"
    assert result.violation is not None
    state = result.run.initial
    for position, after in result.violation.steps:
        instance = result.run.instances[position]
        state = result.run.step(state, instance.action, instance.args)
        assert state == after
    assert result.run.violated(state, model.properties) is not None


def test_counting_refines_collecting() -> None:
    result = refine(vote_count.MODEL, cluster(vote_count.MODEL, nodes=3, terms=2))
    assert (result.verdict, result.states, result.stuttering) == ("holds", 14_387, 0)
    assert result.abstract > result.states


def test_a_duplicate_counted_twice_is_no_step_of_the_election() -> None:
    model = vote_count.MODEL.without_guard("receive_vote", "vote_is_new")
    result = refine(model, cluster(model, nodes=3, terms=1))
    assert result.violation is not None
    last = result.run.instances[result.violation.steps[-1][0]]
    assert (last.action.name, len(result.violation.steps)) == ("become_leader", 3)


def test_a_model_that_refines_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="refines no other"):
        refine(election.MODEL, cluster(election.MODEL, nodes=2, terms=1))
