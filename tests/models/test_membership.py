"""Changes of membership: what holds, what can happen, and what breaks without each rule."""

from __future__ import annotations

import os
import random
import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from oneleader.errors import MissingTool, UsageError
from oneleader.language.configuration import Configuration, configure
from oneleader.language.members import Members
from oneleader.language.model import Model
from oneleader.language.sorts import NIL
from oneleader.models import membership, membership_steps
from oneleader.models.election import LEADER, Quorum
from oneleader.models.membership import MODEL
from oneleader.readers.explore.explore import explore
from oneleader.readers.explore.explored import Explored
from oneleader.readers.explore.walk import UNTESTED, walk
from oneleader.readers.prove.hints import load_hints
from oneleader.readers.prove.prove import prove
from oneleader.readers.run import Run, State
from oneleader.readers.tlc import tlc
from oneleader.readers.tlc.states import StateReader
from oneleader.verdict import HOLDS, VIOLATED
from tests.places import TLA

STEPS = membership_steps.MODEL
JOINT = "n1 n2 n3, n1 n2 n3 + n1, n1"
GHOSTS = frozenset(f.name for f in MODEL.fields.values() if f.kind == "ghost")
FIGURE_3 = {"election_safety", "log_matching", "leader_completeness", "state_machine_safety"}


def bounds(model: Model, nodes: int, terms: int, entries: int, configurations: str) -> Configuration:
    """So many nodes, terms and entries of a log, and these configurations."""
    return configure(model, {"Node": nodes, "Term": terms, "Index": entries, "Value": 1}, configurations)


def compiled(model: Model, at: Configuration, ghosts: frozenset[str] = frozenset()) -> Explored:
    try:
        return explore(model, at, ghosts=ghosts, engine="native")
    except MissingTool as missing:
        pytest.skip(str(missing))


# -- Message by message ----------------------------------------------------------------------------
def test_everything_holds_and_happens() -> None:
    """All properties with all history, each put to the test: a server that decides alone, and one that joins
    it. What is not reached takes more servers or entries, or a server that leaves for good."""
    found = compiled(MODEL, bounds(MODEL, 2, 2, 2, "n2, n1 n2"), GHOSTS)
    assert (found.verdict, found.states, found.depth) == (HOLDS, 98_550, 25)
    assert found.properties == list(MODEL.properties)
    assert (found.never_fired, found.untested) == ([], [])
    assert {name for name, depth in found.witnesses.items() if depth is None} == {
        "a_split_vote",
        "a_configuration_is_changed_twice",
        "a_leader_commits_its_own_removal",
        "a_change_is_finished_by_another_leader",
    }


@pytest.mark.slow("a million states")
@pytest.mark.skipif(os.environ.get("ONELEADER_PROFILE") != "deep", reason="with ONELEADER_PROFILE=deep")
def test_three_entries_and_three_configurations() -> None:
    """One joins, the other leaves, and a change follows a change: message by message, with all history."""
    found = compiled(MODEL, bounds(MODEL, 2, 2, 3, "n2, n1 n2, n1"), GHOSTS)
    assert (found.verdict, found.states, found.never_fired, found.untested) == (HOLDS, 1_096_937, [], [])
    missed = {name for name, depth in found.witnesses.items() if depth is None}
    assert missed == {"a_split_vote", "a_change_is_finished_by_another_leader"}


def test_random_runs() -> None:
    """Three servers, four terms, logs of four: what is too much to explore."""
    at = configure(MODEL, {"Node": 3, "Term": 4, "Index": 4, "Value": 1, "Config": 2})
    found = walk(MODEL, at, seed=1, runs=20, length=150)
    assert (found.violation, found.why) == (None, UNTESTED)  # some lemmas speak of what is rare
    assert set(MODEL.actions) - set(found.never_fired) > {"change_config", "advance_commit", "append_entries"}


# -- In large steps --------------------------------------------------------------------------------
SHORTEST = {  # 3 nodes, 2 terms, 3 entries; one server fewer each time
    "a_configuration_is_changed_twice": 9,
    "a_change_was_replaced": 8,
    "a_leader_commits_its_own_removal": 8,
    "a_change_is_finished_by_another_leader": None,  # it takes four entries
    "two_leaders_change": 10,
}


def test_single_server_changes() -> None:
    at = configure(STEPS, {"Node": 3, "Term": 2, "Index": 3, "Config": 2})
    found = compiled(STEPS, at)
    assert (found.verdict, found.states, found.never_fired) == (HOLDS, 54_606, [])
    assert found.witnesses == SHORTEST


def test_joint_consensus() -> None:
    """A leader finishes the change that another one has left in the joint state."""
    found = compiled(STEPS, bounds(STEPS, 3, 2, 4, JOINT))
    assert (found.verdict, found.never_fired) == (HOLDS, [])
    assert found.witnesses["a_change_is_finished_by_another_leader"] is not None


