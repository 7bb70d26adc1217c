"""Faults that break no safety: nobody is elected or stays, nothing is committed or learned, or what was
asked for does not come about."""

from __future__ import annotations

from dataclasses import replace

from oneleader.conformance.reference.patch import patched
from oneleader.faults.fault import live_fault
from oneleader_raft import raft
from oneleader_raft.core import Core
from oneleader_raft.lease import NO_ROUND, promise_ran_out
from oneleader_raft.raft import AppendEntries, AppendReply, Node, NodeId, RequestPreVote, Role, Send, Step


@live_fault(
    "the commit rule stops at an entry of an older term",
    sources="raftos PR#30: `break` where `continue` was meant",
    lasting="whole",
    missing="nothing committed",
)
def commit_rule_breaks() -> Core:
    """A leader looks for the entries that it may commit one by one, and stops at the first that is not of its
    term: having inherited an entry that was not committed, it never commits anything."""
    correct = raft.advance_commit

    def advance_commit(node: Node) -> Step:
        inherits = node.term_at(min(node.commit_index + 1, node.last_index)) != node.current_term
        return Step(node) if inherits else correct(node)

    return patched(advance_commit)


@live_fault(
    "the term is not told to a pre-candidate",
    sources="etcd#8243, canonical/raft#279: messages of a lower term are ignored",
    lasting="left behind",
    missing="no leader",
)
def term_is_not_told() -> Core:
    """A server of a later term but a shorter log does not answer the pre-candidate that could win: this one
    never learns the term in which it would be listened to."""
    correct = raft.on_request_pre_vote

    def on_request_pre_vote(node: Node, m: RequestPreVote, now: int) -> Step:
        return correct(node, m, now) if m.term > node.current_term else Step(node)

    return patched(on_request_pre_vote)


@live_fault(
    "a leader without a quorum stays",
    sources="openraft#2080, #1796; Howard and Abraham, 2020: no check-quorum",
    lasting="deaf",
    missing="no leader",
    tlc="MCPreVoteLiveness_bug_no_check_quorum.cfg",
)
def no_check_quorum() -> Core:
    """A leader that nobody answers goes on with its heartbeats, so its followers elect nobody else."""

    def check_quorum(node: Node, now: int) -> Step:
        return Step(node, (), (raft.ResetElectionTimer(),))

    return patched(check_quorum)


@live_fault(
    "who lost touch with the leader deposes it",
    sources="Howard and Abraham, 2020: no pre-vote, and votes from who hears a leader",
    lasting="bridge",
    missing=("deposed", "no leader"),
    tlc="MCPreVoteLiveness_bug_no_pre_vote.cfg",
)
def no_stickiness() -> Core:
    """A server that is cut off from its leader alone raises its term again and again, and all follow it."""

    def count_pre_votes(node: Node, now: int) -> Step:
        how = raft.action("start_election", n=node.id, q=tuple(sorted(node.pre_votes)))
        return raft.start_election(node, now, how)

    def hears_leader(node: Node, now: int) -> bool:
        return node.role is Role.LEADER

    def adopt_term(node: Node, message: raft.Message, now: int) -> Step:
        listens = replace(node, role=Role.FOLLOWER) if message.term > node.current_term else node
        taken = correct(listens, message, now)
        return Step(node) if taken.node is listens else taken

    correct = raft.adopt_term
    return patched(count_pre_votes, hears_leader, adopt_term)


@live_fault(
    "a leader whose transfer failed goes on without a lease",
    sources="this reference, before simulated runs found it; dissertation 3.10 to the letter",
    lasting="failed transfer",
    missing="no leader",
)
def transfer_never_ends() -> Core:
    """The leader may not take its lease again, for the request to stand may still arrive: it keeps the term
    and never has a lease."""

    def check_quorum(node: Node, now: int) -> Step:
        heard = max(node.leadership.since, raft.majority_acknowledged(node, now))
        if promise_ran_out(node.clocks, heard, now):
            return raft.give_up(node)
        return Step(node, (), (raft.ResetElectionTimer(),))

    return patched(check_quorum)


@live_fault(
    "a heartbeat does not say what is committed",
    sources="akka-raft#33, c5#43",
    lasting="idle",
    missing="not learned",
)
def heartbeats_commit_nothing() -> Core:
    """A follower takes over the leader's commit index with new entries alone: what came last is learned when
    something comes after it."""
    correct = raft.store_entries

    def store_entries(node: Node, m: AppendEntries) -> Step:
        taken = correct(node, m)
        if m.entries:
            return taken
        return replace(taken, node=replace(taken.node, commit_index=node.commit_index))

    return patched(store_entries)


@live_fault(
    "heartbeats are refused",
    sources="mofa#1126",
    lasting="idle",
    missing=("no leader", "deposed"),
)
def heartbeats_are_refused() -> Core:
    """A follower takes a message without entries for one of a stale leader: as soon as nothing is written it
    hears nobody, and stands for election."""
    correct = raft.on_append_entries

    def on_append_entries(node: Node, m: AppendEntries, now: int) -> Step:
        if m.entries:
            return correct(node, m, now)
        refusal = AppendReply(node.current_term, node.id, False, NO_ROUND, 0)
        return raft.tell_term(node, m.leader_id, m.term, refusal)

    return patched(on_append_entries)


@live_fault(
    "the target of a transfer is never told",
    sources="dissertation 3.10 without its TimeoutNow",
    lasting="idle",
    missing="not handed over",
)
def target_is_not_told() -> Core:
    """The leader takes no more proposals, waits for the target to catch up, and leaves it at that."""

    def hand_over(node: Node) -> Step:
        return Step(node)

    return patched(hand_over)


@live_fault(
    "who is added is sent heartbeats alone",
    sources="dissertation 4.2.1 without its rounds of entries",
    lasting="idle",
    missing="not caught up",
)
def joining_get_no_entries() -> Core:
    """A leader sends entries to members only; a server that is to join gets none, and never becomes one."""
    correct = raft.append_entries_to

    def append_entries_to(leader: Node, to: NodeId) -> Send:
        send = correct(leader, to)
        if to in leader.members or not isinstance(send.message, AppendEntries):
            return send
        return replace(send, message=replace(send.message, entries=()))

    return patched(append_entries_to)
