"""Log replication: Raft section 5.3 and 5.4 and Figure 2, on top of elections.

A log is what a server has at each index from 1 to its length. An AppendEntries message is a stretch of
its leader's log: a leader only appends, so what it has sent in a term is all in the log that it has at
last, which is kept here as the network's. Sending needs no step: a message that nobody reads is lost.

A reply to AppendEntries says how far the follower's log is the leader's. A message with entries and a
commit index is read in two steps, for a crash may come between storing and committing.

Not modelled here: snapshots, membership, retries with smaller prevLogIndex (they are other messages).
"""

from __future__ import annotations

from collections.abc import Callable

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
    """A place in a log; 0 before the first entry."""


class Value(SetSort):
    """What a client asks to be written."""


class State(election.State):
    """Figure 2, State, with the log."""

    # Persistent: the log, whose entries have a term and a value; 0 and NIL beyond its length.
    length = field(Node, of=Index)
    log_term = field(Node, Index, of=Term)
    log_value = field(Node, Index, of=Option[Value])

    # Volatile.
    commit = field(Node, of=Index)  # commitIndex

    # The network: RequestVote's lastLogIndex and lastLogTerm.
    asked_index = field(Node, Term, of=Index)
    asked_term = field(Node, Term, of=Term)
    # AppendEntries: the log of the leader of a term, and the greatest leaderCommit sent in it.
    leader_length = field(Term, of=Index)
    leader_term = field(Term, Index, of=Term)
    leader_value = field(Term, Index, of=Option[Value])
    leader_commit = field(Term, of=Index)
    # Its reply: the server has the log of the term's leader up to an index. A leader has its own.
    stored = field(Node, Term, Index, of=bool)

    # History, for proofs: who led; the committed log; what leaders of terms up to one committed, by whom.
    leader_of = ghost(Term, of=Option[Node])
    committed = ghost(of=Index)
    committed_term = ghost(Index, of=Term)
    committed_value = ghost(Index, of=Option[Value])
    committed_in = ghost(of=Term)  # the term that committed most of it
    by = ghost(Term, of=Index)
    by_term = ghost(Term, of=Term)
    by_quorum = ghost(Term, of=Option[Quorum])


def last_term(s: State, n: Node) -> Term:
    """lastLogTerm; 0 of an empty log."""
    return s.log_term[n, s.length[n]]


def has_started(s: State, t: Term) -> bool:
    """Whether a leader was elected in the term."""
    return s.leader_of[t] != NIL


def may_be_chosen(s: State, t: Term, i: Index) -> bool:
    """Whether a quorum has the entry, or can still come to have it: no vote was given away since."""
    return Quorum.any(
        lambda q: Node.all(lambda m: implies(s.member[m, q], either(s.stored[m, t, i], s.term[m] <= t)))
    )


def is_leaders_own(s: State, t: Term, i: Index) -> bool:
    """Whether the leader of a term has appended the entry itself."""
    return both(has_started(s, t), i > 0, i <= s.leader_length[t], s.leader_term[t, i] == t)


def has_entry(s: State, n: Node, i: Index, t: Term) -> bool:
    """Whether a server's log has an entry of that term at that index."""
    return both(i <= s.length[n], s.log_term[n, i] == t)


def has_leader_entry(s: State, u: Term, i: Index, t: Term) -> bool:
    """Whether the log of the leader of term u has an entry of term t at that index."""
    return both(i <= s.leader_length[u], s.leader_term[u, i] == t)


def choosable_is_kept_by(s: State, voter: Node, kept: Callable[[Term, Index], bool]) -> bool:
    """Whether `kept` is true of each entry that the voter has stored for its leader and may be chosen."""
    return Term.all(
        lambda u: Index.all(
            lambda i: implies(
                both(s.stored[voter, u, i], s.leader_term[u, i] == u, may_be_chosen(s, u, i)), kept(u, i)
            )
        )
    )


def comes_after(s: State, n: Node, u: Term, i: Index) -> bool:
    """Whether the leader of the term of a server's last entry has the entry of term u at that index."""
    return both(u <= last_term(s, n), has_leader_entry(s, last_term(s, n), i, u))


def is_leader_entry(s: State, n: Node, t: Term, i: Index) -> bool:
    """Whether a server has at an index what the leader of the term has there."""
    return both(s.log_term[n, i] == s.leader_term[t, i], s.log_value[n, i] == s.leader_value[t, i])


