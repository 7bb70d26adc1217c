"""The command that makes pages: `trade-offs`."""

from __future__ import annotations

from pathlib import Path

import click

from oneleader.cli.console import say
from oneleader.verdict import HOLDS, INCONCLUSIVE, exit_status


@click.command("trade-offs")
@click.option("--write", is_flag=True, help="Write the pages, and the runs that they link to.")
@click.option(
    "--docs",
    type=click.Path(path_type=Path),
    default=Path("docs/results"),
    help="The folder of the pages.  [default: docs/results]",
)
def trade_offs(write: bool, docs: Path) -> int:
    """What each approach gives, and does not: explore every cell; or write the pages that say so."""
    from workshop.pages import documents

    if not write:
        return table()
    changed = documents.written(documents.everything(documents.proved), docs)
    for name in changed:
        say(f"written  {docs / name}")
    say(f"{len(changed)} files changed" if changed else "nothing has changed")
    return 0


def table() -> int:
    """Print the cells, a line an approach as soon as it is explored."""
    from workshop.pages import documents
    from workshop.studies.approaches import APPROACHES, QUESTIONS, cells, configured

    at = configured(APPROACHES[0], QUESTIONS[0]).describe().partition(", off")[0]
    say(f"trade-offs  {at}   each cell exhaustive, or the fewest steps that break it")
    for number, question in enumerate(QUESTIONS, 1):
        given = ", ".join(question.given)
        say(f"  {number}  {question.heading:32}  given {given}")
    say(f"{'':34}" + "".join(f"{n:<15}" for n in range(1, len(QUESTIONS) + 1)).rstrip())
    verdicts = []
    for approach in APPROACHES:
        found = [*cells(approach, documents.proved)]
        say(f"{approach.name:34}" + "".join(f"{documents.brief(cell):15}" for cell in found).rstrip())
        verdicts += [INCONCLUSIVE if cell.verdict is INCONCLUSIVE else HOLDS for cell in found]
    return exit_status(verdicts)
