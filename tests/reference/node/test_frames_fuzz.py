"""A coverage-guided fuzz of what peers send: it finds nothing, and does find what a validator keeps out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="install atheris: pip install '.[dev]' (Linux)")


def fuzzed(corpus: Path, *options: str) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).with_name("frames_fuzz.py")
    command = [sys.executable, script, corpus, "-seed=1", "-max_len=600", f"-artifact_prefix={corpus}/"]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=300)


def test_nothing_that_a_peer_sends_does_harm(tmp_path: Path) -> None:
    """It is guided: what it found by itself has reached lines that its seeds had not."""
    done = fuzzed(tmp_path, "-runs=20000")
    assert "Done 20000 runs" in done.stderr, done.stdout + done.stderr[-2000:]
    covered = [int(found) for found in re.findall(r"cov: (\d+)", done.stderr)]
    assert covered[-1] > covered[0] + 10
    assert done.returncode == 0


def test_without_the_validator_harm_is_found(tmp_path: Path) -> None:
    done = fuzzed(tmp_path, "--without-validator", "-runs=500000")
    assert done.returncode != 0
    assert "Uncaught Python exception" in done.stdout + done.stderr
    assert list(tmp_path.glob("crash-*"))
