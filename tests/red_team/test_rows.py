"""The table of attacks is complete: each names tests that there are, and each test here is named."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.places import ROOT

HERE = Path(__file__).parent
ROWS = re.findall(r"^\| (\w+) \| .+? \| (`.+`) \|$", (HERE / "README.md").read_text("utf-8"), re.MULTILINE)
NAMED = {number: re.findall(r"`(tests/[^`]+)`", tests) for number, tests in ROWS}
MISTAKES = [*"ABCDEF"]


def defined_in(file: Path) -> set[str]:
    """The names of its test functions."""
    nodes = ast.walk(ast.parse(file.read_text("utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name[:5] == "test_"}


def test_every_row_has_an_answer() -> None:
    assert [*NAMED] == [*map(str, range(1, 42)), *MISTAKES]
    assert all(NAMED.values())


@pytest.mark.parametrize("number", NAMED)
def test_each_test_that_a_row_names_is_there(number: str) -> None:
    for name in NAMED[number]:
        file, _, test = name.partition("::")
        assert defined_in(ROOT / file) & ({test} if test else defined_in(ROOT / file)), name


def test_each_case_is_used() -> None:
    texts = "".join(file.read_text("utf-8") for file in HERE.glob("test_*.py"))
    for case in HERE.glob("cases/*.py"):
        assert case.name in texts or case.stem in texts, case


def test_one_command_runs_them_all() -> None:
    """Make takes the names from the table itself."""
    recipe = re.search(r"^red-team:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert recipe
    assert "tests/red_team/README.md" in recipe[1]
