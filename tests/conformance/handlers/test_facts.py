"""A fact of the coupling that is left out is missed by a proof, or by none; `make coupling` tries all."""

from __future__ import annotations

import pytest

from oneleader.conformance.handlers.facts import SMALL, everything, facts_of, needed
from oneleader.conformance.handlers.stable import COUPLINGS, KINDS


@pytest.mark.parametrize(
    ("model", "proof", "fact", "goal"),
    [
        ("replication", "heartbeat timeout", "its log is the leader's", "AppendEntries: its log is as long"),
        ("lease", "heartbeat timeout", "rounds to come are new", "send_heartbeat: round_is_new"),
        ("election", "VoteReply", "VoteReply: the vote was granted", "receive_vote: vote_was_granted"),
    ],
)
def test_a_fact_that_is_left_out_is_missed(model: str, proof: str, fact: str, goal: str) -> None:
    assert [*needed(model, proof, SMALL, [fact])] == [(fact, goal)]


def test_a_fact_that_a_handler_does_not_use_is_not_missed_there() -> None:
    """It keeps itself, which does not count: left out, it is not to be proved either."""
    assert [*needed("election", "restart", SMALL, ["its term is known"])] == []


def test_every_fact_of_every_kind_is_among_them() -> None:
    for model in COUPLINGS:
        facts = facts_of(model)
        assert {"state: term", "its term is known"} <= {*facts}
        spoken_of = {kind for kind in KINDS if any(fact.startswith(f"{kind}: ") for fact in facts)}
        silent = {"TimeoutNow" if model == "pre_vote" else "RequestPreVote"}
        assert spoken_of == {*KINDS} - silent - ({"InstallSnapshot"} if model == "replication" else set())
        assert len({*everything(model)}) > 30
