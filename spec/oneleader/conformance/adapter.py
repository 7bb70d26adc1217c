"""Bring your own Raft: what the conformance test asks of an implementation, and of nothing more.

Write a subclass of `Adapter` with six short methods. It holds a cluster and does one step at a time: a timer
rings, a message arrives, a server crashes or comes back. The test owns the network: it keeps what a step
sent, and delivers it late, twice, out of order, or never. See docs/bring-your-own-raft.md.

A step reports what left the server, and, if the implementation can tell, which actions of the model
`election` it took. Where it cannot, the test infers them from what can be observed of the server.

An adapter says what it can: it overrides `propose` if clients can be played, and shows in `observe` what
there is to show. What is judged follows from that.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

from oneleader.conformance.network import Network
from oneleader_raft.core import RAFT, Core
from oneleader_raft.testbench.cluster import Cluster
from oneleader_raft.testbench.servers import Packet, PendingWrite, Sync, TraceEntry
from oneleader_raft.views import VIEWS


@dataclass(frozen=True)
class Sent:
    """A message that left the server. The test never looks into it; it may hand it over more than once."""

    to: str
    message: Any


@dataclass(frozen=True)
class Taken:
    """An action of the model that a step took: `Taken("update_term", {"n": "n2", "t": 3})`.

    Nodes go by name, terms are numbers, a quorum is the collection of its members' names.
    """

    name: str
    args: Mapping[str, Any]

    def __str__(self) -> str:
        shown = (f"{name}={_shown(value)}" for name, value in self.args.items())
        return f"{self.name}({', '.join(shown)})"


def _shown(value: Any) -> str:
    is_collection = isinstance(value, Collection) and not isinstance(value, str)
    return f"{{{' '.join(sorted(value))}}}" if is_collection else str(value)


@dataclass(frozen=True)
class Report:
    """What one step did.

    sent     the messages that left the server, in order
    actions  the model's actions, in order; None if the implementation cannot tell
    event    what happened, in the implementation's own words; counted in the coverage
    applied  what the server's state machine was given in this step: (index, value), in order
    answered the proposed values that the server has acknowledged to their clients in this step
    read     what reads that were asked of this server have returned in this step, the oldest first
    """

    sent: Sequence[Sent] = ()
    actions: Sequence[Taken] | None = None
    event: str = ""
    applied: Sequence[tuple[int, Hashable]] = ()
    answered: Sequence[Hashable] = ()
    read: Sequence[Hashable] = ()


@dataclass(frozen=True)
class Observed:
    """What can be seen of a server, in the words of Figure 2. None in `voted_for` is: has not voted.

    `role` is one of `ROLES`, and None for a server that is down. `votes`, the servers whose votes a candidate
    holds, is None where it cannot be seen; so is all that follows.

    log      its entries, each as (term, value); the first of them has the index `first`
    first    greater than 1 after a compaction: what came before is in the snapshot
    commit   Figure 2's commitIndex
    members  the names of the servers that are in the cluster, as this one takes it
    joint    the members of before, while a majority of both has to agree (section 6); None otherwise
    match    Figure 2's matchIndex of a leader: up to where it knows each server's log to agree with its own
    lease    whether the server would now answer a read from its own state alone (dissertation 6.4.1)
    clock    what its clock shows, in the units of `Adapter.elapse`; of a server that is down, too
    """

    term: int
    voted_for: str | None
    role: str | None
    votes: frozenset[str] | None = None
    log: Sequence[tuple[int, Hashable]] | None = None
    first: int = 1
    commit: int | None = None
    members: frozenset[str] | None = None
    match: Mapping[str, int] | None = None
    lease: bool | None = None
    clock: int | None = None
    joint: frozenset[str] | None = None


FOLLOWER, PRE_CANDIDATE, CANDIDATE, LEADER = "follower", "pre-candidate", "candidate", "leader"
ROLES = (FOLLOWER, PRE_CANDIDATE, CANDIDATE, LEADER)
MODELS = ("pre_vote", "lease")


class May(Enum):
    """Steps that correct implementations take and a model has no word for.

    The adapter declares in `may` those that it means to take. One that is taken and not declared makes the
    judgement by the model inconclusive, by this name; it is never a violation.
    """

    STEP_DOWN = "step down within a term"  # a leader that hears no quorum (dissertation 6.2)
    ASK_AGAIN = "ask again"  # a candidate whose timer rings asks for pre-votes, as a follower (9.6)
    STANDS_ON = "a candidate restarts as one"  # in its term: a model follows a run up to there
    PASSES_A_TERM = "a term is passed over"  # nobody stands in it: a model follows a run up to there
    SKIPS_TERMS = "a candidate skips terms"  # as where each server has its own: followed up to there
    GIVE_UP = "give up an election"  # a candidate that an answer tells that it cannot win
    LATE_PRE_VOTES = "an old pre-vote counts"  # the answer to an earlier request (9.6): it binds nobody
    COMMIT_BY_VOTE = "a vote tells what is committed"  # or another who does not lead
    COMMIT_SURVIVES = "the commit index survives a restart"  # it is stored: Figure 2 has it volatile
    DROP_CONFLICTS = "drop conflicting entries early"  # before new ones arrive, or where the leader has none
    LEADS_ON = "a leader leads on though an answer is of a newer term"  # not as Figure 2, All Servers 2
    SENDS_LATE = "a former leader sends what it has since"  # in its old term: followed up to there
    STORES_ON = "a candidate stores what its term's leader sends"  # and stays one: followed up to there
    STANDS_APART = "who is no member stands without its own vote"  # a model follows a run up to there
    CHANGE_MEMBERS = "the members change"  # a model with logs follows a run up to there
    HAND_OVER = "leadership is handed over"  # a model without transfers follows a run up to there
    JOIN_EARLY = "members join before they have caught up"  # a failure more may be one too many (4.2.1)
    COMMIT_BY_FORMER = "the members before a change commit it"  # not those after it: both are safe
    APPLY_MEMBERS = "members change when applied"  # not when appended (section 6)


class Adapter(ABC):
    """A cluster of your own, made with the names of its servers: `MyAdapter(["n1", "n2", "n3"])`.

    At first all servers are up, followers in term 0 without a vote. Each step runs to its end, unless
    `crash_next` was called. The same steps must do the same again: no clock and no randomness within.
    """

    may: Collection[May] = ()  # what it means to do and the model has no word for
    models: Collection[str] = ()  # of `MODELS`: those that it means to follow, beside what its log shows
    network: Network = Network.udp()  # or Network.tcp(): what its messages travel over
    abilities: frozenset[str] | None = None  # which of the optional methods work; None: those overridden
    rates: tuple[int, int] = (1, 1)  # the least and the greatest rate of a clock, for `elapse`
    promise: int = 0  # how long who has acknowledged a leader helps to elect no other, on its clock
    lease: int = 0  # how long a leader relies on what was acknowledged, on its clock
    crash_points: Sequence[str] = ()  # names of the points in a step at which `crash_next` can crash it

    @abstractmethod
    def timeout(self, node: str) -> Report:
        """The election timeout elapses at a server that is up; at a leader too, which may ignore it.

        With `elapse` the timer rings and no time passes: it may ring early, while the server is bound.
        """

    @abstractmethod
    def receive(self, node: str, message: Any) -> Report:
        """A message that was sent to this server arrives; the server is up.

        With one more parameter, `sender: str = ""`, it also says who sent the message.
        """

    @abstractmethod
    def crash(self, node: str) -> Report:
        """The server stops between two steps. What it has not synced to stable storage is lost."""

    @abstractmethod
    def restart(self, node: str) -> Report:
        """The server comes back with what stands in stable storage."""

    @abstractmethod
    def observe(self, node: str) -> Observed | None:
        """What can be seen of a server; of one that is down: what it has stored, or None."""

    # You may leave out the rest.

    def heartbeat(self, node: str) -> Report:
        """The heartbeat timer rings at a server that is up, leader or not."""
        return Report(actions=())

    def propose(self, node: str, value: str) -> Report:
        """A client asks this server, leader or not, to append the value; no value is asked for twice."""
        raise NotImplementedError

    def retry(self, node: str, value: str) -> Report:
        """The client that proposed this value, and has no answer, asks again, at this server: the value takes
        effect once all the same (dissertation 6.3)."""
        raise NotImplementedError

    def read(self, node: str) -> Report:
        """A client asks this server, leader or not, for the last value; a `Report.read` answers it."""
        raise NotImplementedError

    def compact(self, node: str) -> Report:
        """The server puts what it has applied into a snapshot, and drops it from its log."""
        raise NotImplementedError

    def transfer(self, node: str, to: str) -> Report:
        """The server, leader or not, is to hand its leadership over."""
        raise NotImplementedError

    def change_members(self, node: str, members: Sequence[str]) -> Report:
        """The server, leader or not, is asked for a cluster of these members."""
        raise NotImplementedError

    def crash_keeping(self, node: str, writes: int, torn: bool) -> Report:
        """The server stops. Of what it has written and not synced the first so many writes reach the disk,
        and with `torn` a part of the next; `crash` keeps none of them."""
        raise NotImplementedError

    def elapse(self, advance: Mapping[str, int]) -> None:
        """So much time passes on each server's clock; no timer rings, and nothing is sent."""
        raise NotImplementedError

    def crash_next(self, node: str, point: str) -> None:
        """The next step of this server is to crash at the point; it is down after it, in any case.

        A crash between steps that comes before makes this void.
        """
        raise NotImplementedError(f"{type(self).__name__} has crash_points: override crash_next")

    def describe(self, message: Any) -> str:
        """A message as people read it."""
        return str(message)

    def close(self) -> None:  # noqa: B027 (nothing to do, unless an adapter says so)
        """The cluster is not needed any more."""


