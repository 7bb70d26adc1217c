"""clusters: what is the same of a cluster of named servers and of any cluster, and what is not.

The coupling says what it says once, by these: of each server, of each index of a log, of who is in a set, of
a majority. In a `Named` cluster servers have names and logs are as long as they are: nothing is quantified
but numbers. In `AnyCluster` servers are those of a sort, of which the members are some; logs have any length.

Of majorities `AnyCluster` assumes what is true of those of every set, and what numbers cannot say:

- a set that holds all of a majority is one;
- any two share a server (the models' axiom, where they need it);
- of two members and more, every majority has one beside this server.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import z3

from oneleader.conformance.handlers.paths import CodePath, Name, Number, Truth, term_of
from oneleader.conformance.handlers.symbolic import (
    AnyPath,
    Followers,
    Group,
    ServerName,
    Servers,
    entries_of,
    no_servers,
)
from oneleader.errors import Inexpressible
from oneleader.language.fields import Field
from oneleader.language.sorts import AnySort, OptionSort
from oneleader.models.election import Node as NodeSort
from oneleader.models.election import Quorum, Term
from oneleader.models.lease import Round as RoundSort
from oneleader.models.replication import Value
from oneleader.readers.prove.smt import AnySize
from oneleader_raft.configuration import initial
from oneleader_raft.raft import NO_SNAPSHOT, Entry, Node, Role, Snapshot
from oneleader_raft.views import View

Fact: TypeAlias = tuple[str, Any]  # its name, and what it says
Body: TypeAlias = Callable[..., Any]
OF_LOGS = (  # which the coupling says itself
    "log_length",
    "log_term",
    "log_value",
    "log_config",
    "log_since",
    "snapshot_index",
)


class AnyOrNamed(AnySize, ABC):
    """Numbers and times of any size. Rounds have numbers."""

    has_changes = False  # of its members

    def __init__(self) -> None:
        super().__init__()
        self.is_given = False  # what is said is assumed, else it is to be proved
        self.some_round, self.some_term = z3.Ints("some_round some_term", self.context)

    def _make(self, sort: AnySort) -> Any:
        return z3.IntSort(self.context) if sort is RoundSort else super()._make(sort)

    def integer(self, x: Any) -> Any:
        x = term_of(x)
        return z3.IntVal(x, self.context) if isinstance(x, int) else x

    def truth(self, x: Any) -> Any:
        x = term_of(x)
        return z3.BoolVal(x, self.context) if isinstance(x, bool) else x

    def optional(self, server: Any) -> Any:
        """A server or none, as an option."""
        option = self.sort(OptionSort(NodeSort))
        if server is None:
            return option.nil
        is_option = isinstance(server, Name) and server.term.sort() == option
        return server.term if is_option else option.some(self.node(server))

    def clock(self, server: Any) -> Any:
        return z3.Function("clock of", self.sort(NodeSort), z3.RealSort(self.context))(server)

    def function(self, name: str, fields: Mapping[str, Field]) -> Body:
        """A constant of a model, which no step changes."""
        return self._function(fields[name])

    def value(self, text: str) -> Any:
        return z3.Const(text, self.sort(Value))

    def value_of(self, command: Any) -> Any:
        return command.term if isinstance(command, Name) else self.value(str(command))

    def logged(self, sort: AnySort, value: Any) -> Any:
        """What a log of the model has for an entry with this value."""
        return self.sort(sort).some(value)

    def same_command(self, a: Any, b: Any) -> Any:
        return self.value_of(a) == self.value_of(b)

    # -- of the members, where they change ---------------------------------------------------------
    def configuration(self, path: Any, x: Any) -> Any:
        """The model's number of a configuration."""
        raise Inexpressible("a configuration, where the members stay")

    def as_of_snapshot(self, snapshot: Snapshot) -> tuple[Any, Any]:
        """Since when its configuration is in effect, and the model's number of that; without a snapshot, of
        the initial one."""
        raise Inexpressible("the configuration of a snapshot, where the members stay")

    def in_effect(self, path: Any, node: Node, configs: Body, since: Body) -> Iterator[Fact]:
        """As of each index of a log: these are the configuration in effect, and since when."""
        yield from ()

    def brought(
        self, path: Any, entries: Any, before: Any, configs: Body, since: Body, *triggers: Body
    ) -> Iterator[Any]:
        """As of the index of each entry the configuration in effect is the one that it brings, or the one as
        of the entry before."""
        yield from ()

    def of_history(self, node: Node) -> Iterator[Fact]:
        """The configurations that a server knows are those in its log."""
        yield from ()

    # -- what the coupling says things by; the terms at which Z3 is to use it are its triggers -----
    @abstractmethod
    def shown(self, view: View, node: Node, now: Any) -> dict[str, Any]:
        """What the view shows of a server; but for its log."""

    @abstractmethod
    def node(self, server: Any) -> Any:
        """The server's term."""

    @abstractmethod
    def each_server(self, body: Body, *triggers: Body) -> Iterator[Any]:
        """body(server) of each."""

    @abstractmethod
    def some_server(self, body: Body) -> Any:
        """body(server) of one."""

    @abstractmethod
    def each_follower(self, node: Node, body: Body, *triggers: Body) -> Iterator[Any]:
        """body(server, progress) of each of a leader's."""

    @abstractmethod
    def every_follower(self, node: Node, body: Body) -> Iterator[Any]:
        """The same, where it stands within a formula."""

    @abstractmethod
    def each_entry(self, entries: Any, before: Any, body: Body, *triggers: Body) -> Iterator[Any]:
        """body(index, term, value) of each, the first of which stands after the index `before`."""

    @abstractmethod
    def each_index(self, entries: Any, before: Any, body: Body, *triggers: Body) -> Iterator[Any]:
        """body(index) of each index of a log, and of the index before its first."""

    @abstractmethod
    def everywhere(self, *fields: Body) -> Iterator[Any]:
        """Each of these, of a server or a term and an index, is as it was at first, for every one of them."""

    @abstractmethod
    def length(self, entries: Any) -> Any:
        """How many entries."""

    @abstractmethod
    def has(self, servers: Any) -> Callable[[Any], Any]:
        """Who is in it."""

    @abstractmethod
    def is_empty(self, servers: Any) -> Any: ...

    @abstractmethod
    def is_majority(self, servers: Any, node: Node) -> Any:
        """By the configuration that the server has."""

    def is_majority_of_all(self, servers: Any) -> Any:
        """Where the members stay."""
        raise Inexpressible("a majority of servers that are not all members")

    def elects(self, node: Node) -> Any:
        """A leader has the votes that make one, and a candidate has not."""
        return self.is_majority(node.votes, node) == self.truth(node.role is Role.LEADER)

    @abstractmethod
    def is_peer(self, server: Any, node: Node) -> Any:
        """Of the server whose handler runs."""

    @abstractmethod
    def has_all_peers(self, node: Node) -> Any:
        """A leader knows something of each of its peers, and of nobody else."""

    @abstractmethod
    def well_formed_sets(self, node: Node) -> Iterator[Fact]:
        """What is true of its votes and pre-votes, because they are sets of members."""

    @abstractmethod
    def some_quorum(self, node: Node, body: Body) -> Any:
        """body(quorum) of one."""

    @abstractmethod
    def quorum(self, path: Any, number: int, servers: Any) -> tuple[Any, list[Any], list[Fact]]:
        """The `number`th on a path, what is known of it, and what has to be proved for it to be one."""


