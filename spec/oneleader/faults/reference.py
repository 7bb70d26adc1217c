"""The faults of the catalogue as running code: faulty cores for the reference's simulator.

Each is made around `raft.step` or `raft.restart`; the reference itself has no switches. Each says which
actions of the model it takes, as an implementation with this bug would: the conformance test must find that
the model does not allow them, or that the server is not in the state that they lead to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from oneleader_raft import raft
from oneleader_raft.raft import (
    NIL,
    AppendEntries,
    Durable,
    Event,
    Node,
    NodeId,
    Receive,
    RequestVote,
    Role,
    Step,
    Store,
    VoteReply,
)
from oneleader_raft.simulator import Core


@dataclass(frozen=True)
class ReferenceFault:
    """A faulty core, and a number of servers and of terms with which it elects two leaders of one term."""

    core: Core
    nodes: int
    terms: int = 1

    @property
    def story(self) -> str:
        """What goes wrong, in a sentence."""
        faulty = self.core.restart if self.core.step is raft.step else self.core.step
        return " ".join((faulty.__doc__ or "").split())


# --- Who wins ---------------------------------------------------------------------------------------------


def leads_if(wins: Callable[[Node], bool]) -> Callable[[Node], Step]:
    """The rule that a candidate which `wins` becomes the leader."""
    return lambda node: raft.become_leader(node) if node.role is Role.CANDIDATE and wins(node) else Step(node)


def no_quorum(node: Node, event: Event) -> Step:
    """A candidate leads with the votes it has, however few: with its own."""
    return raft.step(node, event).then(leads_if(lambda candidate: True))


def disjoint_quorums(node: Node, event: Event) -> Step:
    """Half of the servers are taken for a quorum, so two leaders need no voter in common."""
    half = leads_if(lambda candidate: len(candidate.votes) * 2 >= len(candidate.members))
    return raft.step(node, event).then(half)


@dataclass(frozen=True)
class Tally(Node):
    """A server that keeps a number of votes beside their set."""

    tally: int = 0


def restart_tally(id: NodeId, members: tuple[NodeId, ...], durable: Durable) -> Step:
    restarted = raft.restart(id, members, durable)
    return replace(restarted, node=Tally(**vars(restarted.node)))


def double_count(node: Node, event: Event) -> Step:
    """The tally counts replies, not voters: a reply that comes twice is two votes."""
    taken = raft.step(node, event)
    assert isinstance(node, Tally)
    assert isinstance(taken.node, Tally)

    vote_was_counted = any(action.name == "receive_vote" for action in taken.actions)
    votes_changed = taken.node.votes != node.votes  # otherwise: a new election, or none any more
    tally = node.tally + 1 if vote_was_counted else len(taken.node.votes) if votes_changed else node.tally
    majority = leads_if(lambda candidate: tally * 2 > len(candidate.members))
    return replace(taken, node=replace(taken.node, tally=tally)).then(majority)


# --- Which term a vote is of ------------------------------------------------------------------------------


def as_if_of(node: Node, message: RequestVote | VoteReply) -> Step:
    """What the server does with a message whose term it does not look at; it reports the message's term."""
    taken = raft.step(node, Receive(replace(message, term=node.current_term)))
    actions = (
        replace(action, arguments=tuple((k, message.term if k == "t" else v) for k, v in action.arguments))
        for action in taken.actions
    )
    return replace(taken, actions=tuple(actions))


def no_terms(node: Node, event: Event) -> Step:
    """Neither voter nor candidate compares terms: a vote counts for whatever election is under way."""
    match event:
        case Receive(RequestVote() | VoteReply() as message):
            return as_if_of(node, message)
    return raft.step(node, event)


def old_reply(node: Node, event: Event) -> Step:
    """A delayed reply to an earlier election counts in this one, whoever its voter has voted for since."""
    match event:
        case Receive(VoteReply() as message) if message.term < node.current_term:
            return as_if_of(node, message)
    return raft.step(node, event)


# --- How long a vote stands -------------------------------------------------------------------------------


def storing(before: Node, taken: Step) -> Step:
    """A step of rules alone, with what must be remembered stored first, as `raft.step` does."""
    if taken.node.durable == before.durable:
        return taken
    return replace(taken, effects=(Store(taken.node.durable), *taken.effects))


def vote_not_durable(id: NodeId, members: tuple[NodeId, ...], durable: Durable) -> Step:
    """A voter that restarts has forgotten its vote, and gives it again in the same term."""
    return raft.restart(id, members, replace(durable, voted_for=NIL))


def vote_twice(node: Node, event: Event) -> Step:
    """A voter grants whoever asks."""
    match event:
        case Receive(RequestVote(t)) if t == node.current_term:
            return storing(node, raft.on_event(replace(node, voted_for=NIL), event))
    return raft.step(node, event)


def vote_cleared(node: Node, event: Event) -> Step:
    """Hearing the leader of the term clears the vote in it, and the next candidate of the term gets it."""
    match event:
        case Receive(AppendEntries(t)) if t == node.current_term:
            taken = raft.on_event(node, event)
            return storing(node, replace(taken, node=replace(taken.node, voted_for=NIL)))
    return raft.step(node, event)


REFERENCE_FAULTS: dict[str, ReferenceFault] = {
    "no-quorum": ReferenceFault(Core(step=no_quorum), nodes=3),
    "no-terms": ReferenceFault(Core(step=no_terms), nodes=3),
    "vote-not-durable": ReferenceFault(Core(restart=vote_not_durable), nodes=3),
    "vote-twice": ReferenceFault(Core(step=vote_twice), nodes=3),
    "old-reply": ReferenceFault(Core(step=old_reply), nodes=3, terms=2),
    "vote-cleared": ReferenceFault(Core(step=vote_cleared), nodes=3),
    "double-count": ReferenceFault(Core(step=double_count, restart=restart_tally), nodes=4),
    "disjoint-quorums": ReferenceFault(Core(step=disjoint_quorums), nodes=4),
}
