"""What a model comes to is proved for any number of servers; without any of its assumptions it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from oneleader.errors import SpecError
from oneleader.language import leads_to, step
from oneleader.language.model import Model
from oneleader.language.progress import LeadsTo
from oneleader.models import PROGRESS, find
from oneleader.models.election import grant_vote
from oneleader.readers.prove.hints import load_hints
from oneleader.readers.prove.obligations import obligations
from oneleader.readers.prove.progress import Chain
from oneleader.readers.prove.prove import ProofRow, judge
from oneleader.readers.prove.vacuity import answers
from oneleader.verdict import HOLDS, VIOLATED
from workshop.pages.progress import fails_without, weaker

WITH_HINTS = ("progress/an_entry_is_committed", "progress/every_follower_learns")
LONG = "progress/a_change_is_made"  # `make progress`
QUICK = [name for name in PROGRESS if name not in (*WITH_HINTS, LONG)]


def rows(model: Model, found: LeadsTo) -> Iterator[ProofRow]:
    return (judge(obligation, None) for obligation in Chain(model, found).obligations())


@pytest.mark.parametrize("name", QUICK)
def test_what_a_model_comes_to_is_proved(name: str) -> None:
    model = find(name)
    for found in model.progress.values():
        proved = [*rows(model, found)]
        assert {row.verdict for row in proved} == {HOLDS}
        assert len(proved) > 10


@pytest.mark.parametrize("name", WITH_HINTS)
def test_what_a_model_comes_to_is_proved_with_hints(name: str) -> None:
    model = find(name)
    hints = load_hints(model)
    for found in model.progress.values():
        for obligation in Chain(model, found).obligations():
            assert judge(obligation, hints.get(obligation.key)).verdict is HOLDS, obligation.key


def test_that_a_change_is_made_has_a_hint_for_each_obligation() -> None:
    """Each was found by a proof; the first of them are proved here."""
    model = find(LONG)
    hints = load_hints(model)
    for found in model.progress.values():
        asked = [*Chain(model, found).obligations()]
        assert {obligation.key for obligation in asked} <= {*hints}
        for obligation in asked[:5]:
            assert judge(obligation, hints[obligation.key]).verdict is HOLDS, obligation.key


@pytest.mark.parametrize("name", QUICK)
def test_its_lemmas_are_proved(name: str) -> None:
    """Those that its parent has are proved where the parent is."""
    model = find(name)
    assert model.extends
    own = {*model.invariants} - {*model.extends.invariants}
    assert own
    assert all(judge(o, None).verdict is HOLDS for o in obligations(model) if o.goal in own)


SOON = ("progress/a_leader_is_elected", "progress/a_transfer_comes_about")  # of the others by `make progress`
NEEDED = [
    (name, assumption)
    for name in SOON
    for found in find(name).progress.values()
    for assumption in weaker(found)
]


@pytest.mark.parametrize(("name", "assumption"), NEEDED)
def test_each_assumption_is_needed(name: str, assumption: str) -> None:
    """Without it a step leads away from the goal, or one that is waited for is not possible: in a state of
    few servers, which the plain interpreter confirms."""
    model = find(name)
    (found,) = model.progress.values()
    first = fails_without(model, found, assumption, load_hints(model))
    assert first is not None
    assert first.verdict is VIOLATED
    assert first.counterexample is not None


def test_a_stage_that_cannot_be_is_noticed() -> None:
    """Nothing follows from what is given never being so."""
    model = find("progress/a_leader_is_elected")
    (found,) = model.progress.values()
    never = replace(found, given=(lambda s, c, t: s.term[c] != s.term[c],))
    broken = replace(model, progress={found.name: never})
    goal = f"{found.name}: enabled"
    asked = [a for a in answers(broken, (), (goal,)) if a.what.endswith(found.name)]
    assert len(asked) == 1 + len(found.stages)
    assert {answer.verdict for answer in asked} == {VIOLATED}
    assert {a.verdict for a in answers(model, (), (goal,)) if a.what.endswith(found.name)} == {HOLDS}


def test_stages_without_steps_are_refused() -> None:
    with pytest.raises(SpecError, match="2 stages and 1 steps"):
        leads_to(stages=(len, len), fair=(step(grant_vote, voter="v"),))
