"""walk: random runs, for configurations too large to be explored.

Only enabled steps that change something are drawn: first an action, the more likely the less it has
been taken so far, then one of its instances. So rare actions are seen, and no run idles. The same
seed gives the same walk.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field

from oneleader.language.configuration import Configuration
from oneleader.language.model import Model
from oneleader.readers.engines.scalar import Scalar
from oneleader.readers.explore import Violation
from oneleader.readers.run import ClaimFailed, Run, State


@dataclass
class Walked:
    """What a number of random runs gave. Absence of a violation is a sample, not a proof."""

    run: Run
    seed: int
    verdict: str = "holds"  # in the states sampled; or "violated"; "inconclusive" when interrupted
    why: str = ""
    runs: int = 0
    steps: int = 0
    seconds: float = 0.0
    fired: Counter[str] = field(default_factory=Counter)
    witnesses: dict[str, bool] = field(default_factory=dict)
    violation: Violation | None = None

    @property
    def never_fired(self) -> list[str]:
        """Actions that no step of any run took."""
        return [name for name in self.run.model.actions if not self.fired[name]]

    @property
    def strength(self) -> str:
        return f"sampled, {self.runs:,} runs, {self.steps:,} steps"


def walk(
    model: Model, configuration: Configuration, *, seed: int, runs: int = 200, length: int = 100
) -> Walked:
    """`runs` random runs of at most `length` steps each, every state judged by every property.

    All ghost fields are kept. A run ends early where no step is left within the bound.
    """
    ghosts = frozenset(f.name for f in model.fields.values() if f.kind == "ghost")
    run = Run(model, configuration, ghosts)
    result = Walked(run, seed, witnesses=dict.fromkeys(model.witnesses, False))
    started = time.perf_counter()
    try:
        _Walker(run, result).go(runs, length)
    except KeyboardInterrupt:
        result.verdict, result.why = "inconclusive", "interrupted"
    result.seconds = time.perf_counter() - started
    return result


class _Walker:
    def __init__(self, run: Run, result: Walked) -> None:
        self.run, self.result, self.random = run, result, random.Random(result.seed)
        self.engine = Scalar(run)
        self.broken = self.engine.broken([*run.model.properties.values()])
        self.reached = {w.name: self.engine.reached(w) for w in run.model.witnesses.values()}

    def go(self, runs: int, length: int) -> None:
        for _ in range(runs):
            self.result.runs += 1
            self._one(length)
            if self.result.violation:
                self.result.verdict = "violated"
                return

    def _one(self, length: int) -> None:
        """One run from the initial state."""
        state, taken = self.run.initial, list[tuple[int, State]]()
        for _ in range(length):
            step = self._draw(state, taken)
            if step is None:
                return
            taken.append(step)
            state = step[1]
            self.result.steps += 1
            if not self._judge(state, taken):
                return

    def _draw(self, state: State, taken: list[tuple[int, State]]) -> tuple[int, State] | None:
        """An enabled step within the bound that changes the state, or None where there is none."""
        try:
            steps = self.engine.successors(state)
        except ClaimFailed:
            self.result.violation = Violation("claim", (), taken)
            return None
        by_action: dict[str, list[tuple[int, State]]] = {}
        for position, after in steps:
            if after is not None and after != state:
                by_action.setdefault(self.run.instances[position].action.name, []).append((position, after))
        if not by_action:
            if not steps:
                self.result.violation = Violation("deadlock", (), taken)
            return None
        names = list(by_action)
        weights = [1 / (1 + self.result.fired[name]) for name in names]
        (name,) = self.random.choices(names, weights)
        self.result.fired[name] += 1
        return self.random.choice(by_action[name])

    def _judge(self, state: State, taken: list[tuple[int, State]]) -> bool:
        """False where a property is broken."""
        for name, reached in self.reached.items():
            if not self.result.witnesses[name] and reached(state):
                self.result.witnesses[name] = True
        broken = self.broken(state)
        if broken:
            found = self.run.violated(state, {broken.name: broken})
            assert found, f"the engines disagree on {broken.name}"
            self.result.violation = Violation(broken.name, found[1], taken)
        return not broken
