"""The compiled actions beside the plain ones: random steps of all models, the same refusals and cells."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import combinations, product
from typing import Any

import pytest

from oneleader.errors import Inexpressible, SpecError
from oneleader.language import action
from oneleader.language.model import Model
from oneleader.language.sorts import NIL, EachSort, OptionSort, is_enum, is_number, is_set, is_time
from oneleader.language.trace import reads, trace_property
from oneleader.models import FLAWED, MODELS, find, replication
from oneleader.models.election import Node
from oneleader.models.replication import Index, State, Value
from oneleader.readers.replay.candidates import PASSED_OVER, Candidate, LineRefused, OpenRun
from oneleader.readers.replay.compiled import CompiledRun
from oneleader.readers.replay.formats.agreed import Agreed, touched_again, written_by
from oneleader.readers.replay.rows import MOST_LATEST, SIZE, NumberRow, SetRow
from oneleader.readers.replay.triggers import triggers_of

NODES = ["n1", "n2", "n3"]
QUORUMS = [frozenset(q) for k in (2, 3) for q in combinations(NODES, k)]
LENGTHS = {"lease": 10, "promise": 15, "slow": 2, "fast": 3}
NUMBERS = 12  # compared cells are below
WALKS, STEPS, TRIES = 4, 40, 4


class Members:
    def __contains__(self, index: Any) -> bool:
        return index[0] in index[1]


def elements(sort: Any) -> list[Any]:
    if sort.__name__ in ("Node", "Quorum"):
        return NODES if sort.__name__ == "Node" else QUORUMS
    return [f"{sort.__name__.lower()}{i}" for i in range(3)]


def domain(sort: Any, numbers: int) -> Iterable[Any]:
    return range(numbers) if is_number(sort) else list(sort) if is_enum(sort) else elements(sort)


def drawn(sort: Any, at: random.Random) -> Any:
    if isinstance(sort, OptionSort):
        return at.choice([NIL, drawn(sort.of, at)])
    if isinstance(sort, EachSort):
        return {n: at.randrange(40) for n in NODES}
    if sort is bool or is_enum(sort):
        return at.choice([False, True] if sort is bool else list(sort))
    if is_number(sort) or is_time(sort):
        return at.choice([0, 1, 1, 2, 2, 3, at.randrange(6)]) if is_number(sort) else at.randrange(40)
    return at.choice(elements(sort))


def runs_of(model: Model, at: random.Random) -> tuple[OpenRun, CompiledRun]:
    constants: dict[str, Any] = {}
    for f in model.fields.values():
        if f.kind == "constant":
            indices = product(*(domain(s, 4) for s in f.index))
            constants[f.name] = (
                Members() if f.name == "member" else frozenset(i for i in indices if at.random() < 0.5)
            )
    parameters = {name: LENGTHS.get(name, 5) for name in model.parameters}
    found = OpenRun(model, constants, parameters), CompiledRun(model, constants, parameters)
    for run in found:
        for sort in model.sorts.values():
            for element in elements(sort) if is_set(sort) else ():
                run.see(sort, element)
    return found


def tried(state: Candidate, name: str, args: tuple[Any, ...]) -> str:
    """What keeps the step from being taken, or nothing."""
    try:
        state.act(name, *args)
    except (LineRefused, Inexpressible, SpecError) as why:
        return str(why)
    return ""


def cells(model: Model) -> Iterable[tuple[str, Any]]:
    for f in model.fields.values():
        if f.kind == "field":
            domains = (domain(s, NUMBERS) for s in f.index)
            yield from ((f.name, key[0] if len(key) == 1 else key) for key in product(*domains))


def contents(state: Candidate, model: Model) -> dict[Any, Any]:
    return {cell: state.get(*cell) for cell in cells(model)}


def without_guards(model: Model) -> Model:
    """Every guard dropped, so that walks reach states in which properties are false."""
    for name, of in model.actions.items():
        for guard in of.guards:
            model = model.without_guard(name, guard.name)
    return model


@pytest.mark.parametrize("name", [*MODELS, *FLAWED])
def test_random_steps_do_the_same(name: str) -> None:
    taken: set[str] = set()
    for seed in range(WALKS):
        at = random.Random(seed)
        model = without_guards(find(name)) if seed % 2 else find(name)
        plain, compiled = (run.candidate({}) for run in runs_of(model, at))
        before = contents(compiled, model)
        for _ in range(STEPS):
            action = model.actions[at.choice(list(model.actions))]
            for _ in range(TRIES):
                args = tuple(drawn(sort, at) for _, sort in action.params)
                kept = compiled.copy()
                said = tried(plain, action.name, args), tried(compiled, action.name, args)
                assert said[0] == said[1], (seed, action.name, args)
                if not said[0]:
                    break
                compiled = kept
            else:
                continue
            taken.add(action.name)
            assert contents(kept, model) == before, f"seed {seed}: {action.name}{args} writes to a copy"
            before = contents(compiled, model)
            assert contents(plain, model) == before, (seed, action.name, args)
    assert len(taken) > len(model.actions) / 3, "the walks take too few actions to show anything"


@pytest.mark.parametrize("name", MODELS)
def test_properties_are_judged_the_same(name: str) -> None:
    model, seen = without_guards(find(name)), {True: 0, False: 0}
    for seed in range(WALKS):
        at = random.Random(seed)
        runs = runs_of(model, at)
        plain, compiled = (run.candidate({}) for run in runs)
        judges = [
            (field, trigger, runs[0].judging(trigger), runs[1].judging(trigger))
            for prop in model.properties.values()
            if not {f.name for f in model.fields.values() if f.kind == "ghost"}
            & reads(trace_property(model, prop).body)
            for field, trigger in triggers_of(model, prop)
        ]
        for _ in range(STEPS // 4):
            action = model.actions[at.choice(list(model.actions))]
            args = tuple(drawn(sort, at) for _, sort in action.params)
            said = tried(plain, action.name, args), tried(compiled, action.name, args)
            assert said[0] == said[1]
            runs[0].now, runs[1].now = plain, compiled
            for field, trigger, one, other in judges:
                key = tuple(drawn(sort, at) for sort in model.fields[field].index)
                new = plain.get(field, key if len(key) != 1 else key[0])
                change = key, drawn(model.fields[field].of, at), new
                found = one(*change), other(*change)
                if PASSED_OVER not in found:
                    assert (found[0] is None) == (found[1] is None), (seed, trigger, change, found)
                    seen[found[0] is None] += 1
                if found[1] and found[1] is not PASSED_OVER:
                    assert not runs[0].holds(trigger.property, plain, found[1]), (
                        seed,
                        trigger,
                        change,
                        found,
                    )
    assert seen[True], "nothing was judged"
    assert seen[False] or name in ("lock", "system", "environment"), "no property was found to be false"


SLOW = {  # what visits every number that has appeared: the node names of bully are numbers; a flawed script
    "flawed/bully": {"stand": ["the guard greater_are_silent visits every Node"]},
    "flawed/redis_lock": {"refuse": ["the effect on passed_over visits every Token"]},
}


@pytest.mark.parametrize("name", [*MODELS, *FLAWED])
def test_no_step_costs_what_a_log_has_of_entries(name: str) -> None:
    model = find(name)
    run = CompiledRun(model, {}, dict.fromkeys(model.parameters, 3), history=True)
    assert run.slow == SLOW.get(name, {})


def test_a_step_that_visits_every_number_is_reported() -> None:
    """The latest entry of a term, found by looking at all: no conjunct names a range."""
    model = replication.MODEL.with_action(client_request)
    run = CompiledRun(model, {})
    assert run.slow == {"client_request": ["the guard nothing_is_stored visits every Index"]}


@action
def client_request(s: State, n: Node, value: Value) -> None:
    """A guard over all of the log."""
    nothing_is_stored = Index.all(lambda i: s.log_term[n, i] == 0)
    s.require(nothing_is_stored)


def test_an_append_costs_the_same_with_a_long_log() -> None:
    """The reads of cells are counted, not the time."""

    def reads_of_an_append(entries: int) -> int:
        run = CompiledRun(replication.MODEL, {"member": Members()})
        state = run.candidate({})
        for step in (("start_election", "n1"), ("become_leader", "n1", frozenset({"n1"}))):
            state.act(*step)
        for _ in range(entries):
            state.act("client_request", "n1", "v")
        counted = Counted(state.row("leader_log_term", 1))
        state.set("leader_log_term", 1, counted)
        state.act("update_term", "n2", 1)
        state.act("append_entries", "n2", 1, 0, 3, 0)
        return counted.reads

    assert reads_of_an_append(10) == reads_of_an_append(2_000)


def test_a_row_of_anything_is_copied_at_a_cost_that_its_length_has_no_part_in() -> None:
    at, row, plain = random.Random(1), SetRow(0), {}
    for i in range(2_000):
        row.add(1)
        plain = {key: value + 1 for key, value in plain.items()}
        kept, before = row, dict(plain)
        row = row.copy()
        assert len(row.latest) <= MOST_LATEST
        key = at.randrange(i + 1)
        row.put(key, i)
        plain[key] = i
        assert all(row.get(k) == v for k, v in at.sample(sorted(plain.items()), min(9, len(plain))))
        assert all(kept.get(k) == v for k, v in at.sample(sorted(before.items()), min(9, len(before))))
    assert row.keys() == plain.keys()
    assert row.get("none") == 2_000


class Counted:
    """A row, and how many of its cells have been read."""

    def __init__(self, row: Any) -> None:
        self.row, self.reads = row, 0

    def get(self, i: int) -> Any:
        self.reads += 1
        return self.row.get(i)

    def slice(self, low: int, high: int) -> Any:
        self.reads += high - low + 1
        return self.row.slice(low, high)


RANGES = [(3, 3), (3, 9), (SIZE - 2, SIZE + 2), (3 * SIZE, 3 * SIZE), (5, 4)]


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_a_range_that_a_row_takes_from_another(low: int, high: int) -> None:
    """One number, several, over the border of a chunk, where the other has nothing, and none at all."""
    one, other = NumberRow(0), NumberRow(0)
    one.assign(0, [7] * (4 * SIZE))
    other.assign(0, [*range(1, SIZE + 10)])
    shared = one.copy()
    one.take(other, low, high)
    numbers = range(4 * SIZE)
    assert [one.get(i) for i in numbers] == [other.get(i) if low <= i <= high else 7 for i in numbers]
    assert all(shared.get(i) == 7 for i in numbers), "a copy keeps what it had"


@pytest.mark.parametrize("name", [*MODELS, *FLAWED])
def test_what_a_step_changes_is_where_its_action_is_known_to_write(name: str) -> None:
    """What nodes showed of other cells is not compared again (`agreed`)."""
    model = without_guards(find(name))
    known = {action.name: written_by(model, action) for action in model.actions.values()}
    for seed in range(WALKS):
        at = random.Random(seed)
        _, run = runs_of(model, at)
        state = run.candidate({})
        before = contents(state, model)
        for _ in range(STEPS):
            action = at.choice([*model.actions.values()])
            args = tuple(drawn(sort, at) for _, sort in action.params)
            if tried(state, action.name, args):
                continue
            after = contents(state, model)
            for (field, key), value in after.items():
                if value != before[field, key]:
                    index = key if isinstance(key, tuple) else (key,)
                    places = [tuple(args[i] for i in of) for name, of in known[action.name] if name == field]
                    assert any(index[: len(place)] == place for place in places)
            before = after


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("name", [*MODELS, *FLAWED])
def test_a_step_that_would_change_nothing_does_not(name: str, guarded: bool) -> None:
    """It is not taken again (`agreed`): so it has to be allowed, and leave everything as it was."""
    model, again = find(name) if guarded else without_guards(find(name)), 0
    for seed in range(WALKS):
        at = random.Random(seed)
        _, run = runs_of(model, at)
        state, agreed = run.candidate({}), Agreed(model)
        taken: list[Any] = []
        for _ in range(3 * STEPS):
            action = at.choice([*model.actions.values()])
            call = action, tuple(drawn(sort, at) for _, sort in action.params)
            call = at.choice(taken) if taken and at.random() < 0.7 else call
            would_change = agreed.would_change(*call)
            before = {} if would_change else contents(state, model)
            refused = tried(state, call[0].name, call[1])
            if not would_change:
                again += 1
                assert not refused
                assert contents(state, model) == before
            elif not refused:
                agreed.take([call], in_place=True)
                taken = [*taken[-5:], call]
    assert guarded or again or not any(touched_again(model, action) for action in model.actions.values())
