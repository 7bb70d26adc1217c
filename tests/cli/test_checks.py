"""`oneleader check --quick`, whole: everything holds, and a failing part is not hidden."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from inspect import signature
from pathlib import Path

import pytest

from oneleader import models
from oneleader.campaigns.fault_table import READERS
from oneleader.cli import checks as check
from oneleader.cli import print_checks
from oneleader.cli.check_row import CheckRow, status
from oneleader.cli.check_rows import (
    breaking,
    comparing,
    configured,
    drawing,
    exploring,
    fault_row,
    handling,
    proving,
    switched_off,
    twinning,
    walking,
)
from oneleader.conformance.handlers.running import ANY, HANDLERS, WITH_CHANGES
from oneleader.errors import MissingTool
from oneleader.faults.catalogue import FAULTS
from oneleader.faults.fault import Because
from oneleader.models import election
from oneleader.readers.earlier import Texts
from oneleader.readers.tlc import tlc
from oneleader.shipped import recordings
from oneleader.verdict import HOLDS, INCONCLUSIVE, NOT_EXPRESSIBLE, VIOLATED
from oneleader_raft import raft
from tests.places import ROOT

NO_BOUNDS = {"ghosts", "small", "breaks", "together", "depth"}
NO_ROWS = {"environment", "lock"}  # each is explored by its tests, and by the study of trade-offs


# What other tests ask: of these readers the check that takes least is made here; `make check` makes all.
ASKED_ELSEWHERE = {
    "prove": "tests/models/test_proofs.py",
    "cvc5": "tests/readers/prove/test_second.py",
    "explore": "tests/models",
    "handlers": "tests/conformance/handlers",
    "hypothesis": "tests/conformance/reference",
    "settings": "tests/models/test_system.py",
}


@pytest.mark.slow("every twin is compared, at all its bounds, on all cores: a minute")
def test_everything_holds() -> None:
    """Of the models, the reference and the recordings; tests/faults asks every reader about every fault."""
    try:
        tlc.find_java(), tlc.find_jar()
    except MissingTool as missing:
        pytest.skip(str(missing))
    assert all((ROOT / tests).exists() for tests in ASKED_ELSEWHERE.values())
    wanted = [one for one in check.chosen(quick=True) if not one.model.startswith("fault ")]
    wanted += [
        one for one in check.CHECKS if one.when == check.DEEP and twinning in getattr(one.rows, "args", ())
    ]
    checks = [one for one in wanted if one.reader not in ASKED_ELSEWHERE]
    checks += [
        min((one for one in wanted if one.reader == reader), key=lambda one: one.seconds)
        for reader in ASKED_ELSEWHERE
    ]
    with closing(check.done(checks)) as doing:
        rows = check.in_order(checks, dict(doing))
    assert status(rows, interrupted=False) == 0
    assert {row.verdict for row in rows} == {HOLDS}, [r for r in rows if r.verdict is not HOLDS]
    assert all(row.strength for row in rows)


@pytest.mark.parametrize("how", ["quick", "", "deep"])
def test_nothing_is_left_out(how: str) -> None:
    """Each model, each fault, each handler and each recording, by the readers there are."""
    checks = check.chosen(quick=how == "quick", deep=how == "deep")
    titles = {(one.model, one.reader) for one in checks}
    assert {name for name, _ in titles} >= {*models.MODELS, *(f"fault {id}" for id in FAULTS)} - NO_ROWS
    assert {reader for _, reader in titles} >= {
        *("explore", "prove", "tlc", "walk", "refine", "hypothesis", "handlers", "replay", "settings")
    }
    handlers = len([one for one in checks if one.reader == "handlers"])
    if how == "deep":
        assert {(f"fault {id}", reader) for id in FAULTS for reader in READERS} <= titles
        assert handlers == len(HANDLERS) + len(WITH_CHANGES)
    elif not how:
        of_changes = {id for id, fault in FAULTS.items() if check.when_judged(fault, "tlc") == check.DEEP}
        assert "several-at-once" in of_changes
        assert "vote-twice" not in of_changes
        kept = {(f"fault {id}", reader) for id in {*FAULTS} - of_changes for reader in READERS}
        assert kept | {(f"fault {id}", "prove") for id in of_changes} <= titles
        assert handlers == len(HANDLERS)
    judged = [one.rows for one in checks if one.reader == "replay" and one.model in models.MODELS]
    assert {rows.args[2]["recording"] for rows in judged if isinstance(rows, partial)} == {*recordings()}


def test_what_is_left_to_deep_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    left = check.left_to_deep(["snapshots", "several-at-once"])
    print_checks.summary([], deep=left, seconds=0.1)
    more = "faults hypothesis (1), faults tlc (1), snapshots explore (1), snapshots tlc (3)"
    assert f"--deep adds 6 checks that take longest: {more}" in capsys.readouterr().out
    assert not check.left_to_deep(["lease_read"])


@pytest.mark.parametrize("id", FAULTS)
def test_quick_asks_some_reader_that_can_tell(id: str) -> None:
    fault = FAULTS[id]
    of_readers = {
        "explore": fault.explore,
        "prove": fault.prove,
        "tlc": fault.tlc,
        "hypothesis": fault.variant,
        "simulate": fault.unlive,
        "replay": fault.refused,
    }
    assert of_readers.keys() == set(READERS)
    assert any(not isinstance(of_readers[reader], Because) for reader in check.quick_readers(fault))


def test_every_check_can_be_sent_to_another_process() -> None:
    assert [one.title for one in pickle.loads(pickle.dumps(check.CHECKS))] == [c.title for c in check.CHECKS]


def test_the_bounds_of_every_check_make_sense() -> None:
    """Without doing any: a slip in the list is seen at once, not after minutes."""
    for one in check.CHECKS:
        if not (isinstance(one.rows, partial) and one.rows.func.__name__ == "_found"):
            continue
        rows, name, bounds = one.rows.args
        signature(rows).bind(models.find(name), **bounds)
        if rows in (exploring, comparing, breaking, switched_off):
            configured(models.find(name), **{k: v for k, v in bounds.items() if k not in NO_BOUNDS})


def ends(status: int) -> CheckRow:
    os._exit(status)


def test_a_process_that_dies_costs_its_own_row_only() -> None:
    dies = check.Check("a model", "explore", partial(ends, 9), 2.0)
    says_nothing = check.Check("a model", "walk", list, 1.5)
    lives = check.of("election", exploring, 1.0, nodes=2, terms=1, small=True, ghosts=False)
    rows = dict(check.done([lives, dies, says_nothing], workers=2))
    assert [row.verdict for row in rows[lives]] == [HOLDS]
    (died,), (silent,) = rows[dies], rows[says_nothing]
    assert (died.verdict, died.detail) == (INCONCLUSIVE, "its process ended early, with status 9")
    assert (silent.verdict, silent.detail) == (INCONCLUSIVE, "it came to no result")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONELEADER_CACHE", str(tmp_path))
    return tmp_path


def small() -> check.Check:
    return check.of("lock", exploring, 1.0, sizes={"Client": 2, "Token": 2}, small=True)


def made_of(one: check.Check) -> list[CheckRow]:
    ((_, rows),) = check.done([one], workers=1, cached=True)
    return rows


def test_what_an_earlier_run_found_in_the_same_texts_is_not_checked_again(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = made_of(small()), made_of(small())
    assert [replace(row, is_earlier=True) for row in first] == second
    assert not any(row.is_earlier for row in first)
    print_checks.summary(second, seconds=0.1)
    assert f"{len(first)} of them by an earlier run that read the same: --no-cache" in capsys.readouterr().out
    ((_, afresh),) = check.done([small()], workers=1)
    assert not any(row.is_earlier for row in afresh)
    monkeypatch.setattr(check.ON_MODELS, "hash", "one letter is another")
    assert not any(row.is_earlier for row in made_of(small()))


def test_what_another_tlc_has_answered_is_not_taken_for_the_answer_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, the jar that ONELEADER_TLA2TOOLS names was no part of what an answer is known by."""
    hashes = [Texts({}).hash]
    for number, text in enumerate((b"one", b"another")):
        jar = tmp_path / str(number) / "tla2tools.jar"
        jar.parent.mkdir()
        jar.write_bytes(text)
        monkeypatch.setenv("ONELEADER_TLA2TOOLS", str(jar))
        hashes += [Texts({}).hash]
    assert len({*hashes}) == 3


