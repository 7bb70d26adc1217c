"""The native engine: equal to the plain interpreter state by state, whatever the threads and the memory."""

from __future__ import annotations

import os
import random
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from oneleader.errors import MissingTool, SpecError, UsageError
from oneleader.language.configuration import Configuration, bounded
from oneleader.language.model import Model
from oneleader.models import lock
from oneleader.models.election import MODEL
from oneleader.readers.engines import compiling, native
from oneleader.readers.engines.kernel import Tally, least
from oneleader.readers.engines.native import Native, Table
from oneleader.readers.engines.orbits import Orbits
from oneleader.readers.engines.packing import Packing, Rows
from oneleader.readers.run import ClaimFailed, Run, State

Build = Callable[[str], ModuleType]
GHOSTS = frozenset({"elected_by", "unsent"})
TWO = Configuration({"Client": ("c1", "c2")}, {"Token": 2})
ELECTION = {(n, t): bounded(MODEL, nodes=n, terms=t) for n, t in [(2, 1), (2, 2), (3, 1), (3, 2), (3, 3)]}


@pytest.fixture(autouse=True, scope="module")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep libraries out of the home of whoever tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONELEADER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


# -- state by state --------------------------------------------------------------------------------
def reachable(run: Run) -> list[State]:
    """Every reachable state, by the plain interpreter."""
    seen, left = {run.initial}, [run.initial]
    while left:
        for _, after in run.steps(left.pop()):
            if after is not None and after not in seen:
                seen.add(after)
                left.append(after)
    return sorted(seen)


def plain(engine: Native, rows: Rows) -> list[State]:
    """States as the plain interpreter takes them: truth is False and True, and not 0 and 1."""
    truths = [field.of is bool for field, _ in engine.run.cells.keys]
    return [
        tuple(bool(x) if truth else x for x, truth in zip(state, truths, strict=True))
        for state in engine.packing.unpack(rows)
    ]


def compare(run: Run, states: list[State], *, idle: bool = True) -> None:
    """The native engine takes the steps that the plain interpreter takes, in the same order."""
    engine = Native(run)
    found = engine.expand(engine.packing.pack(states), idle=idle)
    entries: list[tuple[int, int, State]] = []
    cut, stuck = np.zeros_like(found.cut), []
    numbers = {step.position: number for number, step in enumerate(engine.ground.steps)}
    for parent, state in enumerate(states):
        steps = list(run.steps(state))
        stuck.append(not steps)
        for position, after in steps:
            if after is None:
                cut[numbers[position]] += 1
            elif idle or after != state:
                entries.append((parent, numbers[position], after))
    parents, numbered, rows = found.parents.tolist(), found.steps.tolist(), engine.packing.unpack(found.rows)
    assert list(zip(parents, numbered, rows, strict=True)) == entries
    assert found.cut.tolist() == cut.tolist()
    assert found.stuck.tolist() == stuck
    assert not found.failed.any()


@pytest.mark.parametrize(("nodes", "terms", "count"), [(2, 2, 237), (3, 1, 288)])
@pytest.mark.parametrize("idle", [True, False])
def test_it_agrees_on_every_reachable_state(nodes: int, terms: int, count: int, idle: bool) -> None:
    run = Run(MODEL, ELECTION[nodes, terms])
    states = reachable(run)
    assert len(states) == count
    compare(run, states, idle=idle)


@pytest.mark.parametrize(("nodes", "terms"), [(2, 1), (3, 1)])
def test_it_agrees_with_ghosts(nodes: int, terms: int) -> None:
    run = Run(MODEL, ELECTION[nodes, terms], GHOSTS)
    compare(run, reachable(run))


@pytest.mark.parametrize("ghosts", [frozenset(), frozenset({"overtaken"})])
def test_it_agrees_on_the_lock(ghosts: frozenset[str]) -> None:
    run = Run(lock.MODEL, TWO, ghosts)
    compare(run, reachable(run))


