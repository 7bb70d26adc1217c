"""Faults of snapshots: what one stands for, and what is left of the log of the server that takes one."""

from __future__ import annotations

from oneleader.faults.fault import NOT_WRITTEN, fault
from oneleader.language import action, both, either, ite, no
from oneleader.language.model import Model
from oneleader.models import membership, snapshots
from oneleader.models.election import FOLLOWER, Node, Term
from oneleader.models.replication import Index
from oneleader.models.snapshots import State

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
    tlc=NOT_WRITTEN,
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
    tlc=NOT_WRITTEN,
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
    tlc=NOT_WRITTEN,
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
