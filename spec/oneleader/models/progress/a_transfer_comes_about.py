"""A transfer comes about: dissertation 3.10, for any number of servers.

Once a leader has asked another server to stand, that one asks for votes in the next term: it may have to
learn the leader's term first, and must not learn of a later one. Then `a_leader_is_elected` says who leads.
"""

from __future__ import annotations

from oneleader.language import both, implies, invariant, leads_to, model, never, step
from oneleader.models import lease
from oneleader.models.election import CANDIDATE, Node, Term
from oneleader.models.lease import start_forced_election, update_term


class State(lease.State):
    """The lease's."""


def was_asked(s: State, leader: Node, target: Node, during: Term) -> bool:
    """The leader of this term has asked another server, not past this term, to stand in the next."""
    return both(target != leader, s.timeout_now[leader, target, during + 1], s.term[target] <= during)


def has_term(s: State, target: Node, during: Term) -> bool:
    """It has learnt the leader's term."""
    return s.term[target] == during


def it_moves_on(s: State, n: Node, t: Term, target: Node, during: Term) -> bool:
    """It learns of a later term: then somebody else stands."""
    return both(n == target, t > during)


@leads_to(
    given=(was_asked,),
    stops=(never(update_term, when=it_moves_on),),
    stages=(has_term,),
    fair=(step(update_term, n="target", t="during"),),
    by=step(start_forced_election, n="target", leader="leader"),
)
def a_transfer_comes_about(s: State, leader: Node, target: Node, during: Term) -> bool:
    """The target asks for votes in the next term."""
    return s.requested[target, during + 1]


# -- What this rests on beside what `lease` proves ---------------------------------------------------
@invariant
def leader_asked_for_votes(s: State, n: Node, t: Term) -> bool:
    """The leader of a term has stood in it."""
    return implies(s.heartbeat[n, t], s.requested[n, t])


@invariant
def candidate_asked_for_votes(s: State, n: Node) -> bool:
    """A candidate has asked for votes."""
    return implies(s.role[n] == CANDIDATE, s.requested[n, s.term[n]])


MODEL = model(__name__, State, extends=lease.MODEL)
