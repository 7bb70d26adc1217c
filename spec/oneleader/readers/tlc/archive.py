"""Java starts TLC sooner from an archive of the classes that it loads (JEP 350; Java 13 and up).

The first run makes the archive as it ends, which costs it about what five others gain, and it is kept with
other caches. Java itself refuses an archive of another Java or another jar, and then reads the jar as ever.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import get_ident

from oneleader.readers.engines import compiling

QUIET = "-Xlog:disable"  # what Java has to say of its archive is no word of TLC's


@contextmanager
def archived(java: Path, jar: Path) -> Iterator[list[str]]:
    """The flags by which Java uses the archive of this jar, or makes it."""
    files = [file.resolve() for file in (java, jar)]
    told = " ".join(f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files)
    kept = compiling.kept(f"tlc-{sha256(told.encode()).hexdigest()[:16]}.jsa")
    if kept.exists():
        yield [QUIET, f"-XX:SharedArchiveFile={kept}"]
        return
    part = kept.with_suffix(f".{os.getpid()}-{get_ident()}")
    try:
        yield [QUIET, f"-XX:ArchiveClassesAtExit={part}"]
    except BaseException:  # Java was ended, so what it wrote may be a part
        part.unlink(missing_ok=True)
        raise
    if part.exists():
        part.replace(kept)
