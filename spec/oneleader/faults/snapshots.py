"""Faults of snapshots: what one stands for, and what is left of the log of the server that takes one."""

from __future__ import annotations

from dataclasses import replace

from oneleader.conformance.reference.patch import patched
from oneleader.faults.fault import Because, core_fault, fault
from oneleader.language import action, both, either, ite, no
from oneleader.language.model import Model
from oneleader.models import membership, snapshots
from oneleader.models.election import FOLLOWER, Node, Term
from oneleader.models.replication import Index
from oneleader.models.snapshots import State
from oneleader_raft import raft
from oneleader_raft.core import Core
from oneleader_raft.raft import InstallSnapshot, Send, Snapshot, Step

LED = "campaign n1 n2; trip n1 n2"  # with an entry of its own committed
REPLACED = "campaign n1 n2; propose n1; propose n1; propose n1; campaign n2 n3; sync n2 n3; trip n2 n3"
NOT_IN_MODEL = Because("not written as a change of the model")
TWO = "n1 n2, n1"
SMALL = {"Node": 2, "Term": 2, "Index": 2, "Value": 1}
ONE = {"Node": 1, "Quorum": 1, "Value": 1, "Term": 1, "Index": 1, "Config": 1}


@fault(
    "a snapshot of what is not committed",
    sources="canonical/raft#250, #354: a snapshot with a configuration that is not committed",
    breaks="State Machine Safety",
    base=snapshots.MODEL,
    sizes=SMALL,
    quorums=TWO,
    explore=("snapshot_is_committed", 8),
    prove=("compact", "snapshot_is_committed"),
    fails_at=ONE,
    tlc="MCSnapshotsLater_bug_uncommitted.cfg",
)
def snapshot_of_anything(m: Model) -> Model:
    """A server makes a snapshot of all that it has stored, with the latest configuration: an entry that a
    later leader replaces stands in it for good."""

    @action
    def compact(s: State, n: Node, k: Index) -> None:
        entry_is_stored = both(s.snapshot_index[n] < k, k <= s.log_length[n])  # the fault: not committed
        s.require(entry_is_stored)

        s.snapshot_index[n] = k

    return m.with_action(compact)


@snapshot_of_anything.core(
    replay="campaign n1 n2; compact n1", refused="snapshots: compact, entry_is_committed"
)
def _() -> Core:
    def on_compact(node: raft.Node, index: int, state: object) -> Step:
        everything = replace(node, commit_index=node.last_index)
        taken = correct(everything, node.last_index, state)
        return replace(taken, node=replace(taken.node, commit_index=node.commit_index))

    correct = raft.on_compact
    return patched(on_compact)


@fault(
    "a snapshot with a newer configuration than its index has",
    sources="ClickHouse#105784, async-raft#133, hashicorp/raft#617",
    breaks="Election Safety",
    base=snapshots.MODEL,
    sizes={"Node": 3, "Term": 1, "Index": 2, "Value": 1},
    quorums="n1 n2 n3, n1 n2",
    explore=("an_entry_is_as_created", 12),
    prove=("install_snapshot", "an_entry_is_as_created"),
    fails_at=ONE | {"Node": 2, "Index": 2},
    tlc="MCSnapshotsLater_bug_newer_configuration.cfg",
)
def snapshot_of_the_latest_configuration(m: Model) -> Model:
    """The leader sends with the snapshot the configuration that it uses now, which came after the snapshot's
    index and may never be committed: the follower votes and counts by it all the same."""

    @action
    def install_snapshot(s: State, n: Node, t: Term, k: Index) -> None:
        snapshot_was_sent = snapshots.sent_snapshot(s, t, k)  # section 7, InstallSnapshot arguments
        term_is_current = s.term[n] == t  # section 7, InstallSnapshot receiver 1
        is_follower = s.role[n] == FOLLOWER  # Figure 2, Candidates 3
        is_news = s.commit_index[n] < k  # section 7: else it is of no use
        lacks_its_entry = either(
            s.log_length[n] < k, s.log_term[n, k] != s.leader_log_term[t, k]
        )  # receiver 7
        s.require(snapshot_was_sent, term_is_current, is_follower, is_news, lacks_its_entry)

        latest = s.leader_log_length[t]  # the fault: not k
        s.log_config.where(lambda old, v, i: ite(v == n, ite(i == k, s.leader_log_config[t, latest], 0), old))
        s.log_since.where(lambda old, v, i: ite(v == n, ite(i == k, s.leader_log_since[t, k], 0), old))
        s.log_term.where(lambda old, v, i: ite(v == n, ite(i == k, s.leader_log_term[t, k], 0), old))
        s.whole_term.where(lambda old, v, i: ite(v == n, ite(i <= k, s.leader_whole_term[t, i], 0), old))
        s.log_length[n] = k
        s.snapshot_index[n] = k
        snapshots.confirm_snapshot(s, n, t, k)

    return m.with_action(install_snapshot)


