"""C that is made or kept here, compiled by the machine's own compiler into libraries that Python loads.

Libraries are kept, under the hash of all that they are made from, for as long as they are used.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from oneleader.errors import MissingTool, UsageError

KEPT_SECONDS = 30 * 86_400


def compiler() -> list[str]:
    """The command of a C compiler: what CC says, else the first one on the PATH."""
    named = shlex.split(os.environ.get("CC", ""))
    for name in named[:1] or ("cc", "gcc", "clang"):
        found = shutil.which(name)
        if found:
            return [found, *named[1:]]
    if named:
        raise MissingTool(f"CC names no compiler: {named[0]}.")
    raise MissingTool(
        "the native engine needs a C compiler, found none of cc, gcc, clang: install one, or set CC."
    )


@lru_cache
def scratch() -> TemporaryDirectory[str]:
    """A folder of this process, gone when it ends."""
    return TemporaryDirectory(prefix="oneleader-")


def cache() -> Path:
    """Where libraries are kept: what ONELEADER_CACHE says, else with other caches, if one may write there."""
    own, shared = os.environ.get("ONELEADER_CACHE"), os.environ.get("XDG_CACHE_HOME")
    try:
        folder = Path(own) if own else Path(shared or Path.home() / ".cache", "oneleader")
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # nowhere to write, no home
        return Path(scratch().name)
    return folder if os.access(folder, os.W_OK) else Path(scratch().name)


def kept(name: str) -> Path:
    """Where a file of this name is kept, or is to be. One that is there counts as used today."""
    path = cache() / name
    try:
        os.utime(path)
    except FileNotFoundError:
        _tidy(path.parent)
    except OSError:
        pass  # it is somebody else's
    return path


@lru_cache
def _tidy(folder: Path) -> None:
    """What nothing has used for a month goes, once in each process that adds something."""
    for entry in os.scandir(folder):
        with suppress(OSError):
            if entry.is_file() and entry.stat().st_mtime < time.time() - KEPT_SECONDS:
                os.unlink(entry.path)


def library(source: str, flags: Sequence[str] = ()) -> Path:
    """The shared library made from this text: found in the cache, or put there in one piece.

    With -O2 it takes twice as long to compile and runs no faster.
    """
    command = [*compiler(), "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-pthread", *flags]
    key = sha256("\0".join([platform.platform(), *command, source]).encode()).hexdigest()
    path = kept(f"{key[:32]}.so")
    if not path.exists():
        with TemporaryDirectory(dir=path.parent, prefix="part-") as folder:
            made = Path(folder, path.name)
            command += ["-x", "c", "-", "-o", str(made)]
            done = subprocess.run(command, input=source, capture_output=True, text=True)
            if done.returncode:
                complaint = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr)
                raise UsageError(f"{command[0]} cannot compile this model: {complaint}")
            made.replace(path)
    return path
