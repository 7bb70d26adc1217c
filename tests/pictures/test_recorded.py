"""Recordings, TLC's traces and proofs as stories, and the commands that draw them."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from oneleader import models
from oneleader.cli import main as cli
from oneleader.cli.counterexamples import save
from oneleader.conformance.adapter import ReferenceAdapter
from oneleader.conformance.machine import EVENTS, NotConforming, conformance_machine
from oneleader.faults.catalogue import FAULTS, variant
from oneleader.pictures import pages
from oneleader.pictures.recorded import of_file
from oneleader.pictures.stories import of_counterexample, of_run
from oneleader.pictures.traced import of_tlc
from oneleader.readers.explore.explored import Violation
from oneleader.readers.prove.prove import prove
from oneleader.readers.run import Run
from oneleader.readers.tlc import tlc
from oneleader.shipped import tla_folder
from tests.places import RECORDINGS

Find = Callable[[str], tuple[Run, Violation]]
ETCD = RECORDINGS / "etcd-rawnode-3-nodes.ndjson.gz"


def run(*arguments: str) -> int:
    """The command line's exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["oneleader", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(str(ended.value.code))


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A counterexample as `explore` leaves it."""
    monkeypatch.chdir(tmp_path)
    assert run("explore", "--fault", "vote-cleared") == 1
    assert "see    runs/vote-cleared-election-safety.html" in capsys.readouterr().out
    return Path("runs/vote-cleared-election-safety.jsonl")


def test_a_saved_run_is_drawn_as_it_was_found(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "<h1>" in saved.with_suffix(".html").read_text()
    story = of_file(saved)
    assert (story.wrong_row, story.wrong_lanes) == (12, {"n1", "n3"})
    assert "ElectionSafety is violated" in story.wrong
    assert [r.number for r in story.rows] == list(range(13))
    assert run("picture", str(saved)) == 0
    assert "n3 becomes the leader of term 1" in capsys.readouterr().out
    for name in ("a.svg", "b.html", "c.txt"):
        assert run("picture", str(saved), "--out", name) == 0
        assert "ElectionSafety" in Path(name).read_text()
        assert f"see  {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", models.FLAWED)
def test_what_was_saved_tells_the_same_story(name: str, violation: Find, tmp_path: Path) -> None:
    """Told from the states of a run with bounds, and from the recording, judged again without any."""
    run, found = violation(name)
    told = of_run(run, found)
    again = of_file(save(tmp_path, run.model, run, found, None))
    assert (again.lanes, again.arrows) == (told.lanes, told.arrows)
    for one, other in zip(again.rows, told.rows, strict=True):
        assert replace(one, call="", changes=()) == replace(other, call="", changes=())
    assert (again.wrong, again.wrong_row, again.wrong_lanes) == (told.wrong, told.wrong_row, told.wrong_lanes)


def test_a_refused_run_ends_at_the_refusal(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("replay", str(saved)) == 1
    page = Path("runs/vote-cleared-election-safety-refused.html")
    assert f"see    {page}" in capsys.readouterr().out
    assert "The model election refuses step_down" in page.read_text()
    story = of_file(saved, model=models.find("election"))
    assert (story.wrong_row, story.wrong_lanes) == (8, {"n2"})
    assert "is_candidate" in story.because
    assert story.rows[-1].label == "refused: n2 hears n1, which leads term 1"
    assert story.rows[-1].after == story.rows[-2].after


def test_what_cannot_be_drawn_is_refused_all_the_same(
    saved: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "FOLDER", saved)  # a file, where a folder is wanted
    assert run("replay", str(saved)) == 1
    assert "no picture: cannot write the picture to" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--rows", "5"), "--rows 5 is not of the form A:B"),
        (("--rows", "80:90"), "there are no rows 80:90: the run has rows 0 to 12"),
        (("--out", "a.gif"), "no picture is made as 'gif'"),
    ],
)
def test_bad_input_is_a_sentence(
    saved: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    capsys.readouterr()
    assert run("picture", str(saved), *arguments) == 2
    assert says in capsys.readouterr().err


def test_a_file_that_is_no_recording_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("", "{}\n", "no json\n", '{"format": "oneleader", "version": 1, "model": "no such"}\n'):
        file = tmp_path / "bad.jsonl"
        file.write_text(text)
        assert run("picture", str(file)) == 2
        said = capsys.readouterr().err
        assert said.startswith("oneleader: ")
        assert len(said.splitlines()) == 1


def test_too_many_rows_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("picture", str(ETCD), "--rows", "1:2000") == 2
    assert "rows: at most 400 can be drawn" in capsys.readouterr().err


def test_a_recording_of_etcd_is_drawn() -> None:
    story = of_file(ETCD)
    assert not story.wrong
    assert [lane.name for lane in story.lanes] == ["n1", "n2", "n3"]
    assert len(story.rows) == 1775  # not 3,437: what is sent to several is one row, what is only stored none
    shown = story.fitting()
    assert len(shown.rows) <= 60
    received = [a for a in story.arrows if a.received is not None]
    assert len(received) == 623  # every line that receives something
    assert all(a.sent < a.received for a in received if a.received is not None)


def test_a_message_that_is_read_within_its_row_is_not_lost(tmp_path: Path) -> None:
    """The line shows a leader: it asked, n2 voted and told it so before it won, in one row."""
    header = {"format": "oneleader", "version": 1, "model": "election", "nodes": ["n1", "n2", "n3"]}
    won = {"node": "n1", "event": "wins", "term": 1, "role": "leader", "votes": ["n1", "n2"]}
    heard = {"node": "n3", "event": "hears", "term": 1, "role": "follower"}
    file = tmp_path / "won.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in (header, won, heard)))
    story = of_file(file)
    within = {(a.source, a.to) for a in story.arrows if a.sent == a.received == 1}
    assert within == {("n1", "n2"), ("n2", "n1")}
    assert {a.to for a in story.arrows if a.is_lost and a.label != "AppendEntries"} <= {"n3"}


def test_a_line_that_is_refused_is_the_violation(tmp_path: Path) -> None:
    """Somebody becomes the leader without a vote."""
    with gzip.open(ETCD, "rt") as packed:
        lines = packed.readlines()
    at = next(i for i, line in enumerate(lines) if "BecomeCandidate" in line)
    record = json.loads(lines[at])
    record["event"] |= {"name": "BecomeLeader", "role": "StateLeader"}
    file = tmp_path / "wrong.ndjson"
    file.write_text("".join([*lines[: at + 1], json.dumps(record) + "\n"]))
    story = of_file(file)
    assert story.wrong_row == at + 2
    assert "become_leader" in story.wrong
    assert "quorum_voted" in story.because
    assert story.rows[-1].number == at + 2


def test_a_step_that_keeps_no_invariant_is_drawn() -> None:
    proof = prove(FAULTS["vote-cleared"].model, only=["step_down/granted_is_stored"])
    (row,) = [r for r in proof.rows if r.counterexample]
    assert row.counterexample
    story = of_counterexample(row.counterexample)
    assert [r.number for r in story.rows] == [0, 1]
    assert story.rows[0].label == "a state that satisfies the invariants"
    assert story.wrong.startswith("GrantedIsStored is not kept: a vote of the current term")


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("config", ["MCElection_bug_vote_cleared.cfg", "MCFencing_bug_no_comparison.cfg"])
def test_a_trace_of_tlc_is_drawn_with_the_arguments_that_it_leaves_out(config: str) -> None:
    path = tla_folder() / config
    result = tlc.run(tla_folder() / f"{path.stem.partition('_')[0]}.tla", path)
    story = of_tlc(path, result)
    assert len(story.rows) == len(result.trace)
    assert story.wrong.startswith(f"TLC finds {result.violated} violated")
    assert all("(" in r.call for r in story.rows[1:]), [r.call for r in story.rows]
    assert any(a.received is not None for a in story.arrows)


def test_a_failure_of_the_conformance_test_is_drawn() -> None:
    """Driven by hand: what Hypothesis does, it does more slowly."""
    faulty = partial(ReferenceAdapter, core=variant("no-quorum"))
    machine, rng = conformance_machine(faulty)(), random.Random(1)

    def drive() -> None:
        while len(machine.steps) < 500:
            machine.happens(rng.choice(EVENTS), rng.randrange(9), rng.randrange(8))

    with pytest.raises(NotConforming) as failed:
        drive()
    machine.teardown()
    story = failed.value.story
    assert story.wrong.startswith("This does not conform: become_leader: quorum_voted")
    assert [r.call for r in story.rows[1:]] == failed.value.steps
    assert [r.number for r in story.rows] == list(range(len(failed.value.steps) + 1))
    assert story.rows[-1].after[story.rows[-1].lane].role == "leader"
    assert any(a.received for a in story.arrows)
