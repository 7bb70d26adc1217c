"""A campaign's jobs on a Dask cluster: one of this machine's cores, or a scheduler's.

Dask does the scheduling. A job whose worker dies is done again elsewhere; results are fetched as soon as
they are there, so a dying worker takes no finished one along.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from oneleader.campaigns.campaign import Doing, Done, Executor, Job, Lost, do
from oneleader.errors import MissingTool, UsageError

LOCAL = "local"
RETRIES = 2  # of a job that raises; one whose worker dies is done again by Dask's allowed-failures
CONNECT = 10  # seconds
LONGEST_GREETING = 2**20  # bytes; an SSH server's first words, read as a length, are far beyond
SILENT = logging.CRITICAL + 1


def over(address: str, *, connect: float = CONNECT, workers: int | None = None) -> Executor:
    """The executor on a cluster: `local`, or the address of a scheduler such as tcp://host:8786."""
    dask = _dask()

    def execute(jobs: Mapping[int, Job], wanted: Callable[[int], bool]) -> Doing:
        connected = _local(dask, workers) if address == LOCAL else _remote(dask, address, connect)
        with connected as client:
            suspects = []
            for number, done in _together(dask, client, jobs, wanted):
                if done:
                    yield number, done
                else:
                    suspects.append(number)
            for number in suspects:  # alone: it may only have waited on a worker that another job ended
                yield from _together(dask, client, {number: jobs[number]}, wanted)

    return execute


def _together(dask: Any, client: Any, jobs: Mapping[int, Job], wanted: Callable[[int], bool]) -> Doing:
    futures = {n: client.submit(do, job, pure=False, retries=RETRIES) for n, job in jobs.items()}
    numbers, waiting = {future: n for n, future in futures.items()}, [*futures]
    finished = dask.as_completed([*numbers], client.loop, with_results=True, raise_errors=False)
    for future, outcome in finished:
        number = numbers.pop(future)
        if wanted(number):
            yield number, _outcome(dask, future.status, outcome)
        while waiting and not wanted(waiting[-1]):
            futures[waiting.pop()].cancel()
        future.release()


def _dask() -> Any:
    try:
        import distributed
    except ImportError:
        raise MissingTool(
            "a cluster needs Dask, which is not installed: pip install 'oneleader[dask]'"
        ) from None
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
        logging.getLogger(name).setLevel(SILENT)  # what matters of it we say ourselves
    return distributed


def _outcome(dask: Any, status: str, outcome: Any) -> Done | None:
    """What a job gave; None where it took several workers with it."""
    if status == "finished":
        done: Done = outcome
        return done
    if status != "error":
        raise Lost("the scheduler went away")
    _, error, _ = outcome
    if isinstance(error, dask.KilledWorker):
        return None
    if isinstance(error, ModuleNotFoundError | AttributeError):
        raise UsageError(f"a worker cannot run oneleader ({error}): install the same there") from None
    raise error


@contextmanager
def _local(dask: Any, workers: int | None) -> Iterator[Any]:
    """A process a core, on loopback. Memory is not limited, as it is not without a cluster."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="oneleader-"))
        with _deaf_to_ctrl_c():
            cluster = dask.LocalCluster(
                n_workers=workers or os.cpu_count(),
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False, "local_directory": folder},
                memory_limit=0,
                local_directory=folder,
                silence_logs=SILENT,
            )
            client = dask.Client(stack.enter_context(cluster), set_as_default=False)
        yield stack.enter_context(client)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """What is started in here inherits that it hears no Ctrl-C: this process does, and closes it."""
    resource_tracker.ensure_running()  # starting it would unblock the signal again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _remote(dask: Any, address: str, connect: float) -> Iterator[Any]:
    """A scheduler that is there already, and has somebody who works."""
    try:
        _listen(address, connect)
        client = dask.Client(address, timeout=connect, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"there is no Dask scheduler at {address}: {error}") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=connect)
        except TimeoutError:
            said = f"the scheduler at {address} has no worker: start some with `dask worker {address}`"
            raise UsageError(said) from None
        yield client


def _listen(address: str, connect: float) -> None:
    """OSError or ValueError unless a scheduler speaks first, as Dask's do: its client waits for ever."""
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if parts.scheme not in ("tcp", "tls") or not parts.hostname or not parts.port:
        raise ValueError("an address is tcp://HOST:PORT or tls://HOST:PORT")
    with socket.create_connection((parts.hostname, parts.port), timeout=connect) as probe:
        if parts.scheme == "tcp" and not 0 < int.from_bytes(probe.recv(8), "little") < LONGEST_GREETING:
            raise ValueError("something else answers there")
