"""The command `settings`: a row for each setting of a model's switches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.text import Text

from oneleader import models
from oneleader.cli.console import STYLES, out, say
from oneleader.cli.options import bounds, configuration, json_option, print_json
from oneleader.language.configuration import Configuration
from oneleader.language.model import Model
from oneleader.readers.explore.settings import Setting
from oneleader.verdict import HOLDS, exit_status
from oneleader.words import title

SWITCH = 11  # the width of a switch's column


@click.command()
@click.argument("name", metavar="MODEL", default="system")
@bounds(3, 2)
@json_option
def settings(
    name: str,
    nodes: int | None,
    terms: int | None,
    quorums: str | None,
    sizes: tuple[str, ...],
    where: tuple[str, ...],
    as_json: bool,
) -> int:
    """Explore a bounded MODEL under each setting of its switches."""
    from oneleader.readers.explore import settings as settings_reader

    model = models.find(name)
    at = configuration(model, None, (3, 2), nodes, terms, quorums, sizes, where)
    found = []
    if not as_json:
        head(model, settings_reader.switches(model)[1], at)
    for setting in settings_reader.settings(model, at):
        found.append(setting)
        if not as_json:
            row(setting)
    if as_json:
        print_json([setting_json(setting) for setting in found])
    return exit_status(found[0].verdicts)


def head(model: Model, switches: Sequence[str], at: Configuration) -> None:
    """What is explored, and the heads of the columns: switches, properties, witnesses."""
    say(f"settings  {model.name}  {at.describe()}   each row exhaustive, or the fewest steps that break it")
    say()
    heads = [name.ljust(SWITCH) for name in switches]
    heads += [f"{title(name)}  " for name in (*model.properties, *model.witnesses)]
    say(f"  {''.join(heads).rstrip()}")


def row(told: Setting) -> None:
    """A row: which switches are on, what holds, and what is reached."""
    line = Text("  ")
    for name in told.switches:
        is_on = name not in told.off
        line.append(("on" if is_on else "off").ljust(SWITCH), style="" if is_on else "bold")
    for name, found in told.found.items():
        general = HOLDS if name in told.run.model.witnesses else found.verdict
        line.append(told.said(name).ljust(len(title(name)) + 2), style=STYLES[general])
    out.print(line)


def setting_json(told: Setting) -> dict[str, Any]:
    properties = told.run.model.properties
    return {
        "off": list(told.off),
        "configuration": told.run.configuration.describe(),
        "properties": {
            name: {"verdict": found.verdict.value, "steps": told.steps(name)}
            for name, found in told.found.items()
            if name in properties
        },
        "witnesses": {name: told.steps(name) for name in told.found if name not in properties},
    }
