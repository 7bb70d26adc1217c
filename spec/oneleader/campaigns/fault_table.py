"""The matrix fault × reader: each reader must catch each fault, or say why it cannot be shown it.

`caught` means what the catalogue expects: `explore` breaks the property in exactly the expected number of
steps, `prove` fails on the expected obligation with a counterexample to induction, TLC finds what
`tla/manifest.json` says, a drawn scenario of the faulty core is refused for the expected reason, and so is a
recording of it, while a recording of the correct core in the same scenario is accepted. Anything else is
`missed`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any, cast

from oneleader.conformance.reference import program, recovery
from oneleader.conformance.reference.drawn import CHANGING, ChangingMachine, ScenarioMachine, draw
from oneleader.conformance.reference.locks import LockMachine, LockScenario
from oneleader.conformance.reference.patch import LOCKS, LockRules
from oneleader.conformance.reference.program import Program
from oneleader.conformance.reference.scenario import Broken, Scenario
from oneleader.errors import MissingTool
from oneleader.faults.fault import Because, Fault, Variant
from oneleader.language.model import Model
from oneleader.readers.explore.explore import explore, ghosts_read
from oneleader.readers.prove.induction import Counterexample, Search, checked, sized
from oneleader.readers.prove.obligations import obligations
from oneleader.readers.prove.prove import rows
from oneleader.readers.replay.replay import Replayed, replay_lines
from oneleader.readers.shortest import shortest
from oneleader.readers.tlc import tlc
from oneleader.shipped import tla_folder
from oneleader.verdict import HOLDS, INCONCLUSIVE, NOT_EXPRESSIBLE, VIOLATED, Verdict, decided, exit_status
from oneleader_raft.core import RAFT, Core
from oneleader_raft.views import FIXED_MEMBERS, VIEWS

RLIMIT = 100_000  # of a proof that must fail: what Z3 does not prove soon is looked for at finite sizes
EXAMPLES, BATCHES = 100, 30
RUNS = 50
CAUGHT, MISSED = HOLDS, VIOLATED  # what the catalogue claims: that this reader finds this fault


@dataclass(frozen=True)
class FaultRow:
    """What one reader said of one fault; `length` is in steps, where the reader shows a run.

    Of a drawn scenario: the seed, and its steps before it was made as short as it can be.
    """

    fault: str
    reader: str
    verdict: Verdict
    length: int | None
    seconds: float
    detail: str
    seed: int | None = None
    found: int | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"verdict": self.verdict.worded("fault"), "seconds": round(self.seconds, 3)}


def not_expressible(fault: Fault, reader: str, why: Because) -> FaultRow:
    return FaultRow(fault.id, reader, NOT_EXPRESSIBLE, None, 0.0, why)


def by_explore(fault: Fault) -> FaultRow:
    """Breadth-first search breaks the property, or a claim, in the expected number of steps."""
    if isinstance(fault.explore, Because):
        return not_expressible(fault, "explore", fault.explore)
    (name, steps), model = fault.explore, fault.model
    ghosts = ghosts_read(model, fault.broken)
    result = explore(model, fault.configuration, properties=[fault.broken], ghosts=ghosts)
    violation = result.violation if result.violation and result.violation.what == name else None
    length = len(violation.steps) if violation else None
    verdict = CAUGHT if length == steps else MISSED
    detail = f"{name} broken" if violation else str(HOLDS)
    if violation and length != steps:
        detail += f", {steps} steps expected"
    return FaultRow(fault.id, "explore", verdict, length, result.seconds, detail)


def by_proof(fault: Fault) -> FaultRow:
    """The expected obligation fails, at a finite size that the plain interpreter confirms."""
    if isinstance(fault.prove, Because):
        return not_expressible(fault, "prove", fault.prove)
    started = time.perf_counter()
    found = fails_at(fault) or _refuted(fault.faulty_model.proved, "/".join(fault.prove))
    verdict, seconds = CAUGHT if found else MISSED, time.perf_counter() - started
    detail = f"{' × '.join(fault.prove)}: {VIOLATED if found else 'not refuted'}"
    return FaultRow(fault.id, "prove", verdict, 1 if found else None, seconds, detail)


def _refuted(model: Model, key: str) -> Counterexample | None:
    return next(rows(model, only=[key], rlimit=RLIMIT)).counterexample


def fails_at(fault: Fault) -> Counterexample | None:
    """The counterexample to induction of the size that the catalogue names, if it names one."""
    if not fault.fails_at:
        return None
    model = fault.faulty_model.proved
    (obligation,) = (o for o in obligations(model) if (o.step, o.goal) == fault.prove)
    size = {sort: fault.fails_at[name] for name, sort in model.sorts.items() if name in fault.fails_at}
    found = Search(obligation, sized(size)).find()
    return found and checked(found)


LONG = {  # which take TLC five seconds and more
    "MCLease_bug_voter.cfg",
    "MCMembershipCorrection_bug_added_and_added.cfg",
    "MCMembership_bug_change_upon_change.cfg",
    "MCReplication_bug_any_log.cfg",
    "MCReplication_bug_no_prefix_check.cfg",
}


@cache
def manifest() -> dict[str, Any]:
    """What TLC finds with each configuration."""
    found: dict[str, Any] = json.loads((tla_folder() / "manifest.json").read_text())["configurations"]
    return found


def by_tlc(fault: Fault) -> FaultRow:
    """TLC, on the twin's own version of the fault, breaks the claim that it should, in as many steps."""
    if isinstance(fault.tlc, Because):
        return not_expressible(fault, "tlc", fault.tlc)
    expected = manifest()[fault.tlc]
    try:  # with one worker its counterexample is a shortest one
        module, config, long = tla_folder() / expected["module"], tla_folder() / fault.tlc, fault.tlc in LONG
        result = tlc.run(module, config, workers=1, long=long)
    except MissingTool as error:
        return FaultRow(fault.id, "tlc", INCONCLUSIVE, None, 0.0, str(error))
    length = len(result.trace) - 1 if result.violated else None
    depth = None if length is None or expected["depth"] is None else length + 1
    caught = result.violated is not None and (result.violated, depth) == (
        expected["violates"],
        expected["depth"],
    )
    detail = f"{result.violated} broken" if result.violated else str(HOLDS)
    return FaultRow(fault.id, "tlc", CAUGHT if caught else MISSED, length, result.seconds, detail)


