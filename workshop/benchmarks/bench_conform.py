"""What the driver of `oneleader conform` costs: judged steps a second with 5 nodes.

In process and over a child process. Seconds are processor seconds of one core, the child's apart: other work
beside it does not count.
"""

from __future__ import annotations

import resource
import sys
import time

from oneleader.conformance.conform import Driving, names
from oneleader.conformance.shim import Shim
from oneleader.conformance.trial import MakeAdapter
from oneleader.verdict import HOLDS
from tests.conformance.small_raft import SmallAdapter
from workshop.peers.million import Declared

SHIM = (sys.executable, "-m", "tests.conformance.small_shim")
WALKS = 60


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


if __name__ == "__main__":
    speeds()
