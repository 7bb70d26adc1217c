"""etcd, with PreVote and CheckQuorum: the same lines, judged by the model `pre_vote`.

Beside what `etcd` infers, and in its words:

| event                       | actions tried                            | beside term, vote and role       |
|-----------------------------|------------------------------------------|----------------------------------|
| BecomePreCandidate          | start_pre_vote                           |                                  |
| BecomeCandidate             | start_election, with the pre-votes of a  |                                  |
|                             | majority of each half of conf            |                                  |
| BecomeFollower, newer term  | update_term for a request of a vote;     | a message of that term came last |
|                             | else learn_term, and hear_leader         |                                  |
|                             | where a leader said so                   |                                  |
| BecomeFollower, same term   | give_up of a leader, and of who cannot   |                                  |
|                             | win; hear_leader of a pre-candidate      | a leader's message came last     |
| SendPreVoteRequest          | none                                     | it asks for the term after its   |
| SendPreVoteResponse         | grant_pre_vote; rejecting: tell_term     | to grant it, its request came    |
| ReceivePreVoteResponse      | receive_pre_vote of a pre-candidate      | the reply was sent               |
| ReceiveAppendEntriesRequest | hear_leader of a follower in its term    | the message was sent             |
| SendAppendEntriesResponse   | none; to a leader of an older term       | it has heard that leader         |
|                             | tell_term                                |                                  |
| ReceiveAppendEntriesResponse| receive_reply of a leader in its term    | the reply was sent               |

A pre-candidate of etcd is a follower that is `asking`. A request for a pre-vote, and a reply that grants
it, carry the term after the candidate's, every other message the sender's.

Time is not in the recording, and in the model an election timeout may pass at any moment. Where a guard
asks for one, `lose_touch` is inferred, and counted among the steps. So these lines say whether a server
did what it did in an order that *some* timing allows, not whether its timers were right.
"""

from __future__ import annotations

from typing import Any

from oneleader.language.model import Model
from oneleader.models.election import FOLLOWER, LEADER
from oneleader.readers.replay.candidates import Candidate, LineRefused, NotModelled
from oneleader.readers.replay.formats.etcd import ACTIONS, Elections, EtcdFormat, agree
from oneleader.readers.replay.formats.etcd_lines import (
    CARRIES,
    HEARTBEAT_REPLIES,
    HEARTBEATS,
    LEFT_ASIDE,
    MAY_REJECT,
    OTHERS,
    ROLES,
    EtcdLine,
    EtcdMessage,
    Words,
    read,
)

PRE_REQUEST, PRE_REPLY = "MsgPreVote", "MsgPreVoteResp"
WORDS = Words(
    carries={
        **CARRIES,
        "SendPreVoteRequest": frozenset({PRE_REQUEST}),
        "ReceivePreVoteRequest": frozenset({PRE_REQUEST}),
        "SendPreVoteResponse": frozenset({PRE_REPLY}),
        "ReceivePreVoteResponse": frozenset({PRE_REPLY}),
    },
    others=frozenset({*OTHERS, *LEFT_ASIDE, "BecomePreCandidate"}),
    roles={**ROLES, "StatePreCandidate": FOLLOWER},
    may_reject=MAY_REJECT | {PRE_REPLY},
)
PRE_VOTE_ACTIONS = (
    *("start_pre_vote", "grant_pre_vote", "receive_pre_vote", "hear_leader", "receive_reply"),
    *("lose_touch", "give_up", "tell_term", "learn_term"),
)


class PreVoteFormat(EtcdFormat):
    """Judges one recording with pre-vote and check-quorum, line by line."""

    actions = (*ACTIONS, *PRE_VOTE_ACTIONS)
    speaks_of = "pre_vote"
    compared = (*EtcdFormat.compared, "asking")

    @staticmethod
    def speaks(model: Model) -> bool:
        """Whether the model is one of pre-vote."""
        return "start_pre_vote" in model.actions

    def read(self, record: dict[str, Any]) -> EtcdLine:
        return read(record, WORDS)

    def explanation(self, s: Candidate, line: EtcdLine) -> Elections:
        return PreVotes(s, line)


