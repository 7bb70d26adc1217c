"""All that the core sends is possible, and nothing of each class of messages that nobody can have sent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneleader.conformance.reference.drawn import ChangingMachine, draw
from oneleader_raft import raft
from oneleader_raft.configuration import InEffect, Membership
from oneleader_raft.core import RAFT
from oneleader_raft.lease import LONG_AGO, NO_ROUND, Round
from oneleader_raft.messages import (
    KINDS,
    MOST,
    TERMS_MISSED,
    ImpossibleMessageError,
    sender,
    why_contradicted,
    why_impossible,
)
from oneleader_raft.raft import (
    AppendEntries,
    AppendReply,
    Durable,
    Entry,
    Event,
    InstallSnapshot,
    Message,
    Node,
    PreVoteReply,
    Receive,
    RequestPreVote,
    RequestVote,
    Role,
    Send,
    Snapshot,
    Step,
    TimeoutNow,
    VoteReply,
)
from oneleader_raft.testbench.cluster import Cluster
from oneleader_raft.testbench.simulator import CHANGING, Simulation

MEMBERS = ("n1", "n2", "n3")
ROUND = Round(3, 40)
JOINT = Membership(("n1", "n4"), old=("n1", "n2"))
LOG = (Entry(1, "no-op"), Entry(1, "a"), Entry(3, "no-op"))


def why(m: Any, source: str = "n2", to: str = "n1") -> str:
    return why_impossible(m, source, to, MEMBERS)


# --- What the core sends ----------------------------------------------------------------------------------


class Sending:
    """The core, and all that it sends, whether or not it arrives. What arrives the cluster judges itself."""

    def __init__(self) -> None:
        self.sent: list[tuple[Message, str]] = []
        self.core = replace(RAFT, step=self.step)

    def step(self, node: Node, event: Event, now: int) -> Step:
        taken = raft.step(node, event, now)
        self.sent += ((e.message, e.to) for e in taken.effects if isinstance(e, Send))
        return taken


def all_possible(sending: Sending, servers: Collection[str]) -> set[type]:
    for message, to in sending.sent:
        assert why_impossible(message, sender(message), to, servers) == ""
    return {type(message) for message, _ in sending.sent}


@pytest.mark.parametrize(("servers", "seed"), [(2, 1), (3, 2), (3, 3), (4, 4), (5, 5)])
def test_all_that_the_core_sends_is_possible(servers: int, seed: int) -> None:
    sending, members = Sending(), tuple(f"n{i + 1}" for i in range(servers))
    Simulation(members, seed, core=sending.core, traced=False).run(10_000)
    assert all_possible(sending, members) >= {*KINDS} - {TimeoutNow, InstallSnapshot}


@pytest.mark.parametrize("seed", [1, 2])
def test_and_where_members_change(seed: int) -> None:
    sending = Sending()
    simulation = Simulation(MEMBERS, seed, CHANGING, sending.core, traced=False)
    simulation.run(10_000)
    assert all_possible(sending, simulation.cluster.members) >= {*KINDS} - {TimeoutNow}


def test_and_in_drawn_scenarios() -> None:
    """What a seed draws depends on the modules that are loaded: Hypothesis takes constants from them."""
    sending, sent = Sending(), set[type]()
    for seed in range(1, 9):
        if sent != {*KINDS}:
            draw(ChangingMachine, sending.core, joining=1, examples=30, seed=seed)
            sent = all_possible(sending, (*MEMBERS, "n4"))
    assert sent == {*KINDS}


# --- By the message alone ---------------------------------------------------------------------------------

POSSIBLE: dict[str, Message] = {
    "pre-vote": RequestPreVote(4, "n2", 3, 3),
    "pre-vote, empty log": RequestPreVote(1, "n2", 0, 0),
    "pre-vote reply": PreVoteReply(4, "n2", True),
    "vote": RequestVote(4, "n2", 3, 3),
    "vote, long ago": RequestVote(9, "n2", 3, 1),
    "forced vote": RequestVote(4, "n2", 3, 3, "n3"),
    "vote reply": VoteReply(4, "n2", False),
    "entries": AppendEntries(3, "n2", 1, 1, LOG[1:], 2, ROUND),
    "whole log": AppendEntries(3, "n2", 0, 0, LOG, 0, ROUND),
    "heartbeat": AppendEntries(3, "n2", 3, 3, (), 3, ROUND),
    "success": AppendReply(3, "n2", True, ROUND, 3),
    "conflict": AppendReply(3, "n2", False, ROUND, 1, 2),
    "short log": AppendReply(3, "n2", False, ROUND, 1),
    "newer term": AppendReply(3, "n2", False, NO_ROUND, 0),
    "stand": TimeoutNow(3, "n2"),
    "a change": AppendEntries(3, "n2", 1, 1, (Entry(3, Membership(("n1", "n2"))),), 1, ROUND),
    "a joint change": AppendEntries(3, "n2", 1, 1, (Entry(3, JOINT),), 1, ROUND),
    "snapshot": InstallSnapshot(3, "n2", Snapshot(2, 1, InEffect(0, Membership(MEMBERS)), "x"), ROUND),
    "snapshot while joint": InstallSnapshot(3, "n2", Snapshot(2, 3, InEffect(2, JOINT), "x"), ROUND),
}
P, J = (POSSIBLE[name] for name in ("snapshot", "a joint change"))
E, H, S, C = (POSSIBLE[name] for name in ("entries", "heartbeat", "success", "conflict"))
V, F, N = (POSSIBLE[name] for name in ("vote", "forced vote", "newer term"))


def with_snapshot(**different: Any) -> Message:
    assert isinstance(P, InstallSnapshot)
    return replace(P, snapshot=replace(P.snapshot, **different))


def changes(to: Membership) -> Message:
    return replace(J, entries=(Entry(3, to),))  # type: ignore[call-arg]


IMPOSSIBLE: dict[str, Any] = {
    "index 0 with a term": replace(E, prev_log_index=0, prev_log_term=3),
    "an index without a term": replace(E, prev_log_term=0),
    "the same, of a log": replace(V, last_log_index=0),
    "and so": replace(V, last_log_term=0),
    "entries whose terms decrease": replace(E, entries=(Entry(3, "x"), Entry(1, "y"))),
    "entries older than what is before": replace(E, prev_log_term=2),
    "an entry of a later term": replace(E, entries=(Entry(4, "x"),)),
    "an entry of term 0": replace(E, prev_log_index=0, prev_log_term=0, entries=(Entry(0, "x"),)),
    "before it a later term": replace(H, prev_log_term=4),
    "a heartbeat of a leader without an entry": replace(H, prev_log_term=2),
    "an empty log that leads": replace(H, prev_log_index=0, prev_log_term=0, leader_commit=0),
    "a commit beyond the entries": replace(E, leader_commit=4),
    "a commit beyond the log": replace(H, leader_commit=4),
    "entries outside a round": replace(E, round=NO_ROUND),
    "a round without a time": replace(E, round=Round(3, LONG_AGO)),
    "a time without a round": replace(S, round=Round(0, 40)),
    "a log too long": replace(E, prev_log_index=MOST - 1),
    "a success that answers nothing": replace(N, success=True),
    "a success at index 0": replace(S, index=0),
    "a success with a conflict": replace(S, conflict_term=2),
    "a conflict in the leader's term": replace(C, conflict_term=3),
    "a conflict at index 0": replace(C, index=0),
    "a newer term with an index": replace(N, index=1),
    "a newer term with a conflict": replace(N, conflict_term=1),
    "a log of the term asked for": replace(V, last_log_term=4),
    "a log of a later term": replace(V, last_log_term=5),
    "forced by itself": replace(F, forced_by="n2"),
    "forced without the leader's entries": replace(F, last_log_term=2),
    "forced with an empty log": replace(F, last_log_index=0, last_log_term=0),
    "no message": Entry(1, "x"),
    "nothing": None,
    "a class": AppendEntries,
    "entries in a list": replace(E, entries=[*LOG[1:]]),
    "entries that are none": replace(E, entries=(VoteReply(1, "n2", True),)),
    "no entries": replace(E, entries=None),
    "a command that cannot be hashed": replace(E, entries=(Entry(1, ["x"]), Entry(3, "y"))),
    "no round": replace(E, round=None),
    "a round of floats": replace(E, round=Round(3.0, 40)),
    "a word for a truth": replace(S, success="yes"),
    "a number for a truth": replace(S, success=1),
    "a number for a leader": replace(F, forced_by=3),
    "a snapshot of nothing": with_snapshot(index=0),
    "a snapshot without a term": with_snapshot(term=0),
    "a snapshot of a later term": with_snapshot(term=4),
    "a snapshot with a later configuration": with_snapshot(in_effect=InEffect(3, Membership(MEMBERS))),
    "a snapshot of a cluster of nobody": with_snapshot(in_effect=InEffect(1, Membership(()))),
    "a snapshot without a configuration": with_snapshot(in_effect=None),
    "a snapshot outside a round": replace(P, round=NO_ROUND),
    "no snapshot": replace(P, snapshot=None),
    "a change to nobody": changes(Membership(())),
    "a change to one twice": changes(Membership(("n1", "n1"))),
    "members in disorder": changes(Membership(("n2", "n1"))),
    "joint with the same": changes(Membership(("n1", "n2"), old=("n1", "n2"))),
    "members in a list": changes(Membership(["n1", "n2"])),  # type: ignore[arg-type]
    "members that are numbers": changes(Membership((1, 2))),  # type: ignore[arg-type]
    "members that are one number": changes(Membership(1)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", POSSIBLE)
def test_a_possible_message(name: str) -> None:
    assert why(POSSIBLE[name]) == ""


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_an_impossible_message(name: str) -> None:
    assert why(IMPOSSIBLE[name]), IMPOSSIBLE[name]


@pytest.mark.parametrize("name", POSSIBLE)
def test_each_number_of_each_message(name: str) -> None:
    """Negative, a truth, a float, a word, nothing, absurdly great; and term 0."""
    message = POSSIBLE[name]
    for field in fields(message):
        if type(getattr(message, field.name)) is int:
            for wrong in (-1, True, 1.0, float("nan"), "1", None, MOST, 2**63, 10**30):
                assert why(replace(message, **{field.name: wrong})), (field.name, wrong)
    assert "term 0" in why(replace(message, term=0))


@pytest.mark.parametrize("name", POSSIBLE)
@pytest.mark.parametrize(
    ("source", "to"), [("n3", "n1"), ("n2", "n2"), ("n2", "n9"), ("n9", "n1"), ("", "n1"), ("n1", "n2")]
)
def test_from_whom_and_to_whom(name: str, source: str, to: str) -> None:
    assert why(POSSIBLE[name], source, to)


def test_a_sender_is_a_member() -> None:
    """A leader that names itself as the follower, a stranger, and what is no name."""
    for name in ("n1", "n9", 2, None, True):
        assert why(replace(S, follower_id=name), source=name, to="n1"), name  # type: ignore[arg-type]


# --- By what the receiver knows ---------------------------------------------------------------------------


def receiver(**changes: Any) -> Node:
    """n1, a follower of n2 in term 3, that has two entries, the first of which is committed."""
    node = raft.restart("n1", MEMBERS, Durable(3, None, LOG[:2]), now=0).node
    return replace(node, **{"commit_index": 1, "leader_id": "n2", **changes})


def leading() -> Node:
    """n1, the leader of term 3, with three entries."""
    leadership = raft.Leadership(0, 3, {n: raft.Progress(4) for n in ("n2", "n3")}, ROUND)
    return receiver(role=Role.LEADER, leader_id="n1", log=LOG, voted_for="n1", leadership=leadership)


def compacted() -> Node:
    """The same server, whose first entry is in a snapshot."""
    return raft.step(receiver(), raft.Compact(1, "x"), now=0).node


CONTRADICTED: dict[str, tuple[Node, Message]] = {
    "a match beyond the leader's log": (leading(), replace(S, index=4)),
    "a conflict beyond the leader's log": (leading(), replace(C, index=4)),
    "a round that is to come": (leading(), replace(S, round=Round(4, 41))),
    "a round sent later than it was": (leading(), replace(S, round=Round(3, 41))),
    "a success in a term to come": (receiver(), replace(S, term=4)),
    "a vote that nobody asked for": (receiver(), VoteReply(4, "n2", True)),
    "a pre-vote that nobody asked for": (receiver(), PreVoteReply(5, "n2", True)),
    "an order of a leader to come": (receiver(), TimeoutNow(4, "n2")),
    "an order of another leader": (receiver(), TimeoutNow(3, "n3")),
    "another leader of this term": (receiver(), replace(E, leader_id="n3")),
    "another entry is committed": (receiver(), replace(E, term=4, prev_log_term=2, entries=(Entry(4, "x"),))),
    "what is committed is replaced": (
        receiver(commit_index=2),
        replace(E, term=4, entries=(Entry(2, "x"), Entry(4, "y"))),
    ),
    "one entry of a term, twice": (receiver(), replace(E, entries=(Entry(1, "b"), LOG[2]))),
    "another snapshot is committed": (receiver(), with_snapshot(index=1, term=3)),
    "another configuration was in effect": (
        receiver(),
        with_snapshot(in_effect=InEffect(1, Membership(MEMBERS))),
    ),
    "a snapshot of another leader": (receiver(), replace(P, leader_id="n3")),
    "a term that is out of reach": (receiver(), RequestVote(4 + TERMS_MISSED, "n2", 2, 1)),
    "and told": (receiver(), VoteReply(4 + TERMS_MISSED, "n2", False)),
}


@pytest.mark.parametrize("name", CONTRADICTED)
def test_a_message_that_its_receiver_knows_better(name: str) -> None:
    node, message = CONTRADICTED[name]
    assert why(message, source=sender(message)) == ""
    assert why_contradicted(message, node)


@pytest.mark.parametrize("name", POSSIBLE)
@pytest.mark.parametrize(
    "node",
    [receiver(), receiver(leader_id=None), leading(), receiver(current_term=9, leader_id=None)],
    ids=str,
)
def test_what_may_be_true_is_not_contradicted(node: Node, name: str) -> None:
    message = POSSIBLE[name]
    asked = isinstance(message, PreVoteReply) or message.term <= node.current_term
    is_told = isinstance(message, RequestVote | RequestPreVote) or name in ("vote reply", "newer term")
    if (asked or is_told) and not (
        isinstance(message, AppendEntries | InstallSnapshot | TimeoutNow) and node.role is Role.LEADER
    ):
        assert why_contradicted(message, node) == ""


# --- Never the core ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [m for m in IMPOSSIBLE.values() if isinstance(m, KINDS)], ids=str)
def test_the_cluster_refuses_to_deliver_it(message: Message) -> None:
    with pytest.raises(ImpossibleMessageError, match="nobody can have sent"):
        Cluster(MEMBERS).handle("n1", Receive(message))


NUMBERS = st.integers(-2, 6)
COMMANDS = st.sampled_from(["a", "b", Membership(("n1", "n2")), JOINT])
ANY_ENTRIES = st.lists(st.builds(Entry, NUMBERS, COMMANDS), max_size=3).map(tuple)
ANY_ROUND = st.just(NO_ROUND) | st.builds(Round, NUMBERS, NUMBERS)
ANYBODY = st.sampled_from(["n1", "n2", "n3"])
ANY_CONFIGURATION = st.sampled_from([Membership(MEMBERS), Membership(("n1",)), JOINT])
ANY_SNAPSHOT = st.builds(Snapshot, NUMBERS, NUMBERS, st.builds(InEffect, NUMBERS, ANY_CONFIGURATION))
ANYTHING = st.one_of(
    st.builds(InstallSnapshot, NUMBERS, ANYBODY, ANY_SNAPSHOT, ANY_ROUND),
    st.builds(AppendEntries, NUMBERS, ANYBODY, NUMBERS, NUMBERS, ANY_ENTRIES, NUMBERS, ANY_ROUND),
    st.builds(AppendReply, NUMBERS, ANYBODY, st.booleans(), ANY_ROUND, NUMBERS, NUMBERS),
    st.builds(RequestVote, NUMBERS, ANYBODY, NUMBERS, NUMBERS, st.none() | ANYBODY),
    st.builds(RequestPreVote, NUMBERS, ANYBODY, NUMBERS, NUMBERS),
    st.builds(VoteReply, NUMBERS, ANYBODY, st.booleans()),
    st.builds(PreVoteReply, NUMBERS, ANYBODY, st.booleans()),
    st.builds(TimeoutNow, NUMBERS, ANYBODY),
)


@given(
    message=ANYTHING,
    node=st.sampled_from([receiver(), leading(), receiver(log=(), commit_index=0), compacted()]),
)
def test_what_is_let_through_the_core_understands(message: Message, node: Node) -> None:
    """No error but that of two leaders, no entry that is committed goes, and the log stays well-formed."""
    if why(message, source=sender(message)) or why_contradicted(message, node):
        return
    try:
        after = raft.step(node, Receive(message), now=10_000).node
    except raft.TwoLeadersError:
        return
    terms = [entry.term for entry in after.log]
    assert terms == sorted(terms)
    assert all(1 <= term <= after.current_term for term in terms)
    assert after.snapshot.index <= after.commit_index <= after.last_index
    assert after.commit_index >= node.commit_index
    assert after.snapshot.term <= (terms or [after.current_term])[0]
    since = [in_effect.since for in_effect in after.history]
    assert since == sorted(set(since))
    assert since[-1] <= after.last_index
    kept = after.snapshot.index - node.snapshot.index
    committed = node.after(node.snapshot.index)[: node.commit_index - node.snapshot.index]
    assert after.log[: max(0, len(committed) - kept)] == committed[kept:]
    assert after.commit_index <= after.last_index
    assert all(p.match_index <= after.last_index for p in after.leadership.progress.values())
