"""Printing mutants: for the terminal, and for docs/results, which is also where judgements are kept.

`mutants.md` has the scores; a page for each model, and one for the core, lists every mutant.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from oneleader.cli.console import judged as judged_line
from oneleader.cli.console import say
from oneleader.models import MODELS
from oneleader.words import plural
from workshop.mutation import core_judge
from workshop.mutation import model_judge as mutation_judge
from workshop.mutation.model_judge import EXPLORED, SURVIVED, UNEXERCISED, JudgedMutant
from workshop.mutation.table import (
    BY_TEST,
    CORE,
    EQUIVALENT,
    NAMES,
    STALE,
    UNJUDGED,
    became,
    digest,
    known,
    part,
    verdict,
)

RARE = (SURVIVED, UNEXERCISED, STALE, UNJUDGED)  # told only where there are some
OUTCOMES = {
    **dict.fromkeys(EXPLORED, (*mutation_judge.CAUGHT, BY_TEST, EQUIVALENT, *RARE)),
    CORE: (*core_judge.CAUGHT, BY_TEST, EQUIVALENT, *RARE),
}


# -- the terminal -------------------------------------------------------------------------------------
def line(judged: JudgedMutant) -> None:
    judged_line(verdict(judged), became(judged), judged.id, judged.what, widths=(14, 60))


def score(name: str, found: Iterable[JudgedMutant]) -> str:
    """`election: 65 mutants, 63 caught, 2 equivalent: property 24, witness 22 ...`."""
    counted = Counter(map(became, found))
    caught = [f"{by} {counted[by]}" for by in OUTCOMES[name] if counted[by] and by not in (EQUIVALENT, *RARE)]
    wrong = [f"{counted[by]} {by}" for by in RARE if counted[by]]
    parts = [f"{plural(counted.total(), 'mutants')}, {_caught(counted)} caught", *wrong]
    return f"{name}: {', '.join([*parts, f'{counted[EQUIVALENT]} equivalent'])}: {', '.join(caught)}"


def summary(name: str, found: list[JudgedMutant]) -> None:
    say(score(name, found))


def _caught(counted: Counter[str]) -> int:
    return counted.total() - counted[EQUIVALENT] - sum(counted[by] for by in RARE)


# -- the page -----------------------------------------------------------------------------------------
INTRODUCTION = """\
# Mutants: what notices a small mistake

Each guard of each action of the models dropped in turn, each comparison turned, each effect removed; and
each function of the reference's core with a condition dropped, a comparison turned, a field not set, a number
moved, an effect removed. Every such mutant is caught by something, or stands below as equivalent, with the
reason. `python -m workshop mutants` prints this and `make mutants` writes it; CI judges a sample, and fails
where this page is not that of the models and the core as they are.

