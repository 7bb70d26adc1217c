"""premises: what has to happen for a property to be put to the test.

`implies(p, q)` says nothing where p never happens, and that can be written in many ways: `either(no(p), q)`,
`no(both(p, no(q)))`, below quantifiers. So a part of the property is left out, as if it were never true:
where the property holds without it all the same, that part was never needed, and nothing tested it.

| alternatives of `either`     | left out                                                        |
|------------------------------|-----------------------------------------------------------------|
| some negated, some not       | those that are not, together; and the last                      |
| all of one kind              | each; within another `either` the last negated one alone        |
| `ite(c, x, y)`               | x; and y                                                        |
| two truth values are equal   | that they are true; and that they are false                     |
| a count is compared          | that anything is counted                                        |

Below `no` a `both` is an `either`. What is left is looked at in the same way. Whether a number was ever
large enough to test a property is not asked: a witness is the way to say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from oneleader.language.definitions import Property
from oneleader.language.expr import FALSE, TRUE, Expr, both, either, is_expr, ite, lift, no
from oneleader.language.model import Model
from oneleader.language.trace import trace_property

CLAIM, PREMISE = "claim", "premise"


@dataclass(frozen=True)
class Premise(Property):
    """That a property was put to the test in one of its parts: a witness, to be sought as others are.

    Its function gives the expression that was traced, of whatever state it is asked.
    """

    tests: str = ""  # the name of the property


@lru_cache(maxsize=4096)
def _premises(prop: Property, body: Expr) -> tuple[Premise, ...]:
    return tuple(
        Premise(
            name=f"premise {number} of {prop.name}",
            function=lambda s, *args, said=said: said,
            params=prop.params,
            doc="",
            file=prop.file,
            line=prop.line,
            kind="witness",
            tests=prop.name,
        )
        for number, said in enumerate(premises(body), start=1)
    )


def premises_of(model: Model, prop: Property) -> tuple[Premise, ...]:
    """What has to be reached for this property to be put to the test."""
    return _premises(prop, trace_property(model, prop).body)


def unmet(premises: Mapping[Premise, Any]) -> list[str]:
    """The properties with a premise that nothing met."""
    return list(dict.fromkeys(premise.tests for premise, at in premises.items() if at is None))


def premises(body: Expr) -> Iterator[Expr]:
    """Each is true where the property would be false without some part of it."""
    if body is TRUE:
        yield FALSE  # it says nothing at all
    for weaker in dict.fromkeys(_Part(said=True, nested=False).left_out(body)):
        yield _expr(no(weaker))


@dataclass(frozen=True)
class _Part:
    """A place in a property. `said` is False below a negation, where what is left out is true."""

    said: bool
    nested: bool  # within an alternative

    def left_out(self, expr: Expr) -> Iterator[Expr]:
        """The expression without some part."""
        gone = FALSE if self.said else TRUE
        if expr.op == "not":
            below = replace(self, said=not self.said)
            yield from (_expr(no(part)) for part in below.left_out(expr.args[0]))
        elif expr.op in ("all", "any"):
            variable, inner = expr.args
            yield from (Expr(expr.op, (variable, part), bool) for part in self.left_out(inner))
        elif expr.op == "ite":
            condition, x, y = expr.args
            below = replace(self, nested=True)
            yield from (_expr(ite(condition, part, y)) for part in (gone, *below.left_out(x)))
            yield from (_expr(ite(condition, x, part)) for part in (gone, *below.left_out(y)))
        elif expr.op == "eq" and expr.args[0].sort is bool:
            yield from (expr.args[0], _expr(no(expr.args[0])))
        elif expr.op in ("eq", "le", "lt"):
            counted = (Expr("any", arg.args, bool) for arg in expr.args if is_expr(arg) and arg.op == "count")
            yield from (_expr(no(some)) if self.said else some for some in counted)
        elif expr.op in ("and", "or"):
            is_a_choice = (expr.op == "or") is self.said
            yield from self._of_a_choice(expr) if is_a_choice else self._deeper(expr, range(len(expr.args)))

    def _of_a_choice(self, expr: Expr) -> Iterator[Expr]:
        kinds = [_kinds(arg, said=self.said) for arg in expr.args]
        every, last = [*range(len(kinds))], len(kinds) - 1
        claims = [i for i in every if _claims(expr.args[i], kinds[i])]
        if 0 < len(claims) < len(every):
            together = [claims, [last]]
        elif len(set(kinds)) == len(kinds[0]) == 1 and not self.nested:
            together = [[i] for i in every]
        else:
            together = [[last]] if not claims else []
        for gone in together:
            yield _join(expr, [expr.args[i] for i in every if i not in gone])
        yield from replace(self, nested=True)._deeper(expr, sorted({*claims, last}))

    def _deeper(self, expr: Expr, looked_at: Iterable[int]) -> Iterator[Expr]:
        for i in looked_at:
            for part in self.left_out(expr.args[i]):
                yield _join(expr, [*expr.args[:i], part, *expr.args[i + 1 :]])


def _kinds(expr: Expr, *, said: bool) -> frozenset[str]:
    """Whether it is there as a premise, negated, or as a claim; or holds both."""
    if expr.op == "not":
        return _kinds(expr.args[0], said=not said)
    if expr.op in ("and", "or"):
        return frozenset().union(*(_kinds(arg, said=said) for arg in expr.args))
    return frozenset([CLAIM if said else PREMISE])


def _claims(expr: Expr, kinds: frozenset[str]) -> bool:
    """Of both kinds: a premise that says `n != m`, which is a `no`; or a claim that has a premise itself."""
    return kinds == {CLAIM} or (CLAIM in kinds and expr.op != "not")


def _join(expr: Expr, args: Iterable[Expr]) -> Expr:
    return _expr((both if expr.op == "and" else either)(*args))


def _expr(truth: bool) -> Expr:
    return lift(truth, bool)
