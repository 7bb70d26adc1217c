"""Steps that correct Rafts take and the model has no word for; and Rafts in which nobody can be elected."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from oneleader.conformance.adapter import May, Report
from oneleader.conformance.calm import A_LEADER, COMMITS, LEARNED, elects
from oneleader.conformance.conform import TERMS, Driving, again, conform, names
from oneleader.conformance.machine import check_conformance
from oneleader.conformance.network import Network
from oneleader.conformance.trial import FIGURE_3, Event
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


class HandsOver(SmallRaft):
    """While it hands its leadership over it takes no proposal (dissertation 3.10)."""

    rounds = 0  # it waits for the other

    def transfer(self, to: str) -> None:
        if self.role == "leader":
            self.rounds = 12
            self.say(to, "stand")

    def adopt(self, term: int) -> None:
        super().adopt(term)
        self.rounds = 0

    def on_stand(self, m: Message) -> None:
        self.timeout()

    def heartbeat(self) -> None:
        self.rounds = max(0, self.rounds - 1)
        super().heartbeat()

    def propose(self, value: str) -> None:
        if not self.rounds:
            super().propose(value)


class DropsTheFirst(HandsOver):
    """Of each term, handing over or not."""

    last = 0

    def propose(self, value: str) -> None:
        if self.last == self.term:
            super().propose(value)
        self.last = self.term


class IsAlwaysBusy(HandsOver):
    def propose(self, value: str) -> None:
        pass


class StandsAgain(SmallRaft):
    """A leader whose election timer rings stands in the next term."""

    def timeout(self) -> None:
        self.role, self.reads = "follower", []
        super().timeout()


class StandsOnceItHasApplied(SmallRaft):
    """A timer that rings applies one entry, and nobody stands until all it knows committed are applied."""

    def apply(self) -> None:
        pass

    def heartbeat(self) -> None:
        super().heartbeat()
        committed, self.commit = self.commit, min(self.commit, self.applied + 1)
        super().apply()
        self.commit = committed

    def timeout(self) -> None:
        if self.applied == self.commit:
            super().timeout()


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


def test_a_leader_that_stands_again_leaves_the_terms_of_the_model_and_is_followed_no_further() -> None:
    wins = (("timeout", "n1"), ("burst", "n1", "n2"), ("burst", "n2", "n1"))
    found = again(made(StandsAgain, [May.STEP_DOWN]), wins * (TERMS + 1))
    assert not found.causes, found.text
    assert found.leaders


def test_an_election_waits_for_what_is_to_be_applied() -> None:
    trial = Driving(made(StandsOnceItHasApplied), names(3), 0, (), False).trial(by_model=False)
    heard = [("burst", *pair) for other in ("n2", "n3") for pair in (("n1", other), (other, "n1"))]
    wins, tells = [("timeout", "n1"), *heard], [("heartbeat", "n1"), *heard]
    for event in [*wins, *(("propose", "n1", f"v{i}") for i in range(60)), *tells, *tells, *tells]:
        trial.play(event)
    assert {shown.commit for shown in trial.seen.values() if shown} == {60}
    trial.play(("crash", "n1"))
    assert elects(trial) == ""


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


class HandingOver(SmallAdapter):
    def transfer(self, node: str, to: str) -> Report:
        self.up[node].transfer(to)  # type: ignore[attr-defined]
        return self.report(node)


LEADS: tuple[Event, ...] = (("timeout", "n1"), ("burst", "n1", "n2"), ("burst", "n2", "n1"))
# n2 never learns that it is to take over.
HANDS_OVER: tuple[Event, ...] = (*LEADS, ("transfer", "n1", "n2"), ("break", "n1", "n2"))
IN_ANOTHER_TERM: tuple[Event, ...] = (
    *HANDS_OVER,
    ("timeout", "n2"),
    ("burst", "n2", "n3"),
    ("burst", "n3", "n2"),
)


@pytest.mark.parametrize(
    ("kind", "events", "is_live"),
    [
        (HandsOver, HANDS_OVER, True),
        (IsAlwaysBusy, HANDS_OVER, False),
        (DropsTheFirst, LEADS, False),
        (DropsTheFirst, IN_ANOTHER_TERM, False),
    ],
)
def test_a_client_asks_again_only_where_leadership_is_handed_over(
    kind: type[HandsOver], events: tuple[Event, ...], is_live: bool
) -> None:
    class Made(HandingOver):
        server = kind
        network = Network.tcp()

    found = again(Made, [*events, ("calm",)])
    assert found.verdicts["liveness"] is (HOLDS if is_live else VIOLATED), found.text
    assert (found.liveness[COMMITS] == "") == is_live, found.text
