"""Grounding: what each instance of an action says of the cells of one state.

Quantifiers are unrolled over the configuration, parameters replaced by their values, constants looked
up, and a field at a symbolic index becomes a choice among its cells. What is left are terms
(`terms.py`), which the printers write down as Python, NumPy or C. This is the one compiler: whatever
it gets wrong, every engine but the plain interpreter gets wrong, so the two are compared state by
state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from oneleader.language.definitions import Property
from oneleader.language.expr import Expr
from oneleader.language.fields import Field
from oneleader.language.sorts import LONG_AGO, base, is_number, is_time
from oneleader.language.trace import TracedAction, Update, reads, trace_action, trace_property
from oneleader.readers.engines.terms import GroundTerm, Terms
from oneleader.readers.run import Run

Env = dict[str, Any]


@dataclass(frozen=True)
class GroundStep:
    """One instance of an action: possible where `guard` is true.

    position  of the instance in `Run.instances`
    claims    false where a claim of the action fails
    cut       true where the step leaves the run's bounds
    clash     true where it writes one cell twice: an error of the model
    effects   cell and its new value; other cells stay
    """

    position: int
    guard: GroundTerm
    claims: GroundTerm
    cut: GroundTerm
    clash: GroundTerm
    effects: tuple[tuple[int, GroundTerm], ...]


class Ground:
    """A model under a configuration, as terms."""

    def __init__(self, run: Run) -> None:
        self.run, self.model, self.configuration, self.cells = run, run.model, run.configuration, run.cells
        bounds = [self.configuration.bounds(f.of) for f, _ in self.cells.keys]
        truth = [f.of is bool for f, _ in self.cells.keys]
        self.terms = Terms([least for least, _ in bounds], [most for _, most in bounds], truth)
        self._at = {(f.name, key): i for i, (f, key) in enumerate(self.cells.keys)}
        self._made: dict[tuple[int, tuple[Any, ...]], GroundTerm] = {}

    @cached_property
    def steps(self) -> list[GroundStep]:
        """Every instance whose guard some state may satisfy."""
        traced = {a.name: trace_action(self.model, a) for a in self.model.actions.values()}
        steps = [
            self._step(position, traced[instance.action.name], instance.args)
            for position, instance in enumerate(self.run.instances)
        ]
        return [step for step in steps if step.guard is not self.terms.false]

    def property(self, prop: Property) -> GroundTerm:
        """Where an invariant, a theorem or a witness is true: for all, for a witness some, of its values."""
        traced = trace_property(self.model, prop)
        names = [p.args[0] for p in traced.params]
        cases = [
            self.term(traced.body, dict(zip(names, args, strict=True)))
            for args in self.configuration.assignments(prop.params)
        ]
        return self.terms.either(cases) if prop.kind == "witness" else self.terms.both(cases)

    # -- actions ----------------------------------------------------------------------------------
    def _step(self, position: int, traced: TracedAction, args: tuple[Any, ...]) -> GroundStep:
        t = self.terms
        env = dict(zip((p.args[0] for p in traced.params), args, strict=True))
        guard = t.both([self.term(g, env) for _, g in traced.guards])
        if guard is t.false:
            return GroundStep(position, guard, t.true, t.false, t.false, ())
        left_out = self.model.fields.keys() - {f.name for f in self.cells.fields}
        left_out -= {f.name for f in self.model.fields.values() if f.kind == "constant"}
        claims = t.both([self.term(c, env) for c in traced.claims if not reads(c) & left_out])
        cuts: list[GroundTerm] = []
        clashes: list[GroundTerm] = []
        effects: list[tuple[int, GroundTerm]] = []
        for update in traced.updates.values():
            if update.field in self.cells.fields:
                effects += self._effects(update, env, cuts, clashes)
        return GroundStep(position, guard, claims, t.either(cuts), t.either(clashes), tuple(effects))

    def _effects(
        self, update: Update, env: Env, cuts: list[GroundTerm], clashes: list[GroundTerm]
    ) -> list[tuple[int, GroundTerm]]:
        """The new value of each cell that the update may change; when it is cut or clashes is added."""
        field = update.field
        if update.rewriting is not None:
            names = [v.args[0] for v in update.variables]
            at = [(key, env | dict(zip(names, key, strict=True))) for key in self._keys(field)]
            rewritten = [
                (self._at[field.name, k], self._stored(field, self.term(update.rewriting, inner)))
                for k, inner in at
            ]
            cuts += [self._beyond(field, value) for _, value in rewritten]
            return [(cell, value) for cell, value in rewritten if value is not self.terms.cells[cell]]
        t = self.terms
        writes = [
            ([self.term(i, env) for i in w.index], self._stored(field, self.term(w.value, env)))
            for w in update.writes
        ]
        cuts += [self._beyond(field, value) for _, value in writes]
        cuts += [self._outside(i, size) for index, _ in writes for i, size in self._sized(field, index)]
        new: dict[int, GroundTerm] = {}
        for number, (index, value) in enumerate(writes):
            for other, _ in writes[:number]:
                clashes.append(t.both(t.eq(i, j) for i, j in zip(index, other, strict=True)))
            for key in self._keys(field):
                here = t.both(t.eq(i, t.const(k)) for i, k in zip(index, key, strict=True))
                if here is not t.false:
                    cell = self._at[field.name, key]
                    new[cell] = t.ite(here, value, new.get(cell, t.cells[cell]))
        return list(new.items())

    def _keys(self, field: Field) -> list[tuple[Any, ...]]:
        return list(product(*(self.configuration.domain(i) for i in field.index)))

    def _sized(self, field: Field, index: Sequence[GroundTerm]) -> list[tuple[GroundTerm, int]]:
        """Each index with the number of values that it may have."""
        return [(i, self.configuration.size(s)) for i, s in zip(index, field.index, strict=True)]

    def _outside(self, index: GroundTerm, size: int) -> GroundTerm:
        return self.terms.le(self.terms.const(size), index)

    def _beyond(self, field: Field, value: GroundTerm) -> GroundTerm:
        """When a number leaves its bound."""
        if not is_number(base(field.of)):
            return self.terms.false
        return self.terms.lt(self.terms.const(self.configuration.bounds(field.of)[1]), value)

    def _stored(self, field: Field, value: GroundTerm) -> GroundTerm:
        """Of a time, no more than the greatest parameter."""
        if not is_time(field.of):
            return value
        longest = self.terms.const(self.configuration.stored(field, LONG_AGO))
        return self.terms.ite(self.terms.le(longest, value), longest, value)

    # -- expressions: one method an operator ------------------------------------------------------
    def term(self, expr: Expr, env: Env) -> GroundTerm:
        """The expression as a term, its variables replaced by their values in `env`."""
        key = (expr.serial, tuple(env[name] for name in free(expr)))
        if key not in self._made:
            self._made[key] = getattr(self, f"_{expr.op}")(expr, env)
        return self._made[key]

    def _args(self, expr: Expr, env: Env) -> list[GroundTerm]:
        return [self.term(a, env) for a in expr.args]

    def _const(self, expr: Expr, env: Env) -> GroundTerm:
        return self.terms.const(expr.args[0])

    def _var(self, expr: Expr, env: Env) -> GroundTerm:
        return self.terms.const(env[expr.args[0]])

    def _some(self, expr: Expr, env: Env) -> GroundTerm:
        return self.term(expr.args[0], env)

    def _eq(self, expr: Expr, env: Env) -> GroundTerm:
        return self.terms.eq(*self._args(expr, env))

    def _lt(self, expr: Expr, env: Env) -> GroundTerm:
        return self.terms.lt(*self._args(expr, env))

    def _le(self, expr: Expr, env: Env) -> GroundTerm:
        return self.terms.le(*self._args(expr, env))

    def _add(self, expr: Expr, env: Env) -> GroundTerm:
        return self.terms.add(*self._args(expr, env))

    def _mul(self, expr: Expr, env: Env) -> GroundTerm:
        x, y = self._args(expr, env)  # one of them is made of parameters, which are known here
        times, of = (x.known, y) if x.known is not None else (y.known, x)
        assert times is not None
        return self._times(times, of)

    def _times(self, times: int, of: GroundTerm) -> GroundTerm:
        if of.known is not None or times == 0:
            return self.terms.const(times * (of.known or 0))
        half = self._times(times // 2, of) if times > 1 else self.terms.const(0)
        twice = self.terms.add(half, half) if times > 1 else half
        return self.terms.add(twice, of) if times % 2 else twice

    def _parameter(self, expr: Expr, env: Env) -> GroundTerm:
        return self.terms.const(self.configuration.parameters[expr.args[0]])

    def _apply(self, expr: Expr, env: Env) -> GroundTerm:
        each, index = expr.args
        options = [self.terms.const(value) for value in env[each.args[0]]]
        chosen = self.term(index, env)
        return options[chosen.known] if chosen.known is not None else self.terms.pick(chosen, options)

    def _not(self, expr: Expr, env: Env) -> GroundTerm:
        return self.terms.no(*self._args(expr, env))

    def _and(self, expr: Expr, env: Env) -> GroundTerm:
        return self.terms.both(self._args(expr, env))

    def _or(self, expr: Expr, env: Env) -> GroundTerm:
        return self.terms.either(self._args(expr, env))

    def _ite(self, expr: Expr, env: Env) -> GroundTerm:
        return self.terms.ite(*self._args(expr, env))

    def _all(self, expr: Expr, env: Env) -> GroundTerm:
        return self.terms.both(self._unrolled(expr, env))

    def _any(self, expr: Expr, env: Env) -> GroundTerm:
        return self.terms.either(self._unrolled(expr, env))

    def _count(self, expr: Expr, env: Env) -> GroundTerm:
        return self.terms.count(self._unrolled(expr, env))

    def _unrolled(self, expr: Expr, env: Env) -> list[GroundTerm]:
        variable, body = expr.args
        values = self.configuration.domain(variable.sort)
        return [self.term(body, env | {variable.args[0]: x}) for x in values]

    def _read(self, expr: Expr, env: Env) -> GroundTerm:
        field = self.model.fields[expr.args[0]]
        index = [self.term(i, env) for i in expr.args[1:]]
        if field.kind == "constant":
            true_at = self.configuration.constants.get(field.name, frozenset())
            return self._chosen(field, index, (), lambda key: self.terms.const(key in true_at))
        if field not in self.cells.fields:
            return self.terms.const(self.configuration.first(field))
        return self._chosen(field, index, (), lambda key: self.terms.cells[self._at[field.name, key]])

    def _chosen(self, field: Field, index: list[GroundTerm], key: tuple[Any, ...], at: Any) -> GroundTerm:
        """The value at the key that the terms of the index choose; beyond the bound, the first."""
        if not index:
            return at(key)  # type: ignore[no-any-return]
        beyond = self.terms.const(self.configuration.first(field))
        first, rest = index[0], index[1:]
        domain = self.configuration.domain(field.index[len(key)])
        if first.known is not None:
            inside = first.known < len(domain)
            chosen = domain[first.known] if inside else None
            return self._chosen(field, rest, (*key, chosen), at) if inside else beyond
        options = [self._chosen(field, rest, (*key, value), at) for value in domain]
        chosen = self.terms.pick(first, options)
        return self.terms.ite(self._outside(first, len(domain)), beyond, chosen)


_free: dict[int, tuple[str, ...]] = {}


def free(expr: Expr) -> tuple[str, ...]:
    """The names of the variables that an expression leaves open."""
    if expr.serial not in _free:
        inner = {n for a in expr.args if isinstance(a, Expr) for n in free(a)}
        if expr.op == "var":
            inner = {expr.args[0]}
        elif expr.op in ("all", "any", "count"):
            inner.discard(expr.args[0].args[0])
        _free[expr.serial] = tuple(sorted(inner))
    return _free[expr.serial]
