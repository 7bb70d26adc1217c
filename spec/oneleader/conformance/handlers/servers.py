"""servers: any well-formed server and any message, of which nothing but the shape is known.

`Unknown` makes them of named servers and of logs up to a length (`Scope`); `Anything` of any number of
servers, and of logs and messages of any length, with any number of pending reads, and with senders that are
no members; where logs are `compacted`, a snapshot up to any index stands for their beginning. `well_formed`
is what holds of a server by itself at any time: assumed before a step, proved after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import z3

from oneleader.conformance.handlers.clusters import AnyCluster, AnyOrNamed, Fact
from oneleader.conformance.handlers.named import Named
from oneleader.conformance.handlers.paths import CodePath, Infeasible, Name, Number, term_of
from oneleader.conformance.handlers.symbolic import (
    AnyPath,
    Entries,
    Followers,
    Many,
    ServerName,
    Servers,
    entries_of,
    members_of,
    no_servers,
)
from oneleader.language.sorts import OptionSort
from oneleader.models.election import Node as NodeSort
from oneleader.models.replication import Value
from oneleader.words import plural
from oneleader_raft.configuration import InEffect, Membership, initial
from oneleader_raft.lease import LONG_AGO, Clocks, Round
from oneleader_raft.raft import (
    NIL,
    NO_SNAPSHOT,
    NOBODY_LED,
    AppendEntries,
    AppendReply,
    Entry,
    InstallSnapshot,
    Leadership,
    Message,
    Node,
    NodeId,
    PendingRead,
    PreVoteReply,
    Progress,
    RequestPreVote,
    RequestVote,
    Role,
    Snapshot,
    TimeoutNow,
    VoteReply,
)
from oneleader_raft.views import FIXED_MEMBERS


@dataclass(frozen=True)
class Scope:
    """Of what there are only so many where a handler is proved; of everything else, any number.

    nodes    servers, and all of them members from beginning to end; no log is compacted
    log      entries of a log; the entries of a message end there as well
    reads    reads that a leader has not answered yet
    changes  the members change: some of the servers are members, by the configurations in a log
    """

    nodes: int = 2
    log: int = 1
    reads: int = 1
    changes: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        return ("membership",) if self.changes else FIXED_MEMBERS

    @property
    def _members(self) -> str:
        if not self.changes:
            return "stay"
        return "are any of them, and any entry may bring any configuration of them, joint or not"

    @property
    def short(self) -> str:
        servers, entries, reads = (
            plural(self.nodes, "servers"),
            plural(self.log, "entries"),
            plural(self.reads, "pending reads"),
        )
        return f"{servers}, logs of up to {entries}, up to {reads}"

    def __str__(self) -> str:
        return (
            f"{self.short}. Messages end where such a log ends; the members {self._members}; terms, indices, "
            "rounds, times and rates are any integers, and commands any values."
        )


@dataclass
class Unknown:
    """Servers and messages within a scope, on one path."""

    path: CodePath
    cluster: Named
    scope: Scope

    def log(self, name: str, most: int) -> tuple[Entry, ...]:
        length = self.path.choose(range(most + 1))
        return tuple(
            Entry(self.path.number(f"{name} {i} term"), self.command(f"{name} {i}"))
            for i in range(1, length + 1)
        )

    def command(self, name: str) -> Any:
        return Name(
            self.path,
            z3.Const(name, self.cluster.sort(Value)),
            lambda other: z3.Const(str(other), self.cluster.sort(Value)),
        )

    def vote(self) -> Any:
        option = self.cluster.sort(OptionSort(NodeSort))

        def lift(other: Any) -> Any:
            return option.nil if other is None else option.some(self.cluster.node(other))

        return Name(self.path, z3.Const("voted for", option), lift)

    def round(self, name: str) -> Round:
        number = self.path.number(f"{name} round")
        sent_at = self.path.number(f"{name} sent at", None)
        is_none = number.term == 0
        self.path.assume(is_none == (sent_at.term == LONG_AGO), sent_at.term >= LONG_AGO)
        return Round(number, sent_at)

    def message(self, kind: type) -> Message:
        if len(self.cluster.names) == 1:
            raise Infeasible
        path, scope = self.path, self.scope
        _, *peers = self.cluster.names

        def entries(prev: Number) -> tuple[Entry, ...]:
            made = self.log("new", scope.log)
            path.assume(prev + len(made) <= scope.log)
            return made

        leader: Any = Name(path, z3.Const("leader", self.cluster.sort(NodeSort)), self.cluster.node)
        return any_message(path, kind, path.choose(peers), leader, entries, self.round)

    def target(self) -> NodeId:
        return self.path.choose(self.cluster.names)

    def first_members(self, node: Node) -> tuple[NodeId, ...]:
        """Those that the cluster began with."""
        return node.history[0].configuration.members

    def node(self, now: Number) -> Node:
        """Any well-formed server."""
        path, (me, *peers) = self.path, self.cluster.names
        clocks = self.clocks()
        role = path.choose([Role.FOLLOWER, Role.CANDIDATE, Role.LEADER])
        half = len(self.cluster.names) // 2
        minority = [frozenset((me, *some)) for k in range(half) for some in combinations(peers, k)]
        if role is Role.CANDIDATE and not minority:
            raise Infeasible  # alone, it wins at once
        node = Node(
            me,
            initial(self.cluster.names),
            clocks,
            current_term=path.number("current term"),
            voted_for=self.vote() if role is Role.FOLLOWER else me,
            log=self.log("log", self.scope.log),
            role=role,
            commit_index=path.number("commit index"),
            promised_at=path.number("promised at", None),
        )
        if role is Role.FOLLOWER:
            asked = path.choose([frozenset(), *minority])
            node = replace(node, pre_votes=asked, leader_id=path.choose([NIL, *peers]) if not asked else NIL)
        elif role is Role.CANDIDATE:
            node = replace(node, votes=path.choose(minority))
        else:
            majority = [frozenset((me, *some)) for some in combinations(peers, half)]
            node = replace(node, votes=path.choose(majority), leader_id=me, leadership=self.leadership(peers))
        self.assume_well_formed(node, now)
        return node

    def assume_well_formed(self, node: Node, now: Number) -> None:
        for _, fact in well_formed(self.cluster, node, now):
            said = z3.simplify(fact)
            if not z3.is_true(said):  # what is plain of the shape needs no solver
                self.path.assume(said)

    def clocks(self) -> Clocks:
        return any_clocks(self.path)

    def leadership(self, peers: Sequence[NodeId], joining: tuple[NodeId, ...] = ()) -> Leadership:
        path = self.path
        progress = {
            peer: Progress(
                path.number(f"next index of {peer}"), path.number(f"match index of {peer}"), self.round(peer)
            )
            for peer in (*peers, *joining)
        }
        reads = tuple(
            PendingRead(f"read {i}", path.number(f"index of read {i}"), path.number(f"round of read {i}"))
            for i in range(1, self.scope.reads + 1)
        )
        return Leadership(
            since=path.number("leads since", None),
            noop=path.number("no-op"),
            progress=progress,
            round=self.round("own"),
            reads=path.choose([reads[:k] for k in range(len(reads) + 1)]),
            transfer_to=path.choose([NIL, *peers]),
        )


@dataclass
class Anything:
    """Servers and messages of any size, on one path."""

    path: AnyPath
    cluster: AnyCluster
    compacted: bool = False

    def __post_init__(self) -> None:
        self.path.cluster = self.cluster
        self.in_effect = InEffect(0, Membership(self.members()))
        self.cluster.assumed(self.path)

    def log(self, name: str, offset: Any = None) -> Any:
        ints, values = z3.IntSort(self.path.context), self.cluster.sort(Value)
        columns = z3.Function(f"{name} term", ints, ints), z3.Function(f"{name} value", ints, values)
        return Entries(self.path, self.path.number(f"{name} length").term, columns, offset)

    def servers(self, name: str) -> Any:
        number = self.path.number(f"how many {name}").term
        return Servers(self.path, z3.Const(name, self.cluster.sets), number)

    def members(self) -> Any:
        return Servers(self.path, self.cluster.members, self.cluster.total)

    def snapshot(self, name: str, least: int = 0) -> Snapshot:
        """Of any index, with the members that there are; of index 0 it is none."""
        if not self.compacted:
            return NO_SNAPSHOT
        index, term = (self.path.number(f"{name} {what}", least) for what in ("index", "term"))
        self.path.assume((index.term == 0) == (term.term == 0))
        return Snapshot(index, term, self.in_effect_at(name, index), f"the state of {name}")

    def in_effect_at(self, name: str, index: Any) -> InEffect:
        """The configuration as of the last entry of a snapshot."""
        return self.in_effect

    def no_log(self) -> Any:
        return entries_of(self.path, ())

    def name(self, term: Any) -> Any:
        return ServerName(self.path, term)

    def command(self, name: str) -> Any:
        return self.cluster.command(self.path, self.cluster.value(name))

    def round(self, name: str) -> Round:
        made = Round(self.path.number(f"{name} round", None), self.path.number(f"{name} sent at", None))
        self.path.assume(of_round(self.cluster, made))
        return made

    def clocks(self) -> Clocks:
        return any_clocks(self.path)

    def node(self, now: Number) -> Node:
        """Any well-formed server."""
        path, cluster = self.path, self.cluster
        me, nobody = self.name(cluster.me), no_servers(path)
        role = path.choose([Role.FOLLOWER, Role.CANDIDATE, Role.LEADER])
        snapshot = self.snapshot("snapshot")
        log = self.log("log", term_of(snapshot.index) if self.compacted else None)
        node = Node(
            me,
            self.history(snapshot, log),
            self.clocks(),
            current_term=path.number("current term"),
            voted_for=self.name(z3.Const("voted for", cluster.option)) if role is Role.FOLLOWER else me,
            log=log,
            snapshot=snapshot,
            role=role,
            commit_index=path.number("commit index"),
            promised_at=path.number("promised at", None),
            votes=nobody if role is Role.FOLLOWER else self.servers("votes"),  # type: ignore[arg-type]
            pre_votes=nobody,  # type: ignore[arg-type]
        )
        if role is Role.FOLLOWER:
            known = self.name(z3.Const("known leader", cluster.nodes))
            asks, leader_id = path.choose([(True, NIL), (False, NIL), (False, known)])
            asked: Any = self.servers("pre-votes") if asks else nobody
            node = replace(node, pre_votes=asked, leader_id=leader_id)
            path.assume(asked.holds(cluster.me) if asks else True)
        elif role is Role.LEADER:
            node = replace(node, leader_id=me, leadership=self.led(node))
        self._assume(node, now)
        return node

    def history(self, snapshot: Snapshot, log: Any) -> Any:
        """The configurations in a log: none but the initial one."""
        return (self.in_effect,)

    def led(self, node: Node) -> Leadership:
        """What a server knows that leads."""
        return self.leadership()

    def _assume(self, node: Node, now: Number) -> None:
        """That it is well-formed; of a leader's followers, of those that have a name as well."""
        path, cluster = self.path, self.cluster
        cluster.is_given = True
        for _, fact in well_formed(cluster, node, now):
            path.know(fact) if z3.is_quantifier(fact) else path.assume(fact)
        cluster.is_given = False
        if node.role is not Role.LEADER:
            return
        followers: Any = node.leadership.progress

        def of_follower(server: Any) -> None:
            for _, fact in of_progress(cluster, followers.at(server), last_index(cluster, node)):
                path.assume(z3.Implies(followers.servers.holds(server), fact))

        path.of_follower = of_follower
        for server in (cluster.peer, cluster.sender, cluster.target, cluster.new_target):
            of_follower(server)

    def leadership(self) -> Leadership:
        path, cluster = self.path, self.cluster
        ints = z3.IntSort(path.context)
        names = ("next index", "match index", "acknowledged round", "acknowledged sent at")
        next_index, match_index, number, sent_at = (z3.Function(n, cluster.nodes, ints) for n in names)

        def progress(server: Any) -> Any:
            n, m, k, s = (Number(path, f(server)) for f in (next_index, match_index, number, sent_at))
            return Progress(n, m, Round(k, s))  # type: ignore[arg-type]

        read = PendingRead("a read", path.number("read index"), path.number("read round"))
        followers: Any = Followers(cluster.peers_of_me(path), progress)
        reads: Any = Many(path, each=(read,))
        return Leadership(
            since=path.number("leads since", None),
            noop=path.number("no-op"),
            progress=followers,
            round=self.round("own"),
            reads=reads,
            transfer_to=path.choose([NIL] if cluster.alone else [NIL, self.name(cluster.target)]),
        )

    def message(self, kind: type) -> Message:
        leader = self.name(z3.Const("leader", self.cluster.nodes))
        sender = self.name(self.cluster.sender)
        if kind is InstallSnapshot:
            term, snapshot = self.path.number("term"), self.snapshot("its snapshot", 1)
            return InstallSnapshot(term, sender, snapshot, self.round("its"))
        return any_message(
            self.path, kind, sender, leader, lambda prev: self.log("new", prev.term), self.round
        )

    def target(self) -> NodeId:
        made: NodeId = self.name(self.cluster.new_target)
        return made

    def first_members(self, node: Node) -> Any:
        """Those that the cluster began with."""
        return self.members()

    def first_history(self) -> Any:
        """The configurations that a server knows before it is started for the first time."""
        return initial(self.members())


