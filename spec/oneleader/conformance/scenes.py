"""From a cluster that runs to a story: scenarios of the reference, and the conformance test of any Raft.

A `Scene` is kept while the cluster runs, thousands of times for each picture that is drawn, so it keeps
little: what was seen of the servers after each step, and when each message left and arrived. The rest waits
for `story`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from oneleader.story import Arrow, Lane, Spot, Story, StoryRow
from oneleader_raft.raft import Node, Role
from oneleader_raft.testbench.cluster import Cluster
from oneleader_raft.testbench.servers import Packet

if TYPE_CHECKING:
    from oneleader.conformance.adapter import Observed

CLIENTS = "clients"


@dataclass(frozen=True)
class SceneStep:
    """What happens, at whom ("" for everybody or nobody), and the line of the program that does it."""

    words: str
    lane: str
    call: str = ""
    mark: str = ""


@dataclass
class Flight:
    """A message: when it left, when it arrived, if it did, and whether it was lost."""

    source: str
    to: str
    label: str
    sent: int
    received: int | None = None
    is_lost: bool = False
    order: int = 0  # among those that arrive in one step


@dataclass
class Scene:
    """What has been seen so far. Step 0 is the cluster as it starts.

    `told` says of a server, as it was seen, what a picture shows, and `facts` what of it can change.
    """

    title: str
    members: Sequence[str]
    told: Callable[[Any], Spot]
    facts: Callable[[Any], Mapping[str, object]]
    steps: list[SceneStep] = field(default_factory=list)
    seen: list[Mapping[str, Any]] = field(default_factory=list)
    flights: dict[Hashable, Flight] = field(default_factory=dict)
    others: list[Flight] = field(default_factory=list)  # what clients say and hear; copies
    arrived: int = 0

    def look(self, servers: Mapping[str, Any]) -> None:
        """How all servers are after the last step."""
        self.seen[len(self.steps) :] = [servers]

    def send(self, key: Hashable, source: str, to: str, label: str) -> None:
        self.flights[key] = Flight(source, to, label, len(self.steps))

    def copy(self, key: Hashable, of: Hashable) -> None:
        """A copy that left with the message itself."""
        self.flights[key] = replace(self.flights[of])

    def receive(self, key: Hashable) -> None:
        self.arrived += 1
        flight = self.flights[key]
        if flight.received is not None:  # it comes again
            self.others.append(replace(flight))
        flight.received, flight.order = len(self.steps), self.arrived

    def lose(self, key: Hashable) -> None:
        """Lost; a copy of what has arrived is not missed."""
        self.flights[key].is_lost = self.flights[key].received is None

    def call(self, source: str, to: str, label: str) -> None:
        """What a client says or hears; nothing of that is lost."""
        self.arrived += 1
        now = len(self.steps)
        self.others.append(Flight(source, to, label, now, now, order=self.arrived))

    # -- the story -----------------------------------------------------------------------------------
    def story(self, wrong: str = "", because: str = "") -> Story:
        """All of it, with what went wrong at the last step; at fault are those whom the words name, else the
        one to whom that happened."""
        flights = sorted([*self.others, *self.flights.values()], key=lambda f: (f.sent, f.order))
        lanes = [Lane(CLIENTS, "client")] if any(CLIENTS in (f.source, f.to) for f in flights) else []
        lanes += [Lane(id) for id in self.members]
        spots = [self._spots(servers) for servers in self.seen]
        rows = [StoryRow(0, "", "the cluster starts", spots[0])]
        for number, step in enumerate(self.steps, 1):
            last = min(number, len(spots) - 1)
            rows.append(self._row(number, step, spots[min(number - 1, last)], spots[last]))
        named = re.findall(r"[\w-]+", f"{wrong} {because}")
        at_fault = set(self.members).intersection(named) or {rows[-1].lane} - {""}
        return Story(
            self.title,
            tuple(lanes),
            tuple(rows),
            tuple(Arrow(f.source, f.to, f.label, f.sent, f.received, f.is_lost) for f in flights),
            wrong=wrong,
            because=because,
            wrong_row=rows[-1].number if wrong else None,
            wrong_lanes=frozenset(at_fault) if wrong else frozenset(),
        )

    def _spots(self, servers: Mapping[str, Any]) -> dict[str, Spot]:
        return {CLIENTS: Spot()} | {id: self.told(one) for id, one in servers.items()}

    def _row(
        self, number: int, step: SceneStep, before: Mapping[str, Spot], after: Mapping[str, Spot]
    ) -> StoryRow:
        mark, lane = step.mark, step.lane
        if lane and before[lane].life != after[lane].life:
            mark = "crash" if after[lane].life == "down" else "back"
        then, now = (self.seen[min(n, len(self.seen) - 1)] for n in (number - 1, number))
        changes = tuple(line for id in self.members for line in self._changes(id, then[id], now[id]))
        return StoryRow(number, lane, step.words, after, step.call, changes, mark)

    def _changes(self, id: str, before: Any, after: Any) -> Iterable[str]:
        """A line for each thing that is new of a server: `current_term[n1]: 0 -> 1`."""
        old, new = self.facts(before), self.facts(after)
        return (f"{name}[{id}]: {old[name]} -> {new[name]}" for name in new if old[name] != new[name])


# -- The reference -----------------------------------------------------------------------------------------
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
    "crash_in": "{0} crashes {1}, handling a message of {2}",
    "restart": "{0} is back",
    "propose": "a new client writes, at {0}",
    "read": "a new client reads, at {0}",
    "retry": "a client repeats its write, at {0}",
    "transfer": "{0} is to hand over to {1}",
    "add": "{0} is to make {1} a member",
    "remove": "{0} is to remove {1}",
    "swap": "{0} is to put {2} in the place of {1}",
    "compact": "{0} makes a snapshot",
    "leave_behind": "{0} commits a write with {1}, makes a snapshot, and sends to {2}",
}
AT_THE_OTHER = ("deliver", "trip")  # they happen at the receiver
AT_NOBODY = ("lose", "elapse")


@dataclass(frozen=True)
class SceneServer:
    """A server of the reference, as it was."""

    node: Node
    is_up: bool
    has_lease: bool


def scene_of(cluster: Cluster) -> Scene:
    title = f"a scenario of the reference, {len(cluster.members)} servers"
    return Scene(title, cluster.members, _spot, _facts)


def servers_of(cluster: Cluster) -> dict[str, SceneServer]:
    return {
        id: SceneServer(node, cluster.is_up(id), cluster.is_leader(id)) for id, node in cluster.nodes.items()
    }


def step_of(verb: str, arguments: Sequence[object], call: str) -> SceneStep:
    """A step of a scenario in words."""
    words = VERBS.get(verb, verb).format(*arguments, *["somebody"] * 3)
    lane = "" if verb in AT_NOBODY else str(arguments[1 if verb in AT_THE_OTHER else 0])
    return SceneStep(words, lane, call, "time" if verb == "elapse" else "")


def label_of(packet: Packet) -> str:
    return f"{type(packet.message).__name__} of term {packet.message.term}"


def _spot(server: SceneServer) -> Spot:
    node = server.node
    role = "pre-candidate" if node.role is Role.FOLLOWER and node.id in node.pre_votes else node.role.value
    words = _voted(node.id, node.voted_for)
    words += [f"log {' '.join(str(e.term) for e in node.log)}"] if node.log else []
    words += [f"committed {node.commit_index}"] if node.commit_index else []
    life = "up" if server.is_up else "down"
    return Spot(role, node.current_term, server.has_lease and server.is_up, tuple(words), life)


def _voted(id: str, vote: str | None) -> list[str]:
    return [f"voted for {'itself' if vote == id else vote}"] if vote else []


def _facts(server: SceneServer) -> Mapping[str, object]:
    node = server.node
    return {
        "is_up": server.is_up,
        "current_term": node.current_term,
        "role": node.role.value,
        "voted_for": node.voted_for or "nobody",
        "log": " ".join(f"{e.term}:{e.command}" for e in node.log) or "empty",
        "commit_index": node.commit_index,
    }


# -- Any Raft, as its adapter shows it ---------------------------------------------------------------------
def scene_of_adapter(nodes: Sequence[str]) -> Scene:
    return Scene(f"a conformance test, {len(nodes)} servers", nodes, _observed_spot, _observed_facts)


def short(words: str) -> str:
    """Without what stands in brackets: `n2 receives RequestVote from n1`."""
    head, bracket, rest = words.partition("(")
    return head + rest.rpartition(")")[2] if bracket else words


def servers_seen(seen: Mapping[str, Observed | None]) -> dict[str, tuple[str, Observed | None]]:
    """Of a server that is down nothing may be seen."""
    return {node: (node, observed) for node, observed in seen.items()}


def _observed_spot(seen: tuple[str, Observed | None]) -> Spot:
    node, observed = seen
    if observed is None:
        return Spot(life="down")
    words = tuple(_voted(node, observed.voted_for))
    life = "up" if observed.role else "down"
    return Spot(observed.role or "", observed.term, words=words, life=life)


def _observed_facts(seen: tuple[str, Observed | None]) -> Mapping[str, object]:
    _, observed = seen
    if observed is None:
        return {"term": "unseen", "voted_for": "unseen", "role": "down"}
    vote, role = observed.voted_for or "nobody", observed.role or "down"
    return {"term": observed.term, "voted_for": vote, "role": role}
