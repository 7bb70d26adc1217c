"""The coupling is an invariant: true at first, kept by the steps of others; and that this can fail."""

from __future__ import annotations

import pytest

from oneleader.conformance.handlers.stable import (
    CHANGES,
    FIRST,
    MODELS_OF_CHANGES,
    MODELS_OF_CORE,
    actions,
    everything,
    prove_stable,
)
from oneleader.models import MODELS
from oneleader.verdict import HOLDS, INCONCLUSIVE

SOME = [
    *((model, FIRST) for model in MODELS_OF_CORE),
    ("election", "become_leader"),
    ("pre_vote", "update_term"),
    ("replication", "become_leader"),
    ("snapshots", "install_snapshot"),
    ("lease", "elapse"),
    ("lease", "acknowledge"),
    ("membership", FIRST),
    ("membership", "restart"),
]


@pytest.mark.parametrize(("model", "action"), SOME)
def test_the_coupling_is_kept(model: str, action: str) -> None:
    """`make handlers` proves it of every action."""
    found = prove_stable(model, action)
    assert (found.verdict, found.failing) == (HOLDS, "")
    assert found.goals >= 10


def test_every_action_of_every_model_is_among_them() -> None:
    assert {*everything()} == {
        (model, action)
        for model in (*MODELS_OF_CORE, *MODELS_OF_CHANGES)
        for action in (FIRST, *MODELS[model].actions)
        if action not in CHANGES or model in MODELS_OF_CHANGES
    }
    assert {*actions("lease")} >= {FIRST, "elapse", "become_leader"}


@pytest.mark.parametrize(
    ("model", "action", "fact"),
    [
        ("election", "restart", "its term is known"),
        ("replication", "replace_entries", "followers store what they said"),
        ("replication", "client_request", "AppendEntries: its log is as long"),
        ("snapshots", "append_entries", "nobody has changed the members"),
        ("membership", "give_up", "AppendEntries: its configurations"),
        ("lease", "acknowledge", "followers acknowledged"),
        ("lease", "elapse", "its clock"),
    ],
)
def test_what_nobody_keeps_is_not_proved(model: str, action: str, fact: str) -> None:
    """Without the fact before the step there is none after it: each of these proofs uses it."""
    found = prove_stable(model, action, not_assumed=fact)
    assert found.verdict is INCONCLUSIVE
    assert fact in found.failing
