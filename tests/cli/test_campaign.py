"""`oneleader campaign`: what it prints, its exit status, Ctrl-C and an end without warning; its page."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from oneleader.cli import main as cli
from tests.places import DOCS
from tests.sessions import unlike

PAGE = (DOCS / "campaigns.md").read_text()
SESSIONS = re.findall(r"```console\n\$ oneleader (.*)\n((?:.*\n)*?)```", PAGE)
SMALL = ("--nodes", "3", "--terms", "3", "--chunk", "20")


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of one campaign."""
    old = sys.argv
    sys.argv = ["oneleader", "campaign", *arguments]
    try:
        with pytest.raises(SystemExit) as exit_:
            cli.main()
    finally:
        sys.argv = old
    told = capsys.readouterr()
    assert isinstance(exit_.value.code, int)
    return exit_.value.code, told.out, told.err


def without_time(out: str) -> dict[str, Any]:
    return {name: value for name, value in json.loads(out).items() if name != "seconds"}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counterexamples are written below the working folder."""
    monkeypatch.chdir(tmp_path)


def test_walks_one_after_the_other_and_on_every_core_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("walk", *SMALL, "--runs", "200", "--seed", "7", "--json")
    status, alone, err = run(*arguments, capsys=capsys)
    assert (status, err) == (0, "")
    status, spread, err = run(*arguments, "--cluster", capsys=capsys)
    assert (status, err) == (0, "")
    assert without_time(alone) == without_time(spread)
    assert (without_time(alone)["runs"], without_time(alone)["jobs"]) == (200, 10)


def test_the_same_command_goes_on_from_its_journal(capsys: pytest.CaptureFixture[str]) -> None:
    """Also with the seed that was drawn."""
    arguments = ("walk", *SMALL, "--runs", "60", "--journal", "journal.ndjson")
    first = run(*arguments, capsys=capsys)[1]
    with Path("journal.ndjson").open("a") as file:
        file.write('{"key": "to')
    status, again, err = run(*arguments, capsys=capsys)
    assert (status, err) == (0, "journal  1 line of journal.ndjson cannot be read\n")
    assert "3 jobs, 3 of them from the journal" in again
    assert again.splitlines()[:-1] == first.splitlines()[:-1]
    status, more, _ = run(*arguments[:-4], "--runs", "100", *arguments[-2:], capsys=capsys)
    assert (status, "5 jobs, 3 of them from the journal" in more) == (0, True)


def test_a_violation_is_printed_saved_and_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("walk", "--fault", "no-quorum", "--runs", "50", "--seed", "1", capsys=capsys)
    assert status == 1
    assert re.search(r"FAIL  run \d+: \w+ +\d+ steps", out)
    (saved,) = re.findall(r"again  oneleader replay (\S+)", out)
    old, sys.argv = sys.argv, ["oneleader", "replay", saved]
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    sys.argv = old
    assert (exit_.value.code, "become_leader" in capsys.readouterr().out) == (1, True)


def test_a_sweep_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("explore", "--nodes", "2,3", "--terms", "1,2", "--property", "ElectionSafety")
    status, out, _ = run(*arguments, capsys=capsys)
    assert status == 0
    rows = re.findall(r"ok    (\d nodes, \d quorums?, \d terms?)  ", out)
    each = [(n, t) for n in ("2 nodes, 1 quorum", "3 nodes, 3 quorums") for t in ("1 term", "2 terms")]
    assert rows == [", ".join(one) for one in each]


def test_a_sweep_in_which_an_action_is_never_possible_is_inconclusive(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, out, _ = run(
        "explore", "--nodes", "2", "--terms", "1,2", "--property", "ElectionSafety", capsys=capsys
    )
    assert (status, "never possible within the bounds of any: step_down" in out) == (3, True)


def test_each_violation_of_a_sweep_is_saved(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("explore", "--fault", "no-quorum", "--nodes", "3", "--terms", "1,2", capsys=capsys)
    assert status == 1
    assert out.count("FAIL") == 2
    saved = re.findall(r"again  oneleader replay (\S+)", out)
    assert len(saved) == 2
    assert all(Path(path).is_file() for path in saved)


def test_a_configuration_that_stops_early_is_inconclusive(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("explore", "--nodes", "3", "--terms", "2", "--max-states", "500", capsys=capsys)
    assert (status, "????" in out, "stopped at 500 states" in out) == (3, True, True)


ADAPTER = """
from beside import Base

class Mine(Base):
    pass

class Other:
    pass
