"""An entry is committed: section 5.3, for any number of servers.

Once a leader has an entry of its own term, and nobody stands while it leads, the entry is committed, if a
quorum can be reached. Restarts of followers do no harm: what they have acknowledged is on stable storage.
"""

from __future__ import annotations

from oneleader.language import both, either, implies, invariant, leads_to, model, never, no, step
from oneleader.models import replication
from oneleader.models.election import FOLLOWER, LEADER, Node, Quorum, Term, step_down, update_term
from oneleader.models.replication import (
    Index,
    advance_commit,
    append_entries,
    give_up,
    replace_entries,
    restart,
    start_election,
)


class State(replication.State):
    """The log's."""


# -- A leader, and each server that it sends its log to ------------------------------------------------
def leads_unchallenged(s: State, leader: Node, t: Term) -> bool:
    """The server leads t, and nobody has asked for a later term."""
    no_later = Node.all(lambda x: Term.all(lambda u: implies(u > t, no(s.requested[x, u]))))
    return both(s.role[leader] == LEADER, s.term[leader] == t, no_later)


def has_an_entry_of_its_own(s: State, leader: Node, t: Term, i: Index) -> bool:
    """It has appended the entry in this term, as it does when it is elected."""
    return both(i > 0, i <= s.log_length[leader], s.log_term[leader, i] == t)


def has_term(s: State, t: Term, v: Node) -> bool:
    """A message of the leader has reached it."""
    return s.term[v] == t


def follows(s: State, leader: Node, t: Term, v: Node) -> bool:
    """It is no candidate of this term any more."""
    return both(s.term[v] == t, either(v == leader, s.role[v] == FOLLOWER))


def has_stored(s: State, t: Term, i: Index, v: Node) -> bool:
    """It has stored the leader's log up to the entry, and said so."""
    return i <= s.acknowledged[v, t]


CALM = (never(start_election), never(restart, n="leader"), never(give_up, n="leader"))
REACHED = (step(update_term, n="v", t="t"), step(step_down, n="v", leader="leader", t="t"))
STORES = (
    step(append_entries, n="v", t="t", prev=0, last="i", commit=0),
    step(replace_entries, n="v", t="t", prev=0, last="i", commit=0),
)


@leads_to(
    given=(leads_unchallenged, has_an_entry_of_its_own),
    stops=CALM,
    each=("v", "q"),
    stages=(has_term, follows, has_stored),
    fair=(*REACHED, STORES),
    by=step(advance_commit, n="leader", i="i", q="q"),
)
def an_entry_is_committed(s: State, leader: Node, t: Term, i: Index, q: Quorum) -> bool:
    """The leader has committed the entry, and so all before it, once a quorum has stored it."""
    return i <= s.commit_index[leader]


# -- What this rests on beside what `replication` proves ---------------------------------------------
@invariant
def leader_asked_for_votes(s: State, n: Node, t: Term) -> bool:
    """The leader of a term has stood in it."""
    return implies(s.heartbeat[n, t], both(t > 0, s.requested[n, t]))


@invariant
def candidate_asked_for_votes(s: State, n: Node) -> bool:
    """A candidate has asked for votes."""
    return implies(s.role[n] != FOLLOWER, both(s.term[n] > 0, s.requested[n, s.term[n]]))


@invariant
def leader_stores_its_own_log(s: State, n: Node) -> bool:
    """A leader counts itself among those that have an entry."""
    return implies(s.role[n] == LEADER, s.acknowledged[n, s.term[n]] == s.log_length[n])


@invariant
def term_was_requested(s: State, n: Node) -> bool:
    """Terms grow by elections alone."""
    return either(s.term[n] == 0, Node.any(lambda c: s.requested[c, s.term[n]]))


@invariant
def nothing_stands_before_the_first_entry(s: State, n: Node, t: Term) -> bool:
    """Index 0 has no entry."""
    return both(s.log_term[n, 0] == 0, s.leader_log_term[t, 0] == 0)


MODEL = model(__name__, State, extends=replication.MODEL)
