"""A cluster on one thread: every fault on demand, and the same run again for the same seed.

Two layers:

- `Cluster` has servers, disks and a network, but no time. The caller chooses every step: which timer rings,
  which message in flight is delivered, duplicated or dropped, who crashes and in the middle of what.
- `Simulation` drives a `Cluster` by virtual milliseconds and one seed: random timeouts, delays, and faults.

A step of the core is carried out one operation at a time (`Cluster.advance`): write, sync, each send. A crash
may fall between any two of them. As `raft.py` demands, a step becomes true when its write is synced, and the
trace says so at that moment: a lost write leaves no line. Each line of the trace is one event of one server,
with the model's actions that it took and the server's state after them.

The core is a parameter: a faulty variant is another `Core`, not a switch in `raft.py`.
"""

from __future__ import annotations

import heapq
import json
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from . import raft
from .raft import (
    Action,
    Durable,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    Message,
    Node,
    NodeId,
    Receive,
    ResetElectionTimer,
    Role,
    Send,
    Step,
    Store,
)


@dataclass(frozen=True)
class Core:
    """The Raft that the cluster runs."""

    step: Callable[[Node, Event], Step] = raft.step
    restart: Callable[[NodeId, tuple[NodeId, ...], Durable], Step] = raft.restart


RAFT = Core()


# --- Servers, disks, messages -----------------------------------------------------------------------------


class Disk:
    """What a server has stored. Only a synced write survives a crash."""

    def __init__(self) -> None:
        self.written = Durable()
        self.synced = Durable()

    def write(self, durable: Durable) -> None:
        self.written = durable

    def sync(self) -> None:
        self.synced = self.written

    def crash(self) -> None:
        self.written = self.synced


@dataclass(frozen=True)
class Packet:
    """A message on its way. The number tells apart two packets with the same message."""

    number: int
    source: NodeId
    to: NodeId
    message: Message


@dataclass(frozen=True)
class Write:
    durable: Durable


@dataclass(frozen=True)
class Sync:
    pass


Operation: TypeAlias = Write | Sync | Send | ResetElectionTimer


@dataclass
class Server:
    """A node as it truly is, its disk, and the step that it is in the middle of."""

    node: Node
    disk: Disk = field(default_factory=Disk)
    is_up: bool = True
    event: str = ""
    step: Step | None = None  # until it is true
    to_do: deque[Operation] = field(default_factory=deque)

    @property
    def has_unsynced_write(self) -> bool:
        return bool(self.to_do) and isinstance(self.to_do[0], Sync)

    @property
    def has_stored_all(self) -> bool:
        return not any(isinstance(operation, Write | Sync) for operation in self.to_do)


# --- The trace --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One line of the trace: what happened to `node`, the actions that it took, its state after them."""

    node: NodeId
    event: str
    actions: tuple[Action, ...]
    after: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {
            "node": self.node,
            "event": self.event,
            "actions": [[taken.name, dict(taken.arguments)] for taken in self.actions],
            "after": {name: {self.node: value} for name, value in self.after.items()},
        }


def mapped(node: Node) -> dict[str, Any]:
    """The state of a node in the words of the model `election`."""
    return {
        "term": node.current_term,
        "voted_for": node.voted_for,
        "role": node.role.value,
        "votes": sorted(node.votes),
    }


def describe(event: Event) -> str:
    match event:
        case ElectionTimeout():
            return "election timeout"
        case HeartbeatTimeout():
            return "heartbeat timeout"
        case Receive(message):
            return f"receive {message}"


# --- The cluster: every step by hand ----------------------------------------------------------------------


