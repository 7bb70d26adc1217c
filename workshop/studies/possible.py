"""possible: can a good state still be reached, from every state that a run may get into early on?

Between safety and liveness (AG EF in CTL): it does not say that anything happens, only that nothing
rules it out. It needs no assumption of fairness, and what is not possible is not available either. A
bounded run rules out what lies beyond its bound, so the states asked about are those of an early phase, and
the bound leaves room after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from oneleader.language.configuration import Configuration
from oneleader.language.definitions import Property
from oneleader.language.model import Model
from oneleader.readers.engines.scalar import Scalar
from oneleader.readers.explore.explore import ghosts_read
from oneleader.readers.explore.graph import Graph
from oneleader.readers.run import Run, State
from oneleader.verdict import HOLDS, VIOLATED, Verdict


@dataclass(frozen=True)
class Possible:
    """How many states were asked about, and a shortest run to one from which the goal is out of reach."""

    run: Run
    asked: int
    stuck: list[tuple[int, State]] | None

    @property
    def verdict(self) -> Verdict:
        return HOLDS if self.stuck is None else VIOLATED


def possible(
    model: Model, at: Configuration, goal: Property, early: Callable[[dict[str, int]], bool]
) -> Possible:
    """Whether every early state can reach the goal, a witness. `early` is told fields without an index."""
    run = Run(model, at, ghosts_read(model, goal))
    graph = Graph.of(run)
    rows: list[tuple[int, ...]] = graph.states.tolist()
    reached = Scalar(run).reached(goal)
    can = np.array([reached(row) for row in rows], bool)
    before, after = graph.steps[:, 0], graph.steps[:, 2]
    while True:  # backwards from the goal, a level at a time
        grown = can.copy()
        grown[before[can[after]]] = True
        if (grown == can).all():
            break
        can = grown
    names = [(i, f.name) for i, (f, _) in enumerate(run.cells.keys) if not f.index]
    asked = [n for n, row in enumerate(rows) if early({name: row[i] for i, name in names})]
    stuck = next((n for n in asked if not can[n]), None)
    return Possible(run, len(asked), None if stuck is None else _path(graph, stuck))


def _path(graph: Graph, number: int) -> list[tuple[int, State]]:
    """A shortest run to a state: the states are numbered breadth first."""
    states = graph.plain()
    first_step = {int(after): (int(b), int(i)) for b, i, after in graph.steps[::-1].tolist()}
    path: list[tuple[int, State]] = []
    while number:
        before, instance = first_step[number]
        path.append((instance, states[number]))
        number = before
    return path[::-1]
