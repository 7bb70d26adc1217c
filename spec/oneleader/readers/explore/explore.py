"""explore: every reachable state of a bounded configuration, breadth first.

Breadth first, so that a counterexample and a witness are shortest ones. Properties that read ghost
fields are explored apart, with those fields kept: history multiplies states. A run that stops at a
bound on states or memory is inconclusive, whatever it has seen so far; so is a property that nothing
put to the test (`premises.py`).
"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from oneleader.errors import Disagreement, UsageError
from oneleader.language.configuration import Configuration
from oneleader.language.definitions import Property
from oneleader.language.model import Model
from oneleader.language.trace import ghosts_needed, reads, trace_property
from oneleader.readers.agree import Agreement, agreement
from oneleader.readers.beyond import above, untried
from oneleader.readers.explore import checkpoint as checkpoints
from oneleader.readers.explore.checkpoint import SearchPlace
from oneleader.readers.explore.disk import Stored, stored
from oneleader.readers.explore.search import Full, Packed, States, search
from oneleader.readers.premises import Premise, premises_of, unmet
from oneleader.readers.run import ClaimFailed, Run, State
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict, gravest

REPORT_EVERY = 0.25  # seconds between two calls of `progress`
ENGINES = ("python", "numpy", "native")


@dataclass(frozen=True)
class SearchProgress:
    """How far a run is: told about four times a second."""

    states: int
    frontier: int
    depth: int
    seconds: float
    taken_up: int = 0  # states that came from a checkpoint
    level: int = 0  # states at this depth
    expanded: int = 0  # of them: those whose steps were taken
    level_seconds: float = 0.0  # since the first of them

    @property
    def left(self) -> float | None:
        """Seconds until this level is done, at its pace; what comes after it nobody knows."""
        if not self.expanded:
            return None
        return self.level_seconds * (self.level - self.expanded) / self.expanded

    @property
    def rate(self) -> float:
        """Distinct states found a second."""
        return (self.states - self.taken_up) / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Violation:
    """What went wrong, and the shortest run that shows it: (position of the instance, state after it)."""

    what: str  # the property's name, "deadlock", or "claim"
    args: tuple[int, ...]  # the values of the property's parameters
    steps: list[tuple[int, State]]
    step: int | None = None  # the instance whose claim fails after these steps

    def calls(self, run: Run) -> list[str]:
        """The steps as action calls."""
        taken = (run.instances[position] for position, _ in self.steps)
        return [run.configuration.call(instance.action, instance.args) for instance in taken]


@dataclass
class Explored:
    """What exploring one configuration gave."""

    run: Run
    symmetry: int  # how many renamings were identified; 1 for none
    symmetry_why: str = ""  # why not all of them
    exhausted: bool = False  # whether every state within the bounds was seen, and nothing is wrong there
    why: str = ""  # why it is not, or why something is wrong
    states: int = 0
    taken_up: int = 0  # of these states: those that came from a checkpoint
    transitions: int = 0
    cut: int = 0
    depth: int = 0
    seconds: float = 0.0
    properties: list[str] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    witnesses: dict[str, int | None] = field(default_factory=dict)  # the depth at which each was reached
    premises: dict[Premise, int | None] = field(default_factory=dict)  # the depth at which each was met
    violation: Violation | None = None
    agreement: Agreement | None = None  # with the plain interpreter, sought first
    untried: list[str] = field(default_factory=list)  # where a number above the bound may matter

    @property
    def over(self) -> bool:
        """Whether nothing is left to be sought."""
        return self.exhausted or self.violation is not None

    @property
    def verdict(self) -> Verdict:
        """On all properties together. Where nothing put any of them to the test, none holds."""
        if self.violation or (self.agreement and self.agreement.difference):
            return VIOLATED
        is_tested = not self.properties or len(self.untested) < len(self.properties)
        return HOLDS if self.exhausted and is_tested else INCONCLUSIVE

    def verdict_of(self, name: str) -> Verdict:
        """On one property: another one that is broken ends the search before this one is decided."""
        if self.violation and self.violation.what == name:
            return VIOLATED
        return HOLDS if self.exhausted and name not in self.untested else INCONCLUSIVE

    @property
    def untested(self) -> list[str]:
        """Properties that hold in every state, and would without one of their parts: it was never asked."""
        return unmet(self.premises) if self.exhausted else []

    @property
    def never_fired(self) -> list[str]:
        """Actions that no reachable state enables."""
        return [name for name in self.run.model.actions if not self.fired[name]]

    @property
    def unfired(self) -> list[str]:
        """Those that a complete search for violations never saw possible: what holds says nothing of them."""
        return self.never_fired if self.exhausted and self.properties else []

    @property
    def strength(self) -> str:
        """`exhaustive to 3 nodes, 3 quorums, 2 terms`; a search for witnesses alone ends early."""
        if self.witnesses and not self.properties:
            return f"witnesses sought in {self.run.configuration.describe()}"
        return f"exhaustive to {self.run.configuration.describe()}"

    def as_json(self) -> dict[str, Any]:
        """What was found, for machines."""
        violation = self.violation
        return {
            "model": self.run.model.name,
            "configuration": self.run.configuration.describe(),
            "ghosts": [f.name for f in self.run.cells.fields if f.kind == "ghost"],
            "verdict": gravest(
                [self.verdict, INCONCLUSIVE if self.untested or self.unfired else HOLDS]
            ).value,
            "why": self.why,
            "states": self.states,
            "symmetry": self.symmetry,
            "symmetry_why": self.symmetry_why,
            "transitions": self.transitions,
            "cut": self.cut,
            "untried": self.untried,
            "depth": self.depth,
            "seconds": round(self.seconds, 3),
            "properties": self.properties,
            "witnesses": self.witnesses,
            "premises": {premise.name: at for premise, at in self.premises.items()},
            "untested": self.untested,
            "fired": dict(self.fired),
            "never_possible": self.unfired,
            "agreement": self.agreement and str(self.agreement),
            "violation": violation and {"what": violation.what, "steps": violation.calls(self.run)},
        }


@dataclass(frozen=True)
class Limits:
    """Where to stop without an answer. Memory is the whole process, in MiB."""

    states: int | None = None
    memory: int | None = None


def ghosts_read(model: Model, prop: Property) -> frozenset[str]:
    """The ghost fields that a property reads, and those that these are computed from."""
    body = trace_property(model, prop).body
    read = frozenset(name for name in reads(body) if model.fields[name].kind == "ghost")
    return ghosts_needed(model, read)


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
    engine: str = "numpy",
    limits: Limits = Limits(),
    progress: Callable[[SearchProgress], None] = lambda _: None,
    announce: Callable[[str], None] = lambda _: None,
    checkpoint: Path | None = None,
    disk: Path | None = None,
) -> Explored:
    """Explore one configuration with the given ghost fields; all properties that read no other ghosts.

    `engine` is one of ENGINES: they find the same. `announce` is told how much memory a state will
    take. Ctrl-C ends it early: the result so far is returned, inconclusive, with `why` "interrupted".
    Exploring for witnesses alone ends when all are reached. A search that ends early is saved in the
    file `checkpoint`, and goes on from there where the file exists. With `disk` the states are files in
    that folder, and memory is no limit.
    """
    run = Run(model, configuration, ghosts)
    if properties is None:
        everything = (model.properties | model.witnesses).values()
        properties = [p for p in everything if ghosts_read(model, p) <= ghosts]
    safety = [p for p in properties if p.kind != "witness"]
    witnesses = [p for p in properties if p.kind == "witness"]
    sought = [*witnesses, *(premise for p in safety for premise in premises_of(model, p))]
    agreed = agreement(model, configuration)
    if agreed.difference:
        names = [p.name for p in safety]
        return Explored(run, 1, why=str(agreed), properties=names, agreement=agreed)
    memory = limits.memory and limits.memory * 2**20
    states: States
    if disk:
        states = stored(engine, run, safety, sought, disk, symmetry=symmetry)
    else:
        states = search(engine, run, safety, sought, symmetry=symmetry, memory=memory)
    looking = _Search(states, safety, sought, limits, progress)
    saved: _Saved | _OnDisk | None = None
    if checkpoint:
        saved = _Saved(looking, states, checkpoint, [*safety, *sought])
    if isinstance(states, Stored):
        saved = _OnDisk(looking, states)
    try:
        announce(states.estimate())
        looking.go()
    except KeyboardInterrupt:
        looking.result.why = "interrupted"
    if saved:
        saved.close()
    looking.finish()
    looking.result.agreement = agreed
    return looking.result


class _Saved:
    """The checkpoint of a search: taken up where there is one, written or removed at the end."""

    def __init__(self, looking: _Search, states: States, path: Path, properties: list[Property]) -> None:
        if not isinstance(states, Packed):
            raise UsageError("the engine python keeps no checkpoint: use --engine numpy or native")
        self.looking, self.states, self.path = looking, states, path
        self.key = checkpoints.digest(states.run, properties, states.order)
        if path.exists():
            place, rows = checkpoints.load(path, self.key)
            states.restore(rows)
            looking.resume(place)

    def close(self) -> None:
        """Keep what was found where the search is not over."""
        if self.looking.result.over:
            self.path.unlink(missing_ok=True)
        else:
            checkpoints.save(self.path, self.key, self.looking.place, self.states.rows[: self.states.size])


class _OnDisk:
    """A search on disk: taken up where there is one, kept after each level, removed when it is over."""

    def __init__(self, looking: _Search, states: Stored) -> None:
        self.looking, self.states = looking, states
        looking.keep = states.keep
        if states.place:
            looking.resume(states.place)

    def close(self) -> None:
        """Remove what is not needed any more."""
        self.states.close(over=self.looking.result.over)


class _Search:
    """One breadth-first search: judge a level, then take every step from it."""

    def __init__(
        self,
        states: States,
        safety: list[Property],
        sought: list[Property],
        limits: Limits,
        progress: Callable[[SearchProgress], None],
    ) -> None:
        self.states, self.safety, self.sought = states, safety, sought
        self.run, self.limits, self.progress = states.run, limits, progress
        self.met: dict[str, int | None] = {p.name: None for p in sought}  # the depth at which each was
        self.levels, self.end = [0], 0  # where each level starts, and where the last one ends
        self.result = Explored(
            self.run,
            states.order,
            states.why,
            properties=[p.name for p in safety],
        )
        self.witnesses_only = bool(sought) and not safety
        self.place = self._here(0)
        self.keep: Callable[[SearchPlace], None] = lambda place: None  # told where each level ends
        self.started = self.reported = self.entered = time.perf_counter()

    def go(self) -> None:
        """Search until everything is seen, a property is broken, or a limit is met."""
        lo, hi = self.levels[-1], self.end or self.states.size
        while lo < hi:
            if not self._judged(lo, hi) or not self._expanded(max(lo, self.place.at), hi):
                return
            lo, hi = hi, self.states.size
            if lo < hi:
                self.levels.append(lo)
                self.end = hi
                self.result.depth += 1
                self.keep(self._here(lo))
        self.result.exhausted = True

    def _here(self, at: int) -> SearchPlace:
        """How far it is: complete before the state `at`."""
        tally, met = self.states.tally, dict(self.met)
        counts = tally.taken.tolist(), tally.cut.tolist(), list(tally.stuck), list(tally.failed)
        return SearchPlace([*self.levels], self.end, at, *counts, met)

    def resume(self, place: SearchPlace) -> None:
        """Go on from there."""
        self.levels, self.end, self.place = [*place.levels], place.end, place
        self.result.taken_up = self.states.size
        tally = self.states.tally
        tally.taken[:], tally.cut[:] = place.taken, place.cut
        tally.stuck, tally.failed = [*place.stuck], [*place.failed]
        self.met, self.result.depth = dict(place.met), len(place.levels) - 1

    def finish(self) -> None:
        """Write down what was counted."""
        result, tally = self.result, self.states.tally
        result.states, result.seconds = self.states.size, time.perf_counter() - self.started
        result.transitions, result.cut = int(tally.taken.sum()), int(tally.cut.sum())
        result.premises = {p: self.met[p.name] for p in self.sought if isinstance(p, Premise)}
        witnesses = [p for p in self.sought if not isinstance(p, Premise)]
        result.witnesses = {w.name: self.met[w.name] for w in witnesses}
        model, at = self.run.model, self.run.configuration
        result.untried = untried(model, at, [*self.safety, *witnesses])
        result.cut += sum(1 for _ in above(model, at))  # steps whose parameters no run here tries
        for position, times in zip(self.states.instances, (tally.taken + tally.cut).tolist(), strict=True):
            if times:
                result.fired[self.run.instances[position].action.name] += times

    def _judged(self, lo: int, hi: int) -> bool:
        """Look for broken properties, witnesses and premises in a level. False: the search is over."""
        found = self.states.broken(lo, hi) if self.safety else None
        if found:
            return self._fail(self.safety[found[0]].name, found[1])
        if None in self.met.values():
            for prop, here in zip(self.sought, self.states.reached(lo, hi), strict=True):
                if here and self.met[prop.name] is None:
                    self.met[prop.name] = self.result.depth
        if self.witnesses_only and None not in self.met.values():
            self.result.exhausted = True
            return False
        return True

    def _expanded(self, lo: int, hi: int) -> bool:
        """Take every step from a level. False: the search is over."""
        tally = self.states.tally
        self.end, self.entered, first = hi, time.perf_counter(), lo
        for start in range(lo, hi, self.states.batch):
            self.place, end = self._here(start), min(start + self.states.batch, hi)
            try:
                self.states.advance(start, end)
            except Full:
                self.result.why = self._full()
                return False
            if tally.failed or tally.stuck:
                continue  # finish the level, so that the smallest violating state is reported
            if self._stops(hi, end - first):
                return False
        try:
            self.states.settle()
        except Full:
            self.result.why = self._full()
            return False
        self.place = self._here(hi)
        if tally.failed:
            return self._fail("claim", self.states.first(tally.failed))
        return self._fail("deadlock", self.states.first(tally.stuck)) if tally.stuck else True

    def _full(self) -> str:
        """Why no state finds room."""
        if isinstance(self.states, Stored):
            return f"stopped: the disk of {self.states.folder} is full"
        return f"stopped at {self.limits.memory or used_memory():,} MiB of memory"

    def _fail(self, what: str, position: int) -> bool:
        steps = concrete(self.run, self._path(position), self.states.canonical)
        last = steps[-1][1] if steps else self.run.initial
        args: tuple[int, ...] = ()
        if what in self.run.model.properties:
            found = self.run.violated(last, {what: self.run.model.properties[what]})
            if not found:  # the compiled engine says broken, the plain interpreter does not
                raise Disagreement(f"the engines disagree on {what}")
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
        raise Disagreement("the engines disagree on a claim")

    def _path(self, position: int) -> list[State]:
        """The canonical states from the initial one to this, found by walking the levels back."""
        path = [position]
        before = [start for start in self.levels if start <= position]  # the last is the level of the state
        for lo, hi in reversed(list(pairwise(before))):
            path.append(self.states.predecessor(path[-1], lo, hi))
        return [self.states.state(p) for p in reversed(path)]

    def _stops(self, hi: int, expanded: int) -> bool:
        """Report progress now and then; True where a limit is met. `expanded` of a level that ends at hi."""
        states = self.states.size
        if self.limits.states is not None and states > self.limits.states:
            self.result.why = f"stopped at {self.limits.states:,} states"
            return True
        now = time.perf_counter()
        if now - self.reported < REPORT_EVERY:
            return False
        self.reported = now
        depth, taken_up = self.result.depth, self.result.taken_up
        level = (hi - self.levels[-1], expanded, now - self.entered)
        self.progress(SearchProgress(states, states - hi, depth, now - self.started, taken_up, *level))
        if self.limits.memory and used_memory() > self.limits.memory:
            self.result.why = f"stopped at {self.limits.memory:,} MiB of memory"
            return True
        return False


def used_memory() -> int:
    """The most memory that this process has held, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB here
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20


