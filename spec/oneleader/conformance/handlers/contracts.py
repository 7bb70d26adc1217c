"""contracts: the core's few loops do what the proofs of any size take them to do (`loops`).

Here the functions themselves are run, on named servers and logs of so many entries, along every path and for
all integers; and on each path the contract is proved of what they return. Beyond `MOST` servers or entries a
contract rests on what Python means by a comprehension, by `max`, and by `frozenset`: a loop that is right for
each number up to there and wrong beyond would have to count. What a comprehension gives of one element more
is proved by induction (`conformance/reference/loops_by_induction.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import combinations
from typing import Any, TypeAlias

import z3

from oneleader.conformance.handlers.changing import is_quorum
from oneleader.conformance.handlers.paths import CodePath, paths, term_of
from oneleader.conformance.handlers.servers import any_clocks
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict
from oneleader_raft import raft
from oneleader_raft.configuration import InEffect, Membership, initial, up_to
from oneleader_raft.lease import NO_ROUND, Round
from oneleader_raft.raft import (
    NIL,
    AppendEntries,
    AppendReply,
    Entry,
    Leadership,
    Node,
    NodeId,
    PendingRead,
    Progress,
    ReadReady,
    Role,
    Snapshot,
)

RLIMIT = 3_000_000
FEW = 3  # servers whose configuration may be any: there are many of more
MOST = {  # servers, or entries of a log
    "Node.peers": 6,
    "terms": 4,
    "conflict": 6,
    "back_off": 6,
    "reaching": 6,
    "reached_by_majority": 5,
    "is_majority": 6,
    "brought": 4,
    "up_to": 5,
    "to_join": FEW,
    "have_caught_up": FEW,
    "of_peers": FEW,
    "silent_among": 4,
    "listed": 4,
    "answer_reads": 3,
}

Found: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True)
class Met:
    """What is known of one contract, for each number of servers or entries up to `most`."""

    function: str
    most: int
    paths: int
    verdict: Verdict
    failing: str = ""
    seconds: float = 0.0


def check_contract(function: str) -> Met:
    """Whether a loop of the core meets its contract, as far as `MOST`."""
    started, count, most = time.process_time(), 0, MOST[function]
    least = 1 if function in OF_SERVERS else 0

    def met(verdict: Verdict, failing: str = "") -> Met:
        return Met(function, most, count, verdict, failing, time.process_time() - started)

    for size in range(least, most + 1):
        context = z3.Context()
        for path, goal in paths(partial(_goal, function, size), context, CodePath):
            count += 1
            solver = z3.SimpleSolver(ctx=context)
            solver.set(rlimit=RLIMIT)
            solver.add(*path.condition, z3.Not(goal))
            result = solver.check()
            if result != z3.unsat:
                return met(VIOLATED if result == z3.sat else INCONCLUSIVE, f"size {size}")
    return met(HOLDS)


def _goal(function: str, size: int, path: CodePath) -> Any:
    """What the contract says of what the function returns; an exception is a breach."""
    try:
        return z3.And(*CONTRACTS[function](path, size), path.context)
    except (LookupError, ValueError, TypeError, RuntimeError):  # StopIteration arrives as the last one
        return z3.BoolVal(False, path.context)


def _servers(size: int) -> tuple[NodeId, ...]:
    return tuple(f"n{i + 1}" for i in range(size))


def _leader(path: CodePath, servers: int, entries: int = 0) -> Node:
    """Where it has entries, before them there is nothing, or a snapshot of two more."""
    me, *peers = members = _servers(servers)
    number: Callable[[str], Any] = path.number
    log = tuple(Entry(path.number(f"term {i}", 1), f"command {i}") for i in range(1, entries + 1))
    progress = {peer: Progress(number(f"next of {peer}"), number(f"match of {peer}")) for peer in peers}
    node = Node(me, initial(members), log=log, role=Role.LEADER, leadership=Leadership(progress=progress))
    if not entries or path.choose([True, False]):
        return node
    return replace(node, snapshot=Snapshot(2, path.number("term of the snapshot", 1), node.history[0]))


def _values(node: Node, own: Any) -> dict[NodeId, Any]:
    progress = node.leadership.progress
    return {node.id: term_of(own), **{peer: term_of(p.match_index) for peer, p in progress.items()}}


def _peers(path: CodePath, size: int) -> Iterator[Any]:
    node = _leader(path, size)
    yield _is(path, sorted(node.peers) == sorted(set(node.members) - {node.id}))


def _terms(path: CodePath, size: int) -> Iterator[Any]:
    """Of two logs, of the same length or one shorter."""
    for other_size in {size, max(size - 1, 0)}:
        one, other = _leader(path, 1, size).log, _entries(path, "other", other_size)
        said = raft.terms(one) == raft.terms(other)
        pairs = zip(one, other, strict=False)
        same = [term_of(a.term) == term_of(b.term) for a, b in pairs]
        yield _is(path, said) == z3.And(len(one) == len(other), *same, path.context)


def _entries(path: CodePath, name: str, size: int) -> tuple[Entry, ...]:
    return tuple(Entry(path.number(f"{name} {i}", 1), f"{name} {i}") for i in range(1, size + 1))


def _conflict(path: CodePath, size: int) -> Iterator[Any]:
    node = _leader(path, 2, size)
    first = node.snapshot.index + 1
    prev = path.number("prev", first)
    m = AppendEntries(1, "n2", prev, path.number("prev term"), (), 0, NO_ROUND)
    reply = raft.conflict(node, m)
    is_refusal = (reply.term, reply.follower_id, reply.success, reply.round) == (1, node.id, False, m.round)
    yield _is(path, is_refusal)
    yield term_of(reply.index >= first)
    yield term_of(reply.conflict_term) >= 0


def _back_off(path: CodePath, size: int) -> Iterator[Any]:
    node = _leader(path, 2, size)
    m = AppendReply(1, "n2", False, NO_ROUND, path.number("index"), path.number("conflict term"))
    yield term_of(raft.back_off(node, m)) >= 0


def _any_leader(path: CodePath, size: int, few: int) -> Node:
    """Of its peers; of a few servers, also while the members change."""
    return _changing(path, size) if size <= few and path.choose([False, True]) else _leader(path, size)


def _changing(path: CodePath, size: int) -> Node:
    """A leader that is a member or not, of a configuration that is joint or not; and others are to join."""
    node, (me, *_) = _leader(path, size), _servers(size)
    sets = [some for k in range(1, size + 1) for some in combinations(node.members, k)]
    configuration = Membership(path.choose(sets), path.choose([(), *sets]))
    wanted = path.choose([NIL, *sets])
    followed = {*configuration.voters, *(wanted or ())} - {me}
    progress = {id: follower for id, follower in node.leadership.progress.items() if id in followed}
    leadership = replace(node.leadership, progress=progress, wanted=wanted)
    return replace(node, history=(InEffect(0, configuration),), leadership=leadership)


def _reaching(path: CodePath, size: int) -> Iterator[Any]:
    node, own, least = _any_leader(path, size, FEW - 1), path.number("own"), path.number("least")
    found = raft.reaching(node, own, lambda follower: follower.match_index, least)
    for server, value in _values(node, own).items():
        has_reached = z3.And(_is(path, server in node.members), value >= term_of(least))
        yield _is(path, server in found) == has_reached
    yield _is(path, found <= set(node.members))


def _majority(path: CodePath, size: int) -> Iterator[Any]:
    """Of any set of members; of a configuration, any set that holds a majority of each of its sets."""
    node = _any_leader(path, size, FEW)
    for k in range(size + 1):
        for some in combinations(_servers(size), k):
            of_each = [len({*part} & {*some}) * 2 > len(part) for part in node.configuration.sets]
            yield _is(path, bool(raft.is_majority(node, frozenset(some))) == all(of_each))


def _brought(path: CodePath, size: int) -> Iterator[Any]:
    """Exactly the configurations that are commands, each with the index of its entry."""
    members = Membership(("n1",))
    entries = _entries(path, "new", size)
    brings = [path.choose([False, True]) for _ in entries]
    made = (replace(e, command=members) if yes else e for e, yes in zip(entries, brings, strict=True))
    expected = tuple(InEffect(i, members) for i, yes in enumerate(brings, 4) if yes)
    yield _is(path, raft.brought(3, tuple(made)) == expected)


def _up_to(path: CodePath, size: int) -> Iterator[Any]:
    """The first, and those of the others whose entries do not come after the index, in their order."""
    number: Callable[[str], Any] = path.number
    history = tuple(InEffect(number(f"since {i}"), Membership((f"n{i}",))) for i in range(size + 1))
    index = path.number("index")
    found = up_to(history, index)
    kept = [x for x in history if any(x is y for y in found)]
    yield _is(path, [*map(id, found)] == [*map(id, kept)] and found[0] is history[0])
    for x in history[1:]:
        yield _is(path, any(x is y for y in found)) == term_of(x.since <= index)


def _to_join(path: CodePath, size: int) -> Iterator[Any]:
    node = _changing(path, size)
    wanted = set(node.leadership.wanted or ())
    yield _is(path, {*raft.to_join(node)} == wanted - {*node.members, node.id})


def _have_caught_up(path: CodePath, size: int) -> Iterator[Any]:
    node = replace(_changing(path, size), commit_index=path.number("commit index"))
    progress = node.leadership.progress
    behind = [term_of(progress[id].match_index < node.commit_index) for id in raft.to_join(node)]
    yield _is(path, raft.have_caught_up(node)) == z3.Not(z3.Or(*behind, path.context))


def _of_peers(path: CodePath, size: int) -> Iterator[Any]:
    """What is known of a server is the very same."""
    node = _changing(path, size)
    progress, found = node.leadership.progress, raft.of_peers(node)
    yield _is(path, {*found} == {*progress} & {*node.peers})
    yield _is(path, all(follower is progress[id] for id, follower in found.items()))


def _silent_among(path: CodePath, size: int) -> Iterator[Any]:
    """Nobody but these; of nobody, nobody."""
    node = replace(_leader(path, size), clocks=any_clocks(path))
    some = path.choose([node.members[:k] for k in range(size + 1)])
    yield _is(path, {*raft.silent_among(node, some, path.number("now"))} <= {*some})


def _answer_reads(path: CodePath, size: int) -> Iterator[Any]:
    """Of so many reads: those that are kept are the very same, and all else of the server."""
    number: Callable[[str], Any] = path.number
    node = replace(_leader(path, 2), clocks=any_clocks(path), commit_index=number("commit index"))
    reads = tuple(PendingRead(f"read {i}", number(f"index {i}"), number(f"round {i}")) for i in range(size))
    leadership = replace(node.leadership, reads=reads, round=Round(number("own round")))
    node = replace(node, leadership=leadership)
    step = raft.answer_reads(node, path.number("now"))
    kept = step.node.leadership.reads
    after = replace(step.node, leadership=replace(step.node.leadership, reads=reads))
    yield _is(path, not step.actions and all(isinstance(effect, ReadReady) for effect in step.effects))
    yield _is(path, all(any(read is one for one in reads) for read in kept))
    of_leader = [f.name for f in fields(Leadership)]
    yield _is(path, _same_parts(after, node, [f.name for f in fields(Node) if f.name != "leadership"]))
    yield _is(path, _same_parts(after.leadership, leadership, of_leader))


def _same_parts(one: object, other: object, names: list[str]) -> bool:
    return all(getattr(one, name) is getattr(other, name) for name in names)


def _listed(path: CodePath, size: int) -> Iterator[Any]:
    yield _is(path, isinstance(raft.listed(_servers(size)), str))


def _reached(path: CodePath, size: int) -> Iterator[Any]:
    node, own = _any_leader(path, size, FEW - 1), path.number("own")
    result = term_of(raft.reached_by_majority(node, own, lambda follower: follower.match_index))
    values = _values(node, own)
    some = (servers for k in range(size + 1) for servers in combinations(node.members, k))
    quorums = [one for one in some if is_quorum(node.configuration.sets, one)]
    yield z3.Or(*(result == value for value in values.values()))
    yield z3.Or(*(z3.And(*(values[server] >= result for server in quorum)) for quorum in quorums))


def _is(path: CodePath, known: bool) -> Any:
    return z3.BoolVal(bool(known), path.context)


OF_CHANGES = ("to_join", "have_caught_up", "of_peers", "silent_among", "listed")
OF_SERVERS = ("Node.peers", "reaching", "reached_by_majority", "is_majority", *OF_CHANGES)
CONTRACTS: dict[str, Callable[[CodePath, int], Iterator[Any]]] = {
    "Node.peers": _peers,
    "terms": _terms,
    "conflict": _conflict,
    "back_off": _back_off,
    "reaching": _reaching,
    "reached_by_majority": _reached,
    "is_majority": _majority,
    "brought": _brought,
    "up_to": _up_to,
    "to_join": _to_join,
    "have_caught_up": _have_caught_up,
    "of_peers": _of_peers,
    "silent_among": _silent_among,
    "listed": _listed,
    "answer_reads": _answer_reads,
}
