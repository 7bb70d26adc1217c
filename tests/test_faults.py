"""Each fault is caught by each reader as the catalogue says; a model without the fault is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oneleader.errors import MissingTool
from oneleader.faults import table
from oneleader.faults.catalogue import FAULTS, Fault
from oneleader.faults.reference import REFERENCE_FAULTS
from oneleader.readers import tlc

EVERY = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
NO_QUORUM = FAULTS["no-quorum"]


@pytest.fixture
def java() -> None:
    try:
        tlc.find_java(), tlc.find_jar()
    except MissingTool as missing:
        pytest.skip(str(missing))


def test_the_catalogue_and_the_reference_have_the_same_faults() -> None:
    assert FAULTS.keys() == REFERENCE_FAULTS.keys()
    assert len(FAULTS) >= 8


@EVERY
def test_explore_finds_it_in_the_fewest_steps(fault: Fault) -> None:
    row = table.by_explore(fault)
    assert (row.verdict, row.length) == ("caught", fault.steps)


@EVERY
def test_prove_fails_on_the_expected_obligation(fault: Fault) -> None:
    row = table.by_proof(fault)
    assert row.verdict == ("not expressible" if isinstance(fault.proof, str) else "caught")


@EVERY
@pytest.mark.usefixtures("java")
def test_tlc_finds_it_in_as_many_steps_as_explore(fault: Fault) -> None:
    row = table.by_tlc(fault)
    assert (row.verdict, row.length) == ("caught", fault.steps)


@EVERY
def test_it_has_a_story(fault: Fault) -> None:
    assert fault.title
    assert fault.story
    assert fault.sources


def test_a_correct_model_is_not_called_caught() -> None:
    """The judges can say `missed`: each is given a fault that changes nothing."""
    harmless = replace(NO_QUORUM, mutate=lambda model: model)
    assert table.by_explore(harmless).verdict == "missed"
    assert table.by_proof(harmless).verdict == "missed"


def test_another_length_is_not_called_caught() -> None:
    assert table.by_explore(replace(NO_QUORUM, steps=3)).verdict == "missed"


@pytest.mark.usefixtures("java")
def test_tlc_on_a_correct_config_is_not_called_caught() -> None:
    assert table.by_tlc(replace(NO_QUORUM, config="MCElection_small.cfg")).verdict == "missed"


def test_without_tlc_its_row_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONELEADER_TLA2TOOLS", "/nowhere.jar")
    assert table.by_tlc(NO_QUORUM).verdict == "inconclusive"


def test_a_correct_reference_is_not_called_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from oneleader_raft.simulator import RAFT

    monkeypatch.setitem(REFERENCE_FAULTS, "no-quorum", replace(REFERENCE_FAULTS["no-quorum"], core=RAFT))
    assert table.by_property_test(NO_QUORUM).verdict == "missed"
