"""Each sequence of actions that a handler reports is taken from some state, or named as taken from none."""

from __future__ import annotations

import os

import pytest

from oneleader.conformance.handlers.alive import Actions, alive
from oneleader.conformance.handlers.running import ANY, ANY_ALONE, HANDLERS, Size
from oneleader.verdict import HOLDS, VIOLATED

DEEP = os.environ.get("ONELEADER_PROFILE") == "deep"
QUICK = ("VoteReply", "compact")


def is_unreachable(taken: Actions, size: Size) -> bool:
    """Who wins has to hear of another server before it commits. Who is alone commits what it appends in the
    same step, and has nobody to hear from or to hand over to."""
    commits = "advance_commit" in taken
    if not size.alone:
        return "become_leader" in taken and commits
    needs_others = {"give_up", "transfer_leadership", "receive_reply"}.intersection(taken)
    return bool(needs_others) or ("client_request" in taken and not commits)


@pytest.mark.parametrize("handler", HANDLERS if DEEP else QUICK)
@pytest.mark.parametrize("size", [ANY, ANY_ALONE] if DEEP else [ANY])
def test_each_sequence_of_actions_is_alive(handler: str, size: Size) -> None:
    found = alive(handler, size)
    dead = {taken for taken, verdict in found.items() if verdict is VIOLATED}
    assert dead == {taken for taken in found if is_unreachable(taken, size)}
    assert {taken for taken, verdict in found.items() if verdict is not HOLDS} == dead
    assert {*found} - dead