def test_what_does_not_hold_is_checked_each_time(own_cache: Path) -> None:
    fails = check.of("flawed/incident", exploring, 1.0, nodes=2, small=True)
    for _ in range(2):
        rows = made_of(fails)
        assert VIOLATED in {row.verdict for row in rows}
        assert not any(row.is_earlier for row in rows)


def test_no_two_checks_are_taken_for_one_another() -> None:
    asked = [(one.model, one.reader, repr(check.told(one.rows))) for one in check.CHECKS]
    assert len({*asked}) == len(asked) > 500


LOADED = r"""
files = {getattr(m, "__file__", None) for name, m in sys.modules.items() if name.startswith("oneleader")}
print(*filter(None, files), sep="\n")
"""
OF_READERS = r"""
import sys, pkgutil, importlib
from oneleader import models, readers
for package in (models, readers):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
"""
OF_ALL = r"""
import sys
from oneleader.cli.checks import CHECKS
for reader in ("explore", "prove", "hypothesis", "simulate", "replay"):
    next(c for c in CHECKS if c.reader == reader and c.model.startswith("fault ") and c().pop().seconds)
"""


@pytest.mark.parametrize(
    ("script", "texts"), [(OF_READERS, check.ON_MODELS), (OF_ALL, check.ON_ALL)], ids=["models", "all"]
)
def test_a_check_reads_nothing_else(script: str, texts: Texts) -> None:
    """All that is loaded of the two packages is among the texts that its rows are known by."""
    done = subprocess.run([sys.executable, "-c", script + LOADED], capture_output=True, text=True, check=True)
    loaded = {Path(line).resolve() for line in done.stdout.split()}
    assert len(loaded) > 100
    assert sorted(loaded - {file.resolve() for file in texts.files()}) == []


