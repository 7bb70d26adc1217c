"""What replay forgets: memory does not grow with the messages, and nothing forgotten is judged."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from oneleader.models import find
from oneleader.readers.replay.candidates import LineRefused, NotModelled, OpenRun
from oneleader.readers.replay.compiled import CompiledRun, program_of
from oneleader.readers.replay.formats import forgetting
from oneleader.readers.replay.formats.own import OwnFormat
from oneleader.readers.replay.replay import replay_lines
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from workshop.benchmarks.bench_replay import NODES, heartbeats, line, lines

MOST = 8
LONG = 180  # lines: more than what is kept
Line = dict[str, Any]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "MOST", MOST)


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


def test_memory_does_not_grow_with_the_recording() -> None:
    def peak(recording: Iterator[str]) -> int:
        tracemalloc.start()
        assert replay_lines(recording).verdict is HOLDS
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(lines("lease", 50))  # what is compiled once
    assert peak(lines("lease", 4 * LONG)) < 1.1 * peak(lines("lease", LONG))
    assert peak(iter(messages(4 * LONG))) < 1.1 * peak(iter(messages(LONG)))
