"""A trace that rotates: judged whole over all files; a state at a cut that is not the one before it is
refused at its line; files that are deleted are missed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneleader.readers.replay.formats import node_folders as recorded
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from oneleader_raft.lease import Clocks
from oneleader_raft.node.__main__ import NodeUsageError, parse, settings_of
from oneleader_raft.node.recording import RecordingError, merged, opened
from oneleader_raft.node.trace import ENDLESS, Rotation, Trace
from oneleader_raft.node.trace_parts import parts, path_of
from oneleader_raft.raft import Durable, ElectionTimeout, Node, restart, step
from tests.reference.node.traced_run import MEMBERS, elections_and_writes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    elections_and_writes(tmp_path, Rotation(5000))
    return tmp_path


def test_the_files_are_judged_as_one(folder: Path) -> None:
    assert all(
        numbers == [*range(1, numbers[-1] + 1)] and numbers[-1] > 5 for numbers in parts(folder).values()
    )
    assert not list(folder.glob("*.new"))
    for judging in recorded.judge(folder):
        assert judging.result.verdict is HOLDS, judging.result.summary()
        assert judging.result.events_judged > 100


WRONG: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
    "term": ("election", lambda after: after.update(term=after["term"] + 1)),
    "vote": ("election", lambda after: after.update(voted_for="n1" if after["voted_for"] != "n1" else "n2")),
    "leader": ("pre_vote", lambda after: after.update(leader="n1" if after["leader"] != "n1" else "n2")),
    "commit": ("replication", lambda after: after.update(commit=after["commit"] + 1)),
    "entry": ("replication", lambda after: after["entries"][0].__setitem__(1, "another")),
    "promise": ("lease", lambda after: after.update(promised_at=after["promised_at"] - 1)),
}


def doctored(folder: Path, change: Callable[[dict[str, Any]], Any]) -> str:
    """The state at the cut after which a follower's third part begins is changed; where that is."""
    for node, numbers in parts(folder).items():
        path = path_of(folder, node, numbers[-1])
        header, cut, *rest = path.read_text().splitlines(keepends=True)
        said = json.loads(cut)
        assert said["event"] == "cut"
        if said["after"]["role"] == "follower" and said["after"]["entries"]:
            change(said["after"])
            path.write_text("".join([header, json.dumps(said) + "\n", *rest]))
            return f"{node} {said['step']}"
    raise AssertionError("no follower's trace was cut")


@pytest.mark.parametrize("name", WRONG)
def test_a_doctored_cut_is_refused_at_its_line(folder: Path, name: str) -> None:
    model, change = WRONG[name]
    node, number = doctored(folder, change).split()
    (judging,) = recorded.judge(folder, [model])
    assert judging.result.verdict is VIOLATED, judging.result.summary()
    lines = list(merged(opened(folder)))
    refused = lines[judging.result.refusal.line - 2]  # type: ignore[union-attr]
    assert (refused.node, refused.said.step) == (node, int(number))


def test_a_file_that_is_gone_is_missed(folder: Path) -> None:
    name, numbers = next(iter(parts(folder).items()))
    path_of(folder, name, numbers[1]).unlink()
    with pytest.raises(RecordingError, match="lines are lost"):
        list(merged(opened(folder)))


def without_first(folder: Path, *gone: int) -> None:
    """So many files of each node are gone, or all but the last."""
    for (node, numbers), first in zip(parts(folder).items(), gone, strict=True):
        for number in numbers[:-1][:first]:
            path_of(folder, node, number).unlink()


@pytest.mark.parametrize("gone", [(1, 1, 1), (3, 2, 3), (0, 99, 2), (99, 99, 99)])
def test_later_files_alone_are_judged_and_say_what_is_believed(folder: Path, gone: tuple[int, ...]) -> None:
    without_first(folder, *gone)
    election, lease = recorded.judge(folder, ["election", "lease"])
    assert election.result.verdict is HOLDS, election.result.summary()
    (believed,) = [line for line in election.result.summary() if "say stood before" in line]
    assert believed.startswith("taken as given: what ")
    begun = len(gone) - gone.count(0)
    assert f"{begun} of term, {begun} of role" in believed
    assert lease.result.verdict is INCONCLUSIVE
    assert "begins with the state at a cut, and so only election judges it" in lease.result.why


def wins_alone(said: dict[str, Any]) -> bool:
    found = [arguments for name, arguments in said["actions"] if name == "become_leader"]
    for arguments in found:
        arguments["q"] = [arguments["n"]]
    return bool(found)


def wins_without_votes(said: dict[str, Any]) -> bool:
    kept = [action for action in said["actions"] if action[0] != "receive_vote"]
    is_won = any(name == "become_leader" for name, _ in kept)
    said["actions"] = kept if is_won else said["actions"]
    return is_won


