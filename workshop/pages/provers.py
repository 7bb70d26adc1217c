"""The command `second-prover`: cvc5 beside Z3 on every model, and docs/results/provers.md from that run.

Each model has a page of its own in docs/results/provers/, with every obligation and who proved it. It is
written after each obligation, and a later run goes on from there while the obligations are the same; the
table of docs/results/provers.md is read from these pages.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import click

from oneleader.cli.console import say
from oneleader.errors import Inexpressible
from oneleader.language.model import Model
from oneleader.models import MODELS
from oneleader.readers.prove import second
from oneleader.readers.prove.hints import hints_file, load_hints
from oneleader.readers.prove.obligations import Obligation
from oneleader.readers.prove.progress import every_obligation
from oneleader.readers.prove.prove import ProofRow, by_cvc5, judge
from oneleader.readers.prove.smtlib import script
from oneleader.verdict import HOLDS
from workshop import ROOT

PAGE = ROOT / "docs/results/provers.md"
FOLDER = ROOT / "docs/results/provers"
LIST = Path(second.__file__).with_name("unconfirmed.json")
LIMIT = 60.0  # seconds of processor time for cvc5 and one obligation
HEAD = f"""# Two provers
Made by `make second-prover`; not to be edited.

Each obligation is proved by Z3, for any number of nodes and unbounded numbers, and then by cvc5 from an
SMT-LIB text that Z3 had no hand in. cvc5 confirms or has no opinion: its `sat` is never shown as a
refutation, and after {LIMIT:g} seconds of processor time it is asked no more. What both share, and neither
can check, is what comes before: the tracing of the model and the list of obligations. The page of a model
says of each obligation who proved it.

| model | obligations | compared | by Z3 | seconds | by cvc5 | seconds |
|---|--:|--:|--:|--:|--:|--:|
"""
COLUMNS = "| obligation | by Z3 | seconds | by cvc5 | seconds |\n|---|---|--:|---|--:|"
PROVED, OPEN = HOLDS.worded("proof"), "open"
OF = re.compile(r"^The (\d+) obligations are those of `(\w+)`", re.MULTILINE)
ROW = re.compile(
    rf"^\| `(.+)` \| ({PROVED}|{OPEN}) \| ([\d.]+) \| ({PROVED}|{OPEN}) \| ([\d.]+) \|$", re.MULTILINE
)


@dataclass(frozen=True)
class ComparedObligation:
    """What became of one obligation under each prover alone, and in how many seconds."""

    key: str
    z3: bool
    z3_seconds: float
    cvc5: bool
    cvc5_seconds: float

    @staticmethod
    def of(obligation: Obligation, hint: list[str] | None) -> ComparedObligation:
        """Ask both."""
        z3, z3_seconds = _timed(lambda: judge(obligation, hint))
        cvc5, cvc5_seconds = _timed(lambda: by_cvc5(obligation, hint, seconds=LIMIT))
        return ComparedObligation(obligation.key, z3, z3_seconds, cvc5, cvc5_seconds)

    def line(self) -> str:
        z3, cvc5 = (PROVED if proved else OPEN for proved in (self.z3, self.cvc5))
        return f"| `{self.key}` | {z3} | {self.z3_seconds:.2f} | {cvc5} | {self.cvc5_seconds:.2f} |"


@dataclass(frozen=True)
class ComparedProvers:
    """One model under both provers, each alone, as far as it has come; `of`: the digest of what is asked."""

    model: Model
    total: int
    of: str
    rows: tuple[ComparedObligation, ...]

    @property
    def open(self) -> list[str]:
        """What Z3 proves and cvc5 does not confirm."""
        return sorted(row.key for row in self.rows if row.z3 and not row.cvc5)

    @property
    def grown(self) -> list[str]:
        """Of these what the list does not excuse."""
        return [key for key in self.open if not second.excused(self.model, key)]

    @property
    def unproved(self) -> list[str]:
        """What Z3 does not prove."""
        return [row.key for row in self.rows if not row.z3]

    def line(self) -> str:
        """The row of the table of all models."""
        name = self.model.name
        z3 = [f"{sum(r.z3 for r in self.rows)}", f"{sum(r.z3_seconds for r in self.rows):.0f}"]
        cvc5 = [f"{sum(r.cvc5 for r in self.rows)}", f"{sum(r.cvc5_seconds for r in self.rows):.0f}"]
        counted = [str(self.total), str(len(self.rows))]
        return f"| {' | '.join([f'[{name}](provers/{name}.md)', *counted, *z3, *cvc5])} |"

    def page(self) -> str:
        head = (
            f"# Who proved {self.model.name}\nMade by `make second-prover`; see [the table](../provers.md).\n"
            f"The {self.total} obligations are those of `{self.of}`; {len(self.rows)} have been compared.\n"
        )
        return "\n".join([head, COLUMNS, *(row.line() for row in self.rows), ""])


def _timed(prove: Callable[[], ProofRow]) -> tuple[bool, float]:
    """Whether it was proved, and in how many seconds of processor time."""
    started = time.process_time()
    row = prove()
    return row.verdict is HOLDS, time.process_time() - started


def digest(model: Model) -> str:
    """A fingerprint of all that is asked: each obligation as a text, and from what it is tried first."""
    hints = load_hints(model)
    asked = ((o.key, _text(o), hints.get(o.key)) for o in every_obligation(model))
    return sha256("".join(map(repr, asked)).encode()).hexdigest()[:16]


def _text(obligation: Obligation) -> str:
    try:
        return script(obligation)
    except Inexpressible as error:
        return str(error)


def subjects() -> list[Model]:
    """The models that are proved: those with hints."""
    return [model for model in MODELS.values() if hints_file(model).is_file()]


def page_of(model: Model) -> Path:
    return FOLDER / f"{model.name}.md"


def read(model: Model) -> ComparedProvers:
    """What the model's page says; nothing, of no obligations, where there is none."""
    text = page_of(model).read_text("utf-8") if page_of(model).is_file() else ""
    rows = tuple(
        ComparedObligation(key, z3 == PROVED, float(s), cvc5 == PROVED, float(t))
        for key, z3, s, cvc5, t in ROW.findall(text)
    )
    of = OF.search(text)
    return ComparedProvers(model, int(of[1]) if of else 0, of[2] if of else "", rows)


