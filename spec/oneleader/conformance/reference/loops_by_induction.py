"""loops_by_induction: the core's comprehensions give what their contracts say, whatever the length.

`contracts` runs the core's loops up to some length. Their comprehensions are proved here for every length, by
induction: of nothing they give nothing; and if they give of n elements what the claim says, so they do of one
more, of which nothing is known. What one element adds is the comprehension's own code, taken from the source
of the core and run along every path: its conditions, and what it gives if they hold. That a comprehension
adds this to what it gave of the elements before is what Python means by it.

| function    | of an element                 | is given                         | namely              |
|-------------|-------------------------------|----------------------------------|---------------------|
| Node.peers  | a member                      | exactly if it is another         | it                  |
| reaching    | a member                      | exactly if its value is as great | it                  |
| terms       | an entry                      | always                           | its term            |
| brought     | an entry with no configuration | never                           |                     |
| conflict    | an index after the snapshot's | exactly if its term is that one  | it                  |
| back_off    | an index after the snapshot's | exactly if its term is that one  | it                  |

What stands around a comprehension (`next`, `[-1]`, a set made of it) is left to `contracts`, and so is
`reached_by_majority`, whose condition asks about all members at once.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeAlias

import z3

from oneleader.conformance.handlers.paths import CodePath, Name, Number, paths, term_of
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict
from oneleader_raft import raft
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


def comprehension(tree: ast.AST) -> Comprehension:
    """The first one of a function."""
    found = next(node for node in ast.walk(tree) if isinstance(node, ast.GeneratorExp | ast.ListComp))
    (loop,) = found.generators
    return Comprehension(ast.unparse(loop.iter), tuple(loop.ifs), found.elt)


def prove_loop(function: str, tree: ast.AST | None = None) -> Verdict:
    """The step of the induction, for the function as it stands in the core or for another text of it."""
    claim, found = CLAIMS[function], comprehension(tree or source_of(function))
    if found.over != claim.over:
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
        same = [term_of(value) == term_of(element) for value in added]
        return z3.And(is_due == bool(added), len(added) <= 1, *same, path.context)

    return says


def _another(path: CodePath) -> tuple[Env, Any]:
    me, member = _server(path, "me"), _server(path, "member")
    env = {"self": SimpleNamespace(id=me), "member": member}
    return env, _exactly_if(path, member.term != me.term, member)


class _Values:
    """The value of each server."""

    def __init__(self, path: CodePath) -> None:
        server, ints = z3.DeclareSort("Server", path.context), z3.IntSort(path.context)
        self.path, self.of = path, z3.Function("value", server, ints)

    def __getitem__(self, server: Any) -> Number:
        return Number(self.path, self.of(server.term))


def _as_great(path: CodePath) -> tuple[Env, Any]:
    values, least, server = _Values(path), path.number("least", None), _server(path, "server")
    env = {"values": values, "least": least, "server": server}
    return env, _exactly_if(path, values[server].term >= least.term, server)


def _its_term(path: CodePath) -> tuple[Env, Any]:
    entry = Entry(path.number("term"), "a command")
    return {"entry": entry}, _exactly_if(path, z3.BoolVal(True, path.context), entry.term)


def _no_configuration(path: CodePath) -> tuple[Env, Any]:
    env = {"i": path.number("i"), "e": Entry(path.number("term"), "a command")}
    return env, _exactly_if(path, z3.BoolVal(False, path.context), env["i"])


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
    "brought": Claim("enumerate(entries, kept + 1)", _no_configuration),
    "conflict": Claim(
        "range(node.snapshot.index + 1, node.last_index + 1)",
        _of_term("node", lambda term: {"term": term}),
    ),
    "back_off": Claim(
        "range(leader.snapshot.index + 1, leader.last_index + 1)",
        _of_term("leader", lambda term: {"m": SimpleNamespace(conflict_term=term)}),
    ),
}
