"""All mutants with what became of them: judged, kept, and set against the table of those that survive.

`equivalent.toml` says of each mutant that no reader tells from its original why that is so. An entry has a
`reason` and, where a test that is no reader catches the mutant all the same, its name as `test`. Who
survives and is not there fails the run, and so does an entry whose mutant is caught: it is stale.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from oneleader.errors import UsageError
from oneleader.faults import core_judge, mutation_judge
from oneleader.faults.core_mutation import core_mutants
from oneleader.faults.mutation import mutants
from oneleader.faults.mutation_judge import EXPLORED, SURVIVED, Judged
from oneleader.models import MODELS
from oneleader.report.verdict import HOLDS, VIOLATED

CORE = "core"
NAMES = (*EXPLORED, CORE)
EQUIVALENT, BY_TEST, STALE = "equivalent", "test of its own", "stale"
SAMPLE = 12  # of the mutants of what is not cheap, one in so many
CHEAP = ("election", "fencing", "system")  # each guard that they drop is in the sample


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


def became(judged: Judged) -> str:
    """Of a mutant, all in all: who caught it, or equivalent, survived, or stale."""
    entry = known().get(judged.id)
    if judged.by != SURVIVED:
        return STALE if entry else judged.by
    if entry is None:
        return SURVIVED
    return BY_TEST if entry.test else EQUIVALENT


def verdict(judged: Judged) -> str:
    return VIOLATED if became(judged) in (SURVIVED, STALE) else HOLDS


def checked(name: str) -> str:
    """The name of a model with mutants, or `core`. UsageError for anything else."""
    if name not in NAMES:
        raise UsageError(f"{name!r} has no mutants: choose from {', '.join(NAMES)}")
    return name


def ids(name: str) -> list[str]:
    """The mutants of a model, or of the core, in a fixed order."""
    return [m.id for m in (core_mutants() if name == CORE else mutants(MODELS[name]))]


def sample(name: str) -> list[str]:
    """Some of them, the same each time: of cheap models each dropped guard, of the others every twelfth."""
    if name in CHEAP:
        return [m.id for m in mutants(MODELS[name]) if m.kind == "guard"]
    return ids(name)[:: SAMPLE if name != CORE else 10 * SAMPLE]


def digest(name: str) -> str:
    return core_judge.digest() if name == CORE else mutation_judge.digest(name)


# -- judging many -------------------------------------------------------------------------------------
class Kept:
    """What was judged before, in a file: a run that was cut off goes on where it was."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.found: dict[tuple[str, str], Judged] = {}
        for line in path.read_text("utf-8").splitlines() if path and path.exists() else ():
            entry = json.loads(line)
            self.found[entry.pop("of"), entry["id"]] = Judged(**entry)

    def add(self, of: str, judged: Judged) -> None:
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"of": of, **asdict(judged)}, ensure_ascii=False) + "\n")


def judge_all(name: str, wanted: list[str], kept: Kept, workers: int = 1) -> Iterator[Judged]:
    """Each of these mutants of a model or of the core, in order; what is kept is not judged again."""
    of = digest(name)
    judge = core_judge.judge_id if name == CORE else mutation_judge.judge_id
    left = [id for id in wanted if (of, id) not in kept.found]
    if name == CORE and left:
        core_judge.ready()
    with ProcessPoolExecutor(workers) as pool:
        fresh = pool.map(judge, left) if workers > 1 else map(judge, left)
        for id in wanted:
            if (of, id) in kept.found:
                yield kept.found[of, id]
            else:
                judged = next(fresh)
                kept.add(of, judged)
                yield judged
