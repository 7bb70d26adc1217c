"""The command line: what it prints, its exit status, and one sentence for bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from oneleader.cli import main as cli
from oneleader.readers.run import Run
from tests.places import RECORDINGS
from tests.sessions import unlike


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of one command."""
    old = sys.argv
    sys.argv = ["oneleader", *arguments]
    try:
        with pytest.raises(SystemExit) as exit_:
            cli.main()
    finally:
        sys.argv = old
    told = capsys.readouterr()
    assert isinstance(exit_.value.code, int)
    return exit_.value.code, told.out, told.err


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counterexamples are written below the working folder."""
    monkeypatch.chdir(tmp_path)


def test_explore_says_what_holds_and_how_strongly(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("explore", "election", capsys=capsys)
    assert status == 0
    assert "2,467 states (orbits of 6)" in out
    assert "ok    ElectionSafety                      exhaustive to 3 nodes, 3 quorums, 2 terms" in out
    assert "witness ARestartBetweenVoteAndReply  reached at depth 6" in out


def test_a_counterexample_is_printed_saved_and_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("explore", "--fault", "no-quorum", capsys=capsys)
    assert status == 1
    assert "FAIL  ElectionSafety                      4 steps" in out
    last = out.partition("\n4  become_leader(n=")[2]
    assert ": candidate -> leader" in last
    assert "not so for t=1, a=n1, b=n2" in last
    saved = "runs/no-quorum-election-safety.jsonl"
    assert f"again  oneleader replay {saved}" in out

    status, out, _ = run("replay", saved, capsys=capsys)
    assert status == 1
    assert "line 4: become_leader(n=" in out
    assert "quorum_voted (section 5.2: majority)" in out

    status, out, _ = run("replay", saved, "--fault", "no-quorum", capsys=capsys)
    assert (status, ") is false: " in out) == (1, True)  # a property refuses it: no guard does


def test_a_limit_is_inconclusive(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("explore", "--max-states", "500", capsys=capsys)
    assert status == 3
    assert "????  ElectionSafety                      stopped at 500 states" in out


def test_an_unreached_witness_is_inconclusive(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("explore", "--nodes", "3", "--terms", "1", capsys=capsys)
    assert status == 3
    assert "????  witness TwoLeadersOfDifferentTerms  not reached within the bound" in out


def test_prove_prints_a_grid(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("prove", capsys=capsys)
    assert status == 0
    assert "64 of 64 proved for any cluster size" in out


def test_prove_shows_two_states_and_the_step_between(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("prove", "--fault", "vote-twice", capsys=capsys)
    assert status == 1
    assert "FAIL  grant_vote × GrantedIsStored  not inductive" in out
    assert "voted_for[n1]: n1 -> n2" in out
    assert "this is false: granted_is_stored(" in out


def test_walk_prints_its_seed_and_every_action(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("walk", "--runs", "20", capsys=capsys)
    seed = out.partition("seed ")[2].split()[0]
    assert (status, seed.isdigit()) == (0, True)
    again = run("walk", "--runs", "20", "--seed", seed, capsys=capsys)[1]
    steps = [line for line in out.splitlines() if " times" in line]
    assert steps == [line for line in again.splitlines() if " times" in line]


def test_walk_names_an_action_that_never_fired(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run("walk", "--nodes", "1", "--seed", "1", "--runs", "5", capsys=capsys)
    assert "step_down                  never" in out


@pytest.mark.parametrize("name", ["etcd-raft-example", "etcd-rawnode-3-nodes"])
def test_real_recordings_are_accepted(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(RECORDINGS / f"{name}.ndjson.gz")
    status, out, _ = run("replay", "--format", "etcd", path, capsys=capsys)
    assert (status, "accepted" in out, "not modelled:" in out) == (0, True, True)


def test_what_is_not_modelled_is_inconclusive(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(RECORDINGS / "etcd-rawnode-5-nodes-prevote-checkquorum.ndjson.gz")
    status, out, _ = run("replay", path, capsys=capsys)
    assert (status, "BecomePreCandidate" in out) == (3, True)


def test_settings_prints_a_row_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("settings", "flawed/bully", "--size", "Node=2", capsys=capsys)
    rows = [line.split() for line in out.splitlines()[3:]]
    assert (status, len(rows)) == (0, 8)
    assert rows[0][:5] == ["on", "on", "on", "holds", "holds"]
    assert rows[4][:5] == ["off", "on", "on", "8", "steps"]


def test_settings_where_something_is_not_reached_is_inconclusive(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("settings", "flawed/bully", "--size", "Node=1", capsys=capsys)
    assert (status, "never" in out) == (3, True)


def test_a_counterexample_under_a_setting_is_replayed_under_it(capsys: pytest.CaptureFixture[str]) -> None:
    broken = ("explore", "system", "--where", "off=terms", "--property", "NoStaleWrite", "--out", "runs")
    status, out, _ = run(*broken, capsys=capsys)
    assert (status, "off terms" in out) == (1, True)
    file = Path("runs/system-no-stale-write.jsonl")
    status, out, _ = run("replay", str(file), capsys=capsys)
    assert (status, ") is false: " in out) == (1, True)
    without = file.read_text().replace('"off": [["terms"]]', '"off": []')
    assert without != file.read_text()
    file.write_text(without)
    status, out, _ = run("replay", str(file), capsys=capsys)
    assert (status, ") is false: " in out) == (1, False)  # a guard does already


@pytest.mark.parametrize("name", ["pre_vote", "replication"])
def test_a_recording_may_be_judged_by_another_model(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    recording = RECORDINGS / "etcd-rawnode-5-nodes-prevote-checkquorum.ndjson.gz"
    status, out, _ = run("replay", str(recording), "--model", name, capsys=capsys)
    assert (status, f"accepted  etcd recording, model {name}" in out) == (0, True)


def test_json_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["explore", "--terms", "1"],
        ["prove", "lock"],
        ["walk", "--runs", "3", "--seed", "1"],
        ["settings", "flawed/bully", "--size", "Node=1"],
    ):
        _, out, _ = run(*arguments, "--json", capsys=capsys)
        assert json.loads(out)


BAD_INPUT = [
    (["explore", "paxos"], "there is no model 'paxos': choose from election, vote_count, pre_vote"),
    (["explore", "--fault", "gremlins"], "there is no fault 'gremlins': choose from no-quorum,"),
    (["explore", "--property", "Liveness"], "election has no property liveness: choose from granted_once,"),
    (["explore", "--nodes", "0"], "Node=0 cannot be indexed: give a size from 1 to 1000"),
    (["explore", "--terms", "-1"], "Term=-1 cannot be indexed"),
    (["explore", "--nodes", "9", "--terms", "900"], "can be indexed: choose smaller bounds"),
    (["explore", "--terms", "99999999"], "cannot be indexed"),
    (["explore", "--nodes", "three"], "'three' is not a valid integer"),
    (["explore", "--quorums", "n1, n2"], "breaks the axiom quorums_intersect(p={n1}, q={n2})"),
    (["explore", "--quorums", "n7"], "quorum 'n7' names no node of n1, n2, n3"),
    (["explore", "--size", "Node"], "--size Node is not of the form SORT=N"),
    (["explore", "lock"], "lock needs a size for Client"),
    (["explore", "nowhere.py"], "there is no model file nowhere.py"),
    (["prove", "--only", "elect"], "election has no obligation 'elect'"),
    (["walk", "--runs", "0"], "0 is not in the range"),
    (["tlc", "--config", "No.cfg"], "There is no file"),
    (["tlc", "lock", "--size", "Client=1", "--size", "Token=1"], "the model lock has no TLA+ twin"),
    (["replay", "nowhere.ndjson"], "there is no file nowhere.ndjson: give the path of a recording, or"),
    (["replay", "nowhere.ndjson", "--model", "paxos"], "there is no model 'paxos'"),
    (["settings", "election"], "election has no switches"),
    (["explore", "system", "--where", "off=clocks"], "'clocks' is no value of Switch here"),
    (["explore", "--where", "member=n1"], "member[Node, Quorum] takes 2 values and 'n1' has 1"),
    (["faults", "show", "x"], "there is no fault 'x'"),
    (["fly"], "No such command 'fly'"),
]


@pytest.mark.parametrize(
    ("arguments", "said"), BAD_INPUT, ids=lambda a: " ".join(a) if isinstance(a, list) else ""
)
def test_bad_input_is_one_sentence_and_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(*arguments, capsys=capsys)
    assert (status, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


BAD_TRACES = {
    "prose": ("hello\n", "line 1: this is not valid JSON: 'hello'"),
    "other": ('{"a": 1}\n', "line 1: this is no format known here"),
    "cut": ('{"event": {"name": "InitState", "nid": "1", "sta', "cut off in the middle"),
}


@pytest.mark.parametrize("kind", BAD_TRACES)
def test_bad_traces(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, said = BAD_TRACES[kind]
    (tmp_path / "trace").write_text(text)
    status, _, err = run("replay", "trace", capsys=capsys)
    assert (status, said in err, len(err.splitlines())) == (2, True, 1)


def test_an_output_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    status, out, err = run("explore", "--fault", "no-quorum", "--out", "taken", capsys=capsys)
    assert status == 2
    assert "FAIL  ElectionSafety" in out  # what was computed is not lost
    assert "cannot write the counterexample to taken/no-quorum-election-safety.jsonl" in err


def test_without_java_one_sentence_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ONELEADER_TLA2TOOLS", "/nowhere/tla2tools.jar")
    status, _, err = run("tlc", capsys=capsys)
    assert (status, err) == (2, "oneleader: ONELEADER_TLA2TOOLS names no file: /nowhere/tla2tools.jar.\n")


def test_ctrl_c_keeps_what_was_found() -> None:
    """A long exploration, interrupted: status 130, the results so far, no traceback."""
    command = [str(Path(sys.executable).parent / "oneleader"), "explore", "--terms", "4", "--no-symmetry"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    ) as child:
        assert child.stderr is not None
        seen = child.stderr.readline()  # the first line of progress: it is well under way
        assert " states " in seen
        child.send_signal(signal.SIGINT)
        started = time.perf_counter()
        out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert time.perf_counter() - started < 30
    assert "ElectionSafety                      interrupted" in out
    assert "Traceback" not in err


def helps(group: click.Group, name: str = "oneleader") -> Iterator[str]:
    """The help of a group of commands, 80 columns wide, and of the groups in it."""
    context = click.Context(group, info_name=name, terminal_width=80)
    yield group.get_help(context)
    for command in (group.get_command(context, name) for name in group.list_commands(context)):
        if isinstance(command, click.Group):
            yield from helps(command, str(command.name))


def test_each_one_line_help_fits_80_columns() -> None:
    pages = list(helps(cli.cli))
    assert len(pages) >= 4
    listed = [page.partition("Commands:")[2].partition("Examples:")[0].splitlines() for page in pages]
    assert sum(map(len, listed)) >= 25
    assert [line for lines in listed for line in lines if line.endswith("...")] == []
    too_long = click.Command("x", help=f"A line that goes on {'and on ' * 10}.")
    assert "..." in next(helps(click.Group("y", commands=[too_long])))


def test_where_sets_a_constant_and_size_refuses_it(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run("explore", "system", "--size", "off=terms", capsys=capsys)
    assert (status, "off is a constant of system and has no size: use --where off=terms" in err) == (2, True)
    status, _, err = run("explore", "system", "--where", "on=terms", capsys=capsys)
    assert (status, "system has no constant on: its constants are " in err) == (2, True)
    status, _, err = run("explore", "system", "--where", "off", capsys=capsys)
    assert (status, "--where off is not of the form CONSTANT=NAMES" in err) == (2, True)


def test_prove_sums_up_and_shows_the_grid_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    _, summary, _ = run("prove", "lock", "--no-hints", capsys=capsys)
    _, grid, _ = run("prove", "lock", "--no-hints", "--grid", capsys=capsys)
    assert ("milliseconds" in summary, "milliseconds" in grid) == (False, True)
    assert "  ok    " in summary


def test_engines_that_disagree_are_an_alarm(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Run, "violated", lambda *_: None)  # the plain interpreter never sees a violation
    status, _, err = run("explore", "--fault", "vote-twice", capsys=capsys)
    assert (status, "the engines disagree on" in err, "Traceback" in err) == (3, True, False)


def test_a_session_that_leaves_out_a_line_says_so() -> None:
    out = "first\nsecond  0.1 s\nthird\n"
    assert unlike(out, "first\nsecond\nthird\n") is None
    assert unlike(out, "first\n...\nthird\n") is None
    assert unlike(out, "first\nthird\n") == "third"
    assert unlike(out, "first\nsecond\n") == "more was printed: third"
    assert unlike(out, "...\nfourth\n") == "fourth"


@pytest.mark.parametrize(("also", "status"), [((), 1), (("--shrink",), 2)])
def test_a_refused_recording_may_come_through_a_pipe(
    also: tuple[str, ...], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is read once: there is no picture of it, and no shortest part."""
    header = {"format": "oneleader", "version": 1, "model": "election", "nodes": ["n1"]}
    learns = {"node": "n1", "event": "x", "actions": [["update_term", {"n": "n1", "t": 5}]]}
    end, other = os.pipe()
    os.write(other, f"{json.dumps(header)}\n{json.dumps(learns)}\n".encode())
    os.close(other)
    found, out, err = run("replay", f"/dev/fd/{end}", *also, capsys=capsys)
    os.close(end)
    assert found == status
    assert ("is a pipe: save it as a file first" in err) if also else ("no picture" in out)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("replay",), "ok    accepted  oneleader recording, model election"),
        (("trace", "lint"), ""),
        (("trace", "merge"), '"format": "oneleader"'),
        (("linearizable",), "the first line"),
    ],
)
def test_a_dash_is_standard_input(command: tuple[str, ...], said: str) -> None:
    header = {"format": "oneleader", "version": 1, "model": "election", "nodes": ["n1"]}
    stands = {"node": "n1", "event": "x", "term": 1, "role": "candidate"}
    text = f"{json.dumps(header)}\n{json.dumps(stands)}\n"
    found = subprocess.run(
        [Path(sys.executable).with_name("oneleader"), *command, "-"],
        input=text,
        capture_output=True,
        text=True,
    )
    is_history = command == ("linearizable",)
    assert found.returncode == (2 if is_history else 0), found.stderr
    assert said in found.stdout or (is_history and "`oneleader replay` judges" in found.stderr)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(", "own.py:1: SyntaxError: '(' was never closed"),
        ("\nimport nothing\n", "own.py:2: ModuleNotFoundError: No module named 'nothing'"),
        ("import json\njson.loads('')\n", "own.py:2: JSONDecodeError: Expecting value: line 1"),
        ("1 / 0\n", "own.py:1: ZeroDivisionError: division by zero"),
        ("import next_to_own\n", "next_to_own.py:2: NameError: name 'nobody' is not defined"),
    ],
)
def test_a_model_that_python_cannot_run_is_told_with_its_line(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.py").write_text(text)
    (tmp_path / "next_to_own.py").write_text("\nnobody\n")
    status, _, err = run("explore", str(tmp_path / "own.py"), capsys=capsys)
    assert status == 2
    assert said in err


def test_a_fault_of_ours_is_shown_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where a model's file has led to it."""
    (tmp_path / "own.py").write_text("from oneleader.words import title\ntitle(1)\n")
    with pytest.raises(AttributeError):
        run("explore", str(tmp_path / "own.py"), capsys=capsys)


def test_check_is_quick_or_deep(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run("check", "--quick", "--deep", capsys=capsys)
    assert (status, "--quick and --deep exclude each other" in err) == (2, True)