# --- The reference ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """Where scenarios are played: of a cluster, or of a lock."""

    scenario: Callable[[Any, Variant, bool], Any]  # by core, for a fault, and whether it is judged
    record: Callable[[Any, str], Iterable[str]]  # of a scenario, in the words of a model
    machine: type[Any]
    correct: Core | LockRules
    models: Iterable[str]


RAFTS = Stage(
    lambda core, at, judged: Scenario(at.nodes, core, tuple(VIEWS) if judged else (), at.joining),
    lambda scenario, model: scenario.cluster.trace_lines(model),
    ScenarioMachine,
    RAFT,
    FIXED_MEMBERS,
)
FENCED = Stage(
    lambda locks, at, judged: LockScenario(locks, judged=judged),
    lambda scenario, model: scenario.trace_lines(model),
    LockMachine,
    LOCKS,
    ["fencing"],
)


CHANGING_RAFTS = replace(RAFTS, machine=ChangingMachine, models=VIEWS)


def stage(variant: Variant) -> Stage:
    if isinstance(variant.core, LockRules):
        return FENCED
    changes = {line.split()[0] for line in program.lines(variant.program)} & {*CHANGING}
    return CHANGING_RAFTS if changes else RAFTS


def played(variant: Variant, lines: Program, *, correct: bool = False) -> Broken | None:
    """What is broken by the faulty core, or by the correct one, in this scenario."""
    of = stage(variant)
    core = of.correct if correct else variant.core
    return program.play(of.scenario(core, variant, True), lines)


def by_property_test(
    fault: Fault, *, seed: int = 1, batches: int = BATCHES, shorten: bool = True
) -> FaultRow:
    """Hypothesis draws a scenario of the faulty core that a judge refuses; then it is made short.

    `shorten`: that takes about as long as to find it, and changes nothing of the verdict.
    """
    variant = fault.variant
    if isinstance(variant, Because):
        return not_expressible(fault, "hypothesis", variant)
    started = time.perf_counter()
    seeds = range(seed * BATCHES, seed * BATCHES + batches)
    drawn = ((seed, drawn_with(variant, seed)) for seed in seeds)
    seed, failed = next(((seed, failed) for seed, failed in drawn if failed), (seed, None))
    if failed is None:
        seconds, detail = time.perf_counter() - started, f"nothing in {batches * EXAMPLES:,} scenarios"
        return FaultRow(fault.id, "hypothesis", MISSED, None, seconds, detail)
    broken, scenario = failed
    found = program.told(scenario.program)
    short = shortened(variant, found, broken.cause) if shorten else found
    verdict = CAUGHT if broken.cause.startswith(variant.cause) else MISSED
    seconds = time.perf_counter() - started
    return FaultRow(fault.id, "hypothesis", verdict, len(short), seconds, broken.cause, seed, len(found))


