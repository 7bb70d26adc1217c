"""Lines as CCF's logger writes them now, and what replay says of them."""

from __future__ import annotations

import json
from typing import Any

from oneleader.readers.replay.replay import Replayed, replay_lines
from oneleader.verdict import INCONCLUSIVE, VIOLATED

Line = dict[str, Any]


def conf(*members: str) -> list[Line]:
    """Configurations, each written as its members: "012"."""
    return [{"idx": i, "nodes": {n: {"address": ":"} for n in m}, "rid": i} for i, m in enumerate(members)]


def line(function: str, node: str, term: int, role: str, **also: Any) -> Line:
    """A line as it is written now."""
    shown = {"leadership_state": role, "membership_state": "Active", "last_idx": 2, "commit_idx": 2}
    state = {"node_id": node, "current_view": term, **shown}
    if function.startswith("become"):
        also = {"configurations": conf("012")} | also
    msg = {"function": function, "state": state, **also}
    return {"h_ts": "7", "thread_id": "0", "level": "debug", "tag": "raft_trace", "msg": msg}


def sent(function: str, node: str, view: int, role: str, to: str, **packet: Any) -> Line:
    return line(f"send_{function}", node, view, role, packet=packet_of(function, view, packet), to_node_id=to)


def got(function: str, node: str, view: int, role: str, of: str, **packet: Any) -> Line:
    packet = packet_of(function, view, packet)
    return line(f"recv_{function}", node, view, role, packet=packet, from_node_id=of)


def packet_of(function: str, term: int, packet: Line) -> Line:
    return {"msg": f"raft_{function}", "term": term, **packet}


def judge(lines: list[Line], **options: Any) -> Replayed:
    return replay_lines((json.dumps(record) + "\n" for record in lines), **options)


def refused_at(found: Replayed, number: int, text: str) -> None:
    assert found.refusal, found.summary()
    assert found.verdict is VIOLATED
    assert (found.refusal.line, text in found.refusal.text) == (number, True), found.summary()


def inconclusive(found: Replayed, text: str) -> None:
    assert (found.verdict, text in found.why) == (INCONCLUSIVE, True), found.summary()
