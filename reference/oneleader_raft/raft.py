"""The compact reference Raft. An event in, effects out.

"Figure 2" and the section numbers are those of Ongaro and Ousterhout, "In Search of an Understandable
Consensus Algorithm (Extended Version)"; a clause such as "Candidates 3" is the third bullet under
"Candidates" in Figure 2's "Rules for Servers". "Dissertation" is Ongaro's, "Consensus: Bridging Theory and
Practice".

Rules
=====

1. Everything here is pure. `step` takes a node, an event and the time on the node's own clock, and returns
   the node after it; nothing is changed in place. There is no thread, socket, randomness or logging: a
   driver owns these, decides when a timer rings, and carries out the effects.
2. Effects are carried out in their order. A `Store` comes before every other effect of the same step and
   must be synced to stable storage first ("Updated on stable storage before responding to RPCs").
3. A step is true once its `Store` is synced, and at once where it has none. Until then the node is still
   the old one: a crash that loses the write loses the step.
4. One event at a time. The driver hands in the next event when the effects of the last one are done.
5. Terms first. A message of a higher term is adopted before the message itself is looked at, so no rule
   below meets a message from its future; all but pre-votes, which speak of a term that nobody may be in, and
   requests for votes that reach a server which hears a leader (dissertation 4.2.3).
6. Servers are counted, not replies: whatever needs a majority asks what distinct members have reached.

Theory of operation
===================

A node is a plain value: it can be printed, compared and stored. It changes its role in ten ways only:

    role        on                                 becomes     clause             the models' actions
    ----------  ---------------------------------  ----------  -----------------  ---------------------
    follower    ElectionTimeout                    follower    dissertation 9.6   start_pre_vote
    candidate   ElectionTimeout                    follower    dissertation 9.6   give_up start_pre_vote
    follower    the pre-vote that makes a majority candidate   Followers 2        start_election
    follower    ElectionTimeout, when it is alone  leader      Candidates 2       become_leader
    any but L.  TimeoutNow                         candidate   dissertation 3.10  start_forced_election
    candidate   the vote that makes a majority     leader      Candidates 2       become_leader
    candidate   AppendEntries of its own term      follower    Candidates 3       step_down
    leader      ElectionTimeout, no majority heard follower    dissertation 6.2   give_up
                or a transfer that failed
    leader      the commit of its own removal      follower    dissertation 4.2.2 retire
    any         any message of a higher term       follower    All Servers 2      update_term, learn_term

and by a crash, from which it comes back as a follower (`restart`).

Each step reports which actions of the models it took, in order; a reader takes those that its model has (see
`views`). They are to be reported when the step becomes true (rule 3). A granted
vote is two actions, since a crash may fall between them: `grant_vote` belongs to the step, `reply_vote` to
the `Send` that carries the answer, to be reported when it leaves.

A promise is what leases rest on and what keeps servers that were away from disturbing a leader: a server that
has acknowledged a leader, for `clocks.promise` on its own clock gives nobody a vote or a pre-vote and asks
for none. One that has restarted does not know what it promised, and waits as long.

The election timer always runs: a driver sets it again, to a random time no shorter than the promise, whenever
`ResetElectionTimer` says so. The heartbeat timer may ring at any time; only a leader answers.

The members change by entries of the log that bring a `Membership`, in effect from the append on,
committed or not (dissertation 4.1). Wherever a majority is asked for, it is that of the configuration in
effect, of both sets while that is joint. Servers that are to join are sent entries first, and count nowhere
(4.2.1).

The beginning of a log may be gone: a snapshot stands for it (section 7). What it holds is the driver's to say
(`Compact`) and to take (`Restore`). To whom a leader cannot send entries any more it sends the snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import filterfalse
from typing import TypeAlias

from .configuration import History, InEffect, Membership, initial, up_to
from .configuration import NodeId as NodeId
from .lease import DEFAULT, LONG_AGO, NO_ROUND, Clocks, Round, lease_holds, promise_ran_out

NIL = None  # Figure 2: votedFor is "null if none"
NOOP = "no-op"  # section 8: what a leader commits first


# --- What a node is ---------------------------------------------------------------------------------------


class Role(Enum):
    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEADER = "leader"


@dataclass(frozen=True)
class Entry:
    """Figure 2, State: "each entry contains command for state machine, and term"; or a `Membership`."""

    term: int
    command: Hashable


@dataclass(frozen=True)
class Snapshot:
    """Section 7: what stands for the log up to `index`, all of it committed.

    index, term  of the last entry that it stands for
    in_effect    the configuration as of that entry, no later one
    state        the state machine's, after that entry; the driver's, and nothing to the core
    """

    index: int
    term: int
    in_effect: InEffect
    state: object = NIL


NO_SNAPSHOT = Snapshot(0, 0, InEffect(0, Membership(())))


@dataclass(frozen=True)
class Durable:
    """Figure 2, State: "Persistent state on all servers". The log is what follows the snapshot."""

    current_term: int = 0
    voted_for: NodeId | None = NIL
    log: tuple[Entry, ...] = ()
    snapshot: Snapshot = NO_SNAPSHOT


@dataclass(frozen=True)
class Progress:
    """What a leader knows of a follower: Figure 2's nextIndex and matchIndex, and what it answered last."""

    next_index: int
    match_index: int = 0
    acknowledged: Round = NO_ROUND


@dataclass(frozen=True)
class PendingRead:
    """Dissertation 6.4: a read that may be answered when `index` is applied and `round` confirmed."""

    id: Hashable
    index: int
    round: int


@dataclass(frozen=True)
class Leadership:
    """Figure 2, State: "Volatile state on leaders: (Reinitialized after election)".

    since        when it began, on the own clock
    noop         the index of the first entry of its own
    progress     of all that it sends to: the other members, and those that are to join
    transfer_to  whom it has asked to take over, to the end of this leadership
    wanted       the members that a change leads to, while those that are to join catch up
    """

    since: int = LONG_AGO
    noop: int = 0
    progress: dict[NodeId, Progress] = field(default_factory=dict)
    round: Round = NO_ROUND
    reads: tuple[PendingRead, ...] = ()
    transfer_to: NodeId | None = NIL
    wanted: tuple[NodeId, ...] | None = NIL


