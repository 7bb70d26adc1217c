"""The reference behind the adapter with all that it can show: its log, its clients, its lease, its clocks."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

from oneleader.conformance.adapter import MODELS, PRE_CANDIDATE, Observed, ReferenceAdapter, Report
from oneleader_raft.core import RAFT, Core
from oneleader_raft.lease import Clocks
from oneleader_raft.raft import NOOP, ReadReady
from oneleader_raft.testbench.cluster import Cluster

CLOCKS = Clocks(promise=150, slow=9, fast=10)


class WholeReference(ReferenceAdapter):
    """It reports no action: what it does is inferred."""

    rates = (CLOCKS.slow, CLOCKS.fast)
    promise, lease = CLOCKS.promise, CLOCKS.lease
    models = MODELS

    def __init__(self, nodes: Sequence[str], core: Core = RAFT) -> None:
        super().__init__(nodes, core)
        self.cluster = Cluster(nodes, core, clocks=CLOCKS, traced=False)
        self.applied = dict.fromkeys(nodes, 0)
        self.read_now: list[Hashable] = []

    def propose(self, node: str, value: str) -> Report:
        self.cluster.propose(node, value, finish=False)
        return self._carry_out(node, 0)

    def read(self, node: str) -> Report:
        self.cluster.read(node, "a read", finish=False)
        return self._carry_out(node, 0)

    def transfer(self, node: str, to: str) -> Report:
        self.cluster.transfer(node, to, finish=False)
        return self._carry_out(node, 0)

    def restart(self, node: str) -> Report:
        self.applied[node] = 0
        return super().restart(node)

    def observe(self, node: str) -> Observed:
        seen = replace(super().observe(node), clock=self.cluster.clock(node))
        if seen.role is None:
            return replace(seen, log=entries(self.cluster.disk(node).synced.log))
        now = self.cluster.node(node)
        seen = replace(seen, role=PRE_CANDIDATE) if now.pre_votes else seen
        progress = now.leadership.progress if seen.role == "leader" else {}
        return replace(
            seen,
            votes=now.votes if seen.role == "candidate" else None,
            log=entries(now.log),
            commit=now.commit_index,
            match={peer: known.match_index for peer, known in progress.items()},
            lease=self.cluster.is_leader(node),
        )

    def done(self, node: str, operation: Any) -> None:
        if isinstance(operation, ReadReady):
            now = self.cluster.node(node)
            values = [e.command for e in now.log[: now.commit_index] if e.command != NOOP]
            self.read_now.append(values[-1] if values else None)

    def _carry_out(self, node: str, begun: int) -> Report:
        report, result = super()._carry_out(node, 0), tuple(self.read_now)
        self.read_now.clear()
        if not self.cluster.is_up(node):
            return replace(report, actions=None)
        now = self.cluster.node(node)
        new = list(enumerate(now.log[: now.commit_index], 1))[self.applied[node] :]
        self.applied[node] = max(self.applied[node], now.commit_index)
        given = [(index, entry.command) for index, entry in new]
        is_leader = now.role.value == "leader"
        answered = [e.command for _, e in new if is_leader and e.term == now.current_term]
        return replace(report, actions=None, applied=given, answered=answered, read=result)


def entries(log: Sequence[Any]) -> tuple[tuple[int, Hashable], ...]:
    return tuple((entry.term, entry.command) for entry in log)