def test_it_agrees_on_which_property_is_false_and_which_witness_true() -> None:
    """On states that no run reaches: there most properties are false somewhere."""
    run = Run(MODEL, ELECTION[3, 2], GHOSTS)
    dice = random.Random(2)
    domains = [run.configuration.domain(field.of) for field, _ in run.cells.keys]
    states: list[State] = [
        tuple(
            dice.choice(d) if dice.random() < 0.05 else i for d, i in zip(domains, run.initial, strict=True)
        )
        for _ in range(400)
    ]
    properties, witnesses = list(MODEL.properties.values()), list(MODEL.witnesses.values())
    engine = Native(run, properties, witnesses, threads=2)
    rows = engine.packing.pack(states)
    broken = engine.broken(rows).tolist()
    for state, position in zip(states, broken, strict=True):
        found = run.violated(state, MODEL.properties)
        assert position == (properties.index(found[0]) if found else -1)
    assert len(set(broken)) > 5
    reached = [[run.witnessed(state, witness) for witness in witnesses] for state in states]
    assert engine.reached(rows).tolist() == reached
    assert engine.canonical(rows) is rows


# -- the search ------------------------------------------------------------------------------------
@dataclass
class Found:
    """What a breadth-first search found: the states by depth, and the counts."""

    engine: Native
    states: Rows
    levels: list[int]
    table: Table
    tally: Tally
    calls: int


def search(engine: Native, *, table: int = 1 << 10, capacity: int | None = None) -> Found:
    """Breadth first, as the explorer does it; table and states grow, by no more than is needed."""
    states = np.zeros((capacity or 1, engine.packing.words), np.uint64)
    states[:1] = engine.packing.pack([engine.run.initial])
    index, tally = np.zeros(table, np.uint64), Tally.of(engine.ground)
    engine.index(states, 1, index)
    levels, lo, size, calls = [0, 1], 0, 1, 0
    while lo < levels[-1] and not tally.stuck and not tally.failed:
        if size + engine.room() > len(states):
            more = size + engine.room() - len(states)
            states = np.concatenate([states, np.zeros((more, engine.packing.words), np.uint64)])
        if size + engine.room() > native.FULLEST * len(index):
            index = np.zeros(2 * len(index), np.uint64)
            engine.index(states, size, index)
            continue
        before = lo
        lo, size = engine.advance(states, size, index, lo, levels[-1], tally)
        assert lo > before
        calls += 1
        if lo == levels[-1] < size:
            levels.append(size)
    return Found(engine, states[:size], levels, index, tally, calls)


COUNTS = [(2, 2, 237, 1_736, 350, 14), (3, 1, 288, 2_853, 744, 10), (3, 2, 14_387, 158_748, 33_528, 20)]


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize(("nodes", "terms", "states", "transitions", "cut", "depth"), COUNTS)
def test_pinned_counts(
    nodes: int, terms: int, states: int, transitions: int, cut: int, depth: int, threads: int
) -> None:
    engine = Native(Run(MODEL, ELECTION[nodes, terms]), threads=threads)
    found = search(engine)
    assert (len(found.states), found.tally.taken.sum(), found.tally.cut.sum()) == (states, transitions, cut)
    assert len(found.levels) - 2 == depth
    assert len(np.unique(found.states, axis=0)) == states


def test_threads_change_the_order_within_a_level_and_nothing_else() -> None:
    run = Run(MODEL, ELECTION[3, 2])
    one, two = (search(Native(run, threads=threads)) for threads in (1, 2))
    assert one.levels == two.levels
    for lo, hi in zip(one.levels, one.levels[1:], strict=False):
        assert np.array_equal(np.unique(one.states[lo:hi], axis=0), np.unique(two.states[lo:hi], axis=0))
    assert one.tally.taken.tolist() == two.tally.taken.tolist()
    assert one.tally.cut.tolist() == two.tally.cut.tolist()