def is_same_entry(s: State, a: Node, b: Node, i: Index) -> bool:
    """Whether two servers have the same at an index."""
    return both(s.log_term[a, i] == s.log_term[b, i], s.log_value[a, i] == s.log_value[b, i])


def is_committed_at(s: State, n: Node, i: Index) -> bool:
    """Whether a server has the committed entry at an index."""
    return both(s.log_term[n, i] == s.committed_term[i], s.log_value[n, i] == s.committed_value[i])


def has_sent(s: State, t: Term) -> bool:
    """Whether there are messages of a leader of the term."""
    return Node.any(lambda leader: s.heartbeat[leader, t])


# -- Elections -----------------------------------------------------------------------------------
@action
def start_election(s: State, n: Node) -> None:
    """Figure 2, RequestVote RPC, arguments: the candidate's last entry."""
    t, index, term = s.term[n] + 1, s.length[n], last_term(s, n)
    election.start_election(s, n)
    s.asked_index[n, t] = index
    s.asked_term[n, t] = term


@action
def grant_vote(s: State, voter: Node, candidate: Node, t: Term) -> None:
    """Figure 2, RequestVote RPC, receiver 2: only to a log at least as up-to-date as the voter's."""
    index, term = s.asked_index[candidate, t], s.asked_term[candidate, t]
    log_is_up_to_date = either(  # section 5.4.1: a later last term, or the same and no fewer entries
        term > last_term(s, voter), both(term == last_term(s, voter), index >= s.length[voter])
    )
    s.require(log_is_up_to_date)
    is_fresh = both(s.role[candidate] == CANDIDATE, s.term[candidate] == t)
    same_last = last_term(s, candidate) == last_term(s, voter)
    longer = both(same_last, s.length[candidate] >= s.length[voter])
    s.claim(implies(is_fresh, either(last_term(s, candidate) > last_term(s, voter), longer)))
    s.claim(Index.all(lambda i: implies(i <= s.length[voter], s.log_term[voter, i] <= last_term(s, voter))))
    s.claim(choosable_is_kept_by(s, voter, lambda u, i: implies(is_fresh, comes_after(s, candidate, u, i))))
    s.claim(choosable_is_kept_by(s, voter, lambda u, i: implies(is_fresh, has_entry(s, candidate, i, u))))
    election.grant_vote(s, voter, candidate, t)


@action
def become_leader(s: State, n: Node, q: Quorum) -> None:
    """Figure 2, Leaders: messages of the term are taken from its log."""
    t = s.term[n]
    s.claim(Node.all(lambda m: no(s.heartbeat[m, t])))
    s.claim(no(has_started(s, t)))
    s.claim(implies(s.by[t] > 0, may_be_chosen(s, s.by_term[t], s.by[t])))
    s.claim(implies(s.by[t] > 0, both(s.by[t] <= s.length[n], s.log_term[n, s.by[t]] == s.by_term[t])))
    s.claim(
        Term.all(
            lambda u: Index.all(
                lambda i: implies(
                    both(u < t, is_leaders_own(s, u, i), may_be_chosen(s, u, i)), has_entry(s, n, i, u)
                )
            )
        )
    )
    s.claim(Index.all(lambda i: implies(both(i > 0, i <= s.length[n]), s.log_term[n, i] < t)))
    election.become_leader(s, n, q)
    s.leader_of[t] = n

    s.leader_length[t] = s.length[n]
    s.leader_term.where(lambda old, u, i: ite(u == t, s.log_term[n, i], old))
    s.leader_value.where(lambda old, u, i: ite(u == t, s.log_value[n, i], old))
    s.stored.where(lambda old, m, u, i: either(old, both(m == n, u == t, i > 0, i <= s.length[n])))


# -- Replication ---------------------------------------------------------------------------------
@action
def client_request(s: State, n: Node, v: Value) -> None:
    """Figure 2, Leaders 2: append the command to the own log, and send it to all."""
    is_leader = s.role[n] == LEADER  # Figure 2, Leaders 2
    s.require(is_leader)
    t, i = s.term[n], s.length[n] + 1
    s.claim(has_started(s, t))
    s.claim(s.length[n] == s.leader_length[t])
    s.claim(Term.all(lambda u: implies(both(u > t, has_started(s, u)), no(may_be_chosen(s, t, i)))))

    s.length[n] = i
    s.log_term[n, i] = t
    s.log_value[n, i] = v
    s.leader_length[t] = i
    s.leader_term[t, i] = t
    s.leader_value[t, i] = v
    s.stored[n, t, i] = True


