"""twin: TLC on the hand-written TLA+ reaches the same states by the same steps as `explore`.

The correspondence is by name and shape. A field `voted_for` is the variable votedFor; a function of
TLA+ is applied to the indices one by one, a set holds the (remaining) indices at which a relation is
true; NIL is Nil and the members of an enumeration are strings. Where there is no variable logTerm, the
field `log_term` is the component `term` of the sequences of records in the variable log, counted from
1, and `log_length` is how long they are; beyond the end of one there is the field's first value.
A configuration of changing members is a number in Python, and the set of its sets of servers in TLA+.
Labelled edges are compared as sets,
since TLC shows the name of an action and not its arguments.

Quorums are compared as well: TLC prints those that it uses and, where the module defines majorities, what
these are among 1 to 5 servers. Where a configuration's quorums are the majorities, it is the module's own
definition that TLC runs with; only other quorums are handed in.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from oneleader.errors import Disagreement, UsageError
from oneleader.language.configuration import Configuration, majorities
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.language.sorts import NIL, OptionSort, base, is_enum, is_number, is_set, is_time
from oneleader.readers.beyond import untried
from oneleader.readers.explore.graph import Graph
from oneleader.readers.run import Run, State
from oneleader.readers.tlc import tlc
from oneleader.readers.tlc.bounds import bounds_of, unseen
from oneleader.readers.tlc.coverage import ModelCoverage
from oneleader.shipped import tla_folder
from oneleader.verdict import HOLDS, VIOLATED, Verdict

MOST_STATES = 200_000  # TLC writes, and this reader parses, every one of them as text
MOST_SERVERS = 5  # among so many, and all fewer, the module's definition of majorities is compared
Edge = tuple[State, str, State]


@dataclass(frozen=True)
class Ours:
    """What `explore` says of a configuration: the graph, each state with its depth, and labelled edges."""

    run: Run
    graph: Graph
    states: dict[State, int]
    edges: set[Edge]

    @staticmethod
    def of(model: Model, configuration: Configuration, written: Path | None = None) -> Ours:
        """Explored now, or as `Graph.write` wrote it before."""
        run = Run(model, configuration)
        graph = Graph.read(written, run) if written else Graph.of(run, most=MOST_STATES)
        return Ours(run, graph, *edges_of(graph))


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
        return f"equal graphs, {self.run.configuration.describe()}"


def module_of(model: Model, folder: Path | None = None) -> Path:
    """`tla/MCElection.tla` for the model `election`."""
    title = "".join(part.capitalize() for part in model.name.split("_"))
    module = (folder or tla_folder()) / f"MC{title}.tla"
    if not module.is_file():
        raise UsageError(f"the model {model.name} has no TLA+ twin: there is no tla/{module.name}")
    return module


def compare(
    model: Model,
    configuration: Configuration,
    *,
    workers: int = 2,
    graph: Path | None = None,
    folder: Path | None = None,
    ours: Ours | None = None,
    limit: float | None = None,
) -> Compared:
    """Run both on one configuration and compare the graphs exactly. MissingTool without Java or jar.

    `graph`: ours, written before by `Graph.write`, instead of exploring again; `ours`: the same, in
    memory. `folder`: the TLA+ modules, instead of those shipped. `limit`: seconds for TLC.
    """
    module, started = module_of(model, folder), time.perf_counter()
    tlc.find_java(), tlc.find_jar()
    ours = ours or Ours.of(model, configuration, graph)
    with TemporaryDirectory(prefix="oneleader-twin-") as name:
        config = Path(name) / "twin.cfg"
        bounds = config_text(module, model, configuration)
        config.write_text(f"{bounds}INVARIANT {ENOUGH}\n")
        around = around_text(module, bounds, enough=2 * len(ours.states) + 1_000)
        result = tlc.run(module, config, workers=workers, dump=True, around=around, limit=limit)
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


QUORUMS, MAJORITIES, ENOUGH = "quorums", "majorities", "StatesAreEnough"


def around_text(module: Path, bounds: str, *, enough: int) -> str:
    """A module around the twin's: it prints the quorums, and stops where states are far too many."""
    lines = [f"EXTENDS {module.stem}, Naturals, TLC"]
    if re.search(r"^\s*Quorum\b", bounds, re.MULTILINE):
        lines.append(f'ASSUME PrintT(<<"{QUORUMS}", Quorum>>)')
    if _defines_majority(module):
        lines.append(f"Among(servers) == INSTANCE {module.stem} WITH Node <- servers")
        each = f"[k \\in 1..{MOST_SERVERS} |-> Among(1..k)!Majority]"
        lines.append(f'ASSUME PrintT(<<"{MAJORITIES}", {each}>>)')
    lines.append(f'{ENOUGH} == TLCGet("distinct") <= {enough}')
    return "\n".join([f"---- MODULE {tlc.AROUND} ----", *lines, "====", ""])


