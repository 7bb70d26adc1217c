"""Elections as CCF holds them, drawn from a seed, in the lines that its logger writes: written after `raft.h`
and not after the model. With a fault, a candidate is content with too few votes, or a voter votes again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from random import Random
from typing import Any

Line = dict[str, Any]
Message = tuple[str, str, str, int, bool]  # its kind, from, to, term, whether a vote is granted
FAULTS = ("", "too few votes", "votes again")


@dataclass
class CcfServer:
    """What `raft.h` holds of a server, as far as elections see it."""

    term: int = 0
    role: str = "None"
    vote: str = ""
    leader: str = ""
    votes: set[str] = field(default_factory=set)


class CcfCluster:
    """Messages are lost and come out of order; `lines` is what the servers write."""

    def __init__(self, seed: int, size: int, fault: str = "") -> None:
        self.draw, self.fault = Random(seed), fault
        self.servers = {str(i): CcfServer() for i in range(size)}
        self.shows_replies = self.draw.random() < 0.3  # as in 2023
        self.waiting: list[Message] = []
        self.lines: list[Line] = []
        for n in self.servers:
            self.write("add_configuration", n)

    def run(self, steps: int) -> list[Line]:
        for _ in range(steps):
            n, choice = self.draw.choice(list(self.servers)), self.draw.random()
            if choice < 0.2:
                self.time_out(n)
            elif choice < 0.3 and self.servers[n].role == "Leader":
                self.send_all("append_entries", n)
            elif self.waiting:
                at = self.draw.randrange(len(self.waiting)) if self.draw.random() < 0.5 else 0
                message = self.waiting.pop(at)
                if self.draw.random() < 0.9:
                    self.receive(*message)
        return self.lines

    def write(self, function: str, n: str, **also: Any) -> None:
        server = self.servers[n]
        state = {"node_id": n, "current_view": server.term, "leadership_state": server.role}
        conf = {"configurations": [{"idx": 0, "nodes": {m: {} for m in self.servers}, "rid": 0}]}
        also |= conf if function == "become_leader" else {}
        self.lines.append({"tag": "raft_trace", "msg": {"function": function, "state": state, **also}})

    def send_all(self, kind: str, n: str) -> None:
        for to in self.servers:
            if to != n:
                term = self.servers[n].term
                self.write(f"send_{kind}", n, to_node_id=to, packet={"msg": f"raft_{kind}", "term": term})
                self.waiting.append((kind, n, to, term, False))

    def time_out(self, n: str) -> None:
        server, choice = self.servers[n], self.draw.random()
        if server.role == "Leader":
            if choice < 0.3:  # check-quorum
                self.follow(n)
            return None
        server.leader = ""
        if choice < 0.2:
            server.role = "PreVoteCandidate"
            return self.write("become_pre_vote_candidate", n)
        server.role, server.vote, server.votes, server.term = "Candidate", n, {n}, server.term + 1
        self.write("become_candidate", n)
        self.count(n)
        return self.send_all("request_vote", n) if server.role == "Candidate" else None

    def follow(self, n: str, term: int | None = None) -> None:
        server = self.servers[n]
        if term is not None:
            server.term, server.vote, server.votes = term, "", set()
        server.role, server.leader = "Follower", ""
        self.write("become_follower", n)

    def count(self, n: str) -> None:
        server, enough = self.servers[n], len(self.servers) // 2 + 1
        enough -= self.fault == "too few votes" and self.draw.random() < 0.5
        if server.role == "Candidate" and len(server.votes) >= enough:
            server.role, server.leader = "Leader", n
            self.write("become_leader", n)
            self.send_all("append_entries", n)

    def receive(self, kind: str, of: str, n: str, term: int, granted: bool) -> None:
        packet = {"msg": f"raft_{kind}", "term": term}
        packet |= {"vote_granted": granted} if kind == "request_vote_response" else {}
        self.write(f"recv_{kind}", n, from_node_id=of, packet=packet)
        server = self.servers[n]
        if term > server.term:
            self.follow(n, term)
        elif kind == "append_entries" and term == server.term and server.role != "Follower":
            self.follow(n)
        if kind == "append_entries" and term == server.term:
            server.leader = of
        elif kind == "request_vote":
            self.answer(n, of, term)
        elif granted and term == server.term and server.role == "Candidate":
            server.votes.add(of)
            self.count(n)

    def answer(self, n: str, candidate: str, term: int) -> None:
        server = self.servers[n]
        is_free = server.vote in ("", candidate) or (self.fault == "votes again" and server.vote != n)
        is_up_to_date = self.draw.random() < 0.9
        granted = server.term == term and is_free and not server.leader and is_up_to_date
        server.vote = candidate if granted else server.vote
        if self.shows_replies:
            packet = {"msg": "raft_request_vote_response", "term": server.term, "vote_granted": granted}
            self.write("send_request_vote_response", n, to_node_id=candidate, packet=packet)
        self.waiting.append(("request_vote_response", n, candidate, server.term, granted))


def wrong_line(lines: list[Line], size: int) -> int:
    """The first line that shows a vote given twice or a leader with too few votes; 0 where there is none."""
    votes: dict[tuple[str, int], set[str]] = defaultdict(set)
    voted: dict[tuple[str, int], str] = {}
    for number, line in enumerate(lines, 1):
        msg = line["msg"]
        function, n, term = msg["function"], msg["state"]["node_id"], msg["state"]["current_view"]
        packet = msg.get("packet", {})
        if function == "become_candidate":
            votes[n, term].add(n)
        elif function == "become_leader" and len(votes[n, term]) * 2 <= size:
            return number
        elif function.endswith("vote_response") and packet["vote_granted"]:
            is_sent = function.startswith("send")
            voter, candidate = (n, msg["to_node_id"]) if is_sent else (msg["from_node_id"], n)
            if voted.setdefault((voter, packet["term"]), candidate) != candidate:
                return number
            if not is_sent and msg["state"]["leadership_state"] == "Candidate":
                votes[n, packet["term"]].add(voter)
    return 0
