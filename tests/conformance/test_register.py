"""The quick judge of a register with different values says what the search for an order says."""

from __future__ import annotations

from collections.abc import Hashable
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneleader.conformance.adapter import Report
from oneleader.conformance.clients import Clients
from oneleader.conformance.histories import READ, WRITE, Operation
from oneleader.conformance.histories.objects import REGISTER
from oneleader.conformance.histories.search import search
from oneleader.conformance.register import is_explained

Times = tuple[int, int]


def write(value: str, called: float, returned: float) -> Operation:
    return Operation("a client", WRITE, "the register", called=called, returned=returned, value=value)


def read(result: str | None, called: float, returned: float) -> Operation:
    return Operation("a client", READ, "the register", called=called, returned=returned, result=result)


times = st.tuples(st.integers(1, 9), st.integers(0, 4)).map(lambda t: (t[0], t[0] + t[1]))


@given(st.lists(times, max_size=4), st.lists(st.tuples(times, st.integers(-1, 3)), max_size=5), st.booleans())
def test_it_agrees_with_the_search(
    wrote: list[Times], looked: list[tuple[Times, int]], last_is_open: bool
) -> None:
    writes: dict[Hashable, Operation] = {f"v{i}": write(f"v{i}", *at) for i, at in enumerate(wrote)}
    if writes and last_is_open:
        name, last = writes.popitem()
        writes[name] = write(str(name), last.called, inf)
    reads = [read(f"v{i}" if i >= 0 else None, *at) for at, i in looked]
    seen = {r.result for r in reads}
    effective = [w for w in writes.values() if w.returned != inf or w.value in seen]
    order = search([*effective, *reads], REGISTER, None).order
    assert is_explained(writes, reads) is (order is not None)


@pytest.mark.parametrize(
    ("reads", "fits"),
    [
        ([read("v1", 5, 6)], True),
        ([read("v2", 3, 3), read("v1", 7, 8)], True),  # v2 was written first
        ([read("v2", 5, 6), read("v1", 7, 8)], False),
        ([read("v2", 5, 6), read("v1", 7, 8), read("v2", 9, 9)], False),
        ([read(None, 5, 6)], False),
        ([read("v1", 0, 0)], False),
        ([read("v9", 5, 6)], False),
    ],
)
def test_what_reads_may_return(reads: list[Operation], fits: bool) -> None:
    writes: dict[Hashable, Operation] = {"v1": write("v1", 1, 4), "v2": write("v2", 2, 4)}
    assert is_explained(writes, reads) is fits


def test_forty_operations_at_once_take_no_time() -> None:
    """The search tries every set of them."""
    writes: dict[Hashable, Operation] = {f"v{i}": write(f"v{i}", 1, 99) for i in range(20)}
    reads = [read(f"v{i}", 2, 50 + i) for i in range(20)]
    assert is_explained(writes, reads)
    assert not is_explained(writes, [*reads, read("v1", 98, 98), read("v2", 99, 99), read("v1", 100, 100)])


def test_a_client_is_answered_once() -> None:
    """Another server that applies its value later says so too; what is read by then is old all the same."""
    clients = Clients()
    for value in ("v1", "v2"):
        clients.propose(value)
        assert not list(clients.answers("n1", Report(answered=[value])))
    clients.ask("n2")
    assert not list(clients.answers("n2", Report(answered=["v1"])))
    assert list(clients.answers("n2", Report(read=["v1"]))) == [("v1", False)]
