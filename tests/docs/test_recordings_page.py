"""The emitters of docs/recordings.md write what `replay` accepts."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from oneleader.readers.replay.form import faults_of
from oneleader.readers.replay.replay import replay
from oneleader.verdict import HOLDS

PAGE = Path(__file__).parents[2] / "docs" / "recordings.md"
GO_MAIN = """package main

import (
	"encoding/json"
	"io"
	"os"
)

%s
func main() {
%s}
"""
RUST_MAIN = """
%s
fn main() -> std::io::Result<()> {
%s
    Ok(())
}
"""
JAVA_MAIN = """
public class Main {
    %s
    public static void main(String[] arguments) {
%s    }
}
"""


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.S)
    return found


def accepted(path: Path) -> bool:
    result = replay(path)
    assert result.observations == 2, result.summary()
    return result.verdict is HOLDS and not list(faults_of(path.read_text().splitlines(keepends=True)))


@pytest.mark.parametrize("example", [0, 1], ids=["steps found", "steps named"])
def test_the_example_is_accepted(example: int, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(blocks("json")[example])
    assert accepted(path)


def test_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks("python")), {})
    assert accepted(tmp_path / "run.jsonl")


PROGRAMS = {
    "go": ("main.go", GO_MAIN, [["go", "run", "main.go"]]),
    "rust": ("main.rs", RUST_MAIN, [["rustc", "main.rs"], ["./main"]]),
    "java": ("Main.java", JAVA_MAIN, [["java", "Main.java"]]),
}


@pytest.mark.parametrize("language", PROGRAMS)
def test_other_languages(language: str, tmp_path: Path) -> None:
    name, main, commands = PROGRAMS[language]
    if not shutil.which(commands[0][0]):
        pytest.skip(f"install {commands[0][0]} to test the emitter in {language}")
    (tmp_path / name).write_text(main % tuple(blocks(language)))
    for command in commands:
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
    (tmp_path / "run.jsonl").write_text(ran.stdout)
    assert accepted(tmp_path / "run.jsonl")
