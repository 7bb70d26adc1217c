"""Rules of the core that mutants of it showed to be untested: see docs/results/mutants.md."""

from __future__ import annotations

import pytest

from oneleader_raft.lease import Clocks, Round
from oneleader_raft.raft import (
    NIL,
    NOBODY_LED,
    AppendEntries,
    AppendReply,
    Durable,
    ElectionTimeout,
    Entry,
    HeartbeatTimeout,
    Message,
    Node,
    PreVoteReply,
    Propose,
    Read,
    ReadReady,
    Receive,
    Refuse,
    ResetElectionTimer,
    Role,
    Send,
    Step,
    TimeoutNow,
    Transfer,
    VoteReply,
    restart,
    step,
)
from oneleader_raft.state_machine import Acquire, Put, Request, StateMachine, apply

NOW = 10_000  # long after the start: nobody is bound by a promise
PROMISE = Clocks().promise
FOUR = ("n1", "n2", "n3", "n4")
FIVE = (*FOUR, "n5")


def receive(node: Node, *messages: Message, now: int = NOW) -> Step:
    taken = Step(node)
    for message in messages:
        taken = taken.then(lambda node, message=message: step(node, Receive(message), now))  # type: ignore[misc]
    return taken


def sent(taken: Step) -> list[tuple[str, Message]]:
    return [(effect.to, effect.message) for effect in taken.effects if isinstance(effect, Send)]


def asking(members: tuple[str, ...] = FIVE, log: tuple[Entry, ...] = ()) -> Node:
    """n1 asks for pre-votes for the term after that of its log."""
    durable = Durable(log[-1].term if log else 0, NIL, log)
    return step(restart("n1", members, durable, now=0).node, ElectionTimeout(), NOW).node


