"""Where the commands leave their pictures: a page beside the saved run, or in the folder `runs`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from oneleader.errors import UsageError
from oneleader.pictures.html import html
from oneleader.story import Story

FOLDER = Path("runs")


def write(story: Story, path: Path) -> Path:
    """The page of a story in this file; UsageError where that is impossible."""
    return save(path, html(story), "the picture")


def save(path: Path, text: str, what: str = "it") -> Path:
    """The text in this file, its folder made; UsageError where that is impossible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {what} to {path}: {error.strerror}") from None
    return path


def see(make: Callable[[], Story], name: str) -> str:
    """The line that says where the page of a story is, or why there is none: what a reader has found holds
    all the same."""
    file = "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
    try:
        return f"see    {write(make(), FOLDER / f'{file}.html')}"
    except UsageError as error:
        return f"no picture: {error}"
