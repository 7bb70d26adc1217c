"""members: any number of servers, some of them members, by configurations in logs of any length.

A configuration has a number, as in the model `membership`, and two sets of servers, which functions of that
number say: those that are to be the members, and, while it is joint, the old ones. So the core may run on it:
`is_joint`, `sets` and `towards` are its own code. What is true of every configuration, and what a model's
quorums and adjacent configurations are in terms of its sets, is said once (`_known`):

- a quorum is a set of its voters, and holds a majority of each of its sets: a set of voters that holds a
  quorum is one, and all voters are one;
- adjacent are those whose sets differ by one server, and a joint one and each of the two that it joins. That
  any two quorums of them share a server is the model's axiom, which `readers.prove.counting` proves of this.

Both are facts of sets of any size, and there is no other assumption about numbers of servers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import z3

from oneleader.conformance.handlers.clusters import AnyCluster, Body, Fact
from oneleader.conformance.handlers.histories import Brought, InForce
from oneleader.conformance.handlers.paths import Name, Number, Truth
from oneleader.conformance.handlers.servers import Anything
from oneleader.conformance.handlers.symbolic import (
    AnyPath,
    Column,
    Entries,
    Followers,
    Group,
    Servers,
)
from oneleader.language.sorts import AnySort, OptionSort
from oneleader.models.replication import Value
from oneleader_raft.configuration import InEffect, Membership
from oneleader_raft.raft import NIL, Entry, Leadership, Node, Role, Snapshot


class AnyConfiguration(Membership):
    """One of any servers: a number, and what functions of the number say."""

    path: AnyPath
    number: Any

    def __init__(self, path: AnyPath, number: Any) -> None:
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "number", number)

    @property
    def _cluster(self) -> AnyMembers:
        cluster: Any = self.path.cluster
        return cluster  # type: ignore[no-any-return]

    @property
    def members(self) -> Any:
        return self._cluster.set_of(self.path, self._cluster.new(self.number))

    @property
    def old(self) -> Any:
        return self._cluster.set_of(self.path, self._cluster.old(self.number))

    @property
    def voters(self) -> Any:
        return self._cluster.set_of(self.path, self._cluster.voters(self.number))

    def is_quorum(self, servers: Any) -> Any:
        return Truth(self.path, self._cluster.majority(servers.has, self.number))

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, AnyConfiguration):
            return False
        return Truth(self.path, self.number == other.number)

    __hash__ = None  # type: ignore[assignment]


class AnyEntry(Entry):
    """An entry of a log. Whether it brings a configuration is decided when somebody asks."""

    def __init__(self, path: AnyPath, columns: Sequence[Any]) -> None:
        term, self_value, config = columns
        object.__setattr__(self, "term", Number(path, term))
        object.__setattr__(self, "_asked", (path, self_value, config))

    @property
    def command(self) -> Any:
        path, value, config = self._asked  # type: ignore[attr-defined]
        cluster: Any = path.cluster
        if path.decide(cluster.is_change(value)):
            return cluster.configuration_of(path, config)
        return Name(path, value, cluster.value_of)

    __hash__ = None  # type: ignore[assignment]


class AnyMembers(AnyCluster):
    """Any number of servers; who is a member the configuration in effect says."""

    has_changes = True

    def __init__(self) -> None:
        super().__init__()
        ints, truths, sets, quorums = (
            z3.IntSort(self.context),
            z3.BoolSort(self.context),
            self.sets,
            self.quorums,
        )
        self.new, self.old, self.voters = (
            z3.Function(f"{what} of", ints, sets) for what in ("members", "old members", "voters")
        )
        self.number_of = z3.Function("configuration of", sets, sets, ints)
        self.size = z3.Function("how many", sets, ints)
        self.differ_by = z3.Function("how many are in one of", sets, sets, ints)
        self.majority = z3.Function("holds a majority", sets, ints, truths)
        self.everybody = z3.Function("all voters of", ints, quorums)
        self.quorum_of = z3.Function("quorum_of", quorums, ints, truths)
        self.adjacent = z3.Function("adjacent", ints, ints, truths)
        self.is_alone = z3.Function("is the only voter of", ints, truths)
        self.nobody = z3.K(self.nodes, z3.BoolVal(False, self.context))
        self.option_of_value = self.sort(OptionSort(Value))

    # -- what is true of configurations ----------------------------------------------------------------
    def assumed(self, path: AnyPath) -> None:
        self.path = path
        path.assume(self.sender != self.me, self.size(self.old(0)) == 0)
        for fact in self._known():
            path.know(fact)

    def _known(self) -> Iterator[Any]:
        c, d = (z3.Int(name, self.context) for name in ("some configuration", "another configuration"))
        q, v = z3.Const("some quorum", self.quorums), z3.Const("v", self.nodes)
        new, old, voters, size = self.new, self.old, self.voters, self.size
        is_joint = size(old(c)) > 0

        def of_each(body: Any, *triggers: Any) -> Any:
            return z3.ForAll([c], body, patterns=[*triggers])

        yield of_each(
            z3.And(size(new(c)) > 0, size(voters(c)) > 0, size(old(c)) >= 0), voters(c), new(c), old(c)
        )
        yield of_each(
            z3.Or(is_joint, z3.And(old(c) == self.nobody, voters(c) == new(c))), voters(c), old(c), new(c)
        )
        yield of_each(self.number_of(new(c), old(c)) == c, new(c), old(c))
        votes = z3.Select(voters(c), v)
        either = z3.Or(z3.Select(new(c), v), z3.And(is_joint, z3.Select(old(c), v)))
        yield z3.ForAll([c, v], votes == either, patterns=[votes])
        # Quorums: of voters, and never empty; all voters are one.
        is_quorum, has = self.quorum_of(q, c), self.member(v, q)
        yield z3.ForAll(
            [q, c, v],
            z3.Implies(z3.And(is_quorum, has), votes),
            patterns=[z3.MultiPattern(is_quorum, has)],
        )
        yield z3.ForAll([q, c], z3.Implies(is_quorum, self.member(self.one_of(q), q)), patterns=[is_quorum])
        all_of = self.everybody(c)
        yield z3.ForAll(
            [c, v],
            z3.And(self.quorum_of(all_of, c), self.member(v, all_of) == votes),
            patterns=[votes, z3.Select(new(c), v), z3.Select(old(c), v)],
        )
        # Adjacent: by one server, or to a joint one and from there.
        one_step = z3.And(size(old(c)) == 0, size(old(d)) == 0, self.differ_by(new(c), new(d)) == 1)
        to_joint = z3.And(size(old(c)) == 0, size(old(d)) > 0, old(d) == new(c))
        from_joint = z3.And(size(old(c)) > 0, size(old(d)) == 0, new(d) == new(c))
        is_adjacent = self.adjacent(c, d)
        yield z3.ForAll(
            [c, d], z3.Implies(z3.Or(one_step, to_joint, from_joint), is_adjacent), patterns=[is_adjacent]
        )

    # -- configurations ----------------------------------------------------------------------------------
    def configuration_of(self, path: AnyPath, number: Any) -> AnyConfiguration:
        return AnyConfiguration(path, number)

    def configuration(self, path: Any, x: Any) -> Any:
        """Its number; of its sets, where these are all there is."""
        if isinstance(x, AnyConfiguration):
            return x.number
        *old, new = x
        return self._numbered(path, new, old[0] if old else None)

    def _numbered(self, path: AnyPath, new: Servers, old: Servers | None) -> Any:
        """Of a configuration of these sets, neither of which may be empty."""
        before = old.has if old is not None else self.nobody
        number = self.number_of(new.has, before)
        if number.get_id() in path.numbered:
            return number
        path.numbered[number.get_id()] = number
        path.required.append(("somebody is a member", new.number > 0))
        path.assume(self.new(number) == new.has, self.old(number) == before)
        path.assume(self.size(self.old(number)) > 0 if old is not None else self.size(self.old(number)) == 0)
        if old is not None:
            path.required.append(("somebody was a member", old.number > 0))
            path.required.append(("joint of two sets", old.has != new.has))
        return number

    def known_classes(self, path: AnyPath) -> dict[str, type]:
        """`Membership` of sets of servers, as the core makes it."""
        cluster = self

        class Made(AnyConfiguration):
            def __init__(self, members: Any, old: Any = ()) -> None:
                before = old if isinstance(old, Servers) else None
                super().__init__(path, cluster._numbered(path, members, before))

        return {"Membership": Made}

    def set_of(self, path: AnyPath, has: Any) -> Servers:
        return Servers(path, has, self.size(has))

    def differ_in(self, one: Servers, other: Servers) -> Any:
        return self.differ_by(one.has, other.has)

    def without(self, path: AnyPath, servers: Servers, one: Any, left: Servers) -> None:
        """Who has no vote makes no majority."""
        c = z3.Int("some configuration", self.context)
        had, has = self.majority(servers.has, c), self.majority(left.has, c)
        votes = z3.Select(self.voters(c), one)
        path.know(z3.ForAll([c], z3.Or(votes, had == has), patterns=[had, has]))

    # -- logs and histories --------------------------------------------------------------------------------
    def is_change(self, value: Any) -> Any:
        return self.option_of_value.is_nil(value)

    def value_of(self, command: Any) -> Any:
        if isinstance(command, Membership):
            return self.option_of_value.nil
        value = super().value_of(command)
        return value if value.sort() == self.option_of_value else self.option_of_value.some(value)

    def logged(self, sort: AnySort, value: Any) -> Any:
        return value

    def columns(self, entry: Entry) -> tuple[Any, ...]:
        """Term, value (none of a configuration), and the configuration that it brings (0 where it has a
        value)."""
        is_change = isinstance(entry.command, AnyConfiguration)
        number = entry.command.number if is_change else self.integer(0)  # type: ignore[attr-defined]
        return *super().columns(entry), number

    def entry(self, path: AnyPath, columns: Sequence[Any]) -> Entry:
        return AnyEntry(path, columns)

    def brings(self, entry: Entry) -> tuple[bool, Any]:
        """Whether an entry brings a configuration, and which."""
        command = entry.command
        return (True, command.number) if isinstance(command, AnyConfiguration) else (False, None)

    def history_of(self, path: AnyPath, kept: Any, entries: Any) -> Any:
        return Brought(path, kept, entries)

    def in_effect(self, path: Any, node: Node, configs: Body, since: Body) -> Iterator[Fact]:
        history: Any = node.history
        if not isinstance(history, InForce):
            yield "log_config", self.truth(False)
            return
        for name, shown, found in (
            ("log_config", configs, history.config),
            ("log_since", since, history.since),
        ):
            for fact in self.each_index(
                node.log, node.snapshot.index, lambda i, a=shown, b=found: a(i) == b(i), shown
            ):
                yield name, fact

    def brought(
        self, path: Any, entries: Any, before: Any, configs: Body, since: Body, *triggers: Body
    ) -> Iterator[Any]:
        """Said by the index since when, and not from one entry to the next: see `histories`."""
        before = self.integer(before)
        length, (_, value, config) = self.columns_after(entries, before)
        i, j = (z3.Int(path.fresh(name), self.context) for name in "ij")
        inside, s = z3.And(before < i, i <= before + length), since(i)
        own = z3.And(self.is_change(value(s)), configs(i) == config(s))
        inherited = z3.And(s == since(before), configs(i) == configs(before))
        said = z3.And(s <= i, z3.If(s > before, own, inherited))
        yield self._all(i, z3.Implies(inside, said), triggers)
        none_after = z3.Implies(z3.And(before < j, j <= i, self.is_change(value(j))), j <= s)
        patterns = [z3.MultiPattern(t(i), value(j)) for t in triggers] if self.is_given else []
        yield z3.ForAll([i, j], z3.Implies(inside, none_after), patterns=patterns)

    def of_history(self, node: Node) -> Iterator[Fact]:
        """Its configurations are those in its log, and before them that of its snapshot."""
        history: Any = node.history
        if not isinstance(history, InForce):
            yield "history", self.truth(False)
            return
        begins = self.integer(node.snapshot.index)
        yield "history", z3.And(history.begin == begins, history.end == begins + self.length(node.log))
        since, number = self.as_of_snapshot(node.snapshot)
        yield "history", z3.And(since <= begins, history.since(begins) == since)
        yield "history", history.config(begins) == number
        triggers = [history.since] if self.is_given else []
        for fact in self.brought(self.path, node.log, begins, history.config, history.since, *triggers):
            yield "history", fact

    def as_of_snapshot(self, snapshot: Snapshot) -> tuple[Any, Any]:
        nothing, index = self.integer(0), self.integer(snapshot.index)
        if not isinstance(snapshot.in_effect.configuration, AnyConfiguration):
            return nothing, nothing
        found = self.integer(snapshot.in_effect.since), snapshot.in_effect.configuration.number
        since, number = (z3.simplify(z3.If(index > 0, x, nothing)) for x in found)
        return since, number

    def some_server(self, body: Body) -> Any:
        """Often this one, so it is named."""
        return z3.Or(body(self.me), super().some_server(body))

    # -- who counts ----------------------------------------------------------------------------------------
    def number(self, node: Node) -> Any:
        return node.configuration.number  # type: ignore[attr-defined]

    def is_voter(self, node: Node, server: Any) -> Any:
        return z3.Select(self.voters(self.number(node)), server)

    def peers_of(self, path: AnyPath, node: Node) -> Group:
        voters, me = self.voters(self.number(node)), self.node(node.id)
        return Group(path, lambda v: z3.And(v != me, z3.Select(voters, v)))

    def followers_of(self, path: AnyPath, node: Node) -> Group:
        """The peers of a leader, and those that are to join."""
        peers, wanted, me = self.peers_of(path, node), node.leadership.wanted, self.node(node.id)
        if wanted is NIL:
            return peers
        found: Any = wanted
        return Group(path, lambda v: z3.Or(peers.holds(v), z3.And(v != me, found.holds(v))))

    def some_of(self, path: AnyPath, group: Group) -> tuple[Any, ...]:
        """One server, whichever it is, where it is one of them."""
        return (self.name(path, self.peer),) if path.decide(group.holds(self.peer)) else ()

    def is_peer(self, server: Any, node: Node) -> Any:
        return self.peers_of(self.path, node).holds(server.term)

    def has_all_peers(self, node: Node) -> Any:
        followers: Any = node.leadership.progress
        if not isinstance(followers, Followers):
            return self.truth(False)
        wanted = self.followers_of(self.path, node)
        return self.each(lambda v: z3.simplify(followers.servers.holds(v) == wanted.holds(v)))

    def all_are_followed(self, node: Node) -> list[Fact]:
        followers: Any = node.leadership.progress
        peers = self.peers_of(self.path, node)
        said = self.each(lambda v: z3.Implies(peers.holds(v), followers.servers.holds(v)))
        return [("peers are followed", said)]

    def has_quorum(self, path: AnyPath, node: Node, servers: Servers) -> Any:
        """Where it is a majority by itself, it is alone."""
        only_it = z3.And(servers.number <= 1, servers.holds(self.me))
        majority = self.majority(servers.has, self.number(node))
        path.assume(z3.Implies(z3.And(majority, only_it), self.alone_in(path, self.number(node))))
        return Truth(path, majority)

    def known_quorum(self, path: AnyPath, node: Node, quorum: Any, reached: Column) -> None:
        """A quorum of which `reached` is true of each: without another server, it is alone."""
        number, other = self.number(node), z3.Const(path.fresh("another"), self.nodes)
        path.know(self.quorum_of(quorum, number))
        path.know(
            self.each(
                lambda v: z3.Implies(self.member(v, quorum), reached(v)), lambda v: self.member(v, quorum)
            )
        )
        path.quorums.append((quorum, number))
        followers: Any = node.leadership.progress
        has_other = z3.And(other != self.me, followers.servers.holds(other), reached(other))
        path.assume(z3.Or(self.alone_in(path, number), has_other))
        path.of_follower(other)

    def alone_in(self, path: AnyPath, number: Any) -> Any:
        """The server is the only voter of a configuration; one that is joint has more."""
        is_it = self.is_alone(number)
        if number.get_id() not in path.asked_alone:
            path.asked_alone[number.get_id()] = number
            path.assume(z3.Implies(is_it, self.size(self.old(number)) == 0))
            for server in (self.peer, self.sender, self.target, self.new_target):
                votes = z3.Select(self.voters(number), server)
                path.assume(z3.Implies(z3.And(is_it, votes), server == self.me))
            path.know(
                z3.Implies(is_it, self.each(lambda v: z3.Select(self.voters(number), v) == (v == self.me)))
            )
        return is_it

    def is_majority(self, servers: Any, node: Node) -> Any:
        return self.majority(self._set(servers).has, self.number(node))

    def quorum(self, path: Any, number: int, servers: Servers) -> tuple[Any, list[Any], list[Fact]]:
        """Any servers are one of the model's; which is of a configuration, `majority` says."""
        q, c = z3.Const(f"quorum {number}", self.quorums), z3.Int("some configuration", self.context)
        v = z3.Const("v", self.nodes)
        known = [z3.ForAll([v], self.member(v, q) == servers.holds(v), patterns=[self.member(v, q)])]

        def of_voters(c: Any) -> Any:
            return self.each(lambda v: z3.Implies(servers.holds(v), z3.Select(self.voters(c), v)))

        of_c, held = self.quorum_of(q, c), self.majority(servers.has, c)
        is_one = z3.Implies(z3.And(held, of_voters(c)), of_c)
        known.append(z3.ForAll([c], is_one, patterns=[of_c]))
        for other, its in path.quorums:
            holds_all = self.each(lambda v, p=other: z3.Implies(self.member(v, p), servers.holds(v)))
            known.append(z3.Implies(z3.And(holds_all, of_voters(its)), self.quorum_of(q, its)))
        return q, known, []

    def elects(self, node: Node) -> Any:
        """A leader was elected by an older configuration perhaps."""
        if node.role is Role.LEADER:
            return self.truth(True)
        return z3.And(self._of_members_or_me(node, node.votes), z3.Not(self.is_majority(node.votes, node)))

    def _of_members_or_me(self, node: Node, servers: Any) -> Any:
        found, me = self._set(servers), self.node(node.id)
        if z3.is_K(found.has):
            return self.truth(True)
        return self.each(
            lambda v: z3.Implies(z3.And(found.holds(v), v != me), self.is_voter(node, v)), found.holds
        )

    def well_formed_sets(self, node: Node) -> Iterator[Fact]:
        for servers in (node.votes, node.pre_votes):
            found = self._set(servers)
            yield "sizes", found.number >= 0
            yield "sizes", z3.Implies(found.holds(self.me), found.number >= 1)
        yield "pre-votes of members", self._of_members_or_me(node, node.pre_votes)
        if node.role is not Role.LEADER:
            return
        wanted = node.leadership.wanted
        is_committed = self.integer(node.since) <= self.integer(node.commit_index)
        if wanted is not NIL:
            w: Any = wanted
            number = self.number(node)
            is_change = z3.And(w.number > 0, w.has != self.voters(number), self.size(self.old(number)) == 0)
            yield "a change that is wanted", z3.And(is_change, is_committed)


