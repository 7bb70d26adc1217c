"""A model as JavaScript, for the explorer's page: one function for each guard, claim, effect and property.

The other engines print ground terms, one instance of an action after the other. Here the traced expressions
are printed as they stand, quantifiers as loops and parameters as arguments: the text is short, each guard can
be asked by itself, and constants are tables that a reader of the page may change. So what `ground.py` does is
done here a second time and independently of it; tests hold both equal, graph by graph.

`engine.js` takes the steps; it knows of no model.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from oneleader.language.definitions import Action, Guard, Property
from oneleader.language.expr import Expr
from oneleader.language.fields import Field
from oneleader.language.sorts import EachSort, LongAgo, base, is_number, is_time, name_of
from oneleader.language.trace import TracedAction, Update, reads, trace_action, trace_property
from oneleader.readers.engines.ground import free
from oneleader.readers.run import Run

RUNTIME = Path(__file__).with_name("engine.js")
SIGNS = {"lt": "<", "le": "<=", "add": "+", "mul": "*", "and": "&&", "or": "||"}
LOOPS = {"all": "every", "any": "some", "count": "count"}
LEAVES = ("const", "var", "parameter")


class FunctionBody:
    """The body of one function: its variables by name, and what has been given a name in it."""

    def __init__(self, names: Mapping[str, str], outer: FunctionBody | None = None) -> None:
        self.names, self.outer = dict(names), outer
        self.defined: dict[int, str] = {}
        self.lines: list[str] = []

    def variable(self, name: str) -> str:
        if name in self.names:
            return self.names[name]
        assert self.outer, name
        return self.outer.variable(name)

    def known(self, serial: int) -> str | None:
        """The name of an expression that this scope or one around it has defined."""
        return self.defined.get(serial) or (self.outer.known(serial) if self.outer else None)

    def home(self, variables: Iterable[str]) -> FunctionBody:
        """The outermost scope in which an expression with these variables can be computed."""
        return (
            self
            if self.outer is None or any(v in self.names for v in variables)
            else self.outer.home(variables)
        )

    def depth(self) -> int:
        return 1 + self.outer.depth() if self.outer else 0


class JavaScriptPrinter:
    """Prints expressions over the state `s`. Truth is true and false, NIL is -1, everything else a number."""

    def __init__(self, run: Run) -> None:
        self.run, self.at = run, run.configuration
        self.kept = {f.name for f in run.cells.fields}

    def function(self, params: Iterable[Expr], roots: Iterable[Expr], result: str = "({})") -> str:
        """`(s, a, b) => ...`; what the roots use more than once is computed once."""
        scope, named = self.scope(params)
        roots = list(roots)
        uses = used(roots)
        texts = [self.text(root, scope, uses) for root in roots]
        body = result.format(*texts)
        head = f"({', '.join(('s', *named))}) =>"
        return f"{head} {{ {' '.join(scope.lines)} return {body}; }}" if scope.lines else f"{head} {body}"

    def scope(self, params: Iterable[Expr]) -> tuple[FunctionBody, list[str]]:
        """A scope with the parameters, and what they are called there."""
        names = {p.args[0]: f"a{i}" for i, p in enumerate(params)}
        return FunctionBody(names), list(names.values())

    def text(self, expr: Expr, scope: FunctionBody, uses: Counter[int]) -> str:
        """An expression, within a scope to which its shared parts are added."""
        known = scope.known(expr.serial)
        if known:
            return known
        if uses[expr.serial] < 2 or expr.op in LEAVES:
            return self._text(expr, scope, uses)
        home = scope.home(free(expr))
        text, name = self._text(expr, home, uses), f"x{expr.serial}"
        home.lines.append(f"const {name} = {text};")
        home.defined[expr.serial] = name
        return name

    def _text(self, expr: Expr, scope: FunctionBody, uses: Counter[int]) -> str:
        made: str = getattr(self, f"_{expr.op}", self._joined)(expr, scope, uses)
        return made

    def _joined(self, expr: Expr, scope: FunctionBody, uses: Counter[int]) -> str:
        return f"({f' {SIGNS[expr.op]} '.join(self.text(a, scope, uses) for a in expr.args)})"

    def _const(self, expr: Expr, scope: FunctionBody, uses: Counter[int]) -> str:
        return constant(expr.args[0])

    def _var(self, expr: Expr, scope: FunctionBody, uses: Counter[int]) -> str:
        return scope.variable(expr.args[0])

    def _parameter(self, expr: Expr, scope: FunctionBody, uses: Counter[int]) -> str:
        return str(self.at.parameters[expr.args[0]])

    def _some(self, expr: Expr, scope: FunctionBody, uses: Counter[int]) -> str:
        return self.text(expr.args[0], scope, uses)

    def _eq(self, expr: Expr, scope: FunctionBody, uses: Counter[int]) -> str:
        x, y = (self.text(a, scope, uses) for a in expr.args)
        return f"({x} === {y})"

    def _not(self, expr: Expr, scope: FunctionBody, uses: Counter[int]) -> str:
        return f"(!{self.text(expr.args[0], scope, uses)})"

    def _ite(self, expr: Expr, scope: FunctionBody, uses: Counter[int]) -> str:
        condition, x, y = (self.text(a, scope, uses) for a in expr.args)
        return f"({condition} ? {x} : {y})"

    def _apply(self, expr: Expr, scope: FunctionBody, uses: Counter[int]) -> str:
        each, index = (self.text(a, scope, uses) for a in expr.args)
        return f"{each}[{index}]"

    def _read(self, expr: Expr, scope: FunctionBody, uses: Counter[int]) -> str:
        name, *index = expr.args
        field = self.run.model.fields[name]
        if field.kind != "constant" and name not in self.kept:
            return constant(self.at.first(field))
        return f"r_{name}({', '.join(('s', *(self.text(i, scope, uses) for i in index)))})"

    def _all(self, expr: Expr, scope: FunctionBody, uses: Counter[int]) -> str:
        variable, body = expr.args
        inner = FunctionBody({variable.args[0]: f"q{scope.depth()}"}, scope)
        text, name = self.text(body, inner, uses), inner.names[variable.args[0]]
        if inner.lines:
            text = f"{{ {' '.join(inner.lines)} return {text}; }}"
        return f"{LOOPS[expr.op]}({self.at.size(variable.sort)}, ({name}) => {text})"

    _any = _count = _all


def used(roots: Iterable[Expr]) -> Counter[int]:
    """How often each expression is used by these."""
    uses: Counter[int] = Counter()
    left = list(roots)
    while left:
        expr = left.pop()
        uses[expr.serial] += 1
        if uses[expr.serial] == 1:
            left += [a for a in expr.args if type(a) is Expr]
    return uses


def constant(value: Any) -> str:
    """A value as JavaScript. No length of time reaches Infinity."""
    if isinstance(value, LongAgo):
        return "Infinity"
    return json.dumps(value) if isinstance(value, bool) else str(int(value))


class JavaScript:
    """A model under a configuration, printed as JavaScript: the text of one object, for `engineOf`.

    `variants`: other actions that may stand in the place of the model's own, by the name of the variant.
    """

    def __init__(self, run: Run, variants: Mapping[str, Sequence[Action]] | None = None) -> None:
        self.run, self.model, self.at = run, run.model, run.configuration
        self.printer, self.variants = JavaScriptPrinter(run), variants or {}

    def text(self) -> str:
        """The object."""
        return "\n".join(["(() => {", *self._readers(), "return {", *self._parts(), "};", "})()"])

    def _parts(self) -> Iterator[str]:
        yield f"name: {json.dumps(self.model.name)},"
        yield f"initial: {json.dumps([int(x) for x in self.run.initial])},"
        yield f"truth: {json.dumps([int(f.of is bool) for f, _ in self.run.cells.keys])},"
        yield f"domains: {json.dumps(self._domains())},"
        yield "tables,"
        yield from self._listed("actions", map(self.action, self.model.actions.values()))
        yield "variants: {"
        for name, actions in self.variants.items():
            yield from self._listed(json.dumps(name), map(self.action, actions))
        yield "},"
        for kind in ("invariants", "theorems", "witnesses"):
            yield from self._listed(kind, map(self._property, getattr(self.model, kind).values()))

    def _listed(self, name: str, texts: Iterable[str]) -> Iterator[str]:
        yield f"{name}: ["
        yield from (f"{text}," for text in texts)
        yield "],"

    def _domains(self) -> dict[str, Any]:
        """How many values each sort of a parameter has; of an Each, for how many elements, and of each."""
        definitions = (*self.model.actions.values(), *self.model.properties.values())
        sorts = [s for d in (*definitions, *self.model.witnesses.values()) for _, s in d.params]
        return {
            name_of(s): [self.at.size(s.of), self.at.size(s.index)]
            if isinstance(s, EachSort)
            else self.at.size(s)
            for s in sorts
        }

    # -- the state --------------------------------------------------------------------------------
    def _readers(self) -> Iterator[str]:
        """A function for each field that reads a cell; beyond the bound, the first value."""
        tables = {f.name: [*self._table(f)] for f in self.model.fields.values() if f.kind == "constant"}
        yield f"const tables = {json.dumps(tables)};"
        for f in self.model.fields.values():
            if f.kind == "constant":
                yield self._reader(f, f"tables.{f.name}", 0)
            elif f.name in self.printer.kept:
                yield self._reader(f, "s", self.run.cells.start[f.name])

    def _table(self, f: Field) -> Iterator[int]:
        """Where a constant is true, cell by cell."""
        true_at = self.at.constants.get(f.name, frozenset())
        yield from (int(key in true_at) for key in self.at.assignments([("", s) for s in f.index]))

    def _reader(self, f: Field, array: str, start: int) -> str:
        names = [f"i{n}" for n in range(len(f.index))]
        cell = f"{array}[{self._cell(f, names, start)}]"
        value = f"{cell} === 1" if f.of is bool else cell
        inside = " && ".join(
            f"{n} < {self.at.size(s)}" for n, s in zip(names, f.index, strict=True) if is_number(s)
        )
        beyond = constant(False if f.kind == "constant" else self.at.first(f))
        body = f"{inside} ? {value} : {beyond}" if inside else value
        return f"const r_{f.name} = ({', '.join(('s', *names))}) => {body};"

    def _cell(self, f: Field, index: list[str], start: int) -> str:
        """The position of a cell in its array; truth counts as 0 and 1 there."""
        text = ""
        for i, sort in zip(index, f.index, strict=True):
            i = f"+{i}" if sort is bool else i
            text = f"({text}) * {self.at.size(sort)} + {i}" if text else i
        return f"{start} + {text}" if text else str(start)

    # -- actions ----------------------------------------------------------------------------------
    def action(self, action: Action) -> str:
        """An action as an object: its parameters, guards, claims and its effect."""
        traced = trace_action(self.model, action)
        guards = (self._guard(guard, expr, traced) for guard, expr in traced.guards)
        claims = self._claims(traced)
        said = {
            "name": json.dumps(action.name),
            "params": json.dumps([[n, name_of(s)] for n, s in action.params]),
            "guards": f"[{', '.join(guards)}]",
            "claims": self.printer.function(
                traced.params, claims, " && ".join(["true", *["{}"] * len(claims)])
            ),
            "effect": self._effect(traced),
        }
        return f"{{ {', '.join(f'{key}: {value}' for key, value in said.items())} }}"

    def _guard(self, guard: Guard, expr: Expr, traced: TracedAction) -> str:
        said = f"name: {json.dumps(guard.name)}, clause: {json.dumps(guard.clause)}"
        return f"{{ {said}, holds: {self.printer.function(traced.params, [expr])} }}"

    def _claims(self, traced: TracedAction) -> list[Expr]:
        """The claims that read no ghost field that this run leaves out."""
        kept = self.printer.kept | {f.name for f in self.model.fields.values() if f.fixed}
        return [claim for claim in traced.claims if reads(claim) <= kept]

    def _effect(self, traced: TracedAction) -> str:
        """`(s, step, a, b) => ...`: hands each new value to `step.put(cell, value)`, or `step.cut()`."""
        updates = [u for u in traced.updates.values() if u.field.name in self.printer.kept]
        scope, named = self.printer.scope(traced.params)
        uses = used(e for u in updates for e in expressions(u))
        lines = [line for update in updates for line in self._update(update, scope, uses)]
        return f"({', '.join(('s', 'step', *named))}) => {{ {' '.join((*scope.lines, *lines))} }}"

    def _update(self, update: Update, scope: FunctionBody, uses: Counter[int]) -> Iterator[str]:
        if update.rewriting is not None:
            yield self._rewriting(update, scope, uses)
            return
        for write in update.writes:
            index = [self.printer.text(i, scope, uses) for i in write.index]
            yield self._put(update.field, index, self.printer.text(write.value, scope, uses))

    def _rewriting(self, update: Update, scope: FunctionBody, uses: Counter[int]) -> str:
        """A loop over every cell of the field."""
        assert update.rewriting is not None
        names = [f"k{i}" for i in range(len(update.variables))]
        inner = FunctionBody(dict(zip((v.args[0] for v in update.variables), names, strict=True)), scope)
        value = self.printer.text(update.rewriting, inner, uses)
        body = " ".join((*inner.lines, self._put(update.field, names, value)))
        for name, sort in reversed([*zip(names, update.field.index, strict=True)]):
            values = f"each({self.at.size(sort)})" if sort is not bool else "[false, true]"
            body = f"for (const {name} of {values}) {{ {body} }}"
        return body

    def _put(self, f: Field, index: list[str], value: str) -> str:
        limits = [f"{i} < {self.at.size(s)}" for i, s in zip(index, f.index, strict=True) if is_number(s)]
        stored = f"Math.min({value}, {self.at.longest[name_of(f.of)]})" if is_time(f.of) else value
        most = self.at.bounds(f.of)[1] if is_number(base(f.of)) else "Infinity"
        cell = self._cell(f, index, self.run.cells.start[f.name])
        put = f"step.put({cell}, {'+' * (f.of is bool)}{stored}, {most});"
        return f"if ({' && '.join(limits)}) {put} else step.cut();" if limits else put

    # -- properties -------------------------------------------------------------------------------
    def _property(self, prop: Property) -> str:
        traced = trace_property(self.model, prop)
        params = json.dumps([[n, name_of(s)] for n, s in prop.params])
        holds = self.printer.function(traced.params, [traced.body])
        return f"{{ name: {json.dumps(prop.name)}, params: {params}, holds: {holds} }}"


def expressions(update: Update) -> list[Expr]:
    """Every expression of an update."""
    parts = [e for w in update.writes for e in (*w.index, w.value)]
    return parts if update.rewriting is None else [*parts, update.rewriting]
