"""compiled: a model run without bounds, its actions compiled from their traces.

The same as `candidates.OpenRun`, which calls the actions themselves and is the oracle that this is compared
with; and at a cost that depends neither on the length of a log nor on how many rounds, terms or values have
appeared. Cells that actions rewrite together are kept as rows (`rows`), which candidates share until they
write to them. History that would cost the length of the log is not kept (`lost`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, NoReturn

from oneleader.errors import Inexpressible, SpecError
from oneleader.language.definitions import Action
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.language.sorts import LONG_AGO, NIL, is_enum, is_number, is_set
from oneleader.language.trace import trace_action
from oneleader.readers.replay.candidates import (
    PASSED_OVER,
    UNSET,
    Candidate,
    Cell,
    Judge,
    LineRefused,
    OpenRun,
    call_of,
    show,
)
from oneleader.readers.replay.effects import ActionText, Costly, row_kinds
from oneleader.readers.replay.judges import JudgeText
from oneleader.readers.replay.rows import NumberRow, Row, SetRow
from oneleader.readers.replay.triggers import Trigger


class CompiledCandidate(Candidate):
    """A candidate whose cells are rows where the run has them. `owned` are the rows that it alone has."""

    __slots__ = ("_run", "owned", "touched", "whole")
    _run: CompiledRun

    def __init__(self, run: CompiledRun, changes: dict[Cell, Any]) -> None:
        super().__init__(run, changes)
        self.owned: set[Cell] = set()
        self.touched: list[Cell] = []
        self.whole: set[str] = set()

    def copy(self) -> CompiledCandidate:
        self.owned = set()  # of both
        return CompiledCandidate(self._run, self._changes.copy())

    def get(self, name: str, index: Any = ()) -> Any:
        if name not in self._run.kinds:
            return super().get(name, index)
        return self.row(name, _prefix(index)).get(index[-1])

    def put(self, name: str, index: Any, value: Any) -> None:
        self.touched.append((name, index))
        if name in self._run.kinds:
            self.own(name, _prefix(index)).put(index[-1], value)
        else:
            super().put(name, index, value)

    def act(self, name: str, *args: Any) -> None:
        self._run.take(self, self._run.model.actions[name], args)
        self.steps.append(name)

    def touches(self) -> Iterable[Cell]:
        return self.touched

    def forget_steps(self) -> None:
        super().forget_steps()
        self.touched, self.whole, self.owned = [], set(), set()

    # -- rows ----------------------------------------------------------------------------------------
    def row(self, name: str, prefix: Any) -> Any:
        """The row, to read."""
        cell = (name, prefix)
        found = self._changes.get(cell)
        return found or self._run.shared.get(cell) or self._run.empty[name]

    def own(self, name: str, prefix: Any) -> Any:
        """The row, to write to."""
        cell = (name, prefix)
        if cell in self.owned:
            return self._changes[cell]
        return self.set(name, prefix, self.row(name, prefix).copy())

    def set(self, name: str, prefix: Any, row: Any) -> Any:
        self._changes[name, prefix] = row
        self.owned.add((name, prefix))
        return row


def _prefix(index: tuple[Any, ...]) -> Any:
    return index[0] if len(index) == 2 else index[:-1]


class CompiledRun(OpenRun):
    """A model without bounds. `slow` names what costs as much as there are numbers; `text` is the program."""

    now: CompiledCandidate

    def __init__(
        self,
        model: Model,
        constants: Mapping[str, Container[Any]],
        parameters: Mapping[str, int] | None = None,
        *,
        history: bool = False,
    ) -> None:
        self.kinds: dict[str, str] = {}
        super().__init__(model, constants, parameters, history=history)
        traced = {name: trace_action(model, action) for name, action in model.actions.items()}
        self.kinds.update(row_kinds(model, traced))
        self.empty: dict[str, Row] = {
            name: (NumberRow if kind == "number" else SetRow)(model.fields[name].init)
            for name, kind in self.kinds.items()
        }
        for sort in model.sorts.values():
            if is_set(sort):
                self.elements.setdefault(sort, {})
            elif is_number(sort):
                self.greatest.setdefault(sort, 0)
        self.text, self.slow = self._written(traced)
        self.names = self._names(constants, parameters or {})
        exec(compile(self.text, f"<{model.name}>", "exec"), self.names)
        self.takes: dict[str, Callable[..., int | None]] = {name: self.names[name] for name in model.actions}

    def candidate(self, changes: dict[Cell, Any]) -> CompiledCandidate:
        return CompiledCandidate(self, changes)

    def is_initial(self, cell: Cell, value: Any) -> bool:
        return cell[0] not in self.kinds and super().is_initial(cell, value)

    def take(self, state: CompiledCandidate, action: Action, args: tuple[Any, ...]) -> None:
        """The step, in place; LineRefused where a guard forbids it."""
        self.now = state
        found = self.takes[action.name](*args)
        if found is None:
            return
        call = call_of(action, args)
        if found == -1:
            raise LineRefused(f"{call}: what it claims of this state does not hold", call)
        raise LineRefused(f"{call}: {action.guards[found]}", call, action.guards[found])

    def judging(self, trigger: Trigger) -> Judge:
        text = JudgeText(self.model, self.kinds, trigger).function("judge")
        exec(compile(text, f"<{trigger.property.name}>", "exec"), self.names)
        judge: Judge = self.names["judge"]
        return judge

    # -- the program ------------------------------------------------------------------------------------
    def _written(self, traced: Mapping[str, Any]) -> tuple[str, dict[str, list[str]]]:
        """The text of all actions. Anew without a ghost field that is found to be costly."""
        while True:
            slow: dict[str, list[str]] = {}
            parts = []
            try:
                for name, of in traced.items():
                    written = ActionText(self.model, self.kinds, self.lost, of)
                    parts.append(written.function())
                    slow[name] = written.slow
                return "\n".join(parts), {name: found for name, found in slow.items() if found}
            except Costly as ghost:
                self.lose(str(ghost))

    def _names(
        self, constants: Mapping[str, Container[Any]], parameters: Mapping[str, int]
    ) -> dict[str, Any]:
        """What the program calls by name."""
        names: dict[str, Any] = {"NIL": NIL, "LONG_AGO": LONG_AGO, "greatest": self.greatest}
        names["PASSED_OVER"] = PASSED_OVER
        names |= {"twice": _twice, "endless": _endless, "uncountable": _uncountable} | self._touching()
        for sort in self.model.sorts.values():
            names[getattr(sort, "__name__", "")] = sort
            if is_set(sort):
                names[f"elements_{sort.__name__}"] = self.elements[sort]
        for f in self.model.fields.values():
            if is_enum(f.of):
                names[f.of.__name__] = f.of
            if f.kind == "constant":
                names[f"constant_{f.name}"] = constants.get(f.name, ())
            elif f.kind == "parameter":
                names[f"parameter_{f.name}"] = parameters[f.name]
            elif f.name in self.kinds:
                names |= self._of_rows(f.name)
            else:
                names |= self._of_cells(f)
        return names

    def _of_cells(self, f: Field) -> dict[str, Any]:
        name, initial, shared, run = f.name, f.init, self.shared, self

        def get(key: Any) -> Any:
            cell = (name, key)
            value = run.now.changes.get(cell, UNSET)
            return shared.get(cell, initial) if value is UNSET else value

        def put(key: Any, value: Any) -> None:
            cell, state = (name, key), run.now
            state.touched.append(cell)
            if shared.get(cell, initial) == value:
                state.changes.pop(cell, None)
            else:
                state.changes[cell] = value

        return {f"get_{name}": get, f"put_{name}": put}

    def _of_rows(self, name: str) -> dict[str, Any]:
        run = self

        def row(prefix: Any) -> Any:
            return run.now.row(name, prefix)

        def own(prefix: Any) -> Any:
            return run.now.own(name, prefix)

        def set(prefix: Any, row: Any) -> None:
            run.now.set(name, prefix, row)
            run.now.whole.add(name)

        def put(key: Any, value: Any) -> None:
            run.now.touched.append((name, key))
            run.now.own(name, _prefix(key)).put(key[-1], value)

        return {f"row_{name}": row, f"own_{name}": own, f"set_{name}": set, f"put_{name}": put}

    def _touching(self) -> dict[str, Any]:
        """How the program notes which cells it has written, for the properties that read them."""
        run = self

        def touch_keys(name: str, prefix: Any, keys: Iterable[Any]) -> None:
            before = prefix if isinstance(prefix, tuple) else (prefix,)
            run.now.touched += [(name, (*before, key)) for key in keys]

        def touch_range(name: str, prefix: Any, start: int, values: list[Any]) -> None:
            touch_keys(name, prefix, range(start, start + len(values)))

        def whole(name: str) -> None:
            run.now.whole.add(name)

        return {"touch_keys": touch_keys, "touch_range": touch_range, "whole": whole}


def _twice(name: str, key: Any) -> NoReturn:
    raise SpecError(f"{name}[{show(key)}] is written twice in one step")


def _endless(field: str) -> NoReturn:
    raise Inexpressible(f"{field} is rewritten at every number, without end")


def _uncountable(sort: str) -> NoReturn:
    raise Inexpressible(f"{sort} has no greatest number here, so none can be counted")
