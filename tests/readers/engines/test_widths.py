"""Where a width ends: engines compute in columns of 8 and 64 bits and keep cells of any number of bits.

Each model starts just below a boundary and steps over it. The plain interpreter, which has Python's
integers, is the oracle for both compiled engines, with symmetry and without.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, reject
from hypothesis import strategies as st

from oneleader.errors import Disagreement, SpecError, UsageError
from oneleader.language.configuration import Configuration
from oneleader.readers.engines import vector
from oneleader.readers.engines.native import Native
from oneleader.readers.engines.packing import Packing
from oneleader.readers.engines.vector import Vector
from oneleader.readers.explore.explore import explore
from oneleader.readers.explore.search import Limits
from oneleader.readers.run import ClaimFailed, Cut, Disabled, Run, State
from oneleader.verdict import HOLDS

Build = Callable[[str], ModuleType]
EDGES = [
    *(n for edge in (1, 2, 64, 128, 256) for n in range(max(1, edge - 2), edge + 2)),
    *(n for power in (15, 16, 31, 32, 53) for n in range(2**power - 1, 2**power + 2)),
]
KINDS = "Term", "Option[Term]", "Index", "Option[Index]", "bool", "Option[Node]"
MOST_STATES = 25


class Writer:
    """Expressions of each kind over fields a, b ... (`of` says which is which) and x[n], a field of nodes."""

    def __init__(self, draw: Callable[..., Any], fields: dict[str, str], literals: list[int]) -> None:
        self.draw, self.fields, self.literals = draw, fields, literals

    def choose(self, options: list[Any]) -> Any:
        return self.draw(st.sampled_from(options))

    def of(self, sort: str) -> list[str]:
        return [f"s.{name}" if sort != "each" else name for name, of in self.fields.items() if of == sort]

    def number(self, sort: str, depth: int = 2) -> str:
        """A number: a cell, a literal at an edge, a sum, a choice, and for terms how many nodes."""
        forms = [lambda: self.choose([*self.of(sort), str(self.choose(self.literals))])]
        if depth:
            forms += [
                lambda: f"({self.number(sort, depth - 1)} + {self.number(sort, depth - 1)})",
                lambda: f"({self.number(sort, depth - 1)} + {self.choose([1, 2, 127, 128, 255])})",
                lambda: f"ite({self.truth(depth - 1)}, {self.number(sort, 0)} + 0, {self.cell(sort)} + 1)",
            ]
        return str(self.choose(forms)())

    def cell(self, sort: str) -> str:
        return str(self.choose(self.of(sort) or ["s.zero" if sort == "Term" else "s.none"]))

    def option(self, sort: str) -> str:
        inner = sort.removeprefix("Option[").removesuffix("]")
        if inner == "Node":
            return str(self.choose(["n", "NIL", *self.of(sort)]))
        return str(
            self.choose([lambda: self.number(inner), lambda: "NIL", lambda: self.choose(self.of(sort))])()
        )

    def value(self, sort: str) -> str:
        return self.truth() if sort == "bool" else self.option(sort) if "[" in sort else self.number(sort)

    def truth(self, depth: int = 1) -> str:
        forms = []
        for sort in ("Term", "Index"):
            sign = self.choose(["<", "<=", "==", "!=", ">", ">="])
            forms.append(f"({self.cell(sort)} + 0 {sign} {self.number(sort, depth)})")
            forms += [
                f"({o} {sign} {self.choose(self.literals)})"
                for o in self.of(f"Option[{sort}]")
                if "=" in sign[1:]
            ]
        forms.append(f"(Node.count(lambda m: s.x[m]) >= {self.number('Term', depth)})")
        forms.append("s.x[n]")
        forms += self.of("bool")
        return str(self.choose(forms))


@st.composite
def models(draw: Callable[..., Any]) -> tuple[str, int, int]:
    """The text of a module, and the bounds of Term and Index: both at an edge."""
    term, index = draw(st.sampled_from(EDGES)), draw(st.sampled_from(EDGES))
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=4, max_size=7))
    fields = {chr(ord("a") + i): sort for i, sort in enumerate(kinds)}
    bound = {"Term": term, "Option[Term]": term, "Index": index, "Option[Index]": index}
    literals = sorted({0, 1, max(0, term - 1), term, index, term + 1, 127, 128})
    lines = []
    for name, sort in fields.items():
        near = draw(st.integers(max(0, bound[sort] - 3), bound[sort])) if sort in bound else None
        lines.append(f"    {name} = field(of={sort}{'' if near is None else f', init={near}'})\n")
    text = f"\nclass State(Fields):\n{''.join(lines)}"
    text += "    x = field(Node, of=bool)\n    zero = field(of=Term)\n    none = field(of=Index)\n"
    for i in range(draw(st.integers(1, 3))):
        writer = Writer(draw, fields, literals)
        body = f"    guard = {writer.truth()}\n    s.require(guard)\n" if draw(st.booleans()) else ""
        written = draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=3, unique=True))
        body += "".join(f"    new_{f} = {writer.value(fields[f])}\n" for f in written)
        body += f"    new_x = {writer.truth()}\n    s.x[n] = new_x\n"
        body += "".join(f"    s.{f} = new_{f}\n" for f in written)
        text += f'\n@action\ndef step_{i}(s: State, n: Node) -> None:\n    """Random."""\n{body}'
    says = Writer(draw, fields, literals).truth()
    text += f'\n@invariant\ndef holds(s: State, n: Node) -> bool:\n    """Random."""\n    return {says}\n'
    return text + "\nMODEL = model(__name__, State)\n", term, index


def plain_steps(run: Run, state: State) -> set[State]:
    """Where the plain interpreter gets from here."""
    found = set()
    for instance in run.instances:
        with suppress(Cut, Disabled, ClaimFailed):
            found.add(run.step(state, instance.action, instance.args))
    return found


def truth_apart(state: State) -> tuple[Any, ...]:
    return tuple((type(cell) is bool, int(cell)) for cell in state)


@given(drawn=models())
def test_columns_hold_what_the_plain_interpreter_computes(build: Build, drawn: tuple[str, int, int]) -> None:
    text, term, index = drawn
    try:
        model = build(text).MODEL
    except SpecError as error:
        event(str(error).rpartition(":")[2])
        reject()
    run = Run(model, Configuration({"Node": ("n1", "n2")}, {"Term": term, "Index": index}))
    engine = Vector(run, [*model.invariants.values()])
    seen, left = {run.initial}, [run.initial]
    while left and len(seen) < MOST_STATES:
        state = left.pop(0)
        rows = engine.packing.pack([state])
        assert engine.packing.unpack(rows) == [state]
        assert bool(engine.broken(rows)[0] >= 0) == (run.violated(state, model.invariants) is not None)
        after = set(engine.packing.unpack(engine.expand(rows).rows))
        assert after == plain_steps(run, state)
        left += sorted(after - seen)
        seen |= after
    event(f"{engine.packing.words} words")


def compared(model: Any, at: Configuration, *, symmetry: bool, engines: tuple[str, ...]) -> Any:
    """The oracle's result, after each engine was seen to say the same."""
    limits = Limits(states=2_000)
    oracle = explore(model, at, symmetry=symmetry, engine="python", limits=limits)
    for engine in engines:
        found = explore(model, at, symmetry=symmetry, engine=engine, limits=limits)
        same = ("verdict", "states", "depth", "cut", "witnesses", "premises")
        if oracle.over and found.over:
            assert found.verdict == oracle.verdict, engine
            assert len(found.violation.steps if found.violation else ()) == len(
                oracle.violation.steps if oracle.violation else ()
            )
            if not oracle.violation:
                assert [getattr(found, s) for s in same] == [getattr(oracle, s) for s in same], engine
    return oracle


