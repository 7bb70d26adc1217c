"""Refinement of `pre_vote`: pre-votes and check-quorum, from what can be observed alone.

The adapter shows the role "pre-candidate". Terms, votes and roles are explained as in `following`, but for

| what is seen                       | actions tried                                                       |
|------------------------------------|---------------------------------------------------------------------|
| it asks for pre-votes              | start_pre_vote                                                      |
| a pre-candidate's message arrives  | grant_pre_vote, where the model allows it: it may be the request    |
| a message to a pre-candidate       | receive_pre_vote, where its sender may have granted one             |
| a newer term, its own vote in it   | start_election by a quorum of pre-votes, asking first if need be    |
| a newer term that a candidate sent | update_term, which who hears a leader refuses (dissertation 4.2.3)  |
| as it stood for election           |                                                                     |
| a newer term, from anybody else    | learn_term: a leader's message, or an answer                        |
| a leader's message in its term     | hear_leader, where it cannot be anything but AppendEntries          |
| it stops asking, standing, leading | hear_leader or step_down of such a message, else give_up            |

What may be a pre-vote is taken for one, and what may be no heartbeat for none: the judge knows messages by
their senders alone. An election timeout may have passed (lose_touch) once a timer has rung anywhere, or time
has passed, since a server heard its leader; whether it was long enough is not judged, and a leader may lose
touch at any time. Leadership that is handed over disregards all this: the model follows a run up to there.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from oneleader.conformance.adapter import PRE_CANDIDATE, May
from oneleader.conformance.following import Grounds, ModelJudge, ModelStep
from oneleader.language.sorts import NIL
from oneleader.models.election import CANDIDATE, FOLLOWER, LEADER, Role


class PreVoteStep(ModelStep):
    """One step of a server that asks before it stands."""

    def __init__(self, of: PreVoteJudge, *rest: Any) -> None:
        super().__init__(of, *rest)
        self.of, self.heard_at = of, of.heard_at

    def take(self) -> None:
        if self.prompt.what == "transfer":
            self.of.leave(May.HAND_OVER)
        self.hear()
        if self.prompt.restarts:
            self.s.act("restart", self.n)
        self.grant_pre_vote()
        if self.now.role is None:
            self.crashed()
            self.ask_before_crash()
            return
        self.terms()
        self.roles()
        self.ask()
        self.hear_leader()
        self.compare()

    @property
    def asks(self) -> bool:
        return bool(self.s.get("asking", self.n))

    def lose_touch(self, at_will: bool = False) -> None:
        """An election timeout may have passed since it heard anybody."""
        hears = any(self.s.get("heard", (self.n, v)) for v in self.of.nodes)
        if hears and (at_will or self.prompt.time > self.heard_at.get(self.n, -1)):
            self.s.act("lose_touch", self.n)

    # -- pre-votes ---------------------------------------------------------------------------------------
    def hear(self) -> None:
        """Its vote; and its pre-vote, if it may have granted one."""
        super().hear()
        s, n, sender, t = self.s, self.n, self.prompt.sender, self.get("term") + 1
        may_be = self.prompt.what == "receive" and s.get("pre_granted", (sender, t, n))
        if not self.asks:
            return
        if may_be and not s.get("pre_votes", (n, sender)):
            s.act("receive_pre_vote", n, sender, t)
        is_old = any(s.get("pre_granted", (sender, older, n)) for older in range(1, t))
        if is_old or (sender, n) in self.of.reached:
            self.of.late.add((n, sender))

    def grant_pre_vote(self) -> None:
        said, s, n, sender = self.prompt.said, self.s, self.n, self.prompt.sender
        may_ask = said is not None and said.role in (PRE_CANDIDATE, None)  # None: it crashed as it sent
        if said is None or not may_ask or self.leads:
            return
        if said.term + 1 <= self.get("term"):
            if said.term + 1 == self.get("term") and s.get("voted_for", n) in (NIL, sender):
                self.of.reached.add((n, sender))
            return
        self.lose_touch()
        is_silent = not any(s.get("heard", (n, v)) for v in self.of.nodes)
        if is_silent and s.get("pre_requested", (sender, said.term + 1)):
            s.act("grant_pre_vote", n, sender, said.term + 1)

    def ask_before_crash(self) -> None:
        """What left it, as its timer rang and it crashed, may have been requests."""
        self.lose_touch()
        is_silent = not any(self.s.get("heard", (self.n, v)) for v in self.of.nodes)
        if self.prompt.what == "timeout" and self.report.sent and is_silent and not self.leads:
            self.start_pre_vote()

    def ask(self) -> None:
        """It begins to ask, or stops."""
        if self.now.role == PRE_CANDIDATE and not self.asks:
            self.start_pre_vote()
        elif self.now.role != PRE_CANDIDATE and self.asks and not self.said_of_leader:
            self.s.act("give_up", self.n)

    def start_pre_vote(self) -> None:
        self.lose_touch()
        self.s.act("start_pre_vote", self.n)
        self.of.late -= {(self.n, voter) for voter in self.of.nodes}

    # -- elections -------------------------------------------------------------------------------------
    def stand(self) -> None:
        s, n = self.s, self.n
        if self.leads:
            self.give_up()
        if not self.asks:
            self.start_pre_vote()
        backed = [v for v in self.of.nodes if s.get("pre_votes", (n, v))]
        late = [v for v in self.of.nodes if v not in backed and (n, v) in self.of.late]
        if 2 * len(backed) <= len(self.of.nodes) < 2 * len(backed + late):
            self.of.say(May.LATE_PRE_VOTES)
            for voter in late:
                s.put("pre_votes", (n, voter), True)
            backed += late
        s.act("start_election", n, self.majority(lambda v: v in backed))

    def hear_of(self, term: int) -> None:
        s, n, said = self.s, self.n, self.prompt.said
        if said is None or (self.prompt.why == "stood" and said.term == term):
            self.lose_touch()
            s.act("update_term", n, term)
            return
        if said.term >= term and not any(s.get("heartbeat", (v, term)) for v in self.of.nodes):
            s.put("told", (n, term), True)
        s.act("learn_term", n, term)

    def grant(self, candidate: str) -> None:
        self.lose_touch()
        super().grant(candidate)

    def follow(self, role: Role) -> None:
        if role == CANDIDATE and self.now.role == PRE_CANDIDATE:
            return  # it abandons its election: start_pre_vote
        if role == CANDIDATE and self.said_of_leader:
            self.s.act("step_down", self.n, self.prompt.sender, self.now.term)
            self.heard_at[self.n] = self.prompt.time
        else:
            self.give_up()

    def give_up(self) -> None:
        if self.s.get("role", self.n) == LEADER:
            self.lose_touch(at_will=True)
        self.s.act("give_up", self.n)

    def hear_leader(self) -> None:
        is_follower = self.s.get("role", self.n) == FOLLOWER and self.now.role != PRE_CANDIDATE
        if self.said_of_leader and is_follower:
            self.s.act("hear_leader", self.n, self.prompt.sender, self.now.term)
            self.heard_at[self.n] = self.prompt.time


class PreVoteJudge(ModelJudge):
    """Follows one run of an implementation in the model `pre_vote`."""

    step = PreVoteStep

    def __init__(self, known: Grounds, may: Collection[May] = ()) -> None:
        super().__init__(known, may)
        self.heard_at: dict[str, int] = {}  # when each server heard a leader last
        self.reached: set[tuple[str, str]] = set()  # who may have granted whom one for its own term
        self.late: set[tuple[str, str]] = set()  # who asks, and whose pre-vote for an older term it received
