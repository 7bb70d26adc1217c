"""facts: the coupling's facts, each left out in turn, and which proof fails without it.

A fact that is left out is neither assumed nor proved. So what is found is what the others need: a fact that
only keeps itself is found to be needed by nothing.

To try each fact on each path would take a day. On a path the whole proof is done once, and Z3 says which
facts it used: the others are not needed there. Two named servers come first: what fails there fails for any
number, with a counterexample. Only what they do not need is tried for any number of servers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import z3

from oneleader.conformance.handlers.clusters import AnyCluster
from oneleader.conformance.handlers.coupling import Coupling
from oneleader.conformance.handlers.handlers import RLIMIT, PathProof, runs
from oneleader.conformance.handlers.members import AnyMembers, anything
from oneleader.conformance.handlers.paths import paths
from oneleader.conformance.handlers.running import (
    ALONE,
    ANY,
    ANY_ALONE,
    CHANGE,
    HANDLERS,
    OF_WHOLE_LOGS,
    WHOLE,
    WHOLE_ALONE,
    WITH_CHANGES,
    Size,
    of_names,
)
from oneleader.conformance.handlers.servers import Scope
from oneleader.conformance.handlers.stable import (
    COUPLINGS,
    KINDS,
    actions,
    prove_stable,
)
from oneleader.conformance.handlers.symbolic import AnyPath
from oneleader.verdict import HOLDS, VIOLATED
from oneleader_raft.raft import InstallSnapshot

OF_THE_MODEL = ("invariant", "theorem")  # instances of what the models prove: no facts of the coupling
SMALL = Scope(2, log=1, reads=0)
SOON_OF_CHANGES = ("restart", "is_leader", "heartbeat timeout", "VoteReply", CHANGE, "RequestVote")
DEAR = ("RequestVote", "AppendEntries", "AppendReply")  # minutes each, and so the last


@dataclass(frozen=True)
class Asked:
    """A fact of a coupling, and a goal of a handler or an action that fails without it, if any."""

    coupling: str
    fact: str
    by: str = ""
    goal: str = ""
    untried: tuple[str, ...] = ()  # proofs that may fail without it, for all that is known


def facts_of(name: str) -> list[str]:
    """What the coupling of this name says of a server and of each kind of message, by name."""
    found: dict[str, None] = {}
    model, size = COUPLINGS[name]
    kinds = [kind for kind in KINDS.values() if not size.whole or kind is not InstallSnapshot]
    cluster = AnyMembers() if size.changes else AnyCluster()
    for kind in (None, *kinds):

        def made(path: AnyPath, kind: type | None = kind) -> Any:
            u = anything(path, cluster, compacted=not size.whole)
            now: Any = path.number("now", None)
            return now, u.node(now) if kind is None else u.message(kind)

        for path, (now, of) in paths(made, cluster.context, AnyPath):
            cluster.path = path
            coupling = Coupling(cluster, model, path)
            state = cluster.state(coupling.model.fields)
            me = cluster.name(path, cluster.me)
            said = coupling.holds(state, of, now) if kind is None else coupling.licensed(state, of, me)
            found |= dict.fromkeys(name for name, _ in said if name not in OF_THE_MODEL)
    return [*found]


Proof: TypeAlias = tuple[str, Scope | Size | None]  # a handler and of what size, or an action


def everything(name: str) -> Iterator[Proof]:
    """The proofs of a coupling, those that take long last."""
    model, size = COUPLINGS[name]
    if size.changes:
        yield from ((handler, size) for handler in SOON_OF_CHANGES)
        yield from ((action, None) for action in actions(name))
        yield from ((h, size) for h in WITH_CHANGES if h not in SOON_OF_CHANGES)
        return
    if model == "snapshots":  # of which there is no bounded form
        yield from ((handler, ANY) for handler in HANDLERS if handler not in DEAR)
    else:
        yield from ((handler, SMALL) for handler in of_names(OF_WHOLE_LOGS))
    yield from ((action, None) for action in actions(name))
    whole = model == "replication"
    several, alone = (WHOLE, WHOLE_ALONE) if whole else (ANY, ANY_ALONE)
    yield from ((handler, alone) for handler in ALONE)
    tried = () if model == "snapshots" else tuple(h for h in HANDLERS if h not in DEAR)
    others = (h for h in (*tried, *DEAR) if not whole or h in OF_WHOLE_LOGS)
    yield from ((handler, several) for handler in others)


def needed(
    name: str, proof: str, size: Scope | Size | None, facts: Collection[str], paths: int | None = None
) -> Iterator[tuple[str, str]]:
    """Of the facts, those without which this proof fails, and a goal that is not proved then, one by one.
    `paths`: on how many of those where a fact is used it is left out, at most."""
    if size is None:
        return _by_action(name, proof, facts)
    model, _ = COUPLINGS[name]
    return _by_handler(model, proof, size, facts, paths)


def _by_action(name: str, action: str, facts: Collection[str]) -> Iterator[tuple[str, str]]:
    for fact in facts:
        found = prove_stable(name, action, without=fact)
        if found.verdict is not HOLDS:
            yield fact, found.failing


def _by_handler(
    model: str, handler: str, size: Scope | Size, facts: Collection[str], most: int | None
) -> Iterator[tuple[str, str]]:
    """What is raised counts where this model alone shows that it is out of reach."""
    left, tried = set(facts), Counter[str]()
    for path, ran, cluster in runs(handler, size):
        proof = None if ran.does_nothing else PathProof(cluster, model, path, ran)
        if proof is None or proof.is_over:
            continue
        for fact in [fact for fact in _used(proof) if fact in left]:
            tried[fact] += 1
            goal = _unproved(PathProof(cluster, model, path, ran, without=fact))
            if goal:
                yield fact, goal
            if goal or tried[fact] == most:
                left.discard(fact)
        if not left:
            break


def _used(proof: PathProof) -> list[str]:
    """The facts that a proof of all goals at once used; all of them where Z3 needs more than that."""
    goals, context = [goal for _, goal in proof.open_goals()], proof.cluster.context
    names = list(dict.fromkeys(name for name, _ in proof.before))
    wanted = {proof.formula(goal).get_id() for _, goal in proof.goals}
    are_goals = [name for name, fact in proof.before if fact.get_id() in wanted]  # word for word
    if not goals:
        return are_goals
    marks = {name: z3.Bool(f"fact: {name}", context) for name in names}
    solver = z3.SimpleSolver(ctx=context)
    solver.set(mbqi=not isinstance(proof.cluster, AnyCluster))
    solver.add(*proof.path.condition, *proof.coupling.known)
    solver.add(*(z3.Implies(marks[name], fact) for name, fact in proof.before))
    solver.add(z3.Not(z3.And(*goals, context)))
    solver.set(rlimit=RLIMIT // 8)
    if solver.check(*marks.values()) != z3.unsat:
        return [] if proof.ran.raised else names
    core = {mark.get_id() for mark in solver.unsat_core()}
    return [name for name in names if marks[name].get_id() in core or name in are_goals]


def _unproved(proof: PathProof) -> str:
    """The first goal that is not proved, neither together with the others nor alone."""
    if not isinstance(proof.cluster, AnyCluster):
        verdict, failing = proof.attempt()
        return failing if verdict is VIOLATED else ""
    goals, context = proof.open_goals(), proof.cluster.context
    together = z3.And(*(goal for _, goal in goals), context)
    if not goals or proof.result(together, RLIMIT // 8) == z3.unsat:
        return ""
    return next((name for name, goal in goals if proof.result(goal, RLIMIT // 4) != z3.unsat), "")