def any_clocks(path: CodePath) -> Clocks:
    promise, slow, fast = (path.number(name, 1) for name in ("promise", "slow", "fast"))
    path.assume(slow.term <= fast.term)
    return Clocks(promise, slow, fast)


def of_round(c: AnyOrNamed, round: Round) -> Any:
    """Round 0 is no round, and was never sent."""
    number, sent_at = c.integer(round.number), c.integer(round.sent_at)
    return z3.And(number >= 0, (number == 0) == (sent_at == LONG_AGO), sent_at >= LONG_AGO)


def last_index(c: AnyOrNamed, node: Node) -> Any:
    """Of the snapshot, and the log after it."""
    return z3.simplify(c.integer(node.snapshot.index) + c.length(node.log))


def well_formed(c: AnyOrNamed, node: Node, now: Any) -> Iterator[Fact]:
    """What holds of a server by itself at any time."""
    n, t, last = c.node(node.id), c.integer(node.current_term), last_index(c, node)
    begins, its_term = c.integer(node.snapshot.index), c.integer(node.snapshot.term)
    commit, promised, at = c.integer(node.commit_index), c.integer(node.promised_at), c.integer(now)
    yield "term", t >= 0
    yield "snapshot", z3.And(begins >= 0, its_term >= 0, its_term <= t, (begins == 0) == (its_term == 0))
    for fact in c.each_entry(node.log, begins, lambda i, term, value: z3.And(term >= 1, term <= t)):
        yield "terms of entries", fact
    yield "commit index", z3.And(commit >= begins, commit <= last)
    yield "promise", z3.And(promised <= at, promised >= LONG_AGO)
    yield "time", z3.And(at >= 0, c.integer(node.clocks.lease) <= -LONG_AGO)
    yield from c.of_history(node)
    yield from _well_formed_role(c, node, n, at)
    if node.role is Role.LEADER:
        yield from _well_formed_leader(c, node, at)


