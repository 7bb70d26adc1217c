"""An adapter around PySyncObj, with a journal and snapshots on disk; no reads: they are of its own state."""

from __future__ import annotations

import gzip
import pickle
import tempfile
from collections.abc import Collection, Sequence
from types import SimpleNamespace
from typing import Any

import pysyncobj.syncobj as library
from pysyncobj import SyncObj, SyncObjConf, replicated
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from oneleader.conformance.adapter import Adapter, May, Observed, Report, Sent
from oneleader.conformance.network import Network

BEAT, ELECTION = 0.1, 1.0  # seconds: appendEntriesPeriod and raftMinTimeout

gzip.time = SimpleNamespace(time=lambda: 0)  # a dump says when it was made, and is sent


class Server(SyncObj):
    """The register, replicated. Its applied entries are counted without the first, as its log is shown."""

    def __init__(self, name: str, others: Collection[str], files: dict[str, Any]) -> None:
        self.applied, self.answered = [], []
        times = {"raftMinTimeout": ELECTION, "raftMaxTimeout": ELECTION + 1e-9, "appendEntriesPeriod": BEAT}
        times["leaderFallbackTimeout"] = ELECTION
        conf = SyncObjConf(autoTick=False, useFork=False, **times, **files)
        super().__init__(Node(name), [Node(n) for n in others], conf, transportClass=Wire)

    @replicated
    def put(self, value: str) -> None:
        self.applied.append((self.raftLastApplied, value))


class Wire(Transport):
    """Keeps what is sent; every other server is connected from the start."""

    ready = True

    def __init__(self, server: Server, me: Node, others: Sequence[Node]) -> None:
        super().__init__(server, me, others)
        self.sent: list[Sent] = []
        server.wire = self

    def send(self, node: Node, message: Any) -> bool:
        self.sent.append(Sent(node.id, message))
        return True

    addNode = Transport._onNodeConnected
    destroy = dropNode = lambda self, *_: None


class PySyncObjAdapter(Adapter):
    network = Network.tcp()
    may = (May.STEP_DOWN, May.COMMIT_SURVIVES)
    has_journal, options = True, {}

    def __init__(self, nodes: Sequence[str]) -> None:
        self.nodes, self.folder = nodes, tempfile.TemporaryDirectory()
        self.clocks, self.servers = dict.fromkeys(nodes, 0.0), {}
        for node in nodes:
            self.restart(node)

    def restart(self, node: str) -> Report:
        self.now(node, 0)
        path = f"{self.folder.name}/{node}"
        files = {"journalFile": f"{path}.journal", "fullDumpFile": f"{path}.dump"} if self.has_journal else {}
        server = self.servers[node] = Server(node, set(self.nodes) - {node}, files | self.options)
        for other in sorted(server.otherNodes, key=str):
            server.wire._onNodeConnected(other)
        return self.run(node)

    def now(self, node: str, later: float) -> Server:
        """Each server has a clock of its own, which stands while nothing happens to it."""
        self.clocks[node] += later
        library.monotonicTime = lambda: self.clocks[node]
        return self.servers.get(node)

    def run(self, node: str) -> Report:
        server = self.now(node, 1e-6)
        server.doTick()
        sent, server.wire.sent = server.wire.sent, []
        (applied, server.applied), (answered, server.answered) = (server.applied, []), (server.answered, [])
        return Report(sorted(sent, key=lambda s: s.to), applied=applied, answered=answered)

    def timeout(self, node: str) -> Report:
        self.now(node, ELECTION + 1e-6)
        return self.run(node)

    def heartbeat(self, node: str) -> Report:
        is_due = self.now(node, 0)._isLeader() and self.now(node, BEAT)
        return self.run(node) if is_due else Report()

    def receive(self, node: str, message: Any, sender: str = "") -> Report:
        self.now(node, 0).wire._onMessageReceived(Node(sender), message)
        return self.run(node)

    def propose(self, node: str, value: str) -> Report:
        answered = self.servers[node].answered
        self.now(node, 0).put(value, callback=lambda _, error: error or answered.append(value))
        return self.run(node)

    def compact(self, node: str) -> Report:
        self.now(node, 0).forceLogCompaction()
        return self.run(node)

    def crash(self, node: str) -> Report:
        self.servers[node] = self.servers[node].destroy()
        return Report()

    def observe(self, node: str) -> Observed | None:
        """The first entry is the beginning, or stands for the snapshot; indices are counted from after it."""
        server = self.servers[node]
        if server is None:
            return None
        role = ("follower", "candidate", "leader")[server._SyncObj__raftState]
        base, *entries = server._SyncObj__raftLog[:]
        log = tuple((term, value(command)) for command, _, term in entries)
        term, vote = server.raftCurrentTerm, server._SyncObj__votedForNodeId
        return Observed(term, vote, role, None, log, base[1], server.raftCommitIndex - 1)

    def close(self) -> None:
        for server in filter(None, self.servers.values()):
            server.destroy()
        self.folder.cleanup()


class WithoutAJournal(PySyncObjAdapter):
    has_journal = False


def value(command: bytes) -> str:
    return pickle.loads(command[1:])[1][0] if command[:1] == b"\0" else ""
