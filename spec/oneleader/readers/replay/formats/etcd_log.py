"""etcd, its logs: the same lines, judged by the model `replication`.

Beside what `etcd` infers, and in its words:

| event                        | actions tried                          | beside term, vote and role        |
|------------------------------|----------------------------------------|-----------------------------------|
| any of a leader              | client_request for each entry more     | the last index                    |
|                              | advance_commit, by a majority whose    | the commit index                  |
|                              | replies it has received                |                                   |
| ReceiveAppendEntriesRequest, | append_entries or replace_entries; none| it was sent with these contents   |
| then BecomeFollower if the   | where the prefix does not match or the |                                   |
| node was none in its term    | message is of an older term            |                                   |
| SendAppendEntriesRequest     | none                                   | the leader's entry before, as many|
|                              |                                        | entries, its commit index or less |
| either, with MsgSnap         | append_entries or replace_entries      | its last entry is committed       |
| SendAppendEntriesResponse    | none                                   | so much is stored; it rejects only|
|                              |                                        | what does not match               |
| SendRequestVoteRequest       | none                                   | the candidate's last index, term  |

The last index and the commit index on every line are those of the model. What an entry says is not in the
recording: every entry has the same value, so entries are told apart by index and term, as Raft does.

What is inferred, and no more
- Bootstrap: a node's first entries, of term 1, are there and committed from the start on every node that
  has them, as if a leader of term 1 had sent them. The first node to have them says how many; every other
  one has as many, on its first lines, or none; who stands for election has them.
- Etcd stores its commit index and has it back after a restart, and keeps it when a candidate or leader
  gives up. In the model it is volatile: `restart`, and then the index is put back.
- A heartbeat that tells a commit index is an AppendEntries without entries, after that index.
- A node answers entries before its commit index with that index, and stores none: likewise.
- A snapshot stands for the leader's entries up to its last: it is judged as AppendEntries of all of them
  after the node's commit index. That leaves the same log, for the node lacks the last one or one differs.
  Whether it took the snapshot its next line shows: etcd takes none that does not name it as a member.

Pre-vote is left aside: its lines are counted, and what they change of a candidate is a `restart`. A
pre-candidate is a follower here, and counted: etcd's own logger does not show how it became one.
"""

from __future__ import annotations

from typing import Any

from oneleader.language.model import Model
from oneleader.models.election import CANDIDATE, FOLLOWER, LEADER
from oneleader.readers.replay.candidates import Candidate, LineRefused
from oneleader.readers.replay.formats.etcd import (
    ACTIONS,
    BOOTSTRAP,
    WHILE_STARTING,
    Elections,
    EtcdFormat,
    agree,
)
from oneleader.readers.replay.formats.etcd_conf import EtcdConfigurations
from oneleader.readers.replay.formats.etcd_lines import (
    HEARTBEATS,
    VOTE_REQUESTS,
    EtcdLine,
    EtcdLog,
    EtcdMessage,
    number,
    read,
)
from oneleader.readers.replay.formats.etcd_pre_vote import PRE_REPLY, PRE_REQUEST, WORDS

ENTRY = "entry"
MOST_REMEMBERED = 1 << 16  # messages whose contents are compared when they arrive
NOT_OF_LOGS = {
    "StatePreCandidate": "the role, here a follower's,",
    "BecomePreCandidate": "the pre-vote",
    "SendPreVoteRequest": "the pre-vote",
    "ReceivePreVoteRequest": "the pre-vote",
    "SendPreVoteResponse": "the pre-vote",
    "ReceivePreVoteResponse": "the pre-vote",
}


def _log(event: dict[str, Any], has_message: bool) -> EtcdLog:
    """What an event says of logs."""
    m = event["msg"] if has_message else {}
    said = [number(m, name) for name in ("index", "logTerm", "entries", "commit", "rejectHint") if m]
    return EtcdLog(number(event, "log"), number(event["state"], "commit"), *said)


