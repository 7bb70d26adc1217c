"""Each object, against trying every order, and with what it must refuse."""

from __future__ import annotations

from itertools import permutations
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneleader.conformance.histories import BadOperation, Operation, judge
from oneleader.conformance.histories.objects import (
    FENCED_LOCK,
    KEY_VALUE,
    MUTEX,
    OBJECTS,
    REGISTER,
    SET,
    SharedObject,
    guessed,
    tells,
)
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "register": st.sampled_from([None, 0, 1]),
    "key-value": st.sampled_from(["", "a", "b"]),
    "set": st.sampled_from([1, 2]),
    "mutex": st.none(),
    "fenced-lock": st.none(),
}
RESULTS: dict[tuple[str, str], st.SearchStrategy[Any]] = {
    ("register", "read"): VALUES["register"],
    ("register", "cas"): st.booleans(),
    ("key-value", "cas"): st.booleans(),
    ("key-value", "read"): st.sampled_from(["", "a", "b", "ab", "ba", "aa"]),
    ("set", "read"): st.sampled_from([frozenset(), frozenset([1]), frozenset([2]), frozenset([1, 2])]),
    ("fenced-lock", "acquire"): st.integers(0, 3),
}


@st.composite
def drawn(draw: st.DrawFn) -> tuple[SharedObject, list[Operation]]:
    model = draw(st.sampled_from(list(OBJECTS.values())))
    history = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(model.kinds))
        called = draw(st.integers(0, 6))
        returned = draw(st.one_of(st.integers(called, 8), st.integers(called, 8), st.just(inf)))
        result = draw(RESULTS.get((model.name, kind), st.none())) if returned != inf else None
        value, expected = draw(VALUES[model.name]), draw(VALUES[model.name]) if kind == "cas" else None
        client = draw(st.sampled_from("ab"))
        history.append(Operation(client, kind, "", called, returned, value, expected, result))
    return model, history


def every_order(model: SharedObject, history: list[Operation]) -> bool:
    """The definition itself, where an operation of unknown outcome may be left out."""
    checked = [model.checked(o) for o in history]
    must = [o for o in checked if o.returned != inf]
    may = [o for o in checked if o.returned == inf]
    chosen = [must + [o for i, o in enumerate(may) if n >> i & 1] for n in range(1 << len(may))]
    return any(explains(model, order) for some in chosen for order in permutations(some))


def explains(model: SharedObject, order: tuple[Operation, ...]) -> bool:
    held = model.initial
    for i, o in enumerate(order):
        fits, held = model.step(o, held)
        if not fits or any(later.returned < o.called for later in order[i + 1 :]):
            return False
    return True


@settings(max_examples=300, deadline=None)
@given(drawn())
def test_each_object_is_judged_as_trying_every_order_does(case: tuple[SharedObject, list[Operation]]) -> None:
    model, history = case
    found = judge(history, model)
    assert (found.verdict is not VIOLATED) == every_order(model, history)
    assert (found.verdict is INCONCLUSIVE) == (not any(tells(model.checked(o)) for o in history))
    if found.failing:
        assert not every_order(model, list(found.failing))


def one_after_another(*said: tuple[Any, ...]) -> list[Operation]:
    """Operations (client, kind, value, result) that do not overlap."""
    return [Operation(c, k, "", 2 * i, 2 * i + 1, v, None, r) for i, (c, k, v, r) in enumerate(said)]


