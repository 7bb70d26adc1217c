"""observed_log: the same as `observed` for logs and commit indices, by the actions of `replication`.

| what is shown                 | actions tried                                                           |
|-------------------------------|-------------------------------------------------------------------------|
| more entries, at a leader     | client_request for each                                                 |
| other or more entries,        | append_entries, or replace_entries where they conflict; before it       |
| elsewhere                     | step_down, of a candidate                                               |
| fewer entries, elsewhere      | none: they go where the next one conflicts with the leader's, and what  |
|                               | comes in their place is shown later. Refused otherwise                  |
| a greater commit index        | advance_commit at a leader, by a quorum that stores so much;            |
|                               | append_entries elsewhere, of nothing, after that index                  |
| `restarts`, and a commit      | restart, and what is shown of the commit index before stays: some       |
| index                         | implementations store it                                                |

Hidden steps: a leader that shows no log has appended what its followers show, one that shows no commit index
has committed what they know, and servers that show no log have stored what a leader commits. Where that does
not explain a line and a hidden log could, the line is inconclusive.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from oneleader.language.sorts import NIL
from oneleader.models.election import CANDIDATE, LEADER
from oneleader.readers.replay.candidates import LineRefused, NotModelled
from oneleader.readers.replay.formats.observed import ACTIONS, BY_A_QUORUM, ObservedElection, Parameters
from oneleader.readers.replay.formats.shown import ENTRY, UNSEEN

LOG_ACTIONS: dict[str, Parameters] = (
    ACTIONS
    | BY_A_QUORUM
    | {
        "give_up": ("n",),
        "client_request": ("n", "value"),
        "append_entries": ("n", "t", "prev", "last", "commit"),
        "replace_entries": ("n", "t", "prev", "last", "commit"),
        "advance_commit": ("n", "i", "q"),
    }
)


class ObservedLog(ObservedElection):
    """One line of a node that shows its log."""

    MODELS = (LOG_ACTIONS,)
    NOTHING: dict[str, Any] = {"log_term": 0, "log_value": NIL}  # what is where no entry is

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        self.leaders: dict[int, str] = {}  # of terms, as found for this line

    def take(self) -> None:
        if self.line.restarts:
            self.restart()
        if self.seen.hides(self.n, "log_length") and self.get("role", self.n) != LEADER:
            self._catch_up()
        if self.get("role", self.n) == LEADER and self._stops_leading():
            self._last_deeds()
        self.terms()
        self.vote()
        self.roles()
        self.entries()
        self.commits()

    @contextmanager
    def _as_known(self, *nodes: str) -> Iterator[None]:
        """Refused as far as the logs of the nodes are known: where one is not, the line is inconclusive."""
        try:
            yield
        except LineRefused as refused:
            if hiding := [node for node in nodes if self.may_hide(node, "log_length")]:
                why = f"the log of {hiding[-1]} is not shown, so whether this may be is open: {refused.text}"
                raise NotModelled(why) from None
            raise

    def grant(self, voter: str, candidate: str, term: int) -> None:
        with self._as_known(candidate):
            super().grant(voter, candidate, term)

    def restart(self) -> None:
        """The commit index is volatile; what is shown of it was stored."""
        before, shown = self.get("commit_index", self.n), self.line.get("commit_index")
        super().restart()
        if shown is not UNSEEN and shown <= before:
            self.s.put("commit_index", self.n, shown)

    # -- the end of a leader -----------------------------------------------------------------------------
    def _stops_leading(self) -> bool:
        role, term = self.line.get("role"), self.line.get("term")
        return role not in (UNSEEN, LEADER) or term not in (UNSEEN, self.get("term", self.n))

    def _last_deeds(self) -> None:
        """What it appended and committed before, in the same line."""
        n, term, commit = self.n, self.get("term", self.n), self.line.get("commit_index")
        for index in range(self.get("log_length", n) + 1, self.last + 1):
            if self.line.entries.get(index, (UNSEEN,))[0] != term:
                break
            self.request(n, index)
        if commit is not UNSEEN:
            self.advance_before(n, commit)

    def advance_before(self, leader: str, commit: int) -> None:
        """Commit what may be, up to this index, before something else: what is left is seen to later."""
        index = min(commit, self.get("log_length", leader))
        if index > self.get("commit_index", leader):
            with suppress(LineRefused):
                self.advance(leader, index)

    # -- entries ---------------------------------------------------------------------------------------
    @property
    def last(self) -> int:
        """The last index that is shown; what the node has, if the line says nothing of its log."""
        shown = self.line.get("log_length")
        if shown is not UNSEEN:
            return int(shown)
        return max([int(self.get("log_length", self.n)), *self.line.entries])

    def _is_as_shown(self, index: int) -> bool:
        """The entry is the one that the line shows there, as far as it does."""
        term, value = self.line.entries.get(index, (UNSEEN, UNSEEN))
        ours = self.s.get("log_term", (self.n, index)), self.s.get("log_value", (self.n, index))
        return bool(term in (UNSEEN, ours[0]) and value in (UNSEEN, ours[1]))

    def _agreed(self) -> int:
        """Up to where the log is what the line shows."""
        index = most = min(self.get("log_length", self.n), self.last)
        wrong = [i for i in self.line.entries if i <= most and not self._is_as_shown(i)]
        return min(wrong) - 1 if wrong else index

    def _catch_up(self) -> None:
        """It shows its log for the first time: what the leader of its term has sent it before."""
        entries = self.line.entries
        term = self.get("term", self.n)
        is_older = entries and entries[max(entries)][0] in range(1, term + 1)
        if is_older and self._leader_of(term) not in (None, self.n) and self.line.get("term") != term:
            self._store(term)

    def entries(self) -> None:
        n, length, last = self.n, self.get("log_length", self.n), self.last
        if last > length and self._has_won_unseen(last):
            self.win(n)
        if self.get("role", n) == LEADER:
            for index in range(length + 1, last + 1):
                self.request(n, index)
        elif last < length and self._agreed() == last:
            self._drop(last)
        elif last > self._agreed():
            self._store(self.get("term", n))

    def _has_won_unseen(self, last: int) -> bool:
        """It shows no role, and a last entry of a term in which it stood and which nobody else leads."""
        n, term = self.n, self.get("term", self.n)
        stands = self.get("role", n) == CANDIDATE and self.may_hide(n, "role")
        is_own = self.line.entries.get(last, (UNSEEN,))[0] == term
        return stands and is_own and self._leader_of(term) is None

    def request(self, leader: str, index: int) -> None:
        """A leader appends the entry that the line shows there."""
        self.act("client_request", leader, self._value(index))

    def _value(self, index: int) -> str:
        if index not in self.line.entries:
            raise NotModelled(f"the log of {self.n} grew to more than is shown: entry {index} is not")
        value = self.line.entries[index][1]
        return ENTRY if value is UNSEEN else value

    def _store(self, term: int) -> None:
        """Figure 2, AppendEntries receiver 3 and 4."""
        n, last = self.n, self.last
        if self.get("role", n) == CANDIDATE and self._leader_of(term) is not None:
            self.follow(n)
        with self._as_known(n, self._leader_of(term) or n):
            self._hidden_requests(term)
            agreed, length = self._agreed(), self.get("log_length", n)
            clash = any(not self._is_leaders(n, term, i) for i in range(agreed + 1, min(last, length) + 1))
            how = "replace_entries" if clash else "append_entries"
            self.act(how, n, term, agreed, last, self._commit_sent(term))

    def _commit_sent(self, term: int) -> int:
        """The commit index that comes with entries: the one shown, if the leader is known to have sent it."""
        commit = self.line.get("commit_index")
        was_sent = commit is not UNSEEN and commit <= min(self.last, self.s.get("leader_commit", term))
        return commit if was_sent else 0

    def _is_leaders(self, node: str, term: int, index: int) -> bool:
        return bool(self.s.get("log_term", (node, index)) == self.s.get("leader_log_term", (term, index)))

    def _leader_of(self, term: int) -> str | None:
        found = self.leaders.get(term)
        if found is None:
            found = next((v for v in self.seen.nodes if self.s.get("heartbeat", (v, term))), None)
            self.leaders |= {term: found} if found else {}
        return found

    def _hidden_requests(self, term: int) -> None:
        """The leader has appended what this node shows, if it shows no log itself."""
        leader = self._leader_of(term) or self._hidden_leader(term)
        if leader is None or not self.may_hide(leader, "log_length") or self.get("term", leader) != term:
            return
        for index in range(self.get("log_length", leader) + 1, self.last + 1):
            if self.line.entries.get(index, (UNSEEN,))[0] in (UNSEEN, term):
                self.request(leader, index)

    def _hidden_leader(self, term: int) -> str | None:
        """A helper that does not show its role was elected."""
        for node in sorted(self.helpers):
            if self.may_hide(node, "role") and (
                self.may_hide(node, "term") or self.get("term", node) == term
            ):
                if self.get("term", node) < term:
                    self.stand(node, term)
                if self.get("role", node) == CANDIDATE and self.get("term", node) == term:
                    self.win(node)
                    return node
        return None

    def _drop(self, last: int) -> None:
        """Correct where the leader of its term has another entry there."""
        s, n, term = self.s, self.n, self.get("term", self.n)
        length, theirs = self.get("log_length", n), self.s.get("leader_log_length", term)
        if last + 1 > theirs or self._is_leaders(n, term, last + 1):
            raise LineRefused(
                f"{n} shows {last} entries and had {length}, and none of its leader's conflicts with the rest"
            )
        for index in range(last + 1, length + 1):
            for name, nothing in self.NOTHING.items():
                s.put(name, (n, index), nothing)
        s.put("log_length", n, last)

    # -- what is committed -----------------------------------------------------------------------------
    def commits(self) -> None:
        n, commit = self.n, self.line.get("commit_index")
        if commit is UNSEEN or commit == self.get("commit_index", n):
            return
        if commit < self.get("commit_index", n):
            raise LineRefused(
                f"the commit index of {n} goes back from {self.get('commit_index', n)} to {commit}: "
                'where it has started again, its line says "restarts": true'
            )
        if self.get("role", n) == LEADER:
            self.advance(n, commit)
        else:
            self._learn(commit)

    def _learn(self, commit: int) -> None:
        """Figure 2, AppendEntries receiver 5."""
        n, term = self.n, self.get("term", self.n)
        with self._told_by_leader(commit):
            self._hidden_store(n, term, commit)
            self.act("append_entries", n, term, commit, commit, commit)

    @contextmanager
    def _told_by_leader(self, commit: int) -> Iterator[None]:
        """A follower hears from the leader of its term, which has committed so much."""
        n, term = self.n, self.get("term", self.n)
        if self.get("role", n) == CANDIDATE and self._leader_of(term) is not None:
            self.follow(n)
        leader = self._leader_of(term) or self._hidden_leader(term)
        with self._as_known(leader or n, n):
            if leader and self.may_hide(leader, "commit_index"):
                self._hidden_commit(leader, term, commit)
            yield

    def _hidden_commit(self, leader: str, term: int, commit: int) -> None:
        """The leader of the term has committed so much."""
        if self.s.get("leader_commit", term) >= commit:
            return
        if (self.get("role", leader), self.get("term", leader)) != (LEADER, term):
            raise NotModelled(f"{leader} led term {term} and has not shown what it has committed in it")
        self._hidden_entries(leader, commit)
        length = self.get("log_length", leader)
        own = (i for i in range(commit, length + 1) if self.s.get("log_term", (leader, i)) == term)
        self.advance(leader, next(own, commit))

    def advance(self, leader: str, index: int) -> None:
        """Figure 2, Leaders 4."""
        term = self.get("term", leader)
        self._hidden_entries(leader, index)
        for node in sorted(self.helpers - {leader}):
            self._hidden_store(node, term, index)
        storing = {v for v in self.seen.nodes if self.s.get("acknowledged", (v, term)) >= index}
        self.act("advance_commit", leader, index, self.enough(storing, leader))

    def _hidden_entries(self, leader: str, last: int) -> None:
        """A leader that shows no log has appended what is committed."""
        while self.may_hide(leader, "log_length") and self.get("log_length", leader) < last:
            self.act("client_request", leader, ENTRY)

    def _hidden_store(self, node: str, term: int, index: int) -> None:
        """A helper that shows no log has stored the leader's."""
        s = self.s
        if not self.may_hide(node, "log_length") or s.get("acknowledged", (node, term)) >= index:
            return
        if self.get("term", node) < term and self.may_hide(node, "term"):
            self.update_term(node, term)
        if self.get("role", node) == CANDIDATE:
            self.follow(node)
        length = min(self.get("log_length", node), index)
        agreed = self._agrees_up_to(node, term, length)
        self.act("append_entries" if agreed == length else "replace_entries", node, term, agreed, index, 0)

    def _agrees_up_to(self, node: str, term: int, index: int) -> int:
        """The last index up to this one at which the log is the leader's, and so before it too."""
        while index > 0 and not self._is_leaders(node, term, index):
            index -= 1
        return index