class LogFormat(EtcdFormat):
    """Judges one recording with its logs, line by line."""

    actions = (*ACTIONS, "client_request", "append_entries", "replace_entries", "advance_commit")
    speaks_of = "replication"
    compared = (*EtcdFormat.compared, "log_length", "commit_index")
    looks_at = EtcdFormat.looks_at | {"index", "logTerm", "entries", "rejectHint"}
    left_aside = NOT_OF_LOGS

    @staticmethod
    def speaks(model: Model) -> bool:
        return "append_entries" in model.actions

    def read(self, record: dict[str, Any]) -> EtcdLine:
        return read(record, WORDS, _log)

    def __init__(self, model: Model, limit: int) -> None:
        super().__init__(model, limit)
        self.contents = Contents()
        self.configurations = EtcdConfigurations(self._has_entry)

    def _has_entry(self, node: str, index: int, term: int) -> bool:
        """Whether it may: in one of the states that the recording allows."""
        return any(
            index <= s.get("log_length", node) and s.get("log_term", (node, index)) == term
            for s in self.candidates.states
        )

    def _cover(self, record: dict[str, Any], line: EtcdLine) -> None:
        super()._cover(record, line)
        self.not_modelled["StatePreCandidate"] += line.asking

    def explanation(self, s: Candidate, line: EtcdLine) -> Elections:
        return RecordedLogs(s, line, self.contents)


