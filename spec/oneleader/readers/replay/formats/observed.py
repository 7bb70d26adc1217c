"""observed: the steps of a line that names none, found from what it shows of its node.

A line shows a node as it is now. What a node has shown before, it has until it shows something else: its
lines leave no change of that out. Between two of its lines it may have taken several steps:

| what is shown               | actions tried                                                             |
|-----------------------------|---------------------------------------------------------------------------|
| a newer term, its own vote  | start_election; before it update_term, to the term before                 |
| a newer term otherwise      | update_term                                                               |
| a vote                      | grant_vote and, for a reply is seen by nobody, reply_vote                 |
| votes that are collected    | receive_vote for each                                                     |
| it leads                    | receive_vote of all that were granted, unless the line shows its votes;   |
|                             | become_leader                                                             |
| it follows, after it stood  | step_down, if somebody leads its term; give_up otherwise                  |
| it follows, after it led    | give_up; restart, where the model has no give_up                          |
| `restarts`                  | restart                                                                   |

What a reply may have told is told: what was sent only ever enables.

Steps that a node hides are said in `seen`.

`observed_log` does the same for logs, `observed_members` for members that change and for snapshots,
`observed_pre_vote` for pre-votes and `observed_lease` for leases.
"""

from __future__ import annotations

from typing import Any

from oneleader.language.definitions import Action
from oneleader.language.model import Model
from oneleader.language.sorts import NIL
from oneleader.models.election import CANDIDATE, FOLLOWER, LEADER
from oneleader.readers.replay.candidates import Candidate, NotModelled, show
from oneleader.readers.replay.formats.seen import SeenNodes
from oneleader.readers.replay.formats.shown import UNSEEN, NodeShown

Parameters = tuple[str, ...]
ACTIONS: dict[str, Parameters] = {
    "start_election": ("n",),
    "grant_vote": ("voter", "candidate", "t"),
    "reply_vote": ("voter", "candidate", "t"),
    "receive_vote": ("candidate", "voter", "t"),
    "update_term": ("n", "t"),
    "step_down": ("n", "leader", "t"),
    "restart": ("n",),
}
BY_A_QUORUM = {"become_leader": ("n", "q")}
MOST_TERMS = 64  # that a hidden candidate stands in, one after another
Call = tuple[Action, tuple[Any, ...]]


