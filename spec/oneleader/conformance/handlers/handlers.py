"""Every handler of the reference, along every path, takes steps that the models allow.

A handler is run on a server of which only the shape is known (`servers`): its log, terms, indices, clocks,
commands and votes are terms for Z3 (`paths`, `symbolic`). For each path and each model it is then proved,
from the coupling before (`coupling`), that

- the guards of the actions that the step reports hold, one after the other,
- what they lead to is, for this server, what the handler returned,
- every message that it sends is licensed, and what it knows of the others is true,
- the server is well-formed, what has to be stored is stored first, and it answers by its lease only with one.

So this is a proof of refinement: for any number of servers, logs and pending reads (a `Size`), or within a
`Scope` of named servers and logs of so many entries. The second kind is the cross-check: it runs steps whole
and the core's loops themselves, where the first runs the parts of a step one by one (`running.PARTS`) and the
contracts of loops (`loops`), and it shows a failure in numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import z3

from oneleader.conformance.handlers.changing import Changing, ChangingPath, UnknownMembers
from oneleader.conformance.handlers.clusters import AnyCluster, AnyOrNamed, Fact
from oneleader.conformance.handlers.coupling import Coupling
from oneleader.conformance.handlers.members import AnyMembers, anything
from oneleader.conformance.handlers.named import Named
from oneleader.conformance.handlers.paths import CodePath, paths_from, term_of
from oneleader.conformance.handlers.running import Ran, Size, Start, begin, reads_answered, run
from oneleader.conformance.handlers.servers import Scope, Unknown
from oneleader.conformance.handlers.symbolic import (
    AnyPath,
    members_of,
)
from oneleader.errors import Inexpressible
from oneleader.readers.prove.algebra import SymbolicState
from oneleader.readers.prove.smt import answer
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict, gravest
from oneleader_raft.core import RAFT, Core
from oneleader_raft.messages import sender
from oneleader_raft.raft import (
    Message,
    Node,
    NodeId,
    PendingRead,
    ReadReady,
    Receive,
    Send,
)
from oneleader_raft.views import FIXED_MEMBERS

RLIMIT = 20_000_000
OF_LOGS = {
    "replication": "commit_index_is_committed",
    "snapshots": "snapshot_is_committed",
    "membership": "commit_index_is_known",
}


@dataclass(frozen=True)
class Handled:
    """What is known of one handler within a scope; `failing` names a goal that was not proved.

    `seconds` are of processor time, here and in `Met` and `Kept`.
    """

    handler: str
    scope: Scope | Size
    paths: int
    goals: int
    verdict: Verdict
    failing: str = ""
    seconds: float = 0.0


def prove_handler(
    handler: str,
    scope: Scope | Size,
    core: Core = RAFT,
    modules: tuple[ModuleType, ...] = (),
    models: tuple[str, ...] = (),
) -> Handled:
    """Prove one handler, along every path, against every model, or these. Stops at the first goal that
    fails."""
    started, count, goals = time.process_time(), 0, 0

    def handled(verdict: Verdict, failing: str = "") -> Handled:
        seconds = time.process_time() - started
        return Handled(handler, scope, count, goals, verdict, failing, seconds)

    try:
        for path, ran, cluster in runs(handler, scope, core, modules):
            count += 1
            if ran.does_nothing:
                continue
            verdict, failing, tried = prove_path(cluster, path, ran, models or scope.models)
            goals += tried
            if verdict is not HOLDS:
                return handled(verdict, failing)
    except Inexpressible as error:
        return handled(INCONCLUSIVE, str(error))
    if not goals:
        return handled(INCONCLUSIVE, "no path does anything within these bounds, so nothing was asked")
    return handled(HOLDS)


def runs(
    handler: str, scope: Scope | Size, core: Core = RAFT, modules: tuple[ModuleType, ...] = ()
) -> Iterator[tuple[CodePath, Ran, AnyOrNamed]]:
    """The handler, run along every path."""
    if isinstance(scope, Scope):
        yield from _of_named(handler, scope, core)
        return
    cluster = AnyMembers() if scope.changes else AnyCluster(scope.alone)
    for any_path, ran in paths_from(
        lambda path: begin(anything(path, cluster, not scope.whole), handler, modules),
        lambda start: run(start, handler, core, modules),
        cluster.context,
        AnyPath,
    ):
        cluster.path = any_path
        yield any_path, ran, cluster


def _of_named(handler: str, scope: Scope, core: Core) -> Iterator[tuple[CodePath, Ran, AnyOrNamed]]:
    names = tuple(f"n{i + 1}" for i in range(scope.nodes))
    named = Changing(names) if scope.changes else Named(names)
    kind, made = (ChangingPath, UnknownMembers) if scope.changes else (CodePath, Unknown)

    for path, ran in paths_from(
        lambda path: begin(made(path, named, scope), handler),
        lambda start: run(start, handler, core),
        named.context,
        kind,
    ):
        yield path, ran, named


def prove_path(
    cluster: AnyOrNamed, path: CodePath, ran: Ran, models: tuple[str, ...] = FIXED_MEMBERS
) -> tuple[Verdict, str, int]:
    """The verdict of all models on a path, what fails, and how many goals were tried. What is raised has to
    be out of reach by one of the models; all other goals are proved in each."""
    found: list[tuple[Verdict, str]] = []
    goals = 0
    for model in models:
        proof = PathProof(cluster, model, path, ran)
        if proof.is_over:
            continue
        goals += len(proof.goals)
        verdict, failing = proof.attempt()
        if ran.raised and verdict is HOLDS:
            return HOLDS, "", goals
        if verdict is not HOLDS:
            found.append((verdict, f"{model}: {failing}"))
            if not ran.raised:
                break
    if not found:
        return HOLDS, "", goals
    verdict = gravest([verdict for verdict, _ in found])
    return verdict, next(failing for v, failing in reversed(found) if v is verdict), goals


class PathProof:
    """One path and one model: what is assumed, and what has to follow; `without` a fact of the coupling."""

    def __init__(self, cluster: AnyOrNamed, model: str, path: CodePath, ran: Ran, without: str = "") -> None:
        self.cluster, self.path, self.ran = cluster, path, ran
        self.coupling = Coupling(cluster, model, path, without)
        state = cluster.state(self.coupling.model.fields)
        self.before, self.premise = self._facts_before(state, f"{model} without {without}")
        taken = ran.step.actions if ran.step else ()
        self.is_over = not self.coupling.view.ends.isdisjoint(a.name for a in taken)
        self.goals: list[Fact] = [] if self.is_over else list(self._goals(state))
        self.goals += self.coupling.obliged
        self.also_known = list(self.coupling.known)
        if isinstance(cluster, Changing):
            self.also_known += cluster.counted(path, state)

    def _facts_before(self, state: SymbolicState, said: str) -> tuple[list[Fact], Any]:
        """One by one, and as one formula; written down once for all paths that begin alike, but where
        configurations get their numbers on the way."""
        premises = self.ran.start.premises
        if said in premises and not isinstance(self.cluster, Changing):
            self.coupling.to_be_proved()
        else:
            facts = self._premise(state, self.ran.start)
            assert (self.coupling.known, self.coupling.obliged) == ([], [])  # these are a path's own
            premises[said] = facts, z3.And(*(fact for _, fact in facts), self.cluster.context)
        return premises[said]

    def _premise(self, state: SymbolicState, start: Start) -> list[Fact]:
        coupling, event = self.coupling, start.event
        message = event.message if isinstance(event, Receive) else None
        facts = coupling.premise(state, start.before, start.now, message)
        for name in coupling.model.parameters:
            value = getattr(start.before.clocks, name)
            facts.append((name, state[name]() == z3.ToReal(term_of(value))))
        return [(name, self.formula(fact)) for name, fact in facts]

    def _goals(self, state: SymbolicState) -> Iterator[Fact]:
        ran, coupling = self.ran, self.coupling
        if ran.step is None:
            yield ran.raised, False
            return
        guards, state = coupling.take(state, ran.step.actions)
        yield from guards
        if coupling.name in OF_LOGS:  # it knows most of this; its invariants hold after the step too
            known = coupling.invariant(OF_LOGS[coupling.name], state, n=self.cluster.node(ran.before.id))
            yield from ((name, z3.Implies(known, self.formula(fact))) for name, fact in ran.plain)
        sent: list[tuple[Message, NodeId]] = []
        for send in members_of(ran.step.effects):
            if isinstance(send, Send):
                guards, state = coupling.take(state, (send.action,) if send.action else ())
                yield from guards
                sent.append((send.message, send.to))
        for message, to in sent:
            me = self.cluster.node(ran.before.id)
            yield "to another", self.cluster.node(to) != me
            yield "from itself", self.cluster.node(sender(message)) == me
            yield from coupling.licensed(state, message, to)
        yield from coupling.holds(state, ran.step.node, ran.start.now)
        if coupling.name == "lease":
            yield from self._acts(state)

    def _acts(self, state: SymbolicState) -> Iterator[Fact]:
        """Who acts as the leader has a lease; so has who answers a read, or a majority confirmed it."""
        ran, coupling = self.ran, self.coupling
        assert ran.step is not None
        node = ran.step.node
        if ran.acts_as_leader:
            yield "is_leader", coupling.has_a_lease(state, node)
        reads = reads_answered(self.cluster, ran.before, ran.start.event)
        integer = self.cluster.integer
        for effect in members_of(ran.step.effects):
            if isinstance(effect, ReadReady):
                read = reads[effect.id]
                yield "read: index", integer(read.index) <= integer(node.commit_index)
                confirmed = self._confirmed(state, node, read)
                yield "read: leads", z3.Or(confirmed, coupling.has_a_lease(state, node))
        for kept in members_of(node.leadership.reads):
            if kept.id in reads:
                read = reads[kept.id]
                yield "read: kept", integer(read.index) <= integer(kept.index)
                yield "read: kept", integer(read.round) <= integer(kept.round)

    def _confirmed(self, state: SymbolicState, node: Node, read: PendingRead) -> Any:
        """A majority has acknowledged a round that began after the read."""
        integer = self.cluster.integer

        def all_have(q: Any) -> Any:
            def has(v: Any, progress: Any) -> Any:
                is_member = state["member"](v, q)
                return z3.Implies(is_member, integer(read.round) <= integer(progress.acknowledged.number))

            return self.cluster.both(*self.cluster.every_follower(node, has))

        return self.cluster.some_quorum(node, all_have)

    @property
    def assumed(self) -> list[Any]:
        return [*self.path.condition, *(fact for _, fact in self.before), *self.also_known]

    def formula(self, fact: Any) -> Any:
        made = term_of(fact)
        return z3.BoolVal(made, self.cluster.context) if isinstance(made, bool) else made

    def open_goals(self) -> list[Fact]:
        """Those that are not plain."""
        known = {fact.get_id() for fact in self.assumed}
        goals = [(name, self.formula(goal)) for name, goal in self.goals]
        return [(name, goal) for name, goal in goals if goal.get_id() not in known and not z3.is_true(goal)]

    def attempt(self) -> tuple[Verdict, str]:
        """The verdict, and which goal is not proved."""
        goals = self.open_goals()
        if not goals:
            return HOLDS, ""
        return (self._of_any_size if isinstance(self.cluster, AnyCluster) else self._of_named)(goals)

    def _solver(self, goal: Any, **options: Any) -> z3.Solver:
        solver = z3.SimpleSolver(ctx=self.cluster.context)
        solver.set(**options)
        solver.add(self.premise, self.path.conjunction(), *self.also_known, z3.Not(goal))
        return solver

    def _of_named(self, goals: list[Fact]) -> tuple[Verdict, str]:
        solver = self._solver(z3.And(*(goal for _, goal in goals), self.cluster.context))
        result, _ = answer(solver, RLIMIT)
        if result == z3.unsat:
            return HOLDS, ""
        if result == z3.unknown:
            return INCONCLUSIVE, f"Z3 could not tell, on the path of {self.ran.start.event}"
        found = solver.model()
        broken = [name for name, goal in goals if z3.is_false(found.eval(goal, model_completion=True))]
        return VIOLATED, broken[0] if broken else "one of its goals"

    def _of_any_size(self, goals: list[Fact]) -> tuple[Verdict, str]:
        """All at once, then one by one; by patterns alone, then with models as well."""
        together = z3.And(*(goal for _, goal in goals), self.cluster.context)
        if self.result(together, RLIMIT // 8) == z3.unsat:
            return HOLDS, ""
        unknown = ""
        for name, goal in goals:
            result = self.result(goal, RLIMIT // 4)
            if result == z3.sat:
                return VIOLATED, name
            unknown = unknown or (name if result == z3.unknown else "")
        return (INCONCLUSIVE, f"{unknown}: Z3 could not tell") if unknown else (HOLDS, "")

    def result(self, goal: Any, rlimit: int) -> Any:
        for mbqi in (False, True):
            result, _ = answer(self._solver(goal, mbqi=mbqi), rlimit)
            if result == z3.unsat or (mbqi and result == z3.sat):
                break
        return result
