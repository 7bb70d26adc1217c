"""The plain interpreter and the explorer: pinned counts, equal engines, and an honest verdict."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from oneleader.errors import SpecError, UsageError
from oneleader.language.configuration import Configuration, bounded, configure
from oneleader.language.model import Model
from oneleader.models import lock
from oneleader.models.election import MODEL
from oneleader.readers.engines.native import Native
from oneleader.readers.engines.packing import Packing
from oneleader.readers.engines.scalar import Scalar
from oneleader.readers.engines.vector import Vector
from oneleader.readers.explore import search
from oneleader.readers.explore import states as searches
from oneleader.readers.explore.explore import ENGINES, explore, explore_all, plan
from oneleader.readers.explore.explored import SearchProgress
from oneleader.readers.explore.search import Limits
from oneleader.readers.run import ClaimFailed, Run, State
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED

Build = Callable[[str], ModuleType]
GHOSTS = frozenset({"elected_by", "unsent"})
ASPECTS = "states", "transitions", "cut", "depth", "fired", "witnesses", "verdict", "properties", "symmetry"
TWO = Configuration({"Client": ("c1", "c2")}, {"Token": 2})


# -- what is reachable ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("nodes", "terms", "symmetry", "states", "transitions", "cut", "depth"),
    [
        (2, 2, False, 237, 1_736, 350, 14),
        (3, 1, False, 288, 2_853, 744, 10),
        (3, 2, False, 14_387, 158_748, 33_528, 20),
        (3, 2, True, 2_467, 27_236, 5_731, 20),
    ],
)
def test_pinned_counts(
    nodes: int, terms: int, symmetry: bool, states: int, transitions: int, cut: int, depth: int
) -> None:
    found = explore(MODEL, bounded(MODEL, nodes=nodes, terms=terms), symmetry=symmetry)
    assert (found.states, found.transitions, found.cut, found.depth) == (states, transitions, cut, depth)
    assert (found.verdict, found.why, found.violation) == (HOLDS, "", None)
    assert found.symmetry == (6 if symmetry else 1)
    assert found.never_fired == (["step_down"] if nodes == 2 else [])  # whoever voted is no candidate


@pytest.mark.parametrize(("nodes", "terms"), [(2, 2), (3, 1)])
def test_all_engines_find_the_same(nodes: int, terms: int) -> None:
    configuration = bounded(MODEL, nodes=nodes, terms=terms)
    for symmetry in (False, True):
        plain, *others = (explore(MODEL, configuration, symmetry=symmetry, engine=e) for e in ENGINES)
        for other in others:
            for aspect in ASPECTS:
                assert getattr(plain, aspect) == getattr(other, aspect)


def test_counts_of_the_lock() -> None:
    without, with_ghost = explore_all(lock.MODEL, TWO, symmetry=False)
    assert (without.states, without.depth, with_ghost.states) == (56, 5, 56)
    assert (without.properties, with_ghost.properties) == (
        ["token_was_counted", "token_has_one_client", "last_token_has_one_user"],
        ["write_is_never_overtaken"],
    )


def test_witnesses_are_reached_at_their_least_depth() -> None:
    found = explore(MODEL, bounded(MODEL, nodes=3, terms=2))
    depths = {"a_leader_exists": 6, "two_leaders_of_different_terms": 12, "a_split_vote": 3}
    assert found.witnesses == depths
    small = explore(MODEL, bounded(MODEL, nodes=2, terms=2))
    assert small.verdict is HOLDS
    assert small.witnesses["two_leaders_of_different_terms"] is None  # two of two nodes cannot both lead


def test_a_search_for_witnesses_alone_ends_when_it_has_them() -> None:
    configuration = bounded(MODEL, nodes=3, terms=2)
    (found,) = explore_all(MODEL, configuration, only=["a_leader_exists"])
    assert found.witnesses == {"a_leader_exists": 6}
    assert found.states < 2_467


def test_what_reads_a_ghost_is_explored_with_it() -> None:
    kept = {ghosts: [p.name for p in properties] for ghosts, properties in plan(MODEL)}
    assert list(kept) == [frozenset(), frozenset({"elected_by"}), frozenset({"unsent"})]
    assert kept[frozenset({"unsent"})] == ["a_restart_between_vote_and_reply"]
    results = list(explore_all(MODEL, bounded(MODEL, nodes=3, terms=1)))
    assert [r.verdict for r in results] == [HOLDS] * 3
    with pytest.raises(UsageError, match="election has no property nothing: choose from granted_once"):
        plan(MODEL, ["nothing"])


# -- step by step --------------------------------------------------------------------------------
def compare(run: Run, states: set[State] | list[State]) -> None:
    """The oracle, printed Python, NumPy and C take the same steps from each state."""
    compiled, kernels = Scalar(run), [Vector(run), Native(run)]
    ordered = sorted(states)
    plain = [list(run.steps(state)) for state in ordered]
    assert plain == [compiled.successors(state) for state in ordered]
    for kernel in kernels:
        found = kernel.expand(kernel.packing.pack(ordered))
        steps = [kernel.ground.steps[i].position for i in found.steps]
        entries = list(zip(found.parents.tolist(), steps, kernel.packing.unpack(found.rows), strict=True))
        expected = [(i, p, after) for i, taken in enumerate(plain) for p, after in taken if after is not None]
        assert entries == expected
        assert found.cut.sum() == sum(after is None for taken in plain for _, after in taken)


def reachable(run: Run) -> set[State]:
    """Every reachable state, by the plain interpreter."""
    seen, left = {run.initial}, [run.initial]
    while left:
        for _, after in run.steps(left.pop()):
            if after is not None and after not in seen:
                seen.add(after)
                left.append(after)
    return seen


@pytest.mark.parametrize(("nodes", "terms", "count"), [(2, 2, 237), (3, 1, 288)])
def test_engines_agree_on_every_reachable_state(nodes: int, terms: int, count: int) -> None:
    run = Run(MODEL, bounded(MODEL, nodes=nodes, terms=terms))
    states = reachable(run)
    assert len(states) == count
    compare(run, states)


def test_packing_keeps_every_value_and_its_kind() -> None:
    """Truth values come back as bools: the connectives of a model refuse 0 and 1."""
    run = Run(MODEL, bounded(MODEL, nodes=3, terms=2), GHOSTS)
    states, packing = [*random_states(run, seed=3, runs=5)], Packing(run)
    back = packing.unpack(packing.pack(states))
    assert back == states
    assert [list(map(type, state)) for state in back] == [
        [bool if field.of is bool else int for field, _ in run.cells.keys] for _ in states
    ]


def test_engines_agree_on_every_reachable_state_with_ghosts() -> None:
    run = Run(MODEL, bounded(MODEL, nodes=2, terms=1), GHOSTS)
    compare(run, reachable(run))
    kept = Run(lock.MODEL, TWO, frozenset({"overtaken"}))
    compare(kept, reachable(kept))


def random_states(run: Run, seed: int, runs: int = 40, length: int = 30) -> Iterator[State]:
    """The states of some random runs of the compiled engine."""
    engine, dice = Scalar(run), random.Random(seed)
    for _ in range(runs):
        state = run.initial
        for _ in range(length):
            yield state
            steps = [after for _, after in engine.successors(state) if after is not None]
            state = dice.choice(steps)


def test_engines_agree_on_random_reachable_states() -> None:
    run = Run(MODEL, bounded(MODEL, nodes=3, terms=2), GHOSTS)
    states = set(random_states(run, seed=1))
    assert len(states) > 300
    compare(run, states)
    broken, properties = Scalar(run).broken([*MODEL.properties.values()]), MODEL.properties
    assert all(broken(s) is None and run.violated(s, properties) is None for s in states)


def test_engines_agree_on_which_property_is_false() -> None:
    """On states that no run reaches: there most properties are false somewhere."""
    run = Run(MODEL, bounded(MODEL, nodes=3, terms=2), GHOSTS)
    dice, witnesses = random.Random(2), list(MODEL.witnesses.values())
    domains = [run.configuration.domain(field.of) for field, _ in run.cells.keys]
    states = [
        tuple(dice.choice(d) if dice.random() < 0.2 else i for d, i in zip(domains, run.initial, strict=True))
        for _ in range(200)
    ]
    printed = Scalar(run)
    seers = [printed.reached(w) for w in witnesses]
    seen = [[run.witnessed(state, w) for w in witnesses] for state in states]
    assert [[seer(state) for seer in seers] for state in states] == seen
    rows = Vector(run).packing.pack(states)
    for name, prop in MODEL.properties.items():
        broken = [run.violated(state, {name: prop}) is not None for state in states]
        assert 0 < sum(broken) < len(states)
        assert [printed.broken([prop])(state) == prop for state in states] == broken
        for engine in (Vector, Native):
            kernel = engine(run, [prop], witnesses)
            assert (kernel.broken(rows) == 0).tolist() == broken
            assert kernel.reached(rows).tolist() == seen


# -- what goes wrong -----------------------------------------------------------------------------
MUTANTS = [
    # action, guard, nodes, terms, what is broken, after how many steps
    ("become_leader", "quorum_voted", 2, 1, "election_safety", 4),
    ("grant_vote", "vote_is_free", 2, 1, "granted_is_stored", 3),
    ("reply_vote", "vote_is_stored", 3, 1, "granted_is_stored", 1),
    ("reply_vote", "term_is_current", 2, 2, "granted_not_from_future", 2),
    ("receive_vote", "vote_was_granted", 2, 1, "votes_were_granted", 2),
    ("receive_vote", "term_is_current", 2, 2, "votes_were_granted", 6),
    ("update_term", "term_is_newer", 3, 1, "granted_is_stored", 2),
]


@pytest.mark.parametrize(("action", "guard", "nodes", "terms", "what", "steps"), MUTANTS)
def test_mutants_have_a_shortest_run_that_the_oracle_takes(
    action: str, guard: str, nodes: int, terms: int, what: str, steps: int
) -> None:
    mutant, configuration = MODEL.without_guard(action, guard), bounded(MODEL, nodes=nodes, terms=terms)
    found = explore(mutant, configuration)
    assert found.verdict is VIOLATED
    assert found.violation
    assert (found.violation.what, len(found.violation.steps)) == (what, steps)
    both: list[Any] = [{"symmetry": False}, {"engine": "python"}, {"engine": "native"}]
    for others in both:
        other = explore(mutant, configuration, **others).violation
        assert other
        assert len(other.steps) == steps
        execute(mutant, configuration, other.steps)
    last = execute(mutant, configuration, found.violation.steps)
    run = Run(mutant, configuration)
    assert not run.holds(MODEL.properties[what], last, found.violation.args)


def execute(model: Model, configuration: Configuration, steps: list[tuple[int, State]]) -> State:
    """Take the steps one after the other with the plain interpreter; the last state."""
    run = Run(model, configuration)
    state = run.initial
    for position, after in steps:
        instance = run.instances[position]
        state = run.step(state, instance.action, instance.args)
        assert state == after
    return state


def test_the_lock_without_fencing() -> None:
    without, with_ghost = explore_all(lock.MODEL.without_guard("write", "token_is_not_stale"), TWO)
    assert without.verdict is HOLDS
    assert with_ghost.violation
    calls = [
        TWO.call(with_ghost.run.instances[p].action, with_ghost.run.instances[p].args)
        for p, _ in with_ghost.violation.steps
    ]
    assert [c.partition("(")[0] for c in calls] == ["acquire", "expire", "acquire", "write", "write"]


SMALL = """
class State(Fields):
    left = field(Node, of=bool)
    count = field(of=Term)
    cause = ghost(of=bool)
