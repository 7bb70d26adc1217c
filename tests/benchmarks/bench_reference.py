"""`make bench`, second part: the simulator, the judge of histories, and how soon each fault is found.

Seconds are processor seconds of one core: other work beside it does not count.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable

from oneleader.conformance import history
from oneleader.conformance.scenario import ScenarioMachine, draw
from oneleader.faults.raft import RAFT_FAULTS
from oneleader_raft.safety import Safety
from oneleader_raft.simulator import Operation, Simulation

FIVE = [f"n{i + 1}" for i in range(5)]


def timed(run: Callable[[], float]) -> tuple[float, float]:
    started = time.process_time()
    amount = run()
    return amount, time.process_time() - started


def simulate(*, checked: bool, traced: bool) -> int:
    events = 0
    for seed in range(8):
        simulation = Simulation(FIVE, seed, traced=traced)
        if checked:
            simulation.watchers.append(Safety(simulation.cluster).check)
        simulation.run(10_000)
        events += simulation.events
    return events


def simulator() -> None:
    print("simulator, 5 nodes, all faults")
    for what, checked, traced in (
        ("without checks", False, False),
        ("with the trace that models judge", False, True),
        ("with Figure 3 and leases after each step", True, False),
    ):
        events, seconds = timed(lambda c=checked, t=traced: simulate(checked=c, traced=t))  # type: ignore[misc]
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
        verdict = history.judge(busy_register(10_000)).verdict
        return 10_000

    operations, seconds = timed(run)
    print(f"  {verdict:44} {operations:>9,.0f} oper.  {seconds:8.2f} s {operations / seconds:>10,.0f} /s")


def faults(seeds: int) -> None:
    print(f"each fault of the core, drawn scenarios: median of {seeds} seeds")
    for id, fault in RAFT_FAULTS.items():
        found = []
        for seed in range(1, seeds + 1):
            steps, seconds = timed(
                lambda f=fault, s=seed: len(  # type: ignore[misc]
                    draw(ScenarioMachine, f.core, nodes=f.nodes, examples=3000, seed=s).steps
                )
            )
            found.append((seconds, steps))
        seconds, steps = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"  {id:44} {steps:>9,.0f} steps  {seconds:8.2f} s", flush=True)


def main() -> None:
    simulator()
    histories()
    faults(seeds=int(sys.argv[1]) if len(sys.argv) > 1 else 5)


if __name__ == "__main__":
    main()