ON_REQUEST = ("propose", "read", "compact", "transfer", "change_members")
OPTIONAL = ("heartbeat", *ON_REQUEST, "elapse", "crash_keeping", "retry")


def can(adapter: Adapter) -> frozenset[str]:
    """Which of the optional methods an adapter has: those that it overrides, or names in `abilities`."""
    if adapter.abilities is not None:
        return adapter.abilities
    kind = type(adapter)
    return frozenset(name for name in OPTIONAL if getattr(kind, name) is not getattr(Adapter, name))


def hand_over(adapter: Adapter, sender: str, to: str, message: Any) -> Report:
    """A message arrives; its sender is named to an adapter that asks for it."""
    receive: Any = adapter.receive
    report: Report = receive(to, message, sender=sender) if asks_who(type(adapter)) else receive(to, message)
    return report


@cache
def asks_who(kind: type[Adapter]) -> bool:
    """Whether its `receive` takes the sender."""
    return "sender" in inspect.signature(kind.receive).parameters


# Where a step of the reference may crash: after which operation. A step without it crashes at its end.
CRASH_AFTER: dict[str, type] = {
    "at once": type(None),
    "unsynced write lost": PendingWrite,
    "unsynced write kept": PendingWrite,
    "before the sends": Sync,
    "after the first send": Packet,
}


