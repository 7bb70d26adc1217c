"""What the Raft paper and the dissertation say, clause by clause, each tested on the pure core.

Section numbers and Figure 2 are those of "In Search of an Understandable Consensus Algorithm (Extended
Version)"; a clause such as "Candidates 3" is the third bullet under "Candidates" in "Rules for Servers".
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from oneleader_raft.lease import NO_ROUND, Clocks, Round
from oneleader_raft.raft import (
    NIL,
    NOOP,
    AppendEntries,
    AppendReply,
    Apply,
    Argument,
    Durable,
    ElectionTimeout,
    Entry,
    Event,
    HeartbeatTimeout,
    Message,
    Node,
    PreVoteReply,
    Propose,
    Read,
    ReadReady,
    Receive,
    Refuse,
    RequestPreVote,
    RequestVote,
    ResetElectionTimer,
    Role,
    Send,
    Step,
    Store,
    TimeoutNow,
    Transfer,
    TwoLeadersError,
    VoteReply,
    action,
    is_leader,
    restart,
    step,
)

MEMBERS = ("n1", "n2", "n3", "n4", "n5")
NOW = 10_000  # long after the start: nobody is bound by a promise
R1 = Round(1, NOW)
PROMISE = Clocks().promise
Log = tuple[Entry, ...]


def log_of(*terms: int) -> Log:
    """A log whose entries have these terms."""
    return tuple(Entry(t, f"x{i}") for i, t in enumerate(terms, 1))


def follower(
    term: int = 1, voted_for: str | None = NIL, log: Log = (), members: tuple[str, ...] = MEMBERS
) -> Node:
    return restart("n1", members, Durable(term, voted_for, log), now=0).node


def asking(term: int = 1, log: Log = (), members: tuple[str, ...] = MEMBERS) -> Node:
    return step(follower(term, log=log, members=members), ElectionTimeout(), NOW).node


def candidate(term: int = 1, log: Log = (), members: tuple[str, ...] = MEMBERS) -> Node:
    node = asking(term - 1, log, members)
    for voter in members[1 : len(members) // 2 + 1]:
        node = receive(node, PreVoteReply(term, voter, True)).node
    return node


def leader(term: int = 1, log: Log = (), members: tuple[str, ...] = MEMBERS) -> Node:
    node = candidate(term, log, members)
    for voter in members[1 : len(members) // 2 + 1]:
        node = receive(node, VoteReply(term, voter, True)).node
    return node


def receive(node: Node, message: Message, now: int = NOW) -> Step:
    return step(node, Receive(message), now)


def heartbeat(
    term: int, leader: str = "n2", *, prev: tuple[int, int] = (0, 0), entries: Log = (), commit: int = 0
) -> AppendEntries:
    return AppendEntries(term, leader, *prev, entries, commit, R1)


def stored(node: Node, index: int, *followers: str, round: Round = R1, now: int = NOW) -> Step:
    """The leader hears that these have its log up to the index."""
    taken = Step(node)
    for id in followers:
        reply = AppendReply(node.current_term, id, True, round, index)
        taken = taken.then(lambda node, reply=reply: receive(node, reply, now))  # type: ignore[misc]
    return taken


def sent(taken: Step) -> list[tuple[str, Message]]:
    return [(effect.to, effect.message) for effect in taken.effects if isinstance(effect, Send)]


def names(taken: Step) -> list[str]:
    return [action.name for action in taken.actions]


ROLES = pytest.mark.parametrize("node", [follower(3), candidate(3), leader(3)], ids=lambda n: n.role.value)


class TestState:
    """Figure 2, State."""

    def test_current_term_starts_at_zero_and_voted_for_at_nil(self) -> None:
        """ "currentTerm ... initialized to 0 on first boot"; "votedFor ... or null if none"."""
        first = restart("n1", MEMBERS, Durable(), now=0).node
        assert (first.current_term, first.voted_for, first.log) == (0, NIL, ())

    def test_term_vote_and_log_survive_a_restart_and_the_rest_does_not(self) -> None:
        """ "Persistent state on all servers"; role, votes and commit index are not in it."""
        before = stored(leader(4, log_of(1)), 2, "n2", "n3").node
        assert before.commit_index == 2
        after = restart(before.id, before.members, before.durable, now=0)
        assert after.node == follower(4, "n1", before.log)
        assert after.actions == (action("restart", n="n1"),)

    def test_persistent_state_is_stored_before_any_answer(self) -> None:
        """ "Updated on stable storage before responding to RPCs"."""
        messages: list[Message] = [
            RequestVote(3, "n2", 0, 0),
            RequestVote(7, "n2", 9, 6),
            heartbeat(7),
            heartbeat(3, entries=log_of(3)),
            heartbeat(7, entries=log_of(7)),
        ]
        events: list[Event] = [ElectionTimeout(), Propose("x"), *map(Receive, messages)]
        for node in (follower(3), candidate(3)):
            for event in events:
                taken = step(node, event, NOW)
                if taken.node.durable != node.durable:
                    assert taken.effects[0] == Store(taken.node.durable)
                assert not any(isinstance(effect, Store) for effect in taken.effects[1:])

    def test_nothing_is_stored_where_nothing_persistent_changed(self) -> None:
        cases: list[tuple[Node, Event]] = [
            (leader(), HeartbeatTimeout()),
            (candidate(), Receive(heartbeat(1))),
            (follower(2, "n3"), Receive(RequestVote(2, "n3", 0, 0))),
            (follower(3, log=log_of(1)), Receive(heartbeat(3, entries=log_of(1)))),
        ]
        for node, event in cases:
            assert not any(isinstance(effect, Store) for effect in step(node, event, NOW).effects)

    def test_current_term_increases_monotonically(self) -> None:
        """ "currentTerm: latest term server has seen (... increases monotonically)"."""
        for stale in (RequestVote(2, "n2", 9, 2), VoteReply(2, "n2", True), heartbeat(2)):
            assert receive(follower(3), stale).node == follower(3)

    def test_a_node_is_a_plain_value(self) -> None:
        before = follower()
        copy = replace(before)
        step(before, ElectionTimeout(), NOW)
        assert before == copy
        with pytest.raises(FrozenInstanceError):
            before.current_term = 9  # type: ignore[misc]


class TestAllServers:
    @ROLES
    @pytest.mark.parametrize(
        "message",
        [
            VoteReply(7, "n2", False),
            VoteReply(7, "n2", True),
            PreVoteReply(7, "n2", False),
            heartbeat(7),
            AppendReply(7, "n2", False, R1, 0),
            RequestVote(7, "n2", 9, 7, forced_by="n3"),
        ],
        ids=lambda message: type(message).__name__,
    )
    def test_2_a_higher_term_is_adopted(self, node: Node, message: Message) -> None:
        """All Servers 2, section 5.1: "If RPC request or response contains term T > currentTerm: set
        currentTerm = T, convert to follower"; and a vote of an old term is no vote of the new one."""
        taken = receive(node, message)
        assert (taken.node.current_term, taken.node.role) == (7, Role.FOLLOWER)
        assert taken.node.voted_for == ("n2" if isinstance(message, RequestVote) else NIL)
        assert taken.node.votes == frozenset()
        assert names(taken)[0] in ("update_term", "learn_term")
        assert taken.effects[0] == Store(taken.node.durable)

    @ROLES
    def test_2_the_own_term_is_not_adopted_again(self, node: Node) -> None:
        assert "learn_term" not in names(receive(node, VoteReply(3, "n5", False)))

    @ROLES
    def test_2_the_term_of_a_pre_vote_is_not_adopted(self, node: Node) -> None:
        """Dissertation 9.6: nobody may be in it."""
        for message in (RequestPreVote(9, "n2", 9, 9), PreVoteReply(9, "n2", True)):
            assert receive(node, message).node.current_term == 3

    def test_1_what_is_committed_is_applied_once_and_in_order(self) -> None:
        """All Servers 1: "apply log[lastApplied] to state machine"."""
        node = follower(3)
        one = receive(node, heartbeat(3, entries=log_of(1, 3, 3), commit=2))
        assert [e for e in one.effects if isinstance(e, Apply)] == [Apply(1, log_of(1, 3))]
        two = receive(one.node, heartbeat(3, prev=(3, 3), commit=3))
        assert [e for e in two.effects if isinstance(e, Apply)] == [Apply(3, (Entry(3, "x3"),))]
        assert not any(
            isinstance(e, Apply) for e in receive(two.node, heartbeat(3, prev=(3, 3), commit=3)).effects
        )


