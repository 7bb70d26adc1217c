"""agree: a model as it was traced does what Python does when it calls the model's functions.

Seals leak: what a function asked Python while it was traced, Python may have answered, once and for all
states. So before a reader says ok, runs of the plain interpreter (`run.py`, which traces nothing) are
compared with the traced expressions: which steps are possible, what they change, which properties are
true. They are evaluated here, directly, by an evaluator of its own. It is a sample; its seed is printed.
Besides the states of the runs, states near them are compared, reachable or not: both readings have to
agree on all, and rare actions are possible in some of them.
"""

from __future__ import annotations

import operator
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from oneleader.errors import SpecError, UsageError
from oneleader.language.configuration import Configuration, configure
from oneleader.language.definitions import Property
from oneleader.language.expr import Expr
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.language.sorts import NIL, AnySort, EachSort, OptionSort, base, is_number
from oneleader.language.trace import Update, trace_action, trace_property
from oneleader.readers.run import ClaimFailed, Cut, Disabled, Instance, Run, State
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict
from oneleader.words import plural

SEED = 1
MOST_STATES, MOST_TRIED = 60, 12_000  # states compared, and steps tried in them
AT_ONCE = 400  # steps tried in one state
LENGTH = 15  # of a run
ATTEMPTS = 200  # at constants that keep the axioms
JUDGED = 12  # properties, with values for their parameters, that are compared in one state

Env = dict[str, Any]
DISABLED, NO_STEP, CLAIM = "it is not possible", "it leaves the bounds, or writes twice", "its claim is false"
Outcome = str | State


@dataclass(frozen=True)
class Agreement:
    """What was compared, and the first difference, if there is one."""

    runs: int
    steps: int
    tried: int
    judged: int
    never: tuple[str, ...] = ()
    difference: str = ""
    seed: int = SEED

    @property
    def verdict(self) -> Verdict:
        """Inconclusive where nothing could be compared."""
        return VIOLATED if self.difference else HOLDS if self.tried or self.judged else INCONCLUSIVE

    def __str__(self) -> str:
        if self.verdict is INCONCLUSIVE:
            return "not compared with the plain interpreter: no small configuration keeps the axioms"
        if self.difference:
            return f"traced and plain disagree (seed {self.seed}): {self.difference}"
        taken = f"never taken: {', '.join(self.never)}" if self.never else "every action taken"
        return (
            f"agrees with the plain interpreter on {plural(self.steps, 'steps')} of "
            f"{plural(self.runs, 'runs')}, seed {self.seed}; {taken}"
        )


_known: dict[Any, Agreement] = {}


def agreement(model: Model, configuration: Configuration) -> Agreement:
    """The comparison for this model at these bounds: made once in a process."""
    definitions = (model.actions, model.properties, model.witnesses, model.axioms)
    key = (
        tuple(model.fields.values()),
        tuple(d for some in definitions for d in some.values()),
        repr(configuration),
    )
    if key not in _known:
        _known[key] = _SideBySide(model, configuration).made()
    return _known[key]


def small_agreement(model: Model) -> Agreement:
    """The comparison at small bounds of our own, for a reader that has none: of everything two."""
    for attempt in range(ATTEMPTS):
        try:
            return agreement(model, _small(model, random.Random(attempt)))
        except UsageError:
            continue  # the constants drawn break an axiom
    return Agreement(0, 0, 0, 0)


def _small(model: Model, chance: random.Random) -> Configuration:
    starts = [f.init for f in model.fields.values() if is_number(base(f.of))]
    sizes = {name: max([2, *(init + 1 for init in starts)]) for name in model.sorts}
    lengths = {name: chance.randint(1, 3) for name in model.parameters}
    at = configure(model, {n: size for n, size in (sizes | lengths).items() if n not in model.usual})
    for f in model.fields.values():
        if f.kind == "constant" and f.name not in at.constants:
            keys = product(*(at.domain(sort) for sort in f.index))
            drawn = frozenset(key for key in keys if chance.random() < 0.5)
            at = replace(at, constants={**at.constants, f.name: drawn})
    return at


class _Differs(Exception):
    """The two readings differ; with the sentence."""


