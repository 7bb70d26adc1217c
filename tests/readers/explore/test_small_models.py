"""Small models that use what elections do not: each engine explores them alike, as counted by hand.

Logs as bounded sequences at symbolic indices, bags with counts, options as indices of a choice, whole
fields rewritten, claims, cut steps. Each later model adds itself to the engines' tests.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from oneleader.language.configuration import Configuration
from oneleader.language.model import Model
from oneleader.models import find
from oneleader.readers.explore.explore import ENGINES, explore, ghosts_read
from oneleader.readers.explore.explored import Explored
from oneleader.verdict import HOLDS

HEAD = '''"""A small model."""
from __future__ import annotations
from oneleader.language import *
from oneleader.language import model as define


class Node(SetSort):
    """Somebody."""


class Index(NumberSort):
    """A place in a log; 0 is before the first."""


class Value(SetSort):
    """What is written."""


'''

LOG = '''class State(Fields):
    """A log of each node, and what was committed."""

    log = field(Node, Index, of=Option[Value])
    size = field(Node, of=Index)
    committed = field(of=Index)


@action
def append(s: State, n: Node, v: Value) -> None:
    """At an index that only the run knows."""
    at = s.size[n] + 1
    s.log[n, at] = v
    s.size[n] = at


@action
def copy(s: State, n: Node, m: Node) -> None:
    """The next entry of another log, where all before agree."""
    other_is_longer = s.size[n] < s.size[m]
    all_before_agree = Index.all(lambda i: implies(i <= s.size[n], s.log[n, i] == s.log[m, i]))
    s.require(other_is_longer, all_before_agree)

    at = s.size[n] + 1
    s.log[n, at] = s.log[m, at]
    s.size[n] = at


@action
def truncate(s: State, n: Node, i: Index) -> None:
    """Forget what is beyond an index."""
    index_is_inside = i < s.size[n]
    nothing_committed_is_lost = s.committed <= i
    s.require(index_is_inside, nothing_committed_is_lost)
    s.claim(s.log[n, s.size[n]] != NIL)

    s.log.where(lambda old, m, j: ite(both(m == n, j > i), NIL, old))
    s.size[n] = i


@action
def commit(s: State) -> None:
    """What all have."""
    i = s.committed + 1
    all_have_it = Node.all(lambda n: both(i <= s.size[n], s.log[n, i] != NIL))
    all_agree = Node.all(lambda n: Node.all(lambda m: s.log[n, i] == s.log[m, i]))
    s.require(all_have_it, all_agree)

    s.committed = i


@invariant
def no_holes(s: State, n: Node, i: Index) -> bool:
    """An entry stands at each index up to the size, and none beyond."""
    return (s.log[n, i] != NIL) == both(i > 0, i <= s.size[n])


@invariant
def committed_is_the_same(s: State, n: Node, m: Node, i: Index) -> bool:
    """State machine safety, for a cluster without elections."""
    return implies(i <= s.committed, s.log[n, i] == s.log[m, i])


@witness
def logs_differ(s: State, n: Node, m: Node, i: Index) -> bool:
    """Two logs disagree at an index that both have."""
    return both(i <= s.size[n], i <= s.size[m], s.log[n, i] != s.log[m, i])


@witness
def all_is_committed(s: State) -> bool:
    """A log is full, and everything in it committed."""
    return both(s.committed > 1, Node.any(lambda n: s.size[n] == s.committed))


MODEL = define(__name__, State)
'''

BAG = '''class State(Fields):
    """A network that counts its messages, and who waits for whom."""

    sent = field(Node, Node, of=Index)
    waits = field(Node, of=Option[Node])
    got = field(Node, of=Index)
    ever = ghost(of=Index)


@action
def send(s: State, n: Node, m: Node) -> None:
    """A message more, and n waits."""
    nobody_is_waited_for = s.waits[n] == NIL
    it_is_another = n != m
    s.require(nobody_is_waited_for, it_is_another)

    s.sent[n, m] = s.sent[n, m] + 1
    s.waits[n] = m
    s.ever = s.ever + 1


@action
def duplicate(s: State, n: Node, m: Node) -> None:
    """The network repeats a message."""
    there_is_one = s.sent[n, m] > 0
    s.require(there_is_one)

    s.sent[n, m] = s.sent[n, m] + s.sent[n, m]


@action
def receive(s: State, n: Node) -> None:
    """Whoever waits is served, all messages between the two are gone."""
    somebody_is_waited_for = s.waits[n] != NIL
    s.require(somebody_is_waited_for)

    s.got[n] = s.got[n] + Node.count(lambda m: s.waits[m] == n)
    s.sent.where(lambda old, a, b: ite(both(a == n, s.waits[n] == b), 0, old))
    s.waits[n] = NIL


@invariant
def who_waits_has_sent(s: State, n: Node, m: Node) -> bool:
    """Messages are only lost when they are received."""
    return implies(s.waits[n] == m, s.sent[n, m] > 0)


@invariant
def nobody_waits_for_itself(s: State, n: Node) -> bool:
    """Neither directly."""
    return s.waits[n] != n


@witness
def all_wait(s: State) -> bool:
    """A circle."""
    return Node.all(lambda n: s.waits[n] != NIL)


@witness
def twice(s: State, n: Node) -> bool:
    """Counted to two."""
    return s.got[n] == 2


MODEL = define(__name__, State)
'''

TWO_LOGS = Configuration({"Node": ("a", "b"), "Value": ("x", "y")}, {"Index": 3})
SMALL = {
    # Counted by hand: of 15 logs each, 225 pairs, and once more for each entry of a common prefix:
    # 2 * 7 * 7 pairs share one or more, 4 * 3 * 3 two, 8 three.
    "log": (LOG, TWO_LOGS, 225 + 98 + 36 + 8, 4),
    # Each of 3 nodes has got 0, 1 or 2, and waits for nobody, or for one of two with 1 or 2 sent.
    "bag": (BAG, Configuration({"Node": ("a", "b", "c")}, {"Index": 2}), (3 * (1 + 2 * 2)) ** 3, 6),
}


@pytest.fixture(params=SMALL)
def small(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Model, Configuration, int, int]:
    text, at, states, order = SMALL[request.param]
    path = tmp_path / f"small_{request.param}.py"
    path.write_text(HEAD + text)
    return find(str(path)), at, states, order


def counts(found: Explored) -> tuple[object, ...]:
    """All that engines must agree on."""
    return (
        *(found.verdict, found.states, found.transitions, found.cut, found.depth),
        *(found.symmetry, found.fired, found.witnesses),
    )


@pytest.mark.parametrize("symmetry", [False, True])
def test_engines_explore_it_alike(small: tuple[Model, Configuration, int, int], symmetry: bool) -> None:
    model, at, states, order = small
    told = [explore(model, at, engine=engine, symmetry=symmetry) for engine in ENGINES]
    assert all(counts(found) == counts(told[0]) for found in told)
    assert told[0].verdict is HOLDS
    assert symmetry or told[0].states == states
    assert told[0].cut > 0
    assert not told[0].never_fired
    assert None not in told[0].witnesses.values()
    assert told[0].symmetry == (order if symmetry else 1)


CLAIMS = '''class State(Fields):
    """A counter, and what is remembered of it; all of that is doubled."""

    at = field(of=Index)
    past = ghost(of=Index)
    doubled = ghost(of=Index)


@action
def count(s: State) -> None:
    """A claim of history stands before the guard, and counts where the guard holds."""
    s.claim(s.past < 2)
    it_is_small = s.at < 2
    s.require(it_is_small)

    s.at = s.at + 1
    s.doubled = s.past + s.past
    s.past = s.past + 1


@action
def forget(s: State) -> None:
    """Start again: history goes on."""
    s.at = 0


@invariant
def doubled_is_even(s: State, i: Index) -> bool:
    """What is computed from other history needs it."""
    return s.doubled != 1


@invariant
def past_is_something(s: State) -> bool:
    """Brings history in."""
    return s.past >= 0


MODEL = define(__name__, State)
'''


def test_a_claim_of_history_counts_where_history_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "claims.py"
    path.write_text(HEAD + CLAIMS)
    model, at = find(str(path)), Configuration({}, {"Index": 4})
    for engine in ENGINES:
        without = explore(model, at, engine=engine)
        kept = explore(model, at, engine=engine, ghosts=frozenset({"past"}))
        assert (without.verdict, without.states) == (HOLDS, 3)
        assert kept.violation
        assert (kept.violation.what, len(kept.violation.steps)) == ("claim", 3)
    assert ghosts_read(model, model.invariants["doubled_is_even"]) == {"doubled", "past"}
