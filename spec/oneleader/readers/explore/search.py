"""One breadth-first search: level by level, until everything is seen, a property broken, or a limit met."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from oneleader.errors import Disagreement
from oneleader.language.definitions import Property
from oneleader.readers.beyond import above, untried
from oneleader.readers.explore.checkpoint import SearchPlace
from oneleader.readers.explore.disk import Stored
from oneleader.readers.explore.explored import Explored, SearchProgress, Violation
from oneleader.readers.explore.states import Full, States
from oneleader.readers.premises import Premise
from oneleader.readers.run import ClaimFailed, Run, State

REPORT_EVERY = 0.25  # seconds between two calls of `progress`


@dataclass(frozen=True)
class Limits:
    """Where to stop without an answer. Memory is the whole process, in MiB."""

    states: int | None = None
    memory: int | None = None


NO_LIMITS = Limits()


class BreadthFirst:
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
        """BreadthFirst until everything is seen, a property is broken, or a limit is met."""
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
        counts = zip(self.states.instances, tally.taken.tolist(), tally.cut.tolist(), strict=True)
        for position, taken, cut in counts:
            name = self.run.instances[position].action.name
            if taken + cut:
                result.fired[name] += taken + cut
            if taken:
                result.within.add(name)

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
