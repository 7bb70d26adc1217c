"""How soon the kit finds each fault: `conform` over the faulty reference, as over anybody's Raft.

    python -m workshop kit-rates --write

For each fault of the catalogue that the core can have, walks are taken from several seeds until a judge
refuses a step. Beside it stands what the drawn scenarios of `make faults` took, which know the reference.

Each answer is kept at once in docs/results/kit.json, by the code that it comes from, so a run that was broken
off, or whose time was over, goes on where it was. Seed after seed: a short run says something of each fault.
"""

from __future__ import annotations

import datetime
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

import oneleader
import oneleader_raft
from oneleader.cli.console import say
from oneleader.conformance.conform import Driving, names
from oneleader.conformance.locks.adapter import named
from oneleader.conformance.locks.driver import LockDriving
from oneleader.conformance.reference.patch import LockRules
from oneleader.conformance.walking import Walking
from oneleader.faults.catalogue import FAULTS
from oneleader.faults.fault import Unlive, Variant
from oneleader.readers.earlier import Texts
from oneleader_raft.core import Core
from workshop import RESULTS
from workshop.pages.faults import load as drawn_scenarios
from workshop.peers.million import Declared
from workshop.studies.reference_lock import ReferenceLock

PAGE, RECORD = RESULTS / "kit.md", RESULTS / "kit.json"
SEEDS = range(3)
LIMIT = 120  # walks from one seed
READ = Texts(
    {
        Path(str(oneleader.__file__)).parent: (
            "conformance/*.py",
            "conformance/locks/*.py",
            "conformance/reference/*.py",
            "faults/*.py",
            "language/*.py",
            "models/*.py",
            "readers/replay/*.py",
        ),
        Path(str(oneleader_raft.__file__)).parent: ("*.py", "testbench/*.py"),
    }
)
HEAD = """# How soon the kit finds each fault
Made by `make kit-rates`; not to be edited.

`oneleader conform` over the reference, in the adapter protocol, with each fault of the
[catalogue](faults.md) that its core or its locks can have: medians of the seeds asked, each up to the first
finding or {limit} walks. Where a seed found nothing, all its walks count. Seconds are of one core's processor
time, without shortening what was found. Faults of liveness are asked for as `--liveness` does. Beside them:
the seconds (by the clock) of the property test of `make faults`, whose drawn scenarios know the reference
from within, shortening included.

{found} of {asked} faults were found from every seed that was asked, {some} from some, {none} from none.
Taken {when}.

| fault | found | walks | steps | seconds | property test, seconds | by |
|---|--:|--:|--:|--:|--:|---|
"""
NOT_HERE = """
## What the kit cannot be shown
| fault | why |
|---|---|
"""
NOT_HERE_BECAUSE = {
    "lease-without-fencing": "it is in what an application does beside its Raft: trust a lease, and write",
    "check-then-act": "it is in a storage that two clients write at one time, and a step of the kit is whole",
    "commit-as-told": "the reference sends all that it has from an entry on, so that nothing is committed "
    "behind what it sends; with a limit on what it sends it could have this fault",
}
MakeSearch = Callable[[int], Walking[Any]]


@dataclass(frozen=True)
class Sought:
    """What the walks from one seed gave; `by` is empty where they found nothing."""

    fault: str
    seed: int
    walks: int
    steps: int
    seconds: float
    by: str
    code: str
    on: str


@dataclass(frozen=True)
class KitRate:
    """What was asked about one fault."""

    fault: str
    sought: Sequence[Sought]
    drawn: float | None  # seconds of the property test

    @property
    def found(self) -> int:
        return sum(bool(one.by) for one in self.sought)

    @property
    def is_sure(self) -> bool:
        return self.found == len(self.sought)

    @property
    def steps(self) -> float:
        return statistics.median(one.steps for one in self.sought)

    @property
    def row(self) -> str:
        walks = statistics.median(one.walks for one in self.sought)
        seconds = statistics.median(one.seconds for one in self.sought)
        by = ", ".join(sorted({one.by for one in self.sought if one.by})) or "nothing"
        drawn = "-" if self.drawn is None else f"{self.drawn:.1f}"
        cells = (f"{self.found} of {len(self.sought)}", f"{walks:,.0f}", f"{self.steps:,.0f}")
        return f"| {link(self.fault)} | {' | '.join(cells)} | {seconds:.2f} | {drawn} | {by} |"


def link(fault: str) -> str:
    return f"[{fault}](faults.md#{fault})"


def searches() -> Iterator[tuple[str, MakeSearch]]:
    """Each fault that the kit can be shown, and the search for it from a seed."""
    for id, fault in FAULTS.items():
        for made in (fault.variant, fault.unlive):
            if isinstance(made, Variant):
                many = max(3, made.nodes + made.joining)
                yield id, partial(over, made.core, many, fault.breaks == "availability")
                break
            if isinstance(made, Unlive):
                yield id, partial(over, made.core, 3, True)
                break


