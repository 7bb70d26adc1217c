"""Long runs of correct cores: they go on where they stopped, and what is found is not forgotten."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from oneleader.conformance.examined import Examined
from oneleader.conformance.trial import MakeAdapter
from oneleader.faults.catalogue import variant
from workshop.pages import peers
from workshop.peers import million
from workshop.peers.million import Declared
from workshop.peers.peer import Peer


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(million, "RECORD", tmp_path / "million.json")
    monkeypatch.setattr(million, "BATCH", 2)
    monkeypatch.setattr(million, "NODES", (3,))


def drive(steps: int, status: int = 0) -> million.LongRun:
    result = CliRunner().invoke(million.million, ["--steps", str(steps), "reference"], standalone_mode=False)
    assert (result.exception, result.return_value) == (None, status), result.output
    return million.load()["reference, 3 nodes"]


def test_it_goes_on_where_it_stopped_and_the_page_tells_how_far_it_came() -> None:
    once = drive(100)
    assert (once.batches, once.walks, once.found) == (1, 2, {})
    assert drive(100) == once  # far enough
    more = drive(once.steps + 1)
    assert (more.batches, more.walks) == (2, 4)
    assert more.steps != 2 * once.steps  # other walks, from a seed of their own
    assert f"| reference | 3 | 4 | {more.steps:,} |" in peers.page([], [])


def test_other_judges_begin_with_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    drive(400)
    monkeypatch.setattr(million.READ, "hash", "another")
    again = drive(100)
    assert (again.batches, again.walks, again.code) == (1, 2, "another")


def given(monkeypatch: pytest.MonkeyPatch, make: MakeAdapter) -> None:
    monkeypatch.setattr(million, "core", lambda _: nullcontext(make))


def test_what_is_found_stays_found(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, partial(Declared, core=variant("no-quorum")))
    found = drive(100, status=1).found
    assert any(key.startswith("election: become_leader: quorum_voted") for key in found)
    assert drive(400, status=1).found.items() >= found.items()


def test_what_the_same_walks_find_no_more_is_mended_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, partial(Declared, core=variant("no-quorum")))
    found = drive(100, status=1).found
    given(monkeypatch, Declared)
    row = drive(100)
    assert (row.found, row.mended, row.batches) == ({}, sorted(found), 1)
    assert f"nothing any more of: {row.mended[0]}" in peers.page([], [])


def test_a_step_without_a_word_is_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Declared, "may", ())
    assert "pre_vote has no word for: leadership is handed over" in drive(1500, status=1).found


def test_another_version_begins_with_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    million.keep(million.LongRun("etcd", 3, "3.6.0", batches=7, steps=700))
    (row,) = million.rows_of("etcd")
    assert (row.version, row.steps) == (million.PEERS["etcd"].version, 0)


def test_the_page_says_whether_its_rows_are_of_one_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And what was run so is not run again."""
    page, driven = tmp_path / "peers.md", []
    monkeypatch.setattr(peers, "PAGE", page)
    monkeypatch.setattr(peers, "PICTURES", tmp_path)

    def examine(peer: Peer, walks: int) -> peers.ExaminedPeer:
        driven.append(peer.name)
        return peers.ExaminedPeer(peer, walks, [Examined(1, 3)], 1.0, {})

    monkeypatch.setattr(peers, "examine", examine)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(peers.peers, ["--write", *arguments], standalone_mode=False)
        assert (done.exception, done.return_value) == (None, 0), done.output
        return page.read_text("utf-8")

    page.write_text("", "utf-8")
    assert "All rows are of one run" in run("--walks", "7", "etcd", "raftos")
    assert "The rows are of several runs" in run("--walks", "9", "etcd")
    assert "All rows are of one run" in run("--walks", "9", "etcd", "raftos")
    assert driven == ["etcd", "raftos", "etcd", "raftos"]
