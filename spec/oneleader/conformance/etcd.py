"""etcd: the lines of etcd-io/raft's trace logger (`state_trace.go`), judged by the election model.

One event of one node a line: `name`, `nid`, `state` (term, vote), `role`, `conf` and, for messages, `msg`.
The term, vote and role on *every* line must be those of the model; a step is taken where the table says.

| event                       | actions tried                            | beside term, vote and role       |
|-----------------------------|------------------------------------------|----------------------------------|
| InitState, a node's first   | none: it states where the node starts    | term 0 or 1, no vote             |
| InitState, later            | restart                                  | term and vote are those stored   |
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
- Bootstrap: a node that has only just started may go from term 0 to term 1, for no candidate's sake.
- Giving up: etcd's candidate becomes a follower, in its term, once so many have rejected it that no quorum
  is left. The model has no action of that name; what it loses, role and votes, is what `restart` loses.

Not modelled, so that nothing after it can be judged: pre-vote, a leader that steps down in its own term
(check-quorum), and a node that starts with a past. Log entries, commits and configuration changes are
counted and left aside, see `LEFT_ASIDE`; the voters are those that the leader's own line states.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from oneleader.errors import UsageError
from oneleader.language.model import Model
from oneleader.language.sorts import NIL
from oneleader.models.election import CANDIDATE, FOLLOWER, LEADER, Node, Role
from oneleader.readers.candidates import Candidate, Candidates, NotModelled, OpenRun, Refused, show

ROLES = {"StateFollower": FOLLOWER, "StateCandidate": CANDIDATE, "StateLeader": LEADER}
VOTE_REQUESTS, VOTE_REPLIES = frozenset({"MsgVote"}), frozenset({"MsgVoteResp"})
HEARTBEATS = frozenset({"MsgApp", "MsgHeartbeat", "MsgSnap"})  # Figure 2, AppendEntries and InstallSnapshot
HEARTBEAT_REPLIES = frozenset({"MsgAppResp", "MsgHeartbeatResp"})
MAY_REJECT = frozenset({"MsgVoteResp", "MsgAppResp"})
CARRIES = {
    "SendRequestVoteRequest": VOTE_REQUESTS,
    "ReceiveRequestVoteRequest": VOTE_REQUESTS,
    "SendRequestVoteResponse": VOTE_REPLIES,
    "ReceiveRequestVoteResponse": VOTE_REPLIES,
    "SendAppendEntriesRequest": HEARTBEATS,
    "ReceiveAppendEntriesRequest": HEARTBEATS,
    "SendAppendEntriesResponse": HEARTBEAT_REPLIES,
    "ReceiveAppendEntriesResponse": HEARTBEAT_REPLIES,
    "SendSnapshot": HEARTBEATS,
    "ReceiveSnapshot": HEARTBEATS,
}
LEFT_ASIDE = {
    "ApplyConfChange": "the configuration",
    "ChangeConf": "the configuration",
    "Commit": "the commit index",
    "Replicate": "the entry",
    "SendAppendEntriesRequest": "the entries",
    "ReceiveAppendEntriesRequest": "the entries",
    "SendAppendEntriesResponse": "what matched",
    "ReceiveAppendEntriesResponse": "what matched",
    "SendSnapshot": "the snapshot",
    "ReceiveSnapshot": "the snapshot",
}
OTHERS = {"InitState", "BecomeCandidate", "BecomeFollower", "BecomeLeader", "Ready"}
PRE_VOTE = {
    *("BecomePreCandidate", "SendPreVoteRequest", "SendPreVoteResponse"),
    *("ReceivePreVoteRequest", "ReceivePreVoteResponse"),
    *("StatePreCandidate", "MsgPreVote", "MsgPreVoteResp"),
}
WHILE_STARTING = {"InitState", "ApplyConfChange", "BecomeFollower"}
ACTIONS = (
    *("start_election", "grant_vote", "reply_vote", "receive_vote", "become_leader"),
    *("update_term", "step_down", "restart"),
)


class Message(NamedTuple):
    """What the election sees of a message; two alike are one, as in the model's network."""

    type: str
    sender: str
    to: str
    term: int
    rejects: bool

    def __str__(self) -> str:
        return (
            f"{self.type} {self.sender} to {self.to}, term {self.term}{', rejecting' if self.rejects else ''}"
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One event, in the model's words."""

    event: str
    node: str
    term: int
    vote: Any  # a node or NIL
    role: Role
    conf: tuple[tuple[str, ...], tuple[str, ...]]
    message: Message | None


class Members:
    """The constant `member`: here a quorum is the set of its members."""

    def __contains__(self, index: Any) -> bool:
        voter, quorum = index
        return voter in quorum


class EtcdFormat:
    """Judges one recording, line by line.

    Notes beside the model's state, for each candidate:
    stored[n]   the term and vote that n stored last; None before it starts
    starting[n] n has started and done nothing yet
    heard[n]    the message that n received last, since its last Ready
    message[m]  "queued" until its sender stores its state, then "sent", then "received"
    queue[n]    the messages of n that are queued
    lost[n]     in this candidate n crashed after its last Ready: what it wrote since is lost
    """

    name = "etcd"
    left_aside = LEFT_ASIDE

    def __init__(self, model: Model, limit: int) -> None:
        missing = [a for a in ACTIONS if a not in model.actions]
        if missing:
            raise UsageError(
                f"a recording of etcd needs the model election: {model.name} has no {missing[0]}"
            )
        self.model = model
        self.candidates = Candidates(OpenRun(model, {"member": Members()}), limit)
        self.not_modelled: Counter[str] = Counter()
        self.events = 0

    @staticmethod
    def recognises(record: dict[str, Any]) -> bool:
        return isinstance(record.get("event"), dict) and "nid" in record["event"]

    def judge(self, record: dict[str, Any]) -> None:
        line = read(record)
        for node in {line.node, *line.conf[0], *line.conf[1]}:
            self.candidates.run.see(Node, node)
        self.candidates.follow(lambda state: _explain(state, line), first_decides=line.event != "InitState")
        self.events += 1
        if line.event in LEFT_ASIDE:
            self.not_modelled[line.event] += 1


# -- one line, from one candidate state --------------------------------------------------------------------
def _explain(before: Candidate, line: Line) -> Iterable[Candidate]:
    """The state after the line; and, from where a node has something to store, the one in which it is lost.

    What a node has not stored nobody else has seen. So only its `InitState` tells the two apart, and up to
    there the state in which nothing is lost, always the first, decides which lines are allowed.
    """
    n = line.node
    if line.event != "InitState" and before.get("lost", n):
        if line.event == "Ready":
            raise Refused(f"{n} stores what it is supposed to have lost")
        return [before]

    after = before.copy()
    _take(after, line)
    if _is_stored(before, n) and not _is_stored(after, n):
        crashed = before.copy()
        crashed.put("lost", n, True)
        return [after, crashed]
    return [after]


def _take(s: Candidate, line: Line) -> None:
    """The steps that the line stands for, and what it lets us see; Refused where they disagree."""
    if line.event == "InitState":
        return _init_state(s, line)
    n = line.node
    if s.get("stored", n) is None:
        raise UsageError(f"{n} has no InitState before this line: a recording has to begin at the start")
    if line.event not in WHILE_STARTING:
        s.put("starting", n, None)

    if line.event == "BecomeCandidate":
        s.act("start_election", n)
    elif line.event == "BecomeLeader":
        _become_leader(s, line)
    elif line.event == "BecomeFollower":
        _become_follower(s, line)
    is_reply = line.event == "SendRequestVoteResponse"
    may_lag = is_reply and _send_vote_reply(s, line)
    _see_vote(s, line)
    _compare(s, line, may_lag)

    if line.message and line.event.startswith("Send"):
        _send(s, line, line.message)
    elif line.message:
        _receive(s, line, line.message)
    elif line.event == "Ready":
        _store(s, n)
    return None


def _compare(s: Candidate, line: Line, vote_may_lag: bool = False) -> None:
    """The line's term, vote and role are those of the model."""
    n = line.node
    _agree(f"term[{n}]", line.term, s.get("term", n))
    if not (vote_may_lag and line.vote is NIL):
        _agree(f"voted_for[{n}]", line.vote, s.get("voted_for", n))
    _agree(f"role[{n}]", line.role, s.get("role", n))


def _agree(what: str, recorded: Any, modelled: Any) -> None:
    if recorded != modelled:
        raise Refused(f"{what} is {show(recorded)} in the recording and {show(modelled)} in the model")


# -- storage -------------------------------------------------------------------------------------------
def _is_stored(s: Candidate, n: str) -> bool:
    return bool(s.get("stored", n) == (s.get("term", n), s.get("voted_for", n)))


def _store(s: Candidate, n: str) -> None:
    """Figure 2, persistent state: stored before responding, so only now the messages leave."""
    s.put("stored", n, (s.get("term", n), s.get("voted_for", n)))
    s.put("heard", n, None)  # what it causes shows by now
    for message in s.get("queue", n) or ():
        s.put("message", message, "sent")
    s.put("queue", n, None)


def _init_state(s: Candidate, line: Line) -> None:
    n = line.node
    if s.get("stored", n) is None:
        if line.term > 1 or line.vote is not NIL:
            raise NotModelled(
                f"{n} starts in term {line.term}, vote {show(line.vote)}: what came before is not recorded"
            )
        s.put("term", n, line.term)  # the model's initial state, and all that is taken from the recording
        s.put("starting", n, True)
    else:
        s.act("restart", n)
        for message in s.get("queue", n) or ():
            s.put("message", message, None)
        for note in ("queue", "lost", "starting"):
            s.put(note, n, None)
    _compare(s, line)
    _store(s, n)


# -- becoming ------------------------------------------------------------------------------------------
def _become_leader(s: Candidate, line: Line) -> None:
    """Section 5.2, and section 6 in joint consensus: votes from a majority of each configuration."""
    if not any(line.conf):
        raise Refused(f"{line.node} becomes leader of a configuration without voters")
    quorum: set[str] = set()
    for voters in line.conf:
        voted_first = sorted(voters, key=lambda v: not s.get("votes", (line.node, v)))
        quorum.update(voted_first[: len(voters) // 2 + 1] if voters else ())
    s.act("become_leader", line.node, frozenset(quorum))


def _become_follower(s: Candidate, line: Line) -> None:
    n, term, role = line.node, s.get("term", line.node), s.get("role", line.node)
    if line.term > term:
        if s.get("starting", n) and (term, line.term) == (0, 1):
            s.put("term", n, 1)
            return _store(s, n)
        s.act("update_term", n, line.term)
        heard = s.get("heard", n)
        if heard is None or heard.term != line.term:
            raise Refused(f"{n} goes to term {line.term}, and the message it received last is {_last(heard)}")
    elif line.term == term and role == LEADER:
        raise NotModelled(f"{n} steps down in its own term {term}: check-quorum is not modelled")
    elif line.term == term and role == CANDIDATE:
        _give_up_or_step_down(s, line)
    return None


def _give_up_or_step_down(s: Candidate, line: Line) -> None:
    n, term, heard = line.node, line.term, s.get("heard", line.node)
    if _cannot_win(s, line):
        return s.act("restart", n)  # Figure 2, volatile state: what a restart loses is all that is lost
    s.act("step_down", n, heard.sender if heard else n, term)
    if heard is None or heard.type not in HEARTBEATS or heard.term != term:
        raise Refused(f"{n} steps down, and the message it received last is {_last(heard)}")
    return None


def _cannot_win(s: Candidate, line: Line) -> bool:
    """So many voters of one half of the configuration have rejected it that no majority is left."""
    n, term = line.node, line.term
    for voters in line.conf:
        replies = (Message("MsgVoteResp", v, n, term, True) for v in voters)
        rejected = sum(s.get("message", reply) == "received" for reply in replies)
        if voters and len(voters) - rejected < len(voters) // 2 + 1:
            return True
    return False


# -- votes and messages ----------------------------------------------------------------------------------
def _grant(s: Candidate, line: Line, candidate: str) -> None:
    """The vote is free, and its request is what the node received last."""
    n, heard = line.node, s.get("heard", line.node)
    s.act("grant_vote", n, candidate, line.term)
    if heard is None or (heard.type, heard.sender, heard.term) != ("MsgVote", candidate, line.term):
        raise Refused(f"{n} votes for {candidate}, and the message it received last is {_last(heard)}")


def _see_vote(s: Candidate, line: Line) -> None:
    """A vote shows that the model has not: it was granted since the node's last line."""
    n = line.node
    is_new = line.vote is not NIL and line.vote != s.get("voted_for", n)
    if is_new and line.event != "SendRequestVoteResponse" and line.term == s.get("term", n):
        _grant(s, line, line.vote)


def _send_vote_reply(s: Candidate, line: Line) -> bool:
    """Figure 2, RequestVote results. True when this line grants the vote: `state` may still lack it."""
    n, reply = line.node, line.message
    assert reply is not None, "read() saw to it"
    if reply.rejects:
        return False  # a voter may always refuse
    granted_here = bool(s.get("voted_for", n) != reply.to)
    if granted_here:
        _grant(s, line, reply.to)
    s.act("reply_vote", n, reply.to, reply.term)
    return granted_here


def _send(s: Candidate, line: Line, m: Message) -> None:
    n, term = line.node, line.term
    _agree(f"the sender of {m.type}", m.sender, n)
    _agree(f"the term in {m.type}", m.term, term)  # Figure 2: messages carry currentTerm
    if m.type in VOTE_REQUESTS and not (s.get("requested", (n, term)) and line.role == CANDIDATE):
        raise Refused(f"{n} asks for votes in term {term} and is no candidate in it")
    if m.type in HEARTBEATS and not (s.get("heartbeat", (n, term)) and line.role == LEADER):
        raise Refused(f"{n} sends {m.type} in term {term} and does not lead it")
    if s.get("message", m) in ("sent", "received"):
        return
    if _is_stored(s, n):
        s.put("message", m, "sent")
    elif s.get("message", m) is None:
        s.put("message", m, "queued")
        s.put("queue", n, (*(s.get("queue", n) or ()), m))


def _receive(s: Candidate, line: Line, m: Message) -> None:
    n = line.node
    _agree(f"the receiver of {m.type}", m.to, n)
    is_vote = m.type in VOTE_REPLIES and not m.rejects
    if is_vote and m.term == line.term and line.role == CANDIDATE:
        s.act("receive_vote", n, m.sender, m.term)
    state = s.get("message", m)
    if state is None:
        raise Refused(f"nobody has sent {m}")
    if state == "queued":
        raise Refused(f"{m} cannot have left: {m.sender} has not stored its term and vote since (no Ready)")
    s.put("message", m, "received")
    s.put("heard", n, m)


def _last(heard: Message | None) -> str:
    return f"({heard})" if heard else "none since its last Ready"


# -- reading a line ----------------------------------------------------------------------------------------
def read(record: dict[str, Any]) -> Line:
    """A line in the model's words; UsageError where malformed, NotModelled where beyond the model."""
    event = _get(record, "event", dict)
    name = _get(event, "name", str)
    _check_known(name, "event", {*CARRIES, *LEFT_ASIDE, *OTHERS})
    state, role = _get(event, "state", dict), _get(event, "role", str)
    _check_known(role, "role", ROLES)
    return Line(
        event=name,
        node=_node(_get(event, "nid", str)),
        term=_number(state, "term"),
        vote=_vote(_get(state, "vote", str)),
        role=ROLES[role],
        conf=_conf(_get(event, "conf", list)),
        message=_message(name, _get(event, "msg", dict)) if name in CARRIES else None,
    )


def _message(event: str, m: dict[str, Any]) -> Message:
    kind = _get(m, "type", str)
    _check_known(kind, "message", frozenset().union(*CARRIES.values()))
    sender, to = _node(_get(m, "from", str)), _node(_get(m, "to", str))
    message = Message(kind, sender, to, _number(m, "term"), _get(m, "reject", bool))
    if kind not in CARRIES[event]:
        raise Refused(f"{event} carries {kind}")
    if message.rejects and kind not in MAY_REJECT:
        raise Refused(f"{kind} rejects, and only replies to votes and entries may")
    if sender == to and (message.rejects or kind in VOTE_REQUESTS | HEARTBEATS):
        raise Refused(f"{sender} asks or rejects itself ({message})")
    return message


def _conf(conf: list[Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    halves = [h for h in conf if isinstance(h, list) and all(isinstance(v, str) for v in h)]
    if len(conf) != 2 or len(halves) != 2:
        raise UsageError("`conf` is not the two lists of voters, [[...], [...]]")
    incoming, outgoing = (tuple(map(_node, half)) for half in halves)
    return incoming, outgoing


def _node(id: str) -> str:
    return f"n{id}"


def _vote(id: str) -> Any:
    return NIL if id == "0" else _node(id)


def _check_known(word: str, what: str, known: Iterable[str]) -> None:
    if word in PRE_VOTE:
        raise NotModelled(f"{word}: pre-vote is not modelled")
    if word not in known:
        raise UsageError(f"unknown {what} {word!r}")


def _get(record: dict[str, Any], key: str, kind: type) -> Any:
    value = record.get(key)
    if type(value) is not kind:
        names = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}
        raise UsageError(f"`{key}` is {'missing' if value is None else f'not {names[kind]}'}")
    return value


def _number(record: dict[str, Any], key: str) -> int:
    value = record.get(key)
    if type(value) is not int or value < 0:
        raise UsageError(f"`{key}` is {'missing' if value is None else 'not a whole number of 0 or more'}")
    return value
