"""Refinement of a model from what can be observed alone: the replay reader's run, step by step.

Where `judge.Judge` searches among the few actions of `election`, here a table of each model says which
actions explain what a server shows before and after a step: `refinement` for logs, `pre_votes`, `leases`.
What they share is here: terms, votes and roles.

| what is seen                       | actions tried                                                       |
|------------------------------------|---------------------------------------------------------------------|
| a newer term, its own vote in it   | update_term to the one before if need be, start_election            |
| a newer term                       | update_term                                                         |
| a new vote                         | grant_vote, and reply_vote once it sends the candidate anything     |
| it leads                           | receive_vote of all that it has heard from since they voted for it, |
|                                    | become_leader                                                       |
| a follower of its term again       | step_down where somebody leads the term, give_up                    |

What no action explains and correct implementations do is told by its name (`May`). A guard that forbids an
action, or a state that differs from what is seen, refuses the step.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping
from typing import Any, ClassVar

from oneleader.conformance.adapter import May, Observed, Report
from oneleader.conformance.judge import (
    OLD_VOTE,
    OLD_VOTE_IS_REFUSED,
    BeyondTheBound,
    Seen,
    StepRefused,
    in_words,
    leads_away,
    refused,
)
from oneleader.conformance.observations import may_have, placed
from oneleader.conformance.prompt import Prompt
from oneleader.errors import Inexpressible
from oneleader.language.model import Model
from oneleader.language.sorts import NIL
from oneleader.models.election import CANDIDATE, FOLLOWER, LEADER, Node, Role
from oneleader.readers.replay.candidates import Candidate, Candidates, LineRefused, show
from oneleader.readers.replay.compiled import CompiledRun
from oneleader.readers.replay.formats.etcd import RecordedVoters
from oneleader.readers.replay.properties import Properties

GIVEN = "what it starts with"  # stands for those who led and wrote before the first step
ROLES = {"follower": FOLLOWER, "pre-candidate": FOLLOWER, "candidate": CANDIDATE, "leader": LEADER}


class Grounds:
    """A model ready to follow runs, one after another: compiled once, and emptied for each."""

    def __init__(self, model: Model, nodes: tuple[str, ...], parameters: Mapping[str, int]) -> None:
        self.model, self.nodes, self.parameters = model, nodes, parameters
        self.run = CompiledRun(model, self.constants(), parameters)
        self.properties = Properties(self.run, "member")

    def constants(self) -> dict[str, Container[Any]]:
        """A quorum is the set of its members: which sets are quorums, each step says."""
        return {"member": RecordedVoters()} if "member" in self.model.fields else {}

    def fresh(self) -> Candidates:
        for cells in self.run.shared.values():
            cells.clear()  # what reads a field keeps hold of its cells
        for elements in self.run.elements.values():
            elements.clear()
        for sort in self.run.greatest:
            self.run.greatest[sort] = 0
        for node in self.nodes:
            self.run.see(Node, node)
        return Candidates(self.run, 1, self.properties.check)


# Each keeps its model, so that no id is used again.
_built: dict[tuple[int, tuple[str, ...], tuple[tuple[str, int], ...]], Grounds] = {}


def grounds(
    model: Model,
    nodes: tuple[str, ...],
    parameters: Mapping[str, int] | None = None,
    kind: type[Grounds] = Grounds,
) -> Grounds:
    """Built once in a process; one run at a time may use them."""
    key = id(model), nodes, tuple(sorted((parameters or {}).items()))
    if key not in _built:
        _built[key] = kind(model, nodes, parameters or {})
    return _built[key]


class ModelJudge:
    """Follows one run of an implementation in a model; `step` is how it explains one step."""

    step: ClassVar[type[ModelStep]]

    def __init__(self, known: Grounds, may: Collection[May] = ()) -> None:
        self.nodes, self.may = known.nodes, may
        self.candidates = known.fresh()
        self.no_word: set[May] = set()
        self.last: dict[str, Observed] = {}
        self.promised: dict[str, Observed] = {}  # what each server showed when a message left it last
        self.votes_heard: set[tuple[str, str, int]] = set()  # candidate, voter, term

    def begin(self, seen: Seen) -> None:
        """What a cluster starts with is taken as given."""
        state = self.candidates.states[0].copy()
        for node, shown in seen.items():
            if shown is not None:
                self.given(state, node, shown)
                self.last[node] = shown
        self.candidates.states = [state]

    def given(self, state: Candidate, node: str, shown: Observed) -> None:
        """A server as it is before the first step."""
        if shown.term:
            state.start("term", node, shown.term)
            state.start("requested", (GIVEN, shown.term), True)
        if shown.voted_for is not None:
            state.start("voted_for", node, shown.voted_for)

    def follow(self, node: str, prompt: Prompt, report: Report, seen: Seen) -> list[str]:
        now = seen[node]
        if now is None:
            return []
        self.look_at_members(now)
        if prompt.restarts and has_lost_unsynced(self.last.get(node), self.promised.get(node), now):
            raise BeyondTheBound
        taken: list[str] = []

        def explain(before: Candidate) -> list[Candidate]:
            step = self.step(self, before.copy(), node, prompt, report, now, seen)
            step.leave_if_it_leads_away()
            step.take()
            taken.extend(step.s.steps)
            return [step.s]

        try:
            self.candidates.follow(explain)
        except LineRefused as why:
            raise self.refusal(node, now, why) from None
        except Inexpressible:
            raise BeyondTheBound from None
        self.remember(node, now)
        if report.sent:
            self.promised[node] = now
        return taken

    def look_at_members(self, now: Observed) -> None:
        """Here all servers are members."""
        if now.members is not None and now.members != frozenset(self.nodes):
            self.leave(May.CHANGE_MEMBERS)

    def remember(self, node: str, now: Observed) -> None:
        self.last[node] = now

    def say(self, step: May) -> None:
        """A step is taken that the model has no word for."""
        if step not in self.may:
            self.no_word.add(step)

    def leave(self, step: May) -> None:
        """A step is taken after which the model cannot follow the run."""
        self.say(step)
        raise BeyondTheBound

    def shown(self, now: Observed) -> str:
        return in_words(now)

    def refusal(self, node: str, now: Observed, why: LineRefused) -> StepRefused:
        shows = f"{node} now shows  {self.shown(now)}"
        if why.guard:
            action = why.action.partition("(")[0]
            wants = f"the model would need  {why.action}"
            return refused(f"{action}: {why.guard}", shows, wants, f"which it forbids: {why.guard}")
        what = f"property: {why.property}" if why.property else f"observation: {why.text.partition(':')[0]}"
        return refused(what, shows, why.text)


class ModelStep:
    """One step of a server, taken in `s`; LineRefused where the model does not allow it."""

    def __init__(
        self,
        of: ModelJudge,
        s: Candidate,
        node: str,
        prompt: Prompt,
        report: Report,
        now: Observed,
        seen: Seen,
    ) -> None:
        self.s, self.n, self.prompt, self.report, self.now, self.seen = s, node, prompt, report, now, seen
        self.judge = of

    def take(self) -> None:
        raise NotImplementedError

    def leave_if_it_leads_away(self) -> None:
        asked = any(self.s.get("requested", (v, self.now.term)) for v in (*self.judge.nodes, GIVEN))
        step = leads_away(self.prompt, self.get("term"), self.now, is_news=not asked)
        if step is not None:
            self.judge.leave(step)

    def get(self, name: str) -> int:
        """What the model has of this server."""
        return int(self.s.get(name, self.n))

    @property
    def leads(self) -> bool:
        return bool(self.s.get("role", self.n) == LEADER)

    @property
    def said_of_leader(self) -> bool:
        """It received a message that its sender, leader of this term, sent in a step of a leader alone."""
        said = self.prompt.said
        is_leaders = said is not None and (said.role, said.term) == ("leader", self.now.term)
        return is_leaders and self.prompt.why in ("won", "heartbeat", "propose", "read")

    def hear(self) -> None:
        """What the sender had when the message left: its vote, and that of an earlier term, told of late."""
        said, sender, term = self.prompt.said, self.prompt.sender, self.get("term")
        if said is not None and said.voted_for == self.n:
            self.judge.votes_heard.add((self.n, sender, said.term))
        if said is not None and said.term > term and self.s.get("granted", (sender, term, self.n)):
            self.judge.votes_heard.add((self.n, sender, term))

    def stored_all(self) -> bool:
        """Of a server that is down: it has stored the term and the vote that the model has."""
        vote = NIL if self.now.voted_for is None else self.now.voted_for
        return (self.now.term, vote) == (self.s.get("term", self.n), self.s.get("voted_for", self.n))

    def crashed(self) -> None:
        """What it did before that has reached its disk. Whether it may have lost the rest, Figure 3 says."""
        if self.now.term >= self.get("term"):
            self.terms()
        if not self.stored_all():
            raise Inexpressible("a crash lost what was not synced")

    # -- elections -------------------------------------------------------------------------------------
    def terms(self) -> None:
        s, n, term, vote = self.s, self.n, self.now.term, self.now.voted_for
        if term > self.get("term"):
            self.may_answer_late()
            if vote == n:
                if term - 1 > self.get("term") and self.prompt.what == "timeout":
                    self.judge.leave(May.SKIPS_TERMS)
                if term - 1 > self.get("term"):
                    self.hear_of(term - 1)
                self.stand()
            else:
                self.hear_of(term)
        if term == self.get("term") and vote is not None and vote != s.get("voted_for", n):
            self.grant(vote)
        is_sent = vote is not None and any(sent.to == vote for sent in self.report.sent)
        if is_sent and not s.get("granted", (n, term, vote)):
            s.act("reply_vote", n, vote, term)

    def may_answer_late(self) -> None:
        """It leaves its term, and its answer with its vote may be on its way or still to leave."""
        s, n, term = self.s, self.n, self.get("term")
        vote = s.get("voted_for", n)
        if vote not in (NIL, n) and not s.get("granted", (n, term, vote)):
            s.act("reply_vote", n, vote, term)

    def hear_of(self, term: int) -> None:
        """It has learned of a newer term."""
        self.s.act("update_term", self.n, term)

    def stand(self) -> None:
        if self.leads:
            self.s.act("give_up", self.n)
        self.s.act("start_election", self.n)

    def grant(self, candidate: str) -> None:
        before = self.judge.last.get(self.n)
        is_kept = before is not None and before.term < self.now.term and before.voted_for == candidate
        if is_kept and not self.s.get("requested", (candidate, self.now.term)):
            raise LineRefused(f"{OLD_VOTE}: {OLD_VOTE_IS_REFUSED}")
        self.s.act("grant_vote", self.n, candidate, self.now.term)

    def roles(self) -> None:
        role, wanted = self.s.get("role", self.n), ROLES[self.now.role or ""]
        for voter in self.now.votes or ():
            if wanted == CANDIDATE and not self.s.get("votes", (self.n, voter)):
                self.s.act("receive_vote", self.n, voter, self.now.term)
        if wanted == LEADER and role != LEADER:
            self.win()
        elif wanted == FOLLOWER and role != FOLLOWER:
            self.follow(role)

    def win(self) -> None:
        s, n, term = self.s, self.n, self.now.term
        for voter in self.judge.nodes:
            is_heard = (n, voter, term) in self.judge.votes_heard and s.get("granted", (voter, term, n))
            if is_heard and not s.get("votes", (n, voter)):
                s.act("receive_vote", n, voter, term)
        s.act("become_leader", n, self.majority(lambda v: bool(s.get("votes", (n, v)))))

    def majority(self, is_preferred: Callable[[str], bool]) -> frozenset[str]:
        first = sorted(self.judge.nodes, key=lambda v: not is_preferred(v))
        return frozenset(first[: len(first) // 2 + 1])

    def follow(self, role: Role) -> None:
        if role == CANDIDATE and self.heard_leaders:
            self.s.act("step_down", self.n, self.heard_leaders[0], self.now.term)
        else:
            self.s.act("give_up", self.n)

    @property
    def heard_leaders(self) -> list[str]:
        """Who leads its term."""
        return [v for v in self.judge.nodes if self.s.get("heartbeat", (v, self.now.term))]

    # -- what is seen ----------------------------------------------------------------------------------
    def compare(self) -> None:
        self.agree("term", self.now.term)
        self.agree("voted_for", NIL if self.now.voted_for is None else self.now.voted_for)
        self.agree("role", ROLES[self.now.role or ""])

    def agree(self, field: str, seen: object) -> None:
        ours = self.s.get(field, self.n)
        if ours != seen:
            raise LineRefused(f"{field}: {self.n} shows {show(seen)}, and the model has {show(ours)}")


def has_lost_unsynced(before: Observed | None, told: Observed | None, now: Observed) -> bool:
    """Whether a crash, after which nothing was seen of the disk, took what no message has told of."""
    if before is None or before.role is None:
        return False
    told = told or Observed(0, None, None)
    # Who sends an entry of its own confirms nothing yet (dissertation 10.2.1).
    led = told.term if told.role == "leader" else None
    return lacks_of(before, now) and not lacks_of(told, now, led)


def lacks_of(before: Observed, now: Observed, but_of: int | None = None) -> bool:
    """Whether a server has less than before: term, vote, or entries, but for those of one term."""
    has_vote = before.voted_for in (None, now.voted_for)
    is_older = now.term < before.term or (now.term == before.term and not has_vote)
    entries = ((i, e) for i, e in placed(before) if e[0] != but_of)
    return is_older or (now.log is not None and not all(may_have(now, i, e) for i, e in entries))
