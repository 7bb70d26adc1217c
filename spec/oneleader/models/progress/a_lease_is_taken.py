"""A lease is taken, and renewed: dissertation 6.4.1, for any number of servers and any clocks.

Once a leader has sent a round of heartbeats, it comes to hold a lease, if a quorum can be reached before the
round is a lease old and nobody stands meanwhile. This is so of each round: a lease is renewed as it is taken.
That the time suffices is what a heartbeat interval much shorter than a lease is for.
"""

from __future__ import annotations

from oneleader.language import both, either, implies, invariant, leads_to, model, never, no, step
from oneleader.models import lease
from oneleader.models.election import FOLLOWER, LEADER, Node, Quorum, Term, step_down
from oneleader.models.lease import (
    Round,
    acknowledge,
    elapse,
    give_up,
    holds_lease,
    restart,
    start_election,
    transfer_leadership,
    update_term,
)


class State(lease.State):
    """The lease's."""


# -- A leader's round, and each server that answers it -----------------------------------------------
def leads_unchallenged(s: State, c: Node, t: Term) -> bool:
    """The server leads t, hands over to nobody, and nobody has asked for a later term."""
    no_later = Node.all(lambda x: Term.all(lambda u: implies(u > t, no(s.requested[x, u]))))
    return both(s.role[c] == LEADER, s.term[c] == t, no(s.lease_is_void[c]), no_later)


def round_is_fresh(s: State, c: Node, t: Term, k: Round) -> bool:
    """It has sent this round less than a lease ago."""
    return both(s.sent[c, t, k], s.since_sent[c, k] < s.lease)


def has_term(s: State, t: Term, v: Node) -> bool:
    """A message of the leader has reached it."""
    return s.term[v] == t


def follows(s: State, c: Node, t: Term, v: Node) -> bool:
    """It is no candidate of this term any more."""
    return both(s.term[v] == t, either(v == c, s.role[v] == FOLLOWER))


def has_promised(s: State, c: Node, t: Term, k: Round, v: Node) -> bool:
    """It has acknowledged the round; the leader hears itself."""
    return either(v == c, s.acknowledged[v, c, t, k])


@leads_to(
    given=(leads_unchallenged, round_is_fresh),
    stops=(
        never(start_election),
        never(transfer_leadership, n="c"),
        never(restart, n="c"),
        never(give_up, n="c"),
        never(elapse, leaving=round_is_fresh),
    ),
    each=("v", "q"),
    stages=(has_term, follows, has_promised),
    fair=(
        step(update_term, n="v", t="t"),
        step(step_down, n="v", leader="c", t="t"),
        step(acknowledge, voter="v", leader="c", t="t", k="k"),
    ),
)
def a_lease_is_taken(s: State, c: Node, t: Term, k: Round, q: Quorum) -> bool:
    """The leader holds a lease, once a quorum has answered the round."""
    return holds_lease(s, c, q)


# -- What this rests on beside what `lease` proves ---------------------------------------------------
@invariant
def leader_asked_for_votes(s: State, n: Node, t: Term) -> bool:
    """The leader of a term has stood in it."""
    return implies(s.heartbeat[n, t], both(t > 0, s.requested[n, t]))


@invariant
def candidate_asked_for_votes(s: State, n: Node) -> bool:
    """A candidate has asked for votes."""
    return implies(s.role[n] != FOLLOWER, both(s.term[n] > 0, s.requested[n, s.term[n]]))


@invariant
def term_was_requested(s: State, n: Node) -> bool:
    """Terms grow by elections alone."""
    return either(s.term[n] == 0, Node.any(lambda c: s.requested[c, s.term[n]]))


MODEL = model(__name__, State, extends=lease.MODEL)
