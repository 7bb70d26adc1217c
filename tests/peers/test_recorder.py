"""Fresh recordings of etcd v3.7 by its trace logger: crashes, cuts, losses, snapshots, changes of members."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any

import pytest

from oneleader.models import election, replication
from oneleader.readers.replay.replay import Replayed, replay_lines
from oneleader.verdict import HOLDS, VIOLATED
from workshop.peers.go_runtime import overlay
from workshop.peers.peer import BUILT, LINES_BESIDE, SOURCES

Line = dict[str, Any]
ROUNDS = 120


@cache
def recorder() -> str:
    """Built once, with the tag that brings in the library's logger."""
    if not shutil.which("go"):
        if os.environ.get("CI"):
            pytest.fail("the recorder is built with go: install Go 1.26 or newer")
        pytest.skip("install Go 1.26 or newer to make recordings of etcd")
    built = str(BUILT / "recorder")
    replaced = overlay(BUILT / "go-runtime", LINES_BESIDE)  # as the peers in Go, which share what is built
    build = ["go", "build", "-overlay", replaced, "-tags", "with_tla", "-o", built, "./recorder"]
    subprocess.run(build, cwd=SOURCES / "go", check=True)
    return built


@cache
def recorded(seed: int) -> tuple[Line, ...]:
    made = subprocess.run([recorder(), str(seed), str(ROUNDS)], capture_output=True, text=True, check=True)
    return tuple(map(json.loads, made.stdout.splitlines()))


def judge(lines: list[Line], model: Any = replication.MODEL) -> Replayed:
    return replay_lines((json.dumps(line) + "\n" for line in lines), model=model)


@pytest.mark.parametrize("seed", [3, 4, 7])
def test_a_fresh_recording_is_accepted_whole(seed: int) -> None:
    lines = list(recorded(seed))
    for model in (election.MODEL, replication.MODEL):
        found = judge(lines, model)
        assert (found.verdict, found.lines) == (HOLDS, len(lines)), (seed, found.summary())


def test_they_hold_what_they_are_made_for() -> None:
    events = [line["event"] for seed in (3, 4, 7) for line in recorded(seed)]
    names = Counter(event["name"] for event in events)
    assert names["InitState"] > 3 * 5 + 10  # crashes
    assert names["ChangeConf"] > 3
    assert names["BecomeLeader"] > 3
    assert any(event["conf"][1] for event in events)  # a joint configuration
    assert any(event.get("msg", {}).get("type") == "MsgSnap" for event in events)


def last(lines: list[Line], name: str) -> int:
    return max(i for i, line in enumerate(lines) if line["event"]["name"] == name)


def is_back(lines: list[Line]) -> int:
    """The line on which a server shows what it had stored before its last crash."""
    crashed = last(lines, "InitState")
    node = lines[crashed]["event"]["nid"]
    shows = (i for i, x in enumerate(lines[crashed:], crashed) if x["event"]["name"] == "BecomeFollower")
    return next(i for i in shows if lines[i]["event"]["nid"] == node)


def set_state(key: str, value: Callable[[Any], Any]) -> Callable[[Line], None]:
    def change(event: Line) -> None:
        event["state"][key] = value(event["state"][key])

    return change


def set_log(event: Line) -> None:
    event["log"] += 1


def set_conf(event: Line) -> None:
    event["conf"][0] = ["1", "5"]


@pytest.mark.parametrize(
    ("at", "change"),
    [
        (is_back, set_state("term", lambda term: term - 1)),
        (is_back, set_state("term", lambda term: term + 1)),
        (is_back, set_state("vote", lambda vote: "4" if vote == "5" else "5")),
        (is_back, set_state("commit", lambda commit: commit + 1)),
        (is_back, set_log),
        (lambda lines: last(lines, "InitState"), set_log),
        (lambda lines: last(lines, "BecomeLeader"), set_state("term", lambda term: term + 1)),
        (lambda lines: last(lines, "BecomeLeader"), set_conf),
        (lambda lines: last(lines, "Commit"), set_state("commit", lambda commit: commit + 1)),
    ],
)
def test_a_doctored_copy_is_refused_at_its_line(at: Callable[[list[Line]], int], change: Any) -> None:
    lines = deepcopy(list(recorded(4)))
    number = at(lines)
    change(lines[number]["event"])
    found = judge(lines[: number + 1])
    assert found.verdict is VIOLATED, found.summary()
    assert found.refusal
    assert found.refusal.line == number + 1