class TestFollowers:
    def test_start_as_followers(self) -> None:
        """Section 5.2: "When servers start up, they begin as followers"."""
        first = restart("n1", MEMBERS, Durable(), now=0)
        assert first.node.role is Role.FOLLOWER
        assert first.effects == (ResetElectionTimer(),)

    def test_1_issue_no_requests_on_their_own(self) -> None:
        """Section 5.1: followers "issue no requests on their own"."""
        assert step(follower(), HeartbeatTimeout(), NOW) == Step(follower())

    def test_2_ask_when_the_election_timeout_elapses(self) -> None:
        """Followers 2, with dissertation 9.6: the term stays as it is."""
        taken = step(follower(3, log=log_of(1, 2)), ElectionTimeout(), NOW)
        assert (taken.node.current_term, taken.node.role) == (3, Role.FOLLOWER)
        assert sent(taken) == [(peer, RequestPreVote(4, "n1", 2, 2)) for peer in MEMBERS[1:]]

    def test_2_the_timer_is_reset_by_granting_a_vote_and_by_the_current_leader(self) -> None:
        """Followers 2: "without receiving AppendEntries RPC from current leader or granting vote"."""
        for message in (RequestVote(3, "n2", 0, 0), heartbeat(3)):
            assert ResetElectionTimer() in receive(follower(3), message).effects

    def test_2_the_timer_is_not_reset_by_anything_else(self) -> None:
        voted = follower(3, voted_for="n3")
        messages: list[Message] = [
            RequestVote(3, "n2", 0, 0),
            heartbeat(2),
            RequestVote(2, "n3", 0, 0),
            RequestPreVote(4, "n2", 0, 0),
            VoteReply(9, "n2", False),
            AppendReply(9, "n2", False, R1, 0),
        ]
        for message in messages:
            assert ResetElectionTimer() not in receive(voted, message).effects