def _well_formed_role(c: AnyOrNamed, node: Node, n: Any, now: Any) -> Iterator[Fact]:
    """Who votes for it, and whom it follows."""
    leads, leader = node.role is Role.LEADER, node.leader_id
    votes, asked = c.is_empty(node.votes), c.is_empty(node.pre_votes)
    yield from c.well_formed_sets(node)
    if not leads:
        is_default = isinstance(c, Named) and node.leadership == NOBODY_LED
        yield "leads nobody", c.truth(node.leadership is NOBODY_LED or is_default)
    if node.role is Role.FOLLOWER:
        promise = c.integer(node.promised_at) + c.integer(node.clocks.promise)
        minority = c.no(c.is_majority(node.pre_votes, node))
        yield "no votes", votes
        yield "asks", z3.Or(asked, c.both(c.has(node.pre_votes)(n), minority, leader is NIL, promise <= now))
        yield "leader", c.truth(True) if leader is NIL else c.node(leader) != n
        return
    yield "votes", c.both(c.has(node.votes)(n), c.elects(node))
    yield "voted for itself", c.optional(node.voted_for) == c.optional(node.id)
    yield "asks no more", asked
    yield "leader", c.truth(leader is NIL) if not leads or leader is NIL else c.node(leader) == n
    yield "term", c.integer(node.current_term) >= 1


