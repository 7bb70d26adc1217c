"""Claims have evidence: what is quoted is what was printed, by code that has not changed since."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from oneleader.models import MODELS
from oneleader.readers.prove.obligations import obligations
from workshop import ROOT
from workshop.pages import claims

SPEC = ROOT / "spec"
ALL = claims.claims()
IDS = [claim.id for claim in ALL]


@pytest.mark.parametrize("claim", ALL, ids=IDS)
def test_each_claim_has_evidence_that_is_not_older_than_its_code(claim: claims.Claimed) -> None:
    assert [*claims.faults(claim, claims.evidence().get(claim.id))] == []


READERS = {"explore": "readers/explore/explore.py", "prove": "readers/prove/prove.py"} | {
    "replay": "readers/replay/replay.py"
}
SENTENCES = {"oneleader.errors", "oneleader.words"}  # what is said, and not what is the case


@pytest.mark.parametrize("claim", [c for c in ALL if c.command], ids=[c.id for c in ALL if c.command])
def test_the_code_of_a_claim_is_all_that_its_command_goes_through(claim: claims.Claimed) -> None:
    """Its reader, its model, and what these import: else the evidence outlives what it speaks of."""
    _, reader, subject, *_ = claim.command.split()
    model = SPEC / f"oneleader/models/{subject}.py"
    lemmas = model.with_stem(f"{subject}_lemmas")
    starts = [SPEC / "oneleader" / READERS[reader], *(f for f in (model, lemmas) if f.is_file())]
    said = [ROOT / path for path in claim.code]
    left_out = [f for f in imported(starts) if not any(f.is_relative_to(path) for path in said)]
    assert left_out == []


def imported(starts: list[Path]) -> list[Path]:
    """These modules and those of oneleader that they import, in turn; packages and sentences left out."""
    found, left = set[Path](), [*starts]
    while left:
        file = left.pop()
        found.add(file)
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)} - SENTENCES
                files = {(SPEC / name.replace(".", "/")).with_suffix(".py") for name in names}
                left += [other for other in files - found if other.is_file()]
    return sorted(found)


CHEAP = ("one-leader-a-term", "one-leader-a-term-explored", "fencing", "pre-vote", "etcd-elections")
PROVED = [claim for claim in ALL if claim.command.startswith("oneleader prove ")]


@pytest.mark.parametrize("id", CHEAP)
def test_a_figure_is_what_the_command_prints(id: str) -> None:
    claim = ALL[IDS.index(id)]
    assert claims.show(claim).figures == claims.evidence()[id].figures


@pytest.mark.parametrize("claim", PROVED, ids=[claim.id for claim in PROVED])
def test_as_many_obligations_are_quoted_as_there_are(claim: claims.Claimed) -> None:
    """All of them: not those of one property, whose line comes first."""
    name, shown = claim.command.split()[-1], claims.evidence()[claim.id]
    if [*claims.faults(claim, shown)]:
        pytest.skip("its evidence is older than its code, as a test above says: run `make claims`")
    assert shown.figures == {"obligations": str(len(list(obligations(MODELS[name]))))}


def test_the_pages_are_those_of_the_claims() -> None:
    assert claims.README.read_text() == claims.readme(), "run `make claims`"
    assert claims.PAGE.read_text() == claims.page(), "run `make claims`"


def test_what_a_claim_lacks_is_said() -> None:
    claim = ALL[0]
    shown = claims.evidence()[claim.id]
    assert [*claims.faults(claim, shown)] == []
    assert [*claims.faults(claim, None)] == [f"{claim.id}: its command was never run; run `make claims`"]
    older = claims.PrintedFigures(shown.date, "of yesterday", shown.figures)
    assert "is older than the code" in "".join(claims.faults(claim, older))
    other = claims.PrintedFigures(shown.date, shown.code, {})
    assert "its figures are not those" in "".join(claims.faults(claim, other))
    assert "there is no test" in "".join(claims.faults(replace(claim, test="tests/gone.py"), shown))
    gone = replace(claim, test=f"{claim.test}_gone")
    assert "there is no test" in "".join(claims.faults(gone, shown))


def test_evidence_is_a_test_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a helper, nor a test that is left out, that is expected to fail, or that is in no file of tests."""
    monkeypatch.setattr(claims, "ROOT", tmp_path)
    marks = "".join(
        f"@pytest.mark.{mark}\ndef test_{name}(): pass\n"
        for mark, name in [
            ("skip", "a"),
            ("skip('x')", "b"),
            ("xfail", "c"),
            ("skipif(True, reason='x')", "d"),
        ]
    )
    (tmp_path / "test_x.py").write_text(f"def helper():\n    def test_inner(): pass\n{marks}")
    (tmp_path / "x.py").write_text("def test_y(): pass\n")
    names = [
        "test_x.py",
        *(f"test_x.py::{n}" for n in ("helper", "test_inner", *(f"test_{i}" for i in "abcd"))),
    ]
    assert [name for name in [*names, "x.py", "x.py::test_y"] if claims.is_a_test(name)] == []
    (tmp_path / "test_x.py").write_text("def test_y(): pass\n")
    assert all(map(claims.is_a_test, ["test_x.py", "test_x.py::test_y"]))


