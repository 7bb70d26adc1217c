"""The correct reference, with all that it can show and does declared: every judge has work, and holds."""

from __future__ import annotations

from functools import partial

import pytest

from oneleader.conformance.adapter import May
from oneleader.conformance.conform import conform
from oneleader.conformance.observations import MEMBERS
from oneleader.conformance.reference.whole import WholeReference
from oneleader.faults.catalogue import variant
from oneleader.verdict import HOLDS, VIOLATED


class Declared(WholeReference):
    may = tuple(May)


@pytest.mark.parametrize("nodes", [3, 5])
def test_the_reference_holds(nodes: int) -> None:
    found = conform(Declared, walks=30, nodes=nodes, seed=1, liveness=nodes == 3)
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    assert found.not_judged.keys() == {MEMBERS}
    assert found.by_model["replication"] == 15


@pytest.mark.parametrize("id", ["vote-twice", "vote-cleared", "no-quorum"])
def test_a_fault_of_its_core_is_found(id: str) -> None:
    found = conform(partial(Declared, core=variant(id)), walks=60, seed=1)
    assert found.verdict is VIOLATED, found.text
