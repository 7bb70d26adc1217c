"""The incident: each bad step breaks what it is said to, and is refused by the rule that was missing."""

from __future__ import annotations

import pytest

from oneleader.models import environment
from workshop.studies import incident
from workshop.studies.incident import IncidentStep, Played
from workshop.studies.incident_story import story


def steps(played: Played) -> list[IncidentStep]:
    return [step for scene in played.scenes for step in scene.steps]


def test_what_broke_as_it_happened() -> None:
    broken = {
        number: step.broken for number, step in enumerate(steps(incident.as_it_happened()), 1) if step.broken
    }
    assert broken == {5: "one_leader", 7: "no_stale_write"}


def test_nothing_breaks_with_every_cure_and_each_refusal_has_its_rule() -> None:
    cured = steps(incident.as_it_should_be())
    assert not [step for step in cured if step.broken]
    assert {step.text: (step.guard.name, step.cures) for step in cured if step.guard} == {
        "elect n4 *": ("voters_are_near", ("quorum",)),
        "read n4": ("leader_may_act", ()),
        "decide_write n4": ("storage_was_read", ()),
        "elect n4 {n3,n4,n5}": ("promise_is_over", ("quorum", "lease")),
        "write n1": ("storage_accepts", ("fencing",)),
        "take_lease n1 {n1,n2,n3}": ("term_is_current", ("quorum", "terms")),
        "read n1": ("leader_may_act", ("lease",)),
        "decide_write n1": ("storage_was_read", ()),
    }


def test_each_bad_step_has_its_counterpart() -> None:
    refused = {step.text for step in steps(incident.as_it_should_be()) if step.guard}
    told = {scene.counterpart for scene in incident.as_it_happened().scenes if scene.counterpart}
    assert told <= refused


def test_a_step_that_is_not_refused_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "MODEL", environment.MODEL.without_guard("write", "storage_accepts"))
    with pytest.raises(AssertionError, match="write n1 is not refused"):
        incident.as_it_should_be()


def test_the_pictures_show_the_violation_and_the_refusals() -> None:
    happened = story(incident.as_it_happened(), "as it happened")
    assert (happened.wrong_row, happened.rows[7].label) == (7, "n1 writes")
    cured = story(incident.as_it_should_be(), "against every cure")
    assert not cured.wrong
    refused = [row for row in cured.rows if row.mark == "refused"]
    assert [(row.lane, row.label) for row in refused][:2] == [
        ("n4", "n4 is not elected: voters_are_near"),
        ("n4", "n4 may not act: it does not read: leader_may_act"),
    ]
    late = next(row for row in refused if row.lane == "storage")
    assert [(a.source, a.to) for a in cured.arrows if a.received == late.number] == [("n1", "storage")]
    assert not [a for a in cured.arrows if a.is_lost]
    assert "cut off" in cured.rows[7].after["n4"].words
