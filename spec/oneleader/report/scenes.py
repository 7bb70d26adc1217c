"""From a scenario of the reference to a story. A `Scene` is kept while the scenario runs, so it keeps little:
which servers there were after each step, and when each message left and arrived. The rest waits for `story`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from oneleader.report.story import Arrow, Lane, Row, Spot, Story
from oneleader_raft.cluster import Cluster, Packet
from oneleader_raft.raft import Node, NodeId, Role

CLIENTS = "clients"

VERBS = {
    "timeout": "{0} hears nothing for an election timeout",
    "elapse": "time passes: {1} moments, fastest at {0}",
    "stand": "{0} stands at once; {1} may help",
    "heartbeat": "{0} sends heartbeats",
    "deliver": "{1} receives what {0} sent",
    "trip": "{1} receives what {0} sent, and {0} the answer",
    "sync": "{0} sends heartbeats; {1} answers",
    "campaign": "{0} stands for election; {1} may help",
    "overtake": "the promise of {0} runs out just now; it stands, {1} may help",
    "succeed": "{0} stands, and writes with the help of {1}",
    "hand_over": "{0} hands over to {1}; {2} may help",
    "lose": "a message from {0} to {1} is lost",
    "crash": "{0} crashes",
    "crash_in": "{0} crashes while it handles a message of {2}: {1}",
    "restart": "{0} is back",
    "propose": "a new client writes, at {0}",
    "read": "a new client reads, at {0}",
    "retry": "a client repeats its write, at {0}",
    "transfer": "{0} is to hand over to {1}",
}
MARKS = {"crash": "crash", "crash_in": "crash", "restart": "back", "elapse": "time", "timeout": "time"}
AT_THE_OTHER = {"deliver", "trip"}  # what happens, happens at the receiver


@dataclass(frozen=True)
class Step:
    verb: str
    arguments: tuple[object, ...]
    line: str


@dataclass(frozen=True)
class Seen:
    """A server after a step."""

    node: Node
    is_up: bool
    has_lease: bool


@dataclass
class Flight:
    """A message: when it left, when it arrived, if it did, and whether it was lost."""

    source: str
    to: str
    label: str
    sent: int
    received: int | None = None
    is_lost: bool = False


@dataclass
class Scene:
    """What has been seen so far. Step 0 is the cluster as it starts."""

    members: tuple[NodeId, ...]
    steps: list[Step] = field(default_factory=list)
    seen: list[Mapping[NodeId, Seen]] = field(default_factory=list)
    flights: dict[int, Flight] = field(default_factory=dict)  # by the number of the packet
    calls: list[Flight] = field(default_factory=list)  # of clients, and their answers

    def look(self, cluster: Cluster) -> None:
        """Note how all servers are after the last step."""
        nodes = cluster.nodes.items()
        now = {id: Seen(node, cluster.is_up(id), cluster.is_leader(id)) for id, node in nodes}
        self.seen[len(self.steps) :] = [now]

    def begin(self, verb: str, arguments: tuple[object, ...], line: str) -> None:
        self.steps.append(Step(verb, arguments, line))

    def send(self, packet: Packet) -> None:
        label = f"{type(packet.message).__name__} of term {packet.message.term}"
        self.flights[packet.number] = Flight(packet.source, packet.to, label, len(self.steps))

    def copy(self, packet: Packet, of: Packet) -> None:
        """A copy left with the message itself."""
        self.flights[packet.number] = Flight(**vars(self.flights[of.number]))

    def receive(self, packet: Packet) -> None:
        self.flights[packet.number].received = len(self.steps)

    def lose(self, packet: Packet) -> None:
        self.flights[packet.number].is_lost = True

    def call(self, source: str, to: str, label: str) -> None:
        """What a client says or hears; nothing of that is lost."""
        self.calls.append(Flight(source, to, label, len(self.steps), len(self.steps)))

    # -- the story -----------------------------------------------------------------------------------
    def story(self, wrong: str = "", because: str = "") -> Story:
        """The scenario, with what went wrong at its last step."""
        rows = [Row(0, "", "the cluster starts", _spots(self.seen[0]))]
        clients = bool(self.calls)
        for number, step in enumerate(self.steps, 1):
            after = self.seen[min(number, len(self.seen) - 1)]
            rows.append(self._row(number, step, self.seen[number - 1], after))
        lanes = [*([Lane(CLIENTS, "client")] if clients else []), *(Lane(id) for id in self.members)]
        arrows = [Arrow(f.source, f.to, f.label, f.sent, f.received, f.is_lost) for f in self._messages()]
        arrows.sort(key=lambda a: (a.sent, a.received is None, a.received or 0))
        last = rows[-1]
        at_fault = frozenset({last.lane} & {lane.name for lane in lanes})
        return Story(
            f"a scenario of the reference, {len(self.members)} servers",
            tuple(lanes),
            tuple(rows),
            tuple(arrows),
            wrong=wrong,
            wrong_row=last.number if wrong else None,
            wrong_lanes=at_fault if wrong else frozenset(),
            because=because,
        )

    def _messages(self) -> Iterable[Flight]:
        return [*self.calls, *self.flights.values()]

    def _row(
        self, number: int, step: Step, before: Mapping[NodeId, Seen], after: Mapping[NodeId, Seen]
    ) -> Row:
        words = VERBS.get(step.verb, step.verb).format(*step.arguments, *["somebody"] * 3)
        at = step.arguments[1 if step.verb in AT_THE_OTHER else 0] if step.arguments else ""
        is_elsewhere = step.verb in ("lose", "elapse")
        lane = "" if is_elsewhere or at not in self.members else str(at)
        changes = [line for id in self.members for line in _changes(before[id], after[id])]
        mark = (
            MARKS.get(step.verb, "")
            if step.verb == "elapse" or _shows(step.verb, before, after, lane)
            else ""
        )
        return Row(number, lane, words, _spots(after), step.line, tuple(changes), mark)


def _shows(verb: str, before: Mapping[NodeId, Seen], after: Mapping[NodeId, Seen], lane: str) -> bool:
    """A crash of a server that was down already is none."""
    if verb not in ("crash", "crash_in", "restart"):
        return False
    return lane in before and before[lane].is_up != after[lane].is_up


def _spots(seen: Mapping[NodeId, Seen]) -> dict[str, Spot]:
    return {CLIENTS: Spot()} | {id: _spot(one) for id, one in seen.items()}


def _spot(seen: Seen) -> Spot:
    node = seen.node
    role = "pre-candidate" if node.role is Role.FOLLOWER and node.id in node.pre_votes else node.role.value
    vote = "itself" if node.voted_for == node.id else node.voted_for
    words = [f"voted for {vote}"] if vote else []
    words += [f"log {' '.join(str(e.term) for e in node.log)}"] if node.log else []
    words += [f"committed {node.commit_index}"] if node.commit_index else []
    life = "up" if seen.is_up else "down"
    return Spot(role, node.current_term, seen.has_lease and seen.is_up, tuple(words), life)


def _changes(before: Seen, after: Seen) -> Iterable[str]:
    """A line for each thing that is new of a server: `current_term[n1]: 0 -> 1`."""
    for name, old, new in zip(NAMES, _facts(before), _facts(after), strict=True):
        if old != new:
            yield f"{name}[{after.node.id}]: {old} -> {new}"


NAMES = ("up", "current_term", "role", "voted_for", "log", "commit_index")


def _facts(seen: Seen) -> tuple[str, ...]:
    node = seen.node
    log = " ".join(f"{e.term}:{e.command}" for e in node.log) or "empty"
    known = (
        seen.is_up,
        node.current_term,
        node.role.value,
        node.voted_for or "nobody",
        log,
        node.commit_index,
    )
    return tuple(str(fact).lower() if isinstance(fact, bool) else str(fact) for fact in known)
