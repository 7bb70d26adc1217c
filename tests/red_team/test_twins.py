"""Somebody edits tla/: the comparison that ships has to see it, at the bounds that ship."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from oneleader.cli.main import cli
from oneleader.models import election, find
from oneleader.readers.explore.graph import Graph
from oneleader.readers.run import Run
from oneleader.readers.tlc import bounds as bounds_file
from oneleader.readers.tlc.bounds import Bounds, deep_bounds_of, full_bounds_of
from oneleader.readers.tlc.coverage import ModelCoverage
from oneleader.readers.tlc.twin import compare, compare_all
from oneleader.verdict import INCONCLUSIVE
from tests.places import TLA

SAME_TERM = r"  /\ votedFor' = [votedFor EXCEPT ![n] = Nil]"

EDITS = {
    "entries are never replaced": (
        *("replication", "Replication.tla", "ReplaceEntries(n, t, prev, last, commit) ==\n  /\\ Receive"),
        "ReplaceEntries(n, t, prev, last, commit) ==\n  /\\ FALSE\n  /\\ Receive",
    ),
    "a commit needs every server": (
        *("replication", "Replication.tla", r"QuorumStores(n, i, q)  == \A v \in q :"),
        r"QuorumStores(n, i, q)  == \A v \in Node :",
    ),
    "an update of the term keeps the vote": (
        *("election", "Election.tla", SAME_TERM),
        r"  /\ UNCHANGED votedFor",
    ),
    "a majority is half": (
        *("election", "MCElection.tla", r"Cardinality(q) = Cardinality(Node) \div 2 + 1"),
        r"Cardinality(q) = (Cardinality(Node) + 1) \div 2",
    ),
    "a majority is two": (
        *("pre_vote", "MCPreVote.tla", r"Cardinality(q) = Cardinality(Node) \div 2 + 1"),
        r"Cardinality(q) = IF Cardinality(Node) = 1 THEN 1 ELSE 2",
    ),
    "a majority of four or five is two": (
        *("election", "MCElection.tla", r"Cardinality(q) = Cardinality(Node) \div 2 + 1"),
        r"Cardinality(q) = IF Cardinality(Node) < 4 THEN Cardinality(Node) \div 2 + 1 ELSE 2",
    ),
    "any two of four members are a majority": (
        *("membership", "Membership.tla", r"2 * Cardinality(q \cap s) > Cardinality(s)"),
        r"2 * Cardinality(q \cap s) > Cardinality(s) \/ (Cardinality(s) > 3 /\ Cardinality(q \cap s) > 1)",
    ),
    "two votes are enough for any number of servers": (
        *("vote_count", "VoteCount.tla", r"2 * tally[n] > Cardinality(Node)"),
        "tally[n] > 1 \\/ 2 * tally[n] > Cardinality(Node)",
    ),
    "a majority that no graph depends on": (
        *("vote_count", "VoteCount.tla", r"Cardinality(q) = Cardinality(Node) \div 2 + 1"),
        r"Cardinality(q) = Cardinality(Node)",
    ),
    "a configuration is left to any other": (
        *("membership", "Membership.tla", "  /\\ IsAdjacent(n, c)\n"),
        "",
    ),
    "a snapshot takes the configuration before its own": (
        *("snapshots", "Snapshots.tla", "From(SubSeq(leaderLog[t], 1, k), k)"),
        "From([SubSeq(leaderLog[t], 1, k) EXCEPT ![k].config = InitialConfig], k)",
    ),
    "a promise is not renewed": (
        *("lease", "Lease.tla", r"sincePromise' = [sincePromise EXCEPT ![voter] = 0]"),
        "sincePromise' = sincePromise",
    ),
    "a resource begins with a token": (
        *("fencing", "Fencing.tla", r"greatest = [r \in Resource |-> 0]"),
        r"greatest = [r \in Resource |-> 1]",
    ),
    "votes without fencing are counted otherwise": (
        *("system", "System.tla", 'THEN pending[n] ELSE greatest'),
        "THEN pending[n] ELSE pending[n]",
    ),
    "a node that fails forgets it": (
        *("flawed/bully", "Bully.tla", 'IF "fail_stop" \\in Assumed THEN Nil ELSE superior[n]'),
        "superior[n]",
    ),
}  # fmt: skip

MORE = {  # right of as many servers, and as long logs, as the small bounds have
    "two votes are enough of three": (
        *("election", "Election.tla", r"== q \subseteq votes[n]"),
        r"== q \subseteq votes[n] \/ \E v, w \in q : v # w /\ {v, w} \subseteq votes[n]",
    ),
    "two pre-votes are enough of three": (
        *("pre_vote", "PreVote.tla", r"== q \subseteq preVotes[n]"),
        r"== q \subseteq preVotes[n] \/ \E v, w \in q : v # w /\ {v, w} \subseteq preVotes[n]",
    ),
    "two stores are enough of three": (
        *("replication", "Replication.tla", r"\A v \in q : acknowledged[v][term[n]] >= i"),
        r"\E v, w \in q : (v = w => q = {v}) /\ \A u \in {v, w} : acknowledged[u][term[n]] >= i",
    ),
    "the end of a log is cut": (
        *("replication", "Replication.tla", r"\o SubSeq(@, last + 1, Len(@))]"),
        r"\o SubSeq(@, last + 1, Min(last + 2, Len(@)))]",
    ),
    "two servers come at once": (
        *("membership", "Membership.tla", r"Cardinality(s \ r) + Cardinality(r \ s) = 1"),
        r"s # r /\ (s \subseteq r \/ r \subseteq s)",
    ),
    "of a joint configuration three servers do not count": (
        *("membership", "Membership.tla", r"\A s \in c : IsMajority(q, s)"),
        r"\A s \in c : IsMajority(q, s) \/ (Cardinality(c) = 2 /\ Cardinality(s) = 3)",
    ),
}  # fmt: skip


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[str, str, str], Path]:
    """Copies tla/ and replaces one text in one module, which has to be there."""

    def edit(file: str, old: str, new: str) -> Path:
        folder = tmp_path / "tla"
        shutil.copytree(TLA, folder)
        text = (folder / file).read_text("utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")
        return folder

    return edit


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_of_the_text_is_seen(edit: str, edited: Callable[[str, str, str], Path]) -> None:
    model, file, old, new = EDITS[edit]
    folder = edited(file, old, new)
    assert any(found.difference for found in compare_all(find(model), folder))


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("edit", MORE)
def test_an_edit_that_few_servers_hide_is_seen_by_more(
    edit: str, edited: Callable[[str, str, str], Path]
) -> None:
    """At the larger bounds; before, each of these texts had equal graphs at all that there were."""
    name, file, old, new = MORE[edit]
    folder, model = edited(file, old, new), find(name)
    assert any(
        compare(model, at.of(model), depth=at.depth, folder=folder).difference
        for at in full_bounds_of(model) + deep_bounds_of(model)
    )


@pytest.mark.usefixtures("tools")
def test_quorums_are_those_of_the_text(edited: Callable[[str, str, str], Path]) -> None:
    """Where the configuration asks for majorities, it is the module's own definition that TLC runs with."""
    folder = edited("MCElection.tla", r"\div 2 + 1", r"\div 2 + 2")
    found = compare(election.MODEL, Bounds({"Node": 3, "Term": 1}).of(election.MODEL), folder=folder)
    assert found.difference == "the quorums are {n1 n2 n3} in TLA+ and {n1 n2} {n1 n3} {n2 n3} in Python"


def test_bounds_that_exercise_too_little_are_inconclusive(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tools: None
) -> None:
    """Two servers and majorities: nobody steps down, since no candidate is left when a leader is elected."""
    few = tmp_path / "bounds.toml"
    few.write_text("[[election.bounds]]\nsizes = { Node = 2, Term = 1 }\n")
    monkeypatch.setattr(bounds_file, "FILE", few)
    bounds_file._file.cache_clear()
    try:
        result = CliRunner().invoke(cli, ["tlc", "election"], standalone_mode=False)
    finally:
        bounds_file._file.cache_clear()
    assert result.return_value == 3
    assert "7 of 8 actions fired" in result.output
    assert "not seen: step_down" in result.output


def test_a_reason_for_what_is_seen_is_out_of_date() -> None:
    model = election.MODEL
    graph = Graph.of(Run(model, Bounds({"Node": 3, "Term": 1}).of(model)))
    coverage = ModelCoverage.of(model, [graph], {"step_down": "it never happens"})
    assert coverage.missing == ["step_down is seen: its reason is out of date"]
    assert coverage.verdict is INCONCLUSIVE
