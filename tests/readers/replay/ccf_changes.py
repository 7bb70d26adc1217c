"""A service of CCF that changes its configuration, drawn from a seed: elections and logs as in `raft.h`, in
the lines of its logger. Every entry is signed, so every entry may be committed. With a fault, a leader drops
the configuration before, or counts itself alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.readers.replay.ccf_written import Line, line

Entry = tuple[int, frozenset[str] | None]  # its term, and the configuration that it brings
FAULTS = ("", "drops the configuration before", "commits alone")


@dataclass
class Replica:
    """What a node holds; indices are from 1 on."""

    term: int = 0
    role: str = "None"
    vote: str = ""
    commit: int = 0
    log: list[Entry] = field(default_factory=list)
    votes: set[str] = field(default_factory=set)
    stored: dict[str, int] = field(default_factory=dict)

    def active(self) -> dict[int, frozenset[str]]:
        """By their indices: the last one that is committed, and those behind it."""
        brought = {i: conf for i, (_, conf) in enumerate(self.log, 1) if conf}
        least = max((i for i in brought if i <= self.commit), default=min(brought, default=0))
        return {i: conf for i, conf in brought.items() if i >= least}

    def is_quorum(self, some: set[str]) -> bool:
        return all(2 * len(some & conf) > len(conf) for conf in self.active().values())

    def last(self) -> tuple[int, int]:
        return (self.log[-1][0] if self.log else 0), len(self.log)


class ChangingService:
    """Messages are lost and come out of order. `lines` is what the nodes write."""

    def __init__(self, seed: int, fault: str = "") -> None:
        self.draw, self.fault, self.lines = Random(seed), fault, list[Line]()
        self.nodes = {str(i): Replica() for i in range(5)}
        self.waiting: list[tuple[Any, ...]] = []
        first = self.nodes["0"]
        first.term, first.role, first.log, first.commit = 2, "Leader", [(2, frozenset("0")), (2, None)], 2
        self.write("bootstrap", "0", configurations=[self.conf(1, frozenset("0"))])

    def conf(self, index: int, nodes: frozenset[str]) -> Line:
        return {"idx": index, "nodes": {n: {} for n in sorted(nodes)}, "rid": index}

    def write(self, function: str, n: str, **also: Any) -> None:
        at = self.nodes[n]
        if function.startswith(("become", "commit")):
            also = {"configurations": [self.conf(i, c) for i, c in at.active().items()]} | also
        found = line(function, n, at.term, at.role, **also)
        found["msg"]["state"]["last_idx"] = len(at.log)
        self.lines.append(found)

    def run(self, steps: int) -> list[Line]:
        for _ in range(steps):
            n, choice = self.draw.choice(list(self.nodes)), self.draw.random()
            at = self.nodes[n]
            if at.role == "Leader" and choice < 0.5:
                self.lead(n, at)
            elif choice < 0.06 and any(n in conf for conf in at.active().values()):
                self.stand(n, at)
            elif self.waiting:
                message = self.waiting.pop(self.draw.randrange(min(4, len(self.waiting))))
                if self.draw.random() < 0.95:
                    getattr(self, f"on_{message[0]}")(*message[1:])
        return self.lines

    # -- leaders ---------------------------------------------------------------------------------------
    def lead(self, n: str, at: Replica) -> None:
        if self.draw.random() < 0.3:
            conf = None
            if self.draw.random() < 0.4:
                conf = frozenset(self.draw.sample(list(self.nodes), self.draw.randrange(1, 5)))
                new = self.conf(len(at.log) + 1, conf)
                before = [self.conf(i, c) for i, c in at.active().items()]
                self.write("add_configuration", n, configurations=before, args={"configuration": new})
            at.log.append((at.term, conf))
            self.write("replicate", n)
            self.commit(n, at)
        for to in sorted(frozenset().union(*at.active().values()) - {n}):
            known = at.stored.get(to, 0)
            packet = {"msg": "raft_append_entries", "term": at.term, "idx": len(at.log), "prev_idx": known}
            self.write("send_append_entries", n, to_node_id=to, packet=packet)
            self.waiting.append(("entries", n, to, packet, known, at.log[:known], at.log[known:], at.commit))

    def commit(self, n: str, at: Replica) -> None:
        """The last entry of its term that quorums of all active configurations hold."""
        for index in range(len(at.log), at.commit, -1):
            holders = {n, *(v for v, known in at.stored.items() if known >= index)}
            alone = self.fault == "commits alone" and self.draw.random() < 0.3
            if at.log[index - 1][0] == at.term and (alone or at.is_quorum(holders)):
                self.write("commit", n, args={"idx": index})
                at.commit = index
                return

    def become(self, n: str, at: Replica, role: str, term: int) -> None:
        if term > at.term:
            at.vote, at.votes = "", set()
        at.role, at.term, at.stored = role, term, {}
        self.write(f"become_{role.lower()}", n)

    def stand(self, n: str, at: Replica) -> None:
        self.become(n, at, "Candidate", at.term + 1)
        at.vote, at.votes = n, {n}
        for to in sorted(frozenset().union(*at.active().values()) - {n}):
            packet = {"msg": "raft_request_vote", "term": at.term}
            self.write("send_request_vote", n, to_node_id=to, packet=packet)
            self.waiting.append(("request", n, to, packet, at.last()))
        self.win(n, at)

    def win(self, n: str, at: Replica) -> None:
        if self.fault == "drops the configuration before" and len(at.active()) > 1:
            index, newest = list(at.active().items())[-1]
            if at.role == "Candidate" and 2 * len(at.votes & newest) > len(newest):
                at.role = "Leader"
                self.write("become_leader", n, configurations=[self.conf(index, newest)])
        elif at.role == "Candidate" and at.is_quorum(at.votes):
            self.become(n, at, "Leader", at.term)

    # -- what arrives ------------------------------------------------------------------------------------
    def hear(self, function: str, of: str, n: str, packet: Line) -> bool:
        """Whether the message is of the node's term, to which it goes if it was in an earlier one."""
        self.write(function, n, from_node_id=of, packet=packet)
        at = self.nodes[n]
        if packet["term"] > at.term:
            self.become(n, at, "Follower", packet["term"])
        return bool(packet["term"] == at.term)

    def on_request(self, of: str, n: str, packet: Line, last: tuple[int, int]) -> None:
        at, is_now = self.nodes[n], self.hear("recv_request_vote", of, n, packet)
        if is_now and at.vote in ("", of) and at.role != "Leader" and last >= at.last():
            at.vote = of
            self.waiting.append(("vote", n, of, {"term": at.term, "vote_granted": True}))

    def on_vote(self, of: str, n: str, packet: Line) -> None:
        at = self.nodes[n]
        if self.hear("recv_request_vote_response", of, n, packet) and at.role == "Candidate":
            at.votes.add(of)
            self.win(n, at)

    def on_entries(
        self, of: str, n: str, packet: Line, known: int, before: list[Entry], new: list[Entry], commit: int
    ) -> None:
        at = self.nodes[n]
        if not self.hear("recv_append_entries", of, n, packet):
            return
        if at.role != "Follower":
            self.become(n, at, "Follower", at.term)
        agrees = at.log[:known] == before
        if agrees:
            for index, entry in enumerate(new, known + 1):
                self.store(n, at, index, entry)
            if min(commit, known + len(new)) > at.commit:
                self.write("commit", n, args={"idx": min(commit, known + len(new))})
                at.commit = min(commit, known + len(new))
        said = {"msg": "raft_append_entries_response", "term": at.term, "success": "OK" if agrees else "FAIL"}
        said["last_log_idx"] = known + len(new) if agrees else 0
        self.write("send_append_entries_response", n, to_node_id=of, packet=said)
        self.waiting.append(("stored", n, of, said))

    def store(self, n: str, at: Replica, index: int, entry: Entry) -> None:
        if at.log[index - 1 : index] == [entry]:
            return
        del at.log[index - 1 :]
        if entry[1]:
            before = [self.conf(i, c) for i, c in at.active().items()]
            new = self.conf(index, entry[1])
            self.write("add_configuration", n, configurations=before, args={"configuration": new})
        at.log.append(entry)

    def on_stored(self, of: str, n: str, said: Line) -> None:
        at = self.nodes[n]
        if self.hear("recv_append_entries_response", of, n, said) and at.role == "Leader":
            if said["success"] == "OK":
                at.stored[of] = max(said["last_log_idx"], at.stored.get(of, 0))
                self.commit(n, at)
            else:
                at.stored[of] = 0
