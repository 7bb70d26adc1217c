"""Scenarios: a few steps of a cluster of the reference, judged after each by everything that there is.

A scenario is a program of one call a line, and prints as that:

    s = Scenario(3)
    s.campaign("n1", "n2")
    s.propose("n1")
    s.trip("n1", "n3")
    s.crash("n1")

After every step each model of which there is a view has to allow what was done, state for state (`replay`'s
own judge, line by line; those with changes of members and snapshots as soon as there is one: until then they
say what `replication` does); Figure 3 and leases have to hold, as `testbench.safety` has them; and what
clients saw has to be linearizable. `Broken` says which did not.

A call that can do nothing where the cluster is (deliver where nothing is in flight) does nothing, so that a
scenario keeps its sense when a step is taken out of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

from oneleader.conformance import histories
from oneleader.conformance.scenes import CLIENTS, label_of, scene_of, servers_of, step_of
from oneleader.models import MODELS
from oneleader.readers.replay.candidates import LineRefused
from oneleader.readers.replay.formats.own import OwnFormat
from oneleader.story import Story
from oneleader.verdict import VIOLATED
from oneleader_raft.core import RAFT, Core
from oneleader_raft.lease import Clocks
from oneleader_raft.messages import ImpossibleMessageError
from oneleader_raft.raft import NodeId, ReadReady, TwoLeadersError
from oneleader_raft.state_machine import Put, Request
from oneleader_raft.testbench.clients import Operation
from oneleader_raft.testbench.cluster import Cluster
from oneleader_raft.testbench.safety import Safety, UnsafeError
from oneleader_raft.testbench.servers import Applied, Packet, PendingWrite, Sync
from oneleader_raft.views import VIEWS

CLOCKS = Clocks(promise=30, slow=2, fast=3)
CRASHES = {
    "at once": None,
    "before the sync": PendingWrite,
    "before the sends": Sync,
    "after one send": Packet,
}
CHANGES = ("change_config", "compact")
KEY = "x"
OPEN_WRITES = 6  # at most, where an order of all operations is sought: each doubles the work


class Broken(AssertionError):
    """A step after which something does not hold. `cause` is short, and the same for the same bug."""

    def __init__(self, cause: str, words: str) -> None:
        super().__init__(f"{cause}: {words}")
        self.cause, self.words = cause, words


class Refinement:
    """One model beside a cluster: is what happened a run of it?"""

    def __init__(self, model: str, cluster: Cluster) -> None:
        self.header = json.loads(next(iter(cluster.trace_lines(model))))
        self.model, self.view = model, VIEWS[model]
        self.clocks: dict[NodeId, int] = dict.fromkeys(cluster.members, 0)
        self.waits_for = CHANGES if self.view.has_configurations else ()
        self.looked_at = self.judged = 0
        self.is_over = False  # the model cannot say what has happened since

    @cached_property
    def format(self) -> OwnFormat:
        # `Safety` judges the states: properties of the model would make a scenario ten times as slow
        return OwnFormat(self.header, MODELS[self.model], limit=1, judges_states=False)

    def follow(self, cluster: Cluster) -> None:
        trace = cluster.trace or []
        if self.waits_for:
            new = (action.name for entry in trace[self.looked_at :] for action in entry.actions)
            self.looked_at = len(trace)
            if not any(name in self.waits_for for name in new):
                return
            self.waits_for = ()
        for entry in trace[self.judged :]:
            self.judged += 1
            self.is_over |= not self.view.ends.isdisjoint(action.name for action in entry.actions)
            if self.is_over:
                return
            actions, after = self.view.of(entry.node, entry.actions, entry.after, entry.clocks, self.clocks)
            self.clocks = dict(entry.clocks)
            step = {"node": entry.node, "event": entry.words, "actions": actions, "after": after}
            try:
                self.format.judge(json.loads(json.dumps(step)))
            except LineRefused as refused:
                guard = f"{refused.action.partition('(')[0]}, {refused.guard}" if refused.guard else "state"
                raise Broken(f"{self.model}: {guard}", refused.text) from None


class Scenario:
    """A cluster, its clients, and its judges. Nodes are n1, n2, ...; the last ones may be no members yet."""

    def __init__(
        self, nodes: int = 3, core: Core = RAFT, models: tuple[str, ...] = tuple(VIEWS), joining: int = 0
    ) -> None:
        ids = [f"n{i + 1}" for i in range(nodes + joining)]
        self.cluster = Cluster(ids, core, clocks=CLOCKS, initial=ids[:nodes])
        self.program: list[str] = []
        self.operations: dict[int, Operation] = {}
        self._floors: dict[int, int] = {}  # of each read: how much was committed anywhere when it began
        self._stale = ""
        self._waiting: dict[NodeId, set[int]] = {id: set() for id in self.cluster.members}
        self._safety = Safety(self.cluster)
        self._models = [Refinement(model, self.cluster) for model in models]
        self._steps = 0
        self.scene = scene_of(self.cluster)

    def story(self, broken: Broken | None = None) -> Story:
        """The scenario for a picture, with what went wrong at its last step."""
        self.scene.look(servers_of(self.cluster))
        if broken is None:
            return self.scene.story()
        return self.scene.story(f"This does not hold: {broken.cause}.", " ".join(broken.words.split()))

    def __str__(self) -> str:
        nodes, joining = len(self.cluster.initial), len(self.cluster.members) - len(self.cluster.initial)
        made = f"{nodes}, joining={joining}" if joining else f"{nodes}"
        return "\n".join([f"s = Scenario({made})", *self.program])

    # Time

    def timeout(self, node: NodeId) -> None:
        """So much time passes for everybody that no promise binds; the election timer rings at one."""
        self._say("timeout", node)
        self._timeout(node)

    def elapse(self, fastest: NodeId, moments: int) -> None:
        """Time passes, at one as fast as a clock may go and at the others as slowly."""
        self._say("elapse", fastest, moments)
        self._elapse(fastest, moments)

    def stand(self, node: NodeId, voter: NodeId) -> None:
        """The election timer rings now, promise or not, and another may help."""
        self._say("stand", node, voter)
        self._campaign(node, voter)

    def heartbeat(self, node: NodeId) -> None:
        self._say("heartbeat", node)
        self._at(node, lambda: self.cluster.heartbeat_timeout(node, finish=False))

    # The network

    def deliver(self, source: NodeId, to: NodeId, back: int = 0, again: bool = False) -> None:
        """The newest message on its way from the one to the other, or one some places older; a copy of it
        stays on its way if it is to come again."""
        self._say("deliver", source, to, back, again)
        self._deliver(source, to, back, again)

    def arrive(self, source: NodeId, to: NodeId) -> None:
        """The oldest message on its way from the one to the other: links keep their order."""
        self._say("arrive", source, to)
        self._deliver(source, to, back=len(self._between(source, to)))

    def trip(self, source: NodeId, to: NodeId, back: int = 0) -> None:
        """The newest message arrives, or one some places older, and what is sent back then."""
        self._say("trip", source, to, back)
        self._trip(source, to, back)

    def sync(self, leader: NodeId, follower: NodeId) -> None:
        """A heartbeat, with all that the follower is not known to have, and the answer."""
        self._say("sync", leader, follower)
        self._at(leader, lambda: self.cluster.heartbeat_timeout(leader, finish=False))
        self._trip(leader, follower)

    def campaign(self, node: NodeId, voter: NodeId) -> None:
        """Time passes, and one stands for election with the help of another."""
        self._say("campaign", node, voter)
        self.cluster.elapse(CLOCKS.promise)
        self._campaign(node, voter)

    def overtake(self, node: NodeId, voter: NodeId) -> None:
        """Time passes until the promise of one has run out, by a clock as fast as may be, the others' being
        as slow; then it stands for election with the help of another."""
        self._say("overtake", node, voter)
        if self.cluster.is_up(node):
            self._elapse(node, self._until_free(node))
            self._campaign(node, voter)

    def succeed(self, node: NodeId, voter: NodeId) -> None:
        """Time passes, one is elected with the help of another, and a new client's write is committed so."""
        self._say("succeed", node, voter)
        self.cluster.elapse(CLOCKS.promise)
        self._campaign(node, voter)
        self._begin(node, "write")
        self._trip(node, voter)
        self._trip(node, voter)

    def hand_over(self, leader: NodeId, target: NodeId, voter: NodeId) -> None:
        """A leader is to hand over, and the last that it says to the target arrives: to stand, if that has
        all. A third one may help."""
        self._say("hand_over", leader, target, voter)
        self._at(leader, lambda: self.cluster.transfer(leader, target, finish=False))
        self._deliver(leader, target)
        self._trip(target, voter)

    def lose(self, source: NodeId, to: NodeId) -> None:
        self._say("lose", source, to)
        for packet in self._between(source, to)[-1:]:
            self.scene.lose(packet.number)
            self.cluster.drop(packet)

    # Crashes

    def crash(self, node: NodeId) -> None:
        self._say("crash", node)
        if self.cluster.is_up(node):
            self._crash(node, lose=True)
            self._judge()

    def crash_in(self, node: NodeId, point: str, source: NodeId, lucky: bool = False) -> None:
        """A message arrives and the receiver crashes in the middle of what it does about it; if it is lucky,
        with a write that it did not come to sync."""
        self._say("crash_in", node, point, source, lucky)
        for packet in self._between(source, node)[-1:]:
            if self.cluster.is_up(node) and self.cluster.deliver(packet, finish=False):
                self.scene.receive(packet.number)
                self._carry_out(node, until=CRASHES[point])
                self._crash(node, lose=not lucky)
                self._judge()

    def restart(self, node: NodeId) -> None:
        self._say("restart", node)
        if not self.cluster.is_up(node):
            self.cluster.restart(node, finish=False)
            self._carry_out(node)
            self._judge()

    # Clients

    def propose(self, node: NodeId) -> None:
        """A new client writes a new value."""
        self._say("propose", node)
        self._begin(node, "write")

    def read(self, node: NodeId) -> None:
        """A new client reads."""
        self._say("read", node)
        self._begin(node, "read")

    def retry(self, node: NodeId) -> None:
        """The client of the oldest write without an answer repeats it."""
        self._say("retry", node)
        open_writes = [
            n for n, o in self.operations.items() if o.kind == "write" and o.returned > self._steps
        ]
        if open_writes:
            self._propose(node, open_writes[0])

    def transfer(self, node: NodeId, target: NodeId) -> None:
        self._say("transfer", node, target)
        self._at(node, lambda: self.cluster.transfer(node, target, finish=False))

    # Members and snapshots

    def add(self, leader: NodeId, server: NodeId) -> None:
        """A leader is to make a server a member."""
        self._say("add", leader, server)
        self._change(leader, {*self.cluster.node(leader).members, server})

    def remove(self, leader: NodeId, server: NodeId) -> None:
        self._say("remove", leader, server)
        self._change(leader, {*self.cluster.node(leader).members} - {server})

    def swap(self, leader: NodeId, old: NodeId, new: NodeId) -> None:
        """Two servers at once: through a joint configuration."""
        self._say("swap", leader, old, new)
        self._change(leader, {*self.cluster.node(leader).members} - {old} | {new})

    def compact(self, node: NodeId) -> None:
        """A snapshot of all that the server has applied."""
        self._say("compact", node)
        self._compact(node)

    def leave_behind(self, leader: NodeId, voter: NodeId, other: NodeId) -> None:
        """A leader commits a write with the help of one, and forgets it; then it sends to another."""
        self._say("leave_behind", leader, voter, other)
        self._begin(leader, "write")
        self._trip(leader, voter)
        self._trip(leader, voter)
        self._compact(leader)
        self._at(leader, lambda: self.cluster.heartbeat_timeout(leader, finish=False))
        self._trip(leader, other)

    # Within

    def _compact(self, node: NodeId) -> None:
        self._at(node, lambda: self.cluster.compact(node, finish=False))

    def _change(self, leader: NodeId, members: set[NodeId]) -> None:
        self._at(leader, lambda: self.cluster.change_members(leader, members, finish=False))

    def _say(self, verb: str, *arguments: object) -> None:
        self.scene.look(servers_of(self.cluster))
        self._steps += 1
        while arguments and (arguments[-1] is False or arguments[-1] == 0):
            arguments = arguments[:-1]
        self.program.append(f"s.{verb}({', '.join(map(repr, arguments))})")
        self.scene.steps.append(step_of(verb, arguments, self.program[-1]))

    def _timeout(self, node: NodeId) -> None:
        self.cluster.elapse(CLOCKS.promise)
        self._at(node, lambda: self.cluster.election_timeout(node, finish=False))

    def _elapse(self, fastest: NodeId, moments: int) -> None:
        rates = {id: CLOCKS.fast if id == fastest else CLOCKS.slow for id in self.cluster.members}
        self.cluster.elapse({id: rate * moments for id, rate in rates.items()})
        self._judge()

    def _until_free(self, node: NodeId) -> int:
        """The moments until a promise has run out, on a clock as fast as may be."""
        remains = self.cluster.node(node).promised_at + CLOCKS.promise - self.cluster.clock(node)
        return max(0, -(-remains // CLOCKS.fast))

    def _campaign(self, node: NodeId, voter: NodeId) -> None:
        self._at(node, lambda: self.cluster.election_timeout(node, finish=False))
        self._trip(node, voter)
        self._trip(node, voter)

    def _trip(self, source: NodeId, to: NodeId, back: int = 0) -> None:
        before = len(self._between(to, source))
        self._deliver(source, to, back)
        if len(self._between(to, source)) > before:
            self._deliver(to, source)

    def _deliver(self, source: NodeId, to: NodeId, back: int = 0, again: bool = False) -> None:
        packets = self._between(source, to)
        if packets and self.cluster.is_up(to):
            packet = packets[max(0, len(packets) - 1 - back)]
            if again:
                self.scene.copy(self.cluster.duplicate(packet).number, packet.number)
            self.scene.receive(packet.number)
            self._at(to, lambda: self.cluster.deliver(packet, finish=False))

    def _between(self, source: NodeId, to: NodeId) -> list[Packet]:
        return [p for p in self.cluster.pending if (p.source, p.to) == (source, to)]

    def _crash(self, node: NodeId, lose: bool) -> None:
        self._waiting[node].clear()
        self.cluster.crash(node, lose_unsynced=lose)

    def _begin(self, node: NodeId, kind: Any) -> None:
        if self.cluster.is_up(node):
            number = len(self.operations) + 1
            value = f"v{number}" if kind == "write" else None
            self.operations[number] = Operation(f"c{number}", kind, KEY, self._steps, value=value)
            if kind == "write":
                self._propose(node, number)
            else:
                self._floors[number] = len(self._safety.committed)
                self.scene.call(CLIENTS, node, f"c{number}: read")
                self._at(node, lambda: self.cluster.read(node, str(number), finish=False))

    def _propose(self, node: NodeId, number: int) -> None:
        operation = self.operations[number]
        request = Request(operation.client, 1, Put(KEY, operation.value))
        self._waiting[node].add(number)
        self.scene.call(CLIENTS, node, f"{operation.client}: write {operation.value}")
        self._at(node, lambda: self.cluster.propose(node, request, finish=False))

    def _at(self, node: NodeId, begin: Callable[[], object]) -> None:
        if self.cluster.is_up(node):
            try:
                begin()
            except TwoLeadersError as error:
                raise Broken("two leaders", str(error)) from None
            except ImpossibleMessageError as error:
                raise Broken("impossible message", str(error)) from None
            self._carry_out(node)
            self._judge()

    def _carry_out(self, node: NodeId, until: type | None = object) -> None:
        if until is None:
            return
        while self.cluster.is_busy(node):
            done = self.cluster.advance(node)
            if isinstance(done, Packet):
                self.scene.send(done.number, done.source, done.to, label_of(done))
            if isinstance(done, Applied):
                for request, _ in done.results:
                    self._answer(node, int(request.client[1:]))
            elif isinstance(done, ReadReady):
                number = int(str(done.id))
                self._see(node, number)
                seen = self.cluster.machine(node).values.get(KEY)
                self.operations[number] = replace(self.operations[number], returned=self._steps, result=seen)
                self.scene.call(node, CLIENTS, f"c{number} reads {seen or 'nothing'}")
            if until is not object and isinstance(done, until):
                return

    def _see(self, node: NodeId, number: int) -> None:
        applied, floor = self.cluster.node(node).commit_index, self._floors[number]
        if applied < floor:
            self._stale = f"c{number} reads at {node}, which has applied {applied} of {floor} entries"

    def _answer(self, node: NodeId, number: int) -> None:
        if number in self._waiting[node] and self.operations[number].returned > self._steps:
            self._waiting[node].discard(number)
            self.scene.call(node, CLIENTS, f"c{number}: written")
            self.operations[number] = replace(self.operations[number], returned=self._steps)

    def _judge(self) -> None:
        for model in self._models:
            model.follow(self.cluster)
        try:
            for id in self.cluster.members:
                self._safety.check(id)
        except UnsafeError as unsafe:
            cause, _, words = str(unsafe).partition(": ")
            raise Broken(cause, words) from None
        self._judge_reads()

    def _judge_reads(self) -> None:
        """Linearizable, as far as clients can tell; and each read sees what was committed when it began."""
        operations = self.operations.values()
        has_read = any(o.kind == "read" and o.returned == self._steps for o in operations)
        open_writes = sum(o.kind == "write" and o.returned > self._steps for o in operations)
        if has_read and open_writes <= OPEN_WRITES:
            judged = histories.judge(operations)
            if judged.verdict is VIOLATED:
                raise Broken("linearizability", "; ".join(map(str, judged.failing)))
        if self._stale:
            raise Broken("stale read", self._stale)
