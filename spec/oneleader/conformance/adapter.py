"""Bring your own Raft: what the conformance test asks of an implementation, and of nothing more.

Write a subclass of `Adapter` with six short methods. It holds a cluster and does one step at a time: a timer
rings, a message arrives, a server crashes or comes back. The test owns the network: it keeps what a step
sent, and delivers it late, twice, out of order, or never. See docs/bring-your-own-raft.md.

A step reports what left the server, and, if the implementation can tell, which actions of the model
`election` it took. Where it cannot, the test infers them from what can be observed of the server.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oneleader_raft.core import RAFT, Core
from oneleader_raft.testbench.cluster import Cluster, Packet, PendingWrite, Sync, TraceEntry
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
    """

    sent: Sequence[Sent] = ()
    actions: Sequence[Taken] | None = None
    event: str = ""


@dataclass(frozen=True)
class Observed:
    """What can be seen of a server, in the words of Figure 2. None in `voted_for` is: has not voted.

    `role` is "follower", "candidate" or "leader", and None for a server that is down. `votes`, the servers
    whose votes a candidate holds, is None where it cannot be seen.
    """

    term: int
    voted_for: str | None
    role: str | None
    votes: frozenset[str] | None = None


class Adapter(ABC):
    """A cluster of your own, made with the names of its servers: `MyAdapter(["n1", "n2", "n3"])`.

    At first all servers are up, followers in term 0 without a vote. Each step runs to its end, unless
    `crash_next` was called. The same steps must do the same again: no clock and no randomness within.
    """

    crash_points: Sequence[str] = ()  # names of the points in a step at which `crash_next` can crash it

    @abstractmethod
    def timeout(self, node: str) -> Report:
        """The election timeout elapses at a server that is up; at a leader too, which may ignore it."""

    @abstractmethod
    def receive(self, node: str, message: Any) -> Report:
        """A message that was sent to this server arrives; the server is up."""

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

    def crash_next(self, node: str, point: str) -> None:
        """The next step of this server is to crash at the point; it is down after it, in any case."""
        raise NotImplementedError(f"{type(self).__name__} has crash_points: override crash_next")

    def describe(self, message: Any) -> str:
        """A message as people read it."""
        return str(message)

    def close(self) -> None:  # noqa: B027 (nothing to do, unless an adapter says so)
        """The cluster is not needed any more."""


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
        self.crash_point = ""

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

    def crash_next(self, node: str, point: str) -> None:
        self.crash_point = point

    def describe(self, message: Packet) -> str:
        return str(message.message)

    @property
    def trace(self) -> list[TraceEntry]:
        return self.cluster.trace or []

    def _carry_out(self, node: str, begun: int) -> Report:
        """Run the step of a server to its end, or to the point where it is to crash."""
        point, self.crash_point = self.crash_point, ""
        sent: list[Sent] = []
        last: Any = None
        while self.cluster.is_busy(node) and not (point and isinstance(last, CRASH_AFTER[point])):
            last = self.cluster.advance(node)
            if isinstance(last, Packet):
                sent.append(Sent(last.to, last))
        if point:
            self.cluster.crash(node, lose_unsynced=point != "unsynced write kept")
        return self._report(begun, sent)

    def _report(self, begun: int, sent: list[Sent]) -> Report:
        lines = self.trace[begun:]
        taken = (step for line in lines for step in VIEWS["election"].taken(line.actions))
        crashed = [line.words for line in lines if line.words.startswith("crash")]
        return Report(sent, [Taken(name, arguments) for name, arguments in taken], *crashed)