def _defines_majority(module: Path) -> bool:
    """Whether the module, or the one that it bounds, says what a majority is."""
    texts = [path.read_text("utf-8") for path in (module, module.with_stem(module.stem[2:]))]
    return any(re.search(r"^Majority\b", text, re.MULTILINE) for text in texts)


def config_text(module: Path, model: Model, configuration: Configuration) -> str:
    """The constants of the module's own .cfg, with the sizes of this configuration; no properties."""
    committed = module.with_suffix(".cfg").read_text()
    lines = re.split(r"^(?:INVARIANT|PROPERT|SYMMETRY)", committed, flags=re.MULTILINE)[0].splitlines()
    greatest = {**configuration.greatest, **configuration.longest}
    sizes = {f"Max{sort}": str(number) for sort, number in greatest.items()}
    sizes |= {name.capitalize(): str(value) for name, value in configuration.parameters.items()}
    for sort, names in configuration.elements.items():
        sizes[sort] = _set(_subsets(model, configuration, sort) or names)
    if configuration.members:
        shown = [_set(map(_set, sets)) for sets in _member_sets(configuration)]
        sizes |= {"Config": _set(shown), "InitialConfig": shown[0]}
    own = {"Quorum": "<- Majority"} if _quorums(configuration) == _majorities(configuration) else {}
    for f in model.fields.values():
        if f.kind == "constant" and is_enum(f.index[0]):
            chosen = configuration.chosen.get(f.name, ())
            sizes[f.name.capitalize()] = "{" + ", ".join(f'"{shown}"' for shown in chosen) + "}"
    values = {name: f"= {value}" for name, value in sizes.items()} | own
    return "\n".join(_sized(line, values) for line in lines) + "\n"


def _sized(line: str, values: dict[str, str]) -> str:
    """A line such as `  MaxTerm = 2` or `  Quorum <- Majority` with the value that is wanted."""
    bound = re.match(r"(\s*)(\w+)\s*(?:=|<-)", line)
    return f"{bound[1]}{bound[2]} {values[bound[2]]}" if bound and bound[2] in values else line


def _quorums(configuration: Configuration) -> frozenset[frozenset[str]]:
    """The quorums of a configuration, by the names of their members; none where it has no such sort."""
    names, members = configuration.elements.get("Node", ()), configuration.constants.get("member", ())
    return frozenset(
        frozenset(names[n] for n, of in members if of == q)
        for q in range(len(configuration.elements.get("Quorum", ())))
    )


def _majorities(configuration: Configuration) -> frozenset[frozenset[str]]:
    names = configuration.elements.get("Node", ())
    return frozenset(frozenset(names[n] for n in q) for q in majorities(len(names)))


def _subsets(model: Model, configuration: Configuration, sort: str) -> list[str]:
    """A sort whose elements a constant relates to another's is, in TLA+, a set of subsets of that one."""
    for f in model.fields.values():
        if f.kind == "constant" and len(f.index) == 2 and f.index[1].__name__ == sort:
            names, true_at = configuration.elements[f.index[0].__name__], configuration.constants[f.name]
            members = (
                [name for m, name in enumerate(names) if (m, e) in true_at]
                for e in configuration.domain(f.index[1])
            )
            return [_set(m) for m in members]
    return []


