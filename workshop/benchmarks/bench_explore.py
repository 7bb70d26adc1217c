"""`make bench-explore`: the engines of `explore` and TLC on the same configurations, side by side.

Wall clock, whole runs: TLC with 2 workers and Java's start, ours with compiling where nothing is
cached. Each configuration must give the same number of states everywhere. Ratios hold on this machine
in this run. `bench_explore.py 3,2 3,3s membership` runs just these: nodes and terms of an election (s: with
symmetry), and the largest configuration of `membership`.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from oneleader.errors import MissingTool
from oneleader.language.configuration import configure
from oneleader.models import find
from oneleader.readers.explore.explore import explore
from oneleader.readers.explore.search import used_memory
from oneleader.readers.tlc import tlc
from oneleader.readers.tlc.config import config_text, module_of
from oneleader.verdict import HOLDS


@dataclass(frozen=True)
class Contest:
    """A model, its bounds, and what both are to judge, by its names in Python and in TLA+."""

    model: str
    sizes: Mapping[str, int]
    quorums: str
    claims: Mapping[str, str]
    symmetry: bool = False

    @staticmethod
    def of(text: str) -> Contest:
        """`membership`, or nodes and terms of an election."""
        if text == "membership":
            return MEMBERSHIP
        nodes, terms = map(int, text.rstrip("s").split(","))
        is_small = text.endswith("s")
        return Contest("election", {"Node": nodes, "Term": terms}, "majority", ELECTION_SAFETY, is_small)


ELECTION_SAFETY = {"election_safety": "ElectionSafety"}
MEMBERSHIP = Contest(
    "membership",
    {"Node": 2, "Term": 3, "Index": 2, "Value": 1},
    "n1 n2, n1",
    ELECTION_SAFETY | {"log_matching": "LogMatching", "state_machine_safety": "StateMachineSafety"},
)
USUAL = ["3,3s", "4,2", "3,3", "3,4s", "membership"]  # 94,153 orbits to 3,508,493


def tlc_states(contest: Contest) -> tuple[int, float]:
    """Distinct states and seconds of TLC with 2 workers, Java's start included."""
    model = find(contest.model)
    module = module_of(model)
    with TemporaryDirectory() as folder:
        config = Path(folder) / "bench.cfg"
        text = config_text(module, model, configure(model, contest.sizes, contest.quorums))
        text += f"INVARIANTS {' '.join(contest.claims.values())}\n"
        if contest.symmetry:
            text = text.replace("Quorum = ", "Quorum <- Majority \\* ") + "SYMMETRY Symmetry\n"
        config.write_text(text)
        result = tlc.run(module, config, workers=2)
    return result.distinct, result.seconds


def ours(engine: str, contest: Contest) -> tuple[int, float, float]:
    """States, seconds and bytes a state of one engine, in a process of its own."""
    before, started, model = used_memory(), time.perf_counter(), find(contest.model)
    at = configure(model, contest.sizes, contest.quorums)
    properties = [model.properties[name] for name in contest.claims]
    found = explore(model, at, properties=properties, symmetry=contest.symmetry, engine=engine)
    assert found.verdict is HOLDS
    seconds = time.perf_counter() - started
    return found.states, seconds, (used_memory() - before) * 2**20 / found.states


def exploring(contest: Contest) -> None:
    """One configuration on NumPy, C and TLC."""
    model = find(contest.model)
    described = configure(model, contest.sizes, contest.quorums).describe()
    print(f"{contest.model}: {described}{', symmetry' if contest.symmetry else ''}", flush=True)
    fresh = multiprocessing.get_context("spawn")
    results = {}
    for name in ("numpy", "native", "native, again"):
        with fresh.Pool(1) as pool:
            results[name] = pool.apply(ours, (name.partition(",")[0], contest))
    try:
        distinct, seconds = tlc_states(contest)
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
            exploring(Contest.of(text))


if __name__ == "__main__":
    main()
