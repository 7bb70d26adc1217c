"""`oneleader hunt` and `oneleader handlers`, as people call them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from oneleader.campaigns import hunt as hunting
from oneleader.campaigns.hunt import HuntSeen, hunt, report
from oneleader.conformance.histories.judging import NOTHING_TOLD
from oneleader_raft.core import RAFT
from tests.cli.test_cli import run


def test_a_hunt_finds_a_fault_and_keeps_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a program and as a picture, with status 1."""
    status, out, _ = run(
        *("hunt", "--minutes", "0.01", "--workers", "1", "--out", str(tmp_path)),
        *("--fault", "own-vote-not-saved"),
        capsys=capsys,
    )
    assert status == 1
    assert "BROKEN  election: state\ns = Scenario(" in out
    (program,) = tmp_path.glob("*.py")
    assert program.read_text() in out + "\n"
    assert [file.suffix for file in tmp_path.glob("election*.svg")] == [".svg"]


@pytest.mark.slow("it hunts for half a minute")
def test_a_hunt_tells_what_it_has_seen(tmp_path: Path) -> None:
    """Of the correct core: actions, guards both ways, faults that met; and nothing is broken."""
    seen = hunt(0.5, 1, tmp_path, None, say=lambda _: None)
    assert not seen.broken
    assert seen.actions["become_leader"] > 0
    assert {held for _, name, held in seen.guards if name == "term_is_current"} == {True, False}
    assert seen.pairs["message dropped", "restart"] > 0
    assert "faults that met in one run" in report(seen)


def test_a_hunt_tells_of_histories_that_it_could_not_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """It counted those alone that are violated: what ran out of time was as good as linearizable."""
    seen, judge = HuntSeen(), hunting.histories.judge
    hunting.simulate_some(seen, RAFT, 1)
    assert (seen.histories, dict(seen.open)) == (5, {NOTHING_TOLD: 1})
    monkeypatch.setattr(hunting.histories, "judge", partial(judge, seconds=0))
    hunting.simulate_some(seen, RAFT, 1)
    assert "\n10 histories of clients, 6 of them not judged\n           4  the time" in report(seen)


def test_a_hunt_for_no_fault_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run("hunt", "--fault", "nonsense", capsys=capsys)
    assert (status, "there is no fault 'nonsense'" in err) == (2, True)


def test_handlers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONELEADER_CACHE", str(tmp_path))
    status, out, _ = run("handlers", "--only", "restart", "--workers", "1", capsys=capsys)
    assert status == 0
    assert "any number of servers from 2 on, logs and messages of any length" in out
    assert "a server alone, logs and messages of any length" in out
    assert "any number of servers, members that change, logs and messages of any length" in out
    assert "By election, pre_vote, snapshots, lease." in out
    assert (out.count("proved        restart"), out.count("by an earlier run")) == (5, 0)
    status, out, _ = run("handlers", "--only", "restart", "--workers", "1", capsys=capsys)
    assert (status, out.count("proved        restart"), out.count("by an earlier run")) == (0, 5, 5)
    status, out, _ = run("handlers", "--nodes", "2", "--only", "restart", "--workers", "1", capsys=capsys)
    assert (status, "2 servers, logs of up to 1 entry, up to 1 pending read" in out) == (0, True)
    status, _, err = run("handlers", "--log", "2", capsys=capsys)
    assert (status, "give --nodes as well" in err) == (2, True)
    status, _, err = run("handlers", "--nodes", "1", "--only", "VoteReply", capsys=capsys)
    assert (status, "a server alone receives no message" in err) == (2, True)
    status, _, err = run("handlers", "--nodes", "2", "--only", "compact", capsys=capsys)
    assert (status, "with --nodes no log is compacted" in err) == (2, True)
    status, _, err = run("handlers", "--nodes", "2", "--only", "serve", capsys=capsys)
    assert (status, "with --nodes a step is run whole" in err) == (2, True)
