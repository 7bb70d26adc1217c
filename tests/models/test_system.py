"""The composition: what holds under each setting of the four switches, and what each guard is for."""

from __future__ import annotations

import re
from functools import cache

import pytest

from oneleader.errors import UsageError
from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model
from oneleader.language.trace import trace_action
from oneleader.models import election
from oneleader.models.system import MODEL
from oneleader.readers.explore.explore import explore_all
from oneleader.readers.explore.settings import Setting, settings
from oneleader.readers.tlc.twin import compare
from oneleader.verdict import HOLDS
from tests.places import RESULTS

PAGE = RESULTS / "trade-offs.md"
SWITCHES = ("quorum", "terms", "lease", "fencing")


def at(nodes: int = 3, terms: int = 2, off: tuple[str, ...] = (), eras: int = 3) -> Configuration:
    chosen = configure(MODEL, {"Node": nodes, "Term": terms, "Era": eras})
    return chosen.where(MODEL.fields["off"], off)


@cache
def table(terms: int = 2, eras: int = 3) -> tuple[Setting, ...]:
    return tuple(settings(MODEL, at(terms=terms, eras=eras)))


# -- What holds -----------------------------------------------------------------------------------
# Steps of the shortest run that breaks each property, and that reaches each witness; None: it holds.
# fmt: off
EXPECTED = {
    (): (None, None, None, None, 2, 7),
    ("fencing",): (None, None, 10, None, 2, 7),
    ("lease",): (None, 2, None, None, 2, 4),
    ("lease", "fencing"): (None, 2, 6, None, 2, 4),
    ("terms",): (2, 4, 8, 9, 2, 5),
    ("terms", "fencing"): (2, 4, 8, None, 2, 5),
    ("terms", "lease"): (2, 2, 6, 7, 2, 4),
    ("terms", "lease", "fencing"): (2, 2, 6, None, 2, 4),
    ("quorum",): (2, 4, 8, 9, 2, 5),
    ("quorum", "fencing"): (2, 4, 8, None, 2, 5),
    ("quorum", "lease"): (2, 2, 6, 7, 2, 4),
    ("quorum", "lease", "fencing"): (2, 2, 6, None, 2, 4),
    ("quorum", "terms"): (2, 4, 8, 9, 2, 5),
    ("quorum", "terms", "fencing"): (2, 4, 8, None, 2, 5),
    ("quorum", "terms", "lease"): (2, 2, 6, 7, 2, 4),
    ("quorum", "terms", "lease", "fencing"): (2, 2, 6, None, 2, 4),
}
# fmt: on
NAMES = (*MODEL.properties, *MODEL.witnesses)


def test_all_sixteen_settings() -> None:
    assert {row.off: tuple(map(row.steps, NAMES)) for row in table()} == EXPECTED


def test_greater_bounds_break_nothing_more_and_nothing_sooner() -> None:
    assert {row.off: tuple(map(row.steps, NAMES)) for row in table(3, 4)} == EXPECTED


def test_the_page_has_this_table() -> None:
    rows = re.findall(r"^\| ((?:(?:on|off) \| ){4}.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert [row.split(" | ") for row in rows] == [shown(row) for row in table()]


def shown(row: Setting) -> list[str]:
    """A row as the page writes it."""
    steps = [row.steps(name) for name in NAMES if name != "two_leaders"]
    return ["off" if name in row.off else "on" for name in SWITCHES] + [
        "holds" if n is None else str(n) for n in steps
    ]


@pytest.mark.parametrize(("nodes", "states"), [(3, 2087), (4, 3235), (5, 15211)])
def test_with_every_cure_everything_holds_and_every_action_fires(nodes: int, states: int) -> None:
    found = list(explore_all(MODEL, at(nodes), engine="native"))
    assert {result.verdict for result in found} == {HOLDS}
    assert max(result.states for result in found) == states
    assert None not in {depth for result in found for depth in result.witnesses.values()}
    assert not [name for result in found if result.properties for name in result.never_fired]


# -- What each guard is for ------------------------------------------------------------------------
GUARDS: dict[str, list[str]] = {
    "elect/is_no_leader": [],
    "elect/term_is_newer": [
        "one_leader_per_term",
        "one_acting_leader",
        "no_stale_write",
        "newest_is_accepted",
    ],
    "elect/promise_is_over": ["one_acting_leader"],
    "step_down/terms_are_carried": [],
    "step_down/term_is_newer": [
        "one_leader_per_term",
        "one_acting_leader",
        "no_stale_write",
        "newest_is_accepted",
    ],
    "take_lease/leases_are_used": [],
    "take_lease/is_a_leader": [],
    "take_lease/term_is_current": ["one_leader_per_term", "one_acting_leader", "no_stale_write"],
    "take_lease/nobody_else_leads": ["one_leader_per_term", "one_acting_leader", "no_stale_write"],
    "end_lease/lease_is_held": [],
    "end_promise/has_promised": [],
    "end_promise/lease_is_over": ["one_acting_leader"],
    "decide_write/leader_may_act": ["no_stale_write"],
    "write/write_is_pending": ["no_stale_write"],
    "write/storage_accepts": ["no_stale_write"],
}


def test_each_guard_is_accounted_for() -> None:
    guards = {
        f"{act.name}/{guard.name}"
        for act in MODEL.actions.values()
        for guard, _ in trace_action(MODEL, act).guards
    }
    assert guards == GUARDS.keys()


@pytest.mark.parametrize("guard", GUARDS)
def test_without_the_guard(guard: str) -> None:
    """Which properties are broken without it; where none is, only the twin and the settings tell."""
    mutant = MODEL.without_guard(*guard.split("/", 1))
    broken = [name for name in MODEL.properties if is_broken(mutant, name)]
    assert broken == GUARDS[guard]


def is_broken(model: Model, name: str) -> bool:
    (found,) = explore_all(model, at(), only=[name])
    return found.violation is not None


# -- Settings as a reader ---------------------------------------------------------------------------
def test_a_model_without_switches_has_no_settings() -> None:
    with pytest.raises(UsageError, match="election has no switches"):
        next(settings(election.MODEL, configure(election.MODEL, {"Node": 3, "Term": 1})))


def test_a_switch_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="'clock' is no value of Switch"):
        at(off=("clock",))


def test_where_says_what_is_off_and_takes_a_value_for_each_index() -> None:
    assert at(off=("lease", "terms")).describe().endswith("off terms lease")
    with pytest.raises(UsageError, match="takes 2 values"):
        at().where(MODEL.fields["member"], ["n1"])


# -- The twin ---------------------------------------------------------------------------------------
@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("nodes", "terms", "off", "states", "edges"),
    [
        (3, 2, (), 6576, 50457),
        (2, 3, (), 612, 2854),
        (3, 1, ("terms",), 9045, 78192),
        (3, 1, ("quorum",), 4393, 62228),
        (3, 1, ("lease",), 45, 174),
        (3, 1, ("fencing",), 182, 1169),
        (3, 1, ("terms", "lease"), 219, 1296),
    ],
)
def test_the_twin_has_the_same_graph(
    nodes: int, terms: int, off: tuple[str, ...], states: int, edges: int
) -> None:
    found = compare(MODEL, at(nodes, terms, off))
    assert (found.verdict, found.states, found.edges) == (HOLDS, states, edges), found.difference
