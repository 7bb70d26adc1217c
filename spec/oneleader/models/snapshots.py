"""Snapshots: section 7, dissertation chapter 5, on top of `membership`: a server forgets the log's beginning.

The protocol. A snapshot stands for the log up to `snapshot_index`, which is committed; what it stands for is
discarded, really: of the entry at the index itself the term and the configuration are kept, as section 7
says, and nothing before it. A leader sends only entries that it still has, and where a follower is behind
that, InstallSnapshot. A follower that has the snapshot's last entry keeps what follows it; else its whole log
goes, and the configuration of the snapshot is in effect: the one as of its index, no later one. After a
restart a server knows that what its snapshot stands for is committed.

Why it works. Nothing is lost but what is committed, so what `membership` says of logs it says here of the
logs as they would be had nothing been discarded: `whole_term` is that history, and the inherited invariants
and theorems read it in place of `log_term`. What is new is that the part that was kept is a part of the whole
log, and that a snapshot is committed. Where a message starts below a follower's snapshot, its prefix matches
since what is committed is in every later leader's log.

Not modelled: the state machine's contents, which are the committed entries; InstallSnapshot in chunks (a
chunk that is lost is a snapshot that is late).
"""

from __future__ import annotations

from typing import Any

from oneleader.language import (
    NIL,
    action,
    both,
    either,
    field,
    ghost,
    implies,
    invariant,
    ite,
    model,
    no,
    theorem,
    witness,
)
from oneleader.models import election, membership
from oneleader.models.election import FOLLOWER, LEADER, Node, Quorum, Term
from oneleader.models.membership import Config, config_of, since_of
from oneleader.models.replication import Index, Value


class State(membership.State):
    """Logs of which the beginning may be gone."""

    snapshot_index = field(Node, of=Index)  # persistent: lastIncludedIndex
    leader_snapshot = field(Term, of=Index)  # the leader of the term had no entries up to here to send

    # History: the terms of all entries of a log, those that a snapshot stands for too.
    whole_term = ghost(Node, Index, of=Term)
    leader_whole_term = ghost(Term, Index, of=Term)


# -- Snapshots -------------------------------------------------------------------------------------
@action
def compact(s: State, n: Node, k: Index) -> None:
    """Section 7: a snapshot of what is committed; the entries that it stands for are discarded."""
    entry_is_committed = both(s.snapshot_index[n] < k, k <= s.commit_index[n])  # section 7: what was applied
    s.require(entry_is_committed)

    s.snapshot_index[n] = k
    s.log_term.where(lambda old, m, i: ite(both(m == n, i < k), 0, old))
    s.log_value.where(lambda old, m, i: ite(both(m == n, i <= k), NIL, old))
    s.log_config.where(lambda old, m, i: ite(both(m == n, i < k), 0, old))
    s.log_since.where(lambda old, m, i: ite(both(m == n, i < k), 0, old))


@action
def keep_after_snapshot(s: State, n: Node, t: Term, k: Index) -> None:
    """Section 7, InstallSnapshot 6: the log has the last entry of the snapshot, and keeps what follows."""
    snapshot_was_sent = sent_snapshot(s, t, k)  # section 7, InstallSnapshot arguments
    term_is_current = s.term[n] == t  # section 7, InstallSnapshot receiver 1
    is_follower = s.role[n] == FOLLOWER  # Figure 2, Candidates 3
    is_news = s.commit_index[n] < k  # section 7: else it is of no use
    has_its_entry = both(k <= s.log_length[n], s.log_term[n, k] == s.leader_log_term[t, k])  # receiver 6
    s.require(snapshot_was_sent, term_is_current, is_follower, is_news, has_its_entry)
    s.claim(k <= s.leader_log_length[t])
    s.claim(whole_matches(s, n, t, k))

    confirm_snapshot(s, n, t, k)