class TestPreVote:
    """Dissertation 9.6 and 4.2.3."""

    def test_a_majority_of_pre_votes_starts_the_election(self) -> None:
        one_short = receive(asking(3), PreVoteReply(4, "n2", True)).node
        taken = receive(one_short, PreVoteReply(4, "n3", True))
        assert (taken.node.current_term, taken.node.voted_for, taken.node.role) == (4, "n1", Role.CANDIDATE)
        assert names(taken) == ["receive_pre_vote", "start_election"]

    @pytest.mark.parametrize(
        "reply",
        [
            PreVoteReply(4, "n3", False),
            PreVoteReply(3, "n3", True),
            PreVoteReply(4, "n2", True),
            PreVoteReply(4, "n9", True),
        ],
        ids=["refused", "of another election", "twice", "not a member"],
    )
    def test_what_does_not_count(self, reply: PreVoteReply) -> None:
        one_short = receive(asking(3), PreVoteReply(4, "n2", True)).node
        assert receive(one_short, reply).node.role is Role.FOLLOWER

    def test_it_is_granted_to_whoever_asks_and_changes_nothing(self) -> None:
        node = follower(3, voted_for="n4")
        for id in ("n2", "n3"):
            taken = receive(node, RequestPreVote(4, id, 0, 0))
            assert sent(taken) == [(id, PreVoteReply(4, "n1", True))]
            assert taken.node == node

    def test_it_is_not_granted_by_whoever_hears_a_leader(self) -> None:
        """ "if a server receives a RequestVote request within the minimum election timeout of hearing from a
        current leader, it does not update its term or grant its vote"."""
        bound = receive(follower(3), heartbeat(3)).node
        for now in (NOW, NOW + PROMISE - 1):
            assert sent(receive(bound, RequestPreVote(4, "n3", 0, 0), now)) == []
            assert receive(bound, RequestVote(4, "n3", 0, 0), now) == Step(bound)
        free = receive(bound, RequestPreVote(4, "n3", 0, 0), NOW + PROMISE)
        assert sent(free) == [("n3", PreVoteReply(4, "n1", True))]
        assert receive(bound, RequestVote(4, "n3", 0, 0), NOW + PROMISE).node.voted_for == "n3"

    def test_a_leader_hears_itself(self) -> None:
        for message in (RequestPreVote(4, "n3", 9, 9), RequestVote(4, "n3", 9, 9)):
            assert receive(leader(3), message) == Step(leader(3))

    def test_nor_for_a_log_that_is_behind(self) -> None:
        assert sent(receive(follower(3, log=log_of(1, 2)), RequestPreVote(4, "n2", 1, 2))) == []

    def test_a_stale_one_is_told_the_term(self) -> None:
        """etcd#8243: a server that is behind must learn so, or it asks for ever."""
        taken = receive(follower(5), RequestPreVote(4, "n2", 9, 9))
        assert sent(taken) == [("n2", PreVoteReply(5, "n1", False))]
        assert receive(asking(3), PreVoteReply(5, "n2", False)).node.current_term == 5

    def test_a_promise_binds_whoever_gave_it_as_well(self) -> None:
        bound = receive(follower(3), heartbeat(3)).node
        assert step(bound, ElectionTimeout(), NOW + PROMISE - 1) == Step(bound, (), (ResetElectionTimer(),))
        assert names(step(bound, ElectionTimeout(), NOW + PROMISE)) == ["lose_touch", "start_pre_vote"]

    def test_a_restart_is_a_promise(self) -> None:
        """It does not know what it promised before."""
        back = restart("n1", MEMBERS, Durable(3), now=NOW).node
        assert receive(back, RequestVote(4, "n3", 0, 0), NOW + PROMISE - 1) == Step(back)
        assert receive(back, RequestVote(4, "n3", 0, 0), NOW + PROMISE).node.voted_for == "n3"

    def test_a_candidate_that_is_not_elected_asks_again(self) -> None:
        taken = step(candidate(3), ElectionTimeout(), NOW)
        assert names(taken) == ["give_up", "start_pre_vote"]
        assert (taken.node.role, taken.node.current_term) == (Role.FOLLOWER, 3)


