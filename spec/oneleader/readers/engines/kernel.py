"""What a compiled engine can do with many packed states at once: the interface of `Vector` and `Native`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from oneleader.errors import SpecError
from oneleader.readers.engines.ground import Ground
from oneleader.readers.engines.packing import Packing, Rows
from oneleader.readers.run import Run

Numbers = npt.NDArray[np.int64]
Truths = npt.NDArray[np.bool_]


@dataclass
class Expanded:
    """The steps from some states: entry i leads from `parents[i]` by `steps[i]` to `rows[i]`.

    steps   positions in `Ground.steps`; a cut step is not among them
    taken   how often each of `Ground.steps` was taken, those left out as idle included, shape (steps,)
    cut     how often each of `Ground.steps` was cut, shape (steps,)
    stuck   which of the states have no step, not even a cut one, shape (states,)
    failed  which of the states break the claim of a step, shape (states,)
    """

    rows: Rows
    parents: Numbers
    steps: Numbers
    taken: Numbers
    cut: Numbers
    stuck: Truths
    failed: Truths


class Kernel(Protocol):
    """A model under a configuration, compiled, with the properties and witnesses to be looked for."""

    run: Run
    ground: Ground
    packing: Packing

    def expand(self, rows: Rows, *, idle: bool = True) -> Expanded:
        """Every step from these states; successors are canonical where symmetry is used.

        Without `idle` a step that changes nothing is left out of the entries (its state is not stuck).
        SpecError where a step writes one cell twice.
        """

    def canonical(self, rows: Rows) -> Rows:
        """The states that stand for these and their renamings; the same rows without symmetry."""

    def broken(self, rows: Rows) -> Numbers:
        """For each state the position of the first property that is false in it, -1 for none."""

    def reached(self, rows: Rows) -> Truths:
        """Which witnesses are true in which state, shape (states, witnesses)."""


@dataclass
class Tally:
    """What expanding has counted so far; the positions are those of `Ground.steps`."""

    taken: Numbers  # steps within the bounds, those that change nothing included
    cut: Numbers
    stuck: list[int] = field(default_factory=list)  # states of the level with no step
    failed: list[int] = field(default_factory=list)  # states of the level that break a claim

    @staticmethod
    def of(ground: Ground) -> Tally:
        return Tally(np.zeros(len(ground.steps), np.int64), np.zeros(len(ground.steps), np.int64))


def clashing(ground: Ground, step: int) -> SpecError:
    """The error of a step that writes one cell twice."""
    instance = ground.run.instances[ground.steps[step].position]
    call = ground.configuration.call(instance.action, instance.args)
    return SpecError(f"{instance.action.place}: {call}: one cell is written twice in one step")


def least(rows: Rows) -> int:
    """The position of the least row: of several states that are equally short to reach, all report one."""
    return int(np.lexsort(rows.T[::-1])[0])
