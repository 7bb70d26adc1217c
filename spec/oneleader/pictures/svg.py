"""A story as SVG: one file that needs nothing else, light or dark as the reader's screen is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import jinja2

from oneleader.pictures.layout import WIDE, Measures, Picture, colour, laid_out, legend
from oneleader.pictures.lettering import wrapped
from oneleader.pictures.palette import DARK, LIGHT
from oneleader.story import Story, StoryRow

MARGIN = 14.0


@dataclass(frozen=True)
class Title:
    x: float
    y: float
    words: str
    style: str
    size: float
    weight: int


@cache
def templates() -> jinja2.Environment:
    """The templates of this package; everything they print is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("oneleader.pictures"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.globals.update(colour=colour, spoken=spoken, light=LIGHT, dark=DARK)
    return environment


def svg(story: Story, measures: Measures = WIDE, *, dark: bool = True) -> str:
    """The whole picture: what is violated on top, the diagram, and what its signs mean.

    May stand inside a page; without `dark` it is light on every screen.
    """
    picture = laid_out(story.fitting(), measures)
    titles, top = _titles(picture)
    signs, below = legend(picture)
    drawn = (
        templates()
        .get_template("picture.svg.j2")
        .render(
            picture=picture,
            story=picture.story,
            titles=titles,
            top=top,
            width=round(picture.width),
            height=round(top + picture.height + below),
            signs=signs,
            has_dark=dark,
        )
    )
    return drawn.strip() + "\n"


def spoken(story: Story, row: StoryRow) -> str:
    """A row for those who hear it: what happens, what is sent, how those are that it changed."""
    said = [f"{row.number}: {row.label}.", *(f"Sends {sent}." for sent in story.sent_by(row))]
    said += [f"{name} is {state}." for name in story.changed(row) if (state := told(story, row, name))]
    if row.number == story.wrong_row:
        said += [f"Violation: {story.wrong}", story.because]
    return " ".join(said)


def told(story: Story, row: StoryRow, name: str) -> str:
    """How a lane is after a row, in words: `leader of term 2, with a lease, voted for itself`."""
    spot = row.after[name]
    if spot.life != "up":
        return ", ".join((spot.life, *spot.words))
    role = f"{spot.role} in term {spot.term}" if spot.role and spot.term is not None else spot.role
    return ", ".join(filter(None, (role, "with a lease" if spot.lease else "", *spot.words)))


def _titles(picture: Picture) -> tuple[list[Title], float]:
    """The lines above the diagram, and where it begins."""
    story, width, y = picture.story, picture.width - 2 * MARGIN, MARGIN
    lines: list[Title] = []
    said = [
        (story.wrong, "verdict", 16.0, 650),
        (story.because, "words", 13.0, 400),
        (story.title, "small", 12.0, 400),
        (left_out(story), "small", 12.0, 400),
    ]
    for words, style, size, weight in said:
        for text in wrapped(words, width, size) if words else ():
            y += size + 5
            lines.append(Title(MARGIN, y, text, style, size, weight))
    return lines, y + 12


def left_out(story: Story) -> str:
    """Which rows these are, where not all are shown."""
    before, after = story.left_out
    sides = [
        f"{n:,} {'row' if n == 1 else 'rows'} {side}"
        for n, side in ((before, "before"), (after, "after"))
        if n
    ]
    shown = f"Rows {story.rows[0].number} to {story.rows[-1].number}"
    return f"{shown}; left out: {' and '.join(sides)}." if sides else ""
