"""What replay forgets: memory does not grow with the messages, and nothing forgotten is judged."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

import pytest

from oneleader.models import find
from oneleader.models.election import Term
from oneleader.readers.replay import rows
from oneleader.readers.replay.candidates import LineRefused, NotModelled, OpenRun
from oneleader.readers.replay.compiled import CompiledRun, program_of
from oneleader.readers.replay.formats import forgetting
from oneleader.readers.replay.formats.own import OwnFormat
from oneleader.readers.replay.replay import replay_lines
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from workshop.benchmarks import mixed_run
from workshop.benchmarks.bench_replay import NODES, heartbeats, line, lines

MOST = 8
MOST_TERMS = 4
LONG = 180  # lines: more than what is kept
Line = dict[str, Any]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "MOST", MOST)
    monkeypatch.setattr(forgetting, "MOST_TERMS", MOST_TERMS)


def of_lease(steps: int, *more: Line) -> list[Line]:
    header = json.loads(next(lines("lease", 0)))
    return [header, *islice(heartbeats(), steps), *more]


def judged(recording: list[Line], run: type[OpenRun]) -> tuple[str, OwnFormat]:
    """Refused, inconclusive or neither, and all that was read."""
    format = OwnFormat(recording[0], None, 1, run=run)
    try:
        for said in recording[1:]:
            format.judge(said)
    except (LineRefused, NotModelled) as why:
        return type(why).__name__, format
    return "", format


def acknowledged(k: int, voter: str = "n2") -> Line:
    return line(voter, ("acknowledge", {"voter": voter, "leader": "n1", "t": 1, "k": f"r{k}"}))


def messages(n: int, *more: Line) -> list[str]:
    """A node that sends so many messages and shows nothing else of interest, and other lines."""
    header = {"format": "oneleader", "version": 1, "model": "election", "nodes": NODES}
    said = [{"node": "n1", "event": "a", "term": 0, "sends": [f"m{i}"]} for i in range(n)]
    return [json.dumps(record) for record in (header, *said, *more)]


def received(name: str) -> Line:
    return {"node": "n2", "event": "a", "term": 0, "receives": [name]}


@pytest.mark.parametrize(
    ("sent", "name", "verdict"),
    [
        (MOST, "m0", HOLDS),
        (MOST, "m99", VIOLATED),
        (LONG, f"m{LONG - MOST}", HOLDS),
        (LONG, "m0", INCONCLUSIVE),  # it was sent
        (LONG, "never", INCONCLUSIVE),  # it was not, and nobody knows that any more
    ],
)
def test_a_message_of_long_ago_is_neither_allowed_nor_refused(sent: int, name: str, verdict: object) -> None:
    found = replay_lines(messages(sent, received(name)))
    assert found.verdict is verdict, found.summary()
    assert verdict is not INCONCLUSIVE or name in found.why
    assert any("not used again" in said for said in found.rests_on) == (sent == LONG)


def test_rounds_are_forgotten_and_the_rest_of_the_state_is_not() -> None:
    later = [line("n1", ("give_up", {"n": "n1"})), line("n2", ("restart", {"n": "n2"}))]
    for more in ([], later):
        forgets, keeps = (judged(of_lease(LONG, *more), run) for run in (CompiledRun, OpenRun))
        assert (forgets[0], keeps[0]) == ("", "")
        one, other = forgets[1].run.shared_cells(), keeps[1].run.shared_cells()
        kinds = program_of(find("lease"), history=True).kinds
        unlike = {*kinds, *forgets[1].run.lost}
        assert {name for name, _ in other.keys() - one.keys()} - unlike == {"sent", "acknowledged"}
        same = [n for n in one if n[0] not in kinds and n[0] not in forgetting.OF_ROUNDS]
        assert [one[n] for n in same] == [other[n] for n in same]
        assert ("interrupted", "n2") in one or not more, "a promise that a restart forgets is noticed"


@pytest.mark.parametrize(
    ("last", "plain", "forgetful"),
    [
        (acknowledged((LONG - 8) // 5), "", ""),
        (acknowledged(1), "", "NotModelled"),
        (acknowledged(10**6), "LineRefused", "NotModelled"),
        (acknowledged(10**6, "n1"), "LineRefused", "NotModelled"),
        (line("n1", ("send_heartbeat", {"n": "n2", "k": "r1"})), "LineRefused", "LineRefused"),
        (line("n1", ("give_up", {"n": "n1"}), sent={"1": ["r9"]}), "LineRefused", "NotModelled"),
        (line("n1", ("give_up", {"n": "n1"}), since_sent={"r1": 7}), "LineRefused", "NotModelled"),
        (line("n1", ("give_up", {"n": "n1"}), sent={"1": {"r1": False}}), "LineRefused", "NotModelled"),
    ],
)
def test_what_is_said_of_a_forgotten_round_is_open(
    last: Line, plain: str, forgetful: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = of_lease(LONG, last)
    assert judged(recording, CompiledRun)[0] == forgetful
    monkeypatch.setattr(forgetting, "MOST", LONG)
    assert judged(recording, CompiledRun)[0] == plain


# -- terms ------------------------------------------------------------------------------------------------
TERM = 13  # lines of an election
VOTE = {"voter": "n2", "candidate": "n3", "t": 2}


def of_terms(terms: int, *more: Line) -> list[Line]:
    return [*map(json.loads, lines("election", terms * TERM)), *more]


@pytest.mark.parametrize(
    ("last", "plain", "forgetful"),
    [
        (line("n2", ("grant_vote", VOTE | {"t": 10})), "LineRefused", "LineRefused"),
        (line("n2", ("grant_vote", VOTE)), "LineRefused", "LineRefused"),
        (line("n2", ("update_term", {"n": "n2", "t": 1})), "LineRefused", "LineRefused"),
        (line("n1", ("restart", {"n": "n1"}), requested={"10": True}), "", ""),
        (line("n1", ("restart", {"n": "n1"}), requested={"2": True}), "LineRefused", "NotModelled"),
        (line("n3", ("restart", {"n": "n3"}), heartbeat=[2, 7]), "", "NotModelled"),
    ],
)
def test_no_step_of_a_forgotten_term_is_possible(last: Line, plain: str, forgetful: str) -> None:
    forgets, keeps = (judged(of_terms(10, last), run) for run in (CompiledRun, OpenRun))
    assert (keeps[0], forgets[0]) == (plain, forgetful)
    requested, all_requested = ({t for _, t in of.run.shared["requested"]} for _, of in (forgets, keeps))
    assert requested == {6, 7, 8, 9, 10} < all_requested


def test_the_guard_that_forbids_a_step_of_a_forgotten_term_is_named() -> None:
    stale = of_terms(10, line("n2", ("grant_vote", VOTE)))
    found = replay_lines(json.dumps(said) for said in stale)
    assert found.refusal
    assert "term_is_current" in found.refusal.text


@pytest.mark.parametrize("name", forgetting.OldTerms.MODELS)
def test_a_step_of_a_term_that_all_have_left_is_forbidden_by_its_term(name: str) -> None:
    """Those that none of the guards forbid are inconclusive."""
    open_ones = {"pre_vote": {"tell_term"}}
    actions = [a for a in find(name).actions.values() if Term in dict(a.params).values()]
    unguarded = {a.name for a in actions if not {g.name for g in a.guards} & {*forgetting.NOT_OF_OLD_TERMS}}
    assert unguarded == open_ones.get(name, set())


def test_what_was_told_in_a_forgotten_term_is_open() -> None:
    header = {"format": "oneleader", "version": 1, "model": "pre_vote", "nodes": ["n1"]}
    q = {"n": "n1", "q": ["n1"]}
    elected = [("start_pre_vote", {"n": "n1"}), ("start_election", q), ("restart", {"n": "n1"})]
    run = [header, *[line("n1", step) for _ in range(10) for step in elected]]
    told = line("n1", ("tell_term", {"n": "n1", "sender": "n1", "t": 1}))
    assert [judged([*run, told], of)[0] for of in (OpenRun, CompiledRun)] == ["", "NotModelled"]


def test_the_history_of_a_proved_model_is_kept_for_some_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "MOST_STATES", LONG)
    long, short = (judged([*map(json.loads, lines("replication", n))], CompiledRun)[1] for n in (400, LONG))
    assert long.run.lost > short.run.lost
    assert not any(long.run.shared[name] for name in long.run.lost)
    assert any(short.run.shared[name] for name in long.run.lost - short.run.lost)


def test_entries_that_all_have_discarded_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a row of entries is kept in pieces of two."""
    for name, n in (("BITS", 1), ("SIZE", 2), ("MASK", 1)):
        monkeypatch.setattr(rows, name, n)
    monkeypatch.setattr(mixed_run, "COMPACT_EVERY", 5)
    monkeypatch.setattr(mixed_run, "KEPT", dict.fromkeys(NODES, 3))
    recording = [*map(json.loads, lines("snapshots, mixed", 600))]
    leader = next(n for n in NODES if recording[1]["node"] == n)
    log = line(leader, ("client_request", {"n": leader, "value": "v"}), leader_log_term={"1": {"9": 1}})
    del log["after"]["leader_log_term"]
    asked = log | {"after": {"leader_log_term": {"1": {"9": 1}}}}
    assert judged([*recording, log], CompiledRun)[0] == ""
    found, format = judged([*recording, asked], CompiledRun)
    assert found == "NotModelled"
    (row,) = format.run.shared["leader_log_value"].values()
    assert isinstance(row, rows.NumberRow)
    assert min(row.chunks) > 20


def test_memory_does_not_grow_with_the_recording() -> None:
    def peak(recording: Iterator[str]) -> int:
        tracemalloc.start()
        assert replay_lines(recording).verdict is HOLDS
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    for recording in (partial(lines, "lease"), partial(lines, "election"), messages):
        peak(iter(recording(LONG)))  # what is compiled once
        assert peak(iter(recording(4 * LONG))) < 1.1 * peak(iter(recording(LONG)))
