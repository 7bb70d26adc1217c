"""The faults of the catalogue as running code: faulty cores for the reference.

Every function of `oneleader_raft.raft` is a place where a fault can be put; the reference itself has no
switches. Each says which actions of the model it takes, as an implementation with this bug would: the
conformance test must find that the model does not allow them, or that the server is not in the state that
they lead to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from oneleader_raft import raft
from oneleader_raft.cluster import Core
from oneleader_raft.lease import Clocks
from oneleader_raft.raft import (
    NIL,
    AppendEntries,
    Durable,
    Event,
    Node,
    NodeId,
    RequestVote,
    Role,
    Step,
    VoteReply,
)

Restart = Callable[[NodeId, tuple[NodeId, ...], Durable, int, Clocks], Step]


@dataclass(frozen=True)
class ReferenceFault:
    """A faulty core, and a number of servers and of terms with which it elects two leaders of one term."""

    core: Core
    story: str
    nodes: int
    terms: int = 1


def patched(*rules: Callable[..., Any], restart: Restart = raft.restart) -> Core:
    """The reference with other rules in the place of those of their names."""

    @contextmanager
    def in_place() -> Iterator[None]:
        correct = {rule.__name__: getattr(raft, rule.__name__) for rule in rules}
        vars(raft).update({rule.__name__: rule for rule in rules})
        try:
            yield
        finally:
            vars(raft).update(correct)

    def step(node: Node, event: Event, now: int) -> Step:
        with in_place():
            return raft.step(node, event, now)

    def is_leader(node: Node, now: int) -> bool:
        with in_place():
            return raft.is_leader(node, now)

    return Core(step, restart, is_leader)


# --- Who wins ---------------------------------------------------------------------------------------------


def wins_if(enough: Callable[[Node], bool]) -> Core:
    def count_votes(node: Node, now: int) -> Step:
        return raft.become_leader(node, now) if enough(node) else Step(node)

    return patched(count_votes)


@dataclass(frozen=True)
class Tally(Node):
    """A server that keeps a number of votes beside their set."""

    tally: int = 0


def double_count() -> Core:
    on_vote_reply_once = raft.on_vote_reply

    def restart(id: NodeId, members: tuple[NodeId, ...], durable: Durable, now: int, clocks: Clocks) -> Step:
        restarted = raft.restart(id, members, durable, now, clocks)
        return replace(restarted, node=Tally(**vars(restarted.node)))

    def on_vote_reply(node: Node, m: VoteReply, now: int) -> Step:
        counts = m.vote_granted and m.term == node.current_term and node.role is Role.CANDIDATE
        assert isinstance(node, Tally)
        before = node.tally if len(node.votes) > 1 else 1
        return on_vote_reply_once(replace(node, tally=before + 1) if counts else node, m, now)

    def count_votes(node: Node, now: int) -> Step:
        assert isinstance(node, Tally)
        tally = node.tally if len(node.votes) > 1 else 1
        return raft.become_leader(node, now) if tally * 2 > len(node.members) else Step(node)

    return patched(on_vote_reply, count_votes, restart=restart)


# --- Which term a vote is of ------------------------------------------------------------------------------


def of_term(taken: Step, t: int) -> Step:
    """The step, reporting this term: a server that does not look at terms takes it for its own."""
    actions = (
        replace(action, arguments=tuple((k, t if k == "t" else v) for k, v in action.arguments))
        for action in taken.actions
    )
    return replace(taken, actions=tuple(actions))


def any_reply(is_wrong: Callable[[Node, VoteReply], bool]) -> Callable[..., Step]:
    """Counting votes of other terms."""
    correct = raft.on_vote_reply

    def on_vote_reply(node: Node, m: VoteReply, now: int) -> Step:
        if is_wrong(node, m):
            return of_term(correct(node, replace(m, term=node.current_term), now), m.term)
        return correct(node, m, now)

    return on_vote_reply


def no_terms() -> Core:
    correct, adopt = raft.on_request_vote, raft.adopt_term

    def adopt_term(node: Node, message: raft.Message, now: int) -> Step:
        ignores = isinstance(message, RequestVote | VoteReply)
        return Step(node) if ignores else adopt(node, message, now)

    def on_request_vote(node: Node, m: RequestVote, now: int) -> Step:
        return of_term(correct(node, replace(m, term=node.current_term), now), m.term)

    return patched(adopt_term, on_request_vote, any_reply(lambda node, m: True))


# --- How long a vote stands -------------------------------------------------------------------------------


def restart_without_vote(
    id: NodeId, members: tuple[NodeId, ...], durable: Durable, now: int, clocks: Clocks
) -> Step:
    return raft.restart(id, members, replace(durable, voted_for=NIL), now, clocks)


def vote_twice() -> Core:
    correct = raft.on_request_vote

    def on_request_vote(node: Node, m: RequestVote, now: int) -> Step:
        taken = correct(replace(node, voted_for=NIL), m, now)
        return taken if taken.node.voted_for is not NIL else correct(node, m, now)

    return patched(on_request_vote)


def vote_cleared() -> Core:
    correct = raft.acknowledge

    def acknowledge(node: Node, m: AppendEntries, now: int) -> Step:
        taken = correct(node, m, now)
        return replace(taken, node=replace(taken.node, voted_for=NIL))

    return patched(acknowledge)


REFERENCE_FAULTS: dict[str, ReferenceFault] = {
    "no-quorum": ReferenceFault(
        wins_if(lambda candidate: True),
        "A candidate leads with the votes it has, however few: with its own.",
        nodes=3,
    ),
    "no-terms": ReferenceFault(
        no_terms(),
        "Neither voter nor candidate compares terms: a vote counts for whatever election is under way.",
        nodes=3,
    ),
    "vote-not-durable": ReferenceFault(
        patched(restart=restart_without_vote),
        "A voter that restarts has forgotten its vote, and gives it again in the same term.",
        nodes=3,
    ),
    "vote-twice": ReferenceFault(vote_twice(), "A voter grants whoever asks.", nodes=3),
    "old-reply": ReferenceFault(
        patched(any_reply(lambda node, m: m.term < node.current_term)),
        "A delayed reply to an earlier election counts in this one, whoever its voter has voted for since.",
        nodes=3,
        terms=2,
    ),
    "vote-cleared": ReferenceFault(
        vote_cleared(),
        "Hearing the leader of the term clears the vote in it, and the next candidate of the term gets it.",
        nodes=3,
    ),
    "double-count": ReferenceFault(
        double_count(),
        "The tally counts replies, not voters: a reply that comes twice is two votes.",
        nodes=4,
    ),
    "disjoint-quorums": ReferenceFault(
        wins_if(lambda candidate: len(candidate.votes) * 2 >= len(candidate.members)),
        "Half of the servers are taken for a quorum, so two leaders need no voter in common.",
        nodes=4,
    ),
}