class ReferenceAdapter(Adapter):
    """The compact reference, or another core in its place. It reports its actions."""

    crash_points = tuple(CRASH_AFTER)

    def __init__(self, nodes: Sequence[str], core: Core = RAFT) -> None:
        self.cluster = Cluster(nodes, core)
        self.dying: dict[str, str] = {}  # at which point the next step of a server crashes

    def timeout(self, node: str) -> Report:
        """So much time has passed, for everybody, that no promise binds."""
        self.cluster.elapse(self.cluster.clocks.promise)
        begun = len(self.trace)
        self.cluster.election_timeout(node, finish=False)
        return self._carry_out(node, begun)

    def heartbeat(self, node: str) -> Report:
        begun = len(self.trace)
        self.cluster.heartbeat_timeout(node, finish=False)
        return self._carry_out(node, begun)

    def receive(self, node: str, message: Packet) -> Report:
        begun = len(self.trace)
        is_first_time = self.cluster.is_pending(message)
        packet = message if is_first_time else self.cluster.duplicate(message)
        self.cluster.deliver(packet, finish=False)
        return self._carry_out(node, begun)

    def crash(self, node: str) -> Report:
        begun = len(self.trace)
        self.dying.pop(node, None)
        self.cluster.crash(node)
        return self._report(begun, [])

    def restart(self, node: str) -> Report:
        begun = len(self.trace)
        self.cluster.restart(node, finish=False)
        return self._carry_out(node, begun)

    def observe(self, node: str) -> Observed:
        if not self.cluster.is_up(node):
            stored = self.cluster.disk(node).synced
            return Observed(stored.current_term, stored.voted_for, None)
        now = self.cluster.node(node)
        return Observed(now.current_term, now.voted_for, now.role.value, now.votes)

    def elapse(self, advance: Mapping[str, int]) -> None:
        self.cluster.elapse(advance)

    def crash_next(self, node: str, point: str) -> None:
        self.dying[node] = point

    def describe(self, message: Packet) -> str:
        return str(message.message)

    @property
    def trace(self) -> list[TraceEntry]:
        return self.cluster.trace or []

    def _carry_out(self, node: str, begun: int) -> Report:
        """Run the step of a server to its end, or to the point where it is to crash."""
        point = self.dying.pop(node, "")
        sent: list[Sent] = []
        last: Any = None
        while self.cluster.is_busy(node) and not (point and isinstance(last, CRASH_AFTER[point])):
            last = self.cluster.advance(node)
            self.done(node, last)
            if isinstance(last, Packet):
                sent.append(Sent(last.to, last))
        if point:
            self.cluster.crash(node, lose_unsynced=point != "unsynced write kept")
        return self._report(begun, sent)

    def done(self, node: str, operation: Any) -> None:
        """An operation was carried out."""

    def _report(self, begun: int, sent: list[Sent]) -> Report:
        lines = self.trace[begun:]
        taken = (step for line in lines for step in VIEWS["election"].taken(line.actions))
        crashed = next((line.words for line in lines if line.words.startswith("crash")), "")
        return Report(sent, [Taken(name, arguments) for name, arguments in taken], crashed)
