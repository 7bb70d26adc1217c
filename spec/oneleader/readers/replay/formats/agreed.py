"""agreed: what nodes showed and the model had, which need not be compared again.

A line mostly shows what its node's line before showed. Where that was read as the very same observations, and
no step has written those cells since, the model has it still. This is for a recording that names its steps
and is followed in one state, in place: who explains lines otherwise forgets all (`start_again`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from oneleader.language.definitions import Action
from oneleader.language.expr import Expr
from oneleader.language.model import Model
from oneleader.language.trace import Update, trace_action
from oneleader.readers.replay.formats.observed import Call
from oneleader.readers.replay.formats.values import Observed
from oneleader.readers.replay.literals import cases, equated

Cells = dict[tuple[Any, ...], Observed]
Written = tuple[str, int | None]  # a field, and which argument is the first index wherever it is written


class Agreed:
    """The last observations, by field and index."""

    def __init__(self, model: Model) -> None:
        self._written = {a.name: written_by(model, a) for a in model.actions.values()}
        self._cells: defaultdict[str, Cells] = defaultdict(dict)

    def take(self, steps: Iterable[Call]) -> None:
        """Steps were taken: what they write is to be compared again."""
        for action, args in steps:
            for name, first in self._written[action.name]:
                if first is None:
                    self._cells[name].clear()
                else:
                    self._cells[name].pop((args[first],), None)

    def start_again(self) -> None:
        """Something else has changed the state, or there are several."""
        self._cells.clear()

    def of(self, field: str) -> Cells:
        """What was observed of a field. Only what is there once for each first index may be added."""
        return self._cells[field]

    def has(self, after: Iterable[Observed]) -> bool:
        """All of it was observed already, and no step has written any of it since."""
        cells = self._cells
        return all(cells[said[0].name].get(said[1]) is said for said in after)


def written_by(model: Model, action: Action) -> list[Written]:
    """What a step of the action writes."""
    traced = trace_action(model, action)
    parameters = [p.args[0] for p in traced.params]
    found: list[Written] = []
    for name, update in traced.updates.items():
        if update.field.kind == "field":  # no line shows history
            firsts = _first_indices(update, set(parameters))
            one = firsts.pop() if len(firsts) == 1 else None
            found.append((name, None if one is None else parameters.index(one)))
    return found


def _first_indices(update: Update, parameters: set[str]) -> set[str | None]:
    """The parameters that are the first index of what is written; None for anything else."""
    if update.rewriting is None:
        first: list[Expr | None] = [w.index[0] if w.index else None for w in update.writes]
    else:
        old = Expr("read", (update.field.name, *update.variables), update.field.of)
        fixed = [equated(update.variables[0], c.where, parameters) for c in cases(update.rewriting, old)]
        first = [of[1] if of else None for of in fixed]
    return {e.args[0] if e is not None and e.op == "var" else None for e in first}
