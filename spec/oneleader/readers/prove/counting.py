"""counting: why the axiom of `membership` is true of majorities, for sets of any size, with Z3.

`membership` assumes of adjacent configurations that every quorum of the one shares a server with every
quorum of the other. That is a fact about counting, which quorums as relations cannot say; so it is proved
here. Two majorities without a common server have together no more servers than both sets together:

| lemma        | sets                                  | would have to be                            |
|--------------|---------------------------------------|---------------------------------------------|
| same         | one set of c servers                  | 2p > c, 2q > c, p + q <= c                  |
| one server   | c servers, and the same with one more | 2p > c, 2q > c + 1, p + q <= c + 1          |
| joint        | a quorum holds a majority of each set | within one of the sets the lemma `same`     |
"""

from __future__ import annotations

from collections.abc import Iterator

import z3


def lemmas() -> Iterator[tuple[str, z3.BoolRef]]:
    """Each lemma by its name, negated: Z3 has to find that it cannot be."""
    yield "majorities of one set share a server", disjoint_majorities(0)
    yield "majorities of sets that differ by one server share one", disjoint_majorities(1)
    yield "a joint configuration's quorums share one with those of either set", disjoint_from_joint()


def disjoint_majorities(differ_by: int) -> z3.BoolRef:
    """Majorities, without a common server, of c servers and of the same with so many more."""
    c, p, q = z3.Ints("c p q")
    d = c + differ_by
    return z3.And(c >= 1, 2 * p > c, 2 * q > d, p <= c, q <= d, p + q <= d)


def disjoint_from_joint() -> z3.BoolRef:
    """A joint quorum without a common server with a quorum of one of the two sets, or a joint one.

    `one`, `other` and `joint` say which sets of servers are quorums. Those of each set share a server.
    """
    node, servers = z3.DeclareSort("Node"), z3.DeclareSort("Servers")
    member = z3.Function("member", node, servers, z3.BoolSort())
    one, other, joint = (z3.Function(name, servers, z3.BoolSort()) for name in ("one", "other", "joint"))
    p, q, r = (z3.Const(name, servers) for name in "pqr")
    n = z3.Const("n", node)
    share = z3.Exists([n], z3.And(member(n, p), member(n, q)))
    holds = z3.ForAll([n], z3.Implies(member(n, p), member(n, r)))
    of_each = [z3.Exists([p], z3.And(of(p), holds)) for of in (one, other)]
    asked = z3.And(joint(p), z3.Or(one(q), other(q), joint(q)))
    return z3.And(
        *(z3.ForAll([p, q], z3.Implies(z3.And(of(p), of(q)), share)) for of in (one, other)),
        z3.ForAll([r], z3.Implies(joint(r), z3.And(*of_each))),
        z3.Exists([p, q], z3.And(asked, z3.Not(share))),
    )


def unproved() -> list[str]:
    """The lemmas that Z3 does not prove; [] is what the axiom needs."""
    return [name for name, negated in lemmas() if not is_impossible(negated)]


def is_impossible(negated: z3.BoolRef) -> bool:
    """Whether nothing satisfies it."""
    solver = z3.Solver()
    solver.add(negated)
    return bool(solver.check() == z3.unsat)
