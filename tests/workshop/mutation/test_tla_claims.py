"""Claims of the TLA+ modules, and mutants by which TLC refutes them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oneleader.readers.tlc import tlc
from oneleader.shipped import tla_folder
from workshop.mutation.tla_claims import (
    NOTHING,
    Place,
    Suspect,
    begins_at,
    beneath,
    claims,
    conjuncts,
    fingerprint,
    kept,
    likely,
    manifest,
    only,
    refutes,
    stem_of,
    suspects,
    text_of,
    twin_of,
    untyped,
)
from workshop.mutation.tla_mutation import TlaMutant, mutants, of_no_type, tokens_of, used_by

HARMLESS = "election/MCElection.tla/BoundedTerm: 0→1"  # no step is of term 0


def test_a_configuration_that_refutes_a_claim_must_fail_by_it() -> None:
    shown = {(claim.module, claim.name): config for claim, config in claims()}
    assert shown["MCElection", "ElectionSafety"].startswith("MCElection_bug_")
    assert shown["MCElection", "TypeOK"] == ""
    assert all(manifest()[config]["violates"] for config in shown.values() if config)


SMALL = Place("MCElection", "MCElection_small.cfg")


def named(id: str) -> TlaMutant:
    (mutant,) = (mutant for mutant in mutants("election") if mutant.id == id)
    return mutant


@pytest.mark.usefixtures("tools")
def test_tlc_refutes_a_claim_in_a_mutant() -> None:
    mutant, harmless = named("election/Election.tla/Init: Nil→0"), named(HARMLESS)
    config = text_of(SMALL.config)
    assert refutes(Suspect("", config, mutant), SMALL.module, {"TypeOK"}) == "TypeOK"
    assert refutes(Suspect("", config, harmless), SMALL.module, {"TypeOK"}) == ""


def test_what_a_type_says_of_each_variable_is_a_claim() -> None:
    for module in {claim.module for claim, _ in claims() if claim.name == "TypeOK"}:
        beneath_it = used_by(tla_folder() / f"{stem_of(twin_of(module))[2:]}.tla")
        typed = {name for file in beneath_it for name in conjuncts(f"MC{file.stem}")}
        assert typed == {f"TypeOK_{name}" for file in beneath_it for name in variables(file)}, module
    said = conjuncts("MCReplication")["TypeOK_lastLogTerm"]
    assert said == r"lastLogTerm \in [Node -> [Term -> Nat]]"  # of `\A f \in {...} : f \in ...`


def variables(file: Path) -> list[str]:
    text = " ".join(token.text for token in tokens_of(file.read_text("utf-8")))
    return re.findall(r"\w+", " ".join(re.findall(r"\bVARIABLES? (\w+(?: , \w+)*)", text)))


@pytest.mark.usefixtures("tools")
def test_what_a_type_says_of_one_variable_is_not_refuted_by_another() -> None:
    (mutant,) = (m for m in untyped(SMALL) if m.id == "election/Election.tla/Init: {}→{Nil} #2")
    suspect = Suspect("", text_of(SMALL.config), mutant, depth=2)
    own = conjuncts(SMALL.module).keys()
    assert [name for name in own if refutes(suspect, SMALL.module, {name})] == ["TypeOK_requested"]


@pytest.mark.usefixtures("tools")
def test_what_tlc_refutes_shows_in_one_run_of_many() -> None:
    ids = [
        f"election/Election.tla/{what}"
        for what in (r"LeaderWasHeard: \in→\notin", "BecomeLeader: -QuorumVoted(n, q)")
    ]
    assert [m.id for m in likely(SMALL, {"ElectedByQuorum"}, [*map(named, ids)], [])] == ids[1:]


@pytest.mark.usefixtures("tools")
def test_a_property_that_a_mutant_violates_is_named() -> None:
    id = "vote_count/VoteCount.tla/ReceiveVote: -Abstract!VoteWasGranted(voter, t, candidate)"
    (mutant,) = (mutant for mutant in mutants("vote_count") if mutant.id == id)
    suspect = Suspect("", text_of("MCVoteCount_small.cfg"), mutant)
    assert refutes(suspect, "MCVoteCount", {"Refinement"}) == "Refinement"


def test_what_a_twin_is_built_on_is_suspected_too_and_values_of_no_type() -> None:
    ids = {mutant.id for mutant in beneath(Place("MCSnapshots", "MCSnapshots.cfg"))}
    files = {id.split("/")[1] for id in ids}
    assert files == {"MCSnapshots.tla", "Snapshots.tla", "Membership.tla", "Replication.tla", "Election.tla"}
    assert {id for id in ids if "Snapshots.tla/" in id} == {m.id for m in of_no_type("snapshots")}
    assert not {m.id for m in of_no_type("snapshots")} & {m.id for m in mutants("snapshots")}


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("claim", "is_refuted"), [("CandidateHearsNoLeader", True), ("BackedByQuorum", False)]
)
def test_a_mutant_of_what_is_beneath_refutes_a_claim(claim: str, is_refuted: bool) -> None:
    place = Place("MCPreVote", "MCPreVote.cfg")
    (mutant,) = (m for m in beneath(place) if m.id == "election/Election.tla/BecomeLeader: [role EXCEPT→role")
    assert refutes(Suspect("", text_of(place.config), mutant), place.module, {claim}) == (
        claim if is_refuted else ""
    )


def test_bugs_and_smaller_bounds_are_suspects_too() -> None:
    place = Place("MCElectionLiveness", "MCElectionLiveness.cfg")
    assert begins_at(place) == ""  # its steps are not those of Next alone
    said = [suspect.said for suspect in suspects(place, {"TermIsBelowBound"}, frozenset())]
    assert "in `MCElectionLiveness_bug_no_timer.cfg`" in said
    assert "by `MCElectionLiveness.cfg: MaxTerm = 2`" in said
    assert f"by `{HARMLESS}`" in said


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
        names = {f"in `{config}`"} if config else set()
        for place in () if config else claim.places:
            names |= {suspect.said for suspect in suspects(place, set(), NONE)}
        assert said.said in names, f"{module} {name}: there is no {said.said}"
        assert said.of == fingerprint(claim.places), f"{module} {name}: that was another text"
    assert not [name for name, said in told.items() if said.said == NOTHING]


NONE = frozenset[str]()
