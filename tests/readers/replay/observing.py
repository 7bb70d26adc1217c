"""Recordings that name their actions, as somebody would see them who watches the nodes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from oneleader.language.sorts import NIL
from oneleader.models.election import LEADER
from oneleader.readers.replay.candidates import Candidate
from oneleader.readers.replay.formats.configurations import Configurations
from oneleader.readers.replay.formats.own import OwnFormat
from oneleader.readers.replay.replay import Replayed, replay_lines

Line = dict[str, Any]


def observed(header: Line, named: Iterable[Line], times: Iterable[int] = ()) -> list[Line]:
    """The same recording without its actions: after each line, what its node shows."""
    seen, clocks = Watched(header), iter(times)
    return [header, *(seen.line(record, next(clocks, None)) for record in named)]


def judged(lines: Iterable[Line], **how: Any) -> Replayed:
    how.setdefault("judges_states", False)  # properties take most of the time
    return replay_lines((json.dumps(line) + "\n" for line in lines), **how)


class Watched:
    """A run of a model by its named steps."""

    def __init__(self, header: Line) -> None:
        self.format = OwnFormat(header, None, 1, judges_states=False)
        self.format.may_lose_states = False
        self.fields = self.format.model.fields
        self.nodes = header["nodes"]

    @property
    def state(self) -> Candidate:
        return self.format.candidates.states[0]

    def line(self, record: Line, time: int | None = None) -> Line:
        self.format.take(record, self.format.read(record))
        actions = record["actions"]
        restarts = {"restarts": True} if any(name == "restart" for name, _ in actions) else {}
        shown = {"node": record["node"], "event": record["event"], **self.shown(record["node"]), **restarts}
        return shown | ({} if time is None else {"time": time} | self.messages(record["node"], actions))

    def shown(self, n: str) -> Line:
        s, vote = self.state, self.state.get("voted_for", n)
        asks = "asking" in self.fields and s.get("asking", n)
        votes = [v for v in self.nodes if s.get("pre_votes" if asks else "votes", (n, v))]
        role = "pre-candidate" if asks else s.get("role", n).name.lower()
        found = {"term": s.get("term", n), "voted_for": None if vote is NIL else vote, "role": role}
        found |= {"votes": votes} if role != "leader" else {}
        if "log_length" in self.fields:
            found |= self.log(n)
        shows_lease = "sent" in self.fields and role == "leader"
        return found | ({"lease": self.has_lease(n)} if shows_lease else {})

    def log(self, n: str) -> Line:
        s = self.state
        snapshot = s.get("snapshot_index", n) if "snapshot_index" in self.fields else 0
        entries = [self.entry(n, i) for i in range(snapshot + 1, s.get("log_length", n) + 1)]
        found = {"log": entries, "commit": s.get("commit_index", n)}
        found |= {"snapshot": snapshot} if snapshot else {}
        if "log_config" in self.fields:
            found["members"] = self.members(s.get("log_config", (n, s.get("log_length", n))))
        return found

    def entry(self, n: str, i: int) -> list[Any]:
        term = self.state.get("log_term", (n, i))
        if "log_since" in self.fields and self.state.get("log_since", (n, i)) == i:
            return [term, {"members": self.members(self.state.get("log_config", (n, i)))}]
        return [term, self.state.get("log_value", (n, i))]

    def members(self, number: int) -> list[Any]:
        assert isinstance(self.format.quorums, Configurations)
        return [sorted(part) for part in self.format.quorums.known[number].sets]

    def messages(self, n: str, actions: list[Any]) -> Line:
        of = {"send_heartbeat": "sends", "acknowledge": "receives"}
        return {of[name]: [f"{given['k']}"] for name, given in actions if name in of}

    def has_lease(self, n: str) -> bool:
        s, run = self.state, self.format.run
        rounds = run.domain(self.format.model.sorts["Round"])
        lease = self.format.seen.parameters["lease"]
        heard = {
            v
            for v in self.nodes
            for k in rounds
            if s.get("acknowledged", (v, n, s.get("term", n), k)) and s.get("since_sent", (n, k)) < lease
        }
        is_leader = s.get("role", n) == LEADER and not s.get("lease_is_void", n)
        return bool(is_leader and 2 * len(heard | {n}) > len(self.nodes))
