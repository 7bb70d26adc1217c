"""Correct Rafts with unusual ways: what they send waits, or goes together; terms are each server's own."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

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


class Truncates(SmallRaft):
    """Its log ends with what it was sent. In order, on one link, nothing older comes later."""

    def store(self, prev: int, entries: Sequence[tuple[int, Hashable]]) -> None:
        self.log[prev:] = entries


class NoOps(SmallRaft):
    """A leader begins with an entry that no client has asked for."""

    def count_votes(self) -> None:
        before = self.role
        super().count_votes()
        if (before, self.role) == ("candidate", "leader"):
            self.log.append((self.term, ""))
            self.heartbeat()
            self.advance()

    def finish_reads(self) -> None:
        super().finish_reads()
        values = [value for _, value in self.log[: self.commit] if value]
        self.results = [values[-1] if values else None for _ in self.results]


class Forwards(SmallRaft):
    """A follower sends what it is asked for to the leader that it knows, and tells the client."""

    leader, mine = "", frozenset[Hashable]()

    def on_entries(self, m: Message) -> None:
        self.leader = m["from"]
        super().on_entries(m)

    def propose(self, value: str) -> None:
        self.mine |= {value}
        if self.role != "leader" and self.leader:
            self.say(self.leader, "forwarded", value=value)
        super().propose(value)

    def receive(self, m: Message) -> None:
        if m["kind"] == "forwarded":  # of any term
            super().propose(m["value"])
        else:
            super().receive(m)

    def apply(self) -> None:
        before = self.applied
        super().apply()
        self.answered = [value for _, value in self.log[before : self.applied] if value in self.mine]


class StoresBeside(SmallRaft):
    """A leader stores its own entries while it sends them, and does not count itself until then (10.2.1)."""

    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        self.memory = list(disk["log"])

    @property
    def log(self) -> list[tuple[int, Hashable]]:
        return self.memory

    def sync(self) -> None:
        self.disk["log"] = list(self.memory)

    def receive(self, m: Message) -> None:
        super().receive(m)
        if self.role != "leader":
            self.sync()

    def heartbeat(self) -> None:
        self.sync()
        super().heartbeat()
        if self.role == "leader":
            self.advance()

    def propose(self, value: str) -> None:
        if self.role == "leader":
            self.log.append((self.term, value))
            for other in self.others:
                self.send_entries(other)
            self.advance()

    def advance(self) -> None:
        counted = sorted([len(self.disk["log"]), *self.match.values()], reverse=True)
        stored = counted[self.quorum - 1]
        if stored > self.commit and self.may_commit(stored):
            self.commit = stored
            self.apply()


class Sticky(SmallRaft):
    """Pre-votes, and a leader that looks whether a quorum hears it (dissertation 6.2 and 9.6)."""

    hears_a_leader = False

    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        self.heard = set[str]()

    def timeout(self) -> None:
        self.hears_a_leader = False
        if self.role == "leader":
            if len(self.heard | {self.name}) < self.quorum:
                self.role, self.reads = "follower", []
            self.heard = set()
            return
        self.role, self.votes = "pre-candidate", {self.name}
        last = self.log[-1][0] if self.log else 0
        for other in self.others:
            self.say(other, "may_i", last=len(self.log), last_term=last, would_be=self.term + 1)
        self.count_votes()

    def count_votes(self) -> None:
        if self.role == "candidate":
            before = self.role
            super().count_votes()
            self.heard = set() if before != self.role else self.heard
        elif len(self.votes) >= self.quorum:
            super().timeout()

    def receive(self, m: Message) -> None:
        if m["kind"] == "may_i":
            is_free = not self.hears_a_leader and self.role != "leader"
            if is_free and m["would_be"] > self.term and self.is_up_to_date(m):
                self.say(m["from"], "you_may", would_be=m["would_be"])
            elif m["term"] < self.term:
                self.say(m["from"], "you_are_late")
        elif m["kind"] == "ask" and (self.hears_a_leader or self.role == "leader"):
            pass
        else:
            if self.role == "leader" and m["term"] == self.term:
                self.heard.add(m["from"])
            super().receive(m)

    def adopt(self, term: int) -> None:
        super().adopt(term)
        self.hears_a_leader = False

    def on_entries(self, m: Message) -> None:
        self.hears_a_leader = True
        super().on_entries(m)

    def on_you_may(self, m: Message) -> None:
        if self.role == "pre-candidate" and m["would_be"] == self.term + 1:
            self.votes.add(m["from"])
            self.count_votes()

    def on_you_are_late(self, m: Message) -> None:
        """It has adopted the term."""


class StoringBeside(SmallAdapter):
    """It shows what a server goes by, and of one that is down what is stored."""

    server = StoresBeside

    def observe(self, node: str) -> Observed:
        seen, up = super().observe(node), self.up.get(node)
        return replace(seen, log=tuple(up.log)) if up else seen
