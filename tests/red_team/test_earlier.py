"""Attacks by answers of an earlier text: whoever edits what was asked about asks something new."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import oneleader
from oneleader.campaigns import campaign as campaigns
from oneleader.campaigns import sources
from oneleader.campaigns.campaign import Job, campaign
from oneleader.campaigns.journal import Journal
from oneleader.errors import UsageError
from oneleader.language.configuration import Configuration, configure
from oneleader.models import election
from oneleader.readers.earlier import Texts
from oneleader.readers.explore import checkpoint
from oneleader.readers.explore.explore import explore
from oneleader.readers.explore.graph import Graph
from oneleader.readers.explore.search import Limits
from oneleader.readers.run import Run
from oneleader.verdict import HOLDS, VIOLATED, Verdict

MODEL = '''
from oneleader.language import *
{imports}

class Term(NumberSort):
    """A number."""

class State(Fields):
    t = field(of=Term)

@action
def up(s: State) -> None:
    """One more."""
    t = s.t + 1
    s.t = t

@invariant
def small(s: State) -> bool:
    """True of a limit that is no less than the bound."""
    return s.t <= {limit}

MODEL = model(__name__, State)
'''
LIMITS = {  # how the model imports it: the file with the limit, and what else it needs
    "a module": ("import asked_limits", "asked_limits.LIMIT", "asked_limits.py", {}),
    "a name": ("from asked_limits import LIMIT", "LIMIT", "asked_limits.py", {}),
    "a package": ("from asked_pack.deep import limits", "limits.LIMIT", "asked_pack/deep/limits.py", {}),
    "by another": (
        *("import asked_between", "asked_between.LIMIT", "asked_limits.py"),
        {"asked_between.py": "from asked_limits import LIMIT\n"},
    ),
}
ADAPTER = """
from oneleader.conformance.adapter import ReferenceAdapter


class Mine(ReferenceAdapter):
    def __init__(self, nodes):
        import asked_raft

        super().__init__(nodes, core=asked_raft.CORE)
"""
RIGHT = "from oneleader.conformance.adapter import RAFT as CORE\n"
WRONG = "from oneleader.faults.catalogue import variant\n\nCORE = variant('vote-twice')\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "asked_pack/deep").mkdir(parents=True)
    (tmp_path / "asked_pack/__init__.py").touch()
    (tmp_path / "asked_pack/deep/__init__.py").touch()
    before = {**sources.sys.modules}
    yield tmp_path
    for name in sources.sys.modules.keys() - before.keys():
        if name.startswith("asked_"):
            del sources.sys.modules[name]


def said(jobs: list[Job], journal: Path) -> Verdict:
    """What the command says that is given again, with the same journal."""
    kept = Journal(journal)
    try:
        return Verdict(campaign(jobs, journal=kept).merged["verdict"])
    finally:
        kept.close()


@pytest.mark.parametrize("how", LIMITS)
def test_a_journal_knows_what_a_model_imports(how: str, folder: Path) -> None:
    """Before, the digest of a job was that of one file: the answer of an earlier limit was taken."""
    imports, limit, file, more = LIMITS[how]
    for name, text in more.items():
        (folder / name).write_text(text)
    (folder / "asked.py").write_text(MODEL.format(imports=imports, limit=limit))

    def walked(limit: int) -> Verdict:
        (folder / file).write_text(f"LIMIT = {limit}\n")
        about = campaigns.subject(str(folder / "asked.py"))
        jobs = campaigns.walks(about, {"Term": 5}, "majority", seed=1, runs=5, length=10, chunk=5)
        return said(jobs, folder / "journal")

    assert [walked(5), walked(3), walked(5)] == [HOLDS, VIOLATED, HOLDS]


def test_a_journal_knows_the_raft_that_an_adapter_drives(folder: Path) -> None:
    """It is imported within a method, and a worker has loaded it before."""
    (folder / "asked_adapter.py").write_text(ADAPTER)

    def driven(raft: str) -> Verdict:
        (folder / "asked_raft.py").write_text(raft)
        about = campaigns.subject(f"{folder / 'asked_adapter.py'}:Mine")
        jobs = campaigns.conformance(about, nodes=3, terms=4, seed=1, examples=60, steps=20, chunk=20)
        return said(jobs, folder / "journal")

    assert [driven(RIGHT), driven(WRONG)] == [HOLDS, VIOLATED]


def test_what_is_installed_is_taken_whole_and_ours_is_named_by_the_job(folder: Path) -> None:
    (folder / "asked.py").write_text("import os, click, oneleader.errors\nimport not_there\n")
    found = sources.imported(folder / "asked.py")
    assert {file.parent.name for file in found} == {"click"}


COUNTED = """
class State(Fields):
    a = field(of=Term)
    b = field(of=Term)
    met = field(of=bool)

@action
def up_a(s: State) -> None:
    \"\"\"One more.\"\"\"
    t = s.a + 1
    s.a = t
    s.met = True

@action
def up_b(s: State) -> None:
    \"\"\"One more.\"\"\"
    t = s.b + 1
    s.b = t

@invariant
def small(s: State) -> bool:
    \"\"\"False in the last state.\"\"\"
    return implies(s.met, s.a + s.b < 60)

MODEL = model(__name__, State)
"""


@pytest.mark.parametrize("what", ["gone", "shorter", "other"])
def test_a_search_on_disk_does_not_go_on_without_its_states(
    what: str, build: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    """Before, it went on from states that were all zero, found nothing new, and was ok, `exhaustive`."""
    model, at = build(COUNTED).MODEL, Configuration({}, {"Term": 30})
    explore(model, at, disk=tmp_path, limits=Limits(states=300))
    (rows,) = tmp_path.glob("*/rows")
    if what == "gone":
        rows.unlink()
    elif what == "shorter":
        os.truncate(rows, 400)
    else:
        with rows.open("r+b") as file:
            file.seek(800)
            file.write(bytes(range(64)))
    with pytest.raises(UsageError, match="is not what the search has left there: remove"):
        explore(model, at, disk=tmp_path)
    shutil.rmtree(rows.parent)
    assert explore(model, at, disk=tmp_path).verdict is VIOLATED


@pytest.mark.parametrize(
    "file", ["readers/engines/native.c", "readers/engines/vector.py", "language/expr.py"]
)
def test_what_another_oneleader_has_found_is_not_believed(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint and a graph of an engine with a fault stood, whatever was mended in it since."""
    at = configure(election.MODEL, {"Node": 2, "Term": 1})
    begun, graph, ours = tmp_path / "begun", tmp_path / "graph.npz", tmp_path / "oneleader"
    explore(election.MODEL, at, limits=Limits(states=5), checkpoint=begun)
    Graph.of(Run(election.MODEL, at)).write(graph)
    shutil.copytree(oneleader.__path__[0], ours, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(checkpoint, "TEXTS", Texts({ours: checkpoint.SEARCHING}))
    Graph.read(graph, Run(election.MODEL, at))  # the same texts at another place
    with (ours / file).open("a") as text:
        text.write("\n")
    monkeypatch.setattr(checkpoint, "TEXTS", Texts({ours: checkpoint.SEARCHING}))
    with pytest.raises(UsageError, match="or of another oneleader: write it again"):
        Graph.read(graph, Run(election.MODEL, at))
    with pytest.raises(UsageError, match="or to another oneleader: choose another file"):
        explore(election.MODEL, at, checkpoint=begun)
