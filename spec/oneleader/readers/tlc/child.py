"""A program that runs no longer than the one that started it, however that ended: by Ctrl-C, or killed.

It runs in a process group of its own beside a watcher, which reads a pipe that nobody writes to. When the
process that started them is gone, the system closes the other end, and the watcher ends the group.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

WATCHED = """
exec 3<&0 </dev/null
{ read -r nothing <&3; kill -KILL 0; } >/dev/null 2>&1 &
watcher=$!
exec 3<&-
"$@"
status=$?
kill -KILL $watcher
exit $status
"""
_running: set[subprocess.Popen[str]] = set()
_stopping = False


@contextmanager
def child(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that runs `command`; ended when this is left; signal N gives status 128 + N."""
    if _stopping:
        raise KeyboardInterrupt
    watched, held = os.pipe()
    try:
        words = ["/bin/sh", "-c", WATCHED, "sh", *command]
        process = subprocess.Popen(words, stdin=watched, process_group=0, text=True, **options)
    except BaseException:
        os.close(held)
        raise
    finally:
        os.close(watched)
    _running.add(process)
    try:
        yield process
    finally:
        end(process)
        _running.discard(process)
        os.close(held)
    if _stopping:  # what it printed is cut off
        raise KeyboardInterrupt


def end(process: subprocess.Popen[str]) -> None:
    """End it and what it started, unless it has ended, and wait until nobody holds its output."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.stdout and not process.stdout.closed:
        process.stdout.read()
    process.wait()


def stop() -> None:
    """End all that other threads run, and let them start no more: this process is about to end."""
    global _stopping
    _stopping = True
    for process in [*_running]:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
