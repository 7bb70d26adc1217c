"""Terms: what an expression says of one finite state, with every variable filled in.

A term is over the cells of a state (`Cells`) and has no quantifier and no field left in it. Its
values are small integers: truth is 0 or 1, NIL is -1. Equal terms are one object, what is known is
folded away, and the arguments of a term are always older than it, so that a printer which follows
`serial` defines everything before it is used.

| op         | args               | value                                                  |
|------------|--------------------|--------------------------------------------------------|
| const      | number             | itself                                                 |
| cell       | position           | what the state holds there                             |
| eq, le     | x, y               | truth                                                  |
| add        | x, y               | x + y                                                  |
| count      | b...               | how many are true                                      |
| and, or    | b...               | truth, at least two arguments                          |
| not        | b                  | truth                                                  |
| ite        | b, x, y            | x where b, else y                                      |
| pick       | index, x...        | the x at that position; the last, beyond them          |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from oneleader.errors import UsageError

GREATEST = 2**63 - 1  # the compiled engines compute in 64 bits with a sign


@dataclass(frozen=True, eq=False, repr=False)
class GroundTerm:
    """A hash-consed term; no value of it is below `least` or above `most`; `truth`: it is 0 or 1."""

    op: str
    args: tuple[Any, ...]
    least: int
    most: int
    truth: bool
    serial: int

    @property
    def known(self) -> int | None:
        """The value, where the configuration settles it."""
        return int(self.args[0]) if self.op == "const" else None

    @property
    def parts(self) -> tuple[GroundTerm, ...]:
        """The arguments that are terms."""
        return () if self.op in ("const", "cell") else self.args

    def __repr__(self) -> str:
        return f"{self.op}({', '.join(map(repr, self.args))})"


class Terms:
    """Makes terms over cells of which `least[i]` and `most[i]` are the bounds and `truth[i]` says 0 or 1."""

    def __init__(self, least: Sequence[int], most: Sequence[int], truth: Sequence[bool]) -> None:
        self._made: dict[Any, GroundTerm] = {}
        self.true, self.false = self._make("const", (True,), 1, 1, True), self._truth("const", (False,))
        bounds = zip(least, most, truth, strict=True)
        self.cells = [self._make("cell", (i,), *bound) for i, bound in enumerate(bounds)]

    def _make(self, op: str, args: tuple[Any, ...], least: int, most: int, truth: bool = False) -> GroundTerm:
        key = (op, truth, *((a.serial,) if isinstance(a, GroundTerm) else a for a in args))
        if key not in self._made:
            if op != "const" and not -GREATEST <= least <= most <= GREATEST:
                raise UsageError(
                    f"a number of this run may reach {max(-least, most):,}; the compiled engines hold none "
                    f"above 2^63 - 1: choose smaller bounds, or --engine python"
                )
            self._made[key] = GroundTerm(op, args, least, most, truth, len(self._made))
        return self._made[key]

    def _truth(self, op: str, args: tuple[Any, ...]) -> GroundTerm:
        return self._make(op, args, 0, 1, True)

    def listed(self) -> list[str]:
        """Every term made so far, oldest first, its arguments by their numbers."""
        return [
            f"{t.op} {t.truth} {[a.serial if isinstance(a, GroundTerm) else a for a in t.args]}"
            for t in self._made.values()
        ]

    def const(self, value: Any) -> GroundTerm:
        if isinstance(value, bool):
            return self.true if value else self.false
        return self._make("const", (int(value),), int(value), int(value))

    # -- comparison and arithmetic ----------------------------------------------------------------
    def eq(self, x: GroundTerm, y: GroundTerm) -> GroundTerm:
        x, y = self._against_constant(x, y)
        if x is y:
            return self.true
        if x.most < y.least or y.most < x.least:
            return self.false
        if x.known is not None or (y.known is None and y.serial < x.serial):
            x, y = y, x
        if x.truth and y.known is not None:
            return x if y.known else self.no(x)
        return self._truth("eq", (x, y))

    def lt(self, x: GroundTerm, y: GroundTerm) -> GroundTerm:
        return self.no(self.le(y, x))

    def le(self, x: GroundTerm, y: GroundTerm) -> GroundTerm:
        x, y = self._against_constant(x, y)
        if x is y or x.most <= y.least:
            return self.true
        if y.most < x.least:
            return self.false
        if x.known is not None:  # one form for `2 <= x` and `not x <= 1`
            return self.no(self._truth("le", (y, self.const(x.known - 1))))
        return self._truth("le", (x, y))

    def _against_constant(self, x: GroundTerm, y: GroundTerm) -> tuple[GroundTerm, GroundTerm]:
        """`x + 1` against 3 is `x` against 2. A constant on the left of == goes to the right."""
        if x.op == "add" and x.args[1].known is not None and y.known is not None:
            return x.args[0], self.const(y.known - x.args[1].known)
        if y.op == "add" and y.args[1].known is not None and x.known is not None:
            return self.const(x.known - y.args[1].known), y.args[0]
        return x, y

    def add(self, x: GroundTerm, y: GroundTerm) -> GroundTerm:
        if x.known is not None:
            x, y = y, x
        if x.known is not None and y.known is not None:
            return self.const(x.known + y.known)
        if y.known == 0:
            return x
        return self._make("add", (x, y), x.least + y.least, x.most + y.most)

    def count(self, parts: Iterable[GroundTerm]) -> GroundTerm:
        """How many are true: equal parts count as often as they stand there."""
        parts = list(parts)
        open_ = tuple(p for p in parts if p.known is None)
        sure = self.const(sum(p.known for p in parts if p.known is not None))
        return self.add(self._make("count", open_, 0, len(open_)), sure) if open_ else sure

    # -- connectives ------------------------------------------------------------------------------
    def both(self, parts: Iterable[GroundTerm]) -> GroundTerm:
        return self._junction("and", parts, self.true, self.false)

    def either(self, parts: Iterable[GroundTerm]) -> GroundTerm:
        return self._junction("or", parts, self.false, self.true)

    def _junction(
        self, op: str, parts: Iterable[GroundTerm], unit: GroundTerm, zero: GroundTerm
    ) -> GroundTerm:
        open_: dict[int, GroundTerm] = {}
        for part in parts:
            for flat in part.parts if part.op == op else (part,):
                if flat is zero:
                    return zero
                if flat is not unit:
                    open_.setdefault(flat.serial, flat)
        if any(p.op == "not" and p.args[0].serial in open_ for p in open_.values()):
            return zero
        rest = tuple(open_.values())
        return unit if not rest else rest[0] if len(rest) == 1 else self._truth(op, rest)

    def no(self, x: GroundTerm) -> GroundTerm:
        if x.known is not None:
            return self.const(not x.known)
        return x.parts[0] if x.op == "not" else self._truth("not", (x,))

    def ite(self, condition: GroundTerm, x: GroundTerm, y: GroundTerm) -> GroundTerm:
        if condition.known is not None or x is y:
            return x if condition.known or x is y else y
        if x.truth and y.truth:
            if x.known is not None:
                return self.either((condition, y)) if x.known else self.both((self.no(condition), y))
            if y.known is not None:
                return self.either((self.no(condition), x)) if y.known else self.both((condition, x))
        bounds = min(x.least, y.least), max(x.most, y.most)
        return self._make("ite", (condition, x, y), *bounds, x.truth and y.truth)

    # -- cells at an index known only in the run ---------------------------------------------------
    def pick(self, index: GroundTerm, options: Sequence[GroundTerm]) -> GroundTerm:
        """The option at the index, which is not negative; the last, beyond them."""
        options = options[: index.most + 1]
        if index.known is not None or all(o is options[0] for o in options):
            return options[-1]
        bounds = min(o.least for o in options), max(o.most for o in options)
        return self._make("pick", (index, *options), *bounds, all(o.truth for o in options))


def shared(roots: Iterable[GroundTerm], long: Callable[[GroundTerm], bool]) -> list[GroundTerm]:
    """The `long` terms that these use more than once, oldest first: worth a name of their own."""
    uses: Counter[GroundTerm] = Counter()
    left = list(roots)
    while left:
        term = left.pop()
        uses[term] += 1
        if uses[term] == 1 and long(term):
            left += term.parts
    return sorted((t for t in uses if uses[t] > 1 and long(t)), key=lambda term: term.serial)
