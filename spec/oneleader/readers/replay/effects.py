"""effects: a traced action as the text of a Python function that takes the step, or says what forbids it.

It returns the position of a guard that does not hold, -1 for a claim that is false, and None when the step
has been taken. What is computed is computed from the state before; writes stand at the end.

A `where` visits no more than its conditions name. It is split into cases (`literals`); of each case, what is
equated is fixed and what is compared is a range. What is left to do is, from cheap to costly:

    a row that is copied, reset, cut or added to; a range that is copied from another row
    the cells of a region, one by one
    every number that has appeared: noted in `slow`
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from oneleader.language.expr import Expr, is_const
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.language.sorts import is_number
from oneleader.language.trace import TracedAction, Update, reads
from oneleader.readers.replay.literals import (
    Rewriting,
    bounds,
    cases,
    contains,
    equated,
    excluded,
    variables_of,
)
from oneleader.readers.replay.text import Env, ValueText, joined


class Costly(Exception):
    """A ghost field that would cost the length of the log to keep: its name."""


def row_kinds(model: Model, traced: Mapping[str, TracedAction]) -> dict[str, str]:
    """Which fields are kept as rows, and of which kind: those that are rewritten, or that are the source."""
    rewritings = [u for t in traced.values() for u in t.updates.values() if u.rewriting is not None]
    names = {u.field.name for u in rewritings if len(u.field.index) > 1}
    for u in rewritings:
        if len(u.field.index) > 1:
            names |= _sources(u.rewriting, u.variables[-1])
    fields = (f for f in model.fields.values() if not f.fixed)
    return {
        f.name: "number" if is_number(f.index[-1]) else "set"
        for f in fields
        if f.name in names and len(f.index) > 1
    }


def _sources(e: Any, last: Expr) -> set[str]:
    if not isinstance(e, Expr):
        return set()
    here = {e.args[0]} if e.op == "read" and e.args[-1] is last else set()
    return here.union(*(_sources(a, last) for a in e.args))


class ActionText(ValueText):
    """Writes one action: `lines` compute, `writes` change the state, both in their order."""

    def __init__(
        self,
        model: Model,
        kinds: Mapping[str, str],
        lost: Collection[str],
        traced: TracedAction,
        *,
        is_in_place: bool = False,
    ) -> None:
        env = {p.args[0]: f"p_{p.args[0]}" for p in traced.params}
        super().__init__(model, kinds, env, is_in_place=is_in_place)
        self.lost, self.traced = lost, traced
        self.writes: list[str] = []

    def function(self) -> str:
        """The text of the whole function."""
        action = self.traced.action
        for p in self.traced.params:
            self.seen(p.sort, self.env[p.args[0]])
        for guard, e in self.traced.guards:
            self.part = f"the guard {guard.name}"
            self.lines.append(f"if not {self.value(e)}: return {action.guards.index(guard)}")
        for claim in self.traced.claims:
            if not reads(claim) & set(self.lost):
                self.part = "a claim"
                self.lines.append(f"if not {self.value(claim)}: return -1")
        for update in self.traced.updates.values():
            if update.field.name not in self.lost:
                self.part = f"the effect on {update.field.name}"
                self.update(update)
        body = "\n    ".join([*self.lines, *self.writes, "return None"])
        return f"def {action.name}({', '.join(self.env.values())}):\n    {body}\n"

    # -- effects --------------------------------------------------------------------------------------------
    def update(self, u: Update) -> None:
        if u.rewriting is None:
            return self._points(u)
        old = Expr("read", (u.field.name, *u.variables), u.field.of)
        for case in cases(u.rewriting, old):
            self._region(u.field, u.variables, old, case)
        return None

    def _points(self, u: Update) -> None:
        """Single cells."""
        keys: list[str] = []
        for w in u.writes:
            key = self.let(self.key(w.index, self.env))
            for other in keys:
                self.lines.append(f"if {key} == {other}: twice({u.field.name!r}, {key})")
            keys.append(key)
            value = self.let(self.value(w.value))
            for sort, part in zip(u.field.index, w.index, strict=True):
                if part.op != "var":
                    self.seen(sort, self.let(self.value(part)))
            if is_number(u.field.of):
                self.seen(u.field.of, value)
            if self.is_in_place and u.field.name in self.kinds:
                *prefix, last = (self.let(self.value(part)) for part in w.index)
                self.writes.append(f"{self._own(u.field, joined(prefix))}.put({last}, {value})")
            else:
                self.writes += self._put(u.field, key, value, w.value)

    def _put(self, f: Field, key: str, value: str, e: Expr) -> Iterator[str]:
        """Write a cell. In place, what is initial is not kept."""
        if not self.is_in_place or f.name in self.kinds:
            yield f"put_{f.name}({key}, {value})"
        elif e.op == "const":
            is_initial = is_const(e, f.init)
            yield f"cells_{f.name}.pop({key}, None)" if is_initial else f"cells_{f.name}[{key}] = {value}"
        else:
            yield f"if {value} == initial_{f.name}: cells_{f.name}.pop({key}, None)"
            yield f"else: cells_{f.name}[{key}] = {value}"

    def _own(self, f: Field, key: str) -> str:
        """A row, to write to. In place, the table of rows makes one that is not there yet."""
        return f"cells_{f.name}[{key}]" if self.is_in_place else f"own_{f.name}({key})"

    def _touched(self, how: str, f: Field, *what: str) -> str:
        """Which cells a write touches, noted for properties: none is judged of what is changed in place."""
        return "" if self.is_in_place else f"{how}({', '.join((repr(f.name), *what))}); "

    def _write(self, f: Field, key: str, change: str, touched: str, condition: str = "") -> None:
        """Change a row, made the candidate's own, and note which cells that touches."""
        self.writes.append(f"{condition}{touched}{self._own(f, key)}{change}")

    def _region(self, f: Field, variables: tuple[Expr, ...], old: Expr, case: Rewriting) -> None:
        """Write a case's value wherever its literals hold."""
        env: dict[str, str] = dict(self.env)
        where, free, fixed = list(case.where), list(variables), {}
        while found := next(((v, e) for v in free if (e := equated(v, where, set(env)))), None):
            v, (literal, value) = found
            env[v.args[0]] = self.let(self.value(value, env))
            fixed[v.args[0]] = value
            free = [x for x in free if x is not v]
            where = [x for x in where if x is not literal]
        last = variables[-1]
        if f.name in self.kinds and len(free) == 1 and free[0] is last:
            prefix = [fixed[v.args[0]] for v in variables[:-1]]
            if all(map(self.is_fixed, prefix)) and self._row(
                f, prefix, last, old, Rewriting(where, case.value)
            ):
                return
        if self._is_added_to_all(f, variables, free, old, Rewriting(where, case.value)):
            return
        self._cells(f, variables, free, env, Rewriting(where, case.value), old)

    # -- rows ----------------------------------------------------------------------------------------------
    def _row(self, f: Field, prefix: list[Expr], last: Expr, old: Expr, case: Rewriting) -> bool:
        """A region that is part of one row; False where it has to be visited cell by cell."""
        name = last.args[0]
        of_last = [e for e in case.where if name in variables_of(e)]
        others = [e for e in case.where if name not in variables_of(e)]
        if not all(map(self.is_fixed, others)):
            return False
        condition = f"if {' and '.join(self.values(others, self.env))}: " if others else ""
        part = Rewriting(of_last, case.value)
        if self.kinds[f.name] == "number":
            return self._number_row(f, prefix, last, part, condition)
        return self._set_row(f, prefix, last, old, part, condition)

    def _number_row(self, f: Field, prefix: list[Expr], last: Expr, case: Rewriting, condition: str) -> bool:
        if f.kind == "ghost":
            raise Costly(f.name)
        low, high, rest = bounds(last, case.where)
        key = self.let(self.key(prefix, self.env))
        if self._is_row_at(case.value, last, "number"):
            source = self.row(case.value.args[0], case.value.args[1:-1], self.env)
            if not case.where:
                copy = self.let(f"{source}.copy()")
                in_place, layered = f"cells_{f.name}[{key}] = {copy}", f"set_{f.name}({key}, {copy})"
                self.writes.append(condition + (in_place if self.is_in_place else layered))
                return True
            if high and not rest:
                start = self.let(self.low(low, self.env))
                if self.is_in_place and case.value.args[0] not in self.traced.updates:
                    end = self.let(self.high(high, self.env))
                    self._write(f, key, f".take({source}, {start}, {end})", "", condition)
                    return True
                found = self.let(f"{source}.slice({start}, {self.high(high, self.env)})")
                touched = self._touched("touch_range", f, key, start, found)
                self._write(f, key, f".assign({start}, {found})", touched, condition)
                return True
        if is_const(case.value, f.init):
            row = self.row(f.name, prefix, self.env)
            end = self.high(high, self.env) if high else f"{row}.top"
            test = " and ".join(self.values(rest, {**self.env, last.args[0]: "i"})) or "True"
            start = self.low(low, self.env)
            cut = self.let(
                f"[i for i in {row}.written({start}, {end}) if {test}] if {start} <= {row}.top else ()"
            )
            touched = self._touched("touch_keys", f, key, cut)
            self._write(f, key, f".clear({cut})", touched, f"if {cut}: ")
            return True
        return False

    def _set_row(
        self, f: Field, prefix: list[Expr], last: Expr, old: Expr, case: Rewriting, condition: str
    ) -> bool:
        name, value = last.args[0], case.value
        but = excluded(last, case.where)
        if but is None or name in variables_of(value) - variables_of(old):
            return False
        key, row = self.let(self.key(prefix, self.env)), self.row(f.name, prefix, self.env)
        if not contains(value, old) and name not in variables_of(value):
            new = self.let(self.value(value))
            kept = [(k, self.let(f"{row}.get({k})")) for k in (self.let(self.value(e)) for e in but)]
            but_for = "".join(f".but({k}, {v})" for k, v in kept)
            touched = self._touched("touch_keys", f, key, f"{row}.keys()")
            text = f"{condition}{touched}{self._own(f, key)}.reset({new}){but_for}"
            self.writes.insert(0, text)  # before single cells of the same row
            return True
        if self._is_sum(value, old, name) and not but:
            added = self.let(self.value(value.args[1]))
            self._write(f, key, f".add({added})", self._touched("whole", f), condition)
            return True
        return False

    def _is_sum(self, value: Expr, old: Expr, last: str) -> bool:
        return value.op == "add" and value.args[0] is old and last not in variables_of(value.args[1])

    def _is_added_to_all(
        self, f: Field, variables: tuple[Expr, ...], free: list[Expr], old: Expr, case: Rewriting
    ) -> bool:
        """Time passes: something is added to all rows, the same to all cells of one."""
        is_of_rows = self.kinds.get(f.name) == "set" and len(variables) == 2
        if not is_of_rows or case.where or len(free) < 2:
            return False
        if not self._is_sum(case.value, old, variables[-1].args[0]):
            return False
        first = variables[0]
        value = self.value(case.value.args[1], {**self.env, first.args[0]: "k"})
        added = self.let(f"[(k, {value}) for k in {self.domain(first.sort)}]")
        self.writes.append(f"for k, v in {added}: {self._own(f, 'k')}.add(v)")
        self.writes += [] if self.is_in_place else [f"whole({f.name!r})"]
        return True

    # -- cells -----------------------------------------------------------------------------------------------
    def _cells(
        self,
        f: Field,
        variables: tuple[Expr, ...],
        free: list[Expr],
        env: Env,
        case: Rewriting,
        old: Expr,
    ) -> None:
        """Visit the cells of a region; above all numbers that have appeared nothing may change."""
        found, pad = self.name(), ""
        lines, inner, left, beyond = [f"{found} = []"], dict(env), list(case.where), []
        for v in free:
            name = inner[v.args[0]] = f"v{len(inner)}"
            low, high, rest = bounds(v, left)
            is_known = all(variables_of(e) <= inner.keys() - {v.args[0]} for e, _ in (*low, *high))
            if is_number(v.sort) and f.kind == "ghost":
                raise Costly(f.name)
            if is_number(v.sort) and high and is_known:
                domain, left = self.range(low, high, inner), rest
            else:
                domain = self.domain(v.sort)
                if is_number(v.sort):
                    beyond.append(f"{name} > greatest[{v.sort.__name__}]")
            lines.append(f"{pad}for {name} in {domain}:")
            pad += "  "
        lines.append(f"{pad}old = {self.value(old, inner)}")
        self.old = old
        if left:
            lines.append(f"{pad}if {' and '.join(self.values(left, inner))}:")
            pad += "  "
        cell = self.key(variables, inner)
        lines.append(f"{pad}new = {self.value(case.value, inner)}")
        self.old = None
        if beyond:
            lines.append(f"{pad}if ({' or '.join(beyond)}) and new != old: endless({str(f)!r})")
        lines.append(f"{pad}if new != old: {found}.append(({cell}, new))")
        self.lines += lines
        self.writes += [f"for k, v in {found}:", *(f"  {put}" for put in self._put(f, "k", "v", case.value))]