@action
def install_snapshot(s: State, n: Node, t: Term, k: Index) -> None:
    """Section 7, InstallSnapshot 7 and 8: the whole log goes; the snapshot's configuration is in effect."""
    snapshot_was_sent = sent_snapshot(s, t, k)  # section 7, InstallSnapshot arguments
    term_is_current = s.term[n] == t  # section 7, InstallSnapshot receiver 1
    is_follower = s.role[n] == FOLLOWER  # Figure 2, Candidates 3
    is_news = s.commit_index[n] < k  # section 7: else it is of no use
    lacks_its_entry = either(s.log_length[n] < k, s.log_term[n, k] != s.leader_log_term[t, k])  # receiver 7
    s.require(snapshot_was_sent, term_is_current, is_follower, is_news, lacks_its_entry)
    s.claim(k <= s.leader_log_length[t])
    s.claim(no(whole_matches(s, n, t, k)))

    keep_only(s, n, t, k)
    s.log_length[n] = k
    s.snapshot_index[n] = k
    confirm_snapshot(s, n, t, k)


def keep_only(s: State, n: Node, t: Term, k: Index) -> None:
    """Nothing is left but the term and the configuration of the leader's entry at k."""

    def only(m: Node, i: Index, old: Any, new: Any) -> Any:
        return ite(m == n, ite(i == k, new, 0), old)

    s.log_term.where(lambda old, m, i: only(m, i, old, s.leader_log_term[t, k]))
    s.log_value.where(lambda old, m, i: ite(m == n, NIL, old))
    s.log_config.where(lambda old, m, i: only(m, i, old, s.leader_log_config[t, k]))
    s.log_since.where(lambda old, m, i: only(m, i, old, s.leader_log_since[t, k]))
    s.whole_term.where(lambda old, m, i: ite(m == n, ite(i <= k, s.leader_whole_term[t, i], 0), old))


def confirm_snapshot(s: State, n: Node, t: Term, k: Index) -> None:
    """What the snapshot stands for is committed; the reply says that it is stored."""
    s.commit_index[n] = k
    s.known_by[n] = s.leader_known_by[t]
    s.known_up_to[n] = s.leader_known_up_to[t]
    s.acknowledged[n, t] = ite(s.acknowledged[n, t] < k, k, s.acknowledged[n, t])


def sent_snapshot(s: State, t: Term, k: Index) -> bool:
    """The leader of t sent a snapshot up to k, committed and not yet discarded, or could have."""
    leader_was_heard = Node.any(lambda leader: s.heartbeat[leader, t])
    return both(leader_was_heard, s.leader_snapshot[t] <= k, k <= s.leader_commit[t])


@action
def restart(s: State, n: Node) -> None:
    """Figure 2, State: the log and the snapshot are persistent; what it stands for is committed."""
    election.restart(s, n)
    s.commit_index[n] = s.snapshot_index[n]


# -- The steps of `membership`, where a log may have lost its beginning ----------------------------
@action
def become_leader(s: State, n: Node, q: Quorum) -> None:
    """Figure 2, Leaders 1: the leader may send the entries that it still has."""
    is_a_quorum = s.quorum_of[q, config_of(s, n)]  # dissertation 4.1: the latest configuration in its log
    s.require(is_a_quorum)

    election.become_leader(s, n, q)
    membership.announce_log(s, n)
    t = s.term[n]
    s.leader_snapshot[t] = s.snapshot_index[n]
    s.leader_whole_term.where(lambda old, u, i: ite(u == t, s.whole_term[n, i], old))
    membership.remember_election(s, n, lambda i: s.whole_term[n, i])


@action
def client_request(s: State, n: Node, value: Value) -> None:
    """Figure 2, Leaders 2: as in `membership`."""
    t, i = s.term[n], s.log_length[n] + 1
    membership.client_request(s, n, value)
    s.whole_term[n, i] = t
    s.leader_whole_term[t, i] = t


@action
def change_config(s: State, n: Node, c: Config) -> None:
    """Dissertation 4.1: as in `membership`."""
    t, i = s.term[n], s.log_length[n] + 1
    membership.change_config(s, n, c)
    s.whole_term[n, i] = t
    s.leader_whole_term[t, i] = t


