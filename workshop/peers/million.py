"""The command `million`: correct cores over a million steps, in which nothing may be found.

It goes on where the run before it stopped, if judges and driver are the same: what was driven is kept in
docs/results/million.json after each batch of walks, and each batch has a seed of its own. A batch in which
something was found is driven again first: what is not found any more, since the adapter declares it, is kept
as `mended`. docs/results/peers.md tells what is there.
"""

from __future__ import annotations

import datetime
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

import oneleader
from oneleader.cli.console import complain, say
from oneleader.conformance.adapter import May
from oneleader.conformance.conform import Driving, names
from oneleader.conformance.examined import Examined
from oneleader.conformance.reference.whole import WholeReference
from oneleader.conformance.trial import MakeAdapter
from oneleader.readers.earlier import Texts
from workshop.peers.peer import PEERS

RECORD = Path("docs/results/million.json")
REFERENCE = "reference"
HEALTHY = (REFERENCE, "etcd", "hashicorp")
NODES = (3, 5)
READ = Texts(
    {
        Path(str(oneleader.__file__)).parent: (
            "conformance/*.py",
            "language/*.py",
            "models/*.py",
            "readers/replay/*.py",
        )
    }
)
BATCH = 40  # walks with one seed


class Declared(WholeReference):
    """The reference, which says what it does."""

    may = tuple(set(May) - {May.APPLY_MEMBERS, May.JOIN_EARLY, May.LEADS_ON})


@dataclass
class LongRun:
    """What one core was driven over, with so many nodes."""

    name: str
    nodes: int
    version: str
    code: str = ""  # of the judges and the driver
    batches: int = 0
    walks: int = 0
    steps: int = 0
    seconds: float = 0.0  # of this process' processor time
    by_model: dict[str, int] = field(default_factory=dict)  # walks that each model judged
    found: dict[str, int] = field(default_factory=dict)  # what, and the seed of the batch
    mended: list[str] = field(default_factory=list)  # found once, and not any more by the same walks
    until: str = ""

    @property
    def key(self) -> str:
        return f"{self.name}, {self.nodes} nodes"

    def add(self, run: Examined, seconds: float) -> None:
        self.found = findings(run) | self.found
        self.batches += 1
        self.walks += run.walks
        self.steps += run.steps
        self.seconds = round(self.seconds + seconds, 1)
        self.by_model = dict(sorted((Counter(self.by_model) + run.by_model).items()))
        self.until = datetime.date.today().isoformat()


def findings(run: Examined) -> dict[str, int]:
    no_word = [f"{model} has no word for: {may.value}" for model, may in run.no_word]
    return dict.fromkeys(sorted([*(cause.key for cause in run.causes), *no_word]), run.seed)


def load() -> dict[str, LongRun]:
    """What was driven so far."""
    rows = json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else []
    return {row.key: row for row in (LongRun(**row) for row in rows)}


def keep(row: LongRun) -> None:
    """Beside what other runs keep meanwhile."""
    rows = load() | {row.key: row}
    text = json.dumps([asdict(row) for _, row in sorted(rows.items())], indent=1)
    part = RECORD.with_suffix(f".{row.name}")
    part.write_text(f"{text}\n", "utf-8")
    part.replace(RECORD)


def rows_of(name: str) -> Iterator[LongRun]:
    """With what was driven before; a new version begins with nothing, and so do other judges."""
    version = PEERS[name].version if name in PEERS else ""
    before = load()
    for nodes in NODES:
        row = LongRun(name, nodes, version, READ.hash[:8])
        kept = before.get(row.key, row)
        yield kept if (kept.version, kept.code) == (row.version, row.code) else row


def core(name: str) -> AbstractContextManager[MakeAdapter]:
    if name == REFERENCE:
        return nullcontext(Declared)
    PEERS[name].make()
    return PEERS[name].cluster()


def batch(make: MakeAdapter, row: LongRun) -> Examined:
    """The next walks of it."""
    began = time.process_time()
    found = drive(make, row.nodes, 1000 + row.batches)
    row.add(found, time.process_time() - began)
    return found


def drive(make: MakeAdapter, nodes: int, seed: int) -> Examined:
    search = Driving(make, names(nodes), seed)
    for number in range(BATCH):
        search.walk(number)
    return search.found


def drive_again(make: MakeAdapter, row: LongRun) -> None:
    """The batches in which something was found."""
    now: dict[str, int] = {}
    for seed in sorted({*row.found.values()}):
        now |= findings(drive(make, row.nodes, seed))
    row.mended = sorted({*row.mended, *row.found} - {*now})
    row.found = now


@click.command()
@click.option(
    "--steps", type=click.IntRange(1), default=1_000_000, show_default=True, help="Half with 5 nodes."
)
@click.argument("cores", nargs=-1)
def million(steps: int, cores: tuple[str, ...]) -> int:
    """Drive correct cores (reference, etcd, hashicorp) until each has taken so many steps, over all runs."""
    wrong = 0
    for name in cores or HEALTHY:
        if name not in HEALTHY:
            return complain(f"{name!r} is not among those: choose from {', '.join(HEALTHY)}")
        with core(name) as make:
            for row in rows_of(name):
                if row.found:
                    drive_again(make, row)
                    keep(row)
                while row.steps < steps // len(NODES):
                    found = batch(make, row)
                    keep(row)
                    say(found.text if found.causes or found.no_word else f"{row.key}: {row.steps:,} steps")
                found_so_far = ", ".join(row.found) or "nothing"
                say(f"{row.key}: {row.steps:,} steps, {row.walks:,} walks; found: {found_so_far}")
                wrong += len(row.found)
    return int(wrong > 0)
