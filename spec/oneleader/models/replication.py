"""Log replication: Raft sections 5.3 and 5.4 and the rest of Figure 2, on top of `election`.

A log is its entries' terms and values at the indices 1 to its length; index 0 is before the first
entry and has term 0. It survives a crash, a commit index does not. An entry's value stands for the
client's command.

What AppendEntries carries is not stored message by message. A leader only appends, so whatever the
leader of a term ever sent is a piece of its log in that term: `leader_log_term`, `leader_log_value`
and `leader_log_length` say, for each term, what was or could be sent, and `leader_commit` the greatest
commit index sent with it. This is network and no history: a follower reads it, no matter who has crashed
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
    """Dissertation 6.2: a leader that no quorum answers steps down; and a candidate may have lost. Who has
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


# -- Figure 3. Election safety is the election's ---------------------------------------------------
@invariant
def leader_append_only(s: State, n: Node, i: Index) -> bool:
    """Figure 3: a leader's log is what it has announced in its term, which nothing takes back."""
    t = s.term[n]
    same_length = s.log_length[n] == s.leader_log_length[t]
    same_term = s.log_term[n, i] == s.leader_log_term[t, i]
    same_value = s.log_value[n, i] == s.leader_log_value[t, i]
    in_log = both(i > 0, i <= s.log_length[n])
    return implies(s.role[n] == LEADER, both(same_length, implies(in_log, both(same_term, same_value))))


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


MODEL = model(__name__, State, extends=election.MODEL, refines=election.MODEL, lemmas=f"{__name__}_lemmas")
