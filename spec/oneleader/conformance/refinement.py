"""Refinement of a model with logs, from what can be observed alone: the replay reader's run, step by step.

`judge.Judge` searches among the few actions of `election`. Here the actions of `replication` are inferred
from what a server shows before and after a step, as the reader of etcd's recordings infers them from lines:

| what is seen                       | actions tried                                                       |
|------------------------------------|---------------------------------------------------------------------|
| a newer term, its own vote in it   | update_term to the one before if need be, start_election            |
| a newer term                       | update_term                                                         |
| a new vote                         | grant_vote, and reply_vote once it sends the candidate anything     |
| it leads                           | receive_vote of all that it has heard from since they voted for it, |
|                                    | become_leader                                                       |
| a follower of its term again       | step_down where somebody leads the term, give_up                    |
| more entries, at a leader          | client_request for each                                             |
| other or more entries, elsewhere   | append_entries, or replace_entries where they conflict              |
| a snapshot of what was not known   | append_entries or replace_entries of all that it holds, committed   |
| to be committed, elsewhere         |                                                                     |
| a greater commit index             | advance_commit at a leader, by a majority whose messages it has     |
|                                    | received since they stored it; append_entries elsewhere             |
| a message of the leader arrives    | append_entries without anything new, up to where the logs agree:    |
|                                    | what it answers may confirm so much                                 |

A snapshot that a leader sends is its log up to there (Figure 13): what conflicts with it is dropped, what
follows its last entry stays, and what it holds is committed, whatever commit index is shown.

What no action explains and correct implementations do is told by its name (`May`), and put into the state
by hand. A guard that forbids an action, or a state that differs from what is seen, refuses the step.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable

from oneleader.conformance.adapter import May, Observed, Report
from oneleader.conformance.judge import BeyondTheBound, Seen, StepRefused, in_words, refused
from oneleader.conformance.observations import at, shared
from oneleader.conformance.prompt import Prompt
from oneleader.errors import Inexpressible
from oneleader.language.model import Model
from oneleader.language.sorts import NIL
from oneleader.models.election import CANDIDATE, FOLLOWER, LEADER, Node, Role
from oneleader.readers.replay.candidates import Candidate, Candidates, LineRefused, show
from oneleader.readers.replay.compiled import CompiledRun
from oneleader.readers.replay.formats.etcd import RecordedVoters
from oneleader.readers.replay.properties import Properties

GIVEN = "what it starts with"  # stands for whoever led and wrote before the first step
ROLES = {"follower": FOLLOWER, "pre-candidate": FOLLOWER, "candidate": CANDIDATE, "leader": LEADER}


class Grounds:
    """A model ready to follow runs, one after another: compiled once, and emptied for each."""

    def __init__(self, model: Model, nodes: tuple[str, ...]) -> None:
        self.model, self.nodes = model, nodes
        self.run = CompiledRun(model, {"member": RecordedVoters()})
        self.properties = Properties(self.run, without="member")

    def fresh(self) -> Candidates:
        self.run.shared.clear()
        for elements in self.run.elements.values():
            elements.clear()
        for sort in self.run.greatest:
            self.run.greatest[sort] = 0
        for node in self.nodes:
            self.run.see(Node, node)
        return Candidates(self.run, 1, self.properties.check)


_built: dict[tuple[int, tuple[str, ...]], Grounds] = {}  # each keeps its model, so that no id is used again


def grounds(model: Model, nodes: tuple[str, ...]) -> Grounds:
    """Built once in a process; one run at a time may use them."""
    key = id(model), nodes
    if key not in _built:
        _built[key] = Grounds(model, nodes)
    return _built[key]


class LogJudge:
    """Follows one run of an implementation in the model `replication`."""

    def __init__(self, known: Grounds, may: Collection[May] = ()) -> None:
        self.nodes, self.may = known.nodes, may
        self.candidates = known.fresh()
        self.no_word: set[May] = set()
        self.last: dict[str, Observed] = {}  # with its log
        self.votes_heard: set[tuple[str, str, int]] = set()  # candidate, voter, term
        self.stored: dict[tuple[str, str, int], int] = {}  # leader, follower, term -> up to where

    def begin(self, seen: Seen) -> None:
        """What a cluster starts with is taken as given."""
        state = self.candidates.states[0].copy()
        for node, shown in seen.items():
            if shown is not None:
                given(state, node, shown)
                self.last[node] = shown
        self.candidates.states = [state]

    def follow(self, node: str, prompt: Prompt, report: Report, seen: Seen) -> list[str]:
        now = seen[node]
        if now is None:
            return []
        if now.members is not None and now.members != frozenset(self.nodes):
            self.say(May.CHANGE_MEMBERS)
            raise BeyondTheBound
        taken: list[str] = []

        def explain(before: Candidate) -> list[Candidate]:
            step = LogStep(self, before.copy(), node, prompt, report, now)
            step.take()
            taken.extend(step.s.steps)
            return [step.s]

        try:
            self.candidates.follow(explain)
        except LineRefused as why:
            raise self.refusal(node, now, why) from None
        except Inexpressible:
            raise BeyondTheBound from None
        self.last[node] = now if now.log is not None else self.last.get(node, now)
        return taken

    def say(self, step: May) -> None:
        """A step is taken that the model has no word for."""
        if step not in self.may:
            self.no_word.add(step)

    def refusal(self, node: str, now: Observed, why: LineRefused) -> StepRefused:
        shows = f"{node} now shows  {with_log(now)}"
        if why.guard:
            action = why.action.partition("(")[0]
            wants = f"the model would need  {why.action}"
            return refused(f"{action}: {why.guard}", shows, wants, f"which it forbids: {why.guard}")
        what = f"property: {why.property}" if why.property else f"observation: {why.text.partition(':')[0]}"
        return refused(what, shows, why.text)


def with_log(shown: Observed) -> str:
    entries = " ".join(f"{index}:{term}" for index, (term, _) in enumerate(shown.log or (), shown.first))
    commit = "" if shown.commit is None else f", {shown.commit} committed"
    return f"{in_words(shown)}; log (index:term) {entries or 'empty'}{commit}"


def given(state: Candidate, node: str, shown: Observed) -> None:
    """A server as it is before the first step."""
    if shown.term:
        state.start("term", node, shown.term)
        state.start("requested", (GIVEN, shown.term), True)
    if shown.voted_for is not None:
        state.start("voted_for", node, shown.voted_for)
    if not shown.log or shown.first > 1:
        return
    term, length = shown.log[-1][0], len(shown.log)
    state.start("heartbeat", (GIVEN, term), True)
    state.start("requested", (GIVEN, term), True)
    for index, (of, value) in enumerate(shown.log, 1):
        for name, key in (("log", node), ("leader_log", term)):
            state.start(f"{name}_term", (key, index), of)
            state.start(f"{name}_value", (key, index), said(value))
    state.start("log_length", node, length)
    state.start("commit_index", node, shown.commit or 0)
    state.start("acknowledged", (node, term), length)
    state.start("leader_log_length", term, max(length, state.get("leader_log_length", term)))
    state.start("leader_commit", term, max(shown.commit or 0, state.get("leader_commit", term)))


def said(value: Hashable) -> str:
    """A client's command, as an element of the sort Value."""
    return repr(value)


