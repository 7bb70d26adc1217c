"""What becomes of each mutant of shipped code: the tests that concern its file, on a copy of the checkout.

`TESTS` says which. They run with `pytest -x` in a process of their own, with the copy first on its path: the
checkout is not touched. A mutant is caught where a test fails, or where they do not end in time.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path

from oneleader.readers.tlc.child import child
from workshop import ROOT
from workshop.mutation.model_judge import SURVIVED, JudgedMutant
from workshop.mutation.shipped_mutation import ShippedMutant

TEST, TIME, COLLECT = "test", "time", "cannot be collected"
CAUGHT = (TEST, TIME, COLLECT)
LIMIT = 240.0  # seconds of processor time for the tests of one mutant: a busy machine catches nothing
ASLEEP = 8  # times as long by the clock, and they wait for what will not come
COPIED = ("pyproject.toml", "docs", "reference", "spec", "tests", "tla", "workshop")

N, L, B = "tests/reference/node", "tests/reference/locks", "tests/reference/testbench"
C, R = "tests/conformance", "tests/readers/replay"
# The first tests are the quickest. What is not named is judged by its part's tests.
TESTS: dict[str, tuple[str, ...]] = {
    **{
        f"node/{file}": (f"{N}/test_server.py", f"{N}/test_api.py")
        for file in ("server", "settings", "waiting", "trust", "loading")
    },
    "node/codec": (f"{N}/test_codec.py", f"{N}/test_store.py"),
    "node/frames": (f"{N}/test_frames.py",),
    "node/links": (f"{N}/test_codec.py", f"{N}/test_frames.py", f"{N}/test_api.py"),
    "node/store": (f"{N}/test_store.py",),
    "node/clock": (f"{N}/test_clock_and_expiry.py",),
    "node/expiry": (f"{N}/test_clock_and_expiry.py",),
    "node/trace": (f"{N}/test_trace.py",),
    "node/metrics": ("tests/monitoring/test_metrics.py",),
    "node": (f"{N}/test_api.py", f"{N}/test_processes.py"),
    "locks/redis": (f"{L}/test_stores.py", f"{L}/test_property.py"),
    "locks/sql": (f"{L}/test_stores.py", f"{L}/test_property.py"),
    "locks/sqlite": (f"{L}/test_stores.py", f"{L}/test_property.py"),
    "locks/postgres": (f"{L}/test_stores.py", f"{L}/test_property.py"),
    **{
        f"locks/{store}": (f"{L}/test_lost_answers.py", f"{L}/test_property.py", f"{L}/test_s3.py")
        for store in ("s3", "dynamodb", "boto")
    },
    "locks": (f"{L}/test_locks.py", f"{L}/test_stores.py"),
    "testbench": (f"{B}/test_safety.py", f"{B}/test_simulator.py"),
    "views": (
        "tests/reference/test_views.py",
        "tests/reference/test_raft_paper.py",
        f"{B}/test_simulator.py",
        f"{N}/test_trace.py",
    ),
    "messages": ("tests/reference/test_messages.py",),
    "conformance/handlers": (f"{C}/handlers/test_paths.py", f"{C}/handlers/test_handlers.py"),
    "conformance/histories": (f"{C}/histories/test_judging.py", f"{C}/histories/test_formats.py"),
    "conformance/leases": (f"{C}/test_leases.py",),
    "conformance/locks": (f"{C}/locks/test_lock_driver.py",),
    "conformance/memberships": (f"{C}/test_changing.py", f"{C}/test_snapshots.py"),
    "conformance/observations": (f"{C}/test_observations.py", f"{C}/test_snapshots.py"),
    "conformance/reference": (f"{C}/reference/test_scenarios.py", f"{C}/reference/test_reference.py"),
    "conformance/refinement": (f"{C}/test_refinement.py", f"{C}/test_observations.py"),
    "conformance/register": (f"{C}/test_register.py",),
    "conformance/scaffold": (f"{C}/test_scaffold.py",),
    "conformance/shim": (f"{C}/test_shim.py", f"{C}/test_unsynced.py"),
    "conformance": (
        f"{C}/reference/test_reference.py",
        *(f"{C}/test_{name}.py" for name in ("own_raft", "may", "unsynced", "odd_rafts")),
    ),
    **{
        f"replay/{file}": (f"{R}/test_compiled.py", f"{R}/test_replay.py", f"{R}/test_observed_models.py")
        for file in ("compiled", "effects", "literals", "properties", "rows", "text", "triggers")
    },
    "replay/form": (f"{R}/test_form.py",),
    "replay/formats/ccf": tuple(f"{R}/test_ccf{name}.py" for name in ("", "_configurations", "_published")),
    "replay/formats/etcd": tuple(f"{R}/test_etcd{name}.py" for name in ("", "_log", "_members", "_pre_vote")),
    "replay/formats/forgetting": (f"{R}/test_forgetting.py",),
    "replay/formats/node_folders": ("tests/red_team/test_recordings.py",),
    **{
        f"replay/formats/{file}": (f"{R}/test_observed.py", f"{R}/test_observed_models.py")
        for file in ("observed", "seen", "shown")
    },
    "replay/merging": (f"{R}/test_merging.py",),
    "replay/shorten": (f"{R}/test_shorten.py", f"{R}/test_observed_models.py"),
    "replay": (f"{R}/test_replay.py", f"{R}/test_lines.py", f"{R}/test_etcd.py"),
}
# Of these, only the tests that need no server: SQLite shares its statements with PostgreSQL.
ONLY = {
    "locks/sql": "sqlite",
    "locks/boto": "s3 or dynamodb",
    **{f"locks/{store}": store for store in ("sqlite", "redis", "postgres", "s3", "dynamodb")},
}


def concern(id: str) -> str:
    """The entry of TESTS for a mutant: the longest that its id begins with."""
    return max((part for part in TESTS if id.startswith((f"{part}/", f"{part}_"))), key=len)


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of what is tested."""
    with tempfile.TemporaryDirectory(prefix="oneleader-mutants-") as folder:
        copy = Path(folder)
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, copy / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, copy / name)
        yield copy


