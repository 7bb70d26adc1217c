"""alive: each sequence of actions that a handler reports, and whether any state at all leads there.

A proof about a path that no state takes says nothing. So for each sequence there is to be a path on which Z3
finds a server, a message and a state of each model before the step; or Z3 shows that none is there.
"""

from __future__ import annotations

from typing import TypeAlias

import z3

from oneleader.conformance.handlers.clusters import AnyOrNamed
from oneleader.conformance.handlers.handlers import PathProof, runs
from oneleader.conformance.handlers.paths import CodePath
from oneleader.conformance.handlers.running import Ran, Size
from oneleader.conformance.handlers.servers import Scope
from oneleader.conformance.handlers.symbolic import members_of
from oneleader.readers.prove.smt import answer
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict
from oneleader_raft.raft import Send

Actions: TypeAlias = tuple[str, ...]
RLIMIT = 5_000_000


def alive(handler: str, scope: Scope | Size) -> dict[Actions, Verdict]:
    """Of each sequence of actions: some state leads there (HOLDS), none does (VIOLATED), or Z3 cannot tell.
    What is raised is no sequence: no state leads there, as `handlers` proves."""
    found: dict[Actions, set[Verdict]] = {}
    for path, ran, cluster in runs(handler, scope):
        known = found.setdefault(actions_of(ran), set()) if ran.step else {HOLDS}
        if HOLDS not in known:
            known.add(_leads_there(cluster, path, ran, scope.models))
    return {
        taken: next(verdict for verdict in (HOLDS, INCONCLUSIVE, VIOLATED) if verdict in known)
        for taken, known in found.items()
    }


def actions_of(ran: Ran) -> Actions:
    """What the step reports, and then what it sends does."""
    assert ran.step is not None
    sent = (e.action for e in members_of(ran.step.effects) if isinstance(e, Send) and e.action)
    return tuple(a.name for a in (*ran.step.actions, *sent))


def _leads_there(cluster: AnyOrNamed, path: CodePath, ran: Ran, models: tuple[str, ...]) -> Verdict:
    """A state of each model does; or there is a model of which none does."""
    unknown = False
    for model in models:
        solver = z3.SimpleSolver(ctx=cluster.context)
        solver.add(*PathProof(cluster, model, path, ran).assumed)
        result, _ = answer(solver, RLIMIT)
        if result == z3.unsat:
            return VIOLATED
        unknown |= result == z3.unknown
    return INCONCLUSIVE if unknown else HOLDS
