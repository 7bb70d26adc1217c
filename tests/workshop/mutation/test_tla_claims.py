"""Claims of the TLA+ modules, and mutants by which TLC refutes them."""

from __future__ import annotations

import pytest

from oneleader.errors import MissingTool
from oneleader.readers.tlc import tlc
from workshop.mutation.tla_claims import claims, fingerprint, kept, manifest, only, refutes, twin_of
from workshop.mutation.tla_mutation import mutants


def test_a_configuration_that_refutes_a_claim_must_fail_by_it() -> None:
    shown = {(claim.module, claim.name): config for claim, config in claims()}
    assert shown["MCElection", "ElectionSafety"].startswith("MCElection_bug_")
    assert shown["MCElection", "TypeOK"] == ""
    assert all(manifest()[config]["violates"] for config in shown.values() if config)


def test_tlc_refutes_a_claim_in_a_mutant() -> None:
    try:
        tlc.find_java(), tlc.find_jar()
    except MissingTool as missing:
        pytest.skip(str(missing))
    id = "election/Election.tla/Init: Nil→0"
    (mutant,) = (mutant for mutant in mutants("election") if mutant.id == id)
    assert refutes(mutant, "MCElection", "MCElection_small.cfg", {"TypeOK"}) == "TypeOK"


def test_a_configuration_is_left_with_the_claims_that_are_wanted() -> None:
    config = "SPECIFICATION Spec\nINVARIANTS\n  A B \\* of both\n  C\nPROPERTY D\nCONSTANT N = 3\n"
    assert only(config, {"B", "D"}) == "SPECIFICATION Spec\nINVARIANTS B\nPROPERTY D\nCONSTANT N = 3\n"
    assert tlc.claims_of(only(config, {"C"})) == ("C",)


def test_the_page_says_of_each_claim_what_refutes_it() -> None:
    """If it does not: `python -m workshop tla-claims --write`, which takes minutes."""
    told = kept()
    every = {(claim.module, claim.name): (claim, config) for claim, config in claims()}
    assert told.keys() == every.keys()
    for (module, name), (claim, config) in every.items():
        said = told[module, name]
        names = {config} if config else {"nothing", *(mutant.id for mutant in mutants(twin_of(module)))}
        assert said.by in names, f"{module} {name}: there is no {said.by}"
        assert said.of == fingerprint(module, claim.config), f"{module} {name}: that was another text"
    assert sum(said.by == "nothing" for said in told.values()) <= OPEN


OPEN = 58  # claims for which the search has found nothing so far
