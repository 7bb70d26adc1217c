"""The compact reference Raft: elections. An event in, effects out.

"Figure 2" and the section numbers are those of Ongaro and Ousterhout, "In Search of an Understandable
Consensus Algorithm (Extended Version)"; a clause such as "Candidates 3" is the third bullet under
"Candidates" in Figure 2's "Rules for Servers".

Rules
=====

1. Everything here is pure. `step` takes a node and an event and returns the node after it; nothing is
   changed in place. There is no clock, thread, socket, randomness or logging: a driver owns these, decides
   when a timer rings, and carries out the effects.
2. Effects are carried out in their order. A `Store` comes before every `Send` of the same step and must be
   synced to stable storage before the next effect ("Updated on stable storage before responding to RPCs").
3. A step is true once its `Store` is synced, and at once where it has none. Until then the node is still
   the old one: a crash that loses the write loses the step.
4. One event at a time. The driver hands in the next event when the effects of the last one are done.
5. Terms first. A message of a higher term is adopted before the message itself is looked at, so no rule
   below ever meets a message from its future.
6. Voters are counted, not replies: distinct members who voted for this candidate in this very term.

Theory of operation
===================

A node is a plain value: it can be printed, compared and stored. It changes its role in six ways only:

    role        on                                 becomes     clause          the model's action
    ----------  ---------------------------------  ----------  --------------  ------------------
    follower    ElectionTimeout                    candidate   Followers 2     start_election
    candidate   ElectionTimeout                    candidate   Candidates 4    start_election
    candidate   the vote that makes a majority     leader      Candidates 2    become_leader
    candidate   AppendEntries of its own term      follower    Candidates 3    step_down
    any         any message of a higher term       follower    All Servers 2   update_term
    any         crash and restart                  follower    section 5.2     restart

Each step reports which actions of the model `election` it took, in order. They are to be reported when the
step becomes true (rule 3). A granted vote is two actions, since a crash may fall between them: `grant_vote`
belongs to the step, `reply_vote` to the `Send` that carries the answer, to be reported when it leaves.

The election timer always runs: it is set again by every `ElectionTimeout`, by granting a vote and by a
heartbeat of the current leader (Followers 2, Candidates 1). A leader lets it ring. The heartbeat timer is
the driver's alone and may ring at any time; only a leader answers.

Not here yet
============

The log (so every candidate's log is "at least as up-to-date", section 5.4.1, and `AppendEntries` is only a
heartbeat), membership changes, pre-vote, check-quorum, leadership transfer and leases. Without pre-vote and
check-quorum, a node that comes back from a partition deposes a healthy leader: safe, but disruptive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

NodeId: TypeAlias = str
NIL = None  # Figure 2: votedFor is "null if none"


# --- What a node is ---------------------------------------------------------------------------------------


class Role(Enum):
    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEADER = "leader"


@dataclass(frozen=True)
class Durable:
    """Figure 2, State: "Persistent state on all servers"."""

    current_term: int = 0
    voted_for: NodeId | None = NIL


@dataclass(frozen=True)
class Node:
    """Figure 2, State. `votes` are the members who granted this node their vote in the current term."""

    id: NodeId
    members: tuple[NodeId, ...]
    current_term: int = 0
    voted_for: NodeId | None = NIL
    role: Role = Role.FOLLOWER
    votes: frozenset[NodeId] = frozenset()

    @property
    def durable(self) -> Durable:
        return Durable(self.current_term, self.voted_for)

    @property
    def peers(self) -> tuple[NodeId, ...]:
        return tuple(member for member in self.members if member != self.id)


# --- What nodes say to each other -------------------------------------------------------------------------


@dataclass(frozen=True)
class RequestVote:
    term: int
    candidate_id: NodeId


@dataclass(frozen=True)
class VoteReply:
    term: int
    voter_id: NodeId
    vote_granted: bool


@dataclass(frozen=True)
class AppendEntries:
    """Without entries: a heartbeat."""

    term: int
    leader_id: NodeId


@dataclass(frozen=True)
class AppendReply:
    term: int
    follower_id: NodeId
    success: bool


Message: TypeAlias = RequestVote | VoteReply | AppendEntries | AppendReply


# --- What happens to a node -------------------------------------------------------------------------------


@dataclass(frozen=True)
class ElectionTimeout:
    pass


@dataclass(frozen=True)
class HeartbeatTimeout:
    pass


@dataclass(frozen=True)
class Receive:
    message: Message


Event: TypeAlias = ElectionTimeout | HeartbeatTimeout | Receive


# --- What comes of it -------------------------------------------------------------------------------------

Argument: TypeAlias = int | NodeId | tuple[NodeId, ...]


@dataclass(frozen=True)
class Action:
    """An action of the model, by name, with its named arguments."""

    name: str
    arguments: tuple[tuple[str, Argument], ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value}' for name, value in self.arguments)})"


def action(name: str, **arguments: Argument) -> Action:
    return Action(name, tuple(arguments.items()))


@dataclass(frozen=True)
class Store:
    """Write `durable` and sync it to stable storage before going on."""

    durable: Durable


@dataclass(frozen=True)
class Send:
    """Send `message` to `to`; it may be lost. The `action`, if any, is taken as the message leaves."""

    to: NodeId
    message: Message
    action: Action | None = None


@dataclass(frozen=True)
class ResetElectionTimer:
    """Start the election timer anew, with a new random timeout (section 5.2)."""


Effect: TypeAlias = Store | Send | ResetElectionTimer


@dataclass(frozen=True)
class Step:
    """The node after an event, the model's actions that it took, and the effects, in their order."""

    node: Node
    actions: tuple[Action, ...] = ()
    effects: tuple[Effect, ...] = ()

    def then(self, rule: Callable[[Node], Step]) -> Step:
        """This step, and what `rule` makes of the node after it, as one step."""
        after = rule(self.node)
        return Step(after.node, self.actions + after.actions, self.effects + after.effects)


