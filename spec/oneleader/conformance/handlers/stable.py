"""stable: the coupling is an invariant: true at first, and kept by every step of another server.

`handlers` proves that a step keeps the coupling for the server that takes it and for what that sends. Here it
is proved, for any number of servers, that the coupling

- holds of every server at first, and
- is kept, of a server and of each kind of message in flight, by each action of each model that *another*
  server takes, and by time that passes.

So no fact is assumed of a server or a message that nobody keeps. What a step of another server needs beside
the coupling is what the models prove of every state, and one fact of the coupling of the server that acts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import z3

from oneleader.conformance.handlers.clusters import AnyCluster, Fact
from oneleader.conformance.handlers.coupling import Coupling
from oneleader.conformance.handlers.handlers import RLIMIT
from oneleader.conformance.handlers.licences import LICENCES
from oneleader.conformance.handlers.members import AnyMembers, anything
from oneleader.conformance.handlers.paths import Number, paths, term_of
from oneleader.conformance.handlers.running import ANY, CHANGING, COMPACTED_LOGS, WHOLE, Size
from oneleader.conformance.handlers.servers import Anything
from oneleader.conformance.handlers.symbolic import AnyPath
from oneleader.errors import Inexpressible
from oneleader.language.definitions import Action
from oneleader.language.sorts import base, is_number, is_time
from oneleader.language.trace import trace_action, trace_property
from oneleader.models import MODELS
from oneleader.readers.prove.algebra import SymbolicState, after, meaning
from oneleader.readers.prove.smt import answer
from oneleader.verdict import HOLDS, INCONCLUSIVE, Verdict
from oneleader_raft.lease import LONG_AGO
from oneleader_raft.raft import InstallSnapshot, Node

SERVER = "a server"
KINDS: dict[str, type] = {kind.__name__: kind for kind in LICENCES}
SUBJECTS = (SERVER, *KINDS)
FIRST = "first state"
TIME = "elapse"  # the one action that no server takes
MEMBERS_CHANGE = "snapshots, members change"
COUPLINGS: Mapping[str, tuple[str, Size]] = {  # by name: a model, and of what servers and logs
    **{model: (model, ANY) for model in COMPACTED_LOGS},
    "replication": ("replication", WHOLE),
    MEMBERS_CHANGE: ("snapshots", CHANGING),
}
CHANGES = ("change_config",)  # which the members that stay leave out

# The hypotheses that the steps needing more than their guards are tried with first.
HINTS: Mapping[str, tuple[str, ...]] = {
    "become_leader": (
        "a_term_is_won_once",
        "natural acknowledged",
        "leader_was_announced",
        "elected_by_some_quorum",
    ),
    "client_request": ("election_safety", "leader_was_announced", "leader_append_only"),
    "change_config": ("election_safety", "leader_was_announced", "leader_append_only"),
    "advance_commit": ("the acting leader", "election_safety", "leader_was_announced"),
}


@dataclass(frozen=True)
class Kept:
    """What is known of one action of a model, and of all that it has to keep."""

    coupling: str
    action: str  # or FIRST
    goals: int
    verdict: Verdict
    failing: str = ""
    seconds: float = 0.0


def prove_stable(coupling: str, action: str, not_assumed: str = "", without: str = "") -> Kept:
    """Whether the coupling of this name is kept. Stops at the first goal that fails. `not_assumed`: a fact of
    it that is to be proved and not assumed; `without`: one that is neither."""
    started, goals = time.process_time(), 0
    subjects = (SERVER,) if action == FIRST else SUBJECTS
    model, size = COUPLINGS[coupling]
    if size.whole:
        subjects = tuple(subject for subject in subjects if subject != InstallSnapshot.__name__)
    for subject in subjects:
        for problem in _problems(model, size, action, subject, not_assumed, without):
            goals += len(problem.goals)
            verdict, name = problem.solve()
            if verdict is not HOLDS:
                seconds = time.process_time() - started
                return Kept(coupling, action, goals, verdict, f"{subject}: {name}", seconds)
    return Kept(coupling, action, goals, HOLDS, "", time.process_time() - started)


def actions(coupling: str) -> tuple[str, ...]:
    """What is proved of it: the model's first state, and each of its actions."""
    model, size = COUPLINGS[coupling]
    left_out = () if size.changes else CHANGES
    return (FIRST, *(action for action in MODELS[model].actions if action not in left_out))


