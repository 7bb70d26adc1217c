"""The driver: what the core asks for is done in its order, with a disk, a clock, timers and connections.

Events wait in one queue. Those that wait together are stepped one after the other and share one sync; then
their effects are carried out in their order. That is as if each had been stored by itself in no time: nothing
leaves before the sync, and a crash before it loses all of them, as if they had not happened yet. Of several
AppendEntries to one follower in such a batch the last says it all; the others are dropped. A batch has no
more bytes than are stored in a moment, as heartbeats wait for it.

A node that cannot store, or finds two leaders in one term, stops: it must not guess.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Collection, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any

from .. import raft
from ..core import RAFT, Core
from ..messages import why_contradicted
from ..raft import (
    AppendEntries,
    Apply,
    ChangeMembers,
    Compact,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    InstallSnapshot,
    Message,
    Node,
    NodeId,
    Propose,
    ReadReady,
    Receive,
    Refuse,
    ResetElectionTimer,
    Restore,
    Role,
    Send,
    Step,
    Store,
    Transfer,
)
from ..state_machine import Command, Locate, Request, Result, StateMachine
from . import snapshots, store
from .applying import Applying
from .clock import MICROSECONDS, Clock
from .compacting import Compacting
from .disruption import USUAL, Disruption
from .errors import BusyError, ClockError, NotLeaderError, OutcomeUnknownError
from .expiry import Expiry, Silence
from .frames import Identity
from .inbox import Happening, Inbox
from .links import Address, Links
from .loading import Loading
from .log import with_growing_log
from .members import Change, ChangeRefusedError, places, wanted
from .metrics import Metrics, lease_left
from .pipeline import Pipeline
from .settings import NodeSettings
from .stalls import PROCESSOR, Stalls
from .trace import Source, Trace
from .transfer import Receiving, Sending
from .trust import Trust
from .waiting import Waiting

log = logging.getLogger(__name__)

DEPOSED = "the leader lost its leadership meanwhile"
MOST_WAITING = 4096  # events; beyond it, clients are refused and peers wait
JOIN_SECONDS = 5.0  # in which a node that is to join has to be connected
OWN_NAME = "node:"  # how the names begin in which nodes propose themselves; no client's does


@dataclass(frozen=True)
class StepTaken:
    """A step, of what, when it was taken, and the number of the last line of the trace after it."""

    event: Event
    step: Step
    at: int
    line: int


class Server:
    """One node. `node` is what it truly is: without steps that are not yet synced."""

    def __init__(self, settings: NodeSettings, api: str = "", core: Core = RAFT) -> None:
        """DamagedError where the stored state is not to be trusted, or is in use."""
        self.settings, self.core = settings, core
        members = tuple(settings.peers)
        told = Disruption(settings.clockbound or USUAL, is_wanted=settings.clockbound is not None)
        settings.data.mkdir(parents=True, exist_ok=True)
        self._store = store.NodeStore(settings.data / f"{settings.id}.db", settings.id, members)
        self.clock = Clock(check=told.check)
        now = self.clock.now()
        stored = self._store.durable
        start = core.restart(settings.id, members, stored, now, settings.clocks)
        self.node: Node = start.node
        self._waiting = Waiting(self._enqueue)
        self._applying = Applying(core.apply, self._waiting.applied)
        self._carry_out_start(start)
        self._trace = Trace(
            settings.data if settings.trace else None,
            settings.id,
            members,
            settings.clocks,
            stored,
            self._store.trace,
            settings.trace_rotation,
        )
        self._trace.write(self._trace.line("restart", None, now, start.actions, None, self.node))
        own = Identity(
            settings.cluster,
            settings.id,
            api,
            frozenset(members),
            settings.clocks,
            settings.secret,
            self._store.identity,
            settings.own_address,
            process=secrets.token_hex(8),
        )
        self.metrics = Metrics(settings.cluster, settings.id)
        self.metrics.observe(self.node, now, ())
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="disk")
        self._scribe = ThreadPoolExecutor(1, thread_name_prefix="snapshots")
        self._trust = Trust(
            settings.id, self._store, self._disk, self.metrics, lambda peer: self.links.drop(peer)
        )
        self._receiving = Receiving(lambda peer: self._store.path.with_suffix(f".from-{peer}"))
        self.links = Links(
            own,
            self._received,
            self.clock.now,
            self._trust.recognise,
            settings.tls,
            self._receiving.chunk,
        )
        self._pipeline = Pipeline(self.links)
        self._sending = Sending(self.links, self._store.open_snapshot, lambda: self.node)
        self.api = api
        self._inbox = Inbox(MOST_WAITING)
        self._compacting = Compacting(
            settings.compact_after, self._store.write_snapshot, self._scribe, self._compact
        )
        self._loading = Loading(self._receiving, self._store.place_snapshot, self._scribe, self._deliver)
        self._election: asyncio.TimerHandle | None = None
        self._stalls = Stalls(settings.promise_ms / 2000)
        self._random = random.SystemRandom()
        self._change: Change | None = None
        self._met: tuple[object, ...] = ()
        self._session, self._requests = f"{OWN_NAME}{settings.id}-{secrets.token_hex(8)}", 0
        self._expiry, self._silence = Expiry(), Silence()
        self.is_stopping = False

    @property
    def machine(self) -> StateMachine:
        return self._applying.state

    # For clients

    async def write(self, request: Request) -> Result:
        """Commit and apply it. NotLeaderError, BusyError, StaleRequestError; UnknownError."""
        return await self._waiting.write(request)

    async def read(self) -> StateMachine:
        """The state as of a moment between this call and its return. NotLeaderError, BusyError."""
        return (await self.read_at())[1]

    async def read_at(self) -> tuple[int, StateMachine]:
        """The same, and after which entry it is."""
        return await self._waiting.read()

    async def backup(self) -> Path:
        """A file of the state, which is the caller's to delete. OSError"""
        index, state = await self.read_at()
        path = self._store.path.with_suffix(f".backup-{secrets.token_hex(8)}")
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(self._scribe, snapshots.write, path, index, state)
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:  # nobody waits for it any more, and the thread goes on
            writing.add_done_callback(lambda done: _forget_backup(done, path))
            raise
        return path

    async def change_members(self, join: Mapping[NodeId, str], leave: Collection[NodeId]) -> None:
        """These join, each at its HOST:PORT, and those leave, in one change. ChangeRefusedError;
        NotLeaderError, BusyError, OutcomeUnknownError."""
        node = self.node
        if node.role is not Role.LEADER:
            raise NotLeaderError(node.leader_id)
        target = wanted(node, join, leave)
        if self._change:
            raise ChangeRefusedError("another change of members is under way")
        if why := raft.why_unchangeable(node, target, self.clock.now()):
            raise ChangeRefusedError(why)
        self._change = Change(target, asyncio.get_running_loop().create_future())
        try:
            for id, address in join.items():
                await self.write(self.request(Locate(id, address)))
            await self._connected_to(join)
            self._enqueue(ChangeMembers(target))
            await self._change.outcome
        finally:
            self._change = None

    async def _connected_to(self, join: Mapping[NodeId, str]) -> None:
        """The core gives those that are to join an election timeout to answer, dialling not included."""

        def absent() -> list[NodeId]:
            return [id for id in join if not (self.links.reaches(id) and id in self.links.heard)]

        await self._until(lambda: not absent(), JOIN_SECONDS)
        for id in absent():
            raise ChangeRefusedError(f"{id} does not answer at {join[id]}: start it with --join before")

    @property
    def addresses(self) -> dict[NodeId, Address]:
        """Where nodes are reached, as this one knows."""
        return dict(self.settings.peers) | places(self.machine.addresses)

    def request(self, command: Command) -> Request:
        """A request in this node's own name, to be written at once: the numbers have to grow in the log."""
        self._requests += 1
        return Request(self._session, self._requests, command)

    @property
    def lease_left(self) -> int:
        """Microseconds for which this node still leads, whatever happens elsewhere; 0 if it does not."""
        return lease_left(self.node, self.clock.now())

    @property
    def connected(self) -> list[NodeId]:
        """The peers that were heard within two heartbeat intervals."""
        since = self.clock.now() - 2 * self.settings.heartbeat_ms * MICROSECONDS
        return sorted(peer for peer, at in self.links.heard.items() if at >= since)

    def status(self) -> dict[str, Any]:
        return {
            "id": self.node.id,
            "role": self.node.role.value,
            "term": self.node.current_term,
            "leader": self.node.leader_id,
            "lease_ms": round(self.lease_left / MICROSECONDS),
            "commit": self.node.commit_index,
            "last": self.node.last_index,
            "members": list(self.node.members),
            "connected": self.connected,
            "api": self.api,
        }

    # Life

    async def hand_over(self) -> None:
        """Before a stop: begin nothing new, let what waits be answered, and have a follower lead
        (dissertation 3.10). It takes no longer than a promise for each."""
        self.is_stopping = True
        seconds = self.settings.promise_ms / 1000
        await self._until(lambda: not self._waiting.for_writes, seconds)
        followers = self.node.leadership.progress if self.node.role is Role.LEADER else {}
        near = [peer for peer in followers if peer in self.connected and peer in self.node.members]
        if near:
            target = max(near, key=lambda peer: followers[peer].match_index)
            self._inbox.put_nowait(Happening(Transfer(target)))
            await self._until(lambda: self.node.role is not Role.LEADER, seconds)

    async def _until(self, so: Callable[[], bool], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not so() and loop.time() < until:
            await asyncio.sleep(0.005)

    @property
    def not_ready(self) -> str:
        """Why this node cannot serve a client now, itself or by sending it to the leader; "" if it can."""
        if self.is_stopping:
            return "this node is stopping"
        leads = self.lease_left > 0
        knows = self.node.leader_id in self.connected
        return "" if leads or knows else "no leader is known to this node"

    async def run(self, listener: socket) -> None:
        """Take part until cancelled, or until something is so wrong that the node must stop."""
        beat = self.settings.heartbeat_ms / 1000
        await self.links.start(listener, beat)
        self._meet()
        self._reset_election_timer()
        heart = asyncio.create_task(self._beat(beat))
        log.info("started", extra={"term": self.node.current_term, "last": self.node.last_index})
        try:
            while True:
                await self._handle(await self._inbox.batch())
        finally:
            heart.cancel()
            if self._election:
                self._election.cancel()
            self._sending.stop()
            self._loading.stop()
            self._compacting.stop()
            await self.links.stop()
            self._receiving.stop()
            self._scribe.shutdown()
            self._disk.shutdown()
            self._store.close()
            self._trace.close()
            log.info("stopped", extra={"term": self.node.current_term, "last": self.node.last_index})

    async def _beat(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + seconds
            await asyncio.sleep(seconds)
            self._stalls.note(PROCESSOR, loop.time() - due)
            if self.node.role is Role.LEADER and not self._inbox.full():
                self._inbox.put_nowait(Happening(HeartbeatTimeout()))
                with suppress(ClockError):  # which that event meets as well, and the node stops
                    self._let_expire()

    def _let_expire(self) -> None:
        node = self.node
        if self._applying.index < node.leadership.noop:  # not all that others have committed is applied yet
            return
        for expire in self._expiry.due(self.machine.locks, self.clock.now()):
            self._propose(expire)
        if forget := self._silence.due(self._applying.index, self.clock.now()):
            self._propose(forget)

    def _propose(self, command: Command) -> None:
        if not self._inbox.full():
            self._inbox.put_nowait(Happening(Propose(self.request(command))))

    def _reset_election_timer(self) -> None:
        if self._election:
            self._election.cancel()
        promise = self.settings.promise_ms / 1000
        loop = asyncio.get_running_loop()
        due = loop.time() + self._random.uniform(promise, 2 * promise)
        self._election = loop.call_at(due, lambda: self._time_out(due))

    def _time_out(self, due: float | None = None) -> None:
        """Where this process did not run when it was due, what its leader has said meanwhile is not yet read:
        a heartbeat's time is left for that, once."""
        loop, beat = asyncio.get_running_loop(), self.settings.heartbeat_ms / 1000
        if due is not None and loop.time() - due > beat:
            self._election = loop.call_later(beat, self._time_out)
        elif self._inbox.full():
            self._reset_election_timer()
        else:
            self._inbox.put_nowait(Happening(ElectionTimeout()))

    async def _received(self, source: Source, message: Message) -> None:
        if isinstance(message, InstallSnapshot) and message.snapshot.index > self.node.commit_index:
            self._loading.begin(source, message)
        else:
            await self._deliver(source, message)

    async def _deliver(self, source: Source, message: Message) -> None:
        await self._inbox.put(Happening(Receive(message), source))

    async def _compact(self, event: Compact) -> None:
        await self._inbox.put(Happening(event))

    def _enqueue(self, event: Event) -> None:
        if self.is_stopping:
            raise BusyError("this node is stopping")
        if self._inbox.full():
            raise BusyError("too many pending requests")
        self._inbox.put_nowait(Happening(event))

    # Steps

    async def _handle(self, batch: list[Happening]) -> None:
        node, steps, lines = self.node, [], []
        for happening in batch:
            if self._is_contradicted(happening, node) or await self._trust.has_lost(happening.event, node):
                continue
            now = self.clock.now()
            step = self.core.step(node, happening.event, now)
            step = replace(step, node=with_growing_log(step.node))
            lines += self._lines_of(happening, now, node, step)
            steps.append(StepTaken(happening.event, step, now, self._trace.step))
            node = step.node

        trace = "".join(lines)
        if any(isinstance(effect, Store) for taken in steps for effect in taken.step.effects):
            loop = asyncio.get_running_loop()
            with self._stalls.storing():
                await loop.run_in_executor(self._disk, self._store.save, node.durable, trace)
        self._trace.write(trace)
        self._carry_out(steps)

    def _is_contradicted(self, happening: Happening, node: Node) -> bool:
        """A message that nobody can have sent, by what this node knows, never reaches the core."""
        if not isinstance(happening.event, Receive):
            return False
        why = why_contradicted(happening.event.message, node)
        if why:
            peer = happening.source[0] if happening.source else ""
            self.links.complaints.warn("impossible message", why, source=peer)
        return bool(why)

    def _lines_of(self, happening: Happening, now: int, before: Node, step: Step) -> list[str]:
        """The step's line, and one for each message whose sending is an action."""
        lines = [self._trace.line(happening.event, happening.source, now, step.actions, before, step.node)]
        for effect in step.effects:
            if isinstance(effect, Send) and effect.action is not None:
                event = f"send {type(effect.message).__name__}"
                lines.append(self._trace.line(event, None, now, (effect.action,), step.node, step.node))
        return lines

    def _carry_out(self, steps: list[StepTaken]) -> None:
        sends = [e for taken in steps for e in taken.step.effects if isinstance(e, Send)]
        last_to = {send.to: send for send in sends if isinstance(send.message, AppendEntries)}
        for taken in steps:
            before, self.node = self.node, taken.step.node
            self._pipeline.hear(taken.event)
            for effect in taken.step.effects:
                match effect:
                    case Send(to, InstallSnapshot() as message):
                        self._sending.send(self.node, taken.line, to, message)
                    case Send(to, AppendEntries() as message):
                        if last_to[to] is effect:
                            self._pipeline.send(self.node, taken.line, to, message)
                    case Send(to, message):
                        self.links.send(to, taken.line, message)
                    case ResetElectionTimer():
                        self._reset_election_timer()
                    case Apply(first, entries):
                        self._applying.entries(first, entries)
                    case Restore(snapshot):
                        self._applying.restore(snapshot)
                    case ReadReady(id):
                        self._applying.then(partial(self._answer_read, id))
                    case Refuse(what, leader, why):
                        self._refuse(what, leader, why)
            self.metrics.observe(self.node, taken.at, self.connected)
            if self._change:
                self._change.look(self.node)
            self._notice_role(before)
        self._meet()
        self._compacting.look(self.node, self._applying)
        if self.node.role is Role.LEADER and self._inbox.empty() and self._pipeline.can_go_on(self.node):
            self._inbox.put_nowait(Happening(HeartbeatTimeout()))

    def _carry_out_start(self, start: Step) -> None:
        for effect in start.effects:
            if isinstance(effect, Restore):
                self._applying.restore(effect.snapshot)

    def _meet(self) -> None:
        """Dial the members and those that are to join, and let in who is known."""
        node, addresses = self.node, self.machine.addresses
        joining = self._change.wanted if self._change else ()
        peers = (*node.members, *node.leadership.progress, *joining)
        met = addresses, peers, node.last_index == 0, len(self.links.told)
        if met != self._met:
            self._met = met
            is_to_join = node.id not in self.settings.peers and node.last_index == 0
            known = None if is_to_join else frozenset({*peers, *self.addresses})
            self.links.meet(peers, self.addresses, known)

    def _notice_role(self, before: Node) -> None:
        node = self.node
        if (node.role, node.current_term) != (before.role, before.current_term):
            log.info("role", extra={"role": node.role.value, "term": node.current_term})
        still_leads = node.role is Role.LEADER and node.current_term == before.current_term
        if before.role is Role.LEADER and not still_leads:
            self._expiry.forget()
            self._silence.forget()
            if self._change:
                self._change.fail(OutcomeUnknownError(DEPOSED))
            self._waiting.give_up(DEPOSED)

    def _answer_read(self, id: Hashable) -> None:
        self._waiting.answer_read(id, self._applying.index, self.machine)

    def _refuse(self, what: Hashable, leader: NodeId | None, why: str) -> None:
        match what:
            case ChangeMembers():
                log.warning("change of members refused", extra={"why": why})
                if self._change:
                    self._change.fail(ChangeRefusedError(why))
            case Transfer():
                log.info("transfer refused")
            case Compact():
                pass  # a newer snapshot came in the meantime
            case _:
                self._waiting.refuse(what, leader)


def _forget_backup(writing: asyncio.Future[None], path: Path) -> None:
    if writing.exception() is None:
        path.unlink(missing_ok=True)
