"""twin: TLC on the hand-written TLA+ reaches the same states by the same steps as `explore`.

Labelled edges are compared as sets, since TLC shows the name of an action and not its arguments. Quorums are
compared as well: TLC prints those that it uses and, where the module defines majorities, what these are
among 1 to 5 servers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from oneleader.errors import Disagreement
from oneleader.language.configuration import Configuration, majorities
from oneleader.language.model import Model
from oneleader.readers.beyond import untried
from oneleader.readers.explore.graph import Graph
from oneleader.readers.run import Run, State
from oneleader.readers.tlc import tlc
from oneleader.readers.tlc.bounds import bounds_of, unseen
from oneleader.readers.tlc.config import (
    ENOUGH,
    MAJORITIES,
    QUORUMS,
    SMALLEST,
    around_text,
    checked_by,
    config_text,
    module_of,
    quorums_of,
)
from oneleader.readers.tlc.coverage import ModelCoverage
from oneleader.readers.tlc.graph import TlcGraph
from oneleader.readers.tlc.printed import Result
from oneleader.readers.tlc.states import StateReader
from oneleader.verdict import HOLDS, VIOLATED, Verdict

MOST_STATES = 200_000  # TLC writes, and this reader parses, every one of them as text
MANY_STEPS = 150_000  # from so many on TLC is told that it will run for long
Edge = tuple[State, str, State]
Numbered = tuple[int, str, int]  # an edge, its states by their numbers


@dataclass(frozen=True)
class Ours:
    """What `explore` says of a configuration: the graph, each state with its number, and labelled edges."""

    run: Run
    graph: Graph
    states: dict[State, int]
    edges: set[Numbered]
    depth: int | None = None  # all runs of up to so many steps; None: all

    @staticmethod
    def of(model: Model, at: Configuration, *, depth: int | None = None, written: Path | None = None) -> Ours:
        """Explored now, or as `Graph.write` wrote it before."""
        run = Run(model, at)
        graph = Graph.read(written, run) if written else Graph.of(run, most=MOST_STATES, depth=depth)
        return Ours(run, graph, *edges_of(graph), depth)


@dataclass(frozen=True)
class Compared:
    """The two graphs side by side; `difference` is "" where they are equal, else the first one in words.

    `edge` is the transition that only one of them has, where the difference is of that kind.
    """

    ours: Ours
    seconds: float
    tlc_seconds: float
    difference: str = ""
    edge: Edge | None = None

    @property
    def run(self) -> Run:
        return self.ours.run

    @property
    def states(self) -> int:
        return len(self.ours.states)

    @property
    def edges(self) -> int:
        return len(self.ours.edges)

    @property
    def untried(self) -> list[str]:
        """Where a number above the bound, which neither graph has, may matter to a step."""
        return untried(self.run.model, self.run.configuration, ())

    @property
    def verdict(self) -> Verdict:
        return VIOLATED if self.difference else HOLDS

    @property
    def coverage(self) -> ModelCoverage:
        """What these bounds alone exercise."""
        return ModelCoverage.of(self.run.model, [self.ours.graph])

    @property
    def strength(self) -> str:
        depth = self.ours.depth
        within = "" if depth is None else f", runs of up to {depth} steps"
        return f"equal graphs, {self.run.configuration.describe()}{within}"


def edges_of(graph: Graph) -> tuple[dict[State, int], set[Numbered]]:
    """Every state with its number in the graph, and every labelled edge."""
    titles = [instance.action.title for instance in graph.run.instances]
    edges = {(before, titles[position], after) for before, position, after in graph.steps.tolist()}
    return {state: number for number, state in enumerate(graph.plain())}, edges


def compare(
    model: Model,
    configuration: Configuration,
    *,
    workers: int = 2,
    depth: int | None = None,
    graph: Path | None = None,
    folder: Path | None = None,
    ours: Ours | None = None,
    limit: float | None = None,
) -> Compared:
    """Run both on one configuration and compare the graphs exactly. MissingTool without Java or jar.

    `depth`: only runs of so many steps, with one worker of TLC. `graph`: ours, written before by
    `Graph.write`, instead of exploring again; `ours`: the same, in memory. `folder`: the TLA+ modules,
    instead of those shipped. `limit`: seconds for TLC.
    """
    module, started = module_of(model, folder), time.perf_counter()
    tlc.find_java(), tlc.find_jar()
    ours = ours or Ours.of(model, configuration, depth=depth, written=graph)
    with TemporaryDirectory(prefix="oneleader-twin-") as name:
        config = Path(name) / "twin.cfg"
        bounds = config_text(module, model, configuration)
        config.write_text(checked_by(bounds, ours.depth))
        around = around_text(module, bounds, enough=2 * len(ours.states) + 1_000, depth=ours.depth)
        workers = workers if ours.depth is None else 1
        long = len(ours.graph.steps) > MANY_STEPS
        result = tlc.run(module, config, workers=workers, long=long, dump=True, around=around, limit=limit)
    difference, edge = _difference(ours, result)
    return Compared(ours, time.perf_counter() - started, result.seconds, difference, edge)


def compare_all(model: Model, folder: Path | None = None) -> Iterator[Compared]:
    """Compare at each of the bounds in bounds.toml; they are small, so one worker does."""
    module_of(model, folder)
    for bounds in bounds_of(model):
        yield compare(model, bounds.of(model), workers=1, folder=folder)


def covered(model: Model, found: Iterable[Compared]) -> ModelCoverage:
    """What the compared graphs exercise together."""
    return ModelCoverage.of(model, (compared.ours.graph for compared in found), unseen(model))


def _difference(ours: Ours, result: Result) -> tuple[str, Edge | None]:
    """The first difference in words, and the edge that makes it; "" if there is none."""
    printed = {value[0]: value[1] for value in result.printed if isinstance(value, tuple)}
    quorums, own = quorums_of(ours.run.configuration), printed.get(QUORUMS)
    if own is not None and own != quorums:
        return f"the quorums are {_sets(own)} in TLA+ and {_sets(quorums)} in Python", None
    for rule, among in ((rule, printed[rule]) for rule in MAJORITIES.keys() & printed.keys()):
        for servers, theirs in enumerate(among if isinstance(among, tuple) else (), 1):
            ours_are = _majorities(servers, smallest=rule == SMALLEST)
            if theirs != ours_are:
                both = f"{_sets(theirs)} in TLA+ and {_sets(ours_are)} in Python"
                return f"majorities of {servers} by {rule} are {both}", None
    if result.violated == ENOUGH:
        return f"TLC has found {result.distinct} states and goes on; explore: {len(ours.states)}", None
    if result.violated:
        return f"TLC finds {result.violated} violated, after {len(result.trace)} states", None
    if result.graph is None:
        raise Disagreement("TLC was asked for its graph and wrote none")
    return graphs_differ(ours, result.graph)


def _majorities(servers: int, *, smallest: bool) -> frozenset[frozenset[int]]:
    """The smallest majorities among 1 to `servers`, or all sets that contain one."""
    least = [frozenset(n + 1 for n in q) for q in majorities(servers)]
    every = (frozenset(q) for k in range(servers + 1) for q in combinations(range(1, servers + 1), k))
    return frozenset(least) if smallest else frozenset(q for q in every if any(m <= q for m in least))


def _sets(sets: Any) -> str:
    """`{1 2} {1 3}`."""
    if not isinstance(sets, frozenset) or not all(isinstance(q, frozenset) for q in sets):
        return str(sets)
    return " ".join(sorted("{" + " ".join(sorted(map(str, q))) + "}" for q in sets)) or "none"


def graphs_differ(ours: Ours, theirs: TlcGraph) -> tuple[str, Edge | None]:
    """The first difference in words, shallowest first, and the edge that makes it; "" if there is none."""
    states, edges, reader = ours.states, ours.edges, StateReader(ours.run)
    read = {key: reader.state(state) for key, state in theirs.states.items()}
    their_states = set(read.values())
    if len(their_states) < len(read):
        return f"{len(read)} states of TLC read as {len(their_states)}: Python does not tell them apart", None
    if {read[key] for key in theirs.initial} != {ours.run.initial}:
        return "the initial states differ", None
    every = [*states, *sorted(their_states - states.keys())]  # those that only TLC has come last
    number = {state: i for i, state in enumerate(every)}
    at = {key: number[state] for key, state in read.items()}
    their_edges = {(at[a], action, at[b]) for a, action, b in theirs.edges}
    if their_edges == edges and their_states == states.keys():
        return "", None
    # Both start in one state, so the graphs first differ by an edge that leaves a state of both. Numbers are
    # breadth-first: the sooner a state is reached, the smaller its number.
    only = [("explore", "TLC", edges - their_edges), ("TLC", "explore", their_edges - edges)]
    in_both = {number[state] for state in states.keys() & their_states}
    (before, action, after), who, other = min(
        (edge, who, other) for who, other, rest in only for edge in rest if edge[0] in in_both
    )
    counts = (
        f"explore: {len(states)} states, {len(edges)} edges; TLC: {len(their_states)} and {len(their_edges)}"
    )
    edge = every[before], action, every[after]
    return f"{counts}\n{who} takes {action} and {other} does not", edge