NOBODY_LED = Leadership()


@dataclass(frozen=True)
class Node:
    """Figure 2, State.

    history      the configurations in its log, oldest first; before them that of its snapshot, or the initial
    log          what follows the snapshot
    leader_id    whom it takes for the leader of its term: heard within a promise; a leader itself
    promised_at  on its own clock: when it last acknowledged a leader, or started
    pre_votes    the members that would vote for it in the next term; while it asks, it is one of them
    votes        the members that granted it their vote in the current term
    """

    id: NodeId
    history: History
    clocks: Clocks = DEFAULT
    current_term: int = 0
    voted_for: NodeId | None = NIL
    log: tuple[Entry, ...] = ()
    snapshot: Snapshot = NO_SNAPSHOT
    role: Role = Role.FOLLOWER
    commit_index: int = 0
    leader_id: NodeId | None = NIL
    promised_at: int = LONG_AGO
    pre_votes: frozenset[NodeId] = frozenset()
    votes: frozenset[NodeId] = frozenset()
    leadership: Leadership = NOBODY_LED

    @property
    def durable(self) -> Durable:
        return Durable(self.current_term, self.voted_for, self.log, self.snapshot)

    @property
    def configuration(self) -> Membership:
        """Dissertation 4.1: "the latest configuration in its log", committed or not."""
        return self.history[-1].configuration

    @property
    def since(self) -> int:
        """The index of the entry that brought the configuration in effect."""
        return self.history[-1].since

    @property
    def members(self) -> tuple[NodeId, ...]:
        """Everybody with a vote."""
        return self.configuration.voters

    @property
    def peers(self) -> tuple[NodeId, ...]:
        return tuple(member for member in self.members if member != self.id)

    @property
    def last_index(self) -> int:
        return self.snapshot.index + len(self.log)

    @property
    def last_term(self) -> int:
        return self.term_at(self.last_index)

    def term_at(self, index: int) -> int:
        """The term of the entry at an index, from that of the snapshot on; 0 at index 0, before the first."""
        return (
            self.log[index - self.snapshot.index - 1].term
            if index > self.snapshot.index
            else self.snapshot.term
        )

    def after(self, index: int) -> tuple[Entry, ...]:
        """The entries after an index, which is that of the snapshot or a later one."""
        return self.log[index - self.snapshot.index :]


# --- What nodes say to each other -------------------------------------------------------------------------


@dataclass(frozen=True)
class RequestPreVote:
    """Dissertation 9.6. `term` is that of the election which would follow."""

    term: int
    candidate_id: NodeId
    last_log_index: int
    last_log_term: int


@dataclass(frozen=True)
class PreVoteReply:
    """`term` is the requested one if granted, else the voter's own."""

    term: int
    voter_id: NodeId
    vote_granted: bool


@dataclass(frozen=True)
class RequestVote:
    """`forced_by` is the leader that asked the candidate to stand (dissertation 3.10), if one did."""

    term: int
    candidate_id: NodeId
    last_log_index: int
    last_log_term: int
    forced_by: NodeId | None = NIL


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
    prev_log_index: int
    prev_log_term: int
    entries: tuple[Entry, ...]
    leader_commit: int
    round: Round


@dataclass(frozen=True)
class AppendReply:
    """`index` is up to where the logs are the same, on success; else where the leader may try next,
    and `conflict_term` the term of the entry that the leader does not have, if there is one. To a leader of
    an older term it says the newer one, and answers no round."""

    term: int
    follower_id: NodeId
    success: bool
    round: Round
    index: int
    conflict_term: int = 0


@dataclass(frozen=True)
class InstallSnapshot:
    """Section 7, whole: to whom the leader has no entries to send any more. AppendReply answers it."""

    term: int
    leader_id: NodeId
    snapshot: Snapshot
    round: Round


@dataclass(frozen=True)
class TimeoutNow:
    """Dissertation 3.10: stand for election at once."""

    term: int
    leader_id: NodeId


Message: TypeAlias = (
    RequestPreVote
    | PreVoteReply
    | RequestVote
    | VoteReply
    | AppendEntries
    | AppendReply
    | InstallSnapshot
    | TimeoutNow
)


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


@dataclass(frozen=True)
class Propose:
    """A client's command, to be committed."""

    command: Hashable


@dataclass(frozen=True)
class Read:
    """A client asks for a read that is linearizable. `id` is the driver's."""

    id: Hashable


@dataclass(frozen=True)
class Transfer:
    """The leader is to hand over to `target`."""

    target: NodeId


@dataclass(frozen=True)
class ChangeMembers:
    """These are to be the members. Servers that are to join begin as those that were there did: with the same
    initial members, of which they are not one, and an empty disk."""

    members: tuple[NodeId, ...]


@dataclass(frozen=True)
class Compact:
    """The state machine's state after the entry at `index`, which has been applied: a snapshot may stand for
    the log up to there."""

    index: int
    state: object


Event: TypeAlias = (
    ElectionTimeout | HeartbeatTimeout | Receive | Propose | Read | Transfer | ChangeMembers | Compact
)


# --- What comes of it -------------------------------------------------------------------------------------

Argument: TypeAlias = int | NodeId | tuple[NodeId, ...] | tuple[tuple[NodeId, ...], ...]


@dataclass(frozen=True)
class ActionTaken:
    """An action of the models, by name, with its named arguments."""

    name: str
    arguments: tuple[tuple[str, Argument], ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value}' for name, value in self.arguments)})"


def action(name: str, **arguments: Argument) -> ActionTaken:
    return ActionTaken(name, tuple(arguments.items()))


@dataclass(frozen=True)
class Store:
    """Write `durable` and sync it to stable storage before going on."""

    durable: Durable


@dataclass(frozen=True)
class Send:
    """Send `message` to `to`; it may be lost. The `action`, if any, is taken as the message leaves."""

    to: NodeId
    message: Message
    action: ActionTaken | None = None


@dataclass(frozen=True)
class ResetElectionTimer:
    """Start the election timer again, with a new random timeout (section 5.2)."""


@dataclass(frozen=True)
class Apply:
    """All Servers 1: apply these committed entries, the first of which is at `index`, in their order."""

    index: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Restore:
    """Section 7, InstallSnapshot 8: the state machine's state is that of the snapshot from now on."""

    snapshot: Snapshot


