"""The write-up's election: votes are asked for in a loop, one peer after the other.

`StartElection` and `requestVote`, line by line. What the code does not show is done as Figure 2 says: a
peer grants one vote a term, and hears of newer terms and leaders. A call and its answer are one step; a
call that fails is a vote not granted. Four rules are missing, each a switch that is on where it is kept:

    LOCKS    a server's handlers wait while it is in StartElection. Nothing in the code keeps them from
             running then, and they change the same `state` and `currentTerm`
    ENDS     a newer term in an answer ends the candidacy. The code returns from `requestVote` and goes on
             with the loop: it keeps the votes of the old term, and may lead the new one with them
    CHECKS   who has the votes leads if it is still a candidate, in the term in which it stood. The code
             sets `state` whatever has happened to `state` and `currentTerm` meanwhile
    COUNTS   a majority of all servers, the candidate's own vote once. The code compares with
             `len(n.peers)/2 + 1`: where `peers` are the others that is half of an even cluster, and where
             they are all servers (`lists_itself`) the candidate asks itself and counts its vote twice

COUNTS is needed. Of the rest CHECKS alone is enough; without it LOCKS and ENDS are, and neither is alone.
Not modelled here: that `currentTerm` and `votedFor` are kept in memory only (the fault
vote-not-durable), and what leaders do.
"""

from __future__ import annotations

from enum import IntEnum

from oneleader.language import (
    NIL,
    Fields,
    NumberSort,
    Option,
    action,
    both,
    constant,
    either,
    field,
    implies,
    ite,
    model,
    no,
    theorem,
    witness,
)
from oneleader.models.election import CANDIDATE, FOLLOWER, LEADER, Node, Role, Term


class Rule(IntEnum):
    """What the loop would have to keep to."""

    LOCKS = 0
    ENDS = 1
    CHECKS = 2
    COUNTS = 3


LOCKS, ENDS, CHECKS, COUNTS = Rule


class Count(NumberSort):
    """How many votes."""


class State(Fields):
    """`RaftNode`, and the local variables of its `StartElection`."""

    kept = constant(Rule)
    lists_itself = constant(Node)  # the server's `peers` are all servers, itself among them

    term = field(Node, of=Term)
    voted_for = field(Node, of=Option[Node])
    role = field(Node, of=Role)

    # StartElection, while it runs; 0 and nowhere otherwise.
    stood_in = field(Node, of=Term)  # the term in which it began
    asked = field(Node, Node, of=bool)  # the peers that the loop is done with
    tally = field(Node, of=Count)

    led = field(Node, Term, of=bool)  # sendHeartbeats: who has announced itself in a term


def is_running(s: State, n: Node) -> bool:
    """The server is inside StartElection."""
    return s.stood_in[n] > 0


def is_peer(s: State, n: Node, peer: Node) -> bool:
    """`range n.peers`."""
    return either(peer != n, s.lists_itself[n])


def is_next(s: State, n: Node, peer: Node) -> bool:
    """The loop has come to this peer; their order is any."""
    return both(is_running(s, n), is_peer(s, n, peer), no(s.asked[n, peer]))


def handles(s: State, n: Node) -> bool:
    """The server's handlers run: with LOCKS not while its loop does."""
    return no(both(s.kept[LOCKS], is_running(s, n)))


def leave(s: State, n: Node) -> None:
    """StartElection returns."""
    s.stood_in[n] = 0
    s.asked.where(lambda old, c, v: both(c != n, old))
    s.tally[n] = 0


# -- The loop ------------------------------------------------------------------------------------
@action
def start_election(s: State, n: Node) -> None:
    """`n.state = "candidate"; n.currentTerm++; n.votedFor = n.id; votes := 1`."""
    not_leader = s.role[n] != LEADER  # Figure 2, Followers 2, Candidates 4
    loop_is_over = no(is_running(s, n))  # one timer a server
    s.require(not_leader, loop_is_over)

    t = s.term[n] + 1
    s.role[n] = CANDIDATE
    s.term[n] = t
    s.voted_for[n] = n
    s.stood_in[n] = t
    s.tally[n] = 1


@action
def get_vote(s: State, n: Node, peer: Node) -> None:
    """`if n.requestVote(peer) { votes++ }`: the request carries `n.currentTerm` of this very moment."""
    peer_is_next = is_next(s, n, peer)  # the write-up: for _, peer := range n.peers
    peer_answers = either(peer == n, handles(s, peer))  # the write-up: sendRPC
    t = s.term[n]
    term_is_no_older = s.term[peer] <= t  # Figure 2, RequestVote receiver 1
    vote = s.voted_for[peer]
    vote_is_free = either(s.term[peer] < t, vote == NIL, vote == n)  # Figure 2, RequestVote receiver 2
    s.require(peer_is_next, peer_answers, term_is_no_older, vote_is_free)

    is_own_vote_again = both(s.kept[COUNTS], peer == n)
    adopts = s.term[peer] < t
    s.term.where(lambda old, v: ite(v == peer, t, old))
    s.role.where(lambda old, v: ite(both(v == peer, adopts), FOLLOWER, old))
    s.voted_for.where(lambda old, v: ite(v == peer, n, old))
    s.asked[n, peer] = True
    s.tally[n] = ite(is_own_vote_again, s.tally[n], s.tally[n] + 1)