class ObservedElection:
    """One line from one candidate state `s`, by the actions of `election`: `take` changes the state."""

    MODELS: tuple[dict[str, Parameters], ...] = (ACTIONS | BY_A_QUORUM, ACTIONS | {"become_leader": ("n",)})
    UNFOUND: frozenset[str] = frozenset()  # the fields of which no line can say how they came about

    @classmethod
    def speaks(cls, model: Model) -> bool:
        """Whether the model has these actions, with these parameters, and no others."""
        return {name: tuple(p for p, _ in a.params) for name, a in model.actions.items()} in cls.MODELS

    def __init__(
        self, model: Model, seen: SeenNodes, s: Candidate, line: NodeShown, helpers: frozenset[str]
    ) -> None:
        self.actions, self.seen, self.s, self.line, self.helpers = model.actions, seen, s, line, helpers
        self.n, self.get = line.node, s.get
        self.taken: list[Call] = []  # the actions so far

    def take(self) -> None:
        if self.line.restarts:
            self.restart()
        self.terms()
        self.vote()
        self.roles()

    def act(self, name: str, *args: Any) -> None:
        self.s.act(name, *args)
        self.taken.append((self.actions[name], args))

    def may_hide(self, node: str, name: str) -> bool:
        """The node takes hidden steps in this attempt, and has never shown what they change."""
        return (node == self.n or node in self.helpers) and self.seen.hides(node, name)

    # -- terms and votes ---------------------------------------------------------------------------
    def terms(self) -> None:
        n, term, before = self.n, self.line.get("term"), self.get("term", self.n)
        if term is UNSEEN:
            return self._same_term()
        if term > before and self._stands(term):
            self._reach(term - 1)
            if self.get("role", n) == LEADER:
                self.give_up(n)
            self.start(n)
        elif term > before:
            self.hear_of(n, term)
        return None

    def _stands(self, term: int) -> bool:
        """It raises the term itself: it votes for itself, or says of no vote and stands or leads; or it hides
        all that, and nobody else has stood in the term."""
        vote, role, votes = self.line.get("voted_for"), self.line.get("role"), self.line.votes
        if vote is not UNSEEN or self.n in (votes or ()):
            return bool(vote in (UNSEEN, self.n))
        if role is UNSEEN and votes is None and self.may_hide(self.n, "voted_for"):
            return self.may_hide(self.n, "role") and not self._was_requested(term)
        return role in (CANDIDATE, LEADER)

    def _same_term(self) -> None:
        """A line without a term is of the one that its node has shown last."""
        n, role = self.n, self.line.get("role")
        is_new = role == CANDIDATE or (role == LEADER and self.get("role", n) == FOLLOWER)
        if is_new and role != self.get("role", n):
            raise NotModelled(f"{n} is {show(role)} in a term that its line does not show")

    def _reach(self, term: int) -> None:
        """It has heard of the term before the one that it stands in; or stood in those, if nobody saw it."""
        if term <= self.get("term", self.n):
            return
        if self.may_hide(self.n, "term") and not self._was_requested(term):
            self.stand(self.n, term)
        else:
            self.hear_of(self.n, term)

    def hear_of(self, node: str, term: int) -> None:
        """It has learned of a newer term, in which somebody stood."""
        if not self._was_requested(term):
            for c in sorted(self.helpers - {node}):
                if self.may_hide(c, "term") and self.get("term", c) < term:
                    self.stand(c, term)
                    break
        self.update_term(node, term)

    def update_term(self, node: str, term: int) -> None:
        self.act("update_term", node, term)

    def start(self, node: str) -> None:
        """An election timeout."""
        self.act("start_election", node)

    def _was_requested(self, term: int) -> bool:
        return any(self.s.get("requested", (c, term)) for c in self.seen.nodes)

    def stand(self, node: str, term: int) -> None:
        """Hidden: election timeouts, one after another, up to the term."""
        if term - self.get("term", node) > MOST_TERMS:
            raise NotModelled(f"{self.n} begins in term {term}: what came before is not recorded")
        if self.get("role", node) == LEADER:
            self.give_up(node)
        while self.get("term", node) < term:
            self.start(node)

    def vote(self) -> None:
        n, vote, term = self.n, self.line.get("voted_for"), self.get("term", self.n)
        if vote not in (UNSEEN, NIL, self.get("voted_for", n)) and self.line.get("term") in (UNSEEN, term):
            if self.line.get("term") is UNSEEN and self.seen.hides(n, "term"):
                raise NotModelled(f"{n} votes in a term that its line does not show")
            is_hidden = not self.s.get("requested", (vote, term)) and self.may_hide(vote, "term")
            if is_hidden and vote != n:
                self.stand(vote, term)
            self.grant(n, vote, term)
        self._reply(n)

    def grant(self, voter: str, candidate: str, term: int) -> None:
        self.act("grant_vote", voter, candidate, term)

    def _reply(self, voter: str) -> None:
        """The reply to a vote is seen by nobody."""
        vote, term = self.get("voted_for", voter), self.get("term", voter)
        if vote is not NIL and not self.s.get("granted", (voter, term, vote)):
            self.act("reply_vote", voter, vote, term)

    def hidden_vote(self, voter: str, candidate: str) -> None:
        """A helper votes, as far as it has not shown otherwise."""
        term = self.get("term", candidate)
        if not self.may_hide(voter, "voted_for") or self.s.get("granted", (voter, term, candidate)):
            return
        if self.get("term", voter) < term:
            if not self.may_hide(voter, "term"):
                return
            self.update_term(voter, term)
        self.grant(voter, candidate, term)
        self._reply(voter)

    # -- roles ---------------------------------------------------------------------------------------
    def roles(self) -> None:
        n, wanted, role = self.n, self.line.get("role"), self.get("role", self.n)
        if role == CANDIDATE:
            for voter in sorted(self.line.votes or ()):
                self.collect(n, voter)
        if wanted == LEADER and role != LEADER:
            self.win(n)
        elif wanted == FOLLOWER and role == CANDIDATE:
            self.follow(n)
        elif (wanted == FOLLOWER and role == LEADER) or self._has_lost_votes():
            self.give_up(n)

    def _has_lost_votes(self) -> bool:
        """It shows fewer votes than it had collected, and not its role: it no longer stands or leads."""
        n, votes = self.n, self.line.votes
        if votes is None or self.line.get("role") is not UNSEEN:
            return False
        return any(self.s.get("votes", (n, v)) and v not in votes for v in self.seen.nodes)

    def collect(self, candidate: str, voter: str) -> None:
        if not self.s.get("votes", (candidate, voter)):
            self.hidden_vote(voter, candidate)
            self.act("receive_vote", candidate, voter, self.get("term", candidate))

    def win(self, candidate: str) -> None:
        """With the votes that the line shows; with all that were granted, if it shows none: the last one may
        have come with it."""
        s, term = self.s, self.get("term", candidate)
        if candidate != self.n or self.line.votes is None:
            for voter in self.seen.nodes:
                self.hidden_vote(voter, candidate)
                if s.get("granted", (voter, term, candidate)) and not s.get("votes", (candidate, voter)):
                    self.act("receive_vote", candidate, voter, term)
        if "q" not in dict(self.actions["become_leader"].params):
            return self.act("become_leader", candidate)
        quorum = self.enough({v for v in self.seen.nodes if s.get("votes", (candidate, v))}, candidate)
        return self.act("become_leader", candidate, quorum)

    def enough(self, nodes: set[str], of: str) -> frozenset[str]:
        """A quorum of these nodes, in the configuration of the node `of`."""
        return self.seen.quorums.within(frozenset(nodes), self.configuration_of(of))

    def configuration_of(self, node: str) -> int:
        return 0

    def follow(self, node: str) -> None:
        """A candidate has heard the leader of its term, or has lost."""
        term = self.get("term", node)
        leader = next((v for v in self.seen.nodes if self.s.get("heartbeat", (v, term))), None)
        if leader is None:
            self.give_up(node)
        else:
            self.act("step_down", node, leader, term)

    def give_up(self, node: str) -> None:
        self.act("give_up" if "give_up" in self.actions else "restart", node)

    def restart(self) -> None:
        self.act("restart", self.n)