class Contents:
    """What the messages carried that were sent last: so many, however long the recording is."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self.most, self.has_forgotten = most, False
        self.sent: dict[tuple[EtcdMessage, tuple[int, ...]], None] = {}

    def note(self, m: EtcdMessage, log: tuple[int, ...]) -> None:
        self.sent.pop((m, log), None)
        self.sent[m, log] = None
        if len(self.sent) > self.most:
            del self.sent[next(iter(self.sent))]
            self.has_forgotten = True

    def may_be(self, m: EtcdMessage, log: tuple[int, ...]) -> bool:
        """Whether it was sent so, or may have been: the guards of the model are all that judges it then."""
        return (m, log) in self.sent or self.has_forgotten


class RecordedLogs(Elections):
    """One line from one candidate state, by the actions of `replication`.

    Notes more: match[n, v], up to where v has told leader n, in the leader's term, that it stores its log;
    due[n], AppendEntries that n has received and not dealt with, for it was no follower in that term;
    offered[n], term and last entry of the snapshot that n has received last, until its next line;
    shown[m], that lines show pre-votes; asked[n], that n was a pre-candidate while none had shown any.
    """

    def __init__(self, s: Candidate, line: EtcdLine, contents: Contents) -> None:
        super().__init__(s, line)
        self.contents = contents

    @property
    def log(self) -> EtcdLog:
        assert self.line.log is not None, "LogFormat.read saw to it"
        return self.line.log

    @property
    def length(self) -> int:
        return int(self.s.get("log_length", self.n))

    @property
    def commit(self) -> int:
        return int(self.s.get("commit_index", self.n))

    def storable(self) -> Any:
        length = self.length
        return (*super().storable(), length, self.s.get("log_term", (self.n, length)), self.commit)

    def compare(self, vote_may_lag: bool = False) -> None:
        super().compare(vote_may_lag)
        if self.line.role == LEADER:
            self._lead()
        if self.s.get("fresh", self.n):
            self._start_to_show()
        is_first = self.line.event == "InitState" and self.s.get("fresh", self.n)  # nothing is there yet
        if not is_first:
            self._bootstrap()
            agree(f"log_length[{self.n}]", self.log.length, self.length)
            if self.commit > self.length:
                raise LineRefused(f"{self.n} has committed {self.commit} entries and stores {self.length}")
        if not self.s.get("fresh", self.n):  # whose first entries may show after its commit index
            agree(f"commit_index[{self.n}]", self.log.commit, self.commit)

    def _start_to_show(self) -> None:
        """What a node starts with may show little by little, and nothing of it is lost meanwhile."""
        shown = self.log.length, self.log.commit
        before = self.s.get("starts_with", self.n) or shown
        for what, was, now in zip(("log", "commit index"), before, shown, strict=True):
            if now < was:
                raise LineRefused(f"the {what} of {self.n} goes back from {was} to {now} while it starts")
        self.s.put("starts_with", self.n, shown)

    def compare_loading(self) -> None:
        agree(f"log_length[{self.n}]", self.log.length, self.length)

    def _bootstrap(self) -> None:
        """Entries of term 1, on a node that has only just started: as many as the cluster started with."""
        s, n, length = self.s, self.n, self.log.length
        is_fresh = s.get("fresh", n)
        if self.line.event not in WHILE_STARTING:
            s.put("fresh", n, None)
        if not (is_fresh and length > self.length == 0):
            return
        s.put("fresh", n, None)
        if length != (s.get("started_with") or length):
            raise LineRefused(
                f"{n} starts with {length} entries, and the cluster started with {s.get('started_with')}"
            )
        s.put("started_with", (), length)
        s.start("heartbeat", (BOOTSTRAP, 1), True)
        for i in range(1, length + 1):
            s.start("log_term", (n, i), 1)
            s.start("leader_log_term", (1, i), 1)
        s.start("log_length", n, length)
        s.start("commit_index", n, self.log.commit)
        s.start("acknowledged", (n, 1), length)
        s.start("leader_log_length", 1, length)
        s.start("leader_commit", 1, max(self.log.commit, s.get("leader_commit", 1)))

    def _lead(self) -> None:
        """Figure 2, Leaders 2 and 4: it appends, and commits what a majority has told it to store."""
        while self.log.length > self.length:
            self.s.act("client_request", self.n, ENTRY)
        if self.log.commit > self.commit:
            self.s.act("advance_commit", self.n, self.log.commit, self._storing(self.log.commit))

    def _storing(self, i: int) -> frozenset[str]:
        """A majority of each configuration, of those that are known to store the leader's log up to i."""
        quorum: set[str] = set()
        for voters in self.line.conf:
            storing = [v for v in voters if v == self.n or (self.s.get("match", (self.n, v)) or 0) >= i]
            if voters and len(storing) < len(voters) // 2 + 1:
                raise LineRefused(f"{self.n} commits {i}, and no majority has told it to store that")
            quorum.update(storing)
        return frozenset(quorum)

    # -- starting and stopping -------------------------------------------------------------------
    def init_state(self) -> None:
        s, n = self.s, self.n
        s.put("starts_with", n, None)
        if s.get("stored", n) is None:
            s.put("fresh", n, True)
        super().init_state()

    def restart(self) -> None:
        """Etcd has its commit index back."""
        commit = self.commit
        super().restart()
        self.s.put("commit_index", self.n, commit)
        self._forget()

    def _forget(self) -> None:
        self.s.put("due", self.n, None)

    def become(self) -> None:
        if self.line.asking and self.s.get("role", self.n) == CANDIDATE:
            self.give_up()
        self._note_pre_votes()
        if self.line.event == "BecomePreCandidate":
            return
        super().become()
        if self.line.event == "BecomeLeader":
            for v in {v for half in self.line.conf for v in half}:
                self.s.put("match", (self.n, v), None)

    def _note_pre_votes(self) -> None:
        if self.line.event == "BecomePreCandidate":
            self.s.put("shown", PRE_REQUEST, True)
        elif self.line.asking and not self.s.get("shown", PRE_REQUEST):
            self.s.put("asked", self.n, True)

    def caused_by_term(self, heard: EtcdMessage | None) -> None:
        """Or by one that rejected its pre-vote, of which etcd's own logger writes nothing."""
        if not self.s.get("asked", self.n):
            super().caused_by_term(heard)

    def become_candidate(self) -> None:
        started_with = self.s.get("started_with") or 0
        if self.length < started_with:
            raise LineRefused(
                f"{self.n} stands with {self.length} entries, and the cluster started with {started_with}"
            )
        super().become_candidate()

    def resign(self) -> None:
        self.give_up()

    # -- messages --------------------------------------------------------------------------------
    def take(self) -> None:
        self._restore()
        super().take()
        if self.line.event == "BecomeFollower":
            due = self.s.get("due", self.n)
            if due is not None:
                self._deal_with(*due)

    def may_send(self, m: EtcdMessage) -> None:
        s, n, log = self.s, self.n, self.log
        if m.type in (PRE_REQUEST, PRE_REPLY):
            return
        super().may_send(m)
        if m.type in VOTE_REQUESTS:
            agree("the last index that it tells", log.prev, s.get("last_log_index", (n, m.term)))
            agree("the last term that it tells", log.prev_term, s.get("last_log_term", (n, m.term)))
        elif m.type == "MsgApp":
            agree("the term before the entries", log.prev_term, s.get("leader_log_term", (m.term, log.prev)))
            if log.prev + log.entries > self.length:
                raise LineRefused(f"{n} sends entries up to {log.prev + log.entries} and has {self.length}")
            self._may_tell(log.up_to)
        elif m.type == "MsgHeartbeat":
            self._may_tell(log.up_to)
        elif m.type == "MsgSnap":
            self._may_send_snapshot(last_included(log))
        elif m.type == "MsgAppResp" and s.get("heartbeat", (m.to, m.term)) and n != m.to:
            self._may_answer(m)

    def _may_tell(self, commit: int) -> None:
        if commit > self.commit:
            raise LineRefused(f"{self.n} tells the commit index {commit} and has {self.commit}")

    def _may_send_snapshot(self, last: int) -> None:
        """Section 7: a snapshot stands for what is committed."""
        if last > self.commit:
            raise LineRefused(
                f"{self.n} sends a snapshot up to {last} and has committed {self.commit} (section 7)"
            )

    def _may_answer(self, m: EtcdMessage) -> None:
        """Figure 2, AppendEntries results: what it confirms is stored, what it rejects does not match."""
        s, n, i = self.s, self.n, self.log.prev
        if not m.rejects and s.get("acknowledged", (n, m.term)) < i:
            raise LineRefused(f"{n} confirms entries up to {i} and has not stored them for term {m.term}")
        if m.rejects and self._matches(m.term, i):
            raise LineRefused(f"{n} rejects entries after {i}, where its log is the leader's")

    def _matches(self, t: int, prev: int) -> bool:
        same = self.s.get("log_term", (self.n, prev)) == self.s.get("leader_log_term", (t, prev))
        return prev <= self.length and bool(same)

    def send(self, m: EtcdMessage) -> None:
        super().send(m)
        self.contents.note(m, self.log[2:])

    def receive(self, m: EtcdMessage) -> None:
        super().receive(m)
        s, n, log = self.s, self.n, self.log
        if not self.contents.may_be(m, log[2:]):
            raise LineRefused(f"nobody has sent {m} with these contents")
        if m.type in HEARTBEATS and m.term >= s.get("term", n):
            self._forget()
            if m.term == s.get("term", n) and s.get("role", n) == FOLLOWER:
                self._deal_with(m, log)
            else:
                s.put("due", n, (m, log))
        elif m.type == "MsgAppResp" and not m.rejects and m.term == self.line.term:
            s.put("match", (n, m.sender), max(log.prev, s.get("match", (n, m.sender)) or 0))

    def _deal_with(self, m: EtcdMessage, log: EtcdLog) -> None:
        """Figure 2, AppendEntries receiver, as far as the node takes part."""
        s, n, t = self.s, self.n, m.term
        self._forget()
        if m.type == "MsgSnap":
            s.put("offered", n, (t, last_included(log)))
        elif m.type == "MsgHeartbeat":
            if log.up_to > self.commit:
                s.act("append_entries", n, t, log.up_to, log.up_to, log.up_to)
        elif log.prev < self.commit:
            s.act("append_entries", n, t, self.commit, self.commit, 0)
        elif self._matches(t, log.prev):
            self._store(t, log.prev, log.prev + log.entries, log.up_to)

    def _restore(self) -> None:
        """A snapshot received just before was taken if its last entry is committed now; else the node has no
        more than before, and says so."""
        offered = self.s.get("offered", self.n)
        self.s.put("offered", self.n, None)
        if offered is None or self.line.event == "InitState":
            return
        term, last = offered
        if self.commit < last <= self.log.commit:
            self._store(term, self.commit, last, last)
        else:
            self.s.act("append_entries", self.n, term, self.commit, self.commit, 0)

    def _store(self, t: int, prev: int, last: int, commit: int) -> None:
        """Figure 2, AppendEntries receiver 3 to 5."""
        s, n = self.s, self.n
        new = range(prev + 1, min(last, self.length) + 1)
        conflict = any(s.get("log_term", (n, i)) != s.get("leader_log_term", (t, i)) for i in new)
        s.act("replace_entries" if conflict else "append_entries", n, t, prev, last, commit)


def last_included(log: EtcdLog) -> int:
    """Of a snapshot: etcd's logger writes it where the number of entries stands, and no index."""
    return log.prev or log.entries
