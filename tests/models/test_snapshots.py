"""Snapshots: what `membership` says of logs holds of logs whose beginning is gone."""

from __future__ import annotations

import pytest

from oneleader.errors import MissingTool
from oneleader.language.configuration import configure
from oneleader.models import membership, snapshots
from oneleader.models.snapshots import MODEL
from oneleader.readers.explore.explore import explore
from oneleader.readers.prove.hints import load_hints
from oneleader.readers.prove.prove import prove
from oneleader.verdict import HOLDS, VIOLATED

OWN = {"an_entry_is_as_created", "a_leaders_entry_is_as_created", "log_matching", "state_machine_safety"}
NEW = {"snapshot_is_committed", "leader_snapshot_is_in_the_log"}


def test_everything_holds_and_happens() -> None:
    """All properties with all history, each put to the test."""
    at = configure(MODEL, {"Node": 2, "Term": 2, "Index": 2, "Value": 1}, "n2, n1 n2")
    ghosts = frozenset(f.name for f in MODEL.fields.values() if f.kind == "ghost")
    try:
        found = explore(MODEL, at, ghosts=ghosts, engine="native")
    except MissingTool as missing:
        pytest.skip(str(missing))
    assert (found.verdict, found.states, found.depth) == (HOLDS, 331_343, 27)
    assert found.properties == list(MODEL.properties)
    assert (found.never_fired, found.untested) == ([], [])
    new = {name: found.witnesses[name] for name in MODEL.witnesses.keys() - membership.MODEL.witnesses.keys()}
    assert new == {
        "a_snapshot_brought_a_configuration": 11,
        "entries_follow_a_snapshot": 7,
        "a_leader_has_discarded_entries": 8,
    }


def test_everything_is_proved_for_any_size() -> None:
    """A minute on a busy machine: 1,123 obligations."""
    proof = prove(MODEL)
    assert (proof.verdict, len(proof.rows)) == (HOLDS, 1123)
    assert {row.hint for row in proof.rows} == {"used"}
    assert load_hints(MODEL).keys() >= {row.key for row in proof.rows}


def test_the_lemmas_are_those_of_membership() -> None:
    """Read of the whole log: only what speaks of the kept part is said anew."""
    own = {name for name, p in MODEL.properties.items() if p.file == snapshots.__file__}
    assert own == OWN | NEW
    assert MODEL.properties.keys() == membership.MODEL.properties.keys() | NEW


@pytest.mark.parametrize(
    ("action", "guard", "goal"),
    [
        ("compact", "entry_is_committed", "snapshot_is_committed"),
        ("install_snapshot", "snapshot_was_sent", "claim 1"),
        ("keep_after_snapshot", "has_its_entry", "claim 2"),
        ("append_entries", "prefix_matches", "claim 1"),
        ("append_entries", "nothing_conflicts", "claim 2"),
    ],
)
def test_each_rule_is_needed(action: str, guard: str, goal: str) -> None:
    """Without it the proof fails, with a counterexample that the plain interpreter confirms."""
    (row,) = prove(MODEL.without_guard(action, guard), only=[f"{action}/{goal}"], rlimit=50_000).rows
    assert row.verdict is VIOLATED
    assert row.counterexample
