"""What clients asked and were answered, where a run is driven: one register, the value proposed last."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace
from math import inf

from oneleader.conformance.adapter import Report
from oneleader.conformance.histories import READ, WRITE, Operation
from oneleader.conformance.register import is_explained


class Clients:
    """The operations of one run."""

    def __init__(self) -> None:
        self.now = 0
        self.writes: dict[Hashable, Operation] = {}
        self.reads: list[Operation] = []
        self.asked: dict[str, list[int]] = {}  # when the reads that wait at a server were called

    def propose(self, value: Hashable) -> None:
        self.now += 1
        self.writes[value] = Operation("a client", WRITE, "the register", called=self.now, value=value)

    def ask(self, node: str) -> None:
        self.now += 1
        self.asked.setdefault(node, []).append(self.now)

    @property
    def unanswered(self) -> list[Hashable]:
        """The values that were proposed and whose clients have no answer."""
        return [value for value, write in self.writes.items() if write.returned == inf]

    def forget(self, node: str) -> None:
        """A server crashed: its reads will not be answered."""
        self.asked.pop(node, None)

    def waiting(self, node: str) -> int:
        """How many reads wait at a server."""
        return len(self.asked.get(node, ()))

    def answers(self, node: str, report: Report) -> Iterator[tuple[Hashable, bool]]:
        """Each result of a read, and whether some order of the operations explains it."""
        self.now += 1
        for value in report.answered:
            if value in self.unanswered:  # else its client has long gone on
                self.writes[value] = replace(self.writes[value], returned=self.now)
        for result in report.read:
            called = self.asked[node].pop(0)
            read = Operation(
                "a client", READ, "the register", called=called, returned=self.now, result=result
            )
            self.reads.append(read)
            fits = is_explained(self.writes, self.reads)
            if not fits:
                self.reads.pop()  # what comes later is judged without it
            yield result, fits
