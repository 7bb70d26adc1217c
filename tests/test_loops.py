"""`make fast` leaves out what is slow, and each slow test says why it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import SLOW_TESTS, pytest_collection_modifyitems
from tests.places import ROOT


def marked(*reason: str) -> Any:
    """As much of a collected test as is looked at."""
    mark = pytest.mark.slow(*reason).mark
    return SimpleNamespace(nodeid="tests/test_it.py::test_it", iter_markers=lambda name: [mark])


@pytest.mark.parametrize("reason", [(), ("",), ("slow",)])
def test_a_slow_test_without_a_reason_is_refused(reason: tuple[str, ...]) -> None:
    pytest_collection_modifyitems([marked("it explores five nodes")])
    with pytest.raises(pytest.UsageError, match="test_it is marked slow: say why"):
        pytest_collection_modifyitems([marked(*reason)])


@pytest.mark.parametrize("beginning", SLOW_TESTS)
def test_what_is_left_out_is_there(beginning: str) -> None:
    file, _, name = beginning.partition("::")
    assert (ROOT / file).exists()
    assert f"def {name}" in (ROOT / file).read_text() if name else True


def test_make_fast_leaves_out_just_what_is_slow() -> None:
    (line,) = (line for line in (ROOT / "Makefile").read_text().splitlines() if "not slow" in line)
    assert "pytest" in line
    assert "--numprocesses" in line
