"""The coupling is an invariant: true at first, kept by the steps of others; and that this can fail."""

from __future__ import annotations

import pytest

from oneleader.conformance.handlers.stable import (
    CHANGES,
    COUPLINGS,
    FIRST,
    MEMBERS_CHANGE,
    actions,
    everything,
    prove_stable,
)
from oneleader.models import MODELS
from oneleader.verdict import HOLDS, INCONCLUSIVE

SOME = [
    *((coupling, FIRST) for coupling in COUPLINGS),
    ("election", "become_leader"),
    ("pre_vote", "update_term"),
    ("replication", "become_leader"),
    ("snapshots", "install_snapshot"),
    ("lease", "elapse"),
    ("lease", "acknowledge"),
    (MEMBERS_CHANGE, "compact"),
    (MEMBERS_CHANGE, "change_config"),
]


@pytest.mark.parametrize(("coupling", "action"), SOME)
def test_the_coupling_is_kept(coupling: str, action: str) -> None:
    """`make handlers` proves it of every action."""
    found = prove_stable(coupling, action)
    assert (found.verdict, found.failing) == (HOLDS, "")
    assert found.goals >= 10


def test_every_action_of_every_model_is_among_them() -> None:
    assert {*everything()} == {
        (coupling, action)
        for coupling, (model, size) in COUPLINGS.items()
        for action in (FIRST, *MODELS[model].actions)
        if action not in CHANGES or size.changes
    }
    assert {*actions("lease")} >= {FIRST, "elapse", "become_leader"}


@pytest.mark.parametrize(
    ("coupling", "action", "fact"),
    [
        ("election", "restart", "its term is known"),
        ("replication", "replace_entries", "followers store what they said"),
        ("replication", "client_request", "AppendEntries: its log is as long"),
        ("snapshots", "append_entries", "nobody has changed the members"),
        (MEMBERS_CHANGE, "give_up", "AppendEntries: its configurations"),
        (MEMBERS_CHANGE, "compact", "InstallSnapshot: its configuration"),
        ("lease", "acknowledge", "followers acknowledged"),
        ("lease", "elapse", "its clock"),
    ],
)
def test_what_nobody_keeps_is_not_proved(coupling: str, action: str, fact: str) -> None:
    """Without the fact before the step there is none after it: each of these proofs uses it."""
    found = prove_stable(coupling, action, not_assumed=fact)
    assert found.verdict is INCONCLUSIVE
    assert fact in found.failing
