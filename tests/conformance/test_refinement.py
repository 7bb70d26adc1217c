"""Logs judged by the model `replication`: correct Rafts hold whatever they do that it has no word for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pytest

from oneleader.conformance.adapter import May, Observed
from oneleader.conformance.conform import again, conform
from oneleader.conformance.following import grounds
from oneleader.conformance.network import Network
from oneleader.conformance.observations import CLAUSES
from oneleader.conformance.refinement import LogJudge
from oneleader.conformance.trial import FIGURE_3, Event
from oneleader.models import replication
from oneleader.verdict import HOLDS, INCONCLUSIVE
from tests.conformance.small_raft import Message, SmallAdapter, SmallRaft
from tests.conformance.test_may import CheckQuorum, PreVote
from tests.conformance.test_observations import CommitFalls, CountsOneLess, LosesItsLastEntry, VotesForAnyLog

REPLICATION = "replication"
QUORUM_STORES = "advance_commit: quorum_stores (Figure 2, Leaders 4: a majority of matchIndex)"
ALL_OF_FIGURE_3 = [f"{FIGURE_3}: {clause}" for clause in CLAUSES]


class KeepsItsCommitIndex(SmallRaft):
    """It is stored, as etcd stores it."""

    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        self.commit = disk.get("commit", 0)

    def apply(self) -> None:
        super().apply()
        self.disk["commit"] = self.commit


class DropsEarly(SmallRaft):
    """A check that fails takes what conflicts away at once; the new entries come later."""

    def on_entries(self, m: Message) -> None:
        if self.lacks(m["prev"], m["prev_term"]):
            del self.log[max(m["prev"] - 1, self.commit) :]
        super().on_entries(m)


class LosesHeart(SmallRaft):
    """A candidate that is refused by a majority gives up, as etcd's does."""

    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        self.refusals: set[str] = set()

    def timeout(self) -> None:
        self.refusals = set()
        super().timeout()

    def on_ask(self, m: Message) -> None:
        super().on_ask(m)
        if self.disk["vote"] != m["from"]:
            self.say(m["from"], "refuse")

    def on_refuse(self, m: Message) -> None:
        self.refusals.add(m["from"])
        if self.role == "candidate" and len(self.refusals) >= self.quorum:
            self.role = "follower"


class LikeEtcd(PreVote, CheckQuorum, KeepsItsCommitIndex, LosesHeart):
    """All of them: pre-vote, check-quorum, a stored commit index, an election that is given up."""

    def timeout(self) -> None:
        self.refusals = set()
        (CheckQuorum if self.role == "leader" else PreVote).timeout(self)


class StandsOn(SmallRaft):
    """A candidate that restarts is one again, as in Kafka: its vote for itself is stored."""

    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        if disk["vote"] == name and not disk.get("led"):
            self.role, self.votes = "candidate", {name}

    def count_votes(self) -> None:
        super().count_votes()
        self.disk["led"] = self.role == "leader"


class PassesATerm(SmallRaft):
    """Who led a term stands in none that it has led: its timer takes it into the next."""

    def timeout(self) -> None:
        if self.role == "leader":
            self.adopt(self.term + 1)
            self.role = "pre-candidate"
        else:
            super().timeout()


class SendsLate(SmallRaft):
    """What it had to send as a leader it sends later, with what its log has; so does hashicorp/raft."""

    former = 0

    def adopt(self, term: int) -> None:
        self.former = self.term if self.role == "leader" else self.former
        super().adopt(term)

    def heartbeat(self) -> None:
        super().heartbeat()
        if self.former and self.role != "leader":
            for other in self.others:
                self.say(other, "entries", prev=0, prev_term=0, entries=list(self.log), commit=self.commit)
                self.out[-1]["term"] = self.former


class CommitsOldTerms(SmallRaft):
    """Figure 8: an entry of an older term is counted."""

    def may_commit(self, index: int) -> bool:
        return True


