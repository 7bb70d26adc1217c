"""Each fault is caught by each reader as the catalogue says; a model or a core without the fault is not."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from oneleader.campaigns import fault_table as table
from oneleader.conformance.reference import program, recovery
from oneleader.conformance.reference.drawn import draw
from oneleader.conformance.reference.locks import LockMachine
from oneleader.conformance.reference.patch import LOCKS
from oneleader.errors import MissingTool, UsageError
from oneleader.faults.catalogue import FAULTS, find, variant, variants
from oneleader.faults.fault import Because, Fault, Unlive, Variant
from oneleader.readers.tlc import tlc
from oneleader.verdict import HOLDS, INCONCLUSIVE, NOT_EXPRESSIBLE, VIOLATED
from oneleader_raft.core import RAFT, Core
from workshop.pages import faults as page

EVERY = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
PROFILE = os.environ.get("ONELEADER_PROFILE") or ("ci" if os.environ.get("CI") else "dev")
VARIANTS = pytest.mark.parametrize("id", variants())
NO_QUORUM = FAULTS["no-quorum"]


@pytest.fixture
def java() -> None:
    try:
        tlc.find_java(), tlc.find_jar()
    except MissingTool as missing:
        pytest.skip(str(missing))


def said(row: table.FaultRow, why: object) -> None:
    """The reader caught the fault, or there is a reason why it cannot be shown it."""
    assert row.verdict == (NOT_EXPRESSIBLE if isinstance(why, Because) else HOLDS), row


# --- The readers, on all faults ---------------------------------------------------------------------------


@EVERY
def test_it_has_a_story(fault: Fault) -> None:
    assert all((fault.title, fault.story, fault.sources, fault.breaks, fault.changes))
    assert not all(isinstance(part, Because) for part in (fault.explore, fault.variant, fault.unlive))


@EVERY
def test_explore_finds_it_in_the_fewest_steps(fault: Fault) -> None:
    said(table.by_explore(fault), fault.explore)


@EVERY
def test_prove_fails_on_the_expected_obligation(fault: Fault) -> None:
    said(table.by_proof(fault), fault.prove)


@EVERY
def test_a_recording_of_it_is_refused_and_one_of_the_reference_is_not(fault: Fault) -> None:
    is_shown = isinstance(fault.variant, Variant)
    said(table.by_replay(fault), fault.variant.refused if is_shown else fault.variant)  # type: ignore[union-attr]


@VARIANTS
def test_its_smallest_scenario_is_broken_and_harmless_without_it(id: str) -> None:
    faulty = variants()[id]
    lines = program.lines(faulty.program)
    broken = table.played(faulty, lines)
    assert broken is not None
    assert broken.cause.startswith(faulty.cause)
    assert table.played(faulty, lines, correct=True) is None


@pytest.mark.parametrize("id", [id for id, f in FAULTS.items() if isinstance(f.unlive, Unlive)])
def test_it_has_no_leader_that_stays_after_faults(id: str) -> None:
    said(table.by_simulation(FAULTS[id]), None)


@pytest.mark.parametrize("lasting", recovery.LASTING)
def test_the_reference_recovers(lasting: str) -> None:
    assert [recovery.wrong(seed, lasting, nodes=(3, 5)[seed % 2]) for seed in range(6)] == [""] * 6


def test_the_locks_of_the_reference_hold() -> None:
    found = draw(LockMachine, cast(Core, LOCKS), nodes=0, examples=200)  # type: ignore[arg-type]
    assert not found.failed, found.failed[-1][1].program
    assert len(found.steps) > 2000


CHANGING = [id for id, v in variants().items() if table.stage(v) is table.CHANGING_RAFTS]
FEW = ("several-at-once", "change-upon-change")  # the others with the profile `deep`, and by `make faults`
DRAWN = [id for id in variants() if PROFILE == "deep" or id in FEW or id not in CHANGING]


@pytest.mark.parametrize("id", DRAWN)
def test_the_property_test_finds_it(id: str) -> None:
    said(table.by_property_test(FAULTS[id], shorten=False), None)


def test_what_it_finds_is_shortened() -> None:
    found, short = (
        table.by_property_test(FAULTS["same-token"], shorten=shorten) for shorten in (False, True)
    )
    assert (short.verdict, short.detail, short.found) == (HOLDS, found.detail, found.length)
    assert short.length is not None
    assert found.length is not None
    assert short.length < found.length


def test_tlc_is_expected_to_find_them() -> None:
    """`tests/readers/tlc/test_tlc.py` checks that it does, on every configuration of the manifest."""
    named = [fault for fault in FAULTS.values() if not isinstance(fault.tlc, Because)]
    assert len(named) >= 30
    for fault in named:
        expected = table.manifest()[fault.tlc]
        assert (expected["verdict"], "_bug_" in fault.tlc) == ("violated", True)
        if isinstance(fault.explore, Because) or fault.tlc in OTHERWISE:
            continue
        name, steps = fault.explore
        same = name in fault.model.properties and fault.model.properties[name].title == expected["violates"]
        assert not same or expected["depth"] == steps + 1, fault.tlc


OTHERWISE = {
    "MCMembership_bug_several_at_once.cfg",  # these two begin where a leader has committed, with two servers
    "MCMembership_bug_change_upon_change.cfg",
    "MCReplication_bug_no_prefix_check.cfg",  # a sequence has no gaps, and none is tried
    "MCSystemHistory_bug_no_fencing.cfg",  # the composition, where explore takes the model of leases
    "MCFencing_bug_strictly_greater.cfg",  # says of a write that it would be refused, a step earlier
}


@pytest.mark.usefixtures("java")
def test_tlc_finds_one_in_as_many_steps_as_explore() -> None:
    row = table.by_tlc(NO_QUORUM)
    assert (row.verdict, row.length) == (HOLDS, 4)


# --- The page ---------------------------------------------------------------------------------------------


def test_the_page_says_what_is_kept(tmp_path: Path) -> None:
    """Seconds are rounded once: 0.5496 is kept as 0.55."""
    rows = [replace(row, seconds=0.5496) for row in page.load()]
    assert page.write(rows, tmp_path).read_text() == page.render(page.load(tmp_path))


def test_the_page_is_of_this_catalogue() -> None:
    """All that it says but for seconds and drawn lengths, which `make faults` finds."""
    rows = page.load()
    assert page.render(rows) == (page.RESULTS / "faults.md").read_text()
    assert [(row.fault, row.reader) for row in rows] == [(f, r) for f in FAULTS for r in table.READERS]
    for row in rows:
        fault = FAULTS[row.fault]
        expected = [fault.explore, fault.prove, fault.tlc, fault.variant, fault.unlive, fault.variant]
        why = dict(zip(table.READERS, expected, strict=True))[row.reader]
        if row.reader == "replay" and isinstance(fault.variant, Variant):
            why = fault.variant.refused
        said(row, why)
        assert not isinstance(why, Because) or row.detail == why
        if row.reader == "explore" and not isinstance(fault.explore, Because):
            assert row.length == fault.explore[1]
        if row.reader == "prove" and not isinstance(fault.prove, Because):
            assert row.detail.startswith(" × ".join(fault.prove))


def test_a_page_of_another_catalogue_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    before = page.render(page.load())
    monkeypatch.setitem(FAULTS, NO_QUORUM.id, replace(NO_QUORUM, title="something else"))
    assert page.render(page.load()) != before


# --- The judges can say no ---------------------------------------------------------------------------------


def harmless() -> Fault:
    """A fault that changes nothing."""
    faulty = variants()[NO_QUORUM.id]
    mutant = replace(NO_QUORUM.faulty_model, change=lambda model: model)
    return replace(NO_QUORUM, faulty=mutant, variant=replace(faulty, core=RAFT))


def test_what_is_correct_is_not_called_caught() -> None:
    for reader in ("explore", "prove", "replay"):
        assert table.READERS[reader](harmless()).verdict is VIOLATED
    assert table.by_property_test(harmless(), batches=1).verdict is VIOLATED
    assert table.fails_at(replace(harmless(), fails_at={"Node": 1, "Quorum": 1, "Term": 1})) is None


def test_another_length_is_not_called_caught() -> None:
    assert table.by_explore(replace(NO_QUORUM, explore=("election_safety", 3))).verdict is VIOLATED


def test_another_reason_is_not_called_caught() -> None:
    other = replace(variants()[NO_QUORUM.id], refused="election: state", cause=("election: state",))
    assert table.by_replay(replace(NO_QUORUM, variant=other)).verdict is VIOLATED
    assert table.by_property_test(replace(NO_QUORUM, variant=other), batches=1).verdict is VIOLATED


def test_a_scenario_that_the_reference_breaks_is_not_called_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "RAFTS", replace(table.RAFTS, correct=variant("no-quorum")))
    assert table.by_replay(NO_QUORUM).verdict is VIOLATED


@pytest.mark.usefixtures("java")
def test_tlc_on_a_correct_config_is_not_called_caught() -> None:
    assert table.by_tlc(replace(NO_QUORUM, tlc="MCElection_small.cfg")).verdict is VIOLATED


def test_without_tlc_its_row_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONELEADER_TLA2TOOLS", "/nowhere.jar")
    assert table.by_tlc(NO_QUORUM).verdict is INCONCLUSIVE


def test_who_finds_nothing_fails_the_run() -> None:
    caught = table.FaultRow("a", "explore", HOLDS, 1, 0.0, "")
    unseen = table.FaultRow("b", "explore", NOT_EXPRESSIBLE, None, 0.0, "")
    blind = table.FaultRow("a", "prove", NOT_EXPRESSIBLE, None, 0.0, "")
    assert table.blind([caught]) == []
    assert table.blind([caught, unseen]) == ["no reader found b"]
    assert table.blind([caught, blind]) == ["prove found no fault"]
    assert [table.status([caught, unseen], whole=whole) for whole in (False, True)] == [3, 1]


def test_what_there_is_not_is_said() -> None:
    with pytest.raises(UsageError, match="there is no fault 'gremlins'"):
        find("gremlins")
    with pytest.raises(UsageError, match="is a fault of the reference alone"):
        _ = FAULTS["answers-before-storing"].model
    with pytest.raises(UsageError, match="is no fault of the reference's core"):
        variant("commit-as-told")
