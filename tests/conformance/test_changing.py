"""Members that change: what the members before a change may commit, and what they may not."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from oneleader.conformance.adapter import May
from oneleader.conformance.conform import again, conform
from oneleader.conformance.trial import FIGURE_3, Event
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from tests.conformance.changing import ByTheFormer, ByTheFormerForEver, ChangingAdapter, ChangingRaft

MEMBERSHIP = "membership"
QUORUM_STORES = "advance_commit: quorum_stores (Figure 2, Leaders 4: a majority of matchIndex)"
# n1 leads and removes all others, one at a time; it adds n2, which hears nothing of it, and a client writes.
ALONE: tuple[Event, ...] = (
    ("timeout", "n1"),
    ("burst", "n1", "n2"),
    ("burst", "n2", "n1"),
    ("propose", "n1", "v1"),
    ("burst", "n1", "n2"),
    ("burst", "n2", "n1"),
    ("members", "n1", "n1 n2"),
    ("burst", "n1", "n2"),
    ("burst", "n2", "n1"),
    ("members", "n1", "n1"),
)
FROM_ONE_TO_TWO: tuple[Event, ...] = (*ALONE, ("members", "n1", "n1 n2"), ("propose", "n1", "v2"))


def made(kind: type[ChangingRaft], declares: Collection[May] = ()) -> type[ChangingAdapter]:
    class Made(ChangingAdapter):
        server = kind
        may = (*ChangingAdapter.may, *declares)

    return Made


def test_one_whose_members_change_holds() -> None:
    found = conform(made(ChangingRaft), walks=30, seed=1)
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    assert found.in_part["replication"], "no member ever changed"


def test_what_the_members_before_a_change_commit_has_to_be_declared() -> None:
    found = again(made(ByTheFormer), FROM_ONE_TO_TWO)
    assert found.verdicts == {
        FIGURE_3: HOLDS,
        "election": HOLDS,
        "replication": HOLDS,
        MEMBERSHIP: INCONCLUSIVE,
    }
    assert (MEMBERSHIP, May.COMMIT_BY_FORMER) in found.no_word
    declared = again(made(ByTheFormer, [May.COMMIT_BY_FORMER]), FROM_ONE_TO_TWO)
    assert set(declared.verdicts.values()) == {HOLDS}, declared.text


@pytest.mark.parametrize("declares", [(), (May.COMMIT_BY_FORMER,)], ids=["undeclared", "declared"])
def test_they_commit_nothing_that_comes_after_it(declares: Collection[May]) -> None:
    found = again(made(ByTheFormerForEver, declares), FROM_ONE_TO_TWO)
    assert found.verdicts[MEMBERSHIP] is VIOLATED, found.text
    assert f"{MEMBERSHIP}: {QUORUM_STORES}" in [cause.key for cause in found.causes]
    assert found.verdicts[FIGURE_3] is VIOLATED, found.text