def judge(mutant: ShippedMutant, copy: Path, limit: float = LIMIT) -> JudgedMutant:
    """The first test that fails on this mutant."""
    part = concern(mutant.id)
    file, started = copy / mutant.file, time.perf_counter()
    before = file.read_text("utf-8")
    try:
        file.write_text(mutant.text, encoding="utf-8")
        by, what = first_failure(copy, TESTS[part], ONLY.get(part, ""), limit)
    finally:
        file.write_text(before, encoding="utf-8")
    return JudgedMutant(mutant.id, part, by, what, time.perf_counter() - started)


def ails(part: str, copy: Path, limit: float = LIMIT) -> str:
    """What keeps its tests from judging: they fail without a mutant. "" if nothing does."""
    by, what = first_failure(copy, TESTS[part], ONLY.get(part, ""), limit)
    return "" if by == SURVIVED else f"the tests of {part} fail without a mutant: {what}"


def first_failure(copy: Path, tests: tuple[str, ...], only: str, limit: float) -> tuple[str, str]:
    paths = os.pathsep.join(str(copy / part) for part in ("reference", "spec", "."))
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    command += ["-k", only] if only else []
    environment = {**os.environ, "PYTHONPATH": paths, "ONELEADER_PROFILE": "ci"}
    with child(
        command,
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (ceil(limit), ceil(limit))),
    ) as process:
        try:
            said, _ = process.communicate(timeout=limit * ASLEEP)
        except subprocess.TimeoutExpired:
            return TIME, f"no end within {limit * ASLEEP:g} s by the clock"
    if process.returncode - 128 in (signal.SIGXCPU, signal.SIGKILL):
        return TIME, f"no end within {limit:g} s of processor time"
    if process.returncode == 0:
        return SURVIVED, ""
    failed = re.search(r"^FAILED (?:\S+::)(\S+)", said, re.MULTILINE)
    return (TEST, failed[1]) if failed else (COLLECT, said.strip().rpartition("\n")[2][:80])
