"""Attacks on histories of clients: what nobody was told, and times that look alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oneleader.cli.linearizable import linearizable
from oneleader.conformance.histories import judge
from oneleader.conformance.histories.objects import OBJECTS
from oneleader.verdict import INCONCLUSIVE

UNTOLD: dict[str, list[dict[str, Any]]] = {
    "writes": [{"kind": "write", "value": 1, "returned": 1}],
    "puts and appends": [
        {"kind": "put", "value": "a", "returned": 1},
        {"kind": "append", "value": "b", "returned": 1},
    ],
    "elements": [{"kind": "add", "value": 1, "returned": 1}, {"kind": "remove", "value": 2, "returned": 1}],
    "a read without an end": [{"kind": "write", "value": 1, "returned": 1}, {"kind": "read"}],
    "a cas without an end": [{"kind": "cas", "expected": 1, "value": 2}],
    "an acquire without an end": [{"kind": "acquire"}, {"kind": "expire"}],
}
WRITE = {"client": "a", "kind": "write", "value": 1}
STALE = {"client": "b", "kind": "read", "result": None}


def status(tmp_path: Path, lines: list[str]) -> int:
    file = tmp_path / "history.jsonl"
    file.write_text("\n".join(lines))
    found: int = linearizable.main([str(file)], standalone_mode=False)
    return found


@pytest.mark.parametrize("what", UNTOLD)
def test_a_history_that_tells_nobody_anything_is_inconclusive(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before, it was ok: some order explains whatever was written."""
    rows = [{"client": f"c{i}", "called": 0, **row} for i, row in enumerate(UNTOLD[what])]
    assert status(tmp_path, [json.dumps(row) for row in rows]) == 3
    assert "nothing was compared" in capsys.readouterr().out


@pytest.mark.parametrize("name", OBJECTS)
def test_nor_does_an_empty_one_hold(name: str) -> None:
    assert judge([], OBJECTS[name]).verdict is INCONCLUSIVE


@pytest.mark.parametrize(
    ("returned", "called"),
    [
        ("1", "2"),
        ("1700000000.123456789", "1700000000.123456790"),
        ("1700000000123456789.25", "1700000000123456789.75"),
        ("9007199254740992", "9007199254740993"),
    ],
)
def test_times_that_are_one_float_are_two(returned: str, called: str, tmp_path: Path) -> None:
    """A stale read, as many digits after the write as there are: before, both happened at once."""
    write, read = json.dumps(WRITE)[:-1], json.dumps(STALE)[:-1]
    lines = [f'{write}, "called": 0, "returned": {returned}}}', f'{read}, "called": {called}}}']
    assert status(tmp_path, lines) == 3
    lines[1] = f'{read}, "called": {called}, "returned": {called}1}}'
    assert status(tmp_path, lines) == 1


def test_a_result_in_the_wrong_place_is_refused(tmp_path: Path) -> None:
    """It was not looked at: a read that returned nothing is right of a register that holds nothing."""
    assert status(tmp_path, ['{"client": "a", "kind": "read", "value": 7, "called": 0, "returned": 1}']) == 2
