"""Tracing: running an action once, on symbols, to learn what it says.

The result is data: guards, and for each field its point writes or its rewriting. Every reader but
the plain interpreter works from it (`explore`'s compiled engines, `prove`). Most rules of the
language are enforced here, and an error names the action and the line.
"""

from __future__ import annotations

import operator
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from oneleader.errors import SpecError
from oneleader.language import source, times
from oneleader.language.definitions import Action, Definition, Guard, Property
from oneleader.language.expr import Expr, Symbolic, is_expr, lift, variable
from oneleader.language.fields import Field
from oneleader.language.place import place
from oneleader.language.sealed import Sealed, refuse, tracing
from oneleader.language.sorts import EachSort, is_time, reading

if TYPE_CHECKING:  # a model is built from traced actions, not the other way round
    from oneleader.language.model import Model


@dataclass(frozen=True)
class FieldWrite:
    """`field[index] = value`, all read before the step."""

    index: tuple[Expr, ...]
    value: Expr


@dataclass(frozen=True)
class Update:
    """What a step does to one field: point writes, or one rewriting `variables -> value` of it all."""

    field: Field
    writes: tuple[FieldWrite, ...] = ()
    variables: tuple[Expr, ...] = ()
    rewriting: Expr | None = None


@dataclass(frozen=True)
class TracedAction:
    """An action as data. Dropped guards are left out."""

    action: Action
    params: tuple[Expr, ...]
    guards: tuple[tuple[Guard, Expr], ...]
    claims: tuple[Expr, ...]
    updates: dict[str, Update]

    def parts(self) -> Iterator[tuple[str, Expr]]:
        """Every expression in it, and what it is."""
        yield from ((f"guard {guard.name}", expr) for guard, expr in self.guards)
        yield from (("a claim", claim) for claim in self.claims)
        for name, update in self.updates.items():
            parts = [e for w in update.writes for e in (*w.index, w.value)]
            parts += [] if update.rewriting is None else [update.rewriting]
            yield from ((f"the effect on {name}", part) for part in parts)


@dataclass(frozen=True)
class TracedProperty:
    """A property as an open expression in its parameters."""

    property: Property
    params: tuple[Expr, ...]
    body: Expr


