"""scaffold: a shim around a stub, to begin with, in a language of one's own. Each runs as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from oneleader.errors import UsageError

TEMPLATES = files(__package__).joinpath("scaffolds")
SUFFIX = ".in"  # of a template: no tool is to take it for a source of ours


@dataclass(frozen=True)
class Scaffold:
    """The files of one language, and the commands that build and start a program, in their folder.

    The first file is the shim, to be edited; one beside it speaks the protocol.
    """

    files: Sequence[str]
    build: Sequence[str]
    run: Sequence[str]


SCAFFOLDS: Mapping[str, Scaffold] = {
    "python": Scaffold(["shim.py", "lines.py"], [], ["python3", "shim.py"]),
    "go": Scaffold(["main.go", "lines.go", "go.mod"], ["go", "build", "-o", "my-shim", "."], ["./my-shim"]),
    "rust": Scaffold(
        ["src/main.rs", "src/lines.rs", "Cargo.toml"],
        ["cargo", "build", "--release", "--quiet", "--offline"],
        ["./target/release/shim"],
    ),
    "java": Scaffold(["Shim.java", "Lines.java"], ["javac", "Shim.java"], ["java", "-cp", ".", "Shim"]),
    "c": Scaffold(
        ["shim.c", "lines.h"],
        ["cc", "-O2", "-D_GNU_SOURCE", "-o", "my-shim", "shim.c"],
        ["./my-shim"],
    ),
}


def write_scaffold(language: str, folder: Path) -> Scaffold:
    """Write the files; UsageError rather than writing over one that is there."""
    scaffold = SCAFFOLDS[language]
    there = [name for name in scaffold.files if (folder / name).exists()]
    if there:
        raise UsageError(f"{folder / there[0]} is there already: choose another folder")
    for name in scaffold.files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TEMPLATES.joinpath(language, name + SUFFIX).read_text("utf-8"), "utf-8")
    return scaffold