@pytest.mark.parametrize(
    "text",
    [
        "pytestmark = pytest.mark.skip\ndef test_y(): pass\n",
        "pytestmark = [pytest.mark.skipif(True, reason='x')]\ndef test_y(): pass\n",
        "pytest.skip('x', allow_module_level=True)\ndef test_y(): pass\n",
        "zlib = pytest.importorskip('zlib')\ndef test_y(): pass\n",
        "NEVER = pytest.mark.skip\n@NEVER\ndef test_y(): pass\n",
        "@unittest.skip('x')\ndef test_y(): pass\n",
        "@pytest.mark.parametrize('x', [])\ndef test_y(x): pass\n",
        "@pytest.fixture\ndef test_y(): pass\n",
        "def test_y(): pass\ndef test_y(): pass\n",
    ],
)
def test_nor_is_a_test_that_is_left_out_in_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(claims, "ROOT", tmp_path)
    (tmp_path / "test_x.py").write_text(text)
    assert not claims.is_a_test("test_x.py::test_y")


def test_evidence_that_is_skipped_fails_in_ci() -> None:
    """Before, CI was green where TLC was missing: that both graphs are equal rested on nothing."""
    twins = ALL[IDS.index("twins")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", twins.test]
    said = {}
    for ci in ("", "1"):
        environment = {**os.environ, "CI": ci, "ONELEADER_TLA2TOOLS": "/missing"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        said[ci] = done.returncode, done.stdout
    assert said[""][0] == 0, said[""][1]
    assert "passed" not in said[""][1]
    assert said["1"][0] == 1
    assert "evidence of a claim (docs/claims.toml) is not skipped in CI" in said["1"][1]


def test_a_figure_that_is_not_printed_and_a_command_that_fails_are_errors() -> None:
    claim = ALL[0]
    with pytest.raises(claims.UsageError, match="prints nothing like"):
        claims.show(replace(claim, figures={"states": "no such line (x)"}))
    with pytest.raises(claims.UsageError, match=r"prints several like .*: \d+(, \d+)+"):
        claims.show(replace(claim, figures={"obligations": r"(\d+) of \1 proved"}))
    with pytest.raises(claims.UsageError, match="ended with status 2"):
        claims.show(replace(claim, command="oneleader prove no_such_model"))


def test_every_figure_is_quoted() -> None:
    entries = tomllib.loads(claims.SOURCE.read_text())["claim"]
    for entry in entries:
        for name in entry.get("figures", {}):
            assert f"{{{name}}}" in entry["says"] + entry["strength"], f"{entry['id']} quotes no {name}"


PRINTING = {"click", "jinja2", "rich"}  # what is wrong with these is seen on the screen


def test_every_library_is_on_the_list_of_what_is_trusted() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    names = {re.split(r"[^\w-]", one)[0].removesuffix("-solver") for one in wanted} - PRINTING
    listed = " ".join(entry["what"] for entry in claims.trusted()).lower()
    assert [name for name in sorted(names) if name not in listed] == []
