"""The node keeps the rules for drivers when its disk fails and it starts again; and this can fail."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneleader_raft.core import RAFT, Core
from oneleader_raft.driving import (
    Became,
    BrokenRuleError,
    Crashed,
    Did,
    DriverJudge,
    Restarted,
    Stepped,
    Synced,
    Wrote,
)
from oneleader_raft.node.server import Happening, Server, StepTaken
from oneleader_raft.node.settings import NodeSettings
from oneleader_raft.raft import (
    Apply,
    Durable,
    Effect,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    Message,
    Node,
    Propose,
    Read,
    ReadReady,
    Receive,
    Refuse,
    ResetElectionTimer,
    Restore,
    Send,
    Step,
    Store,
)
from oneleader_raft.state_machine import Put, Request

PEERS = dict.fromkeys(("n1", "n2", "n3"), ("127.0.0.1", 1))


class DiskError(Exception):
    pass


class Judged(Server):
    """Its disk, its core, its links, its timer and its state machine tell a judge what they do. `fails`:
    whether the next save does, and then whether it has reached the disk."""

    def __init__(self, id: str, folder: Path, now: Any, judge: DriverJudge, sent: list[Any]) -> None:
        self.judge, self.sent = judge, sent
        self.fails: bool | None = None
        self._asked: list[Effect] = []
        super().__init__(
            NodeSettings(id, PEERS, folder, promise_ms=20),
            core=Core(self._step, self._restart, RAFT.is_leader),
        )
        self.clock.now = now  # type: ignore[method-assign]
        self._reset_election_timer = lambda: self._did(ResetElectionTimer)  # type: ignore[method-assign]
        for name, kind in (("entries", Apply), ("restore", Restore), ("then", ReadReady)):
            setattr(self._applying, name, self._told(kind, getattr(self._applying, name)))
        self._refuse = self._told(Refuse, self._refuse)  # type: ignore[method-assign]
        self._store.save = self._save(self._store.save)  # type: ignore[method-assign]
        self.links.send = self._send  # type: ignore[method-assign]

    @property
    def node(self) -> Node:
        return self._node

    @node.setter
    def node(self, node: Node) -> None:
        self._node = node
        self.judge.hears(Became(node))

    def _step(self, node: Node, event: Event, now: int) -> Step:
        step = RAFT.step(node, event, now)
        self.judge.hears(Stepped(node, step))
        self._asked += step.effects
        return step

    def _carry_out_start(self, start: Step) -> None:
        super()._carry_out_start(start)
        for effect in start.effects:
            self.judge.hears(Did(effect))

    def _did(self, kind: type) -> None:
        """The next effect of this kind."""
        effect = next(effect for effect in self._asked if isinstance(effect, kind))
        self._asked.remove(effect)
        self.judge.hears(Did(effect))

    def _told(self, kind: type, do: Any) -> Any:
        def doing(*arguments: Any) -> None:
            self._did(kind)
            do(*arguments)

        return doing

    def _restart(self, id: str, members: Any, durable: Durable, now: int, clocks: Any) -> Step:
        step = RAFT.restart(id, members, durable, 0, clocks)
        self.judge.hears(Restarted(durable, step))
        return step

    def _save(self, save: Any) -> Any:
        def told(durable: Durable, trace: str = "") -> None:
            self.judge.hears(Wrote(durable))
            if self.fails is not None:
                if self.fails:
                    save(durable, trace)
                raise DiskError
            save(durable, trace)
            self.judge.hears(Synced())

        return told

    def _send(self, to: str, step: int, message: Message) -> None:
        sends = (effect for effect in self._asked if isinstance(effect, Send))
        asked = next(send for send in sends if send.message is message and send.to == to)
        self._asked.remove(asked)
        self.judge.hears(Did(asked))
        self.sent.append((self.settings.id, to, message))


class Cluster:
    """Three nodes of one process, and what they have sent each other."""

    def __init__(self, folder: Path, kind: type[Judged] = Judged) -> None:
        self.folder, self.kind, self.now, self.sent = folder, kind, 0, list[Any]()
        self.judges = {id: DriverJudge(Durable()) for id in PEERS}
        self.servers = {id: self.start(id) for id in PEERS}
        self.crashes = 0

    def start(self, id: str) -> Judged:
        return self.kind(id, self.folder, lambda: self.now, self.judges[id], self.sent)

    async def handle(self, id: str, events: list[Event], fails: bool | None = None) -> None:
        server = self.servers[id]
        server.fails = fails
        try:
            await server._handle([Happening(event, ("n0", 1)) for event in events])
        except DiskError:
            self.judges[id].hears(Crashed())
            self.crashes += 1
            server._store.close()
            server._trace.close()
            self.servers[id] = self.start(id)

    async def act(self, draw: random.Random) -> None:
        """Time passes, and some server is handed what waits for it, or something of its own."""
        self.now += draw.choice((500, 5_000, 25_000))
        id = draw.choice(sorted(PEERS))
        arrived = [packet for packet in self.sent if packet[1] == id][: draw.randint(1, 4)]
        for packet in arrived:
            self.sent.remove(packet)
        number = self.now
        choices: list[Event] = [
            ElectionTimeout(),
            HeartbeatTimeout(),
            Read(number),
            Propose(Request("c", number, Put("k", number))),
        ]
        own = draw.choice(choices)
        events: list[Event] = [Receive(message) for _, _, message in arrived]
        await self.handle(id, [*events, own], draw.choice([None] * 20 + [True, False]))


def drive(folder: Path, kind: type[Judged], steps: int) -> Cluster:
    async def run() -> Cluster:
        cluster, draw = Cluster(folder, kind), random.Random(3)
        for _ in range(steps):
            await cluster.act(draw)
        return cluster

    return asyncio.run(asyncio.wait_for(run(), 120))


def test_a_node_keeps_the_rules_when_its_disk_fails(tmp_path: Path) -> None:
    cluster = drive(tmp_path, Judged, 400)
    assert cluster.crashes >= 3
    assert max(server.node.commit_index for server in cluster.servers.values()) >= 5


class SendsFirst(Judged):
    """It carries out what it has not stored."""

    def _save(self, save: Any) -> Any:
        later = []

        def told(durable: Durable, trace: str = "") -> None:
            later.append(durable)

        return told


class ForgetsItsDisk(Judged):
    """It starts with a term and a vote of its own making."""

    def _restart(self, id: str, members: Any, durable: Durable, now: int, clocks: Any) -> Step:
        return super()._restart(id, members, Durable(), now, clocks)


class HandsInOneTwice(Judged):
    """Each event of a batch is handed to the node as it was before the batch."""

    def _step(self, node: Node, event: Event, now: int) -> Step:
        return super()._step(self.node, event, now)


class SendsAtOnce(Judged):
    """What a step sends leaves before what it has to store is stored."""

    def _step(self, node: Node, event: Event, now: int) -> Step:
        step = super()._step(node, event, now)
        asked = step.effects if any(isinstance(effect, Store) for effect in step.effects) else ()
        for effect in asked:
            if isinstance(effect, Send):
                self.links.send(effect.to, 0, effect.message)
        return step


class StoresAnotherTerm(Judged):
    """What is on its disk is not what the step asked for."""

    def _save(self, save: Any) -> Any:
        told = super()._save(save)
        return lambda durable, trace="": told(replace(durable, current_term=99), trace)


class NeverApplies(Judged):
    """What is committed does not reach its state machine."""

    def _carry_out(self, steps: list[StepTaken]) -> None:
        kept = [tuple(e for e in taken.step.effects if not isinstance(e, Apply)) for taken in steps]
        super()._carry_out(
            [replace(t, step=replace(t.step, effects=some)) for t, some in zip(steps, kept, strict=True)]
        )


class GoesOnWhileItStores(Judged):
    """The next event is handed in while the disk is busy."""

    def _save(self, save: Any) -> Any:
        def told(durable: Durable, trace: str = "") -> None:
            self.judge.hears(Wrote(durable))
            self.core.step(self.node, HeartbeatTimeout(), self.clock.now())

        return told


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (SendsAtOnce, "rule 2: an effect was carried out before the Store"),
        (StoresAnotherTerm, "rule 2: something was written"),
        (NeverApplies, "rule (2|4): "),
        (GoesOnWhileItStores, "rule 4: the next event was handed in before the last step was stored"),
        (SendsFirst, "rule 3: a step was taken to be true before its Store was synced"),
        (ForgetsItsDisk, "rule 3: it was started with something else"),
        (HandsInOneTwice, "rule 3: an event was handed to a node that is not the one"),
    ],
)
def test_a_node_that_breaks_a_rule_is_found(kind: type[Judged], rule: str, tmp_path: Path) -> None:
    with pytest.raises(BrokenRuleError, match=rule):
        drive(tmp_path, kind, 400)
