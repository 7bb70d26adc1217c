"""The correct reference, with all that it can show and does declared: every judge has work, and holds."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from oneleader.conformance.adapter import May
from oneleader.conformance.calm import LEASED, STRANGER
from oneleader.conformance.conform import Driving, again, conform, names
from oneleader.conformance.observations import (
    COMPLETENESS,
    DURABLE,
    LINEARIZABLE,
    STATE_MACHINE,
    STORED,
    UNSYNCED,
)
from oneleader.conformance.reference.whole import WholeReference
from oneleader.conformance.trial import FIGURE_3, Event
from oneleader.errors import UsageError
from oneleader.faults.catalogue import FAULTS, variant
from oneleader.faults.fault import Unlive
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from oneleader_raft.core import Core

CHANGE = "membership: change_config"
WAITS = "promise_ran_out (dissertation 6.4.1: a server that acknowledged waits)"
DUE = "vote_is_due (dissertation 4.2.3: but for a transfer)"


class Declared(WholeReference):
    # Members take effect when they are appended, and join when they have caught up.
    may = tuple(set(May) - {May.APPLY_MEMBERS, May.JOIN_EARLY, May.LEADS_ON})


LONG: Event = ("elapse", "n1=150", "n2=150", "n3=150")  # no promise binds after it

# It crashes as it asks, comes back and asks again: the answer to its first request counts as well.
ASKS_TWICE: tuple[Event, ...] = (
    LONG,
    ("crash_next", "n3", "before the sends"),
    ("timeout", "n3"),
    ("restart", "n3"),
    ("deliver", "n3", "n2"),
    LONG,
    ("timeout", "n3"),
    ("deliver", "n2", "n3"),
)


class Silent(WholeReference):
    may = tuple(set(May) - {May.HAND_OVER})


@pytest.mark.parametrize("nodes", [3, 5])
def test_the_reference_holds(nodes: int) -> None:
    found = conform(Declared, walks=30, nodes=nodes, seed=1, liveness=nodes == 3)
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    assert found.not_judged.keys() == {UNSYNCED}  # its steps sync what they write
    assert found.by_model == dict.fromkeys(("election", "replication", "membership", "pre_vote", "lease"), 15)
    assert not found.in_part["membership"]  # it follows each walk to its end


@pytest.mark.parametrize(
    ("id", "cause"),
    [
        ("term-is-not-told", "a bare majority elects a leader"),
        ("no-check-quorum", "a leader that hears nobody steps down"),
        ("transfer-never-ends", LEASED),
    ],
)
def test_what_lasts_is_asked_about_too(id: str, cause: str) -> None:
    """A server that is down all the time, links that carry nothing one way."""
    unlive = FAULTS[id].unlive
    assert isinstance(unlive, Unlive)
    is_found_after_calm(unlive.core, 3, cause)


def test_a_member_that_cannot_be_reached_takes_no_majority_away() -> None:
    is_found_after_calm(variant("joins-at-once"), 4, STRANGER)
    search = Driving(Declared, names(4), 0, (), True)
    for number in range(5):
        search.walk(number)
    assert search.found.liveness[STRANGER] == ""
    assert not search.found.causes


def is_found_after_calm(core: Core, nodes: int, cause: str) -> None:
    search = Driving(partial(Declared, core=core), names(nodes), 0, (), True, shortens=False)
    while not search.found.causes and search.found.walks < 30:
        search.walk(search.found.walks, by_model=False)
    assert [found.key for found in search.found.causes] == [f"liveness: {cause}"]


@pytest.mark.parametrize(
    "id",
    [
        "suffix-stays",
        "snapshot-of-the-latest-configuration",
        "state-not-restored",
        "stale-refusal-counts",
        "retries-apply-twice",
    ],
)
def test_an_episode_leads_there(id: str) -> None:
    """Walks without it found none of these in 240."""
    search = Driving(partial(Declared, core=variant(id)), names(3), 0, (), False, shortens=False)
    while not search.found.causes and search.found.walks < 120:
        search.walk(search.found.walks)
    assert search.found.verdict is VIOLATED, search.found.text


# n1 removes itself, n2 is elected, removes itself too, and stands all the same: it is elected by n3, makes an
# entry, and steps down in the step in which it has won.
FOR_A_MOMENT = (
    "elapse n1=170 n2=153 n3=170; timeout n1; deliver n1 n3; deliver n3 n1; deliver n1 n2; deliver n1 n2; "
    "deliver n2 n1; deliver n2 n1; deliver n1 n3; deliver n1 n2; deliver n2 n1; members n1 n2+n3; "
    "deliver n1 n2; deliver n1 n2; deliver n1 n3; deliver n1 n3; deliver n1 n3; "
    "elapse n1=170 n2=153 n3=170; timeout n2; deliver n2 n3; deliver n3 n2; deliver n2 n3; deliver n3 n2; "
    "deliver n2 n3; deliver n3 n2; members n2 n3; deliver n2 n3; deliver n2 n3; deliver n3 n2; "
    "deliver n3 n2; elapse n1=170 n2=153 n3=170; timeout n2; deliver n2 n3; deliver n3 n2; "
    "deliver n2 n3; deliver n3 n2"
)


def test_who_leads_for_a_moment_has_not_taken_its_entry_from_another() -> None:
    events = tuple(tuple(w.replace("+", " ") for w in event.split()) for event in FOR_A_MOMENT.split("; "))
    found = again(partial(Declared, core=variant("stands-within-its-promise")), events)
    assert found.steps == 2 * len(events)
    assert not found.causes, found.text


@pytest.mark.parametrize("id", ["vote-twice", "vote-cleared", "no-quorum"])
def test_a_fault_of_its_core_is_found(id: str) -> None:
    search = Driving(partial(Declared, core=variant(id)), names(3), 1, (), False, shortens=False)
    while not search.found.causes and search.found.walks < 60:
        search.walk(search.found.walks)
    assert search.found.verdict is VIOLATED, search.found.text


@pytest.mark.parametrize(
    ("id", "cause"),
    [
        ("no-pre-vote", "pre_vote: start_election: quorum_pre_voted (dissertation 9.6)"),
        ("votes-within-its-promise", "pre_vote: update_term: leader_is_silent (dissertation 4.2.3)"),
        ("votes-within-its-promise", f"lease: grant_vote: {DUE}"),
        ("promise-forgotten", f"lease: grant_vote: {DUE}"),
        ("lease-in-ticks", "lease: observation: lease"),
        ("lease-from-receipt", "lease: observation: lease"),
        ("lease-as-long-as-the-promise", "lease: observation: lease"),
        ("transfer-keeps-the-lease", "lease: observation: lease"),
        ("lease-taken-again", "lease: observation: lease"),
        ("stands-within-its-promise", f"lease: start_election: {WAITS}"),
        ("reads-before-its-no-op", f"{FIGURE_3}: {LINEARIZABLE}"),
        ("answers-before-storing", "replication: become_leader: quorum_voted (section 5.2: majority)"),
        ("vote-not-durable", f"{FIGURE_3}: {DURABLE}"),
        ("snapshot-of-anything", f"{FIGURE_3}: {STORED}"),
        ("sends-what-is-gone", f"{FIGURE_3}: {STATE_MACHINE}"),
        ("change-upon-change", f"{FIGURE_3}: {COMPLETENESS}"),
        ("several-at-once", f"{CHANGE}: is_adjacent (dissertation 4.1 and 4.3, R1: one server, or joint)"),
        ("change-upon-change", f"{CHANGE}: last_is_committed (dissertation 4.1, R2)"),
        ("added-and-added", f"{CHANGE}: own_is_committed (raft-dev, July 2015, R3)"),
        ("removed-leader-counts-itself", f"{FIGURE_3}: {STORED}"),
    ],
)
def test_a_fault_is_found_by_its_judge(id: str, cause: str) -> None:
    search = Driving(partial(Declared, core=variant(id)), names(3), 1, (), False, shortens=False)
    keys: list[str] = []
    for number in range(90):
        search.walk(number, by_model=not cause.startswith(FIGURE_3))
        if cause in (keys := [c.key for c in search.found.causes]):
            return
    pytest.fail(f"{cause} is not among {keys}")


def test_a_vote_that_arrives_twice_counts_twice() -> None:
    """With four servers: of three, two votes are a majority in any case."""
    search = Driving(partial(Declared, core=variant("double-count")), names(4), 1, (), False, shortens=False)
    while not search.found.causes and search.found.walks < 90:
        search.walk(search.found.walks)
    assert {cause.key.split()[1] for cause in search.found.causes} == {"become_leader:"}


def test_time_is_what_the_walk_says() -> None:
    """Who has just started is bound, as if it had promised: its timer rings too early."""
    cluster = Declared(names(3))
    assert not cluster.timeout("n1").sent
    cluster.elapse(dict.fromkeys(names(3), cluster.promise))
    assert cluster.timeout("n1").sent


def test_a_server_that_crashes_as_it_asks_has_asked() -> None:
    found = again(Declared, ASKS_TWICE)
    assert not found.causes, found.text


def test_without_a_declaration_a_transfer_is_inconclusive_by_its_name() -> None:
    found = conform(Silent, walks=20, seed=1)
    assert found.verdict is INCONCLUSIVE, found.text
    assert ("pre_vote", May.HAND_OVER) in found.no_word


def test_members_that_join_at_once_are_inconclusive_by_name() -> None:
    """n4 was removed and has missed an entry; it counts again before it has it."""
    search = Driving(partial(Declared, core=variant("joins-at-once")), names(4), 1, (), False)
    for number in range(1, 60, 2):
        search.walk(number)
        if search.found.no_word:
            break
    assert search.found.no_word == {("membership", May.JOIN_EARLY)}
    assert not search.found.causes


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"models": ("paxos",)}, "the adapter names the model 'paxos': choose from pre_vote, lease"),
        ({"lease": 150}, "a lease is safe up to promise"),
        ({"promise": 0, "lease": 0}, "a lease is safe up to promise"),
    ],
)
def test_an_adapter_that_names_what_cannot_be_judged(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        conform(type("Wrong", (Declared,), wrong), walks=2, seed=1)
