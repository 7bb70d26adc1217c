"""paths: ordinary Python run on Z3 terms, once for each way that it can go.

The code under test takes its numbers, names and truths as values of the classes below. Where it branches
on one of them (`if`, `max`, a slice), Python asks for a `bool` or an index, and here the answer is decided:
what was decided before is the path, both answers are tried where both are possible, and the function is run
again for each. No source is rewritten and nothing is approximated: at the end of a path stands what the
function returned, as terms, under the condition under which it goes that way.

    for path, result in paths(lambda path: handler(path.number("term"))):
        ...  # path.condition, result

What many paths begin with is made once for all of them (`paths_from`): the path goes back to where it was.

A function that asks for an index that could be anything, or decides more often than `LONGEST`, is refused:
then nothing is known of it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import z3

from oneleader.errors import Inexpressible

S = TypeVar("S")
T = TypeVar("T")
LONGEST = 400  # decisions on one path
GREATEST = 16  # an index


class Truth:
    """A Boolean that is not known yet."""

    def __init__(self, path: CodePath, term: z3.BoolRef) -> None:
        self.path, self.term = path, term

    def __bool__(self) -> bool:
        return self.path.decide(self.term)


class Name:
    """An element of an enumeration, or an option of one, that is not known yet."""

    def __init__(self, path: CodePath, term: Any, lift: Callable[[Any], Any]) -> None:
        self.path, self.term, self.lift = path, term, lift

    def __eq__(self, other: object) -> Any:
        theirs = other.term if isinstance(other, Name) else self.lift(other)
        return Truth(self.path, self.term == theirs)

    def __ne__(self, other: object) -> Any:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.path.written(self.term)


class Number:
    """An integer that is not known yet."""

    def __init__(self, path: CodePath, term: z3.ArithRef) -> None:
        self.path, self.term = path, term

    def _compared(self, relation: Callable[[Any, Any], Any], other: Any) -> Any:
        if not isinstance(other, int | Number):
            return NotImplemented
        return Truth(self.path, relation(self.term, term_of(other)))

    def __eq__(self, other: object) -> Any:
        return self._compared(operator.eq, other)

    def __ne__(self, other: object) -> Any:
        return self._compared(operator.ne, other)

    def __lt__(self, other: Any) -> Any:
        return self._compared(operator.lt, other)

    def __le__(self, other: Any) -> Any:
        return self._compared(operator.le, other)

    def __gt__(self, other: Any) -> Any:
        return self._compared(operator.gt, other)

    def __ge__(self, other: Any) -> Any:
        return self._compared(operator.ge, other)

    __hash__ = None  # type: ignore[assignment]

    def _computed(self, term: Any) -> Number:
        return Number(self.path, z3.simplify(term))

    def __add__(self, other: int | Number) -> Number:
        return self._computed(self.term + term_of(other))

    __radd__ = __add__

    def __sub__(self, other: int | Number) -> Number:
        return self._computed(self.term - term_of(other))

    def __rsub__(self, other: int) -> Number:
        return self._computed(other - self.term)

    def __mul__(self, other: int | Number) -> Number:
        return self._computed(self.term * term_of(other))

    __rmul__ = __mul__

    def __floordiv__(self, other: int | Number) -> Number:
        return self.path.quotient(self, other)

    def __index__(self) -> int:
        return self.path.index(self.term)

    def __format__(self, how: str) -> str:
        return self.path.written(self.term)

    def __str__(self) -> str:
        return self.path.written(self.term)

    __repr__ = __str__


def term_of(x: Any) -> Any:
    """The term of a value that may be known."""
    return x.term if isinstance(x, Number | Truth | Name) else x


P = TypeVar("P", bound="CodePath")


@dataclass
class CodePath:
    """One way through a function: what was decided, and what has to hold for that."""

    context: z3.Context
    decided: list[int] = field(default_factory=list)  # which answer each question got
    condition: list[Any] = field(default_factory=list)
    open: list[tuple[int, ...]] = field(default_factory=list)  # other beginnings of paths, to be tried
    words: dict[str, Any] = field(default_factory=dict)  # what was written in a text, by its mark
    definitions: list[Any] = field(default_factory=list)  # of quotients; true, and not part of the condition

    def __post_init__(self) -> None:
        self._solver = self._new_solver()
        self.is_over = False
        self._given = tuple(self.decided)
        self.decided = []
        self._quotients: dict[str, Number] = {}
        self._found: dict[int, tuple[object, Any]] = {}
        self._conjunction, self._conjoined = None, 0

    def _new_solver(self) -> z3.Solver:
        return z3.SolverFor("QF_LIA", ctx=self.context)

    # -- what is not known -----------------------------------------------------------------------
    def number(self, name: str, least: int | None = 0) -> Any:
        """A Number, to stand where an int is wanted."""
        made = z3.Int(name, self.context)
        if least is not None:
            self.assume(made >= least)
        return Number(self, made)

    def choose(self, options: Sequence[T]) -> T:
        """Each of these, on paths of their own."""
        if len(options) == 1:
            return options[0]
        return options[self._next(range(len(options)))]

    def assume(self, *facts: Any) -> None:
        for fact in facts:
            made = term_of(fact)
            if isinstance(made, bool):
                made = z3.BoolVal(made, self.context)
            self.condition.append(made)
            self._solver.add(made)

    def conjunction(self) -> Any:
        """The condition as one formula, which all who ask at the end of a path share."""
        if len(self.condition) != self._conjoined:
            self._conjunction = z3.And(*self.condition, self.context)
            self._conjoined = len(self.condition)
        return self._conjunction

    # -- decisions -------------------------------------------------------------------------------
    def decide(self, term: z3.BoolRef) -> bool:
        """True or false, whichever is possible; if both are, the other one on another path."""
        known = z3.simplify(term)
        if z3.is_true(known) or z3.is_false(known):
            return bool(z3.is_true(known))
        answer = bool(self._next([1, 0], lambda yes: known if yes else z3.Not(known)))
        self.assume(known if answer else z3.Not(known))
        return answer

    def _next(self, answers: Sequence[int], fact: Callable[[int], Any] | None = None) -> int:
        at = len(self.decided)
        if self.is_over:
            raise Inexpressible("a decision when the path is over: nobody would go the other way")
        if at >= LONGEST:
            raise Inexpressible(f"more than {LONGEST} decisions on one path")
        if at < len(self._given):
            answer = self._given[at]
        else:
            possible = [a for a in answers if fact is None or self._is_possible(fact(a))]
            if not possible:
                raise Infeasible
            answer, *others = possible
            self.open += [(*self.decided, other) for other in others]
        self.decided.append(answer)
        return answer

    def _is_possible(self, fact: Any) -> bool:
        """What Z3 cannot tell is possible: one path too many does no harm."""
        return bool(self._solver.check(fact) != z3.unsat)

    # -- what Python wants to know -----------------------------------------------------------------
    def index(self, term: z3.ArithRef) -> int:
        for value in range(GREATEST + 1):
            if self.decide(term == value):
                return value
        raise Inexpressible(f"an index that may be outside of 0 to {GREATEST}: {term}")

    def quotient(self, x: Number, by: int | Number) -> Number:
        """x // by, for x >= 0 and by > 0: the q with x = by * q + r, 0 <= r < by; one name on all paths.

        Of other numbers this would be false, and anything follows from what is false: they are refused.
        """
        divisor = by.term if isinstance(by, Number) else z3.IntVal(by, self.context)
        said = f"{x.term.sexpr()} by {divisor.sexpr()}"
        if said not in self._quotients:
            if self._is_possible(z3.Or(divisor <= 0, x.term < 0)):
                raise Inexpressible(f"{x.term} by {divisor}: one may be negative, or the divisor 0")
            q, r = (z3.Int(f"{name} of {said}", self.context) for name in ("quotient", "remainder"))
            self.definitions += [x.term == divisor * q + r, r >= 0, r < divisor]  # not linear: kept apart
            self.assume(q >= 0)
            self._quotients[said] = Number(self, q)
        return self._quotients[said]

    def once(self, of: object, find: Callable[[], T]) -> T:
        """What was found out about a value on this path."""
        if id(of) not in self._found:
            self._found[id(of)] = of, find()  # the value is kept, so that its id stays taken
        found: T = self._found[id(of)][1]
        return found

    # -- other paths that begin alike --------------------------------------------------------------
    def fork(self) -> dict[str, Any]:
        """All that is known here, to come back to."""
        self._solver.push()
        return _copies(vars(self))

    def back_to(self: P, start: dict[str, Any], given: tuple[int, ...]) -> P:
        """As it was at the fork, for a path that goes on from there."""
        self._solver.pop()
        self._solver.push()
        vars(self).update(_copies(start))
        self._given, self.open, self.is_over = given, [], False
        self._conjoined = 0
        return self

    def written(self, term: Any) -> str:
        """A mark to stand for the term in a text."""
        mark = f"⟨{len(self.words)}⟩"
        self.words[mark] = term
        return mark


class Infeasible(Exception):
    """This way cannot be gone: nothing is lost by leaving it."""


def _copies(state: dict[str, Any]) -> dict[str, Any]:
    return {name: copy(x) if isinstance(x, list | dict) else x for name, x in state.items()}


def paths(
    run: Callable[[P], T],
    context: z3.Context,
    kind: type[P] = CodePath,  # type: ignore[assignment]
) -> Iterator[tuple[P, T]]:
    """Every path through `run`, in a fixed order, with what it returned."""
    return _every(run, lambda given: kind(context, list(given)), ())


def paths_from(
    make: Callable[[P], S],
    run: Callable[[S], T],
    context: z3.Context,
    kind: type[P] = CodePath,  # type: ignore[assignment]
) -> Iterator[tuple[P, T]]:
    """Every path through `run(make(path))`: what is made is made once for all paths on which it is the same.

    These are one path, which goes back to where it was made: look at one before you ask for the next.
    """
    for path, made in paths(make, context, kind):
        yield from _every(lambda _, made=made: run(made), _again(path), tuple(path.decided))  # type: ignore[misc]


def _again(path: P) -> Callable[[tuple[int, ...]], P]:
    return partial(path.back_to, path.fork())


def _every(
    run: Callable[[P], T], begin: Callable[[tuple[int, ...]], P], first: tuple[int, ...]
) -> Iterator[tuple[P, T]]:
    left = [first]
    while left:
        path = begin(left.pop())
        try:
            result = run(path)
        except Infeasible:
            continue
        finally:
            left += path.open
            path.is_over = True
        yield path, result
