"""A small Raft of somebody's own whose members change, one at a time (dissertation chapter 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from oneleader.conformance.adapter import May, Report
from tests.conformance.small_raft import Message, SmallAdapter, SmallRaft


class ChangingRaft(SmallRaft):
    """An entry that is a tuple of names is a configuration: in effect from the append on."""

    def configuration(self, up_to: int) -> tuple[str, ...]:
        known = [value for _, value in self.log[:up_to] if isinstance(value, tuple)]
        return known[-1] if known else tuple(self.nodes)

    @property
    def since(self) -> int:
        """Where the entry of the latest change is."""
        return max((i for i, (_, value) in enumerate(self.log, 1) if isinstance(value, tuple)), default=0)

    @property
    def members(self) -> frozenset[str]:
        return frozenset(self.configuration(len(self.log)))

    @property
    def quorum(self) -> int:
        return len(self.members) // 2 + 1

    @property
    def others(self) -> list[str]:
        return sorted(self.members - {self.name})

    def count_votes(self) -> None:
        if len(self.votes & self.members) >= self.quorum:
            super().count_votes()
            self.next = {other: len(self.log) + 1 for other in self.nodes}
            self.match = dict.fromkeys(self.nodes, 0)

    def change_members(self, members: Sequence[str]) -> None:
        is_settled = self.since <= self.commit and self.may_read()
        if self.role == "leader" and is_settled and len(self.members ^ set(members)) == 1:
            self.log.append((self.term, tuple(members)))
            self.heartbeat()
            self.advance()

    def advance(self) -> None:
        for index in range(len(self.log), self.commit, -1):
            if self.is_stored(index) and self.may_commit(index):
                self.commit = index
                self.apply()
                return

    def is_stored(self, index: int) -> bool:
        return self.is_by(self.members, index)

    def is_by(self, members: frozenset[str], index: int) -> bool:
        """Whether a majority of these has it."""
        have = {n for n in members if n == self.name or self.match[n] >= index}
        return 2 * len(have) > len(members)

    def known_match(self) -> dict[str, int]:
        return {node: index for node, index in self.match.items() if node != self.name}

    def on_stored(self, m: Message) -> None:
        if self.role == "leader":
            super().on_stored(m)

    def note_round(self, m: Message) -> None:
        if m["from"] in self.members:
            super().note_round(m)

    def finish_reads(self) -> None:
        while self.reads and len(self.reads[0][1] & self.members) >= self.quorum:
            self.reads.pop(0)
            values = [v for _, v in self.log[: self.commit] if isinstance(v, str)]
            self.results.append(values[-1] if values else None)


class ByTheFormer(ChangingRaft):
    """The members before a change commit its entry, and what comes before it, as those after do."""

    def is_stored(self, index: int) -> bool:
        former = frozenset(self.configuration(self.since - 1)) if self.since else self.members
        return super().is_stored(index) or (index <= self.furthest and self.is_by(former, index))

    @property
    def furthest(self) -> int:
        return self.since


class ByTheFormerForEver(ByTheFormer):
    """They commit what comes after it as well."""

    @property
    def furthest(self) -> int:
        return len(self.log)


class ChangingAdapter(SmallAdapter):
    server: ClassVar[type[ChangingRaft]] = ChangingRaft  # type: ignore[assignment]
    may = (May.CHANGE_MEMBERS, May.JOIN_EARLY)

    def change_members(self, node: str, members: Sequence[str]) -> Report:
        self.up[node].change_members(members)  # type: ignore[attr-defined]
        return self.report(node)
