"""Changes of members: the clauses of the dissertation's chapter 4, each tested on the pure core."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from oneleader_raft.configuration import InEffect, Membership, initial
from oneleader_raft.lease import Clocks, Round
from oneleader_raft.raft import (
    NIL,
    NOOP,
    AppendEntries,
    AppendReply,
    ChangeMembers,
    Compact,
    Durable,
    ElectionTimeout,
    Entry,
    HeartbeatTimeout,
    Leadership,
    Message,
    Node,
    PreVoteReply,
    Progress,
    Propose,
    Receive,
    Refuse,
    RequestPreVote,
    RequestVote,
    Role,
    Send,
    Step,
    Transfer,
    VoteReply,
    is_leader,
    restart,
    step,
)

NOW = 10_000
LATER = NOW + Clocks().promise
THREE = ("n1", "n2", "n3")


def members(*ids: str, old: tuple[str, ...] = ()) -> Membership:
    return Membership(ids, old)


def leader(*ids: str, log: tuple[object, ...] = (NOOP,), committed: int = 1, own: bool = True) -> Node:
    """n1 leads term 2 with these members, and the log is its own."""
    entries = tuple(Entry(2 if own else 1, command) for command in log)
    node = restart("n1", ids or THREE, Durable(2, "n1", entries), now=0).node
    progress = {id: Progress(len(log) + 1, 0, Round(1, NOW)) for id in node.peers}
    leadership = Leadership(since=NOW, noop=1, progress=progress, round=Round(1, NOW))
    node = replace(node, role=Role.LEADER, leader_id="n1", commit_index=committed, leadership=leadership)
    return replace(node, votes=frozenset(node.members))


def change(node: Node, *ids: str) -> Step:
    return step(node, ChangeMembers(ids), NOW)


def stored(node: Node, index: int, *followers: str, now: int = NOW) -> Step:
    """The leader hears that these have its log up to the index."""
    taken = Step(node)
    for id in followers:
        reply = AppendReply(node.current_term, id, True, node.leadership.round, index)
        taken = taken.then(lambda node, reply=reply: step(node, Receive(reply), now))  # type: ignore[misc]
    return taken


def sent(taken: Step) -> dict[str, Message]:
    return {effect.to: effect.message for effect in taken.effects if isinstance(effect, Send)}


def names(taken: Step) -> list[str]:
    return [action.name for action in taken.actions]


def refusal(taken: Step) -> str:
    (refused,) = (effect for effect in taken.effects if isinstance(effect, Refuse))
    return refused.why


class TestQuorums:
    """4.1 and 4.3."""

    @pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
    def test_majorities_of_sets_that_differ_by_one_server_meet(self, size: int) -> None:
        servers = [f"n{i}" for i in range(size + 1)]
        one, other = Membership(tuple(servers[:-1])), Membership(tuple(servers))
        assert one.towards(other.members) == other
        assert other.towards(one.members) == one
        assert meet(one, other, servers)

    def test_a_joint_configuration_meets_both_of_its_sets(self) -> None:
        joint = members("n1", "n2", "n3").towards(("n3", "n4", "n5"))
        assert joint == members("n3", "n4", "n5", old=THREE)
        assert joint.voters == ("n1", "n2", "n3", "n4", "n5")
        assert meet(members(*THREE), joint, joint.voters)
        assert meet(joint, members("n3", "n4", "n5"), joint.voters)
        assert not meet(members(*THREE), members("n3", "n4", "n5"), joint.voters)

    def test_from_a_joint_configuration_it_goes_to_the_new_members_whatever_is_wanted(self) -> None:
        assert members("n4", old=THREE).towards(("n1",)) == members("n4")


def meet(one: Membership, other: Membership, servers: tuple[str, ...] | list[str]) -> bool:
    """Whether any two quorums share a server."""
    sets = [set(s) for k in range(len(servers) + 1) for s in combinations(servers, k)]
    return all(a & b for a in sets if one.is_quorum(a) for b in sets if other.is_quorum(b))


class TestInEffect:
    """4.1: "a server always uses the latest configuration in its log", committed or not."""

    LOG = (Entry(1, NOOP), Entry(1, members("n1", "n2")), Entry(1, "x"))

    def test_from_the_append_on(self) -> None:
        node = restart("n1", THREE, Durable(1, NIL, self.LOG), now=0).node
        assert (node.configuration, node.since, node.commit_index) == (members("n1", "n2"), 2, 0)
        assert (node.members, node.peers) == (("n1", "n2"), ("n2",))

    def test_it_falls_back_where_its_entry_is_overwritten(self) -> None:
        node = restart("n1", THREE, Durable(1, NIL, self.LOG), now=0).node
        overwriting = AppendEntries(2, "n3", 1, 1, (Entry(2, NOOP),), 0, Round(1, 0))
        after = step(node, Receive(overwriting), NOW).node
        assert (after.members, after.since) == (THREE, 0)

    def test_of_several_in_one_message_the_last(self) -> None:
        entries = (Entry(2, members("n1", "n2", "n3", "n4")), Entry(2, "x"), Entry(2, members("n4")))
        node = restart("n1", THREE, Durable(2), now=0).node
        after = step(node, Receive(AppendEntries(2, "n2", 0, 0, entries, 0, Round(1, 0))), NOW).node
        assert after.history == (
            *initial(THREE),
            InEffect(1, members("n1", "n2", "n3", "n4")),
            InEffect(3, members("n4")),
        )

    def test_it_elects(self) -> None:
        """A majority of the new configuration, not of the initial one."""
        log = (Entry(1, NOOP), Entry(1, members("n1", "n2", "n3", "n4", "n5")))
        node = restart("n1", THREE, Durable(1, NIL, log), now=0).node
        node = step(node, ElectionTimeout(), NOW).node
        for id in ("n2", "n4"):
            assert node.role is Role.FOLLOWER
            node = step(node, Receive(PreVoteReply(2, id, True)), NOW).node
        for id in ("n2", "n4"):
            assert node.role is Role.CANDIDATE
            node = step(node, Receive(VoteReply(2, id, True)), NOW).node
        assert node.role is Role.LEADER
        assert node.peers == tuple(node.leadership.progress) == ("n2", "n3", "n4", "n5")

    def test_a_vote_of_no_member_does_not_count(self) -> None:
        node = step(restart("n1", THREE, Durable(1), now=0).node, ElectionTimeout(), NOW).node
        assert step(node, Receive(PreVoteReply(2, "n4", True)), NOW).node == node

    def test_its_own_vote_does_not_count_where_it_is_no_member(self) -> None:
        """4.2.2: it stands all the same, and the quorums that it reports are of the others."""
        log = (Entry(1, NOOP), Entry(1, members("n2", "n3")))
        node = step(restart("n1", THREE, Durable(1, NIL, log), now=0).node, ElectionTimeout(), NOW).node
        node = step(node, Receive(PreVoteReply(2, "n2", True)), NOW).node
        taken = step(node, Receive(PreVoteReply(2, "n3", True)), NOW)
        node = step(taken.node, Receive(VoteReply(2, "n2", True)), NOW).node
        assert node.role is Role.CANDIDATE
        elected = step(node, Receive(VoteReply(2, "n3", True)), NOW)
        assert elected.node.role is Role.LEADER
        quorums = [dict(a.arguments).get("q") for a in (*taken.actions, *elected.actions)]
        assert [q for q in quorums if q] == [("n2", "n3"), ("n2", "n3")]

    def test_anybody_votes_for_anybody(self) -> None:
        """4.1: "servers process incoming RPC requests without consulting their current configurations"."""
        voter = restart("n4", THREE, Durable(1), now=0).node
        asked = step(voter, Receive(RequestVote(2, "n5", 0, 0)), NOW)
        assert asked.node.voted_for == "n5"


class TestOneServer:
    """4.1 and 4.2.1."""

    def test_a_server_that_is_to_join_is_sent_entries_first(self) -> None:
        taken = change(leader(), "n1", "n2", "n3", "n4")
        assert names(taken) == ["send_heartbeat"]
        assert isinstance(sent(taken)["n4"], AppendEntries)
        assert taken.node.members == THREE
        assert stored(taken.node, 0, "n4").node.members == THREE

    def test_it_joins_when_it_has_what_is_committed(self) -> None:
        taken = stored(change(leader(), "n1", "n2", "n3", "n4").node, 1, "n4")
        assert "change_config" in names(taken)
        assert taken.node.members == ("n1", "n2", "n3", "n4")
        assert taken.node.log[-1] == Entry(2, members("n1", "n2", "n3", "n4"))
        assert sent(taken).keys() == {"n2", "n3", "n4"}
        assert taken.node.commit_index == 1

    def test_it_counts_at_once(self) -> None:
        """Three of four have to store the change; before it, two of three would do."""
        node = stored(change(leader(), "n1", "n2", "n3", "n4").node, 1, "n4").node
        assert stored(node, 2, "n2").node.commit_index == 1
        assert stored(node, 2, "n2", "n4").node.commit_index == 2

    def test_a_server_leaves(self) -> None:
        taken = change(leader(), "n1", "n2")
        assert taken.node.members == ("n1", "n2")
        assert sent(taken)["n2"].entries == taken.node.log[1:]  # type: ignore[attr-defined]
        assert sent(taken)["n3"].entries == ()  # type: ignore[attr-defined]
        assert sent(step(taken.node, HeartbeatTimeout(), NOW)).keys() == {"n2"}
        assert stored(taken.node, 2, "n2").node.commit_index == 2

    def test_of_two_one_leaves_and_the_other_commits_alone(self) -> None:
        taken = change(leader("n1", "n2"), "n1")
        assert (taken.node.members, taken.node.commit_index) == (("n1",), 2)

    def test_the_order_and_repetition_of_members_do_not_matter(self) -> None:
        assert change(leader(), "n2", "n1", "n2").node.members == ("n1", "n2")


class TestJoint:
    """4.3."""

    def joint(self) -> Node:
        """n1 and n2 are to be replaced by n4 and n5, which have caught up."""
        return stored(change(leader(), "n3", "n4", "n5").node, 1, "n4", "n5").node

    def test_more_than_one_server_go_through_a_joint_configuration(self) -> None:
        node = self.joint()
        assert node.configuration == members("n3", "n4", "n5", old=THREE)
        assert node.leadership.progress.keys() == {"n2", "n3", "n4", "n5"}

    def test_both_majorities_commit(self) -> None:
        node = self.joint()
        assert stored(node, 2, "n4", "n5").node.commit_index == 1
        assert stored(node, 2, "n2").node.commit_index == 1
        assert stored(node, 2, "n2", "n4", "n5").node.commit_index == 2

    def test_the_leader_goes_on_to_the_new_one_when_it_is_committed(self) -> None:
        taken = stored(self.joint(), 2, "n2", "n4", "n5")
        assert taken.node.configuration == members("n3", "n4", "n5")
        assert names(taken).count("change_config") == 1

    def test_another_leader_finishes_it(self) -> None:
        """4.3: whoever comes to lead with a joint configuration, when it has committed in its own term."""
        node = leader(log=(NOOP, members("n3", "n4", "n5", old=THREE), NOOP), committed=0)
        assert node.configuration.is_joint
        taken = stored(node, 3, "n2", "n4", "n5")
        assert taken.node.log[-1].command == members("n3", "n4", "n5")

    def test_a_lease_needs_both(self) -> None:
        node = self.joint()
        silent = {id: replace(p, acknowledged=Round()) for id, p in node.leadership.progress.items()}
        node = replace(node, leadership=replace(node.leadership, progress=silent))
        assert not is_leader(stored(node, 2, "n4", "n5").node, NOW)
        assert not is_leader(stored(node, 2, "n2", "n3").node, NOW)
        assert is_leader(stored(node, 1, "n2", "n4", "n5").node, NOW)


class TestWhen:
    """R2, and R3 of July 2015."""

    def test_r2_one_change_at_a_time(self) -> None:
        node = change(leader(), "n1", "n2").node
        assert refusal(change(node, "n1")) == "another change of members is under way"

    def test_r3_not_before_an_entry_of_its_own_is_committed(self) -> None:
        """It waits for that, and goes on by itself."""
        node = leader(log=(NOOP,), committed=0)
        waiting = change(node, "n1", "n2").node
        assert waiting.members == THREE
        assert stored(waiting, 1, "n3").node.members == ("n1", "n2")

    def test_r3_what_an_earlier_leader_committed_is_not_enough(self) -> None:
        node = leader(log=(NOOP,), committed=1, own=False)
        assert change(node, "n1", "n2").node.members == THREE

    def test_not_while_it_hands_over(self) -> None:
        node = step(leader(), Transfer("n2"), NOW).node
        assert refusal(change(node, "n1", "n2")) == "n1 hands over to n2"


class TestRefused:
    """In a sentence, and nothing changes."""

    @pytest.mark.parametrize(
        ("to", "why"),
        [
            ((), "somebody has to be a member"),
            (("n3", "n2", "n1"), "these are the members already"),
        ],
    )
    def test_what_makes_no_sense(self, to: tuple[str, ...], why: str) -> None:
        node = leader()
        taken = change(node, *to)
        assert refusal(taken) == why
        assert taken.node == node

    def test_by_a_follower_which_names_the_leader(self) -> None:
        node = replace(restart("n2", THREE, Durable(2), now=NOW).node, leader_id="n1")
        taken = change(node, "n1", "n2")
        why = "the leader changes the members, and nobody else"
        assert taken.effects == (Refuse(ChangeMembers(("n1", "n2")), "n1", why),)

    def test_to_members_of_which_no_majority_is_up(self) -> None:
        node = leader("n1", "n2", "n3", "n4")
        silent = {id: Progress(2, 0, Round(1, 0)) for id in ("n3", "n4")}
        progress = {**node.leadership.progress, **silent}
        node = replace(node, leadership=replace(node.leadership, since=0, progress=progress))
        refused = change(node, "n1", "n3", "n4")
        assert refusal(refused) == "of n1 n3 n4 no majority would be up: nothing was heard of n3 n4"
        assert change(node, "n1", "n2", "n3").node.members == ("n1", "n2", "n3")

    def test_given_up_where_a_server_that_is_to_join_does_not_answer(self) -> None:
        """4.2.1; what is known of the others stays."""
        node = change(leader(), "n1", "n2", "n3", "n4").node
        early = step(stored(node, 1, "n4", now=NOW).node, ElectionTimeout(), NOW)
        assert "n4" in early.node.members
        node = stored(replace(node, leadership=replace(node.leadership, round=Round(9, LATER))), 1, "n2").node
        taken = step(node, ElectionTimeout(), LATER)
        assert refusal(taken) == "nothing was heard of n4"
        assert taken.node.leadership.wanted is NIL
        assert taken.node.leadership.progress.keys() == {"n2", "n3"}
        assert stored(taken.node, 1, "n4").node == taken.node

    def test_a_client_cannot_bring_a_configuration(self) -> None:
        node = leader()
        taken = step(node, Propose(members("n1")), NOW)
        assert (taken.node, refusal(taken)) == (node, "only a change of members brings a configuration")

    def test_given_up_with_the_leadership(self) -> None:
        node = change(leader(), "n1", "n2", "n3", "n4").node
        taken = step(node, Receive(RequestVote(3, "n2", 1, 2, forced_by="n3")), NOW)
        assert refusal(taken) == "n1 leads no more"


class TestRemovedLeader:
    """4.2.2."""

    def test_it_leads_until_the_change_is_committed_and_is_not_counted(self) -> None:
        node = change(leader(), "n2", "n3").node
        assert (node.role, node.members) == (Role.LEADER, ("n2", "n3"))
        assert stored(node, 2, "n2").node.commit_index == 1

    def test_then_it_steps_down(self) -> None:
        taken = stored(change(leader(), "n2", "n3").node, 2, "n2", "n3")
        assert names(taken)[-2:] == ["advance_commit", "retire"]
        assert (taken.node.role, taken.node.commit_index) == (Role.FOLLOWER, 2)

    def test_who_may_still_be_needed_stands(self) -> None:
        """A server that is not in its configuration, which is not committed."""
        log = (Entry(1, NOOP), Entry(1, members("n2", "n3")))
        node = restart("n1", THREE, Durable(1, NIL, log), now=0).node
        assert sent(step(node, ElectionTimeout(), NOW)).keys() == {"n2", "n3"}

    def test_who_is_not_needed_does_not(self) -> None:
        log = (Entry(1, NOOP), Entry(1, members("n2", "n3")))
        node = replace(restart("n1", THREE, Durable(1, NIL, log), now=0).node, commit_index=2)
        assert not sent(step(node, ElectionTimeout(), NOW))
        assert not sent(step(restart("n4", THREE, Durable(), now=0).node, ElectionTimeout(), NOW))

    def test_its_own_vote_does_not_count(self) -> None:
        log = (Entry(1, NOOP), Entry(1, members("n2", "n3")))
        node = step(restart("n1", THREE, Durable(1, NIL, log), now=0).node, ElectionTimeout(), NOW).node
        node = step(node, Receive(PreVoteReply(2, "n2", True)), NOW).node
        assert node.role is Role.FOLLOWER
        node = step(node, Receive(PreVoteReply(2, "n3", True)), NOW).node
        assert node.role is Role.CANDIDATE


class TestRemovedServersThatDisturb:
    """4.2.3: they hear no leader any more, and stand."""

    def test_neither_a_leader_nor_who_hears_one_listens(self) -> None:
        follower = replace(restart("n2", THREE, Durable(2), now=NOW).node, leader_id="n1")
        for node in (leader(), follower):
            for kind in (RequestPreVote, RequestVote):
                after = step(node, Receive(kind(9, "n4", 9, 9)), NOW + 1).node
                assert (after.current_term, after.voted_for) == (node.current_term, node.voted_for)
                assert after.role is node.role


class TestSnapshotOfMembers:
    """The configuration in a snapshot is that as of its index."""

    def test_not_a_later_one(self) -> None:
        log = (NOOP, members("n1", "n2"), "x", members("n1", "n2", "n3"))
        node = step(leader(log=log, committed=4), Compact(3, "state"), NOW).node
        assert node.snapshot.in_effect == InEffect(2, members("n1", "n2"))
        assert node.history == (InEffect(2, members("n1", "n2")), InEffect(4, members(*THREE)))
        again = restart("n1", THREE, node.durable, NOW).node
        assert again.history == node.history

    def test_after_it_the_configuration_falls_back_to_that(self) -> None:
        log = (NOOP, members("n1", "n2"), "x", members("n1", "n2", "n3"))
        node = step(leader(log=log, committed=3), Compact(3, "state"), NOW).node
        node = restart("n1", THREE, node.durable, NOW).node
        overwriting = AppendEntries(3, "n2", 3, 2, (Entry(3, NOOP),), 3, Round(1, 0))
        assert step(node, Receive(overwriting), NOW).node.members == ("n1", "n2")


def test_clients_go_on_during_a_change() -> None:
    node = stored(change(leader(), "n1", "n2", "n3", "n4").node, 1, "n4").node
    taken = step(node, Propose("x"), NOW)
    assert taken.node.log[-1].command == "x"
    assert sent(step(taken.node, HeartbeatTimeout(), NOW)).keys() == {"n2", "n3", "n4"}
