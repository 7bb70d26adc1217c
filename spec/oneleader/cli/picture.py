"""The command `picture`: a saved run or a recording as a space-time diagram."""

from __future__ import annotations

from pathlib import Path

import click

from oneleader.errors import UsageError
from oneleader.shipped import recording
from oneleader.story import MOST_ROWS, SHOWN_ROWS, Story


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "drawn_as",
    type=click.Choice(["html", "svg", "text"]),
    help="A page that steps, one SVG file, or plain text.  [default: by --out, else text]",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the picture here.")
@click.option(
    "--rows",
    metavar="A:B",
    help=f"Only these rows.  [default: all, or the last {SHOWN_ROWS} of a long recording]",
)
@click.option("--model", "name", metavar="MODEL", help="The model that judges.  [default: the file's]")
def picture(file: Path, drawn_as: str | None, out: Path | None, rows: str | None, name: str | None) -> int:
    """Draw FILE, a saved run or a recording.

    The picture shows lanes, messages, terms, leases, and what went wrong.
    """
    from oneleader import models
    from oneleader.pictures.recorded import of_file

    story = of_file(recording(file), model=models.find(name) if name else None)
    if rows:
        story = story.window(*_window(rows, story))
        if len(story.rows) > MOST_ROWS:
            raise UsageError(f"--rows {rows} are {len(story.rows):,} rows: at most {MOST_ROWS} can be drawn")
    made = drawn(story, drawn_as or (out.suffix.lstrip(".") if out else "text"))
    if out is None:
        click.echo(made, nl=False)
        return 0
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(made, encoding="utf-8")
    click.echo(f"see  {out}")
    return 0


def drawn(story: Story, drawn_as: str) -> str:
    """The story in one of the three forms; UsageError where there is no such form."""
    from oneleader.pictures.html import html
    from oneleader.pictures.svg import svg
    from oneleader.pictures.text import text

    forms = {"html": html, "svg": svg, "text": text, "txt": text}
    if drawn_as not in forms:
        raise UsageError(f"no picture is made as {drawn_as!r}: give --format html, svg or text")
    return forms[drawn_as](story)


def _window(rows: str, story: Story) -> tuple[int, int]:
    """`10:40`, `10:` or `:40` as two numbers."""
    first, colon, last = rows.partition(":")
    if not colon or not all(part == "" or part.isdecimal() for part in (first, last)):
        raise UsageError(f"--rows {rows} is not of the form A:B, e.g. --rows 10:40")
    return int(first or 0), int(last or story.rows[-1].number)
