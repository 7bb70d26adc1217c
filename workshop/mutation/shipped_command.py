"""The command `shipped-mutants`: what notices a small mistake in the node, the locks and the judges."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import click

from oneleader.errors import UsageError
from oneleader.verdict import HOLDS, VIOLATED, exit_status
from workshop import ROOT
from workshop.mutation.model_judge import SURVIVED, JudgedMutant
from workshop.mutation.shipped_judge import CAUGHT, TESTS, ails, concern, copied, judge
from workshop.mutation.shipped_mutation import SOURCES, ShippedMutant, shipped_mutants

PAGE = Path("docs/results/mutants-shipped.md")
KEPT = Path("runs/mutants-shipped.jsonl")

INTRODUCTION = """\
# Mutants of the node, the locks and the judges

Each function of shipped code around the core with one small thing wrong, the SQL and Lua texts of the locks
included, each judged by the tests that concern its file. Judging all takes days, so this is a sample: of each
part those whose names have the smallest SHA-256, which depends on nothing else, so that a larger sample holds
a smaller one. `python -m workshop shipped-mutants --sample 30 --write` takes up what this page knows, and
`make shipped-mutants` goes on until all are judged.

The score is what is caught, of what was judged and is not equivalent; with a probability of 95 % the score of
all mutants of a part lies in the range beside it (Wilson's interval). `older` are those judged before their
function or its tests changed, which count for nothing. What survives stands below: a test is missing, or it
is equivalent, and nobody has said why; what is equivalent, or need not be tested, has its reason. The
fingerprint beside each mutant is that of its function and of the tests that judge it.
"""
EQUIVALENT, STALE = "equivalent", "stale"
CONFIDENCE = 0.95
ROW = re.compile(r"^\| `(.+)` \| ([a-z ]+) \| (.*) \| `(\w+)` \|$", re.MULTILINE)


class ShippedResults:
    """What was judged before, by id: as the page says, and the runs since. It counts for the same files."""

    def __init__(self, path: Path = KEPT, page: Path = ROOT / PAGE) -> None:
        self.path = path
        self.found = dict(_written(page.read_text("utf-8") if page.exists() else ""))
        for line in path.read_text("utf-8").splitlines() if path.exists() else ():
            entry = json.loads(line)
            self.found[entry["id"]] = entry.pop("of"), JudgedMutant(**entry)

    def of(self, mutant: ShippedMutant) -> JudgedMutant | None:
        if mutant.id not in self.found:
            return None
        of, judged = self.found[mutant.id]
        return judged if of == digest(mutant) else None

    def is_older(self, mutant: ShippedMutant) -> bool:
        """Whether it was judged of other code."""
        return mutant.id in self.found and self.of(mutant) is None

    def add(self, mutant: ShippedMutant, judged: JudgedMutant) -> None:
        self.found[mutant.id] = digest(mutant), judged
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"of": digest(mutant), **asdict(judged)}, ensure_ascii=False) + "\n")


def _written(page: str) -> Iterable[tuple[str, tuple[str, JudgedMutant]]]:
    """What a page says of each mutant."""
    for id, by, what, of in ROW.findall(page):
        id, what = _plain(id), _plain(what)
        yield id, (of, JudgedMutant(id, concern(id), by, what, 0.0))


def digest(mutant: ShippedMutant) -> str:
    """Of what was mutated and of the tests that judge it."""
    tests = [(ROOT / test).read_text("utf-8") for test in TESTS[concern(mutant.id)]]
    return hashlib.sha256("".join([mutant.definition, *tests]).encode()).hexdigest()[:16]


def drawn(every: list[ShippedMutant], sample: int | None) -> list[ShippedMutant]:
    """So many of them, by their names alone: what else there is changes nothing."""
    by_chance = sorted(every, key=lambda mutant: hashlib.sha256(mutant.id.encode()).digest())
    return every if sample is None else by_chance[:sample]


@cache
def reasons() -> dict[str, str]:
    """Why no test need tell a mutant from its original. UsageError where an entry says nothing."""
    path = Path(__file__).with_name("shipped_equivalent.toml")
    found = {id: entry.get("reason", "") for id, entry in tomllib.loads(path.read_text("utf-8")).items()}
    for id, reason in found.items():
        if not reason:
            raise UsageError(f"{path.name}: {id} has no reason")
    return found


def became(judged: JudgedMutant) -> str:
    """Who caught it; else equivalent, survived, or stale: an entry that is caught."""
    if judged.by == SURVIVED:
        return EQUIVALENT if judged.id in reasons() else SURVIVED
    return STALE if judged.id in reasons() else judged.by


def likely(caught: int, judged: int) -> tuple[float, float]:
    """Wilson's interval: where the share of all lies, by that of a sample drawn by chance."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, weight = caught / judged, z * z / judged
    middle, half = share + weight / 2, z * sqrt(share * (1 - share) / judged + weight / (4 * judged))
    return (middle - half) / (1 + weight), (middle + half) / (1 + weight)


@click.command("shipped-mutants")
@click.argument("names", nargs=-1, metavar="[PART]...")
@click.option("--sample", type=click.IntRange(1), help="So many of each part, the same each time.")
@click.option("--only", default="", help="Those whose id contains this.")
@click.option("--list", "listing", is_flag=True, help="Only list them.")
@click.option("--write", is_flag=True, help=f"Write {PAGE}, from all that was judged of the code as it is.")
def shipped(names: tuple[str, ...], sample: int | None, only: str, listing: bool, write: bool) -> int:
    """Judge mutants of shipped code: of each PART, or of all.

    What was judged of the same source and the same tests is taken from runs/mutants-shipped.jsonl.
    """
    unknown = [name for name in names if name not in SOURCES]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no part: choose from {', '.join(SOURCES)}")
    every = {name: [*shipped_mutants(name)] for name in names or SOURCES}
    wanted = [m for part in every.values() for m in drawn([m for m in part if only in m.id], sample)]
    if listing:
        click.echo("\n".join(mutant.id for mutant in wanted))
        return 0
    results = ShippedResults()
    found = [*judge_all(wanted, results)]
    if write:
        everything = {name: every.get(name) or [*shipped_mutants(name)] for name in SOURCES}
        (ROOT / PAGE).write_text(page(everything, results), encoding="utf-8")
    return exit_status([VIOLATED if became(judged) in (SURVIVED, STALE) else HOLDS for judged in found])


def judge_all(wanted: list[ShippedMutant], results: ShippedResults) -> Iterable[JudgedMutant]:
    """UsageError where tests fail without a mutant: they would catch every one."""
    sound: set[str] = set()
    with copied() as copy:
        for mutant in wanted:
            judged, part = results.of(mutant), concern(mutant.id)
            if judged is None:
                if part not in sound and (why := ails(part, copy)):
                    raise UsageError(why)
                sound.add(part)
                judged = judge(mutant, copy)
                results.add(mutant, judged)
            click.echo(f"{became(judged):10} {judged.id}  {judged.what}")
            yield judged


# -- the page -----------------------------------------------------------------------------------------
def page(every: dict[str, list[ShippedMutant]], results: ShippedResults) -> str:
    found = [(m, judged) for part in every.values() for m in part if (judged := results.of(m))]
    survived = [m for m, judged in found if became(judged) == SURVIVED]
    explained = [m for m, judged in found if became(judged) == EQUIVALENT]
    lines = [INTRODUCTION, *_table(every, results), "", "## What survived", ""]
    lines += ["| mutant | judged by |", "|---|---|"]
    lines += [f"| `{_cell(m.id)}` | {', '.join(TESTS[concern(m.id)])} |" for m in survived]
    lines += ["", "## What no test need see", "", "| mutant | reason |", "|---|---|"]
    lines += [f"| `{_cell(m.id)}` | {_cell(reasons()[m.id])} |" for m in explained]
    return "\n".join([*lines, "", "## What was judged", "", *_details(every, results)]) + "\n"


def _table(every: dict[str, list[ShippedMutant]], results: ShippedResults) -> Iterable[str]:
    outcomes = (*CAUGHT, SURVIVED, EQUIVALENT)
    yield f"| part | mutants | judged | {' | '.join(outcomes)} | score | 95 % | older | not judged |"
    yield f"|---|{'---:|' * (len(outcomes) + 6)}"
    for name, mutants in every.items():
        counted = Counter(became(found) for mutant in mutants if (found := results.of(mutant)))
        judged, older = counted.total(), sum(map(results.is_older, mutants))
        by = [counted[outcome] or "" for outcome in outcomes]
        cells: list[Any] = [len(mutants), judged, *by, *_score(counted), older or ""]
        yield f"| {name} | {' | '.join(map(str, [*cells, len(mutants) - judged - older]))} |"


def _score(counted: Counter[str]) -> tuple[str, str]:
    """Of what was judged, and where that of all lies."""
    caught = sum(counted[by] for by in CAUGHT)
    asked = caught + counted[SURVIVED]
    if not asked:
        return "", ""
    least, most = likely(caught, asked)
    return f"{100 * caught / asked:.0f} %", f"{100 * least:.0f} to {100 * most:.0f} %"


def _details(every: dict[str, list[ShippedMutant]], results: ShippedResults) -> Iterable[str]:
    yield "| mutant | by | what | fingerprint |"
    yield "|---|---|---|---|"
    for mutant in (m for part in every.values() for m in part if m.id in results.found):
        of, judged = results.found[mutant.id]
        yield f"| `{_cell(mutant.id)}` | {judged.by} | {_cell(judged.what)} | `{of}` |"


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _plain(cell: str) -> str:
    return cell.replace(r"\|", "|")
