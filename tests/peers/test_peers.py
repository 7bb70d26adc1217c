"""Real libraries, unmodified, through the public door: a healthy one holds, and nothing is judged in vain."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from oneleader.conformance import walking
from oneleader.conformance.adapter import Adapter, May
from oneleader.conformance.conform import Driving, again, conform, names
from oneleader.conformance.observations import GIVES_WAY
from oneleader.conformance.trial import FIGURE_3, Event, MakeAdapter
from oneleader.errors import MissingTool
from oneleader.verdict import HOLDS, INCONCLUSIVE
from workshop.peers.peer import PEERS, Peer


def made(name: str) -> Peer:
    """Where its toolchain is missing the test skips and says what to install, and fails in CI."""
    try:
        PEERS[name].make()
    except MissingTool as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    return PEERS[name]


@pytest.fixture(autouse=True)
def _however_busy_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "MOST_SHRINKING", 600.0)


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
def test_an_adapter_is_short(peer: Peer) -> None:
    assert peer.lines < 100


@pytest.mark.parametrize("name", ["etcd", "hashicorp", "PySyncObj"])
def test_a_healthy_one_holds(name: str) -> None:
    with made(name).cluster() as make:
        found = conform(make, walks=20, seed=1)
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    only = {"clients see one register"} if PEERS[name].language == "Python" else set()  # it has no such reads
    assert only <= found.not_judged.keys()
    assert name != "etcd" or found.by_model["pre_vote"]
    assert name != "hashicorp" or found.by_model["membership"]


def test_threads_and_timers_are_the_same_twice() -> None:
    """With the runtime of Go as it is these differ: it draws, of two timers, which is first."""
    with made("hashicorp").cluster() as make:
        differs = [Driving(make, names(3), seed).difference() for seed in (5, 7, 16, 26)]
    assert differs == [""] * 4


def there_and_back(one: str, others: Sequence[str], rounds: int) -> tuple[Event, ...]:
    links = [link for other in others for link in ((one, other), (other, one))]
    return tuple(("burst", *link) for _ in range(rounds) for link in links)


def test_a_server_that_crashes_amid_a_transfer_leaves_nothing_behind() -> None:
    """All have answered, so that no other goroutine of the leader lets time pass when it shuts down."""
    elected = (("timeout", "n1"), *there_and_back("n1", ["n2"], 3), ("heartbeat", "n1"))
    heard = there_and_back("n1", ["n2", "n3"], 4)
    end = (("transfer", "n1", "n2"), ("crash", "n1"), ("restart", "n1"))
    with made("hashicorp").cluster() as make:
        found = again(make, (*elected, *heard, *end))
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    assert found.leaders


# Each event in words, groups and members with a plus: as `make million` found them.
APART = (
    "timeout n3; overtake n3 n1 0; deliver n3 n2; deliver n2 n3; deliver n3 n2; deliver n2 n3; "
    "deliver n3 n2; deliver n2 n3; members n3 n1; deliver n3 n2; deliver n1 n3; deliver n2 n3; "
    "deliver n3 n1; deliver n3 n1; deliver n1 n3; deliver n1 n3; heartbeat n3; lose n3 n1 1; "
    "deliver n3 n1; heartbeat n3; heartbeat n3; deliver n1 n3; timeout n3; deliver n3 n1; "
    "deliver n1 n3; deliver n3 n1; deliver n1 n3; deliver n3 n1; deliver n1 n3; "
    "groups n2 n1+n3; members n3 n2+n3; heal; transfer n3 n2; deliver n3 n2"
)
STORING = (
    "timeout n2; deliver n2 n3; deliver n3 n2; deliver n2 n1; overtake n1 n2 0; "
    "overtake n2 n1 0; deliver n1 n2; groups n2+n3 n1+n4+n5; deliver n2 n3; deliver n3 n2; "
    "deliver n2 n3; deliver n3 n2; transfer n2 n3; timeout n1; deliver n1 n5; deliver n5 n1; "
    "deliver n1 n4; deliver n4 n1; deliver n1 n5; deliver n5 n1; deliver n1 n4; deliver n4 n1; "
    "heartbeat n1; overtake n2 n3 0; groups n1+n3 n2+n4+n5; heartbeat n1; timeout n1; "
    "heartbeat n1; deliver n1 n3"
)


def run(words: str) -> tuple[Event, ...]:
    return tuple(tuple(word.replace("+", " ") for word in event.split()) for event in words.split("; "))


@pytest.mark.parametrize(
    ("nodes", "events", "step"), [(3, APART, May.STANDS_APART), (5, STORING, May.STORES_ON)]
)
def test_what_hashicorp_does_when_leadership_is_handed_over_is_declared(
    nodes: int, events: str, step: May
) -> None:
    with made("hashicorp").cluster() as make:
        found = again(make, run(events), nodes=nodes)
        undeclared = again(without(make, step), run(events), nodes=nodes)
    assert not found.causes, found.text
    assert not undeclared.causes, undeclared.text
    assert ("membership", step) in undeclared.no_word


def test_that_hashicorp_leads_on_against_an_answer_of_a_newer_term_is_found() -> None:
    """Its issue 666: in a walk like any other, where it is not declared."""
    with made("hashicorp").cluster() as make:
        search = Driving(without(make, May.LEADS_ON), names(3), 3)
        search.walk(21, by_model=False)
        (found,) = search.found.causes
        declared = again(make, found.events)
    assert (found.key, len(found.steps)) == (f"{FIGURE_3}: {GIVES_WAY}", 18)
    assert not declared.causes, declared.text


@pytest.mark.parametrize("name", ["raft-rs", "kafka-raft"])
def test_one_that_is_long_to_build_holds(name: str) -> None:
    with made(name).cluster() as make:
        found = conform(make, walks=10, seed=1)
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    assert found.by_model["replication"]


def without(make: MakeAdapter, *undeclared: May) -> MakeAdapter:
    """The same, which declares less."""

    def made_so(nodes: Sequence[str]) -> Adapter:
        adapter = make(nodes)
        adapter.may = tuple({*adapter.may} - {*undeclared})
        return adapter

    return made_so


def test_what_etcd_does_and_the_model_has_no_word_for_has_to_be_declared() -> None:
    with made("etcd").cluster() as make:
        found = conform(without(make, *May), walks=20, seed=1)
    assert (found.verdicts[FIGURE_3], found.verdict) == (HOLDS, INCONCLUSIVE), found.text
    assert ("membership", May.APPLY_MEMBERS) in found.no_word


# n3 is in term 1 when it grants n1 a pre-vote for it, which n1 counts as one for term 2.
FOR_ITS_OWN_TERM: tuple[Event, ...] = (
    ("timeout", "n1"),
    ("deliver", "n1", "n2"),
    ("deliver", "n2", "n1"),
    ("deliver", "n1", "n2"),
    ("timeout", "n3"),
    ("deliver", "n3", "n2"),
    ("overtake", "n2", "n3", "0"),
    ("deliver", "n1", "n3"),
    ("timeout", "n1"),
    ("burst", "n3", "n1"),
)


def test_a_pre_vote_for_a_term_that_its_voter_has_reached_binds_nobody_either() -> None:
    with made("etcd").cluster() as make:
        found = again(make, FOR_ITS_OWN_TERM)
        undeclared = again(without(make, May.LATE_PRE_VOTES), FOR_ITS_OWN_TERM)
    assert not found.causes, found.text
    assert ("pre_vote", May.LATE_PRE_VOTES) in undeclared.no_word, undeclared.text


def test_what_was_mended_since_is_found() -> None:
    """By an application that is late, in etcd's raft of 2019 and not in today's."""
    with made("etcd 3.4.3, late to apply").cluster() as make:
        found = conform(make, walks=24, seed=20)
    keys = {"exception: can't leave a non-joint config", "Figure 3: Leader Completeness"}
    assert {cause.key for cause in found.causes} >= keys
    with made("etcd, late to apply").cluster() as make:
        for cause in found.causes:
            assert not again(make, cause.events).causes


VOTE, TERM = "Figure 3: terms and commit indices grow", "Figure 3: promises survive a restart"
R2 = "membership: change_config: last_is_committed (dissertation 4.1, R2)"
STORES = "Figure 3: a quorum stores what is committed"
OWN = "replication: advance_commit: entry_is_own (section 5.4.2 and Figure 8)"


@pytest.mark.parametrize(
    ("name", "walks", "seed", "wrong"),
    [
        ("PySyncObj without a journal", 1, 1, {TERM: 4}),
        ("PySyncObj 0.3.12", 1, 1, {TERM: 4}),  # mended since
        ("raftos", 5, 1, {VOTE: 2}),
        ("PySyncObj whose members change", 8, 2, {R2: 11}),
        ("libraft", 10, 3, {OWN: 23, STORES: 21}),  # the first is mended since
    ],
)
def test_what_is_wrong_is_found_with_its_shortest_run(
    name: str, walks: int, seed: int, wrong: dict[str, int]
) -> None:
    with made(name).cluster() as make:
        found = conform(make, walks=walks, seed=seed)
    assert wrong.items() <= {cause.key: len(cause.steps) for cause in found.causes}.items(), found.text
