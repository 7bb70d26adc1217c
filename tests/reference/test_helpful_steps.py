"""What liveness asks of the handlers: a follower that lags is sent what it lacks, and each refusal brings the
leader nearer to where the logs are the same.

`progress/an_entry_is_committed` is proved of the models, where whole logs may reach a follower. Here, from
any short log of a leader and any of a follower that Log Matching allows, wherever the leader begins to try,
with its log whole or compacted, that comes about message by message. What falls with each refusal is the
distance between where the leader tries and what it knows to be stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations_with_replacement, product
from typing import Any

import pytest

from oneleader.conformance.reference.patch import patched
from oneleader_raft import raft
from oneleader_raft.configuration import initial
from oneleader_raft.core import RAFT, Core
from oneleader_raft.lease import Round
from oneleader_raft.raft import (
    AppendReply,
    Entry,
    HeartbeatTimeout,
    InstallSnapshot,
    Leadership,
    Node,
    Progress,
    Receive,
    Role,
    Send,
    Snapshot,
    Step,
)

MEMBERS = ("n1", "n2")
TERM = 4  # of the leader, who has appended an entry of its own
LOGS = [log for k in range(4) for log in combinations_with_replacement((1, 2, 3), k)]


def entries(terms: tuple[int, ...]) -> tuple[Entry, ...]:
    return tuple(Entry(term, f"command {i} of {term}") for i, term in enumerate(terms, 1))


def match(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Figure 3, Log Matching: what both have of a term was appended to one log, that of its leader."""
    begins = ((one.index(t), other.index(t)) for t in {*one} & {*other})
    return all(i == j and one[:i] == other[:i] for i, j in begins)


def pairs() -> Iterator[tuple[Node, Node]]:
    """A leader and a follower; the leader may try at any place, and have compacted what is committed."""
    for of_leader, of_follower in product(LOGS, LOGS):
        if not match(of_leader, of_follower):
            continue
        log = entries((*of_leader, TERM))
        for next_index, compacted in product(range(1, len(log) + 1), {0, len(of_leader)}):
            yield led(log, next_index, compacted), follower(entries(of_follower))


def led(log: tuple[Entry, ...], next_index: int, compacted: int) -> Node:
    leadership = Leadership(noop=len(log), progress={"n2": Progress(next_index)}, round=Round(1, 0))
    node = Node(
        "n1", initial(MEMBERS), current_term=TERM, voted_for="n1", log=log, role=Role.LEADER, leader_id="n1",
        votes=frozenset(MEMBERS), leadership=leadership, commit_index=compacted,
    )  # fmt: skip
    if not compacted:
        return node
    snapshot = Snapshot(compacted, log[compacted - 1].term, node.history[0])
    return replace(node, snapshot=snapshot, log=log[compacted:])


def follower(log: tuple[Entry, ...]) -> Node:
    return Node("n2", initial(MEMBERS), current_term=TERM, voted_for="n1", log=log)


def catches_up(leader: Node, other: Node, core: Core) -> bool:
    """Message by message, after one heartbeat: each refusal is answered at once, nearer to what is stored."""
    taken = core.step(leader, HeartbeatTimeout(), 1)
    while True:
        leader, (message, *_) = taken.node, [*messages(taken), None]
        if message is None:
            return (other.last_index, other.last_term) == (leader.last_index, leader.last_term)
        received = core.step(other, Receive(message), 1)
        other, (reply, *_) = received.node, [*messages(received), None]
        before = distance(leader)
        taken = core.step(leader, Receive(reply), 1)
        is_refused = isinstance(reply, AppendReply) and not reply.success
        if is_refused and not (distance(taken.node) < before and messages(taken)):
            return False  # it tries again where it has tried, or not at all
        if isinstance(message, InstallSnapshot) and reply is not None:
            taken = core.step(taken.node, HeartbeatTimeout(), 1)  # what follows the snapshot


def messages(taken: Step) -> list[Any]:
    return [effect.message for effect in taken.effects if isinstance(effect, Send)]


def distance(leader: Node) -> int:
    progress = leader.leadership.progress["n2"]
    return progress.next_index - progress.match_index


def test_a_follower_that_lags_is_sent_what_it_lacks() -> None:
    found = [*pairs()]
    assert len(found) > 500
    assert all(catches_up(leader, other, RAFT) for leader, other in found)


def tries_there_again(leader: Node, m: AppendReply) -> int:
    return leader.leadership.progress[m.follower_id].next_index


def says_one_too_far(node: Node, m: raft.AppendEntries) -> AppendReply:
    return AppendReply(m.term, node.id, False, m.round, m.prev_log_index + 1)


def sends_nothing(leader: Node, to: str) -> Send:
    sent = correct(leader, to)
    is_of_log = isinstance(sent.message, raft.AppendEntries)
    return replace(sent, message=replace(sent.message, entries=())) if is_of_log else sent  # type: ignore[arg-type]


def waits(node: Node, m: AppendReply) -> Step:
    taken = answered(node, m)
    return taken if m.success else replace(taken, effects=())


correct, answered = raft.append_entries_to, raft.on_append_reply
FAULTY: dict[str, tuple[str, Callable[..., Any]]] = {
    "it tries where it has tried": ("back_off", tries_there_again),
    "a refusal names what was refused": ("conflict", says_one_too_far),
    "heartbeats alone": ("append_entries_to", sends_nothing),
    "a refusal is not answered": ("on_append_reply", waits),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_without_a_helpful_step_a_follower_lags_for_ever(fault: str) -> None:
    name, function = FAULTY[fault]
    function.__name__ = name
    core = patched(function)
    assert not all(catches_up(leader, other, core) for leader, other in pairs())
