"""Members that change: what the members before a change may commit, and what they may not."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from oneleader.conformance.adapter import May
from oneleader.conformance.conform import again, conform
from oneleader.conformance.reference.whole import WholeReference
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


# n3 leads and is to be alone; once back from a crash it leads again. As it hears that n2 has stored that, it
# commits it and goes on with the change, in the step in which it crashes: all that is left is the entry.
GOES_ON_AND_CRASHES: tuple[Event, ...] = (
    ("elapse", "n1=153", "n2=153", "n3=170"),
    ("timeout", "n3"),
    ("overtake", "n3", "n2", "0"),
    ("deliver", "n2", "n3"),
    *(("deliver", "n3", "n1"), ("deliver", "n3", "n1"), ("deliver", "n1", "n3"), ("deliver", "n1", "n3")),
    *(("deliver", "n3", "n1"), ("deliver", "n1", "n3"), ("deliver", "n3", "n2")),
    ("members", "n3", "n3"),
    ("crash", "n3"),
    ("groups", "n1 n2", "n1 n3"),
    ("deliver", "n3", "n2"),
    ("deliver", "n3", "n2"),
    ("restart", "n3"),
    ("deliver", "n3", "n2"),
    ("deliver", "n2", "n3"),
    ("heal",),
    ("elapse", "n1=170", "n2=170", "n3=153"),
    ("timeout", "n3"),
    *(("overtake", "n3", "n2", "0"), ("overtake", "n2", "n3", "0"), ("overtake", "n3", "n2", "0")),
    ("copy", "n2", "n3", "0"),
    ("propose", "n3", "v13"),
    ("deliver", "n3", "n2"),
    ("crash_next", "n3", "unsynced write kept"),
    ("deliver", "n3", "n2"),
    ("copy", "n2", "n3", "2"),
)


def made(kind: type[ChangingRaft], declares: Collection[May] = ()) -> type[ChangingAdapter]:
    class Made(ChangingAdapter):
        server = kind
        may = (*ChangingAdapter.may, *declares)

    return Made


def test_one_whose_members_change_holds() -> None:
    found = conform(made(ChangingRaft), walks=30, seed=1)
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    assert found.in_part["replication"], "no member ever changed"


def test_what_is_committed_in_the_step_of_a_crash_is_on_no_disk() -> None:
    """Found over a million steps of the reference: its change was said to come before its time."""
    found = again(WholeReference, GOES_ON_AND_CRASHES)
    assert found.causes == [], found.text
    assert found.verdicts[MEMBERSHIP] is HOLDS
    assert found.steps > 15


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
