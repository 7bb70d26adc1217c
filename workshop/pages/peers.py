"""The command `peers`: real libraries through the public door, and docs/results/peers.md of what came out.

The page is written after each peer, and its row says what it was run with: how many walks, and by which code.
What was run so already is not run again, so a run that was broken off goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from oneleader.cli.console import complain, say
from oneleader.conformance.conform import conform
from oneleader.conformance.examined import Cause, Examined
from oneleader.errors import MissingTool
from oneleader.pictures.driven import of_cause
from oneleader.pictures.svg import svg
from oneleader.readers.earlier import Texts
from workshop.peers.million import HEALTHY, LongRun, load
from workshop.peers.peer import (
    C_LINES,
    GO_LINES,
    JAVA_LINES,
    PEERS,
    ROOT,
    RUST_LINES,
    SOURCES,
    THREADS,
    Peer,
    words,
)

# What a row comes from, beside the libraries.
READ = Texts(
    {
        ROOT / "spec/oneleader": (
            "conformance/*.py",
            "conformance/scaffolds/**/*",
            "language/*.py",
            "models/*.py",
            "readers/replay/*.py",
        ),
        SOURCES: ("*/**/*",),
        ROOT / "workshop/peers": ("*.py",),
    }
)
PAGE = Path("docs/results/peers.md")
PICTURES = Path("docs/results/pictures")
SEEDS = (20, 21, 22, 23)  # the next where the same steps are not the same twice
WIDEST = 150  # characters of a step that are shown
LONGEST = 25  # steps of a run that are shown
HEAD = """# Real Rafts under test
Made by `make peers`; not to be edited.

Libraries as their registries have them, unmodified, each behind an adapter of `tests/peers` and driven by
`oneleader conform` through the public door: first three servers, then five, with what three showed passed
over.

What it is worth: a *sample*. No finding means that these walks had none. A finding is about the library with
the settings of its adapter, on a network that belongs to the test, one server's step at a time. An adapter
can be wrong too, so what a library does wrong has a script in `tests/peers/findings` that uses the library
alone. A crash here is the process's, not the machine's: what was written is not lost.

## Long runs of correct cores
With all that they do on purpose declared; half of their walks are judged by the models too. `make million`
drives each up to a million steps, and goes on where it stopped; the last cell says until when, and by which
code (a hash of judges and driver). What is found here is a false alarm, or news; "any more": the same walks
find it no longer, since the step was declared, or since a judge was mended where no code is said.

| core | servers | walks | steps | seconds | judged by | found | until |
|---|--:|--:|--:|--:|---|---|---|
{million}
Before this record was kept, on 2026-11-29, the reference was driven over 1,000,090 steps, etcd over 302,083
and hashicorp/raft over 367,745. Three false alarms that such runs raised are mended: one at the reference, in
some 200 walks one, one at etcd (a pre-vote for a term that its voter has reached), and one at hashicorp/raft,
in a walk of a thousand (who is asked late to take over stands in the first term beyond those of the model,
and is followed no further there).

