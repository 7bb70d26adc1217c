"""Mutants of the models: made from data, read by every reader, caught or explained; and the page is right."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from oneleader.errors import SpecError, UsageError
from oneleader.language.configuration import bounded
from oneleader.language.expr import Expr, lift, variable
from oneleader.language.model import Model
from oneleader.language.trace import TracedAction, trace_action
from oneleader.models import MODELS, election
from oneleader.models.election import Term
from oneleader.readers.explore.explore import explore
from oneleader.readers.explore.graph import Graph
from oneleader.readers.prove.prove import prove
from oneleader.readers.run import Run
from oneleader.readers.tlc.coverage import ModelCoverage
from oneleader.verdict import HOLDS, VIOLATED
from tests.places import RESULTS
from workshop.mutation import model_judge as judging
from workshop.mutation import print_mutants, table
from workshop.mutation.command import mutants as command
from workshop.mutation.model_judge import EXPLORED, SAME, SURVIVED, UNEXERCISED, JudgedMutant
from workshop.mutation.model_mutation import as_action, digest, mutants, said, turnings

PAGE = RESULTS / "mutants.md"
DEEP = os.environ.get("ONELEADER_PROFILE") == "deep"
READ = {judged.id: judged for _, judged in print_mutants.read(RESULTS)}


# -- from data back to an action ----------------------------------------------------------------------
@pytest.mark.parametrize("name", MODELS)
def test_an_action_made_from_data_says_the_data(name: str) -> None:
    model = MODELS[name]
    for action in model.actions.values():
        traced = trace_action(model, action)
        again = trace_action(model, as_action(traced))
        assert (again.guards, again.claims, again.params) == (traced.guards, traced.claims, traced.params)
        assert again.updates == traced.updates


@pytest.mark.parametrize("name", EXPLORED)
def test_the_plain_interpreter_does_what_the_data_says(name: str) -> None:
    """In the first few hundred states, histories included."""
    model = MODELS[name]
    copied = replace(model, actions={n: as_action(trace_action(model, a)) for n, a in model.actions.items()})
    ghosts = frozenset(n for n, f in model.fields.items() if f.kind == "ghost")
    at = EXPLORED[name][0].of(model)
    run, other = Run(model, at, ghosts), Run(copied, at, ghosts)
    seen, left = {run.initial}, [run.initial]
    for _ in range(60):
        state = left.pop(0) if left else run.initial
        steps = list(run.steps(state))
        assert list(other.steps(state)) == steps
        new = {after for _, after in steps if after is not None} - seen
        seen |= new
        left += sorted(new)


def test_every_reader_takes_a_mutant() -> None:
    """The counterexamples of `explore` and `prove` are runs of the mutant in the plain interpreter."""
    mutant = judging.find("election/grant_vote/-vote_is_free").model
    explored = explore(mutant, bounded(mutant, nodes=3, terms=1))
    assert explored.violation
    assert explored.violation.what == "granted_is_stored"
    proof = prove(mutant, only=["grant_vote/granted_is_stored"])
    assert proof.rows[0].counterexample


# -- which mutants there are --------------------------------------------------------------------------
t, u = variable("t", Term), variable("u", Term)


@pytest.mark.parametrize(
    ("expr", "turned"),
    [
        (t < u, ["<→<= t <= u"]),
        (t == u, ["==→!= t != u"]),
        (t != u, ["==→!= t == u"]),
        (lift(Term.__name__ != "", bool), []),
    ],
    ids=["<", "==", "!=", "no comparison"],
)
def test_what_is_turned(expr: Expr, turned: list[str]) -> None:
    assert [f"{how} {said(part)}" for how, part in turnings(expr)] == turned


def test_each_guard_and_each_effect_has_a_mutant() -> None:
    for name in EXPLORED:
        found = {m.id: m for m in mutants(MODELS[name])}
        own = {m.action for m in found.values()}
        for action in own:
            traced = trace_action(MODELS[name], MODELS[name].actions[action])
            dropped = [m for m in found.values() if m.action == action and m.kind == "guard"]
            removed = [m for m in found.values() if m.action == action and m.kind == "effect"]
            assert len(dropped) == len(traced.guards)
            assert len(removed) == sum(len(u.writes) or 1 for u in traced.updates.values())
        assert own | {a for a in MODELS[name].actions if a not in own} == MODELS[name].actions.keys()


def test_a_mutant_differs_from_its_model() -> None:
    for name in EXPLORED:
        whole = {a.name: trace_action(MODELS[name], a) for a in MODELS[name].actions.values()}
        for mutant in mutants(MODELS[name]):
            assert parts(mutant.traced) != parts(whole[mutant.action]), mutant.id


def parts(traced: TracedAction) -> list[tuple[str, str]]:
    return [(what, said(expr)) for what, expr in traced.parts()]


def test_what_the_language_refuses_is_no_model() -> None:
    mutant = judging.find("lease/elapse/effect -since_promise")
    with pytest.raises(SpecError, match="it has to advance since_promise"):
        mutant.model  # noqa: B018
    assert judging.judge(mutant).by == judging.REFUSED


def test_a_digest_changes_with_what_is_said(build: Callable[[str], object]) -> None:
    of = digest(election.MODEL)
    assert digest(election.MODEL.without_guard("grant_vote", "vote_is_free")) != of
    assert digest(replace(election.MODEL, witnesses={})) != of
    assert digest(replace(election.MODEL, doc="other words")) == of


# -- what becomes of them -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("id", "by"),
    [
        ("election/grant_vote/-vote_is_free", judging.PROPERTY),
        ("election/receive_vote/effect -votes", judging.WITNESS),
        ("election/step_down/-is_candidate", judging.TWIN),
        ("system/elect/effect -lease", SURVIVED),
    ],
)
def test_who_catches_what(id: str, by: str) -> None:
    assert judging.judge_id(id).by == by


def test_what_survives_unexplained_fails_and_so_does_an_entry_that_is_stale() -> None:
    caught = JudgedMutant("election/grant_vote/-vote_is_free", "guard", "property", "granted_is_stored")
    survivor = replace(caught, by=SURVIVED, what=SAME)
    assert (table.became(caught), table.verdict(caught)) == ("property", HOLDS)
    assert (table.became(survivor), table.verdict(survivor)) == ("survived", VIOLATED)
    known = next(id for id, entry in table.known().items() if not entry.test)
    assert table.became(replace(survivor, id=known)) == "equivalent"
    assert table.verdict(replace(caught, id=known)) == VIOLATED


def test_graphs_that_never_ask_what_was_mutated_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two servers and majorities nobody steps down: a mutant of that has an equal graph, of nothing."""
    (mutant,) = (m for m in mutants(election.MODEL) if m.id == "election/step_down/-is_candidate")
    few = ModelCoverage.of(
        election.MODEL, [Graph.of(Run(election.MODEL, bounded(election.MODEL, nodes=2, terms=1)))]
    )
    assert "step_down" in judging.unexercised(mutant, few)
    assert judging.unexercised(mutant, judging._coverage("election")) == []
    monkeypatch.setattr(judging, "_coverage", lambda name: few)
    by, what = judging._survived(mutant)
    assert (by, what.partition(":")[0]) == (UNEXERCISED, "not seen where graphs were compared")
    explained = next(id for id, entry in table.known().items() if not entry.test)
    judged = JudgedMutant(explained, "guard", by, what)
    assert (table.became(judged), table.verdict(judged)) == (UNEXERCISED, VIOLATED), (
        "no reason makes up for it"
    )


