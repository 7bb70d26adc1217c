"""What proofs of any size take for true of configurations is true of all those of up to three servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations, product
from typing import Any

import pytest
import z3

from oneleader.conformance.handlers.members import AnyMembers
from oneleader_raft.configuration import Membership

SERVERS = ("n1", "n2", "n3")
Set = frozenset[str]
SUBSETS = [Set(some) for size in range(len(SERVERS) + 1) for some in combinations(SERVERS, size)]
SETS = [some for some in SUBSETS if some]
CONFIGURATIONS = [Membership(tuple(sorted(new))) for new in SETS] + [
    Membership(tuple(sorted(new)), tuple(sorted(old))) for new, old in product(SETS, SETS) if new != old
]
NUMBERS = {c: number for number, c in enumerate(CONFIGURATIONS)}


def is_quorum(servers: Set, number: int) -> bool:
    """In the core's own words, of voters alone."""
    c = CONFIGURATIONS[number]
    return servers <= set(c.voters) and c.is_quorum(servers)


def is_adjacent(one: int, other: int) -> bool:
    """`OneServer` and `Adjacent` of tla/Membership.tla."""
    c, d = CONFIGURATIONS[one], CONFIGURATIONS[other]
    if not c.old and not d.old:
        return len({*c.members} ^ {*d.members}) == 1
    return (not c.old and c.sets[0] in d.sets) or (not d.old and d.sets[0] in c.sets)


MEANS: dict[str, Callable[..., Any]] = {
    "members of": lambda c: Set(CONFIGURATIONS[c].members),
    "old members of": lambda c: Set(CONFIGURATIONS[c].old),
    "voters of": lambda c: Set(CONFIGURATIONS[c].voters),
    "configuration of": lambda new, old: NUMBERS.get(Membership(tuple(sorted(new)), tuple(sorted(old)))),
    "how many": len,
    "how many are in one of": lambda one, other: len(one ^ other),
    "all voters of": lambda c: Set(CONFIGURATIONS[c].voters),
    "quorum_of": is_quorum,
    "member": lambda v, q: v in q,
    "one of": lambda q: min(q),
    "adjacent": is_adjacent,
}
OPERATIONS: dict[int, Callable[..., Any]] = {
    z3.Z3_OP_AND: lambda *xs: all(xs),
    z3.Z3_OP_OR: lambda *xs: any(xs),
    z3.Z3_OP_NOT: lambda x: not x,
    z3.Z3_OP_IMPLIES: lambda x, y: not x or y,
    z3.Z3_OP_EQ: lambda x, y: x == y,
    z3.Z3_OP_GT: lambda x, y: x > y,
    z3.Z3_OP_GE: lambda x, y: x >= y,
    z3.Z3_OP_SELECT: lambda servers, v: v in servers,
    z3.Z3_OP_CONST_ARRAY: lambda x: Set(SERVERS if x else ()),
    z3.Z3_OP_TRUE: lambda: True,
    z3.Z3_OP_FALSE: lambda: False,
}
LAZY = {z3.Z3_OP_AND: False, z3.Z3_OP_IMPLIES: False}  # where the first argument can settle it


def value(term: Any, bound: tuple[Any, ...] = ()) -> Any:
    """Of a term of Z3, among these servers and configurations."""
    if z3.is_quantifier(term):
        domains = [domain(term.var_sort(i)) for i in range(term.num_vars())]
        # The last of the variables has the index 0.
        return all(value(term.body(), (*reversed(chosen), *bound)) for chosen in product(*domains))
    if z3.is_var(term):
        return bound[z3.get_var_index(term)]
    if z3.is_int_value(term):
        return term.as_long()
    kind = term.decl().kind()
    if kind in LAZY and value(term.arg(0), bound) is LAZY[kind]:
        return kind == z3.Z3_OP_IMPLIES
    arguments = [value(argument, bound) for argument in term.children()]
    means = MEANS[term.decl().name()] if kind == z3.Z3_OP_UNINTERPRETED else OPERATIONS[kind]
    return means(*arguments)


def domain(sort: Any) -> list[Any]:
    return {"Int": [*range(len(CONFIGURATIONS))], "Node": [*SERVERS]}.get(sort.name(), SUBSETS)


def known() -> Iterator[Any]:
    return AnyMembers()._known()


@pytest.mark.parametrize("number", range(len([*known()])))
def test_it_is_true_of_configurations(number: int) -> None:
    assert value([*known()][number])


WRONG: Mapping[str, Callable[..., Any]] = {
    "voters of": lambda c: Set(CONFIGURATIONS[c].members),  # those of the new set alone
    "configuration of": lambda new, old: NUMBERS[Membership(tuple(sorted(new)))],
    "quorum_of": lambda servers, number: CONFIGURATIONS[number].is_quorum(servers),  # who has no vote, too
    "adjacent": lambda one, other: False,
    "how many are in one of": lambda one, other: 1,
    "old members of": lambda c: Set(CONFIGURATIONS[c].members),
}


@pytest.mark.parametrize("name", WRONG)
def test_of_others_it_is_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it says something of each."""
    monkeypatch.setitem(MEANS, name, WRONG[name])
    assert not all(value(fact) for fact in known())