def test_the_table_knows_every_state_once_and_at_its_place() -> None:
    """Threads leave holes between their rows. They are closed, and what moved is known at its new place."""
    found = search(Native(Run(MODEL, ELECTION[3, 3]), threads=4), table=1 << 20, capacity=1 << 20)
    engine, size = found.engine, len(found.states)
    assert size == len(np.unique(found.states.view("V16"))) == 562_714
    numbers = found.table[found.table != 0] & np.uint64(2**32 - 1)
    assert np.array_equal(np.sort(numbers), np.arange(1, size + 1, dtype=np.uint64))
    states = np.concatenate([found.states, np.zeros((engine.room(), engine.packing.words), np.uint64)])
    rebuilt = np.zeros_like(found.table)
    engine.index(states, size, rebuilt)
    for table in (found.table, rebuilt):  # everything is known
        assert engine.advance(states, size, table, 0, size, Tally.of(engine.ground)) == (size, size)


@pytest.mark.parametrize("threads", [1, 2])
def test_renamed_states_are_one(threads: int) -> None:
    run = Run(MODEL, ELECTION[3, 2])
    orbits = Orbits.of(run, Packing(run))
    found = search(Native(run, orbits=orbits, threads=threads))
    counts = len(found.states), found.tally.taken.sum(), found.tally.cut.sum(), len(found.levels) - 2
    assert counts == (2_467, 27_236, 5_731, 20)
    all_states = search(Native(run)).states
    canonical = found.engine.canonical(all_states)
    assert np.array_equal(canonical, orbits.canonical(all_states))
    assert np.array_equal(np.unique(canonical, axis=0), np.unique(found.states, axis=0))
    renamed, concrete = (Native(run, orbits=o).expand(all_states[:3000], idle=False) for o in (orbits, None))
    assert np.array_equal(renamed.rows, orbits.canonical(concrete.rows))
    assert np.array_equal(renamed.steps, concrete.steps)
    for depth in (1, 9, 20):
        lo, hi, target = found.levels[depth - 1 : depth + 2]
        parent = found.engine.predecessor(found.states, lo, hi, found.states[target - 1])
        after = found.engine.expand(found.states[parent : parent + 1]).rows
        assert (after == found.states[target - 1]).all(axis=1).any()


def test_memory_that_is_just_enough() -> None:
    run = Run(MODEL, ELECTION[3, 2])
    roomy, tight = search(Native(run), table=1 << 20, capacity=1 << 20), search(Native(run), table=2)
    assert tight.calls > roomy.calls == 21
    assert len(tight.states) == len(roomy.states) == 14_387
    assert tight.tally.taken.tolist() == roomy.tally.taken.tolist()


def test_too_little_memory_is_told_and_changes_nothing() -> None:
    engine = Native(Run(MODEL, ELECTION[2, 1]))
    states, table = engine.packing.pack([engine.run.initial] * 2), np.zeros(4, np.uint64)
    engine.index(states, 1, table)
    assert engine.advance(states, 1, table, 0, 1, Tally.of(engine.ground)) == (0, 1)


def test_more_states_than_can_be_numbered() -> None:
    engine = Native(Run(MODEL, ELECTION[2, 1]))
    states, table = engine.packing.pack([engine.run.initial]), np.zeros(4, np.uint64)
    with pytest.raises(UsageError, match=r"more than 4,294,967,295 states cannot be numbered"):
        engine.advance(states, 2**32 - 2, table, 0, 1, Tally.of(engine.ground))


@pytest.mark.parametrize("bits", [0, 1, 3])
def test_states_that_look_alike_are_told_apart(bits: int) -> None:
    engine = Native(Run(MODEL, ELECTION[3, 1]), flags=[f"-DFINGERPRINT_BITS={bits}"], threads=2)
    found = search(engine)
    assert len(np.unique(found.table[found.table != 0] >> np.uint64(32))) == 2**bits
    assert (len(found.states), found.tally.taken.sum()) == (288, 2_853)


def test_the_first_state_that_leads_to_another() -> None:
    found = search(Native(Run(MODEL, ELECTION[3, 2]), threads=2))
    engine, states = found.engine, found.states
    steps = engine.expand(states)
    targets = np.random.default_rng(3).choice(len(states), 40)
    for target in [0, *targets.tolist()]:
        leading = steps.parents[(steps.rows == states[target]).all(axis=1)]
        assert engine.predecessor(states, 0, len(states), states[target]) == min(leading, default=-1)
    levels = zip(found.levels, found.levels[1:], found.levels[2:], strict=False)
    for lo, hi, end in levels:
        parent = engine.predecessor(states, lo, hi, states[end - 1])
        (before,), (after,) = plain(engine, states[[parent]]), plain(engine, states[[end - 1]])
        assert after in (state for _, state in engine.run.steps(before))
        assert engine.predecessor(states, lo, parent, states[end - 1]) == -1


