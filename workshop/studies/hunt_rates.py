"""How soon drawn scenarios find each fault: the median of walks until the first that breaks something.

    python -m workshop hunt-rates --write

For each fault of the catalogue that the core can have, and for six that once passed all drawn scenarios,
walks are drawn from several seeds until one is broken. Where none is within the limit, the page says so.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path

import click

import oneleader
import oneleader_raft
from oneleader.conformance.reference.patch import patched
from oneleader.conformance.reference.scenario import Broken
from oneleader.conformance.reference.walks import JOINING, NODES, Walk
from oneleader.faults.catalogue import variant, variants
from oneleader_raft import raft
from oneleader_raft.core import Core
from oneleader_raft.lease import NO_ROUND
from oneleader_raft.raft import (
    AppendReply,
    Event,
    Node,
    PendingRead,
    Role,
    Step,
    Store,
)
from workshop import ROOT

PAGE = Path("docs/results/hunt.md")
SEEDS = (0, 10_000, 20_000)
LIMIT = 60  # walks from one seed
ROW = re.compile(r"^\| (.+) \| (none|[\d.]+) \| ([\d, none]+) \| (.*) \|$", re.MULTILINE)


# -- Faults that passed all drawn scenarios ----------------------------------------------------------------


def commits_up_to_its_last_index() -> Core:
    """A leader that commits anything commits all that it has."""
    correct = raft.advance_commit

    def advance_commit(node: Node) -> Step:
        taken = correct(node)
        commit_index = taken.node.last_index if taken.actions else node.commit_index
        return replace(taken, node=replace(taken.node, commit_index=commit_index))

    return patched(advance_commit)


def stale_match() -> Core:
    """A match that a follower acknowledged in an older term counts: its log may have changed since."""
    correct = raft.on_append_reply

    def on_append_reply(node: Node, m: AppendReply) -> Step:
        is_stale = m.success and m.round != NO_ROUND and m.term < node.current_term
        return correct(node, replace(m, term=node.current_term) if is_stale else m)

    return patched(on_append_reply)


def two_writes_for_one_store() -> Core:
    """Term and vote are written one after the other: a crash between them leaves half a step."""

    def step(node: Node, event: Event, now: int) -> Step:
        taken = raft.step(node, event, now)
        match taken.effects:
            case (Store(durable), *_) if durable.current_term != node.current_term:
                half = Store(replace(durable, voted_for=node.voted_for))
                return replace(taken, effects=(half, *taken.effects))
        return taken

    return replace(patched(), step=step)


def read_shares_an_older_round() -> Core:
    """A read waits for the round of one that is pending already, which may have been sent before."""
    correct = raft.on_read

    def on_read(node: Node, id: Hashable, now: int) -> Step:
        pending, leads = node.leadership.reads, node.role is Role.LEADER
        if not (leads and pending):
            return correct(node, id, now)
        index = max(node.commit_index, node.leadership.noop)
        reads = (*pending, PendingRead(id, index, pending[-1].round))
        return Step(replace(node, leadership=replace(node.leadership, reads=reads)))

    return patched(on_read)


ONCE_MISSED: dict[str, Core] = {
    "votes counted as replies": variant("double-count"),
    "log comparison": variant("shorter-log-wins"),
    "two writes for one store": two_writes_for_one_store(),
    "commit up to the last index": commits_up_to_its_last_index(),
    "stale match": stale_match(),
    "a read that shares an older round": read_shares_an_older_round(),
}


# -- The rates ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """How many walks each seed took, None where none of LIMIT was broken; and what was broken, mostly."""

    fault: str
    walks: tuple[int | None, ...]
    cause: str

    @property
    def median(self) -> float | None:
        counted = sorted(LIMIT + 1 if n is None else n for n in self.walks)
        middle = statistics.median(counted)
        return None if middle > LIMIT else middle


def rate(name: str, core: Core, seeds: Sequence[int] = SEEDS, limit: int = LIMIT) -> Rate:
    walks: list[int | None] = []
    causes: list[str] = []
    for seed in seeds:
        number, broken = until_broken(core, seed, limit)
        walks.append(number if broken else None)
        causes += [broken.cause] if broken else []
    return Rate(name, tuple(walks), statistics.mode(causes) if causes else "")


def until_broken(core: Core, first: int, limit: int) -> tuple[int, Broken | None]:
    """How many walks were drawn, and what the last one came to: members change in every other batch."""
    for number in range(1, limit + 1):
        seed = first + number - 1
        batch, one = divmod(number - 1, len(NODES))
        walk = Walk(seed, core, NODES[one], joining=JOINING[one] if batch % 2 else 0)
        if walk.broken:
            return number, walk.broken
    return limit, None


def subjects() -> Iterator[tuple[str, Core]]:
    yield from ONCE_MISSED.items()
    for id, found in variants().items():
        if isinstance(found.core, Core):
            yield id, found.core


@cache
def digest() -> str:
    """A fingerprint of all that decides how many walks are needed: the core, the walks, the faults."""
    spec, core = Path(oneleader.__file__).parent, Path(oneleader_raft.__file__).parent
    folders = (
        spec / "conformance",
        spec / "conformance/reference",
        spec / "faults",
        core,
        core / "testbench",
    )
    files = [Path(__file__), *(file for folder in folders for file in sorted(folder.glob("*.py")))]
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def measured(path: Path = ROOT / PAGE) -> dict[str, Rate]:
    """What the page says of each fault, where that was measured of the code as it is."""
    text = path.read_text("utf-8") if path.exists() else ""
    return {rate.fault: rate for rate in map(_read, ROW.findall(text))} if digest() in text else {}


@click.command("hunt-rates")
@click.option("--write", is_flag=True, help=f"Write {PAGE}.")
@click.option("--fresh", is_flag=True, help="Measure again what the page has of the same code.")
def hunt_rates(write: bool, fresh: bool) -> int:
    """How many drawn walks find each fault of the core: the median over seeds.

    The page is written after each fault, and a run that was cut off goes on from there.
    """
    found, every = {} if fresh else measured(), dict(subjects())
    for name, core in every.items():
        if name not in found:
            found[name] = rate(name, core)
            if write:
                (ROOT / PAGE).write_text(page(found, [*every]), encoding="utf-8")
        click.echo(_row(found[name]))
    return 0


def page(found: Mapping[str, Rate], every: Sequence[str]) -> str:
    """`every`: the faults to be measured."""
    once = [found[name] for name in ONCE_MISSED if name in found]
    catalogue = sorted((found[name] for name in every if name in found.keys() - ONCE_MISSED), key=_weakest)
    left = [name for name in every if name not in found]
    head = ["| fault | median | from each seed | what is broken, mostly |", "|---|---:|---|---|"]
    return "\n".join(
        [
            "# How soon a hunt finds each fault",
            "",
            "Walks (`spec/oneleader/conformance/reference/walks.py`) are drawn until one breaks something.",
            f"How many that takes, from {len(SEEDS)} seeds, {LIMIT} walks each at most. Clusters have 3, 4",
            "and 5 servers in turn; in every other four walks members change and logs are compacted, as in a",
            "hunt. A hunt also draws short scenarios and simulates whole runs, which are not counted here.",
            "`python -m workshop hunt-rates --write` writes this page, and goes on where it stopped while",
            f"the core, the walks and the faults are the same: `{digest()}`.",
            "",
            "## Once missed by all drawn scenarios",
            "",
            *head,
            *map(_row, once),
            "",
            "## The catalogue, the weakest first",
            "",
            *head,
            *map(_row, catalogue),
            *(["", f"Not measured: {', '.join(left)}."] if left else []),
            "",
        ]
    )


def _read(row: tuple[str, str, str, str]) -> Rate:
    fault, _, each, cause = row
    return Rate(fault, tuple(None if n == "none" else int(n) for n in each.split(", ")), cause)


def _weakest(rate: Rate) -> float:
    return -(LIMIT + 1 if rate.median is None else rate.median)


def _row(rate: Rate) -> str:
    median = "none" if rate.median is None else f"{rate.median:g}"
    each = ", ".join("none" if n is None else str(n) for n in rate.walks)
    return f"| {rate.fault} | {median} | {each} | {rate.cause} |"
