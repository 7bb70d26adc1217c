"""A node's trace through crashes, and the recording made of several: whole, in an order, or refused."""

from __future__ import annotations

import codecs
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneleader.errors import UsageError
from oneleader.readers.replay.formats import node_folders as recorded
from oneleader.verdict import HOLDS, INCONCLUSIVE
from oneleader_raft.lease import Clocks
from oneleader_raft.node.errors import DamagedError
from oneleader_raft.node.recording import RecordingError, merged, opened
from oneleader_raft.node.trace import Trace
from oneleader_raft.raft import Durable, Entry, Node, restart

MEMBERS = ("n1", "n2", "n3")
NODE: Node = restart("n1", MEMBERS, Durable(), 7).node


def traced(path: Path, *events: str, kept: str = "") -> str:
    """Write a restart and these events; the lines."""
    trace = Trace(path.parent, "n1", MEMBERS, Clocks(), Durable(), kept)
    lines = trace.line("restart", None, 7, restart("n1", MEMBERS, Durable(), 7).actions, None, NODE)
    lines += "".join(trace.line(event, None, 8, (), None, NODE) for event in events)
    trace.write(lines)
    trace.close()
    return lines


def steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()[1:]]


def test_a_line_that_was_cut_off_by_a_crash_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "n1.trace.jsonl"
    traced(path, "a", "b")
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    traced(path)
    assert steps(path) == [1, 2, 3]
    path.write_bytes(whole[:20])  # not even the header
    traced(path)
    assert steps(path) == [1]


def test_what_was_synced_and_not_written_is_written_at_the_restart(tmp_path: Path) -> None:
    path = tmp_path / "n1.trace.jsonl"
    lines = traced(path, "a", "b")
    whole = path.read_bytes()
    for cut in range(len(whole) - len(lines), len(whole) + 1, 40):
        path.write_bytes(whole[:cut])
        traced(path, kept=lines)
        assert steps(path) == [1, 2, 3, 4]
    assert len([line for line in path.read_text().splitlines() if '"b"' in line]) == 1


def test_a_trace_that_knows_more_than_the_state_is_seen(tmp_path: Path) -> None:
    """The state is a backup, or has lost its end: the node may have voted since."""
    path = tmp_path / "n1.trace.jsonl"
    traced(path, "a")
    Trace(tmp_path, "n1", MEMBERS, Clocks(), Durable()).close()
    before = path.read_bytes()
    for other in (Durable(1), Durable(0, "n2"), Durable(0, None, (Entry(0, "x"),))):
        with pytest.raises(DamagedError, match="it went on without a trace"):
            Trace(tmp_path, "n1", MEMBERS, Clocks(), other)
    assert path.read_bytes() == before
    path.write_bytes(before.replace(b'"term": 0', b'"term": 2'))
    with pytest.raises(DamagedError, match="it is an old one or has lost its end"):
        Trace(tmp_path, "n1", MEMBERS, Clocks(), Durable(1, None, (Entry(1, "x"),)))


@pytest.mark.parametrize(
    "last",
    [
        b"\xff\xfe\n",
        b"[1, 2]\n",
        b"7\n",
        b'{"step": "x"}\n',
        b'{"step": 7}\n',
        b'{"step": 7, "after": {"term": 1}}\n',
    ],
)
def test_a_damaged_trace_is_refused_in_words_and_left_alone(tmp_path: Path, last: bytes) -> None:
    path = tmp_path / "n1.trace.jsonl"
    traced(path, "a")
    for damaged in (last, path.read_bytes() + last, path.read_bytes().replace(b'"n1"', b'"n2"', 1)):
        path.write_bytes(damaged)
        with pytest.raises(DamagedError, match="is not a trace of n1, or is damaged: move the traces of all"):
            Trace(tmp_path, "n1", MEMBERS, Clocks(), Durable())
        assert path.read_bytes() == damaged


def test_without_a_path_nothing_is_written() -> None:
    trace = Trace(None, "n1", MEMBERS, Clocks(), Durable())
    assert trace.line("restart", None, 7, (), None, NODE) == ""
    trace.write("x")
    trace.close()


# -- Merging -----------------------------------------------------------------------------------------------