class TestRequestVoteReceiver:
    def test_1_refuse_a_stale_term(self) -> None:
        """RequestVote receiver 1: "Reply false if term < currentTerm", and tell the candidate the term."""
        taken = receive(follower(3), RequestVote(2, "n2", 9, 2))
        assert taken.node == follower(3)
        assert sent(taken) == [("n2", VoteReply(3, "n1", False))]

    @pytest.mark.parametrize(
        ("voted_for", "asks", "granted"),
        [(NIL, "n2", True), (NIL, "n3", True), ("n2", "n2", True), ("n2", "n3", False), ("n1", "n2", False)],
    )
    def test_2_one_vote_per_term_first_come_first_served(
        self, voted_for: str | None, asks: str, granted: bool
    ) -> None:
        """RequestVote receiver 2, section 5.2: "Each server will vote for at most one candidate in a given
        term, on a first-come-first-served basis"."""
        taken = receive(follower(3, voted_for), RequestVote(3, asks, 0, 0))
        assert sent(taken) == [(asks, VoteReply(3, "n1", granted))]
        assert taken.node.voted_for == (asks if granted else voted_for)
        assert names(taken) == (["grant_vote"] if granted else ["tell_term"])

    @pytest.mark.parametrize(
        ("mine", "index", "term", "granted"),
        [
            ((1, 2), 2, 2, True),
            ((1, 2), 1, 3, True),
            ((1, 2), 3, 2, True),
            ((1, 2), 1, 2, False),
            ((1, 2), 9, 1, False),
            ((), 0, 0, True),
        ],
    )
    def test_2_only_for_a_log_that_is_up_to_date(
        self, mine: tuple[int, ...], index: int, term: int, granted: bool
    ) -> None:
        """Section 5.4.1: "the log with the later term is more up-to-date ... whichever log is longer"."""
        taken = receive(follower(3, log=log_of(*mine)), RequestVote(3, "n2", index, term))
        assert sent(taken) == [("n2", VoteReply(3, "n1", granted))]

    def test_2_a_grant_is_stored_then_answered_and_each_is_an_action(self) -> None:
        """RequestVote receiver 2, and "updated on stable storage before responding"."""
        vote: dict[str, Argument] = {"voter": "n1", "candidate": "n2", "t": 3}
        taken = receive(follower(3), RequestVote(3, "n2", 0, 0))
        assert taken.actions == (action("grant_vote", **vote),)
        assert taken.effects == (
            Store(Durable(3, "n2")),
            ResetElectionTimer(),
            Send("n2", VoteReply(3, "n1", True), action("reply_vote", **vote)),
        )

    @pytest.mark.parametrize("node", [candidate(3), leader(3)], ids=lambda n: n.role.value)
    def test_2_candidates_and_leaders_have_voted_for_themselves(self, node: Node) -> None:
        taken = receive(node, RequestVote(3, "n2", 9, 3))
        assert taken.node == node
        assert sent(taken) == [("n2", VoteReply(3, "n1", False))]