class Cluster:
    """Servers and a network without time. `happened` counts what was done to them."""

    def __init__(self, members: Iterable[NodeId], core: Core = RAFT, seed: int | None = None) -> None:
        self.members = tuple(sorted(set(members)))
        self.core = core
        self.seed = seed  # only named in the trace
        self.trace: list[Entry] = []
        self.happened: Counter[str] = Counter()
        self._servers = {id: Server(core.restart(id, self.members, Durable()).node) for id in self.members}
        self._in_flight: dict[int, Packet] = {}
        self._cut: set[tuple[NodeId, NodeId]] = set()
        self._sent = 0
        self._newest_delivered: Counter[tuple[NodeId, NodeId]] = Counter()

    # What there is to see

    @property
    def nodes(self) -> dict[NodeId, Node]:
        """Each node as it truly is: without a step whose write is not yet synced; if down, as it was."""
        return {id: server.node for id, server in self._servers.items()}

    @property
    def pending(self) -> list[Packet]:
        """The packets in flight, in the order in which they were sent."""
        return list(self._in_flight.values())

    def is_pending(self, packet: Packet) -> bool:
        return packet.number in self._in_flight

    def node(self, id: NodeId) -> Node:
        return self._servers[id].node

    def disk(self, id: NodeId) -> Disk:
        return self._servers[id].disk

    def is_up(self, id: NodeId) -> bool:
        return self._servers[id].is_up

    def is_busy(self, id: NodeId) -> bool:
        """Is the server in the middle of a step?"""
        return bool(self._servers[id].to_do)

    def is_cut(self, source: NodeId, to: NodeId) -> bool:
        return (source, to) in self._cut

    # Events. With `finish=False` the step stays where it begins, for `advance`, `finish` or `crash`.

    def election_timeout(self, id: NodeId, *, finish: bool = True) -> None:
        self._handle(id, ElectionTimeout(), finish)

    def heartbeat_timeout(self, id: NodeId, *, finish: bool = True) -> None:
        self._handle(id, HeartbeatTimeout(), finish)

    def deliver(self, packet: Packet, *, finish: bool = True) -> bool:
        """Hand the packet to its receiver. False if it is lost: the link is cut, or the receiver down."""
        if self.is_cut(packet.source, packet.to):
            return self._lose(packet, "message lost at a cut link")
        if not self.is_up(packet.to):
            return self._lose(packet, "message lost at a down server")

        self._idle(packet.to)
        del self._in_flight[packet.number]
        self._count_reordering(packet)
        self._handle(packet.to, Receive(packet.message), finish)
        return True

    def advance(self, id: NodeId) -> Write | Sync | Packet | ResetElectionTimer:
        """Carry out the next operation of the step that the server is in. A `Send` becomes a `Packet`."""
        server = self._servers[id]
        operation = server.to_do.popleft()
        match operation:
            case Write(durable):
                server.disk.write(durable)
            case Sync():
                server.disk.sync()
                self._becomes_true_if_stored(server)
            case Send(to, message, action):
                if action is not None:
                    self._record(server, f"send {message}", (action,))
                return self._put_in_flight(id, to, message)
            case ResetElectionTimer():
                pass  # there is no time here; `Simulation` looks at what `advance` returns
        return operation

    def finish(self, id: NodeId) -> None:
        while self.is_busy(id):
            self.advance(id)

    # Faults

    def drop(self, packet: Packet) -> None:
        self._lose(packet, "message dropped")

    def duplicate(self, packet: Packet) -> Packet:
        self.happened["message duplicated"] += 1
        return self._put_in_flight(packet.source, packet.to, packet.message)

    def partition(self, a: NodeId, b: NodeId, *, one_way: bool = False) -> None:
        """Cut the link from `a` to `b`, and back unless `one_way`: packets on it are lost on delivery."""
        self._cut.add((a, b))
        if not one_way:
            self._cut.add((b, a))
        self.happened["link cut one way" if one_way else "link cut"] += 1

    def heal(self) -> None:
        """Mend all links."""
        self.happened["links mended"] += bool(self._cut)
        self._cut.clear()

    def crash(self, id: NodeId, *, lose_unsynced: bool = True) -> None:
        """Stop the server where it is. An unsynced write is lost, or had luckily reached the disk."""
        server = self._up(id)
        how = _kind_of_crash(server, lose_unsynced)
        if server.has_unsynced_write and not lose_unsynced:
            self.advance(id)

        server.disk.crash()
        server.is_up, server.step = False, None
        server.to_do.clear()
        self.happened[how] += 1
        self._record(server, how, ())

    def restart(self, id: NodeId, *, finish: bool = True) -> None:
        server = self._servers[id]
        if server.is_up:
            raise ValueError(f"{id} is up: crash it first")

        server.is_up = True
        self.happened["restart"] += 1
        self._begin(server, "restart", self.core.restart(id, self.members, server.disk.written), finish)

    # The trace

    def trace_lines(self) -> Iterator[str]:
        """The trace as JSON lines, the header first."""
        header = {"format": "oneleader", "version": 1, "model": "election", "nodes": list(self.members)}
        yield json.dumps(header | {"quorums": "majority", "seed": self.seed})
        for entry in self.trace:
            yield json.dumps(entry.as_json())

    def write_trace(self, path: str | PathLike[str]) -> None:
        Path(path).write_text("".join(f"{line}\n" for line in self.trace_lines()), encoding="utf-8")

    # Within

    def _handle(self, id: NodeId, event: Event, finish: bool) -> None:
        server = self._idle(id)
        self._begin(server, describe(event), self.core.step(server.node, event), finish)

    def _begin(self, server: Server, event: str, step: Step, finish: bool) -> None:
        server.event, server.step = event, step
        for effect in step.effects:
            server.to_do.extend((Write(effect.durable), Sync()) if isinstance(effect, Store) else (effect,))
        self._becomes_true_if_stored(server)
        if finish:
            self.finish(server.node.id)

    def _becomes_true_if_stored(self, server: Server) -> None:
        if server.step is not None and server.has_stored_all:
            server.node, actions, server.step = server.step.node, server.step.actions, None
            self._record(server, server.event, actions)

    def _record(self, server: Server, event: str, actions: tuple[Action, ...]) -> None:
        self.trace.append(Entry(server.node.id, event, actions, mapped(server.node)))

    def _put_in_flight(self, source: NodeId, to: NodeId, message: Message) -> Packet:
        self._sent += 1
        packet = Packet(self._sent, source, to, message)
        self._in_flight[packet.number] = packet
        return packet

    def _lose(self, packet: Packet, how: str) -> bool:
        del self._in_flight[packet.number]
        self.happened[how] += 1
        return False

    def _count_reordering(self, packet: Packet) -> None:
        link = packet.source, packet.to
        was_overtaken = packet.number < self._newest_delivered[link]
        self.happened["message reordered"] += was_overtaken
        self._newest_delivered[link] = max(packet.number, self._newest_delivered[link])

    def _up(self, id: NodeId) -> Server:
        server = self._servers[id]
        if not server.is_up:
            raise ValueError(f"{id} is down: restart it first")
        return server

    def _idle(self, id: NodeId) -> Server:
        server = self._up(id)
        if server.to_do:
            raise ValueError(f"{id} is in the middle of a step ({server.event}): finish or crash it first")
        return server


