"""agreed: what lines said before and what still stands, so that it need not be judged again.

    observations  A line mostly shows what its node's line before showed. Where that was read as the very same
                  observations, and no step has written those cells since, the model has it still.
    steps         A heartbeat mostly is like the one before. An action that reads nothing of what it writes
                  changes nothing where it is taken again, and nothing forbids it, until another step writes
                  something that it reads or writes.

This is for a recording that names its steps and is followed in one state, in place: who explains lines
otherwise forgets all (`start_again`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile
from typing import Any

from oneleader.language.definitions import Action
from oneleader.language.expr import Expr, is_const
from oneleader.language.model import Model
from oneleader.language.trace import Update, trace_action
from oneleader.readers.replay.formats.observed import Call
from oneleader.readers.replay.formats.values import Observed
from oneleader.readers.replay.literals import cases, equated

NEVER = -1
MOST_STEPS = 1 << 14  # that are remembered
Cells = dict[tuple[Any, ...], Observed]
Place = tuple[str, tuple[int, ...]]  # a field, and which arguments are its first indices
Cell = tuple[Any, ...]  # a field and its first indices


class Agreed:
    """The last observations, by field and index, and when each step was taken last.

    cells  what was observed of each field; only what is there once for each first index may be added
    now    the steps so far
    """

    def __init__(self, model: Model) -> None:
        actions = model.actions.values()
        self._written = {a.name: written_by(model, a) for a in actions}
        self._touched = {a.name: touched for a in actions if (touched := touched_again(model, a))}
        places = [place for touched in self._touched.values() for place in touched]
        self._watched: set[str] = set()  # the fields that steps touch which were asked for
        self._rows = {name for name, of in places if len(of) < len(model.fields[name].index)}
        self.cells: defaultdict[str, Cells] = defaultdict(dict)
        self.now = 0
        self._unchanged: dict[Cell, int] = {}  # an action and its arguments -> when it would change nothing
        self._changed: dict[Cell, int] = {}  # when it was written, alone or with all that begin so
        self._below: dict[Cell, int] = {}  # and when some that begins so was

    def take(self, steps: Iterable[Call], *, in_place: bool = False) -> None:
        """Steps were taken: what they write is to be compared again."""
        for action, args in steps:
            self.now += 1
            for name, indices in self._written[action.name]:
                if cells := self.cells.get(name):
                    if indices:
                        cells.pop((args[indices[0]],), None)
                    else:
                        cells.clear()
                if name in self._watched:
                    self._change((name, *[args[i] for i in indices]))
            is_remembered = in_place and action.name in self._touched
            if is_remembered and (action.name, *args) in self._unchanged:
                self._unchanged[action.name, *args] = self.now
        if len(self._unchanged) + len(self._changed) > MOST_STEPS:
            self._forget_steps()

    def _change(self, cell: Cell) -> None:
        self._changed[cell] = self.now
        if cell[0] in self._rows:
            self._below |= {cell[:n]: self.now for n in range(2, len(cell))}

    def start_again(self) -> None:
        """Something else has changed the state, or there are several."""
        self.cells.clear()
        self._forget_steps()
        self.now += 1

    def _forget_steps(self) -> None:
        self._unchanged.clear()
        self._watched.clear()
        self._changed.clear()
        self._below.clear()

    def new(self, after: Iterable[Observed]) -> list[Observed]:
        """What of it was not observed already, or may have been written since."""
        cells = self.cells
        return [said for said in after if cells[said[0].name].get(said[1]) is not said]

    def would_change(self, action: Action, args: tuple[Any, ...]) -> bool:
        """False where the step was taken since this was asked first, and would do nothing now."""
        touched = self._touched.get(action.name)
        if not touched:
            return True
        told = (action.name, *args)
        at = self._unchanged.setdefault(told, NEVER)
        self._watched.update(name for name, _ in touched if at == NEVER)
        if at == NEVER or (at < self.now and any(self._is_newer(at, args, place) for place in touched)):
            return True
        self._unchanged[told] = self.now
        return False

    def _is_newer(self, at: int, args: tuple[Any, ...], place: Place) -> bool:
        """Whether any of the place was written later than that."""
        cell = (place[0], *[args[i] for i in place[1]])
        starts = (self._changed.get(cell[:n], 0) for n in range(1, len(cell) + 1))
        return self._below.get(cell, 0) > at or any(changed > at for changed in starts)


def written_by(model: Model, action: Action) -> list[Place]:
    """What a step of the action writes."""
    traced = trace_action(model, action)
    position = {p.args[0]: i for i, p in enumerate(traced.params)}
    found: list[Place] = []
    for name, update in traced.updates.items():
        if update.field.kind == "field":  # no line shows history, and no guard reads it
            found += [(name, indices) for indices in sorted(_indices(update, position))]
    return found


def _indices(update: Update, position: Mapping[str, int]) -> set[tuple[int, ...]]:
    """The parameters that are the first indices, of each cell or part of the field that is written."""
    if update.rewriting is None:
        return {_parameters(w.index, position) for w in update.writes}
    first, old = update.variables[0], _old(update)
    fixed = [equated(first, c.where, {*position}) for c in cases(update.rewriting, old)]
    return {_parameters([of[1]] if of else [], position) for of in fixed}


def _parameters(index: Iterable[Expr], position: Mapping[str, int]) -> tuple[int, ...]:
    """Those with which an index begins."""
    first = takewhile(lambda e: e.op == "var" and e.args[0] in position, index)
    return tuple(position[e.args[0]] for e in first)


def touched_again(model: Model, action: Action) -> list[Place]:
    """What a step reads and writes that would change nothing if it were taken again; nothing if it may.

    It reads nothing that it writes. It asks nothing of all elements of a sort, as there may be more of them
    by then, and where it names no cell it writes what stands there initially.
    """
    traced = trace_action(model, action)
    position = {p.args[0]: i for i, p in enumerate(traced.params)}
    computed = [e for _, e in traced.guards] + [*traced.claims]
    for update in traced.updates.values():
        computed += [e for w in update.writes for e in (*w.index, w.value)]
        for case in cases(update.rewriting, _old(update)) if update.rewriting is not None else ():
            if not is_const(case.value, update.field.init):
                return []
            computed += case.where
    parts = [part for e in computed for part in _parts(e)]
    is_history = any(update.field.kind == "ghost" for update in traced.updates.values())
    if is_history or any(e.op in ("all", "any", "count") for e in parts):
        return []
    reads = [e for e in parts if e.op == "read" and not model.fields[e.args[0]].fixed]
    if any(e.args[0] in traced.updates for e in reads):
        return []
    touched = {(e.args[0], _parameters(e.args[1:], position)) for e in reads} | {*written_by(model, action)}
    return sorted(touched) if all(indices for _, indices in touched) else []


def _parts(e: Expr) -> Iterator[Expr]:
    yield e
    for a in e.args:
        if isinstance(a, Expr):
            yield from _parts(a)


def _old(update: Update) -> Expr:
    return Expr("read", (update.field.name, *update.variables), update.field.of)
