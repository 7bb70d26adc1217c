"""Leader election: Raft section 5.2 and Figure 2, without the log.

A server's term and vote are on stable storage and survive a crash; its role and the votes that it
has collected do not. The network is the set of all messages ever sent: a lost message is one never
read, a duplicated or reordered one is read again or later.

Not modelled here: the log and its up-to-date check, pre-vote and check-quorum, leases, membership.
"""

from __future__ import annotations

from enum import IntEnum

from oneleader.language import (
    NIL,
    Fields,
    NumberSort,
    Option,
    SetSort,
    action,
    axiom,
    both,
    constant,
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


class Node(SetSort):
    """A server."""


class Quorum(SetSort):
    """A set of servers whose votes elect a leader. Any two share a server; majorities are one such system."""


class Term(NumberSort):
    """Logical time; 0 before the first election."""


class Role(IntEnum):
    """What a server takes itself to be."""

    FOLLOWER = 0
    CANDIDATE = 1
    LEADER = 2


FOLLOWER, CANDIDATE, LEADER = Role


class State(Fields):
    """Figure 2, State, and the messages sent so far."""

    member = constant(Node, Quorum)

    # Persistent: updated on stable storage before a server responds.
    term = field(Node, of=Term)
    voted_for = field(Node, of=Option[Node])

    # Volatile: lost in a crash.
    role = field(Node, of=Role)
    votes = field(Node, Node, of=bool)  # votes[candidate, voter]: collected by the candidate

    # The network: everything ever sent.
    requested = field(Node, Term, of=bool)  # RequestVote: candidate, term
    granted = field(Node, Term, Node, of=bool)  # its reply voteGranted: voter, term, candidate
    heartbeat = field(Node, Term, of=bool)  # AppendEntries: leader, term

    # History, for proofs and witnesses only.
    elected_by = ghost(Term, of=Option[Quorum])  # the quorum that elected a leader of the term
    unsent = ghost(Node, Term, of=bool)  # the server restarted between its vote and its reply


# -- Elections -----------------------------------------------------------------------------------
@action
def start_election(s: State, n: Node) -> None:
    """Figure 2, Followers 2 and Candidates 1: an election timeout elapses."""
    not_leader = s.role[n] != LEADER  # Figure 2, Followers 2, Candidates 4
    s.require(not_leader)

    t = s.term[n] + 1
    s.term[n] = t
    s.voted_for[n] = n
    s.role[n] = CANDIDATE
    s.votes.where(lambda old, c, v: ite(c == n, v == n, old))
    s.requested[n, t] = True
    s.granted[n, t, n] = True  # the vote for itself needs no message: one kind of vote for the proof


@action
def grant_vote(s: State, voter: Node, candidate: Node, t: Term) -> None:
    """Figure 2, RequestVote RPC, receiver: the vote goes to stable storage."""
    vote_was_requested = s.requested[candidate, t]  # section 5.2: a candidate asked for it
    term_is_current = s.term[voter] == t  # Figure 2, RequestVote receiver 1
    vote = s.voted_for[voter]
    vote_is_free = either(vote == NIL, vote == candidate)  # Figure 2, RequestVote receiver 2
    s.require(vote_was_requested, term_is_current, vote_is_free)

    s.voted_for[voter] = candidate


@action
def reply_vote(s: State, voter: Node, candidate: Node, t: Term) -> None:
    """Figure 2, RequestVote RPC, results: voteGranted. A step of its own: a crash may come before it."""
    vote_is_stored = s.voted_for[voter] == candidate  # Figure 2, persistent state, before responding
    term_is_current = s.term[voter] == t  # Figure 2, RequestVote results: term is currentTerm
    s.require(vote_is_stored, term_is_current)

    s.granted[voter, t, candidate] = True


@action
def receive_vote(s: State, candidate: Node, voter: Node, t: Term) -> None:
    """Section 5.2: the candidate collects a vote. A set, so that a duplicated reply changes nothing."""
    vote_was_granted = s.granted[voter, t, candidate]  # Figure 2, RequestVote results
    term_is_current = s.term[candidate] == t  # section 5.2: votes in the same term
    is_candidate = s.role[candidate] == CANDIDATE  # Figure 2, Candidates 2
    s.require(vote_was_granted, term_is_current, is_candidate)

    s.votes[candidate, voter] = True


@action
def become_leader(s: State, n: Node, q: Quorum) -> None:
    """Figure 2, Candidates 2 and Leaders 1: votes from a quorum; heartbeats announce it."""
    is_candidate = s.role[n] == CANDIDATE  # Figure 2, Candidates 2
    quorum_voted = Node.all(lambda v: implies(s.member[v, q], s.votes[n, v]))  # section 5.2: majority
    s.require(is_candidate, quorum_voted)

    s.role[n] = LEADER
    s.heartbeat[n, s.term[n]] = True
    s.elected_by[s.term[n]] = q


# -- Stepping down -------------------------------------------------------------------------------
@action
def update_term(s: State, n: Node, t: Term) -> None:
    """Figure 2, All Servers 2: a message carries a newer term. The sender of one of term t, a candidate
    of t asked for votes before."""
    term_was_sent = Node.any(lambda c: s.requested[c, t])  # section 5.1: terms are exchanged in messages
    term_is_newer = t > s.term[n]  # Figure 2, All Servers 2
    s.require(term_was_sent, term_is_newer)

    s.term[n] = t
    s.voted_for[n] = NIL
    s.role[n] = FOLLOWER
    s.votes.where(lambda old, c, v: both(c != n, old))


@action
def step_down(s: State, n: Node, leader: Node, t: Term) -> None:
    """Figure 2, Candidates 3: another candidate has won this term. The vote in it stays given."""
    leader_was_heard = s.heartbeat[leader, t]  # section 5.2: AppendEntries from a leader
    term_is_current = s.term[n] == t  # section 5.2: at least as large as the candidate's
    is_candidate = s.role[n] == CANDIDATE  # Figure 2, Candidates 3
    s.require(leader_was_heard, term_is_current, is_candidate)

    s.role[n] = FOLLOWER
    s.votes.where(lambda old, c, v: both(c != n, old))


@action
def restart(s: State, n: Node) -> None:
    """Figure 2, State: a crash loses what is volatile; term and vote are read back from storage."""
    s.role[n] = FOLLOWER
    s.votes.where(lambda old, c, v: both(c != n, old))

    reply_is_unsent = Node.any(lambda c: both(s.voted_for[n] == c, no(s.granted[n, s.term[n], c])))
    s.unsent[n, s.term[n]] = either(s.unsent[n, s.term[n]], reply_is_unsent)


# -- What holds ----------------------------------------------------------------------------------
@axiom
def quorums_intersect(s: State, p: Quorum, q: Quorum) -> bool:
    """Any two quorums share a server."""
    return Node.any(lambda n: both(s.member[n, p], s.member[n, q]))


@theorem
def election_safety(s: State, t: Term, a: Node, b: Node) -> bool:
    """Figure 3: at most one leader can be elected in a given term."""
    return implies(both(s.heartbeat[a, t], s.heartbeat[b, t]), a == b)


@invariant
def granted_once(s: State, voter: Node, t: Term, a: Node, b: Node) -> bool:
    """Section 5.2: each server votes for at most one candidate in a term."""
    return implies(both(s.granted[voter, t, a], s.granted[voter, t, b]), a == b)


@invariant
def granted_not_from_future(s: State, voter: Node, t: Term, candidate: Node) -> bool:
    """Nobody has voted in a term that it has not reached."""
    return implies(s.granted[voter, t, candidate], t <= s.term[voter])


@invariant
def granted_is_stored(s: State, voter: Node, candidate: Node) -> bool:
    """A vote of the current term that was sent stands in stable storage."""
    return implies(s.granted[voter, s.term[voter], candidate], s.voted_for[voter] == candidate)


@invariant
def votes_were_granted(s: State, candidate: Node, voter: Node) -> bool:
    """Each collected vote was given in the candidate's term."""
    return implies(s.votes[candidate, voter], s.granted[voter, s.term[candidate], candidate])


@invariant
def leader_was_announced(s: State, n: Node) -> bool:
    """A leader has sent a heartbeat of its term."""
    return implies(s.role[n] == LEADER, s.heartbeat[n, s.term[n]])


@invariant
def elected_by_some_quorum(s: State, n: Node, t: Term) -> bool:
    """A term that has a leader has a quorum that elected it."""
    return implies(s.heartbeat[n, t], s.elected_by[t] != NIL)


@invariant
def elected_by_quorum(s: State, n: Node, t: Term, q: Quorum, v: Node) -> bool:
    """Every member of the quorum that elected a leader granted it its vote."""
    return implies(both(s.heartbeat[n, t], s.elected_by[t] == q, s.member[v, q]), s.granted[v, t, n])


# -- What can happen: no property above is vacuous --------------------------------------
@witness
def a_leader_exists(s: State, n: Node) -> bool:
    """Somebody leads."""
    return s.role[n] == LEADER


@witness
def two_leaders_of_different_terms(s: State, old: Node, new: Node) -> bool:
    """An old leader has not heard of the new one: why terms alone do not stop its writes."""
    return both(s.role[old] == LEADER, s.role[new] == LEADER, s.term[old] < s.term[new])


@witness
def a_split_vote(s: State, t: Term) -> bool:
    """Everybody has voted in a term and no candidate can win it (section 5.2)."""
    everybody_voted = Node.all(lambda v: both(s.term[v] == t, s.voted_for[v] != NIL))
    nobody_wins = Node.all(
        lambda c: Quorum.all(lambda q: Node.any(lambda v: both(s.member[v, q], s.voted_for[v] != c)))
    )
    return both(everybody_voted, nobody_wins)


@witness
def a_restart_between_vote_and_reply(s: State, voter: Node, candidate: Node, t: Term) -> bool:
    """A voter crashed after storing its vote and before replying, and its vote was counted all the same."""
    return both(s.unsent[voter, t], s.term[candidate] == t, s.votes[candidate, voter])


MODEL = model(__name__, State)
