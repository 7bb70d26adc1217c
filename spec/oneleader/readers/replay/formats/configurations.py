"""Configurations of a recording in which members change: numbered as they appear, written as their members.

    [["n1", "n2", "n3"]]            a majority of these
    [["n1", "n2"], ["n1", "n3"]]    joint: a majority of the first, which were there before, and of the second

What is a quorum of which, and which may follow which, is `language.members`, as for the explorer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from oneleader.errors import UsageError
from oneleader.language.members import Members
from oneleader.readers.replay.formats.values import are_parts
from oneleader.words import quoted

Quorum = frozenset[str]


class Configurations:
    """The constants `member`, `quorum_of` and `adjacent`. Any set of nodes is a name for a quorum here, and
    whether it is one depends on the configuration."""

    def __init__(self, nodes: tuple[str, ...], initial: Any) -> None:
        self.nodes = nodes
        self.known: list[Members] = []
        self.number(initial)
        self.quorum_of, self.adjacent = QuorumOf(self.known), Adjacent(self.known)

    def __contains__(self, index: Any) -> bool:
        voter, quorum = index
        return voter in quorum

    def smallest(self) -> Iterable[Quorum]:
        """One quorum with everybody who votes, of each configuration so far: enough to tell who does."""
        return [frozenset().union(*members.sets) for members in self.known]

    def completed(self, votes: Quorum) -> Quorum:
        """The votes: the model judges by the configuration whether they are enough."""
        return votes

    def within(self, nodes: Quorum, configuration: int) -> Quorum:
        """Those of the nodes who are members: whether they are a quorum, the model says."""
        return nodes & frozenset().union(*self.known[configuration].sets)

    def number(self, written: Any) -> int:
        """Which one it is; a new one is known from now on."""
        if not are_parts(written):
            raise UsageError(f"{quoted(written)} is no configuration: a list of one list of nodes, or of two")
        unknown = [node for part in written for node in part if node not in self.nodes]
        if unknown:
            raise UsageError(f"{quoted(unknown[0])} is a member, but not one of the `nodes`")
        return self.number_of(Members(tuple(map(frozenset, written))))

    def number_of(self, members: Members) -> int:
        """The same of one that is known by its members."""
        if members not in self.known:
            self.known.append(members)
        return self.known.index(members)


class QuorumOf:
    """Whether a set of nodes holds a majority of each set of a configuration, and nobody but its members."""

    def __init__(self, known: list[Members]) -> None:
        self.known = known

    def __contains__(self, index: Any) -> bool:
        quorum, number = index
        if number >= len(self.known):
            return False
        sets = self.known[number].sets
        return quorum <= frozenset().union(*sets) and all(len(quorum & part) * 2 > len(part) for part in sets)


class Adjacent:
    """R1: from the first the leader may go to the second."""

    def __init__(self, known: list[Members]) -> None:
        self.known = known

    def __contains__(self, index: Any) -> bool:
        one, other = index
        return bool(max(index) < len(self.known) and self.known[one].may_become(self.known[other]))
