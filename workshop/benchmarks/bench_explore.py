"""`make bench-explore`: the engines of `explore` and TLC on the same configurations, side by side.

Wall clock, whole runs: TLC with 2 workers and Java's start, ours with compiling where nothing is
cached. Each configuration must give the same number of states everywhere. Ratios hold on this machine
in this run. `bench_explore.py 3,2 3,3 3,3s` runs just these (s: with symmetry).
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from oneleader.errors import MissingTool
from oneleader.language.configuration import Configuration, bounded
from oneleader.models import election
from oneleader.readers.explore.explore import explore
from oneleader.readers.explore.search import used_memory
from oneleader.readers.tlc import tlc
from oneleader.readers.tlc.config import config_text, module_of
from oneleader.verdict import HOLDS

MODEL = election.MODEL
SAFETY = [MODEL.theorems["election_safety"]]
USUAL = ["3,3s", "4,2", "3,3", "3,4s"]  # 94,153 orbits to 3,508,493


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


def ours(engine: str, nodes: int, terms: int, symmetry: bool) -> tuple[int, float, float]:
    """States, seconds and bytes a state of one engine, in a process of its own."""
    before, started = used_memory(), time.perf_counter()
    at = bounded(MODEL, nodes=nodes, terms=terms)
    found = explore(MODEL, at, properties=SAFETY, symmetry=symmetry, engine=engine)
    assert found.verdict is HOLDS
    seconds = time.perf_counter() - started
    return found.states, seconds, (used_memory() - before) * 2**20 / found.states


def exploring(nodes: int, terms: int, *, symmetry: bool) -> None:
    """One configuration on NumPy, C and TLC."""
    at = bounded(MODEL, nodes=nodes, terms=terms)
    print(f"{nodes} nodes, {terms} terms{', symmetry' if symmetry else ''}", flush=True)
    fresh = multiprocessing.get_context("spawn")
    results = {}
    for name in ("numpy", "native", "native, again"):
        with fresh.Pool(1) as pool:
            results[name] = pool.apply(ours, (name.partition(",")[0], nodes, terms, symmetry))
    try:
        distinct, seconds = tlc_states(at, symmetry=symmetry)
    except MissingTool as error:
        print(f"  TLC is not here: {error}")
        distinct, seconds = results["native"][0], 0.0
    for name, (states, took, size) in results.items():
        assert states == distinct, f"{name} saw {states} states and TLC {distinct}"
        ratio = f"{seconds / took:6.0f} times TLC" if seconds else ""
        print(
            f"  {name:16}{states:>12,} states {took:9.2f} s {states / took:>12,.0f} /s {size:6.0f} B {ratio}"
        )
    if seconds:
        print(
            f"  {'TLC, 2 workers':16}{distinct:>12,} states {seconds:9.2f} s {distinct / seconds:>12,.0f} /s"
        )


def main() -> None:
    with TemporaryDirectory() as cache:
        os.environ["ONELEADER_CACHE"] = cache  # so that `native` compiles and `native, again` does not
        for text in sys.argv[1:] or USUAL:
            nodes, terms = text.rstrip("s").split(",")
            exploring(int(nodes), int(terms), symmetry=text.endswith("s"))


if __name__ == "__main__":
    main()
