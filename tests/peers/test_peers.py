"""Real libraries, unmodified, through the public door: a healthy one holds, and nothing is judged in vain."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from oneleader.conformance.adapter import Adapter
from oneleader.conformance.conform import conform
from oneleader.conformance.trial import FIGURE_3, MakeAdapter
from oneleader.errors import MissingTool
from oneleader.verdict import HOLDS, INCONCLUSIVE
from workshop.peers.peer import PEERS, Peer


@contextmanager
def cluster(name: str) -> Iterator[MakeAdapter]:
    """A peer's; where its toolchain is missing the test skips and says what to install, and fails in CI."""
    try:
        PEERS[name].make()
    except MissingTool as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    with PEERS[name].cluster() as make:
        yield make


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
def test_an_adapter_is_short(peer: Peer) -> None:
    assert peer.lines < 100


@pytest.mark.parametrize("name", ["etcd", "PySyncObj, with a journal"])
def test_a_healthy_one_holds(name: str) -> None:
    with cluster(name) as make:
        found = conform(make, walks=30, seed=1)
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    only = {"clients see one register"} if PEERS[name].language == "Python" else set()  # it has no such reads
    assert only <= found.not_judged.keys()


def test_what_etcd_does_and_the_model_has_no_word_for_has_to_be_declared() -> None:
    def undeclared(nodes: Sequence[str]) -> Adapter:
        adapter = make(nodes)
        adapter.may = ()
        return adapter

    with cluster("etcd") as make:
        found = conform(undeclared, walks=40, seed=1)
    assert (found.verdicts[FIGURE_3], found.verdict) == (HOLDS, INCONCLUSIVE), found.text
    assert found.no_word


WRONG = [
    ("PySyncObj, as it comes", "Figure 3: promises survive a restart", 3),
    ("raftos", "Figure 3: promises survive a restart", 3),
    ("raftos", "Figure 3: terms and commit indices grow", 2),
]


@pytest.mark.parametrize(("name", "wrong", "steps"), WRONG)
def test_what_is_wrong_is_found_with_its_shortest_run(name: str, wrong: str, steps: int) -> None:
    with cluster(name) as make:
        known = [other for peer, other, _ in WRONG if peer == name and other != wrong]
        found = conform(make, walks=16, seed=1, known=known)
    assert {cause.key: len(cause.steps) for cause in found.causes}.get(wrong) == steps, found.text