@action
def append_entries(s: State, n: Node, t: Term, prev: Index, last: Index) -> None:
    """Figure 2, AppendEntries RPC, receiver 4: entries prev + 1 to last, where none is in conflict."""
    message_was_sent = both(has_sent(s, t), prev <= last, last <= s.leader_length[t])  # section 5.3
    term_is_current = s.term[n] == t  # Figure 2, AppendEntries receiver 1
    is_follower = s.role[n] == FOLLOWER  # Figure 2, Followers 1; a candidate steps down before
    log_contains_previous = both(  # Figure 2, AppendEntries receiver 2
        prev <= s.length[n], s.log_term[n, prev] == s.leader_term[t, prev]
    )
    nothing_is_in_conflict = Index.all(  # Figure 2, AppendEntries receiver 3
        lambda i: implies(
            both(prev < i, i <= last, i <= s.length[n]), s.log_term[n, i] == s.leader_term[t, i]
        )
    )
    s.require(message_was_sent, term_is_current, is_follower, log_contains_previous, nothing_is_in_conflict)
    s.claim(Index.all(lambda i: implies(i <= prev, is_leader_entry(s, n, t, i))))

    copy_entries(s, n, t, prev, last, deletes=False)
    s.length[n] = ite(s.length[n] < last, last, s.length[n])


@action
def overwrite_entries(s: State, n: Node, t: Term, prev: Index, last: Index, conflict: Index) -> None:
    """Figure 2, AppendEntries RPC, receiver 3: an entry in conflict, and all that follow it, are deleted."""
    message_was_sent = both(has_sent(s, t), prev <= last, last <= s.leader_length[t])  # section 5.3
    term_is_current = s.term[n] == t  # Figure 2, AppendEntries receiver 1
    is_follower = s.role[n] == FOLLOWER  # Figure 2, Followers 1; a candidate steps down before
    log_contains_previous = both(  # Figure 2, AppendEntries receiver 2
        prev <= s.length[n], s.log_term[n, prev] == s.leader_term[t, prev]
    )
    conflict_is_in_message = both(prev < conflict, conflict <= last)  # Figure 2, AppendEntries receiver 3
    terms_differ = both(  # Figure 2, AppendEntries receiver 3: same index, different terms
        conflict <= s.length[n], s.log_term[n, conflict] != s.leader_term[t, conflict]
    )
    s.require(
        message_was_sent,
        term_is_current,
        is_follower,
        log_contains_previous,
        conflict_is_in_message,
        terms_differ,
    )
    s.claim(Index.all(lambda i: implies(i <= prev, is_leader_entry(s, n, t, i))))
    s.claim(
        Index.all(
            lambda i: implies(
                both(conflict <= i, i <= s.length[n], i <= s.leader_length[t]),
                s.log_term[n, i] != s.leader_term[t, i],
            )
        )
    )
    s.claim(choosable_is_kept_by(s, n, lambda u, i: has_leader_entry(s, t, i, u)))
    s.claim(choosable_is_kept_by(s, n, lambda u, i: i < conflict))

    copy_entries(s, n, t, prev, last, deletes=True)
    s.length[n] = last


def copy_entries(s: State, n: Node, t: Term, prev: Index, last: Index, *, deletes: bool) -> None:
    """Store a stretch of the log of the term's leader, and reply; what is beyond it is kept or deleted."""

    def is_in(m: Node, i: Index) -> bool:
        return both(m == n, prev < i, i <= last)

    def is_deleted(m: Node, i: Index) -> bool:
        return both(deletes, m == n, last < i)

    s.log_term.where(lambda old, m, i: ite(is_in(m, i), s.leader_term[t, i], ite(is_deleted(m, i), 0, old)))
    s.log_value.where(
        lambda old, m, i: ite(is_in(m, i), s.leader_value[t, i], ite(is_deleted(m, i), NIL, old))
    )
    s.stored.where(lambda old, m, u, i: either(old, both(m == n, u == t, i > 0, i <= last)))


