"""Faults of elections: who wins, what a vote is tied to, and what of it survives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from oneleader.conformance.reference.patch import changed, of_term, patched, restarting, took
from oneleader.faults.fault import COUNTING, fault
from oneleader.language import NIL as NOBODY
from oneleader.language import action, both, either, ite
from oneleader.language.model import Model
from oneleader.models import election, pre_vote, vote_count
from oneleader.models.election import CANDIDATE, FOLLOWER, LEADER, Node, State, Term
from oneleader_raft import raft
from oneleader_raft.core import Core
from oneleader_raft.lease import Clocks
from oneleader_raft.raft import (
    NIL,
    AppendEntries,
    Durable,
    NodeId,
    PreVoteReply,
    RequestPreVote,
    RequestVote,
    Role,
    Step,
    VoteReply,
)

ES = "Election Safety"
QUORUM = "election: become_leader, quorum_voted"


# --- Who wins ---------------------------------------------------------------------------------------------


@fault(
    "any vote count wins",
    sources="the incident of the write-up: a minority partition elected its own leader",
    breaks=ES,
    base=election.MODEL,
    sizes={"Node": 2, "Term": 1},
    explore=("election_safety", 4),
    prove=("become_leader", "elected_by_quorum"),
    tlc="MCElection_bug_no_quorum.cfg",
)
def no_quorum(m: Model) -> Model:
    """A candidate leads with the votes it has, however few: each side of a partition elects its own."""
    return m.without_guard("become_leader", "quorum_voted")


def wins_if(enough: Callable[[raft.Node], bool]) -> Core:
    def count_votes(node: raft.Node, now: int) -> Step:
        return raft.become_leader(node, now) if enough(node) else Step(node)

    return patched(count_votes)


@no_quorum.core(replay="campaign n1 n2", refused=QUORUM)
def _() -> Core:
    return wins_if(lambda candidate: True)


@fault(
    "quorums that do not intersect",
    sources="a split configuration; copycat#23 by a change of membership",
    breaks=ES,
    base=election.MODEL,
    sizes={"Node": 2, "Term": 1},
    quorums="n1, n2",
    explore=("election_safety", 4),
    prove=("become_leader", "elected_by_quorum"),
    tlc="MCElection_bug_disjoint_quorums.cfg",
)
def disjoint_quorums(m: Model) -> Model:
    """Each half is taken for a quorum, so two leaders need no voter in common."""
    return m.without_axiom("quorums_intersect")


@disjoint_quorums.core(nodes=4, replay="timeout n1; trip n1 n2; trip n1 n3; trip n1 n2", refused=QUORUM)
def _() -> Core:
    return wins_if(lambda candidate: len(candidate.votes) * 2 >= len(candidate.members))


@fault(
    "votes counted twice on a duplicated reply",
    sources="any `votes++` without a memory of the voter; RPCs are retried (Raft section 5.5)",
    breaks=ES,
    base=vote_count.MODEL,
    sizes={"Node": 3, "Term": 1},
    explore=("election_safety", 6),
    prove=COUNTING,
    tlc="MCVoteCount_bug_double_count.cfg",
)
def double_count(m: Model) -> Model:
    """The tally counts replies, not voters: one vote delivered twice makes a majority of three."""
    return m.without_guard("receive_vote", "vote_is_new")


@dataclass(frozen=True)
class CountingNode(raft.Node):
    """A server that keeps a number of votes beside their set."""

    tally: int = 0


@double_count.core(
    nodes=4,
    replay="timeout n1; trip n1 n2; trip n1 n3; deliver n1 n2; deliver n2 n1 0 again; deliver n2 n1",
    refused=QUORUM,
    begin="timeout n1; trip n1 n2; trip n1 n3; deliver n1 n2; deliver n2 n1 0 again",
)
def _() -> Core:
    once = raft.on_vote_reply

    def restart(id: NodeId, members: tuple[NodeId, ...], durable: Durable, now: int, clocks: Clocks) -> Step:
        restarted = raft.restart(id, members, durable, now, clocks)
        return replace(restarted, node=CountingNode(**vars(restarted.node)))

    def on_vote_reply(node: CountingNode, m: VoteReply, now: int) -> Step:
        counts = m.vote_granted and m.term == node.current_term and node.role is Role.CANDIDATE
        before = node.tally if len(node.votes) > 1 else 1
        return once(replace(node, tally=before + 1) if counts else node, m, now)

    def count_votes(node: CountingNode, now: int) -> Step:
        tally = node.tally if len(node.votes) > 1 else 1
        return raft.become_leader(node, now) if tally * 2 > len(node.members) else Step(node)

    return patched(on_vote_reply, count_votes, restart=restart)


@fault(
    "a refusal is counted as a vote",
    sources="databend PR#16175 (openraft#1220): seeing a higher vote counts as a grant",
    breaks="Leader Completeness",
    base=election.MODEL,
    sizes={"Node": 2, "Term": 1},
    explore=("election_safety", 6),
    prove=("receive_vote", "votes_were_granted"),
    tlc="MCElection_bug_refusal_is_a_vote.cfg",
)
def refusal_is_a_vote(m: Model) -> Model:
    """A candidate counts every answer of its term as a vote, whatever it says."""
    return m.without_guard("receive_vote", "vote_was_granted")


@refusal_is_a_vote.core(
    replay="timeout n3; trip n3 n1; stand n1 n2; trip n3 n2",
    refused="election: receive_vote, vote_was_granted",
    begin="timeout n1; trip n1 n2; timeout n2; trip n2 n3",
)
def _() -> Core:
    correct = raft.on_vote_reply

    def on_vote_reply(node: raft.Node, m: VoteReply, now: int) -> Step:
        return correct(node, replace(m, vote_granted=True), now)

    return patched(on_vote_reply)


# --- Which term a vote is of ------------------------------------------------------------------------------


@fault(
    "a vote is never tied to a term",
    sources="the incident of the write-up: nobody could tell an old leader from a new one",
    breaks=ES,
    base=election.MODEL,
    sizes={"Node": 3, "Term": 1},
    explore=("election_safety", 10),
    prove=("reply_vote", "granted_once"),
    tlc="MCElection_bug_no_terms.cfg",
)
def no_terms(m: Model) -> Model:
    """Neither voter nor candidate compares terms: a vote counts for whatever election is under way."""
    m = m.without_guard("grant_vote", "term_is_current").without_guard("reply_vote", "term_is_current")
    return m.without_guard("receive_vote", "term_is_current")


def any_reply(is_wrong: Callable[[raft.Node, VoteReply], bool]) -> Callable[..., Step]:
    """Counting votes of other terms."""
    correct = raft.on_vote_reply

    def on_vote_reply(node: raft.Node, m: VoteReply, now: int) -> Step:
        if is_wrong(node, m):
            return of_term(correct(node, replace(m, term=node.current_term), now), m.term)
        return correct(node, m, now)

    return on_vote_reply


@no_terms.core(replay="campaign n1 n2", refused="election: grant_vote, term_is_current")
def _() -> Core:
    correct, adopt = raft.on_request_vote, raft.adopt_term

    def adopt_term(node: raft.Node, message: raft.Message, now: int) -> Step:
        ignores = isinstance(message, RequestVote | VoteReply)
        return Step(node) if ignores else adopt(node, message, now)

    def on_request_vote(node: raft.Node, m: RequestVote, now: int) -> Step:
        return of_term(correct(node, replace(m, term=node.current_term), now), m.term)

    return patched(adopt_term, on_request_vote, any_reply(lambda node, m: True))


@fault(
    "a reply of an old term is counted",
    sources="no named system: a candidate that matches replies to requests by connection only",
    breaks=ES,
    base=election.MODEL,
    sizes={"Node": 2, "Term": 3},
    explore=("election_safety", 14),
    prove=("receive_vote", "votes_were_granted"),
    tlc="MCElection_bug_old_reply.cfg",
)
def old_reply(m: Model) -> Model:
    """A delayed reply to the last election counts in this one; its voter has voted for another since."""
    return m.without_guard("receive_vote", "term_is_current")


@old_reply.core(
    replay="timeout n1; trip n1 n2; deliver n1 n2; timeout n1; trip n1 n3; deliver n2 n1",
    refused="election: receive_vote, term_is_current",
    begin="timeout n1; trip n1 n2; deliver n1 n2; timeout n1; trip n1 n3",
)
def _() -> Core:
    return patched(any_reply(lambda node, m: m.term < node.current_term))


@fault(
    "a late message of an old leader lowers the term",
    sources="nebula#2405: a stale AppendEntries sets the term of the next vote",
    breaks=ES,
    base=election.MODEL,
    sizes={"Node": 2, "Term": 2},
    explore=("election_safety", 14),
    prove=("update_term", "granted_not_from_future"),
    tlc="MCElection_bug_term_falls.cfg",
)
def term_falls(m: Model) -> Model:
    """A server takes over any term that it hears of, lower ones too, and is free to vote in it again."""
    return m.without_guard("update_term", "term_is_newer")


@term_falls.core(
    replay="campaign n1 n2; campaign n3 n2; campaign n3 n2; deliver n1 n2",
    refused="election: update_term, term_is_newer",
)
def _() -> Core:
    correct = raft.adopt_term

    def adopt_term(node: raft.Node, message: raft.Message, now: int) -> Step:
        is_stale = isinstance(message, AppendEntries) and message.term < node.current_term
        return (
            correct(replace(node, current_term=-1), message, now) if is_stale else correct(node, message, now)
        )

    return patched(adopt_term)


# --- One vote in a term -----------------------------------------------------------------------------------


@fault(
    "voting twice in a term",
    sources="no named system: RequestVote receiver 2 left out",
    breaks=ES,
    base=election.MODEL,
    sizes={"Node": 2, "Term": 1},
    explore=("election_safety", 10),
    prove=("grant_vote", "granted_is_stored"),
    tlc="MCElection_bug_vote_twice.cfg",
)
def vote_twice(m: Model) -> Model:
    """A voter grants every request."""
    return m.without_guard("grant_vote", "vote_is_free")


@vote_twice.core(
    replay="timeout n3; trip n3 n1; stand n1 n2; trip n3 n2",
    refused="election: grant_vote, vote_is_free",
    begin="timeout n1; trip n1 n2; timeout n2; trip n2 n3",
)
def _() -> Core:
    correct = raft.on_request_vote

    def on_request_vote(node: raft.Node, m: RequestVote, now: int) -> Step:
        taken = correct(replace(node, voted_for=NIL), m, now)
        return taken if taken.node.voted_for is not NIL else correct(node, m, now)

    return patched(on_request_vote)


@fault(
    "the vote for oneself is not saved",
    sources="nebula PR#3415",
    breaks=ES,
    base=election.MODEL,
    sizes={"Node": 2, "Term": 1},
    explore=("election_safety", 10),
    prove=("start_election", "granted_is_stored"),
    tlc="MCElection_bug_own_vote_not_saved.cfg",
)
def own_vote_not_saved(m: Model) -> Model:
    """A candidate does not note that it has voted, and votes for the next one that asks in its term."""

    @action
    def start_election(s: State, n: Node) -> None:
        not_leader = s.role[n] != LEADER  # Figure 2, Followers 2, Candidates 4
        s.require(not_leader)

        t = s.term[n] + 1
        s.term[n] = t
        s.voted_for[n] = NOBODY
        s.role[n] = CANDIDATE
        s.votes.where(lambda old, c, v: ite(c == n, v == n, old))
        s.requested[n, t] = True
        s.granted[n, t, n] = True

    return m.with_action(start_election)


@own_vote_not_saved.core(replay="timeout n1; trip n1 n2", refused="election: state")
def _() -> Core:
    correct = raft.start_election

    def start_election(
        node: raft.Node, now: int, how: raft.ActionTaken, forced_by: NodeId | None = NIL
    ) -> Step:
        return changed(correct(node, now, how, forced_by), voted_for=NIL)

    return patched(start_election)


@fault(
    "the vote is cleared on a step-down within the term",
    sources="camunda#5356, hazelcast PR#16643, akka-raft#56, eliben PR#27, CCF PR#8094",
    breaks=ES,
    base=election.MODEL,
    sizes={"Node": 3, "Term": 1},
    explore=("election_safety", 12),
    prove=("step_down", "granted_is_stored"),
    tlc="MCElection_bug_vote_cleared.cfg",
)
def vote_cleared(m: Model) -> Model:
    """Hearing the leader of the term clears the vote in it, and the next candidate of the term gets it."""

    @action
    def step_down(s: State, n: Node, leader: Node, t: Term) -> None:
        leader_was_heard = s.heartbeat[leader, t]  # section 5.2: AppendEntries from a leader
        term_is_current = s.term[n] == t  # section 5.2: at least as large as the candidate's
        not_leader = s.role[n] != LEADER  # the fault: followers too, and the vote is cleared
        s.require(leader_was_heard, term_is_current, not_leader)

        s.role[n] = FOLLOWER
        s.votes.where(lambda old, c, v: both(c != n, old))
        s.voted_for[n] = NOBODY

    return m.with_action(step_down)


@vote_cleared.core(replay="campaign n1 n2; deliver n1 n2", refused="election: state")
def _() -> Core:
    correct = raft.acknowledge

    def acknowledge(node: raft.Node, m: AppendEntries, now: int) -> Step:
        return changed(correct(node, m, now), voted_for=NIL)

    return patched(acknowledge)


# --- What survives a crash --------------------------------------------------------------------------------


@fault(
    "the vote is not durable",
    sources="Figure 2, State: votedFor is persistent",
    breaks=ES,
    base=election.MODEL,
    sizes={"Node": 3, "Term": 1},
    explore=("election_safety", 12),
    prove=("restart", "granted_is_stored"),
    tlc="MCElection_bug_vote_not_durable.cfg",
)
def vote_not_durable(m: Model) -> Model:
    """A voter that restarts has forgotten its vote and gives it again in the same term."""

    @action
    def restart(s: State, n: Node) -> None:
        s.role[n] = FOLLOWER
        s.votes.where(lambda old, c, v: both(c != n, old))
        s.voted_for[n] = NOBODY

    return m.with_action(restart)


@vote_not_durable.core(
    replay="timeout n3; sync n3 n2; crash n3; restart n3",
    refused="election: state",
    begin="timeout n1; trip n1 n2; crash n1",
)
def _() -> Core:
    return restarting(lambda durable: replace(durable, voted_for=NIL))


@fault(
    "term and vote are not durable",
    sources="PySyncObj#84, #201, PR#202: a restart sets term and vote back",
    breaks="Leader Completeness",
    base=election.MODEL,
    sizes={"Node": 2, "Term": 1},
    explore=("election_safety", 14),
    prove=("restart", "granted_not_from_future"),
    tlc="MCElection_bug_term_not_durable.cfg",
)
def term_not_durable(m: Model) -> Model:
    """After a restart a server begins in term 0: it votes again in each term in which it has voted."""

    @action
    def restart(s: State, n: Node) -> None:
        s.role[n] = FOLLOWER
        s.votes.where(lambda old, c, v: both(c != n, old))
        s.voted_for[n] = NOBODY
        s.term[n] = 0

    return m.with_action(restart)


@term_not_durable.core(
    replay="timeout n1; trip n1 n2; crash n1; restart n1",
    refused="election: state",
    begin="timeout n1; trip n1 n2; crash n1",
)
def _() -> Core:
    return restarting(lambda durable: replace(durable, current_term=0, voted_for=NIL))


# --- Pre-votes --------------------------------------------------------------------------------------------


@fault(
    "granting a pre-vote clears the vote",
    sources="canonical/raft#196",
    breaks=ES,
    base=pre_vote.MODEL,
    sizes={"Node": 2, "Term": 2},
    explore=("granted_once", 12),
    prove=("grant_pre_vote", "granted_is_stored"),
    tlc="MCPreVote_bug_clears_the_vote.cfg",
)
def pre_vote_clears_the_vote(m: Model) -> Model:
    """A pre-vote resets the vote of the term that the voter is still in."""

    @action
    def grant_pre_vote(s: pre_vote.State, voter: Node, candidate: Node, t: Term) -> None:
        pre_vote.grant_pre_vote(s, voter, candidate, t)
        s.voted_for[voter] = NOBODY

    return m.with_action(grant_pre_vote)


@pre_vote_clears_the_vote.core(
    replay="timeout n1; trip n1 n2; deliver n1 n2; timeout n1; deliver n1 n2", refused="election: state"
)
def _() -> Core:
    correct = raft.on_request_pre_vote

    def on_request_pre_vote(node: raft.Node, m: RequestPreVote, now: int) -> Step:
        taken = correct(node, m, now)
        return changed(taken, voted_for=NIL) if took(taken, "grant_pre_vote") else taken

    return patched(on_request_pre_vote)


@fault(
    "a pre-vote is counted as a vote",
    sources="canonical/raft#196: replies are not told apart",
    breaks=ES,
    base=pre_vote.MODEL,
    sizes={"Node": 2, "Term": 1},
    explore=("election_safety", 12),
    prove=("receive_vote", "votes_were_granted"),
    tlc="MCPreVote_bug_counted_as_a_vote.cfg",
)
def pre_vote_counts_as_a_vote(m: Model) -> Model:
    """A candidate does not tell a late pre-vote from a vote."""

    @action
    def receive_vote(s: pre_vote.State, candidate: Node, voter: Node, t: Term) -> None:
        any_vote = either(s.granted[voter, t, candidate], s.pre_granted[voter, t, candidate])  # the fault
        term_is_current = s.term[candidate] == t  # section 5.2: votes in the same term
        is_candidate = s.role[candidate] == CANDIDATE  # Figure 2, Candidates 2
        s.require(any_vote, term_is_current, is_candidate)

        s.votes[candidate, voter] = True

    return m.with_action(receive_vote)


@pre_vote_counts_as_a_vote.core(
    replay="timeout n1; deliver n1 n2; deliver n2 n1 0 again; deliver n2 n1",
    refused="election: receive_vote, vote_was_granted",
    begin="timeout n1; deliver n1 n2; deliver n2 n1 0 again",
)
def _() -> Core:
    correct = raft.on_pre_vote_reply

    def on_pre_vote_reply(node: raft.Node, m: PreVoteReply, now: int) -> Step:
        is_late = m.vote_granted and m.term == node.current_term and node.role is Role.CANDIDATE
        vote = VoteReply(m.term, m.voter_id, True)
        return raft.on_vote_reply(node, vote, now) if is_late else correct(node, m, now)

    return patched(on_pre_vote_reply)


@fault(
    "an election without asking first",
    sources="Howard and Abraham, 2020: no pre-vote",
    breaks="availability: a server that lost touch deposes the leader on its return",
    base=pre_vote.MODEL,
    sizes={"Node": 2, "Term": 1},
    explore=("no_term_without_pre_votes", 1),
    prove=("start_election", "backed_by_quorum"),
    tlc="MCPreVoteLiveness_bug_no_pre_vote.cfg",
)
def no_pre_vote(m: Model) -> Model:
    """A server raises its term whenever its election timeout elapses, though nobody would vote for it."""
    return m.without_guard("start_election", "quorum_pre_voted")


@no_pre_vote.core(replay="timeout n1", refused="pre_vote: start_election, quorum_pre_voted")
def _() -> Core:
    def count_pre_votes(node: raft.Node, now: int) -> Step:
        how = raft.action("start_election", n=node.id, q=tuple(sorted(node.pre_votes)))
        return raft.start_election(node, now, how)

    return patched(count_pre_votes)