class TestCandidates:
    def test_1_start_an_election(self) -> None:
        """Candidates 1: "Increment currentTerm; Vote for self; Reset election timer; Send RequestVote RPCs
        to all other servers"."""
        one_short = receive(asking(3, log_of(1, 3)), PreVoteReply(4, "n2", True)).node
        taken = receive(one_short, PreVoteReply(4, "n3", True))
        assert taken.node.votes == {"n1"}
        assert taken.effects == (
            Store(Durable(4, "n1", log_of(1, 3))),
            ResetElectionTimer(),
            *(Send(peer, RequestVote(4, "n1", 2, 3)) for peer in MEMBERS[1:]),
        )

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
        node = candidate(3, members=MEMBERS[:size])
        for voter in granting:
            node = receive(node, VoteReply(3, voter, True)).node
        assert node.role is role

    def test_2_a_cluster_of_one_elects_itself(self) -> None:
        """Candidates 2: its own vote is a majority; even that is stored first."""
        taken = step(restart("n1", ("n1",), Durable(), now=0).node, ElectionTimeout(), NOW)
        assert taken.node.role is Role.LEADER
        assert taken.node.commit_index == 1
        assert taken.effects[0] == Store(Durable(1, "n1", (Entry(1, NOOP),)))
        assert is_leader(taken.node, NOW + 10 * PROMISE)

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
        assert receive(one_vote_short, VoteReply(3, "n2", True)).actions[:2] == (
            action("receive_vote", candidate="n1", voter="n2", t=3),
            action("become_leader", n="n1", q=("n1", "n2", "n5")),
        )

    def test_3_follow_a_leader_of_the_own_term_and_keep_the_vote(self) -> None:
        """Candidates 3: "If AppendEntries RPC received from new leader: convert to follower"; section 5.2:
        "term ... at least as large as the candidate's current term"."""
        taken = receive(candidate(3), heartbeat(3))
        assert (taken.node.role, taken.node.voted_for, taken.node.leader_id) == (Role.FOLLOWER, "n1", "n2")
        assert names(taken) == ["step_down", "acknowledge", "append_entries"]

    def test_3_stay_candidate_if_the_leader_is_of_an_older_term(self) -> None:
        """Section 5.2: "the candidate rejects the RPC and continues in candidate state"."""
        taken = receive(candidate(3), heartbeat(2))
        assert taken.node == candidate(3)
        assert sent(taken) == [("n2", AppendReply(3, "n1", False, NO_ROUND, 0))]


class TestLeaders:
    def test_1_announce_themselves_with_an_entry_of_their_own(self) -> None:
        """Leaders 1: "Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server";
        section 8: "by having each leader commit a blank no-op entry ... at the start of its term"."""
        node = candidate(3, log_of(1))
        one_vote_short = receive(node, VoteReply(3, "n2", True)).node
        taken = receive(one_vote_short, VoteReply(3, "n3", True))
        message = AppendEntries(3, "n1", 1, 1, (Entry(3, NOOP),), 0, Round(1, NOW))
        assert sent(taken) == [(peer, message) for peer in MEMBERS[1:]]
        assert taken.effects[0] == Store(Durable(3, "n1", (*log_of(1), Entry(3, NOOP))))

    def test_1_heartbeats_are_repeated_each_a_round_of_its_own(self) -> None:
        """Leaders 1: "repeat during idle periods to prevent election timeouts"."""
        taken = step(leader(3), HeartbeatTimeout(), NOW + 50)
        assert {message.round for _, message in sent(taken) if isinstance(message, AppendEntries)} == {
            Round(2, NOW + 50)
        }
        assert taken.actions == (action("send_heartbeat", n="n1", k="r2"),)

    def test_2_a_command_is_appended_stored_and_sent(self) -> None:
        """Leaders 2: "append entry to local log"."""
        taken = step(leader(3), Propose("x"), NOW)
        assert taken.node.log == (Entry(3, NOOP), Entry(3, "x"))
        assert taken.effects[0] == Store(taken.node.durable)
        assert all(isinstance(m, AppendEntries) and m.entries == taken.node.log for _, m in sent(taken))

    def test_2_others_refuse_and_say_who_leads(self) -> None:
        hears = receive(follower(3), heartbeat(3)).node
        assert step(hears, Propose("x"), NOW).effects == (Refuse("x", "n2"),)
        assert step(follower(3), Propose("x"), NOW).effects == (Refuse("x", NIL),)

    def test_3_next_index_moves_on_with_success_and_never_back_behind_a_match(self) -> None:
        """Leaders 3: "If successful: update nextIndex and matchIndex for follower"."""
        node = stored(leader(3, log_of(1, 1)), 3, "n2").node
        assert node.leadership.progress["n2"].match_index == 3
        late = receive(node, AppendReply(3, "n2", True, R1, 1)).node
        assert late.leadership.progress["n2"].match_index == 3
        rejected = receive(node, AppendReply(3, "n2", False, R1, 1, 1)).node
        assert rejected.leadership.progress["n2"].next_index == 4

    @pytest.mark.parametrize(
        ("reply", "prev"),
        [((3, 0), 2), ((1, 0), 0), ((2, 1), 2), ((2, 2), 1), ((4, 5), 3)],
        ids=["log is short", "nothing", "has the term", "has not the term", "tries there"],
    )
    def test_3_back_off_by_a_term_at_a_time(self, reply: tuple[int, int], prev: int) -> None:
        """Section 5.3: "decrement nextIndex to bypass all of the conflicting entries in that term"."""
        node = leader(7, log_of(1, 1, 4, 6, 6))
        taken = receive(node, AppendReply(7, "n2", False, R1, *reply))
        ((to, message),) = sent(taken)
        assert isinstance(message, AppendEntries)
        assert (to, message.prev_log_index) == ("n2", prev)
        assert message.entries == node.log[prev:]

    def test_4_commit_what_a_majority_stores(self) -> None:
        """Leaders 4: "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N"."""
        node = leader(3)
        assert stored(node, 1, "n2").node.commit_index == 0
        assert stored(node, 1, "n2", "n2").node.commit_index == 0
        taken = stored(node, 1, "n2", "n4")
        assert taken.node.commit_index == 1
        assert taken.actions[-1] == action("advance_commit", n="n1", i=1, q=("n1", "n2", "n4"))
        assert taken.effects == (Apply(1, (Entry(3, NOOP),)),)

    def test_4_but_no_entry_of_an_older_term(self) -> None:
        """Leaders 4, section 5.4.2, Figure 8: "log[N].term == currentTerm"; an own one commits all before."""
        node = leader(3, log_of(1, 2))
        assert stored(node, 2, "n2", "n3", "n4", "n5").node.commit_index == 0
        assert stored(node, 3, "n2", "n3").node.commit_index == 3

    def test_start_no_election(self) -> None:
        """Followers 2, Candidates 4 name no leader; its timer goes on for the day when it is none."""
        assert step(leader(3), ElectionTimeout(), NOW) == Step(leader(3), (), (ResetElectionTimer(),))

    def test_never_meet_another_leader_of_their_term(self) -> None:
        """Figure 3, Election Safety: "at most one leader can be elected in a given term"."""
        with pytest.raises(TwoLeadersError, match="term 3 has two: n1 leads, and so does n2"):
            receive(leader(3), heartbeat(3))

    def test_a_leader_without_a_majority_steps_down(self) -> None:
        """Dissertation 6.2: "if an election timeout elapses without a successful round of heartbeats to a
        majority of its cluster"."""
        node = stored(leader(3), 1, "n2").node
        assert step(node, ElectionTimeout(), NOW + PROMISE - 1).node.role is Role.LEADER
        taken = step(node, ElectionTimeout(), NOW + PROMISE)
        assert (taken.node.role, taken.node.current_term, taken.node.voted_for) == (Role.FOLLOWER, 3, "n1")
        assert names(taken) == ["lose_touch", "give_up"]
        heard = stored(node, 1, "n3", round=Round(2, NOW + 100)).node
        heard = stored(heard, 1, "n2", round=Round(2, NOW + 100)).node
        assert step(heard, ElectionTimeout(), NOW + PROMISE).node.role is Role.LEADER


