"""A leader is elected: section 5.2, for any number of servers.

Once a candidate has asked for votes and nobody else stands, it is elected, if a quorum can be reached and its
messages come through at last. Restarts of voters do no harm: a vote is on stable storage. What the
environment has to stop doing is what randomized timeouts (section 5.2) and pre-votes make unlikely: another
election within this one. The candidate itself has to stay up.
"""

from __future__ import annotations

from oneleader.language import both, either, implies, invariant, leads_to, model, never, no, step
from oneleader.models import election
from oneleader.models.election import (
    CANDIDATE,
    Node,
    Quorum,
    Term,
    become_leader,
    grant_vote,
    receive_vote,
    reply_vote,
    restart,
    start_election,
    update_term,
)


class State(election.State):
    """The election's."""


# -- The candidate, and the members of a quorum, one by one ------------------------------------------
def nobody_else_stands(s: State, c: Node, t: Term) -> bool:
    """The candidate of t has asked for votes, still stands or leads, and nobody has asked for a later one."""
    no_later = Node.all(lambda x: Term.all(lambda u: implies(u > t, no(s.requested[x, u]))))
    no_other = Node.all(lambda x: implies(s.requested[x, t], x == c))
    stands = both(s.requested[c, t], s.term[c] == t)
    return both(no_later, no_other, stands, either(s.role[c] == CANDIDATE, s.heartbeat[c, t]))


def has_term(s: State, t: Term, v: Node) -> bool:
    """The request has reached it."""
    return s.term[v] == t


def has_voted(s: State, c: Node, t: Term, v: Node) -> bool:
    """Its vote is stored."""
    return both(s.term[v] == t, s.voted_for[v] == c)


def has_replied(s: State, c: Node, t: Term, v: Node) -> bool:
    """Its reply is on the way."""
    return s.granted[v, t, c]


def is_counted(s: State, c: Node, v: Node) -> bool:
    """The candidate has its vote."""
    return s.votes[c, v]


@leads_to(
    given=(nobody_else_stands,),
    stops=(never(start_election), never(restart, n="c")),
    each=("v", "q"),
    stages=(has_term, has_voted, has_replied, is_counted),
    fair=(
        step(update_term, n="v", t="t"),
        step(grant_vote, voter="v", candidate="c", t="t"),
        step(reply_vote, voter="v", candidate="c", t="t"),
        step(receive_vote, candidate="c", voter="v", t="t"),
    ),
    by=step(become_leader, n="c", q="q"),
)
def a_leader_is_elected(s: State, c: Node, t: Term, q: Quorum) -> bool:
    """The candidate leads its term, once a quorum has been reached."""
    return s.heartbeat[c, t]


# -- What this rests on beside what `election` proves ------------------------------------------------
@invariant
def granted_was_requested(s: State, voter: Node, t: Term, candidate: Node) -> bool:
    """Votes are given to those that asked."""
    return implies(s.granted[voter, t, candidate], s.requested[candidate, t])


@invariant
def stored_vote_was_requested(s: State, voter: Node, candidate: Node) -> bool:
    """And so are those that are not sent yet."""
    return implies(s.voted_for[voter] == candidate, s.requested[candidate, s.term[voter]])


@invariant
def term_was_requested(s: State, n: Node) -> bool:
    """Terms grow by elections alone."""
    return either(s.term[n] == 0, Node.any(lambda c: s.requested[c, s.term[n]]))


@invariant
def requested_not_from_future(s: State, n: Node, t: Term) -> bool:
    """Nobody asks for votes of a term that it has not reached."""
    return implies(s.requested[n, t], both(t > 0, t <= s.term[n]))


MODEL = model(__name__, State, extends=election.MODEL)
