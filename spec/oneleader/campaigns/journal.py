"""A journal of finished jobs, a line each: a campaign that is started again does only what is missing.

A result is found by the digest of its job. So one journal may serve several campaigns, and other jobs in
it do no harm. The header holds the seed that was drawn, so that the same command goes on.
"""

from __future__ import annotations

import fcntl
import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

from oneleader.errors import UsageError

FORMAT = {"format": "oneleader campaign", "version": 1}


def key(job: dict[str, Any]) -> str:
    """Names a job, by all that it says."""
    return sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()


class Journal:
    """The file, open and locked until `close`. `ignored` lines of it could not be read."""

    def __init__(self, path: Path, seed: int = 0) -> None:
        self._file = path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file.seek(0)
            *lines, torn = self._file.read().split(b"\n")  # a line without its end was not written to it
            header: dict[str, Any] = _read(lines[0]) if lines else {**FORMAT, "seed": seed}
            if not header.items() >= FORMAT.items() or (torn and not lines):
                raise UsageError(f"{path} is no journal of a campaign: choose another file")
        except BlockingIOError:
            self._file.close()
            raise UsageError(f"{path} is in use by another campaign: give each its own") from None
        except UsageError:
            self._file.close()
            raise
        self._file.truncate(self._file.tell() - len(torn))
        if not lines:
            self._write(header)
        self.seed: int = header.get("seed", seed)
        entries = [entry for entry in map(_read, lines[1:]) if entry.keys() >= {"key", "result"}]
        self.ignored = len(lines[1:]) - len(entries) + bool(torn)
        self.results: dict[str, dict[str, Any]] = {entry["key"]: entry["result"] for entry in entries}

    def add(self, key: str, job: dict[str, Any], result: dict[str, Any], seconds: float) -> None:
        """Write down one finished job."""
        self.results[key] = result
        self._write({"key": key, "job": job, "result": result, "seconds": round(seconds, 3)})

    def _write(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _read(line: bytes) -> dict[str, Any]:
    """The object of a line; an empty one where there is none."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
