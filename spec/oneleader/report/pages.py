"""Where the commands leave their pictures: a page beside the saved run, or in the folder `runs`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oneleader.errors import UsageError
from oneleader.report.picture_html import html
from oneleader.report.story import Story

if TYPE_CHECKING:
    from oneleader.language.model import Model
    from oneleader.readers.replay import Replayed
    from oneleader.readers.tlc import Result

FOLDER = Path("runs")


def write(story: Story, path: Path) -> Path:
    """The page of a story in this file; UsageError where that is impossible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html(story), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write the picture to {path}: {error.strerror}") from None
    return path


def of_refusal(recording: Path, result: Replayed, model: Model | None) -> Path:
    """The page of a recording that `replay` refused: its last lines, and the rule that forbids the last."""
    from oneleader.report.recorded import judged

    name = recording.name.partition(".")[0]
    return write(judged(recording, result, model), FOLDER / f"{name}-refused.html")


def of_tlc(config: Path, result: Result) -> Path:
    """The page of TLC's trace."""
    from oneleader.report.traced import of_tlc as story

    return write(story(config, result), FOLDER / f"{config.stem}.html")
