"""`make bench`: what is fast and what is slow, side by side in one run.

Ratios hold on this machine in this run; single times are not worth quoting. No test is timed by this.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from oneleader.errors import MissingTool
from oneleader.language.configuration import Configuration, cluster
from oneleader.models import election
from oneleader.readers import tlc
from oneleader.readers.explore import explore
from oneleader.readers.prove import prove
from oneleader.readers.replay import replay
from oneleader.readers.twin import config_text, module_of
from oneleader.readers.walk import walk

MODEL = election.MODEL
RECORDINGS = sorted((Path(__file__).parents[1] / "recordings").glob("*.ndjson.gz"))


def line(what: str, amount: float, unit: str, seconds: float, versus: str = "") -> None:
    rate = amount / seconds if seconds else 0.0
    print(f"  {what:44} {amount:>12,.0f} {unit:12} {seconds:8.2f} s {rate:>12,.0f} /s  {versus}", flush=True)


def tlc_states(at: Configuration, *, symmetry: bool) -> tuple[int, float]:
    """Distinct states and seconds of TLC with 2 workers, Java's start included."""
    module = module_of(MODEL)
    with TemporaryDirectory() as folder:
        config = Path(folder) / "bench.cfg"
        text = config_text(module, MODEL, at) + "INVARIANT ElectionSafety\n"
        if symmetry:
            text = text.replace("Quorum = ", "Quorum <- Majority \\* ") + "SYMMETRY Symmetry\n"
        config.write_text(text)
        result = tlc.run(module, config, workers=2)
    return result.distinct, result.seconds


def exploring(nodes: int, terms: int, *, symmetry: bool) -> None:
    """The same configuration and the same property for both."""
    at = cluster(MODEL, nodes=nodes, terms=terms)
    safety = [MODEL.theorems["election_safety"]]
    what = f"{nodes} nodes, {terms} terms{', symmetry' if symmetry else ''}"
    ours = explore(MODEL, at, properties=safety, symmetry=symmetry)
    try:
        distinct, seconds = tlc_states(at, symmetry=symmetry)
    except MissingTool as error:
        print(f"  TLC is not here: {error}")
        line(f"explore  {what}", ours.states, "states", ours.seconds)
        return
    assert distinct == ours.states, f"explore saw {ours.states} states and TLC {distinct}"
    line(f"explore  {what}", ours.states, "states", ours.seconds, f"{seconds / ours.seconds:.1f} times TLC")
    line(f"TLC      {what}, 2 workers", distinct, "states", seconds)


def median(run: Callable[[], float], times: int = 3) -> float:
    return statistics.median(run() for _ in range(times))


def main() -> None:
    print(f"oneleader bench, Python {sys.version.split()[0]}")
    exploring(3, 2, symmetry=False)
    exploring(3, 3, symmetry=False)
    exploring(3, 3, symmetry=True)

    walked = walk(MODEL, cluster(MODEL, nodes=5, terms=6), seed=1, runs=1000)
    line("walk     5 nodes, 6 terms", walked.steps, "steps", walked.seconds)

    obligations = len(prove(MODEL).rows)
    line("prove    with hints", obligations, "obligations", median(lambda: prove(MODEL).seconds))
    line("prove    without", obligations, "obligations", median(lambda: prove(MODEL, hints={}).seconds))

    for recording in RECORDINGS:
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
