"""Log replication: Raft sections 5.3 and 5.4 and the rest of Figure 2, on top of `election`.

A log is its entries' terms and values at the indices 1 to its length; index 0 is before the first
entry and has term 0. It survives a crash, a commit index does not. An entry's value stands for the
client's command.

What AppendEntries carries is not stored message by message. A leader only appends, so whatever the
leader of a term ever sent is a piece of its log in that term: `leader_log_term`, `leader_log_value`
and `leader_log_length` say, for each term, what was or could be sent, and `leader_commit` the greatest
commit index sent with it. This is network and no history: a follower reads it, whoever has crashed
since. A receiver may be handed any piece of it at any time, again, late or never; that is exactly what
sending each piece as a message of its own allows. In the same way `acknowledged` is the greatest index
that a follower's replies to the leader of a term have confirmed: a leader that hears less acts as if
the others were lost.

A receiver hears of the newer term (`update_term`) and gives up its candidacy (`step_down`) in steps
of their own, as in `election`; only then does it look at the entries.

Not modelled: nextIndex and its back-off (which piece to send is free), refusals of AppendEntries,
applying entries to the state machine (what matters of it is the commit index), snapshots, membership.
"""

from __future__ import annotations

from typing import Any

from oneleader.language import (
    NIL,
    NumberSort,
    Option,
    SetSort,
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
from oneleader.models import election
from oneleader.models.election import CANDIDATE, FOLLOWER, LEADER, Node, Quorum, Term


class Index(NumberSort):
    """A position in a log; 0 is before the first entry."""


class Value(SetSort):
    """A client's command."""


class State(election.State):
    """The election's state, the logs, and what AppendEntries and its replies say."""

    # Persistent.
    log_length = field(Node, of=Index)
    log_term = field(Node, Index, of=Term)
    log_value = field(Node, Index, of=Option[Value])

    # Volatile.
    commit_index = field(Node, of=Index)

    # The network. RequestVote of a candidate in a term: lastLogIndex and lastLogTerm.
    last_log_index = field(Node, Term, of=Index)
    last_log_term = field(Node, Term, of=Term)

    # AppendEntries of the leader of a term: any piece of its log, with a commit index up to this.
    leader_log_length = field(Term, of=Index)
    leader_log_term = field(Term, Index, of=Term)
    leader_log_value = field(Term, Index, of=Option[Value])
    leader_commit = field(Term, of=Index)

    # Its replies: the server has stored the log of the leader of that term up to this index.
    acknowledged = field(Node, Term, of=Index)

    # History, for proofs only: the committed log, and for each term how much of it the leaders up to
    # that term have committed, and the last of these terms in which a leader committed anything.
    committed_term = ghost(Index, of=Term)
    committed_value = ghost(Index, of=Option[Value])
    committed_up_to = ghost(Term, of=Index)
    committed_in = ghost(Term, of=Term)


def last_term(s: State, n: Node) -> Term:
    """The term of a server's last entry; 0 for an empty log."""
    return s.log_term[n, s.log_length[n]]


# -- Elections: a vote only for a log that is up to date -------------------------------------------
@action
def start_election(s: State, n: Node) -> None:
    """Figure 2, Candidates 1: RequestVote says how long and how new the candidate's log is."""
    t, index, term = s.term[n] + 1, s.log_length[n], last_term(s, n)
    election.start_election(s, n)
    s.last_log_index[n, t] = index
    s.last_log_term[n, t] = term


@action
def grant_vote(s: State, voter: Node, candidate: Node, t: Term) -> None:
    """Figure 2, RequestVote receiver 2, second half: the candidate's log is as new and long as mine."""
    theirs_is_newer = s.last_log_term[candidate, t] > last_term(s, voter)
    terms_are_equal = s.last_log_term[candidate, t] == last_term(s, voter)
    theirs_is_as_long = s.last_log_index[candidate, t] >= s.log_length[voter]
    log_is_up_to_date = either(theirs_is_newer, both(terms_are_equal, theirs_is_as_long))  # section 5.4.1
    s.require(log_is_up_to_date)

    election.grant_vote(s, voter, candidate, t)


@action
def become_leader(s: State, n: Node, q: Quorum) -> None:
    """Figure 2, Leaders 1: what the leader of this term may send from now on is the log that it has."""
    t, length, commit = s.term[n], s.log_length[n], s.commit_index[n]
    election.become_leader(s, n, q)
    s.leader_log_length[t] = length
    s.leader_log_term.where(lambda old, u, i: ite(u == t, s.log_term[n, i], old))
    s.leader_log_value.where(lambda old, u, i: ite(u == t, s.log_value[n, i], old))
    s.leader_commit[t] = commit
    s.acknowledged[n, t] = length


@action
def restart(s: State, n: Node) -> None:
    """Figure 2, State: the log is persistent, the commit index is not."""
    election.restart(s, n)
    s.commit_index[n] = 0


@action
def give_up(s: State, n: Node) -> None:
    """Dissertation 6.2: a leader that no quorum answers steps down; and whoever stands may have lost. Who has
    been heard is not modelled, so it may at any moment."""
    stands_or_leads = s.role[n] != FOLLOWER  # Figure 2, Rules for Servers
    s.require(stands_or_leads)

    s.role[n] = FOLLOWER
    s.votes.where(lambda old, c, v: both(c != n, old))


# -- The log ---------------------------------------------------------------------------------------
@action
def client_request(s: State, n: Node, value: Value) -> None:
    """Figure 2, Leaders 2: append the command to the local log. It may be sent at once."""
    is_leader = s.role[n] == LEADER  # Figure 2, Leaders 2
    s.require(is_leader)

    t, i = s.term[n], s.log_length[n] + 1
    s.log_length[n] = i
    s.log_term[n, i] = t
    s.log_value[n, i] = value
    s.leader_log_length[t] = i
    s.leader_log_term[t, i] = t
    s.leader_log_value[t, i] = value
    s.acknowledged[n, t] = i


@action
def append_entries(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index) -> None:
    """Figure 2, AppendEntries RPC: entries prev+1 to last of the leader of t, none against mine.

    A message that is late and holds less than the log does shortens nothing.
    """
    entries_were_sent = sent(s, t, prev, last, commit)  # Figure 2, AppendEntries arguments
    term_is_current = s.term[n] == t  # Figure 2, AppendEntries receiver 1
    is_follower = s.role[n] == FOLLOWER  # Figure 2, Candidates 3
    prefix_matches = matches(s, n, t, prev)  # Figure 2, AppendEntries receiver 2
    nothing_conflicts = no(conflicts(s, n, t, prev, last))  # Figure 2, AppendEntries receiver 3
    s.require(entries_were_sent, term_is_current, is_follower, prefix_matches, nothing_conflicts)

    longer = ite(s.log_length[n] < last, last, s.log_length[n])
    store(s, n, t, prev, last, commit, longer)


@action
def replace_entries(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index) -> None:
    """Figure 2, AppendEntries RPC: one of them conflicts with mine, which goes with all that follow."""
    entries_were_sent = sent(s, t, prev, last, commit)  # Figure 2, AppendEntries arguments
    term_is_current = s.term[n] == t  # Figure 2, AppendEntries receiver 1
    is_follower = s.role[n] == FOLLOWER  # Figure 2, Candidates 3
    prefix_matches = matches(s, n, t, prev)  # Figure 2, AppendEntries receiver 2
    something_conflicts = conflicts(s, n, t, prev, last)  # Figure 2, AppendEntries receiver 3
    s.require(entries_were_sent, term_is_current, is_follower, prefix_matches, something_conflicts)

    store(s, n, t, prev, last, commit, last)


def sent(s: State, t: Term, prev: Index, last: Index, commit: Index) -> bool:
    """The leader of t sent its entries prev+1 to last with this leaderCommit, or could have."""
    leader_was_heard = Node.any(lambda leader: s.heartbeat[leader, t])
    return both(leader_was_heard, prev <= last, last <= s.leader_log_length[t], commit <= s.leader_commit[t])


def matches(s: State, n: Node, t: Term, prev: Index) -> bool:
    """The log has an entry at prev, and it is the leader's."""
    return both(prev <= s.log_length[n], s.log_term[n, prev] == s.leader_log_term[t, prev])


def conflicts(s: State, n: Node, t: Term, prev: Index, last: Index) -> bool:
    """An entry of mine has the same index as a new one and another term."""
    return Index.any(
        lambda i: both(prev < i, i <= last, i <= s.log_length[n], s.log_term[n, i] != s.leader_log_term[t, i])
    )


def store(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index, length: Index) -> None:
    """Figure 2, AppendEntries receiver 4 and 5, and its reply: the leader's entries prev+1 to last."""

    def kept(i: Index, old: Any, new: Any, nothing: Any) -> Any:
        is_new = both(prev < i, i <= last)
        return ite(is_new, new, ite(i <= length, old, nothing))

    s.log_term.where(lambda old, m, i: ite(m == n, kept(i, old, s.leader_log_term[t, i], 0), old))
    s.log_value.where(lambda old, m, i: ite(m == n, kept(i, old, s.leader_log_value[t, i], NIL), old))
    s.log_length[n] = length
    up_to = ite(commit < last, commit, last)
    s.commit_index[n] = ite(s.commit_index[n] < up_to, up_to, s.commit_index[n])
    s.acknowledged[n, t] = ite(s.acknowledged[n, t] < last, last, s.acknowledged[n, t])


@action
def advance_commit(s: State, n: Node, i: Index, q: Quorum) -> None:
    """Figure 2, Leaders 4: a quorum stores an entry of the leader's own term, and so all before it."""
    is_leader = s.role[n] == LEADER  # Figure 2, Leaders 4
    entry_is_new = both(s.commit_index[n] < i, i <= s.log_length[n])  # Figure 2, Leaders 4: N > commitIndex
    quorum_stores = acknowledged_by(s, q, s.term[n], i)  # Figure 2, Leaders 4: a majority of matchIndex
    entry_is_own = s.log_term[n, i] == s.term[n]  # section 5.4.2 and Figure 8
    s.require(is_leader, entry_is_new, quorum_stores, entry_is_own)

    t = s.term[n]
    s.commit_index[n] = i
    s.leader_commit[t] = i
    s.committed_term.where(lambda old, j: ite(both(j > 0, j <= i), s.log_term[n, j], old))
    s.committed_value.where(lambda old, j: ite(both(j > 0, j <= i), s.log_value[n, j], old))
    s.committed_up_to.where(lambda old, u: ite(both(t <= u, old < i), i, old))
    s.committed_in.where(lambda old, u: ite(both(t <= u, old < t), t, old))


def acknowledged_by(s: State, q: Quorum, t: Term, i: Index) -> bool:
    """All of the quorum have stored the log of the leader of t up to i."""
    return Node.all(lambda v: implies(s.member[v, q], i <= s.acknowledged[v, t]))


def choosable(s: State, t: Term, i: Index) -> bool:
    """A quorum has stored, or may still store, the log of the leader of t up to i.

    Who is in a newer term and has not stored it never will.
    """
    return Quorum.any(
        lambda q: Node.all(
            lambda v: implies(s.member[v, q], either(i <= s.acknowledged[v, t], s.term[v] <= t))
        )
    )


def created(s: State, t: Term, i: Index) -> bool:
    """The leader of t has appended an entry of its own term at i."""
    return both(i > 0, i <= s.leader_log_length[t], s.leader_log_term[t, i] == t)


# -- What holds: votes and terms -------------------------------------------------------------------
@invariant
def requested_not_from_future(s: State, n: Node, t: Term) -> bool:
    """Nobody has asked for votes in a term that it has not reached; there is no election in term 0."""
    return implies(s.requested[n, t], both(t > 0, t <= s.term[n]))


@invariant
def heartbeat_not_from_future(s: State, n: Node, t: Term) -> bool:
    """Nobody has led in a term that it has not reached; nobody leads in term 0."""
    return implies(s.heartbeat[n, t], both(t > 0, t <= s.term[n]))


@invariant
def granted_was_requested(s: State, voter: Node, t: Term, candidate: Node) -> bool:
    """A vote was asked for."""
    return implies(s.granted[voter, t, candidate], s.requested[candidate, t])


@invariant
def stored_vote_was_requested(s: State, voter: Node, candidate: Node) -> bool:
    """A vote in stable storage was asked for, in the voter's term."""
    return implies(s.voted_for[voter] == candidate, s.requested[candidate, s.term[voter]])


@invariant
def candidate_has_not_led(s: State, n: Node) -> bool:
    """A candidate has not been leader in its term: it stands once in a term."""
    return implies(s.role[n] == CANDIDATE, no(s.heartbeat[n, s.term[n]]))


@invariant
def candidate_has_asked(s: State, n: Node) -> bool:
    """A candidate has asked for votes in its term, and told of the log that it has."""
    t = s.term[n]
    told_length = s.last_log_index[n, t] == s.log_length[n]
    told_term = s.last_log_term[n, t] == last_term(s, n)
    return implies(s.role[n] == CANDIDATE, both(s.requested[n, t], told_length, told_term))


# -- What holds: logs ------------------------------------------------------------------------------
@invariant
def nothing_before_the_first_entry(s: State, n: Node, t: Term) -> bool:
    """Index 0 has term 0 in every log, so that no prefix check and no comparison needs a special case."""
    return both(s.log_term[n, 0] == 0, s.leader_log_term[t, 0] == 0)


@invariant
def leader_log_was_announced(s: State, t: Term) -> bool:
    """A term whose leader has a log has a leader."""
    return implies(s.leader_log_length[t] > 0, Node.any(lambda leader: s.heartbeat[leader, t]))


@invariant
def entry_is_a_leaders(s: State, n: Node, i: Index) -> bool:
    """An entry of a term was created by the leader of that term, at this index."""
    t = s.log_term[n, i]
    return implies(both(i > 0, i <= s.log_length[n]), both(t > 0, t <= s.term[n], created(s, t, i)))


@invariant
def log_is_a_leaders(s: State, n: Node, i: Index, j: Index) -> bool:
    """Up to an entry of a term, a log is the log of the leader of that term."""
    t = s.log_term[n, i]
    same = both(s.log_term[n, j] == s.leader_log_term[t, j], s.log_value[n, j] == s.leader_log_value[t, j])
    return implies(both(j > 0, j <= i, i <= s.log_length[n]), same)


@invariant
def leader_entry_is_a_leaders(s: State, u: Term, i: Index) -> bool:
    """An entry in a leader's log was created by the leader of the entry's term, not a later one."""
    t = s.leader_log_term[u, i]
    return implies(both(i > 0, i <= s.leader_log_length[u]), both(t > 0, t <= u, created(s, t, i)))


@invariant
def leader_log_is_a_leaders(s: State, u: Term, i: Index, j: Index) -> bool:
    """Up to an entry of a term, a leader's log is the log of the leader of that term; terms never fall."""
    t = s.leader_log_term[u, i]
    same_term = s.leader_log_term[u, j] == s.leader_log_term[t, j]
    same_value = s.leader_log_value[u, j] == s.leader_log_value[t, j]
    in_log = both(j > 0, j <= i, i <= s.leader_log_length[u])
    return implies(in_log, both(same_term, same_value, s.leader_log_term[u, j] <= t))


@invariant
def leader_append_only(s: State, n: Node, i: Index) -> bool:
    """Figure 3: a leader's log is what it has announced in its term, which nothing takes back."""
    t = s.term[n]
    same_length = s.log_length[n] == s.leader_log_length[t]
    same_term = s.log_term[n, i] == s.leader_log_term[t, i]
    same_value = s.log_value[n, i] == s.leader_log_value[t, i]
    in_log = both(i > 0, i <= s.log_length[n])
    return implies(s.role[n] == LEADER, both(same_length, implies(in_log, both(same_term, same_value))))


@invariant
def acknowledged_was_sent(s: State, n: Node, t: Term) -> bool:
    """Nobody has confirmed more than the leader's log, or anything in a term that it has not reached."""
    in_time = implies(s.acknowledged[n, t] > 0, t <= s.term[n])
    return both(s.acknowledged[n, t] <= s.leader_log_length[t], in_time)


# -- What holds: entries that a quorum has stored, or still may -------------------------------------
@invariant
def choosable_is_kept(s: State, n: Node, t: Term, i: Index) -> bool:
    """Who has stored an entry that a quorum may store keeps it."""
    may_be_chosen = both(created(s, t, i), i <= s.acknowledged[n, t], choosable(s, t, i))
    return implies(may_be_chosen, both(i <= s.log_length[n], s.log_term[n, i] == t))


@invariant
def choosable_is_a_candidates(s: State, voter: Node, candidate: Node, t: Term, i: Index) -> bool:
    """So has the candidate of a later term for whom it has voted (section 5.4.3)."""
    u = s.term[candidate]
    has_voted = either(s.granted[voter, u, candidate], voted_now(s, voter, candidate))
    stands = both(s.role[candidate] == CANDIDATE, t < u, has_voted)
    may_be_chosen = both(created(s, t, i), i <= s.acknowledged[voter, t], choosable(s, t, i))
    has_it = both(i <= s.log_length[candidate], s.log_term[candidate, i] == t)
    return implies(both(stands, may_be_chosen), has_it)


def voted_now(s: State, voter: Node, candidate: Node) -> bool:
    """The voter has voted for the candidate in the candidate's term, whether it has answered or not."""
    return both(s.term[voter] == s.term[candidate], s.voted_for[voter] == candidate)


@invariant
def choosable_is_a_leaders(s: State, leader: Node, u: Term, t: Term, i: Index) -> bool:
    """So has the leader of a later term (section 5.4.3)."""
    may_be_chosen = both(created(s, t, i), choosable(s, t, i))
    has_it = both(i <= s.leader_log_length[u], s.leader_log_term[u, i] == t)
    return implies(both(s.heartbeat[leader, u], t <= u, may_be_chosen), has_it)


# -- What holds: commitment ------------------------------------------------------------------------
@invariant
def committed_by_quorum(s: State, u: Term) -> bool:
    """What is committed, a leader committed in its own term, by an entry of its own that a quorum stores."""
    t, i = s.committed_in[u], s.committed_up_to[u]
    by_whom = both(t > 0, t <= u, created(s, t, i), Quorum.any(lambda q: acknowledged_by(s, q, t, i)))
    return implies(either(i > 0, t > 0), both(by_whom, s.committed_up_to[t] == i))


@invariant
def committed_grows(s: State, t: Term, u: Term) -> bool:
    """Later terms have committed no less."""
    return implies(t <= u, s.committed_up_to[t] <= s.committed_up_to[u])


@invariant
def committed_is_a_leaders(s: State, leader: Node, u: Term, i: Index) -> bool:
    """The leader of a term has every entry that was committed in this term or before."""
    same_term = s.leader_log_term[u, i] == s.committed_term[i]
    same_value = s.leader_log_value[u, i] == s.committed_value[i]
    is_committed = both(i > 0, i <= s.committed_up_to[u])
    has_it = both(i <= s.leader_log_length[u], same_term, same_value)
    return implies(both(s.heartbeat[leader, u], is_committed), has_it)


@invariant
def commit_index_is_committed(s: State, n: Node) -> bool:
    """A commit index speaks of entries that are in the log, and committed by the server's term."""
    return both(s.commit_index[n] <= s.log_length[n], s.commit_index[n] <= s.committed_up_to[s.term[n]])


@invariant
def log_is_committed(s: State, n: Node, i: Index) -> bool:
    """Up to its commit index, a log is the committed log."""
    same_term = s.log_term[n, i] == s.committed_term[i]
    same_value = s.log_value[n, i] == s.committed_value[i]
    return implies(both(i > 0, i <= s.commit_index[n]), both(same_term, same_value))


@invariant
def leader_commit_is_committed(s: State, t: Term) -> bool:
    """A leader tells of no commit index but one of entries committed by its term."""
    return s.leader_commit[t] <= s.committed_up_to[t]


# -- Lemmas: what follows about a prefix, a winner, a vote and a commitment -------------------------
@theorem
def prefix_is_the_leaders(s: State, n: Node, t: Term, prev: Index, j: Index) -> bool:
    """The prefix check of AppendEntries is enough: where one entry matches, so do all before it."""
    in_prefix = both(j <= prev, prev <= s.leader_log_length[t], matches(s, n, t, prev))
    same_term = s.log_term[n, j] == s.leader_log_term[t, j]
    same_value = s.log_value[n, j] == s.leader_log_value[t, j]
    return implies(both(j > 0, in_prefix), both(same_term, same_value))


@theorem
def choosable_is_in_later_leader_logs(s: State, u: Term, t: Term, i: Index) -> bool:
    """A leader's log has each entry of an older term that a quorum may store, unless it has none at all."""
    may_be_chosen = both(created(s, t, i), choosable(s, t, i))
    has_it = both(i <= s.leader_log_length[u], s.leader_log_term[u, i] == t)
    return implies(both(s.leader_log_length[u] > 0, t <= u, may_be_chosen), has_it)


@theorem
def committed_is_in_leader_logs(s: State, u: Term, i: Index) -> bool:
    """A leader's log agrees with what was committed by its term, unless it has no entry at all."""
    is_committed = both(i > 0, i <= s.committed_up_to[u])
    same_term = s.leader_log_term[u, i] == s.committed_term[i]
    same_value = s.leader_log_value[u, i] == s.committed_value[i]
    return implies(both(s.leader_log_length[u] > 0, is_committed), both(same_term, same_value))


@theorem
def choosable_is_in_no_conflict(
    s: State, n: Node, leader: Node, u: Term, t: Term, i: Index, j: Index
) -> bool:
    """Up to an entry that a quorum may store, a log that has it agrees with the leaders of later terms."""
    may_be_chosen = both(created(s, t, i), choosable(s, t, i))
    has_it = both(i <= s.log_length[n], s.log_term[n, i] == t)
    is_before = both(s.heartbeat[leader, u], t <= u, j > 0, j <= i)
    same_term = s.log_term[n, j] == s.leader_log_term[u, j]
    return implies(both(may_be_chosen, has_it, is_before), both(i <= s.leader_log_length[u], same_term))


@theorem
def committed_is_choosable(s: State, u: Term) -> bool:
    """What is committed has been stored by a quorum."""
    t, i = s.committed_in[u], s.committed_up_to[u]
    return implies(i > 0, both(created(s, t, i), choosable(s, t, i)))


def wins(s: State, n: Node, q: Quorum) -> bool:
    """A candidate has the votes of a quorum."""
    return both(s.role[n] == CANDIDATE, Node.all(lambda v: implies(s.member[v, q], s.votes[n, v])))


@theorem
def a_term_is_won_once(s: State, n: Node, q: Quorum, other: Node) -> bool:
    """Whoever wins a term is the first to lead in it."""
    t = s.term[n]
    return implies(wins(s, n, q), both(no(s.heartbeat[other, t]), s.leader_log_length[t] == 0))


@theorem
def choosable_is_a_winners(s: State, n: Node, q: Quorum, t: Term, i: Index) -> bool:
    """Whoever wins has each entry of an older term that a quorum may store (section 5.4.3)."""
    may_be_chosen = both(t < s.term[n], created(s, t, i), choosable(s, t, i))
    return implies(both(wins(s, n, q), may_be_chosen), both(i <= s.log_length[n], s.log_term[n, i] == t))


@theorem
def committed_is_a_winners(s: State, n: Node, q: Quorum, i: Index) -> bool:
    """Whoever wins has every committed entry."""
    is_committed = both(i > 0, i <= s.committed_up_to[s.term[n]])
    same_term = s.log_term[n, i] == s.committed_term[i]
    same_value = s.log_value[n, i] == s.committed_value[i]
    return implies(both(wins(s, n, q), is_committed), both(i <= s.log_length[n], same_term, same_value))


@theorem
def terms_never_fall(s: State, n: Node, i: Index) -> bool:
    """No entry of a log has a later term than the last."""
    return implies(i <= s.log_length[n], s.log_term[n, i] <= last_term(s, n))


def up_to_date(s: State, candidate: Node, voter: Node) -> bool:
    """Section 5.4.1, of the logs as they are now."""
    is_newer = last_term(s, candidate) > last_term(s, voter)
    is_as_long = s.log_length[candidate] >= s.log_length[voter]
    return either(is_newer, both(last_term(s, candidate) == last_term(s, voter), is_as_long))


@theorem
def newer_log_goes_as_far(s: State, voter: Node, candidate: Node, t: Term, i: Index) -> bool:
    """A log that is as up to date has the voter's entry, if the leader of its last term had it."""
    u = last_term(s, candidate)
    voter_has_it = both(i > 0, i <= s.log_length[voter], s.log_term[voter, i] == t)
    leader_had_it = both(i <= s.leader_log_length[u], s.leader_log_term[u, i] == t)
    has_it = both(i <= s.log_length[candidate], s.log_term[candidate, i] == t)
    return implies(both(up_to_date(s, candidate, voter), voter_has_it, leader_had_it), has_it)


@theorem
def choosable_is_its_last_leaders(s: State, n: Node, t: Term, i: Index) -> bool:
    """The leader of the last term of a log had each entry of that term or before that may be stored."""
    u = last_term(s, n)
    leader_had_it = both(i <= s.leader_log_length[u], s.leader_log_term[u, i] == t)
    return implies(both(t <= u, created(s, t, i), choosable(s, t, i)), leader_had_it)


@theorem
def choosable_is_in_a_newer_log(s: State, voter: Node, candidate: Node, t: Term, i: Index) -> bool:
    """Section 5.4.1: a log that is as up to date as a voter's has what the voter stored for a quorum."""
    may_be_chosen = both(created(s, t, i), i <= s.acknowledged[voter, t], choosable(s, t, i))
    has_it = both(i <= s.log_length[candidate], s.log_term[candidate, i] == t)
    return implies(both(up_to_date(s, candidate, voter), may_be_chosen), has_it)


def committable(s: State, n: Node, i: Index, q: Quorum) -> bool:
    """A leader may commit up to i: a quorum stores this entry of its own term."""
    is_own = both(i > 0, i <= s.log_length[n], s.log_term[n, i] == s.term[n])
    return both(s.role[n] == LEADER, is_own, acknowledged_by(s, q, s.term[n], i))


@theorem
def committable_is_a_later_leaders(
    s: State, n: Node, i: Index, q: Quorum, leader: Node, u: Term, j: Index
) -> bool:
    """What a leader may commit, the leaders of all later terms have (section 5.4.3)."""
    is_later = both(s.heartbeat[leader, u], s.term[n] <= u, j > 0, j <= i)
    same_term = s.leader_log_term[u, j] == s.log_term[n, j]
    same_value = s.leader_log_value[u, j] == s.log_value[n, j]
    has_it = both(i <= s.leader_log_length[u], same_term, same_value)
    return implies(both(committable(s, n, i, q), is_later), has_it)


@theorem
def later_terms_committed_more(s: State, n: Node, i: Index, q: Quorum, u: Term) -> bool:
    """Where a leader of a later term has committed, it has committed what this one may commit."""
    is_later = s.term[n] < s.committed_in[u]
    return implies(both(committable(s, n, i, q), is_later), i <= s.committed_up_to[u])


@theorem
def earlier_terms_committed_less(s: State, n: Node, i: Index, q: Quorum, u: Term) -> bool:
    """Where only leaders of earlier terms have committed, it was less than this one may commit."""
    is_earlier = s.committed_in[u] < s.term[n]
    return implies(both(committable(s, n, i, q), is_earlier), s.committed_up_to[u] < i)


@theorem
def committable_agrees(s: State, n: Node, i: Index, q: Quorum, u: Term, j: Index) -> bool:
    """What a leader may commit contradicts nothing that is committed, in whichever term."""
    is_committed = both(j > 0, j <= i, j <= s.committed_up_to[u])
    same_term = s.log_term[n, j] == s.committed_term[j]
    same_value = s.log_value[n, j] == s.committed_value[j]
    return implies(both(committable(s, n, i, q), is_committed), both(same_term, same_value))


# -- Figure 3 --------------------------------------------------------------------------------------
@theorem
def log_matching(s: State, a: Node, b: Node, i: Index, j: Index) -> bool:
    """Figure 3: logs with an entry of the same index and term are identical up to it."""
    in_both = both(j > 0, j <= i, i <= s.log_length[a], i <= s.log_length[b])
    same_entry = s.log_term[a, i] == s.log_term[b, i]
    return implies(both(in_both, same_entry), agree(s, a, b, j))


@theorem
def leader_completeness(s: State, n: Node, i: Index) -> bool:
    """Figure 3: what was committed in a term is in the logs of the leaders of this and all later terms."""
    is_committed = both(i > 0, i <= s.committed_up_to[s.term[n]])
    same_term = s.log_term[n, i] == s.committed_term[i]
    same_value = s.log_value[n, i] == s.committed_value[i]
    has_it = both(i <= s.log_length[n], same_term, same_value)
    return implies(both(s.role[n] == LEADER, is_committed), has_it)


@theorem
def state_machine_safety(s: State, a: Node, b: Node, i: Index) -> bool:
    """Figure 3: no two servers apply different entries at the same index."""
    both_may_apply = both(i > 0, i <= s.commit_index[a], i <= s.commit_index[b])
    return implies(both_may_apply, agree(s, a, b, i))


def agree(s: State, a: Node, b: Node, i: Index) -> bool:
    """Two logs have the same entry at an index."""
    return both(s.log_term[a, i] == s.log_term[b, i], s.log_value[a, i] == s.log_value[b, i])


# -- What can happen -------------------------------------------------------------------------------
@witness
def an_entry_is_committed(s: State, n: Node, i: Index) -> bool:
    """A leader has committed an entry of its term."""
    is_own = both(i > 0, s.log_term[n, i] == s.term[n])
    return both(s.role[n] == LEADER, is_own, i <= s.commit_index[n])


@witness
def an_older_entry_is_committed_indirectly(s: State, n: Node, i: Index) -> bool:
    """Section 5.4.2: an entry of an older term is committed by one of the leader's own after it."""
    is_older = both(i > 0, s.log_term[n, i] < s.term[n])
    its_term_committed_nothing = s.leader_commit[s.log_term[n, i]] < i
    return both(s.role[n] == LEADER, is_older, its_term_committed_nothing, i <= s.commit_index[n])


@witness
def an_entry_was_replaced(s: State, n: Node, t: Term, i: Index) -> bool:
    """A server confirmed an entry to the leader of t and has another one there now."""
    had_it = both(i > 0, i <= s.acknowledged[n, t])
    has_another = both(i <= s.log_length[n], s.log_term[n, i] != s.leader_log_term[t, i])
    return both(had_it, has_another)


@witness
def a_log_was_shortened(s: State, n: Node, t: Term) -> bool:
    """A server confirmed more to the leader of t than its log has now."""
    return s.log_length[n] < s.acknowledged[n, t]


@witness
def figure_8(s: State, n: Node, i: Index, q: Quorum) -> bool:
    """Figure 8 (c): an entry of an old term is on a quorum, the leader knows, and it is not committed."""
    is_older = both(i > 0, s.log_term[n, i] < s.term[n])
    is_on_quorum = acknowledged_by(s, q, s.term[n], i)
    nobody_committed_it = Term.all(lambda t: s.leader_commit[t] < i)
    return both(s.role[n] == LEADER, is_older, is_on_quorum, nobody_committed_it)


@witness
def a_follower_lags(s: State, leader: Node, n: Node) -> bool:
    """A follower has an entry that its leader has committed, and has not heard that it is."""
    hears = both(s.role[leader] == LEADER, s.term[n] == s.term[leader])
    has_it = s.commit_index[leader] <= s.log_length[n]
    return both(hears, s.commit_index[n] < s.commit_index[leader], has_it)


@witness
def a_follower_knows_a_commit_index(s: State, n: Node) -> bool:
    """A follower has heard from its leader what is committed."""
    return both(s.role[n] == FOLLOWER, s.commit_index[n] > 0)


@witness
def a_candidate_lacks_a_committed_entry(s: State, n: Node, i: Index) -> bool:
    """A server whose log is behind stands for election: the up-to-date check is what stops it."""
    return both(s.role[n] == CANDIDATE, s.log_length[n] < i, i <= s.committed_up_to[s.term[n]])


MODEL = model(__name__, State, extends=election.MODEL, refines=election.MODEL)