class CountsAVoteAsStored(SmallRaft):
    """Who has voted for the leader is taken to have its log."""

    def count_votes(self) -> None:
        was = self.role
        super().count_votes()
        if self.role == "leader" and was != "leader":
            self.match |= dict.fromkeys(self.votes - {self.name}, len(self.log) + 1)


def adapter(
    kind: type[SmallRaft], over: Network = SmallAdapter.network, declares: Collection[May] = ()
) -> type[SmallAdapter]:
    class Made(SmallAdapter):
        server = kind
        network = over
        may = declares

    return Made


@pytest.mark.parametrize("network", [Network.tcp(), Network.udp()], ids=["tcp", "udp"])
def test_a_raft_like_etcd_holds_when_it_says_what_it_does(network: Network) -> None:
    found = conform(adapter(LikeEtcd, network, list(May)), walks=50, seed=1)
    assert set(found.verdicts.values()) == {HOLDS}, found.text
    assert found.by_model[REPLICATION] == found.by_model["election"] > 0


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        (KeepsItsCommitIndex, May.COMMIT_SURVIVES),
        (DropsEarly, May.DROP_CONFLICTS),
        (LosesHeart, May.GIVE_UP),
        (StandsOn, May.STANDS_ON),
        (PassesATerm, May.PASSES_A_TERM),
    ],
)
def test_what_has_no_word_is_inconclusive_by_its_name(kind: type[SmallRaft], step: May) -> None:
    found = conform(adapter(kind), walks=60, seed=1)
    assert found.verdicts[FIGURE_3] is HOLDS, found.text
    assert INCONCLUSIVE in found.verdicts.values()
    assert {may for _, may in found.no_word} == {step}
    declared = conform(adapter(kind, declares=[step]), walks=30, seed=1)
    assert set(declared.verdicts.values()) == {HOLDS}, declared.text


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        (VotesForAnyLog, "grant_vote: log_is_up_to_date (section 5.4.1)"),
        (CountsOneLess, QUORUM_STORES),
        (CountsAVoteAsStored, QUORUM_STORES),
        (CommitsOldTerms, "advance_commit: entry_is_own (section 5.4.2 and Figure 8)"),
        (CommitFalls, "observation: commit_index"),
        (LosesItsLastEntry, "observation: log_length"),
    ],
)
def test_the_model_names_the_guard(kind: type[SmallRaft], cause: str) -> None:
    found = conform(adapter(kind), walks=60, seed=1, known=ALL_OF_FIGURE_3)
    keys = [c.key for c in found.causes]
    assert f"{REPLICATION}: {cause}" in keys, keys


class TellsByVote(SmallRaft):
    """A request for a vote says what is committed, and who has that entry takes it as committed."""

    def say(self, to: str, kind: str, **more: Any) -> None:
        last = self.log[self.commit - 1] if self.commit else None
        super().say(to, kind, **more, known=(self.commit, last))

    def on_ask(self, m: Message) -> None:
        commit, entry = m["known"]
        if commit > self.commit and len(self.log) >= commit and self.log[commit - 1] == entry:
            self.commit = commit
            self.apply()
        super().on_ask(m)


def test_a_vote_may_tell_what_is_committed() -> None:
    """n1 commits v1 with n2, which does not know it yet; n1 stands again, and its request says so."""
    run: tuple[Event, ...] = (
        ("timeout", "n1"),
        ("deliver", "n1", "n2"),
        ("deliver", "n2", "n1"),
        ("propose", "n1", "v1"),
        ("burst", "n1", "n2"),
        ("burst", "n2", "n1"),
        ("crash", "n1"),
        ("restart", "n1"),
        ("timeout", "n1"),
        ("burst", "n1", "n2"),
    )

    class Keeps(TellsByVote, KeepsItsCommitIndex):
        pass

    found = again(adapter(Keeps, declares=[May.COMMIT_SURVIVES]), run)
    assert not found.causes, found.text
    assert found.no_word == {(REPLICATION, May.COMMIT_BY_VOTE)}
    declared = again(adapter(Keeps, declares=[May.COMMIT_SURVIVES, May.COMMIT_BY_VOTE]), run)
    assert set(declared.verdicts.values()) == {HOLDS}, declared.text


