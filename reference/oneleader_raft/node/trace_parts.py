"""The files of a node's trace: n1.trace.jsonl and, where it rotates, n1.trace-2.jsonl, n1.trace-3.jsonl."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

PART = re.compile(r"(?P<node>.+)\.trace(-(?P<number>[1-9][0-9]*))?\.jsonl")


def path_of(folder: Path, node: str, number: int) -> Path:
    return folder / f"{node}.trace{'' if number == 1 else f'-{number}'}.jsonl"


def parts(folder: Path) -> dict[str, list[int]]:
    """The numbers of the parts that are there, in order, by node."""
    found: dict[str, list[int]] = {}
    for name in _names(folder):
        found.setdefault(name["node"], []).append(int(name["number"] or 1))
    return {node: sorted(numbers) for node, numbers in sorted(found.items())}


def _names(folder: Path) -> Iterable[re.Match[str]]:
    return filter(None, (PART.fullmatch(path.name) for path in folder.iterdir())) if folder.is_dir() else ()
