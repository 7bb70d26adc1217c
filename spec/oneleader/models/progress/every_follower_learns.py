"""Every follower learns what is committed: section 5.3, for any number of servers.

Once a leader has committed an entry, and nobody stands while it leads, each server that its messages reach
knows that it is committed, and so all before it. A server that restarts forgets it and learns it again.
"""

from __future__ import annotations

from oneleader.language import both, implies, invariant, leads_to, model, step
from oneleader.models import replication
from oneleader.models.election import FOLLOWER, LEADER, Node, Term
from oneleader.models.progress import an_entry_is_committed
from oneleader.models.progress.an_entry_is_committed import CALM, REACHED, has_term, leads_unchallenged
from oneleader.models.replication import Index, append_entries, replace_entries


class State(replication.State):
    """The log's."""


# -- A leader that has committed, and any server -------------------------------------------------------
def has_committed(s: State, leader: Node, i: Index) -> bool:
    """It has committed the entry."""
    return i <= s.commit_index[leader]


def follows(s: State, t: Term, v: Node) -> bool:
    """It is no candidate of this term any more."""
    return both(s.term[v] == t, s.role[v] == FOLLOWER)


@leads_to(
    given=(leads_unchallenged, has_committed),
    stops=CALM,
    stages=(has_term, follows),
    fair=REACHED,
    by=(
        step(append_entries, n="v", t="t", prev=0, last="i", commit="i"),
        step(replace_entries, n="v", t="t", prev=0, last="i", commit="i"),
    ),
)
def every_follower_learns(s: State, leader: Node, t: Term, i: Index, v: Node) -> bool:
    """The server knows that the entry is committed."""
    return i <= s.commit_index[v]


# -- What this rests on beside what `an_entry_is_committed` rests on -------------------------------------
@invariant
def leader_tells_what_it_has_committed(s: State, n: Node) -> bool:
    """Its messages carry its commit index."""
    return implies(s.role[n] == LEADER, s.commit_index[n] <= s.leader_commit[s.term[n]])


MODEL = model(__name__, State, extends=an_entry_is_committed.MODEL)
