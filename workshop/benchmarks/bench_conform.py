"""What the driver of `oneleader conform` costs and finds; `million` walks over the correct reference instead.

Judged steps a second with 5 nodes, in process and over a child process; and how soon each fault of the
catalogue that the core can have is found by walks. Seconds are processor seconds of one core, the child's
apart: other work beside it does not count.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from functools import partial

from oneleader.conformance.adapter import May
from oneleader.conformance.conform import Driving, names
from oneleader.conformance.examined import Examined
from oneleader.conformance.reference.whole import WholeReference
from oneleader.conformance.shim import Shim
from oneleader.conformance.trial import MakeAdapter
from oneleader.faults.catalogue import variants
from oneleader.verdict import HOLDS
from oneleader_raft.core import Core
from tests.conformance.small_raft import SmallAdapter

SHIM = (sys.executable, "-m", "tests.conformance.small_shim")
WALKS, MOST_WALKS, SEEDS = 60, 300, 5


class Declared(WholeReference):
    """The reference, which says what it does."""

    may = tuple(set(May) - {May.APPLY_MEMBERS})


def speed(make: MakeAdapter, nodes: int = 5) -> tuple[float, float, float]:
    """Steps a processor second of ours, a second of the clock, and a processor second of both processes."""
    search = Driving(make, names(nodes), 1, (), False)
    ours, clock = time.process_time(), time.perf_counter()
    for number in range(WALKS):
        search.walk(number)
    assert search.found.verdict is HOLDS, search.found.text
    spent, passed = time.process_time() - ours, time.perf_counter() - clock
    return search.found.steps / spent, search.found.steps / passed, search.found.steps


def speeds() -> None:
    """In process, and over a child process."""
    own, _, _ = speed(SmallAdapter)
    print(f"in process, a small Raft       {own:8,.0f} judged steps a processor second")
    own, _, _ = speed(Declared)
    print(f"in process, the reference      {own:8,.0f}")
    with Shim(SHIM) as shim:
        own, passed, steps = speed(shim.adapter)
    child = resource.getrusage(resource.RUSAGE_CHILDREN)
    theirs = steps / (child.ru_utime + child.ru_stime)
    both = 1 / (1 / own + 1 / theirs)
    shares = f"{own:,.0f} of ours; {passed:,.0f} a second by the clock"
    print(f"over a child process           {both:8,.0f} of both, {shares}")


def how_soon() -> None:
    """The median of some seeds for each fault: walks, steps, processor seconds; and what it was found by."""
    for id, made in sorted(variants().items()):
        if not isinstance(made.core, Core):
            continue  # of the locks
        found = [soon(partial(Declared, core=made.core), seed) for seed in range(SEEDS)]
        steps = statistics.median(one.steps for one in found)
        seconds = statistics.median(one.seconds for one in found)
        by = [cause.judge for one in found for cause in one.causes[:1]]
        words = ", ".join(sorted(set(by))) or "nothing"
        print(f"{id:32} {len(by)} of {SEEDS}  {steps:8,.0f} steps {seconds:6.2f} s  {words}", flush=True)


def soon(make: MakeAdapter, seed: int) -> Examined:
    """Walks up to the first finding."""
    search, started = Driving(make, names(3), seed, (), False, shortens=False), time.process_time()
    number = 0
    while not search.found.causes and number < MOST_WALKS:
        search.walk(number)
        number += 1
    search.found.seconds = time.process_time() - started
    return search.found


def million(events: int) -> int:
    """The correct reference, all that it does declared: nothing may be found."""
    wrong = 0
    for nodes in (3, 5):
        search, number = Driving(Declared, names(nodes), 1, (), False), 0
        started = time.process_time()
        while search.found.steps < events // 2:
            search.walk(number)
            number += 1
        search.found.seconds = time.process_time() - started
        print(f"{nodes} nodes, {search.found.seconds:,.0f} s\n{search.found.text}", flush=True)
        wrong += len(search.found.causes)
    return wrong


if __name__ == "__main__":
    if sys.argv[1:2] == ["million"]:
        sys.exit(million(int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000) > 0)
    speeds()
    how_soon()
