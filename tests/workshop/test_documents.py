"""The pages made of what readers find: they are as they would be made now, and their links lead somewhere."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path

import pytest

from oneleader.cli import main as cli
from tests.places import RESULTS, ROOT
from workshop.__main__ import workshop
from workshop.pages import documents
from workshop.studies import approaches

PAGES = ("trade-offs.md", "incident.md", "write-up.md")


@cache
def made() -> documents.Files:
    return documents.everything(documents.proved)


def test_no_page_is_stale() -> None:
    assert [*documents.stale(made(), RESULTS)] == [], "run `python -m workshop trade-offs --write`"


def test_whatever_is_changed_missing_or_left_over_is_noticed_and_mended(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    shutil.copytree(RESULTS, folder)
    page = folder / "trade-offs.md"
    page.write_text(page.read_text().replace("| holds |", "| 3 |", 1))
    (folder / "counterexamples" / "raft-two-act.txt").unlink()
    (folder / "counterexamples" / "of-yesterday.txt").write_text("")
    wrong = {"trade-offs.md", "counterexamples/raft-two-act.txt", "counterexamples/of-yesterday.txt"}
    assert {*documents.stale(made(), folder)} == wrong
    assert {*documents.written(made(), folder)} == wrong
    assert [*documents.stale(made(), folder)] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere_and_every_run_is_linked(page: str) -> None:
    text = (RESULTS / page).read_text()
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links
    assert [link for link in links if not (RESULTS / link).exists()] == []


def test_each_counterexample_is_linked() -> None:
    linked = {link for page in PAGES for link in re.findall(r"\]\(([^)#]+)\)", (RESULTS / page).read_text())}
    assert {f"counterexamples/{at.name}" for at in (RESULTS / "counterexamples").iterdir()} <= linked


AGAIN = [
    "raft-lease-drift-stale-write",
    "fencing-lost-update",
    "bully-split-brain",
    "write-up-nobody-promised",
]


@pytest.mark.parametrize("name", AGAIN)
def test_the_command_beside_a_run_finds_it_again(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = (RESULTS / documents.path(name)).read_text()
    found = re.search(r"^again  (oneleader .*)$", text, re.MULTILINE)
    assert found
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", shlex.split(found[1]))
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    trace = text.split("\n\n")[-2]
    assert trace in capsys.readouterr().out


def test_the_lines_of_the_script_are_those_that_are_tested() -> None:
    script = (ROOT / "tests" / "workshop" / "writeup" / "lock.lua").read_text()
    quoted = re.findall(r"```lua\n(.*?)```", (RESULTS / "write-up.md").read_text(), re.DOTALL)
    assert quoted
    for block in quoted:
        assert " ".join(block.split()) in " ".join(script.split())


def test_a_folder_that_is_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "everything", lambda is_proved: {})
    monkeypatch.setattr(sys, "argv", ["oneleader", "trade-offs", "--write", "--docs", "nowhere"])
    assert cli.guarded(workshop) == 2
    assert "there is no folder nowhere" in capsys.readouterr().err


def test_the_table_in_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approaches, "APPROACHES", approaches.APPROACHES[:1])
    monkeypatch.setattr(sys, "argv", ["oneleader", "trade-offs"])
    assert cli.guarded(workshop) == 0
    row = capsys.readouterr().out.splitlines()[-1]
    assert row.split("  ")[0] == "Raft"
    assert row.split()[1:] == ["holds,", "proved", "2", "8", "8", "yes", "2", "8", "8", "8", "yes", "yes"]
