"""Real libraries, unmodified, through the public door: a healthy one holds, and nothing is judged in vain."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from oneleader.conformance.adapter import Adapter, May
from oneleader.conformance.conform import conform
from oneleader.conformance.trial import FIGURE_3
from oneleader.errors import MissingTool
from oneleader.verdict import HOLDS, INCONCLUSIVE
from workshop.peers.peer import BUILT, PEERS, Peer


def made(name: str) -> Peer:
    """Where its toolchain is missing the test skips and says what to install, and fails in CI."""
    try:
        PEERS[name].make()
    except MissingTool as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    return PEERS[name]


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
def test_an_adapter_is_short(peer: Peer) -> None:
    # Calls made messages; the protocol in the same file; changes of members.
    most = {"hashicorp": 260, "raft-rs": 130, "etcd": 140, "kafka-raft": 200}
    assert peer.lines < most.get(peer.name, 100)


@pytest.mark.parametrize("name", ["etcd", "hashicorp", "PySyncObj"])
def test_a_healthy_one_holds(name: str) -> None:
    with made(name).cluster() as make:
        tries = (conform(make, walks=20, seed=seed) for seed in range(1, 7))
        found = next(found for found in tries if not found.differs)  # hashicorp/raft draws its timeouts
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    only = {"clients see one register"} if PEERS[name].language == "Python" else set()  # it has no such reads
    assert only <= found.not_judged.keys()
    assert name != "etcd" or found.by_model["pre_vote"]
    assert name != "hashicorp" or found.by_model["membership"]


@pytest.mark.parametrize(
    ("name", "built"), [("raft-rs", "rust/debug/peers"), ("kafka-raft", "kafka/classes")]
)
def test_one_that_is_long_to_build_holds(name: str, built: str) -> None:
    if not (BUILT / built).exists():
        pytest.skip(f"{name} is built by `make peers`, which takes a minute or more")
    with made(name).cluster() as make:
        found = conform(make, walks=10, seed=1)
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    assert found.by_model["replication"]


def test_what_etcd_does_and_the_model_has_no_word_for_has_to_be_declared() -> None:
    def undeclared(nodes: Sequence[str]) -> Adapter:
        adapter = make(nodes)
        adapter.may = ()
        return adapter

    with made("etcd").cluster() as make:
        found = conform(undeclared, walks=20, seed=1)
    assert (found.verdicts[FIGURE_3], found.verdict) == (HOLDS, INCONCLUSIVE), found.text
    assert ("membership", May.APPLY_MEMBERS) in found.no_word


VOTE, TERM = "Figure 3: terms and commit indices grow", "Figure 3: promises survive a restart"
R2 = "membership: change_config: last_is_committed (dissertation 4.1, R2)"
OWN = "replication: advance_commit: entry_is_own (section 5.4.2 and Figure 8)"
STORED = "replication: advance_commit: quorum_stores (Figure 2, Leaders 4: a majority of matchIndex)"


@pytest.mark.parametrize(
    ("name", "walks", "seed", "wrong"),
    [
        ("PySyncObj without a journal", 5, 1, {TERM: 3}),
        ("PySyncObj 0.3.12", 5, 1, {TERM: 3}),  # mended since
        ("raftos", 5, 1, {VOTE: 2}),
        ("PySyncObj whose members change", 8, 1, {R2: 18}),
        ("libraft", 8, 2, {OWN: 20}),  # mended since
        ("libraft", 8, 3, {STORED: 17}),
    ],
)
def test_what_is_wrong_is_found_with_its_shortest_run(
    name: str, walks: int, seed: int, wrong: dict[str, int]
) -> None:
    with made(name).cluster() as make:
        found = conform(make, walks=walks, seed=seed)
    assert wrong.items() <= {cause.key: len(cause.steps) for cause in found.causes}.items(), found.text
