"""What the Raft paper says about elections, clause by clause, each tested on the pure core.

Section numbers and Figure 2 are those of "In Search of an Understandable Consensus Algorithm (Extended
Version)"; a clause such as "Candidates 3" is the third bullet under "Candidates" in "Rules for Servers".
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from oneleader_raft.raft import (
    NIL,
    AppendEntries,
    AppendReply,
    Argument,
    Durable,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    Message,
    Node,
    Receive,
    RequestVote,
    ResetElectionTimer,
    Role,
    Send,
    Step,
    Store,
    TwoLeadersError,
    VoteReply,
    action,
    restart,
    step,
)

MEMBERS = ("n1", "n2", "n3", "n4", "n5")


def follower(term: int = 1, voted_for: str | None = NIL, members: tuple[str, ...] = MEMBERS) -> Node:
    return restart("n1", members, Durable(term, voted_for)).node


def candidate(term: int = 1, members: tuple[str, ...] = MEMBERS) -> Node:
    return step(follower(term - 1, members=members), ElectionTimeout()).node


def leader(term: int = 1) -> Node:
    node = candidate(term)
    for voter in ("n2", "n3"):
        node = receive(node, VoteReply(term, voter, True)).node
    return node


def receive(node: Node, message: Message) -> Step:
    return step(node, Receive(message))


def sent(taken: Step) -> list[tuple[str, Message]]:
    return [(effect.to, effect.message) for effect in taken.effects if isinstance(effect, Send)]


def names(taken: Step) -> list[str]:
    return [action.name for action in taken.actions]


ROLES = pytest.mark.parametrize("node", [follower(3), candidate(3), leader(3)], ids=lambda n: n.role.value)
REQUESTS_AND_REPLIES = pytest.mark.parametrize(
    "message",
    [
        RequestVote(7, "n2"),
        VoteReply(7, "n2", False),
        VoteReply(7, "n2", True),
        AppendEntries(7, "n2"),
        AppendReply(7, "n2", False),
    ],
    ids=str,
)


class TestState:
    """Figure 2, State."""

    def test_current_term_starts_at_zero_and_voted_for_at_nil(self) -> None:
        """ "currentTerm ... initialized to 0 on first boot"; "votedFor ... or null if none"."""
        first = restart("n1", MEMBERS, Durable()).node
        assert (first.current_term, first.voted_for) == (0, NIL)

    def test_term_and_vote_survive_a_restart_and_the_rest_does_not(self) -> None:
        """ "Persistent state on all servers"; votes and role are not in it."""
        before = leader(4)
        after = restart(before.id, before.members, before.durable)
        assert after.node == follower(4, voted_for="n1")
        assert after.actions == (action("restart", n="n1"),)

    def test_persistent_state_is_stored_before_any_answer(self) -> None:
        """ "Updated on stable storage before responding to RPCs"."""
        messages: list[Message] = [RequestVote(3, "n2"), RequestVote(7, "n2"), AppendEntries(7, "n2")]
        events: list[Event] = [ElectionTimeout(), *map(Receive, messages)]
        for node in (follower(3), candidate(3), leader(3)):
            for event in events:
                taken = step(node, event)
                if taken.node.durable != node.durable:
                    assert taken.effects[0] == Store(taken.node.durable)
                assert not any(isinstance(effect, Store) for effect in taken.effects[1:])

    def test_nothing_is_stored_where_nothing_persistent_changed(self) -> None:
        cases: list[tuple[Node, Event]] = [
            (leader(), HeartbeatTimeout()),
            (candidate(), Receive(AppendEntries(1, "n2"))),
            (follower(2, voted_for="n3"), Receive(RequestVote(2, "n3"))),
        ]
        for node, event in cases:
            assert not any(isinstance(effect, Store) for effect in step(node, event).effects)

    def test_current_term_increases_monotonically(self) -> None:
        """ "currentTerm: latest term server has seen (... increases monotonically)"."""
        for stale in (RequestVote(2, "n2"), VoteReply(2, "n2", True), AppendEntries(2, "n2")):
            assert receive(follower(3), stale).node == follower(3)

    def test_a_node_is_a_plain_value(self) -> None:
        before = follower()
        copy = replace(before)
        step(before, ElectionTimeout())
        assert before == copy
        assert hash(before) == hash(copy)
        with pytest.raises(FrozenInstanceError):
            before.current_term = 9  # type: ignore[misc]


class TestAllServers:
    @ROLES
    @REQUESTS_AND_REPLIES
    def test_2_a_higher_term_in_any_message_is_adopted(self, node: Node, message: Message) -> None:
        """All Servers 2, section 5.1: "If RPC request or response contains term T > currentTerm: set
        currentTerm = T, convert to follower"; and a vote of an old term is no vote of the new one."""
        taken = receive(node, message)
        vote = "n2" if isinstance(message, RequestVote) else NIL
        assert taken.node == follower(7, voted_for=vote)
        assert taken.actions[0] == action("update_term", n="n1", t=7)
        assert taken.effects[0] == Store(Durable(7, vote))

    @ROLES
    def test_2_the_own_term_is_not_adopted_again(self, node: Node) -> None:
        assert "update_term" not in names(receive(node, VoteReply(3, "n5", False)))


