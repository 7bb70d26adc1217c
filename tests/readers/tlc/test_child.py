"""What a command started ends with it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from oneleader.readers.tlc.child import child
from tests.places import ROOT

# Stands for Java: it says that it runs, and would go on for a minute.
JAVA = """#!/bin/sh
echo $$ >> "$STARTED"
sleep 60
"""


def test_what_it_prints_and_its_status_are_passed_on() -> None:
    with child(["sh", "-c", "echo said; exit 3"], stdout=subprocess.PIPE) as process:
        assert process.communicate() == ("said\n", None)
        assert process.returncode == 3
    with child(["sh", "-c", "kill -XCPU $$"]) as process:
        assert process.wait() == 128 + signal.SIGXCPU


def test_it_is_ended_with_what_it_started(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with child(["sh", "-c", f"sleep 60 & echo $! > {told}; wait"]):
        _soon(lambda: told.exists() and told.read_text() != "")
    _soon(lambda: not _runs(int(told.read_text())))


STARTS = """
import sys
from oneleader.readers.tlc.child import child
with child(["sh", "-c", f"sleep 60 & echo $! > {sys.argv[1]}; wait"]) as process:
    process.wait()
"""


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_does_not_outlive_the_one_that_started_it(tmp_path: Path, sign: signal.Signals) -> None:
    told = tmp_path / "told"
    with subprocess.Popen([sys.executable, "-c", STARTS, str(told)], stderr=subprocess.DEVNULL) as starter:
        _soon(lambda: told.exists() and told.read_text() != "")
        starter.send_signal(sign)
    _soon(lambda: not _runs(int(told.read_text())))


def test_a_command_that_is_ended_leaves_no_tlc(tmp_path: Path) -> None:
    """Two run at a time, in threads; none is started after the signal, and nobody waits for them."""
    (tmp_path / "java").write_text(JAVA)
    (tmp_path / "java").chmod(0o755)
    started = tmp_path / "started"
    command = [sys.executable, "-m", "workshop", "tla-mutants", "fencing", "--workers", "2"]
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "STARTED": str(started), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as run:
        _soon(lambda: started.exists() and len(started.read_text().split()) == 2)
        run.send_signal(signal.SIGTERM)
        _, said = run.communicate(timeout=20)
    assert (run.returncode, "Traceback" in said) == (130, False)
    ran = [int(word) for word in started.read_text().split()]
    _soon(lambda: not any(map(_runs, ran)))
    assert len(ran) == 2


def _soon(happens: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < until
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    """Whether there is such a process; one that has ended and is not yet fetched does not run."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