def _member_sets(configuration: Configuration) -> list[frozenset[frozenset[str]]]:
    """What each number of Config stands for: a set of servers, or two while they are joint."""
    names = configuration.elements["Node"]
    return [frozenset(frozenset(names[n] for n in s) for s in c.sets) for c in configuration.members]


def _set(elements: Iterable[str]) -> str:
    """A set, as TLA+ writes it."""
    return "{" + ", ".join(sorted(elements)) + "}"


def edges_of(graph: Graph) -> tuple[dict[State, int], set[Edge]]:
    """Every state with its depth, and every labelled edge."""
    states, titles = graph.plain(), [instance.action.title for instance in graph.run.instances]
    edges = {(states[a], titles[position], states[b]) for a, position, b in graph.steps.tolist()}
    return dict(zip(states, graph.depth.tolist(), strict=True)), edges


class StateReader:
    """Reads a TLA+ state as a plain state of the same model."""

    def __init__(self, run: Run) -> None:
        self.run, self.configuration = run, run.configuration
        self.keys = {f: [key for field, key in run.cells.keys if field is f] for f in run.cells.fields}
        self._read: dict[tuple[str, Any], tuple[int, ...]] = {}

    def state(self, told: tlc.TlcState) -> State:
        """The plain state; UsageError where the TLA+ state lacks a variable or has an unknown value."""
        cells: list[int] = []
        for f in self.run.cells.fields:
            variable, (stem, _, part) = camel(f.name), f.name.rpartition("_")
            records = variable not in told and camel(stem) in told
            variable = camel(stem) if records else variable
            if variable not in told:
                raise UsageError(f"the TLA+ module has no variable {variable} for the field {f}")
            key = (f.name, told[variable])
            if key not in self._read:
                cells_of = partial(self._components, f, part) if records else partial(self._cells, f)
                try:
                    self._read[key] = tuple(cells_of(told[variable]))
                except (LookupError, TypeError, ValueError, RuntimeError):  # StopIteration is RuntimeError
                    raise UsageError(
                        f"TLC has a state in which {variable} is {_told(told[variable])}, "
                        f"and {f} cannot be read from it"
                    ) from None
            cells += self._read[key]
        return tuple(cells)

    def _components(self, f: Field, part: str, told: Any) -> Iterator[int]:
        """One component of the records in sequences, or the length of each."""
        for key in self.keys[f]:
            at, whole = told, key if part == "length" else key[:-1]
            for sort, k in zip(f.index, whole, strict=False):
                at = _applied(at, self._name(sort, k))
            if part == "length":
                yield len(at)
            else:
                yield self._value(f, at[key[-1] - 1][part]) if 0 < key[-1] <= len(at) else f.init

    def _cells(self, f: Field, told: Any) -> Iterator[int]:
        sets: dict[tuple[Any, ...], int] = {}  # how many elements each has that no cell has shown yet
        for key in self.keys[f]:
            at, rest = told, [self._name(s, k) for s, k in zip(f.index, key, strict=True)]
            while rest and not isinstance(at, frozenset):
                at = _applied(at, rest.pop(0))
            if isinstance(at, frozenset) and f.of is bool:
                holds = (rest[0] if len(rest) == 1 else tuple(rest)) in at
                whole = key[: len(key) - len(rest)]
                sets[whole] = sets.get(whole, len(at)) - holds
                yield holds
            else:
                yield self._value(f, at)
        if any(sets.values()):
            raise UsageError(
                f"TLC has a state in which {camel(f.name)} holds what is no element: {_told(told)}"
            )

    def _name(self, sort: Any, value: int) -> Any:
        """How TLA+ writes an index."""
        return value if is_number(sort) else self.configuration.show(sort, value)

    def _value(self, f: Field, told: Any) -> int:
        if told == "Nil" and isinstance(f.of, OptionSort):
            return NIL
        of = base(f.of)
        if isinstance(told, frozenset) and is_number(of):
            return _member_sets(self.configuration).index(told)
        if isinstance(told, frozenset):  # an element that is, in TLA+, a set of others: see _subsets
            names = self.configuration.elements[of.__name__]
            return next(i for i, shown in enumerate(names) if set(shown.strip("{}").split()) == told)
        if is_set(of) or is_enum(of):
            return int(self.configuration.value(of, told))
        return int(told) if is_number(of) or is_time(of) else bool(told)


