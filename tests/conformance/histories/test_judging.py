"""Linearizability: against trying every order, on histories that are known, and on long ones."""

from __future__ import annotations

import random
from collections.abc import Hashable
from dataclasses import replace
from itertools import permutations
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneleader.conformance.histories import CAS, READ, WRITE, Operation, judge
from oneleader.conformance.histories.objects import REGISTER
from oneleader.conformance.histories.objects import on_register as applied
from oneleader.conformance.histories.search import search
from oneleader.verdict import HOLDS, VIOLATED


def every_order(operations: list[Operation]) -> bool:
    """The definition itself: some order, of the certain ones at least, keeps real time and results."""
    certain = [o for o in operations if o.returned != inf]
    open_ended = [o for o in operations if o.returned == inf]
    for chosen in range(1 << len(open_ended)):
        some = certain + [o for i, o in enumerate(open_ended) if chosen >> i & 1]
        if any(is_explained(order) for order in permutations(some)):
            return True
    return False


def is_explained(order: tuple[Operation, ...]) -> bool:
    held: Hashable = None
    for i, o in enumerate(order):
        if any(later.returned < o.called for later in order[i + 1 :]):
            return False
        fits, held = applied(o, held)
        if not fits:
            return False
    return True


@st.composite
def histories(draw: st.DrawFn, most: int = 5) -> list[Operation]:
    found = []
    for i in range(draw(st.integers(1, most))):
        called = draw(st.integers(0, 8))
        returned = draw(st.one_of(st.just(inf), st.integers(called, 10)))
        kind = draw(st.sampled_from([READ, WRITE, CAS]))
        value, other = draw(st.integers(0, 2)), draw(st.sampled_from([None, 0, 1, 2]))
        o = Operation(f"c{i}", kind, "x", called, returned)
        if kind == READ:
            o = replace(o, result=other if returned != inf else None)
        elif kind == WRITE:
            o = replace(o, value=value)
        else:
            o = replace(o, value=value, expected=other, result=draw(st.booleans()))
        found.append(o)
    return found


@given(histories())
def test_it_says_what_trying_every_order_says(history: list[Operation]) -> None:
    order = search(sorted(history, key=lambda o: o.called), REGISTER, None).order
    assert (order is not None) == every_order(history)
    if order is not None:
        assert is_explained(tuple(order))


@given(histories())
def test_a_smallest_part_fails_by_itself_and_nothing_can_be_left_out(history: list[Operation]) -> None:
    found = judge(history)
    assert (found.verdict is VIOLATED) == (not every_order(history))
    if found.failing:
        assert not every_order(list(found.failing))
        reads = [o for o in found.failing if o.kind == READ]
        assert all(every_order([p for p in found.failing if p is not o]) for o in reads)


def test_a_stale_read() -> None:
    """A lease read by a leader that has been overtaken."""
    history = [
        Operation("a", WRITE, "x", 0, 1, value=1),
        Operation("a", READ, "x", 1.5, 1.8, result=1),
        Operation("b", WRITE, "x", 2, 3, value=2),
        Operation("b", READ, "y", 2, 9, result=None),
        Operation("c", READ, "x", 4, 5, result=1),
        Operation("d", READ, "x", 6, 7, result=2),
    ]
    found = judge(history)
    assert (found.verdict, found.key) == (VIOLATED, "x")
    assert found.failing == (history[0], history[2], history[4])
    assert [str(o) for o in found.failing] == [
        "a        0 .. 1  write x := 1",
        "b        2 .. 3  write x := 2",
        "c        4 .. 5  read x -> 1",
    ]
    assert judge(history[:4] + history[5:]).verdict is HOLDS


def test_a_write_of_unknown_outcome_may_take_effect_late_or_never() -> None:
    write = Operation("a", WRITE, "x", 0, value=1)
    late = [
        Operation("b", READ, "x", 1, 2, result=None),
        Operation("b", READ, "x", 3, 4, result=1),
    ]
    assert judge([write, *late]).verdict is HOLDS
    assert judge([write, late[0]]).verdict is HOLDS
    back = Operation("b", READ, "x", 5, 6, result=None)
    assert judge([write, *late, back]).verdict is VIOLATED


def test_two_may_not_both_take_a_lock() -> None:
    takes = [Operation(c, CAS, "lock", 0, 1, value=c, expected=None, result=True) for c in "ab"]
    assert judge(takes).verdict is VIOLATED
    assert judge([takes[0], replace(takes[1], result=False)]).verdict is HOLDS
    assert judge([takes[0], replace(takes[1], returned=inf)]).verdict is HOLDS


def test_an_operation_ends_after_it_begins() -> None:
    with pytest.raises(ValueError, match=r"ends before it begins: a +2 \.\. 1  write x := 1"):
        judge([Operation("a", WRITE, "x", 2, 1, value=1)])


def recorded(seed: int, operations: int, keys: int, clients: int) -> list[Operation]:
    """A history of registers: each operation takes effect at a moment between its call and its return."""
    draw = random.Random(seed)
    free, held, found = [0.0] * clients, dict[str, int | None](), []
    planned = []
    for i in range(operations):
        c = min(range(clients), key=free.__getitem__)
        called = free[c] + draw.random()
        effect = called + draw.random()
        free[c] = returned = effect + draw.random()
        planned.append((effect, f"c{c}", called, returned, f"k{draw.randrange(keys)}", i))
    for _, client, called, returned, key, i in sorted(planned):
        if draw.random() < 0.5:
            held[key] = i
            found.append(Operation(client, WRITE, key, called, returned, value=i))
        else:
            found.append(Operation(client, READ, key, called, returned, result=held.get(key)))
    return found


@pytest.mark.parametrize(("keys", "clients"), [(1, 5), (50, 20)])
def test_ten_thousand_operations(keys: int, clients: int) -> None:
    history = recorded(1, 10_000, keys, clients)
    assert judge(history).verdict is HOLDS
    reads = [i for i, o in enumerate(history) if o.kind == READ and isinstance(o.result, int)]
    wrong = reads[len(reads) // 2]
    history[wrong] = replace(history[wrong], result=-1)  # nobody wrote that
    found = judge(history)
    assert found.verdict is VIOLATED
    assert found.failing == (history[wrong],)
