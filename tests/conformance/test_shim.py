"""A Raft in a child process: driven as one in Python is, and refused in one sentence where it misbehaves."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import cast

import msgspec
import pytest
from click.testing import CliRunner, Result

from oneleader.cli.conform import conform
from oneleader.conformance import shim as shim_module
from oneleader.conformance.shim import (
    SCHEMA,
    HelloAnswer,
    Shim,
    ShimAdapter,
    ShimError,
    StepAnswer,
    last_words,
    plain,
    plainly,
    schema,
)
from tests.places import ROOT


def run(*arguments: str, how: str = "") -> Result:
    shim = [sys.executable, "-m", "tests.conformance.small_shim", how]
    return CliRunner().invoke(conform, [*arguments, "--", *shim], standalone_mode=False)


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PYTHONPATH", "spec:reference:.")


def test_the_correct_one_holds() -> None:
    done = run("--walks", "10", "--seed", "1", "--liveness", "--json")
    assert done.return_value == 0, done.output
    verdicts = json.loads(done.output)["verdicts"]
    assert verdicts == dict.fromkeys(("Figure 3", "election", "replication", "liveness"), "holds")


def test_a_finding_is_saved_played_again_and_stepped_past(tmp_path: Path) -> None:
    asked = ("--walks", "6", "--seed", "1", "--out", str(tmp_path))
    done = run(*asked, how="CountsOneLess")
    assert done.return_value == 1, done.output
    saved, *_ = tmp_path.iterdir()
    again = run("--again", str(saved), how="CountsOneLess")
    assert (again.return_value, json.loads(saved.read_text())["cause"] in again.output) == (1, True)
    assert run("--again", str(saved)).return_value == 0  # the correct one survives the same run
    known: list[str] = []
    while done.return_value == 1:  # each step past shows what else goes wrong
        known += [json.loads(path.read_text())["cause"] for path in tmp_path.iterdir()]
        for path in tmp_path.iterdir():
            path.unlink()
        done = run(*asked, *(word for cause in known for word in ("--known", cause)), how="CountsOneLess")
    assert (done.return_value, len(known) > 1, f"{known[0]}: in " in done.output) == (0, True, True)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("dies", r"ended with status 1 when it was asked .* its last words: out of cheese"),
        ("hangs", r"no answer within 2 seconds"),
        ("prose", r"not JSON: starting the election"),
        ("order", r"answered \d+ when it was asked \d+"),
        ("unknown", r"unknown field 'colour'"),
        ("twice", r"nobody asked for|answered \d+ when it was asked \d+"),  # whichever is seen first
        ("deaf", r"no answer within 2 seconds|ended before it was asked"),
        ("endless", r"a line without an end"),
        ("drips", r"no answer within 2 seconds"),
        ("deep", r"which is no answer"),
        ("nested", r"nested too deeply"),
        ("loud", r"sent 10,001 messages in one step: at most 10,000"),
        ("binary", r"not JSON"),
        ("lies about its role", r"'server.role'"),
        ("lies that it is down", r"no role, and it is up"),
        ("lies about its vote", r"a vote for 'n9', which is no node"),
        ("lies about its term", r"a term below 0"),
        ("lies about its members", r"'n9', which is no node"),
        ("lies about what others store", r"a match index below 0"),
        ("stranger", r"sent a message to 'n9'"),
        ("segfaults", r"ended by SIGSEGV when it was asked"),
        ("latin-1", r"not JSON"),
        ("answers a read that nobody asked for", r"answered a read that no client waits for: \['v1'\]"),
        ("applies what has no index", r"applied an entry with an index below 1"),
    ],
)
def test_a_shim_that_misbehaves_is_refused_in_a_sentence(
    how: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    done = run("--walks", "4", "--seed", "2", "--timeout", "2", how=how)
    assert "Traceback" not in done.output + done.stderr
    assert done.return_value == 2
    assert "sampled: 0 walks" not in done.output  # what was found so far is kept
    assert re.search(said, done.output + done.stderr)


def test_a_child_that_is_left_behind_keeps_nobody_waiting() -> None:
    """It has the pipes, and will not answer."""
    began = time.perf_counter()
    done = run("--walks", "4", "--seed", "1", "--timeout", "50", how="leaves a child")
    assert (done.return_value, time.perf_counter() - began < 40) == (2, True)
    assert "ended with status 3 when it was asked" in done.output + done.stderr


def test_who_answers_may_have_been_started_by_another() -> None:
    """As by `setsid`, which ends at once."""
    assert run("--walks", "2", "--seed", "1", how="launched").return_value == 0


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ("starting\nout of cheese\n\n", "out of cheese"),
        ("panic: no quorum\n\ngoroutine 1 [running]:\nmain.main()\n\t/p.go:9 +0x8c\n", "panic: no quorum"),
        (
            "thread 'main' (7) panicked at p.rs:2:16:\nno quorum\nnote: run with `RUST_BACKTRACE=1`\n",
            "no quorum",
        ),
        (
            'Exception in thread "main" java.lang.Error: no quorum\n\tat P.main(P.java:3)\n',
            "Error: no quorum",
        ),
        ("\x1b[31mred\n", r"\x1b[31mred"),
        ("", ""),
    ],
)
def test_last_words_are_those_that_say_why(errors: str, words: str) -> None:
    assert last_words(errors.encode()).endswith(words)


RUN = {"format": "oneleader run 1", "nodes": 3}


@pytest.mark.parametrize(
    ("event", "wrong"),
    [
        (["deliver", "n1"], "'deliver n1' is no event"),
        ([], "'' is no event"),
        (["fly", "n1"], "'fly n1' is no event"),
        (["overtake", "n1", "n2", "-1"], "it needs a number"),
        (["elapse", "n1"], "it needs a number"),
        (["transfer", "n1", "n2"], "has no method transfer"),
    ],
)
def test_an_event_that_is_none(event: list[str], wrong: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(RUN | {"events": [event]}))
    done = run("--again", str(tmp_path / "run.json"))
    assert (done.return_value, wrong in done.output + done.stderr) == (2, True)


def test_runs_are_played_one_at_a_time(tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    for path in (one, other):
        path.write_text(json.dumps(RUN | {"events": [["timeout", "n1"]]}))
    assert f"{other} is another one" in str(run("--again", str(one), str(other)).exception)
    assert "one run at a time" in str(run("--again", str(one), "--again", str(other)).exception)


def test_a_shim_that_logs_fills_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """And its last words are read all the same."""
    monkeypatch.setattr(shim_module, "MOST_ERRORS", 10_000)
    talks = "import sys\nfor line in sys.stdin:\n print('x' * 5000, file=sys.stderr, flush=True)\n"
    talks += """ print('{' + line[1:].partition(',')[0] + ',"version":1,"can":[]}', flush=True)"""
    with Shim([sys.executable, "-c", talks]) as shim:
        for _ in range(20):
            shim.ask("hello", HelloAnswer)
        assert os.fstat(shim.errors.fileno()).st_size <= 20_000
        assert str(shim._wrong("is done")).endswith("x ...")


def test_a_slow_one_ends_with_its_time() -> None:
    """A walk of some 200 steps would take 20 seconds."""
    began = time.perf_counter()
    done = run("--minutes", "0.03", how="slow")
    assert (done.return_value, time.perf_counter() - began < 15) == (3, True)
    assert "there was not enough time to take the same steps twice" in done.output


@pytest.mark.parametrize("option", ["--minutes", "--timeout"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "soon"])
def test_a_time_that_is_none(option: str, value: str) -> None:
    done = CliRunner().invoke(conform, [option, value, "--", "true"])
    assert (done.exit_code, "Traceback" in done.output) == (2, False)
    assert option in done.output


def test_what_cannot_be_started() -> None:
    with pytest.raises(ShimError, match="cannot start the shim"):
        Shim(["/no/such/shim"])


def test_a_file_that_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    assert "is not a run" in str(run("--again", str(tmp_path / "run.json")).exception)


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ({"id": 1}, ""),
        ({}, "it lacks 'id'"),
        ([], "expected 'object', got 'array'"),
        ({"id": True}, "in 'id', expected 'int', got 'bool'"),
        ({"id": 1, "server": {"term": 1, "voted_for": None}}, "in 'server', it lacks 'role'"),
        ({"id": 1, "server": {"term": 1, "voted_for": None, "role": "boss"}}, "in 'server.role', invalid"),
        ({"id": 1, "sent": [{"to": 3, "message": {}}]}, "in 'sent[0].to', expected 'str'"),
        ({"id": 1, "applied": [["x", 1]]}, "expected 'int', got 'str'"),
        ({"id": 1, "colour": "red"}, "it has an unknown field 'colour'"),
    ],
)
def test_answers_are_held_against_the_schema(answer: object, wrong: str) -> None:
    found = ""
    try:
        msgspec.json.decode(json.dumps(answer), type=StepAnswer)
    except msgspec.ValidationError as error:
        found = plainly(error)
    assert wrong in found if wrong else not found


def test_a_message_is_handed_on_as_it_was_written() -> None:
    """Whatever JSON may say in it: a number of 30 digits, 1.10, keys in any order."""
    message = b'{"b":1.10,"a":%d}' % 10**30
    line = b'{"id":1,"sent":[{"to":"n2","message":%s}]}' % message
    (sent,) = msgspec.json.decode(line, type=StepAnswer).sent
    assert msgspec.json.encode(sent.message) == message
    assert ShimAdapter.describe(cast(ShimAdapter, None), sent.message).startswith('{"a":1000')


def test_values_that_are_written_differently_differ() -> None:
    values = json.loads('[true, 1, "true", "1", [1], "[1]", [true], {"a": [1]}, null, "", 1e30]')
    values.append([10**30])
    assert len(set(map(plain, values))) == len(values)
    assert plain({"a": 1, "b": 2}) == plain({"b": 2, "a": 1})
    assert plain(1) == plain(1.0)  # one number, which some languages write so and some so


def test_the_schema_for_others_is_the_one_that_judges() -> None:
    assert json.loads(SCHEMA.read_text("utf-8")) == schema()
