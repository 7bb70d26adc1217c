"""An election is started under a partial partition, with pre-votes and check-quorum: dissertation 9.6, 6.2.

Howard and Abraham ("Raft does not guarantee liveness in the face of network faults", 2020) cut single links:
servers that hear the leader keep those that do not from being elected, and those disturb it in turn. With
pre-votes and check-quorum a leader that no quorum hears gives up. From then on, whatever the rest of the
cluster does and however its links are cut, a server that asks starts an election, if it can reach a quorum in
which nobody leads or hears a leader. Then `a_leader_is_elected` says who leads.
"""

from __future__ import annotations

from oneleader.language import both, implies, invariant, leads_to, model, never, no, step
from oneleader.models import pre_vote
from oneleader.models.election import LEADER, Node, Quorum, Term
from oneleader.models.pre_vote import (
    become_leader,
    give_up,
    grant_pre_vote,
    hear_leader,
    lose_touch,
    receive_pre_vote,
    restart,
    start_election,
    start_pre_vote,
    step_down,
)


class State(pre_vote.State):
    """The state of pre-votes."""


# -- A server that asks, and the members of a quorum, one by one -------------------------------------
def asks(s: State, c: Node, t: Term, next: Term) -> bool:
    """The server asks whether it would be elected in the term after t, and nobody knows of that term yet."""
    asked = both(s.asking[c], s.term[c] == t, s.pre_requested[c, t + 1], t + 1 == next)
    no_later = Node.all(
        lambda x: Term.all(lambda u: implies(u > t, both(no(s.requested[x, u]), no(s.told[x, u]))))
    )
    return both(asked, no_later)


def nobody_of_the_quorum_leads(s: State, quorum: Quorum) -> bool:
    """A leader that no quorum answers has given up."""
    return Node.all(lambda v: implies(s.member[v, quorum], s.role[v] != LEADER))


def another(s: State, n: Node, c: Node) -> bool:
    """It is not the one that asks."""
    return n != c


def of_the_quorum(s: State, n: Node, quorum: Quorum) -> bool:
    """A heartbeat reaches a member of the quorum: then there is a leader that can be reached."""
    return s.member[n, quorum]


def hears_nobody(s: State, v: Node) -> bool:
    """What it heard of a leader was an election timeout ago."""
    return Node.all(lambda u: no(s.heard[v, u]))


def has_granted(s: State, c: Node, t: Term, v: Node) -> bool:
    """It would vote for the server."""
    return s.pre_granted[v, t + 1, c]


def is_counted(s: State, c: Node, v: Node) -> bool:
    """The server knows."""
    return s.pre_votes[c, v]


@leads_to(
    given=(asks, nobody_of_the_quorum_leads),
    stops=(
        never(hear_leader, when=of_the_quorum),
        never(step_down, when=of_the_quorum),
        never(become_leader, when=of_the_quorum),
        never(hear_leader, n="c"),
        never(start_election, when=another),
        never(start_pre_vote, n="c"),
        never(give_up, n="c"),
        never(restart, n="c"),
    ),
    each=("v", "quorum"),
    stages=(hears_nobody, has_granted, is_counted),
    fair=(
        step(lose_touch, n="v"),
        step(grant_pre_vote, voter="v", candidate="c", t="next"),
        step(receive_pre_vote, candidate="c", voter="v", t="next"),
    ),
    by=step(start_election, n="c", q="quorum"),
)
def an_election_is_started(s: State, c: Node, t: Term, next: Term, quorum: Quorum) -> bool:
    """The server asks for votes in the term after t, which is `next`."""
    return s.requested[c, t + 1]


# -- What this rests on beside what `pre_vote` proves ------------------------------------------------
@invariant
def it_would_vote_for_itself(s: State, n: Node) -> bool:
    """A server that asks is the first to be asked."""
    own = both(s.pre_votes[n, n], s.pre_granted[n, s.term[n] + 1, n])
    return implies(s.asking[n], own)


MODEL = model(__name__, State, extends=pre_vote.MODEL)