class AnythingChanging(Anything):
    """Servers and messages of any size, with any configurations in their logs, on one path."""

    cluster: AnyMembers

    def __post_init__(self) -> None:
        self.path.cluster = self.cluster
        self.cluster.assumed(self.path)

    def log(self, name: str, offset: Any = None) -> Any:
        ints, values = z3.IntSort(self.path.context), self.cluster.option_of_value
        columns = [
            z3.Function(f"{name} {what}", ints, sort)
            for what, sort in (("term", ints), ("value", values), ("configuration", ints))
        ]
        return Entries(self.path, self.path.number(f"{name} length").term, columns, offset)

    def some_servers(self, name: str) -> Servers:
        return self.cluster.set_of(self.path, z3.Const(name, self.cluster.sets))

    def wanted(self) -> Any:
        """Those that are to be the members: any, or nobody."""
        wanted = self.some_servers("wanted now")
        self.path.assume(wanted.number >= 0)
        return wanted

    def members(self) -> Any:
        """Those that the cluster began with."""
        return self.cluster.configuration_of(self.path, self.cluster.integer(0)).members

    def command(self, name: str) -> Any:
        number = z3.Int(f"{name} configuration", self.path.context)
        command = self.cluster.command(self.path, self.cluster.value(name))
        return self.path.choose([command, self.cluster.configuration_of(self.path, number)])

    def in_effect_at(self, name: str, index: Any) -> InEffect:
        number = z3.Int(f"{name} configuration", self.path.context)
        since: Any = self.path.number(f"{name} since")
        return InEffect(since, self.cluster.configuration_of(self.path, number))

    def history(self, snapshot: Snapshot, log: Entries) -> Any:
        """What a log brings, and before that the configuration of its snapshot."""
        ints, begins = z3.IntSort(self.path.context), self.path.integer(snapshot.index)
        since, config = z3.Function("since when", ints, ints), log.columns[2]
        _, before = self.cluster.as_of_snapshot(snapshot)

        def in_effect(i: Any) -> Any:
            return z3.If(since(i) > begins, config(since(i)), before)

        return InForce(self.path, begins, z3.simplify(begins + log.length), since, in_effect)

    def first_history(self) -> Any:
        nothing = self.path.integer(0)
        return InForce(self.path, nothing, nothing, lambda i: nothing, lambda i: nothing)

    def led(self, node: Node) -> Leadership:
        """What a leader knows of its peers, and of those that are to join."""
        wanted: Any = self.path.choose([NIL, self.some_servers("wanted")])
        node = replace(node, leadership=replace(node.leadership, wanted=wanted))
        found = self.leadership()
        followers: Any = found.progress
        group = self.cluster.followers_of(self.path, node)
        progress: Any = Followers(group, followers.at)
        return replace(found, progress=progress, wanted=wanted)


def anything(path: AnyPath, cluster: AnyCluster, compacted: bool) -> Anything:
    """Servers and messages of a cluster, on a path."""
    if isinstance(cluster, AnyMembers):
        return AnythingChanging(path, cluster, compacted)
    return Anything(path, cluster, compacted)
