"""`make fast` leaves out what is slow, and each slow test says why it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SLOW_TESTS
from tests.places import ROOT

CONFTEST = "from tests.conftest import pytest_collection_modifyitems\n"
TEST = "import pytest\n@pytest.mark.slow{reason}\ndef test_it(): pass\n"


@pytest.mark.parametrize(("reason", "status"), [("", 4), ("('')", 4), ("('it explores five nodes')", 0)])
def test_a_slow_test_without_a_reason_is_refused(tmp_path: Path, reason: str, status: int) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TEST.format(reason=reason))
    pytest_ = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        str(ROOT / "pyproject.toml"),
    ]
    said = subprocess.run(
        [*pytest_, "--rootdir", str(tmp_path), str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert said.returncode == status, said.stdout + said.stderr
    assert ("say why" in said.stderr) == (status == 4)


@pytest.mark.parametrize("beginning", SLOW_TESTS)
def test_what_is_left_out_is_there(beginning: str) -> None:
    file, _, name = beginning.partition("::")
    assert (ROOT / file).exists()
    assert f"def {name}" in (ROOT / file).read_text() if name else True


def test_make_fast_leaves_out_just_what_is_slow() -> None:
    (line,) = (line for line in (ROOT / "Makefile").read_text().splitlines() if "not slow" in line)
    assert "pytest" in line
    assert "--numprocesses" in line
