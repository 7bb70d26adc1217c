"""Faults of logs, leases, reads and retries, each at one function of the reference.

The faults of elections stand in `reference`; these are those of `scenario`, whose cluster has clients and
clocks. Each is a function that takes the place of the one of its name in `oneleader_raft.raft`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

from oneleader.faults.reference import patched
from oneleader_raft import lease, raft, state_machine
from oneleader_raft.cluster import Core
from oneleader_raft.lease import LONG_AGO, NO_ROUND, Clocks, Round
from oneleader_raft.raft import (
    NIL,
    AppendEntries,
    AppendReply,
    Durable,
    Event,
    Message,
    Node,
    NodeId,
    PendingRead,
    PreVoteReply,
    ReadReady,
    RequestPreVote,
    RequestVote,
    Role,
    Send,
    Step,
    Store,
    VoteReply,
)
from oneleader_raft.state_machine import StateMachine


@dataclass(frozen=True)
class RaftFault:
    """A faulty core, who shipped it, and what it breaks in the end."""

    core: Core
    sources: str
    breaks: str
    story: str
    nodes: int = 3


RAFT_FAULTS: dict[str, RaftFault] = {}


def fault(breaks: str, sources: str, nodes: int = 3) -> Callable[[Callable[[], Core]], Callable[[], Core]]:
    """Enter the core that the decorated function makes, under its name, with dashes."""

    def enter(make: Callable[[], Core]) -> Callable[[], Core]:
        story = " ".join((make.__doc__ or "").split())
        RAFT_FAULTS[make.__name__.replace("_", "-")] = RaftFault(make(), sources, breaks, story, nodes)
        return make

    return enter


# --- The log ----------------------------------------------------------------------------------------------


@fault("Leader Completeness", "logcabin#44, PySyncObj#169: Figure 8")
def commits_old_terms() -> Core:
    """A leader commits an entry of an older term by counting servers. It appends no entry of its own when it
    is elected: the reference does, and sends it with all before it, which hides this fault."""

    def become_leader(node: Node, now: int) -> Step:
        leadership = raft.Leadership(now, 0, {n: raft.Progress(node.last_index + 1) for n in node.peers})
        elected = replace(node, role=Role.LEADER, leader_id=node.id, leadership=leadership)
        how = raft.action("become_leader", n=node.id, q=tuple(sorted(node.votes)))
        return Step(elected, (how,)).then(lambda node: raft.broadcast(node, now))

    def advance_commit(node: Node) -> Step:
        i = raft.reached_by_majority(node, node.last_index, lambda follower: follower.match_index)
        if i <= node.commit_index:
            return Step(node)
        storing = [n for n in node.peers if node.leadership.progress[n].match_index >= i]
        committed = raft.action("advance_commit", n=node.id, i=i, q=tuple(sorted([node.id, *storing])))
        return Step(replace(node, commit_index=i), (committed,))

    return patched(become_leader, advance_commit)


@fault("Leader Completeness", "raftos#26")
def truncates_always() -> Core:
    """A follower cuts its log off at every AppendEntries, though nothing conflicts."""
    correct = raft.store_entries

    def store_entries(node: Node, m: AppendEntries) -> Step:
        taken = correct(node, m)
        matched = any(isinstance(e, Send) and getattr(e.message, "success", False) for e in taken.effects)
        log = (*node.log[: m.prev_log_index], *m.entries)
        return replace(taken, node=replace(taken.node, log=log)) if matched else taken

    return patched(store_entries)


@fault("monotonicity", "PySyncObj#166")
def commit_index_falls() -> Core:
    """A follower takes over the leader's commit index, though its own is greater."""
    correct = raft.store_entries

    def store_entries(node: Node, m: AppendEntries) -> Step:
        taken = correct(node, m)
        last = m.prev_log_index + len(m.entries)
        stored = any(action.name in ("append_entries", "replace_entries") for action in taken.actions)
        fallen = replace(taken.node, commit_index=min(m.leader_commit, last))
        return replace(taken, node=fallen) if stored else taken

    return patched(store_entries)


