"""The command `linearizable`: histories of clients, judged."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import Any

import click

from oneleader.cli.console import complain, judged, say
from oneleader.cli.options import InputFile
from oneleader.conformance.histories import BadOperation, JudgedHistory, Operation, judge
from oneleader.conformance.histories.formats import FORMATS, frozen, read, refuse
from oneleader.conformance.histories.judging import SHRINK_SECONDS
from oneleader.conformance.histories.objects import OBJECTS, guessed
from oneleader.errors import UsageError
from oneleader.verdict import INCONCLUSIVE, STATUS, USAGE, VIOLATED, exit_status
from oneleader.words import plural

MOST_SHOWN = 20  # operations of a failing part


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=InputFile())
@click.option("--format", "form", type=click.Choice(list(FORMATS)), help="[default: by the first line]")
@click.option("--model", "name", type=click.Choice(list(OBJECTS)), help="[default: by the operations]")
@click.option("--initial", metavar="JSON", help="What each key holds at first, e.g. 0.  [default: nothing]")
@click.option(
    "--seconds", type=click.FloatRange(min=0), help="Give up after this long: inconclusive.  [default: never]"
)
@click.option(
    "--shrink-seconds",
    type=click.FloatRange(min=0),
    default=SHRINK_SECONDS,
    show_default=True,
    help="At most this long for a smallest failing part.",
)
@click.option("--html", type=click.Path(path_type=Path), help="Draw the first failing part on this page.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per file, in a list.")
def linearizable(
    files: tuple[Path, ...],
    form: str | None,
    name: str | None,
    initial: str | None,
    seconds: float | None,
    shrink_seconds: float,
    html: Path | None,
    as_json: bool,
) -> int:
    """Does some order of operations explain what clients saw?

    FILE may be - for standard input."""
    start, limit = _start(initial), inf if seconds is None else seconds
    found: list[tuple[Path, JudgedHistory]] = []
    rows: list[dict[str, Any]] = []
    for file in files:
        try:
            result = judged_file(file, form, name, start, limit, shrink_seconds)
        except UsageError as error:  # the other files are judged all the same
            complain(str(error))
            rows.append({"file": str(file), "error": str(error)})
            continue
        found.append((file, result))
        rows.append(said(file, result))
        if not as_json:
            show(file, result)
    if as_json:
        click.echo(json.dumps(rows, default=str))
    if html:
        draw(found, html)
    status = exit_status(result.verdict for _, result in found)
    return USAGE if len(found) < len(files) and status != STATUS[VIOLATED] else status


def judged_file(
    file: Path, form: str | None, name: str | None, start: Any, seconds: float, shrink_seconds: float
) -> JudgedHistory:
    """The verdict on a file. UsageError, with the line, where it is no history of such an object."""
    operations = read(file, form)
    try:
        model = OBJECTS[name] if name else guessed(operations)
        _check_start(model.start, start)
        return judge(operations, model, start, seconds=seconds, shrink_seconds=shrink_seconds)
    except BadOperation as error:
        refuse(file, error)
    except RecursionError:
        raise UsageError(f"{file} has a value that nests deeper than can be compared") from None


def draw(found: list[tuple[Path, JudgedHistory]], page: Path) -> None:
    """The page of the first history that fails, if one does. What is said of it goes to standard error."""
    from oneleader.pictures.clients import of_history
    from oneleader.pictures.pages import write

    for file, result in found:
        if result.failing:
            click.echo(f"see  {write(of_history(file, result), page)}", err=True)
            return
    click.echo("no picture: no history fails", err=True)


def _start(initial: str | None) -> Any:
    try:
        return None if initial is None else frozen(json.loads(initial))
    except ValueError:
        raise UsageError(f"--initial {initial} is no JSON value: give e.g. 0, null or '\"a\"'") from None


def _check_start(start: Any, value: Any) -> None:
    try:
        start(value)
    except TypeError as error:
        raise UsageError(f"--initial does not fit: {error}") from None


def show(file: Path, result: JudgedHistory) -> None:
    """The verdict, and the part that shows it."""
    keys = f", {result.keys} keys" if result.keys > 1 else ""
    judged(result.verdict, str(file), plural(result.operations, "operations") + keys, f"as a {result.model}")
    if result.verdict is INCONCLUSIVE:
        say(f"        {result.why}")
    if result.verdict is not VIOLATED or result.stuck is None:
        return
    key = f" of key {result.key}" if result.key else ""
    say(f"        no order explains the operations{key} up to this one:")
    say(f"        {placed(result.stuck)}")
    cut = "" if result.is_smallest else " (time for a smaller one ran out)"
    say(f"        a part that fails{cut}:")
    if len(result.failing) > MOST_SHOWN:
        say(f"        {len(result.failing) - MOST_SHOWN} earlier operations, then")
    for o in sorted(result.failing, key=lambda o: o.called)[-MOST_SHOWN:]:
        say(f"        {placed(o)}")


def placed(o: Operation) -> str:
    """The operation, and its line."""
    line = getattr(o, "line", 0)
    return f"line {line:<5} {o}" if line else str(o)


def said(file: Path, result: JudgedHistory) -> dict[str, Any]:
    """The same for machines."""
    return {
        "file": str(file),
        "verdict": str(result.verdict),
        "why": result.why,
        "model": result.model,
        "operations": result.operations,
        "keys": result.keys,
        "key": result.key,
        "stuck": placed(result.stuck) if result.stuck else None,
        "failing": [placed(o) for o in result.failing],
        "smallest": result.is_smallest,
        "seconds": round(result.seconds, 4),
    }
