"""`oneleader check --quick`, whole: everything holds, and a failing part is not hidden."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from oneleader.cli import checks as check
from oneleader.conformance.handlers.handlers import Scope
from oneleader.errors import MissingTool
from oneleader.faults.catalogue import FAULTS
from oneleader.models import election
from oneleader.readers.tlc import tlc
from oneleader.verdict import exit_status
from oneleader_raft import raft


def test_everything_holds() -> None:
    try:
        tlc.find_java(), tlc.find_jar()
    except MissingTool as missing:
        pytest.skip(str(missing))
    rows = list(check.everything(quick=True))
    found = Counter(row.general for row in rows)
    assert found.keys() == {"holds", "not expressible"}, [r for r in rows if r.general != "holds"]
    assert {row.model.partition(" ")[0] for row in rows if row.general != "holds"} == {"fault"}
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
    assert exit_status(row.verdict for row in rows) == 1
    assert {row.reader for row in rows if row.verdict == "violated"} == {"explore", "prove", "walk"}


def test_a_missing_tool_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONELEADER_TLA2TOOLS", "/nowhere.jar")
    row = check.twin(election.MODEL, nodes=2, terms=1)
    assert (row.verdict, exit_status([row.verdict])) == ("inconclusive", 3)


def test_an_unreached_witness_is_inconclusive() -> None:
    first, *_ = check.exploring(election.MODEL, nodes=3, terms=1)
    assert (first.verdict, "two_leaders" in first.detail) == ("inconclusive", True)


def test_a_missed_fault_fails() -> None:
    from oneleader.campaigns import fault_table as table

    no_quorum = FAULTS["no-quorum"]
    harmless = replace(no_quorum.mutated, mutate=lambda model: model)
    missed = table.by_explore(replace(no_quorum, mutant=harmless))
    assert exit_status([check.fault_row(missed).verdict]) == 1


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ([], 0),
        (["holds", "proved", "accepted", "caught", "not expressible"], 0),
        (["holds", "inconclusive"], 3),
        (["inconclusive", "violated"], 1),
        (["refused"], 1),
        (["missed"], 1),
    ],
)
def test_exit_status(verdicts: list[str], status: int) -> None:
    assert exit_status(verdicts) == status


def test_rows_of_the_reference_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes itself for the leader believes that it has a lease."""
    monkeypatch.setattr(raft, "holds_lease", lambda node, now: node.role is raft.Role.LEADER)
    proved = check.handled(("restart", "is_leader"), Scope())
    drawn = check.scenarios(nodes=3, examples=100)
    assert (proved.general, proved.detail) == ("violated", "is_leader: lease: is_leader")
    assert (drawn.general, drawn.detail.partition(":")[0]) == ("violated", "leases")
