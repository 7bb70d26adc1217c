"""docs/locks.md is run: its ```python blocks in order, against the ```text blocks after them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.places import DOCS

PAGE = DOCS / "locks.md"
BLOCKS = re.findall(r"```(python|text)\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_page_prints_what_it_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for kind, text in BLOCKS:
        if kind == "python":
            exec(compile(text, PAGE.name, "exec"), names)
        else:
            assert capsys.readouterr().out == text
    names["locks"].close()
    assert [kind for kind, _ in BLOCKS].count("text") == 2
