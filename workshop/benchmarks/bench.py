"""`make bench`: what is fast and what is slow, side by side in one run.

Ratios hold on this machine in this run; single times are not worth quoting. No test is timed by this.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from oneleader.language.configuration import bounded
from oneleader.models import election
from oneleader.readers.explore.walk import walk
from oneleader.readers.prove.prove import prove
from oneleader.readers.replay.replay import replay
from oneleader.shipped import RECORDINGS

MODEL = election.MODEL
RECORDED = sorted(RECORDINGS.glob("*.ndjson.gz"))


def line(what: str, amount: float, unit: str, seconds: float, versus: str = "") -> None:
    rate = amount / seconds if seconds else 0.0
    print(f"  {what:44} {amount:>12,.0f} {unit:12} {seconds:8.2f} s {rate:>12,.0f} /s  {versus}", flush=True)


def median(run: Callable[[], float], times: int = 3) -> float:
    return statistics.median(run() for _ in range(times))


def main() -> None:
    print(f"oneleader bench, Python {sys.version.split()[0]}")
    walked = walk(MODEL, bounded(MODEL, nodes=5, terms=6), seed=1, runs=1000)
    line("walk     5 nodes, 6 terms", walked.steps, "steps", walked.seconds)

    obligations = len(prove(MODEL).rows)
    line("prove    with hints", obligations, "obligations", median(lambda: prove(MODEL).seconds))
    line("prove    without", obligations, "obligations", median(lambda: prove(MODEL, hints={}).seconds))

    for recording in RECORDED:
        started = time.perf_counter()
        result = replay(recording)
        line(
            f"replay   {recording.name.partition('.')[0]}",
            result.events_judged,
            "events",
            time.perf_counter() - started,
        )


if __name__ == "__main__":
    main()
