"""Mutants of the TLA+ text: what is mutated, who notices a few of them, and that the page is right."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from oneleader.models import find
from oneleader.readers.tlc.bounds import bounds_of
from oneleader.readers.tlc.config import module_of
from oneleader.readers.tlc.printed import Result, TlcStep, UncheckedError
from oneleader.readers.tlc.twin import Compared
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from workshop import ROOT
from workshop.mutation import tla_batch, tla_judge, tla_table
from workshop.mutation.tla_judge import GRAPH, NOBODY, Noticed, NoticedBefore
from workshop.mutation.tla_mutation import TWINS, TlaMutant, mutants, used_by

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


def test_a_batch_in_which_tlc_stops_at_many_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are left are judged alone, and none is called equal."""
    some, runs = [*mutants("fencing")][:6], []

    def stopped(of: list[TlaMutant], bounds: object, ours: object) -> list[str]:
        runs.append([mutant.id for mutant in of])
        raise UncheckedError("no tuple", [TlcStep("Init", {"mutant": 0})])

    monkeypatch.setattr(tla_batch, "_differences", stopped)
    assert tla_batch.differences(some, FENCING, tla_judge.ours("fencing", FENCING)) == [None] * 6
    assert [len(run) for run in runs] == [6, 5, 4]


@pytest.mark.parametrize(("found", "by"), [(0, NOBODY), (1, GRAPH), (-1, GRAPH)])
def test_of_a_large_graph_the_states_are_counted_first(
    found: int, by: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And where they are as many as explore's, the whole graphs are compared."""
    expected = tla_judge.ours("fencing", FENCING)
    said = Result(None, len(expected.states) + found, 1_000, 9, 1.0, ())
    compared = []
    monkeypatch.setattr(tla_judge, "LARGE", 0)
    monkeypatch.setattr(tla_judge.tlc, "run", lambda *of, **named: said)
    monkeypatch.setattr(
        tla_judge, "compare", lambda *of, **named: compared.append(of) or Compared(expected, 1.0, 1.0)
    )
    assert tla_judge.noticed(mutants("fencing")[0], FENCING).by == by
    assert len(compared) == (by == NOBODY)


@pytest.mark.usefixtures("tools")
def test_what_tlc_cannot_parse_counts_for_nothing() -> None:
    mutant = TlaMutant("fencing/x", "fencing", "Fencing.tla", "Next", "---- MODULE Fencing ----\n~~\n====\n")
    said = tla_judge.noticed(mutant, FENCING)
    assert said.by == tla_judge.UNREAD, said.what
    row = tla_table._row("fencing", [(mutant, said), (mutant, replace(said, by=GRAPH))], "")
    assert row == "| fencing | 2 | 2 | 1: graph 1 | 0 | 1 unread | 100 % |  |"


def test_what_survives_without_a_reason_fails() -> None:
    said = Noticed("fencing/gone", "", NOBODY, "")
    explained = next(iter(tla_table.reasons()))
    outcomes = [tla_table.became(said.id, said), tla_table.became(explained, said)]
    outcomes += [tla_table.became(explained, Noticed(explained, "", GRAPH, "")), tla_table.became("x", None)]
    assert outcomes == ["survived", "equivalent", "stale", "not judged"]
    assert [*map(tla_table.verdict, outcomes)] == [VIOLATED, HOLDS, VIOLATED, INCONCLUSIVE]


def test_the_page_is_of_the_text_as_it_is() -> None:
    """If it is not: `make tla-mutants`, which judges again what has changed."""
    text = PAGE.read_text("utf-8")
    assert dict(tla_table.PRINT.findall(text)) == {model: tla_table.digest(model) for model in TWINS}
    said = {part.partition("\n")[0]: tla_table.BOUNDS.findall(part) for part in text.split("\n## ")[1:]}
    at = {model: [tla_judge.shown(model, b) for b in tla_table.judged_at(model)] for model in TWINS}
    assert said == {model: [(str(i), b) for i, b in enumerate(of, 1)] for model, of in at.items()}


def test_a_fingerprint_is_that_of_every_module_that_is_used() -> None:
    names = {
        model: [file.stem for file in used_by(module_of(find(model)))] for model in ("pre_vote", "membership")
    }
    assert names == {
        "pre_vote": ["Election", "MCPreVote", "PreVote"],
        "membership": ["Election", "MCMembership", "Membership", "Replication"],
    }


def test_a_run_goes_on_from_the_page(tmp_path: Path) -> None:
    """What it says of every mutant, and at which bounds, is known again: the same page comes of it."""
    models = ("fencing",)
    store = NoticedBefore(tmp_path / "none.jsonl", tla_table.told(PAGE, models))
    found = {model: tla_table.judged(model, store, 1, kept=True) for model in models}
    again = tla_table.page(found, store)
    text = PAGE.read_text("utf-8")
    for model in models:
        of = re.search(rf"^## {model}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        assert of
        assert of[0].rstrip() in again


def test_of_another_text_the_page_says_nothing(tmp_path: Path) -> None:
    text = PAGE.read_text("utf-8").replace(tla_table.digest("fencing"), "0" * 16)
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    models = ("fencing", "vote_count")
    keys = {key[0].partition("/")[0] for key, _ in tla_table.told(tmp_path / "page.md", models)}
    assert keys == {"vote_count"}


def test_what_was_noticed_once_is_not_compared_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even at the bounds before those where it was noticed."""
    mutant, at = mutants("fencing")[0], bounds_of(find("fencing"))
    said = Noticed(mutant.id, tla_judge.shown("fencing", at[1]), GRAPH, "")
    store = NoticedBefore(tmp_path / "none.jsonl", [(tla_judge.key_of(mutant, said.at), said)])
    monkeypatch.setattr(tla_judge, "judge", lambda left, bounds, store, workers: [*map(pytest.fail, left)])
    assert tla_judge.first([mutant], at, store) == [said]


OPEN: dict[str, int] = {}  # survivors of each model that nobody has explained


def test_no_more_survive_than_is_known() -> None:
    told = tla_table.read(PAGE)
    assert set(told) == {mutant.id for model in TWINS for mutant in mutants(model)}
    survivors = [id.partition("/")[0] for id, outcome in told.items() if outcome in ("survived", "stale")]
    assert {model: survivors.count(model) for model in survivors} == OPEN
