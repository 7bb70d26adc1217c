"""The command `second-prover`: cvc5 beside Z3 on every model, and docs/results/provers.md from that run.

Each model has a page of its own in docs/results/provers/, with every obligation and who proved it, which is
written as soon as the model is done; the table of docs/results/provers.md is read from these pages.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from oneleader.cli.console import say
from oneleader.language.model import Model
from oneleader.models import MODELS
from oneleader.readers.prove import second
from oneleader.readers.prove.hints import hints_file
from oneleader.readers.prove.prove import CVC5, ProofRow, rows
from oneleader.verdict import HOLDS
from workshop import ROOT

PAGE = ROOT / "docs/results/provers.md"
FOLDER = ROOT / "docs/results/provers"
LIST = Path(second.__file__).with_name("unconfirmed.json")
HEAD = """# Two provers
Made by `make second-prover`; not to be edited.

Each obligation is proved by Z3, for any number of nodes and unbounded numbers, and then by cvc5 from an
SMT-LIB text that Z3 had no hand in. cvc5 confirms or has no opinion: its `sat` is never shown as a
refutation. What both share, and neither can check, is what comes before: the tracing of the model and the
list of obligations. The page of a model says of each obligation who proved it.

| model | obligations | by Z3 | seconds | by cvc5 | seconds |
|---|--:|--:|--:|--:|--:|
"""
COLUMNS = "| obligation | by Z3 | seconds | by cvc5 | seconds |\n|---|---|--:|---|--:|"
PROVED, OPEN = HOLDS.worded("proof"), "open"
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
    def of(z3: ProofRow, cvc5: ProofRow) -> ComparedObligation:
        assert z3.key == cvc5.key
        proved = (z3.verdict is HOLDS, cvc5.verdict is HOLDS)
        return ComparedObligation(z3.key, proved[0], z3.seconds, proved[1], cvc5.seconds)

    def line(self) -> str:
        z3, cvc5 = (PROVED if proved else OPEN for proved in (self.z3, self.cvc5))
        return f"| `{self.key}` | {z3} | {self.z3_seconds:.2f} | {cvc5} | {self.cvc5_seconds:.2f} |"


@dataclass(frozen=True)
class ComparedProvers:
    """One model under both provers, each alone."""

    model: Model
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
        return f"| {' | '.join([f'[{name}](provers/{name}.md)', str(len(self.rows)), *z3, *cvc5])} |"

    def page(self) -> str:
        head = (
            f"# Who proved {self.model.name}\nMade by `make second-prover`; see [the table](../provers.md).\n"
        )
        return "\n".join([head, COLUMNS, *(row.line() for row in self.rows), ""])


def subjects() -> list[Model]:
    """The models that are proved: those with hints."""
    return [model for model in MODELS.values() if hints_file(model).is_file()]


def page_of(model: Model) -> Path:
    return FOLDER / f"{model.name}.md"


def read(model: Model) -> ComparedProvers:
    """What the model's page says."""
    found = ROW.findall(page_of(model).read_text("utf-8"))
    obligations = (
        ComparedObligation(key, z3 == PROVED, float(s), cvc5 == PROVED, float(t))
        for key, z3, s, cvc5, t in found
    )
    return ComparedProvers(model, tuple(obligations))


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
    every = [read(model) for model in subjects() if page_of(model).is_file()]
    PAGE.write_text(page(every), encoding="utf-8")
    listed = dict(second.unconfirmed())
    for c in every:
        known = second.unconfirmed().get(c.model.name, ())
        is_new = set(c.grown) if accept and c.model is compared.model else set()
        listed[c.model.name] = [key for key in c.open if key in known or key in is_new]
    LIST.write_text(json.dumps({k: v for k, v in listed.items() if v}, indent=1) + "\n", encoding="utf-8")


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
        started = time.perf_counter()
        both = zip(rows(model), rows(model, prover=CVC5), strict=True)
        compared = ComparedProvers(model, tuple(ComparedObligation.of(*pair) for pair in both))
        say(f"{compared.line()}  {time.perf_counter() - started:.0f} s")
        for key in compared.unproved:
            say(f"not proved by z3: {model.name}: {key}")
        for key in compared.grown:
            say(f"not confirmed, and not in the list: {model.name}: {key}")
        wrong = bool(compared.unproved or (compared.grown and not accept))
        if writing:  # what took minutes is kept, whatever it says
            write(compared, accept=accept)
        failed = failed or wrong
    return 1 if failed else 0
