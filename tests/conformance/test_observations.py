"""Each clause of Figure 3 is seen to fail by a small faulty Raft, and the correct one keeps them all."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from oneleader.conformance import observations as clauses
from oneleader.conformance.adapter import Observed, Report, Sent
from oneleader.conformance.conform import again, conform
from oneleader.conformance.network import Network
from oneleader.conformance.observations import CLAUSES
from oneleader.conformance.prompt import Prompt
from oneleader.conformance.trial import FIGURE_3, LIVENESS
from oneleader.verdict import HOLDS, INCONCLUSIVE
from tests.conformance.small_raft import Message, SmallAdapter, SmallRaft


class HalfIsEnough(SmallRaft):
    @property
    def quorum(self) -> int:
        return len(self.nodes) // 2


class Rewrites(SmallRaft):
    """A leader puts a proposal in the place of an entry that is not committed yet."""

    def propose(self, value: str) -> None:
        if self.role == "leader" and len(self.log) > self.commit:
            self.log.pop()
        super().propose(value)


class ComparesNoTerm(SmallRaft):
    def lacks(self, prev: int, prev_term: int) -> bool:
        return prev > len(self.log)


class PutsBackWhatItLost(SmallRaft):
    """Who leads appends once more, as they were, the entries that another leader has replaced."""

    lost: tuple[tuple[int, Hashable], ...] = ()

    def store(self, prev: int, entries: Sequence[tuple[int, Hashable]]) -> None:
        before = list(self.log)
        super().store(prev, entries)
        self.lost += tuple(entry for entry in before if entry not in self.log)

    def count_votes(self) -> None:
        super().count_votes()
        if self.role == "leader":
            self.log.extend(self.lost)
            self.lost = ()


class VotesForAnyLog(SmallRaft):
    def is_up_to_date(self, m: Message) -> bool:
        return True


class AppliesTheNewest(SmallRaft):
    """The state machine is given the last entry of the log, whatever is due."""

    def apply(self) -> None:
        if self.applied < self.commit:
            self.applied += 1
            self.given.append((self.applied, self.log[-1][1]))


class CountsOneLess(SmallRaft):
    def advance(self) -> None:
        if self.role == "leader" and len(self.log) > self.commit:
            self.commit = len(self.log)
            self.apply()


class VotesTwice(SmallRaft):
    def on_ask(self, m: Message) -> None:
        self.disk["vote"] = None
        super().on_ask(m)


class CommitFalls(SmallRaft):
    def on_entries(self, m: Message) -> None:
        super().on_entries(m)
        self.commit = min(self.commit, m["commit"])


class ForgetsItsVote(SmallRaft):
    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        disk["vote"] = None


class LosesItsLastEntry(SmallRaft):
    """It confirms entries that it has not synced."""

    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        disk["log"] = disk["log"][:-1]


class TakesSentAsStored(SmallRaft):
    def known_match(self) -> dict[str, int]:
        return dict.fromkeys(self.others, len(self.log))


class ForgetsTheOthers(SmallRaft):
    """A server that restarts takes itself to be alone."""

    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        self.restarted = bool(disk["term"])

    @property
    def members(self) -> frozenset[str]:
        return frozenset({self.name}) if self.restarted else super().members


class Leased(SmallRaft):
    """A leader that is answered has a lease until a timeout passes; who answers it votes for nobody else."""

    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        self.promises, self.heard, self.asked = True, set[str](), 0

    def expire(self) -> None:
        """So much time has passed, for everybody, that no promise binds and no lease is left."""
        self.promises, self.heard, self.asked = False, set(), self.round + 1

    def heartbeat(self) -> None:
        self.round += 1
        super().heartbeat()

    def receive(self, m: Message) -> None:
        if m["kind"] != "ask" or not (self.promises or self.lease):
            super().receive(m)

    def on_entries(self, m: Message) -> None:
        super().on_entries(m)
        self.promises = True

    def count_votes(self) -> None:
        self.asked, self.heard = self.round + 1, set()
        super().count_votes()

    def note_round(self, m: Message) -> None:
        super().note_round(m)
        if m["round"] >= self.asked:
            self.heard.add(m["from"])

    @property
    def lease(self) -> bool:
        return self.role == "leader" and len(self.heard) + 1 >= self.quorum


class KeepsItsLease(Leased):
    def expire(self) -> None:
        self.promises = False


class LeasedAdapter(SmallAdapter):
    server: ClassVar[type[SmallRaft]] = Leased

    def timeout(self, node: str) -> Report:
        for server in self.up.values():
            assert isinstance(server, Leased)
            server.expire()
        return super().timeout(node)

    def observe(self, node: str) -> Observed:
        server = self.up.get(node)
        return replace(super().observe(node), lease=server.lease if isinstance(server, Leased) else None)


class ReadsAtOnce(SmallRaft):
    def read(self) -> None:
        if self.role == "leader" and self.commit:
            self.results.append(self.log[self.commit - 1][1])


class AnswersAtOnce(SmallRaft):
    """A client is told that it is done when its value is appended."""

    def propose(self, value: str) -> None:
        if self.role == "leader":
            self.answered.append(value)
        super().propose(value)


class HearsNoNewerTerm(SmallRaft):
    """Who is told by a leader of an older term says the newer one; that leader does not listen."""

    def refuses_old(self, m: Message) -> bool:
        if m["kind"] == "entries":
            self.say(m["from"], "refused")
        return True

    def on_refused(self, m: Message) -> None:
        pass

    def receive(self, m: Message) -> None:
        if m["kind"] != "refused":
            super().receive(m)


class ListensToIt(HearsNoNewerTerm):
    def receive(self, m: Message) -> None:
        SmallRaft.receive(self, m)


FAULTY = {
    HearsNoNewerTerm: clauses.GIVES_WAY,
    HalfIsEnough: clauses.ONE_LEADER,
    Rewrites: clauses.APPEND_ONLY,
    ComparesNoTerm: clauses.LOG_MATCHING,
    PutsBackWhatItLost: clauses.ASCENDING,
    VotesForAnyLog: clauses.COMPLETENESS,
    AppliesTheNewest: clauses.STATE_MACHINE,
    CountsOneLess: clauses.STORED,
    VotesTwice: clauses.MONOTONE,
    CommitFalls: clauses.MONOTONE,
    ForgetsItsVote: clauses.DURABLE,
    ReadsAtOnce: clauses.LINEARIZABLE,
    AnswersAtOnce: clauses.ANSWERED,
    LosesItsLastEntry: clauses.DURABLE,
    TakesSentAsStored: clauses.MATCH,
    ForgetsTheOthers: clauses.MEMBERS,
    KeepsItsLease: clauses.LEASE,
}


def adapter(kind: type[SmallRaft], over: Network = SmallAdapter.network) -> type[SmallAdapter]:
    class Made(LeasedAdapter if issubclass(kind, Leased) else SmallAdapter):  # type: ignore[misc]
        server = kind
        network = over

    return Made


@pytest.mark.parametrize("network", [Network.tcp(), Network.udp()], ids=["tcp", "udp"])
def test_the_correct_one_holds(network: Network) -> None:
    found = conform(adapter(SmallRaft, network), walks=60, seed=1)
    assert found.verdict is HOLDS, found.text
    assert set(found.not_judged) == {clauses.LEASE, clauses.UNSYNCED}


def test_a_correct_lease_holds() -> None:
    found = conform(adapter(Leased), walks=60, seed=1)
    assert found.verdict is HOLDS, found.text
    assert found.compared[clauses.LEASE]


def test_each_clause_is_seen_to_fail() -> None:
    assert {*FAULTY.values(), clauses.UNSYNCED} == set(CLAUSES)  # that one by test_unsynced.py


@pytest.mark.parametrize(("kind", "clause"), FAULTY.items(), ids=lambda it: getattr(it, "__name__", it))
def test_a_faulty_one_breaks_its_clause(kind: type[SmallRaft], clause: str) -> None:
    others = [f"{FIGURE_3}: {other}" for other in CLAUSES if other != clause]
    found = conform(adapter(kind), walks=80, seed=1, known=others)
    causes = {cause.name: cause for cause in found.causes if cause.judge == FIGURE_3}
    assert clause in causes, found.text
    cause = causes[clause]
    assert len(cause.steps) <= 50, cause  # shortest by leaving out, and not of all
    played = again(adapter(kind), cause.events, known=others).causes
    assert [c.key for c in played if c.judge == FIGURE_3] == [cause.key]


def test_a_leader_that_listens_gives_way() -> None:
    found = conform(adapter(ListensToIt), walks=60, seed=1)
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    assert found.compared[clauses.GIVES_WAY]


class RaisesAtIt(HearsNoNewerTerm):
    def receive(self, m: Message) -> None:
        if m["kind"] == "refused":
            raise LookupError(m["kind"])
        super().receive(m)


def test_what_raised_and_is_known_is_not_refused_for_what_it_left_undone() -> None:
    found = conform(adapter(RaisesAtIt), walks=20, seed=1, known=["exception: LookupError in receive"])
    assert (found.verdict, bool(found.passed_over)) == (HOLDS, True), found.text


class StopsHalfway(SmallRaft):
    """It raises when it has voted, before it says so; who goes on after that votes twice."""

    is_broken = False

    def on_ask(self, m: Message) -> None:
        if self.is_broken:
            self.disk["vote"] = m["from"]
            self.say(m["from"], "yes")
        if len(self.log) % 2:
            self.is_broken = True
            raise LookupError("an odd log")
        super().on_ask(m)


HALFWAY = "exception: LookupError in on_ask"


def test_who_raised_is_down_until_it_restarts() -> None:
    found = conform(adapter(StopsHalfway), walks=40, seed=1, known=[HALFWAY], liveness=True)
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    assert found.passed_over[HALFWAY] > 10


def test_what_comes_after_something_known_is_told_so() -> None:
    class BreaksThen(StopsHalfway):
        def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
            super().__init__(name, nodes, disk)
            if disk.get("was_odd"):
                disk["vote"] = None

        def on_ask(self, m: Message) -> None:
            self.disk["was_odd"] = len(self.log) % 2
            super().on_ask(m)

    found = conform(adapter(BreaksThen), walks=60, seed=1, known=[HALFWAY])
    assert found.causes, found.text
    assert all(cause.after == (HALFWAY,) for cause in found.causes), found.text
    assert f"it may follow from what is known, and comes after it: {HALFWAY}" in found.text


def test_nothing_is_asked_of_the_calm_in_which_a_server_raised() -> None:
    class RaisesInTheEnd(SmallRaft):
        def on_stored(self, m: Message) -> None:
            raise LookupError("an answer")

    known = ["exception: LookupError in on_stored"]
    found = conform(adapter(RaisesInTheEnd), walks=4, seed=1, known=known, liveness=True)
    assert not found.liveness
    assert found.verdicts[LIVENESS] is INCONCLUSIVE, found.text


@pytest.mark.parametrize(
    ("members", "joint", "refused"),
    [
        (None, None, [clauses.GIVES_WAY]),  # all are, for all that is shown
        ("n1 n2", None, [clauses.GIVES_WAY]),
        ("n1 n3", None, []),  # etcd drops what comes from a server that it has removed
        ("n1 n3", "n1 n2 n3", [clauses.GIVES_WAY]),
    ],
)
def test_a_leader_need_not_hear_whom_it_has_removed(
    members: str | None, joint: str | None, refused: list[str]
) -> None:
    leads = Observed(
        1,
        "n1",
        "leader",
        members=frozenset(members.split()) if members else None,
        joint=frozenset(joint.split()) if joint else None,
    )
    answers = Prompt("receive", "n2", Observed(2, "n2", "candidate"), to_leader=1)
    judge = clauses.Observations(("n1", "n2", "n3"))
    judge.begin({"n1": leads})
    assert [breach.cause for breach in judge.look("n1", answers, Report(), {"n1": leads})] == refused


def test_no_leader_knows_more_to_be_stored_than_it_has() -> None:
    shows = Observed(1, "n1", "leader", log=((1, "v1"),), commit=0, match={"n2": 2})
    judge = clauses.Observations(("n1", "n2"))
    judge.begin({"n1": replace(shows, role="candidate", match=None), "n2": None})
    found = judge.look("n1", Prompt("receive", "n2"), Report(), {"n1": shows, "n2": None})
    assert [breach.cause for breach in found] == [clauses.MATCH]


def test_entries_that_a_leader_replaces_are_not_lost_in_a_crash() -> None:
    """n1 confirms v1 to the leader of term 1; that of term 2 replaces it, and n1 crashes."""
    first, other = ((1, "v1"),), ((2, "v2"),)
    leader = Observed(2, "n2", "leader", log=other, commit=0)
    for prompt, lost in [(Prompt("receive", "n2", leader), []), (Prompt("crash"), [clauses.DURABLE])]:
        judge = clauses.Observations(("n1", "n2"))
        judge.begin({"n1": Observed(1, None, "follower", log=(), commit=0), "n2": None})
        stores = {"n1": Observed(1, None, "follower", log=first, commit=0), "n2": None}
        answer = Report([Sent("n2", "stored")])
        said = Observed(1, "n2", "leader", log=first, commit=0)
        assert not list(judge.look("n1", Prompt("receive", "n2", said), answer, stores))
        falls = {"n1": Observed(2, None, None, log=other), "n2": leader}
        assert [breach.cause for breach in judge.look("n1", prompt, Report(), falls)] == lost


@pytest.mark.parametrize(
    ("joint", "has_it", "lost"),
    [
        (None, "n1", []),  # it is alone
        (frozenset({"n1", "n2", "n3"}), "n1", [clauses.STORED]),  # and the members of before are asked, too
        (frozenset({"n1", "n2", "n3"}), "n1 n2", []),
        (frozenset({"n2", "n3"}), "n1 n2", [clauses.STORED]),
    ],
)
def test_while_members_are_joint_both_majorities_store_it(
    joint: frozenset[str] | None, has_it: str, lost: list[str]
) -> None:
    judge, log = clauses.Observations(("n1", "n2", "n3")), ((1, "v1"),)

    def shows(node: str, commit: int) -> Observed:
        held = log if node in has_it else ()
        return Observed(1, "n1", "follower", log=held, commit=commit, members=frozenset({"n1"}), joint=joint)

    judge.begin({node: shows(node, 0) for node in ("n1", "n2", "n3")})
    leads = replace(shows("n1", 1), role="leader", log=log)
    judged = judge.look("n1", Prompt("receive"), Report(), {"n1": leads})
    found = [breach.cause for breach in judged if breach.cause == clauses.STORED]
    assert found == lost


FIRST = [(1, "a"), (1, "b")]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ([(1, "a"), (1, "c")], "entry 2 of term 1 in the log of n2 is 'c' and was 'b'"),
        ([(0, "a"), (1, "b")], "entry 2 of term 1 in the log of n2 follows another entry"),
    ],
)
def test_logs_that_do_not_match_are_told_apart(log: list[tuple[int, str]], words: str) -> None:
    seen = {n: Observed(1, None, "follower", log=its) for n, its in (("n1", FIRST), ("n2", log))}
    found = clauses.Observations(("n1", "n2"))
    assert found.begin({"n1": seen["n1"]}) is None
    told = [*found.look("n2", Prompt("start"), Report(), seen)]
    assert [str(breach).splitlines()[0] for breach in told if breach.cause == clauses.LOG_MATCHING] == [words]