"""
END = "\nMODEL = model(__name__, State)\n"
BOUNDS = Configuration({"Node": ("n1", "n2", "n3")}, {"Term": 2})


def act(name: str, params: str, *body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body)
    return f'\n@action\ndef {name}(s: State{params}) -> None:\n    """Section 1."""\n{lines}'


LEAVE = act("leave", ", n: Node", "is_here = no(s.left[n])", "s.require(is_here)", "s.left[n] = True")


@pytest.mark.parametrize("options", [{}, {"symmetry": False}, {"engine": "python"}, {"engine": "native"}])
def test_a_deadlock_is_reported_with_the_shortest_run(build: Build, options: Any) -> None:
    found = explore(build(SMALL + LEAVE + END).MODEL, BOUNDS, **options)
    assert found.verdict is VIOLATED
    assert found.violation
    assert found.violation.what == "deadlock"
    assert len(found.violation.steps) == 3
    assert found.violation.steps[-1][1] == (True, True, True, 0)


def test_a_model_that_never_moves_deadlocks_at_once(build: Build) -> None:
    found = explore(build(SMALL + END).MODEL, BOUNDS)
    assert found.violation
    assert (found.violation.what, found.violation.steps, found.states) == ("deadlock", [], 1)


def test_a_state_whose_steps_are_all_cut_is_no_deadlock(build: Build) -> None:
    found = explore(build(SMALL + act("tick", "", "s.count = s.count + 1") + END).MODEL, BOUNDS)
    assert (found.verdict, found.states, found.cut, found.transitions) == (HOLDS, 3, 1, 2)
    assert found.strength == "exhaustive to 3 nodes, 2 terms"


def test_an_action_that_cannot_happen_never_fires(build: Build) -> None:
    stuck = act("stuck", "", "is_late = s.count > s.count", "s.require(is_late)")
    found = explore(build(SMALL + act("tick", "", "s.count = s.count + 1") + stuck + END).MODEL, BOUNDS)
    assert found.never_fired == ["stuck"]
    assert found.fired["tick"] == 3  # the step that was cut was possible


CLAIM = act(
    "claim",
    ", n: Node",
    "is_gone = s.left[n]",
    "s.require(is_gone)",
    "s.claim(s.count == 0)",
    "s.left[n] = True",
)


@pytest.mark.parametrize("options", [{}, {"symmetry": False}, {"engine": "python"}, {"engine": "native"}])
def test_a_claim_that_fails_is_found(build: Build, options: Any) -> None:
    tick = act("tick", "", "s.count = s.count + 1")
    model = build(SMALL + LEAVE + tick + CLAIM + END).MODEL
    found = explore(model, BOUNDS, **options)
    assert found.verdict is VIOLATED
    assert found.violation
    assert found.violation.what == "claim"
    last = execute(model, BOUNDS, found.violation.steps)
    assert len(found.violation.steps) == 2
    assert found.violation.step is not None
    claiming = found.run.instances[found.violation.step]
    assert claiming.action.name == "claim"
    with pytest.raises(ClaimFailed):
        found.run.step(last, claiming.action, claiming.args)


def test_a_claim_is_made_only_where_the_guards_hold(build: Build) -> None:
    found = explore(build(SMALL + act("tick", "", "s.count = s.count + 1") + CLAIM + END).MODEL, BOUNDS)
    assert (found.verdict, found.never_fired) == (HOLDS, ["claim"])


def test_two_writes_to_one_cell_are_an_error_of_the_model(build: Build) -> None:
    text = act("turn", ", n: Node, m: Node", "s.left[n] = True", "s.left[m] = False")
    for engine in ENGINES:
        with pytest.raises(SpecError, match=r"turn\(n=n1, m=n1\): .* written twice in one step"):
            explore(build(SMALL + text + END).MODEL, BOUNDS, engine=engine)


def test_a_cell_beyond_the_bound_is_not_taken_for_its_neighbour(build: Build) -> None:
    """f[n1, 3] does not exist, and where it would stand is f[n2, 0]."""
    state = "\nclass State(Fields):\n    f = field(Node, Term, of=bool)\n    at = field(of=Term)\n"
    text = act(
        "turn", ", n: Node, m: Node", "t = s.at", "s.f[n, t + 1] = True", "s.f[m, 0] = True", "s.at = t + 1"
    )
    model = build(state + text + END).MODEL
    run = Run(model, BOUNDS)
    compare(run, reachable(run))


CORNERS = [
    "s.flag = s.f[n, s.at + s.at]\ns.at = t",  # read beyond the bound: False, and not 0
    "s.flag = no(s.f[n, t + 1])",
    "s.f[n, ite(s.flag, t + 1, s.at)] = True\ns.at = t\ns.flag = no(s.flag)",  # beyond it in one branch
    "s.f[n, ite(s.flag, s.at, t + 1)] = True\ns.at = t\ns.flag = no(s.flag)",
    "s.f[n, s.at + s.at] = s.f[n, t]\ns.at = t",
    "s.newest = ite(s.flag, t + 1, s.at)\ns.flag = no(s.flag)",  # an optional number beyond the bound
    "s.at = Node.count(lambda a: s.f[a, t])\ns.f[n, t] = True",  # a count as a value
    "s.f[n, Node.count(lambda a: s.f[a, t])] = True",  # a count as an index
    "s.on[s.flag, s.role] = True\ns.flag = n == m\ns.role = BUSY",  # indices of bool and of an enumeration
    "s.f.where(lambda old, a, u: either(old, both(a == n, u == s.at)))\ns.at = s.at + 1",
    "s.f.where(lambda old, a, u: s.f[m, u + 1])\ns.at = t",
    # quantifiers inside one another
    "alike = lambda a, b: Term.all(lambda u: s.f[a, u] == s.f[b, u])\n"
    "s.flag = Node.all(lambda a: Node.any(lambda b: both(a != b, alike(a, b))))\ns.f[n, t] = True",
    "s.f[n, t] = no(both(no(no(s.flag)), either(s.f[m, t], True)))\ns.flag = n == m",
    "s.claim(s.at <= 2)",  # a step that changes nothing
]


@pytest.mark.parametrize("body", CORNERS)
def test_engines_agree_in_the_corners_of_the_language(build: Build, body: str) -> None:
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
    engine = Scalar(run)
    truths = [i for i, (field, _) in enumerate(run.cells.keys) if field.of is bool]
    seen, left = {run.initial}, [run.initial]
    while left:
        state = left.pop()
        steps = engine.successors(state)
        assert list(run.steps(state)) == steps
        for _, after in steps:
            assert after is None or all(isinstance(after[i], bool) for i in truths)  # False, and not 0
            if after is not None and after not in seen:
                seen.add(after)
                left.append(after)


# -- what the explorer does not know -------------------------------------------------------------
@pytest.mark.parametrize("states", [0, 1, 2, 100, 286, 287])
def test_a_limit_on_states_is_inconclusive_even_one_short(states: int) -> None:
    configuration = bounded(MODEL, nodes=3, terms=1)
    found = explore(MODEL, configuration, symmetry=False, limits=Limits(states=states))
    assert (found.verdict, found.why) == (INCONCLUSIVE, f"stopped at {states:,} states")
    assert states < found.states <= 288


@pytest.mark.parametrize("states", [None, 288, 1000])
def test_a_limit_that_is_not_met_changes_nothing(states: int | None) -> None:
    found = explore(MODEL, bounded(MODEL, nodes=3, terms=1), symmetry=False, limits=Limits(states=states))
    assert (found.verdict, found.states) == (HOLDS, 288)


def test_a_limit_on_memory_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "REPORT_EVERY", 0)
    found = explore(MODEL, bounded(MODEL, nodes=3, terms=1), limits=Limits(memory=1))
    assert (found.verdict, found.why) == (INCONCLUSIVE, "stopped at 1 MiB of memory")


def test_a_violation_found_before_the_limit_is_a_violation() -> None:
    mutant = MODEL.without_guard("become_leader", "quorum_voted")
    found = explore(mutant, bounded(MODEL, nodes=2, terms=1), limits=Limits(states=60))
    assert found.verdict is VIOLATED


def test_an_interrupted_run_keeps_what_it_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "REPORT_EVERY", 0)
    told: list[SearchProgress] = []

    def interrupt(progress: SearchProgress) -> None:
        told.append(progress)
        if progress.states > 100:
            raise KeyboardInterrupt

    found = explore(MODEL, bounded(MODEL, nodes=3, terms=2), progress=interrupt)
    assert (found.verdict, found.why, found.violation) == (INCONCLUSIVE, "interrupted", None)
    assert found.states == told[-1].states > 100
    assert found.depth == told[-1].depth > 0
    assert found.fired.total() == found.transitions + found.cut > 0
    assert found.seconds > 0
    assert found.witnesses["a_split_vote"] == 3
    assert [p.states for p in told] == sorted(p.states for p in told)
    assert told[-1].rate > 0


# -- bounds --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("nodes", "terms"), [(0, 1), (-1, 1), (3, 0), (3, -2), (10**9, 1), (3, 10**9), (10, 1)]
)
def test_bounds_of_a_cluster_that_make_no_sense(nodes: int, terms: int) -> None:
    with pytest.raises(UsageError, match=r"give a size from 1 to|choose smaller bounds"):
        bounded(MODEL, nodes=nodes, terms=terms)


def test_bounds_of_a_cluster_that_are_too_large_to_explore() -> None:
    with pytest.raises(UsageError, match=r"cells and .* possible steps a state; .* choose smaller bounds"):
        explore(MODEL, bounded(MODEL, nodes=9, terms=1000))


@pytest.mark.parametrize(
    ("clients", "tokens", "says"),
    [
        (0, 2, "Client needs at least 1 value"),
        (2, 0, "Token needs at least 1 value"),
        (2, -7, "Token needs at least 1 value"),
        (2, 10**12, "choose smaller bounds"),
        (200, 200, "choose smaller bounds"),
    ],
)
def test_bounds_of_a_configuration_that_make_no_sense(clients: int, tokens: int, says: str) -> None:
    names = tuple(f"c{i}" for i in range(clients))
    with pytest.raises(UsageError, match=says):
        explore(lock.MODEL, Configuration({"Client": names}, {"Token": tokens}))


def test_a_sort_without_a_size_and_a_first_value_beyond_the_bound(build: Build) -> None:
    with pytest.raises(UsageError, match="gives no size for Token"):
        explore(lock.MODEL, Configuration({"Client": ("c1",)}, {}))
    model = build("\nclass State(Fields):\n    count = field(of=Term, init=3)\n" + END).MODEL
    with pytest.raises(UsageError, match="count starts at 3: give Term a bound of 3 or more"):
        Run(model, BOUNDS)


@pytest.mark.parametrize("quorums", ["n1 n2, n3", "n1, n2", "n1 n2, n2 n3, n1 n3, n3"])
def test_quorums_that_do_not_meet_are_refused(quorums: str) -> None:
    configuration = bounded(MODEL, nodes=3, terms=1, quorums=quorums)
    says = r"breaks the axiom quorums_intersect\(p=\{.*\}, q=\{.*\}\): Any two quorums share a server"
    with pytest.raises(UsageError, match=says):
        explore(MODEL, configuration)


def test_an_axiom_without_a_docstring_is_named_all_the_same(build: Build) -> None:
    someone = "\n@axiom\ndef someone(s: State) -> bool:\n    return Node.any(lambda n: s.on[n])\n"
    text = SMALL + "    on = constant(Node, of=bool)\n" + LEAVE + someone + END
    model = build(text).MODEL
    with pytest.raises(UsageError, match=r"breaks the axiom someone\(\)$"):
        explore(model, configure(model, {"Node": 2, "Term": 2}, where={"on": []}))


def test_quorums_that_do_not_meet_elect_two_leaders() -> None:
    configuration = bounded(MODEL, nodes=2, terms=1, quorums="n1, n2")
    found = explore(MODEL.without_axiom("quorums_intersect"), configuration)
    assert found.violation
    assert (found.violation.what, len(found.violation.steps)) == ("election_safety", 4)


@pytest.mark.parametrize("quorums", ["", "n1,", "n4", "n1 n9", "most"])
def test_quorums_that_name_no_node_are_refused(quorums: str) -> None:
    with pytest.raises(UsageError, match="names no node of n1, n2, n3"):
        bounded(MODEL, nodes=3, terms=1, quorums=quorums)


# -- a search that goes on -----------------------------------------------------------------------
@pytest.mark.parametrize("first", ["numpy", "native"])
@pytest.mark.parametrize("symmetry", [False, True])
def test_an_interrupted_search_goes_on_where_it_was(
    first: str, symmetry: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted again and again, on one engine and then on the other, it finds what one search finds."""
    monkeypatch.setattr(search, "REPORT_EVERY", 0)
    monkeypatch.setattr(searches.Gathered, "batch", 100)
    monkeypatch.setattr(searches.Threaded, "batch", 100)
    configuration, file = bounded(MODEL, nodes=3, terms=2), tmp_path / "some" / "search.oneleader"
    whole = explore(MODEL, configuration, symmetry=symmetry)
    calls = 0

    def interrupt(_: SearchProgress) -> None:
        nonlocal calls
        calls += 1
        if calls % 7 == 0:
            raise KeyboardInterrupt

    engines = itertools.cycle(["numpy", "native"] if first == "numpy" else ["native", "numpy"])
    for engine in engines:
        found = explore(
            MODEL, configuration, symmetry=symmetry, engine=engine, progress=interrupt, checkpoint=file
        )
        assert file.exists() == (found.why == "interrupted")
        if found.verdict is HOLDS:
            break
    assert calls > 28  # interrupted at least four times
    for aspect in ASPECTS:
        assert getattr(found, aspect) == getattr(whole, aspect)


