"""loops: what the core's few loops are taken to do, for servers and logs of any number.

A loop over a log or over members cannot be run where their number is not known. These functions of the core
have one, and a handler that is proved for any size runs their contracts in their place:

| function              | what it is taken to do                                                       |
|-----------------------|------------------------------------------------------------------------------|
| `Node.peers`          | exactly the members but itself                                               |
| `terms`               | those of two logs are equal exactly if the entries' terms are, one by one    |
| `conflict`            | from an index after the snapshot's: a refusal, with some index after it      |
| `back_off`            | some index from 0 on; its caller keeps it within what the follower may lack  |
| `reaching`            | exactly the members whose value is as great                                  |
| `reached_by_majority` | the value of some server, which every member of some majority has reached    |
| `is_majority`         | of a set of members: they are more than half of all, or a configuration's    |
| `brought`             | exactly the configurations that the entries bring; where members stay, none  |
| `up_to`               | those of the entries up to an index                                          |
| `to_join`             | exactly those that are wanted as members and are none                        |
| `have_caught_up`      | each of these stores what is committed                                       |
| `of_peers`            | what is known of exactly the peers that something is known of                |
| `silent_among`        | some number of servers; of nobody, nobody                                    |
| `listed`              | a text                                                                       |
| `answer_reads`        | some reads are ready and no more pending, and nothing else changes           |

`contracts` checks that the functions themselves meet them. `answer_reads` is no loop, and is taken by its
contract where the members change: `snapshots` knows no reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from functools import cache
from inspect import isfunction
from types import CodeType, ModuleType
from typing import Any

import z3

from oneleader.conformance.handlers.histories import InForce
from oneleader.conformance.handlers.paths import Number
from oneleader.conformance.handlers.symbolic import (
    AnyPath,
    Counted,
    Followers,
    Group,
    Many,
    Servers,
    TermsOfLog,
    entries_of,
    in_place,
    known_functions,
    members_of,
)
from oneleader_raft import configuration, raft
from oneleader_raft.configuration import up_to
from oneleader_raft.raft import AppendEntries, AppendReply, Entry, Node, Progress, Step

NONE: frozenset[str] = frozenset()
CORRECT = {
    name: f
    for name, f in vars(raft).items()
    if isfunction(f) and f.__module__ in (raft.__name__, configuration.__name__)
}


def loops(path: AnyPath) -> dict[str, Callable[..., Any]]:
    """The contracts, by the names of their functions."""
    cluster = path.cluster

    def terms(entries: tuple[Entry, ...]) -> TermsOfLog:
        return TermsOfLog(entries_of(path, entries))

    def conflict(node: Node, m: AppendEntries) -> AppendReply:
        first = path.integer(node.snapshot.index) + 1
        path.required.append(("conflict: something is before", path.integer(m.prev_log_index) >= first))
        index: Any = path.number(path.fresh("try next"))
        path.assume(index.term >= first)
        term: Any = path.number(path.fresh("conflicting term"))
        return AppendReply(m.term, node.id, False, m.round, index, term)

    def back_off(leader: Node, m: AppendReply) -> Any:
        return path.number(path.fresh("back off"))

    def value(leader: Node, own: Any, of: Callable[[Progress], Any]) -> Callable[[Any], Any]:
        followers: Any = leader.leadership.progress
        me = cluster.node(leader.id)
        return lambda v: z3.If(v == me, path.integer(own), path.integer(of(followers.at(v))))

    def reaching(leader: Node, own: Any, of: Callable[[Progress], Any], least: Any) -> Servers:
        has = z3.Const(path.fresh("reaching"), cluster.sets)
        number, v = z3.Int(path.fresh("how many reach it"), path.context), z3.Const("v", cluster.nodes)
        reached = z3.And(cluster.is_voter(leader, v), value(leader, own, of)(v) >= path.integer(least))
        path.know(z3.ForAll([v], z3.Select(has, v) == reached, patterns=[z3.Select(has, v)]))
        path.required += cluster.all_are_followed(leader)
        return Servers(path, has, number)

    def reached_by_majority(node: Node, own: Any, of: Callable[[Progress], Any]) -> Number:
        followers: Any = node.leadership.progress
        result, of_server = path.number(path.fresh("reached"), None), value(node, own, of)
        quorum = z3.Const(path.fresh("quorum that reached"), cluster.quorums)
        some = z3.Const(path.fresh("who reached"), cluster.nodes)
        path.assume(result.term == of_server(some))
        path.assume(z3.Or(some == cluster.node(node.id), followers.servers.holds(some)))
        path.required += cluster.all_are_followed(node)
        cluster.known_quorum(path, node, quorum, lambda v: result.term <= of_server(v))
        path.of_follower(some)
        return result  # type: ignore[no-any-return]

    def is_majority(node: Node, servers: Any) -> Any:
        return cluster.has_quorum(path, node, servers)

    def brought(kept: int, entries: tuple[Entry, ...]) -> Any:
        return cluster.history_of(path, kept, entries)

    def up_to_index(history: Any, index: int) -> Any:
        return history.up_to(index) if isinstance(history, InForce) else up_to(history, index)

    def to_join(node: Node) -> Any:
        wanted: Any = node.leadership.wanted
        if wanted is None:
            return ()
        me = cluster.node(node.id)
        return Group(path, lambda v: z3.And(wanted.holds(v), z3.Not(cluster.is_voter(node, v)), v != me))

    def have_caught_up(node: Node) -> bool:
        followers: Any = node.leadership.progress
        joining: Any = raft.to_join(node)
        if isinstance(joining, tuple):
            return True
        v, commit = z3.Const("v", cluster.nodes), path.integer(node.commit_index)
        path.required.append(
            (
                "those that join are followed",
                cluster.each(lambda v: z3.Implies(joining.holds(v), followers.servers.holds(v))),
            )
        )
        has = z3.Implies(joining.holds(v), path.integer(followers.at(v).match_index) >= commit)
        wanted: Any = node.leadership.wanted
        return path.decide_whole(z3.ForAll([v], has, patterns=[wanted.holds(v)]))

    def of_peers(node: Node) -> Followers:
        followers: Any = node.leadership.progress
        peers, known = cluster.peers_of(path, node), followers.servers.holds
        return Followers(Group(path, lambda v: z3.And(peers.holds(v), known(v))), followers.at)

    def silent_among(node: Node, servers: Any, now: int) -> Any:
        if isinstance(servers, tuple):
            return ()
        number: Any = path.number(path.fresh("how many are silent"))
        return Counted(path, number.term)

    def listed(servers: Any) -> str:
        return path.fresh("servers")

    def answer_reads(node: Node, now: int) -> Step:
        reads: Any = node.leadership.reads
        ready: Any = Many(path, each=tuple(map(raft.answer, members_of(reads))))
        return Step(node, (), ready) if members_of(reads) else Step(node)

    of_changes = {"answer_reads": answer_reads} if cluster.has_changes else {}
    return of_changes | {
        "terms": terms,
        "conflict": conflict,
        "back_off": back_off,
        "reaching": reaching,
        "reached_by_majority": reached_by_majority,
        "is_majority": is_majority,
        "brought": brought,
        "up_to": up_to_index,
        "to_join": to_join,
        "have_caught_up": have_caught_up,
        "of_peers": of_peers,
        "silent_among": silent_among,
        "listed": listed,
    }


def taken_for_granted(name: str, contract: Callable[..., Any]) -> frozenset[str]:
    """The rules that the contract stands for: those that the function calls, but for what both call."""
    return _called_by(name) - {*_names(contract.__code__)}


@cache
def _called_by(name: str) -> frozenset[str]:
    """The function's own name, and those of all core functions that it leads to."""
    found, new = {name}, {name}
    while new:
        new = {called for one in new for called in _names(CORRECT[one].__code__) if called in CORRECT} - found
        found |= new
    return frozenset(found)


def _names(code: CodeType) -> Iterator[str]:
    """The names that a function reads, also within its lambdas and comprehensions."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


@contextmanager
def any_size(path: AnyPath, modules: tuple[ModuleType, ...] = (), rules: Set[str] = NONE) -> Iterator[None]:
    """Within this block the core runs on values of any size. `modules`: those of a faulty core's rules, and
    `rules`: their names. What calls one of these is run itself, and is not taken by its contract."""
    peers = raft.Node.peers
    core = vars(raft)["step"].__globals__
    faulty = {name for name, function in CORRECT.items() if core[name] is not function} | rules
    contracts = {name: f for name, f in loops(path).items() if not faulty & taken_for_granted(name, f)}
    raft.Node.peers = property(  # type: ignore[assignment, method-assign]
        lambda node: path.cluster.peers_of(path, node)
    )
    known, made = known_functions(path), path.cluster.known_classes(path)
    try:
        with (
            in_place(known, (raft, configuration, *modules)),
            in_place(made, (configuration, *modules)),
            in_place(contracts, (raft,)),
        ):
            yield
    finally:
        raft.Node.peers = peers  # type: ignore[method-assign]
