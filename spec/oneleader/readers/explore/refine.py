"""refine: each step of a model is a step of the model that it refines, or changes nothing there.

The abstract state is the concrete one with the further fields left out. Checked on every step of
every reachable state of a bounded configuration.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from oneleader.errors import UsageError
from oneleader.language.configuration import Configuration
from oneleader.language.model import Model
from oneleader.readers.engines.scalar import Scalar
from oneleader.readers.explore.explore import Violation, concrete
from oneleader.readers.run import Run, State
from oneleader.verdict import HOLDS, VIOLATED, Verdict


@dataclass(frozen=True)
class Refined:
    """What comparing step by step gave. `abstract` counts the steps that are steps there as well."""

    run: Run
    states: int
    abstract: int
    stuttering: int
    seconds: float
    violation: Violation | None = None

    @property
    def verdict(self) -> Verdict:
        return VIOLATED if self.violation else HOLDS

    @property
    def strength(self) -> str:
        return f"every step, exhaustive to {self.run.configuration.describe()}"


def refine(model: Model, configuration: Configuration) -> Refined:
    """Check every step; the shortest run to one that the abstract model does not allow, if there is one."""
    if model.refines is None:
        raise UsageError(f"the model {model.name} refines no other")
    started = time.perf_counter()
    run, abstract = Run(model, configuration), Run(model.refines, configuration)
    engine, allowed = Scalar(run), Scalar(abstract)
    kept = [i for i, (field, _) in enumerate(run.cells.keys) if field in abstract.cells.fields]
    parents: dict[State, State | None] = {run.initial: None}
    known: dict[State, frozenset[State | None]] = {}
    steps = stuttering = 0
    queue = [run.initial]

    def result(violation: Violation | None) -> Refined:
        seconds = time.perf_counter() - started
        return Refined(run, len(parents), steps, stuttering, seconds, violation)

    for state in queue:
        before = tuple(state[i] for i in kept)
        if before not in known:
            known[before] = frozenset(after for _, after in allowed.successors(before))
        for _, after in engine.successors(state):
            if after is None:
                continue
            image = tuple(after[i] for i in kept)
            if image in known[before]:
                steps += 1
            elif image == before:
                stuttering += 1
            else:
                path = [after, state]
                while (parent := parents[path[-1]]) is not None:
                    path.append(parent)
                return result(Violation("refinement", (), concrete(run, path[::-1])))
            if after not in parents:
                parents[after] = state
                queue.append(after)
    return result(None)
