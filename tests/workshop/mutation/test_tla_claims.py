"""Each invariant and property of the TLA+ modules can fail: what the page says is there, and TLC agrees."""

from __future__ import annotations

import os

import pytest

from oneleader.errors import MissingTool
from oneleader.readers.tlc import tlc
from workshop.mutation.tla_claims import TlaClaim, claims, kept, manifest, only, refutes, twin_of
from workshop.mutation.tla_mutation import mutants

PAGE = kept()
BY_MUTANT = [claim for claim, config in claims() if not config and (claim.module, claim.name) in PAGE]
FIRST = {twin_of(claim.module): claim for claim in reversed(BY_MUTANT)}  # of each twin one
SHORT = ("election", "fencing", "replication")  # of these here, and of all in the profile deep
ASKED = BY_MUTANT if os.environ.get("ONELEADER_PROFILE") == "deep" else [FIRST[twin] for twin in SHORT]


def test_each_claim_is_refuted_by_something() -> None:
    said = {(claim.module, claim.name): PAGE.get((claim.module, claim.name)) for claim, _ in claims()}
    assert {of: by for of, by in said.items() if by in (None, "nothing")} == {}
    assert PAGE.keys() == said.keys()


def test_a_configuration_that_refutes_one_must_fail_by_it() -> None:
    shown = {(claim.module, claim.name): config for claim, config in claims() if config}
    assert shown == {of: PAGE[of] for of in shown}
    assert all(manifest()[config]["violates"] for config in shown.values())


@pytest.mark.parametrize("twin", FIRST)
def test_the_mutants_are_still_made(twin: str) -> None:
    made = {mutant.id for mutant in mutants(twin)}
    assert {PAGE[c.module, c.name] for c in BY_MUTANT if twin_of(c.module) == twin} <= made


@pytest.mark.parametrize("claim", ASKED, ids=lambda claim: f"{claim.module}-{claim.name}")
def test_tlc_refutes_the_claim_in_the_mutant(claim: TlaClaim) -> None:
    try:
        tlc.find_java(), tlc.find_jar()
    except MissingTool as missing:
        pytest.skip(str(missing))
    id = PAGE[claim.module, claim.name]
    (mutant,) = (mutant for mutant in mutants(twin_of(claim.module)) if mutant.id == id)
    assert refutes(mutant, claim.module, claim.config, {claim.name}) == claim.name


def test_a_configuration_is_left_with_the_claims_that_are_wanted() -> None:
    config = "SPECIFICATION Spec\nINVARIANTS\n  A B \\* of both\n  C\nPROPERTY D\nCONSTANT N = 3\n"
    assert only(config, {"B", "D"}) == "SPECIFICATION Spec\nINVARIANTS B\nPROPERTY D\nCONSTANT N = 3\n"
    assert tlc.claims_of(only(config, {"C"})) == ("C",)
