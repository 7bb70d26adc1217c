"""Mutants of the node, the locks and the judges: which there are, and that the judge can tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from workshop import ROOT
from workshop.mutation import shipped_command, shipped_judge
from workshop.mutation.model_judge import SURVIVED, JudgedMutant
from workshop.mutation.shipped_command import PAGE, ROW, ShippedResults, became, drawn
from workshop.mutation.shipped_command import page as shipped_page
from workshop.mutation.shipped_mutation import SOURCES, ShippedMutant, files, shipped_mutants

BY = (shipped_judge.TEST, SURVIVED)
KNOWN = {  # survivors of old, each with the quickest test that catches it now
    "node/settings/NodeSettings.clocks/-→+": ("node/test_server.py", "drift"),
    "node/server/a leader's election timer is not reset": ("node/test_server.py", "check_quorum"),
    "locks/cluster/an unknown outcome of the cluster's store is nothing done": (
        "locks/test_stores.py",
        "unknown",
    ),
    "locks/sql/WRITE/<→<=": ("locks/test_stores.py", "sqlite and accepts"),
}


@cache
def mutants(part: str) -> dict[str, ShippedMutant]:
    return {mutant.id: mutant for mutant in shipped_mutants(part)}


@pytest.fixture(scope="module")
def copy() -> Iterator[Path]:
    with shipped_judge.copied() as folder:
        yield folder


@pytest.mark.parametrize("id", KNOWN)
def test_what_survived_is_caught(id: str, copy: Path) -> None:
    mutant = mutants(id.partition("/")[0])[id]
    test, only = KNOWN[id]
    file = copy / mutant.file
    before = file.read_text("utf-8")
    file.write_text(mutant.text, encoding="utf-8")
    try:
        by, what = shipped_judge.first_failure(copy, (f"tests/reference/{test}",), only, 900)
    finally:
        file.write_text(before, encoding="utf-8")
    assert by == shipped_judge.TEST, what


def test_what_is_no_mutant_survives(copy: Path) -> None:
    by, _ = shipped_judge.first_failure(copy, ("tests/reference/node/test_server.py",), "drift", 300)
    assert by == SURVIVED
    by, what = shipped_judge.first_failure(copy, ("tests/reference/node/test_server.py",), "drift", 0.01)
    assert (by, what) == (shipped_judge.TIME, "no end within 0.08 s by the clock")


def test_tests_that_fail_without_a_mutant_judge_none(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where they read what is not copied: each mutant would be taken for caught."""
    (copy / "tests/test_lost.py").write_text("open('no such file')\n", encoding="utf-8")
    monkeypatch.setitem(shipped_judge.TESTS, "views", ("tests/test_lost.py",))
    assert shipped_judge.ails("views", copy).startswith("the tests of views fail without a mutant: ")
    monkeypatch.setitem(shipped_judge.TESTS, "views", ("tests/reference/test_messages.py",))
    assert shipped_judge.ails("views", copy) == ""


@pytest.mark.parametrize("part", shipped_judge.TESTS)
def test_all_that_tests_read_is_copied(part: str, copy: Path) -> None:
    tests = shipped_judge.TESTS[part]
    by, what = shipped_judge.first_failure(copy, (*tests, "--collect-only"), "", 300)
    assert (by, what) == (SURVIVED, "")


def test_a_loop_ends_by_processor_time(copy: Path) -> None:
    (copy / "tests/test_loop.py").write_text("def test_loop():\n    while True: pass\n", encoding="utf-8")
    by, what = shipped_judge.first_failure(copy, ("tests/test_loop.py",), "", 4)
    assert (by, what) == (shipped_judge.TIME, "no end within 4 s of processor time")


@pytest.mark.parametrize("part", ["views", "locks"])
def test_each_mutant_is_judged_by_tests_that_there_are(part: str) -> None:
    assert {mutant.file for mutant in mutants(part).values()} <= {*files(part)}
    for entry in {shipped_judge.concern(id) for id in mutants(part)}:
        for test in shipped_judge.TESTS[entry]:
            assert (ROOT / test).is_file(), test


def test_each_part_has_files_and_tests() -> None:
    assert all(map(files, SOURCES))
    assert SOURCES.keys() <= {entry.partition("/")[0] for entry in shipped_judge.TESTS}


def test_texts_in_sql_and_lua_are_mutated() -> None:
    ids = mutants("locks").keys()
    assert {
        "locks/redis/WRITE/-and seen[2] == ARGV[3]",
        "locks/redis/RENEW/<=→<",
        "locks/sql/WRITE/OR→AND",
        "locks/sql/ISSUE/<=→<",
        "locks/sql/RELEASE/-AND nonce = :nonce",
    } <= ids


def test_the_page_keeps_what_was_judged_and_says_what_is_older(tmp_path: Path) -> None:
    """What a page says is taken up again; a judgement of another text counts for nothing."""
    some = [*mutants("views").values()][:4]
    results = ShippedResults(tmp_path / "kept.jsonl", tmp_path / "none.md")
    for mutant, by in zip(some, (shipped_judge.TEST, SURVIVED, shipped_judge.TIME), strict=False):
        results.add(mutant, JudgedMutant(mutant.id, "views", by, "test_a[x|y]", 1.0))
    written = tmp_path / "page.md"
    written.write_text(shipped_page({"views": some}, results), encoding="utf-8")
    assert "| views | 4 | 3 | 1 | 1 |  | 1 |  | 67 % | 21 to 94 % |  | 1 |" in written.read_text("utf-8")
    read = ShippedResults(tmp_path / "other.jsonl", written)
    assert [(j.by, j.what) for m in some[:3] if (j := read.of(m))] == [
        *((by, "test_a[x|y]") for by in (shipped_judge.TEST, SURVIVED, shipped_judge.TIME))
    ]
    edited = [replace(mutant, mutate=lambda: ("def f(): ...", "")) for mutant in some]
    assert "| views | 4 | 0 |  |  |  |  |  |  |  | 3 | 1 |" in shipped_page({"views": edited}, read)


def test_a_survivor_with_a_reason_is_equivalent_and_one_that_is_caught_is_stale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shipped_command, "reasons", lambda: {"views/x": "No test need see it."})
    outcomes = [became(JudgedMutant(id, "views", by, "")) for id in ("views/x", "views/y") for by in BY]
    assert outcomes == [shipped_command.STALE, shipped_command.EQUIVALENT, shipped_judge.TEST, SURVIVED]


def test_reasons_are_of_mutants_that_there_are() -> None:
    assert all(id in mutants(id.partition("/")[0]) for id in shipped_command.reasons())


def test_a_larger_sample_holds_a_smaller_one() -> None:
    every = [*mutants("messages").values()]
    few, more = ({m.id for m in drawn(every, n)} for n in (10, 20))
    assert len(few) == 10
    assert few < more
    assert {m.id for m in drawn(every[::-1], 10)} == few


def test_a_mutant_is_python_and_differs_from_its_original() -> None:
    """A text that cannot be read would be caught by everything, and one that is unchanged by nothing."""
    for part in ("views", "messages", "locks"):
        for mutant in drawn([*mutants(part).values()], 60):
            compile(mutant.text, mutant.id, "exec", dont_inherit=True)
            assert mutant.text != (ROOT / mutant.file).read_text("utf-8")


def test_the_page_is_of_mutants_that_there_are() -> None:
    """If it is not: `python -m workshop shipped-mutants views --sample 1 --write`."""
    rows = ROW.findall((ROOT / PAGE).read_text("utf-8"))
    assert rows
    assert {by for _, by, _, _ in rows} <= {*shipped_judge.CAUGHT, SURVIVED}
