"""Refinement of `replication`: logs, commit indices and snapshots, from what can be observed alone.

Terms, votes and roles are explained as in `following`; beside them

| what is seen                       | actions tried                                                       |
|------------------------------------|---------------------------------------------------------------------|
| more entries, at a leader          | client_request for each                                             |
| other or more entries, elsewhere   | append_entries, or replace_entries where they conflict              |
| a snapshot of what was not known   | append_entries or replace_entries of all that it holds, committed   |
| to be committed, elsewhere         |                                                                     |
| a greater commit index             | advance_commit at a leader, by a majority whose messages it has     |
|                                    | received since they stored it; append_entries elsewhere             |
| a message of the leader arrives    | append_entries without anything new, up to where the logs agree:    |
|                                    | what it answers may confirm so much                                 |

A snapshot that a leader sends is its log up to there (Figure 13): what conflicts with it is dropped, what
follows its last entry stays, and what it holds is committed, whatever commit index is shown. What no action
explains and correct implementations do is put into the state by hand.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Any, ClassVar

from oneleader.conformance.adapter import May, Observed
from oneleader.conformance.following import GIVEN, Grounds, ModelJudge, ModelStep
from oneleader.conformance.judge import in_words
from oneleader.conformance.observations import at, may_have, placed, shared
from oneleader.errors import Inexpressible
from oneleader.language.sorts import NIL
from oneleader.models.election import CANDIDATE, FOLLOWER
from oneleader.readers.replay.candidates import Candidate, LineRefused


def with_log(shown: Observed) -> str:
    entries = " ".join(f"{index}:{term}" for index, (term, _) in enumerate(shown.log or (), shown.first))
    commit = "" if shown.commit is None else f", {shown.commit} committed"
    return f"{in_words(shown)}; log (index:term) {entries or 'empty'}{commit}"


def said(value: Hashable) -> str:
    """A client's command, as an element of the sort Value."""
    return repr(value)