def concrete(
    run: Run, path: list[State], canonical: Callable[[State], State] = lambda state: state
) -> list[tuple[int, State]]:
    """A run of the plain interpreter that passes through these canonical states.

    With symmetry the states on `path` are representatives; each step here is one that the oracle
    takes from the state actually reached, so the run printed is a run of the model.
    """
    state, steps = run.initial, []
    for target in path[1:]:
        for position, after in run.steps(state):
            if after is not None and canonical(after) == target:
                steps.append((position, after))
                state = after
                break
        else:
            raise Disagreement("the plain interpreter takes no step that the compiled engine took")
    return steps


def explore_all(
    model: Model,
    configuration: Configuration,
    *,
    only: list[str] | None = None,
    symmetry: bool = True,
    engine: str = "numpy",
    limits: Limits = Limits(),
    progress: Callable[[SearchProgress], None] = lambda _: None,
    announce: Callable[[str], None] = lambda _: None,
    checkpoint: Path | None = None,
    disk: Path | None = None,
) -> Iterator[Explored]:
    """Explore all that a model's properties ask for: one result for each set of ghost fields needed."""
    for ghosts, properties in plan(model, only):
        yield explore(
            model,
            configuration,
            ghosts=ghosts,
            properties=properties,
            symmetry=symmetry,
            engine=engine,
            limits=limits,
            progress=progress,
            announce=announce,
            checkpoint=checkpoint,
            disk=disk,
        )
