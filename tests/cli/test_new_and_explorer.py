"""`new model`, `explore --html`, `--save-test`, and what a notebook shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oneleader import models
from oneleader.cli.main import cli, guarded
from oneleader.language.configuration import configure
from oneleader.pictures.stories import of_run
from oneleader.readers.explore.explored import Violation
from oneleader.readers.run import Run
from oneleader.verdict import HOLDS, VIOLATED, Verdict


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> Any:
    """Runs the command line in an empty folder: status, what it printed, what it complained of."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["oneleader", *arguments])
        status = guarded(cli)
        said = capsys.readouterr()
        return status, said.out, said.err

    return command


def test_a_new_model_holds_and_its_test_passes(run: Any, tmp_path: Path) -> None:
    status, out, _ = run("new", "model", "my_lock")
    assert (status, "next   oneleader explore my_lock.py" in out) == (0, True)
    status, out, _ = run("explore", "my_lock.py")
    assert (status, "ok    OneHolder" in out, "ItIsHeld                    reached" in out) == (0, True, True)
    names: dict[str, Any] = {"__file__": str(tmp_path / "test_my_lock.py")}
    exec((tmp_path / "test_my_lock.py").read_text(), names)
    for test in [value for name, value in names.items() if name.startswith("test_")]:
        test()
    lint = [sys.executable, "-m", "oneleader.language.lint", "my_lock.py"]
    assert subprocess.run(lint, cwd=tmp_path, check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("my-lock", "'my-lock' is no name of a Python module: give one such as my_lock"),
        ("election", "election is a model that comes with oneleader: give another name"),
        ("twice", "twice.py exists: give another name, or another --folder"),
    ],
)
def test_a_name_that_cannot_be_is_refused(run: Any, tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "twice.py").write_text("")
    status, _, err = run("new", "model", name)
    assert (status, err) == (2, f"oneleader: {says}\n")


def test_explore_writes_a_page(run: Any, tmp_path: Path) -> None:
    status, out, _ = run(
        "explore", "lock", "--size", "Client=2", "--size", "Token=2", "--html", "p/lock.html"
    )
    assert (status, out) == (0, "see  p/lock.html\n")
    page = (tmp_path / "p" / "lock.html").read_text()
    assert page.startswith("<!doctype html>")
    assert '"name":"lock"' in page
    status, _, err = run("explore", "--fault", "no-quorum", "--html", "x.html")
    assert (status, "give it without --fault" in err) == (2, True)


def test_a_violation_is_printed_or_saved_as_a_test(run: Any, tmp_path: Path) -> None:
    status, out, _ = run("explore", "--fault", "no-quorum")
    assert (status, 'retrace(MODEL, AT, STEPS).broken("election_safety")' in out) == (1, True)
    status, out, _ = run("explore", "--fault", "no-quorum", "--save-test", "t/test_it.py")
    assert (status, "test   pytest t/test_it.py" in out, "STEPS" in out) == (1, True, False)
    assert "start_election(n=n1)" in (tmp_path / "t" / "test_it.py").read_text()


def test_an_error_of_a_model_has_a_column(run: Any, tmp_path: Path) -> None:
    run("new", "model", "my_lock")
    file = tmp_path / "my_lock.py"
    file.write_text(file.read_text().replace("s.holder = c\n", "s.holder = c if c else NIL\n"))
    line = next(i for i, text in enumerate(file.read_text().splitlines(), 1) if " if c " in text)
    status, _, err = run("explore", "my_lock.py")
    at = re.search(rf"my_lock.py:{line}:(\d+): action acquire: Python ", err)
    assert status == 2
    assert at, err
    assert int(at[1]) in (16, 21)  # where the expression begins; from Python 3.12 on, its condition


def test_a_notebook_shows_verdicts_and_stories() -> None:
    assert HOLDS._repr_html_() == '<strong style="color: #0a8f5b">holds</strong>'
    assert len({verdict._repr_html_() for verdict in Verdict}) == len(Verdict)
    assert "violated" in VIOLATED._repr_html_()
    lock = models.find("lock")
    run = Run(lock, configure(lock, {"Client": 1, "Token": 1}))
    (position, after), *_ = ((p, s) for p, s in run.steps(run.initial) if s)
    shown = of_run(run, Violation("deadlock", (), [(position, after)]))._repr_html_()
    assert shown.startswith("<svg")
    assert "c1 gets the lock" in shown
