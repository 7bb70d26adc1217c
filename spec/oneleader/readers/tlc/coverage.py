"""coverage: which actions a graph fires, and which guards it sees true and false.

Two graphs that are equal say nothing of a rule that neither of them ever asks. So of each action is
counted whether it was taken, and of each of its guards whether it was true, and whether it was false,
for some values of the parameters in some state. Guards are evaluated over all states of the graph that
`explore` found, which is TLC's where the two are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from oneleader.language.model import Model
from oneleader.language.trace import trace_action
from oneleader.readers.engines.ground import Ground
from oneleader.readers.engines.terms import GroundTerm
from oneleader.readers.explore.graph import Graph
from oneleader.verdict import HOLDS, INCONCLUSIVE, Verdict
from oneleader.words import plural


@dataclass(frozen=True)
class ModelCoverage:
    """What there is to see, and what was seen: names like `grant_vote` and `grant_vote.vote_is_free: false`.

    `reasons`: what cannot be seen at small bounds, each with the reason.
    """

    wanted: frozenset[str]
    seen: frozenset[str]
    reasons: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(model: Model, graphs: Iterable[Graph], reasons: Mapping[str, str] | None = None) -> ModelCoverage:
        """What these graphs of the model show together."""
        seen = frozenset(name for graph in graphs for name in (*_fired(graph), *_guards(graph)))
        return ModelCoverage(_wanted(model), seen, reasons or {})

    @property
    def missing(self) -> list[str]:
        """What was not seen and has no reason, and each reason that is no longer needed."""
        stale = [f"{name} is seen: its reason is out of date" for name in self.reasons if name in self.seen]
        return sorted(self.wanted - self.seen - self.reasons.keys()) + stale

    @property
    def verdict(self) -> Verdict:
        """Equal graphs that never ask a rule say nothing of it."""
        return INCONCLUSIVE if self.missing else HOLDS

    def describe(self) -> str:
        """`8 of 8 actions fired, 17 of 17 guards seen true and false`."""
        actions = {name for name in self.wanted if "." not in name}
        guards = {name.partition(":")[0] for name in self.wanted - actions}
        both = guards - {name.partition(":")[0] for name in self.wanted - self.seen}
        told = (
            f"{len(actions & self.seen)} of {plural(len(actions), 'actions')} fired, "
            f"{len(both)} of {plural(len(guards), 'guards')} seen true and false"
        )
        return told + (f", {len(self.reasons)} with a reason" if self.reasons else "")


def _wanted(model: Model) -> frozenset[str]:
    """All that there is to see."""
    guards = [
        f"{name}.{guard.name}"
        for name, action in model.actions.items()
        for guard, _ in trace_action(model, action).guards
    ]
    return frozenset(model.actions) | {f"{guard}: {truth}" for guard in guards for truth in ("true", "false")}


def _fired(graph: Graph) -> set[str]:
    """The actions that are taken, steps that a bound cut left out."""
    instances = graph.run.instances
    return {instances[position].action.name for position in set(graph.steps[:, 1].tolist())}


def _guards(graph: Graph) -> set[str]:
    """Each guard with each truth that it has, for some instance in some state."""
    run, ground = graph.run, Ground(graph.run)
    values = StateColumns(graph.states[: len(graph.states) - graph.left])
    found: set[str] = set()
    for instance in run.instances:
        traced = trace_action(run.model, instance.action)
        environment = dict(zip((p.args[0] for p in traced.params), instance.args, strict=True))
        for guard, expression in traced.guards:
            name = f"{instance.action.name}.{guard.name}"
            if not {f"{name}: true", f"{name}: false"} <= found:
                column = values.of(ground.term(expression, environment))
                found |= {f"{name}: {str(bool(value)).lower()}" for value in np.unique(column)}
    return found


class StateColumns:
    """Evaluates terms over many states at once: a column with one entry a state."""

    def __init__(self, states: npt.NDArray[np.int16]) -> None:
        self.cells = states.astype(np.int64).T
        self._known: dict[int, Any] = {}

    def of(self, term: GroundTerm) -> Any:
        """An array of NumPy."""
        if term.serial not in self._known:
            self._known[term.serial] = np.asarray(getattr(self, f"_{term.op}")(*term.args))
        return self._known[term.serial]

    def _const(self, value: int) -> Any:
        return np.full(self.cells.shape[1], int(value))

    def _cell(self, position: int) -> Any:
        return self.cells[position]

    def _eq(self, x: GroundTerm, y: GroundTerm) -> Any:
        return (self.of(x) == self.of(y)).astype(np.int64)

    def _le(self, x: GroundTerm, y: GroundTerm) -> Any:
        return (self.of(x) <= self.of(y)).astype(np.int64)

    def _add(self, x: GroundTerm, y: GroundTerm) -> Any:
        return self.of(x) + self.of(y)

    def _count(self, *parts: GroundTerm) -> Any:
        return np.sum([self.of(part) for part in parts], axis=0)

    def _and(self, *parts: GroundTerm) -> Any:
        return np.min([self.of(part) for part in parts], axis=0)

    def _or(self, *parts: GroundTerm) -> Any:
        return np.max([self.of(part) for part in parts], axis=0)

    def _not(self, x: GroundTerm) -> Any:
        return 1 - self.of(x)

    def _ite(self, condition: GroundTerm, x: GroundTerm, y: GroundTerm) -> Any:
        return np.where(self.of(condition), self.of(x), self.of(y))

    def _pick(self, index: GroundTerm, *options: GroundTerm) -> Any:
        chosen = np.clip(self.of(index), 0, len(options) - 1)
        return np.choose(chosen, [self.of(option) for option in options])