def drawn_with(variant: Variant, seed: int) -> tuple[Broken, Any] | None:
    """What is broken first with this seed. Few examples: Hypothesis begins each time with short ones."""
    machine, core = beginning(variant), cast(Core, variant.core)
    nodes, joining = variant.nodes, variant.joining
    failed = draw(machine, core, nodes=nodes, joining=joining, examples=EXAMPLES, seed=seed).failed
    return failed[0] if failed else None


def beginning(variant: Variant) -> type[ScenarioMachine]:
    """Scenarios that begin as the catalogue says."""
    machine = stage(variant).machine

    class Begun(machine):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__()
            program.play(self.scenario, program.lines(variant.begin))

    return Begun


def shortened(variant: Variant, found: Program, cause: str) -> Program:
    """The shortest part of the scenario that is broken for the same cause."""

    def fails(shorter: Program) -> bool:
        broken = played(variant, shorter)
        return broken is not None and broken.cause == cause

    return shortest(found, fails)


def by_simulation(fault: Fault, *, runs: int = RUNS) -> FaultRow:
    """Some simulated run has no leader that stays and commits, though its faults have ended."""
    unlive = fault.unlive
    if isinstance(unlive, Because):
        return not_expressible(fault, "simulate", unlive)
    started = time.perf_counter()
    found = ((seed, recovery.wrong(seed, unlive.lasting, unlive.core)) for seed in range(runs))
    seed, missing = next(((seed, words) for seed, words in found if words), (None, f"nothing in {runs} runs"))
    verdict = CAUGHT if missing.startswith(unlive.missing) else MISSED
    seconds = time.perf_counter() - started
    return FaultRow(fault.id, "simulate", verdict, None, seconds, f"{unlive.lasting}: {missing}", seed)


def by_replay(fault: Fault) -> FaultRow:
    """A recording of the faulty core is refused for the expected reason, one of the correct core is not."""
    variant, refused = fault.variant, fault.refused
    if isinstance(variant, Because) or isinstance(refused, Because):
        return not_expressible(fault, "replay", Because(refused))
    started, of = time.perf_counter(), stage(variant)
    model, _, reason = refused.partition(": ")
    result = replayed(variant, variant.core, model)
    correct = {replayed(variant, of.correct, name).verdict for name in of.models}
    caught = said(result) == reason and correct == {HOLDS}
    detail = f"{model}: {said(result)}"
    detail += "" if correct == {HOLDS} else "; one of the correct core is not accepted"
    length = result.events_judged + 1 if result.refusal else None
    seconds = time.perf_counter() - started
    return FaultRow(fault.id, "replay", CAUGHT if caught else MISSED, length, seconds, detail)


def replayed(variant: Variant, core: Core | LockRules, model: str) -> Replayed:
    """Record the smallest scenario, unjudged, and judge the recording."""
    of = stage(variant)
    scenario = of.scenario(core, variant, False)
    program.play(scenario, program.lines(variant.program))
    return replay_lines(of.record(scenario, model))


def said(result: Replayed) -> str:
    """`grant_vote, vote_is_free`, `state`, or the verdict."""
    if not result.refusal:
        return result.verdict.worded("recording")
    action, guard = result.refusal.action.partition("(")[0], result.refusal.guard
    return f"{action}, {guard.name}" if guard else "state"


# --- All of it --------------------------------------------------------------------------------------------

READERS: dict[str, Callable[[Fault], FaultRow]] = {
    "explore": by_explore,
    "prove": by_proof,
    "tlc": by_tlc,
    "hypothesis": by_property_test,
    "simulate": by_simulation,
    "replay": by_replay,
}


def judge(fault: Fault, readers: Iterable[str] = READERS) -> Iterator[FaultRow]:
    """The rows of one fault."""
    return (READERS[reader](fault) for reader in readers)


def blind(rows: Iterable[FaultRow]) -> list[str]:
    """Who finds nothing: a fault that no reader caught, a reader that caught no fault. In sentences."""
    rows = list(rows)
    caught = [row for row in rows if row.verdict is CAUGHT]
    faults = dict.fromkeys(r.fault for r in rows if r.fault not in {c.fault for c in caught})
    readers = dict.fromkeys(r.reader for r in rows if r.reader not in {c.reader for c in caught})
    return [f"no reader found {id}" for id in faults] + [f"{reader} found no fault" for reader in readers]


def status(rows: Iterable[FaultRow], *, whole: bool) -> int:
    """The exit status of the matrix; of the whole one, also whether somebody is blind."""
    rows = list(rows)
    verdicts = decided((row.fault, row.verdict) for row in rows)
    return exit_status(verdicts + [VIOLATED] * (whole and bool(blind(rows))))
