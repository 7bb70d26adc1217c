"""Fencing with a flaw: the shortest counterexample to each theorem, and none where the flaw is off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oneleader import models
from oneleader.errors import UsageError
from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model
from oneleader.models import fencing
from oneleader.readers.explore.explore import explore_all
from oneleader.readers.explore.explored import Explored
from oneleader.verdict import HOLDS

EXPIRES, STRINGS, TWO_STEPS = (
    models.find(f"flawed/{name}")
    for name in ("fencing_token_expires", "fencing_tokens_as_strings", "fencing_check_then_act")
)
THEOREMS = ("no_stale_write", "newest_is_never_refused", "one_holder_per_token", "history_is_in_token_order")


def at(model: Model, *sound: str) -> Configuration:
    """The smallest bounds that show each flaw, with these switches on: what they name is done rightly."""
    tokens = 10 if model is STRINGS else 2
    chosen = configure(model, {"Resource": 1, "Client": 3, "Token": tokens})
    return replace(chosen, constants={**chosen.constants, **{name: frozenset({(0,)}) for name in sound}})


# Steps of the shortest counterexample to each theorem; None: it holds all the same.
FLAWS = [
    (EXPIRES, (), (7, 7, 7, 7)),
    (EXPIRES, ("issuer_remembers",), (8, None, 8, 8)),
    (EXPIRES, ("storage_remembers",), (7, 7, None, None)),
    (STRINGS, (), (7, 7, None, 7)),
    (TWO_STEPS, (), (9, None, 9, 9)),
]


@pytest.mark.parametrize(("model", "sound", "expected"), FLAWS, ids=lambda part: getattr(part, "name", None))
def test_the_flaw_breaks_theorems(
    model: Model, sound: tuple[str, ...], expected: tuple[int | None, ...]
) -> None:
    assert tuple(shortest(model, at(model, *sound), name) for name in THEOREMS) == expected


SWITCHES = [
    (EXPIRES, ("storage_remembers", "issuer_remembers")),
    (STRINGS, ("compares_numbers",)),
    (TWO_STEPS, ("is_atomic",)),
]


@pytest.mark.parametrize(("model", "sound"), SWITCHES, ids=lambda part: getattr(part, "name", None))
def test_without_the_flaw_everything_holds_and_is_reached(model: Model, sound: tuple[str, ...]) -> None:
    found = list(explore_all(model, at(model, *sound)))
    assert {result.verdict for result in found} == {HOLDS}
    assert {name for result in found for name in result.properties} == set(THEOREMS)
    assert None not in {depth for result in found for depth in result.witnesses.values()}
    assert {c.name for c in model.fields.values() if c.kind == "constant"} == set(sound)


def test_each_flawed_fencing_is_tested() -> None:
    told = {f"flawed/{model.name}" for model, _ in SWITCHES}
    assert {name for name in models.FLAWED if name.startswith("flawed/fencing")} == told


def shortest(model: Model, configuration: Configuration, name: str) -> int | None:
    """Steps of the shortest counterexample."""
    (found,) = explore_all(model, configuration, only=[name])
    return len(found.violation.steps) if found.violation else None


def story(found: Explored) -> list[str]:
    """The steps of a counterexample as people write them."""
    assert found.violation
    instances = [found.run.instances[position] for position, _ in found.violation.steps]
    return [found.run.configuration.call(i.action, i.args) for i in instances]


def test_ten_comes_before_nine() -> None:
    """What was measured: 9 is stored, 10 is refused; and 9 lands after 10."""
    (refused,) = explore_all(STRINGS, at(STRINGS), only=["newest_is_never_refused"])
    assert story(refused)[-2:] == ["accept_write(r=r1, t=9, c=c1)", "refuse_write(r=r1, t=10, c=c2)"]
    (stale,) = explore_all(STRINGS, at(STRINGS), only=["no_stale_write"])
    assert story(stale)[-2:] == ["accept_write(r=r1, t=10, c=c2)", "accept_write(r=r1, t=9, c=c1)"]


def test_the_order_of_strings_is_that_of_python() -> None:
    from oneleader.models.flawed.fencing_tokens_as_strings import sorts_before

    numbers: list[fencing.Token] = list(range(20))  # type: ignore[arg-type]
    for t in numbers:
        for u in numbers:
            assert sorts_before(t, u) == (str(t) < str(u))


def test_a_checked_write_lands_late() -> None:
    (found,) = explore_all(TWO_STEPS, at(TWO_STEPS), only=["no_stale_write"])
    assert [step.partition("(")[0] for step in story(found)][-4:] == [
        *("check_write", "check_write", "accept_write", "accept_write")
    ]


def test_find_names_the_flawed_models_too() -> None:
    assert models.find("fencing_token_expires") is EXPIRES
    with pytest.raises(UsageError, match="flawed/fencing_token_expires"):
        models.find("flawed/nothing")
