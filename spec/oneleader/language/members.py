"""Configurations of a cluster whose members change: the quorums of each, and which may follow which.

    n1 n2 n3, n1 n2, n1            three configurations, the first one initial: majorities are quorums
    n1 n2 n3, n1 n2 n3 + n1, n1    joint consensus: a majority of both sets, on the way from one to the other

From a set to one with one server more or less; from a set to a joint configuration that has it, and from
that to either of its sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations, product
from typing import Any

from oneleader.errors import UsageError

Servers = frozenset[Any]  # by number, or by name


@dataclass(frozen=True)
class Members:
    """One configuration: one set of voting members, or two while they are joint."""

    sets: tuple[Servers, ...]

    @property
    def quorums(self) -> list[Servers]:
        """The smallest sets that hold a majority of each set."""
        every = {reduce(Servers.union, chosen) for chosen in product(*map(_majorities, self.sets))}
        return sorted(every, key=lambda q: (len(q), sorted(q)))

    def may_become(self, other: Members) -> bool:
        """R1 (dissertation 4.1 and 4.3): one server more or less; into a joint one, and out of it.

        Out of it to either set: the dissertation goes forward alone, and going back is as safe.
        """
        if len(self.sets) == len(other.sets) == 1:
            return len(self.sets[0] ^ other.sets[0]) == 1
        return len(self.sets) != len(other.sets) and not {*self.sets}.isdisjoint(other.sets)


@dataclass(frozen=True)
class System:
    """All configurations of a run, as the tables of constants."""

    quorums: tuple[Servers, ...]
    member: frozenset[tuple[int, ...]]
    quorum_of: frozenset[tuple[int, ...]]
    adjacent: frozenset[tuple[int, ...]]


def system(configurations: Sequence[Members]) -> System:
    """Quorums are listed once each; `quorum_of` says of which configurations."""
    quorums = list(dict.fromkeys(q for c in configurations for q in c.quorums))
    numbered = list(enumerate(configurations))
    return System(
        tuple(quorums),
        member=frozenset((n, k) for k, q in enumerate(quorums) for n in q),
        quorum_of=frozenset((quorums.index(q), k) for k, c in numbered for q in c.quorums),
        adjacent=frozenset((i, j) for i, c in numbered for j, d in numbered if i != j and c.may_become(d)),
    )


def nested(nodes: int, configurations: int) -> list[Members]:
    """All servers, and then one fewer each time."""
    if configurations > nodes:
        raise UsageError(
            f"{configurations} configurations of {nodes} nodes, each of one fewer, are too many: list them"
        )
    return [Members((frozenset(range(nodes - k)),)) for k in range(configurations)]


def listed(names: Sequence[str], text: str) -> list[Members]:
    """What the text lists, in its order."""
    return [Members(tuple(_servers(names, half) for half in part.split("+"))) for part in text.split(",")]


def _servers(names: Sequence[str], text: str) -> Servers:
    chosen = text.split()
    unknown = [name for name in chosen if name not in names]
    if unknown or not chosen:
        raise UsageError(
            f"{text.strip()!r} is no set of {', '.join(names)}: write configurations as 'n1 n2 n3, n1 n2', "
            f"joint ones as 'n1 n2 + n1 n3'"
        )
    return frozenset(map(names.index, chosen))


def _majorities(servers: Servers) -> list[Servers]:
    return [frozenset(q) for q in combinations(sorted(servers), len(servers) // 2 + 1)]
