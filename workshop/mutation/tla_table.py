"""What becomes of the mutants of the TLA+ text, all in all: the commands, and docs/results/tla-mutants.md."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import click

from oneleader.cli.console import judged as judged_line
from oneleader.cli.console import say
from oneleader.errors import UsageError
from oneleader.models import find
from oneleader.readers.tlc.bounds import Bounds, bounds_of, deep_bounds_of, full_bounds_of
from oneleader.readers.tlc.config import module_of
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict, exit_status
from oneleader.words import plural
from workshop.mutation.tla_judge import (
    GRAPH,
    NOBODY,
    UNREAD,
    Key,
    Noticed,
    NoticedBefore,
    first,
    key_of,
    shown,
)
from workshop.mutation.tla_mutation import TWINS, TlaMutant, mutants, tokens_of, used_by
from workshop.twins import search

PAGE = Path("docs/results/tla-mutants.md")
EQUIVALENT, SURVIVED, STALE, OPEN = "equivalent", "survived", "stale", "not judged"
PRINT = re.compile(r"^\| ([\w/]+) \| \d+ .* `(\w+)` \|$", re.MULTILINE)
ROW = re.compile(r"^\| `(.+?)` \| ([a-z ]+) \| ([^|]*) \| (.*) \|$", re.MULTILINE)
BOUNDS = re.compile(r"^(\d+)\. (.+)$", re.MULTILINE)
VERDICTS = {SURVIVED: VIOLATED, STALE: VIOLATED, OPEN: INCONCLUSIVE}


@cache
def reasons() -> dict[str, str]:
    """Why a mutant is equivalent. UsageError where an entry says nothing."""
    path = Path(__file__).with_name("tla_equivalent.toml")
    found = {id: entry.get("reason", "") for id, entry in tomllib.loads(path.read_text("utf-8")).items()}
    for id, reason in found.items():
        if not reason:
            raise UsageError(f"{path.name}: {id} has no reason")
    return found


def became(id: str, said: Noticed | None) -> str:
    """Who noticed it; else equivalent, survived, stale (an entry that is not equivalent), or not judged."""
    if said is None:
        return OPEN
    if said.by == NOBODY:
        return EQUIVALENT if id in reasons() else SURVIVED
    return STALE if id in reasons() else said.by


def verdict(outcome: str) -> Verdict:
    return VERDICTS.get(outcome, HOLDS)


def digest(model: str) -> str:
    """A fingerprint of the TLA+ text without its comments: that of the twin and of every module it uses."""
    said = [
        [token.text for token in tokens_of(file.read_text("utf-8"))]
        for file in used_by(module_of(find(model)))
    ]
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def judged_at(model: str) -> tuple[Bounds, ...]:
    """Wherever the twin is compared, cheapest first."""
    of = find(model)
    return bounds_of(of) + full_bounds_of(of) + deep_bounds_of(of)


def judged(
    model: str, store: NoticedBefore, workers: int, *, kept: bool
) -> list[tuple[TlaMutant, Noticed | None]]:
    """Each mutant of a twin at the bounds that ship; `kept`: only what was judged before."""
    everything, at = mutants(model), judged_at(model)
    if not kept:
        return list(zip(everything, first(everything, at, store, workers), strict=True))
    return [(mutant, _known(mutant, at, store)) for mutant in everything]


def _known(mutant: TlaMutant, at: Sequence[Bounds], store: NoticedBefore) -> Noticed | None:
    """Who is known to notice it; that nobody does only where all of the bounds have been tried."""
    found = [store.known(mutant, bounds) for bounds in at]
    noticed = next((said for said in found if said and said.by), None)
    return noticed or (found[-1] if all(found) else None)


# -- the page -----------------------------------------------------------------------------------------
INTRODUCTION = """\
# Mutants of the TLA+ text: what the comparison with the twins notices