@fault("State Machine Safety", "the reason for AppendEntries receiver 2")
def no_prefix_check() -> Core:
    """A follower appends entries whatever is before them."""
    correct = raft.store_entries

    def store_entries(node: Node, m: AppendEntries) -> Step:
        prev = min(m.prev_log_index, node.last_index)
        return correct(node, replace(m, prev_log_index=prev, prev_log_term=node.term_at(prev)))

    return patched(store_entries)


@fault("State Machine Safety", "ratis PR#1519")
def heartbeat_is_a_match() -> Core:
    """A leader takes the answer to a heartbeat to say that the whole log is there."""
    correct = raft.on_append_reply

    def on_append_reply(node: Node, m: AppendReply) -> Step:
        return correct(node, replace(m, index=node.last_index) if m.success else m)

    return patched(on_append_reply)


@fault("Leader Completeness", "liferaft#8")
def shorter_log_wins() -> Core:
    """A vote is denied only to a log that is both older and shorter."""

    def is_up_to_date(node: Node, m: RequestPreVote | RequestVote) -> bool:
        return m.last_log_term >= node.last_term or m.last_log_index >= node.last_index

    return patched(is_up_to_date)


@fault("State Machine Safety", "Figure 2, persistent state: answered before it was synced")
def answers_before_storing() -> Core:
    """What must be remembered is stored after the answer was sent."""

    def step(node: Node, event: Event, now: int) -> Step:
        taken = raft.step(node, event, now)
        return replace(taken, effects=tuple(sorted(taken.effects, key=lambda e: isinstance(e, Store))))

    return Core(step=step)


@fault("State Machine Safety", "PySyncObj#84, #201, PR#202")
def forgets_its_log() -> Core:
    """A restart keeps term and vote, and loses the last entry."""

    def restart(id: NodeId, members: tuple[NodeId, ...], durable: Durable, now: int, clocks: Clocks) -> Step:
        return raft.restart(id, members, replace(durable, log=durable.log[:-1]), now, clocks)

    return patched(restart=restart)


# --- Elections --------------------------------------------------------------------------------------------


@fault("Election Safety", "nebula PR#3415")
def own_vote_not_saved() -> Core:
    """A candidate does not store the vote for itself."""
    correct = raft.start_election

    def start_election(node: Node, now: int, how: raft.Action, forced_by: NodeId | None = NIL) -> Step:
        taken = correct(node, now, how, forced_by)
        return replace(taken, node=replace(taken.node, voted_for=NIL))

    return patched(start_election)


@fault("Leader Completeness", "databend PR#16175 (openraft#1220)")
def refusal_is_a_vote() -> Core:
    """A candidate counts every answer of its term as a vote."""
    correct = raft.on_vote_reply

    def on_vote_reply(node: Node, m: VoteReply, now: int) -> Step:
        return correct(node, replace(m, vote_granted=True), now)

    return patched(on_vote_reply)


@fault("Election Safety", "canonical/raft#196")
def pre_vote_clears_the_vote() -> Core:
    """Granting a pre-vote resets the vote."""
    correct = raft.on_request_pre_vote

    def on_request_pre_vote(node: Node, m: RequestPreVote, now: int) -> Step:
        taken = correct(node, m, now)
        granted = any(action.name == "grant_pre_vote" for action in taken.actions)
        return replace(taken, node=replace(taken.node, voted_for=NIL)) if granted else taken

    return patched(on_request_pre_vote)


@fault("Election Safety", "canonical/raft#196")
def pre_vote_counts_as_a_vote() -> Core:
    """A candidate does not tell a late pre-vote from a vote."""
    correct = raft.on_pre_vote_reply

    def on_pre_vote_reply(node: Node, m: PreVoteReply, now: int) -> Step:
        is_late = m.vote_granted and m.term == node.current_term and node.role is Role.CANDIDATE
        vote = VoteReply(m.term, m.voter_id, True)
        return raft.on_vote_reply(node, vote, now) if is_late else correct(node, m, now)

    return patched(on_pre_vote_reply)


@fault("availability", "etcd#8243, canonical#279; dissertation 4.2.3")
def pre_vote_without_lease() -> Core:
    """A follower that hears its leader gives its pre-vote and its vote all the same."""

    def hears_leader(node: Node, now: int) -> bool:
        return node.role is Role.LEADER

    return patched(hears_leader)


