"""A cluster by hand: servers, disks, clocks and a network, and every step of them the caller's choice.

The caller decides how far each clock goes on, which timer rings, which message in flight is delivered,
duplicated or dropped, who crashes and in the middle of what. `simulator` decides it by time and chance.

A step of the core is carried out one operation at a time (`Cluster.advance`): write, sync, each send. A crash
may fall between any two of them. As `raft.py` demands, a step becomes true when its write is synced, and the
trace says so at that moment: a lost write leaves no line. Whether it keeps to the rules is judged on demand
(`Cluster.judge_driver`).

The core is a parameter: a faulty variant is another `Core`, not a switch in `raft.py`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path

from .. import raft
from ..core import RAFT, Core
from ..driving import Became, Crashed, Deed, Did, DriverJudge, Restarted, Stepped, Synced, Wrote
from ..lease import DEFAULT, Clocks
from ..messages import ImpossibleMessageError, sender, why_contradicted, why_impossible
from ..raft import (
    ActionTaken,
    Apply,
    ChangeMembers,
    Compact,
    Durable,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    Message,
    Node,
    NodeId,
    Propose,
    Read,
    Receive,
    Restore,
    Send,
    Step,
    Store,
    Transfer,
)
from ..state_machine import Request, StateMachine
from ..views import VIEWS
from .servers import Applied, Disk, Done, Packet, PendingWrite, SimulatedServer, Sync, TraceEntry, describe


class Cluster:
    """Servers and a network. `happened` counts what was done to them; `trace` is None where none is kept.
    `stored` is what a server finds on its disk at its start; a model begins with nothing, so such a cluster
    has no trace to be judged. `initial` are the members that the cluster begins with, where they are not all:
    the others may join."""

    def __init__(
        self,
        members: Iterable[NodeId],
        core: Core = RAFT,
        seed: int | None = None,
        clocks: Clocks = DEFAULT,
        *,
        traced: bool = True,
        stored: Mapping[NodeId, Durable] | None = None,
        initial: Iterable[NodeId] | None = None,
    ) -> None:
        self.members = tuple(sorted(set(members)))
        self.initial = self.members if initial is None else tuple(sorted(set(initial)))
        self.core = core
        self.seed = seed  # only named in the trace
        self.clocks = clocks
        self.has_door = (
            core is RAFT
        )  # a faulty core shows what comes of a message that no server can have sent
        self.trace: list[TraceEntry] | None = [] if traced else None
        self.happened: Counter[str] = Counter()
        self._in_flight: dict[int, Packet] = {}
        self._cut: set[tuple[NodeId, NodeId]] = set()
        self._sent = 0
        self._newest_delivered: Counter[tuple[NodeId, NodeId]] = Counter()
        disks = {id: Disk((stored or {}).get(id, Durable())) for id in self.members}
        starts = {id: core.restart(id, self.initial, disks[id].synced, 0, clocks) for id in self.members}
        self._servers = {id: SimulatedServer(start.node, disks[id]) for id, start in starts.items()}
        for id, start in starts.items():
            self._record(self._servers[id], "start", start.actions)
        self._judges: dict[NodeId, DriverJudge] = {}

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

    def clock(self, id: NodeId) -> int:
        return self._servers[id].clock

    def disk(self, id: NodeId) -> Disk:
        return self._servers[id].disk

    def machine(self, id: NodeId) -> StateMachine:
        return self._servers[id].machine

    def is_up(self, id: NodeId) -> bool:
        return self._servers[id].is_up

    def is_leader(self, id: NodeId) -> bool:
        """By its lease, now."""
        server = self._servers[id]
        return server.is_up and self.core.is_leader(server.node, server.clock)

    def is_busy(self, id: NodeId) -> bool:
        """Is the server in the middle of a step?"""
        return bool(self._servers[id].to_do)

    def is_cut(self, source: NodeId, to: NodeId) -> bool:
        return (source, to) in self._cut

    # Time

    def elapse(self, advance: int | Mapping[NodeId, int]) -> None:
        """Time passes: so much on every clock, or so much on each."""
        for id, server in self._servers.items():
            server.clock += advance if isinstance(advance, int) else advance[id]

    # The rules for drivers

    def judge_driver(self) -> None:
        """From now on BrokenRuleError where this cluster breaks one of rules 2 to 4 of `raft.py`. All servers
        are up, and none is in the middle of a step."""
        servers = {id: self._idle(id) for id in self.members}
        self._judges = {id: DriverJudge(server.disk.synced, server.node) for id, server in servers.items()}

    # Events. With `finish=False` the step stays where it begins, for `advance`, `finish` or `crash`.

    def election_timeout(self, id: NodeId, *, finish: bool = True) -> None:
        self.handle(id, ElectionTimeout(), finish=finish)

    def heartbeat_timeout(self, id: NodeId, *, finish: bool = True) -> None:
        self.handle(id, HeartbeatTimeout(), finish=finish)

    def propose(self, id: NodeId, command: Request | str, *, finish: bool = True) -> None:
        self.handle(id, Propose(command), finish=finish)

    def read(self, id: NodeId, read: str, *, finish: bool = True) -> None:
        self.handle(id, Read(read), finish=finish)

    def transfer(self, id: NodeId, target: NodeId, *, finish: bool = True) -> None:
        self.handle(id, Transfer(target), finish=finish)

    def change_members(self, id: NodeId, members: Iterable[NodeId], *, finish: bool = True) -> None:
        self.handle(id, ChangeMembers(tuple(members)), finish=finish)

    def compact(self, id: NodeId, *, finish: bool = True) -> None:
        """A snapshot of all that the server has applied."""
        server = self._idle(id)
        self.handle(id, Compact(server.node.commit_index, server.machine), finish=finish)

    def deliver(self, packet: Packet, *, finish: bool = True) -> bool:
        """Hand the packet to its receiver. False if it is lost: the link is cut, or the receiver down."""
        if self.is_cut(packet.source, packet.to):
            return self._lose(packet, "message lost at a cut link")
        if not self.is_up(packet.to):
            return self._lose(packet, "message lost at a down server")

        self._idle(packet.to)
        del self._in_flight[packet.number]
        self._count_reordering(packet)
        self.handle(packet.to, Receive(packet.message), finish=finish)
        return True

    def handle(self, id: NodeId, event: Event, *, finish: bool = True) -> None:
        """ImpossibleMessageError for a message that no server can have sent: its sender is at fault."""
        server = self._idle(id)
        if self.has_door and isinstance(event, Receive):
            self._refuse_impossible(event.message, server.node)
        step = self.core.step(server.node, event, server.clock)
        self._tell(id, Stepped(server.node, step))
        self._begin(server, event, step, finish)

    def _refuse_impossible(self, message: Message, to: Node) -> None:
        why = why_impossible(message, sender(message), to.id, self.members) or why_contradicted(message, to)
        if why:
            raise ImpossibleMessageError(f"{to.id} receives {message}, which nobody can have sent: {why}")

    def advance(self, id: NodeId) -> Done:
        """Carry out the next operation of the step that the server is in. A `Send` becomes a `Packet`."""
        server = self._servers[id]
        operation = server.to_do.popleft()
        match operation:
            case PendingWrite(durable):
                server.disk.write(durable)
                self._tell(id, Wrote(durable))
                return operation
            case Sync():
                server.disk.sync()
                self._tell(id, Synced())
                self._becomes_true_if_stored(server)
                return operation
        self._tell(id, Did(operation))
        match operation:
            case Send(to, message, action):
                if action is not None:
                    self._record(server, f"send {type(message).__name__}", (action,))
                return self._put_in_flight(id, to, message)
            case Apply(first, entries):
                return self._apply(server, first, entries)
            case Restore(snapshot):
                assert isinstance(snapshot.state, StateMachine)
                server.machine = snapshot.state
        return operation

    def finish(self, id: NodeId) -> list[Done]:
        done = []
        while self.is_busy(id):
            done.append(self.advance(id))
        return done

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

        self._tell(id, Crashed())
        server.disk.crash()
        server.is_up, server.step = False, None
        server.to_do.clear()
        self.happened[how] += 1
        self._record(server, how, ())

    def restart(self, id: NodeId, *, finish: bool = True) -> None:
        server = self._servers[id]
        if server.is_up:
            raise ValueError(f"{id} is up: crash it first")

        server.is_up, server.machine = True, StateMachine()
        self.happened["restart"] += 1
        step = self.core.restart(id, self.initial, server.disk.written, server.clock, self.clocks)
        self._tell(id, Restarted(server.disk.written, step))
        self._begin(server, "restart", step, finish)

    # The trace

    def trace_lines(self, model: str = "election") -> Iterator[str]:
        """The trace in the words of a model, as JSON lines, the header first."""
        header = {"format": "oneleader", "version": 1, "model": model, "nodes": list(self.members)}
        header |= VIEWS[model].header(self.clocks, self.initial, self.members)
        yield json.dumps(header | {"seed": self.seed})
        clocks = dict.fromkeys(self.members, 0)
        for entry in self.trace or ():
            if VIEWS[model].ends.intersection(action.name for action in entry.actions):
                return
            actions, after = VIEWS[model].of(entry.node, entry.actions, entry.after, entry.clocks, clocks)
            clocks = dict(entry.clocks)
            step = {"node": entry.node, "event": entry.words, "actions": actions, "after": after}
            yield json.dumps(step)

    def write_trace(self, path: str | PathLike[str], model: str = "election") -> None:
        lines = self.trace_lines(model)
        Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    # Within

    def _begin(self, server: SimulatedServer, event: Event | str, step: Step, finish: bool) -> None:
        server.event, server.step = event, step
        for effect in step.effects:
            if isinstance(effect, Store):
                server.to_do += (PendingWrite(effect.durable), Sync())
            else:
                server.to_do.append(effect)
        self._becomes_true_if_stored(server)
        if finish:
            self.finish(server.node.id)

    def _becomes_true_if_stored(self, server: SimulatedServer) -> None:
        if server.step is not None and server.has_stored_all:
            server.node, actions, server.step = server.step.node, server.step.actions, None
            self._tell(server.node.id, Became(server.node))
            self._record(server, server.event, actions)

    def _tell(self, id: NodeId, deed: Deed) -> None:
        if self._judges:
            self._judges[id].hears(deed)

    def _record(self, server: SimulatedServer, event: Event | str, actions: tuple[ActionTaken, ...]) -> None:
        if self.trace is not None:
            clocks = {id: server.clock for id, server in self._servers.items()}
            self.trace.append(TraceEntry(server.node.id, event, actions, server.node, clocks))

    def _apply(self, server: SimulatedServer, first: int, entries: tuple[raft.Entry, ...]) -> Applied:
        results = []
        for index, entry in enumerate(entries, first):
            server.machine, result = self.core.apply(server.machine, index, entry.command)
            if isinstance(entry.command, Request):
                results.append((entry.command, result))
        return Applied(tuple(results))

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

    def _up(self, id: NodeId) -> SimulatedServer:
        server = self._servers[id]
        if not server.is_up:
            raise ValueError(f"{id} is down: restart it first")
        return server

    def _idle(self, id: NodeId) -> SimulatedServer:
        server = self._up(id)
        if server.to_do:
            event = server.event if isinstance(server.event, str) else describe(server.event)
            raise ValueError(f"{id} is in the middle of a step ({event}): finish or crash it first")
        return server


def _kind_of_crash(server: SimulatedServer, lose_unsynced: bool) -> str:
    if server.has_unsynced_write:
        return "crash, unsynced write lost" if lose_unsynced else "crash, unsynced write kept"
    if server.step is not None:
        return "crash before the write"
    if any(isinstance(operation, Send) for operation in server.to_do):
        return "crash, messages unsent"
    return "crash"