class TestFollowers:
    def test_start_as_followers(self) -> None:
        """Section 5.2: "When servers start up, they begin as followers"."""
        first = restart("n1", MEMBERS, Durable())
        assert first.node.role is Role.FOLLOWER
        assert first.effects == (ResetElectionTimer(),)

    def test_1_respond_to_candidates_and_leaders(self) -> None:
        """Followers 1: "Respond to RPCs from candidates and leaders"."""
        assert sent(receive(follower(), RequestVote(1, "n2"))) == [("n2", VoteReply(1, "n1", True))]
        assert sent(receive(follower(), AppendEntries(1, "n2"))) == [("n2", AppendReply(1, "n1", True))]

    def test_1_issue_no_requests_on_their_own(self) -> None:
        """Section 5.1: followers "issue no requests on their own"."""
        assert step(follower(), HeartbeatTimeout()) == Step(follower())

    def test_2_convert_to_candidate_when_the_election_timeout_elapses(self) -> None:
        """Followers 2."""
        assert step(follower(), ElectionTimeout()).node.role is Role.CANDIDATE

    def test_2_the_timer_is_reset_by_granting_a_vote_and_by_the_current_leader(self) -> None:
        """Followers 2: "without receiving AppendEntries RPC from current leader or granting vote"."""
        for message in (RequestVote(3, "n2"), AppendEntries(3, "n2")):
            assert ResetElectionTimer() in receive(follower(3), message).effects

    def test_2_the_timer_is_not_reset_by_anything_else(self) -> None:
        voted = follower(3, voted_for="n3")
        refused, stale, too_late = RequestVote(3, "n2"), AppendEntries(2, "n2"), RequestVote(2, "n3")
        for message in (refused, stale, too_late, VoteReply(9, "n2", False), AppendReply(9, "n2", False)):
            assert ResetElectionTimer() not in receive(voted, message).effects


class TestRequestVoteReceiver:
    def test_1_refuse_a_stale_term(self) -> None:
        """RequestVote receiver 1: "Reply false if term < currentTerm", and tell the candidate the term."""
        taken = receive(follower(3), RequestVote(2, "n2"))
        assert taken == Step(follower(3), (), (Send("n2", VoteReply(3, "n1", False)),))

    @pytest.mark.parametrize(
        ("voted_for", "asks", "granted"),
        [(NIL, "n2", True), (NIL, "n3", True), ("n2", "n2", True), ("n2", "n3", False), ("n1", "n2", False)],
    )
    def test_2_one_vote_per_term_first_come_first_served(
        self, voted_for: str | None, asks: str, granted: bool
    ) -> None:
        """RequestVote receiver 2, section 5.2: "Each server will vote for at most one candidate in a given
        term, on a first-come-first-served basis"."""
        taken = receive(follower(3, voted_for), RequestVote(3, asks))
        assert sent(taken) == [(asks, VoteReply(3, "n1", granted))]
        assert taken.node.voted_for == (asks if granted else voted_for)
        assert names(taken) == (["grant_vote"] if granted else [])

    def test_2_a_grant_is_stored_then_answered_and_each_is_an_action(self) -> None:
        """RequestVote receiver 2, and "updated on stable storage before responding"."""
        vote: dict[str, Argument] = {"voter": "n1", "candidate": "n2", "t": 3}
        taken = receive(follower(3), RequestVote(3, "n2"))
        assert taken.actions == (action("grant_vote", **vote),)
        assert taken.effects == (
            Store(Durable(3, "n2")),
            ResetElectionTimer(),
            Send("n2", VoteReply(3, "n1", True), action("reply_vote", **vote)),
        )

    def test_2_the_vote_outlives_a_crash(self) -> None:
        """Section 5.2 with Figure 2, State: not another vote in the same term, whatever happened between."""
        voted = receive(follower(3), RequestVote(3, "n2")).node
        back = restart(voted.id, voted.members, voted.durable).node
        assert sent(receive(back, RequestVote(3, "n3"))) == [("n3", VoteReply(3, "n1", False))]

    @pytest.mark.parametrize("node", [candidate(3), leader(3)], ids=lambda n: n.role.value)
    def test_2_candidates_and_leaders_have_voted_for_themselves(self, node: Node) -> None:
        taken = receive(node, RequestVote(3, "n2"))
        assert taken == Step(node, (), (Send("n2", VoteReply(3, "n1", False)),))


