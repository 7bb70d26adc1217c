"""Mutants of the TLA+ text: what is mutated, who notices a few of them, and that the page is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oneleader.models import find
from oneleader.readers.tlc.bounds import bounds_of
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from workshop import ROOT
from workshop.mutation import tla_judge, tla_table
from workshop.mutation.tla_judge import GRAPH, NOBODY, Noticed, NoticedBefore
from workshop.mutation.tla_mutation import TWINS, TlaMutant, mutants

PAGE = ROOT / tla_table.PAGE
(FENCING, *_) = bounds_of(find("fencing"))


@pytest.mark.parametrize(
    ("model", "what"),
    [
        ("election", "Election.tla/GrantVote: -VoteIsFree(voter, candidate)"),
        ("election", "MCElection.tla/Majority: =→#"),
        ("election", "Election.tla/Init: Nil→0"),
        ("system", "System.tla/TokenIsNotOlder: >=→>"),
        ("replication", r"Replication.tla/QuorumStores: \A→\E"),
    ],
)
def test_what_is_mutated(model: str, what: str) -> None:
    (mutant,) = (m for m in mutants(model) if m.id == f"{model}/{what}")
    original = (ROOT / "tla" / mutant.file).read_text("utf-8")
    assert mutant.text != original
    assert len(mutant.text.splitlines()) <= len(original.splitlines()), "one place, and no more"


def test_every_mutant_has_a_name_of_its_own() -> None:
    for model in TWINS:
        names = [mutant.id for mutant in mutants(model)]
        assert len(names) == len(set(names)) > 40


@pytest.mark.usefixtures("tools")
def test_a_sample_is_noticed_as_the_page_says(tmp_path: Path) -> None:
    """Those of one run of TLC, the twin itself among them: it differs from its model in nothing."""
    every = [m for m in mutants("fencing") if m.goes_with_others and m.definition != "Init"]
    original = (ROOT / "tla" / every[0].file).read_text("utf-8")
    itself = TlaMutant("fencing/itself", "fencing", every[0].file, "Next", original)
    said = tla_judge.judge([*every[::8], itself], FENCING, NoticedBefore(tmp_path / "kept.jsonl"))
    assert said[-1].by == NOBODY
    told = tla_table.read(PAGE)
    assert {s.id: tla_table.became(s.id, s) for s in said[:-1]} == {s.id: told[s.id] for s in said[:-1]}
    assert GRAPH in {s.by for s in said}


def test_none_is_lost_that_has_to_be_judged_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several batches, too; and what was judged once is not judged again."""
    monkeypatch.setattr(tla_judge, "differences", lambda batch, bounds, ours: [None] * len(batch))
    asked = []

    def noticed(mutant: TlaMutant, bounds: object) -> Noticed:
        asked.append(mutant.id)
        return Noticed(mutant.id, tla_judge.shown("fencing", FENCING), GRAPH, "")

    monkeypatch.setattr(tla_judge, "noticed", noticed)
    some = [*mutants("fencing")][: 3 * tla_judge.TOGETHER]
    store = NoticedBefore(tmp_path / "kept.jsonl")
    for _ in range(2):
        assert [s.id for s in tla_judge.judge(some, FENCING, store)] == [m.id for m in some]
    assert sorted(asked) == sorted(m.id for m in some)


def test_what_survives_without_a_reason_fails() -> None:
    said = Noticed("fencing/gone", "", NOBODY, "")
    explained = next(iter(tla_table.reasons()))
    outcomes = [tla_table.became(said.id, said), tla_table.became(explained, said)]
    outcomes += [tla_table.became(explained, Noticed(explained, "", GRAPH, "")), tla_table.became("x", None)]
    assert outcomes == ["survived", "equivalent", "stale", "not judged"]
    assert [*map(tla_table.verdict, outcomes)] == [VIOLATED, HOLDS, VIOLATED, INCONCLUSIVE]


def test_the_page_is_of_the_text_as_it_is() -> None:
    """If it is not: `make tla-mutants`, which judges again what has changed."""
    prints = dict(re.findall(r"^\| ([\w/]+) \| \d+ .* `(\w+)` \|$", PAGE.read_text("utf-8"), re.MULTILINE))
    assert prints == {model: tla_table.digest(model) for model in TWINS}


OPEN = {"membership": 2}  # survivors of each model that nobody has explained


def test_no_more_survive_than_is_known() -> None:
    told = tla_table.read(PAGE)
    assert set(told) == {mutant.id for model in TWINS for mutant in mutants(model)}
    survivors = [id.partition("/")[0] for id, outcome in told.items() if outcome in ("survived", "stale")]
    assert {model: survivors.count(model) for model in survivors} == OPEN
