"""Where something stands in a model's source, as editors and terminals link it: `models/lock.py:12:5`."""

from __future__ import annotations

from pathlib import Path


def place(file: str, line: int, column: int = 1) -> str:
    """File, line and column, counted from 1; the file relative to the working directory where it is below."""
    path = Path(file)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return f"{path}:{line}:{column}"
