"""What the proof of `replication` needs beside Figure 3: invariants of every step, and lemmas between them.

In the order in which the argument goes: votes and terms; logs as copies of leaders' logs; entries that a
quorum has stored or still may (`choosable`), which are in every later leader's log; what is committed is such
an entry. Then the lemmas, about a prefix, a winner, a vote and a commitment.
"""

from __future__ import annotations

from oneleader.language import both, either, implies, invariant, no, theorem
from oneleader.models.election import CANDIDATE, LEADER, Node, Quorum, Term
from oneleader.models.replication import Index, State, acknowledged_by, last_term, matches


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
    """The winner of a term is the first to lead in it."""
    t = s.term[n]
    return implies(wins(s, n, q), both(no(s.heartbeat[other, t]), s.leader_log_length[t] == 0))


@theorem
def choosable_is_a_winners(s: State, n: Node, q: Quorum, t: Term, i: Index) -> bool:
    """A winner has each entry of an older term that a quorum may store (section 5.4.3)."""
    may_be_chosen = both(t < s.term[n], created(s, t, i), choosable(s, t, i))
    return implies(both(wins(s, n, q), may_be_chosen), both(i <= s.log_length[n], s.log_term[n, i] == t))


@theorem
def committed_is_a_winners(s: State, n: Node, q: Quorum, i: Index) -> bool:
    """A winner has every committed entry."""
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
