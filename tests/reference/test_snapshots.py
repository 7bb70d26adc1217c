"""Snapshots: section 7 and dissertation chapter 5, clause by clause, on the pure core."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oneleader_raft.configuration import InEffect, Membership
from oneleader_raft.lease import NO_ROUND, Round
from oneleader_raft.messages import why_contradicted, why_impossible
from oneleader_raft.raft import (
    NIL,
    NO_SNAPSHOT,
    AppendEntries,
    AppendReply,
    Apply,
    Compact,
    Durable,
    Entry,
    HeartbeatTimeout,
    InstallSnapshot,
    Leadership,
    Message,
    Node,
    Progress,
    Receive,
    Refuse,
    ResetElectionTimer,
    Restore,
    Role,
    Send,
    Snapshot,
    Step,
    Store,
    TwoLeadersError,
    restart,
    step,
)

NOW = 10_000
MEMBERS = ("n1", "n2", "n3")
FIRST = InEffect(0, Membership(MEMBERS))
LOG = tuple(Entry(t, f"x{i}") for i, t in enumerate((1, 1, 2, 2, 3), 1))
R1 = Round(1, NOW)


def follower(log: tuple[Entry, ...] = LOG, committed: int = 0, snapshot: Snapshot = NO_SNAPSHOT) -> Node:
    """Of term 3."""
    node = restart("n1", MEMBERS, Durable(3, NIL, log, snapshot), now=0).node
    return replace(node, commit_index=max(committed, snapshot.index))


def leader(next_index: int, compacted: int = 4) -> Node:
    """n1 leads term 3; n2 is sent what follows from there, n3 has all."""
    progress = {"n2": Progress(next_index), "n3": Progress(6, 5)}
    node = replace(follower(committed=5), role=Role.LEADER, leader_id="n1", votes=frozenset(MEMBERS))
    node = replace(node, leadership=Leadership(NOW, 5, progress, R1))
    return step(node, Compact(compacted, "four"), NOW).node if compacted else node


def sent(taken: Step) -> dict[str, Message]:
    return {effect.to: effect.message for effect in taken.effects if isinstance(effect, Send)}


def names(taken: Step) -> list[str]:
    return [action.name for action in taken.actions]


def install(node: Node, snapshot: Snapshot, term: int = 3) -> Step:
    return step(node, Receive(InstallSnapshot(term, "n2", snapshot, R1)), NOW)


class TestCompact:
    """Section 7: each server takes snapshots independently, of committed entries."""

    def test_a_snapshot_takes_the_place_of_the_log(self) -> None:
        taken = step(follower(committed=4), Compact(3, "three"), NOW)
        node = taken.node
        assert node.snapshot == Snapshot(3, 2, FIRST, "three")
        assert (node.log, node.last_index, node.last_term, node.commit_index) == (LOG[3:], 5, 3, 4)
        assert [node.term_at(i) for i in (3, 4, 5)] == [2, 2, 3]
        assert names(taken) == ["compact"]
        assert taken.effects == (Store(Durable(3, NIL, LOG[3:], node.snapshot)),)

    def test_all_that_is_committed_may_go(self) -> None:
        node = step(follower(committed=5), Compact(5, "five"), NOW).node
        assert (node.log, node.last_index, node.last_term) == ((), 5, 3)

    @pytest.mark.parametrize(
        ("index", "why"),
        [
            (2, "the log begins after 2"),
            (1, "the log begins after 2"),
            (5, "no more than 4 entries are committed"),
        ],
    )
    def test_nothing_else(self, index: int, why: str) -> None:
        node = step(follower(committed=4), Compact(2, "two"), NOW).node
        taken = step(node, Compact(index, "?"), NOW)
        assert (taken.node, taken.effects) == (node, (Refuse(Compact(index, "?"), NIL, why),))

    def test_after_a_restart_what_it_stands_for_is_committed(self) -> None:
        durable = step(follower(committed=4), Compact(3, "three"), NOW).node.durable
        taken = restart("n1", MEMBERS, durable, NOW)
        assert (taken.node.commit_index, taken.node.last_index, taken.node.log) == (3, 5, LOG[3:])
        assert taken.effects == (ResetElectionTimer(), Restore(Snapshot(3, 2, FIRST, "three")))

    def test_after_a_restart_the_first_entry_is_restored_too(self) -> None:
        durable = step(follower(committed=1), Compact(1, "one"), NOW).node.durable
        taken = restart("n1", MEMBERS, durable, NOW)
        assert taken.effects == (ResetElectionTimer(), Restore(Snapshot(1, 1, FIRST, "one")))

    def test_what_is_applied_next_follows_it(self) -> None:
        node = step(follower(committed=3), Compact(3, "three"), NOW).node
        heartbeat = AppendEntries(3, "n2", 5, 3, (), 5, R1)
        assert Apply(4, LOG[3:]) in step(node, Receive(heartbeat), NOW).effects


class TestSend:
    """Section 7: "the leader must occasionally send snapshots to followers that lag behind"."""

    def test_who_needs_entries_that_are_gone_is_sent_the_snapshot(self) -> None:
        taken = step(leader(next_index=4), HeartbeatTimeout(), NOW)
        assert sent(taken)["n2"] == InstallSnapshot(3, "n1", Snapshot(4, 2, FIRST, "four"), Round(2, NOW))
        assert isinstance(sent(taken)["n3"], AppendEntries)

    def test_at_the_boundary_entries_are_sent(self) -> None:
        """camunda#13724: prevLogIndex is the snapshot's, and so is prevLogTerm."""
        message = sent(step(leader(next_index=5), HeartbeatTimeout(), NOW))["n2"]
        assert message == AppendEntries(3, "n1", 4, 2, LOG[4:], 5, Round(2, NOW))

    def test_the_answer_moves_it_on(self) -> None:
        node = step(leader(next_index=4), HeartbeatTimeout(), NOW).node
        node = step(node, Receive(AppendReply(3, "n2", True, Round(2, NOW), 4)), NOW).node
        assert node.leadership.progress["n2"] == Progress(5, 4, Round(2, NOW))

    def test_a_conflict_before_the_snapshot_is_answered_with_it(self) -> None:
        node = step(leader(next_index=6), HeartbeatTimeout(), NOW).node
        refused = AppendReply(3, "n2", False, Round(2, NOW), 2)
        assert isinstance(sent(step(node, Receive(refused), NOW))["n2"], InstallSnapshot)