def _kind_of_crash(server: Server, lose_unsynced: bool) -> str:
    if server.has_unsynced_write:
        return "crash, unsynced write lost" if lose_unsynced else "crash, unsynced write kept"
    if server.step is not None:
        return "crash before the write"
    if any(isinstance(operation, Send) for operation in server.to_do):
        return "crash, messages unsent"
    return "crash"


# --- The simulation: time and chance ----------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """Times are virtual milliseconds, drawn between (least, most); chances are between 0 and 1."""

    election_timeout: tuple[int, int] = (150, 300)  # section 5.2
    heartbeat_interval: int = 50
    delay: tuple[int, int] = (1, 30)
    late_delay: tuple[int, int] = (150, 1000)  # long enough to arrive in another term

    late: float = 0.1  # of a message
    loss: float = 0.05  # of a message
    duplication: float = 0.05  # of a message
    crash_in_step: float = 0.004  # before any operation of a step
    crash_at_disk: float = 0.05  # instead, right after a write or a sync

    fault_interval: int = 100  # each time, with these chances:
    crash: float = 0.05
    partition: float = 0.1
    heal: float = 0.2

    one_way: float = 0.5  # of a partition
    lose_unsynced: float = 0.5  # of a crash between a write and its sync
    downtime: tuple[int, int] = (50, 500)


FAULTY = Settings()
CALM = Settings(late=0, loss=0, duplication=0, crash_in_step=0, crash_at_disk=0, crash=0, partition=0)