# -- Commitment ----------------------------------------------------------------------------------
@action
def advance_commit(s: State, n: Node, i: Index, q: Quorum) -> None:
    """Figure 2, Leaders 4: an entry of the own term that a quorum stores is committed, with all before."""
    t = s.term[n]
    is_leader = s.role[n] == LEADER  # Figure 2, Leaders 4
    index_is_newer = both(s.commit[n] < i, i <= s.length[n])  # Figure 2, Leaders 4: N > commitIndex
    quorum_stored = Node.all(lambda m: implies(s.member[m, q], s.stored[m, t, i]))  # section 5.3
    entry_is_of_own_term = s.log_term[n, i] == t  # section 5.4.2, Figure 8
    s.require(is_leader, index_is_newer, quorum_stored, entry_is_of_own_term)
    s.claim(Term.all(lambda u: implies(both(u >= t, has_started(s, u)), has_leader_entry(s, u, i, t))))
    s.claim(Index.all(lambda j: implies(both(j > 0, j <= i, j <= s.committed), is_committed_at(s, n, j))))

    s.commit[n] = i
    s.leader_commit[t] = i
    is_new = s.committed < i
    s.committed_term.where(lambda old, j: ite(both(s.committed < j, j <= i), s.log_term[n, j], old))
    s.committed_value.where(lambda old, j: ite(both(s.committed < j, j <= i), s.log_value[n, j], old))
    s.committed = ite(is_new, i, s.committed)
    s.committed_in = ite(is_new, t, s.committed_in)
    s.by_term.where(lambda old, u: ite(both(t <= u, s.by[u] < i), t, old))
    s.by_quorum.where(lambda old, u: ite(both(t <= u, s.by[u] < i), q, old))
    s.by.where(lambda old, u: ite(both(t <= u, old < i), i, old))


@action
def follow_commit(s: State, n: Node, t: Term, i: Index) -> None:
    """Figure 2, AppendEntries RPC, receiver 5: of a message whose last entry, or prevLogIndex, is i."""
    commit_was_sent = i <= s.leader_commit[t]  # Figure 2, AppendEntries receiver 5: leaderCommit
    term_is_current = s.term[n] == t  # Figure 2, AppendEntries receiver 1
    is_follower = s.role[n] == FOLLOWER  # Figure 2, Followers 1
    log_contains_entry = both(  # Figure 2, AppendEntries receiver 2
        i <= s.length[n], s.log_term[n, i] == s.leader_term[t, i]
    )
    index_is_newer = s.commit[n] < i  # Figure 2, AppendEntries receiver 5: leaderCommit > commitIndex
    s.require(commit_was_sent, term_is_current, is_follower, log_contains_entry, index_is_newer)

    s.commit[n] = i


@action
def restart(s: State, n: Node) -> None:
    """Figure 2, State: commitIndex is volatile, the log is not."""
    election.restart(s, n)
    s.commit[n] = 0


# -- What holds ----------------------------------------------------------------------------------
@theorem
def log_matching(s: State, a: Node, b: Node, i: Index, j: Index) -> bool:
    """Figure 3: logs with an entry of the same index and term are identical up to it."""
    match = both(i > 0, i <= s.length[a], i <= s.length[b], s.log_term[a, i] == s.log_term[b, i])
    return implies(both(match, j <= i), is_same_entry(s, a, b, j))


@theorem
def leader_completeness(s: State, n: Node, i: Index) -> bool:
    """Figure 3: what was committed in a term is in the logs of the leaders of that and all later ones."""
    committed = both(i > 0, i <= s.by[s.term[n]])
    return implies(both(s.role[n] == LEADER, committed), both(i <= s.length[n], is_committed_at(s, n, i)))


@theorem
def state_machine_safety(s: State, a: Node, b: Node, i: Index) -> bool:
    """Figure 3: no two servers apply different entries at the same index."""
    return implies(both(i <= s.commit[a], i <= s.commit[b]), is_same_entry(s, a, b, i))


# Logs
@invariant
def log_is_a_leaders(s: State, n: Node, i: Index, j: Index) -> bool:
    """Each entry came from the leader of its term, and with it all that are before it."""
    t = s.log_term[n, i]
    told = both(has_started(s, t), t > 0, t <= s.term[n], i <= s.leader_length[t], s.leader_term[t, i] == t)
    return implies(both(i > 0, i <= s.length[n]), both(told, implies(j <= i, is_leader_entry(s, n, t, j))))


