"""Configurations: whose majorities elect a leader and commit entries, and which may follow which.

Dissertation chapter 4. A change of one server goes from one set of members to the next, since any majority of
the one meets any majority of the other (4.1). A greater change goes through a joint configuration, in which a
majority of both sets is asked (4.3). Proved for any number of servers in the model `membership`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

NodeId: TypeAlias = str


@dataclass(frozen=True)
class Membership:
    """The voting members. While it is joint, `old` are those of before, and both majorities count."""

    members: tuple[NodeId, ...]
    old: tuple[NodeId, ...] = ()

    @property
    def is_joint(self) -> bool:
        return bool(self.old)

    @property
    def sets(self) -> tuple[tuple[NodeId, ...], ...]:
        """The sets of which a majority is needed, each."""
        return (self.old, self.members) if self.old else (self.members,)

    @property
    def voters(self) -> tuple[NodeId, ...]:
        """Everybody with a vote, in order."""
        return tuple(sorted({*self.old, *self.members})) if self.old else self.members

    def is_quorum(self, servers: Collection[NodeId]) -> bool:
        return all(len({*part}.intersection(servers)) * 2 > len(part) for part in self.sets)

    def towards(self, members: tuple[NodeId, ...]) -> Membership:
        """R1: the next one on the way to these members. One server more or less is one step; else it is the
        joint configuration, and that leads to its new members."""
        if self.is_joint:
            return Membership(self.members)
        is_one_step = len(set(self.members) ^ set(members)) == 1
        return Membership(members) if is_one_step else Membership(members, old=self.members)

    def __str__(self) -> str:
        return " + ".join(" ".join(part) for part in self.sets)


@dataclass(frozen=True)
class InEffect:
    """A configuration, and the index of the entry that brought it; 0 for the initial one."""

    since: int
    configuration: Membership


History: TypeAlias = tuple[InEffect, ...]


def initial(members: tuple[NodeId, ...]) -> History:
    return (InEffect(0, Membership(members)),)


def up_to(history: History, index: int) -> History:
    """Those of the entries up to an index; the first is from before all entries that are there."""
    first, *later = history
    return (first, *(in_effect for in_effect in later if in_effect.since <= index))
