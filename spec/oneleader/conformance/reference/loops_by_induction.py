"""loops_by_induction: the core's comprehensions give what their contracts say, whatever the length.

`contracts` runs the core's loops up to some length. Their comprehensions are proved here for every length, by
induction: of nothing they give nothing; and if they give of n elements what the claim says, so they do of one
more, of which nothing is known. What one element adds is the comprehension's own code, taken from the source
of the core and run along every path: its conditions, and what it gives if they hold. That a comprehension
adds this to what it gave of the elements before is what Python means by it.

| function       | of an element                 | is given                             | namely             |
|----------------|-------------------------------|--------------------------------------|--------------------|
| Node.peers     | a member                      | exactly if it is another             | it                 |
| reaching       | a member                      | exactly if its value is as great     | it                 |
| terms          | an entry                      | always                               | its term           |
| brought        | an entry                      | exactly if it brings a configuration | that and its index |
| conflict       | an index after the snapshot's | exactly if its term is that one      | it                 |
| back_off       | an index after the snapshot's | exactly if its term is that one      | it                 |
| up_to          | a configuration but the first | exactly if it is not after the index | it                 |
| to_join        | a server that is wanted       | exactly if it is no member, nor this | it                 |
| have_caught_up | a server that is to join      | always                               | if it has all that |
| of_peers       | a server that is known        | exactly if it is a peer              | what is known      |

What stands around a comprehension (`next`, `[-1]`, `all`, a set made of it) is left to `contracts`, and so
are `reached_by_majority`, whose condition asks about all members at once, and what is taken to be anything.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeAlias

import z3

from oneleader.conformance.handlers.paths import CodePath, Name, Number, paths, term_of
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict
from oneleader_raft import raft
from oneleader_raft.configuration import Membership
from oneleader_raft.raft import Entry

Env: TypeAlias = dict[str, Any]
RLIMIT = 3_000_000


@dataclass(frozen=True)
class Claim:
    """`over`: what the comprehension goes over, in the source. `element`: one of these, as the names that its
    code has for it and for what stands around it; with it what has to be true of what it adds."""

    over: str
    element: Callable[[CodePath], tuple[Env, Callable[[tuple[Any, ...]], Any]]]


@dataclass(frozen=True)
class Comprehension:
    """Of a function of the core, as code that can be run on one element."""

    over: str
    conditions: tuple[ast.expr, ...]
    gives: ast.expr

    def adds(self, env: Env) -> tuple[Any, ...]:
        """What it gives of one element: one value, or nothing."""
        if all(_value(condition, env) for condition in self.conditions):
            return (_value(self.gives, env),)
        return ()


def _value(expr: ast.expr, env: Env) -> Any:
    return eval(compile(ast.fix_missing_locations(ast.Expression(expr)), "<core>", "eval"), vars(raft) | env)


def source_of(function: str) -> ast.AST:
    owner, _, name = function.rpartition(".")
    found = vars(vars(raft)[owner] if owner else raft)[name]
    made: Any = found.fget if isinstance(found, property) else found
    return ast.parse(textwrap.dedent(inspect.getsource(made)))


def comprehensions(tree: ast.AST) -> Iterator[Comprehension]:
    """Those of a function. What one of a dictionary gives is a key and its value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.GeneratorExp | ast.ListComp | ast.DictComp):
            (loop,) = node.generators
            gives = (
                ast.Tuple([node.key, node.value], ast.Load()) if isinstance(node, ast.DictComp) else node.elt
            )
            yield Comprehension(ast.unparse(loop.iter), tuple(loop.ifs), gives)


def prove_loop(function: str, tree: ast.AST | None = None) -> Verdict:
    """The step of the induction, for the function as it stands in the core or for another text of it."""
    claim = CLAIMS[function]
    found = next((one for one in comprehensions(tree or source_of(function)) if one.over == claim.over), None)
    if found is None:
        return VIOLATED
    context = z3.Context()

    def run(path: CodePath) -> Any:
        env, says = claim.element(path)
        return says(found.adds(env))

    for path, goal in paths(run, context, CodePath):
        solver = z3.SimpleSolver(ctx=context)
        solver.set(rlimit=RLIMIT)
        solver.add(*path.condition, z3.Not(goal))
        result = solver.check()
        if result != z3.unsat:
            return VIOLATED if result == z3.sat else INCONCLUSIVE
    return HOLDS


# --- The claims -------------------------------------------------------------------------------------------


def _server(path: CodePath, name: str) -> Any:
    return Name(path, z3.Const(name, z3.DeclareSort("Server", path.context)), lambda other: other)


def _exactly_if(path: CodePath, is_due: Any, element: Any) -> Callable[[tuple[Any, ...]], Any]:
    """It is given exactly then, once, as it is."""

    def says(added: tuple[Any, ...]) -> Any:
        same = [_is_same(value, element) for value in added]
        return z3.And(is_due == bool(added), len(added) <= 1, *same, path.context)

    return says