class TestReceive:
    """Figure 13, InstallSnapshot RPC, receiver implementation."""

    FOUR = Snapshot(4, 2, InEffect(2, Membership(("n1", "n2"))), "four")

    def test_1_a_stale_leader_is_refused(self) -> None:
        node = follower()
        taken = install(node, self.FOUR, term=2)
        assert (taken.node, sent(taken)) == (node, {"n2": AppendReply(3, "n1", False, NO_ROUND, 0)})

    def test_it_is_heard_and_promised(self) -> None:
        node = install(follower(log=()), self.FOUR).node
        assert (node.leader_id, node.promised_at) == ("n2", NOW)

    def test_6_with_its_last_entry_what_follows_stays(self) -> None:
        snapshot = Snapshot(4, 2, FIRST, "four")
        taken = install(follower(committed=1), snapshot)
        assert (taken.node.log, taken.node.commit_index) == (LOG, 4)
        assert names(taken)[-1] == "keep_after_snapshot"
        assert Apply(2, LOG[1:4]) in taken.effects
        assert sent(taken) == {"n2": AppendReply(3, "n1", True, R1, 4)}

    @pytest.mark.parametrize(
        "log", [LOG[:3], (*LOG[:3], Entry(1, "y"), Entry(1, "z"))], ids=["short", "other"]
    )
    def test_7_else_the_whole_log_goes(self, log: tuple[Entry, ...]) -> None:
        """openraft#559: what follows goes too."""
        taken = install(follower(log=log, committed=1), self.FOUR)
        node = taken.node
        assert (node.log, node.last_index, node.last_term, node.commit_index) == ((), 4, 2, 4)
        assert names(taken)[-1] == "install_snapshot"
        assert taken.effects[0] == Store(Durable(3, NIL, (), self.FOUR))

    def test_8_its_state_and_its_configuration(self) -> None:
        taken = install(follower(log=()), self.FOUR)
        assert Restore(self.FOUR) in taken.effects
        assert not any(isinstance(effect, Apply) for effect in taken.effects)
        assert (taken.node.members, taken.node.since) == (("n1", "n2"), 2)

    def test_the_term_is_not_that_of_its_last_entry(self) -> None:
        """willemt/raft PR#118."""
        assert install(follower(log=()), self.FOUR).node.current_term == 3

    def test_an_older_one_changes_nothing(self) -> None:
        for snapshot in (NO_SNAPSHOT, Snapshot(4, 2, FIRST, "four")):
            log = LOG[snapshot.index :]
            node = follower(log, 5, snapshot)
            taken = install(node, Snapshot(3, 2, FIRST, "three"))
            assert taken.node.durable == node.durable
            assert taken.node.commit_index == 5
            assert sent(taken) == {"n2": AppendReply(3, "n1", True, R1, 3)}

    def test_two_leaders(self) -> None:
        with pytest.raises(TwoLeadersError):
            install(leader(6), self.FOUR)


