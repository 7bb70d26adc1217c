"""Each finding has a script that uses the library alone: it is short, and shows what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers.test_peers import made
from workshop.peers.peer import SOURCES, Peer, PythonPeer

SHOWN = {
    "pysyncobj_forgets": ("PySyncObj", *(f"in term 1 it answers {n}: response_vote" for n in ("n2", "n3"))),
    "pysyncobj_changes_twice": (
        "PySyncObj",
        "committed: 2 of term 1 3 of term 1 4 of term 1\ncommitted: 2 of term 1 3 of term 2",
    ),
    "pysyncobj_undoes_changes": (
        "PySyncObj",
        "of its 4 entries it has applied 1: n2 n3\n"
        "of its 4 entries it has applied 3: n2\n"
        "of its 4 entries it has applied 4: n2 n3",
    ),
    "pysyncobj_hangs_up": (
        "PySyncObj",
        "n3 is heard, n2 is\ncommitted: 1 of 2 entries; n3 is not heard, n2 is\n",
    ),
    "pysyncobj_dumps_ahead": ("PySyncObj", "its last entry is 3 and the others are n1\n"),
    "pysyncobj_loses_entries": ("PySyncObj", "its last entry is 4", "after a restart it is 3"),
    "pysyncobj_commits_a_piece": (  # what does not fit commits nothing, a piece of a snapshot does
        "PySyncObj",
        "of its log up to 2, in term 1 it has applied 1\n" * 2
        + "of its log up to 2, in term 1 it has applied 2\n",
    ),
    "libraft_commits_old_terms": ("libraft", "a leader of term 4 has 2 committed, the last of term 2"),
    "libraft_counts_what_differs": (
        "libraft",
        "a leader of term 4 has 2 committed; one server has entry 2 of term 2, the other has 1 entries",
    ),
    "libraft_never_elects": (
        "libraft",
        "server 0 is in term 1 with 2 entries; server 1 is in term 3 with 1 entries; they have no leader",
    ),
    "raftos_votes_twice": ("raftos", *(f"in term 1 it voted for {n}:9000" for n in ("n1", "n2"))),
    "raftos_keeps_an_old_vote": (
        "raftos",
        "in term 1 it answers n2: True",
        "in term 1 it has voted for n2:9000\nin term 2 it has voted for n2:9000",
    ),
    "raftos_counts_copies": (
        "raftos",
        "with 1 answers of n2 it is Candidate\nwith 2 answers of n2 it is Leader",
    ),
    "raftos_tells_another_client": ("raftos", "committed: 1 told: [False, True]"),
    "raftos_cannot_read_its_log": ("raftos", "after a restart: ExtraData"),
    "raftos_drops_entries": (
        "raftos",
        "it has 2 entries, and 2 committed\nit has 1 entries, and 2 committed",
    ),
}
NOBODY = [
    f'n{i}: {role} of term 3, leader ""' for i, role in enumerate(["Candidate", "Candidate", "Follower"], 1)
]
SHOWN |= {
    "hashicorp_leads_on": ("hashicorp", "told of term 100 all the time, it is Leader of term 2"),
    "hashicorp_refuses_strangers": ("hashicorp", *NOBODY),
    "hashicorp_forgets_its_snapshot": (
        "hashicorp",
        "a snapshot up to 3 is taken: true; entry 4 after it: false\n" * 3,
    ),
}
SCRIPTS = sorted((SOURCES / "findings").glob("*.*"))


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_a_finding_is_shown_by_the_library_alone(script: Path, tmp_path: Path) -> None:
    text = script.read_text("utf-8")
    assert len(text.splitlines()) <= 40
    assert "oneleader" not in text
    name, *shown = SHOWN[script.stem]
    done = run(made(name), script, tmp_path / script.stem)
    assert all(line in done.stdout for line in shown), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("script", "before", "after", "shown"),
    [
        (
            "hashicorp_refuses_strangers",
            "append(old[:2:2], entry(3, 2, n2, n3))",
            "old",  # no change that is not committed
            "n1: Leader of term 4",
        ),
        (
            "hashicorp_forgets_its_snapshot",
            '"n1", "off", 0',
            '"n1", "off", 10',  # the entry stays in the log
            "a snapshot up to 3 is taken: true; entry 4 after it: true\n" * 3,
        ),
    ],
)
def test_without_its_cause_it_does_not_come_about(
    script: str, before: str, after: str, shown: str, tmp_path: Path
) -> None:
    """The other side of what a script shows."""
    text = (SOURCES / f"findings/{script}.go").read_text("utf-8")
    assert text.count(before) == 1
    (tmp_path / "without.go").write_text(text.replace(before, after), "utf-8")
    done = run(made("hashicorp"), tmp_path / "without.go", tmp_path / "without")
    assert shown in done.stdout, done.stdout + done.stderr


def test_with_logs_alike_a_majority_of_libraft_elects_somebody(tmp_path: Path) -> None:
    """The other side of what `libraft_never_elects` shows."""
    done = run(made("libraft"), SOURCES / "findings/libraft_never_elects.c", tmp_path / "control", "alike")
    assert "they have a leader" in done.stdout, done.stdout + done.stderr


def run(peer: Peer, script: Path, built: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """In its language, with the library as its adapter has it."""
    command, environment = [str(built), *more], dict(os.environ)
    if isinstance(peer, PythonPeer):
        command, environment["PYTHONPATH"] = [sys.executable, str(script)], str(peer.installed)
    elif script.suffix == ".go":
        build = ["go", "build", "-o", str(built), str(script)]
        subprocess.run(build, cwd=SOURCES / "go", check=True)
    else:
        subprocess.run(["cc", "-w", "-o", str(built), script, "-lraft"], check=True)
    return subprocess.run(command, env=environment, capture_output=True, text=True)