class Played:
    """A run of large steps, played message by message."""

    def __init__(self, configurations: str, nodes: int = 3) -> None:
        self.large = Run(STEPS, bounds(STEPS, nodes, 3, 3, configurations))
        self.small = Run(MODEL, bounds(MODEL, nodes, 3, 3, configurations), GHOSTS)
        self.state = self.small.initial

    def take(self, name: str, *args: int) -> None:
        self.state = self.small.step(self.state, MODEL.actions[name], args)

    def cell(self, field: str, *index: int) -> int:
        cells = self.small.cells
        return self.state[cells.keys.index((MODEL.fields[field], index))]

    def elect(self, n: int, t: int, q: int) -> None:
        while self.cell("term", n) < t:
            if self.cell("role", n) == LEADER:
                self.take("give_up", n)
            self.take("start_election", n)
        for voter in {v for v, of in self.small.configuration.constants["member"] if of == q} - {n}:
            self.take("update_term", voter, t)
            self.take("grant_vote", voter, n, t)
            self.take("reply_vote", voter, n, t)
            self.take("receive_vote", n, voter, t)
        self.take("become_leader", n, q)

    def replicate(self, n: int, t: int, last: int) -> None:
        if self.cell("term", n) < t:
            self.take("update_term", n, t)
        conflict = self.small.refused(self.state, MODEL.actions["append_entries"], (n, t, 0, last, 0))
        self.take("replace_entries" if conflict else "append_entries", n, t, 0, last, 0)

    def step(self, name: str, args: tuple[int, ...]) -> None:
        if name in ("elect", "replicate"):
            getattr(self, name)(*args)
        else:
            self.take(name, *args, *(0,) * (name == "client_request"))  # the value

    def same(self, large: State) -> bool:
        """All that both models have is the same; who leads, and what is committed, they call differently."""
        for (field, index), value in zip(self.large.cells.keys, large, strict=True):
            mine = {"leads": "role", "committed": "committed_by"}.get(field.name, field.name)
            found: int = self.cell(mine, *index)
            found = {"leads": found == LEADER, "committed": found != NIL}.get(field.name, found)
            if found != value:
                return False
        return True


@pytest.mark.parametrize("configurations", ["n1 n2 n3, n1 n2, n1", JOINT])
def test_a_large_step_is_a_run_of_the_small_ones(configurations: str) -> None:
    """Random runs in large steps, each step played message by message: what both models have is the same."""
    rng, taken = random.Random(1), set[str]()
    for _ in range(12):
        played = Played(configurations)
        large = played.large.initial
        while steps := [(k, after) for k, after in played.large.steps(large) if after is not None]:
            position, large = rng.choice(steps)
            instance = played.large.instances[position]
            played.step(instance.action.name, instance.args)
            taken.add(instance.action.name)
            assert played.same(large), instance
    assert taken == set(STEPS.actions)


# -- Each rule is needed ---------------------------------------------------------------------------
RULES = {"is_adjacent": "R1", "last_is_committed": "R2", "own_is_committed": "R3"}


@pytest.mark.parametrize("guard", RULES)
def test_each_rule_is_cited(guard: str) -> None:
    (found,) = (g for g in MODEL.actions["change_config"].guards if g.name == guard)
    assert RULES[guard] in found.clause
    (same,) = (g for g in STEPS.actions["change_config"].guards if g.name == guard)
    assert same.clause == found.clause


def test_the_axiom_is_judged_of_a_configuration() -> None:
    """What a list of configurations makes adjacent has quorums that meet; more than that is refused."""
    at = bounds(MODEL, 3, 1, 1, "n1 n2 n3, n1")
    assert at.constants["adjacent"] == frozenset()
    Run(MODEL, at)
    with pytest.raises(UsageError, match="close_quorums_intersect"):
        Run(MODEL, replace(at, constants={**at.constants, "adjacent": frozenset({(0, 1)})}))


