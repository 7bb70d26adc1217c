"""Excerpts: where a paragraph of a page is one link to a symbol of a source file, the site shows its source.

The link is plain Markdown, `[the words](../reference/oneleader_raft/lease.py#lease_holds)`, and is all that
other renderers show. What the site shows below it is read when the site is built, so it is never a copy, and
a symbol that is gone fails the build.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from oneleader.errors import UsageError

EXCERPT = re.compile(
    r"^\[([^\]\n]+)\]\(([^)#\s]+\.(?:py|tla))#(\w+(?:\.\w+)*)\)$(?=\n\n|\n*\Z)", re.MULTILINE
)


def lines_of(file: Path, symbol: str) -> tuple[int, int]:
    """The first and the last line of what a file defines under this name: `name`, or `Class.name`."""
    find = _in_tla if file.suffix == ".tla" else _in_python
    found = find(file.read_text("utf-8"), symbol)
    if found is None:
        raise UsageError(f"{file.name} defines no {symbol}: mend the link that names it")
    return found


def _in_python(text: str, symbol: str) -> tuple[int, int] | None:
    node: ast.AST = ast.parse(text)
    first = last = 0
    for name in symbol.split("."):
        defined = next((each for each in _statements(node) if name in _names(each)), None)
        if defined is None:
            return None
        marks = getattr(defined, "decorator_list", [])
        first, last = min([defined.lineno, *(mark.lineno for mark in marks)]), defined.end_lineno or 0
        node = defined
    return first, last


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    yield from getattr(node, "body", [])


def _names(statement: ast.stmt) -> set[str]:
    """What a statement defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _in_tla(text: str, symbol: str) -> tuple[int, int] | None:
    """A definition, with the comment above it: a block between blank lines."""
    lines = text.splitlines()
    begins = re.compile(rf"{re.escape(symbol)}(\([^)]*\))?\s*==")
    at = next((number for number, line in enumerate(lines) if begins.match(line)), None)
    if at is None:
        return None
    first, last = at, at
    while first > 0 and lines[first - 1].startswith((r"\*", "(*")):
        first -= 1
    while last + 1 < len(lines) and lines[last + 1].strip() and not lines[last + 1].startswith("---"):
        last += 1
    return first + 1, last + 1
