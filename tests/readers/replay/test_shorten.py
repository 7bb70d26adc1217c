"""The shortest part of a refused recording: the same line is refused for the same reason; no line is idle."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from oneleader.cli.replay import replay as command
from oneleader.readers.replay.replay import replay, replay_lines
from oneleader.readers.replay.shorten import as_test, shorten
from tests.readers.replay.test_etcd import event
from workshop.benchmarks.bench_replay import lines


def refused() -> list[str]:
    """Three elections; in the last one a voter votes for another candidate too."""
    recorded = list(lines("election", 40))
    vote = {"voter": "n4", "candidate": "n2", "t": 1}
    wrong: dict[str, Any] = {"node": "n4", "event": "again", "actions": [["grant_vote", vote]]}
    at = next(i for i, said in enumerate(recorded) if '"term": {"n4": 2}' in said)
    return [*recorded[: at + 1], json.dumps(wrong) + "\n", *recorded[at + 1 :]]


def test_no_line_is_idle() -> None:
    found = refused()
    result = replay_lines(found)
    assert result.refusal
    assert result.refusal.guard
    part = shorten(found[: result.refusal.line], result)
    again = part.result.refusal
    assert again
    assert (again.text, again.line) == (result.refusal.text, len(part.lines))
    assert part.is_shortest
    assert part.lines[-1] == found[result.refusal.line - 1]
    assert len(part.lines) < 8 < part.of == result.refusal.line
    for i in range(1, len(part.lines) - 1):
        left = replay_lines([*part.lines[:i], *part.lines[i + 1 :]]).refusal
        assert not left or (left.text, left.line) != (again.text, len(part.lines) - 1), part.lines[i]


def test_without_time_the_whole_is_what_is_left() -> None:
    found = refused()
    result = replay_lines(found)
    assert result.refusal
    part = shorten(found[: result.refusal.line], result, seconds=0)
    assert len(part.lines) == part.of == result.refusal.line
    assert not part.is_shortest


def test_a_recording_of_etcd() -> None:
    nodes = [event("InitState", n, 0) for n in "123"]
    stands = [event("BecomeCandidate", n, 1, n, "Candidate") for n in "31"]
    leads = event("BecomeLeader", "1", 1, "1", "Leader")
    found = [json.dumps({"event": e}) + "\n" for e in (*nodes, *stands, leads)]
    result = replay_lines(found)
    assert result.refusal
    assert result.refusal.line == 6
    part = shorten(found, result)
    assert [json.loads(line)["event"]["nid"] for line in part.lines] == ["1", "1", "1"]


def test_the_command_leaves_a_picture_and_a_test_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.jsonl").write_text("".join(refused()))
    said = CliRunner().invoke(command, ["run.jsonl", "--shrink"], standalone_mode=False)
    assert said.return_value == 1, said.output
    assert "the shortest part that is refused for this" in said.output
    assert "<svg" in Path("runs/run-shortest.html").read_text()
    assert replay(Path("runs/run-shortest.jsonl")).refusal
    test = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "runs/test_run_shortest.py"]
    done = subprocess.run(test, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    assert "grant_vote" in done.stdout


def test_a_test_names_the_model_that_judged() -> None:
    found = refused()
    result = replay_lines(found)
    assert result.refusal
    part = shorten(found[: result.refusal.line], result)
    assert 'MODEL = find("pre_vote")' in as_test(part, "pre_vote", None)
    assert "from oneleader.faults.catalogue import find" in as_test(part, None, "E1")
    assert "MODEL = None" in as_test(part, None, None)