@pytest.mark.parametrize("name", EXPLORED if DEEP else ["election", "fencing", "system"])
def test_what_is_called_equivalent_was_asked(name: str) -> None:
    """At the bounds where its graph was compared the action was taken, and its guard true and false.

    Who judges asks it of every mutant that survives: here of those again whose graphs are small.
    """
    explained = [mutant for mutant in mutants(MODELS[name]) if mutant.id in table.known()]
    coverage = judging._coverage(name)
    assert [m.id for m in explained if judging.unexercised(m, coverage)] == []


def test_the_sample_is_judged_as_the_page_says() -> None:
    """Each dropped guard of a cheap model, and every so many-th mutant of the others."""
    wanted = [id for name in EXPLORED for id in table.sample(name)]
    assert {id: judging.judge_id(id).by for id in wanted} == {id: READ[id].by for id in wanted}


def test_the_page_is_of_the_models_as_they_are() -> None:
    """If it is not: `make mutants`, which judges again what has changed."""
    page = print_mutants.read(RESULTS)
    assert [judged.id for _, judged in page] == [id for name in sorted(table.NAMES) for id in table.ids(name)]
    judged = [(of, j) for of, j in page if j.by != table.UNJUDGED]  # the page says of each that it is not
    stale = {table.part(j.id) for of, j in judged if of != table.digest(table.part(j.id))}
    assert not stale, f"judged of other versions: {', '.join(sorted(stale))}"


