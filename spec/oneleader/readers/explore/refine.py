"""refine: each step of a model is a step of the model that it refines, or changes nothing there.

The abstract state is the concrete one with the further fields left out. Fields and sorts are the same
where their names are: each field of the abstract model has to be found in the concrete one, over the same
sorts. Checked on every step of every reachable state of a bounded configuration, or on random runs where
these are too many.

A step that leaves the bound has no state after it, so it is compared with nothing: such steps are
counted. An action of which no step was compared, or an abstract model whose state never changed, leaves
the answer open: inconclusive. A claim that is false in either model is a violation. An abstract action
that no step matched is named, and that is all: a refinement may do less than what it refines.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from oneleader.errors import UsageError
from oneleader.language.configuration import Configuration
from oneleader.language.model import Model, same_name
from oneleader.readers.agree import Agreement, agreement
from oneleader.readers.beyond import untried
from oneleader.readers.engines.scalar import Scalar
from oneleader.readers.explore.explored import Violation
from oneleader.readers.explore.search import concrete
from oneleader.readers.run import ClaimFailed, Run, State
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict


@dataclass
class Refined:
    """What comparing step by step gave. `abstract` counts the steps that are steps there as well."""

    run: Run
    to: Run
    states: int = 0
    abstract: int = 0
    stuttering: int = 0
    cut: int = 0
    seconds: float = 0.0
    taken: Counter[str] = field(default_factory=Counter)  # actions of which a step was compared
    matched: Counter[str] = field(default_factory=Counter)  # abstract actions that a change was a step of
    violation: Violation | None = None
    difference: str = ""  # where traced and plain disagree, or the first states differ
    sampled: str = ""  # the runs and their seed, where not everything was seen
    agreements: tuple[Agreement, ...] = ()

    @property
    def never_taken(self) -> list[str]:
        return [name for name in self.run.model.actions if not self.taken[name]]

    @property
    def never_matched(self) -> list[str]:
        return [name for name in self.to.model.actions if not self.matched[name]]

    @property
    def left_out(self) -> list[str]:
        """The fields of the concrete model that the abstract one does not have."""
        return [f.name for f in self.run.cells.fields if f.name not in self.to.model.fields]

    @property
    def untried(self) -> list[str]:
        """Where a number above the bound may matter to a step."""
        return untried(self.run.model, self.run.configuration, ())

    @property
    def verdict(self) -> Verdict:
        if self.violation or self.difference:
            return VIOLATED
        return INCONCLUSIVE if self.never_taken or not self.matched else HOLDS

    @property
    def why(self) -> str:
        """Why it is not `holds`."""
        if self.difference or self.violation:
            return self.difference or f"{len(self.violation.steps) if self.violation else 0} steps"
        if self.never_taken:
            return f"no step was compared of {', '.join(self.never_taken)}: choose larger bounds"
        return "" if self.matched else "no step changes the abstract model: nothing was compared"

    @property
    def strength(self) -> str:
        at = self.run.configuration.describe()
        return f"sampled, {self.sampled}, in {at}" if self.sampled else f"every step, exhaustive to {at}"


def refine(
    model: Model,
    configuration: Configuration,
    abstract: Model | None = None,
    *,
    runs: int = 0,
    length: int = 200,
    seed: int = 1,
) -> Refined:
    """Check every step, or with `runs` those of random runs; a run to one that the abstract does not allow.

    `abstract` is the model that this one says it refines, unless given.
    """
    abstract = abstract or model.refines
    if abstract is None:
        raise UsageError(f"the model {model.name} refines no other: name the abstract one")
    check_names(model, abstract)
    started = time.perf_counter()
    comparison = _Comparison(Run(model, configuration), Run(abstract, configuration))
    found = comparison.found
    if not found.difference:
        try:
            comparison.sample(runs, length, seed) if runs else comparison.everything()
        except _FalseClaim as false:
            found.difference = str(false)
    found.seconds = time.perf_counter() - started
    return found


def check_names(model: Model, abstract: Model) -> None:
    """UsageError unless each field of the abstract model is one of this model, over the same sorts."""
    same_name(f"{model.name} and {abstract.name}", [*model.sorts.values(), *abstract.sorts.values()])
    for f in abstract.fields.values():
        mine = model.fields.get(f.name)
        if f.kind == "ghost" or (mine and mine == replace(f, init=mine.init)):
            continue
        if mine is None:
            raise UsageError(
                f"{model.name} has no field {f.name}, which {abstract.name} has: they go by name"
            )
        raise UsageError(
            f"{f.name} is not the same in both: a {mine.kind} {mine} in {model.name}, "
            f"a {f.kind} {f} in {abstract.name}"
        )


class _FalseClaim(Exception):
    """A model claims what is false; with the sentence."""


def _successors(run: Run) -> Callable[[State], Iterator[tuple[int, State | None]]]:
    """The steps from a state, by their instances; _FalseClaim where a claim of one is false."""
    scalar = Scalar(run)

    def successors(state: State) -> Iterator[tuple[int, State | None]]:
        try:
            yield from scalar.successors(state)
        except ClaimFailed as failed:
            instance = run.instances[failed.args[0]]
            call = run.configuration.call(instance.action, instance.args)
            raise _FalseClaim(f"{run.model.name} claims of {call} what is false where it is taken") from None

    return successors


class _Comparison:
    """Two models side by side."""

    def __init__(self, run: Run, to: Run) -> None:
        models = (run.model, to.model)
        agreed = tuple(agreement(m, run.configuration) for m in models)
        self.found = Refined(run, to, agreements=agreed)
        self.run, self.to = run, to
        self.successors, self.allowed = _successors(run), _successors(to)
        at = {(f.name, key): i for i, (f, key) in enumerate(run.cells.keys)}
        self.kept = [at[f.name, key] for f, key in to.cells.keys]
        self.known: dict[State, dict[State | None, set[str]]] = {}
        self.found.difference = next((str(a) for a in agreed if a.difference), "")
        if self.image(run.initial) != to.initial:
            self.found.difference = "their first states differ"

    def image(self, state: State) -> State:
        """The state of the abstract model."""
        return tuple(state[i] for i in self.kept)

    def steps(self, state: State) -> Iterator[tuple[int, State, bool]]:
        """Each step that stays in the bound, its state after it, and whether the abstract model allows it."""
        before = self.image(state)
        if before not in self.known:
            names = self.known[before] = dict[State | None, set[str]]()
            for position, after in self.allowed(before):
                names.setdefault(after, set()).add(self.to.instances[position].action.name)
        for position, after in self.successors(state):
            if after is None:
                self.found.cut += 1
                continue
            self.found.taken[self.run.instances[position].action.name] += 1
            yield position, after, self._is_allowed(before, self.image(after))

    def _is_allowed(self, before: State, after: State) -> bool:
        there = self.known[before].get(after)
        if there is not None:
            self.found.abstract += 1
            self.found.matched.update(there if after != before else ())
        elif after == before:
            self.found.stuttering += 1
        return there is not None or after == before

    def everything(self) -> None:
        """Every reachable state, breadth first."""
        parents: dict[State, State | None] = {self.run.initial: None}
        queue = [self.run.initial]
        for state in queue:
            for _, after, allowed in self.steps(state):
                if not allowed:
                    path = [after, state]
                    while (parent := parents[path[-1]]) is not None:
                        path.append(parent)
                    self.found.violation = Violation("refinement", (), concrete(self.run, path[::-1]))
                    return
                if after not in parents:
                    parents[after] = state
                    queue.append(after)
            self.found.states = len(parents)

    def sample(self, runs: int, length: int, seed: int) -> None:
        """Random runs, that take what was taken least."""
        chance, chosen = random.Random(seed), Counter[str]()
        self.found.sampled = f"{runs:,} runs, seed {seed}"
        for _ in range(runs):
            state, path = self.run.initial, list[tuple[int, State]]()
            for _ in range(length):
                steps = [*self.steps(state)]
                self.found.states += 1
                refused = next(((p, after) for p, after, allowed in steps if not allowed), None)
                if refused:
                    self.found.violation = Violation("refinement", (), [*path, refused])
                    return
                moving = [(p, after) for p, after, _ in steps if after != state]
                if not moving:
                    break
                names = {self.run.instances[p].action.name for p, _ in moving}
                name = chance.choices([*sorted(names)], [1 / (1 + chosen[n]) for n in sorted(names)])[0]
                chosen[name] += 1
                some = [s for s in moving if self.run.instances[s[0]].action.name == name]
                position, state = chance.choice(some)
                path.append((position, state))
