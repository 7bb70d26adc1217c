"""A model as one HTML page in which one takes its steps: the JavaScript engine, and how it looks.

The page knows nothing of the model that is not made here: the text of the engine
(`readers/engines/javascript.py`), the words (`vocabulary.py`, as data and as tables), the faults of the
catalogue that change this model, and the runs that `explore` has found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from oneleader import models
from oneleader.faults.catalogue import FAULTS
from oneleader.faults.fault import Fault, FaultyModel
from oneleader.language.configuration import Configuration
from oneleader.language.definitions import Action, Definition, Property
from oneleader.language.expr import no
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.language.sorts import EachSort, is_enum, is_time, name_of
from oneleader.pictures.spots import SpotTable, TooManySpots
from oneleader.pictures.stories import telling_of
from oneleader.pictures.svg import templates
from oneleader.pictures.telling import plain, plainly
from oneleader.readers.engines.javascript import RUNTIME, JavaScript
from oneleader.readers.explore.explore import explore, ghosts_read
from oneleader.readers.explore.search import Limits
from oneleader.readers.replay.formats.written import header_of
from oneleader.readers.retrace import FOLLOWED, configuration_text, imports_of
from oneleader.readers.run import Run
from oneleader.words import title

SCRIPTS = ("telling.js", "drawing.js", "explorer.js")


@dataclass(frozen=True)
class FoundRun:
    """A shortest run that `explore` has found: to a witness, or to a false property. `fault`: with it on."""

    what: str
    steps: tuple[int, ...]  # positions of instances
    fault: str = ""


class Explorer:
    """The page of a model under a configuration. All ghost fields are kept."""

    def __init__(self, model: Model, at: Configuration, runs: Sequence[FoundRun] = ()) -> None:
        ghosts = frozenset(f.name for f in model.fields.values() if f.kind == "ghost")
        self.model, self.at, self.runs = model, at, runs
        self.run = Run(model, at, ghosts)
        self.faults = [*faults_of(model)]

    def page(self) -> str:
        """The whole page; it needs nothing else."""
        template = templates().get_template("explorer.html.j2")
        return template.render(model=self.model, at=self.at, script=self.script()).strip() + "\n"

    def script(self) -> str:
        """Everything that runs in it."""
        scripts = [Path(__file__).parent / "templates" / name for name in SCRIPTS]
        return "\n".join(
            [RUNTIME.read_text(), f"const MODEL = {self.engine()};", f"const PAGE = {self.data()};"]
            + [script.read_text() for script in scripts]
        ).replace("</", "<\\/")

    def engine(self) -> str:
        """The model as JavaScript, with what the faults put in its place."""
        return JavaScript(
            self.run, {fault.id: replaced(self.model, model) for fault, model in self.faults}
        ).text()

    def data(self) -> str:
        """What the page shows, as JSON."""
        said = {
            "name": self.model.name,
            "size": self.at.describe(),
            "digest": self._digest(),
            "sorts": self._sorts(),
            "cells": [self._cell(f, key) for f, key in self.run.cells.keys],
            "definitions": {d.name: self._definition(d) for d in self._definitions()},
            "words": self._words(),
            "faults": [self._fault(fault, model) for fault, model in self.faults],
            "switches": [*self._switches()],
            "runs": [asdict(run) for run in self.runs],
            "recording": header_of(self.model, self.at),
            "configuration": configuration_text(self.at),
            "imports": imports_of(self.at),
            "test": FOLLOWED,
            "found": models.name_of(self.model),
        }
        return json.dumps(said, separators=(",", ":"), ensure_ascii=False)

    def address(self, calls: Iterable[str], off: Iterable[str] = ()) -> str:
        """The fragment of a link to the run that takes these steps, these switches `off`."""
        named = {self.at.call(i.action, i.args): number for number, i in enumerate(self.run.instances)}
        parts = {"run": ".".join(base36(named[call]) for call in calls)}
        switched = [f"off.{one['at']}.1" for one in self._switches() if one["value"] in tuple(off)]
        parts |= {"switches": "~".join(switched)} if switched else {}
        return "#" + "&".join(f"{name}={value}" for name, value in (parts | {"of": self._digest()}).items())

    def _digest(self) -> str:
        """What a link is of: another model or other bounds have another one."""
        calls = [self.at.call(i.action, i.args) for i in self.run.instances]
        return hashlib.sha256(json.dumps([self.model.name, self.at.describe(), calls]).encode()).hexdigest()[
            :8
        ]

    def _definitions(self) -> list[Definition]:
        return [*self.model.actions.values(), *self.model.properties.values(), *self.model.witnesses.values()]

    def _definition(self, definition: Definition) -> dict[str, Any]:
        doc = " ".join(definition.doc.split("\n\n")[0].split())
        return {"title": title(definition.name), "doc": doc, "where": definition.where}

    def _sorts(self) -> dict[str, Any]:
        """Of each sort: its least value, how values are shown, and what they are in a recording."""
        sorts = {name_of(f.of): f.of for f, _ in self.run.cells.keys}
        sorts |= {name_of(s): s for d in self._definitions() for _, s in d.params}
        return {name: self._sort(sort) for name, sort in sorts.items()}

    def _sort(self, sort: Any) -> dict[str, Any]:
        if isinstance(sort, EachSort):
            return {"each": list(self.at.elements[name_of(sort.index)])}
        least, most = self.at.bounds(sort)
        values = range(least, most + 1)
        told = [plain(self.at, sort, bool(v) if sort is bool else v) for v in values]
        return {
            "least": least,
            "shown": [self.at.show(sort, v) for v in values],
            "plain": told,
            "time": is_time(sort),
        }

    def _cell(self, f: Field, key: tuple[Any, ...]) -> list[Any]:
        """[field, kind, sort, its index as it is told, and as it is shown]."""
        indices = [*zip(f.index, key, strict=True)]
        told = [plain(self.at, s, k) for s, k in indices]
        return [f.name, f.kind, name_of(f.of), told, [self.at.show(s, k) for s, k in indices]]

    def _words(self) -> dict[str, Any]:
        """The vocabulary: as it stands, and what it says of lanes as tables."""
        telling = telling_of(self.model, self.at)
        lanes, words = list(telling._lanes()), telling.words
        names = [lane.name for lane in lanes]
        try:
            spots = SpotTable(self.run, words, telling.now, names)
        except TooManySpots:
            spots = SpotTable(self.run, plainly(self.model), telling.now, names)
        acts = {name: words.acts.get(name) or plainly(self.model).acts[name] for name in self.model.actions}
        return {
            "title": telling.title,
            "lanes": [[lane.name, lane.kind, lane.shown] for lane in lanes],
            "places": [list(place) for place in words.places],
            "acts": {name: asdict(act) for name, act in acts.items()},
            "messages": {name: asdict(message) for name, message in words.messages.items()},
            "spots": spots.as_json(),
        }

    def _fault(self, fault: Fault, faulty: Model) -> dict[str, Any]:
        dropped = [
            f"{name}.{g}" for name in faulty.actions for g in sorted(guards_dropped(self.model, faulty, name))
        ]
        return {
            "id": fault.id,
            "title": fault.title,
            "story": fault.story,
            "breaks": fault.broken.name,
            "dropped": dropped,
            "changes": [a.name for a in replaced(self.model, faulty)],
            "where": {n: list(at) for n, at in fault.faulty_model.constants.items()},
        }

    def _switches(self) -> Iterable[dict[str, Any]]:
        """The members of enumerations that are constants: `off[TERMS]`."""
        for f in self.model.fields.values():
            if f.kind == "constant" and len(f.index) == 1 and is_enum(f.index[0]):
                for member in f.index[0]:
                    doc = " ".join((f.index[0].__doc__ or "").split())
                    yield {
                        "constant": f.name,
                        "value": self.at.show(f.index[0], member),
                        "at": int(member),
                        "doc": doc,
                    }


def base36(number: int) -> str:
    """As JavaScript's `toString(36)` writes it."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return (base36(number // 36) if number >= 36 else "") + digits[number % 36]


