"""A counterexample kept as a test: it fails as long as the run is possible, and says where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneleader import models
from oneleader.errors import UsageError
from oneleader.faults.catalogue import FAULTS
from oneleader.faults.catalogue import find as fault
from oneleader.language.configuration import Configuration, configure
from oneleader.language.members import Members
from oneleader.readers.explore.explore import explore, ghosts_read
from oneleader.readers.retrace import as_test, configuration_text, imports_of, retrace

IDS = ["no-quorum", "no-comparison", "vote-twice"]


def kept(id: str) -> str:
    """The test of a fault's shortest counterexample."""
    found = FAULTS[id]
    ghosts = ghosts_read(found.model, found.broken)
    explored = explore(found.model, found.configuration, properties=[found.broken], ghosts=ghosts)
    assert explored.violation
    return as_test(explored.run, explored.violation, id)


def taken(text: str) -> None:
    """Run the test in a module of this text."""
    names: dict[str, Any] = {}
    exec(text, names)
    (test,) = (value for name, value in names.items() if name.startswith("test_"))
    test()


@pytest.mark.parametrize("id", IDS)
def test_it_fails_with_the_fault_and_passes_without(id: str) -> None:
    text = kept(id)
    with pytest.raises(AssertionError, match="is false after step"):
        taken(text)
    right = fault(id).faulty_model.base.name
    taken(
        text.replace("oneleader.faults.catalogue", "oneleader.models").replace(
            f'"{id}").model', f'"{right}")'
        )
    )


def test_a_step_that_was_mistyped_does_not_pass() -> None:
    text = kept("no-quorum").replace("start_election(n=n1)", "start_election(n=n9)")
    with pytest.raises(UsageError, match=r"election has no step start_election\(n=n9\) in 2 nodes"):
        taken(text)


def test_a_property_that_was_mistyped_does_not_pass() -> None:
    election = models.find("election")
    with pytest.raises(UsageError, match="election has no property safety"):
        retrace(election, configure(election, {"Node": 1, "Term": 1}), "").broken("safety")


def test_it_says_where_the_run_ends() -> None:
    election = models.find("election")
    run = retrace(election, configure(election, {"Node": 2, "Term": 1}), "become_leader(n=n1, q={n1 n2})")
    assert run.ended == "become_leader(n=n1, q={n1 n2}) is refused: is_candidate (Figure 2, Candidates 2)"
    assert run.broken("election_safety") is None
    assert run.broken("deadlock") is None


def test_a_deadlock_is_told() -> None:
    lock = models.find("lock")
    stuck = replace(lock, actions={"acquire": lock.actions["acquire"]})
    at = configure(stuck, {"Client": 1, "Token": 2})
    assert retrace(stuck, at, "").broken("deadlock") is None
    assert retrace(stuck, at, "acquire(c=c1)").broken("deadlock") == "no step is possible after step 1"


@pytest.mark.parametrize("name", ["election", "lease", "system", "membership", "flawed/incident"])
def test_a_configuration_is_made_again(name: str) -> None:
    model = models.find(name)
    at = configure(model, {"Node": 2, "Term": 2, "Index": 2, "Value": 1})
    assert eval(configuration_text(at), {"Configuration": Configuration, "Members": Members}) == at
    assert len(imports_of(at)) == 1 + (name == "membership")


def test_the_test_of_a_model_in_a_file_names_the_file() -> None:
    case = Path(models.__file__).parents[3] / "tests" / "red_team" / "cases" / "r_swap.py"
    model = models.find(str(case))
    assert models.find(models.name_of(model)).name == model.name
