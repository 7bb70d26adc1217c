"""candidates: a model run without bounds, on plain values, in every state that a recording leaves open.

`run` needs a configuration: so many nodes, terms up to so many. A recording knows no such bounds: nodes
join, terms grow. Here a state is a dictionary of the cells that differ from their initial value, and
the actions themselves are called, as `run` does; nothing of the tracing is used.

How an action is read
- A set sort consists of the elements that have appeared so far, in an argument or because a format says
  so (`see`; it has to name every member of a constant). The actions quantify and rewrite over these alone.
- A number sort has no greatest number. Where an action quantifies or rewrites over one, a number above
  all that have appeared stands for the rest: there every cell is still at its initial value. An action
  that would change even those, and a count of numbers, cannot be expressed here, and is refused as such.
- Ghost fields are history for properties: kept where the run is asked to, as far as they can be. One that
  is rewritten at every number, without end, is lost from then on, with those that are computed from it.

A recording may leave open which of several states the cluster is in. `Candidates` follows all of them:
each line is explained from each candidate state, and is refused only if no candidate allows it. What all
candidates agree on is kept once, in `shared`, so a candidate is a small difference and memory grows
with the model's state alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from enum import IntEnum
from functools import reduce
from itertools import product
from math import prod
from typing import Any

from oneleader.errors import Inexpressible, SpecError, UsageError
from oneleader.language.definitions import Action, Definition, Guard, Property
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.language.sorts import NIL, AnySort, OptionSort, Sort, is_number, is_set, reading
from oneleader.language.trace import ghosts_needed
from oneleader.readers.replay.triggers import Trigger
from oneleader.readers.run import ClaimFailed, Disabled, LeftOut, PlainParameter

Cell = tuple[str, Any]  # the name of a field and an index: () for none, a value for one, a tuple for more
UNSET = object()
MOST_BINDINGS = 64  # of one property to one changed cell; where there are more it is not judged
PASSED_OVER = ("passed over",)
# The key of a changed cell, its old and new value -> values for which the property is false, or PASSED_OVER.
Judge = Callable[[tuple[Any, ...], Any, Any], tuple[Any, ...] | None]


class LineRefused(Exception):
    """A line that a state does not allow: a guard, an observation or a property says no."""

    def __init__(self, text: str, action: str = "", guard: Guard | None = None, property: str = "") -> None:
        super().__init__(text)
        self.text, self.action, self.guard, self.property = text, action, guard, property
        self.unsent: Any = None  # the message that the line receives and no line before sends


class NotModelled(Exception):
    """A line that the model does not speak of, and after which nothing can be judged."""


class TooMany(Exception):
    """More candidate states than the limit."""


def show(value: Any) -> str:
    """A value as people write it: `n1`, `3`, `leader`, `NIL`, `true`, `{n1 n2}`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is NIL or value is None:
        return "NIL"
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, dict):
        return ", ".join(f"{n} {v}" for n, v in value.items())
    if isinstance(value, frozenset):
        return "{" + " ".join(sorted(map(show, value))) + "}"
    return str(value)


def call_of(of: Definition, args: tuple[Any, ...]) -> str:
    """`grant_vote(voter=n3, candidate=n2, t=2)`."""
    shown = (f"{name}={show(v)}" for (name, _), v in zip(of.params, args, strict=True))
    return f"{of.name}({', '.join(shown)})"


class Candidate:
    """A state of the model that the recording so far allows, and what a format notes beside it.

    A cell of the model starts at its field's initial value, a note at None. `changes` is what differs from
    the shared part: the identity of this candidate. `steps` holds the actions taken since the last line.
    """

    __slots__ = ("_run", "changes", "steps")

    def __init__(self, run: OpenRun, changes: dict[Cell, Any]) -> None:
        self._run, self.changes = run, changes
        self.steps: list[str] = []

    def copy(self) -> Candidate:
        return Candidate(self._run, self.changes.copy())

    def touches(self) -> Iterable[Cell]:
        """The cells that may have changed since the last line."""
        return list(self.changes)

    @property
    def whole(self) -> Iterable[str]:
        """The fields of which more has changed than `touches` says."""
        return ()

    def forget_steps(self) -> None:
        """What has been done has been judged."""
        self.steps.clear()

    def get(self, name: str, index: Any = ()) -> Any:
        cell = (name, index)
        value = self.changes.get(cell, UNSET)
        return self._run.shared_value(cell) if value is UNSET else value

    def true_at(self, name: str, index: tuple[Any, ...], among: Iterable[Any]) -> frozenset[Any]:
        """Of these last indices those at which a relation is true, behind the others."""
        return frozenset(last for last in among if self.get(name, (*index, last) if index else last))

    def between(self, name: str, prefix: tuple[Any, ...], last: range) -> list[Any]:
        """What stands at these last indices, behind the others."""
        return [self.get(name, (*prefix, i) if prefix else i) for i in last]

    def put(self, name: str, index: Any, value: Any) -> None:
        """Note something. Steps of the model go through `act`."""
        cell = (name, index)
        if value == self._run.shared_value(cell):
            self.changes.pop(cell, None)
        else:
            self.changes[cell] = value

    def start(self, name: str, index: Any, value: Any) -> None:
        """State where a node starts: a cell of the model, of which no step is known."""
        field = self._run.model.fields[name]
        for sort, part in zip(field.index, index if isinstance(index, tuple) else (index,), strict=True):
            self._run.see(sort, part)
        self._run.see(field.of, value)
        self.put(name, index, value)

    def act(self, name: str, *args: Any) -> None:
        """Take a step of the model; LineRefused, with the guard and its clause, where it is not possible."""
        for (field, index), value in self._run.step(self, self._run.model.actions[name], args).items():
            self.put(field, index, value)
        self.steps.append(name)


