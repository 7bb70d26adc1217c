"""The write-up's own code as models: each defect has a shortest counterexample, each corrected form none."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from oneleader import models
from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model
from oneleader.language.sorts import reading
from oneleader.models.flawed import alerts
from oneleader.readers.explore.explore import explore_all
from oneleader.readers.explore.explored import Explored
from oneleader.readers.explore.settings import settings
from oneleader.readers.run import Run
from oneleader.verdict import HOLDS
from workshop.studies import write_up

ELECTION, REDIS, LEASE, ALERTS, CHANGES = (
    models.find(f"flawed/{name}")
    for name in ("election_in_a_loop", "redis_lock", "is_leader", "alerts", "alert_term_changes")
)


def one(model: Model, at: Configuration, name: str) -> Explored:
    (found,) = explore_all(model, at, only=[name])
    return found


def steps(model: Model, at: Configuration, *names: str) -> tuple[int | None, ...]:
    """Of the shortest counterexample to each property; None: it holds."""
    found = [one(model, at, name).violation for name in names]
    assert all(v is None or v.what in names for v in found)  # and no deadlock
    return tuple(len(v.steps) if v else None for v in found)


def story(model: Model, at: Configuration, name: str) -> list[str]:
    found = one(model, at, name)
    assert found.violation
    return found.violation.calls(found.run)


# -- The election -----------------------------------------------------------------------------------
def election(nodes: int, *kept: str, themselves: bool = False) -> Configuration:
    at = configure(ELECTION, {"Node": nodes, "Term": 2}).where(ELECTION.fields["kept"], kept)
    listed = at.elements["Node"] if themselves else ()
    return at.where(ELECTION.fields["lists_itself"], listed)


def test_what_the_loop_needs() -> None:
    """CHECKS, or LOCKS and ENDS: with three servers, whose `len(peers)/2 + 1` is a majority."""
    for row in settings(ELECTION, election(3)):
        is_enough = "checks" not in row.off or not {"locks", "ends"} & {*row.off}
        assert row.steps("election_safety") == (None if is_enough else 8), row.off
        assert (row.steps("a_leader_exists"), row.steps("a_newer_leader_is_elected")) == (4, 8)


def test_a_return_inside_a_loop_keeps_the_votes_of_the_old_term() -> None:
    told = story(ELECTION, election(3, "locks", "counts"), "election_safety")
    assert len(told) == 8
    learns = next(call for call in told if call.startswith("learn_newer_term"))
    counted = told[: told.index(learns)]
    assert any(call.startswith("get_vote") for call in counted)
    assert told[-1].startswith("lead") or told[-2].startswith("lead")


@pytest.mark.parametrize(("nodes", "themselves", "length"), [(2, False, 6), (2, True, 8), (3, True, 10)])
def test_half_is_no_majority_and_one_vote_is_one(nodes: int, themselves: bool, length: int) -> None:
    """An even cluster whose peers are the others; any whose peers are all."""
    sound = ("locks", "ends", "checks")
    assert steps(ELECTION, election(nodes, *sound, themselves=themselves), "election_safety") == (length,)
    sound = (*sound, "counts")
    assert steps(ELECTION, election(nodes, *sound, themselves=themselves), "election_safety") == (None,)


# -- The lock -----------------------------------------------------------------------------------------
THEOREMS = ("no_stale_write", "one_owner_per_token", "newest_is_never_refused")
LOCK = {
    (): (None, None, None),
    ("atomic",): (7, None, None),
    ("remembers",): (6, 3, None),
    ("remembers", "atomic"): (7, 3, None),
    ("numbers",): (6, None, 4),
    ("numbers", "atomic"): (7, None, 4),
    ("numbers", "remembers"): (6, 3, 4),
    ("numbers", "remembers", "atomic"): (7, 3, 4),
}


def test_what_the_lock_needs() -> None:
    found = {row.off: row for row in settings(REDIS, configure(REDIS, {"Client": 2, "Token": 10}))}
    assert {off: tuple(map(row.steps, THEOREMS)) for off, row in found.items()} == LOCK
    assert {row.steps("two_write_in_turn") for row in found.values()} == {4, 5}  # with a check: one more


# -- The lease ----------------------------------------------------------------------------------------
def lease(*kept: str, **sizes: int) -> Configuration:
    sizes = {"Node": 2, "Term": 2, "lease": 1, "promise": 1, "slow": 1, "fast": 1} | sizes
    return configure(LEASE, sizes, "n2, n1 n2").where(LEASE.fields["kept"], kept)


@pytest.mark.parametrize(
    ("kept", "length"), [((), 10), (("sent",), 10), (("promises",), 12), (("sent", "promises"), None)]
)
def test_a_lease_counts_from_sending_and_rests_on_promises(kept: tuple[str, ...], length: int | None) -> None:
    names = ("no_newer_leader", "leases_are_disjoint")
    assert steps(LEASE, lease(*kept), *names) == (length, length)
    if length is None:
        assert one(LEASE, lease(*kept), "a_lease_is_held").witnesses == {"a_lease_is_held": 2}


def test_greater_is_one_tick_more_than_greater_or_equal() -> None:
    """`Since(...) > timeout` still says leader at the very end: a lease that is one tick longer."""
    sound, exact = ("sent", "promises"), {"lease": 1, "promise": 1}
    longer = {**exact, "lease": 2}
    assert steps(LEASE, lease(*sound, **exact), "no_newer_leader") == (None,)
    unchecked = LEASE.without_axiom("lease_is_short_enough")
    assert steps(unchecked, lease(*sound, **longer), "no_newer_leader") != (None,)


# -- The alerts ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("nodes", "without_quorum"), [(3, 2), (5, 3)])
def test_two_alerts_fire_while_nothing_is_wrong(nodes: int, without_quorum: int) -> None:
    at = configure(ALERTS, {"Node": nodes, "Term": 2})
    assert steps(ALERTS, at, "multiple_leaders_is_true", "leader_without_quorum_is_true") == (
        *(4, without_quorum),
    )


def test_the_corrected_alerts_tell_the_truth() -> None:
    at = configure(ALERTS, {"Node": 3, "Term": 2})
    sound = ("two_leaders_of_one_term_is_true", "leader_without_majority_is_true")
    assert steps(ALERTS, at, *sound, "leader_without_majority_is_complete") == (None, None, None)
    assert one(ALERTS, at, "a_leader_is_cut_off").witnesses == {"a_leader_is_cut_off": 2}
    assert one(ALERTS, at, "two_are_seen_to_lead").witnesses == {"two_are_seen_to_lead": 4}


@pytest.mark.parametrize(("late", "told"), [(False, True), (True, True)])
def test_two_leaders_of_one_term_are_told_even_one_after_the_other(late: bool, told: bool) -> None:
    """With quorums that do not meet. The first is scraped before or after it has stepped down."""
    at = configure(ALERTS, {"Node": 3, "Term": 1}, "n1, n2 n3")
    run = Run(ALERTS, at)
    calls = [("elect", (0, 0)), ("scrape", (0,)), ("elect", (1, 1)), ("scrape", (1,))]
    state = run.initial
    for name, args in [*calls[:1], *calls[2:], calls[1]] if late else calls:
        state = run.step(state, ALERTS.actions[name], args)
    run.holds(ALERTS.properties["two_leaders_of_one_term_is_true"], state, ())  # so that it is read
    with reading(run):
        assert alerts.two_leaders_of_one_term(run._state) is told


def test_term_changes_by_a_rate_of_a_gauge() -> None:
    five, fifteen = (configure(CHANGES, {"Value": 31 + n, "Election": n}) for n in (5, 15))
    assert steps(CHANGES, five, "high_term_changes_is_true") == (4,)
    assert steps(CHANGES, fifteen, "high_term_changes_is_complete") == (16,)
    (sound,) = explore_all(CHANGES, five, only=["many_elections_is_true", "many_elections_is_complete"])
    assert sound.verdict is HOLDS
    assert one(CHANGES, five, "a_restart_loses_elections").witnesses == {"a_restart_loses_elections": 6}


# -- The page ----------------------------------------------------------------------------------------
def test_a_defect_that_is_none_and_a_correction_that_does_not_hold_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = write_up.DEFECTS[0]
    for changed, said in (
        (replace(loop, written=loop.corrected), "nothing is broken"),
        (replace(loop, corrected=loop.written), "the correction does not hold"),
    ):
        monkeypatch.setattr(write_up, "DEFECTS", (changed,))
        with pytest.raises(AssertionError, match=said):
            [*write_up.shown()]


# -- All of them --------------------------------------------------------------------------------------
SOUND: list[tuple[Model, Configuration]] = [
    (ELECTION, election(3, "checks", "counts")),
    (REDIS, configure(REDIS, {"Client": 2, "Token": 10})),
    (ALERTS, configure(ALERTS, {"Node": 3, "Term": 2})),
]


@pytest.mark.parametrize(("model", "at"), SOUND, ids=lambda part: getattr(part, "name", ""))
def test_each_action_can_happen(model: Model, at: Configuration) -> None:
    """Under some setting of the switches."""
    constant = model.fields.get("kept")
    chosen = [at]
    if constant:
        names = [member.name.lower() for member in constant.index[0]]
        chosen = [
            at.where(constant, [n for n, is_on in zip(names, row, strict=True) if is_on])
            for row in product((False, True), repeat=len(names))
        ]
    fired = {
        name
        for c in chosen
        for found in explore_all(model, c, only=[next(iter(model.properties))])
        for name in found.fired
    }
    assert fired == model.actions.keys()
