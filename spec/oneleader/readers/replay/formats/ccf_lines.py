"""The lines of CCF's logger (tag `raft_trace`, in 2023 `tla`), in the model's words.

| now                                   | 2023                                  | here          |
|---------------------------------------|---------------------------------------|---------------|
| `msg.function`                        | `msg.event.function`                  | `function`    |
| `msg.state.node_id`                   | `msg.state.my_node_id`                | `node`        |
| `msg.state.current_view`              | the same                              | `term`        |
| `msg.state.leadership_state`          | `msg.leadership`                      | `role`        |
| `msg.from_node_id`, `msg.to_node_id`  | `msg.from`, `msg.to`                  | `other`       |
| `msg.packet`, `.term`, `.vote_granted`| `msg.paket`                           | `packet`      |
| `msg.packet.msg`, `.election_type`    | a number: there were no pre-votes     | `is_pre_vote` |
| `msg.configurations`: `idx`, `nodes`  | the same                              | `conf`        |
| `msg.args.configuration`              | among the `configurations`, or later  | `added`       |
|                                       | `msg.new_configuration`               |               |
| `msg.args.idx` of a commit            | the same                              | `idx`         |
| `msg.state.last_idx`                  | the same                              | `last_idx`    |
| `packet.last_log_idx`, if `success`   | the same, 0 for OK                    | `acknowledged`|
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oneleader.errors import UsageError
from oneleader.models.election import CANDIDATE, FOLLOWER, LEADER, Role
from oneleader.readers.replay.candidates import NotModelled, show
from oneleader.readers.replay.formats.etcd_lines import number, part
from oneleader.words import quoted

TAGS = ("raft_trace", "tla")
ROLES = {
    **{"None": FOLLOWER, "none": FOLLOWER, "Pending": FOLLOWER, "Follower": FOLLOWER},
    **{"PreVoteCandidate": FOLLOWER, "Candidate": CANDIDATE, "Leader": LEADER},
}
NO_ROLE = ("None", "none")
OF_MESSAGES = frozenset(
    f"{verb}_{message}{response}"
    for verb in ("send", "recv")
    for message in ("request_vote", "append_entries")
    for response in ("", "_response")
)
LEFT_ASIDE = {
    "send_append_entries": "the entries",
    "recv_append_entries": "the entries",
    "send_append_entries_response": "the entries",
    "recv_append_entries_response": "the entries",
    "execute_append_entries_sync": "the entry",
    "replicate": "the entry",
    "rollback": "the entries",
    "commit": "the entries",
    "become_pre_vote_candidate": "pre-votes",
    "pre-vote": "the message",
    "recv_propose_request_vote": "the leader's proposal",
    "step_down_and_nominate_successor": "the leader's proposal",
    "drop_pending_to": "which messages are lost",
}
BECOMES = ("bootstrap", "become_candidate", "become_leader", "become_follower")
FUNCTIONS = {*OF_MESSAGES, *LEFT_ASIDE, *BECOMES, "add_configuration"} - {"pre-vote"}
AGREES = ("OK", 0)  # a number in 2023
RENAMED = {"send_authenticated": "send_append_entries"}  # as it was written in 2023
IN_LINE = {
    *("tag", "msg", "function", "event", "state", "packet", "paket", "configurations"),
    *("node_id", "my_node_id", "node", "current_view", "leadership_state", "leadership"),
    *("from_node_id", "from", "to_node_id", "to", "term", "vote_granted", "election_type"),
    *("args", "new_configuration", "last_idx", "last_log_idx", "success"),
}


@dataclass(frozen=True, slots=True)
class CcfConfiguration:
    """One configuration, as the entry of an index brings it."""

    idx: int
    nodes: frozenset[str]

    def __str__(self) -> str:
        return f"{show(self.nodes)} of entry {self.idx}"


@dataclass(frozen=True, slots=True)
class CcfLine:
    """One line. What is received is written before it is handled, all else after the step."""

    function: str
    node: str
    term: int
    role: Role | None  # None where it is not shown
    has_no_role: bool  # it has not begun, or is retired
    conf: tuple[CcfConfiguration, ...]  # all that are active at the node, before an add_configuration
    last_idx: int  # the length of its log
    other: str = ""  # who sent the message, or gets it
    packet_term: int = 0
    granted: bool | None = None  # of a reply to a request for votes
    is_pre_vote: bool = False
    acknowledged: int | None = None  # of a reply that agrees: up to which index
    added: CcfConfiguration | None = None
    idx: int = 0  # of a commit


def read(record: dict[str, Any]) -> CcfLine | None:
    """A line in the model's words, None where it is of no node's Raft; UsageError where malformed."""
    if record.get("tag") not in TAGS:
        part(record, "tag", str)
        return None
    if "cmd" in record and "msg" not in record:
        return None  # what the driver of the recording did
    msg = part(record, "msg", dict)
    event = part(msg, "event", dict) if "event" in msg else msg
    name = part(event, "function", str)
    function = RENAMED.get(name, name)
    if ("component" in event and part(event, "component", str) != "raft") or function == "drop_pending_to":
        return None
    if function not in FUNCTIONS:
        raise NotModelled(f"unknown function {quoted(function)}")
    state = part(msg, "state", dict)
    role, is_leader = _role(function, msg, state), function == "become_leader"
    node = part(state, "node_id" if "node_id" in state else "my_node_id", str)
    if msg.get("node", node) != node:  # which stood there as well in 2023
        raise UsageError(f"this line is of the node {quoted(node)}, and its `node` is {quoted(msg['node'])}")
    return CcfLine(
        function,
        _node(node),
        number(state, "current_view"),
        ROLES[role] if role else None,
        role in NO_ROLE,
        _conf(part(msg, "configurations", list)) if {"configurations"} & msg.keys() or is_leader else (),
        number(state, "last_idx") if "last_idx" in state else 0,
        **(_message(function, msg) if function in OF_MESSAGES else _arguments(function, msg)),
    )


def _role(function: str, msg: dict[str, Any], state: dict[str, Any]) -> str | None:
    """None where it is not shown: in 2023 no line about an entry did."""
    shown, key = (state, "leadership_state") if "leadership_state" in state else (msg, "leadership")
    if key not in shown and function in LEFT_ASIDE and function not in OF_MESSAGES:
        return None
    role: str = part(shown, key, str)
    if role not in ROLES:
        raise NotModelled(f"unknown leadership state {quoted(role)}")
    return role


def _message(function: str, msg: dict[str, Any]) -> dict[str, Any]:
    ends = ("to_node_id", "to") if function.startswith("send") else ("from_node_id", "from")
    packet = part(msg, "packet" if "packet" in msg else "paket", dict)
    kind = packet.get("election_type", "RegularVote")
    if kind not in ("RegularVote", "PreVote"):
        raise NotModelled(f"unknown election type {quoted(kind)}")
    is_vote_reply, is_reply = function.endswith("vote_response"), function.endswith("entries_response")
    return {
        "other": _node(part(msg, ends[0] if ends[0] in msg else ends[1], str)),
        "packet_term": number(packet, "term"),
        "granted": part(packet, "vote_granted", bool) if is_vote_reply else None,
        "acknowledged": _acknowledged(packet) if is_reply else None,
        "is_pre_vote": kind == "PreVote" or "pre_vote" in str(packet.get("msg")),
    }


def _acknowledged(packet: dict[str, Any]) -> int | None:
    return number(packet, "last_log_idx") if packet.get("success") in AGREES else None


def _conf(written: list[Any]) -> tuple[CcfConfiguration, ...]:
    if not all(isinstance(one, dict) for one in written):
        raise UsageError("`configurations` is not a list of objects")
    return tuple(map(_configuration, written))


def _configuration(written: dict[str, Any]) -> CcfConfiguration:
    return CcfConfiguration(number(written, "idx"), frozenset(map(_node, part(written, "nodes", dict))))


def _arguments(function: str, msg: dict[str, Any]) -> dict[str, Any]:
    """What the step is called with. In 2023 some lines had no `args`."""
    if function == "add_configuration" and "new_configuration" in msg:
        return {"added": _configuration(part(msg, "new_configuration", dict))}
    if "args" not in msg or function not in ("commit", "add_configuration"):
        return {}
    args = part(msg, "args", dict)
    if function == "commit":
        return {"idx": number(args, "idx")}
    return {"added": _configuration(part(args, "configuration", dict))}


def _node(id: str) -> str:
    return f"n{id}"


def unknown_keys(record: dict[str, Any]) -> set[str]:
    """What a line says that no judgement looks at."""
    msg = record["msg"]
    inner = (record, msg, msg.get("state", {}), msg.get("packet", msg.get("paket", {})))
    return {key for of in inner for key in of} - IN_LINE
