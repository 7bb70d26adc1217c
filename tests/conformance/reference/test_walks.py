"""Walks: the reference holds, and faults that drawn scenarios once missed are found soon."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneleader.campaigns import hunt
from oneleader.conformance.reference.scenario import Scenario
from oneleader.conformance.reference.walks import Walk, walks_until_broken
from oneleader.faults.catalogue import variant
from oneleader_raft.core import RAFT
from workshop.studies.hunt_rates import ONCE_MISSED

MOST = 60  # walks, from seed 0; `make hunt-rates` measures how many it takes


def test_the_reference_holds() -> None:
    number, broken = walks_until_broken(RAFT, 0, 60)
    assert (number, broken) == (60, None)


@pytest.mark.parametrize("fault", ONCE_MISSED)
def test_what_was_once_missed_is_found(fault: str) -> None:
    number, broken = walks_until_broken(ONCE_MISSED[fault], 0, MOST)
    assert broken, f"none of {number} walks"


def test_the_reference_holds_where_members_change() -> None:
    number, broken = walks_until_broken(RAFT, 0, 16, changing=True)
    assert (number, broken) == (16, None)


def test_walks_change_members_and_compact_logs() -> None:
    """Within some walks: that a leader retires is the rarest."""
    missing, seed = {"change_config", "retire", "compact", "install_snapshot"}, 0
    while missing and seed < MOST:
        trace = Walk(seed, joining=2).scenario.cluster.trace or ()
        missing -= {action.name for entry in trace for action in entry.actions}
        seed += 1
    assert not missing, f"in none of {seed} walks"


LEASES = ("lease-as-long-as-the-promise", "lease-taken-again", "transfer-keeps-the-lease")


@pytest.mark.parametrize("fault", LEASES)
def test_a_lease_that_is_too_long_or_not_given_up_is_found(fault: str) -> None:
    number, broken = walks_until_broken(variant(fault), 0, MOST)
    assert broken, f"none of {number} walks"


def test_a_walk_is_a_program_that_does_the_same_again() -> None:
    walk, again = Walk(3), Scenario(3)
    exec("\n".join(walk.scenario.program), {"s": again})
    assert again.cluster.nodes == walk.scenario.cluster.nodes
    assert Walk(3).scenario.program == walk.scenario.program != Walk(4).scenario.program


EVERYTHING = {
    *("become_leader", "advance_commit", "replace_entries", "step_down", "give_up", "restart"),
    *("transfer_leadership", "start_forced_election", "learn_term", "tell_term"),
}


def test_walks_do_everything() -> None:
    """Within a few batches, most of it in the first."""
    seen = hunt.HuntSeen()
    for batch in range(6):
        if not seen.actions.keys() >= EVERYTHING:
            hunt.walk_some(seen, RAFT, batch, Path())
    assert EVERYTHING - seen.actions.keys() == set()


def test_what_a_hunt_finds_by_walking_is_short(tmp_path: Path) -> None:
    seen = hunt.HuntSeen()
    hunt.walk_some(seen, ONCE_MISSED["log comparison"], 0, tmp_path)
    ((cause, program),) = seen.broken.items()
    assert cause.startswith("replication: grant_vote")
    assert len(program.splitlines()) <= 16
    assert {path.suffix for path in tmp_path.iterdir()} == {".py", ".svg", ".html"}