def node_file(folder: Path, id: str, lines: list[tuple[int, Any]]) -> Path:
    """A trace with a restart and these lines: a clock, and the sender and its step, or None."""
    clocks = {"promise": 150, "slow": 1, "fast": 1}
    said: list[dict[str, Any]] = [
        {"format": "oneleader-node", "version": 1, "node": id, "members": list(MEMBERS), "clocks": clocks}
    ]
    state = {"term": 0, "voted_for": None, "role": "follower", "votes": [], "pre_votes": [], "leader": None}
    state |= {"length": 0, "commit": 0, "first": 1, "entries": []}
    for step, (clock, source) in enumerate(lines, 1):
        after = state | {"promised_at": lines[0][0]}
        actions = [["restart", {"n": id}]] if step == 1 else []
        event = {"step": step, "event": f"{id} {step}", "from": source, "clock": clock}
        said.append(event | {"actions": actions, "after": after})
    path = folder / f"{id}.trace.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in said))
    return path


def order(folder: Path) -> list[str]:
    return [line.said.event for line in merged(opened(folder))]


def test_what_was_received_comes_after_what_was_sent_whatever_the_clocks_say(tmp_path: Path) -> None:
    node_file(tmp_path, "n1", [(1, None), (50, None), (900, None)])
    node_file(tmp_path, "n2", [(2, None), (10, ["n1", 3]), (11, None)])
    node_file(tmp_path, "n3", [(3, None), (60, ["n2", 1])])
    assert order(tmp_path) == ["n1 1", "n2 1", "n3 1", "n1 2", "n3 2", "n1 3", "n2 2", "n2 3"]
    (election, lease) = recorded.judge(tmp_path, ["election", "lease"])
    assert election.result.verdict is HOLDS
    assert lease.result.verdict is INCONCLUSIVE
    assert "these clocks are not one machine's" in lease.result.why


def test_lines_that_are_lost_are_missed(tmp_path: Path) -> None:
    node_file(tmp_path, "n1", [(1, None), (5, None)])
    node_file(tmp_path, "n2", [(2, None), (10, ["n1", 3])])
    node_file(tmp_path, "n3", [(3, None)])
    with pytest.raises(RecordingError, match="n2 received in its step 2 what n1 sent after its step 3"):
        order(tmp_path)
    path = node_file(tmp_path, "n1", [(1, None), (5, None), (6, None)])
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2] + lines[3:]))
    with pytest.raises(RecordingError, match="step 3 follows step 1: lines are lost"):
        order(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a trace of a node"),
        ("hello\n", "line 1: this is not a JSON object"),
        ('{"format": "oneleader"}\n', "is not a trace of a node"),
        ('{"format": "oneleader-node", "version": 2}\n', "version 2 is not known, 1 is"),
    ],
)
def test_what_is_no_trace_is_refused_in_words(tmp_path: Path, text: str, says: str) -> None:
    for id in MEMBERS:
        node_file(tmp_path, id, [(1, None)])
    (tmp_path / "n2.trace.jsonl").write_text(text)
    with pytest.raises(UsageError, match=says):
        recorded.judge(tmp_path, ["election"])


@pytest.mark.parametrize("follows", [False, True])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (gzip.compress, "n2.trace.jsonl line 1: this file is packed by gzip: unpack it"),
        (
            lambda text: text.decode().encode("utf-16"),
            "line 1: this is UTF-16 or UTF-32 text: save it as UTF-8",
        ),
        (
            lambda text: b"PK\x03\x04" + text,
            "line 1: this file is packed by zip: unpack it, or pack it by gzip",
        ),
    ],
)
def test_a_trace_that_is_no_text_is_told_as_a_recording_is(
    tmp_path: Path, change: Callable[[bytes], bytes], says: str, follows: bool
) -> None:
    for id in MEMBERS:
        path = node_file(tmp_path, id, [(1, None)])
    path = tmp_path / "n2.trace.jsonl"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UsageError, match=says):
        (recorded.follow if follows else recorded.judge)(tmp_path, ["election"])


