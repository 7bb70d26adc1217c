"""Mutants of a model: each guard of each action dropped, each comparison turned, each effect removed.

A mutant is made from the traced action, which is data, and read back as an action of its own: `replayed`
is a function that does, on the state of any reader, what the data says. So `explore`, `prove`, the plain
interpreter and every other reader take a mutated model as they take any model, and check it as such.

| mutation             | id                                                   |
|----------------------|------------------------------------------------------|
| guard dropped        | election/grant_vote/-vote_is_free                    |
| comparison turned    | election/grant_vote/vote_is_free: either→both        |
| effect removed       | election/grant_vote/effect -voted_for                |
| effect's condition   | election/restart/effect votes: !=→==                 |

Turned are `<` and `<=` into each other, `==` and `!=`, both and either, all and any. Of two times, which
a model compares by `>=` and `<` alone, one becomes the other. What stands several times in one guard has
a number, `#2`, in reading order.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from oneleader.errors import SpecError
from oneleader.language import times
from oneleader.language.definitions import Action
from oneleader.language.expr import Expr, both, either, equal, ite, no
from oneleader.language.model import Model
from oneleader.language.sorts import is_time, name_of
from oneleader.language.source import made_of_data
from oneleader.language.trace import TracedAction, TracedState, Update, reads, trace_action, trace_property

GUARD, COMPARISON, EFFECT = "guard", "comparison", "effect"


@dataclass(frozen=True)
class Mutant:
    """One mutation of one action of a model. `told`: what becomes of it, as people write it."""

    id: str
    kind: str
    base: Model
    traced: TracedAction
    told: str

    @property
    def action(self) -> str:
        return self.traced.action.name

    @cached_property
    def model(self) -> Model:
        """The mutated model. SpecError where the language refuses it."""
        action = as_action(self.traced)
        return replace(self.base, actions=self.base.actions | {action.name: action})


# -- from data back to an action --------------------------------------------------------------------
def as_action(traced: TracedAction) -> Action:
    """An action that says what the data says."""
    guards = tuple(guard for guard, _ in traced.guards)
    return replace(traced.action, function=replayed(traced), guards=guards, dropped=frozenset())


def replayed(traced: TracedAction) -> Callable[..., None]:
    """What the data says, done on the state of the reader."""
    names = [p.args[0] for p in traced.params]
    updates = in_order(traced.updates)

    @made_of_data
    def function(s: Any, *args: Any) -> None:
        value = _same if isinstance(s, TracedState) else _Plain(s).value
        env = dict(zip(names, args, strict=True))
        s.require(*(value(guard, env) for _, guard in traced.guards))
        for claim in traced.claims:
            s.claim(value(claim, env))
        writes = [
            (update.field.name, tuple(value(i, env) for i in write.index), value(write.value, env))
            for update in updates
            for write in update.writes
        ]
        for update in updates:
            if update.rewriting is not None:
                getattr(s, update.field.name).where(_rewriting(update, value, env))
        for name, index, new in writes:
            if index:
                getattr(s, name)[index] = new
            else:
                setattr(s, name, new)

    return function


def in_order(updates: Mapping[str, Update]) -> list[Update]:
    """The updates, none after one of a field that it reads: reads see the state before the step."""
    left, done = dict(updates), []
    while left:
        read = {n: reads(u.rewriting) - {n} if u.rewriting is not None else set() for n, u in left.items()}
        free = [n for n in left if not any(n in read[other] for other in left)]
        if not free:
            raise SpecError(f"the rewritings of {', '.join(left)} read each other in a circle")
        done += [left.pop(n) for n in free]
    return done


def _rewriting(update: Update, value: Any, env: Mapping[str, Any]) -> Callable[..., Any]:
    names = [v.args[0] for v in update.variables]
    return lambda old, *key: value(update.rewriting, {**env, **dict(zip(names, key, strict=True))})


def _same(expr: Expr, env: Mapping[str, Any]) -> Expr:
    """While tracing, the parameters are the variables of the data itself."""
    return expr


class _Plain:
    """Expressions on plain values: one method an operator."""

    def __init__(self, s: Any) -> None:
        self.s = s

    def value(self, expr: Expr, env: Mapping[str, Any]) -> Any:
        made = getattr(self, f"_{expr.op}", None)
        if made:
            return made(expr, env)
        return OPERATORS[expr.op](*(self.value(a, env) for a in expr.args))

    def _const(self, expr: Expr, env: Mapping[str, Any]) -> Any:
        return expr.args[0]

    def _var(self, expr: Expr, env: Mapping[str, Any]) -> Any:
        return env[expr.args[0]]

    def _read(self, expr: Expr, env: Mapping[str, Any]) -> Any:
        name, *index = expr.args
        found = getattr(self.s, name)
        return found[tuple(self.value(i, env) for i in index)] if index else found

    def _parameter(self, expr: Expr, env: Mapping[str, Any]) -> Any:
        return getattr(self.s, expr.args[0])

    def _quantified(self, expr: Expr, env: Mapping[str, Any]) -> Any:
        bound, body = expr.args
        quantify = getattr(bound.sort, expr.op)
        return quantify(lambda x: self.value(body, {**env, bound.args[0]: x}))

    _all = _any = _count = _quantified


OPERATORS: dict[str, Callable[..., Any]] = {
    "some": lambda x: x,
    "eq": lambda x, y: x == y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "add": lambda x, y: x + y,
    "mul": lambda x, y: x * y,
    "apply": lambda x, i: x[i],
    "and": both,
    "or": either,
    "not": no,
    "ite": ite,
}


# -- mutations --------------------------------------------------------------------------------------
def mutants(model: Model) -> Iterator[Mutant]:
    """Every mutant of the actions that the model itself defines, in a fixed order."""
    for action in model.actions.values():
        if taken_over(model, action):
            continue
        traced = trace_action(model, action)
        seen: Counter[str] = Counter()
        for kind, what, told, mutated in _mutations(traced):
            seen[what] += 1
            number = f" #{seen[what]}" if seen[what] > 1 else ""
            yield Mutant(f"{model.name}/{action.name}/{what}{number}", kind, model, mutated, told)


def taken_over(model: Model, action: Action) -> bool:
    """Whether it is, unchanged, an action of the model that this one extends, and judged there."""
    return model.extends is not None and model.extends.actions.get(action.name) == action


Mutation = tuple[str, str, str, TracedAction]  # kind, what, told, the action mutated


def _mutations(traced: TracedAction) -> Iterator[Mutation]:
    for i, (guard, expr) in enumerate(traced.guards):
        rest = traced.guards[:i] + traced.guards[i + 1 :]
        yield GUARD, f"-{guard.name}", said(expr), replace(traced, guards=rest)
    for i, (guard, expr) in enumerate(traced.guards):
        for how, turned in turnings(expr):
            guards = (*traced.guards[:i], (guard, turned), *traced.guards[i + 1 :])
            yield COMPARISON, f"{guard.name}: {how}", said(turned), replace(traced, guards=guards)
    for name, update in traced.updates.items():
        for mutation, told, changed in _of_update(update):
            updates = {n: changed if n == name else u for n, u in traced.updates.items()}
            kept = {n: u for n, u in updates.items() if u is not None}
            kind = COMPARISON if mutation else EFFECT
            what = f"effect {name}: {mutation}" if mutation else f"effect -{name}"
            yield kind, what, told, replace(traced, updates=kept)


def _of_update(update: Update) -> Iterator[tuple[str, str, Update | None]]:
    """How a comparison was turned ("": the effect removed), what of it, and the update, None for none."""
    name = update.field.name
    if update.rewriting is not None:
        yield "", f"{name} := {said(update.rewriting)}", None
        for how, turned in turnings(update.rewriting):
            yield how, f"{name} := {said(turned)}", replace(update, rewriting=turned)
    for i, write in enumerate(update.writes):
        rest = update.writes[:i] + update.writes[i + 1 :]
        at = f"{name}[{', '.join(map(said, write.index))}]" if write.index else name
        yield "", f"{at} = {said(write.value)}", replace(update, writes=rest) if rest else None
        for how, turned in turnings(write.value):
            writes = (*update.writes[:i], replace(write, value=turned), *update.writes[i + 1 :])
            yield how, f"{at} = {said(turned)}", replace(update, writes=writes)


def turnings(expr: Expr) -> Iterator[tuple[str, Expr]]:
    """The expression with one comparison or connective in it turned, each in turn, in reading order."""
    here = _turned(expr)
    if here is not None:
        yield here
    for i in _reading_order(expr):
        for how, part in turnings(expr.args[i]):
            yield how, _with(expr, i, part)


def _reading_order(expr: Expr) -> list[int]:
    """The positions of the parts, in the order in which `said` has them."""
    parts = [i for i, a in enumerate(expr.args) if isinstance(a, Expr)]
    if expr.op != "eq":
        return parts
    return sorted(parts, key=lambda i: (expr.args[i].op == "const", said(expr.args[i])))


def _turned(expr: Expr) -> tuple[str, Expr] | None:
    """The outermost operator turned, where it can be."""
    if expr.op == "eq":
        return "==→!=", _bool(no(expr))
    if expr.op == "not" and expr.args[0].op == "eq":
        return None  # `!=`: turned where its `==` is
    if expr.op in ("lt", "le") and is_time(expr.args[0].sort):
        return _other_answer(expr)
    if expr.op in TURNED:
        op, how = TURNED[expr.op]
        return how, Expr(op, expr.args, bool)
    return None


def _other_answer(expr: Expr) -> tuple[str, Expr] | None:
    """Of two times: has so much passed, or not? None where the language has only the one question."""
    x, y = expr.args
    op = "le" if expr.op == "lt" else "lt"
    try:
        times.check_order(op, y, x)
    except SpecError:
        return None
    return (">=→<" if expr.op == "le" else "<→>="), Expr(op, (y, x), bool)


TURNED = {
    "lt": ("le", "<→<="),
    "le": ("lt", "<=→<"),
    "and": ("or", "both→either"),
    "or": ("and", "either→both"),
    "all": ("any", "all→any"),
    "any": ("all", "any→all"),
}


def _with(expr: Expr, position: int, part: Expr) -> Expr:
    """The expression with another part in that place."""
    args = (*expr.args[:position], part, *expr.args[position + 1 :])
    if expr.op == "not":
        return _bool(no(part))
    if expr.op == "eq":
        return _bool(equal(*args))
    return Expr(expr.op, args, expr.sort)


def _bool(x: Any) -> Expr:
    assert isinstance(x, Expr)
    return x


# -- in words ---------------------------------------------------------------------------------------
SIGNS = {"lt": "<", "le": "<=", "add": "+", "mul": "*"}
NAMES = {"and": "both", "or": "either", "not": "no", "ite": "ite"}


def said(expr: Expr) -> str:
    """An expression as a model writes it: the same in every run, whatever was traced before."""
    if expr.op == "const":
        value = expr.args[0]
        return value.name if hasattr(value, "name") else repr(value)
    if expr.op == "var":
        return _variable(expr.args[0])
    parts = [said(a) for a in expr.args if isinstance(a, Expr)]
    if expr.op == "some":
        return parts[0]
    if expr.op == "eq":
        return " == ".join(_sides(expr))
    if expr.op == "not" and expr.args[0].op == "eq":
        return " != ".join(_sides(expr.args[0]))
    if expr.op in SIGNS:
        return f" {SIGNS[expr.op]} ".join(parts)
    if expr.op in ("read", "parameter"):
        return f"{expr.args[0]}[{', '.join(parts)}]" if parts else str(expr.args[0])
    if expr.op == "apply":
        return f"{parts[0]}[{parts[1]}]"
    if expr.op in ("all", "any", "count"):
        return f"{name_of(expr.args[0].sort)}.{expr.op}({parts[0]}: {parts[1]})"
    return f"{NAMES[expr.op]}({', '.join(parts)})"


def _variable(name: str) -> str:
    """`votes[0]`, the first index of a rewriting, is `_0` here; the bound variable `Node.1` is `node_1`."""
    return f"_{name.partition('[')[2][:-1]}" if "[" in name else name.replace(".", "_").lower()


def _sides(equation: Expr) -> list[str]:
    """The two sides of `==`, which are stored in no order that people know: constants last."""
    return [text for _, text in sorted((side.op == "const", said(side)) for side in equation.args)]


def digest(model: Model) -> str:
    """A fingerprint of all that the model's actions and properties say: it changes when one of them does."""
    lines = []
    for action in model.actions.values():
        traced = trace_action(model, action)
        params = [f"{p.args[0]}: {name_of(p.sort)}" for p in traced.params]
        lines.append(f"{action.name}({', '.join(params)})")
        lines += [f"{what}: {said(expr)}" for what, expr in traced.parts()]
    for prop in (*model.axioms.values(), *model.properties.values(), *model.witnesses.values()):
        lines.append(f"{prop.kind} {prop.name}: {said(trace_property(model, prop).body)}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
