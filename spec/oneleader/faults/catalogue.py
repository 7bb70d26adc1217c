"""The catalogue: named mutations of a correct model, most of them bugs that somebody shipped.

A fault is one short function from the correct model to a wrong one, and what each reader must say
of it. A reader that misses its fault fails the run: that is how we know that the checks can fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from oneleader.errors import UsageError
from oneleader.language import NIL, action, both
from oneleader.language.configuration import Configuration, cluster
from oneleader.language.model import Model
from oneleader.models import election, vote_count
from oneleader.models.election import FOLLOWER, LEADER, Node, State, Term

COUNTING = "counting has no meaning at any cluster size: Z3 would need the number of nodes"


@dataclass(frozen=True)
class Fault:
    """A mutation, the smallest bounds that show it, and what each reader is expected to say.

    steps    length of explore's shortest counterexample to `breaks`
    proof    (action, property) of an obligation that must fail, or why there is none
    config   the .cfg with which TLC must find `breaks` violated
    """

    id: str
    title: str
    story: str
    sources: str
    base: Model
    mutate: Callable[[Model], Model]
    nodes: int
    terms: int
    quorums: str
    breaks: str
    steps: int
    proof: tuple[str, str] | str
    config: str

    @property
    def model(self) -> Model:
        """The faulty model."""
        return self.mutate(self.base)

    @property
    def configuration(self) -> Configuration:
        return cluster(self.base, nodes=self.nodes, terms=self.terms, quorums=self.quorums)


FAULTS: dict[str, Fault] = {}


def fault(
    title: str,
    *,
    sources: str,
    nodes: int,
    terms: int,
    steps: int,
    proof: tuple[str, str] | str,
    config: str,
    base: Model = election.MODEL,
    quorums: str = "majority",
    breaks: str = "election_safety",
) -> Callable[[Callable[[Model], Model]], Callable[[Model], Model]]:
    """Enter the decorated function into the catalogue under its name, with dashes."""

    def enter(mutate: Callable[[Model], Model]) -> Callable[[Model], Model]:
        id = mutate.__name__.replace("_", "-")
        story = " ".join((mutate.__doc__ or "").split())
        FAULTS[id] = Fault(
            id, title, story, sources, base, mutate, nodes, terms, quorums, breaks, steps, proof, config
        )
        return mutate

    return enter


def find(id: str) -> Fault:
    """The fault of this id; UsageError with the ids there are."""
    if id not in FAULTS:
        raise UsageError(f"there is no fault {id!r}: choose from {', '.join(FAULTS)}")
    return FAULTS[id]


@fault(
    "any vote count wins",
    sources="the incident of the write-up: a minority partition elected its own leader",
    nodes=2,
    terms=1,
    steps=4,
    proof=("become_leader", "elected_by_quorum"),
    config="MCElection_bug_no_quorum.cfg",
)
def no_quorum(m: Model) -> Model:
    """A candidate leads with the votes it has, however few: each side of a partition elects its own."""
    return m.without_guard("become_leader", "quorum_voted")


@fault(
    "a vote is never tied to a term",
    sources="the incident of the write-up: nobody could tell an old leader from a new one",
    nodes=3,
    terms=1,
    steps=10,
    proof=("reply_vote", "granted_once"),
    config="MCElection_bug_no_terms.cfg",
)
def no_terms(m: Model) -> Model:
    """Neither voter nor candidate compares terms: a vote counts for whatever election is under way."""
    m = m.without_guard("grant_vote", "term_is_current").without_guard("reply_vote", "term_is_current")
    return m.without_guard("receive_vote", "term_is_current")


@action
def restart(s: State, n: Node) -> None:
    """A crash loses the vote with the rest."""
    s.role[n] = FOLLOWER
    s.votes.where(lambda old, c, v: both(c != n, old))
    s.voted_for[n] = NIL


@fault(
    "the vote is not durable",
    sources="PySyncObj#84, #201: a restart sets term and vote back",
    nodes=3,
    terms=1,
    steps=12,
    proof=("restart", "granted_is_stored"),
    config="MCElection_bug_vote_not_durable.cfg",
)
def vote_not_durable(m: Model) -> Model:
    """A voter that restarts has forgotten its vote and gives it again in the same term."""
    return m.with_action(restart)


@fault(
    "voting twice in a term",
    sources="nebula PR#3415: the vote for oneself is not saved",
    nodes=2,
    terms=1,
    steps=10,
    proof=("grant_vote", "granted_is_stored"),
    config="MCElection_bug_vote_twice.cfg",
)
def vote_twice(m: Model) -> Model:
    """A voter grants whoever asks."""
    return m.without_guard("grant_vote", "vote_is_free")


@fault(
    "a reply of an old term is counted",
    sources="no named system: a candidate that matches replies to requests by connection only",
    nodes=2,
    terms=3,
    steps=14,
    proof=("receive_vote", "votes_were_granted"),
    config="MCElection_bug_old_reply.cfg",
)
def old_reply(m: Model) -> Model:
    """A delayed reply to the last election counts in this one; its voter has voted for another since."""
    return m.without_guard("receive_vote", "term_is_current")


@fault(
    "quorums that do not intersect",
    sources="a split configuration; copycat#23 by a change of membership",
    nodes=2,
    terms=1,
    quorums="n1, n2",
    steps=4,
    proof=("become_leader", "elected_by_quorum"),
    config="MCElection_bug_disjoint_quorums.cfg",
)
def disjoint_quorums(m: Model) -> Model:
    """Each half is taken for a quorum, so two leaders need no voter in common."""
    return m.without_axiom("quorums_intersect")


@action
def step_down(s: State, n: Node, leader: Node, t: Term) -> None:
    """The leader's term is treated as a new one by all that follow it."""
    leader_was_heard = s.heartbeat[leader, t]  # section 5.2: AppendEntries from a leader
    term_is_current = s.term[n] == t  # section 5.2: at least as large as the candidate's
    not_leader = s.role[n] != LEADER  # the fault: followers too, and the vote is cleared
    s.require(leader_was_heard, term_is_current, not_leader)

    s.role[n] = FOLLOWER
    s.votes.where(lambda old, c, v: both(c != n, old))
    s.voted_for[n] = NIL


@fault(
    "the vote is cleared on a step-down within the term",
    sources="camunda#5356, hazelcast PR#16643, akka-raft#56, eliben PR#27, CCF PR#8094",
    nodes=3,
    terms=1,
    steps=12,
    proof=("step_down", "granted_is_stored"),
    config="MCElection_bug_vote_cleared.cfg",
)
def vote_cleared(m: Model) -> Model:
    """Hearing the leader of the term clears the vote in it, and the next candidate of the term gets it."""
    return m.with_action(step_down)


@fault(
    "votes counted twice on a duplicated reply",
    sources="any `votes++` without a memory of the voter; RPCs are retried (Raft section 5.5)",
    base=vote_count.MODEL,
    nodes=3,
    terms=1,
    steps=6,
    proof=COUNTING,
    config="MCVoteCount_bug_double_count.cfg",
)
def double_count(m: Model) -> Model:
    """The tally counts replies, not voters: one vote delivered twice makes a majority of three."""
    return m.without_guard("receive_vote", "vote_is_new")
