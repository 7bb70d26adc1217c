"""The command `shipped-mutants`: what notices a small mistake in the node, the locks and the judges."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from oneleader.errors import UsageError
from oneleader.verdict import HOLDS, VIOLATED, exit_status
from workshop import ROOT
from workshop.mutation.model_judge import SURVIVED, JudgedMutant
from workshop.mutation.shipped_judge import CAUGHT, TESTS, concern, copied, judge
from workshop.mutation.shipped_mutation import SOURCES, ShippedMutant, shipped_mutants

PAGE = Path("docs/results/mutants-shipped.md")
KEPT = Path("runs/mutants-shipped.jsonl")

INTRODUCTION = """\
# Mutants of the node, the locks and the judges

Each function of shipped code around the core with one small thing wrong, the SQL and Lua texts of the locks
included, each judged by the tests that concern its file. `python -m workshop shipped-mutants --write` writes
this page. `make shipped-mutants` judges all, which takes many hours; a run takes up what this page knows.
Below stands how many were judged of the code as it was when the page was written; `older` are those judged
before their file or its tests changed, which count for nothing. The score is what is caught, of what was
judged: a survivor is equivalent, which nobody has shown yet, or breaks a rule that no test knows. The
fingerprint beside each mutant is that of its file and of the tests that judge it; `make shipped-mutants`
judges again where it is another one.
"""
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
    """Of the mutated file and of the tests that judge it."""
    tests = [(ROOT / test).read_text("utf-8") for test in TESTS[concern(mutant.id)]]
    return hashlib.sha256("".join([mutant.text, *tests]).encode()).hexdigest()[:16]


def drawn(every: list[ShippedMutant], sample: int | None) -> list[ShippedMutant]:
    """So many of them, the same each time."""
    return every if sample is None else random.Random(1).sample(every, min(sample, len(every)))


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
    return exit_status([VIOLATED if judged.by == SURVIVED else HOLDS for judged in found])


def judge_all(wanted: list[ShippedMutant], results: ShippedResults) -> Iterable[JudgedMutant]:
    with copied() as copy:
        for mutant in wanted:
            judged = results.of(mutant)
            if judged is None:
                judged = judge(mutant, copy)
                results.add(mutant, judged)
            click.echo(f"{judged.by:10} {judged.id}  {judged.what}")
            yield judged


# -- the page -----------------------------------------------------------------------------------------
def page(every: dict[str, list[ShippedMutant]], results: ShippedResults) -> str:
    survived = [m for part in every.values() for m in part if _by(m, results) == SURVIVED]
    lines = [INTRODUCTION, *_table(every, results), "", "## What survived", ""]
    lines += ["| mutant | judged by |", "|---|---|"]
    lines += [f"| `{_cell(m.id)}` | {', '.join(TESTS[concern(m.id)])} |" for m in survived]
    return "\n".join([*lines, "", "## What was judged", "", *_details(every, results)]) + "\n"


def _table(every: dict[str, list[ShippedMutant]], results: ShippedResults) -> Iterable[str]:
    yield f"| part | mutants | judged | {' | '.join(CAUGHT)} | {SURVIVED} | score | older | not judged |"
    yield f"|---|{'---:|' * (len(CAUGHT) + 6)}"
    for name, mutants in every.items():
        counted = Counter(filter(None, (_by(mutant, results) for mutant in mutants)))
        judged, older = counted.total(), sum(map(results.is_older, mutants))
        score = f"{100 * (judged - counted[SURVIVED]) / judged:.0f} %" if judged else ""
        by = [counted[by] or "" for by in (*CAUGHT, SURVIVED)]
        cells: list[Any] = [len(mutants), judged, *by, score, older or "", len(mutants) - judged - older]
        yield f"| {name} | {' | '.join(map(str, cells))} |"


def _details(every: dict[str, list[ShippedMutant]], results: ShippedResults) -> Iterable[str]:
    yield "| mutant | by | what | fingerprint |"
    yield "|---|---|---|---|"
    for mutant in (m for part in every.values() for m in part if m.id in results.found):
        of, judged = results.found[mutant.id]
        yield f"| `{_cell(mutant.id)}` | {judged.by} | {_cell(judged.what)} | `{of}` |"


def _by(mutant: ShippedMutant, results: ShippedResults) -> str:
    judged = results.of(mutant)
    return judged.by if judged else ""


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _plain(cell: str) -> str:
    return cell.replace(r"\|", "|")
