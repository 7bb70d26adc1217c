"""The reference behind the adapter with all that it can show: its log, its clients, its lease, its clocks."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

from oneleader.conformance.adapter import (
    CANDIDATE,
    LEADER,
    MODELS,
    PRE_CANDIDATE,
    Observed,
    ReferenceAdapter,
    Report,
)
from oneleader_raft.configuration import Membership
from oneleader_raft.core import RAFT, Core
from oneleader_raft.lease import Clocks
from oneleader_raft.raft import Durable, Entry, Node, ReadReady
from oneleader_raft.state_machine import Put, Request
from oneleader_raft.testbench.cluster import Cluster

REGISTER = "the register"
CLOCKS = Clocks(promise=150, slow=9, fast=10)


class WholeReference(ReferenceAdapter):
    """It reports no action: what it does is inferred."""

    rates = (CLOCKS.slow, CLOCKS.fast)
    promise, lease = CLOCKS.promise, CLOCKS.lease
    models = MODELS

    def __init__(self, nodes: Sequence[str], core: Core = RAFT) -> None:
        super().__init__(nodes, core)
        self.cluster = Cluster(nodes, core, clocks=CLOCKS, traced=False)
        self.at_first = Membership(tuple(nodes))
        self.applied = dict.fromkeys(nodes, 0)
        self.shown: dict[str, tuple[Node | Durable, Observed]] = {}  # with the state that it shows
        self.read_now: list[Hashable] = []

    def timeout(self, node: str) -> Report:
        """Time passes by `elapse` alone: a timer that rings while a promise binds is let pass."""
        self.cluster.election_timeout(node, finish=False)
        return self._carry_out(node, 0)

    def propose(self, node: str, value: str) -> Report:
        self.cluster.propose(node, Request(value, 1, Put(REGISTER, value)), finish=False)
        return self._carry_out(node, 0)

    def retry(self, node: str, value: str) -> Report:
        """With the number of before: each value has a client of its own."""
        return self.propose(node, value)

    def read(self, node: str) -> Report:
        self.cluster.read(node, "a read", finish=False)
        return self._carry_out(node, 0)

    def transfer(self, node: str, to: str) -> Report:
        self.cluster.transfer(node, to, finish=False)
        return self._carry_out(node, 0)

    def compact(self, node: str) -> Report:
        self.cluster.compact(node, finish=False)
        return self._carry_out(node, 0)

    def change_members(self, node: str, members: Sequence[str]) -> Report:
        self.cluster.change_members(node, members, finish=False)
        return self._carry_out(node, 0)

    def restart(self, node: str) -> Report:
        self.applied[node] = 0
        return super().restart(node)

    def observe(self, node: str) -> Observed:
        """The same again while its state and its clock are: in most steps most servers rest."""
        cluster, clock = self.cluster, self.cluster.clock(node)
        state = cluster.node(node) if cluster.is_up(node) else cluster.disk(node).synced
        before = self.shown.get(node)
        if before is not None and before[0] is state and before[1].clock == clock:
            return before[1]
        seen = self._up(state, clock) if isinstance(state, Node) else self._down(state, clock)
        self.shown[node] = state, seen
        return seen

    def _down(self, stored: Durable, clock: int) -> Observed:
        members = self.stored_members(stored)
        return Observed(
            stored.current_term,
            stored.voted_for,
            None,
            log=entries(stored.log),
            first=stored.snapshot.index + 1,
            members=frozenset(members.members),
            joint=frozenset(members.old) or None,
            clock=clock,
        )

    def _up(self, now: Node, clock: int) -> Observed:
        role, members = now.role.value, now.configuration
        progress = now.leadership.progress if role == LEADER else {}
        return Observed(
            now.current_term,
            now.voted_for,
            PRE_CANDIDATE if now.pre_votes else role,
            votes=now.votes if role == CANDIDATE else None,
            log=entries(now.log),
            first=now.snapshot.index + 1,
            commit=now.commit_index,
            members=frozenset(members.members),
            joint=frozenset(members.old) or None,
            match={peer: known.match_index for peer, known in progress.items()},
            lease=self.cluster.is_leader(now.id),
            clock=clock,
        )

    def stored_members(self, stored: Durable) -> Membership:
        """What a server will find when it comes back."""
        known = [entry.command for entry in stored.log if isinstance(entry.command, Membership)]
        before = stored.snapshot.in_effect.configuration if stored.snapshot.index else self.at_first
        return [before, *known][-1]

    def done(self, node: str, operation: Any) -> None:
        if isinstance(operation, ReadReady):
            self.read_now.append(self.cluster.machine(node).values.get(REGISTER))

    def _carry_out(self, node: str, begun: int) -> Report:
        report, result = super()._carry_out(node, 0), tuple(self.read_now)
        self.read_now.clear()
        if not self.cluster.is_up(node):
            return replace(report, actions=None)
        new = self._newly_applied(self.cluster.node(node))
        leads, term = self.cluster.node(node).role.value == "leader", self.cluster.node(node).current_term
        given = [(index, value_of(entry.command)) for index, entry in new]
        answered = [value_of(e.command) for _, e in new if leads and e.term == term]
        return replace(report, actions=None, applied=given, answered=answered, read=result)

    def _newly_applied(self, now: Node) -> list[tuple[int, Entry]]:
        begun = max(self.applied[now.id], now.snapshot.index)
        self.applied[now.id] = max(begun, now.commit_index)
        return [(i, e) for i, e in enumerate(now.after(begun), begun + 1) if i <= now.commit_index]


def value_of(command: Hashable) -> Hashable:
    """What a client has asked for; members, or the entry of a new leader, as they are."""
    if isinstance(command, Request) and isinstance(command.command, Put):
        return command.command.value
    return command


def entries(log: Sequence[Any]) -> tuple[tuple[int, Hashable], ...]:
    return tuple((entry.term, value_of(entry.command)) for entry in log)
