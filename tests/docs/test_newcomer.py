"""A newcomer goes through the README's doors in order, in an empty folder, with the installed commands.

All that a door shows is run: code by pytest, sessions in a shell, commands in prose as they stand.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import DOCS, ROOT
from tests.sessions import unlike

README = (ROOT / "README.md").read_text("utf-8")
DOORS = dict(re.findall(r"^## (Door \d): .*\n((?:(?!## ).*\n)*)", README, re.MULTILINE))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SESSION = re.compile(r"\$ (.*)\n((?:.*\n)*)")
PROSE = re.compile(r"`(oneleader (?:scaffold|explore) [^`]*)`")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("newcomer")


def typed(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line in a shell of that folder, which finds the commands of this environment."""
    bin = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}
    return subprocess.run(line, shell=True, cwd=folder, env=environment, capture_output=True, text=True)


def with_an_adapter(block: str, folder: Path) -> None:
    """Door 1 takes an adapter for granted: that of the page it points to."""
    page = (DOCS / "bring-your-own-raft.md").read_text("utf-8")
    whole = next(text for language, text in BLOCK.findall(page) if language == "python")
    (folder / "test_my_raft.py").write_text(f"{whole}\n\n{block}")
    said = typed("pytest -q -p no:cacheprovider test_my_raft.py", folder)
    assert (said.returncode, "1 passed" in said.stdout) == (0, True), said.stdout + said.stderr


def as_shown(block: str, folder: Path) -> None:
    """Each line that the README shows, in its order; `...` stands for lines that are left out."""
    (session,) = SESSION.findall(block)
    said = typed(session[0], folder)
    assert unlike(said.stdout, session[1]) is None, (
        f"{unlike(said.stdout, session[1])}\n{said.stdout}{said.stderr}"
    )


def quoted(block: str, folder: Path) -> None:
    assert block in (ROOT / "spec/oneleader/models/election.py").read_text("utf-8")


RUN = {"py": with_an_adapter, "console": as_shown, "python": quoted}


@pytest.mark.slow("a newcomer's commands are run, one process each")
@pytest.mark.parametrize("door", DOORS)
def test_each_door_opens(door: str, folder: Path) -> None:
    for language, block in BLOCK.findall(DOORS[door]):
        RUN[language](block, folder)
    for line in PROSE.findall(DOORS[door]):
        said = typed(line, folder)
        assert said.returncode == 0, f"{line}\n{said.stdout}{said.stderr}"


def test_there_are_three_doors_and_each_has_something_to_run() -> None:
    shown = [[language for language, _ in BLOCK.findall(text)] for text in DOORS.values()]
    assert [len(languages) for languages in shown] == [2, 1, 5]
    assert all("console" in languages for languages in shown)
    assert {line.split()[1] for text in DOORS.values() for line in PROSE.findall(text)} == {
        "scaffold",
        "explore",
    }


def test_a_session_that_shows_something_else_is_noticed(folder: Path) -> None:
    with pytest.raises(AssertionError, match="the same 28 states"):
        as_shown("$ echo '  ok    the same 27 states'\n  ok    the same 28 states\n", folder)