@action
def get_no_vote(s: State, n: Node, peer: Node) -> None:
    """`return resp.voteGranted`: false, or the call has failed."""
    peer_is_next = is_next(s, n, peer)  # the write-up: for _, peer := range n.peers
    s.require(peer_is_next)

    s.asked[n, peer] = True


@action
def learn_newer_term(s: State, n: Node, peer: Node) -> None:
    """`if resp.term > n.currentTerm { n.currentTerm = resp.term; n.state = "follower"; return false }`."""
    peer_is_next = is_next(s, n, peer)  # the write-up: for _, peer := range n.peers
    peer_answers = handles(s, peer)  # the write-up: sendRPC
    term_is_newer = s.term[peer] > s.term[n]  # Figure 2, All Servers 2
    loop_goes_on = no(s.kept[ENDS])  # the write-up: the return is from requestVote
    s.require(peer_is_next, peer_answers, term_is_newer, loop_goes_on)

    s.term[n] = s.term[peer]
    s.role[n] = FOLLOWER
    s.asked[n, peer] = True


@action
def end_candidacy(s: State, n: Node, peer: Node) -> None:
    """What ENDS would have: a newer term in an answer, and the candidacy is over."""
    peer_is_next = is_next(s, n, peer)  # the write-up: for _, peer := range n.peers
    peer_answers = handles(s, peer)  # the write-up: sendRPC
    term_is_newer = s.term[peer] > s.term[n]  # Figure 2, All Servers 2
    loop_ends = s.kept[ENDS]  # Figure 2, All Servers 2: convert to follower
    s.require(peer_is_next, peer_answers, term_is_newer, loop_ends)

    s.term[n] = s.term[peer]
    s.role[n] = FOLLOWER
    s.voted_for[n] = NIL
    leave(s, n)


@action
def lead(s: State, n: Node) -> None:
    """`if votes >= quorum { n.state = "leader"; n.sendHeartbeats() }`."""
    loop_is_done = has_asked_all(s, n)  # the write-up: after the loop
    enough_voted = has_quorum(s, n)  # the write-up: quorum := len(n.peers)/2 + 1
    still_stands = stands_as_begun(s, n)  # section 5.2: votes from a majority for the same term
    s.require(loop_is_done, enough_voted, still_stands)

    s.role[n] = LEADER
    s.led[n, s.term[n]] = True
    leave(s, n)


@action
def lose(s: State, n: Node) -> None:
    """`else { n.state = "follower" }`."""
    loop_is_done = has_asked_all(s, n)  # the write-up: after the loop
    must_not_lead = no(both(has_quorum(s, n), stands_as_begun(s, n)))  # the write-up: votes < quorum
    s.require(loop_is_done, must_not_lead)

    s.role[n] = FOLLOWER
    leave(s, n)


def has_asked_all(s: State, n: Node) -> bool:
    """The loop has come to its end."""
    return both(is_running(s, n), Node.all(lambda v: implies(is_peer(s, n, v), s.asked[n, v])))


def stands_as_begun(s: State, n: Node) -> bool:
    """What CHECKS asks: no handler has changed role or term since the candidacy began."""
    return either(no(s.kept[CHECKS]), both(s.role[n] == CANDIDATE, s.term[n] == s.stood_in[n]))


def has_quorum(s: State, n: Node) -> bool:
    """`votes >= len(n.peers)/2 + 1` is `2 * votes > len(n.peers)`; a majority is more than half of all."""
    twice = s.tally[n] + s.tally[n]
    return ite(
        s.kept[COUNTS],
        twice > Node.count(lambda v: True),
        twice > Node.count(lambda v: is_peer(s, n, v)),
    )


# -- The handlers, which the write-up leaves out ------------------------------------------------------
@action
def hear_newer_term(s: State, n: Node, other: Node) -> None:
    """Figure 2, All Servers 2: any message carries its sender's term. The loop may be waiting meanwhile."""
    handler_runs = handles(s, n)  # the write-up: no lock
    term_is_newer = s.term[other] > s.term[n]  # Figure 2, All Servers 2
    s.require(handler_runs, term_is_newer)

    s.term[n] = s.term[other]
    s.role[n] = FOLLOWER
    s.voted_for[n] = NIL


@action
def hear_leader(s: State, n: Node, leader: Node) -> None:
    """Figure 2, Candidates 3: another candidate has won this term."""
    handler_runs = handles(s, n)  # the write-up: no lock
    leader_was_heard = s.led[leader, s.term[n]]  # section 5.2: AppendEntries from a leader
    is_candidate = s.role[n] == CANDIDATE  # Figure 2, Candidates 3
    s.require(handler_runs, leader_was_heard, is_candidate)

    s.role[n] = FOLLOWER


# -- What holds, where the rules are kept --------------------------------------------------------------
@theorem
def election_safety(s: State, t: Term, a: Node, b: Node) -> bool:
    """Figure 3: at most one leader can be elected in a given term."""
    return implies(both(s.led[a, t], s.led[b, t]), a == b)


@witness
def a_leader_exists(s: State, n: Node) -> bool:
    """Somebody leads."""
    return s.role[n] == LEADER


@witness
def a_newer_leader_is_elected(s: State, a: Node, b: Node, t: Term, u: Term) -> bool:
    """Two servers have led, one after the other."""
    return both(a != b, t < u, s.led[a, t], s.led[b, u])


MODEL = model(__name__, State, usual={"kept": (), "lists_itself": ()})
