"""The JavaScript engine: its state graphs are those of `explore`, for every model that ships."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from oneleader import models
from oneleader.language.configuration import configure
from oneleader.readers.engines.javascript import JavaScript
from oneleader.readers.engines.scalar import Scalar
from oneleader.readers.explore.graph import Graph
from oneleader.readers.run import Cut, Run, State

GraphOf = Callable[..., Any]
Bounds = tuple[Mapping[str, int], str, Mapping[str, tuple[str, ...]]]

SMALL = {"Node": 2, "Term": 1, "Client": 2, "Token": 2, "Resource": 1, "Index": 1, "Value": 1, "Election": 2}
EXACT = {"lease": 1, "promise": 1, "slow": 1, "fast": 1}
MORE = {"Term": 2, "Token": 3}
LONGER = {"promise": 2, "fast": 2}  # a lease has more than two moments, and clocks drift
N2_DECIDES = "n2, n1 n2"
UNEQUAL = ("pre_vote", "lease", "flawed/lease_forgotten_promise", "flawed/lease_taken_again")
LEASES = (
    *("lease", "flawed/is_leader", "flawed/lease_without_fencing", "flawed/lease_taken_again"),
    *("flawed/lease_from_receipt", "flawed/lease_forgotten_promise"),
)
SIZES: dict[str, dict[str, int]] = {
    "flawed/alert_term_changes": {"Value": 33},
    "flawed/bully": {"Node": 1},
    "flawed/fencing_tokens_as_strings": {"Token": 9},
    "flawed/redis_lock": {"Token": 9},
}
SECOND: dict[str, dict[str, int]] = {
    "flawed/alert_term_changes": {"Value": 34},
    "flawed/bully": {"Node": 1},
    "flawed/fencing_tokens_as_strings": {"Token": 10},
    "flawed/incident": {"Node": 3},
    "flawed/redis_lock": {"Token": 10},
    "pre_vote": {"Term": 1},
    **{name: {"Term": 1, **LONGER} for name in LEASES},
}


def bounds(name: str, *, second: bool) -> Run:
    """A model at the first or the second of its bounds."""
    sizes = {**SMALL, **EXACT, **SIZES.get(name, {})}
    if second:
        sizes |= MORE | SECOND.get(name, {})
    quorums = N2_DECIDES if second and name in UNEQUAL else "majority"
    where = {"assumed": ("prompt",)} if second and name == "flawed/bully" else {}
    return Run(models.find(name), configure(models.find(name), sizes, quorums, where))


def same(run: Run, found: Any) -> bool:
    """Whether these are the states and steps that `explore` finds."""
    expected = Graph.of(run)
    states = [tuple(state) for state in expected.states.tolist()]
    numbers = {state: number for number, state in enumerate(states)}
    ours = [tuple(state) for state in found["states"]]
    if set(ours) != set(states) or len(ours) != len(states):
        return False
    steps = [(numbers[ours[i]], position, numbers[ours[j]]) for i, position, j in found["steps"]]
    return sorted(steps) == sorted(map(tuple, expected.steps.tolist()))


@pytest.mark.parametrize("second", [False, True], ids=["small", "larger"])
@pytest.mark.parametrize("name", [*models.MODELS, *models.FLAWED])
def test_its_graph_is_that_of_explore(graph_of: GraphOf, name: str, second: bool) -> None:
    run = bounds(name, second=second)
    found = graph_of(run)
    assert same(run, found)
    states, engine = plain(found, run), Scalar(run)
    holds = [engine.broken([prop]) for prop in run.model.properties.values()]
    reached = [engine.reached(witness) for witness in run.model.witnesses.values()]
    for state, told in list(zip(states, found["told"], strict=True))[:200]:
        assert told == [*(broken(state) is None for broken in holds), *(is_so(state) for is_so in reached)]
    for i, position, why in found["odd"][:50]:
        assert (why, outcome(run, states[i], position)) == ("cut", "cut")


@pytest.mark.parametrize(
    ("printed", "instead"),
    [
        ("grant_vote", None),  # as it is: the check finds nothing
        ("(a2 === r_term(s, a0))", "true"),  # a guard
        (" < 2)", " < 1)"),  # a bound
        ("step.put(2 + a0", "0 && step.put(2 + a0"),  # an effect
    ],
)
def test_a_fault_of_the_printer_is_noticed(
    graph_of: GraphOf, monkeypatch: pytest.MonkeyPatch, printed: str, instead: str | None
) -> None:
    run, text = bounds("election", second=False), JavaScript.text
    if instead is not None:
        assert printed in JavaScript(run).text()
        monkeypatch.setattr(JavaScript, "text", lambda self: text(self).replace(printed, instead))
    assert same(run, graph_of(run)) is (instead is None)


def outcome(run: Run, state: State, position: int) -> str:
    """What the plain interpreter says of a step that leads nowhere."""
    instance = run.instances[position]
    try:
        run.step(state, instance.action, instance.args)
    except Cut:
        return "cut"
    return "a step"


def plain(found: Any, run: Run) -> list[State]:
    truth = [f.of is bool for f, _ in run.cells.keys]
    return [tuple(bool(x) if t else x for x, t in zip(s, truth, strict=True)) for s in found["states"]]
