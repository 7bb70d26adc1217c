"""`make bench`, second part: the core's lines, the simulator, histories, and how soon each fault is found.

Seconds are processor seconds of one core: other work beside it does not count. `bench_reference.py 0` leaves
out the faults.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from oneleader.campaigns.fault_table import by_property_test
from oneleader.conformance.histories import judge
from oneleader.faults.catalogue import FAULTS, variants
from oneleader_raft import configuration, raft
from oneleader_raft.testbench.clients import Operation
from oneleader_raft.testbench.safety import Safety
from oneleader_raft.testbench.simulator import CHANGING, FAULTY, Simulation, SimulationSettings

T = TypeVar("T")
FIVE = [f"n{i + 1}" for i in range(5)]


def timed(run: Callable[[], T]) -> tuple[T, float]:
    started = time.process_time()
    result = run()
    return result, time.process_time() - started


def lines() -> None:
    """The core, and the pure module that changes of members have beside it; docstrings included."""
    for module in (raft, configuration):
        path = Path(module.__file__ or "")
        print(f"{path.name:46} {len(path.read_text().splitlines()):>9,} lines")


def simulate(settings: SimulationSettings, *, checked: bool, traced: bool) -> int:
    events = 0
    for seed in range(8):
        simulation = Simulation(FIVE, seed, settings, traced=traced)
        if checked:
            simulation.watchers.append(Safety(simulation.cluster).check)
        simulation.run(10_000)
        events += simulation.events
    return events


def simulator() -> None:
    print("simulator, 5 nodes, all faults")
    for what, settings, checked, traced in (
        ("without checks", FAULTY, False, False),
        ("with the trace that models judge", FAULTY, False, True),
        ("with Figure 3 and leases after each step", FAULTY, True, False),
        ("members change, logs are compacted", CHANGING, False, False),
        ("the same, with Figure 3 and leases", CHANGING, True, False),
    ):
        run = partial(simulate, settings, checked=checked, traced=traced)
        events, seconds = timed(run)
        print(f"  {what:44} {events:>9,} events {seconds:8.2f} s {events / seconds:>10,.0f} /s", flush=True)


def busy_register(operations: int) -> list[Operation]:
    """Four clients of one register, whose operations overlap and take effect when they return."""
    rng, value, made = random.Random(1), None, []
    for i in range(operations):
        client, called, returned = f"c{i % 4}", i - 3.5, float(i)
        if rng.random() < 0.5:
            value = i
            made.append(Operation(client, "write", "k", called, returned, value=value))
        else:
            made.append(Operation(client, "read", "k", called, returned, result=value))
    return made


def histories() -> None:
    print("linearizability, 10,000 operations of four clients on one key")
    verdict = ""

    def run() -> int:
        nonlocal verdict
        verdict = str(judge(busy_register(10_000)).verdict)
        return 10_000

    operations, seconds = timed(run)
    print(f"  {verdict:44} {operations:>9,.0f} oper.  {seconds:8.2f} s {operations / seconds:>10,.0f} /s")


def faults(seeds: int) -> None:
    print(f"each fault of the core, drawn scenarios: median of {seeds} seeds")
    for id in variants():
        rows = []
        for seed in range(1, seeds + 1):
            row, seconds = timed(lambda id=id, seed=seed: by_property_test(FAULTS[id], seed=seed))  # type: ignore[misc]
            rows.append((seconds, row.found or 0, row.length or 0))
        seconds, found, short = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"  {id:44} {found:>4,.0f} steps, shrunk {short:>3,.0f} {seconds:8.2f} s", flush=True)


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    lines()
    simulator()
    histories()
    if seeds:
        faults(seeds)


if __name__ == "__main__":
    main()
