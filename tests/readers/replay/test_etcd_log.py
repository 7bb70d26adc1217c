"""The log traffic of every recording: accepted whole by `replication`, refused where a line is changed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from oneleader.errors import UsageError
from oneleader.language import action
from oneleader.models import pre_vote, replication
from oneleader.models.election import Node, Term
from oneleader.models.replication import Index, State
from oneleader.readers.replay.formats.etcd_lines import EtcdMessage
from oneleader.readers.replay.formats.etcd_log import Contents
from oneleader.readers.replay.replay import Replayed, replay, replay_lines
from oneleader.verdict import HOLDS, INCONCLUSIVE
from tests.places import RECORDINGS

FOLDER = RECORDINGS
EXAMPLE, THREE, FIVE = (
    FOLDER / f"{name}.ndjson.gz"
    for name in (
        *("etcd-raft-example", "etcd-rawnode-3-nodes"),
        "etcd-rawnode-5-nodes-prevote-checkquorum",
    )
)
Record = dict[str, Any]


@cache
def recorded(path: Path = THREE) -> tuple[Record, ...]:
    with gzip.open(path, "rt") as lines:
        return tuple(json.loads(line) for line in lines)


def judge(records: list[Record]) -> Replayed:
    return replay_lines((json.dumps(r) + "\n" for r in records), model=replication.MODEL)


LOG_STEPS = {
    EXAMPLE: (4888, {"client_request": 124, "append_entries": 354, "advance_commit": 51}),
    THREE: (
        3437,
        {"client_request": 41, "append_entries": 67, "replace_entries": 1, "advance_commit": 14},
    ),
    FIVE: (5436, {"client_request": 15, "append_entries": 66, "replace_entries": 2, "advance_commit": 4}),
}


@pytest.mark.parametrize("path", LOG_STEPS, ids=lambda path: path.name)
def test_each_recording_is_accepted_whole(path: Path) -> None:
    lines, steps = LOG_STEPS[path]
    found = replay(path, model=replication.MODEL)
    assert (found.verdict, found.lines, found.events_judged) == (HOLDS, lines, lines)
    of_logs = ("client_request", "append_entries", "replace_entries", "advance_commit")
    assert {name: n for name, n in found.steps.items() if name in of_logs} == steps
    assert not {"Commit", "Replicate", "SendAppendEntriesRequest"} & set(found.not_modelled)


# -- a changed line ---------------------------------------------------------------------------------
def find(event: str, after: int = 0, has: Callable[[Record], bool] = lambda e: True, **message: Any) -> int:
    """The line number of the first such event after that line."""
    for number, record in enumerate(recorded()[after:], after + 1):
        e = record["event"]
        if e["name"] == event and message.items() <= e.get("msg", {}).items() and has(e):
            return number
    raise AssertionError(f"no {event}")


def message(key: str, by: int) -> Callable[[Record], None]:
    def change(e: Record) -> None:
        e["msg"][key] += by

    return change


def state(key: str, by: int) -> Callable[[Record], None]:
    def change(e: Record) -> None:
        (e if key == "log" else e["state"])[key] += by

    return change


def reject(value: bool) -> Callable[[Record], None]:
    def change(e: Record) -> None:
        e["msg"]["reject"] = value

    return change


SENDS = find("SendAppendEntriesRequest", type="MsgApp", has=lambda e: e["msg"]["entries"] > 0)
RECEIVES = find("ReceiveAppendEntriesRequest", type="MsgApp", has=lambda e: e["msg"]["entries"] > 0)
CONFIRMS = find("SendAppendEntriesResponse", type="MsgAppResp", reject=False)
REJECTS = find("SendAppendEntriesResponse", type="MsgAppResp", reject=True)
TELLS = find("SendAppendEntriesRequest", type="MsgHeartbeat", has=lambda e: e["msg"]["commit"] > 0)
ASKS = find("SendRequestVoteRequest")
RESTARTS = find("InitState", after=100)
SHORTENED = 317  # n3, with 11 entries of an older term, has taken those of the new leader: 7
CHANGES = [
    (SENDS, message("entries", 1), "sends entries up to"),
    (SENDS, message("logTerm", 1), "the term before the entries is"),
    (SENDS, message("commit", 1), "tells the commit index"),
    (SENDS, message("index", 1), "the term before the entries is"),
    (TELLS, message("commit", 1), "tells the commit index"),
    (RECEIVES, message("entries", 1), "nobody has sent MsgApp"),
    (RECEIVES, message("commit", -1), "with these contents"),
    (CONFIRMS, message("index", 1), "confirms entries up to"),
    (CONFIRMS, reject(True), "where its log is the leader's"),
    (REJECTS, reject(False), "confirms entries up to"),
    (ASKS, message("index", -1), "the last index that it tells is"),
    (ASKS, message("logTerm", 1), "the last term that it tells is"),
    (RESTARTS, state("log", 1), "log_length[n3] is 12 in the recording and 11 in the model"),
    (RESTARTS, state("log", -1), "log_length[n3] is 10 in the recording and 11 in the model"),
    (SHORTENED, state("log", 4), "log_length[n3] is 11 in the recording and 7 in the model"),
    (SHORTENED, state("commit", 1), "commit_index[n3] is 6 in the recording and 5 in the model"),
]


@pytest.mark.parametrize(("line", "change", "text"), CHANGES)
def test_a_changed_line_is_refused(line: int, change: Callable[[Record], None], text: str) -> None:
    records = list(recorded()[:line])
    assert judge(records).verdict is HOLDS
    records[-1] = deepcopy(records[-1])
    change(records[-1]["event"])
    found = judge(records)
    assert found.refusal, found.summary()
    assert found.refusal.line == line
    assert text in found.refusal.text


@action
def replace_entries(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index) -> None:
    """Nobody takes back an entry."""
    never = n != n
    s.require(never)


def test_a_conflict_needs_an_entry_to_be_replaced() -> None:
    found = replay(THREE, model=replication.MODEL.with_action(replace_entries))
    assert found.refusal
    assert found.refusal.text.startswith("replace_entries(n=n3")
    assert SHORTENED - 3 <= found.refusal.line < SHORTENED


def test_a_leader_commits_only_what_a_majority_has_told_it() -> None:
    commits = find("Commit", after=SENDS, has=lambda e: e["role"] == "StateLeader")
    told = [
        number
        for number, r in enumerate(recorded()[:commits], 1)
        if r["event"]["name"] == "ReceiveAppendEntriesResponse" and r["event"]["msg"]["type"] == "MsgAppResp"
    ]
    found = judge([r for number, r in enumerate(recorded()[:commits], 1) if number not in told])
    assert found.refusal
    assert "no majority has told it to store that" in found.refusal.text


def test_a_line_without_its_log_is_malformed() -> None:
    records = [deepcopy(recorded()[0])]
    del records[0]["event"]["log"]
    with pytest.raises(UsageError, match="line 1: `log` is missing"):
        judge(records)


def test_what_is_kept_of_messages_does_not_grow_with_the_recording() -> None:
    contents = Contents(most=3)
    message = EtcdMessage("MsgApp", "n1", "n2", 2, False)
    for index in range(10):
        contents.note(message, (index,))
        assert contents.may_be(message, (index,))
        assert contents.may_be(message, (99,)) == (index >= 3), "what was forgotten may have been sent"
    assert len(contents.sent) == 3


def test_lines_of_a_pre_candidate_are_counted() -> None:
    """The model takes it for a follower. Etcd's own logger (v3.7) does not write how it became one."""
    records = [r for r in recorded(FIVE) if r["event"]["name"] != "BecomePreCandidate"]
    found = judge(records)
    assert found.verdict is HOLDS, found.summary()
    count = sum(r["event"]["role"] == "StatePreCandidate" for r in records)
    assert f"not modelled: the role, here a follower's, of {count:,} StatePreCandidate" in found.summary()


def test_what_etcds_own_logger_shows_of_a_run_with_pre_votes_is_judged() -> None:
    """Nothing of the pre-votes themselves: one that is rejected may tell its candidate of a newer term."""
    of_pre_votes = ("BecomePreCandidate", "PreVoteRequest", "PreVoteResponse")
    records = [r for r in recorded(FIVE) if not r["event"]["name"].endswith(of_pre_votes)]
    assert judge(records).verdict is HOLDS
    found = replay_lines((json.dumps(r) + "\n" for r in records), model=pre_vote.MODEL)
    assert found.verdict is INCONCLUSIVE
    assert "is a pre-candidate, and no line shows pre-votes" in found.why
    without = [r for r in recorded(FIVE) if not r["event"]["name"].endswith("PreVoteResponse")]
    assert "the message it received last is" in str(judge(without).refusal), (
        "where they are shown, all are asked for"
    )
