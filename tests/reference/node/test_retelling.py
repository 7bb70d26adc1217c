"""What a line is retold as is kept, and told again where the line says the same: as if nothing were kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import pytest

from oneleader.readers.replay.formats import node_folders
from oneleader.readers.replay.replay import replay_lines
from oneleader_raft.node.recording import RecordingError, Retelling, merged, opened
from oneleader_raft.views import FIXED_MEMBERS
from tests.reference.node.traced_run import TracedRun


def told(folder: Path, model: str, *, keeps: bool) -> Iterator[Any]:
    """Each line in the words of the model, and the sentence that ended it, if one did."""
    files = opened(folder)
    retelling = Retelling(files, model)
    try:
        for line in merged(files):
            if not keeps:
                line.heard.retold.clear()
            retold = retelling.retold(line)
            if retold is None:
                return
            yield deepcopy(retold.record(line))
    except RecordingError as error:
        yield str(error)


@pytest.fixture
def traced(tmp_path: Path) -> dict[Path, list[Any]]:
    run = TracedRun(tmp_path)
    for leader in ("n1", "n3"):
        run.elect(leader)
        run.beat(leader, 4)
        run.write(leader, 2)
        run.beat(leader, 2)
        run.restart("n2")
        run.beat(leader, 2)
    run.close()
    return {path: [*map(json.loads, path.read_text().splitlines())] for path in sorted(tmp_path.iterdir())}


def write(lines: dict[Path, list[Any]]) -> None:
    for path, said in lines.items():
        path.write_text("".join(json.dumps(line) + "\n" for line in said))


@pytest.mark.parametrize("seed", range(40))
def test_what_is_kept_changes_no_word(tmp_path: Path, traced: dict[Path, list[Any]], seed: int) -> None:
    """Actions that come twice, are left out, or were those of another line; and a state of another line."""
    random = Random(seed)
    for _ in range(12):
        said = random.choice([*traced.values()])
        one, other = random.choices(said[1:], k=2)
        match random.choice(("twice", "less", "theirs", "both", "state")):
            case "twice":
                one["actions"] = one["actions"] * 2
            case "less":
                one["actions"] = one["actions"][1:]
            case "theirs":
                one["actions"] = other["actions"]
            case "both":
                one["actions"] = other["actions"] + one["actions"]
            case "state":
                one["after"] = other["after"]
    write(traced)
    for model in FIXED_MEMBERS:
        kept, fresh = ([*told(tmp_path, model, keeps=keeps)] for keeps in (True, False))
        assert kept == fresh


def test_most_heartbeats_are_retold_as_before(tmp_path: Path, traced: dict[Path, list[Any]]) -> None:
    """Otherwise the test above would say nothing."""
    files = opened(tmp_path)
    retelling = Retelling(files, "election")
    retold = [retelling.retold(line) for line in merged(files)]
    assert len({*map(id, retold)}) < len(retold) / 2


@pytest.mark.parametrize("model", FIXED_MEMBERS)
def test_lines_that_change_nothing_count_as_all_others(tmp_path: Path, model: str) -> None:
    run = TracedRun(tmp_path)
    for leader in ("n1", "n2"):
        run.elect(leader)
        run.beat(leader, 150)
        run.write(leader, 2)
    run.close()
    files = opened(tmp_path)
    retelling = Retelling(files, model)
    lines = [retelling.header]
    for line in merged(files):
        retold = retelling.retold(line)
        assert retold is not None
        lines.append(retold.record(line))
    (of_folder,) = node_folders.judge(tmp_path, [model])
    assert of_folder.result.summary() == replay_lines(map(json.dumps, lines)).summary()


def test_two_actions_of_one_name_are_told_apart(tmp_path: Path, traced: dict[Path, list[Any]]) -> None:
    path, said = next(iter(traced.items()))
    beats = [line for line in said[1:] if [name for name, _ in line["actions"]] == ["receive_reply"]]
    one, other = beats[:2]
    one["actions"] = [["restart", {"n": "n2"}], ["restart", {"n": "n1"}]]
    other["actions"] = [["restart", {"n": "n1"}]] * 2
    other["from"] = one["from"]
    write(traced)
    names = [line["actions"] for line in told(tmp_path, "election", keeps=True) if isinstance(line, dict)]
    assert [["restart", {"n": "n1"}]] * 2 in names, path
