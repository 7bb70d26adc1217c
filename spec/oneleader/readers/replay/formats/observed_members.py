"""observed_members: the same as `observed_log` where members change and logs are cut short, by the actions of
`membership` and `snapshots`.

| what is shown                  | actions tried                                                          |
|--------------------------------|------------------------------------------------------------------------|
| an entry that brings members,  | change_config                                                          |
| at a leader; or other members, |                                                                        |
| and one more entry             |                                                                        |
| a later snapshot, of what the  | compact                                                                |
| server knows to be committed   |                                                                        |
| another one, where its log had | install_snapshot, of the leader of its term                            |
| no such entry                  |                                                                        |

A quorum is one of the configuration that the model finds in the log of the leader or candidate. What a server
may have confirmed to the leader of its term, it has: each line begins with that, and so does a change of
members, for whoever joins.
"""

from __future__ import annotations

from oneleader.models.election import FOLLOWER, LEADER
from oneleader.readers.replay.candidates import NotModelled
from oneleader.readers.replay.formats.observed_log import LOG_ACTIONS, ObservedLog
from oneleader.readers.replay.formats.shown import UNSEEN

MEMBER_ACTIONS = LOG_ACTIONS | {"change_config": ("n", "c"), "retire": ("n",)}
SNAPSHOT_ACTIONS = MEMBER_ACTIONS | {
    "compact": ("n", "k"),
    "keep_after_snapshot": ("n", "t", "k"),
    "install_snapshot": ("n", "t", "k"),
}


class ObservedMembers(ObservedLog):
    """One line of a node that may have other members than before."""

    MODELS = (MEMBER_ACTIONS,)
    NOTHING = ObservedLog.NOTHING | {"log_config": 0, "log_since": 0}

    def take(self) -> None:
        self._confirm(self.n)
        super().take()
        members, n = self.line.members, self.n
        if members is not None and members != self.configuration_of(n) and self.may_hide(n, "log_length"):
            raise NotModelled(f"the log of {n} is not shown, so which entry brought it other members is open")

    def configuration_of(self, node: str) -> int:
        return int(self.s.get("log_config", (node, self.get("log_length", node))))

    def _is_as_shown(self, index: int) -> bool:
        brought = self.line.configurations.get(index)
        is_that = brought in (None, self.s.get("log_config", (self.n, index)))
        return is_that and super()._is_as_shown(index)

    def request(self, leader: str, index: int) -> None:
        number = self._brought(leader, index)
        if number is None:
            super().request(leader, index)
        else:
            self._change(leader, number)

    def _brought(self, leader: str, index: int) -> int | None:
        """The configuration that this new entry of a leader brings."""
        number, members = self.line.configurations.get(index), self.line.members
        _, value = self.line.entries.get(index, (UNSEEN, UNSEEN))
        if number is not None or members is None or leader != self.n or value is not UNSEEN:
            return number
        if members == self.configuration_of(leader):
            return None
        if self.last > self.get("log_length", leader) + 1:
            raise NotModelled(f"which of the new entries brought {leader} other members is not shown")
        return members

    def _change(self, leader: str, number: int) -> None:
        """Dissertation 4.1. Whoever joins has confirmed what it has, and what may be committed before is."""
        for node in self.seen.nodes:
            self._confirm(node)
        commit = self.line.get("commit_index")
        if self.may_hide(leader, "commit_index"):
            self._commit_all(leader)
        elif commit is not UNSEEN and leader == self.n:
            self.advance_before(leader, commit)
        self.act("change_config", leader, number)

    def _commit_all(self, leader: str) -> None:
        """What a quorum has confirmed to a leader that never shows its commit index is committed."""
        term = self.get("term", leader)
        for index in sorted({self.s.get("acknowledged", (v, term)) for v in self.seen.nodes}):
            self.advance_before(leader, index)

    def _confirm(self, node: str) -> None:
        """A follower has told the leader of its term how much of that one's log it has."""
        s, term = self.s, self.get("term", node)
        if self.get("role", node) != FOLLOWER or self._leader_of(term) in (None, node):
            return
        most = min(self.get("log_length", node), s.get("leader_log_length", term))
        if s.get("acknowledged", (node, term)) < most:
            agreed = self._agrees_up_to(node, term, most)
            if agreed > max(s.get("acknowledged", (node, term)), self._sent_after(term) - 1):
                self.act("append_entries", node, term, agreed, agreed, 0)

    def _sent_after(self, term: int) -> int:
        """The leader of the term had entries to send from behind this index on."""
        return 0


class ObservedSnapshots(ObservedMembers):
    """One line of a node whose log may have lost its beginning."""

    MODELS = (SNAPSHOT_ACTIONS,)
    NOTHING = ObservedMembers.NOTHING | {"whole_term": 0}

    def entries(self) -> None:
        self._install()
        super().entries()

    def commits(self) -> None:
        super().commits()
        shown = self.line.get("snapshot_index")
        if shown is not UNSEEN and shown > self.get("snapshot_index", self.n):
            self._compact(shown)

    def _install(self) -> None:
        """Section 7, InstallSnapshot 7: of a log that lacks the snapshot's last entry."""
        n, k, term = self.n, self.line.get("snapshot_index"), self.get("term", self.n)
        if k is UNSEEN or k <= self.get("commit_index", n) or self.get("role", n) == LEADER:
            return
        if k <= self.get("log_length", n) and self._is_leaders(n, term, k):
            return
        with self._told_by_leader(k):
            self.act("install_snapshot", n, term, k)

    def _compact(self, k: int) -> None:
        """Section 7: of what is committed, which a server that never shows it may have learned."""
        n = self.n
        if k > self.get("commit_index", n) and self.may_hide(n, "commit_index"):
            if self.get("role", n) == LEADER:
                self._hidden_commit(n, self.get("term", n), k)
            else:
                self._learn(k)
        self.act("compact", n, k)

    def _sent_after(self, term: int) -> int:
        return int(self.s.get("leader_snapshot", term))
