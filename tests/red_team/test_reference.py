"""Attacks on what judges the reference: each said ok for something false, or let it pass, before.

Rows are those of the red team's table; the last ones are its "tests that would not notice".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from oneleader.conformance.handlers.handlers import prove_handler
from oneleader.conformance.handlers.servers import Scope
from oneleader.conformance.reference.patch import patched
from oneleader.faults.catalogue import variant
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from oneleader_raft import raft
from oneleader_raft.core import Core
from oneleader_raft.lease import Round
from oneleader_raft.messages import ImpossibleMessageError
from oneleader_raft.raft import AppendEntries, Entry, Node, Receive, Step
from oneleader_raft.testbench.cluster import Cluster


def read_for_free(nth: int) -> Core:
    """A leader answers the nth pending read without asking anybody."""
    correct = raft.answer_reads

    def answer_reads(node: Node, now: int) -> Step:
        taken = correct(node, now)
        waiting = taken.node.leadership.reads
        if len(waiting) < nth:
            return taken
        leadership = replace(taken.node.leadership, reads=waiting[:-1])
        effects = (*taken.effects, raft.ReadReady(waiting[-1].id))
        return replace(taken, node=replace(taken.node, leadership=leadership), effects=effects)

    return patched(answer_reads)


def test_row_10_a_proof_of_handlers_says_its_bounds() -> None:
    """A core that answers every second pending read for free was proved, and nothing said: of one read."""
    beyond = prove_handler("read", Scope(reads=0), read_for_free(2))
    assert beyond.verdict is HOLDS
    assert "up to 0 pending read" in str(beyond.scope)
    assert prove_handler("read", Scope(reads=1), read_for_free(2)).verdict is VIOLATED


def test_a_handler_of_which_nothing_is_asked_is_not_proved() -> None:
    """Without an entry nobody acts as a leader: a core that ignores the drift of clocks was proved."""
    core = variant("lease-as-long-as-the-promise")
    found = prove_handler("is_leader", Scope(log=0), core)
    assert (found.verdict, found.goals) == (INCONCLUSIVE, 0)
    assert prove_handler("is_leader", Scope(log=1), core).verdict is VIOLATED


@pytest.mark.parametrize(
    "wrong",
    [
        {"prev_log_index": 0},
        {"prev_log_index": 0, "entries": ()},
        {"prev_log_term": 0},
        {"entries": (Entry(6, "x"),)},
        {"entries": (Entry(5, "x"), Entry(4, "x"))},
        {"leader_commit": 9},
        {"leader_id": "n1"},
    ],
    ids=str,
)
def test_impossible_messages_never_reach_the_core(wrong: dict[str, Any]) -> None:
    """AppendEntries with prev index 0 and prev term 5 ended in StopIteration."""
    message = AppendEntries(5, "n2", 1, 5, (Entry(5, "x"),), 0, Round(1, 1))
    cluster = Cluster(["n1", "n2", "n3"])
    with pytest.raises(ImpossibleMessageError):
        cluster.handle("n1", Receive(replace(message, **wrong)))
