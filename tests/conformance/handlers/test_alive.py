"""Each sequence of actions that a handler reports is taken from some state, or named as taken from none."""

from __future__ import annotations

import os

import pytest

from oneleader.conformance.handlers.alive import alive
from oneleader.conformance.handlers.running import ANY, ANY_ALONE, HANDLERS, Size
from oneleader.verdict import HOLDS, VIOLATED

DEEP = os.environ.get("ONELEADER_PROFILE") == "deep"
QUICK = ("VoteReply", "compact")
WINS_AND_COMMITS = ("receive_vote", "become_leader", "client_request", "send_heartbeat", "advance_commit")

# What no state leads to. Of two servers and more, who wins has to hear of another before it commits.
UNREACHABLE = {("VoteReply", ANY): {WINS_AND_COMMITS}}


@pytest.mark.parametrize("handler", HANDLERS if DEEP else QUICK)
@pytest.mark.parametrize("size", [ANY, ANY_ALONE] if DEEP else [ANY])
def test_each_sequence_of_actions_is_alive(handler: str, size: Size) -> None:
    found = alive(handler, size)
    dead = {taken for taken, verdict in found.items() if verdict is VIOLATED}
    assert dead == UNREACHABLE.get((handler, size), set())
    assert {taken for taken, verdict in found.items() if verdict is not HOLDS} == dead
    assert {*found} - dead
