"""Histories say what happened: each is counted again, by hand, along random runs of the plain interpreter.

Properties and witnesses read histories, and a history that says more than happened makes a witness easy to
reach. No reader sees that where the witness stays as far away as it was, so here each step is looked at.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from oneleader.faults import mutation_judge
from oneleader.faults.mutation_table import known
from oneleader.language.model import Model
from oneleader.language.sorts import NIL
from oneleader.models import MODELS
from oneleader.readers.run import Run, State

RUNS, STEPS = 40, 25
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
    "lease/unsent": unsent,
    "fencing/landed_under": landed_under,
    "fencing/refused": refused,
}


def bounds(name: str) -> mutation_judge.Bounds:
    return next(b for b in mutation_judge.EXPLORED[name] if b.sizes.get("Client", CLIENTS) == CLIENTS)


def recounted(model: Model, history: str) -> None:
    """AssertionError where a run's history is not what happened in it."""
    recount, chance = RECOUNTS[f"{model.name}/{history}"], random.Random(1)
    run = Run(model, bounds(model.name).of(model), frozenset({history}))
    for _ in range(RUNS):
        state, happened = run.initial, set[tuple[int, ...]]()
        for _ in range(STEPS):
            possible = [(p, after) for p, after in run.steps(state) if after is not None]
            if not possible:
                break
            position, after = chance.choice(possible)
            instance = run.instances[position]
            args = dict(zip((name for name, _ in instance.action.params), instance.args, strict=True))
            happened |= recount(reader(run, state), instance.action.name, args)
            state = after
            said = {key for key in keys(run, history) if reader(run, state)(history, *key)}
            assert said == happened, f"after {instance.action.name}{instance.args}"


def reader(run: Run, state: State) -> Read:
    at = {(f.name, *key): i for i, (f, key) in enumerate(run.cells.keys)}
    return lambda name, *key: state[at[(name, *key)]]


def keys(run: Run, history: str) -> list[tuple[int, ...]]:
    return [key for f, key in run.cells.keys if f.name == history]


@pytest.mark.parametrize("of", RECOUNTS)
def test_a_history_is_what_happened(of: str) -> None:
    name, history = of.split("/")
    recounted(MODELS[name], history)


HERE = "tests/models/test_histories.py"
CAUGHT_HERE = [id for id, entry in known().items() if entry.test.startswith(HERE)]


@pytest.mark.parametrize("id", CAUGHT_HERE)
def test_a_mutant_that_no_reader_sees_is_caught_here(id: str) -> None:
    mutant = mutation_judge.find(id)
    history = known()[id].test.rpartition("[")[2].rstrip("]").partition("/")[2]
    with pytest.raises(AssertionError, match="after"):
        recounted(mutant.model, history)