COUNTING = """
class State(Fields):
    plain = field(of=Term, init={start})
    maybe = field(of=Option[Term])
    flag = field(Node, of=bool)
    other = field(of=Index)

@action
def count(s: State) -> None:
    \"\"\"One more.\"\"\"
    t = s.plain + 1
    s.plain = t
    s.maybe = t

@action
def flip(s: State, n: Node) -> None:
    \"\"\"A node is marked.\"\"\"
    is_late = s.plain >= {last}
    s.require(is_late)
    s.flag[n] = True
    s.other = {index}

@invariant
def never_there(s: State, n: Node) -> bool:
    \"\"\"False: it gets there, and then each node can be marked.\"\"\"
    return no(both(s.maybe == {last}, s.flag[n], s.other == {index}))

MODEL = model(__name__, State)
"""


@pytest.mark.parametrize("symmetry", [True, False])
@pytest.mark.parametrize("last", [n for n in EDGES if n > 3])
def test_a_false_property_is_found_at_every_edge(build: Build, last: int, symmetry: bool) -> None:
    """NumPy computed 127 + 1 in 8 bits, the code of an optional value, and called this exhaustive."""
    model = build(COUNTING.format(start=last - 3, last=last, index=last)).MODEL
    at = Configuration({"Node": ("n1", "n2")}, {"Term": last, "Index": last})
    engines = ("numpy", "native") if last in (127, 128, 255, 256, 2**16, 2**31, 2**32) else ("numpy",)
    found = compared(model, at, symmetry=symmetry, engines=engines)
    assert found.violation
    assert len(found.violation.steps) == 4