# -- what goes wrong -------------------------------------------------------------------------------
SMALL = """
class State(Fields):
    left = field(Node, of=bool)
    count = field(of=Term)
"""
END = "\nMODEL = model(__name__, State)\n"
BOUNDS = Configuration({"Node": ("n1", "n2", "n3")}, {"Term": 2})


def act(name: str, params: str, *body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body)
    return f'\n@action\ndef {name}(s: State{params}) -> None:\n    """Section 1."""\n{lines}'


LEAVE = act("leave", ", n: Node", "is_here = no(s.left[n])", "s.require(is_here)", "s.left[n] = True")
TICK = act("tick", "", "s.count = s.count + 1")
CLAIM = act(
    "claim",
    ", n: Node",
    "is_gone = s.left[n]",
    "s.require(is_gone)",
    "s.claim(s.count == 0)",
    "s.left[n] = True",
)


def small(build: Build, text: str) -> Native:
    model: Model = build(SMALL + text + END).MODEL
    return Native(Run(model, BOUNDS))


def test_a_state_without_a_step_is_told(build: Build) -> None:
    found = search(small(build, LEAVE))
    assert found.engine.packing.unpack(found.states[found.tally.stuck]) == [(1, 1, 1, 0)]
    assert found.engine.expand(found.states).stuck.tolist() == [False] * 7 + [True]


def test_a_model_that_never_moves_is_stuck_at_once(build: Build) -> None:
    assert search(small(build, "")).tally.stuck == [0]


def test_a_state_whose_steps_are_all_cut_is_not_stuck(build: Build) -> None:
    found = search(small(build, TICK))
    assert (found.tally.stuck, found.tally.cut.tolist(), found.tally.taken.tolist()) == ([], [1], [2])
    assert not found.engine.expand(found.states).stuck.any()


@pytest.mark.parametrize("threads", [1, 2])
def test_of_the_states_that_break_a_claim_the_least_is_told(build: Build, threads: int) -> None:
    run = Run(build(SMALL + LEAVE + TICK + CLAIM + END).MODEL, BOUNDS)
    found = search(Native(run, threads=threads))
    engine, (told,) = found.engine, found.tally.failed
    fails = engine.expand(found.states).failed
    for state, failing in zip(plain(engine, found.states), fails, strict=True):
        with pytest.raises(ClaimFailed) if failing else nullcontext():
            list(run.steps(state))
    level = np.flatnonzero(fails[: found.levels[3]])
    assert told == level[least(found.states[level])]


def test_two_writes_to_one_cell_are_an_error_of_the_model(build: Build) -> None:
    text = act("turn", ", n: Node, m: Node", "s.left[n] = True", "s.left[m] = False")
    engine = small(build, text)
    says = r"turn\(n=n1, m=n1\): one cell is written twice in one step"
    with pytest.raises(SpecError, match=says):
        search(engine)
    with pytest.raises(SpecError, match=says):
        engine.expand(engine.packing.pack([engine.run.initial]))


CORNERS = [
    "s.flag = s.f[n, s.at + s.at]\ns.at = t",
    "s.flag = no(s.f[n, t + 1])",
    "s.f[n, ite(s.flag, t + 1, s.at)] = True\ns.at = t\ns.flag = no(s.flag)",
    "s.f[n, s.at + s.at] = s.f[n, t]\ns.at = t",
    "s.newest = ite(s.flag, t + 1, s.at)\ns.flag = no(s.flag)",
    "s.at = Node.count(lambda a: s.f[a, t])\ns.f[n, t] = True",
    "s.f[n, Node.count(lambda a: s.f[a, t])] = True",
    "s.on[s.flag, s.role] = True\ns.flag = n == m\ns.role = BUSY",
    "s.f.where(lambda old, a, u: either(old, both(a == n, u == s.at)))\ns.at = s.at + 1",
    "s.flag = both(s.f[n, t], no(s.f[m, t]), s.role == IDLE)\ns.f[n, t] = no(s.f[n, t])\ns.role = BUSY",
    "s.flag = either(s.newest == t, s.newest == NIL, no(s.flag))\ns.newest = s.at\ns.at = t",
    "s.f[n, t] = no(s.role == BUSY)\ns.flag = both(s.at == t, s.at == s.newest)\ns.role = BUSY",
]


