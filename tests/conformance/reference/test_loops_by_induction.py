"""The core's comprehensions are proved by induction on the length; those of broken loops are not."""

from __future__ import annotations

import ast

import pytest

from oneleader.conformance.handlers.contracts import CONTRACTS
from oneleader.conformance.reference.loops_by_induction import CLAIMS, prove_loop
from oneleader.verdict import HOLDS, VIOLATED
from workshop.mutation.core_mutation import core_mutants

BROKEN = (
    "Node.peers/!=→==",
    "reaching/>=→>",
    "brought/changes: 1→2",
    "conflict/first: ==→!=",
    "conflict/first: +→- #2",
    "back_off/own: ==→!=",
    "back_off/own: 1→0",
    "to_join/and→or",
    "to_join/not in→in",
    "have_caught_up/>=→>",
    "of_peers/in→not in",
)
LATER = """
def up_to(history, index):
    first, *later = history
    return (first, *(in_effect for in_effect in later if in_effect.since < index))
"""
TERMS = """
def terms(entries):
    return tuple(entry.term + 1 for entry in entries if entry.term)
"""
MUTANTS = {mutant.id.removeprefix("core/raft/"): mutant for mutant in core_mutants()}


@pytest.mark.parametrize("function", CLAIMS)
def test_a_comprehension_is_proved(function: str) -> None:
    assert function in CONTRACTS
    assert prove_loop(function) is HOLDS


@pytest.mark.parametrize("id", BROKEN)
def test_a_broken_one_is_refused(id: str) -> None:
    mutant = MUTANTS[id]
    assert prove_loop(mutant.function, mutant.tree) is VIOLATED


def test_what_it_gives_is_looked_at() -> None:
    assert prove_loop("terms", ast.parse(TERMS)) is VIOLATED
    assert prove_loop("up_to", ast.parse(LATER)) is VIOLATED
