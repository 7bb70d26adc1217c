"""Symmetry: which renamings there are, and that identifying their images loses no state."""

from __future__ import annotations

import pytest

from oneleader.language.configuration import Configuration, cluster
from oneleader.language.symmetry import renamings
from oneleader.models.election import MODEL
from oneleader.readers.compiled import Compiled
from oneleader.readers.explore import explore
from oneleader.readers.run import Run, State


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
    configuration = cluster(MODEL, nodes=nodes, terms=1, quorums=quorums)
    found = renamings(MODEL, configuration)
    assert len(found) == order
    assert len({tuple(sorted(r.values.items())) for r in found}) == order
    assert all(table == (*range(len(table) - 1), -1) for table in found[0].values.values())  # the identity
    member = configuration.constants["member"]
    for renaming in found:
        node, quorum = renaming.values["Node"], renaming.values["Quorum"]
        assert {(node[n], quorum[q]) for n, q in member} == member


def test_sorts_without_constants_are_renamed_freely() -> None:
    from oneleader.models import lock

    configuration = Configuration({"Client": ("a", "b", "c")}, {"Token": 1})
    assert len(renamings(lock.MODEL, configuration)) == 6


def reachable(engine: Compiled) -> set[State]:
    """All states up to renaming, found without the explorer."""
    first = engine.canonical(engine.run.initial)
    seen, left = {first}, [first]
    while left:
        for _, after in engine.successors(left.pop()):
            state = after and engine.canonical(after)
            if state and state not in seen:
                seen.add(state)
                left.append(state)
    return seen


def images(run: Run, state: State) -> set[State]:
    """The state under every renaming, computed cell by cell."""
    at = {(f.name, key): i for i, (f, key) in enumerate(run.cells.keys)}
    found = set()
    for renaming in renamings(run.model, run.configuration):
        image = list(state)
        for (f, key), value in zip(run.cells.keys, state, strict=True):
            of = f.name == "voted_for"  # the only field of the election whose values are nodes
            image[at[f.name, renaming.index(f, key)]] = renaming.values["Node"][value] if of else value
        found.add(tuple(image))
    return found


def test_orbits_expand_to_every_state() -> None:
    configuration = cluster(MODEL, nodes=3, terms=2)
    run = Run(MODEL, configuration)
    orbits = reachable(Compiled(run, renamings(MODEL, configuration)))
    everything = reachable(Compiled(run))
    assert (len(orbits), len(everything)) == (2_467, 14_387)
    expanded = [images(run, state) for state in orbits]
    assert sum(map(len, expanded)) == 14_387  # disjoint
    assert set().union(*expanded) == everything


@pytest.mark.parametrize("quorums", ["majority", "n1 n2, n1 n3"])
def test_canonical_is_idempotent_and_the_same_for_all_images(quorums: str) -> None:
    configuration = cluster(MODEL, nodes=3, terms=1, quorums=quorums)
    run = Run(MODEL, configuration)
    engine = Compiled(run, renamings(MODEL, configuration))
    for state in reachable(Compiled(run)):
        canonical = engine.canonical(state)
        assert engine.canonical(canonical) == canonical
        assert {engine.canonical(image) for image in images(run, state)} == {canonical}
        assert canonical in images(run, state)


def test_other_quorums_have_fewer_symmetries_and_the_same_verdict() -> None:
    configuration = cluster(MODEL, nodes=3, terms=1, quorums="n1 n2, n1 n3")
    full, less = (explore(MODEL, configuration, symmetry=s) for s in (False, True))
    assert (full.symmetry, less.symmetry) == (1, 2)
    assert (full.verdict, full.depth, full.witnesses) == (less.verdict, less.depth, less.witnesses)
    assert full.states / 2 < less.states < full.states


def test_too_many_renamings_are_none() -> None:
    """Seven nodes have 5,040: no symmetry is as sound, and cheaper."""
    assert len(renamings(MODEL, cluster(MODEL, nodes=6, terms=1))) == 720
    assert len(renamings(MODEL, cluster(MODEL, nodes=7, terms=1))) == 1