class TestAppendEntriesReceiver:
    @ROLES
    def test_1_refuse_a_stale_leader(self, node: Node) -> None:
        """AppendEntries receiver 1: "Reply false if term < currentTerm"."""
        taken = receive(node, heartbeat(2))
        assert taken.node == node
        assert sent(taken) == [("n2", AppendReply(3, "n1", False, NO_ROUND, 0))]

    def test_1_the_refusal_deposes_the_stale_leader(self) -> None:
        """Section 5.1: "If a candidate or leader discovers that its term is out of date, it immediately
        reverts to follower state"."""
        taken = receive(leader(3), AppendReply(4, "n2", False, R1, 0))
        assert (taken.node.current_term, taken.node.role, taken.node.voted_for) == (4, Role.FOLLOWER, NIL)

    @pytest.mark.parametrize(
        ("mine", "prev", "hint"),
        [((1,), (2, 1), (2, 0)), ((1, 2, 2), (3, 3), (2, 2)), ((), (1, 1), (1, 0)), ((2, 2), (1, 1), (1, 2))],
    )
    def test_2_refuse_where_the_prefix_does_not_match(
        self, mine: tuple[int, ...], prev: tuple[int, int], hint: tuple[int, int]
    ) -> None:
        """AppendEntries receiver 2: "Reply false if log doesn't contain an entry at prevLogIndex whose term
        matches prevLogTerm"; section 5.3: with "the term of the conflicting entry and the first index"."""
        node = follower(3, log=log_of(*mine))
        taken = receive(node, heartbeat(3, prev=prev, entries=log_of(3)))
        assert sent(taken) == [("n2", AppendReply(3, "n1", False, R1, *hint))]
        assert taken.node.log == node.log

    @pytest.mark.parametrize(
        ("mine", "prev", "new", "after", "how"),
        [
            ((1, 1), (2, 1), (3,), (1, 1, 3), "append_entries"),
            ((1, 2, 2), (1, 1), (3,), (1, 3), "replace_entries"),
            ((1, 1, 1), (1, 1), (1,), (1, 1, 1), "append_entries"),
            ((1, 1), (1, 1), (1, 3), (1, 1, 3), "append_entries"),
            ((1, 1, 2), (0, 0), (1, 1, 3), (1, 1, 3), "replace_entries"),
            ((1, 1), (1, 1), (), (1, 1), "append_entries"),
        ],
        ids=["new", "conflict", "late and known", "partly known", "conflict at the end", "heartbeat"],
    )
    def test_3_and_4_store_what_is_new_and_drop_what_conflicts(
        self,
        mine: tuple[int, ...],
        prev: tuple[int, int],
        new: tuple[int, ...],
        after: tuple[int, ...],
        how: str,
    ) -> None:
        """AppendEntries receiver 3: "If an existing entry conflicts with a new one ... delete the existing
        entry and all that follow it"; 4: "Append any new entries not already in the log"."""
        first = prev[0] + 1
        entries = tuple(Entry(t, f"x{i}") for i, t in enumerate(new, first))
        taken = receive(follower(3, log=log_of(*mine)), heartbeat(3, prev=prev, entries=entries))
        assert [entry.term for entry in taken.node.log] == list(after)
        assert sent(taken) == [("n2", AppendReply(3, "n1", True, R1, prev[0] + len(new)))]
        assert names(taken)[-1] == how

    def test_5_the_commit_index_follows_as_far_as_the_entries_are_known(self) -> None:
        """AppendEntries receiver 5: "min(leaderCommit, index of last new entry)", and it never falls."""
        node = follower(3, log=log_of(1, 1, 1))
        two = receive(node, heartbeat(3, prev=(1, 1), entries=log_of(1, 1)[1:], commit=3)).node
        assert two.commit_index == 2
        assert receive(two, heartbeat(3, prev=(1, 1), commit=1)).node.commit_index == 2


