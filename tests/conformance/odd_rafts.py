"""Correct Rafts with unusual ways: what they send waits, or goes together; terms are each server's own."""

from __future__ import annotations

from collections.abc import Sequence

from oneleader.conformance.adapter import Report, Sent
from tests.conformance.small_raft import Message, SmallAdapter, SmallRaft


class OwnTerms(SmallRaft):
    """Each server stands in terms of its own, and skips the others'."""

    def timeout(self) -> None:
        if self.role != "leader":
            term = self.term + 1
            while term % len(self.nodes) != self.nodes.index(self.name):
                term += 1
            self.disk["term"] = term - 1
            super().timeout()


class AnswersLate(SmallAdapter):
    """What it has to answer leaves when a timer rings; in a crash it is lost."""

    def __init__(self, nodes: Sequence[str]) -> None:
        super().__init__(nodes)
        self.held: dict[str, list[Sent]] = {node: [] for node in nodes}

    def receive(self, node: str, message: Message, sender: str = "") -> Report:
        report = super().receive(node, message, sender)
        self.held[node] += report.sent
        return Report([], applied=report.applied, answered=report.answered, read=report.read)

    def released(self, node: str, report: Report) -> Report:
        held, self.held[node] = self.held[node], []
        sent = [*held, *report.sent]
        return Report(sent, applied=report.applied, answered=report.answered, read=report.read)

    def timeout(self, node: str) -> Report:
        return self.released(node, super().timeout(node))

    def heartbeat(self, node: str) -> Report:
        return self.released(node, super().heartbeat(node))

    def crash(self, node: str) -> Report:
        self.held[node] = []
        return super().crash(node)


class Batches(SmallAdapter):
    """Up to three messages to a server wait for each other, and travel as one."""

    def __init__(self, nodes: Sequence[str]) -> None:
        super().__init__(nodes)
        self.received = 0

    def report(self, node: str) -> Report:
        report = super().report(node)
        together: dict[str, list[Message]] = {}
        for sent in report.sent:
            together.setdefault(sent.to, []).append(sent.message)
        sent_so = [Sent(to, messages) for to, messages in together.items()]
        return Report(sent_so, applied=report.applied, answered=report.answered, read=report.read)

    def receive(self, node: str, message: list[Message], sender: str = "") -> Report:  # type: ignore[override]
        for one in message:
            self.up[node].receive(one)
        self.received += 1
        return self.report(node) if self.received % 3 == 0 else Report()

    def describe(self, message: list[Message]) -> str:  # type: ignore[override]
        return " and ".join(super(Batches, self).describe(one) for one in message)
