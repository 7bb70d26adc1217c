"""Faults of leases and reads: when a leader believes that nobody else leads, and what it answers then."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from oneleader.conformance.reference.patch import changed, patched
from oneleader.faults.fault import NO_TRACE, NOT_WRITTEN, SWITCHES, Because, core_fault, fault, with_property
from oneleader.language import action, both, implies, theorem
from oneleader.language.model import Model
from oneleader.models import lease, lease_read, replication, system
from oneleader.models.election import LEADER, Node
from oneleader.models.flawed import lease_forgotten_promise, lease_from_receipt, lease_taken_again
from oneleader.models.lease import State
from oneleader_raft import lease as leases
from oneleader_raft import raft
from oneleader_raft.core import Core
from oneleader_raft.lease import LONG_AGO, NO_ROUND, Clocks, Round
from oneleader_raft.raft import (
    NIL,
    AppendEntries,
    AppendReply,
    Durable,
    Message,
    NodeId,
    PendingRead,
    ReadReady,
    Role,
    Step,
)

EXACT = {"Node": 2, "Term": 2, "Round": 1, "lease": 1, "promise": 1, "slow": 1, "fast": 1}
N2_DECIDES = "n2, n1 n2"  # two servers, and the second in every quorum: it can overtake the first
LEASES, LIN = "at most one lease", "linearizable reads"


# --- What a lease rests on --------------------------------------------------------------------------------


@fault(
    "to lead by role is a lease",
    sources="tikv#964, jraft#25",
    breaks=LEASES,
    base=system.MODEL,
    sizes={"Node": 3, "Term": 2},
    constants={"off": ("lease",)},
    explore=("one_acting_leader", 2),
    prove=SWITCHES,
    tlc="MCSystem_bug_no_lease.cfg",
)
def role_is_a_lease(m: Model) -> Model:
    """A server that takes itself for the leader acts as one: so does an old one that has not heard of the
    new one. (In `system` the cure is a switch, and here it is off.)"""
    return m


@role_is_a_lease.core(
    replay="campaign n1 n2; campaign n2 n3",
    refused=NO_TRACE,
    cause="leases",
    begin="campaign n1 n2; trip n1 n2",
)
def _() -> Core:
    def holds_lease(node: raft.Node, now: int) -> bool:
        return node.role is Role.LEADER

    return patched(holds_lease)


@fault(
    "a lease counted from the receipt of an answer",
    sources="hashicorp#108 (not confirmed there), etcd's ReadOnlyLeaseBased",
    breaks=LEASES,
    base=lease_from_receipt.MODEL,
    sizes=EXACT,
    quorums=N2_DECIDES,
    explore=("no_newer_leader", 12),
    prove=("receive_acknowledgement", "promise_is_not_ahead"),
    tlc="MCLease_bug_from_receipt.cfg",
)
def lease_from_receipt_(m: Model) -> Model:
    """The voter promised before its answer was on its way, and nothing bounds how long an answer travels."""
    return m


@lease_from_receipt_.core(
    replay="campaign n1 n2; deliver n1 n2; campaign n2 n3; deliver n2 n1 3",
    refused=NO_TRACE,
    cause="leases",
    begin="campaign n1 n2; deliver n1 n2; campaign n2 n3; lose n2 n1; lose n2 n1; lose n2 n1",
)
def _() -> Core:
    correct = raft.on_message

    def on_message(node: raft.Node, message: Message, now: int) -> Step:
        if isinstance(message, AppendReply) and message.round != NO_ROUND:
            message = replace(message, round=Round(message.round.number, now))
        return correct(node, message, now)

    return patched(on_message)


@fault(
    "a lease as long as the promise",
    sources="yugabyte#16: drift is not thought of",
    breaks=LEASES,
    base=lease.MODEL,
    sizes={"Node": 2, "Term": 2, "Round": 1, "lease": 3, "promise": 3, "slow": 2, "fast": 3},
    quorums=N2_DECIDES,
    explore=("no_newer_leader", 11),
    prove=("grant_vote", "stored_vote_broke_no_promise"),
    tlc="MCLease_bug_drift_ignored.cfg",
)
def lease_as_long_as_the_promise(m: Model) -> Model:
    """A slow clock measures the lease, and a fast one the promise that it rests on."""
    return m.without_axiom("lease_is_short_enough")


@lease_as_long_as_the_promise.core(
    replay="campaign n1 n2; trip n1 n2; overtake n2 n3",
    refused=NO_TRACE,
    cause="leases",
    begin="campaign n1 n2; trip n1 n2; elapse n2 10",
)
def _() -> Core:
    def lease_holds(clocks: Clocks, majority_acknowledged: int, now: int) -> bool:
        return leases.lease_holds(replace(clocks, slow=1, fast=1), majority_acknowledged, now)

    return patched(lease_holds)


@fault(
    "a lease counted in ticks",
    sources="jraft#25, yugabyte#16: a paused process counts no ticks",
    breaks=LEASES,
    base=lease.MODEL,
    sizes=EXACT,
    quorums=N2_DECIDES,
    explore=("no_newer_leader", 11),
    prove=("elapse", "promise_is_not_ahead"),
    tlc="MCLease_bug_ticks.cfg",
)
def lease_in_ticks(m: Model) -> Model:
    """A leader measures its lease by its own ticks, and a leader that is paused has none: such a clock is
    within no bound of the others."""
    return m.without_guard("elapse", "drift_is_bounded")


@lease_in_ticks.core(
    replay="campaign n1 n2; trip n1 n2; campaign n2 n3",
    refused=NO_TRACE,
    cause="leases",
    begin="campaign n1 n2; trip n1 n2",
)
def _() -> Core:
    correct = raft.holds_lease

    def holds_lease(node: raft.Node, now: int) -> bool:
        return node.role is Role.LEADER and correct(node, node.leadership.round.sent_at)

    return patched(holds_lease)


@fault(
    "a leader that hands over keeps its lease",
    sources="dissertation 6.4.1 with 3.10",
    breaks=LEASES,
    base=lease.MODEL,
    sizes=EXACT,
    quorums=N2_DECIDES,
    explore=("no_newer_leader", 11),
    prove=("transfer_leadership", "transfer_voids_lease"),
    tlc="MCLease_bug_kept_in_transfer.cfg",
)
def transfer_keeps_the_lease(m: Model) -> Model:
    """The vote that it asks for disregards the promises on which its lease rests."""

    @action
    def transfer_leadership(s: State, n: Node, target: Node) -> None:
        is_a_leader = s.role[n] == LEADER  # dissertation 3.10: the prior leader sends TimeoutNow
        s.require(is_a_leader)

        s.timeout_now[n, target, s.term[n] + 1] = True  # the fault: and the lease is not void

    return m.with_action(transfer_leadership)


@transfer_keeps_the_lease.core(
    replay="campaign n1 n2; trip n1 n2; hand_over n1 n2 n3",
    refused=NO_TRACE,
    cause="leases",
    begin="campaign n1 n2; trip n1 n2; transfer n1 n2; deliver n1 n2",
)
def _() -> Core:
    def holds_lease(node: raft.Node, now: int) -> bool:
        return leases.lease_holds(node.clocks, raft.majority_acknowledged(node, now), now)

    return patched(holds_lease)


@fault(
    "a lease taken again when a transfer has failed",
    sources="no named system: dissertation 3.10 lets the leader go on after an election timeout",
    breaks=LEASES,
    base=lease_taken_again.MODEL,
    sizes=EXACT,
    quorums=N2_DECIDES,
    explore=("no_newer_leader", 12),
    prove=("abandon_transfer", "transfer_voids_lease"),
    tlc="MCLease_bug_taken_again.cfg",
)
def lease_taken_again_(m: Model) -> Model:
    """The request to stand may arrive when the leader no longer expects it."""
    return m


@lease_taken_again_.core(
    replay="campaign n1 n2; trip n1 n2; transfer n1 n2; stand n1 n3; deliver n1 n2; trip n2 n3",
    refused=NO_TRACE,
    cause="leases",
    begin="campaign n1 n2; trip n1 n2; transfer n1 n2; stand n1 n3; deliver n1 n2",
)
def _() -> Core:
    correct = raft.check_quorum

    def check_quorum(node: raft.Node, now: int) -> Step:
        leadership = replace(node.leadership, transfer_to=NIL)
        return correct(replace(node, leadership=leadership), now)

    return patched(check_quorum)


# --- Promises ---------------------------------------------------------------------------------------------


@fault(
    "a promise is forgotten in a crash",
    sources="measured on etcd's library: 28 of 40 runs",
    breaks=LEASES,
    base=lease_forgotten_promise.MODEL,
    sizes=EXACT,
    quorums=N2_DECIDES,
    explore=("no_newer_leader", 11),
    prove=("restart", "promise_is_not_ahead"),
    tlc="MCLease_bug_forgotten_promise.cfg",
)
def promise_forgotten(m: Model) -> Model:
    """A server that restarts helps to elect another leader at once."""
    return m


@promise_forgotten.core(replay="campaign n1 n2; trip n1 n2; crash n2; restart n2", refused="lease: state")
def _() -> Core:
    def restart(id: NodeId, members: tuple[NodeId, ...], durable: Durable, now: int, clocks: Clocks) -> Step:
        return changed(raft.restart(id, members, durable, now, clocks), promised_at=LONG_AGO)

    return patched(restart=restart)


@fault(
    "a voter stands in spite of its promise",
    sources="the reason why a promise binds the voter as a candidate too",
    breaks=LEASES,
    base=lease.MODEL,
    sizes=EXACT,
    quorums=N2_DECIDES,
    explore=("no_newer_leader", 10),
    prove=("start_election", "stored_vote_broke_no_promise"),
    tlc="MCLease_bug_candidate.cfg",
)
def stands_within_its_promise(m: Model) -> Model:
    """Who has promised to vote for nobody else votes for itself."""
    return m.without_guard("start_election", "promise_ran_out")


@stands_within_its_promise.core(
    replay="campaign n1 n2; trip n1 n2; stand n2 n3",
    refused="lease: start_election, promise_ran_out",
    cause=("pre_vote: start_pre_vote, leader_is_silent", "lease: start_election, promise_ran_out"),
    begin="campaign n1 n2; trip n1 n2",
)
def _() -> Core:
    def on_election_timeout(node: raft.Node, now: int) -> Step:
        if node.role is Role.LEADER:
            return raft.check_quorum(node, now)
        asking = raft.give_up(node).then(raft.start_pre_vote)
        return asking.then(lambda node: raft.count_pre_votes(node, now))

    return patched(on_election_timeout)


@fault(
    "a voter votes in spite of its promise",
    sources="dissertation 4.2.3 left out; Howard and Abraham, 2020",
    breaks=f"{LEASES}; availability",
    base=lease.MODEL,
    sizes={**EXACT, "Node": 3},
    explore=("no_newer_leader", 15),
    prove=("grant_vote", "stored_vote_broke_no_promise"),
    tlc="MCLease_bug_voter.cfg",
)
def votes_within_its_promise(m: Model) -> Model:
    """A follower that hears its leader gives its pre-vote and its vote all the same."""
    return m.without_guard("grant_vote", "vote_is_due")


@votes_within_its_promise.core(replay="overtake n1 n2", refused="lease: grant_vote, vote_is_due")
def _() -> Core:
    def hears_leader(node: raft.Node, now: int) -> bool:
        return node.role is Role.LEADER

    return patched(hears_leader)


# --- Reads ------------------------------------------------------------------------------------------------


@fault(
    "a read before an entry of the own term is committed",
    sources="etcd#7331, redisraft PR#22, tikv PR#9239",
    breaks=LIN,
    base=lease_read.MODEL,
    sizes={"Node": 2, "Term": 2, "Index": 1, "Value": 1},
    explore=("lease_read_is_latest", 15),
    prove=("theorem", "lease_read_is_latest"),
    fails_at={"Node": 2, "Quorum": 1, "Value": 1, "Term": 2, "Index": 1},
    tlc=NOT_WRITTEN,
)
def reads_before_its_no_op(m: Model) -> Model:
    """A fresh leader does not know yet what its predecessors have committed, and answers all the same."""

    @theorem
    def lease_read_is_latest(s: replication.State, n: Node, m: Node) -> bool:
        return implies(lease_read.leads_last(s, n), s.commit_index[m] <= s.commit_index[n])

    return with_property(m, lease_read_is_latest)


@reads_before_its_no_op.core(
    replay="succeed n2 n3; campaign n3 n1; sync n3 n1; read n3",
    refused=NO_TRACE,
    cause="linearizability",
    begin="succeed n2 n3; campaign n3 n1; sync n3 n1",
)
def _() -> Core:
    correct = raft.on_read

    def on_read(node: raft.Node, id: Hashable, now: int) -> Step:
        if node.role is not Role.LEADER:
            return correct(node, id, now)
        read = PendingRead(id, node.commit_index, node.leadership.round.number + 1)
        reads = node.leadership.reads + (read,)  # noqa: RUF005 - as in raft.py
        leadership = replace(node.leadership, reads=reads)
        return raft.broadcast(replace(node, leadership=leadership), now)

    return patched(on_read)


@fault(
    "a read without asking who still follows",
    sources="the reason for dissertation 6.4, step 3",
    breaks=LIN,
    base=lease_read.MODEL,
    sizes={"Node": 2, "Term": 2, "Index": 2, "Value": 1},
    quorums=N2_DECIDES,
    explore=("lease_read_is_latest", 13),
    prove=("theorem", "lease_read_is_latest"),
    fails_at={"Node": 2, "Quorum": 1, "Value": 1, "Term": 2, "Index": 2},
    tlc=NOT_WRITTEN,
)
def reads_without_asking(m: Model) -> Model:
    """A leader answers as soon as it has applied enough; another may lead and have committed more."""

    @theorem
    def lease_read_is_latest(s: replication.State, n: Node, m: Node) -> bool:
        reads = both(s.role[n] == LEADER, lease_read.has_committed(s, n))
        return implies(reads, s.commit_index[m] <= s.commit_index[n])

    return with_property(m, lease_read_is_latest)


@reads_without_asking.core(
    replay="campaign n3 n1; trip n3 n1; succeed n1 n2; read n3",
    refused=NO_TRACE,
    cause="linearizability",
    begin="campaign n3 n1; trip n3 n1; succeed n1 n2",
)
def _() -> Core:
    def answer_reads(node: raft.Node, now: int) -> Step:
        ready = [read for read in node.leadership.reads if read.index <= node.commit_index]
        waiting = tuple(read for read in node.leadership.reads if read not in ready)
        node = replace(node, leadership=replace(node.leadership, reads=waiting))
        return Step(node, (), tuple(ReadReady(read.id) for read in ready))

    return patched(answer_reads)


@core_fault(
    "a refusal for an old leadership confirms a round",
    sources="this reference, before drawn scenarios found it",
    breaks=LIN,
    why=Because("a round of the model is one of a term, which the number in a message does not say"),
    replay="timeout n2; stand n1 n2; trip n1 n3; overtake n3 n2; sync n1 n2; overtake n1 n2; trip n1 n2 3",
    begin="timeout n2; stand n1 n2; trip n1 n3; overtake n3 n2; sync n1 n2; overtake n1 n2; lose n1 n2",
    refused="pre_vote: receive_reply, reply_was_sent",
)
def stale_refusal_counts() -> Core:
    """A refusal for a leader of an older term names its round, and arrives when that server leads again."""
    correct = raft.on_append_entries

    def on_append_entries(node: raft.Node, m: AppendEntries, now: int) -> Step:
        if m.term >= node.current_term:
            return correct(node, m, now)
        refusal = AppendReply(node.current_term, node.id, False, m.round, 0)
        return raft.tell_term(node, m.leader_id, m.term, refusal)

    return patched(on_append_entries)