def page(found: Iterable[ComparedProvers]) -> str:
    """The table, and by name everything that only Z3 proves."""
    found = list(found)
    alone = [f"- `{c.model.name}`: `{key}`" for c in found for key in c.open]
    run = {c.model.name for c in found}
    left = [f"`{m.name}`" for m in subjects() if m.name not in run]
    not_run = f"\nNot compared: {', '.join(left)}.\n" if left else ""
    title = not_run + "\n## By Z3 alone\n" + ("\n".join(alone) if alone else "Nothing.") + "\n"
    return HEAD + "\n".join(c.line() for c in found) + "\n" + title


def write(compared: ComparedProvers, *, accept: bool) -> None:
    """The model's page and the table. `accept`: what cvc5 leaves open of it goes into the list.

    What the list excuses of a model, it excuses of those that extend it.
    """
    FOLDER.mkdir(exist_ok=True)
    page_of(compared.model).write_text(compared.page(), encoding="utf-8")
    every = [found for model in subjects() if (found := read(model)).total]
    PAGE.write_text(page(every), encoding="utf-8")
    listed = dict(second.unconfirmed())
    for c in every:
        known = second.unconfirmed().get(c.model.name, ())
        is_new = set(c.grown) if accept and c.model is compared.model else set()
        later = set(known) - {row.key for row in c.rows}
        listed[c.model.name] = sorted(later.union(key for key in c.open if key in known or key in is_new))
    LIST.write_text(json.dumps({k: v for k, v in listed.items() if v}, indent=1) + "\n", encoding="utf-8")
    second.unconfirmed.cache_clear()  # or the next model's list would forget this one's


@click.command("second-prover")
@click.option(
    "--write", "writing", is_flag=True, help=f"Write {PAGE.name} and the list of what is unconfirmed."
)
@click.option("--accept", is_flag=True, help="Take into the list what is open and not in it yet.")
@click.argument("names", nargs=-1)
def second_prover(writing: bool, accept: bool, names: tuple[str, ...]) -> int:
    """Prove every model, or those named, with Z3 and with cvc5; fail where more is open than listed."""
    failed = False
    for model in (model for model in subjects() if model.name in (names or MODELS)):
        for compared in comparing(model):
            if writing:
                write(compared, accept=accept)
        say(compared.line())
        for key in compared.unproved:
            say(f"not proved by z3: {model.name}: {key}")
        for key in compared.grown:
            say(f"not confirmed, and not in the list: {model.name}: {key}")
        failed = failed or bool(compared.unproved or (compared.grown and not accept))
    return 1 if failed else 0


def comparing(model: Model) -> Iterator[ComparedProvers]:
    """From what the page says on, one obligation more each time; at least once."""
    every, hints, of = list(every_obligation(model)), load_hints(model), digest(model)
    before = read(model)
    known = {row.key: row for row in before.rows} if before.of == of else {}
    yield ComparedProvers(model, len(every), of, tuple(known.values()))
    for obligation in every:
        if obligation.key not in known:
            known[obligation.key] = ComparedObligation.of(obligation, hints.get(obligation.key))
            yield ComparedProvers(model, len(every), of, tuple(known.values()))