class TestCandidates:
    @pytest.mark.parametrize("node", [follower(3), candidate(3)], ids=lambda n: n.role.value)
    def test_1_and_4_start_an_election(self, node: Node) -> None:
        """Candidates 1: "Increment currentTerm; Vote for self; Reset election timer; Send RequestVote RPCs
        to all other servers"; Candidates 4: "If election timeout elapses: start new election"."""
        taken = step(node, ElectionTimeout())
        assert taken.node == Node("n1", MEMBERS, 4, "n1", Role.CANDIDATE, frozenset({"n1"}))
        assert taken.actions == (action("start_election", n="n1"),)
        assert taken.effects == (
            Store(Durable(4, "n1")),
            ResetElectionTimer(),
            *(Send(peer, RequestVote(4, "n1")) for peer in ("n2", "n3", "n4", "n5")),
        )

    def test_4_a_new_election_starts_without_the_votes_of_the_last(self) -> None:
        """Candidates 4, section 5.2: a majority "for the same term"."""
        one_vote_short = receive(candidate(3), VoteReply(3, "n2", True)).node
        again = step(one_vote_short, ElectionTimeout()).node
        assert again.votes == {"n1"}
        assert receive(again, VoteReply(4, "n3", True)).node.role is Role.CANDIDATE

    @pytest.mark.parametrize(
        ("size", "granting", "role"),
        [
            (2, ["n2"], Role.LEADER),
            (3, ["n2"], Role.LEADER),
            (3, [], Role.CANDIDATE),
            (4, ["n2"], Role.CANDIDATE),
            (4, ["n2", "n3"], Role.LEADER),
            (5, ["n3"], Role.CANDIDATE),
            (5, ["n5", "n2"], Role.LEADER),
            (5, ["n5", "n2", "n4", "n3"], Role.LEADER),
        ],
    )
    def test_2_become_leader_with_the_votes_of_a_majority(
        self, size: int, granting: list[str], role: Role
    ) -> None:
        """Candidates 2: "If votes received from majority of servers: become leader"."""
        node = candidate(3, MEMBERS[:size])
        for voter in granting:
            node = receive(node, VoteReply(3, voter, True)).node
        assert node.role is role

    def test_2_a_cluster_of_one_elects_itself(self) -> None:
        """Candidates 2: its own vote is a majority; even that is stored first."""
        taken = step(restart("n1", ("n1",), Durable()).node, ElectionTimeout())
        assert taken.node.role is Role.LEADER
        assert taken.actions == (action("start_election", n="n1"), action("become_leader", n="n1", q=("n1",)))
        assert taken.effects == (Store(Durable(1, "n1")), ResetElectionTimer())

    @pytest.mark.parametrize(
        ("reply", "why"),
        [
            (VoteReply(3, "n3", False), "a refusal is no vote"),
            (VoteReply(2, "n3", True), "a vote of another term"),
            (VoteReply(3, "n2", True), "a voter counts once"),
            (VoteReply(3, "n9", True), "not a member"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_2_what_does_not_count(self, reply: VoteReply, why: str) -> None:
        """Candidates 2, section 5.2: "a majority of the servers in the full cluster for the same term"."""
        one_vote_short = receive(candidate(3), VoteReply(3, "n2", True)).node
        assert receive(one_vote_short, reply).node == one_vote_short, why

    def test_2_a_vote_for_one_who_is_no_candidate_any_more_is_ignored(self) -> None:
        for node in (leader(3), follower(3, voted_for="n1")):
            assert receive(node, VoteReply(3, "n5", True)) == Step(node)

    def test_2_the_quorum_is_reported(self) -> None:
        one_vote_short = receive(candidate(3), VoteReply(3, "n5", True)).node
        assert receive(one_vote_short, VoteReply(3, "n2", True)).actions == (
            action("receive_vote", candidate="n1", voter="n2", t=3),
            action("become_leader", n="n1", q=("n1", "n2", "n5")),
        )

    def test_3_follow_a_leader_of_the_own_term_and_keep_the_vote(self) -> None:
        """Candidates 3: "If AppendEntries RPC received from new leader: convert to follower"; section 5.2:
        "term ... at least as large as the candidate's current term"."""
        taken = receive(candidate(3), AppendEntries(3, "n2"))
        assert taken.node == follower(3, voted_for="n1")
        assert taken.actions == (action("step_down", n="n1", leader="n2", t=3),)
        assert taken.effects == (ResetElectionTimer(), Send("n2", AppendReply(3, "n1", True)))

    def test_3_stay_candidate_if_the_leader_is_of_an_older_term(self) -> None:
        """Section 5.2: "the candidate rejects the RPC and continues in candidate state"."""
        taken = receive(candidate(3), AppendEntries(2, "n2"))
        assert taken == Step(candidate(3), (), (Send("n2", AppendReply(3, "n1", False)),))


class TestLeaders:
    def test_1_heartbeats_upon_election(self) -> None:
        """Leaders 1: "Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server"."""
        one_vote_short = receive(candidate(3), VoteReply(3, "n2", True)).node
        taken = receive(one_vote_short, VoteReply(3, "n3", True))
        assert sent(taken) == [(peer, AppendEntries(3, "n1")) for peer in ("n2", "n3", "n4", "n5")]

    def test_1_heartbeats_are_repeated(self) -> None:
        """Leaders 1: "repeat during idle periods to prevent election timeouts"."""
        taken = step(leader(3), HeartbeatTimeout())
        assert sent(taken) == [(peer, AppendEntries(3, "n1")) for peer in ("n2", "n3", "n4", "n5")]
        assert (taken.node, taken.actions) == (leader(3), ())

    def test_start_no_election(self) -> None:
        """Followers 2, Candidates 4 name no leader; its timer goes on for the day when it is none."""
        assert step(leader(3), ElectionTimeout()) == Step(leader(3), (), (ResetElectionTimer(),))

    def test_never_meet_another_leader_of_their_term(self) -> None:
        """Figure 3, Election Safety: "at most one leader can be elected in a given term"."""
        with pytest.raises(TwoLeadersError, match="term 3 has two: n1 leads, and so does n2"):
            receive(leader(3), AppendEntries(3, "n2"))


class TestAppendEntriesReceiver:
    @ROLES
    def test_1_refuse_a_stale_leader(self, node: Node) -> None:
        """AppendEntries receiver 1: "Reply false if term < currentTerm"."""
        taken = receive(node, AppendEntries(2, "n2"))
        assert taken == Step(node, (), (Send("n2", AppendReply(3, "n1", False)),))

    def test_1_the_refusal_deposes_the_stale_leader(self) -> None:
        """Section 5.1: "If a candidate or leader discovers that its term is out of date, it immediately
        reverts to follower state"."""
        taken = receive(leader(3), AppendReply(4, "n2", False))
        assert taken == Step(follower(4), (action("update_term", n="n1", t=4),), (Store(Durable(4, NIL)),))

    def test_a_follower_follows_without_an_action(self) -> None:
        taken = receive(follower(3, voted_for="n4"), AppendEntries(3, "n2"))
        assert (taken.node, taken.actions) == (follower(3, voted_for="n4"), ())