@pytest.mark.parametrize("body", CORNERS)
def test_it_agrees_in_the_corners_of_the_language(build: Build, body: str) -> None:
    fields = """
class State(Fields):
    f = field(Node, Term, of=bool)
    on = field(bool, Role, of=bool)
    at = field(of=Term)
    newest = field(of=Option[Term])
    flag = field(of=bool)
    role = field(of=Role)
"""
    model = build(fields + act("step", ", n: Node, m: Node, t: Term", *body.split("\n")) + END).MODEL
    run = Run(model, Configuration({"Node": ("n1", "n2")}, {"Term": 2}))
    compare(run, reachable(run))


def test_states_of_many_words(build: Build) -> None:
    """Of 101 bits and a number, with steps that write into each word."""
    run = Run(build(SMALL + LEAVE + TICK + act("stay", "", "s.count = s.count") + END).MODEL, MANY)
    engine = Native(run, threads=2)
    assert engine.packing.words == 2
    states: list[State] = [(*((i * 7 + n) % 3 == 0 for n in range(101)), i % 3) for i in range(60)]
    compare(run, states)


MANY = Configuration({"Node": tuple(f"n{i}" for i in range(101))}, {"Term": 2})


# -- compiling -------------------------------------------------------------------------------------
@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONELEADER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_was_compiled_is_found_again(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(MODEL, ELECTION[2, 1])
    first = Native(run)
    assert [first.library] == list(empty_cache.iterdir())  # and nothing half written is left
    monkeypatch.setattr(subprocess, "run", None)  # nobody compiles again
    assert Native(run).library == first.library
    assert len(search(first).states) > 1


def test_what_nothing_has_used_for_a_month_goes(empty_cache: Path) -> None:
    used, unused = empty_cache / "used", empty_cache / "unused"
    empty_cache.mkdir()
    for file in (used, unused):
        file.touch()
        os.utime(file, (0, 0))
    assert compiling.kept("used") == used
    assert unused.exists()  # nothing is added
    assert not compiling.kept("new").exists()
    assert [*empty_cache.iterdir()] == [used]


@pytest.mark.parametrize(
    ("cc", "says"),
    [("", "needs a C compiler, found none of cc, gcc, clang"), ("no-cc -O3", "CC names no compiler: no-cc")],
)
def test_without_a_compiler(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cc: str, says: str
) -> None:
    monkeypatch.setenv("CC", cc)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match=says):
        Native(Run(MODEL, ELECTION[2, 1]))


def test_a_compiler_that_refuses(empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = tmp_path / "cc"
    refusing.write_text("#!/bin/sh\necho 'cc: error: no space left' >&2\necho more >&2\nexit 1\n")
    refusing.chmod(refusing.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CC", str(refusing))
    with pytest.raises(UsageError, match=r"cannot compile this model: cc: error: no space left$"):
        Native(Run(MODEL, ELECTION[2, 1]))
    assert not list(empty_cache.iterdir())


def test_a_cache_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ONELEADER_CACHE", str(tmp_path / "file" / "cache"))
    engine = Native(Run(MODEL, ELECTION[2, 1]))
    assert tmp_path not in engine.library.parents
    assert len(search(engine).states) > 1


def test_a_library_that_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(MODEL, ELECTION[2, 1])
    damaged = tmp_path / "damaged.so"
    damaged.write_bytes(b"nothing")
    monkeypatch.setattr(native, "library", lambda *_: damaged)
    with pytest.raises(UsageError, match="the compiled model cannot be loaded"):
        Native(run)
