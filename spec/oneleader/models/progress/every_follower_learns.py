"""Every follower learns what is committed: section 5.3, for any number of servers.

Once a leader has told a commit index, and nobody stands for a later term, each server that its messages reach
knows that what lies up to there is committed. The leader may restart or give up. A server that restarts
forgets the index and learns it again.
"""

from __future__ import annotations

from oneleader.language import both, implies, invariant, leads_to, model, never, no, step
from oneleader.models import replication
from oneleader.models.election import FOLLOWER, LEADER, Node, Term
from oneleader.models.progress import an_entry_is_committed
from oneleader.models.progress.an_entry_is_committed import REACHED, has_term
from oneleader.models.replication import Index, append_entries, replace_entries, start_election


class State(replication.State):
    """The log's."""


# -- A leader that has told what is committed, and any server -----------------------------------------
def has_led_last(s: State, leader: Node, t: Term) -> bool:
    """The server has led t, and nobody has asked for a later term."""
    no_later = Node.all(lambda x: Term.all(lambda u: implies(u > t, no(s.requested[x, u]))))
    return both(s.heartbeat[leader, t], no_later)


def was_told(s: State, t: Term, i: Index) -> bool:
    """Messages of this term say that the entry is committed."""
    return i <= s.leader_commit[t]


def follows(s: State, t: Term, v: Node) -> bool:
    """It is no candidate of this term any more."""
    return both(s.term[v] == t, s.role[v] == FOLLOWER)


@leads_to(
    given=(has_led_last, was_told),
    stops=(never(start_election),),
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
def leader_knows_what_it_told(s: State, n: Node) -> bool:
    """Its messages carry its commit index."""
    return implies(s.role[n] == LEADER, s.leader_commit[s.term[n]] <= s.commit_index[n])


@invariant
def what_was_told_is_in_its_log(s: State, t: Term) -> bool:
    """A leader tells of entries that it has."""
    return s.leader_commit[t] <= s.leader_log_length[t]


MODEL = model(__name__, State, extends=an_entry_is_committed.MODEL)