def votes_for_who_never_stood(said: dict[str, Any]) -> bool:
    for name, arguments in said["actions"]:
        if name == "grant_vote" and arguments["voter"] != arguments["candidate"]:
            (other,) = {*MEMBERS} - {arguments["voter"], arguments["candidate"]}
            arguments["candidate"] = other
            return True
    return False


def leads_at_a_cut(said: dict[str, Any]) -> bool:
    is_follower = said["event"] == "cut" and said["after"]["role"] == "follower" and said["after"]["leader"]
    said["after"] |= {"role": "leader"} if is_follower else {}
    return bool(is_follower)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (wins_alone, "become_leader(n=n2, q={n1 n2}): quorum_voted"),
        (wins_without_votes, "quorum_voted"),
        (votes_for_who_never_stood, "vote_was_requested"),
        (leads_at_a_cut, "election_safety"),
    ],
)
def test_what_is_wrong_in_later_files_is_refused(
    folder: Path, fault: Callable[[dict[str, Any]], bool], says: str
) -> None:
    without_first(folder, 1, 1, 1)
    changed = 0
    for node, numbers in parts(folder).items():
        for number in numbers:
            header, *lines = map(json.loads, path_of(folder, node, number).read_text().splitlines())
            changed += sum(map(fault, lines))
            text = "".join(json.dumps(said) + "\n" for said in (header, *lines))
            path_of(folder, node, number).write_text(text)
    assert changed
    (election,) = recorded.judge(folder, ["election"])
    assert election.result.verdict is VIOLATED, election.result.summary()
    assert says in str(election.result.refusal)


def rotating(folder: Path, rotation: Rotation, steps: int) -> None:
    """A node alone, which restarts, and whose election timer runs out again and again."""
    folder.mkdir(exist_ok=True)
    started = restart("n1", MEMBERS, Durable(), 0)
    trace = Trace(folder, "n1", MEMBERS, Clocks(), Durable(), rotation=rotation)
    trace.write(trace.line("restart", None, 0, started.actions, None, started.node))
    node: Node = started.node
    for now in range(1, steps):
        taken = step(node, ElectionTimeout(), now * 1_000_000)
        trace.write(trace.line(ElectionTimeout(), None, now, taken.actions, node, taken.node))
        node = taken.node
    trace.close()


def test_the_newest_files_are_kept_and_no_more(tmp_path: Path) -> None:
    rotating(tmp_path, Rotation(1000, 2), 40)
    first, last = parts(tmp_path)["n1"]
    assert last == first + 1 > 5
    assert len(list(tmp_path.iterdir())) == 2
    assert 1000 <= path_of(tmp_path, "n1", first).stat().st_size < 2000
    rotating(tmp_path / "endless", ENDLESS, 3)
    assert parts(tmp_path / "endless") == {"n1": [1]}


def test_a_restart_goes_on_in_the_newest_file(tmp_path: Path) -> None:
    """Also after a crash before the new file had its name, and after one within its last line."""
    rotating(tmp_path, Rotation(1000), 20)
    newest = parts(tmp_path)["n1"][-1]
    path = path_of(tmp_path, "n1", newest)
    whole = path.read_text()
    path.write_text(whole + '{"step": ')
    path_of(tmp_path, "n1", newest + 1).with_suffix(".new").write_text("{")
    trace = Trace(tmp_path, "n1", MEMBERS, Clocks(), Durable(), rotation=Rotation(1000))
    assert path.read_text() == whole
    again = restart("n1", MEMBERS, Durable(), 7)
    trace.write(trace.line("restart", None, 7, again.actions, None, again.node))
    assert parts(tmp_path)["n1"][-1] in (newest, newest + 1)
    steps = [json.loads(line)["step"] for n in parts(tmp_path)["n1"] for line in lines_of(tmp_path, n)]
    assert steps == [*range(1, len(steps) + 1)]


def lines_of(folder: Path, number: int) -> list[str]:
    return path_of(folder, "n1", number).read_text().splitlines()[1:]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--trace-megabytes 1", "give --trace as well"),
        ("--trace --trace-files 2", "give --trace-megabytes as well"),
        ("--trace --trace-megabytes nan", "--trace-megabytes is a size"),
        ("--trace --trace-megabytes -1", "--trace-megabytes is a size"),
        ("--trace --trace-megabytes 0.0001", "--trace-megabytes is a size"),
        ("--trace --trace-megabytes 1 --trace-files -1", "--trace-files is a number of files"),
        ("--trace --trace-megabytes x", "--trace-megabytes: invalid float value: 'x'"),
    ],
)
def test_nonsense_is_refused_in_words(options: str, says: str) -> None:
    usual = "--id n1 --peers n1=127.0.0.1:1 --api 127.0.0.1:2 --data d"
    with pytest.raises(NodeUsageError, match=says):
        settings_of(parse(f"{usual} {options}".split()))
