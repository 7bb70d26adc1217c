"""How hard Hypothesis tries, and models of tests.

ONELEADER_PROFILE is dev, ci or deep: ci where CI is set, else dev.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from oneleader.errors import MissingTool
from oneleader.readers.engines.javascript import RUNTIME
from oneleader.readers.tlc import tlc
from tests.places import ROOT

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]  # drawing a model is slow by its nature

settings.register_profile("dev", max_examples=25, deadline=None, print_blob=True, suppress_health_check=SLOW)
settings.register_profile(
    "ci", max_examples=60, deadline=None, print_blob=True, derandomize=True, suppress_health_check=SLOW
)
settings.register_profile(
    "deep", max_examples=3000, deadline=None, print_blob=True, suppress_health_check=SLOW
)
# A shell that starts the tests in the background has them, and every process they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.load_profile(os.environ.get("ONELEADER_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


# What `make fast` leaves out, by the beginning of its path; other slow tests have the marker themselves.
SLOW_TESTS = {
    "tests/campaigns/test_campaign.py": "it starts Dask clusters and loses workers",
    "tests/cli/test_campaign.py": "Dask clusters are started, and long walks",
    "tests/conformance/": "scenarios are drawn and handlers proved",
    "tests/docs/test_claims.py::test_a_figure": "the claims' own commands are run again",
    "tests/faults/": "every reader judges faults",
    "tests/cli/test_checks.py::test_a_check_reads": "a fault is judged by each reader",
    "tests/cli/test_checks.py::test_a_process_that_dies": "processes are started that import everything",
    "tests/cli/test_checks.py::test_what_an_earlier_run": "processes are started that import everything",
    "tests/cli/test_checks.py::test_what_does_not_hold": "processes are started that import everything",
    "tests/language/test_symmetry.py::test_a_sentence": "5,040 renamings of eight nodes are tried",
    "tests/models/": "state counts of whole models are pinned and mutants proved",
    "tests/monitoring/": "clusters are simulated, or run for real",
    "tests/peers/": "libraries in other languages are built and driven",
    "tests/pictures/test_explorer.py": "pages are opened in a browser",
    "tests/pictures/test_page.py": "pages are opened in a browser",
    "tests/pictures/test_pictures.py::test_every_model_is_drawn": "each fault is explored and drawn",
    "tests/pictures/test_pictures.py::test_no_label_meets": "each fault is explored and drawn",
    "tests/readers/engines/": "three engines are compared on drawn models, and C is compiled",
    "tests/readers/explore/": "whole models are explored",
    "tests/readers/prove/": "obligations are proved, and refuted at finite sizes",
    "tests/readers/replay/": "recordings of thousands of events are judged",
    "tests/readers/tlc/": "TLC is started again and again",
    "tests/red_team/": "every known attack is tried on the readers",
    "tests/reference/locks/": "servers of real stores are started",
    "tests/reference/test_messages.py::test_and_in_drawn": "scenarios are drawn",
    "tests/reference/node/": "clusters run in real time",
    "tests/reference/testbench/": "many whole runs are simulated",
    "tests/workshop/": "mutants are judged and studies made",
}
WHOLE_FOLDERS = tuple(beginning for beginning in SLOW_TESTS if beginning.endswith("/"))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What `make fast` leaves out whole is not even imported: that took longer than the tests."""
    if config.getoption("markexpr") != "not slow" or not collection_path.is_relative_to(ROOT):
        return None
    path = collection_path.relative_to(ROOT).as_posix()
    return True if path in SLOW_TESTS or f"{path}/".startswith(WHOLE_FOLDERS) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test that `make fast` leaves out says why it is slow."""
    for item in items:
        for beginning, reason in SLOW_TESTS.items():
            if item.nodeid.startswith(beginning):
                item.add_marker(pytest.mark.slow(reason))
        for mark in item.iter_markers("slow"):
            if len(mark.args) != 1 or len(str(mark.args[0]).split()) < 3:
                raise pytest.UsageError(f"{item.nodeid} is marked slow: say why, slow('it explores ...')")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI, evidence of a claim that was not asked fails: what is missing there has to be installed."""
    report = yield
    marked = [*item.iter_markers("skip"), *item.iter_markers("skipif")]
    if report.skipped and os.environ.get("CI") and not marked and _is_evidence(item.nodeid):
        report.outcome = "failed"
        report.longrepr = f"{report.longrepr}: evidence of a claim (docs/claims.toml) is not skipped in CI"
    return report


def _is_evidence(nodeid: str) -> bool:
    """Whether a claim names the test, or its file."""
    claimed = tomllib.loads((ROOT / "docs/claims.toml").read_text("utf-8"))["claim"]
    test = nodeid.partition("[")[0]
    return not {test, test.partition("::")[0]}.isdisjoint(claim["test"] for claim in claimed)


# One program after the other, a line of JSON each; the answer is what it evaluates to, or its error.
LOOP = """
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  let said;
  try { said = { value: (0, eval)(JSON.parse(line)) }; }
  catch (error) { said = { error: String(error.stack) }; }
  process.stdout.write(JSON.stringify(said) + "\\n");
});
"""
Evaluate = Callable[[str], Any]


@pytest.fixture(scope="session")
def node() -> Iterator[Evaluate]:
    """Evaluates JavaScript. Where Node.js is missing a test is skipped, but not in CI."""
    found = shutil.which("node")
    if found is None:
        says = "no Node.js: apt install nodejs"
        pytest.fail(says) if os.environ.get("CI") else pytest.skip(says)
    process = subprocess.Popen([found, "-e", LOOP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    stdin, stdout = process.stdin, process.stdout

    def evaluate(text: str) -> Any:
        stdin.write(json.dumps(text) + "\n")
        stdin.flush()
        said = json.loads(stdout.readline())
        assert "error" not in said, said
        return said.get("value")

    evaluate(f"{RUNTIME.read_text()}; Object.assign(globalThis, {{ each, count, every, some, engineOf }}); 0")
    yield evaluate
    process.stdin.close()
    process.wait(10)


HEADER = '''
"""A model of a test."""

from __future__ import annotations

from enum import IntEnum

from oneleader.language import *


class Node(SetSort):
    """A server."""


class Term(NumberSort):
    """A number."""


class Index(NumberSort):
    """Another number."""


class Role(IntEnum):
    """An enumeration."""

    IDLE = 0
    BUSY = 1


IDLE, BUSY = Role
'''


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], ModuleType]]:
    """Import a module of this text, after sorts Node, Term, Index and Role: guards are read from source."""
    folder = tmp_path_factory.mktemp("models")
    made: list[str] = []

    def imported(text: str) -> ModuleType:
        name = f"model_{len(made)}"
        made.append(name)
        file = folder / f"{name}.py"
        file.write_text(HEADER + text)
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec
        assert spec.loader
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield imported
    for name in made:
        sys.modules.pop(name, None)


@pytest.fixture
def tools() -> None:
    """Skips a test that runs TLC where it is missing; the reason says what to install."""
    try:
        tlc.find_java(), tlc.find_jar()
    except MissingTool as missing:
        pytest.skip(str(missing))