THEIRS = InEffect(0, Membership(("x1", "x2")))


class TestRefused:
    """What nobody can have sent, by what the server knows: in a sentence, and before the core sees it."""

    MINE = Snapshot(4, 2, FIRST, "four")

    @pytest.mark.parametrize(
        ("snapshot", "leader", "why"),
        [
            (Snapshot(4, 1, FIRST), "n2", "another entry is committed at 4"),
            (Snapshot(5, 2, FIRST), "n2", "another entry is committed at 5"),
            (Snapshot(4, 2, THEIRS), "n2", "another configuration is in effect at 4"),
            (Snapshot(9, 3, THEIRS), "n2", "another configuration is committed"),
            (Snapshot(9, 3, FIRST), "x1", "x1 is no member"),
            (Snapshot(9, 3, FIRST), "n3", "n2 leads it"),
        ],
    )
    def test_of_another_cluster(self, snapshot: Snapshot, leader: str, why: str) -> None:
        node = replace(follower(LOG[4:], 5, self.MINE), leader_id="n2")
        message = InstallSnapshot(3, leader, snapshot, R1)
        found = why_impossible(message, leader, "n1", MEMBERS) or why_contradicted(message, node)
        assert found.startswith(f"InstallSnapshot: {why}")

    @pytest.mark.parametrize(
        ("snapshot", "why"),
        [
            (Snapshot(0, 0, FIRST), "it stands for an entry at least"),
            (Snapshot(9, 4, FIRST), "its last entry is of the leader's term or of one before"),
            (Snapshot(9, 3, InEffect(10, Membership(MEMBERS))), "its configuration is that as of its index"),
            (Snapshot(9, 3, InEffect(1, Membership(()))), "somebody has to be a member"),
            (Snapshot(9, 3, InEffect(1, Membership(("n2", "n1")))), "members are in order, and no one twice"),
            (Snapshot(-9, 3, FIRST), "snapshot: index is out of range"),
        ],
    )
    def test_damaged(self, snapshot: Snapshot, why: str) -> None:
        message = InstallSnapshot(3, "n2", snapshot, R1)
        assert why_impossible(message, "n2", "n1", MEMBERS) == f"InstallSnapshot: {why}"

    def test_older_than_the_log_is_not_refused_but_adds_nothing(self) -> None:
        """It may come late from a leader that did right: it is answered as a heartbeat."""
        node = follower(LOG[4:], 5, self.MINE)
        message = InstallSnapshot(3, "n2", Snapshot(2, 1, FIRST), R1)
        assert not why_impossible(message, "n2", "n1", MEMBERS) + why_contradicted(message, node)
        assert install(node, message.snapshot).node.durable == node.durable


class TestEntriesAfterASnapshot:
    """Figure 2, AppendEntries RPC, receiver, where the log begins after a snapshot."""

    FOUR = Snapshot(4, 2, FIRST, "four")

    def append(self, prev: int, last: int, node: Node) -> Step:
        entries = LOG[prev:last]
        prev_term = LOG[prev - 1].term if prev else 0
        return step(node, Receive(AppendEntries(3, "n2", prev, prev_term, entries, 0, R1)), NOW)

    @pytest.mark.parametrize("prev", range(6))
    @pytest.mark.parametrize("last", range(6))
    def test_those_that_it_stands_for_are_passed_over(self, prev: int, last: int) -> None:
        for log in (LOG[4:], ()):
            node = follower(log, snapshot=self.FOUR)
            taken = self.append(prev, max(prev, last), node)
            (reply,) = sent(taken).values()
            assert isinstance(reply, AppendReply)
            if prev > node.last_index:
                assert reply == AppendReply(3, "n1", False, R1, 5)
                continue
            assert (reply.success, reply.index) == (True, max(prev, last))
            assert taken.node.log == (log or LOG[4:last])

    def test_a_conflict_after_it_is_replaced(self) -> None:
        node = follower((Entry(2, "y"), Entry(2, "z")), snapshot=self.FOUR)
        assert self.append(3, 5, node).node.log == LOG[4:]

    def test_where_nothing_of_the_term_is_left_it_goes_back_to_the_snapshot(self) -> None:
        node = follower((Entry(2, "y"), Entry(2, "z")), snapshot=self.FOUR)
        taken = step(node, Receive(AppendEntries(4, "n2", 6, 3, (), 0, R1)), NOW)
        assert sent(taken) == {"n2": AppendReply(4, "n1", False, R1, 5, 2)}
