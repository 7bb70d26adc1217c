"""check: every reader on every model, the reference, the recordings and the faults, one row each.

The bounds stand here, each beside what it is for. A tool that is missing makes a row inconclusive.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

from oneleader.campaigns import fault_table as table
from oneleader.cli.check_row import CheckRow
from oneleader.conformance.adapter import ReferenceAdapter
from oneleader.conformance.handlers.handlers import HANDLERS, Scope, prove_handler
from oneleader.conformance.machine import check_conformance
from oneleader.conformance.reference.scenario import ScenarioMachine, draw
from oneleader.errors import MissingTool, UsageError
from oneleader.faults.catalogue import FAULTS
from oneleader.faults.fault import Fault
from oneleader.language.configuration import Configuration, cluster, configure
from oneleader.language.model import Model
from oneleader.models import (
    election,
    fencing,
    find,
    lease,
    lease_read,
    membership,
    membership_steps,
    pre_vote,
    replication,
    system,
    vote_count,
)
from oneleader.readers.explore.explore import explore, explore_all
from oneleader.readers.explore.refine import refine
from oneleader.readers.explore.settings import Setting, settings
from oneleader.readers.explore.walk import walk
from oneleader.readers.prove import counting
from oneleader.readers.prove.prove import prove
from oneleader.readers.replay.replay import replay
from oneleader.readers.tlc.twin import compare
from oneleader.shipped import RECORDINGS
from oneleader.verdict import HOLDS, INCONCLUSIVE, NOT_EXPRESSIBLE, VIOLATED
from oneleader.words import plural

RECORDED = {
    "etcd-raft-example.ndjson.gz": (election.MODEL, replication.MODEL),
    "etcd-rawnode-3-nodes.ndjson.gz": (election.MODEL, replication.MODEL),
    "etcd-rawnode-5-nodes-prevote-checkquorum.ndjson.gz": (pre_vote.MODEL, replication.MODEL),
}
SOON = ("restart", "is_leader", "VoteReply", "propose", "read", "transfer")  # handlers proved in seconds
SEED = 1  # of everything drawn here: the same rows each time


def everything(*, quick: bool) -> Iterator[CheckRow]:
    """All rows, as they come. `quick`: smaller bounds and fewer runs."""
    yield from exploring(election.MODEL, nodes=3, terms=2)
    if not quick:
        yield from exploring(election.MODEL, nodes=3, terms=2, quorums="n1 n2, n1 n3")
        yield from exploring(election.MODEL, nodes=3, terms=3, ghosts=False)
        yield from exploring(election.MODEL, nodes=5, terms=1, ghosts=False)
    yield proving(election.MODEL)
    yield twin(election.MODEL, nodes=3, terms=1)
    if not quick:
        yield twin(election.MODEL, nodes=3, terms=2)
        yield twin(election.MODEL, nodes=2, terms=3)
        yield twin(election.MODEL, nodes=3, terms=2, quorums="n1 n2, n1 n3")
    yield walking(election.MODEL, nodes=5, terms=6, runs=100 if quick else 1000)
    yield from exploring(vote_count.MODEL, nodes=3, terms=2)
    yield refining(vote_count.MODEL, nodes=3, terms=2)
    yield twin(vote_count.MODEL, nodes=3, terms=1 if quick else 2)
    yield from exploring_at(
        pre_vote.MODEL, cluster(pre_vote.MODEL, nodes=3, terms=1), ghosts=False, small=True
    )
    yield proving(pre_vote.MODEL)
    yield refining(pre_vote.MODEL, nodes=2, terms=1)
    yield twin(pre_vote.MODEL, nodes=2, terms=1 if quick else 2)
    yield from replicating(quick=quick)
    yield from changing(quick=quick)
    yield from leases(quick=quick)
    yield from fenced(quick=quick)
    yield from composed(quick=quick)
    yield from bullied(quick=quick)
    yield conformance(nodes=3, examples=200 if quick else 300)
    yield scenarios(nodes=3, examples=30 if quick else 300)
    yield handled(SOON if quick else HANDLERS, Scope(nodes=2))
    yield from recordings()
    for fault in FAULTS.values():
        yield from catching(fault, quick=quick)


def replicating(*, quick: bool) -> Iterator[CheckRow]:
    """Logs of two entries, where an older one is committed indirectly; three servers, which can conflict."""
    entries = {"Index": 2, "Value": 1}
    yield from exploring_at(
        replication.MODEL, configure(replication.MODEL, {"Node": 2, "Term": 2, **entries}), small=True
    )
    if not quick:
        three = configure(replication.MODEL, {"Node": 3, "Term": 2, "Index": 1, "Value": 1})
        yield from exploring_at(replication.MODEL, three, ghosts=False, small=True)
    yield proving(replication.MODEL, "proved for any cluster size, unbounded terms and logs")
    yield twin(replication.MODEL, nodes=2, terms=2, sizes=entries)


def changing(*, quick: bool) -> Iterator[CheckRow]:
    """Changes of membership: message by message with two servers, in large steps with three."""
    entries = {"Index": 1 if quick else 2, "Value": 1}
    two = configure(membership.MODEL, {"Node": 2, "Term": 2, **entries}, "n1 n2, n1")
    yield from exploring_at(membership.MODEL, two, together=True, small=True)
    steps = membership_steps.MODEL
    longer = {"Node": 3, "Term": 2, "Index": 3 if quick else 4}
    yield from exploring_at(steps, configure(steps, longer, "n1 n2 n3, n1 n2, n1"), small=quick)
    joint = "n1 n2 n3, n1 n2 n3 + n1, n1"
    yield from exploring_at(steps, configure(steps, longer, joint), small=quick)
    yield counted()
    yield proving(membership.MODEL, "proved for any cluster size, unbounded terms and logs")


def counted() -> CheckRow:
    """The axiom of `membership`, of majorities."""
    started = time.perf_counter()
    failed = counting.unproved()
    what = f"{len(list(counting.lemmas()))} lemmas: majorities of adjacent configurations share a server"
    verdict, detail = (INCONCLUSIVE, f"not proved: {', '.join(failed)}") if failed else (HOLDS, "")
    strength, seconds = "proved for sets of any size", time.perf_counter() - started
    return CheckRow("membership", "prove", what, verdict, strength, seconds, detail, "proof")


def leases(*, quick: bool) -> Iterator[CheckRow]:
    """Leader leases; without drift where states are many. Each flawed one has to be found out."""
    exact = {"lease": 1, "promise": 1, "slow": 1, "fast": 1}
    n2_decides = "n2, n1 n2"  # two servers, and the second in every quorum: it can overtake the first
    yield from exploring(lease.MODEL, nodes=2, terms=2, quorums=n2_decides)
    yield proving(lease.MODEL, "proved for any cluster size, unbounded terms, any clocks within the axioms")
    yield twin(lease.MODEL, nodes=2, terms=1)
    yield proving(lease_read.MODEL, "proved for any cluster size, unbounded terms and logs")
    for of in (lease.MODEL, replication.MODEL):
        yield refining(of, nodes=2, terms=1)
    if not quick:
        yield from exploring(lease.MODEL, nodes=3, terms=2, ghosts=False, sizes=exact)
        yield from exploring(lease.MODEL, nodes=2, terms=2, quorums=n2_decides, sizes={"Round": 2, **exact})
        yield twin(lease.MODEL, nodes=2, terms=2, quorums=n2_decides, sizes=exact)
    for name in ("lease_from_receipt", "lease_forgotten_promise", "lease_taken_again"):
        yield flawed(name, {"Node": 2, "Term": 2, **exact}, "no_newer_leader", quorums=n2_decides)
    sizes = {"Node": 2, "Term": 2, "Resource": 1, **exact}
    yield flawed("lease_without_fencing", sizes, "no_stale_write", quorums=n2_decides)


def fenced(*, quick: bool) -> Iterator[CheckRow]:
    """Fencing tokens, and what goes wrong with them."""
    sizes = {"Resource": 1, "Client": 3, "Token": 3}
    yield from exploring_at(fencing.MODEL, configure(fencing.MODEL, sizes))
    if not quick:
        yield from exploring_at(
            fencing.MODEL, configure(fencing.MODEL, {"Resource": 2, "Client": 2, "Token": 2})
        )
    yield proving(fencing.MODEL, "proved for any number of clients and resources, unbounded tokens")
    yield twin_at(fencing.MODEL, configure(fencing.MODEL, sizes | {"Client": 2}))
    if not quick:
        yield twin_at(fencing.MODEL, configure(fencing.MODEL, {"Resource": 2, "Client": 2, "Token": 1}))
    yield flawed("fencing_token_expires", {"Resource": 1, "Client": 2, "Token": 2}, "no_stale_write")
    yield flawed("fencing_tokens_as_strings", {"Resource": 1, "Client": 2, "Token": 10}, "no_stale_write")
    yield flawed("incident", {"Node": 2}, "no_stale_write")
    yield flawed("fencing_check_then_act", {"Resource": 1, "Client": 2, "Token": 2}, "no_stale_write")


def composed(*, quick: bool) -> Iterator[CheckRow]:
    """An election, a lease, a token and a write; without any of the four cures something has to break."""
    at = cluster(system.MODEL, nodes=3, terms=2)
    yield from exploring_at(system.MODEL, cluster(system.MODEL, nodes=3 if quick else 5, terms=2))
    for setting in settings(system.MODEL, at):
        if len(setting.off) == 1:
            yield caught("system", setting)
    yield twin_at(system.MODEL, cluster(system.MODEL, nodes=2 if quick else 3, terms=2))
    for off in () if quick else system.Switch:
        without = cluster(system.MODEL, nodes=3, terms=1).where(
            system.MODEL.fields["off"], [off.name.lower()]
        )
        yield twin_at(system.MODEL, without)


def bullied(*, quick: bool) -> Iterator[CheckRow]:
    """The bully algorithm: right where all is as it assumes, and two coordinators where anything is not."""
    bully = find("flawed/bully")
    for setting in settings(bully, configure(bully, {"Node": 1})):
        if not setting.off:
            everything = [name.name.lower() for name in bully.fields["assumed"].index[0]]
            at = configure(bully, {"Node": 2}).where(bully.fields["assumed"], everything)
            yield from exploring_at(bully, at)
        elif len(setting.off) == 1:
            yield caught("flawed/bully", setting)
    yield twin_at(bully, configure(bully, {"Node": 1 if quick else 2}))


def caught(name: str, setting: Setting) -> CheckRow:
    """Where one switch is off something breaks."""
    found = {name: f.violation for name, f in setting.found.items() if f.violation}
    verdict = HOLDS if found else VIOLATED
    said = verdict.worded("fault")
    fewest = min((len(violation.steps) for violation in found.values()), default=0)
    seconds = sum(f.seconds for f in setting.found.values())
    what = f"without {setting.off[0]}: {', '.join(found)}"
    return CheckRow(
        name, "settings", what, verdict, f"{said} in {plural(fewest, 'steps')}", seconds, kind="fault"
    )


def flawed(name: str, sizes: Mapping[str, int], breaks: str, quorums: str = "majority") -> CheckRow:
    """A flawed model: its flaw has to be found."""
    model = find(f"flawed/{name}")
    (result,) = explore_all(model, configure(model, sizes, quorums), only=[breaks])
    steps = len(result.violation.steps) if result.violation else 0
    verdict = HOLDS if steps else VIOLATED
    strength = verdict.worded("fault") + (f" in {plural(steps, 'steps')}" if steps else "")
    what = f"{breaks} is broken"
    return CheckRow(f"flawed/{name}", "explore", what, verdict, strength, result.seconds, kind="fault")


def exploring(
    model: Model,
    *,
    nodes: int,
    terms: int,
    quorums: str = "majority",
    ghosts: bool = True,
    sizes: Mapping[str, int] | None = None,
) -> Iterator[CheckRow]:
    """`exploring_at` of a cluster."""
    small = nodes == 5 and terms == 1  # two terms are too many states here, and one has one leader
    at = configure(model, {"Node": nodes, "Term": terms, **(sizes or {})}, quorums)
    yield from exploring_at(model, at, ghosts=ghosts, small=small)


def exploring_at(
    model: Model, at: Configuration, *, ghosts: bool = True, together: bool = False, small: bool = False
) -> Iterator[CheckRow]:
    """Exhaustive within bounds; a witness that is not reached is no success, unless they are too small.

    `together`: all history is kept in one run, where a run for each part of it would be many.
    """
    history = frozenset(f.name for f in model.fields.values() if f.kind == "ghost")
    for result in [explore(model, at, ghosts=history)] if together else explore_all(model, at):
        kept = ["all history"] if together else [f.name for f in result.run.cells.fields if f.name in history]
        unreached = [name for name, depth in result.witnesses.items() if depth is None]
        verdict = INCONCLUSIVE if result.verdict is HOLDS and unreached and not small else result.verdict
        what = f"{plural(len(result.properties), 'properties')}, {plural(len(result.witnesses), 'witnesses')}"
        detail = f"not reached: {', '.join(unreached)}" if unreached else result.why
        if result.violation:
            detail = f"{result.violation.what} is broken in {len(result.violation.steps)} steps"
        what += f"; {result.states:,} states" + (f", with {', '.join(kept)}" if kept else "")
        yield CheckRow(model.name, "explore", what, verdict, result.strength, result.seconds, detail)
        if not ghosts:
            return


def proving(model: Model, strength: str = "proved for any cluster size, unbounded terms") -> CheckRow:
    """Any number of elements, unbounded numbers."""
    result = prove(model)
    done = sum(r.verdict is HOLDS for r in result.rows)
    failed = [r.key for r in result.rows if r.verdict is not HOLDS]
    what = f"{done} of {len(result.rows)} obligations"
    detail = f"not proved: {', '.join(failed)}" if failed else ""
    return CheckRow(model.name, "prove", what, result.verdict, strength, result.seconds, detail, "proof")


def twin(
    model: Model, *, nodes: int, terms: int, quorums: str = "majority", sizes: Mapping[str, int] | None = None
) -> CheckRow:
    """`twin_at` of a cluster."""
    return twin_at(model, configure(model, {"Node": nodes, "Term": terms, **(sizes or {})}, quorums))


def twin_at(model: Model, at: Configuration) -> CheckRow:
    """The hand-written TLA+ has the same states and transitions."""
    try:
        result = compare(model, at)
    except MissingTool as error:
        return CheckRow(model.name, "tlc", "graphs compared", INCONCLUSIVE, at.describe(), 0.0, str(error))
    what = f"{result.states:,} states, {result.edges:,} transitions"
    return CheckRow(
        model.name, "tlc", what, result.verdict, result.strength, result.seconds, result.difference
    )


def walking(model: Model, *, nodes: int, terms: int, runs: int) -> CheckRow:
    """Random runs beyond what can be explored."""
    result = walk(model, cluster(model, nodes=nodes, terms=terms), seed=SEED, runs=runs)
    detail = f"{result.violation.what} is broken" if result.violation else result.why
    verdict = result.verdict
    if result.never_fired and verdict is HOLDS:
        verdict, detail = INCONCLUSIVE, f"never taken: {', '.join(result.never_fired)}"
    what = f"{nodes} nodes, {terms} terms, seed {SEED}"
    return CheckRow(model.name, "walk", what, verdict, result.strength, result.seconds, detail)


def refining(model: Model, *, nodes: int, terms: int) -> CheckRow:
    """Each step is one of the model that this one refines."""
    small = {"Node": nodes, "Term": terms, "Index": 1, "Value": 1}
    result = refine(model, configure(model, small))
    what = f"{result.abstract:,} steps are steps of {model.refines.name if model.refines else '?'}"
    return CheckRow(model.name, "refine", what, result.verdict, result.strength, result.seconds)


def conformance(*, nodes: int, examples: int) -> CheckRow:
    """The reference, driven by Hypothesis side by side with the model."""
    result = check_conformance(ReferenceAdapter, nodes=nodes, examples=examples, seed=SEED)
    verdict, detail = result.verdict, result.failure or result.cause
    if result.never and verdict is HOLDS:
        verdict, detail = INCONCLUSIVE, f"never taken: {', '.join(result.never)}"
    strength = f"sampled, {result.examples:,} runs, {result.steps:,} steps"
    what = "each step is one that the model allows"
    return CheckRow("reference", "hypothesis", what, verdict, strength, result.seconds, detail)


def scenarios(*, nodes: int, examples: int) -> CheckRow:
    """The reference with clients, clocks and crashes: every model, Figure 3, leases, linearizability."""
    started = time.perf_counter()
    drawn = draw(ScenarioMachine, nodes=nodes, examples=examples, seed=SEED)
    verdict, detail = (VIOLATED, str(drawn.failed[-1][0])) if drawn.failed else (HOLDS, "")
    strength = f"sampled, {examples:,} scenarios, {len(drawn.steps):,} steps"
    what = "whole runs: four models, Figure 3, leases, clients"
    return CheckRow("reference", "hypothesis", what, verdict, strength, time.perf_counter() - started, detail)


def handled(handlers: Iterable[str], scope: Scope) -> CheckRow:
    """Handlers of the reference, along every path, for all integers."""
    found = [prove_handler(handler, scope) for handler in handlers]
    failed = next((f for f in found if f.verdict is not HOLDS), found[0])
    detail = f"{failed.handler}: {failed.failing}" if failed.failing else ""
    strength = f"proved, {scope.short}, all integers"
    seconds = sum(f.seconds for f in found)
    what = f"{len(found)} handlers, {sum(f.paths for f in found):,} paths"
    return CheckRow("reference", "handlers", what, failed.verdict, strength, seconds, detail, "proof")


def recordings() -> Iterator[CheckRow]:
    """Real executions of etcd's Raft, judged line by line."""
    for name, model in ((name, model) for name, judges in RECORDED.items() for model in judges):
        path = RECORDINGS / name
        started = time.perf_counter()
        try:
            result = replay(path, model=model)
        except UsageError as error:
            yield CheckRow(model.name, "replay", name, INCONCLUSIVE, "", 0.0, f"{error}", "recording")
            continue
        detail = result.refusal.text if result.refusal else result.why
        strength = f"{result.events_judged:,} events, {result.steps.total():,} steps of the model"
        seconds = time.perf_counter() - started
        what = name.partition(".")[0]
        yield CheckRow(model.name, "replay", what, result.verdict, strength, seconds, detail, "recording")


QUICK = ("explore", "simulate", "replay")  # of the faults


def catching(fault: Fault, *, quick: bool) -> Iterator[CheckRow]:
    """A row for each reader; `quick`: some readers, and the others where none of these can be shown it."""
    rows = [*table.judge(fault, QUICK if quick else table.READERS)]
    if all(row.verdict is NOT_EXPRESSIBLE for row in rows):
        rows += table.judge(fault, [reader for reader in table.READERS if reader not in QUICK])
    return map(fault_row, rows)


def fault_row(found: table.FaultRow) -> CheckRow:
    """A reader catches a fault."""
    caught = f"caught in {plural(found.length, 'steps')}" if found.length else found.verdict.worded("fault")
    return CheckRow(
        f"fault {found.fault}",
        found.reader,
        found.detail,
        found.verdict,
        caught,
        found.seconds,
        found.detail,
        "fault",
    )
