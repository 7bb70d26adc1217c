"""explore: every reachable state of a bounded configuration, breadth first.

Breadth first, so that a counterexample and a witness are shortest ones. Properties that read ghost
fields are explored apart, with those fields kept: history multiplies states. A run that stops at a
bound on states or memory is inconclusive, whatever it has seen so far.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from oneleader.errors import UsageError
from oneleader.language.configuration import Configuration
from oneleader.language.definitions import Property
from oneleader.language.model import Model
from oneleader.language.symmetry import renamings
from oneleader.language.trace import reads, trace_property
from oneleader.readers.compiled import Compiled
from oneleader.readers.run import ClaimFailed, Run, State

REPORT_EVERY = 0.25  # seconds between two calls of `progress`


class Engine(Protocol):
    """What exploring needs of a model under a configuration."""

    def successors(self, state: State) -> list[tuple[int, State | None]]:
        """The steps possible in a state; None stands for a state beyond the run's bound."""

    def canonical(self, state: State) -> State:
        """The state that stands for this one and all its renamings."""

    def broken(self, properties: dict[str, Property]) -> Callable[[State], str | None]:
        """A function that names a property that is false in a state."""

    def reached(self, witness: Property) -> Callable[[State], bool]:
        """A function that says whether a witness is true in a state."""


class Plain:
    """The oracle: the plain interpreter as an engine, without symmetry."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def successors(self, state: State) -> list[tuple[int, State | None]]:
        return list(self.run.steps(state))

    def canonical(self, state: State) -> State:
        return state

    def broken(self, properties: dict[str, Property]) -> Callable[[State], str | None]:
        def first(state: State) -> str | None:
            found = self.run.violated(state, properties)
            return found[0].name if found else None

        return first

    def reached(self, witness: Property) -> Callable[[State], bool]:
        return lambda state: self.run.witnessed(state, witness)


@dataclass(frozen=True)
class Progress:
    """How far a run is: told about four times a second."""

    states: int
    frontier: int
    depth: int
    seconds: float

    @property
    def rate(self) -> float:
        """Distinct states a second."""
        return self.states / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Violation:
    """What went wrong, and the shortest run that shows it: (position of the instance, state after it)."""

    what: str  # the property's name, "deadlock", or "claim"
    args: tuple[int, ...]  # the values of the property's parameters
    steps: list[tuple[int, State]]
    step: int | None = None  # the instance whose claim fails after these steps


@dataclass
class Explored:
    """What exploring one configuration gave."""

    run: Run
    symmetry: int  # how many renamings were identified; 1 for none
    verdict: str = "inconclusive"  # "holds", "violated" or "inconclusive"
    why: str = ""  # why it is inconclusive
    states: int = 0
    transitions: int = 0
    cut: int = 0
    depth: int = 0
    seconds: float = 0.0
    properties: list[str] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    witnesses: dict[str, int | None] = field(default_factory=dict)  # the depth at which each was reached
    violation: Violation | None = None

    @property
    def never_fired(self) -> list[str]:
        """Actions that no reachable state enables."""
        return [name for name in self.run.model.actions if not self.fired[name]]

    @property
    def strength(self) -> str:
        """`exhaustive to 3 nodes, 3 quorums, 2 terms`; a search for witnesses alone ends early."""
        if self.witnesses and not self.properties:
            return f"witnesses sought in {self.run.configuration.describe()}"
        return f"exhaustive to {self.run.configuration.describe()}"


@dataclass(frozen=True)
class Limits:
    """Where to stop without an answer. Memory is the whole process, in MiB."""

    states: int | None = None
    memory: int | None = None


def ghosts_read(model: Model, prop: Property) -> frozenset[str]:
    """The ghost fields that a property reads."""
    body = trace_property(model, prop).body
    return frozenset(name for name in reads(body) if model.fields[name].kind == "ghost")


def plan(model: Model, only: list[str] | None = None) -> list[tuple[frozenset[str], list[Property]]]:
    """The explorations that a model's properties ask for: without ghosts first, then with those read."""
    everything = model.properties | model.witnesses
    unknown = [name for name in only or [] if name not in everything]
    if unknown:
        raise UsageError(f"{model.name} has no property {unknown[0]}: choose from {', '.join(everything)}")
    chosen = [p for name, p in everything.items() if only is None or name in only]
    groups: dict[frozenset[str], list[Property]] = {} if only else {frozenset(): []}
    for prop in chosen:
        groups.setdefault(ghosts_read(model, prop), []).append(prop)
    return sorted(groups.items(), key=lambda group: len(group[0]))


def explore(
    model: Model,
    configuration: Configuration,
    *,
    ghosts: frozenset[str] = frozenset(),
    properties: list[Property] | None = None,
    symmetry: bool = True,
    plain: bool = False,
    limits: Limits = Limits(),
    progress: Callable[[Progress], None] = lambda _: None,
) -> Explored:
    """Explore one configuration with the given ghost fields; all properties that read no other ghosts.

    Ctrl-C ends it early: the result so far is returned, inconclusive, with `why` "interrupted".
    Exploring for witnesses alone ends when all are reached.
    """
    run = Run(model, configuration, ghosts)
    if properties is None:
        everything = (model.properties | model.witnesses).values()
        properties = [p for p in everything if ghosts_read(model, p) <= ghosts]
    group = renamings(model, configuration) if symmetry and not plain else []
    engine: Engine = Plain(run) if plain else Compiled(run, group)
    search = _Search(run, engine, properties, max(1, len(group)), limits, progress)
    try:
        search.go()
    except KeyboardInterrupt:
        search.result.why = "interrupted"
    search.result.seconds = time.perf_counter() - search.started
    return search.result


