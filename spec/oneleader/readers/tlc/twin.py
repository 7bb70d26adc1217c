"""twin: TLC on the hand-written TLA+ reaches the same states by the same steps as `explore`.

The correspondence is by name and shape. A field `voted_for` is the variable votedFor; a function of
TLA+ is applied to the indices one by one, a set holds the (remaining) indices at which a relation is
true; NIL is Nil and the members of an enumeration are strings. Where there is no variable logTerm, the
field `log_term` is the component `term` of the sequences of records in the variable log, counted from
1, and `log_length` is how long they are; beyond the end of one there is the field's first value.
Labelled edges are compared as sets,
since TLC shows the name of an action and not its arguments.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from oneleader.errors import Disagreement, UsageError
from oneleader.language.configuration import Configuration
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.language.sorts import NIL, OptionSort, base, is_enum, is_number, is_set, is_time
from oneleader.readers.explore.graph import Graph
from oneleader.readers.run import Run, State
from oneleader.readers.tlc import tlc
from oneleader.shipped import tla_folder
from oneleader.verdict import HOLDS, VIOLATED, Verdict

MOST_STATES = 200_000  # TLC writes, and this reader parses, every one of them as text
Edge = tuple[State, str, State]


@dataclass(frozen=True)
class Compared:
    """The two graphs side by side; `difference` is "" where they are equal, else the first one in words.

    `edge` is the transition that only one of them has, where the difference is of that kind.
    """

    run: Run
    states: int
    edges: int
    seconds: float
    tlc_seconds: float
    difference: str = ""
    edge: Edge | None = None

    @property
    def verdict(self) -> Verdict:
        return VIOLATED if self.difference else HOLDS

    @property
    def strength(self) -> str:
        return f"equal graphs, {self.run.configuration.describe()}"


def module_of(model: Model) -> Path:
    """`tla/MCElection.tla` for the model `election`."""
    title = "".join(part.capitalize() for part in model.name.split("_"))
    module = tla_folder() / f"MC{title}.tla"
    if not module.is_file():
        raise UsageError(f"the model {model.name} has no TLA+ twin: there is no tla/{module.name}")
    return module


def compare(
    model: Model, configuration: Configuration, *, workers: int = 2, graph: Path | None = None
) -> Compared:
    """Run both on one configuration and compare the graphs exactly. MissingTool without Java or jar.

    `graph`: ours, written before by `Graph.write`, instead of exploring anew.
    """
    module, started = module_of(model), time.perf_counter()
    tlc.find_java(), tlc.find_jar()
    run = Run(model, configuration)
    ours = Graph.read(graph, run) if graph else Graph.of(run, most=MOST_STATES)
    states, edges = edges_of(ours)
    with TemporaryDirectory(prefix="oneleader-twin-") as folder:
        config = Path(folder) / "twin.cfg"
        config.write_text(config_text(module, model, configuration))
        result = tlc.run(module, config, workers=workers, dump=True)
    if result.graph is None:
        raise Disagreement("TLC was asked for its graph and wrote none")
    if result.violated:
        difference, edge = f"TLC finds {result.violated} violated, after {len(result.trace)} states", None
    else:
        difference, edge = _difference(run, states, edges, result.graph)
    seconds = time.perf_counter() - started
    return Compared(run, len(states), len(edges), seconds, result.seconds, difference, edge)


def config_text(module: Path, model: Model, configuration: Configuration) -> str:
    """The constants of the module's own .cfg, with the sizes of this configuration; no properties."""
    committed = module.with_suffix(".cfg").read_text()
    lines = re.split(r"^(?:INVARIANT|PROPERT|SYMMETRY)", committed, flags=re.MULTILINE)[0].splitlines()
    greatest = {**configuration.greatest, **configuration.longest}
    sizes = {f"Max{sort}": str(number) for sort, number in greatest.items()}
    sizes |= {name.capitalize(): str(value) for name, value in configuration.parameters.items()}
    for sort, names in configuration.elements.items():
        sizes[sort] = "{" + ", ".join(_subsets(model, configuration, sort) or names) + "}"
    for f in model.fields.values():
        if f.kind == "constant" and is_enum(f.index[0]):
            chosen = configuration.chosen.get(f.name, ())
            sizes[f.name.capitalize()] = "{" + ", ".join(f'"{shown}"' for shown in chosen) + "}"
    return "\n".join(_sized(line, sizes) for line in lines) + "\n"


