"""seen: what the lines so far have shown of each node, and what may be hidden.

Hidden steps. Of what a node has never shown nobody knows, so it may be whatever the model allows: a server
that does not write its votes may have voted, and one that writes nothing at all may have stood. A line that
is refused without such steps is tried with those of some of these nodes (`helpers`), and each least set of
nodes that explains it gives a state of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import combinations
from typing import Protocol

from oneleader.models.election import LEADER
from oneleader.readers.replay.candidates import Candidate, LineRefused, TooMany
from oneleader.readers.replay.formats.shown import UNSEEN, NodeShown

MOST_TRIES = 256  # sets of helpers
HIDDEN_STEPS_CHANGE = frozenset({"term", "voted_for", "role", "log_length", "commit_index"})
Explain = Callable[[frozenset[str]], Candidate]


class SetsOfNodes(Protocol):
    """The quorums of a recording."""

    def within(self, nodes: frozenset[str], configuration: int) -> frozenset[str]:
        """A quorum of these nodes; one with others, or no quorum, if they are none: the model says so."""


class SeenMessages:
    """What `lease` asks of the lines so far beside the model's state: their time, and who sent what."""

    def __init__(self) -> None:
        self.now, self.by = 0, ""  # the time of the last line, and its node
        self.sent_by: dict[str, tuple[str, int]] = {}  # a leader's message -> the leader and its term
        self.rounds: dict[tuple[str, int], dict[str, None]] = {}  # the same the other way, oldest first
        self.holds: dict[str, bool] = {}  # whether a leader has shown last that it has a lease

    def note(self, line: NodeShown) -> None:
        if line.time is not None:
            self.now, self.by = line.time, line.node
        if line.lease is not None:
            self.holds[line.node] = line.lease
        elif line.get("role") not in (UNSEEN, LEADER):
            self.holds.pop(line.node, None)

    def send(self, leader: str, term: int, message: str) -> None:
        self.sent_by[message] = leader, term
        self.rounds.setdefault((leader, term), {})[message] = None

    def forget(self, leader: str, term: int, message: str) -> None:
        """A round that is too old to matter."""
        self.rounds.get((leader, term), {}).pop(message, None)
        if self.sent_by.get(message) == (leader, term):
            del self.sent_by[message]


class SeenNodes:
    """What the lines so far have shown of each node."""

    def __init__(
        self,
        nodes: tuple[str, ...],
        quorums: SetsOfNodes,
        parameters: Mapping[str, int],
        fields: Collection[str],
    ) -> None:
        """`fields` are those that the model has."""
        self.nodes, self.quorums, self.parameters = nodes, quorums, parameters
        self.of: dict[str, set[str]] = {n: set() for n in nodes}
        self.wanted = HIDDEN_STEPS_CHANGE.intersection(fields)
        self.hiding = dict.fromkeys(nodes)  # the nodes that have not shown all of that
        self.messages = SeenMessages()

    def hides(self, node: str, name: str) -> bool:
        """It has never shown this."""
        return name not in self.of[node]

    def note(self, line: NodeShown) -> None:
        self.of[line.node] |= line.what
        if line.node in self.hiding and self.wanted <= self.of[line.node]:
            del self.hiding[line.node]
        self.messages.note(line)

    def helpers(self, node: str) -> list[str]:
        """The other nodes that hide something."""
        return [n for n in self.hiding if n != node]


def explanations(seen: SeenNodes, node: str, explain: Explain, *, may_hide: bool) -> Iterator[Candidate]:
    """The state without hidden steps, or those with the steps of each least set of helpers."""
    try:
        yield explain(frozenset())
        return
    except LineRefused as refused:
        why = refused
    found: list[frozenset[str]] = []
    hiding = seen.helpers(node) if may_hide else []
    sets = (frozenset(c) for size in range(1, len(hiding) + 1) for c in combinations(hiding, size))
    for tried, helpers in enumerate(sets):
        if tried >= MOST_TRIES:
            raise TooMany
        if any(least <= helpers for least in found):
            continue
        try:
            after = explain(helpers)
        except LineRefused:
            continue
        found.append(helpers)
        yield after
    if not found:
        raise why
