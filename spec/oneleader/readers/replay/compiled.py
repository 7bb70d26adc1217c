"""compiled: a model run without bounds, its actions compiled from their traces.

The same as `candidates.OpenRun`, which calls the actions themselves and is the oracle that this is compared
with; and at a cost that depends neither on the length of a log nor on how many rounds, terms or values have
appeared. Cells that actions rewrite together are kept as rows (`rows`), which candidates share until they
write to them. History that would cost the length of the log is not kept (`lost`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from types import CodeType
from typing import Any, NamedTuple, NoReturn

from oneleader.errors import Inexpressible, SpecError
from oneleader.language.expr import Expr
from oneleader.language.model import Model
from oneleader.language.sorts import LONG_AGO, NIL, AnySort, is_enum, is_number, is_set
from oneleader.language.trace import ghosts_needed, trace_action, trace_property
from oneleader.readers.replay import access
from oneleader.readers.replay.access import prefix_of
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
        return CompiledCandidate(self._run, self.changes.copy())

    def get(self, name: str, index: Any = ()) -> Any:
        run = self._run
        if name in run.kinds:
            return self.row(name, prefix_of(index)).get(index[-1])
        if self.changes and (value := self.changes.get((name, index), UNSET)) is not UNSET:
            return value
        return run.shared[name].get(index, run.initial.get(name))

    def true_at(self, name: str, index: tuple[Any, ...], among: Iterable[Any]) -> frozenset[Any]:
        if name not in self._run.kinds:
            return super().true_at(name, index, among)
        row = self.row(name, index[0] if len(index) == 1 else index)
        return frozenset(filter(row.get, among))

    def between(self, name: str, prefix: tuple[Any, ...], last: range) -> list[Any]:
        row = self.row(name, prefix[0] if len(prefix) == 1 else prefix) if name in self._run.kinds else None
        if isinstance(row, NumberRow):
            return row.slice(last[0], last[-1])
        return super().between(name, prefix, last)

    def put(self, name: str, index: Any, value: Any) -> None:
        if self._run.in_place:
            return self._run.put_in_place(name, index, value)
        self.touched.append((name, index))
        if name in self._run.kinds:
            self.own(name, prefix_of(index)).put(index[-1], value)
        else:
            super().put(name, index, value)
        return None

    def act(self, name: str, *args: Any) -> None:
        self._run.take(self, name, args)
        self.steps.append(name)

    def touches(self) -> Iterable[Cell]:
        return self.touched

    def forget_steps(self) -> None:
        self.steps.clear()
        if self.touched or self.whole or self.owned:
            self.touched, self.whole, self.owned = [], set(), set()

    # -- rows ----------------------------------------------------------------------------------------
    def row(self, name: str, prefix: Any) -> Any:
        """The row, to read."""
        found = self.changes.get((name, prefix)) if self.changes else None
        return found or self._run.shared[name].get(prefix) or self._run.empty[name]

    def own(self, name: str, prefix: Any) -> Any:
        """The row, to write to."""
        cell = (name, prefix)
        if cell in self.owned:
            return self.changes[cell]
        return self.set(name, prefix, self.row(name, prefix).copy())

    def set(self, name: str, prefix: Any, row: Any) -> Any:
        self.changes[name, prefix] = row
        self.owned.add((name, prefix))
        return row


class ReplayProgram(NamedTuple):
    """The text of all actions of a model; which fields are rows, and which history it does not keep."""

    text: str
    code: CodeType
    in_place: CodeType
    kinds: dict[str, str]
    slow: dict[str, list[str]]
    lost: frozenset[str]


def program_of(model: Model, history: bool) -> ReplayProgram:
    """The program of a model; written once, however many parts of a recording are judged by it."""
    key = (tuple(model.actions.values()), tuple(model.fields.values()), history)
    if key not in PROGRAMS:
        PROGRAMS[key] = written(model, history)
    return PROGRAMS[key]


def written(model: Model, history: bool) -> ReplayProgram:
    """The program; written again without a ghost field that is found to be costly."""
    traced = {name: trace_action(model, action) for name, action in model.actions.items()}
    kinds = row_kinds(model, traced)
    ghosts = {f.name for f in model.fields.values() if f.kind == "ghost"}
    lost: set[str] = set() if history else ghosts
    while True:
        texts = {name: ActionText(model, kinds, lost, of) for name, of in traced.items()}
        try:
            text = "\n".join(of.function() for of in texts.values())
        except Costly as ghost:
            lost |= {g for g in ghosts if str(ghost) in ghosts_needed(model, frozenset({g}))}
            continue
        slow = {name: of.slow for name, of in texts.items() if of.slow}
        in_place = (ActionText(model, kinds, lost, of, is_in_place=True).function() for of in traced.values())
        code, code_in_place = (compile(t, f"<{model.name}>", "exec") for t in (text, "\n".join(in_place)))
        return ReplayProgram(text, code, code_in_place, kinds, slow, frozenset(lost))


PROGRAMS: dict[Any, ReplayProgram] = {}


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
        program = program_of(model, history)
        self.kinds.update(program.kinds)
        self.lost |= program.lost
        self.empty: dict[str, Row] = {
            name: (NumberRow if kind == "number" else SetRow)(model.fields[name].init)
            for name, kind in self.kinds.items()
        }
        self.shared.update((name, defaultdict(empty.copy)) for name, empty in self.empty.items())
        for sort in model.sorts.values():
            if is_set(sort):
                self.elements.setdefault(sort, {})
            elif is_number(sort):
                self.greatest.setdefault(sort, 0)
        self.text, self.slow = program.text, program.slow
        fixed = self._names(constants, parameters or {})
        changing = [f for f in model.fields.values() if not f.fixed]
        self.names = fixed | access.layered(self, changing)
        self.names_in_place = fixed | access.in_place(self, changing)
        self._load(program)

    def _load(self, program: ReplayProgram) -> None:
        self.takes = self._taking(program.code, self.names)
        self.takes_in_place = self._taking(program.in_place, self.names_in_place)

    def lose_history(self) -> None:
        before = len(self.lost)
        super().lose_history()
        if len(self.lost) > before:
            for name in self.lost:
                self.shared[name].clear()
            self._load(program_of(self.model, history=False))

    def unlisted(self) -> list[dict[Any, None]]:
        """The elements of the set sorts of which nothing asks for all: neither a step nor a property."""
        model = self.model
        properties = [*model.properties.values(), *model.axioms.values()]
        asked = {sort for f in model.fields.values() for sort in f.index}
        asked |= {sort for p in properties for _, sort in p.params}
        for p in properties:
            asked |= visited(trace_property(model, p).body)
        for action in model.actions.values():
            traced = trace_action(model, action)
            asked = asked.union(*(visited(e) for _, e in traced.guards), *map(visited, traced.claims))
        return [of for sort, of in self.elements.items() if sort not in asked]

    def candidate(self, changes: dict[Cell, Any]) -> CompiledCandidate:
        return CompiledCandidate(self, changes)

    def is_initial(self, cell: Cell, value: Any) -> bool:
        return cell[0] not in self.kinds and super().is_initial(cell, value)

    def take(self, state: CompiledCandidate, name: str, args: tuple[Any, ...]) -> None:
        """The step, in place; LineRefused where a guard forbids it."""
        self.now = state
        found = (self.takes_in_place if self.in_place else self.takes)[name](*args)
        if found is None:
            return
        action = self.model.actions[name]
        if found == -1:
            call = call_of(action, args)
            raise LineRefused(f"{call}: what it claims of this state does not hold", call)
        raise self.forbidden(action, args, action.guards[found])

    def go_in_place(self, is_so: bool) -> None:
        self.in_place = is_so

    def put_in_place(self, name: str, index: Any, value: Any) -> None:
        """Change a cell of the state that all candidates share."""
        if name in self.kinds:
            self.shared[name][prefix_of(index)].put(index[-1], value)
        elif self.is_initial((name, index), value):
            self.shared[name].pop(index, None)
        else:
            self.shared[name][index] = value

    def judging(self, trigger: Trigger) -> Judge:
        text = JudgeText(self.model, self.kinds, trigger).function("judge")
        exec(compile(text, f"<{trigger.property.name}>", "exec"), self.names)
        judge: Judge = self.names["judge"]
        return judge

    def _taking(self, code: CodeType, names: dict[str, Any]) -> dict[str, Callable[..., int | None]]:
        exec(code, names)
        return {name: names[name] for name in self.model.actions}

    def _names(
        self, constants: Mapping[str, Container[Any]], parameters: Mapping[str, int]
    ) -> dict[str, Any]:
        """What the program calls by name and never changes."""
        names: dict[str, Any] = {"NIL": NIL, "LONG_AGO": LONG_AGO, "greatest": self.greatest}
        names["PASSED_OVER"] = PASSED_OVER
        names |= {"twice": _twice, "endless": _endless, "uncountable": _uncountable}
        names |= {"all_lt": _all_lt, "all_le": _all_le}
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
        return names


def visited(e: Expr) -> set[AnySort]:
    """The sorts over which an expression quantifies."""
    here: set[AnySort] = {e.args[0].sort} if e.op in ("all", "any", "count") else set()
    return here.union(*(visited(a) for a in e.args if isinstance(a, Expr)))


def _twice(name: str, key: Any) -> NoReturn:
    raise SpecError(f"{name}[{show(key)}] is written twice in one step")


def _all_le(xs: list[Any], ys: list[Any]) -> bool:
    return not xs or not ys or max(xs) <= min(ys)


def _all_lt(xs: list[Any], ys: list[Any]) -> bool:
    return not xs or not ys or max(xs) < min(ys)


def _endless(field: str) -> NoReturn:
    raise Inexpressible(f"{field} is rewritten at every number, without end")


def _uncountable(sort: str) -> NoReturn:
    raise Inexpressible(f"{sort} has no greatest number here, so none can be counted")