@action
def append_entries(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index) -> None:
    """Figure 2, AppendEntries RPC: entries prev+1 to last of the leader of t, none against mine."""
    entries_were_sent = sent(s, t, prev, last, commit)  # Figure 2, AppendEntries arguments
    term_is_current = s.term[n] == t  # Figure 2, AppendEntries receiver 1
    is_follower = s.role[n] == FOLLOWER  # Figure 2, Candidates 3
    prefix_matches = matches(s, n, t, prev)  # Figure 2, AppendEntries receiver 2; section 7
    nothing_conflicts = no(conflicts(s, n, t, prev, last))  # Figure 2, AppendEntries receiver 3
    s.require(entries_were_sent, term_is_current, is_follower, prefix_matches, nothing_conflicts)
    s.claim(whole_matches(s, n, t, prev))
    s.claim(no(whole_conflicts(s, n, t, prev, last)))

    longer = ite(s.log_length[n] < last, last, s.log_length[n])
    store(s, n, t, prev, last, commit, longer)


@action
def replace_entries(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index) -> None:
    """Figure 2, AppendEntries RPC: one of them conflicts with mine, which goes with all that follow."""
    entries_were_sent = sent(s, t, prev, last, commit)  # Figure 2, AppendEntries arguments
    term_is_current = s.term[n] == t  # Figure 2, AppendEntries receiver 1
    is_follower = s.role[n] == FOLLOWER  # Figure 2, Candidates 3
    prefix_matches = matches(s, n, t, prev)  # Figure 2, AppendEntries receiver 2; section 7
    something_conflicts = conflicts(s, n, t, prev, last)  # Figure 2, AppendEntries receiver 3
    s.require(entries_were_sent, term_is_current, is_follower, prefix_matches, something_conflicts)
    s.claim(whole_matches(s, n, t, prev))
    s.claim(whole_conflicts(s, n, t, prev, last))

    store(s, n, t, prev, last, commit, last)


def sent(s: State, t: Term, prev: Index, last: Index, commit: Index) -> bool:
    """The leader of t sent its entries prev+1 to last with this leaderCommit, or could have: it had them."""
    return both(s.leader_snapshot[t] <= prev, membership.sent(s, t, prev, last, commit))


def matches(s: State, n: Node, t: Term, prev: Index) -> bool:
    """The log has an entry at prev, and it is the leader's; what a snapshot stands for is committed."""
    return either(prev < s.snapshot_index[n], membership.matches(s, n, t, prev))


def conflicts(s: State, n: Node, t: Term, prev: Index, last: Index) -> bool:
    """An entry of mine, that no snapshot stands for, has the same index as a new one and another term."""
    return Index.any(
        lambda i: both(
            prev < i,
            s.snapshot_index[n] < i,
            i <= last,
            i <= s.log_length[n],
            s.log_term[n, i] != s.leader_log_term[t, i],
        )
    )


def whole_matches(s: State, n: Node, t: Term, prev: Index) -> bool:
    """The same of the logs from which nothing was discarded."""
    return both(prev <= s.log_length[n], s.whole_term[n, prev] == s.leader_whole_term[t, prev])


def whole_conflicts(s: State, n: Node, t: Term, prev: Index, last: Index) -> bool:
    """The same of the logs from which nothing was discarded."""
    return Index.any(
        lambda i: both(
            prev < i, i <= last, i <= s.log_length[n], s.whole_term[n, i] != s.leader_whole_term[t, i]
        )
    )


def store(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index, length: Index) -> None:
    """Figure 2, AppendEntries receiver 4 and 5: the entries that no snapshot stands for."""

    def kept(m: Node, i: Index, old: Any, new: Any, nothing: Any, after: Any) -> Any:
        is_new = both(prev < i, after < i, i <= last)
        return ite(m == n, ite(is_new, new, ite(i <= length, old, nothing)), old)

    k = s.snapshot_index[n]
    s.log_term.where(lambda old, m, i: kept(m, i, old, s.leader_log_term[t, i], 0, k))
    s.log_value.where(lambda old, m, i: kept(m, i, old, s.leader_log_value[t, i], NIL, k))
    s.log_config.where(lambda old, m, i: kept(m, i, old, s.leader_log_config[t, i], 0, k))
    s.log_since.where(lambda old, m, i: kept(m, i, old, s.leader_log_since[t, i], 0, k))
    s.whole_term.where(lambda old, m, i: kept(m, i, old, s.leader_whole_term[t, i], 0, prev))
    s.log_length[n] = length
    s.acknowledged[n, t] = ite(s.acknowledged[n, t] < last, last, s.acknowledged[n, t])
    membership.learn_commit(s, n, t, ite(commit < last, commit, last))