class OpenField:
    """One field of the state before a step, over domains without bounds, and what the step writes.

    That no action reads what it has written was seen when it was traced; whether two writes coincide
    shows only here.
    """

    def __init__(self, run: OpenRun, field: Field) -> None:
        self.run, self.field = run, field

    def __getitem__(self, key: Any) -> Any:
        return self.run.now.get(self.field.name, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        cell = (self.field.name, key)
        if cell in self.run.writes:
            raise SpecError(f"{self.field.name}[{show(key)}] is written twice in one step")
        self.run.writes[cell] = value
        for sort, part in zip(self.field.index, key if isinstance(key, tuple) else (key,), strict=True):
            self.run.see(sort, part)
        self.run.see(self.field.of, value)

    def where(self, new: Any) -> None:
        changed = {}
        for key in product(*map(self.run.domain, self.field.index)):
            index = key if len(key) != 1 else key[0]
            old = self[index]
            value = new(old, *key)
            if value != old:
                changed[index] = value
                if self._is_beyond(key):
                    raise Inexpressible(f"{self.field} is rewritten at every number, without end")
        for index, value in changed.items():
            self[index] = value

    def _is_beyond(self, key: tuple[Any, ...]) -> bool:
        parts = zip(self.field.index, key, strict=True)
        return any(is_number(sort) and part == self.run.beyond(sort) for sort, part in parts)


class OpenGhost(OpenField):
    """History, which no guard reads: it may be lost where it cannot be expressed."""

    was_read = False  # after it was lost

    def __getitem__(self, key: Any) -> Any:
        self.was_read |= self.field.name in self.run.lost
        return super().__getitem__(key)

    def where(self, new: Any) -> None:
        try:
            super().where(new)
        except Inexpressible:
            self.run.lose(self.field.name)


class OpenConstant:
    """A constant: true at the indices that are in it."""

    def __init__(self, true_at: Container[Any]) -> None:
        self.true_at = true_at

    def __getitem__(self, key: Any) -> bool:
        return (key if isinstance(key, tuple) else (key,)) in self.true_at


OpenView = OpenField | OpenConstant | PlainParameter | LeftOut


class OpenState:
    """The `s` of an action. A field without an index is read and written as an attribute."""

    def __init__(self, model: Model, views: dict[str, OpenView]) -> None:
        scalars = {n: v for n, v in views.items() if not model.fields[n].index}
        indexed = {n: v for n, v in views.items() if n not in scalars}
        history = [v for v in views.values() if isinstance(v, (OpenGhost, LeftOut))]
        self.__dict__.update(indexed, _scalars=scalars, _guards=0, _dropped=frozenset(), _history=history)

    def __getattr__(self, name: str) -> Any:
        return self.__dict__["_scalars"][name][()]

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__["_scalars"][name][()] = value

    def require(self, *guards: Any) -> None:
        self._forget_reads()
        before = self.__dict__["_guards"]  # more than 0 where an action takes over another one
        for position, guard in enumerate(guards, before):
            if guard is False and position not in self.__dict__["_dropped"]:
                raise Disabled(position)
        self.__dict__["_guards"] = before + len(guards)

    def claim(self, *facts: Any) -> None:
        if not self._forget_reads() and not all(facts):
            raise ClaimFailed

    def _forget_reads(self) -> bool:
        """Whether history that is not kept was read since this was asked last: a claim then says nothing."""
        found = [f for f in self.__dict__["_history"] if f.was_read]
        for f in found:
            f.was_read = False
        return bool(found)


class OpenRun:
    """A model without bounds: the reading of its sorts, and one step at a time.

    `constants` says where each constant is true: anything that answers `index in it`. Times are not cut.
    `history`: whether ghost fields are kept; `lost` names those that are not (any more).
    """

    def __init__(
        self,
        model: Model,
        constants: Mapping[str, Container[Any]],
        parameters: Mapping[str, int] | None = None,
        *,
        history: bool = False,
    ) -> None:
        self.model = model
        ghosts = {f.name for f in model.fields.values() if f.kind == "ghost"}
        self.lost: set[str] = set() if history else ghosts
        # The cells on which all candidates agree: the name of a field -> index -> value.
        self.shared: defaultdict[str, dict[Any, Any]] = defaultdict(dict)
        self.initial = {f.name: f.init for f in model.fields.values()}
        self.elements: dict[AnySort, dict[Any, None]] = {}  # set sort -> its elements so far, in order
        self.greatest: dict[AnySort, int] = {}  # number sort -> the greatest so far
        self.in_place = False  # whether steps change the state that they are taken in
        self.forbade: Counter[tuple[str, str]] = Counter()  # (action, guard) -> how many steps it forbade
        self.now = self.candidate({})
        self.writes: dict[Cell, Any] = {}

        views: dict[str, OpenView] = {}
        for f in model.fields.values():
            if f.kind == "constant":
                views[f.name] = OpenConstant(constants.get(f.name, ()))
            elif f.kind == "parameter":
                if f.name not in (parameters or {}):
                    raise UsageError(f"{model.name} needs the parameter {f.name}: the header has to say it")
                views[f.name] = PlainParameter(f, (parameters or {})[f.name])
            else:
                ghost = OpenGhost(self, f) if history else LeftOut(f)
                views[f.name] = OpenField(self, f) if f.kind == "field" else ghost
        for name, true_at in constants.items():
            for index in true_at if isinstance(true_at, frozenset) else ():
                for sort, part in zip(model.fields[name].index, index, strict=True):
                    self.see(sort, part)
        self._state = OpenState(model, views)

    def candidate(self, changes: dict[Cell, Any]) -> Candidate:
        """A state that differs so from what all candidates share."""
        return Candidate(self, changes)

    def go_in_place(self, is_so: bool) -> None:
        """Whether the state before a step may be lost from now on, if that is cheaper. Here it never is."""

    def is_initial(self, cell: Cell, value: Any) -> bool:
        return bool(value == self.initial.get(cell[0]))

    def shared_value(self, cell: Cell) -> Any:
        value = self.shared[cell[0]].get(cell[1], UNSET)
        return self.initial.get(cell[0]) if value is UNSET else value

    def shared_cells(self) -> dict[Cell, Any]:
        """What differs from the initial state in all candidates."""
        return {(name, key): value for name, cells in self.shared.items() for key, value in cells.items()}

    def lose_history(self) -> None:
        """No ghost field says anything from now on."""
        self.lost |= {f.name for f in self.model.fields.values() if f.kind == "ghost"}

    def lose(self, ghost: str) -> None:
        """This ghost field, and each that is computed from it, says nothing from now on."""
        ghosts = (f.name for f in self.model.fields.values() if f.kind == "ghost")
        self.lost |= {g for g in ghosts if ghost in ghosts_needed(self.model, frozenset({g}))}

    # -- what a sort consists of ------------------------------------------------------------------
    def see(self, sort: AnySort, value: Any) -> None:
        """A value has appeared: from now on its sort has it."""
        sort = sort.of if isinstance(sort, OptionSort) else sort
        if is_number(sort):
            if value > self.greatest.get(sort, 0):
                self.greatest[sort] = value
        elif is_set(sort) and value is not NIL:
            self.elements.setdefault(sort, {})[value] = None

    def beyond(self, sort: AnySort) -> int:
        """A number above all that have appeared: it stands for the rest."""
        return self.greatest.get(sort, 0) + 1

    def domain(self, sort: AnySort) -> Iterable[Any]:
        if is_number(sort):
            return range(self.beyond(sort) + 1)
        if is_set(sort):
            return tuple(self.elements.get(sort, ()))
        return (False, True) if sort is bool else tuple(sort)

    def quantify(self, kind: str, sort: type[Sort], body: Any) -> Any:
        if kind == "count" and is_number(sort):
            raise Inexpressible(f"{sort.__name__} has no greatest number here, so none can be counted")
        values = (body(x) for x in self.domain(sort))
        return all(values) if kind == "all" else any(values) if kind == "any" else sum(values)

    # -- steps --------------------------------------------------------------------------------------
    def step(self, state: Candidate, action: Action, args: tuple[Any, ...]) -> dict[Cell, Any]:
        """What the action writes when it is taken in this state; LineRefused where a guard forbids it."""
        for (_, sort), value in zip(action.params, args, strict=True):
            self.see(sort, value)
        self.now, self.writes = state, {}
        dropped = frozenset(i for i, g in enumerate(action.guards) if g.name in action.dropped)
        self._state.__dict__.update(_dropped=dropped, _guards=0)
        try:
            with reading(self):
                action.function(self._state, *args)
        except Disabled as disabled:
            raise self.forbidden(action, args, action.guards[disabled.guard]) from None
        except ClaimFailed:
            call = call_of(action, args)
            raise LineRefused(f"{call}: what it claims of this state does not hold", call) from None
        return self.writes

    def forbidden(self, action: Action, args: tuple[Any, ...], guard: Guard) -> LineRefused:
        """The refusal of a step by a guard, which is counted."""
        self.forbade[action.name, guard.name] += 1
        call = call_of(action, args)
        return LineRefused(f"{call}: {guard}", call, guard)

    def judging(self, trigger: Trigger) -> Judge:
        """A judge of a property where a cell of a field has changed."""
        prop = trigger.property

        def values(i: int, key: tuple[Any, ...], old: Any, new: Any) -> Any:
            if i in trigger.fixed:
                return (key[trigger.fixed[i]],)
            _, sort = prop.params[i]
            is_range = i in trigger.compared and is_number(sort)
            return range(max(0, min(old, new)), max(old, new) + 1) if is_range else self.domain(sort)

        def judge(key: tuple[Any, ...], old: Any, new: Any) -> Any:
            domains = [values(i, key, old, new) for i in range(len(prop.params))]
            if prod(map(len, domains)) > MOST_BINDINGS:
                return PASSED_OVER
            return next((args for args in product(*domains) if not self.holds(prop, self.now, args)), None)

        return judge

    def holds(self, prop: Property, state: Candidate, args: tuple[Any, ...]) -> bool:
        """Whether the property is true of the state for these values of its parameters."""
        self.now = state
        with reading(self):
            return bool(prop.of(self._state, *args))


class Candidates:
    """Every state that the recording so far allows, the one that follows it most literally first.

    `judge` is called with each state before and after a line, and refuses what no state may be.
    """

    def __init__(
        self, run: OpenRun, limit: int, judge: Callable[[Candidate, Candidate], None] = lambda *_: None
    ) -> None:
        self.run, self.limit, self.largest = run, limit, 1
        self.judge = judge
        self.states = [run.candidate({})]
        self.steps: Counter[str] = Counter()  # taken by the first candidate

    def follow(
        self, explain: Callable[[Candidate], Iterable[Candidate]], *, first_decides: bool = False
    ) -> None:
        """Replace each state by those that explain a line from it.

        LineRefused, as the first state refuses, where none is left, or already where the first one refuses
        and `first_decides`. TooMany above the limit.
        """
        found: list[Candidate] = []
        refusal: LineRefused | None = None
        for state in self.states:
            try:
                for after in explain(state):
                    self.judge(state, after)
                    found.append(after)
            except LineRefused as refused:
                if first_decides and state is self.states[0]:
                    raise
                refusal = refusal or refused
        if not found:
            assert refusal is not None, "an explanation gives a state or refuses"
            raise refusal
        self.states = found if len(found) == 1 else _distinct(found)
        if len(self.states) > self.limit:
            raise TooMany
        self.largest = max(self.largest, len(self.states))
        for name in self.states[0].steps:
            self.steps[name] += 1
        for state in self.states:
            state.forget_steps()
        self._share()

    def follow_in_place(self, explain: Callable[..., object], *args: Any) -> None:
        """The same where there is one state, which is changed: what it was before a line is lost."""
        state = self.states[0]
        explain(state, *args)
        self.judge(state, state)
        for name in state.steps:
            self.steps[name] += 1
        state.forget_steps()

    def stay(self, steps: Iterable[tuple[Action, tuple[Any, ...]]] = ()) -> None:
        """The same for a line whose steps leave every state as it was."""
        for action, _ in steps:
            self.steps[action.name] += 1
        for state in self.states:
            self.judge(state, state)

    def _share(self) -> None:
        """Move to the shared part what all candidates changed alike."""
        if not self.states[0].changes:
            return
        common = reduce(set.intersection, (set(s.changes.items()) for s in self.states))
        for cell, value in common:
            name, index = cell
            if self.run.is_initial(cell, value):
                self.run.shared[name].pop(index, None)
            else:
                self.run.shared[name][index] = value
            for state in self.states:
                del state.changes[cell]


def _distinct(states: list[Candidate]) -> list[Candidate]:
    found: dict[frozenset[tuple[Cell, Any]], Candidate] = {}
    for state in states:
        found.setdefault(frozenset(state.changes.items()), state)
    return list(found.values())
