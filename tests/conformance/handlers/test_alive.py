"""Each sequence of actions that a handler reports is taken from some state, or named as taken from none.

While the members stay, Z3 finds a state. What only members that change lead to is seen in simulated runs, as
of sets of any size Z3 finds no state.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from oneleader.conformance.handlers.alive import Actions, actions_of, alive
from oneleader.conformance.handlers.handlers import runs
from oneleader.conformance.handlers.running import (
    ANY,
    ANY_ALONE,
    CHANGING,
    HANDLERS,
    IS_LEADER,
    ON_EVENT,
    PARTS,
    RESTART,
    WITH_CHANGES,
    Size,
)
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from oneleader_raft import raft
from oneleader_raft.raft import Node, Receive, Send, Step
from oneleader_raft.testbench.simulator import CHANGING as CHANGING_RUNS
from oneleader_raft.testbench.simulator import Simulation

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
    """Z3 begins elsewhere after other proofs: what it cannot tell is asked again."""
    for _ in range(3):
        found = alive(handler, size)
        if INCONCLUSIVE not in found.values():
            break
    dead = {taken for taken, verdict in found.items() if verdict is VIOLATED}
    assert dead == {taken for taken in found if is_unreachable(taken, size)}
    assert {taken for taken, verdict in found.items() if verdict is not HOLDS} == dead
    assert {*found} - dead


# --- Where the members change ------------------------------------------------------------------------------

SEEDS = 60
EVENTS = {
    "ElectionTimeout": "election timeout",
    "HeartbeatTimeout": "heartbeat timeout",
    "ChangeMembers": "change members",
}
STANDS_ALONE = (
    "start_pre_vote",
    "start_election",
    "become_leader",
    "client_request",
    "send_heartbeat",
)
UNREACHABLE = {
    # Who is alone gives nothing up: it is a quorum, and never waits for votes.
    "election timeout": {
        ("give_up", *STANDS_ALONE),
        ("give_up", *STANDS_ALONE, "advance_commit"),
    },
    # A leader that removes itself does not count itself, and nobody else has the entry yet.
    "advance_change": {("change_config", "send_heartbeat", "advance_commit", "retire")},
}


@pytest.fixture(scope="module")
def taken() -> Mapping[str, set[Actions]]:
    """The sequences that each part of the core's steps took in simulated runs, by the handler's name."""
    found: dict[str, set[Actions]] = defaultdict(set)

    def watched(part: str, run: Callable[..., Step]) -> Callable[..., Step]:
        def noted(node: Node, *rest: object) -> Step:
            step = run(node, *rest)
            sent = (e.action for e in step.effects if isinstance(e, Send) and e.action)
            found[handler_of(part, rest[0])].add(tuple(a.name for a in (*step.actions, *sent)))
            return step

        return noted

    with pytest.MonkeyPatch.context() as patch:
        for part in PARTS:
            patch.setattr(raft, part, watched(part, vars(raft)[part]))
        for seed in range(SEEDS):
            settings = replace(CHANGING_RUNS, change=0.5)
            Simulation([f"n{i + 1}" for i in range(1 + seed % 4)], seed, settings).run(6000)
    return found


def handler_of(part: str, event: object) -> str:
    if part != ON_EVENT:
        return part
    name = type(event.message if isinstance(event, Receive) else event).__name__
    return EVENTS.get(name, name if isinstance(event, Receive) else name.lower())


def sequences(handler: str, *sizes: Size) -> set[Actions]:
    return {actions_of(ran) for size in sizes for _, ran, _ in runs(handler, size) if ran.step}


@pytest.mark.parametrize("handler", WITH_CHANGES)
def test_each_sequence_is_alive_where_the_members_change(
    handler: str, taken: Mapping[str, set[Actions]]
) -> None:
    """And no run takes another one; each handler of a step is run."""
    assert taken[handler] or handler in (RESTART, IS_LEADER)
    found = sequences(handler, CHANGING)
    stay = sequences(handler, ANY, ANY_ALONE) if handler in HANDLERS else set()
    assert found - stay - taken[handler] == UNREACHABLE.get(handler, set())
    assert taken[handler] <= found
    assert all(is_unreachable(one, ANY) for one in stay - found)