@dataclass(frozen=True)
class ReadReady:
    """The read may be answered from the state machine as it is now, all that was applied included."""

    id: Hashable


@dataclass(frozen=True)
class Refuse:
    """The command was not taken on, or the read will not be answered; `leader_id` may, if it is known. Why a
    change of members or a snapshot is refused is said in words."""

    what: Hashable
    leader_id: NodeId | None
    why: str = ""


Effect: TypeAlias = Store | Send | ResetElectionTimer | Apply | Restore | ReadReady | Refuse


@dataclass(frozen=True)
class Step:
    """The node after an event, the models' actions that it took, and the effects, in their order."""

    node: Node
    actions: tuple[ActionTaken, ...] = ()
    effects: tuple[Effect, ...] = ()

    def then(self, rule: Callable[[Node], Step]) -> Step:
        """This step, and what `rule` makes of the node after it, as one step."""
        after = rule(self.node)
        return Step(after.node, self.actions + after.actions, self.effects + after.effects)


class TwoLeadersError(Exception):
    """Election Safety (Figure 3) is broken. The fault lies elsewhere: lost storage, a shared id, a bug."""


# --- The steps --------------------------------------------------------------------------------------------


def restart(
    id: NodeId, members: tuple[NodeId, ...], durable: Durable, now: int, clocks: Clocks = DEFAULT
) -> Step:
    """Section 5.2: "When servers start up, they begin as followers"; the first time with `Durable()`.
    `members` are those that the cluster began with, on all servers and for ever."""
    snapshot, everybody = durable.snapshot, tuple(sorted(set(members)))
    first = (snapshot.in_effect,) if snapshot.index > 0 else initial(everybody)
    node = Node(
        id,
        first + brought(snapshot.index, durable.log),
        clocks,
        durable.current_term,
        durable.voted_for,
        durable.log,
        snapshot,
        commit_index=snapshot.index,
        promised_at=now,
    )
    restarted = Step(node, (action("restart", n=id),), (ResetElectionTimer(),))
    return restarted.then(lambda node: apply_committed(node, 0))


def step(node: Node, event: Event, now: int) -> Step:
    """What `event` does to `node` at the time `now` on its clock, and what is due then."""
    taken = lose_touch(node, now)
    taken = taken.then(lambda node: on_event(node, event, now))
    taken = taken.then(lambda node: advance_change(node, now))
    taken = taken.then(lambda after: serve(after, node.commit_index, now))

    nothing_to_remember = taken.node.durable == node.durable
    if nothing_to_remember:
        return taken
    return replace(taken, effects=(Store(taken.node.durable),) + taken.effects)


def advance_change(node: Node, now: int) -> Step:
    """A change of members goes on, as soon as it may; its last step may be that the leader goes."""
    leads = node.role is Role.LEADER

    if not leads:
        return Step(node)
    return go_on_with_change(node, now).then(retire)


def serve(node: Node, applied: int, now: int) -> Step:
    """What is committed is applied, by a state machine that has come as far as `applied`; reads are
    answered."""
    return apply_committed(node, applied).then(lambda node: answer_reads(node, now))


def is_leader(node: Node, now: int) -> bool:
    """Does it lead, and nobody after it? Not by its role, which it may have lost unawares: by its lease."""
    is_leader = node.role is Role.LEADER
    return is_leader and holds_lease(node, now)


def on_event(node: Node, event: Event, now: int) -> Step:
    match event:
        case ElectionTimeout():
            return on_election_timeout(node, now)
        case HeartbeatTimeout():
            return on_heartbeat_timeout(node, now)
        case Receive(message):
            return adopt_term(node, message, now).then(lambda node: on_message(node, message, now))
        case Propose(command):
            return on_propose(node, command, now)
        case Read(id):
            return on_read(node, id, now)
        case Transfer(target):
            return on_transfer(node, target)
        case ChangeMembers(members):
            return on_change_members(node, tuple(sorted(set(members))), now)
        case Compact(index, state):
            return on_compact(node, index, state)


def on_message(node: Node, message: Message, now: int) -> Step:
    match message:
        case RequestPreVote():
            return on_request_pre_vote(node, message, now)
        case PreVoteReply():
            return on_pre_vote_reply(node, message, now)
        case RequestVote():
            return on_request_vote(node, message, now)
        case VoteReply():
            return on_vote_reply(node, message, now)
        case AppendEntries():
            return on_append_entries(node, message, now)
        case AppendReply():
            return on_append_reply(node, message)
        case InstallSnapshot():
            return on_install_snapshot(node, message, now)
        case TimeoutNow():
            return on_timeout_now(node, message, now)


# --- Who hears whom ---------------------------------------------------------------------------------------


def hears_leader(node: Node, now: int) -> bool:
    """Dissertation 4.2.3: it leads, or is bound by a promise."""
    leads = node.role is Role.LEADER
    return leads or not promise_ran_out(node.clocks, node.promised_at, now)


def lose_touch(node: Node, now: int) -> Step:
    """A promise has run out: the leader is known no more."""
    knows_leader = node.leader_id is not NIL

    if not knows_leader or hears_leader(node, now):
        return Step(node)
    return Step(replace(node, leader_id=NIL), (action("lose_touch", n=node.id),))


def adopt_term(node: Node, message: Message, now: int) -> Step:
    """All Servers 2: adopt a higher term and convert to follower. What a promise forbids, it still does."""
    term_is_higher = message.term > node.current_term

    if not term_is_higher:
        return Step(node)
    match message:
        case RequestPreVote() | PreVoteReply(vote_granted=True):
            return Step(node)  # dissertation 9.6: of a term that nobody may be in
        case RequestVote(forced_by=None) if hears_leader(node, now):
            return Step(node)  # dissertation 4.2.3: "it does not update its term or grant its vote"
        case RequestVote(term=t):
            how = action("update_term", n=node.id, t=t)
        case _:
            how = action("learn_term", n=node.id, t=message.term)
    node = replace(node, current_term=message.term, voted_for=NIL)
    return follow(node).then(lambda node: Step(node, (how,)))


