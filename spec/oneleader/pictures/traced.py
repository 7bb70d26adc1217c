"""From TLC's trace to a story.

TLC says which action it took and which state it reached, not with which arguments. They are found by trying:
the action of the model that leads from the one state to the other, its guards left aside, since a faulty
configuration breaks just those. Where none does, the step is told by what it changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from oneleader import models
from oneleader.errors import SpecError, UsageError
from oneleader.faults import catalogue
from oneleader.faults.fault import FaultyModel
from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model
from oneleader.language.sorts import is_number, is_set
from oneleader.pictures.stories import says, tell, telling_of
from oneleader.readers.run import ClaimFailed, Cut, Disabled, Instance, Run, State
from oneleader.readers.tlc.printed import Result, TlcStep
from oneleader.readers.tlc.states import StateReader
from oneleader.story import Story


def of_tlc(config: Path, result: Result) -> Story:
    """The trace of a violated configuration of `tla/`; UsageError where its model cannot be read."""
    model, at = _model(config, result.trace)
    run = Run(model, at)
    reader = StateReader(run)
    states = [reader.state(step.state) for step in result.trace]
    telling = telling_of(model, at)
    telling.title = f"{config.name}, TLC's trace"
    names = [step.action for step in result.trace[1:]]
    stands_for = {faulty: name for name, faulty in re.findall(r"(\w+)\s*<-\s*(\w+)", config.read_text())}
    steps = [
        (_instance(run, stands_for.get(name, name), before, after), after)
        for name, before, after in zip(names, states, states[1:], strict=False)
    ]
    tell(telling, run.cells, at, states[0], steps, names=names)
    return telling.story(
        wrong=_sentence(model, result.violated or ""),
        wrong_row=len(steps),
        wrong_lanes=telling.at_fault([]),
        again=f"oneleader tlc {model.name} --config {config.name}",
    )


def _sentence(model: Model, violated: str) -> str:
    prop = next((p for p in model.properties.values() if p.title == violated), None)
    return f"TLC finds {violated} violated{says(prop) if prop else '.'}"


def _model(config: Path, trace: Iterable[TlcStep]) -> tuple[Model, Configuration]:
    """The model that the .cfg is of, faulty where it is a fault of the catalogue, and its bounds."""
    name = config.stem.partition("_")[0].removeprefix("MC")
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    known = {**models.MODELS, **{n.removeprefix("flawed/"): None for n in models.FLAWED}}
    base = next((n for n in sorted(known, key=len, reverse=True) if snake.startswith(n)), None)
    if base is None:
        raise UsageError(f"{config.name} belongs to no model: none is called {snake}")
    listed = (f.faulty for f in catalogue.FAULTS.values() if f.tlc == config.name)
    faulty = next((m for m in listed if isinstance(m, FaultyModel) and m.base.name == base), None)
    model = faulty.model if faulty else models.find(base)
    return model, _bounds(model, config.read_text(), list(trace))


def _bounds(model: Model, text: str, trace: list[TlcStep]) -> Configuration:
    """The sizes of the .cfg: `Node = {n1, n2}`, `MaxTerm = 2`, `Lease = 1`."""
    sets = {name: given.split(",") for name, given in re.findall(r"(\w+)\s*=\s*\{([^{}]*)\}", text)}
    numbers = {name: int(given) for name, given in re.findall(r"(\w+)\s*=\s*(\d+)", text)}
    sizes: dict[str, int] = {}
    for sort in model.sorts.values():
        name = sort.__name__
        if is_set(sort) and name in sets:
            sizes[name] = len(sets[name])
        elif is_number(sort):
            sizes[name] = numbers.get(f"Max{name}", max(1, *_numbers(trace)))
    sizes |= {p: numbers[p.capitalize()] for p in model.parameters if p.capitalize() in numbers}
    quorums = re.search(r"Quorum\s*=\s*\{(.*)\}", text)
    listed = re.findall(r"\{([^{}]*)\}", quorums[1]) if quorums else []
    system = ", ".join(q.replace(",", " ") for q in listed) if listed else "majority"
    at = configure(model, sizes, system)
    for sort_name, names in sets.items():
        if sort_name in at.elements and sort_name != "Quorum":
            at = replace(at, elements={**at.elements, sort_name: tuple(n.strip() for n in names)})
    return at


def _numbers(value: Any) -> Iterable[int]:
    """Every number in a trace."""
    if isinstance(value, (bool, str)):
        return
    if isinstance(value, int):
        yield value
    elif hasattr(value, "items"):
        for key, inner in value.items():
            yield from (*_numbers(key), *_numbers(inner))
    else:
        for inner in value:
            yield from _numbers(inner)


def _instance(run: Run, title: str, before: State, after: State) -> Instance | None:
    """The action of this name that leads from state to state; if need be in spite of its guards."""
    named = [instance for instance in run.instances if instance.action.title == title]
    for dropping in (False, True):
        for instance in named:
            dropped = (
                frozenset(g.name for g in instance.action.guards) if dropping else instance.action.dropped
            )
            try:
                if run.step(before, replace(instance.action, dropped=dropped), instance.args) == after:
                    return instance
            except (Disabled, Cut, ClaimFailed, SpecError):
                pass
    return None