A mutant is judged by the cheapest reader that tells it from its original; whether others would also catch it
is not recorded. What each word means is explained in `workshop/mutation/model_judge.py` and `core_judge.py`.
Actions that a model takes over unchanged from the one that it extends are mutated there alone, so
`lease_read`, which adds properties to `replication`, has none of its own.
"""

MEANING = """\
*refused*: it is no model. *property*: a property, a claim or progress is broken at small bounds.
*witness*: something cannot happen any more, or is not as far away as it was; the distances are below.
*twin*: the graph of states and steps is no longer that of the hand-written TLA+, with which CI compares
it. *proof*: an obligation has a counterexample to induction. *unproved*: Z3 leaves an obligation open,
which is weaker than wrong. *test of its own*: no reader sees it, and a test named below does. *unjudged*:
nobody has looked since it changed; `make mutants` does. What is proved to be the same step is equivalent.
The score is what is caught, of all that are judged and not equivalent."""

CORE_MEANING = """\
*test*: a unit test of `tests/reference`. *safety*: a simulated run breaks Figure 3, a lease or
linearizability. *scenario*: a drawn scenario takes a step that a model does not allow, or breaks one of the
same. *crash*, *time*: a run ends with an error, or does not end. *trace*: nothing of that, but simulated runs
are others than they were, which a golden test sees: behaviour changed, and no rule was seen broken."""


def write(found: Mapping[str, list[JudgedMutant]], folder: Path) -> None:
    """The page of scores, and beside it a folder with a page for each model and the core."""
    (folder / "mutants").mkdir(exist_ok=True)
    (folder / "mutants.md").write_text(page(found), encoding="utf-8")
    for name in NAMES:
        (folder / "mutants" / f"{name}.md").write_text(_every(name, found[name]), encoding="utf-8")


def page(found: Mapping[str, list[JudgedMutant]]) -> str:
    """docs/results/mutants.md, of everything that was judged."""
    models = [name for name in NAMES if name != CORE]
    everything = [judged for name in NAMES for judged in found[name]]
    lines = [INTRODUCTION, "## The models", "", MEANING, ""]
    lines += _scores([(name, found[name]) for name in models], mutation_judge.CAUGHT, "model")
    lines += ["", "## The core", "", CORE_MEANING, ""]
    functions: dict[str, list[JudgedMutant]] = {}
    for judged in found[CORE]:
        functions.setdefault(part(judged.id), []).append(judged)
    lines += _scores([*functions.items()], core_judge.CAUGHT, "function")
    lines += ["", "## What survives, and why", "", "| mutant | why |", "|---|---|"]
    lines += [f"| {_code(j.id)} | {_why(j)} |" for j in everything if became(j) in (BY_TEST, EQUIVALENT)]
    lines += ["", "## Where the models are explored, and how far each witness is", ""]
    lines += distances(models)
    lines += ["", "## Every mutant", ""]
    lines += [
        f"- [{name}](mutants/{name}.md): {score(name, found[name]).removeprefix(f'{name}: ')}"
        for name in NAMES
    ]
    return "\n".join(lines) + "\n"


def _scores(rows: list[tuple[str, list[JudgedMutant]]], caught: tuple[str, ...], of: str) -> Iterator[str]:
    """A table of scores with the sum below; outcomes that nothing has are left out."""
    counts = [(name, Counter(map(became, found))) for name, found in rows]
    total = sum((count for _, count in counts), Counter[str]())
    shown = [by for by in (*caught, BY_TEST, EQUIVALENT, *RARE) if total[by]]
    yield f"| {of} | mutants | {' | '.join(shown)} | score |"
    yield f"|---|{'---:|' * (len(shown) + 2)}"
    for name, count in (*counts, ("all", total)):
        cells = [str(count.total()), *(str(count[by] or "") for by in shown)]
        yield f"| {name} | {' | '.join(cells)} | {_percent(count)} |"


def _percent(count: Counter[str]) -> str:
    apart = count.total() - count[EQUIVALENT] - count[UNJUDGED]
    return f"{100 * _caught(count) / apart:.0f} %" if apart else ""


def _why(judged: JudgedMutant) -> str:
    entry = known()[judged.id]
    by = f" Caught by `{entry.test}`." if entry.test else ""
    alike = (mutation_judge.SAME, mutation_judge.PROVED_SAME)
    seen = f" Checked: {judged.what}." if judged.what in alike else ""
    return f"{' '.join(entry.reason.split())}{by}{seen}"


def distances(models: list[str]) -> Iterator[str]:
    yield "| model | bounds | steps of the shortest run to each witness |"
    yield "|---|---|---|"
    for name in models:
        for bounds in EXPLORED[name]:
            usual = mutation_judge.usual(name, bounds)
            far = [f"{w} {usual[w].removeprefix('in ')}" for w in MODELS[name].witnesses]
            broken = [f"**{p}** {usual[p]}" for p in MODELS[name].properties if bounds.where]
            yield f"| {name} | {bounds.of(MODELS[name]).describe()} | {', '.join([*broken, *far])} |"


def _every(name: str, found: list[JudgedMutant]) -> str:
    """A page of all mutants of a model or the core, and the digests of what they were judged of."""
    rows = [f"| {_code(judged.id)} | {judged.by} | {_cell(judged.what)} |" for judged in found]
    parts = dict.fromkeys(part(judged.id) for judged in found)
    digests = ", ".join(f"{of} {digest(of)}" for of in parts)
    title = f"# Every mutant of {name}"
    lines = [title, "", f"[What the words mean](../mutants.md). {score(name, found)}.", ""]
    return "\n".join([*lines, "| mutant | by | what |", "|---|---|---|", *rows, "", f"Of {digests}.", ""])


def _code(id: str) -> str:
    return f"`{_cell(id)}`"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


ROW = re.compile(r"^\| `(.+?)` \| ([a-z]+) \| (.*) \|$", re.MULTILINE)
OF = re.compile(r"^Of (.+)\.$", re.MULTILINE)


def read(folder: Path) -> list[tuple[str, JudgedMutant]]:
    """What the pages say became of each mutant, and the digest of what it was judged of."""
    text = "".join(page.read_text("utf-8") for page in sorted((folder / "mutants").glob("*.md")))
    of = dict(entry.rsplit(" ", 1) for entries in OF.findall(text) for entry in entries.split(", "))
    rows = ((_plain(id), by, _plain(what)) for id, by, what in ROW.findall(text))
    return [(of.get(part(id), ""), JudgedMutant(id, "", by, what)) for id, by, what in rows]


def _plain(cell: str) -> str:
    return cell.replace(r"\|", "|")
