"""The bully algorithm: right as far as its assumptions go, and not one step further."""

from __future__ import annotations

import re

import pytest

from oneleader import models
from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model
from oneleader.language.trace import trace_action
from oneleader.readers.explore.explore import explore_all
from oneleader.readers.explore.settings import settings
from oneleader.readers.tlc.twin import compare
from oneleader.verdict import HOLDS
from tests.places import RESULTS

MODEL = models.find("flawed/bully")
ALL = ("fail_stop", "network", "prompt")
PAGE = RESULTS / "trade-offs.md"


def at(greatest: int, *assumed: str) -> Configuration:
    return configure(MODEL, {"Node": greatest}).where(MODEL.fields["assumed"], assumed)


@pytest.mark.parametrize(("greatest", "states"), [(1, 22), (2, 139), (3, 979), (4, 7675)])
def test_it_is_right_where_all_is_as_assumed(greatest: int, states: int) -> None:
    (found,) = explore_all(MODEL, at(greatest, *ALL), engine="native")
    assert (found.verdict, found.states) == (HOLDS, states)
    assert set(found.never_fired) == {"pause", "resume", "partition"}  # what is assumed away
    assert found.properties == ["one_coordinator", "normal_nodes_agree"]


def test_without_any_assumption_every_action_fires() -> None:
    (found,) = explore_all(MODEL, at(1), only=["a_smaller_one_coordinates"], engine="native")
    assert found.never_fired == []


EXPECTED = {
    (): (None, None),
    ("prompt",): (7, 7),
    ("network",): (7, 7),
    ("network", "prompt"): (7, 7),
    ("fail_stop",): (8, 8),
    ("fail_stop", "prompt"): (7, 7),
    ("fail_stop", "network"): (7, 7),
    ("fail_stop", "network", "prompt"): (7, 7),
}


@pytest.mark.parametrize("greatest", [1, 2, 3])
def test_without_any_one_assumption_there_are_two(greatest: int) -> None:
    found = {row.off: row for row in settings(MODEL, configure(MODEL, {"Node": greatest}))}
    assert {off: tuple(map(row.steps, MODEL.properties)) for off, row in found.items()} == EXPECTED
    reached = {"somebody_follows": 6, "a_smaller_one_coordinates": 6 if greatest > 1 else None}
    for row in found.values():
        assert {name: row.steps(name) for name in MODEL.witnesses} == {**reached, "a_bully_returns": 5}


def test_the_page_has_this_table() -> None:
    rows = re.findall(
        r"^\| ((?:on|off) \| (?:on|off) \| (?:on|off) \| \w+) \|$", PAGE.read_text(), re.MULTILINE
    )
    assert rows == [
        " | ".join(["off" if name in off else "on" for name in ALL] + [str(steps or "holds")])
        for off, (steps, _) in EXPECTED.items()
        if len(off) <= 1
    ]


# What each guard is for, where all is as assumed: the properties broken without it.
GUARDS: dict[str, list[str]] = {
    "crash/is_up": [],
    "recover/is_down": ["normal_nodes_agree"],
    "pause/nodes_may_pause": ["one_coordinator", "normal_nodes_agree"],
    "pause/is_running": [],
    "resume/is_paused": [],
    "partition/network_may_fail": ["one_coordinator", "normal_nodes_agree"],
    "suspect/is_running": [],
    "suspect/is_its_coordinator": [],
    "suspect/coordinator_is_silent": [],
    "check_members/is_coordinator": [],
    "check_members/member_is_lost": [],
    "stand/is_electing": [],
    "stand/greater_are_silent": ["one_coordinator", "normal_nodes_agree"],
    "halt/is_halting": [],
    "halt/smaller_answers": ["normal_nodes_agree"],
    "take_over/is_halting": ["one_coordinator", "normal_nodes_agree"],
    "take_over/smaller_have_stopped": ["one_coordinator", "normal_nodes_agree"],
    "inform/is_coordinator": ["normal_nodes_agree"],
    "inform/smaller_waits": ["normal_nodes_agree"],
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
    mutant = MODEL.without_guard(*guard.split("/", 1))
    assert [name for name in MODEL.properties if is_broken(mutant, name)] == GUARDS[guard]


def is_broken(model: Model, name: str) -> bool:
    (found,) = explore_all(model, at(2, *ALL), only=[name], engine="native")
    return found.violation is not None


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("greatest", "assumed", "states", "edges"),
    [(2, ALL, 139, 667), (1, (), 416, 2530), (2, (), 14976, 137590), (2, ("network",), 1872, 11593)],
)
def test_the_twin_has_the_same_graph(
    greatest: int, assumed: tuple[str, ...], states: int, edges: int
) -> None:
    found = compare(MODEL, at(greatest, *assumed))
    assert (found.verdict, found.states, found.edges) == (HOLDS, states, edges), found.difference
