"""Mutants of the core: which there are, how they are put in place, and that each end of one is noticed."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace

import pytest

from oneleader.errors import UsageError
from oneleader_raft import raft, state_machine
from oneleader_raft.fencing import Storage
from oneleader_raft.raft import Durable, Role
from workshop.mutation import core_judge
from workshop.mutation import table as mutation_table
from workshop.mutation.core_mutation import CoreMutant, core_mutants, functions, installed, mutations

MUTANTS = {mutant.id: mutant for mutant in core_mutants()}


def of(source: str) -> list[str]:
    """What is mutated in a function of the core, `f` here, that reads like this."""
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.FunctionDef)
    return [what for what, _, _ in mutations(tree)]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("return a < b", ["<→<="]),
        ("return 0 < a <= b", ["<→<=", "<=→<", "0→1", "0→-1"]),
        ("ok = a and not b", ["ok: and→or", "ok: -a", "ok: -not b", "ok: b without not"]),
        ("if a is None:\n  return b", ["if a is None: dropped", "if a is None: is→is not"]),
        ("return replace(n, x=a, y=b)", ["-x", "-y"]),
        ("return s.then(f)", ["-then(f)"]),
        ("return max(a, True)", ["max→min", "True→False"]),
        ("return a if b else c", ["always a", "always c"]),
        ("return Step(n, (a, b))", ["-a", "-b"]),
        (
            "match m:\n  case A() if b:\n    return 'words'",
            ["case A(): -if b", "case A(): dropped"],
        ),
        ('"""Words, not 1."""\nreturn f"r{a + 1}"', []),
    ],
)
def test_what_is_mutated(body: str, found: list[str]) -> None:
    lines = "\n".join(f"  {line}" for line in body.splitlines())
    assert of(f"def f(a: int | None = 1) -> None:\n{lines}") == found


def test_each_function_that_decides_anything_has_a_mutant() -> None:
    """Those that have none only put together what they are given."""
    every = {part for part, _, _, _ in functions()}
    mutated = {mutation_table.part(id) for id in MUTANTS}
    assert every - mutated == {
        "core/raft/ActionTaken.__str__",
        "core/raft/Node.durable",
        "core/raft/Node.last_term",
        "core/raft/Node.members",
        "core/raft/action",
        "core/raft/answer",
        "core/raft/is_majority",
        "core/raft/listed",
        "core/raft/majority_acknowledged",
        "core/raft/refuse",
        "core/raft/stored",
        "core/raft/terms",
        "core/raft/to_peers",
    }


def test_a_mutant_is_in_place_for_all_and_then_no_more() -> None:
    storage = Storage(token=2, nonce="a")
    assert not storage.accepts(2, "b")
    with installed(MUTANTS["core/fencing/Storage.accepts/is_newer: >→>="]):
        assert storage.accepts(2, "b")
    assert not storage.accepts(2, "b")

    alone = raft.restart("n1", ("n1",), Durable(), now=0).node
    with installed(MUTANTS["core/raft/start_election/node: -role"]):
        assert raft.step(alone, raft.ElectionTimeout(), 10_000).node.role is Role.LEADER
    with installed(MUTANTS["core/raft/Node.peers/!=→=="]):
        assert alone.peers == ("n1",)
    assert alone.peers == ()


def with_body(source: str) -> CoreMutant:
    """`apply` of the state machine with another body."""
    mutant = next(m for m in MUTANTS.values() if m.function == "apply")
    (tree,) = ast.parse(f"def apply(state, index, command):\n    {source}").body
    assert isinstance(tree, ast.FunctionDef)
    return replace(mutant, tree=tree)


@pytest.mark.parametrize(
    ("source", "by", "limit"),
    [("while True: pass", core_judge.TIME, 3), ("import os; os._exit(1)", core_judge.CRASH, 300)],
)
def test_what_does_not_end_or_ends_the_process(source: str, by: str, limit: float) -> None:
    assert core_judge.judge(with_body(source), quick=True, limit=limit).by == by
    assert state_machine.apply(state_machine.StateMachine(), 1, "no-op")[1] is None


@pytest.mark.parametrize(
    ("judge", "id", "by"),
    [
        (core_judge.unit_tests, "core/fencing/is_token/1→2", core_judge.TEST),
        (core_judge.simulations, "core/raft/advance_commit/if not (is_new and is_own): -is_new", ""),
        (core_judge.simulations, "core/raft/on_request_vote/granted: -vote_is_free", core_judge.SAFETY),
    ],
)
def test_each_judge(judge: Callable[[], tuple[str, str] | None], id: str, by: str) -> None:
    with installed(MUTANTS[id]):
        failed = judge()
    assert (failed[0] if failed else "") == by


def test_there_is_no_such_mutant() -> None:
    with pytest.raises(UsageError, match="there is no mutant 'core/raft/step/nothing'"):
        core_judge.judge_id("core/raft/step/nothing")


def test_the_sample_is_caught() -> None:
    """Every so many-th, but for those that survive and whose judges take long."""
    for id in mutation_table.sample(mutation_table.CORE):
        if id not in mutation_table.known():
            assert core_judge.judge(MUTANTS[id], quick=True).by in core_judge.CAUGHT, id