@snapshot_of_the_latest_configuration.core(
    replay=f"{LED}; remove n1 n3; compact n1", refused="snapshots: state", cause=("snapshots",), begin=LED
)
def _() -> Core:
    def with_snapshot(node: raft.Node, snapshot: Snapshot, log: tuple[raft.Entry, ...]) -> raft.Node:
        latest = node.history[-1]
        as_of_now = replace(snapshot, in_effect=replace(latest, since=min(latest.since, snapshot.index)))
        return correct(node, as_of_now if log else snapshot, log)

    correct = raft.with_snapshot
    return patched(with_snapshot)


@fault(
    "a leader sends entries that it has discarded",
    sources="willemt/raft PR#118: prevLogIndex 0 is accepted blindly after compaction",
    breaks="State Machine Safety",
    base=snapshots.MODEL,
    sizes=SMALL,
    quorums=TWO,
    explore=("an_entry_is_as_created", 16),
    prove=("append_entries", "an_entry_is_as_created"),
    fails_at=ONE,
    tlc="MCSnapshotsLater_bug_sends_what_is_gone.cfg",
)
def sends_what_is_gone(m: Model) -> Model:
    """AppendEntries from the log's beginning, where there is nothing any more: the follower takes what it
    finds there for entries."""

    @action
    def append_entries(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index) -> None:
        entries_were_sent = membership.sent(s, t, prev, last, commit)  # the fault: had they been kept?
        term_is_current = s.term[n] == t  # Figure 2, AppendEntries receiver 1
        is_follower = s.role[n] == FOLLOWER  # Figure 2, Candidates 3
        prefix_matches = snapshots.matches(s, n, t, prev)  # Figure 2, AppendEntries receiver 2
        nothing_conflicts = no(snapshots.conflicts(s, n, t, prev, last))  # Figure 2, receiver 3
        s.require(entries_were_sent, term_is_current, is_follower, prefix_matches, nothing_conflicts)

        longer = ite(s.log_length[n] < last, last, s.log_length[n])
        snapshots.store(s, n, t, prev, last, commit, longer)

    return m.with_action(append_entries)


@sends_what_is_gone.core(
    replay=f"{LED}; compact n1; propose n1; trip n1 n3; trip n1 n3",
    refused="snapshots: state",
    cause=("snapshots: ", "State Machine Safety"),
    begin=LED,
)
def _() -> Core:
    """To whom it has no entries any more it sends those that it has as if they were the first."""

    def append_entries_to(leader: raft.Node, to: raft.NodeId) -> Send:
        send = correct(leader, to)
        if not isinstance(send.message, InstallSnapshot):
            return send
        m = send.message
        entries = raft.AppendEntries(m.term, leader.id, 0, 0, leader.log, leader.commit_index, m.round)
        return Send(to, entries)

    correct = raft.append_entries_to
    return patched(append_entries_to)


