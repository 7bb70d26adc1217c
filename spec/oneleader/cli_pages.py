"""The command that makes pages: `trade-offs`."""

from __future__ import annotations

from pathlib import Path

import click

from oneleader.report.console import say
from oneleader.report.verdict import HOLDS, INCONCLUSIVE, VIOLATED, exit_status


@click.command("trade-offs")
@click.option("--write", is_flag=True, help="Write the pages, and the runs that they link to.")
@click.option(
    "--docs",
    type=click.Path(path_type=Path),
    default=Path("docs"),
    help="The folder of the pages.  [default: docs]",
)
def trade_offs(write: bool, docs: Path) -> int:
    """What each approach gives: explore every cell, and say which pages of docs/ are stale, or write them."""
    from oneleader.readers import approaches
    from oneleader.report import documents

    if not write:
        heads = [question.heading for question in approaches.QUESTIONS]
        say(
            f"trade-offs  {approaches.configured(approaches.APPROACHES[0], approaches.QUESTIONS[0]).describe()}"
        )
        for number, head in enumerate(heads, 1):
            say(f"  {number}  {head}")
        say(f"{'':34}" + "".join(f"{n:<15}" for n in range(1, len(heads) + 1)).rstrip())
        for approach in approaches.APPROACHES:
            found = [*approaches.cells(approach, documents.proved)]
            say(f"{approach.name:34}" + "".join(f"{documents.brief(cell):15}" for cell in found).rstrip())
        return exit_status([INCONCLUSIVE for cell in found if cell.verdict == INCONCLUSIVE])
    changed = documents.written(documents.everything(documents.proved), docs)
    for name in changed:
        say(f"written  {docs / name}")
    say(f"{len(changed)} files changed" if changed else "nothing has changed")
    return exit_status([HOLDS])
