"""etcd: the lines of etcd-io/raft's trace logger (`state_trace.go`), judged by the election model.

One event of one node a line: `name`, `nid`, `state` (term, vote), `role`, `conf` and, for messages, `msg`.
The term, vote and role on *every* line must be those of the model; a step is taken where the table says.

| event                       | actions tried                            | beside term, vote and role       |
|-----------------------------|------------------------------------------|----------------------------------|
| InitState, a node's first   | none: it states where the node starts    | term 0 or 1, no vote             |
| InitState, later            | restart                                  | term and vote are those stored,  |
|                             |                                          | or 0 and none: see Loading       |
| BecomeCandidate             | start_election                           |                                  |
| BecomeLeader                | become_leader, by a majority             |                                  |
|                             | of each half of conf                     |                                  |
| BecomeFollower, newer term  | update_term; grant_vote if a vote shows  | a message of that term came last |
| BecomeFollower, same term   | step_down of a candidate                 | a leader's message came last     |
|                             | restart of a candidate that gives up     | it cannot win any more           |
| SendRequestVoteRequest      | none                                     | it is a candidate in this term   |
| SendRequestVoteResponse     | grant_vote if not done yet, reply_vote   | to grant it, its request came    |
|                             | rejecting: none                          |                                  |
| ReceiveRequestVoteResponse  | receive_vote of a candidate, in its term | the reply was sent               |
|                             | rejecting or late: none                  | the reply was sent               |
| SendAppendEntriesRequest    | none                                     | it leads this term               |
| SendAppendEntriesResponse   | none                                     |                                  |
| other Receive...            | none                                     | the message was sent             |
| Ready                       | none: term and vote are stored           |                                  |
| Commit, Replicate,          | none                                     |                                  |
| ChangeConf, ApplyConfChange |                                          |                                  |

A message sent comes from the line's node and carries its term; a message received goes to it. Only replies
reject, and nobody asks or rejects itself.

What is inferred, and no more
- A step that a message causes shows after it, before another message and by the next `Ready`.
- A vote that first shows in `state` there, after its request, was granted there: grant_vote.
- Lag: on the line of the very reply that grants it, a vote may still be missing from `state`. Etcd's own
  logger writes that line first and `Ready` next. Nowhere else may anything lag.
- Storage: `Ready` stores term and vote, and lets go the messages written before it; one that needs no
  storing leaves at once. A node that crashes between a step and its `Ready` may have kept the step or
  lost it with everything since its last `Ready`. Both are followed, so candidate states double with each
  node that is between the two. At `InitState` what stands must be one or the other, never a mixture.
- Loading: etcd's own logger, as of v3.6 and v3.7, writes the `InitState` of a restart before it has read back
  what is stored. Term and vote are 0 there, and the commit index that of the last snapshot, up to the
  `BecomeFollower` that shows them.
- Bootstrap: a node that has only just started may go from term 0 to term 1, for no candidate's sake.
- Giving up: etcd's candidate becomes a follower, in its term, once so many have rejected it that no quorum
  is left. The model has no action of that name; what it loses, role and votes, is what `restart` loses.

Not modelled, so that nothing after it can be judged: pre-vote, a leader that steps down in its own term
(check-quorum), for both of which see `etcd_pre_vote`, and a node that starts with a past. Log entries and
commits (for which see `etcd_log`) and configuration changes are counted and left aside, see `LEFT_ASIDE`;
the voters are those that the leader's own line states.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from oneleader.errors import UsageError
from oneleader.language.model import Model
from oneleader.language.sorts import NIL
from oneleader.models.election import CANDIDATE, LEADER, Node
from oneleader.readers.replay.candidates import Candidate, Candidates, LineRefused, NotModelled, show
from oneleader.readers.replay.compiled import CompiledRun
from oneleader.readers.replay.coverage import ReplayCoverage
from oneleader.readers.replay.formats.etcd_conf import EtcdConfigurations
from oneleader.readers.replay.formats.etcd_lines import (
    HEARTBEATS,
    LEFT_ASIDE,
    VOTE_REPLIES,
    VOTE_REQUESTS,
    EtcdLine,
    EtcdMessage,
    read,
)
from oneleader.readers.replay.properties import Properties

WHILE_STARTING = {"InitState", "ApplyConfChange", "BecomeFollower", "Bootstrap"}
BOOTSTRAP = "bootstrap"  # who asked for term 1, and led it, before the recording begins
PARTS = ("state", "msg", "prop")
EVENT = {"name", "nid", "state", "role", "conf", "msg", "prop", "log"}
ACTIONS = (
    *("start_election", "grant_vote", "reply_vote", "receive_vote", "become_leader"),
    *("update_term", "step_down", "restart"),
)


class RecordedVoters:
    """The constant `member`: here a quorum is the set of its members."""

    def __contains__(self, index: Any) -> bool:
        voter, quorum = index
        return voter in quorum


class EtcdFormat:
    """Judges one recording, line by line.

    Notes beside the model's state, for each candidate:
    stored[n]   the term and vote that n stored last; None before it starts
    starting[n] n has started and done nothing yet
    loading[n]  n has started again, and no line has shown yet what it had stored
    last[n]     the message that n received last, since its last Ready
    message[m]  "queued" until its sender stores its state, then "sent", then "received"
    queue[n]    the messages of n that are queued
    lost[n]     in this candidate n crashed after its last Ready: what it wrote since is lost
    """

    name = "etcd"
    left_aside = LEFT_ASIDE

    actions: tuple[str, ...] = ACTIONS
    speaks_of = "election"
    compared: tuple[str, ...] = ("term", "voted_for", "role")  # fields of the model, on every line
    looks_at: frozenset[str] = frozenset({"term", "vote", "commit", "type", "from", "to", "reject", "cc"})

    def __init__(self, model: Model, limit: int) -> None:
        missing = [a for a in self.actions if a not in model.actions]
        if missing:
            raise UsageError(
                f"a recording of etcd needs the model {self.speaks_of}: {model.name} has no {missing[0]}"
            )
        self.model = model
        run = CompiledRun(model, {"member": RecordedVoters()})
        self.properties = Properties(run, "member")  # quorums change: each step is judged by its own
        self.candidates = Candidates(run, limit, self.properties.check)
        self.nodes = run.elements.setdefault(Node, {})
        self.shapes: set[tuple[str, ...]] = set()  # the keys of lines, which are looked at once
        self.configurations = EtcdConfigurations()
        self.coverage = ReplayCoverage()
        self.not_modelled: Counter[str] = Counter()
        self.events = 0

    @staticmethod
    def speaks(model: Model) -> bool:
        """Whether the model speaks of what this format judges."""
        return True

    @staticmethod
    def recognises(record: dict[str, Any]) -> bool:
        return isinstance(record.get("event"), dict) and "nid" in record["event"]

    def explanation(self, s: Candidate, line: EtcdLine) -> Elections:
        """How a line is read from a state."""
        return Elections(s, line)

    def read(self, record: dict[str, Any]) -> EtcdLine:
        """A line in the model's words."""
        return read(record)

    def begin(self) -> None:
        """A recording of etcd says nothing before its first event."""

    def end(self) -> None:
        """Nor does it say anything after its last one: what was believed is named."""
        self.coverage.given += self.configurations.given_in_the_end()

    def judge(self, record: dict[str, Any]) -> None:
        line = self.read(record)
        self.configurations.judge(line)
        for node in {line.node, *line.conf[0], *line.conf[1]} - self.nodes.keys():
            self.candidates.run.see(Node, node)
        self.candidates.follow(
            lambda state: self._explain(state, line), first_decides=not self._shows_storage(line)
        )
        self.events += 1
        self._cover(record, line)

    def _shows_storage(self, line: EtcdLine) -> bool:
        """The line shows what a node has read back, and so whether a step was kept or lost."""
        return line.event == "InitState" or bool(self.candidates.states[0].get("loading", line.node))

    def sends(self, record: dict[str, Any], message: EtcdMessage) -> bool:
        """Whether the line sends the message."""
        try:
            line = self.read(record)
        except (UsageError, NotModelled, LineRefused):
            return False
        return line.event.startswith("Send") and line.message == message

    def _cover(self, record: dict[str, Any], line: EtcdLine) -> None:
        """Count what was compared, and name what was not."""
        if line.event in self.left_aside:
            self.not_modelled[line.event] += 1
        compared, event = self.coverage.compared, record["event"]
        for name in self.compared:
            compared[name] += 1
        parts = [of for part in PARTS if type(of := event.get(part)) is dict]
        shape = (*record, *event, *chain.from_iterable(parts))
        if shape not in self.shapes:
            self.shapes.add(shape)
            self.coverage.ignored.update(self._ignored(record))
        if not self.coverage.given and self.configurations.initial:
            self.coverage.given += self.configurations.given()

    def _ignored(self, record: dict[str, Any]) -> Iterator[str]:
        """The keys of a line that nothing looks at."""
        event = record["event"]
        yield from record.keys() - {"event"}
        yield from event.keys() - EVENT
        for part in PARTS:
            if type(event.get(part)) is dict:
                yield from (f"{part}.{key}" for key in event[part].keys() - self.looks_at)

    def _explain(self, before: Candidate, line: EtcdLine) -> Iterable[Candidate]:
        """The state after the line; and, where a node has something to store, the one in which it is lost.

        What a node has not stored nobody else has seen. So only its `InitState` tells the two apart, and up
        to there the state in which nothing is lost, always the first, decides which lines are allowed.
        """
        n = line.node
        if line.event != "InitState" and before.get("lost", n):
            if line.event == "Ready":
                raise LineRefused(f"{n} stores what it is supposed to have lost")
            return [before]

        after = before.copy()
        explained = self.explanation(after, line)
        was_stored = explained.is_stored()
        explained.take()
        if was_stored and not explained.is_stored():
            crashed = before.copy()
            crashed.put("lost", n, True)
            return [after, crashed]
        return [after]


