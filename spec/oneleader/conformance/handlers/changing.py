"""changing: named servers of which some are members, and a server with any configurations in its log.

A configuration in a log is a number for the model, and for the core it is each possible one, on a path of its
own, from the moment that the core asks who is in it (`Later`). A handler that only passes it on never asks.

Which servers are a quorum, and which configurations are adjacent, is counted here, and not asked of the core:
two are, if each quorum of the one shares a server with each quorum of the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import combinations, product
from typing import Any, TypeAlias

import z3

from oneleader.conformance.handlers.clusters import Body, Fact
from oneleader.conformance.handlers.named import Named
from oneleader.conformance.handlers.paths import CodePath, Name, Number
from oneleader.conformance.handlers.servers import Unknown
from oneleader.language.sorts import AnySort
from oneleader.models.election import Quorum
from oneleader_raft.configuration import InEffect, Membership, initial
from oneleader_raft.raft import NIL, AppendReply, Entry, Leadership, Message, Node, NodeId, Role
from oneleader_raft.views import View

Sets: TypeAlias = tuple[tuple[NodeId, ...], ...]


def is_quorum(sets: Sets, servers: Collection[NodeId]) -> bool:
    """Dissertation 4.3: a majority of each set, and nobody else."""
    voters = {id for part in sets for id in part}
    return voters.issuperset(servers) and all(len({*part} & {*servers}) * 2 > len(part) for part in sets)


class ChangingPath(CodePath):
    """A path, and which configuration each number stands for, as far as somebody has asked."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.configurations: list[tuple[Any, Sets]] = []

    def learn(self, number: Any, sets: Sets) -> None:
        """Each configuration has one number."""
        self.assume(*((number == other) == (sets == known) for other, known in self.configurations))
        self.configurations.append((number, sets))


class Later(Membership):
    """A configuration with a number; who is in it is decided when somebody asks."""

    path: ChangingPath
    number: Any
    options: list[Membership]

    def __init__(self, path: ChangingPath, number: Any, options: list[Membership]) -> None:
        for name, value in (("path", path), ("number", number), ("options", options)):
            object.__setattr__(self, name, value)

    def _decided(self) -> Membership:
        return self.path.once(self, self._decide)

    def _decide(self) -> Membership:
        found = self.path.choose(self.options)
        self.path.learn(self.number, found.sets)
        return found

    @property
    def members(self) -> tuple[NodeId, ...]:
        return self._decided().members

    @property
    def old(self) -> tuple[NodeId, ...]:
        return self._decided().old

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Membership) and self.sets == other.sets)

    __hash__ = None  # type: ignore[assignment]


class Command(Name):
    """A command of a client: no configuration is one."""

    def __eq__(self, other: object) -> Any:
        return False if isinstance(other, Membership) else super().__eq__(other)

    __hash__ = None


class Changing(Named):
    """A cluster of named servers, some of them members, by the configuration in effect."""

    has_changes = True

    def __init__(self, names: tuple[NodeId, ...]) -> None:
        super().__init__(names)
        sizes = range(1, len(names) + 1)
        self.quorums = [some for size in sizes for some in combinations(names, size)]
        self.single = [Membership(some) for some in self.quorums]
        joint = [Membership(new, old) for old, new in product(self.quorums, repeat=2) if old != new]
        self.every = self.single + joint

    # -- configurations ------------------------------------------------------------------------------
    def configuration(self, path: Any, x: Membership | Sets) -> Any:
        """Its number: one that has none yet gets one."""
        if isinstance(x, Later):
            return x.number
        sets = x.sets if isinstance(x, Membership) else x
        found = next((number for number, known in path.configurations if known == sets), None)
        if found is None:
            found = z3.Int(f"configuration {len(path.configurations)}", self.context)
            path.configurations.append((found, sets))
        return found

    def counted(self, path: Any, state: Any) -> Iterator[Any]:
        """What is true of the configurations that a path knows: their quorums, and which are adjacent."""
        for number, sets in path.configurations:
            for servers, q in zip(self.quorums, self.elements(Quorum), strict=True):
                yield state["quorum_of"](q, number) == self.truth(is_quorum(sets, servers))
        for (a, one), (b, other) in product(path.configurations, repeat=2):
            if one != other:
                yield a != b
                yield state["adjacent"](a, b) == self.truth(self.meet(one, other))

    def meet(self, one: Sets, other: Sets) -> bool:
        """Each quorum of the one shares a server with each of the other."""
        of_one, of_other = ([q for q in self.quorums if is_quorum(sets, q)] for sets in (one, other))
        return all({*p} & {*q} for p, q in product(of_one, of_other))

    def in_effect(self, path: Any, node: Node, configs: Body, since: Body) -> Iterator[Fact]:
        for i in range(len(node.log) + 1):
            *_, found = (in_effect for in_effect in node.history if in_effect.since <= i)
            yield "log_config", configs(i) == self.configuration(path, found.configuration)
            yield "log_since", since(i) == found.since

    def brought(
        self, path: Any, entries: Any, before: Any, configs: Body, since: Body, *triggers: Body
    ) -> Iterator[Any]:
        for k, entry in enumerate(entries, 1):
            i, command = self.integer(before + k), entry.command
            is_change = isinstance(command, Membership)
            new = (self.configuration(path, command), i) if is_change else (configs(i - 1), since(i - 1))
            yield z3.And(configs(i) == new[0], since(i) == new[1])

    # -- what the coupling says things by --------------------------------------------------------------
    def shown(self, view: View, node: Node, now: Any) -> dict[str, Any]:
        return super().shown(view, replace(node, log=(), history=initial(())), now)

    def each_entry(self, entries: Any, before: Any, body: Body, *triggers: Body) -> Iterator[Any]:
        """An entry that brings a configuration has no value."""
        for k, entry in enumerate(entries, 1):
            value = None if isinstance(entry.command, Membership) else self.value_of(entry.command)
            yield body(self.integer(before + k), self.integer(entry.term), value)

    def logged(self, sort: AnySort, value: Any) -> Any:
        return self.sort(sort).nil if value is None else super().logged(sort, value)

    def same_command(self, a: Any, b: Any) -> Any:
        if isinstance(a, Membership) or isinstance(b, Membership):
            return self.truth(a is b or (not isinstance(a, Later) and not isinstance(b, Later) and a == b))
        return super().same_command(a, b)

    def is_majority(self, servers: Any, node: Node) -> Any:
        return self.truth(is_quorum(node.configuration.sets, {*servers} & {*node.members}))

    def elects(self, node: Node) -> Any:
        """A leader was elected by an older configuration perhaps."""
        if node.role is Role.LEADER:
            return self.truth(True)
        return self.truth(_of_members(node, node.votes)) & self.no(self.is_majority(node.votes, node))

    def is_peer(self, server: Any, node: Node) -> Any:
        return self.truth(server in node.peers)

    def has_all_peers(self, node: Node) -> Any:
        return self.truth({*node.leadership.progress} == {*node.peers, *_joining(node)})

    def well_formed_sets(self, node: Node) -> Iterator[Fact]:
        yield "pre-votes of members", self.truth(not node.pre_votes or _of_members(node, node.pre_votes))
        if node.role is not Role.LEADER:
            return
        wanted, is_committed = (
            node.leadership.wanted,
            self.integer(node.since) <= self.integer(node.commit_index),
        )
        if wanted is not NIL:
            is_change = bool(wanted) and wanted != node.members and not node.configuration.is_joint
            yield "a change that is wanted", self.both(self.truth(is_change), is_committed)


