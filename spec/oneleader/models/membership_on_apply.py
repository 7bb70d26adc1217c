"""Configurations that take effect when they are applied, as in etcd: in the steps of `membership_steps`.

The dissertation has a configuration take effect when it is appended. In etcd a server goes on with the one
before until the entry that brings the new one is committed, and *applied*, which may be much later. Then:

- R1 is as it was, of the configuration that was applied;
- R2 becomes: the last change in the log is applied, and not only committed;
- R3 is as it was;
- nobody stands while it knows of a change that is committed and has not applied it. Without this a server
  can be two configurations behind, of which nothing says that their quorums meet (etcd-io/raft #456);
- who is sent a change is told that the one before is committed. In etcd this is so because a leader appends
  a change after it has applied the last, and its messages say how far it has committed.

So a server that may be elected is one change behind at most, and that one is adjacent.

Explored, not proved for any size: the proof of `membership` speaks of the log's latest configuration.

Not modelled: what `membership_steps` leaves out; crashes, after which etcd reads the commit index and the
applied configuration from storage.
"""

from __future__ import annotations

from oneleader.language import action, both, field, model, no, witness
from oneleader.models import membership, membership_steps
from oneleader.models.election import Node, Quorum, Term
from oneleader.models.membership import Config, since_of, votes_in
from oneleader.models.membership_steps import all_of, append, commit, lead, up_to_date
from oneleader.models.replication import Index


class State(membership_steps.State):
    """As in `membership_steps`, with the commit index of all servers, and what each has applied."""

    applied = field(Node, of=Index)  # lastApplied
    leader_commit = field(Term, of=Index)  # AppendEntries: the greatest commit index of the leader of a term


def config_in_effect(s: State, n: Node) -> Config:
    """The configuration that a server has applied."""
    return s.log_config[n, s.applied[n]]


@action
def apply_entries(s: State, n: Node, i: Index) -> None:
    """Figure 2, All Servers 1: what is committed is applied, in its time; a configuration takes effect."""
    entry_is_committed = both(s.applied[n] < i, i <= s.commit_index[n])  # Figure 2, All Servers 1
    s.require(entry_is_committed)

    s.applied[n] = i


@action
def elect(s: State, n: Node, t: Term, q: Quorum) -> None:
    """All of the quorum vote for n in a term that is new to them and to n."""
    term_is_new = both(s.term[n] < t, all_of(s, q, lambda v: s.term[v] < t))  # section 5.1
    is_a_quorum = s.quorum_of[q, config_in_effect(s, n)]  # etcd: of the configuration that was applied
    log_is_up_to_date = all_of(s, q, lambda v: up_to_date(s, n, v))  # section 5.4.1
    all_changes_are_applied = s.log_since[n, s.commit_index[n]] <= s.applied[n]  # etcd, hup: #456
    s.require(term_is_new, is_a_quorum, log_is_up_to_date, all_changes_are_applied)

    lead(s, n, t, q)
    s.leader_commit[t] = s.commit_index[n]


@action
def change_config(s: State, n: Node, c: Config) -> None:
    """etcd, stepLeader, MsgProp: the leader appends a configuration, which takes effect later."""
    is_leader = s.leads[n]  # dissertation 4.1
    is_adjacent = s.adjacent[config_in_effect(s, n), c]  # dissertation 4.1 and 4.3, R1
    last_is_applied = since_of(s, n) <= s.applied[n]  # etcd, pendingConfIndex: R2, and more
    own_is_committed = s.log_term[n, s.commit_index[n]] == s.term[n]  # raft-dev, July 2015, R3
    new_members_caught_up = caught_up(s, n, c)  # dissertation 4.2.1
    s.require(is_leader, is_adjacent, last_is_applied, own_is_committed, new_members_caught_up)

    append(s, n, c, s.log_length[n] + 1)


def caught_up(s: State, n: Node, c: Config) -> bool:
    """Who votes in the configuration and did not before has stored what the leader has committed."""
    before = config_in_effect(s, n)
    return no(
        Node.any(
            lambda v: both(
                votes_in(s, v, c),
                no(votes_in(s, v, before)),
                s.acknowledged[v, s.term[n]] < s.commit_index[n],
            )
        )
    )


@action
def replicate(s: State, n: Node, t: Term, last: Index, up_to: Index) -> None:
    """A server takes the log of the leader of t up to an index, and is told how far it is committed."""
    was_committed = both(up_to <= last, up_to <= s.leader_commit[t])  # Figure 2, AppendEntries arguments
    is_news = s.commit_index[n] <= up_to  # Figure 2, AppendEntries receiver 5
    change_before_is_told = no(unannounced(s, t, last, up_to))  # etcd: see above
    s.require(was_committed, is_news, change_before_is_told)

    membership_steps.replicate(s, n, t, last)
    s.commit_index[n] = up_to


def unannounced(s: State, t: Term, last: Index, up_to: Index) -> bool:
    """Before the last change up to an index there is another, beyond what is told to be committed."""
    change = s.leader_log_since[t, last]
    return Index.any(lambda i: both(i < change, up_to < s.leader_log_since[t, i]))


@action
def advance_commit(s: State, n: Node, i: Index, q: Quorum) -> None:
    """Figure 2, Leaders 4: a quorum of the configuration that the leader has applied stores an entry."""
    is_leader = s.leads[n]  # Figure 2, Leaders 4
    entry_is_new = both(s.commit_index[n] < i, i <= s.log_length[n])  # Figure 2, Leaders 4: N > commitIndex
    is_a_quorum = s.quorum_of[q, config_in_effect(s, n)]  # etcd: of the configuration that was applied
    quorum_stores = membership.acknowledged_by(s, q, s.term[n], i)  # Figure 2, Leaders 4: matchIndex
    entry_is_own = s.log_term[n, i] == s.term[n]  # section 5.4.2 and Figure 8
    s.require(is_leader, entry_is_new, is_a_quorum, quorum_stores, entry_is_own)

    commit(s, n, i)
    s.leader_commit[s.term[n]] = i


@witness
def a_leader_is_a_change_behind(s: State, n: Node) -> bool:
    """A leader goes on with a configuration although the next one is committed by another leader."""
    return both(s.leads[n], since_of(s, n) > s.applied[n], s.log_term[n, since_of(s, n)] < s.term[n])


@witness
def a_server_is_two_changes_behind(s: State, n: Node) -> bool:
    """A server has two changes in its log that it has not applied: it may not stand."""
    last = since_of(s, n)
    return both(s.applied[n] < last, Index.any(lambda i: both(i < last, s.applied[n] < s.log_since[n, i])))


MODEL = model(
    __name__, State, extends=membership_steps.MODEL, without=("a_change_is_finished_by_another_leader",)
)
