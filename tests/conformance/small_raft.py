"""A small Raft of somebody's own, with a log, and faults that are put into it by overriding a method.

Written as a user would: dictionaries go in, dictionaries come out. What is stored is written at once.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

from oneleader.conformance.adapter import Adapter, Observed, Report, Sent
from oneleader.conformance.network import Network

Message = dict[str, Any]


class SmallRaft:
    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        self.name, self.nodes, self.disk = name, nodes, disk
        self.role, self.votes = "follower", set[str]()
        self.commit, self.applied = 0, 0
        self.next: dict[str, int] = {}
        self.match: dict[str, int] = {}
        self.out: list[Message] = []
        self.given: list[tuple[int, Hashable]] = []
        self.answered: list[Hashable] = []
        self.results: list[Hashable] = []
        self.reads: list[tuple[int, set[str]]] = []  # each a round, and who answered in it
        self.round = 0

    # What is stored

    @property
    def term(self) -> int:
        return int(self.disk["term"])

    @property
    def log(self) -> list[tuple[int, Hashable]]:
        log: list[tuple[int, Hashable]] = self.disk["log"]
        return log

    def adopt(self, term: int) -> None:
        self.disk.update(term=term, vote=None)
        self.role, self.reads = "follower", []

    # Steps

    def timeout(self) -> None:
        if self.role == "leader":
            return
        self.disk.update(term=self.term + 1, vote=self.name)
        self.role, self.votes = "candidate", {self.name}
        last = self.log[-1][0] if self.log else 0
        for other in self.others:
            self.say(other, "ask", last=len(self.log), last_term=last)
        self.count_votes()

    def heartbeat(self) -> None:
        if self.role == "leader":
            for other in self.others:
                self.send_entries(other)

    def propose(self, value: str) -> None:
        if self.role == "leader":
            self.log.append((self.term, value))
            self.heartbeat()
            self.advance()

    def read(self) -> None:
        if self.role == "leader" and self.may_read():
            self.round += 1
            self.reads.append((self.round, {self.name}))
            self.heartbeat()
            self.finish_reads()

    def may_read(self) -> bool:
        """Section 8: a leader knows what is committed once an entry of its term is."""
        return self.commit > 0 and self.log[self.commit - 1][0] == self.term

    def receive(self, m: Message) -> None:
        if m["term"] > self.term:
            self.adopt(m["term"])
        if m["term"] == self.term or not self.refuses_old(m):
            getattr(self, f"on_{m['kind']}")(m)

    def refuses_old(self, m: Message) -> bool:
        return True

    def on_ask(self, m: Message) -> None:
        if self.disk["vote"] in (None, m["from"]) and self.is_up_to_date(m):
            self.disk["vote"] = m["from"]
            self.say(m["from"], "yes")

    def is_up_to_date(self, m: Message) -> bool:
        mine = (self.log[-1][0] if self.log else 0, len(self.log))
        return bool((m["last_term"], m["last"]) >= mine)

    def on_yes(self, m: Message) -> None:
        if self.role == "candidate":
            self.votes.add(m["from"])
            self.count_votes()

    def count_votes(self) -> None:
        if len(self.votes) >= self.quorum:
            self.role = "leader"
            self.next = {other: len(self.log) + 1 for other in self.others}
            self.match = dict.fromkeys(self.others, 0)
            self.heartbeat()

    def send_entries(self, to: str) -> None:
        prev = self.next[to] - 1
        prev_term = self.log[prev - 1][0] if prev else 0
        entries = list(self.log[prev:])
        self.say(to, "entries", prev=prev, prev_term=prev_term, entries=entries, commit=self.commit)

    def on_entries(self, m: Message) -> None:
        self.role = "follower"
        prev = m["prev"]
        if self.lacks(prev, m["prev_term"]):
            self.say(m["from"], "no", match=min(prev - 1, len(self.log)), round=m["round"])
            return
        self.store(prev, m["entries"])
        last = prev + len(m["entries"])
        self.commit = max(self.commit, min(m["commit"], last))
        self.apply()
        self.say(m["from"], "stored", match=last, round=m["round"])

    def lacks(self, prev: int, prev_term: int) -> bool:
        return prev > len(self.log) or (prev > 0 and self.log[prev - 1][0] != prev_term)

    def store(self, prev: int, entries: Sequence[tuple[int, Hashable]]) -> None:
        for index, entry in enumerate(entries, prev):
            if index < len(self.log) and self.log[index][0] != entry[0]:
                del self.log[index:]
            if index == len(self.log):
                self.log.append(entry)

    def on_stored(self, m: Message) -> None:
        if self.role == "leader":
            self.match[m["from"]] = max(self.match[m["from"]], m["match"])
            self.next[m["from"]] = self.match[m["from"]] + 1
            self.note_round(m)
            self.advance()

    def on_no(self, m: Message) -> None:
        if self.role == "leader":
            self.next[m["from"]] = max(m["match"], self.match[m["from"]]) + 1
            self.note_round(m)

    def advance(self) -> None:
        counted = sorted([len(self.log), *self.match.values()], reverse=True)
        stored = counted[self.quorum - 1]
        if stored > self.commit and self.may_commit(stored):
            self.commit = stored
            self.apply()

    def may_commit(self, index: int) -> bool:
        return self.log[index - 1][0] == self.term  # section 5.4.2

    def apply(self) -> None:
        while self.applied < self.commit:
            value = self.log[self.applied][1]
            self.applied += 1
            self.given.append((self.applied, value))
            if self.role == "leader":
                self.answered.append(value)

    def note_round(self, m: Message) -> None:
        for number, heard in self.reads:
            if m["round"] >= number:
                heard.add(m["from"])
        self.finish_reads()

    def finish_reads(self) -> None:
        while self.reads and len(self.reads[0][1]) >= self.quorum:
            self.reads.pop(0)
            self.results.append(self.log[self.commit - 1][1])

    # Small things

    @property
    def others(self) -> list[str]:
        return [node for node in self.nodes if node != self.name]

    def known_match(self) -> dict[str, int]:
        return dict(self.match)

    @property
    def members(self) -> frozenset[str]:
        return frozenset(self.nodes)

    @property
    def quorum(self) -> int:
        return len(self.nodes) // 2 + 1

    def say(self, to: str, kind: str, **more: Any) -> None:
        common = {"kind": kind, "from": self.name, "to": to, "term": self.term, "round": self.round}
        self.out.append(common | more)


class SmallAdapter(Adapter):
    server: ClassVar[type[SmallRaft]] = SmallRaft
    network = Network.udp()

    def __init__(self, nodes: Sequence[str]) -> None:
        self.nodes = nodes
        self.disks: dict[str, dict[str, Any]] = {n: {"term": 0, "vote": None, "log": []} for n in nodes}
        self.up = {node: self.server(node, nodes, self.disks[node]) for node in nodes}

    def report(self, node: str) -> Report:
        s = self.up[node]
        out, s.out = s.out, []
        given, s.given = s.given, []
        answered, s.answered = s.answered, []
        results, s.results = s.results, []
        sent = [Sent(m["to"], m) for m in out]
        return Report(sent, applied=given, answered=answered, read=results)

    def timeout(self, node: str) -> Report:
        self.up[node].timeout()
        return self.report(node)

    def heartbeat(self, node: str) -> Report:
        self.up[node].heartbeat()
        return self.report(node)

    def propose(self, node: str, value: str) -> Report:
        self.up[node].propose(value)
        return self.report(node)

    def read(self, node: str) -> Report:
        self.up[node].read()
        return self.report(node)

    def receive(self, node: str, message: Message, sender: str = "") -> Report:
        assert sender == message["from"]
        self.up[node].receive(message)
        return self.report(node)

    def crash(self, node: str) -> Report:
        del self.up[node]
        return Report()

    def restart(self, node: str) -> Report:
        self.up[node] = self.server(node, self.nodes, self.disks[node])
        return Report()

    def observe(self, node: str) -> Observed:
        disk, server = self.disks[node], self.up.get(node)
        role, commit = (server.role, server.commit) if server else (None, None)
        match = server.known_match() if server and server.role == "leader" else None
        members = server.members if server else None
        log = tuple(disk["log"])
        return Observed(
            disk["term"], disk["vote"], role, log=log, commit=commit, members=members, match=match
        )

    def describe(self, message: Message) -> str:
        return f"{message['kind']} of term {message['term']}"
