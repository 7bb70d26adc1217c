"""observed_pre_vote: the same as `observed` for elections that begin with pre-votes, by `pre_vote`.

| what is shown                  | actions tried                                                          |
|--------------------------------|------------------------------------------------------------------------|
| it asks (`pre-candidate`), or  | start_pre_vote                                                         |
| again, with fewer pre-votes    |                                                                        |
| pre-votes that are collected   | receive_pre_vote for each                                              |
| it stands                      | receive_pre_vote of all that were granted; start_election              |
| it no longer asks              | give_up                                                                |

A pre-vote binds nobody and is seen by nobody, so each is granted as soon as it may be: when its voter is
asked, and when the voter no longer leads. That a server hears nobody, as most steps want, is never against
what is shown: an election timeout may pass at any time (lose_touch).

A server that has never shown that it asks may have asked at any time, so where it stands without a quorum
that would grant it now, that is inconclusive.
"""

from __future__ import annotations

from oneleader.models.election import LEADER
from oneleader.readers.replay.candidates import LineRefused, NotModelled
from oneleader.readers.replay.formats.observed import ACTIONS, BY_A_QUORUM, ObservedElection

OF_PRE_VOTES = {
    "start_election": ("n", "q"),
    "start_pre_vote": ("n",),
    "grant_pre_vote": ("voter", "candidate", "t"),
    "receive_pre_vote": ("candidate", "voter", "t"),
    "hear_leader": ("n", "leader", "t"),
    "receive_reply": ("leader", "follower", "t"),
    "lose_touch": ("n",),
    "give_up": ("n",),
    "tell_term": ("n", "sender", "t"),
    "learn_term": ("n", "t"),
}


class ObservedPreVote(ObservedElection):
    """One line of a node that asks before it stands."""

    MODELS = (ACTIONS | BY_A_QUORUM | OF_PRE_VOTES,)
    UNFOUND = frozenset({"heard", "replied", "told"})

    # -- asking --------------------------------------------------------------------------------------
    def ask(self, node: str) -> None:
        """It asks, and those who may grant it do."""
        self.lose_touch(node)
        self.act("start_pre_vote", node)
        for voter in self.seen.nodes:
            self.grant_pre_vote(voter, node)

    def grant_pre_vote(self, voter: str, candidate: str) -> None:
        term = self.get("term", candidate) + 1
        is_given = self.s.get("pre_granted", (voter, term, candidate))
        if is_given or self.get("term", voter) >= term or self.get("role", voter) == LEADER:
            return
        self.lose_touch(voter)
        self.act("grant_pre_vote", voter, candidate, term)

    def grant_pre_votes(self, voter: str) -> None:
        """To all who are asking."""
        for candidate in self.seen.nodes:
            if self.get("asking", candidate):
                self.grant_pre_vote(voter, candidate)

    def start(self, node: str) -> None:
        """A quorum would vote for it."""
        if not self.get("asking", node) and self.get("role", node) != LEADER:
            self.ask(node)
        for voter in self.seen.nodes:
            if self.s.get("pre_granted", (voter, self.get("term", node) + 1, node)):
                self.collect_pre_vote(node, voter)
        voters = {v for v in self.seen.nodes if self.s.get("pre_votes", (node, v))}
        try:
            self.act("start_election", node, self.enough(voters, node))
        except LineRefused as refused:
            if self.seen.hides(node, "asking"):
                why = f"{node} never shows that it asks for pre-votes, so when it did is open: {refused.text}"
                raise NotModelled(why) from None
            raise

    def collect_pre_vote(self, candidate: str, voter: str) -> None:
        if not self.s.get("pre_votes", (candidate, voter)):
            self.act("receive_pre_vote", candidate, voter, self.get("term", candidate) + 1)

    def roles(self) -> None:
        super().roles()
        n, asks = self.n, self.line.get("asking")
        if asks is True and (not self.get("asking", n) or self._asks_again()):
            self.ask(n)
        elif asks is False and self.get("asking", n):
            self.give_up(n)
        for voter in sorted(self.line.sets.get("pre_votes", ())):
            self.collect_pre_vote(n, voter)
        self.grant_pre_votes(n)

    def _asks_again(self) -> bool:
        """It shows fewer pre-votes than it had collected: another election timeout has passed."""
        shown = self.line.sets.get("pre_votes")
        had = (v for v in self.seen.nodes if self.s.get("pre_votes", (self.n, v)))
        return shown is not None and any(v not in shown for v in had)

    # -- elections, in which whoever hears a leader takes no part --------------------------------------
    def lose_touch(self, node: str) -> None:
        if any(self.s.get("heard", (node, v)) for v in self.seen.nodes):
            self.act("lose_touch", node)

    def update_term(self, node: str, term: int) -> None:
        if self.get("role", node) == LEADER:
            self.give_up(node)
        self.lose_touch(node)
        super().update_term(node, term)

    def grant(self, voter: str, candidate: str, term: int) -> None:
        self.lose_touch(voter)
        super().grant(voter, candidate, term)

    def give_up(self, node: str) -> None:
        self.lose_touch(node)
        super().give_up(node)
        self.grant_pre_votes(node)
