"""Which state stands for an orbit: both engines choose the same one, and no state is lost or kept twice."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from oneleader.language.configuration import Configuration, bounded
from oneleader.language.symmetry import renamings
from oneleader.models import lock
from oneleader.models.election import MODEL
from oneleader.readers.engines import orbits as module
from oneleader.readers.engines.native import Native
from oneleader.readers.engines.orbits import Orbits
from oneleader.readers.engines.packing import Packing, Rows
from oneleader.readers.engines.vector import Vector
from oneleader.readers.explore.explore import ENGINES, explore
from oneleader.readers.run import Run, State
from oneleader.readers.tlc import tlc
from oneleader.shipped import tla_folder

GHOSTS = frozenset({"elected_by", "unsent"})
RUNS = {
    "three nodes": Run(MODEL, bounded(MODEL, nodes=3, terms=2)),
    "with ghosts": Run(MODEL, bounded(MODEL, nodes=3, terms=2), GHOSTS),
    "a special node": Run(MODEL, bounded(MODEL, nodes=3, terms=2, quorums="n1 n2, n1 n3")),
    "a square": Run(
        MODEL.without_axiom("quorums_intersect"),
        bounded(MODEL, nodes=4, terms=1, quorums="n1 n2, n2 n3, n3 n4, n4 n1"),
    ),
    "five nodes": Run(MODEL, bounded(MODEL, nodes=5, terms=2)),
    "clients": Run(lock.MODEL, Configuration({"Client": ("a", "b", "c")}, {"Token": 3})),
}


def drawn(run: Run, seed: int, states: int = 60) -> list[State]:
    """States of random runs, so that few are symmetric and some are."""
    dice, vector = random.Random(seed), Vector(run)
    rows = vector.packing.pack([run.initial])
    found: list[State] = []
    while len(found) < states:
        found += vector.packing.unpack(rows)
        after = vector.expand(rows, idle=False).rows
        rows = after[dice.sample(range(len(after)), k=min(4, len(after)))]
        if not len(rows) or dice.random() < 0.05:
            rows = vector.packing.pack([run.initial])
    return found


def images(run: Run, state: State) -> Iterator[State]:
    """The state under every renaming, computed cell by cell."""
    at = {(f.name, key): i for i, (f, key) in enumerate(run.cells.keys)}
    sorts = {"voted_for": "Node", "elected_by": "Quorum", "holder": "Client"}
    for renaming in renamings(run.model, run.configuration):
        image = list(state)
        for (f, key), value in zip(run.cells.keys, state, strict=True):
            table = renaming.values.get(sorts.get(f.name, ""))
            image[at[f.name, renaming.index(f, key)]] = table[value] if table else value
        yield tuple(image)


@pytest.mark.parametrize("name", RUNS)
def test_all_images_of_a_state_have_one_representative_that_is_among_them(name: str) -> None:
    run = RUNS[name]
    packing = Packing(run)
    orbits = Orbits.of(run, packing)
    native = Native(run, orbits=orbits)
    for state in drawn(run, seed=4, states=12 if name == "five nodes" else 60):
        rows = packing.pack([*images(run, state)])
        assert len(rows) == orbits.order
        canonical = orbits.canonical(rows)
        assert (canonical == canonical[0]).all()
        assert (rows == canonical[0]).all(axis=1).any()
        assert (native.canonical(rows) == canonical).all()
        assert (orbits.least(rows) == rows[np.lexsort(rows.T[::-1])[0]]).all()


def test_orbits_expand_to_every_state() -> None:
    """14,387 states in 2,467 orbits: the orbits are disjoint and cover them."""
    run = RUNS["three nodes"]
    packing = Packing(run)
    expanded = [{*images(run, state)} for state in packing.unpack(_reachable(run, Orbits.of(run, packing)))]
    everything = {*packing.unpack(_reachable(run, None))}
    assert (len(expanded), len(everything)) == (2_467, 14_387)
    assert sum(map(len, expanded)) == 14_387
    assert set().union(*expanded) == everything


def _reachable(run: Run, orbits: Orbits | None) -> Rows:
    vector = Vector(run, orbits=orbits)
    seen = new = vector.canonical(vector.packing.pack([run.initial]))
    while len(new):
        found = np.unique(vector.expand(new, idle=False).rows, axis=0)
        known = {*map(tuple, seen.tolist())}
        new = found[[tuple(row) not in known for row in found.tolist()]]
        seen = np.concatenate([seen, new])
    return seen


def test_few_ties_need_few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """What signatures are for: of 120 renamings, a few are tried."""
    run = RUNS["five nodes"]
    orbits = Orbits.of(run, Packing(run))
    rows = orbits.packing.pack([s for s in drawn(run, seed=5, states=300) if sum(map(bool, s)) > 15])
    assert len(rows) > 100
    tried: list[int] = []
    plain = module.Images.renamed

    def renamed(self: module.Images, rows: Rows, number: int) -> Rows:
        tried.append(len(rows))
        return plain(self, rows, number)

    monkeypatch.setattr(module.Images, "renamed", renamed)
    orbits.canonical(rows)
    assert sum(tried) < 5 * len(rows)


@pytest.mark.parametrize("engine", ENGINES)
def test_orbits_are_as_many_as_tlc_finds_under_symmetry(engine: str) -> None:
    try:
        tlc.find_java(), tlc.find_jar()
    except tlc.MissingTool as missing:
        pytest.skip(str(missing))
    told = tlc.run(tla_folder() / "MCElection.tla", tla_folder() / "MCElection_symmetry.cfg", workers=1)
    found = explore(MODEL, bounded(MODEL, nodes=3, terms=2), engine=engine)
    assert (found.states, found.depth) == (told.distinct, told.depth - 1)