def follow(node: Node) -> Step:
    """Neither stand nor lead. Reads that a leader has not answered it will not answer any more, nor begin a
    change of members."""
    refused = tuple(map(refuse, node.leadership.reads))
    if node.leadership.wanted is not NIL:
        refused += (Refuse(ChangeMembers(node.leadership.wanted), NIL, f"{node.id} leads no more"),)
    node = replace(
        node,
        role=Role.FOLLOWER,
        leader_id=NIL,
        pre_votes=frozenset(),
        votes=frozenset(),
        leadership=NOBODY_LED,
    )
    return Step(node, (), refused)


def refuse(read: PendingRead) -> Refuse:
    return Refuse(read.id, NIL)


def give_up(node: Node) -> Step:
    """Dissertation 6.2 and 9.6: stop to stand or to lead, within the term."""
    stands_or_leads = node.role is not Role.FOLLOWER

    if not stands_or_leads:
        return Step(node)
    return follow(node).then(lambda node: Step(node, (action("give_up", n=node.id),)))


def is_majority(node: Node, servers: frozenset[NodeId]) -> bool:
    """Of the configuration in effect; of both its sets while it is joint (dissertation 4.3)."""
    return node.configuration.is_quorum(servers)


def of_members(node: Node, votes: frozenset[NodeId]) -> frozenset[NodeId]:
    """The votes that count: not its own, where it is no member (dissertation 4.2.2)."""
    return votes if node.id in node.members else votes - {node.id}


def reaching(leader: Node, own: int, of: Callable[[Progress], int], least: int) -> frozenset[NodeId]:
    """The members that have reached `least`, by the leader's `own` value and those of its followers."""
    values = {leader.id: own} | {peer: of(progress) for peer, progress in leader.leadership.progress.items()}
    return frozenset(server for server in leader.members if values[server] >= least)


def reached_by_majority(node: Node, own: int, of: Callable[[Progress], int]) -> int:
    """The greatest value that a majority has reached, of a leader's `own` and its followers'."""
    values = [own, *map(of, node.leadership.progress.values())]
    return max(value for value in values if is_majority(node, reaching(node, own, of, value)))


def to_peers(node: Node, send: Callable[[NodeId], Send]) -> tuple[Send, ...]:
    return tuple(map(send, node.peers))


def majority_acknowledged(node: Node, now: int) -> int:
    """A majority has answered what this leader sent at this time or later; it hears itself always."""
    return reached_by_majority(node, now, lambda follower: follower.acknowledged.sent_at)


def holds_lease(node: Node, now: int) -> bool:
    """Dissertation 6.4.1 and 3.10: promises of a majority still run, and nobody was asked to stand."""
    nobody_was_asked = node.leadership.transfer_to is NIL
    return nobody_was_asked and lease_holds(node.clocks, majority_acknowledged(node, now), now)


# --- The rules, in the order of an election ---------------------------------------------------------------


def on_election_timeout(node: Node, now: int) -> Step:
    """Followers 2, Candidates 4; for a leader, dissertation 6.2."""
    leads = node.role is Role.LEADER
    is_bound = hears_leader(node, now)
    is_needed = node.id in node.members or node.since > node.commit_index  # dissertation 4.2.2

    if leads:
        return check_quorum(node, now).then(lambda node: give_up_on_change(node, now))
    if is_bound or not is_needed:
        return Step(node, (), (ResetElectionTimer(),))
    return give_up(node).then(start_pre_vote).then(lambda node: count_pre_votes(node, now))


def check_quorum(node: Node, now: int) -> Step:
    """Dissertation 6.2: a leader steps down "if an election timeout elapses without a successful round of
    heartbeats to a majority". So does one whose transfer has not come about in that time (dissertation 3.10
    lets it resume): a forced election may come at any time, so in this term it would lead without a lease."""
    heard = max(node.leadership.since, majority_acknowledged(node, now))
    quorum_is_silent = promise_ran_out(node.clocks, heard, now)
    transfer_has_failed = node.leadership.transfer_to is not NIL

    timer = Step(node, (), (ResetElectionTimer(),))
    if not (quorum_is_silent or transfer_has_failed):
        return timer
    return timer.then(lambda node: Step(node, (action("lose_touch", n=node.id),))).then(give_up)


def start_pre_vote(node: Node) -> Step:
    """Dissertation 9.6: ask who would vote for it in the next term, before it begins that."""
    t = node.current_term + 1
    node = replace(node, pre_votes=frozenset({node.id}))

    request = RequestPreVote(t, node.id, node.last_index, node.last_term)
    requests = to_peers(node, lambda peer: Send(peer, request))
    return Step(node, (action("start_pre_vote", n=node.id),), (ResetElectionTimer(),) + requests)


def on_request_pre_vote(node: Node, m: RequestPreVote, now: int) -> Step:
    """Dissertation 9.6: it would vote for the candidate, and promises nothing."""
    term_is_newer = m.term > node.current_term
    leader_is_silent = not hears_leader(node, now)
    log_is_up_to_date = is_up_to_date(node, m)

    if not term_is_newer:
        refusal = PreVoteReply(node.current_term, node.id, False)
        return tell_term(node, m.candidate_id, m.term, refusal)
    if not (leader_is_silent and log_is_up_to_date):
        return Step(node)
    granted = action("grant_pre_vote", voter=node.id, candidate=m.candidate_id, t=m.term)
    return Step(node, (granted,), (Send(m.candidate_id, PreVoteReply(m.term, node.id, True)),))


def on_pre_vote_reply(node: Node, m: PreVoteReply, now: int) -> Step:
    """Dissertation 9.6: gather the pre-votes for the election that it asked for."""
    is_asking = node.id in node.pre_votes
    term_is_next = m.term == node.current_term + 1
    voter_is_member = m.voter_id in node.members

    counts = m.vote_granted and is_asking and term_is_next and voter_is_member
    if not counts:
        return Step(node)

    node = replace(node, pre_votes=node.pre_votes | {m.voter_id})
    received = action("receive_pre_vote", candidate=node.id, voter=m.voter_id, t=m.term)
    return Step(node, (received,)).then(lambda node: count_pre_votes(node, now))


