"""A cluster by hand whose nodes write their traces, as the node's driver does: the same run each time."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from oneleader_raft.lease import Clocks
from oneleader_raft.node.log import with_growing_log
from oneleader_raft.node.trace import ENDLESS, Rotation, Source, Trace
from oneleader_raft.raft import (
    Durable,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    Message,
    Node,
    NodeId,
    Propose,
    Receive,
    Role,
    Send,
    Step,
    restart,
    step,
)

MEMBERS = ("n1", "n2", "n3")
CLOCKS = Clocks(300_000, 990, 1010)


class TracedRun:
    """Whoever is `away` gets no message; what is sent to it is lost."""

    def __init__(
        self, folder: Path, rotation: Rotation = ENDLESS, members: tuple[NodeId, ...] = MEMBERS
    ) -> None:
        self.folder, self.rotation, self.members, self.now = folder, rotation, members, 1000
        self.nodes: dict[NodeId, Node] = {}
        self.traces: dict[NodeId, Trace] = {}
        self.away: set[NodeId] = set()
        self._sent: deque[tuple[NodeId, Source, Message]] = deque()
        for id in members:
            self.restart(id)

    def restart(self, id: NodeId) -> None:
        stored = self.nodes[id].durable if id in self.nodes else Durable()
        if id in self.traces:
            self.traces[id].close()
        self.traces[id] = Trace(self.folder, id, self.members, CLOCKS, stored, rotation=self.rotation)
        self._taken(id, "restart", None, None, restart(id, self.members, stored, self.now, CLOCKS))

    def elect(self, id: NodeId) -> None:
        self.now += 400_000
        self.handle(id, ElectionTimeout())
        self.deliver()
        assert self.nodes[id].role is Role.LEADER

    def write(self, leader: NodeId, count: int) -> None:
        for number in range(count):
            self.now += 20_000
            self.handle(leader, Propose(f"{leader} writes {number} at {self.now}"))
            self.handle(leader, HeartbeatTimeout())
            self.deliver()

    def beat(self, leader: NodeId, count: int) -> None:
        for _ in range(count):
            self.now += 60_000
            self.handle(leader, HeartbeatTimeout())
            self.deliver()

    def handle(self, id: NodeId, event: Event, source: Source | None = None) -> None:
        self.now += 10
        before = self.nodes[id]
        self._taken(id, event, source, before, step(before, event, self.now))

    def deliver(self) -> None:
        while self._sent:
            to, source, message = self._sent.popleft()
            if to not in self.away and source[0] not in self.away:
                self.handle(to, Receive(message), source)

    @property
    def lines(self) -> int:
        """How many all nodes have written."""
        return sum(trace.step for trace in self.traces.values())

    def close(self) -> None:
        for trace in self.traces.values():
            trace.close()

    def _taken(
        self, id: NodeId, event: Event | str, source: Source | None, before: Node | None, taken: Step
    ) -> None:
        trace, after = self.traces[id], with_growing_log(taken.node)
        lines = trace.line(event, source, self.now, taken.actions, before, after)
        sends = [effect for effect in taken.effects if isinstance(effect, Send)]
        for send in sends:
            if send.action is not None:
                lines += trace.line("send", None, self.now, (send.action,), after, after)
        line = trace.step
        trace.write(lines)
        self.nodes[id] = after
        self._sent.extend((send.to, (id, line), send.message) for send in sends)


def elections_and_writes(folder: Path, rotation: Rotation = ENDLESS) -> None:
    """Three leaders, one after the other: the first is cut off, the second crashes."""
    run = TracedRun(folder, rotation)
    run.elect("n1")
    run.write("n1", 12)
    run.away = {"n1"}
    run.elect("n2")
    run.write("n2", 6)
    run.away = set()
    run.write("n2", 6)
    run.restart("n2")
    run.elect("n3")
    run.write("n3", 12)
    run.close()
