"""beyond: where a value above the bound of a run could matter, and is never tried.

A model has all numbers, a run those up to its bound. A step that *writes* a greater one is cut and counted
by the engines. But a parameter of an action takes no value above the bound, nor does one of a property, a
quantifier, or the index of a rewriting. Here each such number is taken to be "any number above the bound",
and the expression is evaluated with what is known of it: true, false, or either. Only where the outcome
cannot differ (a relation in which nothing was ever written there, a number that is compared with smaller
ones) the run loses nothing. It errs on the side of telling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from math import inf
from typing import Any

from oneleader.language.configuration import Configuration
from oneleader.language.definitions import Property
from oneleader.language.expr import Expr, is_expr
from oneleader.language.model import Model
from oneleader.language.sorts import base, is_number, name_of
from oneleader.language.trace import TracedProperty, trace_action, trace_property
from oneleader.readers.run import Instance

Range = tuple[Any, Any]  # the least and the greatest that a value may be; of a truth value False and True
UNKNOWN: Range = (False, True)
TRUE: Range = (True, True)
FALSE: Range = (False, False)
Env = dict[str, Range]


def actions_beyond(model: Model, at: Configuration) -> list[tuple[str, str]]:
    """Each action and parameter of it for which a value above the bound may be possible."""
    found = []
    for action in model.actions.values():
        traced = trace_action(model, action)
        for variable in traced.params:
            known = _Known(model, at, {variable.args[0]: _above(at, variable)})
            possible = all(known.of(guard)[1] for _, guard in traced.guards)
            if is_number(base(variable.sort)) and possible:
                found.append((action.name, variable.args[0]))
    return found


def untried(model: Model, at: Configuration, properties: Iterable[Property]) -> list[str]:
    """Where values above the bound may matter and are not tried, in words."""
    found = [f"{name}({parameter})" for name, parameter in actions_beyond(model, at)]
    known = partial(_Known, model, at)
    for action in model.actions.values():
        traced = trace_action(model, action)
        for said, expr in traced.parts():
            found += [f"{action.name}: {said}, {q}" for q in _quantifiers(known, at, expr)]
        for update in traced.updates.values():
            if update.rewriting is not None:
                for variable in update.variables:
                    if _rewrites_beyond(model, at, update.rewriting, variable, update.field.init):
                        found.append(f"{action.name}: all of {update.field.name}")
    found += untried_axioms(model, at)
    for prop in properties:
        found += _of_claim(known, at, trace_property(model, prop))
    return list(dict.fromkeys(found))


def untried_axioms(model: Model, at: Configuration, *, constants_end: bool = False) -> list[str]:
    """The same of the axioms alone: one that is true of all numbers up to the bound may be false beyond.

    `constants_end`: constants are false beyond, as in an instance of a proof; of a run nobody knows.
    """
    known = partial(_Known, model, at, constants_end=constants_end)
    return [
        place
        for axiom in model.axioms.values()
        for place in _of_claim(known, at, trace_property(model, axiom))
    ]


def _of_claim(known: Callable[[Env], _Known], at: Configuration, traced: TracedProperty) -> Iterator[str]:
    """The same of one axiom, property or witness."""
    prop = traced.property
    for variable in traced.params:
        if is_number(base(variable.sort)):
            value = known({variable.args[0]: _above(at, variable)}).of(traced.body)
            if value[1] if prop.kind == "witness" else not value[0]:
                yield f"{prop.name}({variable.args[0]})"
    yield from (f"{prop.name}: {q}" for q in _quantifiers(known, at, traced.body))


def above(model: Model, at: Configuration) -> Iterator[Instance]:
    """For each action and parameter that may go beyond: its instances with the first number above."""
    for name, parameter in actions_beyond(model, at):
        action = model.actions[name]
        position = [p for p, _ in action.params].index(parameter)
        first = at.domain(action.params[position][1])[-1] + 1
        rest = [(p, sort) for p, sort in action.params if p != parameter]
        for args in at.assignments(rest):
            yield Instance(action, (*args[:position], first, *args[position:]))


def _above(at: Configuration, variable: Expr) -> Range:
    return (at.domain(variable.sort)[-1] + 1, inf) if is_number(base(variable.sort)) else UNKNOWN


def _quantifiers(known: Callable[[Env], _Known], at: Configuration, expr: Expr) -> Iterator[str]:
    """The quantifiers over numbers in it whose value may depend on a number above the bound."""
    if expr.op in ("all", "any", "count") and is_number(expr.args[0].sort):
        variable, body = expr.args
        value = known({variable.args[0]: _above(at, variable)}).of(body)
        if not value[0] if expr.op == "all" else value[1]:
            yield f"{name_of(variable.sort)}.{expr.op}"
    for part in expr.args:
        if is_expr(part):
            yield from _quantifiers(known, at, part)


def _rewrites_beyond(model: Model, at: Configuration, new: Expr, variable: Expr, init: Any) -> bool:
    if not is_number(variable.sort):
        return False
    value = _Known(model, at, {variable.args[0]: _above(at, variable)}).of(new)
    return value != (init, init)


class _Known:
    """What is known of an expression: nothing of the state but its bounds, of some variables their range."""

    def __init__(self, model: Model, at: Configuration, env: Env, *, constants_end: bool = False) -> None:
        self.model, self.at, self.env, self.constants_end = model, at, env, constants_end
        self.seen: dict[int, Range] = {}

    def of(self, expr: Expr) -> Range:
        """The range of the values that it may have."""
        if expr.serial not in self.seen:
            made = getattr(self, f"_{expr.op}", None)
            self.seen[expr.serial] = made(expr) if made else self._any_of(expr)
        return self.seen[expr.serial]

    def _any_of(self, expr: Expr) -> Range:
        return UNKNOWN if expr.sort is bool else (-inf, inf)

    def _const(self, expr: Expr) -> Range:
        return (expr.args[0], expr.args[0])

    def _var(self, expr: Expr) -> Range:
        return self.env.get(expr.args[0]) or self._any_of(expr)

    def _some(self, expr: Expr) -> Range:
        return self.of(expr.args[0])

    def _read(self, expr: Expr) -> Range:
        """Nothing was ever written above the bound: there it is as it was at first."""
        f = self.model.fields[expr.args[0]]
        if not f.fixed or (self.constants_end and f.index):
            for index, sort in zip(expr.args[1:], f.index, strict=True):
                if is_number(sort) and self.of(index)[0] > self.at.domain(sort)[-1]:
                    return (f.init, f.init)
        if is_number(base(f.of)):
            return (self.at.domain(f.of)[0], self.at.domain(f.of)[-1])
        return self._any_of(expr)

    def _eq(self, expr: Expr) -> Range:
        x, y = map(self.of, expr.args)
        if x[0] > y[1] or y[0] > x[1]:
            return FALSE
        return TRUE if x[0] == x[1] == y[0] == y[1] else UNKNOWN

    def _lt(self, expr: Expr) -> Range:
        x, y = map(self.of, expr.args)
        return (x[1] < y[0], x[0] < y[1])

    def _le(self, expr: Expr) -> Range:
        x, y = map(self.of, expr.args)
        return (x[1] <= y[0], x[0] <= y[1])

    def _add(self, expr: Expr) -> Range:
        x, y = map(self.of, expr.args)
        return (x[0] + y[0], x[1] + y[1])

    def _not(self, expr: Expr) -> Range:
        value = self.of(expr.args[0])
        return (not value[1], not value[0])

    def _and(self, expr: Expr) -> Range:
        parts = [*map(self.of, expr.args)]
        return (all(p[0] for p in parts), all(p[1] for p in parts))

    def _or(self, expr: Expr) -> Range:
        parts = [*map(self.of, expr.args)]
        return (any(p[0] for p in parts), any(p[1] for p in parts))

    def _ite(self, expr: Expr) -> Range:
        condition, x, y = map(self.of, expr.args)
        if condition[0] == condition[1]:
            return x if condition[0] else y
        return (min(x[0], y[0]), max(x[1], y[1]))

    def _all(self, expr: Expr) -> Range:
        return self.of(expr.args[1])

    def _any(self, expr: Expr) -> Range:
        return self.of(expr.args[1])
