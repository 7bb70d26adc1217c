"""A cluster driven by virtual time and one seed: random timeouts, delays, faults and clients.

The same seed gives the same run on every machine. Time is true time in milliseconds. Each server's clock
advances `rate` units in each of them, where the core is told only that rates are between `slow` and `fast`:
so two clocks drift apart as far as that allows and no further, unless the settings say so.

What clients saw is kept as a history of operations, for `oneleader.conformance.histories` to judge.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..core import RAFT, Core
from ..lease import Clocks
from ..raft import Durable, NodeId, ReadReady, Refuse, ResetElectionTimer, Role
from ..state_machine import Request, Result
from .clients import Operation, SimulatedClient
from .cluster import Cluster
from .servers import Applied, Packet, PendingWrite, Sync

Range = tuple[int, int]


@dataclass(frozen=True)
class SimulationSettings:
    """Times are milliseconds, drawn between (least, most); chances are between 0 and 1."""

    election_timeout: Range = (150, 300)  # section 5.2; the least is the promise
    heartbeat_interval: int = 50
    delay: Range = (1, 30)
    late_delay: Range = (150, 1000)  # long enough to arrive in another term

    late: float = 0.1  # of a message
    loss: float = 0.05  # of a message
    duplication: float = 0.05  # of a message
    crash_in_step: float = 0.004  # before any operation of a step
    crash_at_disk: float = 0.05  # instead, right after a write or a sync

    fault_interval: int = 100  # each time, with these chances:
    crash: float = 0.05
    pause: float = 0.05
    partition: float = 0.1
    heal: float = 0.2
    transfer: float = 0.05
    new_rates: float = 0.2

    joining: int = 0  # servers that are up and no members at first
    change: float = 0  # of members, by the leader
    compaction: float = 0  # at a server

    one_way: float = 0.5  # of a partition
    lose_unsynced: float = 0.5  # of a crash between a write and its sync
    downtime: Range = (50, 500)
    pause_time: Range = (20, 600)

    rates: Range = (98, 102)  # of clocks, in units a millisecond
    slow: int = 98  # what the core is told of them
    fast: int = 102

    clients: int = 3
    keys: int = 2
    think: Range = (0, 60)
    patience: int = 250  # until a client asks somebody else
    attempts: int = 6

    @property
    def clocks(self) -> Clocks:
        return Clocks(self.election_timeout[0] * self.fast, self.slow, self.fast)


FAULTY = SimulationSettings()
CHANGING = replace(FAULTY, joining=2, change=0.2, compaction=0.3)
CHANCES = ("late", "loss", "duplication", "crash_in_step", "crash_at_disk")
DISTURBANCES = ("crash", "pause", "partition", "transfer", "change", "compaction")
NO_FAULTS: dict[str, Any] = dict.fromkeys((*CHANCES, *DISTURBANCES), 0)
CALM = SimulationSettings(**NO_FAULTS)
DRIFTING = replace(CALM, partition=0.3, rates=(50, 200))  # far outside of what the core is told


class Simulation:
    """A cluster driven by virtual time and a seed. Steps take no time, messages do.

    Faults by hand, on `cluster`, may be mixed in between two calls of `run`.
    """

    def __init__(
        self,
        members: Iterable[NodeId],
        seed: int,
        settings: SimulationSettings = FAULTY,
        core: Core = RAFT,
        *,
        traced: bool = True,
        stored: Mapping[NodeId, Durable] | None = None,
    ) -> None:
        initial = sorted(set(members))
        joining = [f"n{len(initial) + i + 1}" for i in range(settings.joining)]
        self.cluster = Cluster(
            [*initial, *joining], core, seed, settings.clocks, traced=traced, stored=stored, initial=initial
        )
        self.settings = settings
        self.now = 0
        self.events = 0
        self.history: list[Operation] = []
        self.watchers: list[Callable[[NodeId], None]] = []  # called after each step of a server
        self._random = random.Random(seed)
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._planned = 0
        self._rates = {id: self._between(settings.rates) for id in self.cluster.members}
        self._election_due: dict[NodeId, int] = {}
        self._newest_timer: dict[NodeId, int] = {}
        self._paused_until = dict.fromkeys(self.cluster.members, 0)
        self._waiting: dict[NodeId, set[tuple[str, int]]] = {id: set() for id in self.cluster.members}
        self.clients = [SimulatedClient(f"c{i + 1}") for i in range(settings.clients)]

        for id in self.cluster.members:
            self._reset_election_timer(id)
            self._after(self._between((0, settings.heartbeat_interval)), partial(self._heartbeat_timer, id))
        self._after(settings.fault_interval, self._faults)
        for client in self.clients:
            self._after(self._between(settings.think), partial(self._call, client))

    @property
    def operations(self) -> list[Operation]:
        """What clients did so far, what is still under way included."""
        return [*self.history, *(c.operation for c in self.clients if c.operation is not None)]

    def run(self, until: int, reached: Callable[[], bool] = lambda: False) -> bool:
        """Let everything happen that is due up to the time `until`, or to when it is `reached`: then true."""
        while self._agenda[0][0] <= until:
            due, _, happen = heapq.heappop(self._agenda)
            self._pass(due)
            self.events += 1
            happen()
            if reached():
                return True
        self._pass(until)
        return False

    def end_faults(self) -> None:
        """From now on nothing fails and the network is whole. Who is down or paused comes back."""
        self.cluster.heal()
        self.settings = replace(self.settings, **NO_FAULTS)

    def leader(self) -> NodeId | None:
        """Who leads by its lease, if somebody does."""
        return next((id for id in self.cluster.members if self.cluster.is_leader(id)), None)

    def _pass(self, due: int) -> None:
        passed, self.now = due - self.now, due
        if passed:
            self.cluster.elapse({id: rate * passed for id, rate in self._rates.items()})

    # Timers

    def _reset_election_timer(self, id: NodeId) -> None:
        timeout = self._between(self.settings.election_timeout) * self.settings.fast
        self._election_due[id] = self.cluster.clock(id) + timeout
        self._plan_election_timer(id)

    def _plan_election_timer(self, id: NodeId) -> None:
        """When it will ring if the clock goes on as it does; the one planned last is the one that counts."""
        remains = self._election_due[id] - self.cluster.clock(id)
        self._after(max(1, -(-remains // self._rates[id])), partial(self._election_timer, id, self._planned))
        self._newest_timer[id] = self._planned - 1

    def _election_timer(self, id: NodeId, number: int) -> None:
        was_reset = number != self._newest_timer[id]
        if was_reset or not self._wakes(id, partial(self._election_timer, id, number)):
            return None
        if self._election_due[id] > self.cluster.clock(id):  # the clock has become slower since
            return self._plan_election_timer(id)
        self._reset_election_timer(id)
        if self.cluster.is_up(id):
            self.cluster.election_timeout(id, finish=False)
            self.carry_out(id)
        return None

    def _heartbeat_timer(self, id: NodeId) -> None:
        if self._wakes(id, partial(self._heartbeat_timer, id)):
            self._after(self.settings.heartbeat_interval, partial(self._heartbeat_timer, id))
            if self.cluster.is_up(id) and self.cluster.node(id).role is Role.LEADER:
                self.cluster.heartbeat_timeout(id, finish=False)
                self.carry_out(id)

    def _wakes(self, id: NodeId, later: Callable[[], None]) -> bool:
        """A server that is paused does nothing until it goes on; its clock does not stop."""
        remains = self._paused_until[id] - self.now
        if remains > 0:
            self._after(remains, later)
        return remains <= 0

    # Steps and messages

    def carry_out(self, id: NodeId) -> None:
        """Let a step go through that was begun by hand on `cluster`."""
        self._go_through(id)
        for watch in self.watchers:
            watch(id)

    def _go_through(self, id: NodeId) -> None:
        """The step that the server is in, one operation after the other; it may crash before any of them."""
        chance_of_crash = self.settings.crash_in_step
        while self.cluster.is_busy(id):
            if self._chance(chance_of_crash):
                return self._crash(id)
            chance_of_crash = self.settings.crash_in_step
            match self.cluster.advance(id):
                case PendingWrite() | Sync():
                    chance_of_crash = self.settings.crash_at_disk
                case ResetElectionTimer():
                    self._reset_election_timer(id)
                case Packet() as packet:
                    self._transmit(packet)
                case Applied(results):
                    self._answer(id, results)
                case ReadReady(read):
                    self._answer_read(id, read)
                case Refuse(what, leader):
                    self._refuse(what, leader)
        return None

    def _transmit(self, packet: Packet) -> None:
        if self._chance(self.settings.loss):
            return self.cluster.drop(packet)
        if self._chance(self.settings.duplication):
            self._deliver_later(self.cluster.duplicate(packet))
        return self._deliver_later(packet)

    def _deliver_later(self, packet: Packet) -> None:
        self._after(self._delay(), partial(self._deliver, packet))

    def _deliver(self, packet: Packet) -> None:
        if not self._wakes(packet.to, partial(self._deliver, packet)):
            return
        if self.cluster.is_pending(packet) and self.cluster.deliver(packet, finish=False):
            self.carry_out(packet.to)

    def _delay(self) -> int:
        is_late = self._chance(self.settings.late)
        return self._between(self.settings.late_delay if is_late else self.settings.delay)

    # Clients

    def _call(self, client: SimulatedClient) -> None:
        """Begin an operation: half of them are reads."""
        client.number += 1
        client.attempt = 0
        key = f"k{self._between((1, self.settings.keys))}"
        value = f"{client.name}.{client.number}"
        operation = Operation(client.name, "read", key, self.now)
        if self._chance(0.35):
            operation = replace(operation, kind="write", value=value)
        elif self._chance(0.25):
            operation = replace(operation, kind="cas", value=value, expected=client.seen)
        client.operation = operation
        self._ask(client, client.number, client.asks or self._anybody())

    def _ask(self, client: SimulatedClient, number: int, server: NodeId) -> None:
        """Once more, of this server, unless the operation is over."""
        if client.number != number or client.operation is None:
            return None
        if client.attempt == self.settings.attempts:
            return self._finish(client)
        client.attempt += 1
        client.asks = server
        self._after(self._delay(), partial(self._request, client, number, server))
        again = partial(self._give_up_on, client, number, client.attempt)
        self._after(self.settings.patience, again)
        return None

    def _give_up_on(self, client: SimulatedClient, number: int, attempt: int) -> None:
        if client.attempt == attempt:
            self._ask(client, number, self._anybody())

    def _request(self, client: SimulatedClient, number: int, server: NodeId) -> None:
        if not self._wakes(server, partial(self._request, client, number, server)):
            return
        if client.number != number or client.operation is None or not self.cluster.is_up(server):
            return
        request = client.request
        if request is None:
            self.cluster.read(server, f"{client.name} {number} {client.attempt}", finish=False)
        else:
            self._waiting[server].add((client.name, number))
            self.cluster.propose(server, request, finish=False)
        self.carry_out(server)

    def _answer(self, id: NodeId, results: tuple[tuple[Request, Result], ...]) -> None:
        for request, result in results:
            who = request.client, request.number
            if who in self._waiting[id]:
                self._waiting[id].discard(who)
                self._reply(*who, result)

    def _answer_read(self, id: NodeId, read: Hashable) -> None:
        name, number, _ = str(read).split()
        operation = self._client(name).operation
        if operation is not None and self._client(name).number == int(number):
            self._reply(name, int(number), self.cluster.machine(id).values.get(operation.key))

    def _reply(self, name: str, number: int, result: Hashable) -> None:
        if not self._chance(self.settings.loss):
            self._after(self._delay(), partial(self._finish, self._client(name), number, result))

    def _refuse(self, what: Hashable, leader: NodeId | None) -> None:
        """The client hears of it, and asks the leader that is named, or somebody else, a little later."""
        if isinstance(what, Request):
            name, number = what.client, what.number
        elif isinstance(what, str):
            name, number = what.split()[0], int(what.split()[1])
        else:
            return
        client = self._client(name)
        next_one = leader if leader is not None else self._anybody()
        self._after(self._between((10, 40)), partial(self._ask, client, number, next_one))

    def _finish(self, client: SimulatedClient, number: int | None = None, result: Hashable = None) -> None:
        """The operation has a result, or, without a number, nobody will ever know."""
        if client.operation is None or number not in (None, client.number):
            return
        operation = client.operation
        if number is not None:
            operation = replace(operation, returned=self.now, result=result)
            client.seen = result if operation.kind == "read" else operation.value
        client.operation = None
        self.history.append(operation)
        self._after(self._between(self.settings.think), partial(self._call, client))

    def _client(self, name: str) -> SimulatedClient:
        return self.clients[int(name[1:]) - 1]

    def _anybody(self) -> NodeId:
        return self.cluster.members[self._between((0, len(self.cluster.members) - 1))]

    # Faults

    def _faults(self) -> None:
        self._after(self.settings.fault_interval, self._faults)
        up = [id for id in self.cluster.members if self.cluster.is_up(id)]
        if up and self._chance(self.settings.crash):
            self._crash(self._one_of(up))
        if self._chance(self.settings.heal):
            self.cluster.heal()
        if self._chance(self.settings.partition):
            self._partition()
        if self._chance(self.settings.pause):
            self._pause(self._anybody())
        if self._chance(self.settings.transfer):
            self._transfer(self._anybody())
        if self._chance(self.settings.new_rates):
            self._rates[self._anybody()] = self._between(self.settings.rates)
        if self.settings.change and self._chance(self.settings.change):
            self._at_leaders(self._change_members)
        if self.settings.compaction and self._chance(self.settings.compaction):
            self._compact(self._anybody())

    def _one_of(self, some: list[NodeId]) -> NodeId:
        return some[self._between((0, len(some) - 1))]

    def _crash(self, id: NodeId) -> None:
        self.cluster.crash(id, lose_unsynced=self._chance(self.settings.lose_unsynced))
        self._waiting[id].clear()
        self._after(self._between(self.settings.downtime), partial(self._restart, id))

    def _restart(self, id: NodeId) -> None:
        if not self.cluster.is_up(id):
            self.cluster.restart(id, finish=False)
            self.carry_out(id)

    def _pause(self, id: NodeId) -> None:
        self._paused_until[id] = max(
            self._paused_until[id], self.now + self._between(self.settings.pause_time)
        )
        self.cluster.happened["pause"] += 1

    def _transfer(self, target: NodeId) -> None:
        def hand_over(id: NodeId) -> None:
            if id != target:
                self.cluster.happened["transfer asked for"] += 1
                self.cluster.transfer(id, target, finish=False)

        self._at_leaders(hand_over)

    def _at_leaders(self, ask: Callable[[NodeId], None]) -> None:
        """A server that leads, or believes so, is asked."""
        for id, node in self.cluster.nodes.items():
            leads = self.cluster.is_up(id) and node.role is Role.LEADER
            if leads and self._paused_until[id] <= self.now:
                ask(id)
                self.carry_out(id)

    def _change_members(self, leader: NodeId) -> None:
        """One server more or less, mostly; or any others."""
        members = set(self.cluster.node(leader).members)
        members ^= {self._anybody()}
        if self._chance(0.3):
            members = {id for id in self.cluster.members if self._chance(0.6)}
        self.cluster.happened["change of members asked for"] += 1
        self.cluster.change_members(leader, members, finish=False)

    def _compact(self, id: NodeId) -> None:
        if self.cluster.is_up(id) and self._paused_until[id] <= self.now:
            self.cluster.compact(id, finish=False)
            self.carry_out(id)

    def _partition(self) -> None:
        """Cut the servers in two, one way or both; or but for one that both sides reach; or one link."""
        one_way = self._chance(self.settings.one_way)
        is_here = {id: self._chance(0.5) for id in self.cluster.members}
        here = [id for id in self.cluster.members if is_here[id]]
        there = [id for id in self.cluster.members if not is_here[id]]
        if self._chance(0.25) and here and there:
            here, there = [self._one_of(here)], [self._one_of(there)]
            self.cluster.happened["partition: one link"] += 1
        elif self._chance(0.33):
            bridge = self._anybody()
            here, there = ([id for id in side if id != bridge] for side in (here, there))
            self.cluster.happened["partition: a bridge"] += 1
        else:
            self.cluster.happened["partition: two sides"] += 1
        for a in here:
            for b in there:
                self.cluster.partition(a, b, one_way=one_way)

    # Time and chance. Of `random`, only `random()` is promised to give the same in every Python version.

    def _after(self, delay: int, happen: Callable[[], None]) -> None:
        self._planned += 1  # of two things due at the same time, the one planned first comes first
        heapq.heappush(self._agenda, (self.now + delay, self._planned, happen))

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _between(self, bounds: Range) -> int:
        least, most = bounds
        return least + int(self._random.random() * (most - least + 1))