class TestLeases:
    """Dissertation 6.4.1, as the model `lease` has it."""

    def test_a_role_is_no_lease(self) -> None:
        node = leader(3)
        assert not is_leader(node, NOW)
        assert not is_leader(stored(node, 0, "n2").node, NOW)
        assert is_leader(stored(node, 0, "n2", "n3").node, NOW)
        assert not is_leader(follower(3), NOW)

    def test_it_is_counted_from_sending_and_half_open(self) -> None:
        """Counted from the receipt of the replies it is not safe, whatever the clocks."""
        node = leader(3)
        for id in ("n2", "n3"):
            node = receive(node, AppendReply(3, id, True, R1, 0), NOW + 100).node
        assert is_leader(node, NOW + PROMISE - 1)
        assert not is_leader(node, NOW + PROMISE)

    @pytest.mark.parametrize(
        ("slow", "fast", "lease"), [(1, 1, 150), (98, 102, 144), (1, 2, 75), (99, 100, 148)]
    )
    def test_it_is_shorter_than_the_promise_by_the_drift(self, slow: int, fast: int, lease: int) -> None:
        clocks = Clocks(150, slow, fast)
        assert clocks.lease == lease
        assert clocks.lease * fast <= clocks.promise * slow < (clocks.lease + 1) * fast

    def test_clocks_that_make_no_sense_are_refused(self) -> None:
        for wrong in ((0, 1, 1), (150, 2, 1), (150, 0, 1)):
            with pytest.raises(ValueError, match="slow is at most fast"):
                Clocks(*wrong)

    def test_it_ends_with_a_transfer_for_the_rest_of_the_term(self) -> None:
        node = stored(leader(3), 1, "n2", "n3").node
        asked = step(node, Transfer("n2"), NOW).node
        assert not is_leader(asked, NOW)
        again = stored(asked, 1, "n2", "n3", round=Round(9, NOW + PROMISE)).node
        assert not is_leader(again, NOW + PROMISE)


