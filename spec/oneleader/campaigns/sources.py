"""What the answers of a file of Python come from: its text, and that of the modules that it imports.

A journal holds what was said of a model or an adapter, and mostly what is tested stands beside it: who edits
that asks something new. Imports are read in the text, those within functions too, and followed, but for
Python's own modules, ours, and within what is installed; of that each package is taken whole. What a file
imports by a name that is computed, and whatever else it reads or runs, is not seen.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, PathFinder
from importlib.util import cache_from_source
from pathlib import Path

from oneleader.errors import UsageError

OURS = {"oneleader", "oneleader_raft"}
INSTALLED = {"site-packages", "dist-packages"}
RUN = tuple(SOURCE_SUFFIXES + EXTENSION_SUFFIXES)


def digest(path: Path) -> str:
    """Of the file and of what it imports; UsageError where there is none. The same wherever that stands."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    texts = (_once(file) if _is_installed(file) else _text(file) for file in imported(path))
    return sha256(" ".join([_text(path), *sorted(texts)]).encode()).hexdigest()


def _text(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


_once = lru_cache(maxsize=None)(_text)  # nobody installs something else while we run


def _is_installed(file: Path) -> bool:
    return not INSTALLED.isdisjoint(file.parts)


_loaded: dict[Path, str] = {}  # files that a job had loaded, and their texts then


def forget_older(path: Path) -> None:
    """Where something that this file imports has changed since a job loaded it, all is to be loaded again:
    Python keeps modules, and a worker may live for days."""
    now = {file: _text(file) for file in imported(path) if not _is_installed(file)}
    changed = [file for file, text in now.items() if _loaded.get(file, text) != text]
    for one in changed:  # Python takes what it has compiled for the same where second and length are
        Path(cache_from_source(str(one))).unlink(missing_ok=True)
    if changed:
        for name, module in [*sys.modules.items()]:
            if (file := getattr(module, "__file__", None)) and Path(file) in now:
                del sys.modules[name]
    _loaded.update(now)


def imported(path: Path) -> set[Path]:
    """The files of all modules that this one imports, and these in turn, itself left out."""
    found, left, names = {path}, [path], set[str]()
    while left:
        for name in {*_names(left.pop())} - names:
            names.add(name)
            new = {*_files(name, path.parent)} - found
            found |= new
            left += [file for file in new if not _is_installed(file)]
    return found - {path}


def _names(path: Path) -> Iterator[str]:
    """The packages and modules that a text imports, by the first part of their names."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # whoever runs it will say so
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _files(name: str, beside: Path) -> Iterator[Path]:
    """The files of a module or a package, found as a script in that folder finds it."""
    if name in sys.stdlib_module_names or name in OURS:
        return
    spec = PathFinder.find_spec(name, [str(beside), *sys.path])
    if spec is None:
        return
    for folder in spec.submodule_search_locations or ():
        yield from (file for file in Path(folder).rglob("*") if file.name.endswith(RUN))
    if spec.origin and spec.has_location:
        yield Path(spec.origin)
