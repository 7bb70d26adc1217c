"""Each finding has a script that uses the library alone: it is short, and shows what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers.test_peers import made
from workshop.peers.peer import SOURCES, PythonPeer

SHOWN = {
    "pysyncobj_forgets": ("PySyncObj", *(f"in term 1 it answers {n}: response_vote" for n in ("n2", "n3"))),
    "pysyncobj_changes_twice": (
        "PySyncObj",
        "committed: 2 of term 1 3 of term 1 4 of term 1\ncommitted: 2 of term 1 3 of term 2",
    ),
    "pysyncobj_loses_entries": ("PySyncObj", "its last entry is 4", "after a restart it is 3"),
    "libraft_commits_old_terms": ("libraft", "a leader of term 4 has 2 committed, the last of term 2"),
    "libraft_counts_what_differs": (
        "libraft",
        "a leader of term 4 has 2 committed; one server has entry 2 of term 2, the other has 1 entries",
    ),
    "raftos_votes_twice": ("raftos", *(f"in term 1 it voted for {n}:9000" for n in ("n1", "n2"))),
    "raftos_cannot_read_its_log": ("raftos", "after a restart: ExtraData"),
    "raftos_drops_entries": (
        "raftos",
        "it has 2 entries, and 2 committed\nit has 1 entries, and 2 committed",
    ),
}
SCRIPTS = sorted((SOURCES / "findings").glob("*.*"))


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_a_finding_is_shown_by_the_library_alone(script: Path, tmp_path: Path) -> None:
    text = script.read_text("utf-8")
    assert len(text.splitlines()) <= 40
    assert "oneleader" not in text
    name, *shown = SHOWN[script.stem]
    command, environment = [sys.executable, str(script)], dict(os.environ)
    peer = made(name)
    if isinstance(peer, PythonPeer):
        environment["PYTHONPATH"] = str(peer.installed)
    else:
        command = [str(tmp_path / script.stem)]
        subprocess.run(["cc", "-w", "-o", command[0], script, "-lraft"], check=True)
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert all(line in done.stdout for line in shown), done.stdout + done.stderr
