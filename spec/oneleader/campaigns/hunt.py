"""A hunt: drawn scenarios, walks and simulated runs, for as long as it is given, over all cores.

Each process draws with seeds of its own. What fails is shrunk, written into the folder as a program and as a
picture, and kept in Hypothesis' database there, so that the next hunt begins with it. What was seen is
counted: which actions were taken, which guards let pass and which refused, which faults met in one run. In
every other batch members change and logs are compacted.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from oneleader.conformance import histories
from oneleader.conformance.reference.drawn import ChangingMachine, ScenarioMachine, draw
from oneleader.conformance.reference.program import Program, play, told
from oneleader.conformance.reference.scenario import Broken, Scenario
from oneleader.conformance.reference.walks import JOINING, NODES, Walk
from oneleader.faults.catalogue import variant
from oneleader.pictures import pages
from oneleader.pictures.svg import svg
from oneleader.readers.shortest import shortest
from oneleader.verdict import INCONCLUSIVE, VIOLATED
from oneleader_raft import raft
from oneleader_raft.core import RAFT, Core
from oneleader_raft.messages import ImpossibleMessageError
from oneleader_raft.raft import TwoLeadersError
from oneleader_raft.testbench.safety import Safety, UnsafeError
from oneleader_raft.testbench.simulator import CHANGING, FAULTY, Simulation, SimulationSettings

MEMBERS = (3, 5, 2, 3, 4)  # of the clusters, in turn
EXAMPLES, WALKS, RUNS = 100, 20, 5  # drawn, walked, and simulated, between two looks at the clock
GUARDS_EVERY, WATCHED = 8, 20  # batches, and examples in each that is watched: looking at guards takes time
DRAWN_FAULTS = {"elapse": "drift", "overtake": "drift", "transfer": "transfer", "hand_over": "transfer"}


@dataclass
class HuntSeen:
    """What a hunt has seen. `guards`: (function, guard, whether it held); `broken`: cause -> program.

    `histories`: of clients, simulated; `open`: why some of them were not judged.
    """

    examples: int = 0
    steps: int = 0
    events: int = 0
    histories: int = 0
    open: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    guards: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: dict[str, str] = field(default_factory=dict)

    def add(self, other: HuntSeen) -> None:
        self.examples += other.examples
        self.steps += other.steps
        self.events += other.events
        self.histories += other.histories
        self.open += other.open
        self.actions += other.actions
        self.guards += other.guards
        self.pairs += other.pairs
        self.broken = other.broken | self.broken

    def together(self, faults: Counter[str], also: Iterable[str] = ()) -> None:
        """These faults met in one run."""
        met = sorted({what for what, times in faults.items() if times}.union(also))
        self.pairs.update(itertools.combinations(met, 2))


@contextmanager
def guards_watched(seen: HuntSeen) -> Iterator[None]:
    """Count what each named truth in a function of the core was when the function returned."""

    def returned(frame: FrameType, event: str, argument: Any) -> None:
        if event == "return" and frame.f_code.co_filename == raft.__file__:
            for name, value in frame.f_locals.items():
                if type(value) is bool:
                    seen.guards[frame.f_code.co_name, name, value] += 1

    sys.setprofile(returned)
    try:
        yield
    finally:
        sys.setprofile(None)


def draw_some(
    seen: HuntSeen,
    core: Core,
    seed: int,
    folder: Path,
    *,
    changing: bool = False,
    examples: int = EXAMPLES,
) -> None:
    """A batch of drawn scenarios; of what fails, the shortest."""
    base = ChangingMachine if changing else ScenarioMachine

    class Machine(base):  # type: ignore[misc, valid-type]
        def teardown(self) -> None:
            cluster = self.scenario.cluster
            seen.actions.update(action.name for entry in cluster.trace or () for action in entry.actions)
            verbs = {line.partition("(")[0].removeprefix("s.") for line in self.scenario.program}
            seen.together(cluster.happened, {DRAWN_FAULTS[verb] for verb in verbs & set(DRAWN_FAULTS)})
            seen.examples += 1

    nodes = MEMBERS[seed % len(MEMBERS)]
    joining = int(changing)
    found = draw(
        Machine,
        core,
        nodes=nodes,
        joining=joining,
        examples=examples,
        seed=seed,
        shrink=True,
        database=folder,
    )
    seen.steps += len(found.steps)
    if found.failed:
        keep(seen, *found.failed[-1], folder)


def walk_some(seen: HuntSeen, core: Core, seed: int, folder: Path, *, changing: bool = False) -> None:
    """A batch of walks; the first that fails is made as short as it can be."""
    for one in range(WALKS * seed, WALKS * (seed + 1)):
        joining = JOINING[one % len(NODES)] if changing else 0
        walk = Walk(one, core, NODES[one % len(NODES)], joining=joining)
        cluster, program = walk.scenario.cluster, walk.scenario.program
        seen.actions.update(action.name for entry in cluster.trace or () for action in entry.actions)
        seen.examples, seen.steps = seen.examples + 1, seen.steps + len(program)
        if walk.broken:
            keep(seen, *shortened(walk, core), folder)
            return


def shortened(walk: Walk, core: Core) -> tuple[Broken, Scenario]:
    """The walk without all that it does not need to break the same."""
    assert walk.broken
    cluster, cause = walk.scenario.cluster, walk.broken.cause
    nodes = len(cluster.initial)
    joining = len(cluster.members) - nodes

    def breaks(program: Program) -> bool:
        broken = play(Scenario(nodes, core, joining=joining), program)
        return broken is not None and broken.cause == cause

    scenario = Scenario(nodes, core, joining=joining)
    broken = play(scenario, shortest(told(walk.scenario.program), breaks))
    return broken or walk.broken, scenario


def keep(seen: HuntSeen, broken: Broken, scenario: Scenario, folder: Path) -> None:
    """As a program and as a picture."""
    seen.broken[broken.cause] = f"{scenario}\n# {broken}"
    name = "".join(c if c.isalnum() else "-" for c in broken.cause).strip("-")
    (folder / f"{name}.py").write_text(f"{scenario}\n# {broken}\n", encoding="utf-8")
    story = scenario.story(broken)
    (folder / f"{name}.svg").write_text(svg(story), encoding="utf-8")
    pages.write(story, folder / f"{name}.html")


def simulate_some(seen: HuntSeen, core: Core, seed: int, settings: SimulationSettings = FAULTY) -> None:
    """A few simulated runs, for Figure 3, leases, snapshots and linearizability."""
    how = ", settings=CHANGING" if settings is CHANGING else ""
    for one in range(RUNS * seed, RUNS * (seed + 1)):
        members = [f"n{i + 1}" for i in range(MEMBERS[one % len(MEMBERS)])]
        simulation = Simulation(members, one, settings, core, traced=False)
        simulation.watchers.append(Safety(simulation.cluster).check)
        try:
            simulation.run(3000)
            judged = histories.judge(simulation.operations)
            seen.histories += 1
            if judged.verdict is INCONCLUSIVE:
                seen.open[judged.why] += 1
            if judged.verdict is VIOLATED:
                failing = "\n".join(f"# {operation}" for operation in judged.failing)
                seen.broken["linearizability"] = (
                    f"Simulation({members}, seed={one}{how}).run(3000)\n{failing}"
                )
        except (UnsafeError, TwoLeadersError, ImpossibleMessageError) as unsafe:
            seen.broken[str(unsafe).partition(":")[0]] = (
                f"Simulation({members}, seed={one}{how}).run(3000)\n# {unsafe}"
            )
        seen.events += simulation.events
        seen.together(simulation.cluster.happened)


def hunt_alone(first: int, step: int, seconds: float, folder: Path, core_name: str | None) -> HuntSeen:
    """One process: the seeds first, first + step, ... until the time is over or something is found."""
    core = variant(core_name) if core_name else RAFT
    seen, end = HuntSeen(), time.monotonic() + seconds
    for batch in itertools.count():
        seed = first + step * batch
        changing = batch % 2 == 1
        if batch % GUARDS_EVERY in (0, 1):
            with guards_watched(seen):
                draw_some(seen, core, seed, folder, changing=changing, examples=WATCHED)
        else:
            draw_some(seen, core, seed, folder, changing=changing)
        walk_some(seen, core, seed, folder, changing=changing)
        simulate_some(seen, core, seed, CHANGING if changing else FAULTY)
        if seen.broken or time.monotonic() > end:
            return seen
    raise AssertionError


def hunt(
    seconds: float,
    workers: int | None,
    folder: Path,
    fault: str | None,
    say: Callable[[str], Any],
    seed: int = 0,
) -> HuntSeen:
    """Hunt in this many processes. UsageError where there is no such fault."""
    if fault is not None:
        variant(fault)
    workers = workers or len(os.sched_getaffinity(0))
    folder.mkdir(parents=True, exist_ok=True)
    say(f"hunting for {seconds / 60:g} minutes in {workers} processes, seeds from {seed}; kept in {folder}")
    alone = partial(hunt_alone, step=workers, seconds=seconds, folder=folder, core_name=fault)
    seen = HuntSeen()
    with ProcessPoolExecutor(workers) as pool:
        for part in pool.map(alone, range(seed, seed + workers)):
            seen.add(part)
    return seen


def report(seen: HuntSeen) -> str:
    """What was seen, for people."""
    lines = [f"{seen.examples:,} scenarios, {seen.steps:,} steps; {seen.events:,} events simulated"]
    lines += [f"{seen.histories:,} histories of clients, {seen.open.total():,} of them not judged"]
    lines += [f"  {times:>10,}  {why}" for why, times in seen.open.most_common()]
    lines += ["", "actions taken"]
    lines += [f"  {times:>10,}  {name}" for name, times in seen.actions.most_common()]
    lines += ["", "guards of the core: let pass, refused (of two in eight batches)"]
    for where, name in sorted({(where, name) for where, name, _ in seen.guards}):
        held, refused = seen.guards[where, name, True], seen.guards[where, name, False]
        note = "" if held and refused else "   one way only"
        lines.append(f"  {held:>10,} {refused:>10,}  {where}: {name}{note}")
    lines += ["", "faults that met in one run"]
    lines += [f"  {times:>10,}  {a}  +  {b}" for (a, b), times in sorted(seen.pairs.items())]
    for cause, program in seen.broken.items():
        lines += ["", f"BROKEN  {cause}", program]
    return "\n".join(lines)