class PreVotes(Elections):
    """One line from one candidate state, by the actions of `pre_vote`.

    A note more: asked[n, sender], the term that the last message of that sender to n carried.
    """

    def compare(self, vote_may_lag: bool = False) -> None:
        super().compare(vote_may_lag)
        if self.line.asking and not self.s.get("shown", PRE_REQUEST):
            raise NotModelled(
                f"{self.n} is a pre-candidate, and no line shows pre-votes, as etcd's own logger does not; "
                "--model replication judges the rest"
            )
        agree(f"asking[{self.n}]", self.line.asking, self.s.get("asking", self.n))

    def lose_touch(self) -> None:
        """An election timeout has passed, if the node has heard from anybody."""
        voters = {v for half in self.line.conf for v in half}
        if any(self.s.get("heard", (self.n, v)) for v in voters):
            self.s.act("lose_touch", self.n)

    # -- becoming --------------------------------------------------------------------------------
    def become(self) -> None:
        if self.line.event == "BecomePreCandidate":
            self.s.put("shown", PRE_REQUEST, True)
            self.lose_touch()
            self.s.act("start_pre_vote", self.n)
        else:
            super().become()

    def become_candidate(self) -> None:
        self.s.act("start_election", self.n, self.quorum("pre_votes", "candidate"))

    def become_follower(self) -> None:
        if self.line.term == self.s.get("term", self.n) and self.s.get("asking", self.n):
            self._stop_asking()
        else:
            super().become_follower()

    def _stop_asking(self) -> None:
        """There is a leader; or so many have rejected it that it gives up."""
        heard = self.last
        if heard and heard.type in HEARTBEATS and heard.term == self.line.term:
            self.s.act("hear_leader", self.n, heard.sender, heard.term)
        elif self.cannot_win(PRE_REPLY):
            self.give_up()
        else:
            raise LineRefused(f"{self.n} stops asking, and some majority has not rejected it")

    def follow_newer_term(self) -> None:
        n, term, heard = self.n, self.line.term, self.last
        self.caused_by_term(heard)
        assert heard is not None, "caused_by_term saw to it"
        if heard.type == "MsgVote":
            self.lose_touch()
            self.s.act("update_term", n, term)
            return
        self.s.act("learn_term", n, term)
        if heard.type in HEARTBEATS:
            self.s.act("hear_leader", n, heard.sender, term)

    def resign(self) -> None:
        self.lose_touch()
        self.s.act("give_up", self.n)

    def give_up(self) -> None:
        self.s.act("give_up", self.n)

    # -- votes and messages ----------------------------------------------------------------------
    def grant(self, candidate: str) -> None:
        self.lose_touch()
        super().grant(candidate)

    def reject(self, reply: EtcdMessage) -> None:
        """Figure 2, receivers 1: what grants nothing still tells the term, to whom it is newer."""
        asked = self.s.get("asked", (self.n, reply.to))
        if asked is None:
            raise LineRefused(f"{self.n} answers {reply.to}, which has not asked it anything")
        if asked <= self.line.term:
            self.s.act("tell_term", self.n, reply.to, asked)

    def send(self, m: EtcdMessage) -> None:
        if m.type == PRE_REPLY and not m.rejects:
            self._grant_pre_vote(m)
        elif m.type == PRE_REPLY or (
            m.type in HEARTBEAT_REPLIES and not self.s.get("heartbeat", (m.to, m.term))
        ):
            self.reject(m)
        super().send(m)

    def _answers_an_old_leader(self, m: EtcdMessage) -> bool:
        return m.type in HEARTBEAT_REPLIES and not self.s.get("heartbeat", (m.to, m.term))

    def _grant_pre_vote(self, m: EtcdMessage) -> None:
        """Dissertation 9.6: to the node that asked, if the node hears no leader.

        Etcd also grants it, late, to whom it has voted for in that very term. No step: it counts for nothing.
        """
        s, n, candidate = self.s, self.n, m.to
        if s.get("message", EtcdMessage(PRE_REQUEST, candidate, n, m.term, False)) != "received":
            raise LineRefused(f"{n} grants {candidate} a pre-vote for term {m.term} that nobody asked it for")
        has_voted = m.term == self.line.term and s.get("voted_for", n) == candidate
        if not has_voted:
            self.lose_touch()
            s.act("grant_pre_vote", n, candidate, m.term)

    def may_send(self, m: EtcdMessage) -> None:
        if m.type == PRE_REQUEST:
            agree(f"the term in {m.type}", m.term, self.line.term + 1)
            if not self.line.asking:
                raise LineRefused(f"{self.n} asks for pre-votes and is no pre-candidate")
        elif m.type in HEARTBEAT_REPLIES and not self._answers_an_old_leader(m):
            super().may_send(m)
            if not self.s.get("replied", (self.n, m.term)):
                raise LineRefused(f"{self.n} answers {m.to}, and has not heard it lead term {m.term}")
        elif m.type != PRE_REPLY or m.rejects:
            super().may_send(m)

    def receive(self, m: EtcdMessage) -> None:
        super().receive(m)
        s, n, term, role = self.s, self.n, self.line.term, self.line.role
        s.put("asked", (n, m.sender), m.term)
        if m.type == PRE_REPLY and not m.rejects and self.line.asking and m.term == term + 1:
            s.act("receive_pre_vote", n, m.sender, m.term)
        elif m.term == term and m.type in HEARTBEATS and role == FOLLOWER and not self.line.asking:
            s.act("hear_leader", n, m.sender, term)
        elif m.term == term and m.type in HEARTBEAT_REPLIES and role == LEADER:
            s.act("receive_reply", n, m.sender, term)