RIGHT_AND_WRONG = {
    "append order": (
        KEY_VALUE,
        [("a", "append", "x", None), ("b", "append", "y", None), ("a", "get", None, "xy")],
        [("a", "append", "x", None), ("b", "append", "y", None), ("a", "get", None, "yx")],
    ),
    "a removed element": (
        SET,
        [("a", "add", 1, None), ("a", "remove", 1, None), ("b", "read", None, ())],
        [("a", "add", 1, None), ("a", "remove", 1, None), ("b", "read", None, (1,))],
    ),
    "an element twice": (
        SET,
        [("a", "add", 1, None), ("b", "read", None, (1,))],
        [("a", "add", 1, None), ("b", "read", None, (1, 1))],
    ),
    "a mutex held twice": (
        MUTEX,
        [("a", "acquire", None, None), ("a", "release", None, None), ("b", "acquire", None, None)],
        [("a", "acquire", None, None), ("b", "acquire", None, None)],
    ),
    "a token that goes back": (
        FENCED_LOCK,
        [("a", "acquire", None, 3), ("a", "release", None, None), ("b", "acquire", None, 4)],
        [("a", "acquire", None, 3), ("a", "release", None, None), ("b", "acquire", None, 3)],
    ),
    "released by somebody else": (
        FENCED_LOCK,
        [("a", "acquire", None, 3), ("a", "release", None, None)],
        [("a", "acquire", None, 3), ("b", "release", None, None)],
    ),
    "a lease that ran out": (
        FENCED_LOCK,
        [("a", "acquire", None, 3), ("a", "expire", None, None), ("b", "acquire", None, 4)],
        [("a", "acquire", None, 3), ("b", "acquire", None, 4)],
    ),
    "true is not one": (
        REGISTER,
        [("a", "write", True, None), ("a", "read", None, True)],
        [("a", "write", 1, None), ("a", "read", None, True)],
    ),
}


@pytest.mark.parametrize("name", RIGHT_AND_WRONG)
def test_right_and_wrong(name: str) -> None:
    model, right, wrong = RIGHT_AND_WRONG[name]
    assert judge(one_after_another(*right), model).verdict is HOLDS
    assert judge(one_after_another(*wrong), model).verdict is VIOLATED


def test_a_start_value_matters() -> None:
    read = one_after_another(("a", "read", None, 7))
    assert judge(read, initial=7).verdict is HOLDS
    assert judge(read).verdict is VIOLATED
    first = one_after_another(("a", "acquire", None, 5))
    assert judge(first, FENCED_LOCK, 4).verdict is HOLDS
    assert judge(first, FENCED_LOCK, 5).verdict is VIOLATED


@pytest.mark.parametrize("kind", ["get", "Read", "append", "txn"])
def test_an_unknown_kind_is_refused(kind: str) -> None:
    with pytest.raises(BadOperation, match=f"'{kind}' is no operation of a register: it has read"):
        judge(one_after_another(("a", kind, None, True)))


@pytest.mark.parametrize("value", [[1], {"a": 1}, float("nan"), ([1],)])
def test_a_value_that_cannot_be_compared_is_refused(value: Any) -> None:
    with pytest.raises(BadOperation, match="cannot be compared"):
        judge(one_after_another(("a", "write", value, None)))


def test_the_object_is_guessed() -> None:
    for model, right, _ in RIGHT_AND_WRONG.values():
        assert guessed(one_after_another(*right)).name in (model.name, "mutex")
    assert guessed(one_after_another(("a", "acquire", None, 1))) is FENCED_LOCK
    with pytest.raises(BadOperation, match="no operation of any object"):
        guessed(one_after_another(("a", "txn", None, None)))


def hard(writers: int) -> list[Operation]:
    """Writes all at once, then a read of what nobody wrote: every set of them is tried."""
    writes = [Operation(f"c{i}", "write", "", 0, 9, value=i) for i in range(writers)]
    return [*writes, Operation("r", "read", "", 10, 11, result=-1)]


def test_time_runs_out_before_and_after_the_verdict() -> None:
    assert judge(hard(16), seconds=0.01).verdict is INCONCLUSIVE
    found = judge(hard(10), shrink_seconds=0)
    assert found.verdict is VIOLATED
    assert found.stuck is not None
    assert found.stuck.result == -1


def test_a_change_that_would_change_nothing_now_is_kept_for_later() -> None:
    """A write of what is held already may be needed later."""
    again = Operation("a", "write", "", 0, 9, value=1)
    rest = one_after_another(("b", "write", 1, None), ("b", "write", 2, None), ("b", "read", None, 1))
    assert judge([again, *rest]).verdict is HOLDS
    assert judge(rest).verdict is VIOLATED