@invariant
def leader_log_is_a_leaders(s: State, t: Term, i: Index, j: Index) -> bool:
    """So it is with the logs of leaders; the terms in a log never fall."""
    u = s.leader_term[t, i]
    told = both(has_started(s, u), u > 0, u <= t, i <= s.leader_length[u], s.leader_term[u, i] == u)
    same = both(s.leader_term[t, j] == s.leader_term[u, j], s.leader_value[t, j] == s.leader_value[u, j])
    here = both(has_started(s, t), i > 0, i <= s.leader_length[t])
    return implies(here, both(told, implies(j <= i, both(same, s.leader_term[t, j] <= u))))


@invariant
def leader_has_its_log(s: State, n: Node, i: Index) -> bool:
    """While it leads, a server's log is the one that its messages are taken from."""
    t = s.term[n]
    return implies(s.role[n] == LEADER, both(s.length[n] == s.leader_length[t], is_leader_entry(s, n, t, i)))


@invariant
def nothing_is_before_the_first(s: State, n: Node, t: Term) -> bool:
    """Index 0 holds no entry."""
    nothing = both(s.log_term[n, 0] == 0, s.log_value[n, 0] == NIL)
    return both(nothing, s.leader_term[t, 0] == 0, s.leader_value[t, 0] == NIL)


@invariant
def nothing_is_beyond_the_last(s: State, n: Node, i: Index) -> bool:
    """Nor does any index beyond the length."""
    return implies(i > s.length[n], both(s.log_term[n, i] == 0, s.log_value[n, i] == NIL))


@invariant
def stored_is_in_leader_log(s: State, n: Node, t: Term, i: Index) -> bool:
    """Replies speak of entries that the leader has, in terms that the server has reached."""
    told = both(has_started(s, t), i > 0, i <= s.leader_length[t], t <= s.term[n])
    return implies(s.stored[n, t, i], told)


# Elections
@invariant
def leader_was_announced_once(s: State, t: Term, n: Node) -> bool:
    """Whoever sent heartbeats in a term is its leader, and has reached it."""
    return both(
        s.heartbeat[n, t] == (s.leader_of[t] == n), implies(s.heartbeat[n, t], both(t > 0, t <= s.term[n]))
    )


@invariant
def vote_was_requested(s: State, voter: Node, t: Term, candidate: Node) -> bool:
    """Nobody is granted a vote, or has one stored, without having asked for it."""
    stored = implies(s.voted_for[voter] == candidate, s.requested[candidate, s.term[voter]])
    return both(stored, implies(s.granted[voter, t, candidate], s.requested[candidate, t]))


@invariant
def request_is_not_from_future(s: State, n: Node, t: Term) -> bool:
    """Nobody has asked for votes in a term that it has not reached."""
    return implies(s.requested[n, t], both(t > 0, t <= s.term[n]))


@invariant
def candidate_is_fresh(s: State, n: Node) -> bool:
    """A candidate has asked with the log that it still has, votes for itself, and has not led its term."""
    t = s.term[n]
    asked = both(s.requested[n, t], s.asked_index[n, t] == s.length[n], s.asked_term[n, t] == last_term(s, n))
    voted = both(s.voted_for[n] == n, s.granted[n, t, n])
    return implies(s.role[n] == CANDIDATE, both(asked, voted, no(s.heartbeat[n, t])))


# Entries that a quorum has, or can still come to have
@invariant
def choosable_is_kept(s: State, n: Node, t: Term, i: Index) -> bool:
    """Whoever has stored such an entry of the leader's own term still has it."""
    chosen = both(s.stored[n, t, i], s.leader_term[t, i] == t, may_be_chosen(s, t, i))
    return implies(chosen, has_entry(s, n, i, t))


@invariant
def choosable_is_candidates(s: State, n: Node, t: Term, i: Index, candidate: Node) -> bool:
    """And so has a candidate of a later term for which it has voted."""
    chosen = both(s.stored[n, t, i], s.leader_term[t, i] == t, may_be_chosen(s, t, i))
    voted = both(s.role[candidate] == CANDIDATE, s.term[candidate] > t)
    granted = s.granted[n, s.term[candidate], candidate]
    return implies(both(chosen, voted, granted), has_entry(s, candidate, i, t))


@invariant
def choosable_is_asked(s: State, n: Node, t: Term, i: Index, candidate: Node) -> bool:
    """Or for which it has stored its vote."""
    chosen = both(s.stored[n, t, i], s.leader_term[t, i] == t, may_be_chosen(s, t, i))
    voted = both(s.role[candidate] == CANDIDATE, s.term[candidate] > t)
    asked = both(s.term[n] == s.term[candidate], s.voted_for[n] == candidate)
    return implies(both(chosen, voted, asked), has_entry(s, candidate, i, t))


