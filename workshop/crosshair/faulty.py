"""The same contract on a faulty core: `make crosshair` demands that CrossHair finds a counterexample here."""

from __future__ import annotations

from contracts import voter  # type: ignore[import-not-found]

from oneleader_raft import raft
from oneleader_raft.raft import Node, RequestPreVote, RequestVote, on_request_vote


def shorter_log_wins(node: Node, m: RequestPreVote | RequestVote) -> bool:
    """liferaft#8: a vote is denied only to a log that is both older and shorter."""
    return m.last_log_term >= node.last_term or m.last_log_index >= node.last_index


raft.is_up_to_date = shorter_log_wins


def only_up_to_date_logs(term: int, log: list[int], last: int, at: int) -> bool:
    """
    pre: 0 < term and len(log) <= 2 and all(0 < t <= term for t in log) and 0 <= last <= term and 0 <= at
    post: __return__
    """
    before = voter(term, None, log, -1000)
    granted = on_request_vote(before, RequestVote(term, "n2", at, last), 0).node.voted_for == "n2"
    own = log[-1] if log else 0
    return not granted or last > own or (last == own and at >= len(log))
