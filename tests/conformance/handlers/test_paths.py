"""Ordinary Python run on Z3 terms: every way through it, and nothing but these."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import z3

from oneleader.conformance.handlers.paths import CodePath, Infeasible, Number, paths, term_of
from oneleader.errors import Inexpressible


def ways(run: object) -> list[tuple[CodePath, object]]:
    return list(paths(run, z3.Context()))  # type: ignore[arg-type]


def values(path: CodePath, result: object) -> list[int]:
    """What the result is in each of a few worlds that take this path."""
    solver = z3.Solver(ctx=path.context)
    solver.add(*path.condition, *path.definitions)
    assert solver.check() == z3.sat
    return [solver.model().eval(term_of(result), model_completion=True).as_long()]


def test_each_branch_is_a_path() -> None:
    def greater(path: CodePath) -> object:
        a, b = path.number("a"), path.number("b")
        return a if a > b else b

    found = ways(greater)
    assert len(found) == 2
    for path, result in found:
        a, b = z3.Ints("a b", path.context)
        solver = z3.Solver(ctx=path.context)
        solver.add(*path.condition, term_of(result) != z3.If(a > b, a, b))
        assert solver.check() == z3.unsat


def test_what_was_decided_is_not_asked_again() -> None:
    def twice(path: CodePath) -> str:
        a = path.number("a")
        return ("less" if a < 3 else "more") + ("less" if a < 3 else "more")

    assert sorted(result for _, result in ways(twice)) == ["lessless", "moremore"]  # type: ignore[type-var]


def test_what_follows_from_an_assumption_is_no_branch() -> None:
    def positive(path: CodePath) -> bool:
        a = path.number("a")
        path.assume(a > 5)
        return a > 2 and not a < 1

    assert [result for _, result in ways(positive)] == [True]


def test_an_index_takes_each_value_that_it_may_have() -> None:
    def third(path: CodePath) -> str:
        i = path.number("i")
        path.assume(i < 3)
        return "abc"[i]

    assert sorted(result for _, result in ways(third)) == ["a", "b", "c"]  # type: ignore[type-var]


def test_max_sorted_and_division() -> None:
    def middle(path: CodePath) -> Number:
        found = sorted([path.number("a"), path.number("b"), path.number("c")], reverse=True)
        return found[1] // 2

    orders = ways(middle)
    assert len(orders) >= 6
    for path, result in orders:
        (half,) = values(path, result)
        assert half >= 0


@pytest.mark.parametrize("divided", [lambda a, b: a // b, lambda a, b: (a - 1) // 2])
def test_a_division_that_floors_otherwise_is_refused(
    divided: Callable[[Number, Number], Number],
) -> None:
    """What was known of its quotient was true of no such numbers: all was proved of them."""
    with pytest.raises(Inexpressible, match="one may be negative, or the divisor 0"):
        ways(lambda path: divided(path.number("a"), path.number("b")))


def test_an_index_that_could_be_anything_is_refused() -> None:
    with pytest.raises(Inexpressible, match="index"):
        ways(lambda path: "abc"[path.number("i") + 1000])


def test_a_loop_without_end_is_refused() -> None:
    def count(path: CodePath) -> int:
        i = 0
        while path.number("n") > i:
            i += 1
        return i

    with pytest.raises(Inexpressible, match="decisions"):
        ways(count)


def test_a_way_that_cannot_be_gone_is_left() -> None:
    def choose(path: CodePath) -> int:
        n = path.choose([1, 2, 3])
        if n == 2:
            raise Infeasible
        return n

    assert sorted(result for _, result in ways(choose)) == [1, 3]  # type: ignore[type-var]
