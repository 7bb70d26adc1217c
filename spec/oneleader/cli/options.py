"""Options that several commands share, and what they say."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from oneleader import models
from oneleader.cli.console import out
from oneleader.errors import UsageError
from oneleader.faults import catalogue
from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model

F = TypeVar("F", bound=Callable[..., Any])


def model_argument(command: F) -> F:
    return click.argument("name", metavar="MODEL", default="election")(command)


def fault_option(command: F) -> F:
    return click.option("--fault", help="Inject this fault (ids: `oneleader faults`).")(command)


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines.")(
        command
    )


class InputFile(click.Path):
    """The path of a file that is read; `-` is standard input."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert("/dev/stdin" if value == "-" else value, param, ctx)


class Duration(click.FloatRange):
    """A time above 0, and none that Python calls a number and no clock ever shows: "nan", "inf"."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        time = float(super().convert(value, param, ctx))
        if not math.isfinite(time):
            self.fail(f"{value!r} is no time.", param, ctx)
        return time


def bounds(nodes: int, terms: int) -> Callable[[F], F]:
    def add(command: F) -> F:
        command = click.option(
            "--where",
            multiple=True,
            metavar="CONSTANT=NAMES",
            help="Where a constant is true, e.g. off=terms,lease or 'edge=n1 n2,n2 n3'.",
        )(command)
        command = click.option(
            "--size",
            "sizes",
            multiple=True,
            metavar="SORT=N",
            help="The size of any sort, e.g. Client=2.",
        )(command)
        command = click.option(
            "--quorums", metavar="LIST", help="'majority', or a list such as 'n1 n2, n1 n3'."
        )(command)
        command = click.option(
            "--terms", type=int, help=f"The greatest term of the run.  [default: {terms}]"
        )(command)
        return click.option("--nodes", type=int, help=f"How many servers.  [default: {nodes}]")(command)

    return add


def chosen(name: str, fault: str | None) -> tuple[Model, catalogue.Fault | None]:
    """The model, or the faulty one."""
    if not fault:
        return models.find(name), None
    found = catalogue.find(fault)
    return found.model, found


def configuration(
    model: Model,
    found: catalogue.Fault | None,
    default: tuple[int, int],
    nodes: int | None,
    terms: int | None,
    quorums: str | None,
    sizes: tuple[str, ...],
    where: tuple[str, ...],
) -> Configuration:
    """The bounds asked for; where none are, those of the fault or of the command."""
    faulty = found.faulty_model if found else None
    usual = faulty.sizes if faulty else dict(zip(("Node", "Term"), default, strict=True))
    asked = {k: v for k, v in (("Node", nodes), ("Term", terms)) if v is not None}
    true_at = dict(faulty.constants) if faulty else {}
    true_at |= dict(placed(text) for text in where)
    for text in sizes:
        sort, _, number = text.partition("=")
        if sort in constants(model):
            raise UsageError(f"{sort} is a constant of {model.name} and has no size: use --where {text}")
        if not number.lstrip("-").isdigit():
            raise UsageError(f"--size {text} is not of the form SORT=N, e.g. --size Client=2")
        asked[sort] = int(number)
    return configure(
        model,
        {**usual, **asked},
        quorums or (faulty.quorums if faulty else "majority"),
        true_at,
    )


def constants(model: Model) -> list[str]:
    return [name for name, f in model.fields.items() if f.kind == "constant"]


def placed(text: str) -> tuple[str, Sequence[str]]:
    """`off=terms,lease`: the name of a constant, and where it is true."""
    name, equals, listed = text.partition("=")
    if not equals:
        raise UsageError(f"--where {text} is not of the form CONSTANT=NAMES, e.g. --where off=terms,lease")
    return name, [part.strip() for part in listed.split(",") if part.strip()]


def print_json(value: Any) -> None:
    out.print_json(json.dumps(value)) if out.is_terminal else print(json.dumps(value))
