"""The pytest plugin, in a pytest of its own: what holds passes; what does not, or asks nothing, says why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.places import ROOT

TESTS = """
import sys
from tests.conformance.small_raft import SmallAdapter
from tests.conformance.test_observations import CountsOneLess, adapter

def test_correct(oneleader):
    assert oneleader(SmallAdapter, walks=5).steps

def test_shim(oneleader):
    oneleader([sys.executable, "-m", "tests.conformance.small_shim"], walks=2, liveness=True)

def test_faulty(oneleader):
    oneleader(adapter(CountsOneLess))

def test_idle(oneleader):
    pass

def test_broken(oneleader):
    raise ValueError("before it was asked")
"""
NOTHING = "This test judged nothing: call oneleader(...) with your adapter."


def test_the_fixture_judges(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--oneleader-walks", "6",
         "--oneleader-seed", "1", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}/spec:{ROOT}/reference:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "3 failed, 2 passed" in done.stdout
    assert "a quorum stores what is committed" in done.stdout
    assert done.stdout.splitlines().count(NOTHING) == 1  # the summary may tell it again
    assert "ValueError: before it was asked" in done.stdout
    assert "judge.py" not in done.stdout  # the cause, not the place where it was raised
