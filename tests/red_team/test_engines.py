"""Attacks on the explorer: properties that are false, and states that only look alike."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneleader.language.configuration import Configuration
from oneleader.language.symmetry import renamings
from oneleader.readers.explore.explore import explore

Build = Callable[[str], ModuleType]

# Row 1: `written` added 1 to 127 in eight bits, and the sign went over the whole word.
TOKEN = '''
class State(Fields):
    last = field(of=Term)
    newest = field(of=Option[Term])
    acknowledged = field(of=bool)

@action
def grant(s: State) -> None:
    """The next token."""
    t = s.last + 1
    s.last = t

@action
def publish(s: State) -> None:
    """The newest token is published."""
    t = s.last
    s.newest = t

@invariant
def the_last_was_acknowledged(s: State) -> bool:
    """False: nobody ever acknowledges anything."""
    return implies(s.newest == {last}, s.acknowledged)

MODEL = model(__name__, State)
'''


@pytest.mark.parametrize("engine", ["python", "numpy", "native"])
@pytest.mark.parametrize("last", [126, 127, 128, 254, 255, 256])
def test_a_token_at_the_end_of_a_byte(build: Build, engine: str, last: int) -> None:
    found = explore(build(TOKEN.format(last=last)).MODEL, Configuration({}, {"Term": last}), engine=engine)
    assert found.violation
    assert len(found.violation.steps) == last + 1


# C computes `(y ? 2147483647 : 1) + (z ? ... )` in 32 bits, unless its literals say otherwise.
LITERALS = """
class State(Fields):
    y = field(of=bool)
    z = field(of=bool)
    x = field(Node, of=bool)

@action
def set_y(s: State) -> None:
    \"\"\"One.\"\"\"
    s.y = True

@action
def set_z(s: State) -> None:
    \"\"\"The other.\"\"\"
    s.z = True

@invariant
def small(s: State) -> bool:
    \"\"\"False: both can be set.\"\"\"
    return {sum} < {most}

MODEL = model(__name__, State)
"""
SUMS = {
    "choices": ("ite(s.y, {n}, 1) + ite(s.z, {n}, 2)", 2),
    "a count": ("Node.count(lambda n: no(s.x[n])) + ite(both(s.y, s.z), {n}, 0)", 1),
    "three": ("ite(s.y, {n}, 0) + ite(s.z, {n}, 0) + ite(both(s.y, s.z), {n}, 0)", 3),
}


@pytest.mark.parametrize("engine", ["python", "numpy", "native"])
@pytest.mark.parametrize("said", SUMS)
@pytest.mark.parametrize("n", [127, 2**16 - 1, 2**31 - 1, 2**53])
def test_a_sum_of_literals(build: Build, engine: str, said: str, n: int) -> None:
    sum, times = SUMS[said]
    model = build(LITERALS.format(sum=sum.format(n=n), most=times * n)).MODEL
    found = explore(model, Configuration({"Node": ("n1", "n2")}, {}), engine=engine)
    assert found.violation
    assert len(found.violation.steps) == 2


# Symmetry: constants that tell elements apart were never looked at where a number indexes them, too.
SPECIAL = '''
class Client(SetSort):
    """Another set."""

class State(Fields):
    special = constant({index})
    marked = field(Node, of=bool)
    served = field(Client, of=bool)
    tick = field(of=Term)
    bell = field(of=bool)

@action
def mark(s: State, n: Node) -> None:
    """The first node is marked."""
    is_first = no(Node.any(lambda m: s.marked[m]))
    s.require(is_first)
    s.marked[n] = True

@action
def rest(s: State) -> None:
    """Nothing happens."""
    t = s.tick
    s.tick = t

@action
def serve(s: State, n: Node, c: Client, t: Term, r: Role) -> None:
    """A node that is special serves a client, and the bell rings."""
    n_is_marked = s.marked[n]
    n_is_special = s.special[{key}]
    s.require(n_is_marked, n_is_special)
    s.served[c] = True
    s.bell = True

@invariant
def the_bell_is_quiet(s: State) -> bool:
    """False, whichever node is the special one."""
    return no(s.bell)

MODEL = model(__name__, State)
'''
KEYS = {"Node": "n", "Term": "t", "Role": "r", "Client": "c"}
ORDERS = [
    ("Node",),
    ("Node", "Term"),
    ("Term", "Node"),
    ("Role", "Node"),
    ("Node", "Node", "Term"),
    ("Term", "Node", "Role"),
    ("Node", "Term", "Client"),
    ("Client", "Role", "Node"),
    ("Node", "Client"),
]
AT = {"Node": 3, "Term": 2, "Role": 2, "Client": 2}  # how many values: Term has 0 and 1


@pytest.mark.parametrize("node", [0, 1, 2])
@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_the_special_node_is_found(build: Build, order: tuple[str, ...], node: int) -> None:
    """Before, `mark(n1)` stood for `mark(n3)` although only n3 is special."""
    model = special(build, order)
    keys = {tuple(node if s == "Node" else 1 for s in order)}
    for engine, symmetry in product(("python", "numpy"), (True, False)):
        found = explore(model, at_(frozenset(keys)), engine=engine, symmetry=symmetry)
        assert found.violation, (engine, symmetry)
        assert len(found.violation.steps) == 2


@given(order=st.sampled_from(ORDERS), data=st.data())
def test_renamings_keep_every_constant(build: Build, order: tuple[str, ...], data: st.DataObject) -> None:
    """Whatever a constant is indexed by; and every renaming that keeps it is used."""
    model = special(build, order)
    every = list(product(*(range(AT[s]) for s in order)))
    true_at = frozenset(data.draw(st.sets(st.sampled_from(every)), label="special"))
    at = at_(true_at)
    found = renamings(model, at)
    for renaming in found:
        assert {renaming.index(model.fields["special"], key) for key in true_at} == true_at
    full, orbits = (explore(model, at, symmetry=s) for s in (False, True))
    assert full.verdict == orbits.verdict
    assert full.depth == orbits.depth


MADE: dict[tuple[str, ...], ModuleType] = {}


def special(build: Build, order: tuple[str, ...]):  # type: ignore[no-untyped-def]
    if order not in MADE:
        MADE[order] = build(SPECIAL.format(index=", ".join(order), key=", ".join(KEYS[s] for s in order)))
    return MADE[order].MODEL


def at_(true_at: frozenset[tuple[int, ...]]) -> Configuration:
    elements = {"Node": ("n1", "n2", "n3"), "Client": ("c1", "c2")}
    return Configuration(elements, {"Term": 1}, {"special": true_at})


def test_many_followers_end(build: Build) -> None:
    """Eight clients that nothing tells apart, in second place of a constant: the search ends."""
    model = special(build, ("Node", "Term", "Client"))
    at = Configuration({"Node": ("n1",), "Client": tuple("abcdefgh")}, {"Term": 1}, {"special": frozenset()})
    assert 1 < len(renamings(model, at)) <= 5_040