def _sized(line: str, sizes: dict[str, str]) -> str:
    """A line such as `  MaxTerm = 2` or `  Quorum <- Majority` with the size that is wanted."""
    bound = re.match(r"(\s*)(\w+)\s*(?:=|<-)", line)
    return f"{bound[1]}{bound[2]} = {sizes[bound[2]]}" if bound and bound[2] in sizes else line


def _subsets(model: Model, configuration: Configuration, sort: str) -> list[str]:
    """A sort whose elements a constant relates to another's is, in TLA+, a set of subsets of that one."""
    for f in model.fields.values():
        if f.kind == "constant" and len(f.index) == 2 and f.index[1].__name__ == sort:
            names, true_at = configuration.elements[f.index[0].__name__], configuration.constants[f.name]
            members = (
                [name for m, name in enumerate(names) if (m, e) in true_at]
                for e in configuration.domain(f.index[1])
            )
            return ["{" + ", ".join(m) + "}" for m in members]
    return []


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
                self._read[key] = tuple(cells_of(told[variable]))
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
        for key in self.keys[f]:
            at, rest = told, [self._name(s, k) for s, k in zip(f.index, key, strict=True)]
            while rest and not isinstance(at, frozenset):
                at = _applied(at, rest.pop(0))
            if isinstance(at, frozenset) and f.of is bool:
                yield (rest[0] if len(rest) == 1 else tuple(rest)) in at
            else:
                yield self._value(f, at)

    def _name(self, sort: Any, value: int) -> Any:
        """How TLA+ writes an index."""
        return value if is_number(sort) else self.configuration.show(sort, value)

    def _value(self, f: Field, told: Any) -> int:
        if told == "Nil" and isinstance(f.of, OptionSort):
            return NIL
        of = base(f.of)
        if isinstance(told, frozenset):  # an element that is, in TLA+, a set of others: see _subsets
            names = self.configuration.elements[of.__name__]
            return next(i for i, shown in enumerate(names) if set(shown.strip("{}").split()) == told)
        if is_set(of) or is_enum(of):
            return int(self.configuration.value(of, told))
        return int(told) if is_number(of) or is_time(of) else bool(told)


def _applied(function: Any, index: Any) -> Any:
    """A function of TLA+ at an index; one whose domain is 1..n is a sequence."""
    return function[index - 1] if isinstance(function, tuple) else function[index]


def camel(name: str) -> str:
    """`voted_for` as TLA+ writes it: `votedFor`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _difference(
    run: Run, states: dict[State, int], edges: set[Edge], told: tlc.TlcGraph
) -> tuple[str, Edge | None]:
    """The first difference in words, shallowest first, and the edge that makes it; "" if none."""
    reader = StateReader(run)
    read = {number: reader.state(state) for number, state in told.states.items()}
    theirs = set(read.values())
    if len(theirs) < len(read):
        return f"{len(read)} states of TLC read as {len(theirs)}: Python does not tell them apart", None
    if {read[number] for number in told.initial} != {run.initial}:
        return "the initial states differ", None
    their_edges = {(read[a], action, read[b]) for a, action, b in told.edges}
    if their_edges == edges and theirs == states.keys():
        return "", None
    # Both start in one state, so the graphs first differ by an edge that leaves a state of both.
    only = [("explore", "TLC", edges - their_edges), ("TLC", "explore", their_edges - edges)]
    _, _, who, other, edge = min(
        (states[edge[0]], edge[1], who, other, edge)
        for who, other, rest in only
        for edge in rest
        if edge[0] in states and edge[0] in theirs
    )
    counts = f"explore: {len(states)} states, {len(edges)} edges; TLC: {len(theirs)} and {len(their_edges)}"
    return f"{counts}\n{who} takes {edge[1]} and {other} does not", edge