class Simulation:
    """A cluster driven by virtual time and a seed. Steps take no time, messages do.

    Faults by hand, on `cluster`, may be mixed in between two calls of `run`.
    """

    def __init__(
        self, members: Iterable[NodeId], seed: int, settings: Settings = FAULTY, core: Core = RAFT
    ) -> None:
        self.cluster = Cluster(members, core, seed)
        self.settings = settings
        self.now = 0
        self.events = 0
        self._random = random.Random(seed)
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._planned = 0
        self._election_due: dict[NodeId, int] = {}

        for id in self.cluster.members:
            self._reset_election_timer(id)
            self._after(self._between((0, settings.heartbeat_interval)), partial(self._heartbeat_timer, id))
        self._after(settings.fault_interval, self._faults)

    def run(self, until: int) -> None:
        """Let everything happen that is due up to the time `until`."""
        while self._agenda[0][0] <= until:
            self.now, _, happen = heapq.heappop(self._agenda)
            self.events += 1
            happen()
        self.now = until

    # Timers

    def _reset_election_timer(self, id: NodeId) -> None:
        timeout = self._between(self.settings.election_timeout)
        self._election_due[id] = self.now + timeout
        self._after(timeout, partial(self._election_timer, id))

    def _election_timer(self, id: NodeId) -> None:
        was_reset = self._election_due[id] != self.now
        if was_reset:
            return
        self._reset_election_timer(id)
        if self.cluster.is_up(id):
            self.cluster.election_timeout(id, finish=False)
            self._carry_out(id)

    def _heartbeat_timer(self, id: NodeId) -> None:
        self._after(self.settings.heartbeat_interval, partial(self._heartbeat_timer, id))
        if self.cluster.is_up(id) and self.cluster.node(id).role is Role.LEADER:
            self.cluster.heartbeat_timeout(id, finish=False)
            self._carry_out(id)

    # Steps and messages

    def _carry_out(self, id: NodeId) -> None:
        """Go through the step that the server is in; it may crash before any operation."""
        chance_of_crash = self.settings.crash_in_step
        while self.cluster.is_busy(id):
            if self._chance(chance_of_crash):
                return self._crash(id)
            chance_of_crash = self.settings.crash_in_step
            match self.cluster.advance(id):
                case Write() | Sync():
                    chance_of_crash = self.settings.crash_at_disk
                case ResetElectionTimer():
                    self._reset_election_timer(id)
                case Packet() as packet:
                    self._transmit(packet)
        return None

    def _transmit(self, packet: Packet) -> None:
        if self._chance(self.settings.loss):
            return self.cluster.drop(packet)
        if self._chance(self.settings.duplication):
            self._deliver_later(self.cluster.duplicate(packet))
        return self._deliver_later(packet)

    def _deliver_later(self, packet: Packet) -> None:
        is_late = self._chance(self.settings.late)
        delay = self._between(self.settings.late_delay if is_late else self.settings.delay)
        self._after(delay, partial(self._deliver, packet))

    def _deliver(self, packet: Packet) -> None:
        if self.cluster.is_pending(packet) and self.cluster.deliver(packet, finish=False):
            self._carry_out(packet.to)

    # Faults

    def _faults(self) -> None:
        self._after(self.settings.fault_interval, self._faults)
        up = [id for id in self.cluster.members if self.cluster.is_up(id)]
        if up and self._chance(self.settings.crash):
            self._crash(up[self._between((0, len(up) - 1))])
        if self._chance(self.settings.heal):
            self.cluster.heal()
        if self._chance(self.settings.partition):
            self._partition()

    def _crash(self, id: NodeId) -> None:
        self.cluster.crash(id, lose_unsynced=self._chance(self.settings.lose_unsynced))
        self._after(self._between(self.settings.downtime), partial(self._restart, id))

    def _restart(self, id: NodeId) -> None:
        if not self.cluster.is_up(id):
            self.cluster.restart(id, finish=False)
            self._carry_out(id)

    def _partition(self) -> None:
        """Draw a side for each server, and cut the links from the one side to the other, or both ways."""
        one_way = self._chance(self.settings.one_way)
        is_here = {id: self._chance(0.5) for id in self.cluster.members}
        here = [id for id in self.cluster.members if is_here[id]]
        there = [id for id in self.cluster.members if not is_here[id]]
        for a in here:
            for b in there:
                self.cluster.partition(a, b, one_way=one_way)

    # Time and chance. Of `random`, only `random()` is promised to give the same in every Python version.

    def _after(self, delay: int, happen: Callable[[], None]) -> None:
        self._planned += 1  # of two things due at the same time, the one planned first comes first
        heapq.heappush(self._agenda, (self.now + delay, self._planned, happen))

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _between(self, bounds: tuple[int, int]) -> int:
        least, most = bounds
        return least + int(self._random.random() * (most - least + 1))