# -- What holds: the part that was kept is a part of the whole log ---------------------------------
@invariant
def an_entry_is_as_created(s: State, n: Node, i: Index) -> bool:
    """What is kept of an entry says in every log what the leader that created it said."""
    t = s.whole_term[n, i]
    of_configuration = both(s.log_config[n, i] == s.config[t, i], s.log_since[n, i] == s.since[t, i])
    is_kept = both(s.snapshot_index[n] <= i, i <= s.log_length[n])
    has_value = implies(s.snapshot_index[n] < i, s.log_value[n, i] == s.value[t, i])
    return implies(is_kept, both(s.log_term[n, i] == t, has_value, of_configuration))


@invariant
def a_leaders_entry_is_as_created(s: State, u: Term, i: Index) -> bool:
    """And in every message."""
    t = s.leader_whole_term[u, i]
    of_configuration = both(
        s.leader_log_config[u, i] == s.config[t, i], s.leader_log_since[u, i] == s.since[t, i]
    )
    has_value = implies(s.leader_snapshot[u] < i, s.leader_log_value[u, i] == s.value[t, i])
    was_had = both(s.leader_snapshot[u] <= i, i <= s.leader_log_length[u])
    return implies(was_had, both(s.leader_log_term[u, i] == t, has_value, of_configuration))


@invariant
def snapshot_is_committed(s: State, n: Node) -> bool:
    """A snapshot stands for nothing but what is known to be committed, in the log."""
    return both(s.snapshot_index[n] <= s.commit_index[n], s.commit_index[n] <= s.log_length[n])


@invariant
def leader_snapshot_is_in_the_log(s: State, t: Term) -> bool:
    """So does that of a leader."""
    return s.leader_snapshot[t] <= s.leader_log_length[t]


# -- Figure 3, of what both servers still have -----------------------------------------------------
@theorem
def log_matching(s: State, a: Node, b: Node, i: Index, j: Index) -> bool:
    """Figure 3: logs with an entry of the same index and term are identical up to it."""
    in_both = both(j <= i, i <= s.log_length[a], i <= s.log_length[b])
    same_entry = s.whole_term[a, i] == s.whole_term[b, i]
    return implies(both(in_both, same_entry), agree(s, a, b, j))


@theorem
def state_machine_safety(s: State, a: Node, b: Node, i: Index) -> bool:
    """Figure 3: no two servers apply different entries at the same index."""
    both_may_apply = both(i <= s.commit_index[a], i <= s.commit_index[b])
    return implies(both_may_apply, agree(s, a, b, i))


def agree(s: State, a: Node, b: Node, i: Index) -> bool:
    """Two logs have the same entry at an index: where both still have it, value and configuration too."""
    both_have_it = both(s.snapshot_index[a] < i, s.snapshot_index[b] < i)
    same_term = s.whole_term[a, i] == s.whole_term[b, i]
    return both(same_term, implies(both_have_it, membership.agree(s, a, b, i)))


# -- What can happen -------------------------------------------------------------------------------
@witness
def a_snapshot_brought_a_configuration(s: State, n: Node, t: Term) -> bool:
    """A server that follows has its configuration from a snapshot alone."""
    i = s.log_length[n]
    whole = both(i > 0, s.snapshot_index[n] == i, s.acknowledged[n, t] == i, since_of(s, n) > 0)
    return both(s.role[n] == FOLLOWER, s.term[n] == t, whole)


@witness
def entries_follow_a_snapshot(s: State, n: Node) -> bool:
    """A server has discarded entries and has got further ones."""
    return both(s.role[n] == FOLLOWER, s.snapshot_index[n] > 0, s.snapshot_index[n] < s.log_length[n])


@witness
def a_leader_has_discarded_entries(s: State, n: Node) -> bool:
    """A leader was elected with a snapshot."""
    return both(s.role[n] == LEADER, s.leader_snapshot[s.term[n]] > 0)


MODEL = model(
    __name__,
    State,
    extends=membership.MODEL,
    reading={"log_term": "whole_term", "leader_log_term": "leader_whole_term"},
)