def _told(value: Any) -> str:
    return "{" + ", ".join(sorted(map(str, value))) + "}" if isinstance(value, frozenset) else str(value)


def _applied(function: Any, index: Any) -> Any:
    """A function of TLA+ at an index; one whose domain is 1..n is a sequence."""
    return function[index - 1] if isinstance(function, tuple) else function[index]


def camel(name: str) -> str:
    """`voted_for` as TLA+ writes it: `votedFor`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _difference(ours: Ours, result: tlc.Result) -> tuple[str, Edge | None]:
    """The first difference in words, and the edge that makes it; "" if there is none."""
    printed = {value[0]: value[1] for value in result.printed if isinstance(value, tuple)}
    quorums, own = _quorums(ours.run.configuration), printed.get(QUORUMS)
    if own is not None and own != quorums:
        return f"the quorums are {_sets(own)} in TLA+ and {_sets(quorums)} in Python", None
    among = printed.get(MAJORITIES)
    for servers, theirs in enumerate(among if isinstance(among, tuple) else (), 1):
        python = frozenset(frozenset(n + 1 for n in q) for q in majorities(servers))
        if theirs != python:
            return f"majorities of {servers} are {_sets(theirs)} in TLA+ and {_sets(python)} in Python", None
    if result.violated == ENOUGH:
        return f"TLC has found {result.distinct} states and goes on; explore: {len(ours.states)}", None
    if result.violated:
        return f"TLC finds {result.violated} violated, after {len(result.trace)} states", None
    if result.graph is None:
        raise Disagreement("TLC was asked for its graph and wrote none")
    return graphs_differ(ours, result.graph)


def _sets(sets: Any) -> str:
    """`{1 2} {1 3}`."""
    if not isinstance(sets, frozenset) or not all(isinstance(q, frozenset) for q in sets):
        return str(sets)
    return " ".join(sorted("{" + " ".join(sorted(map(str, q))) + "}" for q in sets)) or "none"


def graphs_differ(ours: Ours, theirs: tlc.TlcGraph) -> tuple[str, Edge | None]:
    """The first difference in words, shallowest first, and the edge that makes it; "" if there is none."""
    run, states, edges = ours.run, ours.states, ours.edges
    reader = StateReader(run)
    read = {number: reader.state(state) for number, state in theirs.states.items()}
    their_states = set(read.values())
    if len(their_states) < len(read):
        return f"{len(read)} states of TLC read as {len(their_states)}: Python does not tell them apart", None
    if {read[number] for number in theirs.initial} != {run.initial}:
        return "the initial states differ", None
    their_edges = {(read[a], action, read[b]) for a, action, b in theirs.edges}
    if their_edges == edges and their_states == states.keys():
        return "", None
    # Both start in one state, so the graphs first differ by an edge that leaves a state of both.
    only = [("explore", "TLC", edges - their_edges), ("TLC", "explore", their_edges - edges)]
    _, _, who, other, edge = min(
        (states[edge[0]], edge[1], who, other, edge)
        for who, other, rest in only
        for edge in rest
        if edge[0] in states and edge[0] in their_states
    )
    counts = (
        f"explore: {len(states)} states, {len(edges)} edges; TLC: {len(their_states)} and {len(their_edges)}"
    )
    return f"{counts}\n{who} takes {edge[1]} and {other} does not", edge
