"""Proofs of earlier runs: who reads the same texts with the same prover need not prove them again.

A proof is known by a hash of all that it reads: the source of the handlers' proof, of the language, the
models and the prover, and of the reference, the versions of Z3 and of Python, and what was asked. What was
proved is kept; what failed or could not be told is tried again.
"""

from __future__ import annotations

import os
import pickle
import platform
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import z3

import oneleader
import oneleader_raft
from oneleader.readers.engines import compiling
from oneleader.verdict import HOLDS

READ = {  # the files that a proof reads, in each package
    oneleader: (
        "*.py",
        "language/**/*.py",
        "models/**/*.py",
        "readers/*.py",
        "readers/prove/**/*.py",
        "conformance/*.py",
        "conformance/handlers/**/*.py",
    ),
    oneleader_raft: ("*.py",),
}
T = TypeVar("T")


def files() -> Iterator[Path]:
    for package, patterns in READ.items():
        folder = Path(str(package.__file__)).parent
        yield from sorted({file for pattern in patterns for file in folder.glob(pattern)})


@cache
def texts() -> str:
    """A hash of all that every proof reads."""
    found = sha256(f"{z3.get_full_version()} {platform.python_version()}".encode())
    for file in files():
        found.update(f"\0{file.name}\0".encode() + file.read_bytes())
    return found.hexdigest()


def once(prove: Callable[..., T], *asked: Any) -> tuple[T, bool]:
    """What `prove(*asked)` says, and whether an earlier run has said so."""
    key = sha256(repr((texts(), prove.__name__, asked)).encode()).hexdigest()
    path = compiling.cache() / f"{key[:32]}.proof"
    try:
        found: T = pickle.loads(path.read_bytes())
        return found, True
    except (OSError, pickle.PickleError, EOFError, ValueError, AttributeError, IndexError):
        pass  # there is none, or it is damaged
    found = prove(*asked)
    if found.verdict is HOLDS:  # type: ignore[attr-defined]
        part = path.with_suffix(f".{os.getpid()}")
        part.write_bytes(pickle.dumps(found))
        part.replace(path)  # whole or not at all
    return found, False


def afresh(prove: Callable[..., T], *asked: Any) -> tuple[T, bool]:
    """The same, whatever earlier runs have said."""
    return prove(*asked), False