def _is_same(value: Any, element: Any) -> Any:
    """An equal one, where it is known by a term; else the very same, or each part of it."""
    if isinstance(element, tuple):
        return len(value) == len(element) and all(a is b for a, b in zip(value, element, strict=True))
    return term_of(value) == term_of(element) if hasattr(element, "term") else value is element


def _another(path: CodePath) -> tuple[Env, Any]:
    me, member = _server(path, "me"), _server(path, "member")
    env = {"self": SimpleNamespace(id=me), "member": member}
    return env, _exactly_if(path, member.term != me.term, member)


@dataclass(frozen=True)
class _Each:
    """What is known of each server."""

    of: Callable[[Any], Any]

    def __getitem__(self, server: Any) -> Any:
        return self.of(server)


def _as_great(path: CodePath) -> tuple[Env, Any]:
    least, server = path.number("least", None), _server(path, "server")
    value = z3.Function("value", server.term.sort(), z3.IntSort(path.context))
    values = _Each(lambda server: Number(path, value(server.term)))
    env = {"values": values, "least": least, "server": server}
    return env, _exactly_if(path, values[server].term >= least.term, server)


def _its_term(path: CodePath) -> tuple[Env, Any]:
    entry = Entry(path.number("term"), "a command")
    return {"entry": entry}, _exactly_if(path, z3.BoolVal(True, path.context), entry.term)


def _what_it_brings(path: CodePath) -> tuple[Env, Any]:
    i, brings = path.number("i"), path.choose([False, True])
    command: Any = Membership(("n1",)) if brings else "a command"
    env = {"i": i, "e": Entry(path.number("term"), command)}
    return env, _exactly_if(path, z3.BoolVal(brings, path.context), (i, command))


class _Some:
    """Servers: of each it is open whether it is one of them."""

    def __init__(self, path: CodePath) -> None:
        server, truths = z3.DeclareSort("Server", path.context), z3.BoolSort(path.context)
        self.path, self.holds = path, z3.Function("is one of them", server, truths)

    def __contains__(self, server: Any) -> bool:
        return self.path.decide(self.holds(server.term))


def _who_is_new(path: CodePath) -> tuple[Env, Any]:
    members, me, id = _Some(path), _server(path, "me"), _server(path, "server")
    env = {"node": SimpleNamespace(members=members, id=me), "id": id}
    return env, _exactly_if(path, z3.And(z3.Not(members.holds(id.term)), id.term != me.term), id)


def _who_is_a_peer(path: CodePath) -> tuple[Env, Any]:
    peers, id, follower = _Some(path), _server(path, "server"), object()
    env = {"node": SimpleNamespace(peers=peers), "id": id, "follower": follower}
    return env, _exactly_if(path, peers.holds(id.term), (id, follower))


def _if_it_has_all(path: CodePath) -> tuple[Env, Any]:
    commit, match, id = path.number("commit index"), path.number("match index"), _server(path, "server")
    known = SimpleNamespace(progress=_Each(lambda server: SimpleNamespace(match_index=match)))
    env = {"node": SimpleNamespace(leadership=known, commit_index=commit), "id": id}
    return env, _exactly_if(path, z3.BoolVal(True, path.context), match >= commit)


def _of_index(path: CodePath) -> tuple[Env, Any]:
    since, index = path.number("since"), path.number("index")
    found = SimpleNamespace(since=since)
    return {"in_effect": found, "index": index}, _exactly_if(path, since.term <= index.term, found)


def _of_term(node: str, wanted: Callable[[Any], Env]) -> Callable[[CodePath], tuple[Env, Any]]:
    """An index with this term."""

    def element(path: CodePath) -> tuple[Env, Any]:
        i, term = path.number("i"), path.number("the term")
        ints = z3.IntSort(path.context)
        term_at = z3.Function("term at", ints, ints)
        found = SimpleNamespace(term_at=lambda i: Number(path, term_at(i.term)))
        env = {"i": i, node: found} | wanted(term)
        return env, _exactly_if(path, term_at(i.term) == term.term, i)

    return element


CLAIMS = {
    "Node.peers": Claim("self.members", _another),
    "reaching": Claim("leader.members", _as_great),
    "terms": Claim("entries", _its_term),
    "brought": Claim("enumerate(entries, kept + 1)", _what_it_brings),
    "conflict": Claim(
        "range(node.snapshot.index + 1, node.last_index + 1)",
        _of_term("node", lambda term: {"term": term}),
    ),
    "back_off": Claim(
        "range(leader.snapshot.index + 1, leader.last_index + 1)",
        _of_term("leader", lambda term: {"m": SimpleNamespace(conflict_term=term)}),
    ),
    "up_to": Claim("later", _of_index),
    "to_join": Claim("node.leadership.wanted or ()", _who_is_new),
    "have_caught_up": Claim("to_join(node)", _if_it_has_all),
    "of_peers": Claim("node.leadership.progress.items()", _who_is_a_peer),
}