@pytest.mark.parametrize(("text", "said"), [("n1 n4", "'n1 n4' is no set of n1"), ("n1, ", "'' is no set")])
def test_a_list_of_configurations_that_is_none(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        bounds(MODEL, 3, 1, 1, text)


# -- The twin --------------------------------------------------------------------------------------
@pytest.mark.usefixtures("tools")
def test_what_is_adjacent_and_what_a_quorum_is(tmp_path: Path) -> None:
    """Of all configurations of three servers, joint ones included, the module says what Python says."""
    config = tmp_path / "run.cfg"
    bounds = (TLA / "MCMembership.cfg").read_text().partition("INVARIANTS")[0]
    config.write_text(bounds.replace("Node = {n1, n2}", "Node = {n1, n2, n3}") + "INVARIANT Nothing\n")
    around = r"""
---- MODULE Around ----
EXTENDS MCMembership
Sets == SUBSET Node \ {{}}
Every == {{s, r} : s, r \in Sets}
ASSUME PrintT(<<"adjacent", {p \in Every \X Every : Adjacent(p[1], p[2])}>>)
ASSUME PrintT(<<"quorums", {p \in (SUBSET Node) \X Every : IsQuorum(p[1], p[2])}>>)
Nothing == \A n \in Node : term[n] > 0
====
"""
    found = tlc.run(TLA / "MCMembership.tla", config, workers=1, around=around)
    printed = {value[0]: value[1] for value in found.printed if isinstance(value, tuple)}
    names = ("n1", "n2", "n3")
    sets = [frozenset(s) for k in (1, 2, 3) for s in combinations(range(3), k)]
    every = {frozenset((s, r)): Members(tuple({s: None, r: None})) for s in sets for r in sets}

    def named(c: frozenset[frozenset[int]]) -> frozenset[frozenset[str]]:
        return frozenset(frozenset(names[n] for n in s) for s in c)

    adjacent = {(named(c), named(d)) for c in every for d in every if every[c].may_become(every[d])}
    assert printed["adjacent"] == adjacent
    quorums = {
        (frozenset(names[n] for n in q), named(c))
        for c in every
        for q in (frozenset(), *sets)
        if any(q >= least for least in every[c].quorums)
    }
    assert printed["quorums"] == quorums


CORRECTION = {
    "": "n1 n2 n3 n4, n1 n2 n3, n2 n3 n4",
    "_bug_removed_and_removed": "n1 n2 n3 n4, n1 n2 n3, n2 n3 n4",
    "_bug_added_and_removed": "n1 n2 n3 n4, n1 n2 n3 n4 n5, n2 n3 n4",
    "_bug_added_and_added": "n1 n2 n3 n4, n1 n2 n3 n4 n5, n1 n2 n3 n4 n6",
}


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("name", CORRECTION)
def test_the_correction_is_asked_for_in_a_state_that_is_reached(name: str, tmp_path: Path) -> None:
    """MCMembershipCorrection begins where two leaders have gone by every rule, played here."""
    config = tmp_path / "run.cfg"
    bounds = re.split("^INVARIANT", (TLA / f"MCMembershipCorrection{name}.cfg").read_text(), flags=re.M)[0]
    config.write_text(bounds.replace("MaxIndex = 2", "MaxIndex = 3") + "INVARIANT Nothing\n")
    around = "---- MODULE Around ----\nEXTENDS MCMembershipCorrection\nNothing == term[A] = 0\n====\n"
    found = tlc.run(TLA / "MCMembershipCorrection.tla", config, workers=1, around=around)

    nodes = max(int(word[1:]) for word in CORRECTION[name].replace(",", "").split())
    played = Played(CORRECTION[name], nodes)
    n1, n2, *others = range(nodes)
    played.elect(n1, 1, quorum(played, "n1 n2 n3"))
    played.take("client_request", n1, 0)
    for n in (n2, *others):
        played.replicate(n, 1, 1)
    played.take("advance_commit", n1, 1, quorum(played, "n1 n2 n3"))
    played.take("change_config", n1, 1)
    played.elect(n2, 2, quorum(played, "n2 n3 n4"))
    for n in (n1, *others):
        if played.cell("term", n) < 2:
            played.take("update_term", n, 2)
    played.elect(n1, 3, quorum(played, "n1 n3 n5" if nodes > 4 else "n1 n3"))
    plain = Run(MODEL, played.small.configuration)  # without what only proofs speak of
    begun = StateReader(plain).state(found.trace[0].state)
    assert begun == tuple(played.cell(field.name, *index) for field, index in plain.cells.keys)


def quorum(played: Played, names: str) -> int:
    """The number of a quorum, by its members."""
    wanted = {int(name[1:]) - 1 for name in names.split()}
    at = played.small.configuration
    (found,) = (q for q in at.domain(Quorum) if {n for n, of in at.constants["member"] if of == q} == wanted)
    return int(found)


# -- Proofs ----------------------------------------------------------------------------------------
def test_everything_is_proved_for_any_size() -> None:
    """Three quarters of a minute on a busy machine: 915 obligations."""
    proof = prove(MODEL)
    assert (proof.verdict, len(proof.rows)) == (HOLDS, 915)
    assert {row.hint for row in proof.rows} == {"used"}
    assert load_hints(MODEL).keys() == {row.key for row in proof.rows}
    assert {row.goal for row in proof.rows} > FIGURE_3


def test_without_the_axiom_nothing_is_proved() -> None:
    """Only two lemmas speak of two quorums."""
    apart = MODEL.without_axiom("close_quorums_intersect")
    (row,) = prove(apart, only=["theorem/winner_has_close_commits"], rlimit=100_000).rows
    assert row.verdict is VIOLATED


def test_lemmas_stand_apart() -> None:
    """The model's own file shows Figure 3 and no other property."""
    own = {name for name, p in MODEL.properties.items() if p.file == membership.__file__}
    assert own == (FIGURE_3 - {"election_safety"}) | {"leader_append_only"}
