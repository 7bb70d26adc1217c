"""Followers that have lost what they acknowledged: their store was restored from a copy, or lost its end.

What a follower acknowledged counts towards commits, so one that is shorter must not be filled up again as if
nothing had happened. A leader can prove it: it notes in which round it learned how far a follower has come.
When a message of a later round reached the follower, it had come so far, whatever came late or twice. If it
answers that its log is shorter, it has lost entries.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..raft import AppendReply, Node, NodeId, Role


@dataclass(frozen=True)
class Reached:
    """The follower has the log up to `index`, as the leader of `term` learned in this round."""

    term: int
    index: int
    round: int


class Acknowledged:
    def __init__(self) -> None:
        self._reached: dict[NodeId, Reached] = {}

    def is_lost(self, leader: Node, reply: AppendReply) -> bool:
        """Whether the reply, which `leader` has not handled yet, proves that its sender lost entries."""
        is_to_this_leader = leader.role is Role.LEADER and reply.term == leader.current_term
        if not is_to_this_leader:
            return False
        known = self._reached.get(reply.follower_id)
        is_of_this_term = known is not None and known.term == reply.term
        if reply.success:
            if known is None or not is_of_this_term or reply.index > known.index:
                now = leader.leadership.round.number
                self._reached[reply.follower_id] = Reached(reply.term, reply.index, now)
            return False
        log_is_short = reply.conflict_term == 0 and reply.index >= 1  # it says where its log ends
        if known is None or not is_of_this_term or not log_is_short:
            return False
        return reply.round.number > known.round and reply.index <= known.index
