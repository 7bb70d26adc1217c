"""All mutants with what became of them: judged, kept, and set against the table of those that survive.

`equivalent.toml` says of each mutant that no reader tells from its original why that is so. An entry has a
`reason` and, where a test that is no reader catches the mutant all the same, its name as `test`. Who
survives and is not there fails the run, and so does an entry whose mutant is caught: it is stale.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from oneleader.errors import UsageError
from oneleader.models import MODELS
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict
from workshop.mutation import core_judge
from workshop.mutation import model_judge as mutation_judge
from workshop.mutation.core_mutation import core_mutants
from workshop.mutation.model_judge import EXPLORED, SURVIVED, UNEXERCISED, JudgedMutant
from workshop.mutation.model_mutation import mutants

CORE = "core"
NAMES = (*EXPLORED, CORE)
EQUIVALENT, BY_TEST, STALE = "equivalent", "test of its own", "stale"
UNJUDGED = "unjudged"  # nobody has looked since the function changed: neither caught nor survived
FAILING = (SURVIVED, UNEXERCISED, STALE)
SAMPLE = 40  # of the mutants of what is not cheap, one in so many
CHEAP = ("fencing",)  # each guard that it drops is in the sample


@dataclass(frozen=True)
class Known:
    """Why a mutant survives, and the test that catches it all the same, or ""."""

    reason: str
    test: str = ""


@cache
def known() -> dict[str, Known]:
    """The table. UsageError where an entry says nothing."""
    path = Path(__file__).with_name("equivalent.toml")
    found = {
        id: Known(entry.get("reason", ""), entry.get("test", ""))
        for id, entry in tomllib.loads(path.read_text("utf-8")).items()
    }
    for id, entry in found.items():
        if not entry.reason:
            raise UsageError(f"{path.name}: {id} has no reason")
    return found


def became(judged: JudgedMutant) -> str:
    """Of a mutant, all in all: who caught it, or equivalent, survived, or stale."""
    entry = known().get(judged.id)
    if judged.by in (UNEXERCISED, UNJUDGED):
        return judged.by
    if judged.by != SURVIVED:
        return STALE if entry else judged.by
    if entry is None:
        return SURVIVED
    return BY_TEST if entry.test else EQUIVALENT


def verdict(judged: JudgedMutant) -> Verdict:
    outcome = became(judged)
    return VIOLATED if outcome in FAILING else INCONCLUSIVE if outcome == UNJUDGED else HOLDS


def checked(name: str) -> str:
    """The name of a model with mutants, or `core`. UsageError for anything else."""
    if name not in NAMES:
        raise UsageError(f"{name!r} has no mutants: choose from {', '.join(NAMES)}")
    return name


def ids(name: str) -> list[str]:
    """The mutants of a model, or of the core, in a fixed order."""
    return [m.id for m in (core_mutants() if name == CORE else mutants(MODELS[name]))]


def sample(name: str) -> list[str]:
    """Some of them, the same each time: of a cheap model each dropped guard, of the others one in so many."""
    if name in CHEAP:
        return [m.id for m in mutants(MODELS[name]) if m.kind == "guard"]
    return ids(name)[:: SAMPLE if name != CORE else 6 * SAMPLE]


def part(id: str) -> str:
    """What is judged again when it changes: the whole model, or `core/raft/step`, a function."""
    return "/".join(id.split("/")[: 3 if id.startswith(f"{CORE}/") else 1])


@cache
def digest(part: str) -> str:
    """The fingerprint of that."""
    return mutation_judge.digest(part) if part in EXPLORED else core_judge.digests()[part]


# -- judging many -------------------------------------------------------------------------------------
class KeptJudgements:
    """What was judged before, in a file: a run that was cut off goes on where it was.

    What was judged of another version of its model or function is forgotten, and what survived without a
    reason: a test may catch it by now.
    """

    def __init__(self, path: Path, earlier: Iterable[tuple[str, JudgedMutant]] = ()) -> None:
        self.path = path
        self.found = {judged.id: judged for of, judged in earlier if of == digest(part(judged.id))}
        for line in path.read_text("utf-8").splitlines() if path.exists() else ():
            entry = json.loads(line)
            if entry.pop("of") == digest(part(entry["id"])):
                self.found[entry["id"]] = JudgedMutant(**entry)
        self.found = {
            id: judged
            for id, judged in self.found.items()
            if became(judged) not in (SURVIVED, UNEXERCISED, UNJUDGED)
        }

    def add(self, judged: JudgedMutant) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.found[judged.id] = judged
        with self.path.open("a", encoding="utf-8") as file:
            entry = {"of": digest(part(judged.id)), **asdict(judged)}
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def judge_all(name: str, wanted: list[str], kept: KeptJudgements, workers: int = 1) -> Iterator[JudgedMutant]:
    """Each of these mutants of a model or of the core, in order; what is kept is not judged again."""
    judge = core_judge.judge_id if name == CORE else mutation_judge.judge_id
    left = [id for id in wanted if id not in kept.found]
    if name == CORE and left:
        core_judge.ready()
    with ExitStack() as stack:
        fresh: Iterator[JudgedMutant] = map(judge, left)
        if workers > 1:
            pool = stack.enter_context(ProcessPoolExecutor(workers, get_context("fork")))
            fresh = pool.map(judge, left)
        for id in wanted:
            if id not in kept.found:
                kept.add(next(fresh))
            yield kept.found[id]


def as_kept(wanted: list[str], kept: KeptJudgements) -> Iterator[JudgedMutant]:
    """Without judging any: what is not kept is unjudged."""
    for id in wanted:
        yield kept.found.get(id) or JudgedMutant(id, "", UNJUDGED, "since this changed")


def as_json(judged: JudgedMutant) -> dict[str, Any]:
    return {**asdict(judged), "seconds": round(judged.seconds, 3), "became": became(judged)}