class TestReads:
    """Dissertation 6.4."""

    def ready(self, taken: Step) -> list[object]:
        return [effect.id for effect in taken.effects if isinstance(effect, ReadReady)]

    def test_none_is_answered_before_an_entry_of_the_own_term_is_committed(self) -> None:
        """Step 1: etcd#7331, redisraft PR#22: a fresh leader does not know what is committed."""
        node = step(leader(3, log_of(1)), Read("r"), NOW).node
        heard = stored(node, 1, "n2", "n3", round=Round(2, NOW))
        assert self.ready(heard) == []
        assert self.ready(stored(heard.node, 2, "n2", "n3", round=Round(2, NOW))) == ["r"]

    def test_without_a_lease_a_majority_confirms_after_the_request(self) -> None:
        """Steps 2 to 4: what was sent before the request confirms nothing."""
        late = NOW + 2 * PROMISE
        node = stored(leader(3), 1, "n2", "n3").node
        asked = step(node, Read("r"), late)
        assert self.ready(asked) == []
        assert {m.round for _, m in sent(asked) if isinstance(m, AppendEntries)} == {Round(2, late)}
        old = stored(asked.node, 1, "n4", "n5", now=late)
        assert self.ready(old) == []
        confirmed = stored(old.node, 1, "n2", "n3", round=Round(2, late), now=late)
        assert self.ready(confirmed) == ["r"]

    def test_with_a_lease_nobody_is_asked(self) -> None:
        """Dissertation 6.4.1."""
        node = stored(leader(3), 1, "n2", "n3").node
        taken = step(node, Read("r"), NOW + 1)
        assert (self.ready(taken), sent(taken)) == (["r"], [])

    def test_a_refusal_meant_for_an_earlier_leadership_confirms_nothing(self) -> None:
        """It comes in the term that the server leads now, and would name a round of the term before."""
        late = NOW + 2 * PROMISE
        asked = step(leader(3), Read("r"), late).node
        stale = AppendReply(3, "n2", False, NO_ROUND, 0)
        assert receive(asked, stale, late) == Step(asked)

    def test_whoever_does_not_lead_refuses_and_whoever_no_longer_leads(self) -> None:
        assert step(follower(3), Read("r"), NOW).effects == (Refuse("r", NIL),)
        waits = step(leader(3), Read("r"), NOW).node
        assert Refuse("r", NIL) in receive(waits, heartbeat(4)).effects

    def test_what_was_committed_is_applied_before_the_answer(self) -> None:
        node = step(leader(3), Read("r"), NOW).node
        effects = stored(node, 1, "n2", "n3", round=Round(2, NOW)).effects
        assert effects == (Apply(1, (Entry(3, NOOP),)), ReadReady("r"))


class TestTransfer:
    """Dissertation 3.10."""

    def test_the_target_is_brought_up_to_date_and_then_told(self) -> None:
        asked = step(leader(3), Transfer("n2"), NOW)
        assert [type(message) for _, message in sent(asked)] == [AppendEntries]
        assert sent(stored(asked.node, 1, "n3")) == []
        told = stored(asked.node, 1, "n2")
        assert sent(told) == [("n2", TimeoutNow(3, "n1"))]
        assert told.actions[-1] == action("transfer_leadership", n="n1", target="n2")

    def test_meanwhile_no_command_is_taken_on(self) -> None:
        """ "The prior leader stops accepting new client requests"."""
        asked = step(leader(3), Transfer("n2"), NOW).node
        assert step(asked, Propose("x"), NOW).effects == (Refuse("x", NIL),)

    def test_the_target_has_an_election_timeout(self) -> None:
        """Then a leader that may have no lease any more gives up, though a majority answers."""
        asked = step(leader(3), Transfer("n2"), NOW)
        assert ResetElectionTimer() in asked.effects
        heard = stored(asked.node, 0, "n2", "n3", round=Round(9, NOW + PROMISE)).node
        taken = step(heard, ElectionTimeout(), NOW + PROMISE)
        assert [action.name for action in taken.actions] == ["lose_touch", "give_up"]
        assert (taken.node.role, taken.node.current_term) == (Role.FOLLOWER, 3)
        kept = stored(leader(3), 0, "n2", "n3", round=Round(9, NOW + PROMISE)).node
        assert step(kept, ElectionTimeout(), NOW + PROMISE).node.role is Role.LEADER

    def test_who_is_told_stands_at_once_and_says_so(self) -> None:
        bound = receive(follower(3), heartbeat(3)).node
        taken = receive(bound, TimeoutNow(3, "n2"))
        assert (taken.node.current_term, taken.node.role) == (4, Role.CANDIDATE)
        assert sent(taken) == [(peer, RequestVote(4, "n1", 0, 0, forced_by="n2")) for peer in MEMBERS[1:]]

    def test_such_a_request_disregards_promises(self) -> None:
        """Dissertation 4.2.3: "this restriction ... does not apply to ... leadership transfer"."""
        bound = receive(follower(3), heartbeat(3)).node
        assert receive(bound, RequestVote(4, "n3", 0, 0, forced_by="n2")).node.voted_for == "n3"
        assert receive(leader(3), RequestVote(4, "n3", 9, 3, forced_by="n1")).node.voted_for == "n3"

    def test_a_stale_one_and_one_to_a_leader_are_ignored(self) -> None:
        assert receive(follower(3), TimeoutNow(2, "n2")) == Step(follower(3))
        assert receive(leader(3), TimeoutNow(3, "n2")) == Step(leader(3))

    def test_a_target_that_is_none_is_refused(self) -> None:
        for target in ("n1", "n9"):
            taken = step(leader(3), Transfer(target), NOW)
            assert taken == Step(leader(3), (), (Refuse(Transfer(target), "n1"),))
