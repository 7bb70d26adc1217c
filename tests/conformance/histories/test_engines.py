"""The compiled search beside the interpreted one: the same order, or stuck at the same place."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneleader.conformance.histories import Operation, compiled, interpreted, judge, timeline
from oneleader.conformance.histories import search as searches
from oneleader.conformance.histories.formats import read
from oneleader.conformance.histories.objects import (
    FENCED_LOCK,
    KEY_VALUE,
    REGISTER,
    SET,
    SharedObject,
    guessed,
)
from oneleader.conformance.histories.search import Engine
from oneleader.conformance.histories.timeline import Searched
from oneleader.errors import MissingTool
from oneleader.verdict import HOLDS, VIOLATED
from tests.conformance.histories.test_objects import drawn

SAMPLES = Path(__file__).with_name("samples")
LITTLE = 4096  # bytes, of which nothing but the last few states remains


def found(
    engine: Engine, operations: Sequence[Operation], model: SharedObject, start: Hashable, most: int
) -> Searched:
    """What an engine finds that may hold so many bytes from its second turn on."""
    turns = engine(operations, model, start)
    try:
        next(turns)
        while True:
            turns.send(most)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]


def both(
    operations: Sequence[Operation], model: SharedObject, most: int = timeline.MOST_BYTES
) -> Iterator[Searched]:
    checked = [model.checked(o) for o in sorted(operations, key=lambda o: o.called)]
    for engine in (compiled.searching, interpreted.searching):
        yield found(engine, checked, model, model.initial, most)


@given(drawn())
def test_both_find_the_same(history: tuple[SharedObject, list[Operation]]) -> None:
    model, operations = history
    ours, oracle = both(operations, model)
    assert ours == oracle


@given(st.integers(2, 3), st.data())
def test_both_find_the_same_in_long_histories(width: int, data: st.DataObject) -> None:
    """More operations than one word has bits, some of unknown outcome."""
    operations = []
    for i in range(data.draw(st.integers(60, 90))):
        kind = data.draw(st.sampled_from(["write", "write", "read", "cas"]))
        value, end = data.draw(st.integers(0, 1)), data.draw(st.sampled_from([1.0, 1.0, 1.0, float("inf")]))
        result = {"read": value, "cas": bool(value), "write": None}[kind]
        o = Operation(f"c{i}", kind, "x", i / width, i / width + end, value, value)
        operations.append(replace(o, result=result if end == 1 else None))
    ours, oracle = both(operations, REGISTER)
    assert ours == oracle


TEXTS = ["a", "ab", "b", "", "ba"]
ADDED = [Operation(f"c{i}", "append", "x", 0, 1 + i, value=v) for i, v in enumerate(TEXTS)]
SEEN = Operation("r", "read", "x", 9, 10, result="baabba")  # "ba", "a", "b", "ba": not these
OVER = [(REGISTER, "etcd_002.log"), (REGISTER, "etcd_000.log"), (KEY_VALUE, ""), (SET, "")]


def some(model: SharedObject, name: str) -> list[Operation]:
    """A history of this object that takes some thousand moves."""
    if name:
        return read(SAMPLES / name)[:60]
    if model is KEY_VALUE:
        return [*ADDED, SEEN, *(replace(o, client=f"d{i}", called=0) for i, o in enumerate(ADDED[:3]))]
    adds = [Operation(f"c{i}", "add", "x", 0, 1 + i, value=i) for i in range(6)]
    return [*adds, Operation("r", "read", "x", 9.5, 10, result=frozenset(range(1, 6)))]


@pytest.mark.parametrize(("model", "name"), OVER)
def test_what_is_forgotten_changes_no_result(
    model: SharedObject, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "MOVES", 64)
    monkeypatch.setattr(interpreted, "MOVES", 64)
    monkeypatch.setattr(compiled, "LEAST_BYTES", LITTLE)
    forgotten = 0
    forget = compiled._CompiledSearch._forget

    def counted(one: compiled._CompiledSearch) -> None:
        nonlocal forgotten
        forgotten += 1
        forget(one)

    monkeypatch.setattr(compiled._CompiledSearch, "_forget", counted)
    operations = some(model, name)
    with_all, oracle = both(operations, model)
    assert forgotten == 0
    with_little, _ = both(operations, model, LITTLE)
    assert forgotten
    assert with_little == with_all == oracle


def test_the_comparison_would_notice_a_client_mixed_up_with_another() -> None:
    """A lock that is released by another client than its holder, where clients are not told apart."""
    acquire = Operation("a", "acquire", "", 0, 1, result=1)
    releases = [Operation("a", "release", "", 2, 3), Operation("b", "release", "", 4, 5)]
    again = Operation("b", "acquire", "", 3.5, 3.7, result=2)
    assert judge([acquire, releases[0], again, releases[1]], FENCED_LOCK).verdict is HOLDS
    careless = replace(FENCED_LOCK, by_client=False)
    ours, oracle = both([acquire, releases[0], again, releases[1]], careless)
    assert ours != oracle


def slow_key(clients: int) -> list[Operation]:
    """Writes at once of which nobody knows the order, then reads that no order explains."""
    writes = [Operation(f"w{i}", "write", "a", 0, 100, value=i) for i in range(clients)]
    reads = [Operation("r", "read", "a", 1 + i, 1.5 + i, result=i) for i in (0, 1, 0)]
    return [*writes, *reads]


@pytest.mark.parametrize("engine", [compiled.searching, interpreted.searching])
def test_a_key_that_takes_for_ever_hides_no_other(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searches, "engine", lambda: engine)
    wrong = Operation("z", "read", "z", 0, 1, result=1)
    result = judge([*slow_key(30), wrong], seconds=60, shrink_seconds=0)
    assert (result.verdict, result.key, result.stuck) == (VIOLATED, "z", wrong)


def test_without_a_compiler_it_is_interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise MissingTool("no compiler")

    monkeypatch.setattr(compiled, "loaded", none)
    searches.engine.cache_clear()
    try:
        assert searches.engine() is interpreted.searching
        operations = read(SAMPLES / "c01-bad.txt")
        assert judge(operations, guessed(operations)).verdict is VIOLATED
    finally:
        searches.engine.cache_clear()
