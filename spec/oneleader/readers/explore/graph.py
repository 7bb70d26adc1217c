"""graph: every reachable state of a small configuration and every step between them, as data.

Two files can be written: DOT, for Graphviz and people, and a NumPy archive, which `twin` compares with
TLC's graph and anybody can read:

| array  | shape, type         | what                                                        |
|--------|---------------------|-------------------------------------------------------------|
| states | (states, cells) i2  | each state, cell by cell, in breadth-first order; NIL is -1 |
| depth  | (states,) u4        | the length of a shortest run to it                          |
| steps  | (steps, 3) u4       | the state before, the instance taken, the state after       |
| said   | bytes, JSON         | the model, a fingerprint of its steps, its configuration,   |
|        |                     | the names of cells and instances                            |
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oneleader.errors import UsageError
from oneleader.readers.explore.checkpoint import digest
from oneleader.readers.explore.states import compiled
from oneleader.readers.run import Run, State

MOST_STATES = 1_000_000  # they and their steps are all in memory
FORMAT = 2
LINE = r"\n"  # within a label of DOT


@dataclass(frozen=True)
class Graph:
    """The graph of a model under a configuration, ghosts as the run keeps them. The arrays are as above.

    `left`: the last states, of which no step was looked for.
    """

    run: Run
    states: npt.NDArray[np.int16]
    depth: npt.NDArray[np.uint32]
    steps: npt.NDArray[np.uint32]
    left: int = 0

    @staticmethod
    def of(run: Run, *, engine: str = "numpy", most: int = MOST_STATES, depth: int | None = None) -> Graph:
        """Explore it, or all runs of up to `depth` steps. UsageError where it has more than `most` states."""
        kernel = compiled(engine, run, [], [], None)
        rows = kernel.packing.pack([run.initial])
        number = {rows[0].tobytes(): 0}
        levels, depths, taken = [rows], [0], [np.empty((0, 3), np.int64)]
        while len(rows) and len(levels) - 1 != depth:
            first = len(number) - len(rows)
            found = kernel.expand(rows)
            after = np.empty(len(found.rows), np.uint32)
            new = []
            for i, row in enumerate(found.rows):
                key = row.tobytes()
                if key not in number:
                    number[key] = len(number)
                    new.append(i)
                after[i] = number[key]
            positions = np.array([step.position for step in kernel.ground.steps])
            taken.append(np.stack([found.parents + first, positions[found.steps], after], axis=1))
            rows = found.rows[new]
            levels.append(rows)
            depths += [len(levels) - 1] * len(rows)
            if len(number) > most:
                raise UsageError(f"more than {most:,} states are too many for a graph: choose smaller bounds")
        everything = kernel.packing.unpack(np.concatenate(levels))
        states = np.array(everything, np.int16).reshape(len(everything), -1)
        steps = np.concatenate(taken).astype(np.uint32)
        return Graph(run, states, np.array(depths, np.uint32), steps, left=len(rows))

    def plain(self) -> list[State]:
        """The states as the plain interpreter writes them."""
        truth = [f.of is bool for f, _ in self.run.cells.keys]
        return [
            tuple(bool(x) if t else x for x, t in zip(row, truth, strict=True))
            for row in self.states.tolist()
        ]

    # -- files ------------------------------------------------------------------------------------
    def write(self, path: Path) -> None:
        """Write it as DOT or as an archive, by the file's ending. UsageError for any other."""
        if path.suffix == ".dot":
            path.write_text("\n".join(self._dot()) + "\n", encoding="utf-8")
        elif path.suffix == ".npz":
            said = np.frombuffer(json.dumps(_said(self.run)).encode(), np.uint8)
            np.savez_compressed(path, states=self.states, depth=self.depth, steps=self.steps, said=said)
        else:
            raise UsageError(f"{path} ends in neither .dot nor .npz: choose one of them")

    def _dot(self) -> Iterator[str]:
        """Each state labelled with what differs from the initial one, each edge with its steps."""
        at = self.run.configuration
        yield f"digraph {self.run.model.name} {{"
        yield '  node [shape=box fontname="monospace"]; edge [fontname="monospace"];'
        for number, state in enumerate(self.plain()):
            told = [
                f"{_cell(self.run, i)} = {at.show(f.of, state[i])}"
                for i, (f, _) in enumerate(self.run.cells.keys)
                if state[i] != self.run.initial[i]
            ]
            yield f'  s{number} [label="{LINE.join(told) or "initial"}"];'
        edges: dict[tuple[int, int], list[str]] = {}
        for before, position, after in self.steps.tolist():
            instance = self.run.instances[position]
            edges.setdefault((before, after), []).append(at.call(instance.action, instance.args))
        for (before, after), calls in edges.items():
            yield f'  s{before} -> s{after} [label="{LINE.join(calls)}"];'
        yield "}"

    @staticmethod
    def read(path: Path, run: Run) -> Graph:
        """An archive of this very model and configuration; UsageError where it is anything else."""
        try:
            with np.load(path) as archive:
                said = json.loads(archive["said"].tobytes())
                states, depth, steps = (archive[name] for name in ("states", "depth", "steps"))
        except (ValueError, KeyError, EOFError):
            raise UsageError(f"{path} is no graph: write one with `oneleader graph`") from None
        if said != _said(run):
            raise UsageError(
                f"{path} is the graph of another model, of an earlier text of this one, of other bounds, "
                "or of another oneleader: write it again"
            )
        return Graph(run, states, depth, steps)


def _said(run: Run) -> dict[str, Any]:
    """What the numbers stand for."""
    at = run.configuration
    return {
        "format": FORMAT,
        "model": run.model.name,
        "of": digest(run, [], 1),  # two of one name, or before and after an edit, are not the same
        "configuration": at.describe(),
        "elements": {sort: list(names) for sort, names in at.elements.items()},
        "constants": {name: sorted(map(list, true_at)) for name, true_at in at.constants.items()},
        "cells": [_cell(run, i) for i in range(len(run.cells.keys))],
        "instances": [at.call(i.action, i.args) for i in run.instances],
    }


def _cell(run: Run, position: int) -> str:
    """`votes[n1, n2]`."""
    f, key = run.cells.keys[position]
    shown = [run.configuration.show(s, k) for s, k in zip(f.index, key, strict=True)]
    return f"{f.name}[{', '.join(shown)}]" if shown else f.name