class _SideBySide:
    """Runs of one model under one configuration, all ghosts kept."""

    def __init__(self, model: Model, configuration: Configuration) -> None:
        ghosts = frozenset(f.name for f in model.fields.values() if f.kind == "ghost")
        self.run = Run(model, configuration, ghosts)
        self.traced = Traced(self.run)
        self.chance = random.Random(SEED)
        self.taken: Counter[str] = Counter()
        self.states = self.tried = self.judged = self.runs = self.steps = 0
        self.properties = [*model.properties.values(), *model.witnesses.values()]
        self.sorts = [f.of for f, _ in self.run.cells.keys]

    def made(self) -> Agreement:
        """Compare until enough is seen."""
        difference = ""
        try:
            self._judge(self.run.initial, [*self.run.model.axioms.values()])
            while self._goes_on():
                self.runs += 1
                self._walk()
        except _Differs as differs:
            difference = str(differs)
        never = tuple(name for name in self.run.model.actions if not self.taken[name])
        return Agreement(self.runs, self.steps, self.tried, self.judged, never, difference)

    def _goes_on(self) -> bool:
        return self.states < MOST_STATES and self.tried < MOST_TRIED

    def _walk(self) -> None:
        """One run; beside each of its states one with some cells redrawn."""
        state = self.run.initial
        for _ in range(LENGTH):
            if not self._goes_on():
                return
            self._compare(self._near(state))
            changing = [(i, after) for i, after in self._compare(state) if after != state]
            if not changing:
                return
            rarest = min(self.taken[i.action.name] for i, _ in changing)
            instance, state = self.chance.choice(
                [(i, after) for i, after in changing if self.taken[i.action.name] <= rarest + 1]
            )
            self.taken[instance.action.name] += 1

    def _near(self, state: State) -> State:
        return tuple(
            self._drawn(sort) if self.chance.random() < 0.3 else cell
            for cell, sort in zip(state, self.sorts, strict=True)
        )

    def _drawn(self, sort: AnySort) -> Any:
        """A value of the sort. Domains may be too large to be listed."""
        if isinstance(sort, OptionSort):
            return NIL if self.chance.random() < 0.25 else self._drawn(sort.of)
        if isinstance(sort, EachSort):
            return tuple(self._drawn(sort.of) for _ in range(self.run.configuration.size(sort.index)))
        return self.chance.choice(self.run.configuration.domain(sort))

    def _compare(self, state: State) -> list[tuple[Instance, State]]:
        """Compare one state; the steps that are possible in it."""
        self.states += 1
        self._judge(state, self._some(self.properties, JUDGED))
        possible: list[tuple[Instance, State]] = []
        rest: list[Instance] = []
        for instance in self._some(self.run.instances, AT_ONCE):
            self.tried += 1
            plain = self._plain(state, instance)
            if plain == DISABLED:
                rest.append(instance)
                continue
            self._equal(state, instance, plain)
            if isinstance(plain, tuple):
                self.steps += 1
                self.taken[instance.action.name] += 1
                possible.append((instance, plain))
        for instance in self._some(rest, AT_ONCE // 4):
            self._equal(state, instance, DISABLED)
        return possible

    def _some(self, items: Sequence[Any], most: int) -> list[Any]:
        return list(items) if len(items) <= most else self.chance.sample(items, most)

    def _plain(self, state: State, instance: Instance) -> Outcome:
        try:
            return self.run.step(state, instance.action, instance.args)
        except Disabled:
            return DISABLED
        except ClaimFailed:
            return CLAIM
        except Cut:
            return NO_STEP
        except Exception as error:
            if isinstance(error, SpecError) and "is written twice" in str(error):
                return NO_STEP
            return f"Python raises {type(error).__name__}: {error}"

    def _equal(self, state: State, instance: Instance, plain: Outcome) -> None:
        traced = self.traced.step(state, instance)
        if traced != plain:
            call = self.run.configuration.call(instance.action, instance.args)
            raise _Differs(
                f"{instance.action.where}: {call} in the state {self._shown(state)}: "
                f"Python says {self._told(state, plain)}; as traced, {self._told(state, traced)}"
            )

    def _judge(self, state: State, properties: list[Property]) -> None:
        for prop in properties:
            args = tuple(self._drawn(sort) for _, sort in prop.params)
            self.judged += 1
            try:
                plain: Any = self.run.holds(prop, state, args)
            except Exception as error:
                plain = f"{type(error).__name__}: {error}"
            traced = self.traced.holds(prop, state, args)
            if plain != traced:
                call = self.run.configuration.call(prop, args)
                raise _Differs(
                    f"{prop.where}: {call} in the state {self._shown(state)}: Python says {plain}; "
                    f"as traced, {traced}"
                )

    def _shown(self, state: State) -> str:
        return self._changes(self.run.initial, state) or "at first"

    def _told(self, state: State, outcome: Outcome) -> str:
        if isinstance(outcome, str):
            return outcome
        return f"it gives {self._changes(state, outcome) or 'the same state'}"

    def _changes(self, before: State, after: State) -> str:
        at = self.run.configuration
        said = []
        for (f, key), old, new in zip(self.run.cells.keys, before, after, strict=True):
            if old != new:
                index = ", ".join(at.show(sort, k) for sort, k in zip(f.index, key, strict=True))
                said.append(f"{f.name}{f'[{index}]' if index else ''} = {at.show(f.of, new)}")
        return ", ".join(said)


class Traced:
    """What the traced expressions of a model say of a step and of a property, evaluated as they stand."""

    def __init__(self, run: Run) -> None:
        self.run, self.at, self.model = run, run.configuration, run.model
        self.cell = {(f.name, key): i for i, (f, key) in enumerate(run.cells.keys)}
        self.state: State = run.initial

    def step(self, state: State, instance: Instance) -> Outcome:
        """The state after the step, or why there is none."""
        self.state, traced = state, trace_action(self.model, instance.action)
        env = dict(zip((p.args[0] for p in traced.params), instance.args, strict=True))
        if not all(self.value(guard, env) for _, guard in traced.guards):
            return DISABLED
        if not all(self.value(claim, env) for claim in traced.claims):
            return CLAIM
        after, written = list(state), set[int]()
        for update in traced.updates.values():
            for key, value in self._written(update, env):
                cell = self.cell.get((update.field.name, key))
                stored = self.at.stored(update.field, value)
                if cell is None or cell in written or self._is_beyond(update.field, stored):
                    return NO_STEP
                written.add(cell)
                after[cell] = stored
        return tuple(after)

    def _is_beyond(self, field: Field, value: Any) -> bool:
        return is_number(base(field.of)) and bool(value > self.at.bounds(field.of)[1])

    def _written(self, update: Update, env: Env) -> Iterator[tuple[tuple[Any, ...], Any]]:
        if update.rewriting is None:
            for write in update.writes:
                yield tuple(self.value(i, env) for i in write.index), self.value(write.value, env)
            return
        names = [v.args[0] for v in update.variables]
        for field, key in self.run.cells.keys:
            if field is update.field:
                yield key, self.value(update.rewriting, env | dict(zip(names, key, strict=True)))

    def holds(self, prop: Property, state: State, args: tuple[Any, ...]) -> bool:
        """Whether the traced property is true."""
        self.state, traced = state, trace_property(self.model, prop)
        env = dict(zip((p.args[0] for p in traced.params), args, strict=True))
        return bool(self.value(traced.body, env))

    def value(self, expr: Expr, env: Env) -> Any:
        """The value of an expression, whose variables have the values in `env`."""
        if expr.op in PLAIN:
            return PLAIN[expr.op](*(self.value(a, env) for a in expr.args))
        made: Callable[[Expr, Env], Any] = getattr(self, f"_{expr.op}")
        return made(expr, env)

    def _const(self, expr: Expr, env: Env) -> Any:
        return expr.args[0]

    def _var(self, expr: Expr, env: Env) -> Any:
        return env[expr.args[0]]

    def _and(self, expr: Expr, env: Env) -> bool:
        return all(self.value(a, env) for a in expr.args)

    def _or(self, expr: Expr, env: Env) -> bool:
        return any(self.value(a, env) for a in expr.args)

    def _ite(self, expr: Expr, env: Env) -> Any:
        condition, x, y = expr.args
        return self.value(x if self.value(condition, env) else y, env)

    def _each(self, expr: Expr, env: Env) -> Iterator[bool]:
        variable, body = expr.args
        for x in self.at.domain(variable.sort):
            yield self.value(body, env | {variable.args[0]: x})

    def _all(self, expr: Expr, env: Env) -> bool:
        return all(self._each(expr, env))

    def _any(self, expr: Expr, env: Env) -> bool:
        return any(self._each(expr, env))

    def _count(self, expr: Expr, env: Env) -> int:
        return sum(map(bool, self._each(expr, env)))

    def _parameter(self, expr: Expr, env: Env) -> int:
        return self.at.parameters[expr.args[0]]

    def _read(self, expr: Expr, env: Env) -> Any:
        field = self.model.fields[expr.args[0]]
        key = tuple(self.value(i, env) for i in expr.args[1:])
        if field.kind == "constant":
            return key in self.at.constants[field.name]
        cell = self.cell.get((field.name, key))
        return self.at.first(field) if cell is None else self.state[cell]


PLAIN: dict[str, Callable[..., Any]] = {
    "some": lambda x: x,
    "eq": operator.eq,
    "lt": operator.lt,
    "le": operator.le,
    "add": operator.add,
    "mul": operator.mul,
    "not": operator.not_,
    "apply": operator.getitem,
}
