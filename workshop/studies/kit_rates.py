"""How soon the kit finds each fault: `conform` over the faulty reference, as over anybody's Raft.

    python -m workshop kit-rates --write

For each fault of the catalogue that the core can have, walks are taken from several seeds until a judge
refuses a step. Beside it stands what the drawn scenarios of `make faults` took, which know the reference.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from oneleader.cli.console import say
from oneleader.conformance.conform import Driving, names
from oneleader.conformance.examined import Examined
from oneleader.faults.catalogue import FAULTS
from oneleader.faults.fault import Unlive, Variant
from oneleader_raft.core import Core
from workshop import ROOT
from workshop.pages.faults import load
from workshop.peers.million import Declared

PAGE = Path("docs/results/kit.md")
SEEDS = range(5)
LIMIT = 300  # walks from one seed
HEAD = f"""# How soon the kit finds each fault

`oneleader conform` over the reference, in the adapter protocol, with each fault of the
[catalogue](faults.md) that the core can have: medians of {len(SEEDS)} seeds, each up to the first finding or
{LIMIT} walks. Seconds are of one core's processor time, without shortening what was found. Faults of
liveness are asked for as `--liveness` does. Beside them: the seconds (by the clock) of the property test of
`make faults`, whose drawn scenarios know the reference from within, shortening included.
`python -m workshop kit-rates --write` writes this page.

Not here are the faults of locks, which the kit drives by another door (`LockAdapter`), and those of a model
that the reference cannot have.

| fault | found | walks | steps | seconds | property test, seconds | by |
|---|--:|--:|--:|--:|--:|---|
"""


@dataclass(frozen=True)
class KitRate:
    """What the walks from each seed gave."""

    fault: str
    runs: tuple[Examined, ...]
    drawn: float | None  # seconds of the property test

    @property
    def found(self) -> int:
        return sum(bool(run.causes) for run in self.runs)

    @property
    def row(self) -> str:
        walks = statistics.median(run.walks for run in self.runs)
        steps = statistics.median(run.steps for run in self.runs)
        seconds = statistics.median(run.seconds for run in self.runs)
        by = ", ".join(sorted({cause.judge for run in self.runs for cause in run.causes})) or "nothing"
        drawn = "-" if self.drawn is None else f"{self.drawn:.1f}"
        cells = (
            f"{self.found} of {len(self.runs)}",
            f"{walks:,.0f}",
            f"{steps:,.0f}",
            f"{seconds:.2f}",
            drawn,
            by,
        )
        return f"| [{self.fault}](faults.md#{self.fault}) | {' | '.join(cells)} |"


def cores() -> Iterator[tuple[str, Core, int, bool]]:
    """Each fault of the core, with how many servers it does harm, and whether it is one of liveness."""
    for id, fault in FAULTS.items():
        for made in (fault.variant, fault.unlive):
            if isinstance(made, Variant) and isinstance(made.core, Core):
                yield id, made.core, max(3, made.nodes + made.joining), False
                break
            if isinstance(made, Unlive):
                yield id, made.core, 3, True
                break


def soon(core: Core, nodes: int, liveness: bool, seed: int) -> Examined:
    """Walks up to the first finding."""
    make = partial(Declared, core=core)
    search, began = Driving(make, names(nodes), seed, (), liveness, shortens=False), time.process_time()
    while not search.found.causes and search.found.walks < LIMIT:
        search.walk(search.found.walks)
    search.found.seconds = time.process_time() - began
    return search.found


def rates() -> Iterator[KitRate]:
    drawn = {row.fault: row.seconds for row in load() if row.reader == "hypothesis" and row.seconds}
    for id, core, nodes, liveness in cores():
        runs = tuple(soon(core, nodes, liveness, seed) for seed in SEEDS)
        yield KitRate(id, runs, drawn.get(id))


@click.command("kit-rates")
@click.option("--write", is_flag=True, help=f"Write {PAGE}.")
def kit_rates(write: bool) -> int:
    """How soon `conform` finds each fault that the core can have: some minutes."""
    found = []
    for rate in rates():
        found.append(rate)
        say(rate.row)
    if write:
        rows = sorted(found, key=lambda rate: -statistics.median(run.steps for run in rate.runs))
        (ROOT / PAGE).write_text(HEAD + "".join(f"{rate.row}\n" for rate in rows), "utf-8")
        say(f"written to {PAGE}")
    return int(any(rate.found < len(rate.runs) for rate in found))
