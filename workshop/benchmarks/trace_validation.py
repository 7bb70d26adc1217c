"""The same recording of etcd, judged by `replay` and by TLC: how many events a second.

etcd's own trace validation, `Traceetcdraft.tla`, reads its recording by the modules Json and IOUtils of
CommunityModules, which no package registry has. `TraceElection.tla` does the same in plain TLA+: the
recording is a constant of a generated module, and TLC looks for a behaviour of `tla/Election.tla` that shows
it.

Both compare term, vote and role on every line, and look for the votes that were sent and counted. Only replay
also asks that each message that is received was sent before, and follows what a crash may have lost of them.
"""

from __future__ import annotations

import gzip
import json
import resource
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from oneleader.readers.replay.replay import replay_lines
from oneleader.readers.tlc import tlc
from oneleader.shipped import RECORDINGS
from oneleader.verdict import HOLDS, Verdict

RECORDING = "etcd-rawnode-3-nodes"
TLA = Path(__file__).parents[2] / "tla"
MODULE = Path(__file__).with_name("TraceElection.tla")
SIZES = (1_000, 2_000)  # and the whole
LIMIT = 600.0  # seconds
CONFIG = """SPECIFICATION TraceSpec
CONSTANTS
  Node = {nodes}
  Nil = "0"
  Quorum <- Majority
  Term <- Bounded
INVARIANT ElectionSafety
"""


@dataclass(frozen=True)
class Validated:
    """What one of the two said, and how long it took. `line` is the one refused, 0 if none is."""

    verdict: Verdict
    line: int
    seconds: float


def recorded(name: str = RECORDING) -> list[str]:
    with gzip.open(RECORDINGS / f"{name}.ndjson.gz", "rt", encoding="utf-8") as file:
        return list(file)


def by_replay(lines: list[str]) -> Validated:
    started = time.process_time()
    found = replay_lines(lines, "etcd")
    return Validated(found.verdict, found.refusal.line if found.refusal else 0, time.process_time() - started)


def by_tlc(lines: list[str]) -> Validated:
    events = [json.loads(line)["event"] for line in lines]
    nodes = sorted({event["nid"] for event in events})
    with TemporaryDirectory(prefix="oneleader-trace-") as name:
        folder = Path(name)
        shutil.copy(TLA / "Election.tla", folder)
        module, config = Path(shutil.copy(MODULE, folder)), folder / "Trace.cfg"
        config.write_text(CONFIG.format(nodes=set_of(nodes)), encoding="utf-8")
        (folder / "Recording.tla").write_text(generated(events, nodes), encoding="utf-8")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = tlc.run(module, config, workers=1, deadlock=True, limit=LIMIT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    line = found.trace[-1].state["line"] if found.trace else 0
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Validated(found.verdict, int(str(line)), seconds)


def generated(events: Sequence[Any], nodes: Iterable[str]) -> str:
    """The module that has the recording as a constant."""
    terms = max(event["state"]["term"] for event in events)
    first = {event["nid"]: event["state"] for event in reversed(events)}
    starts = [f'n = "{n}" -> <<{first[n]["term"]}, "{first[n]["vote"]}">>' for n in nodes]
    return "\n".join(
        [
            "---- MODULE Recording ----",
            "EXTENDS Naturals",
            f"MaxTerm == {terms}",
            f"Start == [n \\in {set_of(nodes)} |-> CASE {' [] '.join(starts)}]",
            "Trace == <<",
            ",\n".join(map(line_of, events)),
            ">>",
            "====",
        ]
    )


def line_of(event: Any) -> str:
    state, message = event["state"], event.get("msg", {})
    peer = message.get("to" if event["name"].startswith("Send") else "from", "0")
    role = event["role"].removeprefix("State").lower()
    reject = str(message.get("reject", False)).upper()
    return (
        f'<<"{event["nid"]}", {state["term"]}, "{state["vote"]}", "{role}", "{event["name"]}", "{peer}", '
        f"{message.get('term', 0)}, {reject}>>"
    )


def set_of(names: Iterable[str]) -> str:
    return "{" + ", ".join(f'"{name}"' for name in names) + "}"


def main() -> None:
    lines = recorded()
    print(f"{RECORDING}, the model election: term, vote and role of every line; by processor time, that of")
    print(
        "Java's start included; TLC 2.15 by TraceElection.tla, which stands in for etcd's Traceetcdraft.tla"
    )
    for size in (*SIZES, len(lines)):
        ours, theirs = by_replay(lines[:size]), by_tlc(lines[:size])
        assert ours.verdict is theirs.verdict is HOLDS, (ours, theirs)
        print(
            f"{size:>9,} events  replay {size / ours.seconds:>8,.0f} a second  "
            f"TLC {size / theirs.seconds:>7,.0f} a second  {theirs.seconds / ours.seconds:>6.1f} times",
            flush=True,
        )


if __name__ == "__main__":
    main()
