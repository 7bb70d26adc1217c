"""Jobs over the cores: each has an outcome, whatever becomes of another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from oneleader.campaigns.cores import Died, over_cores
from tests.places import ROOT


def doubled(number: int) -> int:
    return 2 * number


def end(status: int) -> int:
    os._exit(status)


def killed_by(number: int) -> int:
    os.kill(os.getpid(), number)
    time.sleep(60)
    return 0


def unhappy() -> int:
    raise ValueError("no luck")


def unsendable() -> Callable[[], int]:
    return lambda: 0


def sleeping(folder: Path, name: str) -> int:
    """Starts a child, as the readers that run TLC do, and puts it away when asked to end."""
    with subprocess.Popen(["sleep", "60"]) as child:
        (folder / name).write_text(f"{child.pid}")
        try:
            return child.wait()
        finally:
            child.kill()


def test_each_job_has_its_own_outcome_in_whatever_order() -> None:
    outcomes = [*over_cores([partial(doubled, n) for n in range(5)], workers=2)]
    assert {o.number: o.result for o in outcomes} == {n: 2 * n for n in range(5)}


def test_a_process_that_dies_is_one_outcome_with_its_cause() -> None:
    jobs = [
        partial(doubled, 1),
        partial(end, 7),
        partial(killed_by, signal.SIGKILL),
        partial(killed_by, signal.SIGSEGV),
        unhappy,
        unsendable,
        partial(doubled, 2),
    ]
    found = {o.number: o.result for o in over_cores(jobs, workers=2)}
    assert (found[0], found[6]) == (2, 4)
    causes = [result.cause for _, result in sorted(found.items()) if isinstance(result, Died)]
    assert causes[:4] == [
        "its process ended early, with status 7",
        "its process ended early, killed: is memory short?",
        "its process ended early, by SIGSEGV",
        "ValueError: no luck",
    ]
    assert "unsendable" in causes[4]


def test_leaving_early_ends_what_runs_and_what_that_started(tmp_path: Path) -> None:
    jobs = [partial(doubled, 1), *(partial(sleeping, tmp_path, f"{n}") for n in range(4))]
    with closing(over_cores(jobs, workers=3)) as outcomes:
        assert next(outcomes).result == 2
        until = time.monotonic() + 30
        while len([*tmp_path.iterdir()]) < 3 and time.monotonic() < until:
            time.sleep(0.05)
    children = [int(path.read_text()) for path in tmp_path.iterdir()]
    assert children
    assert not [pid for pid in children if Path(f"/proc/{pid}/cmdline").exists() and _runs(pid)]


ABANDON = """
import sys
from functools import partial
from pathlib import Path
from oneleader.campaigns.cores import over_cores
from tests.campaigns.test_cores import sleeping
list(over_cores([partial(sleeping, Path(sys.argv[1]), "child")], workers=1))
"""


def test_a_process_whose_starter_was_killed_ends_too(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ABANDON, str(tmp_path)], cwd=ROOT) as starter:
        told = tmp_path / "child"
        assert _soon(lambda: told.exists() and told.read_text() != "")
        starter.kill()
    assert _soon(lambda: not Path(f"/proc/{told.read_text()}/cmdline").exists())


def _soon(happens: Callable[[], bool]) -> bool:
    until = time.monotonic() + 60
    while not happens() and time.monotonic() < until:
        time.sleep(0.05)
    return happens()


def _runs(pid: int) -> bool:
    return "sleep" in Path(f"/proc/{pid}/cmdline").read_text()


def test_what_runs_is_told_while_it_runs() -> None:
    seen: list[list[int]] = []
    jobs = [partial(time.sleep, 1.5), partial(time.sleep, 0)]
    assert len([*over_cores(jobs, workers=1, tick=lambda now: seen.append([j.number for j in now]))]) == 2
    assert [0] in seen
    assert seen[-1] == []
