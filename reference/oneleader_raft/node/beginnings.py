"""What is believed where a node's trace begins with a cut, as the files before it are gone.

The state at the cut is the node's word. Of a message that was sent before its sender's cut no line is left:
who receives it later is believed, too. That is enough for the model `election`, in which a step asks of other
nodes only whether they have sent something: so it does not matter that nodes are cut at different moments.
Each step is judged by its guards, and that no term has two leaders and no voter gives two votes in a term.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..raft import Role
from .trace_lines import TracedNode

JUDGED = "election"
INCOMPLETE = ("term", "elected_by")  # what the node of a believed message had, and nobody knows
SOMEBODY = "somebody before"  # who stood in a term
Given = dict[str, Any]


def of_cut(after: TracedNode) -> Given:
    """The state, and what its node has sent or received to come there."""
    id, term, vote = after.id, after.current_term, after.voted_for
    given: Given = {"term": {id: term}, "role": {id: after.role.value}, "votes": {id: after.votes}}
    if term:
        given["requested"] = {vote or SOMEBODY: [term]}
    if vote:
        given["voted_for"] = {id: vote}
        given["granted"] = {id: {str(term): [vote]}}
    given["granted"] = given.get("granted", {}) | {v: {str(term): [id]} for v in after.votes}
    leader = id if after.role is Role.LEADER else after.leader_id
    if leader:
        given["heartbeat"] = {leader: [term]}
    return given


def of_message(actions: Iterable[tuple[str, Mapping[str, Any]]]) -> Given:
    """What a message brought, of which no line says that it was sent."""
    given: Given = {}
    for name, of in actions:
        t = of.get("t")
        match name:
            case "update_term" | "learn_term":
                given.setdefault("requested", {})[SOMEBODY] = [t]
            case "grant_vote":
                given.setdefault("requested", {})[of["candidate"]] = [t]
            case "receive_vote":
                given["granted"] = {of["voter"]: {str(t): [of["candidate"]]}}
            case "step_down":
                given["heartbeat"] = {of["leader"]: [t]}
    return given