def faults_of(model: Model) -> Iterable[tuple[Fault, Model]]:
    """The faults of the catalogue that change nothing but actions of this model, and the faulty models."""
    for fault in FAULTS.values():
        if isinstance(fault.faulty, FaultyModel) and fault.faulty.base is model:
            faulty = fault.model
            if replace(faulty, actions=model.actions) == model and parameters(faulty) == parameters(model):
                yield fault, faulty


def parameters(model: Model) -> dict[str, Any]:
    return {a.name: a.params for a in model.actions.values()}


def guards_dropped(model: Model, faulty: Model, name: str) -> frozenset[str]:
    """The guards that the faulty action names and does not require, where that is all its difference."""
    own, other = model.actions[name], faulty.actions[name]
    return other.dropped - own.dropped if replace(other, dropped=own.dropped) == own else frozenset()


def replaced(model: Model, faulty: Model) -> list[Action]:
    """The actions of the faulty model that are others than the model's, more than by a dropped guard."""
    return [
        action
        for name, action in faulty.actions.items()
        if action != model.actions[name] and not guards_dropped(model, faulty, name)
    ]


# -- runs to show ------------------------------------------------------------------------------------------
def runs_of(model: Model, at: Configuration, most: int) -> list[FoundRun]:
    """A shortest run to each witness, each false property, and the property that each fault breaks.

    Each is sought among `most` states: the page seeks itself what is not found here.
    """
    ghosts = frozenset(f.name for f in model.fields.values() if f.kind == "ghost")
    positions = Positions(Run(model, at, ghosts))
    found = [positions.found(model, at, never(w), w.name, most=most) for w in model.witnesses.values()]
    found += [positions.found(model, at, p, p.name, most=most) for p in model.theorems.values()]
    for fault, faulty in faults_of(model):
        if not fault.faulty_model.constants:
            found.append(positions.found(faulty, at, fault.broken, fault.broken.name, fault.id, most=most))
    return [run for run in found if run]


class Positions:
    """The instances of a run by name: a faulty model's are others."""

    def __init__(self, run: Run) -> None:
        self.of = {(i.action.name, i.args): position for position, i in enumerate(run.instances)}

    def found(
        self, model: Model, at: Configuration, prop: Property, what: str, fault: str = "", *, most: int
    ) -> FoundRun | None:
        found = explore(
            model, at, properties=[prop], ghosts=ghosts_read(model, prop), limits=Limits(states=most)
        )
        if found.violation is None or found.violation.what != prop.name:
            return None
        taken = (found.run.instances[position] for position, _ in found.violation.steps)
        return FoundRun(what, tuple(self.of[i.action.name, i.args] for i in taken), fault)


def never(witness: Property) -> Property:
    """That the witness is not reached: a shortest run that breaks it is one to the witness."""
    return replace(witness, kind="theorem", function=lambda s, *args: no(witness.of(s, *args)), reading=())