class AnyCluster(AnyOrNamed):
    """Any number of servers, of which two and more are members; or this one alone.

    me           the server whose handler runs, a member
    peer         another member, whichever it is
    sender       of the message: another server, a member or not
    target       whom a leader has asked to take over, a member
    new_target   whom it is asked to hand over to, any server
    """

    SERVERS = ("me", "peer", "sender", "target", "new_target")

    def __init__(self, alone: bool = False) -> None:
        super().__init__()
        self.alone = alone
        self.path: Any = None  # the one that is looked at
        self.advance: Any = None  # how far clocks have gone since the state that is spoken of
        self.nodes, self.option = self.sort(NodeSort), self.sort(OptionSort(NodeSort))
        self.quorums = self.sort(Quorum)
        self.one_of = z3.Function("one of", self.quorums, self.nodes)  # every majority has one
        self.sets = z3.ArraySort(self.nodes, z3.BoolSort(self.context))
        self.me, self.peer, self.sender, self.target, self.new_target = (
            z3.Const(name, self.nodes) for name in self.SERVERS
        )
        self.members = z3.Const("members", self.sets)
        self.total = z3.Int("how many members", self.context)
        self.member = z3.Function("member", self.nodes, self.sort(Quorum), z3.BoolSort(self.context))

    def clock(self, server: Any) -> Any:
        before = super().clock(server)
        return before if self.advance is None else before + self.advance(server)

    def is_member(self, server: Any) -> Any:
        return z3.Select(self.members, server)

    def assumed(self, path: AnyPath) -> None:
        """What is known of it on every path."""
        self.path = path
        path.assume(self.is_member(self.me), self.sender != self.me)
        if self.alone:
            path.assume(self.total == 1)
            path.know(self.each(lambda v: self.is_member(v) == (v == self.me), self.is_member))
            return
        path.assume(self.is_member(self.peer), self.peer != self.me, self.total >= 2)
        another = z3.Function("another of", self.sort(Quorum), self.nodes)
        q = z3.Const("any quorum", self.sort(Quorum))
        path.know(z3.ForAll([q], z3.And(another(q) != self.me, self.member(another(q), q))))

    def some_of(self, path: AnyPath, group: Group) -> tuple[Any, ...]:
        """One of the peers, whichever it is; none of a server alone."""
        return () if self.alone else (self.name(path, self.peer),)

    # -- what the contracts of the core's loops say (`loops`) ----------------------------------------
    def peers_of(self, path: AnyPath, node: Node) -> Group:
        return self.peers_of_me(path)

    def peers_of_me(self, path: AnyPath) -> Group:
        return Group(path, lambda v: z3.And(v != self.me, self.is_member(v)))

    def is_voter(self, node: Node, server: Any) -> Any:
        """By the configuration that the server `node` has."""
        return self.is_member(server)

    def has_quorum(self, path: AnyPath, node: Node, servers: Servers) -> Any:
        return Number(path, 2 * servers.number) > Number(path, self.total)

    def known_quorum(self, path: AnyPath, node: Node, quorum: Any, reached: Body) -> None:
        """This is one, and `reached` is true of each of its servers."""
        v = z3.Const("v", self.nodes)
        all_reach = z3.Implies(self.member(v, quorum), reached(v))
        path.know(z3.ForAll([v], all_reach, patterns=[self.member(v, quorum)]))
        of_members = z3.Implies(self.member(v, quorum), self.is_member(v))
        path.know(z3.ForAll([v], of_members, patterns=[self.member(v, quorum)]))
        path.know(self.member(self.one_of(quorum), quorum))
        path.quorums.append((quorum, None))

    def all_are_followed(self, node: Node) -> list[Fact]:
        """A leader knows something of each of its peers."""
        return []

    def history_of(self, path: AnyPath, kept: Any, entries: Any) -> Any:
        """The configurations that entries after an index bring: none, where the members stay."""
        return ()

    def known_classes(self, path: AnyPath) -> dict[str, type]:
        """Those that stand in the place of the core's."""
        return {}

    def without(self, path: AnyPath, servers: Servers, one: Any, left: Servers) -> None:
        """These are left of the servers."""

    def differ_in(self, one: Servers, other: Servers) -> Any:
        """How many servers are in one of the two sets."""
        raise Inexpressible("configurations, where the members stay")

    def name(self, path: AnyPath, term: Any) -> Any:
        return ServerName(path, term)

    def command(self, path: CodePath, term: Any) -> Name:
        return Name(path, term, lambda other: self.value(str(other)))

    def columns(self, entry: Entry) -> tuple[Any, ...]:
        """What a log has for an entry: its term and its value."""
        return self.integer(entry.term), self.value_of(entry.command)

    def entry(self, path: AnyPath, columns: Sequence[Any]) -> Entry:
        term, value = columns
        return Entry(Number(path, term), self.command(path, value))  # type: ignore[arg-type]

    def each(self, body: Body, *triggers: Body) -> Any:
        v = self._variable(NodeSort)
        return self._all(v, body(v), triggers)

    def _all(self, variable: Any, body: Any, triggers: Sequence[Body]) -> Any:
        """The terms at which Z3 is to make use of it are named where it is assumed."""
        patterns = [trigger(variable) for trigger in triggers] if self.is_given else []
        return z3.ForAll([variable], body, patterns=patterns)

    # -- what the coupling says things by -----------------------------------------------------------
    def shown(self, view: View, node: Node, now: Any) -> dict[str, Any]:
        """What the view shows of the server without its log and its sets, and these sets as they are."""
        plain: Any = replace(node, log=(), snapshot=NO_SNAPSHOT, history=initial(()))
        plain = replace(plain, votes=frozenset(), pre_votes=frozenset())
        shown = {name: value for name, value in view.state(plain, now).items() if name not in OF_LOGS}
        shown["votes"] = self._set(node.votes)
        if "pre_votes" in shown:
            shown["pre_votes"] = self._set(node.pre_votes)
            shown["asking"] = Truth(self.path, self.has(node.pre_votes)(self.me))
        return shown

    def node(self, server: Any) -> Any:
        return server.term

    def each_server(self, body: Body, *triggers: Body) -> Iterator[Any]:
        yield self.each(body, *triggers)

    def some_server(self, body: Body) -> Any:
        v = self._variable(NodeSort)
        return z3.Exists([v], body(v))

    def each_follower(self, node: Node, body: Body, *triggers: Body) -> Iterator[Any]:
        followers: Any = node.leadership.progress
        if not isinstance(followers, Followers):
            yield self.truth(False)
            return

        def of_peer(v: Any) -> Any:
            return z3.Implies(followers.servers.holds(v), body(v, followers.at(v)))

        if self.is_given:
            known = [
                lambda v: term_of(followers.at(v).match_index),
                lambda v: term_of(followers.at(v).acknowledged.number),
            ]
            yield self.each(of_peer, *triggers, *known)
        else:
            yield of_peer(self.peer)

    def every_follower(self, node: Node, body: Body) -> Iterator[Any]:
        followers: Any = node.leadership.progress
        yield self.each(lambda v: z3.Implies(followers.servers.holds(v), body(v, followers.at(v))))

    def each_entry(self, entries: Any, before: Any, body: Body, *triggers: Body) -> Iterator[Any]:
        before = self.integer(before)
        length, (term, value, *_) = self.columns_after(entries, before)
        i = self._variable(RoundSort)
        inside = z3.And(before < i, i <= before + length)
        said = z3.Implies(inside, body(i, term(i), value(i)))
        yield self._all(i, said, [*triggers, term, value])

    def columns_after(self, entries: Any, before: Any) -> tuple[Any, list[Body]]:
        """Its length, and its columns by an index that begins after `before`."""
        found = entries_of(self.path, entries)
        if found.offset.eq(before):
            return found.length, [*found.columns]

        def shifted(of: Body) -> Body:
            return lambda i: of(z3.simplify(found.offset + i - before))

        return found.length, [*map(shifted, found.columns)]

    def each_index(self, entries: Any, before: Any, body: Body, *triggers: Body) -> Iterator[Any]:
        before, i = self.integer(before), self._variable(RoundSort)
        inside = z3.And(i >= before, i <= before + self.length(entries))
        yield self._all(i, z3.Implies(inside, body(i)), triggers)

    def everywhere(self, *fields: Body) -> Iterator[Any]:
        for f, sort in zip(fields, (NodeSort, Term), strict=True):
            v, i = self._variable(sort), self._variable(RoundSort)
            patterns = [f(v, i)] if self.is_given else []
            yield z3.ForAll([v, i], f(v, i) == 0, patterns=patterns)

    def length(self, entries: Any) -> Any:
        return entries_of(self.path, entries).length

    def has(self, servers: Any) -> Callable[[Any], Any]:
        if isinstance(servers, Servers):
            return servers.holds
        return lambda server: self.either(*(server == other.term for other in servers))

    def _set(self, servers: Any) -> Servers:
        """The same, where it may be a set of Python's."""
        return servers if isinstance(servers, Servers) else no_servers(self.path) | servers

    def is_empty(self, servers: Any) -> Any:
        return self._set(servers).number == 0

    def is_majority(self, servers: Any, node: Node) -> Any:
        return self.is_majority_of_all(servers)

    def is_majority_of_all(self, servers: Any) -> Any:
        return 2 * self._set(servers).number > self.total

    def is_peer(self, server: Any, node: Node) -> Any:
        return z3.And(server.term != self.me, self.is_member(server.term))

    def has_all_peers(self, node: Node) -> Any:
        return self.truth(isinstance(node.leadership.progress, Followers))

    def well_formed_sets(self, node: Node) -> Iterator[Fact]:
        """Votes and pre-votes are those of members."""
        for servers in (node.votes, node.pre_votes):
            found = self._set(servers)
            yield "sizes", z3.And(found.number >= 0, found.number <= self.total)
            yield "sizes", z3.Implies(found.holds(self.me), found.number >= 1)
            if not z3.is_K(found.has):
                yield "votes of members", self._of_members(found)

    def some_quorum(self, node: Node, body: Body) -> Any:
        q = self._variable(Quorum)
        return z3.Exists([q], body(q))

    def quorum(self, path: Any, number: int, servers: Servers) -> tuple[Any, list[Any], list[Fact]]:
        q = z3.Const(f"quorum {number}", self.sort(Quorum))
        is_majority, v = self.is_majority_of_all(servers), self._variable(NodeSort)
        same = z3.ForAll([v], self.member(v, q) == servers.holds(v), patterns=[self.member(v, q)])
        known = [z3.Implies(is_majority, same)]
        for other, _ in path.quorums:
            holds_all = self.each(lambda v, p=other: z3.Implies(self.member(v, p), servers.holds(v)))
            known.append(z3.Implies(holds_all, is_majority))
        of_members = self._of_members(servers)
        return q, known, [("a quorum is a majority", is_majority), ("a quorum is of members", of_members)]

    def _of_members(self, servers: Servers) -> Any:
        return self.each(lambda v: z3.Implies(servers.holds(v), self.is_member(v)), servers.holds)
