"""The command `second-prover`: cvc5 beside Z3 on every model, and docs/results/provers.md from that run."""

from __future__ import annotations

import json
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

PAGE = Path("docs/results/provers.md")
LIST = Path(second.__file__).with_name("unconfirmed.json")
HEAD = """# Two provers
Made by `make second-prover`; not to be edited.

Each obligation is proved by Z3, for any number of nodes and unbounded numbers, and then by cvc5 from an
SMT-LIB text that Z3 had no hand in. cvc5 confirms or has no opinion: its `sat` is never shown as a
refutation. What both share, and neither can check, is what comes before: the tracing of the model and the
list of obligations.

| model | obligations | by Z3 | seconds | by cvc5 | seconds |
|---|--:|--:|--:|--:|--:|
"""


@dataclass(frozen=True)
class ComparedProvers:
    """One model under both provers, each alone."""

    model: Model
    z3: list[ProofRow]
    cvc5: list[ProofRow]

    @property
    def open(self) -> list[str]:
        """What Z3 proves and cvc5 does not confirm."""
        proved = {row.key for row in self.cvc5 if row.verdict is HOLDS}
        return sorted(row.key for row in self.z3 if row.verdict is HOLDS and row.key not in proved)

    def line(self) -> str:
        cells = [f"`{self.model.name}`", str(len(self.z3))]
        for by in (self.z3, self.cvc5):
            cells += [str(sum(r.verdict is HOLDS for r in by)), f"{sum(r.seconds for r in by):.0f}"]
        return f"| {' | '.join(cells)} |"


def page(found: Iterable[ComparedProvers]) -> str:
    """The table, and by name everything that only Z3 proves."""
    found = list(found)
    alone = [f"- `{c.model.name}`: `{key}`" for c in found for key in c.open]
    run = {c.model.name for c in found}
    left = [f"`{m.name}`" for m in MODELS.values() if hints_file(m).is_file() and m.name not in run]
    not_run = f"\nNot in this run: {', '.join(left)}.\n" if left else ""
    title = not_run + "\n## By Z3 alone\n" + ("\n".join(alone) if alone else "Nothing.") + "\n"
    return HEAD + "\n".join(c.line() for c in found) + "\n" + title


@click.command("second-prover")
@click.option("--write", is_flag=True, help=f"Write {PAGE} and the list of what is unconfirmed.")
@click.argument("names", nargs=-1)
def second_prover(write: bool, names: tuple[str, ...]) -> int:
    """Prove every model, or those named, with Z3 and with cvc5; fail where more is open than listed."""
    found = []
    for model in (m for m in MODELS.values() if hints_file(m).is_file() and m.name in (names or MODELS)):
        started = time.perf_counter()
        found.append(ComparedProvers(model, list(rows(model)), list(rows(model, prover=CVC5))))
        say(f"{found[-1].line()}  {time.perf_counter() - started:.0f} s")
    grown = [f"{c.model.name}: {key}" for c in found for key in c.open if not second.excused(c.model, key)]
    for text in grown:
        say(f"not confirmed, and not in the list: {text}")
    unproved = [row.key for c in found for row in c.z3 if row.verdict is not HOLDS]
    if write and not (grown or unproved):
        PAGE.write_text(page(found), encoding="utf-8")
        listed = {**second.unconfirmed(), **{c.model.name: c.open for c in found}}
        LIST.write_text(json.dumps({k: v for k, v in listed.items() if v}, indent=1) + "\n", encoding="utf-8")
        say(f"written  {PAGE}")
    return 1 if grown or unproved else 0