def test_a_violation_after_an_interruption_has_its_whole_run(tmp_path: Path) -> None:
    mutant, file = MODEL.without_guard("become_leader", "quorum_voted"), tmp_path / "file"
    configuration = bounded(MODEL, nodes=2, terms=1)
    early = explore(mutant, configuration, limits=Limits(states=10), checkpoint=file)
    assert (early.why, early.taken_up) == ("stopped at 10 states", 0)
    found = explore(mutant, configuration, checkpoint=file)
    assert found.taken_up == early.states
    assert found.violation
    assert len(found.violation.steps) == 4
    execute(mutant, configuration, found.violation.steps)


def test_a_checkpoint_of_another_search_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    three, two = bounded(MODEL, nodes=3, terms=1), bounded(MODEL, nodes=2, terms=2)
    explore(MODEL, three, limits=Limits(states=100), symmetry=False, checkpoint=file)
    for other in (
        lambda: explore(MODEL, two, symmetry=False, checkpoint=file),
        lambda: explore(MODEL, three, symmetry=True, checkpoint=file),
        lambda: explore(
            MODEL.without_guard("reply_vote", "vote_is_stored"), three, symmetry=False, checkpoint=file
        ),
    ):
        with pytest.raises(UsageError, match="belongs to another model, bounds, properties or symmetry"):
            other()
    file.write_text("something else")
    with pytest.raises(UsageError, match="is no checkpoint of explore"):
        explore(MODEL, three, symmetry=False, checkpoint=file)
    with pytest.raises(UsageError, match="the engine python keeps no checkpoint"):
        explore(MODEL, three, engine="python", checkpoint=file)