def test_bytes_that_a_crash_has_left_are_told_and_a_mark_of_utf_8_is_passed_over(tmp_path: Path) -> None:
    for id in MEMBERS:
        path = node_file(tmp_path, id, [(1, None)])
        path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    (judged,) = recorded.judge(tmp_path, ["election"])
    assert judged.result.verdict is HOLDS
    path.write_bytes(path.read_bytes() + bytes(9) + b"\n")
    (judged,) = recorded.judge(tmp_path, ["election"])
    assert judged.result.verdict is INCONCLUSIVE
    assert "n3.trace.jsonl line 3: this line holds NUL bytes, as files do that a crash" in judged.result.why


def test_a_trace_that_begins_later_is_not_judged(tmp_path: Path) -> None:
    """Its node had a state already, which the models do not know: that would be refused for no fault."""
    for id in MEMBERS:
        path = node_file(tmp_path, id, [(1, None)])
    path.write_text(path.read_text().replace('"term": 0', '"term": 3'))
    (judged,) = recorded.judge(tmp_path, ["election"])
    assert judged.result.verdict is INCONCLUSIVE
    assert "does not begin where its node began" in judged.result.why


def test_a_folder_without_all_traces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no trace of a node"):
        recorded.judge(tmp_path)
    node_file(tmp_path, "n1", [(1, None)])
    with pytest.raises(UsageError, match="has no trace of n2, n3"):
        recorded.judge(tmp_path)
    with pytest.raises(UsageError, match="not by 'fencing'"):
        recorded.judge(tmp_path, ["fencing"])


def test_what_is_followed_is_held_back_until_older_lines_may_have_come(tmp_path: Path) -> None:
    """n3 has written nothing yet; after a second by the clocks of the others it is waited for no more."""
    paths = {id: node_file(tmp_path, id, lines) for id, lines in LINES.items()}
    whole = paths["n2"].read_bytes()
    paths["n2"].write_bytes(whole[:-20])  # in the middle of a line
    said: list[str] = []
    waits: list[int] = []

    def wait() -> bool:
        waits.append(len(said))
        if len(waits) == 2:
            paths["n2"].write_bytes(whole)
        return len(waits) < 4

    said.extend(line.said.event for line in merged(opened(tmp_path), wait))
    assert said == ["n1 1", "n2 1", "n3 1", "n1 2", "n1 3", "n2 2"]
    assert waits[0] == 2, "then n3's line is held back: n2 may write an older one"


LINES: dict[str, list[tuple[int, Any]]] = {
    "n1": [(1, None), (500_000, None), (700_000, None)],
    "n2": [(2, None), (2_000_000, None)],
    "n3": [(3, None)],
}


def test_what_is_not_judged_is_said(tmp_path: Path) -> None:
    paths = {id: node_file(tmp_path, id, lines) for id, lines in LINES.items()}
    (judged,) = recorded.judge(tmp_path, ["election"])
    assert (judged.result.verdict, judged.result.why) == (HOLDS, "")
    paths["n2"].write_bytes(paths["n2"].read_bytes()[:-20])
    (judged,) = recorded.judge(tmp_path, ["election"])
    why = f"ended at line 6; not judged: line 3 of {paths['n2']}, which is cut off"
    assert (judged.result.verdict, judged.result.why) == (HOLDS, why)
    assert why in judged.result.summary()


def test_what_waits_when_following_ends_is_said(tmp_path: Path) -> None:
    def interrupted(_: Any) -> None:
        raise KeyboardInterrupt

    paths = {id: node_file(tmp_path, id, lines) for id, lines in LINES.items()}
    node_file(tmp_path, "n3", [(3, None), (9, ["n1", 4]), (10, None)])
    (judged,) = recorded.follow(tmp_path, ["election"], interrupted)
    waits = f"{tmp_path / 'n3.trace.jsonl'} from line 3 on, as what came before it is not there"
    assert judged.result.why == f"ended at line 7; not judged: {waits}"
    paths["n2"].write_bytes(paths["n2"].read_bytes()[:-20])
    (judged,) = recorded.follow(tmp_path, ["election"], interrupted)
    cut = f"line 3 of {paths['n2']}, which is cut off"
    assert judged.result.why == f"ended at line 6; not judged: {cut}; {waits}"
