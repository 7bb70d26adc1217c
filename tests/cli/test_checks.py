"""`oneleader check --quick`, whole: everything holds, and a failing part is not hidden."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from oneleader.cli import checks as check
from oneleader.cli.check_row import CheckRow, status
from oneleader.conformance.handlers.handlers import Scope
from oneleader.errors import MissingTool
from oneleader.faults.catalogue import FAULTS
from oneleader.models import election
from oneleader.readers.tlc import tlc
from oneleader.verdict import HOLDS, INCONCLUSIVE, NOT_EXPRESSIBLE, VIOLATED
from oneleader_raft import raft


def test_everything_holds() -> None:
    try:
        tlc.find_java(), tlc.find_jar()
    except MissingTool as missing:
        pytest.skip(str(missing))
    rows = list(check.everything(quick=True))
    assert status(rows, interrupted=False) == 0
    found = Counter(row.verdict for row in rows)
    assert found.keys() == {HOLDS, NOT_EXPRESSIBLE}, [r for r in rows if r.verdict is not HOLDS]
    assert {row.model.partition(" ")[0] for row in rows if row.verdict is not HOLDS} == {"fault"}
    assert {row.reader for row in rows} >= {
        *("explore", "prove", "tlc", "walk", "refine", "hypothesis", "handlers", "replay")
    }
    assert {f"fault {id}" for id in FAULTS} < {row.model for row in rows}
    assert all(row.strength for row in rows)


def test_a_broken_model_is_seen_by_each_row() -> None:
    broken = election.MODEL.without_guard("grant_vote", "vote_is_free")
    rows = [
        *check.exploring(broken, nodes=2, terms=1),
        check.proving(broken),
        check.walking(broken, nodes=3, terms=3, runs=50),
    ]
    assert status(rows, interrupted=False) == 1
    assert {row.reader for row in rows if row.verdict is VIOLATED} == {"explore", "prove", "walk"}


def test_a_missing_tool_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONELEADER_TLA2TOOLS", "/nowhere.jar")
    row = check.twin(election.MODEL, nodes=2, terms=1)
    assert (row.verdict, status([row], interrupted=False)) == (INCONCLUSIVE, 3)


def test_an_unreached_witness_is_inconclusive() -> None:
    first, *_ = check.exploring(election.MODEL, nodes=3, terms=1)
    assert (first.verdict, "two_leaders" in first.detail) == (INCONCLUSIVE, True)


def test_a_fault_that_one_reader_cannot_express_is_decided_by_another() -> None:
    found = CheckRow("fault x", "explore", "", HOLDS, "", 0.0, kind="fault")
    unsaid = replace(found, reader="prove", verdict=NOT_EXPRESSIBLE)
    assert status([found, unsaid], interrupted=False) == 0
    assert status([unsaid], interrupted=False) == 3
    assert status([replace(found, model="fault y"), unsaid], interrupted=False) == 3


def test_a_property_that_a_reader_cannot_express_is_never_ok() -> None:
    """`explore` of the same model says nothing about what `prove` could not express."""
    explored = CheckRow("lease", "explore", "", HOLDS, "", 0.0)
    unsaid = CheckRow("lease", "prove", "", NOT_EXPRESSIBLE, "", 0.0, kind="proof")
    assert status([explored, unsaid], interrupted=False) == 3
    assert status([explored, unsaid], interrupted=True) == 130


def test_a_missed_fault_fails() -> None:
    from oneleader.campaigns import fault_table as table

    no_quorum = FAULTS["no-quorum"]
    harmless = replace(no_quorum.faulty_model, change=lambda model: model)
    missed = table.by_explore(replace(no_quorum, faulty=harmless))
    assert status([check.fault_row(missed)], interrupted=False) == 1


def test_rows_of_the_reference_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes itself for the leader believes that it has a lease."""
    monkeypatch.setattr(raft, "holds_lease", lambda node, now: node.role is raft.Role.LEADER)
    proved = check.handled(("restart", "is_leader"), Scope())
    drawn = check.scenarios(nodes=3, examples=100)
    assert (proved.verdict, proved.detail) == (VIOLATED, "is_leader: lease: is_leader")
    assert (drawn.verdict, drawn.detail.partition(":")[0]) == (VIOLATED, "leases")
