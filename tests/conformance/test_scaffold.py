"""Each scaffold compiles and runs as it is, and its stub, which elects nobody, is judged as what it is."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from oneleader.cli.conform import conform
from oneleader.cli.scaffold import scaffold
from oneleader.conformance.scaffold import SCAFFOLDS, TEMPLATES

NEEDS = {"python": "python3", "go": "go", "rust": "cargo", "java": "javac", "c": "cc"}


@pytest.mark.parametrize("language", SCAFFOLDS)
def test_it_runs_as_it_is(language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which(NEEDS[language]) is None:
        pytest.skip(f"install {NEEDS[language]}")
    done = CliRunner().invoke(scaffold, [language, str(tmp_path)], standalone_mode=False)
    assert done.return_value == 0, done.output
    monkeypatch.chdir(tmp_path)
    made = SCAFFOLDS[language]
    if made.build:
        subprocess.run(made.build, check=True, timeout=300)
    asked = ["--walks", "1", "--seed", "1", "--timeout", "60"]
    judged = CliRunner().invoke(conform, [*asked, "--json", "--", *made.run], standalone_mode=False)
    assert judged.return_value == 3, judged.output
    found = json.loads(judged.output)
    assert (found["steps"] > 20, found["verdict"]) == (True, "inconclusive")  # nobody is ever elected
    lively = CliRunner().invoke(
        conform, [*asked, "--liveness", "--json", "--", *made.run], standalone_mode=False
    )
    assert [cause["key"] for cause in json.loads(lively.output)["causes"]] == [
        "liveness: a leader is elected"
    ]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "shim.c").write_text("mine")
    done = CliRunner().invoke(scaffold, ["c", str(tmp_path)], standalone_mode=False)
    assert "is there already" in str(done.exception)
    assert (tmp_path / "shim.c").read_text() == "mine"


@pytest.mark.parametrize("language", SCAFFOLDS)
def test_it_is_short(language: str) -> None:
    shim, *beside = (
        [line for line in TEMPLATES.joinpath(language, f"{name}.in").read_text().splitlines() if line.strip()]
        for name in SCAFFOLDS[language].files
    )
    assert len(shim) <= 30
    assert "YOURS" in str(shim)
    most = 285 if language == "go" else 105  # with numbers for names, a register and its clients
    assert all(len(text) <= most and "YOURS" not in str(text) for text in beside)
