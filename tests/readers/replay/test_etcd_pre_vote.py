"""A real recording with PreVote and CheckQuorum: accepted whole, and refused where a line is changed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any

import pytest

from oneleader.models import election, pre_vote
from oneleader.readers.replay.replay import Replayed, replay, replay_lines
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from tests.places import RECORDINGS

FILE = RECORDINGS / "etcd-rawnode-5-nodes-prevote-checkquorum.ndjson.gz"
Record = dict[str, Any]


@cache
def recorded() -> tuple[Record, ...]:
    with gzip.open(FILE, "rt") as lines:
        return tuple(json.loads(line) for line in lines)


def judge(records: list[Record]) -> Replayed:
    return replay_lines((json.dumps(r) + "\n" for r in records), model=pre_vote.MODEL)


def test_it_is_accepted_whole() -> None:
    found = replay(FILE, model=pre_vote.MODEL)
    assert (found.verdict, found.lines, found.events_judged) == (HOLDS, 5436, 5436)
    assert (found.model, found.candidates) == ("pre_vote", CANDIDATES)
    assert dict(found.steps) == STEPS
    taken = set(found.steps)
    assert pre_vote.MODEL.actions.keys() - taken == {"step_down"}  # no candidate met a leader of its term


CANDIDATES = 2
STEPS = {
    "hear_leader": 557, "receive_reply": 111, "grant_pre_vote": 105, "start_pre_vote": 76,
    "receive_pre_vote": 72, "restart": 53, "lose_touch": 38, "reply_vote": 31, "grant_vote": 30,
    "tell_term": 30, "update_term": 29, "receive_vote": 26, "learn_term": 22, "start_election": 16,
    "become_leader": 11, "give_up": 6,
}  # fmt: skip


def test_the_election_model_says_what_it_lacks() -> None:
    found = replay(FILE)
    assert (found.verdict, found.lines) == (INCONCLUSIVE, 15)
    assert "--model pre_vote judges it" in found.why


def test_a_model_without_pre_vote_is_no_judge_of_it() -> None:
    assert replay(FILE, model=election.MODEL).verdict is INCONCLUSIVE


def test_a_word_that_nobody_knows() -> None:
    records = list(recorded()[:16])
    records[15] = deepcopy(records[15])
    records[15]["event"]["name"] = "BecomePresident"
    found = judge(records)
    assert found.verdict is INCONCLUSIVE
    assert found.why.startswith("line 16: unknown event 'BecomePresident'; lines 1 to 15 were judged")


# -- a changed line ---------------------------------------------------------------------------------
def set_to(*path: str, value: Any) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        for part in path[:-1]:
            record = record[part]
        record[path[-1]] = value

    return change


def first(event: str, start: int = 0, **message: Any) -> int:
    """The line number of the first such event after `start`."""
    for number, record in enumerate(recorded()[start:], start + 1):
        about = record["event"]
        if about["name"] == event and message.items() <= about.get("msg", {}).items():
            return number
    raise AssertionError(f"no {event}")


GRANT = first("SendPreVoteResponse", reject=False)
REJECT = first("SendPreVoteResponse", reject=True)
ASKS = first("SendPreVoteRequest")
PRE_CANDIDATE = first("BecomePreCandidate")
VOTE = first("SendRequestVoteResponse", reject=False)
LEADER = first("BecomeLeader")
REPLY = first("SendAppendEntriesResponse", type="MsgHeartbeatResp")
CHANGES = [
    (GRANT, set_to("event", "msg", "term", value=3), "a pre-vote for term 3 that nobody asked it for"),
    (GRANT, set_to("event", "msg", "to", value="3"), "that nobody asked it for"),
    (REJECT, set_to("event", "msg", "reject", value=False), "grant"),
    (ASKS, set_to("event", "msg", "term", value=1), "the term in MsgPreVote is 1"),
    (ASKS, set_to("event", "role", value="StateFollower"), "asking[n1] is false in the recording"),
    (PRE_CANDIDATE, set_to("event", "role", value="StateCandidate"), "role[n1] is candidate"),
    (PRE_CANDIDATE, set_to("event", "state", "term", value=2), "term[n1] is 2 in the recording"),
    (VOTE, set_to("event", "state", "vote", value="3"), "voted_for[n2] is n3 in the recording"),
    (LEADER, set_to("event", "nid", value="2"), "become_leader(n=n2"),
    (REPLY, set_to("event", "msg", "reject", value=True), "MsgHeartbeatResp rejects"),
    (REPLY, set_to("event", "msg", "term", value=9), "the term in MsgHeartbeatResp is 9"),
]


@pytest.mark.parametrize(
    ("line", "change", "text"), CHANGES, ids=lambda part: part if isinstance(part, str) else None
)
def test_a_changed_line_is_refused(line: int, change: Callable[[Record], None], text: str) -> None:
    records = list(recorded()[:line])
    records[-1] = deepcopy(records[-1])
    change(records[-1])
    found = judge(records)
    assert found.verdict is VIOLATED, found.summary()
    assert found.refusal
    assert found.refusal.line == line
    assert text in found.refusal.text


def test_a_pre_candidate_needs_the_pre_votes_of_a_quorum() -> None:
    candidate = first("BecomeCandidate")
    received = first("ReceivePreVoteResponse", reject=False)
    records = [r for number, r in enumerate(recorded()[:candidate], 1) if number != received]
    found = judge(records)
    assert found.refusal
    assert (found.refusal.line, found.refusal.guard and found.refusal.guard.name) == (
        candidate - 1,
        "quorum_pre_voted",
    )


def test_who_has_not_heard_a_leader_does_not_answer_it() -> None:
    heard = first("ReceiveAppendEntriesRequest", type="MsgApp")
    answer = first("SendAppendEntriesResponse", type="MsgAppResp")
    records = [r for number, r in enumerate(recorded()[:answer], 1) if number != heard]
    found = judge(records)
    assert found.refusal
    assert found.refusal.line == answer - 1
    assert "has not heard it lead term 2" in found.refusal.text


def test_nobody_stops_asking_without_a_reason() -> None:
    records = list(recorded()[:ASKS])
    stops = deepcopy(records[-1])
    stops["event"] |= {"name": "BecomeFollower", "role": "StateFollower"}
    found = judge([*records, stops])
    assert found.refusal
    assert found.refusal.text == "n1 stops asking, and some majority has not rejected it"


@pytest.mark.parametrize("model", ["grant_pre_vote/leader_is_silent", "start_election/quorum_pre_voted"])
def test_a_weaker_model_accepts_it_too(model: str) -> None:
    weaker = pre_vote.MODEL.without_guard(*model.split("/"))
    assert replay(FILE, model=weaker).verdict is HOLDS