# --- In the reference alone -------------------------------------------------------------------------------


@core_fault(
    "the conflicting suffix stays after a snapshot",
    sources="openraft#559, #561",
    breaks="Log Matching",
    why=NOT_IN_MODEL,
    replay=f"{REPLACED}; leave_behind n2 n3 n1",
    refused="snapshots: state",
    cause=("snapshots: ", "State Machine Safety"),
    begin=REPLACED,
)
def suffix_stays() -> Core:
    """A follower whose log has another entry at the snapshot's index takes the snapshot and keeps what
    follows: entries of a leader that was replaced."""

    def store_snapshot(node: raft.Node, m: InstallSnapshot) -> Step:
        taken, k = correct(node, m), m.snapshot.index
        is_installed = taken.node.snapshot is m.snapshot
        if not is_installed or k >= node.last_index:
            return taken
        return replace(taken, node=raft.with_snapshot(taken.node, m.snapshot, node.after(k)))

    correct = raft.store_snapshot
    return patched(store_snapshot)


@core_fault(
    "a snapshot sets the term",
    sources="willemt/raft PR#118",
    breaks="monotonicity of terms, and so Election Safety",
    why=NOT_IN_MODEL,
    replay=f"{LED}; sync n1 n2; compact n2; campaign n2 n3; trip n2 n3; trip n2 n3",
    refused="election: state",
    cause=("election: ", "snapshots: state"),
    begin=f"{LED}; sync n1 n2; compact n2; campaign n2 n3",
)
def snapshot_sets_the_term() -> Core:
    """A server that takes a snapshot goes on in the term of its last entry, which may be an older one: it
    votes again where it has voted."""

    def store_snapshot(node: raft.Node, m: InstallSnapshot) -> Step:
        taken = correct(node, m)
        return replace(taken, node=replace(taken.node, current_term=m.snapshot.term))

    correct = raft.store_snapshot
    return patched(store_snapshot)


@core_fault(
    "a snapshot that is not restored",
    sources="the reason for section 7, InstallSnapshot 8",
    breaks="State Machine Safety",
    why=Because("no model has a state machine: what is committed is what is applied"),
    replay=f"{LED}; leave_behind n1 n2 n3; campaign n3 n2; trip n3 n2; read n3",
    refused=Because("a recording has no state machine"),
    cause=("linearizability", "snapshots"),
    begin=f"{LED}; leave_behind n1 n2 n3; trip n1 n3",
)
def state_not_restored() -> Core:
    """A server that takes a snapshot leaves its state machine as it was."""

    def apply_committed(node: raft.Node, applied: int) -> Step:
        taken = correct(node, applied)
        effects = tuple(e for e in taken.effects if not isinstance(e, raft.Restore))
        return replace(taken, effects=effects)

    correct = raft.apply_committed
    return patched(apply_committed)


@core_fault(
    "an old snapshot takes back what is committed",
    sources="the reason for discarding what is older than the log, section 7",
    breaks="State Machine Safety",
    why=NOT_IN_MODEL,
    replay=f"{LED}; compact n1; heartbeat n1; deliver n1 n3 0 again; deliver n1 n3",
    refused="snapshots: install_snapshot, is_news",
    begin=f"{LED}; compact n1; heartbeat n1; deliver n1 n3 0 again",
)
def takes_an_old_snapshot() -> Core:
    """A snapshot that comes late takes the place of a log that has gone on since."""

    def store_snapshot(node: raft.Node, m: InstallSnapshot) -> Step:
        k = m.snapshot.index
        how = raft.action("install_snapshot", n=node.id, t=m.term, k=k)
        node = replace(raft.with_snapshot(node, m.snapshot, ()), commit_index=k)
        reply = raft.AppendReply(m.term, node.id, True, m.round, k)
        return Step(node, (how,), (Send(m.leader_id, reply),))

    return patched(store_snapshot)
