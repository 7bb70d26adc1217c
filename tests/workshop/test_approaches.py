"""The cells of the trade-offs. Their page pins what each says; here, that it could say otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model
from oneleader.models import lock
from oneleader.models.environment import MODEL
from oneleader.models.system import MODEL as SYSTEM
from oneleader.readers.explore.explore import explore_all
from oneleader.readers.explore.settings import settings
from oneleader.verdict import HOLDS, VIOLATED, Verdict
from workshop.studies import approaches
from workshop.studies.approaches import APPROACHES, EARLY, QUESTIONS, Approach
from workshop.studies.possible import possible

ALL = Approach("all", "all")
SIZES = {"Node": 3, "Term": 2, "Era": 3}


def at(off: tuple[str, ...] = (), given: tuple[str, ...] = (), quorums: str = "majority") -> Configuration:
    chosen = configure(MODEL, SIZES, quorums).where(MODEL.fields["off"], off)
    return chosen.where(MODEL.fields["given"], given)


def steps(model: Model, at: Configuration, name: str) -> int | None:
    (found,) = explore_all(model, at, only=[name])
    return len(found.violation.steps) if found.violation else None


def test_it_is_the_composition_where_clocks_are_good() -> None:
    """Of who may act the two models say the same, under all sixteen settings."""
    name = "one_acting_leader"
    for row in settings(SYSTEM, configure(SYSTEM, SIZES)):
        assert steps(MODEL, at(row.off, ("clocks",)), name) == row.steps(name), row.off


# Guard, setting and property: broken without the guard, and kept with it. No `writes_have_arrived` is among
# them: several steps come between a check and a late write, and each of them waits.
GUARDS = [
    ("elect/promise_is_over", ("fencing",), ("clocks", "prompt"), "one_acting_leader"),
    ("end_promise/lease_is_over", ("fencing",), ("clocks", "prompt"), "one_acting_leader"),
    ("decide_write/storage_was_read", (), ("clocks", "prompt"), "no_lost_update"),
    ("read/storage_accepts", ("lease",), ("fenced_reads",), "no_lost_update"),
    ("write/storage_accepts", ("lease",), (), "no_stale_write"),
    ("write/storage_accepts", (), ("fenced_reads",), "no_lost_update"),
]


@pytest.mark.parametrize(("guard", "off", "given", "name"), GUARDS)
def test_what_holds_does_not_without_the_guard(
    guard: str, off: tuple[str, ...], given: tuple[str, ...], name: str
) -> None:
    assert steps(MODEL, at(off, given), name) is None
    assert steps(MODEL.without_guard(*guard.split("/")), at(off, given), name) is not None


def test_every_action_happens_in_some_surroundings() -> None:
    chosen = at((), ("heals",)).where(MODEL.fields["away"], ("n3",))
    fired = {
        name for found in explore_all(MODEL, chosen, only=["one_leader_per_term"]) for name in found.fired
    }
    assert fired == MODEL.actions.keys()


# -- Whether service stays possible -------------------------------------------------------------------
def served(model: Model, quorums: str, away: str, given: tuple[str, ...] = ("clocks",)) -> Verdict:
    chosen = configure(model, EARLY, quorums).where(model.fields["given"], given)
    chosen = chosen.where(model.fields["away"], (away,))
    goal = model.witnesses["a_write_is_served"]
    return possible(model, chosen, goal, lambda told: told["elected"] <= 1).verdict


def test_a_majority_serves_and_a_lock_server_that_is_cut_off_does_not() -> None:
    assert (served(MODEL, "majority", "n1"), served(MODEL, "majority", "n3")) == (HOLDS, HOLDS)
    assert (served(MODEL, "n1", "n1"), served(MODEL, "n1", "n3")) == (VIOLATED, HOLDS)
    assert served(MODEL, "n1", "n1", ("clocks", "heals")) is HOLDS  # once the network is whole again


def test_a_promise_that_does_not_end_keeps_the_others_from_serving() -> None:
    """A lease that cannot run out: its holder is cut off, and nobody else is ever elected."""
    for_ever = replace(MODEL, actions={n: a for n, a in MODEL.actions.items() if n != "end_promise"})
    assert served(for_ever, "majority", "n3") is VIOLATED


def test_possible_tells_how_it_got_stuck() -> None:
    """The lock of the tutorial: once a token was given back, the other one is not enough for two."""
    two = Configuration(elements={"Client": ("c1", "c2")}, greatest={"Token": 2})
    goal = lock.MODEL.witnesses["two_believe"]
    assert possible(lock.MODEL, two, goal, lambda told: told["last"] == 0).verdict is HOLDS
    found = possible(lock.MODEL, two, goal, lambda told: told["last"] < 2)
    assert (found.verdict, found.asked) == (VIOLATED, 11)
    assert found.stuck is not None
    calls = [found.run.instances[position].action.name for position, _ in found.stuck]
    assert calls == ["acquire", "release"]


# -- The cells ---------------------------------------------------------------------------------------
def test_a_theorem_is_cited_only_where_its_proof_goes_through_and_it_applies() -> None:
    wanted = tuple(q for q in QUESTIONS if q.id in ("split-brain", "two-act"))
    asked: list[str] = []

    def is_proved(name: str) -> bool:
        asked.append(name)
        return name == "election"

    cells = [*approaches.cells(ALL, is_proved, wanted)]
    assert [(cell.verdict, cell.proved) for cell in cells] == [(HOLDS, "election"), (HOLDS, "")]
    assert asked == ["election", "lease"]
    bully = next(a for a in APPROACHES if a.id == "bully-fencing")
    assert not [cell for cell in approaches.cells(bully, lambda name: True, wanted) if cell.proved]