Each module of `tla/` that has a model in Python, with one small thing wrong: a conjunct dropped, a comparison
turned, an EXCEPT removed, an assignment that changes nothing, a number moved, a quorum defined otherwise,
Init begun elsewhere. `oneleader tlc` compares it with the model at the bounds that ship, cheapest first,
until one of them notices. Made by `make tla-mutants`; `workshop/mutation/tla_mutation.py` says what is
mutated, and `tla_judge.py` what the words mean. Claims are not mutated: the configurations of `tla/` are
there for these. The score is what is noticed, of all that were judged, can be parsed and are not equivalent.
The command goes on from this page: beside what nobody noticed stand the numbers of the bounds where that was
tried. The fingerprint is that of the module and of those that it uses, without comments; when one of them
changes, the mutants of the model have to be judged again, which takes minutes a model.
"""


def page(found: dict[str, list[tuple[TlaMutant, Noticed | None]]], store: NoticedBefore) -> str:
    lines = [
        INTRODUCTION,
        "| model | mutants | judged | noticed | equivalent | others | score | fingerprint |",
        "|---|--:|--:|---|--:|---|--:|---|",
    ]
    lines += [_row(model, entries, f"`{digest(model)}`") for model, entries in found.items()]
    lines.append(_row("all", [entry for entries in found.values() for entry in entries], ""))
    for model, entries in found.items():
        lines += [
            "",
            f"## {model}",
            "",
            *_compared_at(model),
            "",
            "| mutant | noticed by | where | what |",
            "|---|---|---|---|",
        ]
        lines += [_entry(mutant, said, store) for mutant, said in entries]
    return "\n".join([*lines, ""])


def _compared_at(model: str) -> list[str]:
    """Where what nobody noticed was tried."""
    return [
        "Compared at:",
        "",
        *(f"{i}. {shown(model, bounds)}" for i, bounds in enumerate(judged_at(model), 1)),
    ]


def _row(model: str, entries: list[tuple[TlaMutant, Noticed | None]], fingerprint: str) -> str:
    counted = Counter(became(mutant.id, said) for mutant, said in entries)
    rare = ", ".join(f"{counted[name]} {name}" for name in (*VERDICTS, UNREAD) if counted[name]) or "none"
    judged = counted.total() - counted[OPEN]
    uncounted = (EQUIVALENT, UNREAD, *VERDICTS)
    noticed = counted.total() - sum(counted[name] for name in uncounted)
    by = ", ".join(f"{name} {n}" for name, n in counted.most_common() if name not in uncounted)
    asked = judged - counted[EQUIVALENT] - counted[UNREAD]
    score = f"{100 * noticed / asked:.0f} %" if asked else ""
    cells = [
        model,
        counted.total(),
        judged,
        f"{noticed}: {by}" if by else "0",
        counted[EQUIVALENT],
        rare,
        score,
    ]
    return f"| {' | '.join(map(str, [*cells, fingerprint]))} |"


def _entry(mutant: TlaMutant, said: Noticed | None, store: NoticedBefore) -> str:
    outcome = became(mutant.id, said)
    where, what = (
        (said.at, said.what) if said and said.by else (_tried(mutant, store), reasons().get(mutant.id, ""))
    )
    return f"| {_cell(f'`{mutant.id}`')} | {outcome} | {where} | {_cell(what)} |"


def _tried(mutant: TlaMutant, store: NoticedBefore) -> str:
    """The numbers of the bounds at which nobody noticed it."""
    at = enumerate(judged_at(mutant.model), 1)
    return " ".join(str(number) for number, bounds in at if store.known(mutant, bounds))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _plain(cell: str) -> str:
    return cell.replace("\\|", "|")


def read(path: Path = PAGE) -> dict[str, str]:
    """What the page says became of each mutant."""
    return {_plain(id): outcome for id, outcome, _, _ in ROW.findall(path.read_text("utf-8"))}


def told(path: Path = PAGE, models: Sequence[str] = TWINS) -> Iterator[tuple[Key, Noticed]]:
    """All that the page says of the texts as they are: a run goes on from there on any machine."""
    text = path.read_text("utf-8") if path.exists() else ""
    prints = dict(PRINT.findall(text))
    for part in text.split("\n## ")[1:]:
        model = part.partition("\n")[0]
        if model in models and prints.get(model) == digest(model):
            yield from _told_of(model, part)


def _told_of(model: str, part: str) -> Iterator[tuple[Key, Noticed]]:
    """Who notices a mutant, and where; or the numbers of the bounds at which nobody does."""
    rows = {_plain(id): (by, at, _plain(what)) for id, by, at, what in ROW.findall(part)}
    bounds = dict(BOUNDS.findall(part))
    for mutant in mutants(model):
        by, at, what = rows.get(mutant.id, ("", "", ""))
        if re.fullmatch(r"[\d ]*", at):
            for number in at.split():
                where = bounds[number]
                yield key_of(mutant, where), Noticed(mutant.id, where, NOBODY, "")
        else:
            yield key_of(mutant, at), Noticed(mutant.id, at, GRAPH if by == STALE else by, what)


# -- the commands -------------------------------------------------------------------------------------
def checked(names: tuple[str, ...]) -> list[str]:
    for name in names:
        if name not in TWINS:
            raise UsageError(f"{name!r} has no twin: choose from {', '.join(TWINS)}")
    return list(names or TWINS)


@click.command("tla-mutants")
@click.argument("names", nargs=-1, metavar="[MODEL]...")
@click.option("--workers", type=click.IntRange(1), default=1, help="TLCs at a time.  [default: 1]")
@click.option("--kept", is_flag=True, help="Judge nothing: say what was judged before.")
@click.option("--write", is_flag=True, help=f"Write {PAGE}.")
def tla_mutants(names: tuple[str, ...], workers: int, kept: bool, write: bool) -> int:
    """Compare each mutant of the TLA+ twin of each MODEL with the model, where `oneleader tlc` compares.

    What was judged of the same text is taken from the page and from runs/tla-mutants.jsonl. With --write the
    page is written after each model; of models that are not named it says what is known.
    """
    store, found = NoticedBefore(told=told()), {}
    for model in checked(names):
        found[model] = judged(model, store, workers, kept=kept)
        for line in _lines(found[model]):
            judged_line(*line)
        say(f"{model}: {plural(len(found[model]), 'mutants')}")
        if write:
            every = {m: found.get(m) or judged(m, store, workers, kept=True) for m in TWINS}
            PAGE.write_text(page(every, store), encoding="utf-8")
    outcomes = [became(mutant.id, said) for entries in found.values() for mutant, said in entries]
    return exit_status(map(verdict, outcomes))


def _lines(entries: list[tuple[TlaMutant, Noticed | None]]) -> Iterator[tuple[Verdict, str, str, str]]:
    for mutant, said in entries:
        outcome = became(mutant.id, said)
        yield verdict(outcome), outcome.ljust(10), mutant.id, said.what if said else ""


@click.command("tla-bounds")
@click.argument("names", nargs=-1, metavar="[MODEL]...")
@click.option("--workers", type=click.IntRange(1), default=1, help="TLCs at a time.  [default: 1]")
def tla_bounds(names: tuple[str, ...], workers: int) -> int:
    """Search for the bounds at which each twin is compared, and write bounds.toml."""
    store, wanted = NoticedBefore(told=told()), checked(names)
    taken = {model: list(bounds_of(find(model))) for model in TWINS if model not in wanted}
    for model in wanted:
        taken[model] = list(search.chosen(model, frozenset(reasons()), store, workers))
        say(search.text(find(model).name, taken[model]))
    search.write({model: taken[model] for model in TWINS})
    return 0
