"""Correct Rafts with unusual ways: what they send waits, or goes together; terms are each server's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from oneleader.conformance.adapter import Observed, Report, Sent
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


class Learns(SmallRaft):
    """The last server of the cluster is a learner: it stores entries, and neither votes nor counts."""

    @property
    def voters(self) -> list[str]:
        return list(self.nodes[:-1])

    @property
    def members(self) -> frozenset[str]:
        return frozenset(self.voters)

    @property
    def quorum(self) -> int:
        return len(self.voters) // 2 + 1

    def timeout(self) -> None:
        if self.name in self.voters:
            super().timeout()

    def on_ask(self, m: Message) -> None:
        if self.name in self.voters:
            super().on_ask(m)

    def advance(self) -> None:
        counted = sorted(
            (len(self.log), *(self.match[n] for n in self.voters if n != self.name)), reverse=True
        )
        stored = counted[self.quorum - 1]
        if stored > self.commit and self.may_commit(stored):
            self.commit = stored
            self.apply()


class OneAtATime(SmallRaft):
    """It sends one entry a message, and the next one when that is stored."""

    def send_entries(self, to: str) -> None:
        super().send_entries(to)
        self.out[-1]["entries"] = self.out[-1]["entries"][:1]

    def on_stored(self, m: Message) -> None:
        super().on_stored(m)
        if self.role == "leader" and self.next[m["from"]] <= len(self.log):
            self.send_entries(m["from"])


class Pipelines(SmallRaft):
    """It takes what it sends for stored, and sends on; what is refused it sends again from there."""

    def send_entries(self, to: str) -> None:
        super().send_entries(to)
        self.next[to] = len(self.log) + 1

    def on_stored(self, m: Message) -> None:
        if self.role == "leader":
            sent = self.next[m["from"]]
            super().on_stored(m)
            self.next[m["from"]] = max(sent, self.next[m["from"]])


class CommitsLate(SmallRaft):
    """It looks for what is committed when its heartbeat timer rings, as group commits do."""

    def advance(self) -> None:
        pass

    def heartbeat(self) -> None:
        if self.role == "leader":
            super().advance()
        super().heartbeat()


class Closed(SmallAdapter):
    """It shows terms, votes and roles, and no log."""

    def observe(self, node: str) -> Observed:
        seen = super().observe(node)
        return Observed(seen.term, seen.voted_for, seen.role)


class ShowsLittle(SmallAdapter):
    """It shows its log and not what is committed; and nothing while it is down."""

    def observe(self, node: str) -> Observed | None:  # type: ignore[override]
        seen = super().observe(node)
        return replace(seen, commit=None, match=None, members=None) if node in self.up else None
