"""Counting votes: the election in which a candidate keeps a number and compares it with half the cluster.

It refines `election`: with the tally left out, each of its steps is a step there. A tally needs the
memory of whose votes it holds, or a duplicated reply counts twice. Sizes have no meaning at any
cluster size, so `prove` speaks of the election and `explore` of the refinement.
"""

from __future__ import annotations

from oneleader.language import NumberSort, action, field, invariant, model, no
from oneleader.models import election
from oneleader.models.election import CANDIDATE, LEADER, Node, Term


class Count(NumberSort):
    """How many votes."""


class State(election.State):
    """The election's state, and each candidate's tally."""

    tally = field(Node, of=Count)  # volatile


@action
def start_election(s: State, n: Node) -> None:
    """Figure 2, Candidates 1: the first vote is the candidate's own."""
    election.start_election(s, n)
    s.tally[n] = 1


@action
def receive_vote(s: State, candidate: Node, voter: Node, t: Term) -> None:
    """Section 5.2: one more vote, unless it has been counted."""
    vote_is_new = no(s.votes[candidate, voter])  # section 5.5: RPCs are retried and arrive again
    s.require(vote_is_new)

    one_more = s.tally[candidate] + 1
    election.receive_vote(s, candidate, voter, t)
    s.tally[candidate] = one_more


@action
def become_leader(s: State, n: Node) -> None:
    """Figure 2, Candidates 2: votes from a majority of servers."""
    is_candidate = s.role[n] == CANDIDATE  # Figure 2, Candidates 2
    majority_voted = s.tally[n] + s.tally[n] > Node.count(lambda v: True)  # Figure 2, Candidates 2
    s.require(is_candidate, majority_voted)

    s.role[n] = LEADER
    s.heartbeat[n, s.term[n]] = True


@action
def update_term(s: State, n: Node, t: Term) -> None:
    """Figure 2, All Servers 2."""
    election.update_term(s, n, t)
    s.tally[n] = 0


@action
def step_down(s: State, n: Node, leader: Node, t: Term) -> None:
    """Figure 2, Candidates 3."""
    election.step_down(s, n, leader, t)
    s.tally[n] = 0


@action
def restart(s: State, n: Node) -> None:
    """Figure 2, State: the tally is volatile."""
    election.restart(s, n)
    s.tally[n] = 0


@invariant
def tally_is_exact(s: State, n: Node) -> bool:
    """The number is the size of the set that it stands for."""
    return s.tally[n] == Node.count(lambda v: s.votes[n, v])


# A count says how many voted and not which quorum: the two lemmas about it stay with the election.
MODEL = model(
    __name__,
    State,
    extends=election.MODEL,
    without=("elected_by_some_quorum", "elected_by_quorum"),
    refines=election.MODEL,
)
