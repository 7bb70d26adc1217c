"""Counterexamples: printed step by step, saved as a recording with its picture beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import indent
from typing import Any, TypeVar

import click

from oneleader.cli.console import say
from oneleader.errors import UsageError
from oneleader.language.model import Model
from oneleader.pictures.plain import show_trace
from oneleader.readers.explore.explored import Violation
from oneleader.readers.replay.formats.written import recording
from oneleader.readers.retrace import as_test
from oneleader.readers.run import Run
from oneleader.words import title

F = TypeVar("F", bound=Callable[..., Any])


def save_test_option(command: F) -> F:
    return click.option(
        "--save-test",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write the first violation to this file, as a pytest test that fails with it.",
    )(command)


def violation(
    run: Run, found: Violation, path: Path, fault: str | None = None, test: Path | None = None
) -> None:
    """The counterexample step by step, what changed marked, the command that replays it, and a test.

    Where the test is written to the file `test`, it is not printed.
    """
    say()
    for line in show_trace(run.cells, run.configuration, run.initial, _with_instances(run, found)):
        say(line)
    say()
    say(_sentence(run, found), style="bold")
    say(f"again  oneleader replay {path}")
    say(f"see    {path.with_suffix('.html')}")
    if test:
        say(f"test   pytest {test}")
    else:
        say("test   keep this run as a test (--save-test FILE writes it):")
        say()
        say(indent(as_test(run, found, fault).rstrip(), "    "))
    say()


def save(folder: Path, model: Model, run: Run, found: Violation, fault: str | None) -> Path:
    """Write a counterexample as a recording that `replay` judges, and its picture beside it; UsageError where
    that is impossible."""
    from oneleader.pictures import pages  # jinja2 takes a while to load
    from oneleader.pictures.stories import of_run

    name = "-".join(filter(None, (fault or model.name, found.what.replace("_", "-"))))
    path = folder / f"{name}.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in recording(model, run, found, fault)))
    except OSError as error:
        raise UsageError(
            f"cannot write the counterexample to {path}: {error.strerror}; give another --out"
        ) from None
    pages.write(of_run(run, found, f"oneleader replay {path}"), path.with_suffix(".html"))
    return path


def write_test(path: Path, run: Run, found: Violation, fault: str | None) -> None:
    """Write a counterexample as a test."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_test(run, found, fault), encoding="utf-8")


def _with_instances(run: Run, found: Violation) -> list[Any]:
    return [(run.instances[position], state) for position, state in found.steps]


def _sentence(run: Run, found: Violation) -> str:
    """What is wrong in the last state, in words."""
    if found.what == "deadlock":
        return "deadlock: no step is possible here"
    if found.what == "claim":
        return "a claim inside an action is false here"
    if found.what == "refinement":
        return "violated  the refined model does not allow the last step"
    prop = run.model.properties[found.what]
    said = f": {prop.doc.splitlines()[0]}" if prop.doc else ""
    return f"violated  {title(prop.name)}{said}\n          not so for {_binding(run, found)}"


def _binding(run: Run, found: Violation) -> str:
    params = run.model.properties[found.what].params
    pairs = zip(params, found.args, strict=True)
    return ", ".join(f"{name}={run.configuration.show(sort, value)}" for (name, sort), value in pairs)