def count_pre_votes(node: Node, now: int) -> Step:
    if not is_majority(node, node.pre_votes):
        return Step(node)
    how = action("start_election", n=node.id, q=tuple(sorted(of_members(node, node.pre_votes))))
    return start_election(node, now, how)


def start_election(node: Node, now: int, how: ActionTaken, forced_by: NodeId | None = NIL) -> Step:
    """Candidates 1: increment the term, vote for oneself, reset the election timer, ask all others."""
    t = node.current_term + 1
    node = replace(
        node,
        current_term=t,
        voted_for=node.id,
        role=Role.CANDIDATE,
        leader_id=NIL,
        pre_votes=frozenset(),
        votes=frozenset({node.id}),
    )

    request = RequestVote(t, node.id, node.last_index, node.last_term, forced_by)
    requests = to_peers(node, lambda peer: Send(peer, request))
    started = Step(node, (how,), (ResetElectionTimer(),) + requests)
    return started.then(lambda node: count_votes(node, now))


def on_timeout_now(node: Node, m: TimeoutNow, now: int) -> Step:
    """Dissertation 3.10: stand at once, with requests that disregard promises: the leader asks for it."""
    term_is_current = m.term == node.current_term
    is_no_leader = node.role is not Role.LEADER

    if not (term_is_current and is_no_leader):
        return Step(node)
    how = action("start_forced_election", n=node.id, leader=m.leader_id)
    return start_election(node, now, how, forced_by=m.leader_id)


def on_request_vote(node: Node, m: RequestVote, now: int) -> Step:
    """RequestVote RPC, receiver: one vote per term, first come, first served."""
    term_was_adopted = m.term <= node.current_term  # dissertation 4.2.3: else it hears a leader
    term_is_current = m.term == node.current_term  # receiver 1
    vote_is_free = node.voted_for in (NIL, m.candidate_id)  # receiver 2, first half
    log_is_up_to_date = is_up_to_date(node, m)  # receiver 2, second half
    may_vote = m.forced_by is not NIL or not hears_leader(node, now)  # dissertation 4.2.3

    if not term_was_adopted:
        return Step(node)
    granted = term_is_current and vote_is_free and log_is_up_to_date and may_vote
    if not granted:
        refusal = VoteReply(node.current_term, node.id, False)
        return tell_term(node, m.candidate_id, m.term, refusal)

    node = replace(node, voted_for=m.candidate_id)
    vote: dict[str, Argument] = {"voter": node.id, "candidate": m.candidate_id, "t": m.term}
    reply = Send(m.candidate_id, VoteReply(m.term, node.id, True), action("reply_vote", **vote))
    return Step(node, (action("grant_vote", **vote),), (ResetElectionTimer(), reply))


def is_up_to_date(node: Node, m: RequestPreVote | RequestVote) -> bool:
    """Section 5.4.1: "the log with the later term is more up-to-date", of equal terms the longer one."""
    return (m.last_log_term, m.last_log_index) >= (node.last_term, node.last_index)


def tell_term(node: Node, to: NodeId, t: int, refusal: Message) -> Step:
    """Figure 2, receivers 1: "currentTerm, for [the sender] to update itself"."""
    return Step(node, (action("tell_term", n=node.id, sender=to, t=t),), (Send(to, refusal),))


def on_vote_reply(node: Node, m: VoteReply, now: int) -> Step:
    """Candidates 2: gather the votes of this term. A vote that comes twice is still one."""
    still_candidate = node.role is Role.CANDIDATE
    vote_is_of_this_term = m.term == node.current_term  # section 5.2: votes "for the same term"
    voter_is_member = m.voter_id in node.members

    counts = m.vote_granted and still_candidate and vote_is_of_this_term and voter_is_member
    if not counts:
        return Step(node)

    node = replace(node, votes=node.votes | {m.voter_id})
    received = action("receive_vote", candidate=node.id, voter=m.voter_id, t=m.term)
    return Step(node, (received,)).then(lambda node: count_votes(node, now))


def count_votes(node: Node, now: int) -> Step:
    """Candidates 2: "If votes received from majority of servers: become leader"."""
    if not is_majority(node, node.votes):
        return Step(node)
    return become_leader(node, now)


def become_leader(node: Node, now: int) -> Step:
    """Leaders 1, section 8: announce it, with a first entry of its own, which commits all before it."""
    quorum = tuple(sorted(of_members(node, node.votes)))
    next_index = node.last_index + 1
    progress = dict.fromkeys(node.peers, Progress(next_index))
    leadership = Leadership(since=now, noop=next_index, progress=progress)
    node = replace(node, role=Role.LEADER, leader_id=node.id, leadership=leadership)

    elected = Step(node, (action("become_leader", n=node.id, q=quorum),))
    return elected.then(lambda node: append(node, NOOP, now))


# --- The rules of the log ---------------------------------------------------------------------------------


def append(node: Node, command: Hashable, now: int) -> Step:
    """Leaders 2: "append entry to local log", and send it."""
    appended = action("client_request", n=node.id, value=str(command))
    node = with_entries(node, node.last_index, (Entry(node.current_term, command),))
    return Step(node, (appended,)).then(lambda node: broadcast(node, now)).then(advance_commit)


def with_entries(node: Node, kept: int, entries: tuple[Entry, ...]) -> Node:
    """The log up to an index, and these after it. Dissertation 4.1: "a server always uses the latest
    configuration in its log"; it falls back to the one before where the entry that brought it goes."""
    log = node.log[: kept - node.snapshot.index] + entries
    return replace(node, log=log, history=up_to(node.history, kept) + brought(kept, entries))


def brought(kept: int, entries: tuple[Entry, ...]) -> History:
    """The configurations that entries after an index bring."""
    changes = ((i, e.command) for i, e in enumerate(entries, kept + 1) if isinstance(e.command, Membership))
    return tuple(InEffect(i, configuration) for i, configuration in changes)


def broadcast(node: Node, now: int) -> Step:
    """Leaders 1 and 3: to each follower what it is not known to have; nothing new is a heartbeat. Those
    that are to join are followers too (dissertation 4.2.1)."""
    round = Round(node.leadership.round.number + 1, now)
    node = replace(node, leadership=replace(node.leadership, round=round))

    def send_to(id: NodeId) -> Send:
        return append_entries_to(node, id)

    sent = action("send_heartbeat", n=node.id, k=f"r{round.number}")
    return Step(node, (sent,), to_peers(node, send_to) + tuple(map(send_to, to_join(node))))