def leader(members: tuple[str, ...] = FIVE, log: tuple[Entry, ...] = ()) -> Node:
    """n1 leads that term."""
    node, voters = asking(members, log), members[1 : len(members) // 2 + 1]
    t = node.current_term + 1
    node = receive(node, *(PreVoteReply(t, voter, True) for voter in voters)).node
    return receive(node, *(VoteReply(t, voter, True) for voter in voters)).node


class TestHalfIsNoMajority:
    """Section 5.2: of four servers it takes three."""

    def test_of_pre_votes(self) -> None:
        half = receive(asking(FOUR), PreVoteReply(1, "n2", True)).node
        assert (half.current_term, half.role) == (0, Role.FOLLOWER)
        assert receive(half, PreVoteReply(1, "n3", True)).node.current_term == 1

    def test_of_votes(self) -> None:
        stands = receive(asking(FOUR), PreVoteReply(1, "n2", True), PreVoteReply(1, "n3", True)).node
        half = receive(stands, VoteReply(1, "n2", True)).node
        assert half.role is Role.CANDIDATE
        assert receive(half, VoteReply(1, "n3", True)).node.role is Role.LEADER

    def test_of_what_is_stored(self) -> None:
        half = receive(leader(FOUR), AppendReply(1, "n2", True, Round(1, NOW), 1)).node
        assert half.commit_index == 0
        assert receive(half, AppendReply(1, "n3", True, Round(1, NOW), 1)).node.commit_index == 1


class TestSteppingDown:
    def deposed(self) -> tuple[Node, Step]:
        waits = step(leader(), Read("r"), NOW).node
        return waits, receive(waits, AppendEntries(2, "n2", 0, 0, (), 0, Round(1, NOW)))

    def test_nothing_of_the_leadership_is_left(self) -> None:
        """Figure 2, State: "Volatile state on leaders"."""
        waits, taken = self.deposed()
        assert waits.leadership != NOBODY_LED
        assert taken.node.leadership == NOBODY_LED

    def test_a_read_is_refused_once(self) -> None:
        _, taken = self.deposed()
        assert [e for e in taken.effects if isinstance(e, Refuse)] == [Refuse("r", NIL)]
        again = receive(taken.node, AppendEntries(3, "n3", 0, 0, (), 0, Round(1, NOW)))
        assert not [e for e in again.effects if isinstance(e, Refuse)]


class TestStanding:
    def test_whoever_asks_for_pre_votes_waits_for_another_timeout(self) -> None:
        """Candidates 1: "Reset election timer"."""
        node = restart("n1", FIVE, Durable(), now=0).node
        assert ResetElectionTimer() in step(node, ElectionTimeout(), NOW).effects

    @pytest.mark.parametrize("term", [1, 4])
    def test_whoever_is_told_to_stand_knows_no_leader(self, term: int) -> None:
        """The leader of the term before leads no more."""
        hears = receive(
            restart("n1", FIVE, Durable(term), now=0).node,
            AppendEntries(term, "n2", 0, 0, (), 0, Round(1, NOW)),
        ).node
        assert hears.leader_id == "n2"
        stands = receive(hears, TimeoutNow(term, "n2")).node
        assert (stands.role, stands.leader_id) == (Role.CANDIDATE, NIL)


class TestRepliesToALeader:
    """Leaders 3, and section 5.1: what is of another term, or of a stranger, says nothing."""

    def test_a_success_moves_next_index_behind_what_is_stored(self) -> None:
        node = leader()
        for command in ("x", "y"):
            node = step(node, Propose(command), NOW).node
        assert node.leadership.progress["n2"].next_index == 1
        stored = receive(node, AppendReply(1, "n2", True, Round(1, NOW), 2)).node
        assert stored.leadership.progress["n2"].next_index == 3
        (message,) = [m for to, m in sent(step(stored, HeartbeatTimeout(), NOW)) if to == "n2"]
        assert isinstance(message, AppendEntries)
        assert (message.prev_log_index, message.entries) == (2, node.log[2:])

    def test_a_late_success_moves_it_nowhere(self) -> None:
        node = receive(leader(), AppendReply(1, "n2", True, Round(1, NOW), 1)).node
        late = receive(node, AppendReply(1, "n2", True, Round(1, NOW), 0)).node
        assert late.leadership.progress["n2"].next_index == 2

    def test_a_reply_to_an_earlier_leadership_is_no_match(self) -> None:
        """The same server led before: what its follower stored then may have been replaced since."""
        node = receive(leader(), AppendEntries(2, "n5", 0, 0, (), 0, Round(1, NOW))).node
        again = receive(node, TimeoutNow(2, "n5"), *(VoteReply(3, v, True) for v in ("n2", "n3"))).node
        assert (again.role, again.current_term) == (Role.LEADER, 3)
        stale = (AppendReply(1, voter, True, Round(1, NOW), 2) for voter in ("n2", "n3"))
        assert receive(again, *stale) == Step(again)

    def test_a_stranger_is_not_counted(self) -> None:
        node = leader()
        assert receive(node, AppendReply(1, "n9", True, Round(1, NOW), 1)) == Step(node)

    @pytest.mark.parametrize(("conflict", "prev"), [(1, 1), (4, 2)])
    def test_it_goes_back_to_the_last_entry_of_the_term_in_conflict(self, conflict: int, prev: int) -> None:
        """Section 5.3, where that is the first entry of all, and the last one before its own."""
        node = leader(log=(Entry(1, "x"), Entry(4, "y")))
        refusal = AppendReply(node.current_term, "n2", False, Round(1, NOW), 1, conflict)
        taken = receive(node, refusal)
        ((_, message),) = sent(taken)
        assert isinstance(message, AppendEntries)
        assert message.prev_log_index == prev
        assert [action.name for action in taken.actions] == ["receive_reply"]

    def test_what_is_committed_is_not_committed_again(self) -> None:
        """Leaders 4: "an N such that N > commitIndex"."""
        node = receive(leader(), *(AppendReply(1, v, True, Round(1, NOW), 1) for v in ("n2", "n3"))).node
        again = receive(node, AppendReply(1, "n4", True, Round(1, NOW), 1))
        assert [action.name for action in again.actions] == ["receive_reply"]


class TestReadsThatWait:
    """Dissertation 6.4."""

    def answered(self, taken: Step) -> list[object]:
        return [effect.id for effect in taken.effects if isinstance(effect, ReadReady)]

    def test_each_of_several_is_answered(self) -> None:
        node = leader()
        for id in ("a", "b"):
            node = step(node, Read(id), NOW).node
        replies = [AppendReply(1, voter, True, Round(3, NOW), 1) for voter in ("n2", "n3")]
        assert self.answered(receive(node, *replies)) == ["a", "b"]

    def test_the_round_that_it_asked_for_is_enough(self) -> None:
        """The answers come after the lease that they give has run out."""
        node = receive(leader(), *(AppendReply(1, v, True, Round(1, NOW), 1) for v in ("n2", "n3"))).node
        late = NOW + 2 * PROMISE
        asked = step(node, Read("r"), late).node
        replies = [AppendReply(1, voter, True, Round(2, late), 1) for voter in ("n2", "n3")]
        assert self.answered(receive(asked, *replies, now=late + PROMISE)) == ["r"]

    def test_it_is_answered_once(self) -> None:
        replies = [AppendReply(1, voter, True, Round(2, NOW), 1) for voter in ("n2", "n3")]
        taken = receive(step(leader(), Read("r"), NOW).node, *replies)
        assert self.answered(taken) == ["r"]
        assert taken.node.leadership.reads == ()
        assert self.answered(step(taken.node, HeartbeatTimeout(), NOW)) == []


class TestTransfer:
    """Dissertation 3.10."""

    def test_a_target_that_has_everything_is_told_at_once(self) -> None:
        node = receive(leader(), AppendReply(1, "n2", True, Round(1, NOW), 1)).node
        assert ("n2", TimeoutNow(1, "n1")) in sent(step(node, Transfer("n2"), NOW))

    def test_whoever_does_not_lead_refuses(self) -> None:
        node = restart("n1", FIVE, Durable(1), now=0).node
        hears = receive(node, AppendEntries(1, "n3", 0, 0, (), 0, Round(1, NOW))).node
        assert step(hears, Transfer("n2"), NOW).effects == (Refuse(Transfer("n2"), "n3"),)


def test_clocks_may_promise_one_unit_of_time() -> None:
    assert Clocks(promise=1).lease == 1


def test_a_retry_of_the_last_command_takes_no_effect() -> None:
    """Dissertation 6.3: between the two another client has written."""
    state = StateMachine()
    for index, (client, value) in enumerate([("a", 1), ("b", 2), ("a", 1)], 1):
        state, _ = apply(state, index, Request(client, 1, Put("x", value)))
    assert dict(state.values) == {"x": 2}


def test_the_nonce_of_a_grant_is_the_client_and_its_number() -> None:
    """Two grants with one token are told apart by it, so no two may have it."""
    state, _ = apply(StateMachine(), 7, Request("a", 1, Acquire("l", ttl=1000)))
    assert state.locks["l"].nonce == "a/1"
