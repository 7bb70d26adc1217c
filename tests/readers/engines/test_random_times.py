"""Random models with stopwatches: every engine takes the same steps, and cutting times loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from oneleader.language.configuration import Configuration
from oneleader.language.model import Model
from oneleader.readers.explore.explore import explore
from oneleader.readers.explore.search import Limits
from oneleader.readers.run import Disabled, Run, State

Build = Callable[[str], ModuleType]
ENGINES = "numpy", "native"
AT = Configuration(
    {"Node": ("n1", "n2")},
    {"Term": 1},
    parameters={"short": 1, "long": 2, "slow": 1, "fast": 2},
    longest={"Elapsed": 2},
)

HEAD = '''
class Elapsed(TimeSort):
    """Time."""


class State(Fields):
    own = field(Node, of=Elapsed, init={own})
    pair = field(Node, Node, of=Elapsed, init={pair})
    one = field(of=Elapsed, init={one})
    flag = field(Node, of=bool)
    short = parameter(of=Elapsed)
    long = parameter(of=Elapsed)
    slow = parameter(of=Elapsed)
    fast = parameter(of=Elapsed)


@action
def elapse(s: State, by: Each[Node, Elapsed], d: Elapsed) -> None:
    """Time passes."""
    drift_is_bounded = Node.all(lambda a: Node.all(lambda b: s.slow * by[a] <= s.fast * by[b]))
    clocks_keep_up = Node.all(lambda a: both(s.slow * by[a] <= s.fast * d, s.slow * d <= s.fast * by[a]))
    s.require(drift_is_bounded, clocks_keep_up)
    s.own.where(lambda old, a: old + by[a])
    s.pair.where(lambda old, a, b: by[b] + old)
    s.one = s.one + d

'''


class Writer:
    """Writes a part of an action on Node n and m."""

    def __init__(self, draw: Callable[..., Any], nodes: list[str]) -> None:
        self.draw, self.nodes = draw, nodes

    def choose(self, *options: str) -> str:
        return str(self.draw(st.sampled_from(options)))

    def node(self) -> str:
        return self.choose(*self.nodes)

    def stopwatch(self) -> str:
        return self.choose("s.one", f"s.own[{self.node()}]", f"s.pair[{self.node()}, {self.node()}]")

    def truth(self, depth: int) -> str:
        if not depth:
            passed = f"({self.stopwatch()} {self.choose('>=', '<')} s.{self.choose('short', 'long')})"
            return self.choose(passed, passed, f"s.flag[{self.node()}]", f"({self.node()} == {self.node()})")
        parts = f"{self.truth(depth - 1)}, {self.truth(depth - 1)}"
        inner = Writer(self.draw, [*self.nodes, f"x{depth}"]).truth(depth - 1)
        return self.choose(
            self.truth(depth - 1),
            f"both({parts})",
            f"implies({parts})",
            f"Node.{self.choose('all', 'any')}(lambda x{depth}: {inner})",
        )

    def time(self, depth: int = 1) -> str:
        plain = self.choose("0", "LONG_AGO", self.stopwatch(), self.stopwatch())
        if not depth:
            return plain
        # a literal in both branches has no sort
        return self.choose(plain, f"ite({self.truth(0)}, {self.stopwatch()}, {self.time(depth - 1)})")

    def effects(self) -> list[str]:
        """Each stopwatch at most once, the values all read before."""
        inner = Writer(self.draw, [*self.nodes, "a"])
        every = {
            "one": f"s.one = {self.time()}",
            "own": f"s.own[{self.node()}] = {self.time()}",
            "every": f"s.own.where(lambda old, a: ite({inner.truth(1)}, old, {inner.time(0)}))",
            "pair": f"s.pair[{self.node()}, {self.node()}] = {self.time()}",
            "flag": f"s.flag[{self.node()}] = {self.truth(1)}",
        }
        return [every[self.choose(*every)]]


@st.composite
def models(draw: Callable[..., Any]) -> str:
    """The text of a module."""
    write = Writer(draw, ["n", "m"])
    text = HEAD.format(**{name: write.choose("0", "LONG_AGO") for name in ("own", "pair", "one")})
    for i in range(draw(st.integers(1, 3))):
        body = [f"guard_0 = {write.truth(1)}", "s.require(guard_0)", *write.effects()]
        text += f'\n@action\ndef step_{i}(s: State, n: Node, m: Node) -> None:\n    """Random."""\n'
        text += "".join(f"    {line}\n" for line in body)
    for kind in ("invariant", "witness"):
        text += f'\n@{kind}\ndef {kind}_0(s: State, n: Node, m: Node) -> bool:\n    """Random."""\n'
        text += f"    return {write.truth(2)}\n"
    text += '\n@invariant\ndef related(s: State, n: Node, m: Node) -> bool:\n    """Random."""\n'
    left, right = write.stopwatch(), write.stopwatch()
    text += f"    return implies({write.truth(0)}, s.slow * {left} <= s.fast * {right})\n"
    return text + "\nMODEL = model(__name__, State)\n"


@settings(max_examples=settings.default.max_examples // 2 if settings.default else 20)  # each is compiled
@given(text=models(), symmetry=st.booleans())
def test_all_engines_explore_random_times_alike(build: Build, text: str, symmetry: bool) -> None:
    model = build(text).MODEL
    limits = Limits(states=400)
    oracle = explore(model, AT, symmetry=symmetry, engine="python", limits=limits)
    event(oracle.verdict)
    for engine in ENGINES:
        found = explore(model, AT, symmetry=symmetry, engine=engine, limits=limits)
        if not (oracle.over and found.over):
            continue  # they stop at different moments
        same = ("verdict", "depth", "witnesses", "premises")
        assert [getattr(found, name) for name in same] == [getattr(oracle, name) for name in same]
        if oracle.violation:
            assert found.violation
            assert len(found.violation.steps) == len(oracle.violation.steps)
        else:
            counts = [(r.states, r.transitions, r.cut, r.fired) for r in (oracle, found)]
            assert counts[0] == counts[1]


def steps(run: Run, state: State) -> dict[tuple[str, Any], set[State]]:
    """The steps of the plain interpreter, an advance beyond the longest parameter as that one."""
    found: dict[tuple[str, Any], set[State]] = {}
    for instance in run.instances:
        try:
            after = run.step(state, instance.action, instance.args)
        except Disabled:
            continue
        args = tuple(cut(a) for a in instance.args) if instance.action.name == "elapse" else instance.args
        found.setdefault((instance.action.name, args), set()).add(after)
    return found


def cut(value: Any) -> Any:
    longest = AT.longest["Elapsed"]
    return tuple(map(cut, value)) if isinstance(value, tuple) else min(value, longest)


def judged(run: Run, model: Model, state: State) -> list[bool]:
    """What the properties that compare with parameters say of a state."""
    said = [run.violated(state, {"invariant_0": model.invariants["invariant_0"]}) is None]
    return [*said, run.witnessed(state, model.witnesses["witness_0"])]


@given(text=models())
def test_cutting_times_loses_nothing(build: Build, text: str) -> None:
    """A state of longer times, cut, takes the same steps as the cut state, to the same states."""
    model = build(text).MODEL
    short, long = Run(model, AT), Run(model, replace(AT, longest={"Elapsed": 4}))
    times = [f.of.__name__ == "Elapsed" for f, _ in short.cells.keys]

    def image(state: State) -> State:
        return tuple(cut(v) if time else v for v, time in zip(state, times, strict=True))

    assert image(long.initial) == short.initial
    seen, left = {long.initial}, [long.initial]
    while left and len(seen) < 40:
        state = left.pop(0)
        after = steps(long, state)
        assert {key: set(map(image, to)) for key, to in after.items()} == steps(short, image(state))
        assert judged(long, model, state) == judged(short, model, image(state))
        related = {"related": model.invariants["related"]}
        if long.violated(state, related) is None:
            assert short.violated(image(state), related) is None
        new = sorted(set().union(*after.values()) - seen)
        seen.update(new)
        left += new
    event("every reachable state" if not left else "more states than compared")
