"""Rafts with a fault of a kind that implementations have had, each by overriding what `small_raft` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from oneleader.conformance.adapter import May, Report
from tests.conformance.changing import ChangingAdapter, ChangingRaft
from tests.conformance.odd_rafts import Learns, NoOps
from tests.conformance.small_raft import Message, SmallAdapter, SmallRaft
from tests.conformance.test_observations import AnswersAtOnce, Leased, LeasedAdapter
from tests.conformance.usual_rafts import AppliesLate, RollsBackByTerm, TransferAdapter, Transfers, adapted


class CountsWhoWasRemoved(ChangingRaft):
    def is_by(self, members: frozenset[str], index: int) -> bool:
        have = {n for n in self.nodes if n == self.name or self.match[n] >= index}
        return 2 * len(have) > len(members)


class CountsALearner(Learns):
    def advance(self) -> None:
        SmallRaft.advance(self)


class CommitsAsTold(RollsBackByTerm):
    """It sends two entries at most, and what a follower has beyond them is taken as committed (Figure 2,
    AppendEntries receiver 5: min(leaderCommit, index of last new entry))."""

    def send_entries(self, to: str) -> None:
        after = self.next[to] - 1
        super().send_entries(to)
        entries = self.out[-1]["entries"] = self.out[-1]["entries"][:2]
        self.next[to] = after + len(entries) + 1

    def on_entries(self, m: Message) -> None:
        super().on_entries(m)
        if not self.lacks(m["prev"], m["prev_term"]):
            self.commit = max(self.commit, min(m["commit"], len(self.log)))
            self.apply()


class KeepsItsMatchIndices(SmallRaft):
    """Of the term before in which it led (Figure 2, matchIndex: reinitialized after election)."""

    def count_votes(self) -> None:
        before = dict(self.match)
        super().count_votes()
        if self.role == "leader" and before:
            self.match = before


class ReadsByAnyAnswer(SmallRaft):
    """An answer to what was sent before the read confirms it, too."""

    def note_round(self, m: Message) -> None:
        super().note_round(m | {"round": self.round})


class ReadsBeforeItApplies(AppliesLate):
    def finish_reads(self) -> None:
        while self.reads and len(self.reads[0][1]) >= self.quorum:
            self.reads.pop(0)
            self.results.append(self.log[self.applied - 1][1] if self.applied else None)


class AppliesTwice(SmallRaft):
    def on_entries(self, m: Message) -> None:
        super().on_entries(m)
        if self.applied:
            self.given.append((self.applied, self.log[self.applied - 1][1]))


class AppliesTheLastAlone(SmallRaft):
    def apply(self) -> None:
        if self.role != "leader":
            self.applied = max(self.applied, self.commit - 1)
        super().apply()


class AnswersByIndex(SmallRaft):
    """A client is told that it is done when something is committed where its value was."""

    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        self.waiting: dict[int, str] = {}

    def propose(self, value: str) -> None:
        if self.role == "leader":
            self.waiting[len(self.log) + 1] = value
        super().propose(value)

    def apply(self) -> None:
        before = self.applied
        super().apply()
        done = range(before + 1, self.applied + 1)
        self.answered = [self.waiting.pop(index) for index in done if index in self.waiting]


class AnswersWhileItHandsOver(Transfers):
    """What it refuses then it acknowledges."""

    def propose(self, value: str) -> None:
        if self.target:
            self.answered.append(value)
        super().propose(value)


class HandsOverToAnybody(Transfers):
    """Who is asked to take over is voted for, whatever its log."""

    def hand_over(self) -> None:
        if self.role == "leader" and self.target:
            self.say(self.target, "now")

    def on_now(self, m: Message) -> None:
        super().on_now(m)
        for message in self.out:
            message["is_forced"] = message["kind"] == "ask"

    def is_up_to_date(self, m: Message) -> bool:
        return bool(m.get("is_forced")) or super().is_up_to_date(m)


class AppliesWhatIsAskedAgain(NoOps):
    """A client that asks again has its value applied again (dissertation 6.3)."""

    mine = frozenset[Any]()

    def propose(self, value: str) -> None:
        self.mine |= {value}
        super().propose(value)

    def apply(self) -> None:
        before = self.applied
        super().apply()
        self.answered = [value for _, value in self.log[before : self.applied] if value in self.mine]


class KeepsItsLeaseByAnyAnswer(Leased):
    """By one to what it sent before its lease had run out, and by votes."""

    def receive(self, m: Message) -> None:
        super().receive(m)
        if self.role == "leader":
            self.heard.add(m["from"])


class RetryAdapter(SmallAdapter):
    server: ClassVar[type[SmallRaft]] = AppliesWhatIsAskedAgain

    def retry(self, node: str, value: str) -> Report:
        return self.propose(node, value)


def over(
    adapter: type[SmallAdapter],
    kind: type[SmallRaft],
    may: Sequence[May] = SmallAdapter.may,  # type: ignore[assignment]
) -> type[SmallAdapter]:
    return type(f"{kind.__name__}Adapter", (adapter,), {"server": kind, "may": may or adapter.may})


FAULTY: dict[str, type[SmallAdapter]] = {
    "counts who was removed": over(ChangingAdapter, CountsWhoWasRemoved),
    "counts a learner": adapted(CountsALearner, [May.CHANGE_MEMBERS]),
    "commits as told": adapted(CommitsAsTold),
    "keeps its match indices": adapted(KeepsItsMatchIndices),
    "reads by any answer": adapted(ReadsByAnyAnswer),
    "reads before it applies": adapted(ReadsBeforeItApplies),
    "applies twice": adapted(AppliesTwice),
    "applies the last alone": adapted(AppliesTheLastAlone),
    "answers at once": adapted(AnswersAtOnce),
    "answers by index": adapted(AnswersByIndex),
    "answers while it hands over": over(TransferAdapter, AnswersWhileItHandsOver),
    "hands over to anybody": over(TransferAdapter, HandsOverToAnybody),
    "applies what is asked again": RetryAdapter,
    "keeps its lease by any answer": over(LeasedAdapter, KeepsItsLeaseByAnyAnswer),
}
