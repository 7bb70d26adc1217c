"""Changes of membership in large steps, for exploring: an election is one step, and so is a replication.

Each step is a run of `membership` with the other servers silent:

- `elect`: the candidate stands until it reaches the term (`start_election`), each voter of the quorum hears
  of the term, votes and answers (`update_term`, `grant_vote`, `reply_vote`), the candidate counts and wins
  (`receive_vote`, `become_leader`);
- `replicate`: the server hears of the leader's term and takes its log up to an index (`update_term`, and
  `append_entries` or `replace_entries` from index 0);
- the others are one step there, or none.

So whatever is broken here in some steps is broken there in more. The reverse does not hold: votes that
cross, late messages and restarts are there alone. What holds there is proved there, for any number of
servers; this model shows what each rule is good for, in the fewest steps, and that changes do happen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oneleader.language import (
    action,
    axiom,
    both,
    either,
    field,
    implies,
    ite,
    model,
    no,
    theorem,
    witness,
)
from oneleader.models import membership
from oneleader.models.election import Node, Quorum, Term
from oneleader.models.membership import Config, config_of, have_caught_up, last_term, since_of, votes_in
from oneleader.models.replication import Index


class State(membership.Logs):
    """As in `membership`, without votes, values, and the commit index of those that follow."""

    term = field(Node, of=Term)
    leads = field(Node, of=bool)
    heartbeat = field(Node, Term, of=bool)  # the server has led in the term
    committed = field(Term, Index, of=bool)  # the leader of the term committed its own entry at the index


def up_to_date(s: State, candidate: Node, voter: Node) -> bool:
    """Section 5.4.1."""
    theirs, mine = last_term(s, candidate), last_term(s, voter)
    is_as_long = s.log_length[candidate] >= s.log_length[voter]
    return either(theirs > mine, both(theirs == mine, is_as_long))


def all_of(s: State, q: Quorum, says: Callable[[Node], Any]) -> bool:
    """It is true of everybody in the quorum."""
    return Node.all(lambda v: implies(s.member[v, q], says(v)))


@action
def elect(s: State, n: Node, t: Term, q: Quorum) -> None:
    """All of the quorum vote for n in a term that is new to them and to n."""
    term_is_new = both(s.term[n] < t, all_of(s, q, lambda v: s.term[v] < t))  # section 5.1
    is_a_quorum = s.quorum_of[q, config_of(s, n)]  # dissertation 4.1: the latest configuration in its log
    log_is_up_to_date = all_of(s, q, lambda v: up_to_date(s, n, v))  # section 5.4.1
    s.require(term_is_new, is_a_quorum, log_is_up_to_date)

    lead(s, n, t, q)


def lead(s: State, n: Node, t: Term, q: Quorum) -> None:
    """All of the quorum are in the term, and may be sent the leader's log."""
    s.term.where(lambda old, v: ite(either(v == n, s.member[v, q]), t, old))
    s.leads.where(lambda old, v: ite(either(v == n, s.member[v, q]), v == n, old))
    s.heartbeat[n, t] = True
    s.leader_log_length[t] = s.log_length[n]
    s.leader_log_term.where(lambda old, u, i: ite(u == t, s.log_term[n, i], old))
    s.leader_log_config.where(lambda old, u, i: ite(u == t, s.log_config[n, i], old))
    s.leader_log_since.where(lambda old, u, i: ite(u == t, s.log_since[n, i], old))
    s.acknowledged[n, t] = s.log_length[n]


@action
def client_request(s: State, n: Node) -> None:
    """Figure 2, Leaders 2: an entry that changes no configuration."""
    is_leader = s.leads[n]  # Figure 2, Leaders 2
    s.require(is_leader)

    append(s, n, config_of(s, n), since_of(s, n))


@action
def change_config(s: State, n: Node, c: Config) -> None:
    """Dissertation 4.1: the leader appends a configuration, which is in effect at once."""
    is_leader = s.leads[n]  # dissertation 4.1
    is_adjacent = s.adjacent[config_of(s, n), c]  # dissertation 4.1 and 4.3, R1: one server, or joint
    last_is_committed = since_of(s, n) <= s.commit_index[n]  # dissertation 4.1, R2
    own_is_committed = s.log_term[n, s.commit_index[n]] == s.term[n]  # raft-dev, July 2015, R3
    new_members_caught_up = have_caught_up(s, n, s.term[n], c)  # dissertation 4.2.1
    s.require(is_leader, is_adjacent, last_is_committed, own_is_committed, new_members_caught_up)

    append(s, n, c, s.log_length[n] + 1)


def append(s: State, n: Node, c: Config, since: Index) -> None:
    """One more entry of the leader's term, in its log and in what it may send."""
    t, i = s.term[n], s.log_length[n] + 1
    s.log_length[n] = i
    s.log_term[n, i] = t
    s.log_config[n, i] = c
    s.log_since[n, i] = since
    s.leader_log_length[t] = i
    s.leader_log_term[t, i] = t
    s.leader_log_config[t, i] = c
    s.leader_log_since[t, i] = since
    s.acknowledged[n, t] = i