class _Search:
    """One breadth-first search. `parents` keeps, for each state, the state and step it was found by."""

    def __init__(
        self,
        run: Run,
        engine: Engine,
        properties: list[Property],
        order: int,
        limits: Limits,
        progress: Callable[[Progress], None],
    ) -> None:
        self.run, self.engine, self.limits, self.progress = run, engine, limits, progress
        safety = {p.name: p for p in properties if p.kind != "witness"}
        self.witnesses = {p.name: engine.reached(p) for p in properties if p.kind == "witness"}
        self.broken = engine.broken(safety)
        self.witnesses_only = bool(self.witnesses) and not safety
        self.parents: dict[State, tuple[State, int] | None] = {}
        self.result = Explored(run, order, properties=list(safety), witnesses=dict.fromkeys(self.witnesses))
        self.started = self.reported = time.perf_counter()

    def go(self) -> None:
        """Search until everything is seen, a property is broken, or a limit is met."""
        try:
            self._search()
        finally:  # Ctrl-C keeps what was seen
            self.result.states = len(self.parents)

    def _search(self) -> None:
        """The loop of `go`."""
        result = self.result
        first = self.engine.canonical(self.run.initial)
        self.parents[first] = None
        frontier = [first] if self._visit(first) else []
        while frontier and not result.why:
            following: list[State] = []
            for state in frontier:
                if not self._expand(state, following) or (following and self._stops(len(following))):
                    break
            else:
                frontier = following
                result.depth += bool(following)
                continue
            break
        if result.violation:
            result.verdict = "violated"
        elif not result.why:
            result.verdict = "holds"

    def _expand(self, state: State, following: list[State]) -> bool:
        """Take every step from a state. False: the search is over."""
        result, canonical = self.result, self.engine.canonical
        try:
            steps = self.engine.successors(state)
        except ClaimFailed:
            return self._fail("claim", state)
        if not steps:
            return self._fail("deadlock", state)
        for position, after in steps:
            result.fired[self.run.instances[position].action.name] += 1
            if after is None:
                result.cut += 1
                continue
            result.transitions += 1
            after = canonical(after)
            if after not in self.parents:
                self.parents[after] = (state, position)
                following.append(after)
                if not self._visit(after):
                    return False
        return True

    def _visit(self, state: State) -> bool:
        """Judge a new state. False: the search is over."""
        result = self.result
        name = self.broken(state)
        if name:
            return self._fail(name, state)
        for witness, reached in self.witnesses.items():
            if result.witnesses[witness] is None and reached(state):
                parent = self.parents[state]
                result.witnesses[witness] = result.depth + (parent is not None)
        return not (self.witnesses_only and None not in result.witnesses.values())

    def _fail(self, what: str, state: State) -> bool:
        steps = concrete(self.run, self.engine, self._path(state))
        last = steps[-1][1] if steps else self.run.initial
        args: tuple[int, ...] = ()
        if what in self.run.model.properties:
            found = self.run.violated(last, {what: self.run.model.properties[what]})
            assert found, f"the engines disagree on {what}"  # the compiled one says broken, the oracle not
            args = found[1]
        self.result.violation = Violation(
            what, args, steps, self._claiming(last) if what == "claim" else None
        )
        return False

    def _claiming(self, state: State) -> int:
        """The instance whose claim fails in a state."""
        try:
            list(self.run.steps(state))
        except ClaimFailed as failed:
            return int(failed.args[0])
        raise AssertionError("the engines disagree on a claim")

    def _path(self, state: State) -> list[State]:
        """The canonical states from the initial one to this."""
        path = [state]
        while (parent := self.parents[path[-1]]) is not None:
            path.append(parent[0])
        return path[::-1]

    def _stops(self, following: int) -> bool:
        """Report progress now and then; True where a limit is met."""
        states = len(self.parents)
        if self.limits.states is not None and states > self.limits.states:
            self.result.why = f"stopped at {self.limits.states:,} states"
            return True
        now = time.perf_counter()
        if now - self.reported < REPORT_EVERY:
            return False
        self.reported = now
        self.progress(Progress(states, following, self.result.depth, now - self.started))
        if self.limits.memory and used_memory() > self.limits.memory:
            self.result.why = f"stopped at {self.limits.memory:,} MiB of memory"
            return True
        return False


def used_memory() -> int:
    """The most memory that this process has held, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB here
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20


def concrete(run: Run, engine: Engine, path: list[State]) -> list[tuple[int, State]]:
    """A run of the plain interpreter that passes through these canonical states.

    With symmetry the states on `path` are representatives; each step here is one that the oracle
    takes from the state actually reached, so the run printed is a run of the model.
    """
    state, steps = run.initial, []
    for target in path[1:]:
        for position, after in run.steps(state):
            if after is not None and engine.canonical(after) == target:
                steps.append((position, after))
                state = after
                break
        else:
            raise AssertionError("the oracle takes no step that the compiled engine took")
    return steps


def explore_all(
    model: Model,
    configuration: Configuration,
    *,
    only: list[str] | None = None,
    symmetry: bool = True,
    plain: bool = False,
    limits: Limits = Limits(),
    progress: Callable[[Progress], None] = lambda _: None,
) -> Iterator[Explored]:
    """Explore all that a model's properties ask for: one result for each set of ghost fields needed."""
    for ghosts, properties in plan(model, only):
        yield explore(
            model,
            configuration,
            ghosts=ghosts,
            properties=properties,
            symmetry=symmetry,
            plain=plain,
            limits=limits,
            progress=progress,
        )