def test_what_is_left_is_estimated_by_what_was_done() -> None:
    left = check.Left([10.0, 10.0, 20.0], workers=2)
    assert left.after([]) == 20
    left.ended(0, 20.0)  # twice as long as it should
    assert left.after([]) == 30


SCRIPT = """
import time
from functools import partial
from inspect import signature
from oneleader.cli import checks, main
small = checks.of("election", checks.exploring, 9, nodes=2, terms=1, small=True, ghosts=False)
checks.CHECKS = (
    small,
    checks.Check("lease", "explore", small.rows, 8),
    checks.Check("lease", "walk", partial(time.sleep, 60), 1),
)
main.main()
"""


@pytest.mark.slow("a child imports everything and starts its workers")
def test_ctrl_c_shows_what_is_done() -> None:
    """With status 130, at once, and with the half-done line of the table."""
    command = [sys.executable, "-c", SCRIPT, "check", "--workers", "1", "--no-cache"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as child:
        assert child.stdout
        first = child.stdout.readline()
        time.sleep(2)
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does: to every process
        rest, errors = child.communicate(timeout=240)
    assert first.split()[:2] == ["ok", "election"]
    assert "explore, 1 of 2 checks done" in rest
    assert "interrupted: the rest was not checked" in rest
    assert (child.returncode, "Traceback" in errors) == (130, False)


def test_the_table_groups_what_belongs_together(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        CheckRow("lease", "explore", "", HOLDS, "exhaustive, 2 nodes", 1.0),
        CheckRow("lease", "explore", "", HOLDS, "exhaustive, 3 nodes", 1.0),
        CheckRow("lease", "prove", "9 of 10", INCONCLUSIVE, "proved for all", 1.0, "not proved: x/y"),
    ]
    print_checks.group_line("lease", rows, "")
    print_checks.summary(rows, seconds=3.0)
    said = capsys.readouterr().out
    assert said.splitlines()[0].split() == ["????", "lease", "3.0", "s", "explore", "2"]
    assert "not proved: x/y" in said
    assert re.search(r"explore +exhaustive +lease \(2 times\)", said)
    assert "proved for all" not in said.partition("what holds")[2]  # nothing is claimed that was not shown


def test_a_broken_model_is_seen_by_each_row() -> None:
    broken = election.MODEL.without_guard("grant_vote", "vote_is_free")
    rows = [
        *exploring(broken, nodes=2, terms=1),
        proving(broken, ""),
        walking(broken, nodes=3, terms=3, runs=50),
    ]
    assert status(rows, interrupted=False) == 1
    assert {row.reader for row in rows if row.verdict is VIOLATED} == {"explore", "prove", "walk"}


def test_a_missing_tool_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONELEADER_TLA2TOOLS", "/nowhere.jar")
    row = comparing(election.MODEL, nodes=2, terms=1)
    assert (row.verdict, status([row], interrupted=False)) == (INCONCLUSIVE, 3)


def test_an_unreached_witness_is_inconclusive() -> None:
    first, *_ = exploring(election.MODEL, nodes=3, terms=1)
    assert (first.verdict, "two_leaders" in first.detail) == (INCONCLUSIVE, True)


def test_a_fault_that_one_reader_cannot_express_is_decided_by_another() -> None:
    found = CheckRow("fault x", "explore", "", HOLDS, "", 0.0, kind="fault")
    unsaid = replace(found, reader="prove", verdict=NOT_EXPRESSIBLE)
    assert status([found, unsaid], interrupted=False) == 0
    assert status([unsaid], interrupted=False) == 3
    assert status([replace(found, model="fault y"), unsaid], interrupted=False) == 3


def test_a_property_that_a_reader_cannot_express_is_never_ok() -> None:
    """`explore` of the same model says nothing about what `prove` could not express."""
    explored = CheckRow("lease", "explore", "", HOLDS, "", 0.0)
    unsaid = CheckRow("lease", "prove", "", NOT_EXPRESSIBLE, "", 0.0, kind="proof")
    assert status([explored, unsaid], interrupted=False) == 3
    assert status([explored, unsaid], interrupted=True) == 130


def test_a_missed_fault_fails() -> None:
    from oneleader.campaigns import fault_table as table

    no_quorum = FAULTS["no-quorum"]
    harmless = replace(no_quorum.faulty_model, change=lambda model: model)
    missed = table.by_explore(replace(no_quorum, faulty=harmless))
    assert status([fault_row(missed)], interrupted=False) == 1


@pytest.mark.slow("a hundred scenarios of a faulty core are drawn")
def test_rows_of_the_reference_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes itself for the leader believes that it has a lease."""
    monkeypatch.setattr(raft, "holds_lease", lambda node, now: node.role is raft.Role.LEADER)
    proved = handling("is_leader", ANY)
    drawn = drawing(nodes=3, examples=100)
    assert (proved.verdict, proved.detail) == (VIOLATED, "is_leader: lease: is_leader")
    assert (drawn.verdict, drawn.detail.partition(":")[0]) == (VIOLATED, "leases")