class LogStep:
    """One step of a server, taken in `s`; LineRefused where the model does not allow it."""

    def __init__(
        self, of: LogJudge, s: Candidate, node: str, prompt: Prompt, report: Report, now: Observed
    ) -> None:
        self.of, self.s, self.n, self.prompt, self.report, self.now = of, s, node, prompt, report, now

    def take(self) -> None:
        self.hear()
        known = self.get("commit_index")
        if self.prompt.restarts:
            self.restart()
        if self.now.role is None:
            self.crashed(known)
            return
        self.terms()
        self.roles()
        self.snapshot(known)
        self.entries()
        self.commits()
        self.confirms()
        self.compare()

    def get(self, name: str) -> int:
        """What the model has of this server."""
        return int(self.s.get(name, self.n))

    @property
    def leads(self) -> bool:
        return bool(self.s.get("role", self.n) == LEADER)

    @property
    def committed(self) -> int:
        """What a snapshot holds is committed."""
        return max(self.now.commit or 0, self.now.first - 1)

    # -- what it has been told -----------------------------------------------------------------------
    def hear(self) -> None:
        """What the sender had when the message left: its vote, and the leader's log as far as it agrees."""
        said, sender, term = self.prompt.said, self.prompt.sender, self.get("term")
        if said is None:
            return
        if said.voted_for == self.n:
            self.of.votes_heard.add((self.n, sender, said.term))
        if said.term == term and self.leads and said.log is not None:
            key = (self.n, sender, term)
            index = min(self.get("log_length"), said.first + len(said.log) - 1)
            while index >= said.first and not self.has_term(index, at(said, index)):
                index -= 1
            self.of.stored[key] = max(index, self.of.stored.get(key, 0))

    def has_term(self, index: int, entry: tuple[int, Hashable] | None) -> bool:
        return entry is not None and bool(self.s.get("log_term", (self.n, index)) == entry[0])

    # -- starting and stopping -----------------------------------------------------------------------
    def restart(self) -> None:
        """The commit index is volatile, but for what a snapshot holds."""
        before, commit = self.get("commit_index"), self.committed
        self.s.act("restart", self.n)
        if 0 < commit <= before:
            if commit >= self.now.first:
                self.of.say(May.COMMIT_SURVIVES)
            self.s.put("commit_index", self.n, commit)

    def crashed(self, known: int) -> None:
        """What it did before that has reached its disk. Whether it may have lost the rest, Figure 3 says."""
        now, length = self.now, self.get("log_length")
        if now.term >= self.get("term"):
            self.terms()
        vote = NIL if now.voted_for is None else now.voted_for
        is_all = (now.term, vote) == (self.s.get("term", self.n), self.s.get("voted_for", self.n))
        last = now.first - 1 + len(now.log or ())
        if not is_all or (now.log is not None and last < length):
            raise Inexpressible("a crash lost what was not synced")
        if now.log is not None and (last > length or now.first - 1 > known):
            self.stood(last)
            self.snapshot(known)
            self.entries()
            self.same_log()

    def stood(self, last: int) -> None:
        """A candidate that wrote before it crashed had heard of a leader, or led."""
        if self.s.get("role", self.n) == CANDIDATE:
            if self.heard_leaders:
                self.follow(CANDIDATE)
            elif self.entry(last)[0] == self.now.term:
                self.win()

    # -- elections -------------------------------------------------------------------------------------
    def terms(self) -> None:
        s, n, term, vote = self.s, self.n, self.now.term, self.now.voted_for
        if term > self.get("term"):
            if vote == n:
                if term - 1 > self.get("term"):
                    s.act("update_term", n, term - 1)
                if self.leads:
                    s.act("give_up", n)
                s.act("start_election", n)
            else:
                s.act("update_term", n, term)
        if term == self.get("term") and vote is not None and vote != s.get("voted_for", n):
            s.act("grant_vote", n, vote, term)
        is_sent = vote is not None and any(sent.to == vote for sent in self.report.sent)
        if is_sent and not s.get("granted", (n, term, vote)):
            s.act("reply_vote", n, vote, term)

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
        for voter in self.of.nodes:
            is_heard = (n, voter, term) in self.of.votes_heard and s.get("granted", (voter, term, n))
            if is_heard and not s.get("votes", (n, voter)):
                s.act("receive_vote", n, voter, term)
        s.act("become_leader", n, self.majority(lambda v: bool(s.get("votes", (n, v)))))

    def majority(self, is_preferred: object) -> frozenset[str]:
        assert callable(is_preferred)
        first = sorted(self.of.nodes, key=lambda v: not is_preferred(v))
        return frozenset(first[: len(first) // 2 + 1])

    def follow(self, role: Role) -> None:
        if role == CANDIDATE and self.heard_leaders:
            self.s.act("step_down", self.n, self.heard_leaders[0], self.now.term)
        else:
            self.s.act("give_up", self.n)

    @property
    def heard_leaders(self) -> list[str]:
        """Who leads its term."""
        return [v for v in self.of.nodes if self.s.get("heartbeat", (v, self.now.term))]

    # -- logs ------------------------------------------------------------------------------------------
    def snapshot(self, known: int) -> None:
        """Its log begins after a snapshot, up to where it did not know the leader's to be committed."""
        last = self.now.first - 1
        if self.now.log is not None and last > known and not self.leads:
            prev = self.get("commit_index")
            below = range(prev + 1, min(last, self.get("log_length")) + 1)
            is_conflict = not all(self.is_leaders(self.now.term, index) for index in below)
            self.store(prev, last, last, is_conflict=is_conflict)

    def entries(self) -> None:
        if self.now.log is None:
            return
        length, last = self.get("log_length"), self.now.first - 1 + len(self.now.log)
        agreed = self.agreed(length)
        if self.leads:
            for index in range(length + 1, last + 1):
                self.s.act("client_request", self.n, said(self.entry(index)[1]))
        elif last > agreed:
            self.store(agreed, last, 0, is_conflict=agreed < length)
        elif last < length:
            self.drop(last, length)

    def entry(self, index: int) -> tuple[int, Hashable]:
        found = at(self.now, index)
        if found is None:
            raise Inexpressible("an entry was made and put into a snapshot in one step")
        return found

    def agreed(self, length: int) -> int:
        """Up to where the model's log is what is seen. What is in a snapshot is taken to be."""
        assert self.now.log is not None
        last, first = self.now.first - 1 + len(self.now.log), self.now.first
        index = min(length, max(first - 1, first - 1 + shared(self.of.last.get(self.n), self.now)))
        while index < min(length, last) and self.has_term(index + 1, at(self.now, index + 1)):
            index += 1
        return index

    def store(self, prev: int, last: int, commit: int, is_conflict: bool) -> None:
        action = "replace_entries" if is_conflict else "append_entries"
        self.s.act(action, self.n, self.now.term, prev, last, commit)

    def drop(self, last: int, length: int) -> None:
        """Entries are gone and no new ones have come: correct where the leader has others there."""
        s, n, term = self.s, self.n, self.now.term
        theirs = s.get("leader_log_term", (term, last + 1))
        if last + 1 > int(s.get("leader_log_length", term)) or self.has_term(last + 1, (theirs, None)):
            text = f"log_length: {n} has {last} entries and had {length}"
            raise LineRefused(f"{text}, and nothing of its leader's conflicts with them")
        self.of.say(May.DROP_CONFLICTS)
        for index in range(last + 1, length + 1):
            s.put("log_term", (n, index), 0)
            s.put("log_value", (n, index), NIL)
        s.put("log_length", n, last)

    def commits(self) -> None:
        commit = self.committed
        if commit <= self.get("commit_index"):
            return
        if self.leads:
            self.s.act("advance_commit", self.n, commit, self.majority(lambda v: self.is_known(v, commit)))
        else:
            self.s.act("append_entries", self.n, self.now.term, commit, commit, commit)

    def is_known(self, follower: str, index: int) -> bool:
        """The leader has heard from the follower since it stored that."""
        key = (self.n, follower, self.now.term)
        known = follower == self.n or self.of.stored.get(key, 0) >= index
        return known and int(self.s.get("acknowledged", (follower, self.now.term))) >= index

    def confirms(self) -> None:
        """A message of the leader may be an AppendEntries of what is there already."""
        said, term = self.prompt.said, self.now.term
        is_leaders = said is not None and (said.role, said.term) == ("leader", term)
        if not is_leaders or self.s.get("role", self.n) != FOLLOWER or self.get("term") != term:
            return
        index = min(self.get("log_length"), int(self.s.get("leader_log_length", term)))
        while index and not self.is_leaders(term, index):
            index -= 1
        if index > int(self.s.get("acknowledged", (self.n, term))):
            self.s.act("append_entries", self.n, term, index, index, 0)

    def is_leaders(self, term: int, index: int) -> bool:
        """Its entry is the one that the leader of the term has there."""
        return bool(self.s.get("log_term", (self.n, index)) == self.s.get("leader_log_term", (term, index)))

    # -- what is seen ----------------------------------------------------------------------------------
    def compare(self) -> None:
        now, vote = self.now, NIL if self.now.voted_for is None else self.now.voted_for
        self.agree("term", now.term)
        self.agree("voted_for", vote)
        self.agree("role", ROLES[now.role or ""])
        self.same_log()
        if now.commit is not None:
            self.agree("commit_index", self.committed)

    def same_log(self) -> None:
        now = self.now
        if now.log is None:
            return
        self.agree("log_length", now.first - 1 + len(now.log))
        start = shared(self.of.last.get(self.n), now)
        for index, (term, value) in enumerate(now.log[start:], now.first + start):
            entry = (term, said(value))
            ours = tuple(self.s.get(f"log_{part}", (self.n, index)) for part in ("term", "value"))
            if entry != ours:
                shown = f"{value!r} of term {term}, and {ours[1]} of term {ours[0]} in the model"
                raise LineRefused(f"log: entry {index} of {self.n} is {shown}")

    def agree(self, field: str, seen: object) -> None:
        ours = self.s.get(field, self.n)
        if ours != seen:
            raise LineRefused(f"{field}: {self.n} shows {show(seen)}, and the model has {show(ours)}")