def test_a_vote_may_tell_it_where_another_leads() -> None:
    """n3 commits v1 with both, stands again, and is overtaken by n2; its request arrives at n1 after n2's
    heartbeat, which says nothing of v1. Found by walks on raft-rs."""
    run: tuple[Event, ...] = (
        ("timeout", "n3"),
        ("burst", "n3", "n1"),
        ("burst", "n1", "n3"),
        ("burst", "n3", "n2"),
        ("propose", "n3", "v1"),
        ("burst", "n3", "n1"),
        ("burst", "n3", "n2"),
        ("burst", "n1", "n3"),
        ("burst", "n2", "n3"),
        ("crash", "n3"),
        ("restart", "n3"),
        ("timeout", "n3"),
        ("timeout", "n2"),
        ("burst", "n2", "n1"),
        ("burst", "n1", "n2"),
        ("burst", "n2", "n1"),
        ("burst", "n3", "n1"),
    )

    class Keeps(TellsByVote, KeepsItsCommitIndex):
        pass

    declared = again(adapter(Keeps, declares=[May.COMMIT_SURVIVES, May.COMMIT_BY_VOTE]), run)
    assert set(declared.verdicts.values()) == {HOLDS}, declared.text
    found = again(adapter(Keeps, declares=[May.COMMIT_SURVIVES]), run)
    assert not found.causes, found.text
    assert found.no_word == {(REPLICATION, May.COMMIT_BY_VOTE)}


# n1 leads term 1, which n2 has heard; n3 leads term 2 and gives n1 an entry, which n1 sends to n2 in term 1.
LATE: tuple[Event, ...] = (
    ("timeout", "n1"),
    ("burst", "n1", "n3"),
    ("burst", "n3", "n1"),
    ("burst", "n1", "n2"),
    ("timeout", "n3"),
    ("burst", "n3", "n1"),
    ("burst", "n1", "n3"),
    ("propose", "n3", "v1"),
    ("burst", "n3", "n1"),
    ("heartbeat", "n1"),
    ("burst", "n1", "n2"),
)


class SendsAnything(SendsLate):
    """Not what it has: another value."""

    def say(self, to: str, kind: str, **more: Any) -> None:
        if kind == "entries" and self.role != "leader":
            more["entries"] = [(term, "v9") for term, _ in more["entries"]]
        super().say(to, kind, **more)


def test_a_former_leader_may_send_what_it_has_since_and_nothing_else() -> None:
    found = again(adapter(SendsLate), LATE)
    assert (found.verdicts[FIGURE_3], found.no_word) == (HOLDS, {(REPLICATION, May.SENDS_LATE)}), found.text
    assert not found.causes
    declared = again(adapter(SendsLate, declares=[May.SENDS_LATE]), LATE)
    assert set(declared.verdicts.values()) == {HOLDS}, declared.text
    wrong = again(adapter(SendsAnything, declares=[May.SENDS_LATE]), LATE)
    sent = "append_entries: entries_were_sent (Figure 2, AppendEntries arguments)"
    assert {f"{REPLICATION}: {sent}", f"{FIGURE_3}: Log Matching"} <= {c.key for c in wrong.causes}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_leader_of_a_term_had_the_longest_log_that_is_there_at_first(order: tuple[int, int]) -> None:
    """Whoever is looked at first, and it knew of as many entries committed as any."""
    logs = (([(1, "a"), (1, "b")], 0), ([(1, "a")], 1))
    shown = [Observed(1, "n1", "follower", log=log, commit=commit) for log, commit in logs]
    judge = LogJudge(grounds(replication.MODEL, ("n1", "n2")))
    judge.begin({f"n{i + 1}": shown[i] for i in order})
    (state,) = judge.candidates.states
    assert (state.get("leader_log_length", 1), state.get("leader_commit", 1)) == (2, 1)
