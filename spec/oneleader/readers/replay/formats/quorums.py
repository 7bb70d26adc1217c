"""quorums: which sets of nodes are quorums in a recording whose members never change."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

from oneleader.errors import UsageError
from oneleader.readers.replay.formats.values import are_words

MOST_LISTED = 7  # nodes whose majorities are listed: 35
Quorum = frozenset[str]


class Quorums:
    """The constant `member` where quorums are sets of nodes; and which sets are quorums."""

    def __init__(self, nodes: tuple[str, ...], listed: Any) -> None:
        self.nodes, self.listed = nodes, None
        if listed != "majority":
            if not isinstance(listed, list) or not all(q and are_words(q) for q in listed) or not listed:
                raise UsageError('`quorums` is neither "majority" nor a list of lists of nodes, none empty')
            self.listed = [frozenset(q) for q in listed]
            unknown = sorted(frozenset().union(*self.listed) - set(nodes))
            if unknown:
                raise UsageError(f"`quorums` names {unknown[0]}, which is not one of the `nodes`")

    def __contains__(self, index: Any) -> bool:
        voter, quorum = index
        return voter in quorum

    def smallest(self) -> Iterable[Quorum]:
        """The quorums that properties are judged for; none where majorities are too many to list."""
        if self.listed is not None:
            return self.listed
        few = len(self.nodes) <= MOST_LISTED
        return map(frozenset, combinations(self.nodes, len(self.nodes) // 2 + 1)) if few else ()

    def completed(self, votes: Quorum) -> Quorum:
        """The votes themselves if they are a quorum, else with nodes added until they are one."""
        if self.listed:
            return votes if any(q <= votes for q in self.listed) else votes | self.listed[0]
        missing = [n for n in self.nodes if n not in votes]
        return votes | frozenset(missing[: max(0, len(self.nodes) // 2 + 1 - len(votes))])

    def within(self, nodes: Quorum, configuration: int) -> Quorum:
        """A quorum of these nodes; one with others if they are none: the model says who is missing."""
        return next((q for q in self.smallest() if q <= nodes), None) or self.completed(nodes)
