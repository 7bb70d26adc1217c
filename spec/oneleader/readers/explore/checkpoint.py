"""A search on disk: what an interrupted one has found, so that it can go on, on either compiled engine.

The states in order of discovery are all there is to keep: the table is rebuilt from them. Counts
are those of the last batch that was complete; states that a batch left half-way had found already are
reachable, and stay.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

import oneleader
from oneleader.errors import UsageError
from oneleader.language.definitions import Property
from oneleader.readers.earlier import Texts
from oneleader.readers.engines.ground import Ground
from oneleader.readers.engines.packing import Rows
from oneleader.readers.run import Run

FORMAT = 2
SEARCHING = ("language/**/*.py", "readers/*.py", "readers/engines/**/*", "readers/explore/**/*")
TEXTS = Texts({Path(oneleader.__path__[0]): SEARCHING})  # what states and steps come from, besides the model


@dataclass
class SearchPlace:
    """How far a search has come.

    levels     where each level starts, in order of discovery; the last one ends before `end`
    at         the first state not expanded yet
    taken, cut, stuck, failed   as in `Tally`
    met        the depth at which each witness and each premise was
    """

    levels: list[int]
    end: int
    at: int
    taken: list[int]
    cut: list[int]
    stuck: list[int]
    failed: list[int]
    met: dict[str, int | None]


def digest(run: Run, properties: list[Property], order: int) -> str:
    """Names a model, its bounds, what is looked for, the symmetry, and the texts of oneleader that search:
    a search goes on only as it began, and a fault that an engine had does not outlive it."""
    return sha256("\n".join(_lines(Ground(run), properties, order)).encode()).hexdigest()


def _lines(ground: Ground, properties: list[Property], order: int) -> Iterator[str]:
    """All that the search depends on. The grounding is a fresh one: terms are numbered as they are made."""
    yield f"{FORMAT} {TEXTS.content} {order} {ground.run.initial}"
    roots = [(p.name, ground.property(p).serial) for p in properties]
    yield from map(str, roots)
    for step in ground.steps:
        parts = (step.guard, step.claims, step.cut, step.clash)
        effects = [(cell, term.serial) for cell, term in step.effects]
        yield f"{step.position} {[p.serial for p in parts]} {effects}"
    yield from ground.terms.listed()


def save(path: Path, key: str, place: SearchPlace, rows: Rows) -> None:
    """Write it beside `path` first, so that an old checkpoint is there until the new one is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    with beside.open("wb") as file:
        said = json.dumps({"key": key, **asdict(place)}).encode()
        np.save(file, np.frombuffer(said, np.uint8))
        np.save(file, rows)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def load(path: Path, key: str) -> tuple[SearchPlace, Rows]:
    """What was saved; UsageError where it is no checkpoint of this very search."""
    try:
        with path.open("rb") as file:
            said = json.loads(np.load(file).tobytes())
            rows: Rows = np.load(file)
            saved = said.pop("key")
            place = SearchPlace(**said)
    except (ValueError, KeyError, TypeError, EOFError):
        raise UsageError(f"{path} is no checkpoint of explore: choose another file") from None
    if saved != key:
        raise UsageError(
            f"{path} belongs to another model, bounds, properties or symmetry, or to another oneleader: "
            "choose another file"
        )
    return place, rows
