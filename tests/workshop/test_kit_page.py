"""docs/results/kit.md is what the answers kept beside it say, and a run goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from oneleader.faults.catalogue import FAULTS
from workshop.studies import kit_rates
from workshop.studies.kit_rates import Sought, link, page, searches

TWO = ("no-quorum", "same-token")  # one of a core and one of locks, both found at once


def test_the_page_is_the_runs() -> None:
    assert page(kit_rates.load()) == kit_rates.PAGE.read_text("utf-8")


def test_every_fault_of_the_catalogue_is_on_the_page() -> None:
    text = kit_rates.PAGE.read_text("utf-8")
    assert [id for id in FAULTS if link(id) not in text] == []


def test_reasons_are_for_faults_that_are_there() -> None:
    assert {*kit_rates.NOT_HERE_BECAUSE} == {id for id, _ in kit_rates.others()}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    some = [(id, make) for id, make in searches() if id in TWO]
    monkeypatch.setattr(kit_rates, "searches", lambda: iter(some))
    monkeypatch.setattr(kit_rates, "SEEDS", range(2))
    monkeypatch.setattr(kit_rates, "RECORD", tmp_path / "kit.json")
    monkeypatch.setattr(kit_rates, "PAGE", tmp_path / "kit.md")


def run(*options: str) -> str:
    done = CliRunner().invoke(kit_rates.kit_rates, ["--write", *options], standalone_mode=False)
    assert (done.exception, done.return_value) == (None, 0), done.output
    return done.output


@pytest.mark.usefixtures("few")
def test_a_run_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "seed" not in run("--minutes", "0")
    assert f"Not asked yet: {link(TWO[0])}, {link(TWO[1])}." in kit_rates.PAGE.read_text("utf-8")
    assert run().count("seed") == 4
    first = kit_rates.load()
    assert {one.by for one in first} > {"what clients see"}
    assert "seed" not in run()  # all is known
    assert f"| {link('no-quorum')} | 2 of 2 |" in kit_rates.PAGE.read_text("utf-8")
    kit_rates.keep(Sought(**vars(first[0]) | {"code": "that of yesterday"}))
    assert run().count("seed") == 1
    assert [(one.walks, one.by) for one in kit_rates.load()] == [(one.walks, one.by) for one in first]


def test_what_a_seed_did_not_find_is_told_by_name() -> None:
    found = Sought("no-quorum", 0, 1, 20, 0.1, "election", "", "2026-11-30")
    text = page([found, Sought("no-quorum", 1, 300, 9000, 3.0, "", "", "2026-11-30")])
    assert "0 of 1 faults were found from every seed that was asked, 1 from some, 0 from none" in text
    assert f"- {link('no-quorum')}, found 1 times of 2." in text
