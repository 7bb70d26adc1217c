"""The import contracts of pyproject.toml are kept, and each is broken by one import that it forbids."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.places import ROOT

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
FORBIDDEN = {  # a contract, and an import that breaks it
    "The house: arrows go downwards": ("spec/oneleader/language/sorts.py", "oneleader.models.election"),
    "What is shipped does without the workshop": ("spec/oneleader/words.py", "workshop"),
    "The reference does without the models": ("reference/oneleader_raft/lease.py", "oneleader.words"),
    "What runs for real does without the test bench": (
        "reference/oneleader_raft/node/clock.py",
        "oneleader_raft.testbench.safety",
    ),
    "The reference: the pure core at the bottom": (
        "reference/oneleader_raft/fencing.py",
        "oneleader_raft.views",
    ),
    "An engine knows nothing of the searches that use it": (
        "spec/oneleader/readers/engines/packing.py",
        "oneleader.readers.explore.graph",
    ),
}


def test_every_contract_is_seen_to_fail() -> None:
    assert FORBIDDEN.keys() == {contract["name"] for contract in CONTRACTS}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three packages and the contracts, to be spoilt."""
    folder = tmp_path_factory.mktemp("house")
    for part in ("spec", "reference", "workshop"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def linted(folder: Path) -> str:
    paths = os.pathsep.join(str(folder / part) for part in ("spec", "reference", "."))
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
    ]
    said = subprocess.run(
        [*command, "--no-cache"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    return f"{said.returncode} {said.stdout}{said.stderr}"


def test_the_contracts_are_kept(copy: Path) -> None:
    said = linted(copy)
    assert said.startswith("0 "), said
    assert f"{len(CONTRACTS)} kept, 0 broken" in said


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_forbidden_import_breaks_its_contract(copy: Path, name: str) -> None:
    file, imported = FORBIDDEN[name]
    path = copy / file
    before = path.read_text()
    path.write_text(f"{before}\nimport {imported}\n")
    try:
        said = linted(copy)
    finally:
        path.write_text(before)
    assert said.startswith("1 "), said
    assert f"{name} BROKEN" in said
