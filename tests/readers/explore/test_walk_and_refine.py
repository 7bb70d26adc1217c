"""Random walks, and steps of one model as steps of another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import find, settings
from hypothesis.errors import NoSuchExample

from oneleader.errors import UsageError
from oneleader.language import action, no
from oneleader.language.configuration import bounded
from oneleader.language.definitions import Action, define
from oneleader.language.model import Model
from oneleader.models import election, vote_count
from oneleader.models.election import LEADER, Node, State, Term
from oneleader.readers.explore import walk as walks
from oneleader.readers.explore.refine import refine
from oneleader.readers.explore.walk import runs, walk
from oneleader.readers.run import Instance, Run
from oneleader.readers.run import State as Plain
from oneleader.verdict import HOLDS, VIOLATED


def test_the_same_seed_is_the_same_walk() -> None:
    at = bounded(election.MODEL, nodes=3, terms=4)
    one, two, other = (walk(election.MODEL, at, seed=s, runs=5) for s in (7, 7, 8))
    assert (one.steps, one.fired) == (two.steps, two.fired)
    assert one.fired != other.fired


def test_a_walk_takes_every_action_and_reaches_every_witness() -> None:
    result = walk(
        election.MODEL, bounded(election.MODEL, nodes=5, terms=6), seed=1, runs=2_000, engine="native"
    )
    assert result.verdict is HOLDS
    assert result.never_fired == []
    assert all(result.witnesses.values()), result.witnesses
    assert result.fired.total() == result.steps


def test_an_action_that_cannot_fire_is_named() -> None:
    """In a cluster of one there is nobody to step down for."""
    result = walk(election.MODEL, bounded(election.MODEL, nodes=1, terms=3), seed=1, runs=20)
    assert "step_down" in result.never_fired


def test_a_walk_finds_a_fault_and_its_run_is_one_of_the_plain_interpreter() -> None:
    model = election.MODEL.without_guard("grant_vote", "vote_is_free")
    result = walk(model, bounded(model, nodes=3, terms=2), seed=3, runs=50)
    assert result.verdict is VIOLATED
    assert result.violation is not None
    state = result.run.initial
    for position, after in result.violation.steps:
        instance = result.run.instances[position]
        state = result.run.step(state, instance.action, instance.args)
        assert state == after
    assert result.run.violated(state, model.properties) is not None


def test_counting_refines_collecting() -> None:
    result = refine(vote_count.MODEL, bounded(vote_count.MODEL, nodes=3, terms=2))
    assert (result.verdict, result.states, result.stuttering) == (HOLDS, 14_387, 0)
    assert result.abstract > result.states


def test_a_duplicate_counted_twice_is_no_step_of_the_election() -> None:
    model = vote_count.MODEL.without_guard("receive_vote", "vote_is_new")
    result = refine(model, bounded(model, nodes=3, terms=1))
    assert result.violation is not None
    last = result.run.instances[result.violation.steps[-1][0]]
    assert (last.action.name, len(result.violation.steps)) == ("become_leader", 3)


def test_a_model_that_refines_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="refines no other"):
        refine(election.MODEL, bounded(election.MODEL, nodes=2, terms=1))


# -- the two walkers -----------------------------------------------------------------------------
FAULTY = {
    "nothing": election.MODEL,
    "elected_by_quorum": election.MODEL.without_guard("become_leader", "quorum_voted"),
    "granted_is_stored": election.MODEL.without_guard("grant_vote", "vote_is_free"),
}


@pytest.mark.parametrize("broken", FAULTY)
def test_both_engines_walk_the_same_runs(broken: str) -> None:
    model = FAULTY[broken]
    at = bounded(model, nodes=4, terms=3)
    printed, compiled = (walk(model, at, seed=11, runs=60, engine=engine) for engine in walks.ENGINES)
    assert (printed.runs, printed.steps, printed.fired) == (compiled.runs, compiled.steps, compiled.fired)
    assert (printed.verdict, printed.witnesses) == (compiled.verdict, compiled.witnesses)
    assert printed.violation == compiled.violation
    assert (printed.violation.what if printed.violation else "nothing") == broken


def claiming() -> Model:
    """An election in which a voter claims to be the candidate."""

    @action
    def grant_vote(
        s: election.State, voter: election.Node, candidate: election.Node, t: election.Term
    ) -> None:
        vote_was_requested = s.requested[candidate, t]
        s.require(vote_was_requested)
        s.claim(voter == candidate)

        s.voted_for[voter] = candidate

    return election.MODEL.with_action(grant_vote)


def halting() -> Model:
    """An election that nobody starts twice, after which nothing can happen."""

    @action
    def start_election(s: State, n: Node) -> None:
        nobody_has_asked = no(Node.any(lambda c: Term.any(lambda t: s.requested[c, t])))
        s.require(nobody_has_asked)

        s.requested[n, 0] = True

    defined = define(start_election)
    assert isinstance(defined, Action)
    return replace(election.MODEL, actions={"start_election": defined})


@pytest.mark.parametrize("engine", walks.ENGINES)
@pytest.mark.parametrize(("make", "what"), [(claiming, "claim"), (halting, "deadlock")])
def test_a_walk_ends_at_a_false_claim_and_where_nothing_is_possible(
    make: Callable[[], Model], what: str, engine: str
) -> None:
    model = make()
    result = walk(model, bounded(model, nodes=2, terms=2), seed=1, runs=20, engine=engine)
    assert result.violation
    assert (result.verdict, result.violation.what) == (VIOLATED, what)
    assert len(result.violation.steps) >= 1


# -- Hypothesis ----------------------------------------------------------------------------------
@pytest.mark.parametrize("engine", walks.ENGINES)
def test_hypothesis_draws_runs_of_the_model_and_shrinks_them(engine: str) -> None:
    at = bounded(election.MODEL, nodes=3, terms=2)
    checked = Run(election.MODEL, at, frozenset({"elected_by", "unsent"}))
    leading = checked.cells.start["role"]

    def taken(run: list[tuple[Instance, Plain]]) -> bool:
        """Whether somebody leads; each step must be one of the plain interpreter's."""
        state, leads = checked.initial, False
        for instance, after in run:
            state = checked.step(state, instance.action, instance.args)
            assert state == after
            leads |= LEADER in state[leading : leading + 3]
        return leads

    with pytest.raises(NoSuchExample):
        find(runs(election.MODEL, at, length=4, engine=engine), taken)
    profile = settings(max_examples=5_000, derandomize=True, database=None)
    found = find(runs(election.MODEL, at, length=60, engine=engine), taken, settings=profile)
    assert 5 <= len(found) <= 10  # start, grant, reply, receive, lead is the shortest there is