## Faults that were mended upstream
Found here, unaided, in the versions that have them: a restart forgets term and vote
([PySyncObj 0.3.12](#pysyncobj-0312), its pull request 202); entries of earlier terms are committed by
counting ([libraft 0.15.0](#libraft), its issue 220); a server stands that has not applied a change of members
which it knows to be committed, and a joint configuration is left twice
([etcd 3.4.3](#etcd-343-late-to-apply), its issues 12133 and 12582). Its issue 12136 (nobody leaves a joint
configuration) was not recognised among what is found there.

etcd-io/raft's issue 456 is, as it says itself, one of the TLA+ specification alone, which lacks a guard of
the library: who stands has applied the changes of members that it knows to be committed. The library without
that guard is etcd 3.4.3, and what follows is the first of the two that are found there; as a fault of the
models it is in the [catalogue](faults.md).

hashicorp/raft's issue 666 is in 1.8.0 too and found there, unaided, in walk 22 of a seed, in 18 steps: a
leader whose heartbeat is answered in a newer term leads on, and takes the answer for a contact
(`a leader that is told of a newer term gives way`). Its adapter declares it, so that the runs below go on
past it; `tests/peers/test_peers.py` finds it where it is not declared. Its pull request 609 (a granted
pre-vote counts as a contact, before 1.7.1) was not found: 80 walks of 1.7.0, 40 with three servers and 40
with five (54,176 steps, on 2026-11-30), found what 1.8.0 shows and nothing else. It cannot be seen here: a
follower waits longer, by a clock of its own, which its adapter lets run until the timer rings; how long that
takes is not seen.

etcd, old and new, drops what a server answers that its leader has removed, also where that tells of a newer
term. The kit took it for a breach of Figure 2, in one walk of some 500; it was a false alarm, for who is no
member is to depose nobody (dissertation 4.2.3), and is mended.

## The peers
Lines are those of the adapter with a word on them, without comments. Beside it lies what `oneleader scaffold`
writes for its language and nobody edits: {go} lines in Go, {c} in C, {rust} in Rust, {java} in Java. Steps
a second are of processor time on this side of the pipe, shrinking included.
{runs}

Each adapter is shorter than a hundred lines. What hashicorp/raft asks of a transport, and nobody drives, its
own transport in memory does; its threads and calls `tests/peers/go/threads` keeps in hand, in {threads} lines
more, for any Raft in Go that has them. That is not in the scaffold, for it takes a runtime that draws nothing
(`workshop/peers/go_runtime.py`).

| peer | version | language | lines | walks | steps | a second | findings | run |
|---|---|---|--:|--:|--:|--:|--:|---|
"""
ONE_RUN = """All rows are of one run of one command: {each} walks with three servers and with five, by code
{code} (a hash of the kit and of the adapters)."""
RUNS = """The rows are of several runs: the last column says how many walks there were with three servers and
with five, and by which code (a hash of the kit and of the adapters)."""


@dataclass(frozen=True)
class ExaminedPeer:
    peer: Peer
    walks: int  # with three servers, with five
    runs: list[Examined]
    seconds: float  # of this process' processor time
    pictures: dict[str, str]  # of the findings whose run is short, by the file's name

    @property
    def causes(self) -> list[Cause]:
        return [cause for run in self.runs for cause in run.causes]

    @property
    def row(self) -> str:
        peer, steps = self.peer, sum(run.steps for run in self.runs)
        cells = [f"[{peer.name}](#{anchor(peer.name)})", peer.version, peer.language, str(peer.lines)]
        cells += [f"{sum(run.walks for run in self.runs):,}", f"{steps:,}", f"{steps / self.seconds:,.0f}"]
        return f"| {' | '.join([*cells, str(len(self.causes)), run_of(self.walks)])} |"

    @property
    def part(self) -> str:
        peer = self.peer
        lines = [
            f"\n## {peer.name}",
            f"`{peer.library}` {peer.version}, behind `tests/peers/{peer.adapter}`.",
        ]
        lines += [peer.remark] if peer.remark else []
        lines += [line for run in self.runs for line in summary(run)]
        for cause in self.causes:
            lines += told(cause, name if (name := file(peer, cause)) in self.pictures else "")
        return "\n".join(lines) + "\n"


def run_of(walks: int) -> str:
    """What a row was run with, as its last cell says it."""
    return f"{walks}, {READ.hash[:8]}"


def summary(run: Examined) -> Iterator[str]:
    """What one run judged, and what not."""
    verdicts = ", ".join(f"{judge} {verdict}" for judge, verdict in run.verdicts.items())
    yield f"\n{run.nodes} servers over {run.network}, {run.walks:,} walks, {run.steps:,} steps: {verdicts}.  "
    yield (
        "Judged: "
        + "; ".join(f"{name} {count:,} times" for name, count in run.compared.items() if count)
        + ".  "
    )
    if run.not_judged:
        yield "Not judged: " + "; ".join(f"{name} ({why})" for name, why in run.not_judged.items()) + "."
    if run.differs:
        yield f"Not the same twice: {run.differs}"


def file(peer: Peer, cause: Cause) -> str:
    return f"peer-{anchor(f'{peer.name} {cause.key}')}.svg"


def told(cause: Cause, picture: str) -> Iterator[str]:
    yield f"\n### {cause.key}"
    if cause.after:
        yield f"It may follow from what is passed over before it in this run: {'; '.join(cause.after)}.\n"
    yield f"{cause.words.splitlines()[0]}. The shortest run found, {len(cause.steps)} steps:\n```"
    for number, step in enumerate(cause.steps[:LONGEST], 1):
        yield f"{number:3}  {step if len(step) <= WIDEST else step[:WIDEST] + ' ...'}"
    if len(cause.steps) > LONGEST:
        yield f"     ... and {len(cause.steps) - LONGEST} more"
    yield "```"
    if picture:
        yield f"![The run, drawn](pictures/{picture})"


def anchor(title: str) -> str:
    return "".join(c for c in title.lower() if c.isalnum() or c in " -").replace(" ", "-")


def examine(peer: Peer, walks: int) -> ExaminedPeer:
    """Three servers, then five; what three showed is known by then."""
    peer.make()
    began = time.process_time()
    runs: list[Examined] = []
    pictures: dict[str, str] = {}
    with peer.cluster() as make:
        for nodes in (3, 5):
            known = [cause.key for run in runs for cause in run.causes]
            for seed in SEEDS:
                run = conform(
                    make, nodes=nodes, walks=walks, seed=seed, known=known, liveness=peer.asks_liveness
                )
                if not run.differs:
                    break
            runs.append(run)
            short = [cause for cause in run.causes if len(cause.steps) <= LONGEST]
            pictures |= {file(peer, cause): svg(of_cause(make, nodes, cause)) for cause in short}
    return ExaminedPeer(peer, walks, runs, time.process_time() - began, pictures)


def page(found: Iterable[ExaminedPeer], missing: Iterable[str], before: str = "") -> str:
    """Of the peers that were not examined in this run the page of `before` is kept."""
    rows, parts = pieces(before)
    for examined in found:
        rows[examined.peer.name], parts[examined.peer.name] = examined.row, examined.part
    left = "".join(f"\nNot in this run: {why.splitlines()[0]}\n" for why in missing)
    order = [name for name in PEERS if name in parts]
    table = "".join(f"{rows[name]}\n" for name in order)
    counts = {"go": GO_LINES, "c": C_LINES, "rust": RUST_LINES, "java": JAVA_LINES, "threads": THREADS}
    head = HEAD.replace("{million}", "".join(map(long_row, kept())))
    head = head.replace("{runs}", told_runs([rows[name] for name in order]))
    for name, path in counts.items():
        head = head.replace(f"{{{name}}}", str(words(path)))
    return head + table + left + "".join(parts[name] for name in order)


def told_runs(rows: Sequence[str]) -> str:
    """Whether they are of one run."""
    runs = {row.rpartition(" | ")[2].rstrip(" |") for row in rows}
    each, _, code = next(iter(runs), "").partition(", ")
    return ONE_RUN.format(each=each, code=code) if len(runs) == 1 else RUNS


def kept() -> list[LongRun]:
    """What `make million` has driven, the reference first."""
    return sorted(load().values(), key=lambda row: (HEALTHY.index(row.name), row.nodes))


def long_row(row: LongRun) -> str:
    judges = ", ".join(f"{model} ({walks:,} walks)" for model, walks in row.by_model.items())
    cells = [f"{row.name} {row.version}".strip(), str(row.nodes), f"{row.walks:,}", f"{row.steps:,}"]
    mended = [f"nothing any more of: {'; '.join(row.mended)}"] if row.mended else []
    found = "; ".join([*row.found, *mended]) or "nothing"
    cells += [
        f"{row.seconds:,.0f}",
        f"Figure 3; {judges}",
        found,
        ", ".join(filter(None, [row.until, row.code])),
    ]
    return f"| {' | '.join(cells)} |\n"


def pieces(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """The row and the part of each peer on a page."""
    rows = [line for line in text.splitlines() if line.startswith("| [")]
    by_name = {row.removeprefix("| [").partition("]")[0]: row for row in rows}
    return by_name, {part.partition("\n")[0]: f"\n## {part}" for part in text.split("\n## ")[1:]}


@click.command()
@click.option("--write", is_flag=True, help=f"Write {PAGE}, after each peer.")
@click.option(
    "--walks", type=click.IntRange(1), default=100, show_default=True, help="With three servers, with five."
)
@click.argument("names", nargs=-1)
def peers(write: bool, walks: int, names: tuple[str, ...]) -> int:
    """Drive real Raft libraries, all or those named, and tell what they do; of others the page stays.

    With --write those are left out whose row is of so many walks by this code.
    """
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        return complain(f"{unknown[0]!r} is no peer: choose from {', '.join(map(repr, PEERS))}")
    missing: list[str] = []
    for name in names or PEERS:
        before = PAGE.read_text("utf-8")
        if write and pieces(before)[0].get(name, "").endswith(f"| {run_of(walks)} |"):
            say(f"{name}: as it is, {run_of(walks)}")
            continue
        try:
            examined = [examine(PEERS[name], walks)]
            say(examined[0].part)
        except MissingTool as why:
            examined = []
            missing.append(str(why))
            say(str(why))
        if write:
            keep(page(examined, missing, before), examined)
    return 0


def keep(text: str, found: Iterable[ExaminedPeer]) -> None:
    """The page, and the pictures that it shows."""
    for name, picture in [item for examined in found for item in examined.pictures.items()]:
        (PICTURES / name).write_text(picture, "utf-8")
    for old in PICTURES.glob("peer-*.svg"):
        if old.name not in text:
            old.unlink()
    PAGE.write_text(text, "utf-8")
    say(f"written to {PAGE}")
