"""Histories say what happened: each is counted again, by hand, along random runs of the plain interpreter.

Properties and witnesses read histories, and a history that says more than happened makes a witness easy to
reach. No reader sees that where the witness stays as far away as it was, so here each step is looked at.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import permutations
from typing import Any

import pytest

from oneleader.language.configuration import bounded
from oneleader.language.model import Model
from oneleader.language.sorts import NIL
from oneleader.models import MODELS
from oneleader.models.election import LEADER
from oneleader.readers.run import Cut, Disabled, Instance, Run, State
from workshop.mutation import model_judge as mutation_judge
from workshop.mutation.table import known

RUNS, STEPS = 80, 25
Read = Callable[..., Any]
Happened = set[tuple[int, ...]]


def unsent(before: Read, action: str, args: Mapping[str, Any]) -> Happened:
    """A server restarted between its vote and its reply."""
    if action != "restart":
        return set()
    n = args["n"]
    t, candidate = before("term", n), before("voted_for", n)
    replied = candidate != NIL and before("granted", n, t, candidate)
    return set() if candidate == NIL or replied else {(n, t)}


def landed_under(before: Read, action: str, args: Mapping[str, Any]) -> Happened:
    """A write landed while somebody had the lock."""
    r = args["r"]
    holder = before("holder", r)
    return {(r, args["c"], holder)} if action == "accept_write" and holder != NIL else set()


def refused(before: Read, action: str, args: Mapping[str, Any]) -> Happened:
    """A write was refused when these had been granted the lock."""
    r = args["r"]
    granted = [y for y in range(CLIENTS) if before("token", r, y) > 0]
    return {(r, args["c"], y) for y in granted} if action == "refuse_write" else set()


CLIENTS = 3
RECOUNTS = {
    "election/unsent": unsent,
    "vote_count/unsent": unsent,
    "pre_vote/unsent": unsent,
    "replication/unsent": unsent,
    "lease/unsent": unsent,
    "fencing/landed_under": landed_under,
    "fencing/refused": refused,
}


def bounds(name: str) -> mutation_judge.Bounds:
    return next(b for b in mutation_judge.EXPLORED[name] if b.sizes.get("Client", CLIENTS) == CLIENTS)


def recounted(model: Model, history: str) -> None:
    """AssertionError where a run's history is not what happened in it."""
    recount = RECOUNTS[f"{model.name}/{history}"]
    run = Run(model, bounds(model.name).of(model), frozenset({history}))
    happened: Happened = set()
    for before, instance, after in walked(run):
        happened = set() if before == run.initial else happened
        args = dict(zip((name for name, _ in instance.action.params), instance.args, strict=True))
        happened |= recount(reader(run, before), instance.action.name, args)
        said = {key for key in keys(run, history) if reader(run, after)(history, *key)}
        assert said == happened, f"after {instance.action.name}{instance.args}"


def walked(run: Run) -> Iterator[tuple[State, Instance, State]]:
    """The steps of random runs, one run after the other."""
    chance = random.Random(1)
    for _ in range(RUNS):
        state = run.initial
        for _ in range(STEPS):
            for instance in chance.sample(run.instances, len(run.instances)):
                with suppress(Disabled, Cut):
                    after = run.step(state, instance.action, instance.args)
                    break
            yield state, instance, after
            state = after


def reader(run: Run, state: State) -> Read:
    at = {(f.name, *key): i for i, (f, key) in enumerate(run.cells.keys)}
    return lambda name, *key: state[at[(name, *key)]]


def keys(run: Run, history: str) -> list[tuple[int, ...]]:
    return [key for f, key in run.cells.keys if f.name == history]


@pytest.mark.parametrize("of", RECOUNTS)
def test_a_history_is_what_happened(of: str) -> None:
    name, history = of.split("/")
    recounted(MODELS[name], history)


# -- pre-vote, where the twin is compared with two servers ---------------------------------------------
def only_its_own_touch_is_lost(model: Model) -> None:
    """An election timeout passes at one server: what others heard still counts."""
    run = Run(model, bounded(model, nodes=3, terms=1))
    everybody_heard = changed(run, {("heard", m, v): True for m, v in permutations(range(3), 2)})
    after = reader(run, run.step(everybody_heard, model.actions["lose_touch"], (0,)))
    heard = [m for m, v in permutations(range(3), 2) if after("heard", m, v)]
    assert heard == [1, 1, 2, 2], "after lose_touch"


def whoever_gives_up_hears_nobody(model: Model) -> None:
    """Also where it has heard some: with these quorums it takes all three to lead on."""
    run = Run(model, bounded(model, nodes=3, terms=1, quorums="n1 n2 n3"))
    leads = changed(run, {("role", 0): LEADER, ("term", 0): 1, ("heard", 0, 1): True})
    after = reader(run, run.step(leads, model.actions["give_up"], (0,)))
    assert not after("heard", 0, 1), "after give_up"


def changed(run: Run, cells: Mapping[tuple[Any, ...], int]) -> State:
    """The initial state with these cells."""
    at = {(f.name, *key): i for i, (f, key) in enumerate(run.cells.keys)}
    state = list(run.initial)
    for cell, value in cells.items():
        state[at[cell]] = value
    return tuple(state)


RULES = {rule.__name__: rule for rule in (only_its_own_touch_is_lost, whoever_gives_up_hears_nobody)}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_of_pre_vote(rule: str) -> None:
    RULES[rule](MODELS["pre_vote"])


HERE = "tests/models/test_histories.py"
CAUGHT_HERE = [id for id, entry in known().items() if entry.test.startswith(HERE)]


@pytest.mark.parametrize("id", CAUGHT_HERE)
def test_a_mutant_that_no_reader_sees_is_caught_here(id: str) -> None:
    mutant, named = mutation_judge.find(id), known()[id].test.rpartition("[")[2].rstrip("]")
    check = RULES.get(named) or partial(recounted, history=named.partition("/")[2])
    with pytest.raises(AssertionError, match="after"):
        check(mutant.model)
