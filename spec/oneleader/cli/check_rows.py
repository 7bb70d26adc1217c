"""The rows of `check`: each function asks one reader about one thing, and says how strongly it holds.

A tool that is missing makes its row inconclusive; a witness that is not reached is no success.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from oneleader import shipped
from oneleader.campaigns import fault_table
from oneleader.cli.check_row import CheckRow
from oneleader.cli.console import not_tested, not_tried, skipped
from oneleader.cli.explore import open_verdict
from oneleader.conformance.adapter import ReferenceAdapter
from oneleader.conformance.handlers.handlers import prove_handler
from oneleader.conformance.handlers.running import Size
from oneleader.conformance.machine import check_conformance
from oneleader.conformance.reference.drawn import ScenarioMachine, draw
from oneleader.errors import MissingTool, UsageError
from oneleader.faults import catalogue
from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model
from oneleader.readers.explore.explore import explore, explore_all
from oneleader.readers.explore.explored import Explored
from oneleader.readers.explore.refine import refine
from oneleader.readers.explore.settings import Setting, settings
from oneleader.readers.explore.walk import walk
from oneleader.readers.prove import counting
from oneleader.readers.prove.prove import CVC5, prove, rows
from oneleader.readers.replay.replay import replay
from oneleader.readers.tlc.twin import compare, compare_all, covered
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, gravest
from oneleader.words import plural

SEED = 1  # of everything drawn here: the same rows each time


# -- the models ------------------------------------------------------------------------------------
def exploring(
    model: Model, *, ghosts: bool = True, together: bool = False, small: bool = False, **at: Any
) -> Iterator[CheckRow]:
    """Exhaustive within bounds. `small`: these bounds are too small for some witness, and that is known.

    `together`: all history is kept in one run, where one for each part of it would be too many.
    """
    bounds, history = configured(model, **at), {n for n, f in model.fields.items() if f.kind == "ghost"}
    once = [explore(model, bounds, ghosts=frozenset(history))] if together else []
    for result in once or explore_all(model, bounds):
        kept = ["all history"] if together else [f.name for f in result.run.cells.fields if f.name in history]
        unmet = [*_unmet(result)]
        verdict = HOLDS if small and result.exhausted else gravest([result.verdict, open_verdict(result)])
        detail = result.why or "; ".join(unmet)
        if result.violation:
            detail = f"{result.violation.what} is broken in {len(result.violation.steps)} steps"
        what = f"{plural(len(result.properties), 'properties')}, {plural(len(result.witnesses), 'witnesses')}"
        what += f"; {result.states:,} states" + (f", with {', '.join(kept)}" if kept else "")
        never = [f"never possible within the bounds: {', '.join(result.unfired)}"] if result.unfired else []
        left_out = (*(unmet if small else ()), *never, *skipped(result.cut), *not_tried(result.untried))
        yield CheckRow(
            model.name, "explore", what, verdict, result.strength, result.seconds, detail, left_out
        )
        if not ghosts:
            return


def _unmet(result: Explored) -> Iterator[str]:
    """What should have happened within these bounds."""
    unreached = [name for name, depth in result.witnesses.items() if depth is None]
    if unreached:
        yield f"not reached: {', '.join(unreached)}"
    yield from not_tested(result.untested)


def configured(
    model: Model,
    *,
    nodes: int | None = None,
    terms: int | None = None,
    quorums: str = "majority",
    sizes: Mapping[str, int] | None = None,
    true_at: Mapping[str, Iterable[str]] | None = None,
) -> Configuration:
    """The bounds of a row; `true_at` says where a constant is true."""
    asked = {sort: size for sort, size in (("Node", nodes), ("Term", terms)) if size is not None}
    at = configure(model, {**asked, **(sizes or {})}, quorums)
    for name, names in (true_at or {}).items():
        at = at.where(model.fields[name], names)
    return at


def counted(model: Model) -> CheckRow:
    """The axiom of `membership` about quorums, of majorities."""
    started = time.perf_counter()
    failed = counting.unproved()
    what = f"{len(list(counting.lemmas()))} lemmas: majorities of adjacent configurations share a server"
    verdict, detail = (INCONCLUSIVE, f"not proved: {', '.join(failed)}") if failed else (HOLDS, "")
    strength, seconds = "proved for sets of any size", time.perf_counter() - started
    return CheckRow(model.name, "prove", what, verdict, strength, seconds, detail, kind="proof")


def proving(model: Model, strength: str) -> CheckRow:
    """Any number of elements, unbounded numbers."""
    result = prove(model)
    done = sum(r.verdict is HOLDS for r in result.rows)
    failed = [r.key for r in result.rows if r.verdict is not HOLDS]
    failed += [f"that it is possible: {a.what}" for a in result.possible if a.verdict is not HOLDS]
    what = f"{done} of {len(result.rows)} obligations, {len(result.possible)} times that it is possible"
    detail = f"not proved: {', '.join(failed)}" if failed else ""
    return CheckRow(model.name, "prove", what, result.verdict, strength, result.seconds, detail, kind="proof")


def confirming(model: Model) -> CheckRow:
    """The second prover: the same obligations, from a text of its own."""
    started = time.perf_counter()
    try:
        found = list(rows(model, prover=CVC5))
    except MissingTool as error:
        return CheckRow(model.name, "cvc5", "obligations", INCONCLUSIVE, "", 0.0, str(error))
    left = [r.key for r in found if r.verdict is not HOLDS]
    what = f"{len(found) - len(left)} of {len(found)} obligations"
    detail = f"not confirmed: {', '.join(left)}" if left else ""
    verdict, strength = gravest(r.verdict for r in found), "confirmed by a second prover"
    seconds = time.perf_counter() - started
    return CheckRow(model.name, "cvc5", what, verdict, strength, seconds, detail, kind="proof")


def twinning(model: Model) -> Iterator[CheckRow]:
    """The hand-written TLA+ at all the bounds that ship, and whether these exercise every rule."""
    found = []
    try:
        for result in compare_all(model):
            found.append(result)
            what = f"{result.states:,} states, {result.edges:,} transitions"
            yield CheckRow(
                model.name, "tlc", what, result.verdict, result.strength, result.seconds, result.difference
            )
    except MissingTool as error:
        yield CheckRow(model.name, "tlc", "graphs compared", INCONCLUSIVE, "", 0.0, str(error))
        return
    coverage = covered(model, found)
    detail = f"not seen: {', '.join(coverage.missing)}" if coverage.missing else ""
    what = "what these bounds exercise"
    yield CheckRow(model.name, "tlc", what, coverage.verdict, coverage.describe(), 0.0, detail)


def comparing(model: Model, *, depth: int | None = None, **at: Any) -> CheckRow:
    """The hand-written TLA+ has the same states and transitions, in runs of up to `depth` steps."""
    configuration = configured(model, **at)
    try:
        result = compare(model, configuration, depth=depth, workers=1)  # the other cores have other rows
    except MissingTool as error:
        described = configuration.describe()
        return CheckRow(model.name, "tlc", "graphs compared", INCONCLUSIVE, described, 0.0, str(error))
    what = f"{result.states:,} states, {result.edges:,} transitions"
    return CheckRow(
        model.name, "tlc", what, result.verdict, result.strength, result.seconds, result.difference
    )


def walking(model: Model, *, runs: int, **at: Any) -> CheckRow:
    """Random runs beyond what can be explored."""
    result = walk(model, configured(model, **at), seed=SEED, runs=runs)
    detail = f"{result.violation.what} is broken" if result.violation else result.why
    verdict = result.verdict
    if result.never_fired and verdict is HOLDS:
        verdict, detail = INCONCLUSIVE, f"never taken: {', '.join(result.never_fired)}"
    what = f"{result.run.configuration.describe()}, seed {SEED}"
    left_out = (*not_tested(result.untested), *not_tried(result.untried))
    return CheckRow(model.name, "walk", what, verdict, result.strength, result.seconds, detail, left_out)


def refining(
    model: Model, *, nodes: int, terms: int, quorums: str = "majority", times: Mapping[str, int] | None = None
) -> CheckRow:
    """Each step is one of the model that this one refines."""
    sizes = {"Node": nodes, "Term": terms, "Index": 1, "Value": 1, **(times or {})}
    result = refine(model, configure(model, sizes, quorums))
    what = f"{result.abstract:,} steps are steps of {result.to.model.name}; {result.cut:,} cut"
    what += f"; never: {', '.join(result.never_matched)}" if result.never_matched else ""
    return CheckRow(model.name, "refine", what, result.verdict, result.strength, result.seconds, result.why)


# -- what must break -------------------------------------------------------------------------------
def switched_off(model: Model, **at: Any) -> Iterator[CheckRow]:
    """Where one switch is off, something breaks."""
    for setting in settings(model, configured(model, **at), switches_off=1):
        yield caught(model, setting)


def caught(model: Model, setting: Setting) -> CheckRow:
    """Whether something breaks under this setting."""
    found = {name: f.violation for name, f in setting.found.items() if f.violation}
    verdict = HOLDS if found else VIOLATED
    fewest = min((len(violation.steps) for violation in found.values()), default=0)
    seconds = sum(f.seconds for f in setting.found.values())
    what = f"without {setting.off[0]}: {', '.join(found)}"
    strength = verdict.worded("fault") + (f" in {plural(fewest, 'steps')}" if found else "")
    return CheckRow(model.name, "settings", what, verdict, strength, seconds, kind="fault")


def breaking(model: Model, breaks: str, **at: Any) -> CheckRow:
    """A flawed model: its flaw has to be found."""
    (result,) = explore_all(model, configured(model, **at), only=[breaks])
    steps = len(result.violation.steps) if result.violation else 0
    verdict = HOLDS if steps else VIOLATED
    strength = verdict.worded("fault") + (f" in {plural(steps, 'steps')}" if steps else "")
    what = f"{breaks} is broken"
    return CheckRow(model.name, "explore", what, verdict, strength, result.seconds, kind="fault")


def judging(fault: str, reader: str) -> CheckRow:
    """A reader catches a fault."""
    found = catalogue.find(fault)
    if reader == "hypothesis":
        return fault_row(fault_table.by_property_test(found, shorten=False))
    return fault_row(fault_table.READERS[reader](found))


def fault_row(found: fault_table.FaultRow) -> CheckRow:
    """A row of the matrix, as a row of this table."""
    caught = f"caught in {plural(found.length, 'steps')}" if found.length else found.verdict.worded("fault")
    name, detail = f"fault {found.fault}", found.detail
    return CheckRow(name, found.reader, detail, found.verdict, caught, found.seconds, detail, kind="fault")


# -- the reference ---------------------------------------------------------------------------------
def conforming(*, nodes: int, examples: int) -> CheckRow:
    """The reference, driven by Hypothesis side by side with the model."""
    result = check_conformance(ReferenceAdapter, nodes=nodes, examples=examples, seed=SEED)
    verdict, detail = result.verdict, result.failure or result.cause
    if result.never and verdict is HOLDS:
        verdict, detail = INCONCLUSIVE, f"never taken: {', '.join(result.never)}"
    strength = f"sampled, {result.examples:,} runs, {result.steps:,} steps"
    what = "each step is one that the model allows"
    return CheckRow("reference", "hypothesis", what, verdict, strength, result.seconds, detail)


def drawing(*, nodes: int, examples: int) -> CheckRow:
    """The reference with clients, clocks and crashes: every model, Figure 3, leases, linearizability."""
    started = time.perf_counter()
    drawn = draw(ScenarioMachine, nodes=nodes, examples=examples, seed=SEED)
    verdict, detail = (VIOLATED, str(drawn.failed[-1][0])) if drawn.failed else (HOLDS, "")
    strength = f"sampled, {examples:,} scenarios, {len(drawn.steps):,} steps"
    what = "whole runs: four models, Figure 3, leases, clients"
    return CheckRow("reference", "hypothesis", what, verdict, strength, time.perf_counter() - started, detail)


def handling(handler: str, scope: Size) -> CheckRow:
    """A handler of the reference, along every path, for all integers."""
    found = prove_handler(handler, scope)
    strength = f"proved, {scope.short}, all integers"
    what = f"{handler}: {found.paths:,} paths"
    detail = f"{handler}: {found.failing}" if found.failing else ""
    seconds = found.seconds
    return CheckRow("reference", "handlers", what, found.verdict, strength, seconds, detail, kind="proof")


def replaying(model: Model, recording: str) -> CheckRow:
    """A real execution of etcd's Raft, judged line by line."""
    started, path = time.perf_counter(), shipped.recording(recording)
    try:
        result = replay(path, model=model)
    except UsageError as error:
        return CheckRow(model.name, "replay", recording, INCONCLUSIVE, "", 0.0, str(error), kind="recording")
    detail = result.refusal.text if result.refusal else result.why
    strength = f"{result.events_judged:,} events, {result.steps.total():,} steps of the model"
    seconds = time.perf_counter() - started
    verdict = result.verdict
    return CheckRow(model.name, "replay", recording, verdict, strength, seconds, detail, kind="recording")
