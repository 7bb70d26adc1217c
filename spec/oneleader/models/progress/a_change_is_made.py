"""A change of members completes: dissertation chapter 4, for any number of servers.

Two halves. Once a leader may change the members (R1 to R3) and nobody stands while it leads, it brings the
new configuration as soon as those that are to join have caught up; until then nothing new is asked of it
(4.2.1 bounds the rounds instead). And what it has brought it commits, if a quorum of the new configuration
can be reached. Through a joint configuration a change is this twice. Restarts of followers do no harm.
"""

from __future__ import annotations

from oneleader.language import both, either, implies, invariant, leads_to, model, never, no, step
from oneleader.models import membership
from oneleader.models.election import LEADER, Node, Quorum, Term
from oneleader.models.membership import (
    Config,
    advance_commit,
    append_entries,
    change_config,
    client_request,
    config_of,
    give_up,
    replace_entries,
    restart,
    since_of,
    start_election,
    votes_in,
)
from oneleader.models.progress.an_entry_is_committed import (
    REACHED,
    follows,
    has_stored,
    has_term,
    leads_unchallenged,
)
from oneleader.models.replication import Index


class State(membership.State):
    """Logs and configurations."""


# -- A leader, and each server that it sends its log to, as for an entry ----------------------------------
CALM = (never(start_election), never(restart, n="leader"), never(give_up, n="leader"))
STORES = (
    step(append_entries, n="v", t="t", prev=0, last="i", commit=0),
    step(replace_entries, n="v", t="t", prev=0, last="i", commit=0),
)


# -- The new configuration is brought ------------------------------------------------------------------
def may_change(s: State, leader: Node, t: Term, new: Config) -> bool:
    """R1 to R3."""
    last_is_committed = since_of(s, leader) <= s.commit_index[leader]
    own_is_committed = s.log_term[leader, s.commit_index[leader]] == t
    return both(s.adjacent[config_of(s, leader), new], last_is_committed, own_is_committed)


def is_a_member(s: State, leader: Node) -> bool:
    """It is in its own configuration, else it steps down (dissertation 4.2.2)."""
    return votes_in(s, leader, config_of(s, leader))


def has_so_much(s: State, leader: Node, i: Index) -> bool:
    """Its log ends there."""
    return s.log_length[leader] == i


def all_that_join(s: State, leader: Node, new: Config, q: Quorum) -> bool:
    """Who is to join is among these servers."""
    return Node.all(
        lambda v: either(no(votes_in(s, v, new)), votes_in(s, v, config_of(s, leader)), s.member[v, q])
    )


def is_another(s: State, c: Config, new: Config) -> bool:
    """The leader brings another configuration."""
    return c != new


@leads_to(
    given=(leads_unchallenged, is_a_member, may_change, has_so_much, all_that_join),
    stops=(*CALM, never(client_request, n="leader"), never(change_config, when=is_another)),
    each=("v", "q"),
    stages=(has_term, follows, has_stored),
    fair=(*REACHED, STORES),
    by=step(change_config, n="leader", c="new"),
)
def a_change_is_begun(s: State, leader: Node, t: Term, new: Config, i: Index, q: Quorum) -> bool:
    """The leader uses the new configuration, once all that are to join have caught up."""
    return config_of(s, leader) == new


# -- And committed -------------------------------------------------------------------------------------
def has_changed(s: State, leader: Node, t: Term, i: Index, q: Quorum) -> bool:
    """It has brought the configuration that it uses at this index, and this is one of its quorums."""
    is_own = both(i > 0, i == since_of(s, leader), i <= s.log_length[leader], s.log_term[leader, i] == t)
    return both(is_own, s.quorum_of[q, config_of(s, leader)])


@leads_to(
    given=(leads_unchallenged, has_changed),
    stops=CALM,
    each=("v", "q"),
    stages=(has_term, follows, has_stored),
    fair=(*REACHED, STORES),
    by=step(advance_commit, n="leader", i="i", q="q"),
)
def a_change_is_committed(s: State, leader: Node, t: Term, i: Index, q: Quorum) -> bool:
    """The leader has committed it, once a quorum of the new configuration has stored it."""
    return i <= s.commit_index[leader]


# -- What this rests on beside what `membership` proves ------------------------------------------------
@invariant
def leader_asked_for_votes(s: State, n: Node, t: Term) -> bool:
    """The leader of a term has stood in it."""
    return implies(s.heartbeat[n, t], s.requested[n, t])


@invariant
def leader_stores_its_own_log(s: State, n: Node) -> bool:
    """A leader counts itself among those that have an entry."""
    return implies(s.role[n] == LEADER, s.acknowledged[n, s.term[n]] == s.log_length[n])


@invariant
def term_was_requested(s: State, n: Node) -> bool:
    """Terms grow by elections alone."""
    return either(s.term[n] == 0, Node.any(lambda c: s.requested[c, s.term[n]]))


MODEL = model(__name__, State, extends=membership.MODEL)