@invariant
def choosable_is_later_leaders(s: State, t: Term, i: Index, u: Term) -> bool:
    """And so has every leader of a later term: the heart of the argument (section 5.4.3)."""
    chosen = both(is_leaders_own(s, t, i), may_be_chosen(s, t, i))
    return implies(both(chosen, has_started(s, u), u >= t), has_leader_entry(s, u, i, t))


# Commitment
@invariant
def committed_by_quorum(s: State, u: Term, m: Node, q: Quorum) -> bool:
    """What leaders of terms up to one committed ends with an entry of a leader's own that a quorum stored."""
    t, i = s.by_term[u], s.by[u]
    entry = both(has_started(s, t), t <= u, s.by[t] == i, has_leader_entry(s, t, i, t), s.by_quorum[u] != NIL)
    stored = implies(both(s.by_quorum[u] == q, s.member[m, q]), s.stored[m, t, i])
    return both(i <= s.committed, implies(i > 0, both(entry, stored)))


@invariant
def committed_grows_with_terms(s: State, t: Term, u: Term) -> bool:
    """Later leaders have committed no less."""
    return implies(t <= u, s.by[t] <= s.by[u])


@invariant
def committed_in_some_term(s: State) -> bool:
    """All that is committed was committed by the leader of some term."""
    started = implies(s.committed > 0, has_started(s, s.committed_in))
    return both(s.by[s.committed_in] == s.committed, started)


@invariant
def committed_is_in_leader_logs(s: State, u: Term, i: Index) -> bool:
    """What was committed up to a term is in its leader's log."""
    same = both(s.leader_term[u, i] == s.committed_term[i], s.leader_value[u, i] == s.committed_value[i])
    return implies(both(has_started(s, u), i > 0, i <= s.by[u]), both(i <= s.leader_length[u], same))


@invariant
def commit_is_committed(s: State, n: Node, i: Index) -> bool:
    """No server's commit index is beyond what is committed, and its log agrees up to there."""
    bounded = both(s.commit[n] <= s.by[s.term[n]], s.commit[n] <= s.length[n])
    return both(bounded, implies(both(i > 0, i <= s.commit[n]), is_committed_at(s, n, i)))


@invariant
def sent_commit_is_committed(s: State, t: Term) -> bool:
    """No leader has sent a commit index beyond what is committed up to its term."""
    return both(s.leader_commit[t] <= s.by[t], implies(s.leader_commit[t] > 0, has_started(s, t)))


# -- What can happen -----------------------------------------------------------------------------
@witness
def an_entry_is_committed(s: State, n: Node) -> bool:
    """A leader has committed an entry of its term."""
    return both(s.role[n] == LEADER, s.commit[n] > 0)


@witness
def a_follower_lags(s: State, n: Node, m: Node, i: Index) -> bool:
    """A follower has a committed entry and does not know that it is."""
    return both(s.commit[m] < i, i <= s.commit[n], i <= s.length[m], is_same_entry(s, n, m, i))


@witness
def logs_conflict(s: State, a: Node, b: Node, i: Index) -> bool:
    """Two logs have entries of different terms at one index."""
    return both(i > 0, i <= s.length[a], i <= s.length[b], s.log_term[a, i] != s.log_term[b, i])


@witness
def an_entry_was_overwritten(s: State, n: Node, t: Term, u: Term, i: Index) -> bool:
    """A follower stored an entry of one leader and has that of another now."""
    return both(t < u, s.stored[n, t, i], s.stored[n, u, i], s.leader_term[t, i] != s.leader_term[u, i])


@witness
def a_quorum_stored_what_is_not_committed(s: State, n: Node, i: Index, q: Quorum) -> bool:
    """Figure 8: an entry of an older term is stored by a quorum, and its leader may not count that."""
    stored = Node.all(lambda m: implies(s.member[m, q], s.stored[m, s.term[n], i]))
    return both(s.role[n] == LEADER, stored, s.commit[n] < i, s.log_term[n, i] < s.term[n])


@witness
def an_older_entry_is_committed(s: State, n: Node, i: Index) -> bool:
    """Section 5.4.2: an entry of an older term, committed by way of one of the leader's own."""
    return both(s.role[n] == LEADER, i > 0, i <= s.commit[n], s.log_term[n, i] < s.term[n])


MODEL = model(__name__, State, extends=election.MODEL)
