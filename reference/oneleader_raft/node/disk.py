"""What the disk refuses is told in one sentence that names the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UnusableError

OF_THE_DISK = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY}
ADVICE = "see if the disk is full, and who owns the folder and the files of this node in it"


@contextmanager
def using(path: Path) -> Iterator[None]:
    """UnusableError where the disk, or who may use it, is why this file cannot be read or written."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in OF_THE_DISK:
            raise
        raise UnusableError(f"{path} cannot be used: {error}; {ADVICE}") from None
    except OSError as error:
        raise UnusableError(f"{error.filename or path} cannot be used: {error.strerror}; {ADVICE}") from None