@dataclass(frozen=True)
class Problem:
    """On one path: goals, what is assumed for them, and what may be assumed beside it, by name."""

    cluster: AnyCluster
    assumed: list[Any]
    goals: list[Fact]
    named: Mapping[str, Any]
    hints: tuple[str, ...] = ()

    def solve(self) -> tuple[Verdict, str]:
        known = {fact.get_id() for fact in self.assumed}
        goals = [(name, goal) for name, goal in self.goals if goal.get_id() not in known]
        together = z3.And(*(goal for _, goal in goals), self.cluster.context)
        if not goals or self._answer(self.assumed, together, RLIMIT // 64) == z3.unsat:
            return HOLDS, ""
        hinted = [self.named[name] for name in self.hints if name in self.named]
        for name, goal in goals:
            tries: tuple[tuple[list[Any], int], ...] = (
                ([], RLIMIT // 64),
                (hinted, RLIMIT // 16),
                ([*self.named.values()], RLIMIT // 8),
            )
            results = (self._answer([*self.assumed, *more], goal, rlimit) for more, rlimit in tries)
            if not any(result == z3.unsat for result in results):
                return INCONCLUSIVE, name
        return HOLDS, ""

    def _answer(self, assumed: list[Any], goal: Any, rlimit: int) -> Any:
        for mbqi, seed in ((False, 0), (True, 0)):
            solver = z3.SimpleSolver(ctx=self.cluster.context)
            solver.set(mbqi=mbqi, random_seed=seed)
            solver.add(*assumed, z3.Not(goal))
            result, _ = answer(solver, rlimit)
            if result == z3.unsat:
                break
        return result


def _problems(
    model: str, size: Size, action: str, subject: str, not_assumed: str, without: str
) -> Iterator[Problem]:
    for alone in (False, True) if action == FIRST and not size.changes else (False,):
        cluster = AnyMembers() if size.changes else AnyCluster(alone)

        def made(path: AnyPath, cluster: AnyCluster = cluster) -> Any:
            u = anything(path, cluster, compacted=not size.whole)
            now: Any = path.number("now", 0 if action == FIRST else None)
            if action == FIRST:
                return now, _first(u)
            return now, u.node(now) if subject == SERVER else u.message(KINDS[subject])

        for path, (now, of) in paths(made, cluster.context, AnyPath):
            cluster.path = path
            coupling = Coupling(cluster, model, path, without)
            if action == FIRST:
                yield _at_first(coupling, of, now)
            else:
                yield _after(coupling, MODELS[model].actions[action], of, now, not_assumed)


def _first(u: Anything) -> Node:
    """A server before it is started for the first time: it has promised nothing."""
    me: Any = u.name(u.cluster.me)
    return Node(me, u.first_history(), u.clocks(), log=u.no_log(), promised_at=LONG_AGO)


def _at_first(coupling: Coupling, node: Node, now: Any) -> Problem:
    """Every clock shows the same at first, and what the model calls long ago is as long ago as LONG_AGO."""
    cluster: Any = coupling.cluster
    state = cluster.initial(coupling.model.fields)
    coupling.to_be_proved()
    known = [cluster.clock(cluster.me) == z3.ToReal(term_of(now))]
    if coupling.has("since_promise"):
        known.append(state["since_promise"](cluster.me) == z3.ToReal(term_of(now) - LONG_AGO))
    goals = _formulas(cluster, coupling.holds(state, node, now))
    return Problem(cluster, [*coupling.path.condition, *known], goals, {})


def _after(coupling: Coupling, action: Action, of: Any, now: Any, not_assumed: str) -> Problem:
    """A step of another server, or time that passes, after which the same is to hold."""
    cluster: Any = coupling.cluster
    state = cluster.state(coupling.model.fields)
    traced = trace_action(coupling.model, action)
    values = {p: cluster.constant(f"argument {p}", sort) for p, sort in action.params}
    naturals = (cluster.natural(values[p], sort) for p, sort in action.params)
    guards = [meaning(cluster, expr, state, values) for _, expr in traced.guards]
    before = [fact for fact in _before(coupling, state, of, now) if fact[0] != not_assumed]
    assumed = [*coupling.path.condition, *(n for n in naturals if n is not None), *guards]
    assumed += [cluster.truth(fact) for _, fact in before]
    if action.name == TIME:
        hour = z3.Int("how far its clock goes", cluster.context)
        assumed += [values["advance"](cluster.me) == z3.ToReal(hour), hour >= 0]
        now = Number(coupling.path, term_of(now) + hour)
        cluster.advance = values["advance"]
    elif isinstance(of, Node):
        actor, *_ = values.values()
        assumed.append(actor != cluster.me)
    later = after(cluster, traced.updates, state, values)
    coupling.to_be_proved()
    goals = _formulas(cluster, _said(coupling, later, of, now))
    cluster.advance = None
    return Problem(cluster, assumed, goals, _proved(coupling, state), HINTS.get(action.name, ()))


def _before(coupling: Coupling, state: SymbolicState, of: Any, now: Any) -> list[Fact]:
    if isinstance(of, Node):
        return coupling.premise(state, of, now, None)
    coupling.cluster.is_given = True
    return _said(coupling, state, of, now)


def _said(coupling: Coupling, state: SymbolicState, of: Any, now: Any) -> list[Fact]:
    if isinstance(of, Node):
        return coupling.holds(state, of, now)
    cluster: Any = coupling.cluster
    return coupling.licensed(state, of, cluster.name(coupling.path, cluster.me))


def _formulas(cluster: AnyCluster, facts: list[Fact]) -> list[Fact]:
    return [(name, cluster.truth(fact)) for name, fact in facts]


def _proved(coupling: Coupling, state: SymbolicState) -> dict[str, Any]:
    """What the model proves of every state, that numbers are natural, and what `handlers` proves of any
    leader: it has told what it has committed."""
    cluster: Any = coupling.cluster
    model = coupling.model
    known: dict[str, Any] = {}
    for properties in (model.axioms, model.invariants, model.theorems):
        for name, prop in properties.items():
            try:
                known[name] = cluster.closed(trace_property(model, prop), state)
            except Inexpressible:
                continue  # assuming less is sound
    for name, f in model.fields.items():
        if f.kind == "parameter" or is_number(base(f.of)) or is_time(f.of):
            known[f"natural {name}"] = cluster.field_is_natural(f, state)
    if coupling.has("leader_commit"):
        leader = coupling.value(model.fields["role"].of, "leader")

        def has_told(v: Any) -> Any:
            told = state["leader_commit"](state["term"](v)) == state["commit_index"](v)
            return z3.Implies(state["role"](v) == leader, told)

        known["the acting leader"] = cluster.each(has_told)
    return known


def everything() -> Iterator[tuple[str, str]]:
    """Each coupling, with its model's first state and each of its actions."""
    return ((coupling, action) for coupling in COUPLINGS for action in actions(coupling))
