"""Steps that correct Rafts take and the model has no word for; and Rafts in which nobody can be elected."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from oneleader.conformance.adapter import May
from oneleader.conformance.calm import A_LEADER, COMMITS, LEARNED
from oneleader.conformance.conform import conform
from oneleader.conformance.machine import check_conformance
from oneleader.conformance.trial import FIGURE_3
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from tests.conformance.small_raft import Message, SmallAdapter, SmallRaft

MODEL = "election"
HOLDING = dict.fromkeys((FIGURE_3, MODEL, "replication"), HOLDS)


class CheckQuorum(SmallRaft):
    """A leader whose election timer rings has heard no quorum and steps down (dissertation 6.2)."""

    def timeout(self) -> None:
        if self.role == "leader":
            self.role, self.reads = "follower", []
        else:
            super().timeout()


class PreVote(SmallRaft):
    """Asks before it stands (dissertation 9.6); a candidate that asks again is a follower of its term."""

    def __init__(self, name: str, nodes: list[str], disk: dict[str, object]) -> None:
        super().__init__(name, nodes, disk)
        self.would: set[str] = set()

    def timeout(self) -> None:
        if self.role != "leader":
            self.role, self.would = "follower", {self.name}
            for other in self.others:
                self.say(other, "would_you")

    def on_would_you(self, m: Message) -> None:
        self.say(m["from"], "i_would")

    def on_i_would(self, m: Message) -> None:
        self.would.add(m["from"])
        if self.role == "follower" and len(self.would) >= self.quorum:
            self.would = set()
            super().timeout()


class NobodyVotes(SmallRaft):
    def on_ask(self, m: Message) -> None:
        pass


class NobodyLearns(SmallRaft):
    """Heartbeats do not move a follower's commit index."""

    def on_entries(self, m: Message) -> None:
        super().on_entries(m if m["entries"] else {**m, "commit": 0})


class IsBusyAtFirst(SmallRaft):
    """It takes no proposal in its first rounds, as one that hands its leadership over."""

    rang = 0

    def heartbeat(self) -> None:
        self.rang += 1
        super().heartbeat()

    def propose(self, value: str) -> None:
        if self.rang > 12:
            super().propose(value)


class IsAlwaysBusy(SmallRaft):
    def propose(self, value: str) -> None:
        pass


class GivesUpItsTerm(SmallRaft):
    """A leader that steps down forgets the vote of its term: no declaration allows that."""

    def timeout(self) -> None:
        if self.role == "leader":
            self.role = "follower"
            self.disk["vote"] = None
        else:
            super().timeout()


def made(kind: type[SmallRaft], declares: Collection[May] = ()) -> type[SmallAdapter]:
    class Made(SmallAdapter):
        server = kind
        may = declares

    return Made


@pytest.mark.parametrize(("kind", "step"), [(CheckQuorum, May.STEP_DOWN), (PreVote, May.ASK_AGAIN)])
def test_a_step_without_a_word_is_inconclusive_until_it_is_declared(kind: type[SmallRaft], step: May) -> None:
    found = conform(made(kind), walks=30, seed=1)
    assert found.verdicts == HOLDING | {MODEL: INCONCLUSIVE}
    assert step.value in found.text
    assert conform(made(kind, [step]), walks=30, seed=1).verdicts == HOLDING


@pytest.mark.parametrize(("kind", "step"), [(CheckQuorum, May.STEP_DOWN), (PreVote, May.ASK_AGAIN)])
def test_so_it_is_where_hypothesis_drives(kind: type[SmallRaft], step: May) -> None:
    found = check_conformance(made(kind), examples=60, seed=1)
    assert found.verdict is INCONCLUSIVE
    assert step.value in found.cause
    assert check_conformance(made(kind, [step]), examples=60, seed=1).verdict is HOLDS


def test_a_declaration_allows_nothing_else() -> None:
    found = conform(made(GivesUpItsTerm, list(May)), walks=30, seed=1)
    assert (found.verdicts[FIGURE_3], found.verdicts[MODEL]) == (VIOLATED, VIOLATED)


def test_where_nobody_is_elected_nothing_holds() -> None:
    assert check_conformance(made(NobodyVotes), examples=60, seed=1).verdict is INCONCLUSIVE
    found = conform(made(NobodyVotes), walks=20, seed=1, liveness=True)
    assert found.verdicts[FIGURE_3] is INCONCLUSIVE
    assert found.liveness[A_LEADER]
    assert found.verdict is VIOLATED


def test_liveness_of_commits() -> None:
    found = conform(made(NobodyLearns), walks=20, seed=1, liveness=True)
    assert found.verdicts == HOLDING | {"liveness": VIOLATED}
    assert (found.liveness[A_LEADER], found.liveness[COMMITS]) == ("", "")
    assert found.liveness[LEARNED]


@pytest.mark.parametrize(("kind", "is_live"), [(IsBusyAtFirst, True), (IsAlwaysBusy, False)])
def test_a_client_that_is_refused_asks_again(kind: type[SmallRaft], is_live: bool) -> None:
    found = conform(made(kind), walks=1, seed=1, liveness=True)
    assert (found.liveness[COMMITS] == "") == is_live, found.text