def _of_members(node: Node, servers: Collection[NodeId]) -> bool:
    """Members all, or the server itself."""
    return {*servers} <= {node.id, *node.members}


def _joining(node: Node) -> tuple[NodeId, ...]:
    wanted = node.leadership.wanted or ()
    return tuple(id for id in wanted if id not in node.members and id != node.id)


class UnknownMembers(Unknown):
    """Servers and messages, with any configurations in their logs, on one path."""

    path: ChangingPath
    cluster: Changing

    def log(self, name: str, most: int) -> tuple[Entry, ...]:
        return tuple(self._entry(f"{name} {i}", entry) for i, entry in enumerate(super().log(name, most), 1))

    def command(self, name: str) -> Any:
        made = super().command(name)
        return Command(made.path, made.term, made.lift)

    def _entry(self, name: str, entry: Entry) -> Entry:
        brings = self.path.choose([False, True])
        number = z3.Int(f"{name} configuration", self.path.context)
        later: Any = Later(self.path, number, self.cluster.every)
        return replace(entry, command=later) if brings else entry

    def message(self, kind: type) -> Message:
        """What a reply speaks of ends where logs end: a follower may be all of a majority here."""
        made = super().message(kind)
        if isinstance(made, AppendReply):
            self.path.assume(made.index <= self.scope.log)
        return made

    def wanted(self) -> tuple[NodeId, ...]:
        return self.path.choose([(), *self.cluster.quorums])

    def node(self, now: Number) -> Node:
        """Any well-formed server."""
        path, (me, *others) = self.path, self.cluster.names
        first = Later(path, z3.IntVal(0, path.context), self.cluster.single)
        role = path.choose([Role.FOLLOWER, Role.CANDIDATE, Role.LEADER])
        log = self.log("log", self.scope.log)
        brought = enumerate((entry.command for entry in log), 1)
        changes = (InEffect(i, made) for i, made in brought if isinstance(made, Membership))
        node = Node(
            me,
            (InEffect(0, first), *changes),
            self.clocks(),
            current_term=path.number("current term"),
            voted_for=self.vote() if role is Role.FOLLOWER else me,
            log=log,
            role=role,
            commit_index=path.number("commit index"),
            promised_at=path.number("promised at", None),
        )
        some = [frozenset((me, *few)) for k in range(len(others) + 1) for few in combinations(others, k)]
        if role is Role.LEADER:
            node = replace(node, votes=path.choose(some), leader_id=me)
            node = replace(node, leadership=self.led(node))
        elif role is Role.CANDIDATE:
            node = replace(node, votes=path.choose(some))
        elif path.choose([False, True]):
            node = replace(node, pre_votes=path.choose(some))
        else:
            node = replace(node, leader_id=path.choose([NIL, *others]))
        self.assume_well_formed(node, now)
        return node

    def led(self, node: Node) -> Leadership:
        """What a leader knows: of the members, and of those that are to join."""
        wanted = self.path.choose([NIL, *self.cluster.quorums])
        node = replace(node, leadership=replace(node.leadership, wanted=wanted))
        return replace(self.leadership(node.peers, _joining(node)), wanted=wanted)
