"""TLC and explore have the same graph, and a difference is told in words."""

from __future__ import annotations

import os

import pytest

from oneleader.cli.tlc import difference
from oneleader.errors import UsageError
from oneleader.language.configuration import bounded, configure
from oneleader.models import election, find, lock, pre_vote, replication
from oneleader.readers.run import Run
from oneleader.readers.tlc.bounds import Bounds, deep_bounds_of, full_bounds_of
from oneleader.readers.tlc.config import config_text, module_of
from oneleader.readers.tlc.states import StateReader
from oneleader.readers.tlc.twin import Ours, compare
from oneleader.readers.tlc.values import Function, Value
from oneleader.verdict import HOLDS, VIOLATED

pytestmark = pytest.mark.usefixtures("tools")
DEEP = os.environ.get("ONELEADER_PROFILE") == "deep"
TWINS = ("pre_vote", "replication", "membership", "snapshots")  # of which some bounds take long


def test_same_states_and_transitions() -> None:
    """`check --quick` compares each twin at its bounds, and test_checks.py asks it; this is beyond these."""
    found = compare(election.MODEL, bounded(election.MODEL, nodes=2, terms=3))
    assert (found.verdict, found.states, found.edges, found.difference) == (HOLDS, 1_735, 9_427, "")


@pytest.mark.parametrize("depth", [0, 1, 7])
def test_runs_of_so_many_steps_are_compared(depth: int) -> None:
    """All states that so many steps reach, and all steps before the last ones."""
    at = bounded(election.MODEL, nodes=2, terms=2)
    whole, found = Ours.of(election.MODEL, at), compare(election.MODEL, at, depth=depth)
    within = {n for n, d in enumerate(whole.graph.depth.tolist()) if d <= depth}
    before = {n for n, d in enumerate(whole.graph.depth.tolist()) if d < depth}
    assert (found.verdict, found.difference) == (HOLDS, "")
    assert (found.states, found.ours.edges) == (len(within), {e for e in whole.edges if e[0] in before})
    assert found.states < len(whole.states)
    assert f"runs of up to {depth} steps" in found.strength


def test_a_guard_is_not_seen_where_no_step_was_looked_for() -> None:
    """At the last states of cut runs a guard may be true, and nothing was compared there."""
    at = bounded(election.MODEL, nodes=2, terms=1)
    assert "become_leader.quorum_voted: true" in compare(election.MODEL, at, depth=0).coverage.missing


LARGER = [(name, at) for name in TWINS for at in full_bounds_of(find(name)) + deep_bounds_of(find(name))]


@pytest.mark.parametrize(
    ("name", "at"),
    [one for one in LARGER if DEEP or one[1].depth],
    ids=lambda said: said if isinstance(said, str) else said.quorums,
)
def test_equal_where_check_compares_too(name: str, at: Bounds) -> None:
    """What has no depth, with ONELEADER_PROFILE=deep alone; `oneleader check --deep` compares at all."""
    model = find(name)
    found = compare(model, at.of(model), depth=at.depth, workers=1)
    assert (found.verdict, found.difference) == (HOLDS, "")


def test_a_log_is_a_sequence_of_records() -> None:
    found = compare(
        replication.MODEL, configure(replication.MODEL, {"Node": 2, "Term": 1, "Index": 2, "Value": 2})
    )
    assert (found.verdict, found.states, found.edges, found.difference) == (HOLDS, 307, 1_805, "")


def test_a_difference_in_a_log_is_told() -> None:
    model = replication.MODEL.without_guard("append_entries", "entries_were_sent")
    found = compare(model, configure(model, {"Node": 2, "Term": 1, "Index": 1, "Value": 1}))
    assert found.verdict is VIOLATED
    assert "explore takes AppendEntries and TLC does not" in found.difference


@pytest.mark.parametrize(
    ("action", "guard", "said"),
    [
        ("step_down", "is_candidate", "explore takes StepDown and TLC does not"),
        ("update_term", "term_was_sent", "explore takes UpdateTerm and TLC does not"),
    ],
)
def test_a_transition_too_many_is_told(action: str, guard: str, said: str) -> None:
    model = election.MODEL.without_guard(action, guard)
    found = compare(model, bounded(model, nodes=2, terms=1))
    assert found.verdict is VIOLATED
    assert said in found.difference
    shown = "\n".join(difference(found))
    assert "from this state:" in shown
    assert "to this state:" in shown


def test_a_transition_too_few_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only TLC does is a difference as well: here Python's side forgets restarts."""
    from oneleader.readers.tlc import twin

    whole = twin.edges_of

    def without_restart(graph: object) -> object:
        states, edges = whole(graph)  # type: ignore[arg-type]
        return states, {e for e in edges if e[1] != "Restart"}

    monkeypatch.setattr(twin, "edges_of", without_restart)
    found = compare(election.MODEL, bounded(election.MODEL, nodes=2, terms=1))
    assert "TLC takes Restart and explore does not" in found.difference


def test_an_element_that_no_cell_shows_is_refused() -> None:
    """A beginning with one more element, and the graphs would be the same."""
    reader = StateReader(Run(pre_vote.MODEL, bounded(pre_vote.MODEL, nodes=1, terms=1)))
    sets = "requested granted heartbeat asking preRequested preGranted replied told"
    of_one: dict[str, Value] = {"term": 0, "votedFor": "Nil", "role": "follower"}
    of_one |= dict.fromkeys(("votes", "preVotes", "heard"), frozenset())
    at_first: dict[str, Value] = {name: Function({"n1": value}) for name, value in of_one.items()}
    at_first |= dict.fromkeys(sets.split(), frozenset())
    assert reader.state(Function(at_first)) == reader.run.initial
    for wrong in ({"asking": frozenset({0})}, {"heard": Function({"n1": frozenset({"n1", 0})})}):
        with pytest.raises(UsageError, match="holds what is no element"):
            reader.state(Function(at_first | wrong))
    with pytest.raises(UsageError, match=r"in which term is 0, and term\[Node\] cannot be read"):
        reader.state(Function(at_first | {"term": 0}))


def test_a_model_without_a_twin_is_refused() -> None:
    with pytest.raises(UsageError, match="no TLA"):
        module_of(lock.MODEL)


def test_config_has_the_sizes_asked_for() -> None:
    at = bounded(election.MODEL, nodes=3, terms=4, quorums="n1 n2, n1 n3")
    text = config_text(module_of(election.MODEL), election.MODEL, at)
    assert "  MaxTerm = 4" in text
    assert "  Quorum = {{n1, n2}, {n1, n3}}" in text
    assert "INVARIANT" not in text