class LogStep(ModelStep):
    """One step of a server with a log."""

    def __init__(self, of: LogJudge, *rest: Any) -> None:
        super().__init__(of, *rest)
        self.of = of

    def take(self) -> None:
        self.hear()
        if self.is_late():
            self.of.leave(May.SENDS_LATE)
        known = self.get("commit_index")
        if self.prompt.restarts:
            self.restart()
        if self.now.role is None:
            self.crashed_with_log(known)
            return
        if self.leads and self.now.term > self.get("term"):
            self.commit_before(self.get("log_length"))  # it may have, before it learned of the newer term
        self.terms()
        self.lead_for_a_moment()
        self.roles()
        if self.stores_on():
            self.of.leave(May.STORES_ON)
        self.snapshot(known)
        self.entries()
        self.commits()
        self.confirms()
        self.compare()

    @property
    def committed(self) -> int:
        """What a snapshot holds is committed."""
        return max(self.now.commit or 0, self.now.first - 1)

    # -- what it has been told -----------------------------------------------------------------------
    def hear(self) -> None:
        """Its vote, and the leader's log as far as it agrees."""
        super().hear()
        said, sender, term = self.prompt.said, self.prompt.sender, self.get("term")
        if said is not None and said.term > term and self.leads:  # an answer of its term may come late
            told = int(self.s.get("acknowledged", (sender, term)))
            self.of.stored[self.n, sender, term] = max(told, self.of.stored.get((self.n, sender, term), 0))
        if said is not None and said.term == term and self.leads and said.log is not None:
            key = (self.n, sender, term)
            index = min(self.get("log_length"), said.first + len(said.log) - 1)
            while index >= said.first and not self.has_term(index, at(said, index)):
                index -= 1
            self.of.stored[key] = max(index, self.of.stored.get(key, 0))

    def has_term(self, index: int, entry: tuple[int, Hashable] | None) -> bool:
        return entry is not None and bool(self.s.get("log_term", (self.n, index)) == entry[0])

    def is_late(self) -> bool:
        """Who led this term sends in its name what it has got or learned in a later one."""
        s, said, term, before = self.s, self.prompt.said, self.now.term, self.of.last.get(self.n)
        led = said is not None and said.term > term and s.get("heartbeat", (self.prompt.sender, term))
        if said is None or before is None or not led:
            return False
        new = [(i, e) for i, e in placed(self.now) if at(before, i) != e]
        later = [(i, e) for i, e in new if e[0] != s.get("leader_log_term", (term, i))]
        has_learned = self.committed > max(before.commit or 0, int(s.get("leader_commit", term)))
        is_senders = all(may_have(said, i, e) for i, e in new) and self.committed <= (said.commit or 0)
        return is_senders and (bool(later) or has_learned)

    def lead_for_a_moment(self) -> None:
        """A candidate that is a follower with an entry of its term, which nobody else leads, has won, made it
        and stepped down in one step: the removal of itself is committed, for one."""
        length, last = self.get("log_length"), self.now.first - 1 + len(self.now.log or ())
        is_over = self.s.get("role", self.n) == CANDIDATE and self.now.role == "follower"
        if is_over and last > length and not self.heard_leaders and self.entry(last)[0] == self.now.term:
            self.win()
            self.append(length, last)

    def stores_on(self) -> bool:
        """A candidate has other entries than before, of those that the leader of its term has."""
        new = [(i, e) for i, e in placed(self.now) if not self.has_term(i, e)]
        is_candidate = self.s.get("role", self.n) == CANDIDATE and self.now.role == "candidate"
        return is_candidate and bool(new) and all(self.is_of_leader(i, e[0]) for i, e in new)

    def is_of_leader(self, index: int, term: int) -> bool:
        theirs = self.s.get("leader_log_term", (self.now.term, index))
        return bool(self.heard_leaders) and bool(theirs == term)

    # -- starting and stopping -----------------------------------------------------------------------
    def restart(self) -> None:
        """The commit index is volatile, but for what a snapshot holds."""
        before, commit = self.get("commit_index"), self.committed
        self.s.act("restart", self.n)
        if 0 < commit <= before:
            if commit >= self.now.first:
                self.of.say(May.COMMIT_SURVIVES)
            self.s.put("commit_index", self.n, commit)

    def crashed_with_log(self, known: int) -> None:
        """The same of its log."""
        now, length = self.now, self.get("log_length")
        self.crashed()
        last = now.first - 1 + len(now.log or ())
        if now.log is not None and last < length:
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

    # -- logs ------------------------------------------------------------------------------------------
    def snapshot(self, known: int) -> None:
        """Its log begins after a snapshot, up to where it did not know the leader's to be committed."""
        last = self.now.first - 1
        if self.now.log is not None and last > known and not self.leads:
            prev = self.get("commit_index")
            below = range(prev + 1, min(last, self.get("log_length")) + 1)
            is_conflict = not all(self.is_leaders(self.now.term, index) for index in below)
            self.store(prev, last, last, is_conflict=is_conflict)

    def roles(self) -> None:
        """A leader that steps down may have committed before; the removal of itself, for one."""
        if self.leads and self.now.role != "leader":
            self.commit_before(self.get("log_length"))
        super().roles()

    def entries(self) -> None:
        if self.now.log is None:
            return
        length, last = self.get("log_length"), self.now.first - 1 + len(self.now.log)
        agreed = self.agreed(length)
        if self.leads:
            self.append(length, last)
        elif last > agreed:
            self.store(agreed, last, 0, is_conflict=agreed < length)
        elif last < length:
            self.drop(last, length)

    def append(self, length: int, last: int) -> None:
        """A leader has made entries."""
        for index in range(length + 1, last + 1):
            self.s.act("client_request", self.n, said(self.entry(index)[1]))

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
        """Entries are gone and no new ones have come: correct where the leader of its term has others,
        or none: it has all that is committed."""
        s, n, term = self.s, self.n, self.now.term
        theirs = s.get("leader_log_term", (term, last + 1))
        has_some = last + 1 <= int(s.get("leader_log_length", term))
        if self.has_term(last + 1, (theirs, None)) if has_some else not self.heard_leaders:
            text = f"log_length: {n} has {last} entries and had {length}"
            raise LineRefused(f"{text}, and nothing of its leader's conflicts with them")
        self.of.say(May.DROP_CONFLICTS)
        for index in range(last + 1, length + 1):
            self.forget(index)
        s.put("log_length", n, last)

    def forget(self, index: int) -> None:
        self.s.put("log_term", (self.n, index), 0)
        self.s.put("log_value", (self.n, index), NIL)

    def commits(self) -> None:
        commit = self.committed
        if commit <= self.get("commit_index"):
            return
        if self.is_told(commit):
            self.of.say(May.COMMIT_BY_VOTE)
            self.s.put("commit_index", self.n, commit)
            if self.leads:  # and tells its followers
                self.s.put("leader_commit", self.get("term"), commit)
        elif self.leads:
            self.s.act("advance_commit", self.n, commit, self.majority(lambda v: self.is_known(v, commit)))
        else:
            self.s.act("append_entries", self.n, self.now.term, commit, commit, commit)

    def commit_before(self, length: int) -> None:
        """What a quorum had stored when that was its log: all of it may not be committed yet. What a server
        that is down had committed is not seen."""
        is_down = self.now.role is None
        known, commit = self.get("commit_index"), length if is_down else min(self.committed, length)
        for index in range(commit, known, -1):
            quorum = self.majority(lambda v, index=index: self.is_known(v, index))  # type: ignore[misc]
            is_own = self.s.get("log_term", (self.n, index)) == self.get("term")
            if is_own and all(self.is_known(v, index) for v in quorum):
                self.s.act("advance_commit", self.n, index, quorum)
                return

    def is_told(self, commit: int) -> bool:
        """By a server that knows it to be committed, has the same entry, and does not lead the term: who does
        tells it by AppendEntries."""
        said = self.prompt.said
        if said is None or self.prompt.sender in self.heard_leaders or (said.commit or 0) < commit:
            return False
        return at(said, commit) is not None and at(said, commit) == at(self.now, commit)

    def is_known(self, follower: str, index: int) -> bool:
        """The leader has heard from the follower since it stored that."""
        term = self.get("term")
        known = follower == self.n or self.of.stored.get((self.n, follower, term), 0) >= index
        return known and int(self.s.get("acknowledged", (follower, term))) >= index

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
        super().compare()
        self.same_log()
        if self.now.commit is not None:
            self.agree("commit_index", self.committed)

    def same_log(self) -> None:
        now = self.now
        if now.log is None:
            return
        self.agree("log_length", now.first - 1 + len(now.log))
        start = shared(self.of.last.get(self.n), now)
        for index, (term, value) in enumerate(now.log[start:], now.first + start):
            ours = tuple(self.s.get(f"log_{part}", (self.n, index)) for part in ("term", "value"))
            if term != ours[0] or not (said(value) == ours[1] or self.is_change(index)):
                shown = f"{value!r} of term {term}, and {ours[1]} of term {ours[0]} in the model"
                raise LineRefused(f"log: entry {index} of {self.n} is {shown}")

    def is_change(self, index: int) -> bool:
        """What it says are members, and no value of a client."""
        return False


class LogJudge(ModelJudge):
    """Follows one run of an implementation in the model `replication`."""

    step: ClassVar[type[ModelStep]] = LogStep

    def __init__(self, known: Grounds, may: Collection[May] = ()) -> None:
        super().__init__(known, may)
        self.stored: dict[tuple[str, str, int], int] = {}  # leader, follower, term -> up to where

    def given(self, state: Candidate, node: str, shown: Observed) -> None:
        super().given(state, node, shown)
        if not shown.log:
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

    def remember(self, node: str, now: Observed) -> None:
        """With its log."""
        self.last[node] = now if now.log is not None else self.last.get(node, now)

    def shown(self, now: Observed) -> str:
        return with_log(now)