@pytest.mark.parametrize("widths", [(31, 31, 1, 2), (63, 1, 62, 2), (33, 32, 31, 33), (1, 63, 63, 1)])
def test_fields_that_would_straddle_words(build: Build, widths: tuple[int, ...]) -> None:
    """Each cell stands in one word, and its neighbours are not touched when it is written."""
    text = "\nclass State(Fields):\n"
    sorts = "".join(f"\nclass Big{i}(NumberSort):\n    '''A number.'''\n" for i in range(len(widths)))
    most = [2**width - 2 for width in widths]
    text += "".join(f"    f{i} = field(of=Big{i}, init={max(0, m - 2)})\n" for i, m in enumerate(most))
    for i in range(len(widths)):
        text += (
            f'\n@action\ndef up_{i}(s: State) -> None:\n    """Up."""\n    f = s.f{i} + 1\n    s.f{i} = f\n'
        )
    text += '\n@invariant\ndef small(s: State) -> bool:\n    """True."""\n    return s.f0 + 1 > s.f0\n'
    model = build(sorts + text + "\nMODEL = model(__name__, State)\n").MODEL
    at = Configuration({}, {f"Big{i}": m or 1 for i, m in enumerate(most)})
    assert Packing(Run(model, at)).words >= 2
    assert compared(model, at, symmetry=True, engines=("numpy", "native")).verdict is HOLDS


CLOCK = """
class Span(TimeSort):
    \"\"\"A time.\"\"\"

class State(Fields):
    long, rate = parameter(of=Span), parameter(of=Span)
    ran = field(Node, of=Span)
    done = field(Node, of=bool)

@action
def pass_time(s: State, by: Each[Node, Span]) -> None:
    \"\"\"Time passes.\"\"\"
    they_agree = Node.all(lambda n: Node.all(lambda m: by[n] <= s.rate * by[m]))
    s.require(they_agree)
    s.ran.where(lambda old, n: old + by[n])

@action
def finish(s: State, n: Node) -> None:
    \"\"\"The time is over.\"\"\"
    it_ran = s.ran[n] >= s.long
    s.require(it_ran)
    s.done[n] = True

@invariant
def never_done(s: State, n: Node) -> bool:
    \"\"\"False.\"\"\"
    return no(s.done[n])

@invariant
def no_faster(s: State, n: Node, m: Node) -> bool:
    \"\"\"False once one of them is cut at the longest: only the configuration's check allows it.\"\"\"
    return implies(s.done[n], s.ran[m] <= s.rate * s.ran[m])

MODEL = model(__name__, State)
"""