def append_entries_to(leader: Node, to: NodeId) -> Send:
    prev = leader.leadership.progress[to].next_index - 1
    entries_are_gone = prev < leader.snapshot.index  # section 7
    term, round = leader.current_term, leader.leadership.round

    if entries_are_gone:
        return Send(to, InstallSnapshot(term, leader.id, leader.snapshot, round))
    message = AppendEntries(
        term, leader.id, prev, leader.term_at(prev), leader.after(prev), leader.commit_index, round
    )
    return Send(to, message)


def on_heartbeat_timeout(node: Node, now: int) -> Step:
    """Leaders 1: repeat the heartbeats, to prevent election timeouts."""
    leads = node.role is Role.LEADER
    return broadcast(node, now) if leads else Step(node)


def on_append_entries(node: Node, m: AppendEntries, now: int) -> Step:
    """AppendEntries RPC, receiver: refuse a stale leader, follow the current one."""
    term_is_current = m.term >= node.current_term  # receiver 1
    leads_itself = node.role is Role.LEADER

    if not term_is_current:
        refusal = AppendReply(node.current_term, node.id, False, NO_ROUND, 0)
        return tell_term(node, m.leader_id, m.term, refusal)
    if leads_itself:
        raise TwoLeadersError(f"term {m.term} has two: {node.id} leads, and so does {m.leader_id}")
    return acknowledge(node, m, now).then(lambda node: store_entries(node, m))


def acknowledge(node: Node, m: AppendEntries | InstallSnapshot, now: int) -> Step:
    """Candidates 3 and dissertation 6.4.1: follow the leader, and promise not to help another for a while."""
    was_candidate = node.role is Role.CANDIDATE

    how = "step_down" if was_candidate else "hear_leader"
    heard = action(how, n=node.id, leader=m.leader_id, t=m.term)
    promised = action("acknowledge", voter=node.id, leader=m.leader_id, t=m.term, k=f"r{m.round.number}")
    node = replace(follow(node).node, leader_id=m.leader_id, promised_at=now)
    return Step(node, (heard, promised), (ResetElectionTimer(),))


def store_entries(node: Node, m: AppendEntries) -> Step:
    """AppendEntries RPC, receiver 2 to 5."""
    prev, last = m.prev_log_index, m.prev_log_index + len(m.entries)
    is_in_snapshot = prev < node.snapshot.index  # section 7: what it stands for is committed
    prefix_matches = is_in_snapshot or (
        prev <= node.last_index and node.term_at(prev) == m.prev_log_term  # receiver 2
    )

    if not prefix_matches:
        return Step(node, (), (Send(m.leader_id, conflict(node, m)),))

    kept = node.snapshot.index if is_in_snapshot else prev
    new = m.entries[kept - prev :]
    known = node.after(kept)[: len(new)]
    theirs = new[: len(known)]
    something_conflicts = terms(known) != terms(theirs)  # receiver 3: "same index but different terms"
    something_is_new = something_conflicts or len(known) < len(new)

    node = with_entries(node, kept, new) if something_is_new else node  # receiver 3 and 4
    node = replace(node, commit_index=max(node.commit_index, min(m.leader_commit, last)))  # receiver 5

    how = "replace_entries" if something_conflicts else "append_entries"
    stored = action(how, n=node.id, t=m.term, prev=prev, last=last, commit=m.leader_commit)
    reply = AppendReply(m.term, node.id, True, m.round, last)
    return Step(node, (stored,), (Send(m.leader_id, reply),))


def terms(entries: tuple[Entry, ...]) -> tuple[int, ...]:
    return tuple(entry.term for entry in entries)


def conflict(node: Node, m: AppendEntries) -> AppendReply:
    """Section 5.3: "the term of the conflicting entry and the first index it stores for that term"."""
    log_is_short = node.last_index < m.prev_log_index

    if log_is_short:
        return AppendReply(m.term, node.id, False, m.round, node.last_index + 1)
    term = node.term_at(m.prev_log_index)
    first = next(i for i in range(node.snapshot.index + 1, node.last_index + 1) if node.term_at(i) == term)
    return AppendReply(m.term, node.id, False, m.round, first, term)


def on_append_reply(node: Node, m: AppendReply) -> Step:
    """Leaders 3: "If successful: update nextIndex and matchIndex for follower", else decrement nextIndex."""
    leads = node.role is Role.LEADER
    reply_is_of_this_term = m.term == node.current_term
    answers_a_round = m.round != NO_ROUND  # else it was for the leader of an older term, maybe this server
    follower_is_known = m.follower_id in node.leadership.progress

    if not (leads and reply_is_of_this_term and answers_a_round and follower_is_known):
        return Step(node)
    heard = action("receive_reply", leader=node.id, follower=m.follower_id, t=m.term)
    follower = node.leadership.progress[m.follower_id]
    follower = replace(follower, acknowledged=max(follower.acknowledged, m.round))
    if m.success:
        match_index = max(follower.match_index, m.index)
        next_index = max(follower.next_index, match_index + 1)
        follower = replace(follower, match_index=match_index, next_index=next_index)
        return Step(with_progress(node, m, follower), (heard,)).then(advance_commit).then(hand_over)

    next_index = max(follower.match_index + 1, min(follower.next_index, back_off(node, m)))
    node = with_progress(node, m, replace(follower, next_index=next_index))
    return Step(node, (heard,), (append_entries_to(node, m.follower_id),))


def back_off(leader: Node, m: AppendReply) -> int:
    """Section 5.3: go back by a term of conflicts at a time, to the end of that term where it has it."""
    own = [
        i
        for i in range(leader.snapshot.index + 1, leader.last_index + 1)
        if leader.term_at(i) == m.conflict_term
    ]
    return own[-1] + 1 if own else m.index


def with_progress(leader: Node, m: AppendReply, follower: Progress) -> Node:
    progress = leader.leadership.progress | {m.follower_id: follower}
    return replace(leader, leadership=replace(leader.leadership, progress=progress))