def _well_formed_leader(c: AnyOrNamed, node: Node, now: Any) -> Iterator[Fact]:
    """What it knows of its followers, and what it has promised to readers."""
    leadership, last, t = node.leadership, last_index(c, node), c.integer(node.current_term)
    noop, since = c.integer(leadership.noop), c.integer(leadership.since)
    round, sent_at = c.integer(leadership.round.number), c.integer(leadership.round.sent_at)
    yield "since", z3.And(since <= now, since >= LONG_AGO)
    yield "round", z3.And(round >= 1, sent_at <= now)
    yield "no-op", z3.And(noop >= 1, noop <= last)
    begins = c.integer(node.snapshot.index)
    for fact in c.each_entry(node.log, begins, lambda i, term, value: z3.Implies(i == noop, term == t)):
        yield "no-op", fact
    if leadership.transfer_to is not NIL:
        yield "transfer", c.is_peer(leadership.transfer_to, node)
    yield "followers", c.has_all_peers(node)
    for fact in c.each_follower(node, lambda v, p: z3.And([f for _, f in of_progress(c, p, last)])):
        yield "followers", fact
    for read in members_of(leadership.reads):
        index, number = c.integer(read.index), c.integer(read.round)
        yield "reads", z3.And(noop <= index, index <= last)
        yield "reads", z3.And(number >= 1, number <= round + 1)


