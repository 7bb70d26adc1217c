"""Rafts that are odd and correct raise no alarm."""

from __future__ import annotations

import pytest

from oneleader.conformance.adapter import May
from oneleader.conformance.conform import conform
from oneleader.conformance.trial import FIGURE_3
from oneleader.verdict import HOLDS, INCONCLUSIVE
from tests.conformance.odd_rafts import AnswersLate, Batches, OwnTerms
from tests.conformance.small_raft import SmallAdapter


@pytest.mark.parametrize("adapter", [AnswersLate, Batches])
def test_answers_may_come_late_and_together(adapter: type[SmallAdapter]) -> None:
    found = conform(adapter, walks=16, seed=3)
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    assert found.compared["Leader Completeness"]


def test_terms_may_be_skipped_by_declaration() -> None:
    class Skips(SmallAdapter):
        server = OwnTerms

    class Declares(Skips):
        may = (May.SKIPS_TERMS,)

    found = conform(Skips, walks=6, seed=3)
    assert (found.verdicts[FIGURE_3], found.verdict) == (HOLDS, INCONCLUSIVE), found.text
    assert {may for _, may in found.no_word} == {May.SKIPS_TERMS}
    assert conform(Declares, walks=6, seed=3).verdict is HOLDS