class TwoLeadersError(Exception):
    """Election Safety (Figure 3) is broken. The fault lies elsewhere: lost storage, a shared id, a bug."""


# --- The steps --------------------------------------------------------------------------------------------


def restart(id: NodeId, members: tuple[NodeId, ...], durable: Durable) -> Step:
    """Section 5.2: "When servers start up, they begin as followers"; the first time with `Durable()`."""
    node = Node(id, tuple(sorted(set(members))), durable.current_term, durable.voted_for)
    return Step(node, (action("restart", n=id),), (ResetElectionTimer(),))


def step(node: Node, event: Event) -> Step:
    """What `event` does to `node`. What it must remember is stored before anything is sent (rule 2)."""
    taken = on_event(node, event)

    nothing_to_remember = taken.node.durable == node.durable
    if nothing_to_remember:
        return taken
    return replace(taken, effects=(Store(taken.node.durable), *taken.effects))


def on_event(node: Node, event: Event) -> Step:
    match event:
        case ElectionTimeout():
            return on_election_timeout(node)
        case HeartbeatTimeout():
            return on_heartbeat_timeout(node)
        case Receive(message):
            return update_term(node, message.term).then(lambda node: on_message(node, message))


def on_message(node: Node, message: Message) -> Step:
    """Every message here is of the node's own term or of an earlier one (rule 5)."""
    match message:
        case RequestVote():
            return on_request_vote(node, message)
        case VoteReply():
            return on_vote_reply(node, message)
        case AppendEntries():
            return on_append_entries(node, message)
        case AppendReply():
            return Step(node)  # its term, which deposes a stale leader, was all it had to say


# --- The rules, in the order of an election ---------------------------------------------------------------


def update_term(node: Node, t: int) -> Step:
    """All Servers 2: adopt a higher term and convert to follower."""
    term_is_higher = t > node.current_term

    if not term_is_higher:
        return Step(node)
    node = replace(node, current_term=t, voted_for=NIL, role=Role.FOLLOWER, votes=frozenset())
    return Step(node, (action("update_term", n=node.id, t=t),))


def on_election_timeout(node: Node) -> Step:
    """Followers 2, Candidates 4: start an election. A leader needs none."""
    is_leader = node.role is Role.LEADER

    if is_leader:
        return Step(node, (), (ResetElectionTimer(),))
    return start_election(node).then(count_votes)


