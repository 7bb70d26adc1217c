"""The small Raft with snapshots, which fail in one way or another by overriding a method.

It keeps all entries, and shows those after its last snapshot: what a snapshot holds is the entries before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from oneleader.conformance.adapter import Observed, Report
from tests.conformance.small_raft import Message, SmallAdapter, SmallRaft


class Snapshots(SmallRaft):
    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        self.commit = self.applied = self.held

    @property
    def held(self) -> int:
        """How many entries its snapshot holds."""
        return int(self.disk.get("held", 0))

    def compact(self) -> None:
        self.disk["held"] = self.commit

    def send_entries(self, to: str) -> None:
        if self.next[to] - 1 >= self.held:
            super().send_entries(to)
        else:
            self.say(to, "snapshot", entries=self.log[: self.held])

    def on_snapshot(self, m: Message) -> None:
        """Figure 13."""
        self.role, last = "follower", len(m["entries"])
        if last > self.commit:
            if self.conflicts(m["entries"]):
                self.log.clear()  # 7
            self.log[:last] = m["entries"]
            self.disk["held"] = self.commit = self.applied = last
        self.say(m["from"], "stored", match=last, round=m["round"])

    def conflicts(self, entries: list[Any]) -> bool:
        last = len(entries)
        return len(self.log) < last or self.log[last - 1][0] != entries[-1][0]


class SnapshotAdapter(SmallAdapter):
    server: ClassVar[type[SmallRaft]] = Snapshots

    def compact(self, node: str) -> Report:
        server = self.up[node]
        assert isinstance(server, Snapshots)
        server.compact()
        return self.report(node)

    def observe(self, node: str) -> Observed:
        seen, held = super().observe(node), self.disks[node].get("held", 0)
        return replace(seen, log=tuple(self.disks[node]["log"][held:]), first=held + 1)


class CompactsAtOnce(Snapshots):
    """Nothing that is committed stays in the log."""

    def apply(self) -> None:
        super().apply()
        self.compact()


class CompactsTooMuch(Snapshots):
    """What is not committed goes into its snapshots, too."""

    def compact(self) -> None:
        self.disk["held"] = self.commit = self.applied = len(self.log)


class CompactsUnseen(Snapshots):
    """So it does, and its commit index says nothing of it."""

    def compact(self) -> None:
        self.disk["held"] = len(self.log)


class KeepsWhatFollows(Snapshots):
    """Entries after a snapshot stay, though they follow others."""

    def conflicts(self, entries: list[Any]) -> bool:
        return False


class DropsWhatFollows(Snapshots):
    """Entries after a snapshot go, though they follow it (Figure 13, 6)."""

    def conflicts(self, entries: list[Any]) -> bool:
        return True


class OffByOne(Snapshots):
    """A snapshot is taken to hold one entry more than it does."""

    def on_snapshot(self, m: Message) -> None:
        super().on_snapshot(m | {"entries": [*m["entries"], m["entries"][-1]]})