# -- one line, from one candidate state --------------------------------------------------------------------
def _last(heard: EtcdMessage | None) -> str:
    return f"({heard})" if heard else "none since its last Ready"


def agree(what: str, recorded: Any, modelled: Any) -> None:
    """Refused where the recording says something else than the model."""
    if recorded != modelled:
        raise LineRefused(f"{what} is {show(recorded)} in the recording and {show(modelled)} in the model")


def majorities(
    s: Candidate, n: str, conf: Sequence[Collection[str]], votes: str = "votes", becomes: str = "leader"
) -> frozenset[str]:
    """Section 5.2, and section 6 in joint consensus: votes from a majority of each configuration."""
    if not any(conf):
        raise LineRefused(f"{n} becomes {becomes} of a configuration without voters")
    quorum: set[str] = set()
    for voters in conf:
        voted_first = sorted(voters, key=lambda v: not s.get(votes, (n, v)))
        quorum.update(voted_first[: len(voters) // 2 + 1] if voters else ())
    return frozenset(quorum)


class Elections:
    """One line from one candidate state, by the actions of `election`: `take` changes the state."""

    def __init__(self, s: Candidate, line: EtcdLine) -> None:
        self.s, self.line, self.n = s, line, line.node

    @property
    def last(self) -> EtcdMessage | None:
        """The message that the node received last, since its last Ready."""
        heard: EtcdMessage | None = self.s.get("last", self.n)
        return heard

    def take(self) -> None:
        """The steps that the line stands for, and what it lets us see; LineRefused where they disagree."""
        s, line, n = self.s, self.line, self.n
        if line.event == "InitState":
            return self.init_state()
        if line.event not in WHILE_STARTING:
            s.put("starting", n, None)
        if s.get("loading", n):
            return self.load()

        self.become()
        is_reply = line.event == "SendRequestVoteResponse"
        may_lag = is_reply and self._send_vote_reply()
        self._see_vote()
        self.compare(may_lag)

        if line.message and line.event.startswith("Send"):
            self.send(line.message)
        elif line.message:
            self.receive(line.message)
        elif line.event == "Ready":
            self.store()
        return None

    def compare(self, vote_may_lag: bool = False) -> None:
        """The line's term, vote and role are those of the model."""
        s, line, n = self.s, self.line, self.n
        agree(f"term[{n}]", line.term, s.get("term", n))
        if not (vote_may_lag and line.vote is NIL):
            agree(f"voted_for[{n}]", line.vote, s.get("voted_for", n))
        agree(f"role[{n}]", line.role, s.get("role", n))

    # -- storage ---------------------------------------------------------------------------------
    def storable(self) -> Any:
        """What the node has that a crash must not lose."""
        return self.s.get("term", self.n), self.s.get("voted_for", self.n)

    def is_stored(self) -> bool:
        """What the node stored last is what it has now."""
        return bool(self.s.get("stored", self.n) == self.storable())

    def store(self) -> None:
        """Figure 2, persistent state: stored before responding, so only now the messages leave."""
        s, n = self.s, self.n
        s.put("stored", n, self.storable())
        s.put("last", n, None)  # what it causes shows by now
        for message in s.get("queue", n) or ():
            s.put("message", message, "sent")
        s.put("queue", n, None)

    def init_state(self) -> None:
        s, line, n = self.s, self.line, self.n
        if s.get("stored", n) is None:
            if line.term > 1 or line.vote is not NIL:
                starts = f"{n} starts in term {line.term}, vote {show(line.vote)}"
                raise NotModelled(f"{starts}: what came before is not recorded")
            self.start_in(line.term)
            s.put("starting", n, True)
        else:
            self.restart()
            for message in s.get("queue", n) or ():
                s.put("message", message, None)
            for note in ("queue", "lost", "starting"):
                s.put(note, n, None)
            if self.shows_nothing():
                s.put("loading", n, True)
                self.compare_loading()
                return self.store()
        self.compare()
        return self.store()

    def shows_nothing(self) -> bool:
        """The line was written before the node had read back what it had stored."""
        return (self.line.term, self.line.vote) == (0, NIL)

    def load(self) -> None:
        """What is stored shows with the first line that is not of its configuration."""
        if self.line.event == "ApplyConfChange" and self.shows_nothing():
            return self.compare_loading()
        self.s.put("loading", self.n, None)
        return self.compare()

    def compare_loading(self) -> None:
        """What shows of a node's storage before that."""

    def start_in(self, term: int) -> None:
        """The node's first term is taken from the recording: 0, or the 1 of `BOOTSTRAP`."""
        self.s.start("term", self.n, term)
        if term:
            self.s.start("term", BOOTSTRAP, 1)
            self.s.start("requested", (BOOTSTRAP, 1), True)

    def restart(self) -> None:
        self.s.act("restart", self.n)

    # -- becoming --------------------------------------------------------------------------------
    def become(self) -> None:
        """The step of a line that says what the node becomes."""
        if self.line.event == "BecomeCandidate":
            self.become_candidate()
        elif self.line.event == "BecomeLeader":
            self.s.act("become_leader", self.n, self.quorum("votes", "leader"))
        elif self.line.event == "BecomeFollower":
            self.become_follower()

    def become_candidate(self) -> None:
        self.s.act("start_election", self.n)

    def quorum(self, votes: str, becomes: str) -> frozenset[str]:
        return majorities(self.s, self.n, self.line.conf, votes, becomes)

    def become_follower(self) -> None:
        s, line, n = self.s, self.line, self.n
        term = s.get("term", n)
        if line.term > term:
            if s.get("starting", n) and (term, line.term) == (0, 1):
                self.start_in(1)
                return self.store()
            if s.get("starting", n):
                raise NotModelled(f"{n} starts in term {line.term}: what came before is not recorded")
            self.follow_newer_term()
        elif line.term == term and s.get("role", n) == LEADER:
            self.resign()
        elif line.term == term and s.get("role", n) == CANDIDATE:
            self._give_up_or_step_down()
        return None

    def follow_newer_term(self) -> None:
        self.s.act("update_term", self.n, self.line.term)
        self.caused_by_term(self.last)

    def caused_by_term(self, heard: EtcdMessage | None) -> None:
        """The message received last is of the term that the node goes to."""
        if heard is None or heard.term != self.line.term:
            goes = f"{self.n} goes to term {self.line.term}"
            raise LineRefused(f"{goes}, and the message it received last is {_last(heard)}")

    def resign(self) -> None:
        raise NotModelled(
            f"{self.n} steps down in its own term {self.line.term}: check-quorum is not modelled here; "
            "--model pre_vote judges it"
        )

    def _give_up_or_step_down(self) -> None:
        n, term, heard = self.n, self.line.term, self.last
        if self.cannot_win("MsgVoteResp"):
            return self.give_up()
        self.s.act("step_down", n, heard.sender if heard else n, term)
        if heard is None or heard.type not in HEARTBEATS or heard.term != term:
            raise LineRefused(f"{n} steps down, and the message it received last is {_last(heard)}")
        return None

    def give_up(self) -> None:
        """Figure 2, volatile state: what a restart loses is all that is lost."""
        self.restart()

    def cannot_win(self, reply_type: str) -> bool:
        """So many voters of one half of the configuration have rejected it that no majority is left."""
        for voters in self.line.conf:
            replies = (EtcdMessage(reply_type, v, self.n, self.line.term, True) for v in voters)
            rejected = sum(self.s.get("message", reply) == "received" for reply in replies)
            if voters and len(voters) - rejected < len(voters) // 2 + 1:
                return True
        return False

    # -- votes and messages ----------------------------------------------------------------------
    def grant(self, candidate: str) -> None:
        """The vote is free, and its request is what the node received last."""
        n, term, heard = self.n, self.line.term, self.last
        self.s.act("grant_vote", n, candidate, term)
        if heard is None or (heard.type, heard.sender, heard.term) != ("MsgVote", candidate, term):
            raise LineRefused(
                f"{n} votes for {candidate}, and the message it received last is {_last(heard)}"
            )

    def _see_vote(self) -> None:
        """A vote shows that the model has not: it was granted since the node's last line."""
        s, line, n = self.s, self.line, self.n
        is_new = line.vote is not NIL and line.vote != s.get("voted_for", n)
        if is_new and line.event != "SendRequestVoteResponse" and line.term == s.get("term", n):
            self.grant(line.vote)

    def _send_vote_reply(self) -> bool:
        """Figure 2, RequestVote results. True when this line grants the vote: `state` may still lack it."""
        n, reply = self.n, self.line.message
        assert reply is not None, "read() saw to it"
        if reply.rejects:
            self.reject(reply)
            return False
        granted_here = bool(self.s.get("voted_for", n) != reply.to)
        if granted_here:
            self.grant(reply.to)
        self.s.act("reply_vote", n, reply.to, reply.term)
        return granted_here

    def reject(self, reply: EtcdMessage) -> None:
        """A voter may always refuse: no step."""

    def send(self, m: EtcdMessage) -> None:
        """The message may be sent, and leaves when what it says is stored."""
        s, n = self.s, self.n
        agree(f"the sender of {m.type}", m.sender, n)
        self.may_send(m)
        if s.get("message", m) in ("sent", "received"):
            return
        if self.is_stored():
            s.put("message", m, "sent")
        elif s.get("message", m) is None:
            s.put("message", m, "queued")
            s.put("queue", n, (*(s.get("queue", n) or ()), m))

    def may_send(self, m: EtcdMessage) -> None:
        """Refused where the node has no right to this message."""
        s, n, term, role = self.s, self.n, self.line.term, self.line.role
        agree(f"the term in {m.type}", m.term, term)  # Figure 2: messages carry currentTerm
        if m.type in VOTE_REQUESTS and not (s.get("requested", (n, term)) and role == CANDIDATE):
            raise LineRefused(f"{n} asks for votes in term {term} and is no candidate in it")
        if m.type in HEARTBEATS and not (s.get("heartbeat", (n, term)) and role == LEADER):
            raise LineRefused(f"{n} sends {m.type} in term {term} and does not lead it")

    def receive(self, m: EtcdMessage) -> None:
        """A message that was sent arrives."""
        s, line, n = self.s, self.line, self.n
        agree(f"the receiver of {m.type}", m.to, n)
        state = s.get("message", m)
        try:
            is_vote = m.type in VOTE_REPLIES and not m.rejects
            if is_vote and m.term == line.term and line.role == CANDIDATE:
                s.act("receive_vote", n, m.sender, m.term)
            if state is None:
                raise LineRefused(f"nobody has sent {m}")
        except LineRefused as refused:
            refused.unsent = m if state is None else None
            raise
        if state == "queued":
            raise LineRefused(
                f"{m} cannot have left: {m.sender} has not stored its term and vote since (no Ready)"
            )
        s.put("message", m, "received")
        s.put("last", n, m)
