"""ccf: the lines of CCF's Raft (`raft.h`, built with tracing), judged by the election model.

How a line is read is said in `ccf_lines`, which step of the model it takes in `ccf_election`, and by which
configurations a node may lead in `ccf_configurations`. Not modelled: pre-votes, on which no vote depends, and
the log (see `LEFT_ASIDE`).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from oneleader.errors import UsageError
from oneleader.language.model import Model
from oneleader.models.election import LEADER, Node
from oneleader.readers.replay.candidates import Candidates, NotModelled
from oneleader.readers.replay.compiled import CompiledRun
from oneleader.readers.replay.coverage import ReplayCoverage
from oneleader.readers.replay.formats.ccf_configurations import CcfConfigurations
from oneleader.readers.replay.formats.ccf_election import explanations, leads_at_once
from oneleader.readers.replay.formats.ccf_lines import (
    LEFT_ASIDE,
    TAGS,
    CcfConfiguration,
    CcfLine,
    read,
    unknown_keys,
)
from oneleader.readers.replay.formats.etcd import ACTIONS, EtcdFormat, RecordedVoters
from oneleader.readers.replay.properties import Properties


class CcfFormat:
    """Judges one recording, line by line.

    Notes beside the model's state, for each candidate:
    began[n]    the term that n began in; None before its first line
    heard[n]    the leader from whom n has received entries last, and its term
    asked[n, t] who has asked n for its vote in term t
    replies[n]  the lines of n show its replies to such requests, and so its votes
    """

    name = "ccf"
    left_aside = LEFT_ASIDE

    def __init__(self, model: Model, limit: int) -> None:
        if set(model.actions) != set(ACTIONS):
            raise UsageError(
                f"a recording of CCF is judged by the model election, not by {model.name}: CCF's log is "
                "signed and its pre-votes are its own, so no other model speaks of them"
            )
        self.model = model
        run = CompiledRun(model, {"member": RecordedVoters()})
        self.properties = Properties(run, "member")  # each election is judged by its own quorums
        self.candidates = Candidates(run, limit, self.properties.check)
        self.coverage = ReplayCoverage()
        self.not_modelled: Counter[str] = Counter()
        self.configurations = CcfConfigurations()
        self.events = 0

    @staticmethod
    def recognises(record: dict[str, Any]) -> bool:
        return record.get("tag") in TAGS and ("msg" in record or "cmd" in record)

    def begin(self) -> None:
        """Nothing is said before the first line."""

    def end(self) -> None:
        """Nor after the last one."""

    def sends(self, record: dict[str, Any], message: Any) -> bool:
        """Whether the line is the one that lets the message be sent."""
        try:
            line = read(record)
        except (UsageError, NotModelled):
            return False
        return line is not None and (line.function, line.node, line.term) == message

    def judge(self, record: dict[str, Any]) -> None:
        line = read(record)
        if line is None:
            return self._leave(record)
        for node in (line.node, *(v for one in line.conf for v in one.nodes)):
            self.candidates.run.see(Node, node)
        begins = self._begins(line)
        self.candidates.follow(lambda state: explanations(state, line))
        given = self.configurations.judge(line, is_unelected=begins)
        self.events += 1
        return self._cover(record, line, begins, given)

    def _leave(self, record: dict[str, Any]) -> None:
        """A line of no node's Raft is counted by its tag; UsageError for one of another format."""
        if EtcdFormat.recognises(record):
            raise UsageError("a line of etcd")
        if record["tag"] not in TAGS:
            self.not_modelled[f"lines tagged {record['tag']}"] += 1

    def _begins(self, line: CcfLine) -> bool:
        """The term of the line is taken as given."""
        state, n = self.candidates.states[0], line.node
        return state.get("began", n) is None or leads_at_once(state, line)

    def _cover(
        self, record: dict[str, Any], line: CcfLine, begins: bool, conf: CcfConfiguration | None
    ) -> None:
        """Count what was compared, and name what was not and what was believed."""
        what = "pre-vote" if line.is_pre_vote else line.function
        if what in LEFT_ASIDE:
            self.not_modelled[what] += 1
        self.coverage.compared.update(("term",) if line.role is None else ("term", "role"))
        self.coverage.ignored |= unknown_keys(record)
        given = self.coverage.given
        if begins and line.term:
            given.append(f"{line.node} begins in term {line.term}{', leading' * (line.role == LEADER)}")
        if conf:
            given.append(f"the configuration {conf}")
