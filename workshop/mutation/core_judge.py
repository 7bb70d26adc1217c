"""What becomes of each mutant of the core: the first of its judges that fails.

| by       | what                                                                                       |
|----------|--------------------------------------------------------------------------------------------|
| test     | a unit test of tests/reference, by its name                                                |
| safety   | a simulated run breaks Figure 3, a lease or linearizability                                |
| scenario | a drawn scenario takes a step that a model does not allow, or breaks one of the same       |
| crash    | simulated run or scenario end with another error                                           |
| time     | one of them does not end                                                                   |
| trace    | nothing above, but simulated runs are others than those of the core: a golden test sees it |

Each mutant is judged in a process of its own, forked from this one, in which everything is loaded.
"""

from __future__ import annotations

import ast
import hashlib
import multiprocessing
import os
import time
from collections.abc import Callable
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from oneleader.conformance import histories
from oneleader.conformance.reference.drawn import ScenarioMachine, draw
from oneleader.errors import UsageError
from oneleader.verdict import VIOLATED
from oneleader_raft.messages import ImpossibleMessageError
from oneleader_raft.raft import TwoLeadersError
from oneleader_raft.testbench.safety import Safety, UnsafeError
from oneleader_raft.testbench.simulator import Simulation
from workshop import ROOT
from workshop.mutation.core_mutation import CoreMutant, core_mutants, functions, installed
from workshop.mutation.model_judge import SURVIVED, JudgedMutant

TEST, SAFETY, SCENARIO, CRASH, TIME, TRACE = "test", "safety", "scenario", "crash", "time", "trace"
CAUGHT = (TEST, SAFETY, SCENARIO, CRASH, TIME, TRACE)

UNIT_TESTS = (
    "test_raft_paper.py",
    "test_raft_details.py",
    "test_membership.py",
    "test_snapshots.py",
    "test_state_machine.py",
)
MEMBERS = (3, 5, 2, 3, 4)  # of simulated clusters, in turn
RUNS, EVENTS = 40, 3000
DRAWN = ((3, 100), (5, 20))  # servers, and how many scenarios
LIMIT = 300.0  # seconds for one mutant: some twenty times what one takes that survives them all

Failed = tuple[str, str]


@cache
def digests() -> dict[str, str]:
    """Of each function a fingerprint of its source and of how hard its mutants are tried."""
    return {part: _fingerprint(tree) for part, _, _, tree in functions()}


def _fingerprint(tree: ast.FunctionDef) -> str:
    body = tree.body[1:] if ast.get_docstring(tree) else tree.body
    source = [ast.unparse(tree.args), *map(ast.unparse, body)]
    return hashlib.sha256(repr((source, RUNS, EVENTS, DRAWN)).encode()).hexdigest()[:16]


def ready() -> None:
    """Load what the judges need, so that each process has it, and see that the core itself passes."""
    golden()
    judged = judge(None)
    if judged.by != SURVIVED:
        raise UsageError(f"the core itself fails before anything is mutated: {judged.by}, {judged.what}")


def judge_id(id: str) -> JudgedMutant:
    """A mutant by its id. UsageError where there is none."""
    found = next((mutant for mutant in core_mutants() if mutant.id == id), None)
    if found is None:
        raise UsageError(f"there is no mutant {id!r}: `python -m workshop mutants core --list` has them")
    return judge(found)


def judge(mutant: CoreMutant | None, *, quick: bool = False, limit: float = LIMIT) -> JudgedMutant:
    """The first judge that fails, in another process; None: the core itself. `quick`: no scenarios."""
    started = time.perf_counter()
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe(duplex=False)
    process = fork.Process(target=_in_child, args=(mutant, quick, theirs))
    process.start()
    theirs.close()
    try:
        by, what = ours.recv() if ours.poll(limit) else (TIME, f"no end within {limit:g} s")
    except EOFError:
        by, what = CRASH, "the process ended"
    finally:
        process.kill()
        process.join()
    return JudgedMutant(mutant.id if mutant else "", "core", by, what, time.perf_counter() - started)


def _in_child(mutant: CoreMutant | None, quick: bool, said: Connection) -> None:
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    expected = golden()
    if mutant is None:
        said.send(first_failure(quick, expected))
        return
    with installed(mutant):
        said.send(first_failure(quick, expected))


def first_failure(quick: bool, expected: str) -> Failed:
    """Which judge fails on the core as it is just now."""
    judges: list[Callable[[], Failed | None]] = [unit_tests, simulations]
    judges += [] if quick else [scenarios]
    for one in judges:
        failed = one()
        if failed:
            return failed
    return (TRACE, "simulated runs are others") if traces() != expected else (SURVIVED, "")


# -- the judges ---------------------------------------------------------------------------------------
def tests_folder() -> Path:
    """The unit tests of the core. UsageError where they are not: they are no part of the package."""
    folder = ROOT / "tests" / "reference"
    if not folder.is_dir():
        raise UsageError("the core's tests are not installed: mutate the core from a checkout")
    return folder


def unit_tests() -> Failed | None:
    """The first test that fails."""
    import pytest

    failed: list[str] = []

    class Listening:
        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.failed:
                failed.append(report.nodeid.rpartition("::")[2])

    os.environ["ONELEADER_PROFILE"] = "ci"  # the same examples each time
    files = [str(tests_folder() / name) for name in UNIT_TESTS]
    status = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *files], plugins=[Listening()])
    if failed or status:
        return TEST, failed[0] if failed else "they cannot be collected"
    return None


def simulations() -> Failed | None:
    """Figure 3, leases and linearizability of some runs."""
    for seed in range(RUNS):
        simulation = Simulation(members(seed), seed, traced=False)
        simulation.watchers.append(Safety(simulation.cluster).check)
        try:
            simulation.run(EVENTS)
        except (UnsafeError, TwoLeadersError, ImpossibleMessageError) as unsafe:
            return SAFETY, f"{_cause(unsafe)}, seed {seed}"
        except Exception as error:
            return CRASH, f"{type(error).__name__}, seed {seed}"
        if histories.judge(simulation.operations).verdict is VIOLATED:
            return SAFETY, f"linearizability, seed {seed}"
    return None


def members(seed: int) -> list[str]:
    return [f"n{i + 1}" for i in range(MEMBERS[seed % len(MEMBERS)])]


def scenarios() -> Failed | None:
    """Drawn scenarios, each step of which every model has to allow."""
    for nodes, examples in DRAWN:
        try:
            found = draw(ScenarioMachine, nodes=nodes, examples=examples, seed=1)
        except Exception as error:
            return CRASH, f"{type(error).__name__} in a scenario"
        if found.failed:
            return SCENARIO, found.failed[0][0].cause
    return None


def _cause(unsafe: Exception) -> str:
    if isinstance(unsafe, ImpossibleMessageError):
        return "impossible message"
    return str(unsafe).partition(":")[0] if isinstance(unsafe, UnsafeError) else "two leaders"


@cache
def golden() -> str:
    """A fingerprint of simulated runs of the core itself."""
    return traces()


def traces() -> str:
    """A fingerprint of some simulated runs: every event, every step and every message in it."""
    digest = hashlib.sha256()
    for seed in range(len(MEMBERS)):
        simulation = Simulation(members(seed), seed)
        simulation.run(EVENTS)
        for model in ("pre_vote", "replication", "lease"):
            for line in simulation.cluster.trace_lines(model):
                digest.update(line.encode())
    return digest.hexdigest()