class TracedField(Sealed):
    """One field while an action is traced."""

    field: Field
    writes: list[FieldWrite]
    rewriting: tuple[tuple[Expr, ...], Expr] | None

    def __init__(self, field: Field) -> None:
        self.__dict__.update(field=field, writes=[], rewriting=None, _what=f"{field} without its index")

    def _index(self, key: Any) -> tuple[Expr, ...]:
        key = key if type(key) is tuple else (key,)
        if len(key) != len(self.field.index):
            refuse(f"{self.field} takes {len(self.field.index)} indices, not {len(key)}")
        return tuple(lift(k, sort) for k, sort in zip(key, self.field.index, strict=True))

    def read(self, index: tuple[Expr, ...]) -> Expr:
        if self.writes or self.rewriting:
            refuse(f"{self.field.name} is read after it was written: reads see the state before the step")
        if self.field.kind == "parameter":
            return Expr("parameter", (self.field.name,), self.field.of)
        return Expr("read", (self.field.name, *index), self.field.of)

    def write(self, index: tuple[Expr, ...], value: Any) -> None:
        if self.field.fixed:
            refuse(f"{self.field.name} is a {self.field.kind}")
        if self.rewriting or any(all(map(operator.is_, w.index, index)) for w in self.writes):
            refuse(f"{self.field.name} is written twice in one step")
        self.writes.append(FieldWrite(index, self._stored(value)))

    def _stored(self, value: Any) -> Expr:
        stored = lift(value, self.field.of)
        if is_time(self.field.of):
            times.check_stored(self.field, stored)
        return stored

    def __getitem__(self, key: Any) -> Expr:
        return self.read(self._index(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        self.write(self._index(key), value)

    def where(self, new: Any) -> None:
        """Rewrite the whole field: `new(old, *index)` is the value at each index."""
        variables = tuple(
            variable(f"{self.field.name}[{i}]", sort) for i, sort in enumerate(self.field.index)
        )
        value = self._stored(new(self.read(variables), *variables))
        if self.field.fixed:
            refuse(f"{self.field.name} is a {self.field.kind}")
        self.__dict__.update(rewriting=(variables, value))


class TracedState(Sealed):
    """The `s` of an action while it is traced."""

    _what = "the state"

    def __init__(self, fields: dict[str, Field]) -> None:
        self.__dict__["_fields"] = {name: TracedField(f) for name, f in fields.items()}
        self.__dict__["_guards"] = []
        self.__dict__["_claims"] = []

    def __getattr__(self, name: str) -> Any:
        traced = self._field(name)
        return traced if traced.field.index else traced.read(())

    def __setattr__(self, name: str, value: Any) -> None:
        self._field(name)[()] = value

    def _field(self, name: str) -> TracedField:
        if name not in self._fields:
            refuse(f"the state has no field {name}")
        traced: TracedField = self._fields[name]
        return traced

    def _written(self) -> list[TracedField]:
        return [f for f in self._fields.values() if f.writes or f.rewriting]

    def require(self, *guards: Any) -> None:
        if self._written():
            refuse("a guard stands after an effect")
        self._guards.extend(lift(g, bool) for g in guards)

    def claim(self, *facts: Any) -> None:
        if self._written():
            refuse("a claim stands after an effect: it speaks of the state before the step")
        claims = [lift(f, bool) for f in facts]
        if len(claims) > 1 and any(map(self._is_history, claims)):
            refuse("a claim that reads a ghost field stands in a call of its own")
        self._claims.extend(claims)

    def _is_history(self, expr: Expr) -> bool:
        """Whether it reads a ghost field."""
        if expr.op == "read" and self._fields[expr.args[0]].field.kind == "ghost":
            return True
        return any(self._is_history(a) for a in expr.args if is_expr(a))


def _located(error: Exception, definition: Definition, kind: str) -> SpecError:
    """The error, with the place in the definition's file at which it arose."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == definition.file]
    line = frames[-1].lineno or definition.line if frames else definition.line
    column = 1 + (frames[-1].colno or 0) if frames else 1
    text = str(error) if isinstance(error, SpecError) else f"{type(error).__name__}: {error}"
    return SpecError(f"{place(definition.file, line, column)}: {kind} {definition.name}: {text}")


def _run(definition: Definition, kind: str, state: TracedState) -> tuple[tuple[Expr, ...], Any]:
    params = tuple(variable(name, sort) for name, sort in definition.params)
    try:
        with tracing() as refused, reading(Symbolic()):
            said = definition.of(state, *params)
    except Exception as error:
        raise _located(error, definition, kind) from None
    if refused:
        raise SpecError(
            f"{definition.place}: {kind} {definition.name}: an error is caught here: {refused[0]}"
        )
    return params, said


@lru_cache(maxsize=4096)
def _trace_action(action: Action, fields: tuple[Field, ...]) -> TracedAction:
    state = TracedState({f.name: f for f in fields})
    params, _ = _run(action, "action", state)
    if len(action.guards) != len(state._guards):
        raise SpecError(
            f"{action.place}: action {action.name}: {len(state._guards)} guards were required and "
            f"{len(action.guards)} are named in its source: require stands once, in the action itself"
        )
    guards = zip(action.guards, state._guards, strict=True)
    updates = {}
    for written in state._written():
        variables, rewriting = written.rewriting or ((), None)
        updates[written.field.name] = Update(written.field, tuple(written.writes), variables, rewriting)
    kept = tuple((guard, expr) for guard, expr in guards if guard.name not in action.dropped)
    traced = TracedAction(action, params, kept, tuple(state._claims), updates)
    _check_ghosts(traced, {f.name for f in fields if f.kind == "ghost"})
    who = f"{action.place}: action {action.name}"
    for name, expr in traced.parts():
        times.check_compared(f"{who}: {name}", expr)
    return traced


def _check_ghosts(traced: TracedAction, ghosts: set[str]) -> None:
    """Ghost fields are read by no guard, and by no effect but on ghost fields."""
    who = f"{traced.action.place}: action {traced.action.name}"
    for guard, expr in traced.guards:
        for name in sorted(reads(expr) & ghosts):
            raise SpecError(f"{who}: guard {guard.name} reads the ghost field {name}")
    for update in traced.updates.values():
        for name in sorted(_read_by(update) & ghosts):
            if update.field.name in ghosts:
                break  # history of history: `ghosts_needed` keeps them together
            raise SpecError(f"{who}: the effect on {update.field.name} reads the ghost field {name}")


def ghosts_needed(model: Model, names: frozenset[str]) -> frozenset[str]:
    """These ghost fields, and those that their values are computed from."""
    needed, ghosts = set(names), {f.name for f in model.fields.values() if f.kind == "ghost"}
    left = set(names)
    while left:
        name = left.pop()
        for action in model.actions.values():
            update = trace_action(model, action).updates.get(name)
            for read in (_read_by(update) & ghosts if update else frozenset()) - needed:
                needed.add(read)
                left.add(read)
    return frozenset(needed)


def _read_by(update: Update) -> frozenset[str]:
    """The fields from which an update computes."""
    parts = [e for w in update.writes for e in (*w.index, w.value)]
    return frozenset().union(
        *map(reads, [*parts, *([update.rewriting] if update.rewriting is not None else [])])
    )


def trace_action(model: Model, action: Action) -> TracedAction:
    """What the action says, as data; SpecError with its line where it breaks a rule."""
    return _trace_action(action, tuple(model.fields.values()))


def trace_property(model: Model, prop: Property) -> TracedProperty:
    """What the property says, as an expression in its parameters. A proof asks for each a thousand times."""
    if prop not in model.traced:
        model.traced[prop] = _trace_property(model, prop)
    return model.traced[prop]


def _trace_property(model: Model, prop: Property) -> TracedProperty:
    state = TracedState(model.fields)
    params, body = _run(prop, prop.kind, state)
    if state._written() or state._guards or state._claims:
        raise SpecError(f"{prop.place}: {prop.kind} {prop.name}: a property only reads")
    who = f"{prop.place}: {prop.kind} {prop.name}"
    try:
        traced = TracedProperty(prop, params, lift(body, bool))
    except SpecError:
        raise SpecError(f"{who}: it returns no truth value") from None
    if any(is_time(p.sort) or isinstance(p.sort, EachSort) for p in params):
        raise SpecError(f"{who}: a time is no parameter of a property: it is not counted")
    if prop.kind != "invariant":
        times.check_compared(who, traced.body)
    return traced


def compared_times(model: Model) -> Iterator[tuple[str, Expr | None, Expr | None]]:
    """For each `a * x <= b * y` of two times in an invariant or a guard: where it stands, and a and b."""
    said = [(p.name, trace_property(model, p).body) for p in model.invariants.values()]
    for act in model.actions.values():
        said += [(act.name, expr) for _, expr in trace_action(model, act).guards]
    for name, expr in said:
        yield from ((name, a, b) for a, b in times.relations(expr))


@lru_cache(maxsize=65536)
def reads(expr: Expr) -> frozenset[str]:
    """The names of the fields that an expression reads."""
    here = {expr.args[0]} if expr.op in ("read", "parameter") else set()
    return frozenset(here).union(*(reads(a) for a in expr.args if isinstance(a, Expr)))


def check(model: Model) -> None:
    """Trace everything once, then read its source: a model that breaks a rule cannot be built."""
    actions = [trace_action(model, act) for act in model.actions.values()]
    stopwatches = [f for f in model.fields.values() if is_time(f.of) and not f.fixed]
    try:
        times.check_passing(stopwatches, actions)
    except SpecError as error:
        raise SpecError(f"{model.name}: {error}") from None
    for prop in (*model.properties.values(), *model.witnesses.values()):
        trace_property(model, prop)
    for ax in model.axioms.values():
        moving = sorted(n for n in reads(trace_property(model, ax).body) if not model.fields[n].fixed)
        if moving:
            raise SpecError(f"{ax.place}: axiom {ax.name} reads {moving[0]}, which is no constant")
    for found in model.progress.values():
        for predicate in (found.function, *found.predicates):
            source.check(predicate)
    definitions = (model.actions, model.properties, model.witnesses, model.axioms)
    for definition in (d for some in definitions for d in some.values()):
        source.check(definition.function)
