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
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any, TypeAlias

import z3

from oneleader.conformance.handlers.paths import CodePath, paths, term_of
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict
from oneleader_raft import raft
from oneleader_raft.configuration import initial
from oneleader_raft.lease import NO_ROUND
from oneleader_raft.raft import (
    AppendEntries,
    AppendReply,
    Entry,
    Leadership,
    Node,
    NodeId,
    Progress,
    Role,
    Snapshot,
)

RLIMIT = 3_000_000
MOST = {  # servers, or entries of a log
    "Node.peers": 6,
    "terms": 4,
    "conflict": 6,
    "back_off": 6,
    "reaching": 6,
    "reached_by_majority": 5,
    "is_majority": 6,
    "brought": 4,
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


def _reaching(path: CodePath, size: int) -> Iterator[Any]:
    node, own, least = _leader(path, size), path.number("own"), path.number("least")
    found = raft.reaching(node, own, lambda follower: follower.match_index, least)
    for server, value in _values(node, own).items():
        yield _is(path, server in found) == (value >= term_of(least))
    yield _is(path, found <= set(node.members))


def _majority(path: CodePath, size: int) -> Iterator[Any]:
    """Of any set of members."""
    node = _leader(path, size)
    for k in range(size + 1):
        for some in combinations(node.members, k):
            yield _is(path, raft.is_majority(node, frozenset(some)) == (k * 2 > size))


def _brought(path: CodePath, size: int) -> Iterator[Any]:
    """Of entries with commands that are no configurations."""
    yield _is(path, raft.brought(3, _entries(path, "new", size)) == ())


def _reached(path: CodePath, size: int) -> Iterator[Any]:
    node, own = _leader(path, size), path.number("own")
    result = term_of(raft.reached_by_majority(node, own, lambda follower: follower.match_index))
    values = _values(node, own)
    quorums = combinations(node.members, size // 2 + 1)
    yield z3.Or(*(result == value for value in values.values()))
    yield z3.Or(*(z3.And(*(values[server] >= result for server in quorum)) for quorum in quorums))


def _is(path: CodePath, known: bool) -> Any:
    return z3.BoolVal(bool(known), path.context)


OF_SERVERS = ("Node.peers", "reaching", "reached_by_majority", "is_majority")
CONTRACTS: dict[str, Callable[[CodePath, int], Iterator[Any]]] = {
    "Node.peers": _peers,
    "terms": _terms,
    "conflict": _conflict,
    "back_off": _back_off,
    "reaching": _reaching,
    "reached_by_majority": _reached,
    "is_majority": _majority,
    "brought": _brought,
}