"""
BESIDE = "from oneleader.conformance.adapter import ReferenceAdapter as Base\n"


def test_a_hunt_in_an_adapter_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(ADAPTER)
    (tmp_path / "beside.py").write_text(BESIDE)
    status, out, _ = run(
        "conform", "mine.py:Mine", "--examples", "20", "--chunk", "10", "--seed", "1", capsys=capsys
    )
    assert (status, "conform  mine.py:Mine  3 nodes, 6 terms   seed 1" in out) == (0, True)
    status, _, err = run("conform", "mine.py:Other", capsys=capsys)
    assert (status, "give reference, or FILE.py:CLASS" in err) == (2, True)


def test_a_hunt_finds_a_fault_of_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run("conform", "--fault", "vote-twice", "--seed", "1", capsys=capsys)
    assert status == 1
    assert "FAIL  grant_vote: vote_is_free (Figure 2, RequestVote receiver 2)" in out
    assert re.search(r"again  check_conformance\(\.\.\., nodes=3, .*seed=\d+\)", out)


BAD_INPUT = [
    (["walk", "paxos"], "there is no model 'paxos'"),
    (["walk", "nowhere.py"], "there is no model file nowhere.py"),
    (["conform", "nowhere.py:Mine"], "there is no file"),
    (["walk", "--nodes", "2,3"], "walks have one configuration"),
    (["walk", "--nodes", "three"], "'three' is no number and no list of numbers"),
    (["walk", "--chunk", "0"], "0 is not in the range"),
    (["walk", "--runs", "99999999", "--chunk", "1"], "more than 100,000 jobs: give a larger --chunk"),
    (["walk", "--journal", "no/such/folder/j"], "cannot use no/such/folder/j: No such file or directory"),
    (["explore", "--property", "Liveness"], "election has no property liveness"),
    (["explore", "--nodes", "2,0"], "Node=0 cannot be indexed"),
    (["explore", "--quorums", "n1, n2"], "breaks the axiom quorums_intersect"),
    (["conform", "gremlin"], "there is no adapter gremlin: give reference, or FILE.py:CLASS"),
    (["conform", "--fault", "gremlins"], "there is no fault 'gremlins'"),
    (["conform", "--nodes", "0"], "0 is not in the range"),
    (["walk", "--cluster", "somewhere"], "no Dask scheduler at somewhere: an address is tcp://HOST:PORT"),
    (["walk", "--cluster", "http://127.0.0.1:1"], "an address is tcp://HOST:PORT"),
    (["walk", "--cluster", "tcp://127.0.0.1:1"], "no Dask scheduler at tcp://127.0.0.1:1: [Errno"),
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


def test_without_dask_one_sentence_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    status, out, err = run("walk", "--cluster", "local", capsys=capsys)
    said = "a cluster needs Dask, which is not installed: pip install 'oneleader[dask]'"
    assert (status, out, err) == (2, "", f"oneleader: {said}\n")
    assert run("walk", *SMALL, "--runs", "40", "--seed", "1", capsys=capsys)[0] == 0


# -- how it ends -------------------------------------------------------------------------------------
def begun(journal: Path) -> subprocess.Popen[str]:
    """A long campaign on a cluster, in a process group of its own, with some jobs done."""
    program = "from oneleader.cli.main import main; main()"
    long = [*SMALL, "--runs", "100000", "--seed", "3", "--cluster", "local", "--journal", str(journal)]
    settings = {"NO_COLOR": "1", "TMPDIR": str(journal.parent)}
    settings["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    child = subprocess.Popen(
        [sys.executable, "-c", program, "campaign", "walk", *long],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | settings,
    )
    deadline = time.perf_counter() + 240  # Dask starts slowly on a busy machine
    while not journal.exists() or journal.read_text().count("\n") < 4:
        assert time.perf_counter() < deadline
        assert child.poll() is None, child.communicate()
        time.sleep(0.05)
    return child


def members(group: int) -> list[int]:
    """The processes of a group that are there and no zombies."""
    psutil = pytest.importorskip("psutil")
    alive = [p.pid for p in psutil.process_iter(["status"]) if p.info["status"] != psutil.STATUS_ZOMBIE]
    return [pid for pid in alive if _group(pid) == group]


def gone(group: int) -> bool:
    """No process is left; they may take a moment to notice that they are alone."""
    deadline = time.perf_counter() + 20
    while members(group) and time.perf_counter() < deadline:
        time.sleep(0.1)
    return members(group) == []


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def test_ctrl_c_keeps_what_is_done_and_leaves_no_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As from a terminal: every process of the group gets it."""
    journal = tmp_path / "journal.ndjson"
    child = begun(journal)
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=240)
    assert child.returncode == 130
    (done,) = re.findall(r"\?\?\?\?  ([\d,]+) of 5,000 jobs are done: interrupted", out)
    assert f"{int(done) * 20:,} runs" in out
    assert all(" jobs" in line or "goes on from" in line for line in err.splitlines()), err
    assert gone(child.pid)

    kept = journal.read_text().count("\n") - 1
    assert kept - int(done) in (0, 1)  # 1: it came while a line was being written
    few = str(min(int(done) // 2, 5) * 20)  # a shorter campaign: its jobs are those done first
    shorter = ("walk", *SMALL, "--runs", few, "--seed", "3", "--json")
    resumed = run(*shorter, "--journal", str(journal), capsys=capsys)[1]
    assert without_time(resumed) == without_time(run(*shorter, capsys=capsys)[1])


def test_an_end_without_warning_leaves_no_process(tmp_path: Path) -> None:
    child = begun(tmp_path / "journal.ndjson")
    assert len(members(child.pid)) > 1
    child.kill()
    child.communicate(timeout=240)
    assert gone(child.pid)


# -- the page ----------------------------------------------------------------------------------------
def test_the_page_shows_what_the_commands_print(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line that it shows, in its order; lines between them may be left out."""
    assert len(SESSIONS) >= 4
    for command, shown in SESSIONS:
        _, out, err = run(*command.split()[1:], capsys=capsys)
        assert unlike(out, shown) is None, f"$ oneleader {command}\n{unlike(out, shown)}\n{out}{err}"


def test_parameters_are_swept_like_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    times = ("--size", "lease=1", "--size", "promise=1,2", "--size", "slow=1", "--size", "fast=1")
    _, out, _ = run("explore", "lease", "--nodes", "2", "--terms", "1", *times, capsys=capsys)
    assert "lease 1, promise 1, slow 1, fast 1" in out
    assert "lease 1, promise 2, slow 1, fast 1" in out
