"""Majorities of adjacent configurations meet: proved for sets of any size, and tried on all small ones."""

from __future__ import annotations

from itertools import combinations

import pytest
import z3

from oneleader.language.members import Members, system
from oneleader.readers.prove import counting

SETS = [frozenset(s) for size in (1, 2, 3, 4) for s in combinations(range(4), size)]


def test_all_lemmas_are_proved() -> None:
    assert len(list(counting.lemmas())) == 3
    assert counting.unproved() == []


def test_two_servers_at_once_are_too_many() -> None:
    """The lemma can fail: one of two servers is none of the other two."""
    assert not counting.is_impossible(counting.disjoint_majorities(2))


def test_the_assumptions_about_joint_quorums_can_be_met() -> None:
    """It is the last part, that two of them share no server, that is impossible."""
    *assumed, _ = counting.disjoint_from_joint().children()
    assert len(assumed) == 3
    assert not counting.is_impossible(z3.And(*assumed))


@pytest.mark.parametrize("one", SETS, ids=lambda s: " ".join(f"n{n + 1}" for n in sorted(s)))
def test_all_small_configurations(one: frozenset[int]) -> None:
    """What `members` calls adjacent meets, joint ones too; and some that it does not call so do not."""
    every = [Members((s,)) for s in SETS] + [Members((one, s)) for s in SETS if s != one]
    made = system([Members((one,)), *(c for c in every if c != Members((one,)))])
    quorums = {c: [made.quorums[q] for q, of in made.quorum_of if of == c] for c in range(len(every))}
    apart = {
        (c, d) for c in quorums for d in quorums if any(not p & q for p in quorums[c] for q in quorums[d])
    }
    assert made.adjacent
    assert not apart & made.adjacent
    assert apart
