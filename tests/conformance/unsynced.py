"""A small Raft with a journal, synced before a message leaves; a crash may tear what is not."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

from oneleader.conformance.adapter import Observed, Report
from tests.conformance.small_raft import SmallAdapter, SmallRaft

Disk = dict[str, Any]


class Journaled(SmallRaft):
    """Each write of the journal is a line that begins with its checksum."""

    syncs_as: ClassVar[tuple[str, ...]] = ("follower", "candidate", "leader")
    is_due, safe = False, 0  # a sync without a message; how long the log was at the last one

    def propose(self, value: str) -> None:
        """The entry leaves with the next heartbeat, and is synced then."""
        if self.role == "leader":
            self.log.append((self.term, value))

    @staticmethod
    def written(what: Any) -> str:
        text = json.dumps(what)
        return f"{zlib.crc32(text.encode())} {text}"

    @classmethod
    def read_back(cls, line: str) -> Any:
        """What was written; None where that is torn."""
        checksum, _, text = line.partition(" ")
        return json.loads(text) if checksum == str(zlib.crc32(text.encode())) else None

    @classmethod
    def recovered(cls, journal: Sequence[str]) -> Disk:
        disk: Disk = {"term": 0, "vote": None, "log": []}
        for line in journal:
            match cls.read_back(line):
                case None:
                    break
                case {"log": log}:
                    disk["log"] = [(term, value) for term, value in log]
                case promise:
                    disk |= promise
        return disk


class BelievesWhatIsTorn(Journaled):
    """No checksum: of the entries of a torn line it takes those that it can read."""

    @classmethod
    def read_back(cls, line: str) -> Any:
        text = line.partition(" ")[2]
        try:
            return json.loads(text)
        except ValueError:
            entries = [(int(term), value) for term, value in re.findall(r'\[(\d+), "(\w+)', text)]
            return {"log": entries} if entries else {}


class AnswersBeforeItSyncs(Journaled):
    """What a follower has confirmed may be lost."""

    syncs_as = ("candidate", "leader")


class LeadsBeforeItSyncs(Journaled):
    """A leader counts itself for what it has not synced."""

    syncs_as = ("follower", "candidate")


class WritesInParallel(LeadsBeforeItSyncs):
    """It sends entries while it writes them, and counts itself once they are synced (dissertation 10.2.1)."""

    def heartbeat(self) -> None:
        self.is_due = True
        super().heartbeat()

    def advance(self) -> None:
        others = sum(match >= self.safe for match in self.match.values())
        is_stored = self.commit < self.safe <= len(self.log) and others + 1 >= self.quorum
        if is_stored and self.may_commit(self.safe):
            self.commit = self.safe
            self.apply()


class JournaledAdapter(SmallAdapter):
    server: ClassVar[type[Journaled]] = Journaled  # type: ignore[assignment]
    up: dict[str, Journaled]  # type: ignore[assignment]

    def __init__(self, nodes: Sequence[str]) -> None:
        super().__init__(nodes)
        self.journals: dict[str, list[str]] = {node: [] for node in nodes}
        self.synced = dict.fromkeys(nodes, 0)
        self.now: dict[str, tuple[Hashable, ...]] = dict.fromkeys(nodes, (0, None, ()))

    def report(self, node: str) -> Report:
        """What has changed is written, and synced if something leaves."""
        report, disk, journal = super().report(node), self.disks[node], self.journals[node]
        term, vote, log = now = disk["term"], disk["vote"], tuple(disk["log"])
        if (term, vote) != self.now[node][:2]:
            journal.append(self.server.written({"term": term, "vote": vote}))
        if log != self.now[node][2]:
            journal.append(self.server.written({"log": log}))
        server = self.up[node]
        if server.is_due or (report.sent and server.role in server.syncs_as):
            self.synced[node], server.is_due, server.safe = len(journal), False, len(log)
        self.now[node] = now
        return report

    def crash(self, node: str) -> Report:
        return self.crash_keeping(node, 0, torn=False)

    def crash_keeping(self, node: str, writes: int, torn: bool) -> Report:
        journal, end = self.journals[node], self.synced[node] + writes
        part = [line[:-5] for line in journal[end : end + 1]] if torn else []
        self.journals[node] = journal[:end] + part
        return super().crash(node)

    def restart(self, node: str) -> Report:
        """What is torn is cut off."""
        disk = self.disks[node] = self.server.recovered(self.journals[node])
        self.now[node] = disk["term"], disk["vote"], tuple(disk["log"])
        lines = [{"term": disk["term"], "vote": disk["vote"]}, {"log": disk["log"]}]
        self.journals[node] = [self.server.written(line) for line in lines]
        self.synced[node] = len(lines)
        return super().restart(node)

    def observe(self, node: str) -> Observed | None:  # type: ignore[override]
        return super().observe(node) if node in self.up else None


class ForgivingAdapter(JournaledAdapter):
    """It offers plain crashes only."""

    abilities = frozenset({"heartbeat", "propose", "read"})
