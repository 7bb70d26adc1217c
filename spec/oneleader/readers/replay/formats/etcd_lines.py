"""The lines of etcd's trace logger, in the model's words: what they may say, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from oneleader.errors import UsageError
from oneleader.language.sorts import NIL
from oneleader.models.election import CANDIDATE, FOLLOWER, LEADER, Role
from oneleader.readers.replay.candidates import LineRefused, NotModelled
from oneleader.words import quoted

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
    "Commit": "the commit index",
    "Replicate": "the entry",
    "SendAppendEntriesRequest": "the entries",
    "ReceiveAppendEntriesRequest": "the entries",
    "SendAppendEntriesResponse": "what matched",
    "ReceiveAppendEntriesResponse": "what matched",
    "SendSnapshot": "the snapshot",
    "ReceiveSnapshot": "the snapshot",
}
OTHERS = {
    *("InitState", "BecomeCandidate", "BecomeFollower", "BecomeLeader", "Ready"),
    *("Bootstrap", "ApplyConfChange", "ChangeConf"),
}
STANDS = {"BecomeCandidate", "BecomePreCandidate", "BecomeLeader"}
PRE_VOTE = {
    *("BecomePreCandidate", "SendPreVoteRequest", "SendPreVoteResponse"),
    *("ReceivePreVoteRequest", "ReceivePreVoteResponse"),
    *("StatePreCandidate", "MsgPreVote", "MsgPreVoteResp"),
}


@dataclass
class Words:
    """What the lines of a recording may say: which messages an event carries, events without, roles."""

    carries: dict[str, frozenset[str]]
    others: frozenset[str]
    roles: dict[str, Role]
    may_reject: frozenset[str]
    events: frozenset[str] = field(init=False)
    messages: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.events, self.messages = (
            self.others.union(self.carries),
            frozenset().union(*self.carries.values()),
        )


WORDS = Words(CARRIES, frozenset({*OTHERS, *LEFT_ASIDE}), ROLES, MAY_REJECT)


class EtcdMessage(NamedTuple):
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


class EtcdLog(NamedTuple):
    """What a line says of logs: the node's last index and commit index, and what its message carries."""

    length: int
    commit: int
    prev: int = 0  # index of the message
    prev_term: int = 0
    entries: int = 0
    up_to: int = 0  # commit of the message
    hint: int = 0


@dataclass(frozen=True, slots=True)
class EtcdLine:
    """One event, in the model's words."""

    event: str
    node: str
    term: int
    vote: Any  # a node or NIL
    role: Role
    conf: tuple[tuple[str, ...], tuple[str, ...]]
    message: EtcdMessage | None
    asking: bool = False  # a pre-candidate: a follower that asks
    length: int | None = None  # of the log, where the line says so
    commit: int | None = None
    new_voters: tuple[str, ...] | None = None  # of ApplyConfChange
    changes: tuple[tuple[str, str], ...] = ()  # of ChangeConf: the node and what is done with it
    log: EtcdLog | None = None  # where logs are judged too


def read(
    record: dict[str, Any],
    words: Words = WORDS,
    log_of: Callable[[dict[str, Any], bool], EtcdLog] | None = None,
) -> EtcdLine:
    """A line in the model's words; UsageError where malformed, NotModelled where beyond the model.

    `log_of`: what an event says of logs, given whether it carries a message; where logs are judged too.
    """
    event = part(record, "event", dict)
    name = part(event, "name", str)
    _check_known(name, "event", words.events)
    state, role = part(event, "state", dict), part(event, "role", str)
    _check_known(role, "role", words.roles)
    message = _message(name, part(event, "msg", dict), words) if name in words.carries else None
    return EtcdLine(
        event=name,
        node=_node(part(event, "nid", str)),
        term=number(state, "term"),
        vote=_vote(part(state, "vote", str)),
        role=words.roles[role],
        conf=_conf(part(event, "conf", list)),
        message=message,
        asking=role == "StatePreCandidate",
        length=number(event, "log") if "log" in event else None,
        commit=number(state, "commit") if "commit" in state else None,
        log=log_of(event, message is not None) if log_of else None,
        **_change(name, event),
    )


def _message(event: str, m: dict[str, Any], words: Words) -> EtcdMessage:
    kind = part(m, "type", str)
    _check_known(kind, "message", words.messages)
    sender, to = _node(part(m, "from", str)), _node(part(m, "to", str))
    message = EtcdMessage(kind, sender, to, number(m, "term"), part(m, "reject", bool))
    if kind not in words.carries[event]:
        raise LineRefused(f"{event} carries {kind}")
    if message.rejects and kind not in words.may_reject:
        raise LineRefused(f"{kind} rejects, and only replies to votes and entries may")
    if sender == to and (message.rejects or kind in VOTE_REQUESTS or kind in HEARTBEATS):
        raise LineRefused(f"{sender} asks or rejects itself ({message})")
    return message


def _conf(conf: list[Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if len(conf) != 2:
        raise UsageError("`conf` is not the two lists of voters, [[...], [...]]")
    incoming, outgoing = (_ids(ids, "conf") for ids in conf)
    return _named(incoming), _named(outgoing)


def _change(name: str, event: dict[str, Any]) -> dict[str, Any]:
    """What ApplyConfChange and ChangeConf say of the configuration."""
    if name not in ("ApplyConfChange", "ChangeConf"):
        return {}
    cc = part(part(event, "prop", dict), "cc", dict)
    if name == "ApplyConfChange":
        voters = cc.get("newconf")
        return {"new_voters": _voters(voters, "newconf") if voters is not None else None}
    said = cc.get("changes") or []
    if not isinstance(said, list):
        raise UsageError("`changes` is not a list")
    changes = [c for c in said if isinstance(c, dict)]
    return {"changes": tuple((_node(part(c, "nid", str)), part(c, "action", str)) for c in changes)}


def _voters(ids: Any, key: str) -> tuple[str, ...]:
    return _named(_ids(ids, key))


def _ids(ids: Any, key: str) -> tuple[str, ...]:
    if not isinstance(ids, list) or set(map(type, ids)) - {str}:
        raise UsageError(f"`{key}` is not a list of voters")
    if len(set(ids)) < len(ids):
        raise UsageError(f"`{key}` names a voter twice")
    return tuple(ids)


@lru_cache
def _named(ids: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_node, ids))


def _node(id: str) -> str:
    return f"n{id}"


def _vote(id: str) -> Any:
    return NIL if id == "0" else _node(id)


def _check_known(word: str, what: str, known: Collection[str]) -> None:
    if word in PRE_VOTE and word not in known:
        raise NotModelled(f"{word}: pre-vote is not modelled here; --model pre_vote judges it")
    if word not in known and what == "event":  # of a newer logger, perhaps
        raise NotModelled(f"unknown event {quoted(word)}")
    if word not in known:
        raise UsageError(f"unknown {what} {quoted(word)}")


def part(record: dict[str, Any], key: str, kind: type) -> Any:
    """A part of a record; UsageError if it is not of that kind."""
    value = record.get(key)
    if type(value) is not kind:
        names = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}
        raise UsageError(f"`{key}` is {'missing' if value is None else f'not {names[kind]}'}")
    return value


def number(record: dict[str, Any], key: str) -> int:
    """A natural number of a record; UsageError if it is not one."""
    value = record.get(key)
    if type(value) is not int or value < 0:
        raise UsageError(f"`{key}` is {'missing' if value is None else 'not a whole number of 0 or more'}")
    return value