# --- Leases and reads -------------------------------------------------------------------------------------


@fault("linearizability", "etcd#7331, redisraft PR#22, tikv PR#9239")
def reads_before_its_no_op() -> Core:
    """A fresh leader answers a read before it has committed an entry of its own."""
    correct = raft.on_read

    def on_read(node: Node, id: Hashable, now: int) -> Step:
        if node.role is not Role.LEADER:
            return correct(node, id, now)
        read = PendingRead(id, node.commit_index, node.leadership.round.number + 1)
        leadership = replace(node.leadership, reads=(*node.leadership.reads, read))
        return raft.broadcast(replace(node, leadership=leadership), now)

    return patched(on_read)


@fault("linearizability", "this reference, before drawn scenarios found it")
def stale_refusal_counts() -> Core:
    """A refusal for a leader of an older term names its round, and arrives when that server leads again."""
    correct = raft.on_append_entries

    def on_append_entries(node: Node, m: AppendEntries, now: int) -> Step:
        if m.term >= node.current_term:
            return correct(node, m, now)
        refusal = AppendReply(node.current_term, node.id, False, m.round, 0)
        return raft.tell_term(node, m.leader_id, m.term, refusal)

    return patched(on_append_entries)


@fault("linearizability", "the reason for dissertation 6.4, step 3")
def reads_without_asking() -> Core:
    """A leader answers a read as soon as it has applied enough, and asks nobody whether it still leads."""

    def answer_reads(node: Node, now: int) -> Step:
        ready = [read for read in node.leadership.reads if read.index <= node.commit_index]
        waiting = tuple(read for read in node.leadership.reads if read not in ready)
        node = replace(node, leadership=replace(node.leadership, reads=waiting))
        return Step(node, (), tuple(ReadReady(read.id) for read in ready))

    return patched(answer_reads)


@fault("linearizability", "tikv#964, jraft#25")
def role_is_a_lease() -> Core:
    """Whoever takes itself for the leader believes that it has a lease."""

    def holds_lease(node: Node, now: int) -> bool:
        return node.role is Role.LEADER

    return patched(holds_lease)


@fault("leases", "hashicorp#108 (not confirmed there), etcd's ReadOnlyLeaseBased")
def lease_from_receipt() -> Core:
    """A lease is counted from when the answer came in, not from when it was asked for."""
    correct = raft.on_message

    def on_message(node: Node, message: Message, now: int) -> Step:
        if isinstance(message, AppendReply) and message.round != NO_ROUND:
            message = replace(message, round=Round(message.round.number, now))
        return correct(node, message, now)

    return patched(on_message)


@fault("leases", "yugabyte#16: drift is not thought of")
def lease_as_long_as_the_promise() -> Core:
    """A lease lasts as long as the promise that it rests on, whatever the clocks."""

    def lease_holds(clocks: Clocks, majority_acknowledged: int, now: int) -> bool:
        return lease.lease_holds(replace(clocks, slow=1, fast=1), majority_acknowledged, now)

    return patched(lease_holds)


@fault("leases", "measured on etcd's library: 28 of 40 runs")
def promise_forgotten() -> Core:
    """A server that restarts helps to elect another leader at once."""

    def restart(id: NodeId, members: tuple[NodeId, ...], durable: Durable, now: int, clocks: Clocks) -> Step:
        taken = raft.restart(id, members, durable, now, clocks)
        return replace(taken, node=replace(taken.node, promised_at=LONG_AGO))

    return patched(restart=restart)


@fault("leases", "dissertation 6.4.1 with 3.10")
def transfer_keeps_the_lease() -> Core:
    """A leader that hands over goes on to rely on its lease."""

    def holds_lease(node: Node, now: int) -> bool:
        return lease.lease_holds(node.clocks, raft.majority_acknowledged(node, now), now)

    return patched(holds_lease)


# --- Retries ----------------------------------------------------------------------------------------------


@fault("linearizability", "dissertation 6.3: a retry of a write that had taken effect")
def retries_apply_twice() -> Core:
    """The state machine keeps no sessions."""

    def apply(state: StateMachine, index: int, command: Any) -> Any:
        return state_machine.apply(replace(state, sessions={}), index, command)

    return Core(apply=apply)