def test_the_page_says_how_far_witnesses_are() -> None:
    """A change of these is what tells a mutant by its witness."""
    text = PAGE.read_text("utf-8")
    for line in print_mutants.distances(["election", "vote_count", "fencing"]):
        assert line in text


def test_everything_on_the_page_is_caught_or_explained() -> None:
    wrong = [id for id, judged in READ.items() if table.verdict(judged) != HOLDS]
    assert [id for id in wrong if READ[id].by != table.UNJUDGED] == []
    unjudged = [id for id in wrong if id.startswith(f"{table.CORE}/")]
    assert wrong == unjudged, "of models, all are judged"
    assert not table.known().keys() - READ.keys()


# -- the command --------------------------------------------------------------------------------------
def test_the_command_lists_and_refuses_what_there_is_not() -> None:
    listed = CliRunner().invoke(command, ["fencing", "--list"])
    assert listed.output.splitlines() == table.ids("fencing")
    with pytest.raises(UsageError, match="'paxos' has no mutants: choose from election"):
        CliRunner().invoke(command, ["paxos"], catch_exceptions=False)
    with pytest.raises(UsageError, match="--write is of all models"):
        CliRunner().invoke(command, ["election", "--write"], catch_exceptions=False)


def test_the_command_keeps_what_it_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run judges nothing; one with another model, everything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(table, "sample", lambda name: ["fencing/expire/-lock_is_held"])
    run = ["fencing", "--sample", "--json"]
    first = CliRunner().invoke(command, run, standalone_mode=False)
    assert first.return_value == 0
    (entry,) = json.loads(first.output)
    assert (entry["by"], entry["became"]) == (READ[entry["id"]].by, READ[entry["id"]].by)
    monkeypatch.setattr(judging, "judge_id", lambda id: pytest.fail("judged again"))
    assert CliRunner().invoke(command, run).output == first.output
    monkeypatch.setattr(table, "digest", lambda part: "another")
    with pytest.raises(pytest.fail.Exception):
        CliRunner().invoke(command, run, catch_exceptions=False)


def broken() -> Model:
    """The election with a guard dropped that it needs."""
    return election.MODEL.without_guard("become_leader", "quorum_voted")


def test_a_model_that_is_broken_itself_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "MODELS", {"election": broken()})
    judging.usual.cache_clear()
    with pytest.raises(AssertionError, match="elected_by_quorum broken"):
        judging.usual("election", EXPLORED["election"][0])
    judging.usual.cache_clear()


def test_an_interrupted_search_judges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """explore returns what it has seen: a mutant was caught by what it had not seen yet."""
    stopped = explore(election.MODEL, bounded(election.MODEL, nodes=1, terms=1))
    stopped.why, stopped.exhausted = "interrupted", False
    monkeypatch.setattr(judging, "explore", lambda *_, **__: stopped)
    monkeypatch.setattr(judging, "explore_all", lambda *_, **__: [stopped])
    bounds = EXPLORED["election"][0]
    with pytest.raises(KeyboardInterrupt):
        judging._outcome(election.MODEL, bounds)
    with pytest.raises(KeyboardInterrupt):
        judging._apart(election.MODEL, bounds.of(election.MODEL))