@action
def replicate(s: State, n: Node, t: Term, last: Index) -> None:
    """A server takes the log of the leader of t up to an index that it has not confirmed before."""
    leader_was_heard = Node.any(lambda leader: s.heartbeat[leader, t])  # Figure 2, AppendEntries arguments
    entries_were_sent = last <= s.leader_log_length[t]  # Figure 2, AppendEntries arguments
    term_is_current = s.term[n] <= t  # Figure 2, AppendEntries receiver 1, All Servers 2
    has_not_led = no(s.heartbeat[n, t])  # section 5.2: one leader a term
    entries_are_new = s.acknowledged[n, t] < last  # else nothing changes
    s.require(leader_was_heard, entries_were_sent, term_is_current, has_not_led, entries_are_new)

    something_conflicts = Index.any(
        lambda i: both(i <= last, i <= s.log_length[n], s.log_term[n, i] != s.leader_log_term[t, i])
    )
    length = ite(either(something_conflicts, s.log_length[n] < last), last, s.log_length[n])
    s.term[n] = t
    s.leads[n] = False
    s.log_length[n] = length
    s.acknowledged[n, t] = last

    def kept(m: Node, i: Index, old: Any, new: Any) -> Any:
        return ite(m == n, ite(i <= last, new, ite(i <= length, old, 0)), old)

    s.log_term.where(lambda old, m, i: kept(m, i, old, s.leader_log_term[t, i]))
    s.log_config.where(lambda old, m, i: kept(m, i, old, s.leader_log_config[t, i]))
    s.log_since.where(lambda old, m, i: kept(m, i, old, s.leader_log_since[t, i]))


@action
def advance_commit(s: State, n: Node, i: Index, q: Quorum) -> None:
    """Figure 2, Leaders 4: a quorum of the configuration that the leader uses stores an entry of its term."""
    is_leader = s.leads[n]  # Figure 2, Leaders 4
    entry_is_new = both(s.commit_index[n] < i, i <= s.log_length[n])  # Figure 2, Leaders 4: N > commitIndex
    is_a_quorum = s.quorum_of[q, config_of(s, n)]  # dissertation 4.1: the latest configuration in its log
    quorum_stores = membership.acknowledged_by(s, q, s.term[n], i)  # Figure 2, Leaders 4: matchIndex
    entry_is_own = s.log_term[n, i] == s.term[n]  # section 5.4.2 and Figure 8
    s.require(is_leader, entry_is_new, is_a_quorum, quorum_stores, entry_is_own)

    commit(s, n, i)


def commit(s: State, n: Node, i: Index) -> None:
    """The leader knows that its own entry is committed."""
    s.commit_index[n] = i
    s.committed[s.term[n], i] = True


@axiom
def close_quorums_intersect(s: State, p: Quorum, c: Config, q: Quorum, d: Config) -> bool:
    """Quorums of equal or adjacent configurations share a server."""
    return membership.close_quorums_intersect(s, p, c, q, d)


# -- Figure 3 --------------------------------------------------------------------------------------
@theorem
def election_safety(s: State, t: Term, a: Node, b: Node) -> bool:
    """Figure 3: at most one leader can be elected in a given term."""
    return implies(both(s.heartbeat[a, t], s.heartbeat[b, t]), a == b)


@theorem
def log_matching(s: State, a: Node, b: Node, i: Index, j: Index) -> bool:
    """Figure 3: logs with an entry of the same index and term are identical up to it."""
    in_both = both(j <= i, i <= s.log_length[a], i <= s.log_length[b])
    same_entry = s.log_term[a, i] == s.log_term[b, i]
    same_before = both(s.log_term[a, j] == s.log_term[b, j], s.log_config[a, j] == s.log_config[b, j])
    return implies(both(in_both, same_entry), same_before)


@theorem
def leader_completeness(s: State, t: Term, i: Index, u: Term, n: Node) -> bool:
    """Figure 3: what was committed in a term is in the logs of the leaders of all later terms."""
    has_it = both(i <= s.leader_log_length[u], s.leader_log_term[u, i] == t)
    return implies(both(s.committed[t, i], t < u, s.heartbeat[n, u]), has_it)


# -- What can happen -------------------------------------------------------------------------------
def changed(s: State, t: Term, i: Index) -> bool:
    """The leader of t brought a configuration by its entry at i."""
    return both(i > 0, s.leader_log_since[t, i] == i, s.leader_log_term[t, i] == t)


@witness
def a_configuration_is_changed_twice(s: State, t: Term, i: Index, j: Index) -> bool:
    """A leader has made two changes, and committed both."""
    return both(changed(s, t, i), s.committed[t, i], i < j, changed(s, t, j), s.committed[t, j])


@witness
def a_change_was_replaced(s: State, n: Node, t: Term, i: Index) -> bool:
    """A server has confirmed a change and has another leader's entry there now."""
    confirmed = both(changed(s, t, i), i <= s.acknowledged[n, t])
    return both(confirmed, i <= s.log_length[n], s.log_term[n, i] > t)


@witness
def a_leader_commits_its_own_removal(s: State, n: Node) -> bool:
    """Dissertation 4.2.2: a leader has committed a configuration in which it is no member."""
    i = since_of(s, n)
    is_no_member = no(votes_in(s, n, config_of(s, n)))
    return both(s.leads[n], changed(s, s.term[n], i), i <= s.commit_index[n], is_no_member)


@witness
def a_change_is_finished_by_another_leader(s: State, t: Term, i: Index, u: Term, j: Index) -> bool:
    """A leader brought a configuration, a joint one perhaps; one of a later term went on from there."""
    inherited = both(t < u, changed(s, t, i), s.leader_log_term[u, i] == t, no(s.committed[t, i]))
    from_there = Index.any(lambda k: both(k + 1 == j, s.leader_log_since[u, k] == i))
    return both(inherited, changed(s, u, j), from_there)


@witness
def two_leaders_change(s: State, t: Term, i: Index, u: Term, j: Index) -> bool:
    """Leaders of two terms have each brought a configuration of their own."""
    return both(t < u, changed(s, t, i), changed(s, u, j))


MODEL = model(__name__, State, usual={"Index": 2, "Config": 1})