def of_progress(c: AnyOrNamed, progress: Progress, last: Any) -> Iterator[Fact]:
    """What is well-formed of a follower's progress, in a log that ends at `last`."""
    match, next_index = c.integer(progress.match_index), c.integer(progress.next_index)
    yield "match index", z3.And(match >= 0, match <= last)
    yield "next index", z3.And(match < next_index, next_index <= last + 1)
    yield "round", of_round(c, progress.acknowledged)


def any_message(
    path: CodePath,
    kind: type,
    sender: NodeId,
    leader: NodeId,
    entries: Callable[[Number], Any],
    round: Callable[[str], Round],
) -> Message:
    """`leader`: who asked a candidate to stand, if anybody. `entries`: those after an index."""
    number: Callable[[str], Any] = path.number
    term = number("term")
    if kind is RequestVote:
        forced_by = path.choose([NIL, leader])
        return RequestVote(term, sender, number("last log index"), number("last log term"), forced_by)
    if kind is RequestPreVote:
        return RequestPreVote(term, sender, number("last log index"), number("last log term"))
    if kind in (VoteReply, PreVoteReply):
        return kind(term, sender, path.choose([True, False]))
    if kind is AppendEntries:
        prev = number("prev")
        new, commit = entries(prev), number("leader commit")
        return AppendEntries(term, sender, prev, number("prev term"), new, commit, round("its"))
    if kind is AppendReply:
        success = path.choose([True, False])
        return AppendReply(term, sender, success, round("its"), number("index"), number("conflict term"))
    return TimeoutNow(term, sender)