def advance_commit(node: Node) -> Step:
    """Leaders 4: "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and
    log[N].term == currentTerm: set commitIndex = N"."""
    i = reached_by_majority(node, node.last_index, stored)
    is_new = i > node.commit_index
    is_own = node.term_at(i) == node.current_term  # section 5.4.2 and Figure 8

    if not (is_new and is_own):
        return Step(node)
    storing = reaching(node, node.last_index, stored, i)
    committed = action("advance_commit", n=node.id, i=i, q=tuple(sorted(storing)))
    return Step(replace(node, commit_index=i), (committed,))


def stored(follower: Progress) -> int:
    return follower.match_index


def apply_committed(node: Node, applied: int) -> Step:
    """All Servers 1: "If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied]"."""
    is_in_snapshot = applied < node.snapshot.index  # section 7, InstallSnapshot 8
    something_is_committed = node.commit_index > applied

    if is_in_snapshot:
        restored = Step(node, (), (Restore(node.snapshot),))
        return restored.then(lambda node: apply_committed(node, node.snapshot.index))
    if not something_is_committed:
        return Step(node)
    return Step(node, (), (Apply(applied + 1, node.after(applied)[: node.commit_index - applied]),))


# --- Snapshots --------------------------------------------------------------------------------------------


def on_compact(node: Node, index: int, state: object) -> Step:
    """Section 7: a snapshot takes the place of the log up to an entry that was applied; the configuration is
    that as of this entry."""
    is_new = index > node.snapshot.index
    is_committed = index <= node.commit_index

    if not is_new:
        return decline(node, Compact(index, state), f"the log begins after {node.snapshot.index}")
    if not is_committed:
        return decline(node, Compact(index, state), f"no more than {node.commit_index} entries are committed")
    snapshot = Snapshot(index, node.term_at(index), up_to(node.history, index)[-1], state)
    return Step(with_snapshot(node, snapshot, node.after(index)), (action("compact", n=node.id, k=index),))


def with_snapshot(node: Node, snapshot: Snapshot, log: tuple[Entry, ...]) -> Node:
    """The snapshot, and the log after it."""
    history = (snapshot.in_effect,) + brought(snapshot.index, log)
    return replace(node, snapshot=snapshot, log=log, history=history)


def on_install_snapshot(node: Node, m: InstallSnapshot, now: int) -> Step:
    """InstallSnapshot RPC, receiver: as AppendEntries, it is from a leader."""
    term_is_current = m.term >= node.current_term  # receiver 1
    leads_itself = node.role is Role.LEADER

    if not term_is_current:
        refusal = AppendReply(node.current_term, node.id, False, NO_ROUND, 0)
        return tell_term(node, m.leader_id, m.term, refusal)
    if leads_itself:
        raise TwoLeadersError(f"term {m.term} has two: {node.id} leads, and so does {m.leader_id}")
    return acknowledge(node, m, now).then(lambda node: store_snapshot(node, m))


def store_snapshot(node: Node, m: InstallSnapshot) -> Step:
    """InstallSnapshot RPC, receiver 6 to 8; to what is committed already it adds nothing."""
    k = m.snapshot.index
    is_news = k > node.commit_index
    has_its_entry = k <= node.last_index and node.term_at(k) == m.snapshot.term  # receiver 6

    reply = AppendReply(m.term, node.id, True, m.round, k)
    if not is_news:
        how = action("append_entries", n=node.id, t=m.term, prev=k, last=k, commit=k)
    elif has_its_entry:
        how = action("keep_after_snapshot", n=node.id, t=m.term, k=k)
        node = replace(node, commit_index=k)
    else:
        how = action("install_snapshot", n=node.id, t=m.term, k=k)
        node = replace(with_snapshot(node, m.snapshot, ()), commit_index=k)  # receiver 7 and 8
    return Step(node, (how,), (Send(m.leader_id, reply),))


# --- Changes of members -----------------------------------------------------------------------------------


def on_change_members(node: Node, members: tuple[NodeId, ...], now: int) -> Step:
    """Dissertation 4.2.1: those that are to join are sent entries from now on, and have an election timeout
    to answer; the change itself follows."""
    why = why_unchangeable(node, members, now)

    if why:
        return decline(node, ChangeMembers(members), why)
    node = replace(node, leadership=replace(node.leadership, wanted=members))
    progress = node.leadership.progress | dict.fromkeys(to_join(node), Progress(node.last_index + 1))
    node = replace(node, leadership=replace(node.leadership, progress=progress))
    return Step(node, (), (ResetElectionTimer(),)).then(lambda node: broadcast(node, now))


def why_unchangeable(node: Node, members: tuple[NodeId, ...], now: int) -> str:
    """What forbids a change to these members, in words; "" if nothing does."""
    is_under_way = node.leadership.wanted is not NIL or node.since > node.commit_index  # R2
    silent = silent_among(node, members, now)

    if node.role is not Role.LEADER:
        return "the leader changes the members, and nobody else"
    if node.leadership.transfer_to is not NIL:
        return f"{node.id} hands over to {node.leadership.transfer_to}"
    if is_under_way or node.configuration.is_joint:
        return "another change of members is under way"
    if not members:
        return "somebody has to be a member"
    if members == node.members:
        return "these are the members already"
    if len(silent) * 2 >= len(members):
        return f"of {listed(members)} no majority would be up: nothing was heard of {listed(silent)}"
    return ""


def to_join(node: Node) -> tuple[NodeId, ...]:
    """Dissertation 4.2.1: servers that are sent entries, and count nowhere."""
    return tuple(id for id in node.leadership.wanted or () if id not in node.members and id != node.id)


def silent_among(node: Node, servers: tuple[NodeId, ...], now: int) -> tuple[NodeId, ...]:
    """Those of these servers that are sent entries and do not answer."""
    known = node.leadership.progress.items()
    return tuple(id for id, follower in known if id in servers and is_silent(node, follower, now))


def listed(servers: tuple[NodeId, ...]) -> str:
    """Their names, for a message to a person."""
    return " ".join(servers)


def is_silent(node: Node, follower: Progress, now: int) -> bool:
    """It has answered nothing that was sent within an election timeout."""
    return promise_ran_out(node.clocks, max(node.leadership.since, follower.acknowledged.sent_at), now)