@pytest.mark.parametrize("length", [126, 127, 128, 255, 256])
def test_stopwatches_at_the_edges(build: Build, length: int) -> None:
    at = Configuration({"Node": ("n1",)}, {}, {}, {"long": length, "rate": 127}, {"Span": length})
    found = compared(build(CLOCK).MODEL, at, symmetry=False, engines=("numpy", "native"))
    assert found.violation
    assert len(found.violation.steps) == 2


@pytest.mark.parametrize("nodes", [7, 127, 128, 129])
def test_sums_over_a_set(build: Build, nodes: int) -> None:
    """So many nodes are counted at once, and the sum is compared with an edge."""
    text = f'''
class State(Fields):
    x = field(Node, of=bool)
    counted = field(of=Term)
    seen = field(of=Option[Term])

@action
def mark_all(s: State) -> None:
    """All at once."""
    s.x.where(lambda old, n: True)

@action
def mark_one(s: State, n: Node) -> None:
    """One of the first."""
    nobody = Node.count(lambda m: s.x[m]) + 1 <= 1
    s.require(nobody)
    s.x[n] = True

@action
def look(s: State) -> None:
    """How many are marked."""
    s.counted = Node.count(lambda n: s.x[n])

@action
def tell(s: State) -> None:
    """And how many were."""
    t = s.counted
    s.seen = t

@invariant
def never_all(s: State) -> bool:
    """False: all of them."""
    return s.seen != {nodes}

MODEL = model(__name__, State)
'''
    at = Configuration({"Node": tuple(f"n{i}" for i in range(nodes))}, {"Term": nodes})
    found = compared(
        build(text).MODEL, at, symmetry=False, engines=("numpy",) if nodes != 128 else ("numpy", "native")
    )
    assert found.violation
    assert len(found.violation.steps) == 3


def test_what_no_engine_can_hold_is_a_sentence(build: Build) -> None:
    model = build(COUNTING.format(start=0, last=2**62, index=1)).MODEL
    with pytest.raises(UsageError, match=r"may hold more than 2\^63 values"):
        Packing(Run(model, Configuration({"Node": ("n1",)}, {"Term": 2**63, "Index": 1})))
    wide = COUNTING.format(start=2**62, last=2**62 + 1, index=1).replace("s.plain + 1", "s.plain + s.plain")
    at = Configuration({"Node": ("n1",)}, {"Term": 2**62 + 1, "Index": 1})
    for engine in ("numpy", "native"):
        with pytest.raises(UsageError, match=r"hold none above 2\^63 - 1"):
            explore(build(wide).MODEL, at, engine=engine)
    found = explore(build(wide).MODEL, at, engine="python")
    assert (found.exhausted, found.violation) == (True, None)


def test_the_comparison_sees_a_width_that_is_too_small(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine as it was: columns of 8 bits for everything."""
    monkeypatch.setattr(vector, "WIDE", vector.NARROW)
    model = build(COUNTING.format(start=124, last=127, index=127)).MODEL
    at = Configuration({"Node": ("n1", "n2")}, {"Term": 127, "Index": 127})
    with np.errstate(all="ignore"), pytest.raises((AssertionError, OverflowError, Disagreement)):
        compared(model, at, symmetry=True, engines=("numpy",))


def test_native_agrees_step_by_step(build: Build) -> None:
    """One compiled model over both boundaries of C's smaller integers."""
    model = build(COUNTING.format(start=2**31 - 2, last=2**31, index=2**16)).MODEL
    run = Run(model, Configuration({"Node": ("n1", "n2")}, {"Term": 2**31 + 1, "Index": 2**16}))
    engine = Native(run)
    state = run.initial
    for _ in range(4):
        after = set(engine.packing.unpack(engine.expand(engine.packing.pack([state])).rows))
        assert after == plain_steps(run, state)
        state = max(after, default=state)
