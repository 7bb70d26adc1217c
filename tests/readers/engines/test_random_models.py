"""Random small models: the compiled engine takes the steps of the plain interpreter, and no others.

The tracing of an action must not be able to hide a fault, so what it says is compared with plain calls
of the same functions, on text that nobody wrote with the tracer in mind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

from hypothesis import event, given, reject, settings
from hypothesis import strategies as st

from oneleader.errors import SpecError
from oneleader.language.configuration import Configuration
from oneleader.language.symmetry import renamings
from oneleader.readers.engines.scalar import Scalar
from oneleader.readers.explore.explore import explore
from oneleader.readers.explore.search import Limits
from oneleader.readers.run import Cut, Disabled, Run, State

Build = Callable[[str], ModuleType]
BOUNDS = Configuration({"Node": ("n1", "n2")}, {"Term": 2}, {"likes": frozenset({(0, 1)})})
MOST_STATES = 60
COMPILED = "numpy", "native"

BOOL, TERM, ROLE, NODE = "bool", "Term", "Role", "Node"
OPTIONS = {"Option[Node]": NODE, "Option[Term]": TERM}
INDICES = [(), (NODE,), (TERM,), (NODE, TERM), (TERM, NODE), (NODE, NODE), (ROLE,), (BOOL, NODE)]


@dataclass(frozen=True)
class Declared:
    """A field of a random model."""

    name: str
    index: tuple[str, ...]
    of: str


class Writer:
    """Writes expressions, one sort at a time, from the fields and variables in sight."""

    def __init__(self, draw: Callable[..., Any], fields: list[Declared], scope: dict[str, str]) -> None:
        self.draw, self.fields, self.scope = draw, fields, scope

    def choose(self, options: list[Any]) -> Any:
        return self.draw(st.sampled_from(options))

    def write(self, sort: str, depth: int) -> str:
        """An expression of a sort: of its own forms and, while `depth` lasts, of those that all share."""
        forms: list[Callable[[int], str]] = list(self.leaves(sort))
        if depth > 0:
            forms += self.composed(sort)
            forms += [partial(self.read, f) for f in self.fields if f.of == sort]
        return str(self.choose(forms)(depth - 1))

    def leaves(self, sort: str) -> list[Callable[[int], str]]:
        names = [name for name, of in self.scope.items() if of in (sort, OPTIONS.get(sort))]
        names += {BOOL: ["True", "False"], TERM: ["0", "1", "2"], ROLE: ["IDLE", "BUSY"]}.get(sort, [])
        names += ["NIL", "1"] if sort == "Option[Term]" else ["NIL"] if sort in OPTIONS else []
        return [lambda _, name=name: name for name in names]  # type: ignore[misc]

    def composed(self, sort: str) -> list[Callable[[int], str]]:
        forms: list[Callable[[int], str]] = []
        if sort not in OPTIONS:  # a literal NIL beside a plain value has no sort
            forms = [lambda d: f"ite({self.write(BOOL, d)}, {self.write(sort, d)}, {self.write(sort, d)})"]
        if sort == TERM:
            forms += [lambda d: f"({self.write(TERM, d)} + {self.write(TERM, d)})"]
        if sort == BOOL:
            forms += [
                self.compared,
                self.ordered,
                self.connected,
                self.connected,
                self.quantified,
                self.counted,
            ]
            forms += [lambda d: f"s.likes[{self.write(NODE, d)}, {self.write(NODE, d)}]"]
        return forms

    def read(self, field: Declared, depth: int) -> str:
        index = ", ".join(self.write(sort, depth) for sort in field.index)
        return f"s.{field.name}[{index}]" if index else f"s.{field.name}"

    def compared(self, depth: int) -> str:
        sort = self.choose([BOOL, TERM, ROLE, NODE])
        sign = self.choose(["==", "!="])
        left = self.write(sort, depth)
        options = [f for f in self.fields if OPTIONS.get(f.of) == sort]
        if options and self.draw(st.booleans()):  # Option[Node] meets Node or NIL
            field = self.choose(options)
            return f"({self.read(field, depth)} {sign} {self.write(field.of, depth)})"
        return f"({left} {sign} {self.write(sort, depth)})"

    def ordered(self, depth: int) -> str:
        sign = self.choose(["<", "<=", ">", ">="])
        return f"({self.write(TERM, depth)} {sign} {self.write(TERM, depth)})"

    def connected(self, depth: int) -> str:
        name = self.choose(["both", "either", "no", "implies"])
        count = {"no": 1, "implies": 2}.get(name) or self.choose([1, 2, 3])
        return f"{name}({', '.join(self.write(BOOL, depth) for _ in range(count))})"

    def bound(self, kind: str, depth: int) -> str:
        sort, name = self.choose([NODE, TERM]), f"x{len(self.scope)}"
        inner = Writer(self.draw, self.fields, {**self.scope, name: sort})
        return f"{sort}.{kind}(lambda {name}: {inner.write(BOOL, depth)})"

    def quantified(self, depth: int) -> str:
        return self.bound(self.choose(["all", "any"]), depth)

    def counted(self, depth: int) -> str:
        return f"({self.bound('count', depth)} {self.choose(['==', '<', '>='])} {self.write(TERM, depth)})"


PARAMS = {"n": NODE, "m": NODE, "t": TERM}


def action(draw: Callable[..., Any], name: str, fields: list[Declared]) -> str:
    """One action: named guards, one `require`, then a point write or two or a rewriting for some fields."""
    writer = Writer(draw, fields, PARAMS)
    guards = [f"guard_{i} = {writer.write(BOOL, 2)}" for i in range(draw(st.integers(0, 2)))]
    if guards:
        guards.append(f"s.require({', '.join(f'guard_{i}' for i in range(len(guards)))})")
    written = draw(st.lists(st.sampled_from(fields), min_size=1, max_size=2, unique=True))
    values, effects = [], []
    for field in written:
        if field.index and draw(st.booleans()):
            names = [f"k{i}" for i in range(len(field.index))]
            unwritten = [f for f in fields if f not in written or f is field]
            scope = PARAMS | {"old": field.of} | dict(zip(names, field.index, strict=True))
            value = Writer(draw, unwritten, scope).write(field.of, 2)
            effects.append(f"s.{field.name}.where(lambda old, {', '.join(names)}: {value})")
            continue
        for i in range(draw(st.integers(1, 2)) if field.index else 1):
            index = ", ".join(writer.write(sort, 1) for sort in field.index)
            values.append(f"{field.name}_{i} = {writer.write(field.of, 2)}")
            values += [f"{field.name}_at_{i} = ({index},)"] if index else []
            target = f"s.{field.name}[{field.name}_at_{i}]" if index else f"s.{field.name}"
            effects.append(f"{target} = {field.name}_{i}")
    body = "".join(f"    {line}\n" for line in [*guards, *values, *effects])
    params = ", ".join(f"{n}: {sort}" for n, sort in PARAMS.items())
    return f'\n@action\ndef {name}(s: State, {params}) -> None:\n    """Random."""\n{body}'


@st.composite
def models(draw: Callable[..., Any]) -> str:
    """The text of a module."""
    sorts = [BOOL, BOOL, TERM, ROLE, *OPTIONS]
    fields = [
        Declared(f"f{i}", draw(st.sampled_from(INDICES)), draw(st.sampled_from(sorts)))
        for i in range(draw(st.integers(2, 4)))
    ]
    lines = [f"    {f.name} = field({', '.join((*f.index, f'of={f.of}'))})\n" for f in fields]
    text = f"\nclass State(Fields):\n{''.join(lines)}    likes = constant(Node, Node)\n"
    for i in range(draw(st.integers(1, 3))):
        text += action(draw, f"step_{i}", fields)
    for kind in ("invariant", "witness"):
        says = Writer(draw, fields, PARAMS).write(BOOL, 2)
        text += f'\n@{kind}\ndef {kind}_0(s: State, n: Node, m: Node, t: Term) -> bool:\n    """Random."""\n'
        text += f"    return {says}\n"
    return text + "\nMODEL = model(__name__, State)\n"


def outcome(run: Run, state: State, position: int) -> Any:
    """What the plain interpreter does: the state after, None for cut, "disabled" or "wrong"."""
    instance = run.instances[position]
    try:
        return run.step(state, instance.action, instance.args)
    except Cut:
        return None
    except Disabled:
        return "disabled"
    except SpecError:
        return "wrong"


def agree(run: Run, engine: Scalar, state: State) -> list[State]:
    """Compare the steps from one state, and return where they lead.

    Of a step that both leaves the bound and writes a cell twice, the plain interpreter reports what it
    meets first, and the compiled engine that it is cut.
    """
    plain = {p: outcome(run, state, p) for p in range(len(run.instances))}
    wrong = {p for p, after in plain.items() if after == "wrong"}
    try:
        compiled = dict(engine.successors(state))
    except SpecError:
        assert wrong
        event("a cell is written twice")
        return []
    assert all(compiled[p] is None for p in wrong)
    expected = {p: after for p, after in plain.items() if after != "disabled" and p not in wrong}
    assert {p: after for p, after in compiled.items() if p not in wrong} == expected
    return [after for after in compiled.values() if after is not None]  # as compiled: 0 is not False


@given(text=models())
def test_printed_python_agrees_on_random_models(build: Build, text: str) -> None:
    try:
        model = build(text).MODEL
    except SpecError as error:
        event(str(error).partition("step_")[2][3:])
        reject()
    run = Run(model, BOUNDS)
    engine = Scalar(run)
    broken = engine.broken([*model.invariants.values()])
    reached = engine.reached(model.witnesses["witness_0"])
    seen, left = {run.initial}, [run.initial]
    while left and len(seen) < MOST_STATES:
        state = left.pop(0)
        found = run.violated(state, model.invariants)
        assert broken(state) == (found[0] if found else None)
        assert reached(state) == run.witnessed(state, model.witnesses["witness_0"])
        for after in agree(run, engine, state):
            if after not in seen:
                seen.add(after)
                left.append(after)
    event("more states than compared" if left else "every reachable state")


WORDS = {"cut": None, "clash": "wrong"}


@given(text=models())
def test_javascript_agrees_on_random_models(build: Build, graph_of: Callable[..., Any], text: str) -> None:
    try:
        model = build(text).MODEL
    except SpecError:
        reject()
    run = Run(model, BOUNDS)
    found = graph_of(run, MOST_STATES)
    told: dict[int, dict[int, Any]] = {i: {} for i in range(len(found["states"]))}
    for i, position, after in found["steps"]:
        told[i][position] = tuple(found["states"][after])
    for i, position, why in found["odd"]:
        told[i][position] = WORDS[why]
    for i, state in enumerate(plain(run, found["states"])[:MOST_STATES]):
        expected = {p: outcome(run, state, p) for p in range(len(run.instances))}
        for position, after in expected.items():
            if after == "wrong":  # of a step that is cut as well, the engine says that
                assert told[i].pop(position) in ("wrong", None)
            elif after != "disabled":
                assert told[i].pop(position) == after
        assert not told[i]
        holds = run.violated(state, model.invariants) is None
        assert found["told"][i] == [holds, run.witnessed(state, model.witnesses["witness_0"])]


def plain(run: Run, states: list[list[int]]) -> list[State]:
    """The states as the plain interpreter writes them: truth as bools."""
    truth = [f.of is bool for f, _ in run.cells.keys]
    return [tuple(bool(x) if t else x for x, t in zip(state, truth, strict=True)) for state in states]


@settings(max_examples=settings.default.max_examples // 2 if settings.default else 20)  # each is compiled
@given(text=models(), symmetry=st.booleans())
def test_all_engines_explore_random_models_alike(build: Build, text: str, symmetry: bool) -> None:
    free = Configuration(BOUNDS.elements, BOUNDS.greatest, {"likes": frozenset()})
    try:
        model = build(text).MODEL
    except SpecError:
        reject()
    limits = Limits(states=300)
    try:
        oracle = explore(model, free, symmetry=symmetry, engine="python", limits=limits)
    except SpecError:
        event("a cell is written twice")
        return  # of a step that is cut as well the engines tell different things, see `agree`
    event(oracle.verdict)
    for engine in COMPILED:
        found = explore(model, free, symmetry=symmetry, engine=engine, limits=limits)
        if not (oracle.over and found.over):
            continue  # they stop at different moments
        assert (found.verdict, found.depth) == (oracle.verdict, oracle.depth)
        assert (found.witnesses, found.premises) == (oracle.witnesses, oracle.premises)
        if oracle.violation:
            assert found.violation
            assert found.violation.what == oracle.violation.what
            assert len(found.violation.steps) == len(oracle.violation.steps)
        else:
            counts = [(r.states, r.transitions, r.cut, r.fired, r.symmetry) for r in (oracle, found)]
            assert counts[0] == counts[1]


@given(text=models())
def test_symmetry_changes_no_verdict_of_random_models(build: Build, text: str) -> None:
    free = Configuration(
        BOUNDS.elements, BOUNDS.greatest, {"likes": frozenset()}
    )  # nobody likes anybody: nodes can be swapped
    try:
        model = build(text).MODEL
        results = [explore(model, free, symmetry=s, limits=Limits(states=300)) for s in (False, True)]
    except SpecError:
        reject()
    assert len(renamings(model, free)) == 2
    full, orbits = results
    event(full.verdict)
    if not (full.over and orbits.over):
        return
    assert full.verdict == orbits.verdict
    assert (full.witnesses, full.premises) == (orbits.witnesses, orbits.premises)
    if full.violation and orbits.violation:
        assert len(full.violation.steps) == len(orbits.violation.steps)
    else:
        assert (full.depth, full.never_fired) == (orbits.depth, orbits.never_fired)
        assert full.states / 2 <= orbits.states <= full.states
