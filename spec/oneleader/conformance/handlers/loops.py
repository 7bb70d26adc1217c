"""loops: what the core's few loops are taken to do, for servers and logs of any number.

A loop over a log or over members cannot be run where their number is not known. These functions of the core
have one, and a handler that is proved for any size runs their contracts in their place:

| function              | what it is taken to do                                                       |
|-----------------------|------------------------------------------------------------------------------|
| `Node.peers`          | exactly the members but itself                                               |
| `terms`               | those of two logs are equal exactly if the entries' terms are, one by one    |
| `conflict`            | from an index after the snapshot's: a refusal, with some index after it      |
| `back_off`            | some index from 0 on; its caller keeps it within what the follower may lack  |
| `reaching`            | exactly the members, the leader among them, whose value is as great          |
| `reached_by_majority` | the value of some member, which every member of some majority has reached    |
| `is_majority`         | of a set of members: they are more than half of all                          |
| `brought`             | nothing: no entry brings a configuration, as no change is pending            |

`contracts` checks that the functions themselves meet them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import z3

from oneleader.conformance.handlers.paths import Number
from oneleader.conformance.handlers.symbolic import (
    AnyPath,
    Peers,
    Servers,
    TermsOfLog,
    entries_of,
    in_place,
    known_functions,
)
from oneleader_raft import raft
from oneleader_raft.configuration import History
from oneleader_raft.raft import AppendEntries, AppendReply, Entry, Node, Progress


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
        reached = z3.And(cluster.is_member(v), value(leader, own, of)(v) >= path.integer(least))
        path.know(z3.ForAll([v], z3.Select(has, v) == reached, patterns=[z3.Select(has, v)]))
        return Servers(path, has, number)

    def reached_by_majority(node: Node, own: Any, of: Callable[[Progress], Any]) -> Number:
        result, of_server = path.number(path.fresh("reached"), None), value(node, own, of)
        quorum = z3.Const(path.fresh("quorum that reached"), cluster.quorums)
        v, some = z3.Const("v", cluster.nodes), z3.Const(path.fresh("who reached"), cluster.nodes)
        path.assume(result.term == of_server(some), cluster.is_member(some))
        all_reach = z3.Implies(cluster.member(v, quorum), result.term <= of_server(v))
        path.know(z3.ForAll([v], all_reach, patterns=[cluster.member(v, quorum)]))
        of_members = z3.Implies(cluster.member(v, quorum), cluster.is_member(v))
        path.know(z3.ForAll([v], of_members, patterns=[cluster.member(v, quorum)]))
        path.know(cluster.member(cluster.one_of(quorum), quorum))
        path.quorums.append(quorum)
        path.of_follower(some)
        return result  # type: ignore[no-any-return]

    def is_majority(node: Node, servers: Any) -> Any:
        return servers.size() * 2 > Number(path, cluster.total)

    def brought(kept: int, entries: tuple[Entry, ...]) -> History:
        return ()

    return {
        "terms": terms,
        "conflict": conflict,
        "back_off": back_off,
        "reaching": reaching,
        "reached_by_majority": reached_by_majority,
        "is_majority": is_majority,
        "brought": brought,
    }


@contextmanager
def any_size(path: AnyPath, modules: tuple[ModuleType, ...] = ()) -> Iterator[None]:
    """Within this block the core runs on values of any size. `modules`: those of a faulty core's rules."""
    peers = raft.Node.peers
    core = vars(raft)["step"].__globals__
    contracts = {name: f for name, f in loops(path).items() if core[name] is CORRECT[name]}
    raft.Node.peers = property(  # type: ignore[assignment, method-assign]
        lambda node: Peers(path, path.cluster.node(node.id))
    )
    try:
        with in_place(known_functions(path), (raft, *modules)), in_place(contracts, (raft,)):
            yield
    finally:
        raft.Node.peers = peers  # type: ignore[method-assign]


NAMES = ("terms", "conflict", "back_off", "reaching", "reached_by_majority", "is_majority", "brought")
CORRECT = {name: getattr(raft, name) for name in NAMES}