def over(faulty: Core | LockRules, nodes: int, liveness: bool, seed: int) -> Walking[Any]:
    """A core by the door of Rafts, with so many servers; locks by theirs."""
    if isinstance(faulty, Core):
        return Driving(partial(Declared, core=faulty), names(nodes), seed, (), liveness, shortens=False)
    search = LockDriving(partial(ReferenceLock, rules=faulty), named(3), seed)
    search.shortens = False
    return search


def others() -> Iterator[tuple[str, str]]:
    """Each fault of the catalogue that is not among them, and why."""
    asked = {id for id, _ in searches()}
    for id, fault in FAULTS.items():
        if id not in asked:
            yield id, NOT_HERE_BECAUSE.get(id, str(fault.variant))


def seek(id: str, make: MakeSearch, seed: int) -> Sought:
    """Walks up to the first finding."""
    search, began = make(seed), time.process_time()
    found = search.found
    while not found.causes and found.walks < LIMIT:
        search.walk(found.walks)
    by = found.causes[0].judge if found.causes else ""
    seconds = round(time.process_time() - began, 2)
    day = datetime.date.today().isoformat()
    return Sought(id, seed, found.walks, found.steps, seconds, by, READ.hash[:16], day)


def load(record: Path | None = None) -> list[Sought]:
    record = record or RECORD
    rows = json.loads(record.read_text("utf-8")) if record.exists() else []
    return [Sought(**row) for row in rows]


def keep(one: Sought) -> None:
    """In the place of what was known of it."""
    rows = {(row.fault, row.seed): row for row in [*load(), one]}
    lines = ",\n".join(json.dumps(asdict(row)) for _, row in sorted(rows.items()))
    part = RECORD.with_suffix(".part")
    part.write_text(f"[\n{lines}\n]\n", "utf-8")
    part.replace(RECORD)


def rates(sought: Sequence[Sought]) -> list[KitRate]:
    """By fault, those that take the most steps first."""
    drawn = {row.fault: row.seconds for row in drawn_scenarios() if row.reader == "hypothesis"}
    asked = {id: [one for one in sought if one.fault == id] for id, *_ in searches()}
    found = [KitRate(id, some, drawn.get(id) or None) for id, some in asked.items() if some]
    return sorted(found, key=lambda rate: (-rate.steps, rate.fault))


def page(sought: Sequence[Sought]) -> str:
    rows = rates(sought)
    days = sorted({one.on for one in sought}) or ["never"]
    head = HEAD.format(
        limit=LIMIT,
        asked=len(rows),
        found=sum(rate.is_sure for rate in rows),
        some=sum(rate.found > 0 and not rate.is_sure for rate in rows),
        none=sum(rate.found == 0 for rate in rows),
        when=f"on {days[0]}" if len(days) == 1 else f"from {days[0]} to {days[-1]}",
    )
    parts = [head, *(f"{rate.row}\n" for rate in rows), *not_found(rows)]
    left = [link(id) for id, _ in searches() if id not in {rate.fault for rate in rows}]
    parts += [f"\nNot asked yet: {', '.join(left)}.\n"] if left else []
    return "".join([*parts, NOT_HERE, *(f"| {link(id)} | {why} |\n" for id, why in others())])


def not_found(rows: Sequence[KitRate]) -> Iterator[str]:
    """Those that a seed did not find, by name."""
    missed = [rate for rate in rows if not rate.is_sure]
    if missed:
        yield "\n## What some seed did not find\n"
    for rate in missed:
        yield f"- {link(rate.fault)}, found {rate.found} times of {len(rate.sought)}.\n"


def left(until: float) -> Iterator[Sought]:
    """What this code was not asked yet, while there is time."""
    known = {(one.fault, one.seed) for one in load() if one.code == READ.hash[:16]}
    for seed in SEEDS:
        for id, make in searches():
            if (id, seed) not in known and time.monotonic() < until:
                yield seek(id, make, seed)


@click.command("kit-rates")
@click.option("--write", is_flag=True, help="Keep the answers, and write docs/results/kit.md.")
@click.option("--minutes", type=click.FloatRange(0), default=20.0, show_default=True, help="At most.")
def kit_rates(write: bool, minutes: float) -> int:
    """How soon `conform` finds each fault that the core can have; goes on where it stopped."""
    taken = []
    for one in left(time.monotonic() + 60 * minutes):
        taken.append(one)
        say(f"{one.fault}, seed {one.seed}: {one.by or 'nothing'}, {one.walks} walks, {one.seconds:.1f} s")
        if write:
            keep(one)
    if write:
        PAGE.write_text(page(load()), "utf-8")
        say(f"written to {PAGE.name}")
    return int(any(not one.by for one in taken))