def start_election(node: Node) -> Step:
    """Candidates 1: increment the term, vote for oneself, reset the election timer, ask all others."""
    t = node.current_term + 1
    node = replace(node, current_term=t, voted_for=node.id, role=Role.CANDIDATE, votes=frozenset({node.id}))

    requests = (Send(peer, RequestVote(t, node.id)) for peer in node.peers)
    return Step(node, (action("start_election", n=node.id),), (ResetElectionTimer(), *requests))


def on_request_vote(node: Node, m: RequestVote) -> Step:
    """RequestVote RPC, receiver: one vote per term, first come, first served."""
    term_is_current = m.term >= node.current_term  # receiver 1
    vote_is_free = node.voted_for in (NIL, m.candidate_id)  # receiver 2

    granted = term_is_current and vote_is_free
    if not granted:
        return Step(node, (), (Send(m.candidate_id, VoteReply(node.current_term, node.id, False)),))

    node = replace(node, voted_for=m.candidate_id)
    vote: dict[str, Argument] = {"voter": node.id, "candidate": m.candidate_id, "t": m.term}
    reply = Send(m.candidate_id, VoteReply(m.term, node.id, True), action("reply_vote", **vote))
    return Step(node, (action("grant_vote", **vote),), (ResetElectionTimer(), reply))


def on_vote_reply(node: Node, m: VoteReply) -> Step:
    """Candidates 2: gather the votes of this term. A vote that comes twice is still one."""
    still_candidate = node.role is Role.CANDIDATE
    vote_is_of_this_term = m.term == node.current_term  # section 5.2: votes "for the same term"
    voter_is_member = m.voter_id in node.members

    counts = m.vote_granted and still_candidate and vote_is_of_this_term and voter_is_member
    if not counts:
        return Step(node)

    node = replace(node, votes=node.votes | {m.voter_id})
    received = action("receive_vote", candidate=node.id, voter=m.voter_id, t=m.term)
    return Step(node, (received,)).then(count_votes)


def count_votes(node: Node) -> Step:
    """Candidates 2: "If votes received from majority of servers: become leader"."""
    has_majority = len(node.votes) * 2 > len(node.members)

    if not has_majority:
        return Step(node)
    return become_leader(node)


def become_leader(node: Node) -> Step:
    """Leaders 1: upon election, send initial heartbeats to all others."""
    quorum = tuple(sorted(node.votes))  # votes are counted one by one, so this is a smallest majority
    node = replace(node, role=Role.LEADER)
    return Step(node, (action("become_leader", n=node.id, q=quorum),), heartbeats(node))


def on_heartbeat_timeout(node: Node) -> Step:
    """Leaders 1: repeat the heartbeats, to prevent election timeouts."""
    is_leader = node.role is Role.LEADER

    if not is_leader:
        return Step(node)
    return Step(node, (), heartbeats(node))


def heartbeats(leader: Node) -> tuple[Effect, ...]:
    return tuple(Send(peer, AppendEntries(leader.current_term, leader.id)) for peer in leader.peers)


def on_append_entries(node: Node, m: AppendEntries) -> Step:
    """AppendEntries RPC, receiver: refuse a stale leader, follow the current one."""
    term_is_current = m.term >= node.current_term  # receiver 1
    leads_itself = node.role is Role.LEADER

    if not term_is_current:
        return Step(node, (), (Send(m.leader_id, AppendReply(node.current_term, node.id, False)),))
    if leads_itself:
        raise TwoLeadersError(f"term {m.term} has two: {node.id} leads, and so does {m.leader_id}")

    reply = Send(m.leader_id, AppendReply(m.term, node.id, True))
    return step_down(node, m.leader_id).then(lambda node: Step(node, (), (ResetElectionTimer(), reply)))


def step_down(node: Node, leader: NodeId) -> Step:
    """Candidates 3: a candidate that hears the leader of its term follows it. Its vote stays given."""
    was_candidate = node.role is Role.CANDIDATE

    if not was_candidate:
        return Step(node)
    node = replace(node, role=Role.FOLLOWER, votes=frozenset())
    return Step(node, (action("step_down", n=node.id, leader=leader, t=node.current_term),))