def decline(node: Node, what: Hashable, why: str) -> Step:
    leads = node.role is Role.LEADER
    return Step(node, (), (Refuse(what, NIL if leads else node.leader_id, why),))


def go_on_with_change(node: Node, now: int) -> Step:
    """Dissertation 4.1 and 4.3: append the next configuration, as soon as it may be."""
    configuration = next_configuration(node)
    if configuration is NIL:
        return Step(node)

    stays = node.leadership.transfer_to is NIL  # dissertation 3.10
    last_is_committed = node.since <= node.commit_index  # dissertation 4.1, R2
    own_is_committed = node.term_at(node.commit_index) == node.current_term  # raft-dev, July 2015, R3
    new_members_caught_up = have_caught_up(node)  # dissertation 4.2.1

    if not (stays and last_is_committed and own_is_committed and new_members_caught_up):
        return Step(node)
    return change_configuration(node, configuration, now)


def have_caught_up(node: Node) -> bool:
    """Those that are to join have stored what is committed."""
    return all(node.leadership.progress[id].match_index >= node.commit_index for id in to_join(node))


def next_configuration(node: Node) -> Membership | None:
    """R1: on the way to the members that are wanted; from a joint configuration to its new members, no
    matter who brought it."""
    configuration, wanted = node.configuration, node.leadership.wanted
    if configuration.is_joint:
        return configuration.towards(configuration.members)
    return configuration.towards(wanted) if wanted is not NIL else NIL


def change_configuration(node: Node, configuration: Membership, now: int) -> Step:
    """Dissertation 4.1: append it; it is in effect at once. Nothing is sent to who is no member any more."""
    brought = action("change_config", n=node.id, c=configuration.sets)
    node = with_entries(node, node.last_index, (Entry(node.current_term, configuration),))
    progress = dict.fromkeys(node.peers, Progress(node.last_index)) | of_peers(node)
    node = replace(node, leadership=replace(node.leadership, progress=progress, wanted=NIL))
    return Step(node, (brought,)).then(lambda node: broadcast(node, now)).then(advance_commit)


def of_peers(node: Node) -> dict[NodeId, Progress]:
    """What a leader knows already of those that are its peers now."""
    return {id: follower for id, follower in node.leadership.progress.items() if id in node.peers}


def give_up_on_change(node: Node, now: int) -> Step:
    """Dissertation 4.2.1: the change is given up where a server that is to join does not answer."""
    wanted, silent = node.leadership.wanted, silent_among(node, to_join(node), now)

    if not silent:
        return Step(node)
    node = replace(node, leadership=replace(node.leadership, progress=of_peers(node), wanted=NIL))
    return decline(node, ChangeMembers(wanted or ()), f"nothing was heard of {listed(silent)}")


def retire(node: Node) -> Step:
    """Dissertation 4.2.2: a leader steps down once the configuration without it is committed."""
    is_no_member = node.id not in node.members
    removal_is_committed = node.since <= node.commit_index

    if not (is_no_member and removal_is_committed):
        return Step(node)
    return follow(node).then(lambda node: Step(node, (action("retire", n=node.id),)))


# --- What clients and operators ask for -------------------------------------------------------------------


def on_propose(node: Node, command: Hashable, now: int) -> Step:
    """Leaders 2; dissertation 3.10: a leader that hands over "stops accepting new client requests"."""
    leads = node.role is Role.LEADER
    stays = node.leadership.transfer_to is NIL

    if not (leads and stays):
        return Step(node, (), (Refuse(command, node.leader_id if not leads else NIL),))
    if isinstance(command, Membership):
        return decline(node, command, "only a change of members brings a configuration")
    return append(node, command, now)


def on_read(node: Node, id: Hashable, now: int) -> Step:
    """Dissertation 6.4: note up to where the read has to see, and, without a lease, ask who still follows.

    What is committed is known once an entry of the own term is: all that was before is before the no-op."""
    leads = node.role is Role.LEADER

    if not leads:
        return Step(node, (), (Refuse(id, node.leader_id),))
    index = max(node.commit_index, node.leadership.noop)
    read = PendingRead(id, index, node.leadership.round.number + 1)
    leadership = replace(node.leadership, reads=node.leadership.reads + (read,))
    node = replace(node, leadership=leadership)
    return Step(node) if holds_lease(node, now) else broadcast(node, now)


def answer_reads(node: Node, now: int) -> Step:
    """Dissertation 6.4: those for which a majority has confirmed since that it leads; 6.4.1: or a lease says
    so now."""
    reads = node.leadership.reads
    if not reads:
        return Step(node)
    own = node.leadership.round.number
    confirmed = reached_by_majority(node, own, lambda follower: follower.acknowledged.number)
    lease = holds_lease(node, now)

    def is_ready(read: PendingRead) -> bool:
        return read.index <= node.commit_index and (lease or read.round <= confirmed)

    ready, waiting = tuple(filter(is_ready, reads)), tuple(filterfalse(is_ready, reads))
    after = replace(node, leadership=replace(node.leadership, reads=waiting))
    return Step(after, (), tuple(map(answer, ready)))


def answer(read: PendingRead) -> ReadReady:
    return ReadReady(read.id)


def on_transfer(node: Node, target: NodeId) -> Step:
    """Dissertation 3.10. The target has an election timeout to take over. The lease ends now, with this term:
    who was asked to stand may do so at any time."""
    leads = node.role is Role.LEADER
    target_is_other = target in node.peers

    if not (leads and target_is_other):
        return Step(node, (), (Refuse(Transfer(target), node.leader_id),))
    node = replace(node, leadership=replace(node.leadership, transfer_to=target))
    asked = Step(node, (), (ResetElectionTimer(), append_entries_to(node, target)))
    return asked.then(hand_over)


def hand_over(node: Node) -> Step:
    """Dissertation 3.10: "once the target has caught up", it is told to stand."""
    target = node.leadership.transfer_to
    if target is NIL:
        return Step(node)
    has_caught_up = node.leadership.progress[target].match_index == node.last_index

    if not has_caught_up:
        return Step(node)
    asked = action("transfer_leadership", n=node.id, target=target)
    return Step(node, (asked,), (Send(target, TimeoutNow(node.current_term, node.id)),))
