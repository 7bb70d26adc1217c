"""Walks: long scenarios drawn at random, for the bugs of logs that short ones do not reach.

Hypothesis draws short programs and shrinks what fails; what it rarely draws is a leader that is cut off,
others that go on for a while, and messages of then that arrive now. A walk has

- links that keep their order, freeze, break and go on: what was sent in one term arrives in another,
- bursts: proposals in a row, a follower that catches up, an election that is carried through,
- weights of its own: a storm of one kind hides the faults of another.

It is a plain program of `Scenario`, so `shortest` shrinks it, and it is judged as any other.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from oneleader.conformance.reference.drawn import MOMENTS
from oneleader.conformance.reference.scenario import CRASHES, Broken, Scenario
from oneleader_raft.core import RAFT, Core
from oneleader_raft.raft import NodeId, Role

STEPS = 120
Link = tuple[NodeId, NodeId]
WEIGHTS = {
    "arrive": 14,
    "exchange": 5,
    "late": 2,
    "again": 3,
    "elect": 7,
    "echo": 2,
    "timeout": 1,
    "stand": 1,
    "overtake": 2,
    "propose": 4,
    "commit": 4,
    "read": 5,
    "heartbeat": 3,
    "freeze": 4,
    "isolate": 2,
    "late_answers": 3,
    "resume": 3,
    "break_link": 1,
    "crash": 1,
    "crash_inside": 3,
    "restart": 6,
    "elapse": 1,
    "transfer": 1,
    "hand_over": 2,
    "outrun": 1,
    "retry": 1,
}
CHANGING = {"change": 8, "settle": 8, "compact": 6}  # where members change
RARE = 0.2  # of the weights of a walk: not at all
MOST_AT_ONCE = 3  # proposals, messages, rounds


class Walk:
    """One walk: `broken` is what it came to, if anything."""

    def __init__(
        self, seed: int, core: Core = RAFT, nodes: int = 3, steps: int = STEPS, joining: int = 0
    ) -> None:
        self._random = random = Random(f"{seed} {nodes}")
        self.scenario = Scenario(nodes, core, joining=joining)
        self.frozen: set[Link] = set()
        every = WEIGHTS | CHANGING if joining else WEIGHTS
        moods = (0.0 if random.random() < RARE else random.choice((0.5, 1, 1, 3)) for _ in every)
        weights = {verb: w * mood for (verb, w), mood in zip(every.items(), moods, strict=True)}
        weights["arrive"] = weights["arrive"] or WEIGHTS["arrive"]
        self._verbs: list[Callable[[], None]] = [getattr(self, verb) for verb in weights]
        self._weights = [*weights.values()]
        self.broken = self._go(steps)

    def _go(self, steps: int) -> Broken | None:
        try:
            for verb in self._random.choices(self._verbs, self._weights, k=steps):
                verb()
        except Broken as broken:
            return broken
        return None

    # Whom and what

    def anybody(self) -> NodeId:
        up = [id for id in self.scenario.cluster.members if self.scenario.cluster.is_up(id)]
        return self._random.choice(up or self.scenario.cluster.members)

    def another(self, than: NodeId, *beside: NodeId) -> NodeId:
        """Whom it reaches, if anybody; none of those beside it."""
        cluster = self.scenario.cluster
        others = [id for id in cluster.members if id not in (than, *beside)]
        reached = [id for id in others if cluster.is_up(id) and not self.is_frozen(id, than)]
        return self._random.choice(reached or others or [than])

    def is_frozen(self, one: NodeId, other: NodeId) -> bool:
        return not self.frozen.isdisjoint({(one, other), (other, one)})

    def leader(self) -> NodeId:
        """Who takes itself for the leader, mostly; there may be several."""
        cluster = self.scenario.cluster
        leaders = [n for n in cluster.members if cluster.is_up(n) and cluster.node(n).role is Role.LEADER]
        return self._random.choice(leaders) if leaders else self.anybody()

    def few(self) -> int:
        return self._random.randint(1, MOST_AT_ONCE)

    def busy_links(self) -> list[Link]:
        """Those with something on its way that are not frozen."""
        pending = {(packet.source, packet.to) for packet in self.scenario.cluster.pending}
        return sorted(pending - self.frozen)

    # Messages

    def arrive(self) -> None:
        """Some messages of one link, in order."""
        links = self.busy_links()
        if links:
            link = self._random.choice(links)
            for _ in range(self.few()):
                self.scenario.arrive(*link)

    def exchange(self) -> None:
        """A follower catches up: rounds of heartbeats, and all that is on the way between the two."""
        leader = self.leader()
        follower = self.another(leader)
        for _ in range(self.few()):
            if not self.is_frozen(leader, follower):
                self.scenario.sync(leader, follower)

    def late(self) -> None:
        """Out of order."""
        links = self.busy_links()
        if links:
            self.scenario.deliver(*self._random.choice(links), back=self._random.randint(0, 2))

    def again(self) -> None:
        """A copy stays on its way."""
        links = self.busy_links()
        if links:
            self.scenario.deliver(*self._random.choice(links), back=self._random.randint(0, 1), again=True)

    def freeze(self) -> None:
        """One way, mostly on what comes to a leader: answers are late."""
        one = self._random.choice((self.leader(), self.anybody()))
        self.frozen.add((self.another(one), one))

    def isolate(self) -> None:
        one = self.leader()
        for other in self.scenario.cluster.members:
            self.frozen |= {(one, other), (other, one)}

    def late_answers(self) -> None:
        """A leader asks, the answers stay on their way, and others elect a leader and commit: then they come.
        Clients read at the old leader before and after."""
        old, steps = self.leader(), self.scenario
        voter = self.another(old)
        new = self._random.choice([id for id in steps.cluster.members if id not in (old, voter)] or [voter])
        steps.sync(old, new)
        steps.elapse(old, MOMENTS[-1])  # nothing binds any more, and no lease is left
        self._sometimes(lambda: steps.read(old), lambda: steps.heartbeat(old))
        self._flush(old, voter)
        self._sometimes(lambda: steps.succeed(new, voter), lambda: steps.campaign(new, voter))
        self._sometimes(lambda: steps.read(old), lambda: steps.propose(old))
        self._flush(voter, old)

    def _flush(self, source: NodeId, to: NodeId) -> None:
        """All that is on its way now, in order."""
        on_its_way = [p for p in self.scenario.cluster.pending if (p.source, p.to) == (source, to)]
        for _ in on_its_way[: 4 * MOST_AT_ONCE]:
            self.scenario.arrive(source, to)

    def _sometimes(self, often: Callable[[], None], else_this: Callable[[], None]) -> None:
        (often if self._random.random() < 0.7 else else_this)()

    def resume(self) -> None:
        if self.frozen and self._random.random() < 0.5:
            self.frozen.discard(self._random.choice(sorted(self.frozen)))
        else:
            self.frozen.clear()

    def break_link(self) -> None:
        """All that is on its way is lost."""
        one = self.anybody()
        other = self.another(one)
        for packet in self.scenario.cluster.pending:
            if (packet.source, packet.to) == (one, other):
                self.scenario.lose(one, other)

    # Elections and time

    def elect(self) -> None:
        """An election with the help of the servers that are reached."""
        one = self.anybody()
        other = self.another(one)
        self.scenario.timeout(one)
        if not self.is_frozen(one, other):
            for _ in range(self._random.choice((2, 2, 3))):
                self.scenario.trip(one, other)

    def echo(self) -> None:
        """An election in which what one voter answers arrives twice."""
        one = self.anybody()
        voters = [id for id in (self.another(one), self.another(one)) if not self.is_frozen(one, id)]
        self.scenario.timeout(one)
        for voter in voters:
            self.scenario.trip(one, voter)
        for voter in voters[:1]:
            self.scenario.deliver(one, voter)
            self.scenario.deliver(voter, one, again=True)
            self.scenario.deliver(voter, one)

    def timeout(self) -> None:
        self.scenario.timeout(self.anybody())

    def stand(self) -> None:
        one = self.anybody()
        self.scenario.stand(one, self.another(one))

    def overtake(self) -> None:
        one = self.anybody()
        self.scenario.overtake(one, self.another(one))

    def outrun(self) -> None:
        """Its voter, on a fast clock, stands as soon as its promise to a leader on a slow one has run out."""
        leader = self.leader()
        promised = self.another(leader)
        if not self.is_frozen(leader, promised):
            self.scenario.elapse(leader, MOMENTS[-1])  # what it holds is of this round alone
            self.scenario.sync(leader, promised)
            self.scenario.overtake(promised, self.another(promised, leader))

    def elapse(self) -> None:
        self.scenario.elapse(self.anybody(), self._random.choice(MOMENTS))

    # Clients and operators

    def propose(self) -> None:
        leader = self.leader()
        for _ in range(self.few()):
            self.scenario.propose(leader)

    def commit(self) -> None:
        """A write that a majority stores, where the leader reaches one."""
        leader = self.leader()
        self.scenario.propose(leader)
        majority = len(self.scenario.cluster.members) // 2
        for _ in range(2):
            for follower in sorted({self.another(leader) for _ in range(majority)}):
                if not self.is_frozen(leader, follower):
                    self.scenario.sync(leader, follower)

    def read(self) -> None:
        leader = self.leader()
        for _ in range(self._random.choice((1, 1, 2))):
            self.scenario.read(leader)

    def heartbeat(self) -> None:
        self.scenario.heartbeat(self.leader())

    def retry(self) -> None:
        self.scenario.retry(self.leader())

    def transfer(self) -> None:
        leader = self.leader()
        self.scenario.transfer(leader, self.another(leader))

    def hand_over(self) -> None:
        """A leader that has just been heard hands over, and its successor is elected at once, or late."""
        leader = self.leader()
        target = self.another(leader)
        if not self.is_frozen(leader, target):
            self.scenario.sync(leader, target)
            third = self.another(target, leader)
            self._random.choice((self.scenario.hand_over, self._hand_over_late))(leader, target, third)

    def _hand_over_late(self, leader: NodeId, target: NodeId, third: NodeId) -> None:
        """The leader's own timer rings before the target reads that it is to stand."""
        steps = self.scenario
        steps.sync(leader, third)
        steps.transfer(leader, target)
        steps.stand(leader, third)
        steps.deliver(leader, target)
        for voter in steps.cluster.members:
            if voter not in (leader, target):
                steps.trip(target, voter)

    # Members and snapshots

    def change(self) -> None:
        """One server more or less, or one in the place of another; and then some rounds."""
        leader, server = self.leader(), self._random.choice(self.scenario.cluster.members)
        members = self.scenario.cluster.node(leader).members
        if self._random.random() < 0.3:
            self.scenario.swap(leader, self._random.choice(members), server)
        else:
            (self.scenario.remove if server in members else self.scenario.add)(leader, server)
        self._sometimes(self.settle, self.exchange)

    def settle(self) -> None:
        """Everybody who is reached has the leader's log."""
        leader = self.leader()
        for follower in self.scenario.cluster.members:
            if follower != leader and not self.is_frozen(leader, follower):
                self.scenario.sync(leader, follower)

    def compact(self) -> None:
        self.scenario.compact(self.anybody())

    # Crashes

    def crash(self) -> None:
        self.scenario.crash(self.anybody())

    def crash_inside(self) -> None:
        links = self.busy_links()
        if links:
            source, to = self._random.choice(links)
            point = self._random.choice([*CRASHES])
            self.scenario.crash_in(to, point, source, self._random.random() < 0.5)

    def restart(self) -> None:
        """All that are down, or one."""
        down = [n for n in self.scenario.cluster.members if not self.scenario.cluster.is_up(n)]
        for id in down if self._random.random() < 0.5 else down[:1]:
            self.scenario.restart(id)


NODES = (3, 4, 5, 3)  # servers, in turn
JOINING = (1, 2, 1, 2)  # others, in walks in which members change


def walks_until_broken(
    core: Core, first: int, limit: int, *, changing: bool = False
) -> tuple[int, Broken | None]:
    """How many walks were drawn, by seeds from `first` on, and what the last one came to."""
    for number in range(1, limit + 1):
        seed = first + number - 1
        joining = JOINING[seed % len(NODES)] if changing else 0
        walk = Walk(seed, core, NODES[seed % len(NODES)], joining=joining)
        if walk.broken:
            return number, walk.broken
    return limit, None
