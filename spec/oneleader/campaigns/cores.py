"""Independent jobs over the cores of this machine, each in a process of its own.

A process that dies takes no other job with it: that job's outcome is `Died`, with the cause in words. When
the caller leaves early (Ctrl-C), every process that still runs is ended, and what it started itself as well.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing import get_all_start_methods, get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any, Generic, NoReturn, TypeVar

T = TypeVar("T")
GRACE = 3.0  # seconds in which a process that was asked to end may do so in order
COLLECTED = (
    50_000  # objects made, until Python looks for cycles: a job is short, and nearly all are terms of Z3
)
TICK = 1.0  # seconds between two looks at what runs


@dataclass(frozen=True)
class Died:
    """A job without a result, and why."""

    cause: str


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What became of the job of this number."""

    number: int
    result: T | Died
    seconds: float


@dataclass(frozen=True)
class Running:
    """A job that runs now."""

    number: int
    process: BaseProcess
    started: float

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started


def cores() -> int:
    """How many of them this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def over_cores(
    jobs: Sequence[Callable[[], T]],
    *,
    workers: int | None = None,
    preload: Sequence[str] = (),
    tick: Callable[[Sequence[Running]], None] = lambda running: None,
) -> Generator[Outcome[T], None, None]:
    """The outcomes as they come; jobs are begun in the order given, and can be pickled.

    `preload`: modules that each process should find imported. `tick` is called about once a second.
    """
    context: Any = get_context("forkserver" if "forkserver" in get_all_start_methods() else "spawn")
    context.set_forkserver_preload(list(preload))
    todo = iter(enumerate(jobs))
    running: dict[Connection, Running] = {}

    def begin() -> None:
        for number, job in todo:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_do, args=(job, theirs))
            process.start()
            theirs.close()  # so that the end of the process ends the connection
            running[ours] = Running(number, process, time.perf_counter())
            return

    try:
        for _ in range(workers or cores()):
            begin()
        while running:
            for connection in wait([*running], timeout=TICK):
                assert isinstance(connection, Connection)
                ended = running.pop(connection)
                result = _received(connection, ended.process)
                begin()
                yield Outcome(ended.number, result, ended.seconds)
            tick([*running.values()])
    finally:
        _end([job.process for job in running.values()])


def _do(job: Callable[[], Any], answer: Connection) -> None:
    """In the process of one job. Ctrl-C is for the one that started it, which then asks it to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    Thread(target=_follow, daemon=True).start()
    gc.set_threshold(COLLECTED)
    try:
        answer.send(job())
    except Exception as error:  # whatever it is: it costs this job and no other
        answer.send(Died(f"{type(error).__name__}: {error}"))


def _follow() -> None:
    """Ends this process when the one that started it has ended, however that came."""
    if parent := parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _leave(number: int, frame: object) -> NoReturn:
    """As an exception: what the job holds, such as a child process, is put away."""
    sys.exit(128 + number)


def _received(connection: Connection, process: BaseProcess) -> Any:
    """The result of a process that has ended or is about to."""
    try:
        result = connection.recv()
    except EOFError:
        process.join()
        result = Died(f"its process ended early, {_how(process.exitcode or 0)}")
    finally:
        connection.close()
    process.join()
    return result


def _how(exitcode: int) -> str:
    if exitcode == -signal.SIGKILL:
        return "killed: is memory short?"
    return f"by {signal.Signals(-exitcode).name}" if exitcode < 0 else f"with status {exitcode}"


def _end(processes: Sequence[BaseProcess]) -> None:
    """Ask all to end, and see to it."""
    for process in processes:
        process.terminate()
    until = time.monotonic() + GRACE
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.exitcode is None:
            process.kill()
            process.join()
