"""literals: expressions taken apart: conjunctions, bounds of a number, and what a rewriting does where."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, cast

from oneleader.language.expr import FALSE, TRUE, Expr, both, either, ite, no

Literals = list[Expr]
CONNECTIVES: dict[str, Callable[..., Any]] = {"and": both, "or": either, "not": no, "ite": ite}


@lru_cache(maxsize=65536)
def variables_of(e: Expr) -> frozenset[str]:
    """The names of the free variables."""
    if e.op == "var":
        return frozenset(e.args)
    parts = [variables_of(a) for a in e.args if isinstance(a, Expr)]
    bound = {e.args[0].args[0]} if e.op in ("all", "any", "count") else set()
    return frozenset().union(*parts) - bound


def contains(e: Expr, x: Expr) -> bool:
    return e is x or any(contains(a, x) for a in e.args if isinstance(a, Expr))


def replaced(e: Expr, old: Expr, new: Expr) -> Expr:
    """The expression with `new` for `old`."""
    if e is old:
        return new
    if not contains(e, old):
        return e
    args = [replaced(a, old, new) if isinstance(a, Expr) else a for a in e.args]
    made = CONNECTIVES.get(e.op)
    return cast(Expr, made(*args)) if made else Expr(e.op, tuple(args), e.sort)


def literals(e: Expr, positive: bool = True) -> Literals:
    """A condition, or its opposite, as a conjunction, as far as it is one."""
    if e.op == "not":
        return literals(e.args[0], not positive)
    if e.op == ("and" if positive else "or"):
        return [found for a in e.args for found in literals(a, positive)]
    return [e if positive else cast(Expr, no(e))]


class Rewriting(NamedTuple):
    """Where all the literals hold, a rewriting gives `value`."""

    where: Literals
    value: Expr


def cases(e: Expr, old: Expr) -> list[Rewriting]:
    """What a rewriting says, but for where nothing changes."""
    if e is old:
        return []
    if e.op == "ite" and not contains(e.args[0], old):
        condition, x, y = e.args
        first = [Rewriting(literals(condition) + c.where, c.value) for c in cases(x, old)]
        return first + [Rewriting(literals(condition, False) + c.where, c.value) for c in cases(y, old)]
    if e.sort is bool and e.op != "const":
        where_true, where_false = replaced(e, old, TRUE), replaced(e, old, FALSE)
        becomes_true = [Rewriting(literals(where_false), TRUE)] if where_false is not FALSE else []
        becomes_false = [Rewriting(literals(where_true, False), FALSE)] if where_true is not TRUE else []
        if not contains(where_true, old) and not contains(where_false, old) and _is_monotone(e, old):
            return becomes_true + becomes_false
    return [Rewriting([], e)]


def _is_monotone(e: Expr, old: Expr, positive: bool = True) -> bool:
    """Whether `old` stands under no negation: then where False becomes true, True stays true."""
    if e is old:
        return positive
    if not contains(e, old):
        return True
    if e.op == "not":
        return _is_monotone(e.args[0], old, not positive)
    if e.op in ("and", "or"):
        return all(_is_monotone(a, old, positive) for a in e.args)
    return (
        e.op == "ite"
        and not contains(e.args[0], old)
        and all(_is_monotone(a, old, positive) for a in e.args[1:])
    )


class NumberBounds(NamedTuple):
    """What literals say of a number: bounds (an expression, whether it is excluded), and all else."""

    low: list[tuple[Expr, bool]]
    high: list[tuple[Expr, bool]]
    rest: Literals


def bounds(v: Expr, of: Literals) -> NumberBounds:
    """The bounds of a number variable."""
    found = NumberBounds([], [], [])
    for literal in of:
        is_negated = literal.op == "not"
        a = literal.args[0] if is_negated else literal
        sides = [x for x in a.args if isinstance(x, Expr)]
        others = [x for x in sides if x is not v]
        if a.op not in ("lt", "le") or len(others) != 1 or v.args[0] in variables_of(others[0]):
            found.rest.append(literal)
            continue
        is_strict, v_is_left = a.op == "lt", sides[0] is v
        if is_negated:  # not (a < b) is b <= a
            is_strict, v_is_left = not is_strict, not v_is_left
        (found.high if v_is_left else found.low).append((others[0], is_strict))
    return found


def equated(v: Expr, of: Literals, known: set[str]) -> tuple[Expr, Expr] | None:
    """A literal that says what a variable is, and the value, from what is known."""
    for literal in of:
        if literal.op == "eq" and any(a is v for a in literal.args):
            other = literal.args[1] if literal.args[0] is v else literal.args[0]
            if variables_of(other) <= known and other.sort is v.sort:
                return literal, other
    return None


def excluded(v: Expr, of: Literals) -> list[Expr] | None:
    """The values that the literals say a variable is not; None if they say anything else."""
    found: list[Any] = []
    for literal in of:
        if literal.op != "not" or literal.args[0].op != "eq" or not any(a is v for a in literal.args[0].args):
            return None
        other = next((a for a in literal.args[0].args if a is not v), v)
        if v.args[0] in variables_of(other) or other.sort is not v.sort:
            return None
        found.append(other)
    return found
