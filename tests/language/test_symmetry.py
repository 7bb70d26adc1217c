"""Symmetry: which renamings there are, and that identifying their images loses no state."""

from __future__ import annotations

import pytest

from oneleader.language.configuration import Configuration, bounded
from oneleader.language.symmetry import renamings, why_fewer
from oneleader.models import lock
from oneleader.models.election import MODEL
from oneleader.readers.explore.explore import explore


@pytest.mark.parametrize(
    ("nodes", "quorums", "order"),
    [
        (1, "majority", 1),
        (2, "majority", 2),
        (3, "majority", 6),
        (4, "majority", 24),
        (3, "n1 n2, n1 n3", 2),  # n1 is special
        (3, "n1 n2, n2 n3, n1 n3", 6),  # in any order
        (3, "n1 n2 n3", 6),
        (3, "n1 n2", 2),
        (3, "n1 n2, n1 n2", 4),  # one quorum under two names
        (4, "n1 n2 n3, n1 n4", 2),
        (4, "n1 n2, n2 n3, n3 n4, n4 n1", 8),  # a square (whose quorums do not all meet)
    ],
)
def test_number_of_renamings(nodes: int, quorums: str, order: int) -> None:
    configuration = bounded(MODEL, nodes=nodes, terms=1, quorums=quorums)
    found = renamings(MODEL, configuration)
    assert len(found) == order
    assert len({tuple(sorted(r.values.items())) for r in found}) == order
    assert all(table == (*range(len(table) - 1), -1) for table in found[0].values.values())  # the identity
    member = configuration.constants["member"]
    for renaming in found:
        node, quorum = renaming.values["Node"], renaming.values["Quorum"]
        assert {(node[n], quorum[q]) for n, q in member} == member


def test_sorts_without_constants_are_renamed_freely() -> None:
    configuration = Configuration({"Client": ("a", "b", "c")}, {"Token": 1})
    assert len(renamings(lock.MODEL, configuration)) == 6


def test_other_quorums_have_fewer_symmetries_and_the_same_verdict() -> None:
    configuration = bounded(MODEL, nodes=3, terms=1, quorums="n1 n2, n1 n3")
    full, less = (explore(MODEL, configuration, symmetry=s) for s in (False, True))
    assert (full.symmetry, less.symmetry) == (1, 2)
    assert (full.verdict, full.depth, full.witnesses) == (less.verdict, less.depth, less.witnesses)
    assert full.states / 2 < less.states < full.states


@pytest.mark.parametrize(
    ("nodes", "quorums", "sentence"),
    [
        (3, "majority", ""),
        (3, "n1 n2, n1 n3", "2 of 6 renamings are used: the others change member of this configuration"),
        (8, "majority", "5,040 of 40,320 renamings are used: more than 5,040 take longer than they save"),
    ],
)
def test_a_sentence_says_why_not_all_renamings_are_used(nodes: int, quorums: str, sentence: str) -> None:
    configuration = bounded(MODEL, nodes=nodes, terms=1, quorums=quorums)
    group = renamings(MODEL, configuration)
    assert why_fewer(MODEL, configuration, group) == sentence


def test_of_too_many_renamings_a_subgroup_is_left() -> None:
    """Ten clients have 3,628,800: those are used that rename the first seven."""
    configuration = Configuration({"Client": tuple("abcdefghij")}, {"Token": 1})
    group = renamings(lock.MODEL, configuration)
    assert len({r.values["Client"] for r in group}) == 5_040
    assert all(r.values["Client"][7:] == (7, 8, 9, -1) for r in group)
