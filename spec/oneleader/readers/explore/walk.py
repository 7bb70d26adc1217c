"""walk: random runs, for configurations too large to be explored.

Only enabled steps that change something are drawn: first an action, the more likely the less it has
been taken so far, then one of its instances. So rare actions are seen, and no run idles. The same seed
gives the same walk, with both engines.

`runs` gives such runs to Hypothesis, which draws and shrinks the choices itself.
"""

from __future__ import annotations

import ctypes
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple, Protocol

import hypothesis.strategies as st
import numpy as np
import numpy.typing as npt

from oneleader.errors import Disagreement, UsageError
from oneleader.language.configuration import Configuration
from oneleader.language.definitions import Property
from oneleader.language.model import Model
from oneleader.readers.agree import Agreement, agreement
from oneleader.readers.beyond import untried
from oneleader.readers.engines.native import Native
from oneleader.readers.engines.scalar import Scalar
from oneleader.readers.explore.explored import Violation
from oneleader.readers.premises import Premise, premises_of, unmet
from oneleader.readers.run import ClaimFailed, Instance, Run, State
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict

ENGINES = ("python", "native")
NOTHING = "the model has no property: there is nothing to judge"
UNTESTED = "not every property was put to the test"
NO_STEP = "no run took a step within the bounds"
Words = npt.NDArray[np.uint64]
MASK = 2**64 - 1


class WalkedPath(NamedTuple):
    """One run: the positions of its instances, and why it ended: "", "deadlock", "claim" or a property."""

    steps: list[int]
    end: str


class Walker(Protocol):
    """Makes runs of a model."""

    @property
    def witnesses(self) -> set[str]:
        """The names of the witnesses reached and the premises met so far."""

    def walk(self, dice: int, length: int) -> WalkedPath:
        """A random run of at most that many steps, seeded by `dice`; it ends where something is wrong."""

    def follow(self, choices: Sequence[int]) -> list[tuple[int, State]]:
        """The run of these choices: each wants one of all steps, and gets the next that changes something."""


# -- random numbers -------------------------------------------------------------------------------
class Dice:
    """Splitmix64 (Steele, Lea and Flood 2014), as in walk.c."""

    def __init__(self, seed: int) -> None:
        self.state = seed & MASK

    def next(self) -> int:
        """64 random bits."""
        self.state = z = self.state + 0x9E3779B97F4A7C15 & MASK
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        return z ^ z >> 31


def dice_of(seed: int, number: int) -> int:
    """The seed of one run."""
    return Dice(Dice(seed).next() ^ number).next()


# -- two walkers ----------------------------------------------------------------------------------
class Printed:
    """Runs by plain Python."""

    def __init__(self, run: Run, properties: list[Property], witnesses: list[Property]) -> None:
        self.run, scalar = run, Scalar(run)
        self.successors, self.broken = scalar.successors, scalar.broken(properties)
        self._unreached = {w.name: scalar.reached(w) for w in witnesses}
        self.witnesses, self._fired = set[str](), Counter[str]()
        self._action = [instance.action.name for instance in run.instances]
        self._positions = [step.position for step in scalar.ground.steps]

    def walk(self, dice: int, length: int) -> WalkedPath:
        """See `Walker`."""
        rolling = Dice(dice)
        steps: list[int] = []
        state, broken = self.run.initial, self._judged(self.run.initial)
        while len(steps) < length and not broken:
            try:
                enabled = self.successors(state)
            except ClaimFailed:
                return WalkedPath(steps, "claim")
            changing = [(p, after) for p, after in enabled if after is not None and after != state]
            if not changing:
                return WalkedPath(steps, "" if enabled else "deadlock")
            position, state = changing[self._draw(rolling, [p for p, _ in changing])]
            self._fired[self._action[position]] += 1
            steps.append(position)
            broken = self._judged(state)
        return WalkedPath(steps, broken.name if broken else "")

    def _draw(self, dice: Dice, enabled: list[int]) -> int:
        groups = [(name, len([*some])) for name, some in groupby(enabled, self._action.__getitem__)]
        every = 0.0
        for name, _ in groups:  # one after the other, as C does: `sum` is more exact, and differs
            every += 1.0 / (1.0 + self._fired[name])
        left = (dice.next() >> 11) * 2.0**-53 * every
        first = 0
        for name, number in groups:
            left -= 1.0 / (1.0 + self._fired[name])
            if left < 0 or first + number == len(enabled):
                break
            first += number
        return first + dice.next() % number

    def _judged(self, state: State) -> Property | None:
        for name in [name for name, reached in self._unreached.items() if reached(state)]:
            self.witnesses.add(name)
            del self._unreached[name]
        return self.broken(state)

    def follow(self, choices: Sequence[int]) -> list[tuple[int, State]]:
        """See `Walker`."""
        state, taken = self.run.initial, list[tuple[int, State]]()
        for choice in choices:
            changing = [(p, s) for p, s in self.successors(state) if s is not None and s != state]
            if not changing:
                break
            wanted = self._positions[choice % len(self._positions)]
            position, state = next((step for step in changing if step[0] >= wanted), changing[0])
            taken.append((position, state))
        return taken


class Trail(ctypes.Structure):
    """One run: the fields of `Trail` in walk.c."""

    _fields_ = [
        *((name, ctypes.c_uint64) for name in ("dice", "length")),
        *(
            (name, ctypes.c_void_p)
            for name in ("choices", "action", "row", "taken", "fired", "truth", "seen")
        ),
        *((name, ctypes.c_uint64) for name in ("watching", "steps", "end")),
        ("broken", ctypes.c_int64),
    ]


ENDS = ("", "", "deadlock", "claim", "clash")  # in the order of walk.c


class Compiled:
    """Runs by C."""

    def __init__(self, run: Run, properties: list[Property], witnesses: list[Property]) -> None:
        self.run, self.properties, self._watched = run, properties, witnesses
        self.native = native = Native(run, properties, witnesses, also=("walk.c",))
        self.positions = [step.position for step in native.ground.steps]
        actions = {name: number for number, name in enumerate(run.model.actions)}
        self._action = np.array([actions[run.instances[p].action.name] for p in self.positions], np.uint32)
        self._seen, self._truth = (np.zeros(len(witnesses) + 1, np.uint8) for _ in range(2))
        self._fired = np.zeros(len(actions), np.uint64)
        self._worker = ctypes.create_string_buffer(native.function("worker_size")())
        self._initial = native.packing.pack([run.initial])[0]
        self._room(0)

    def _room(self, length: int) -> None:
        """Room for a run of that length."""
        self._rows = np.zeros((length + 1, self.native.packing.words), np.uint64)
        self._rows[0], self._taken = self._initial, np.zeros(length, np.uint32)

    @property
    def witnesses(self) -> set[str]:
        """The names of those reached so far."""
        return {w.name for w, seen in zip(self._watched, self._seen, strict=False) if seen}

    def walk(self, dice: int, length: int) -> WalkedPath:
        """See `Walker`."""
        trail = self._run(dice, length, None)
        taken = [self.positions[step] for step in self._taken[: trail.steps].tolist()]
        return WalkedPath(taken, self.properties[trail.broken].name if trail.broken >= 0 else ENDS[trail.end])

    def follow(self, choices: Sequence[int]) -> list[tuple[int, State]]:
        """See `Walker`."""
        trail = self._run(0, len(choices), np.array(choices, np.uint64))
        states = self.native.packing.unpack(self._rows[1 : trail.steps + 1])
        taken = [self.positions[step] for step in self._taken[: trail.steps].tolist()]
        return [*zip(taken, states, strict=True)]

    def _run(self, dice: int, length: int, choices: Words | None) -> Trail:
        if len(self._taken) < length:
            self._room(length)
        arrays: dict[str, npt.NDArray[Any]] = {"action": self._action, "fired": self._fired}
        arrays |= {"row": self._rows, "taken": self._taken, "truth": self._truth, "seen": self._seen}
        trail = Trail(dice=dice, length=length, watching=len(self.witnesses) < len(self._watched))
        for name, array in arrays.items() if choices is None else [*arrays.items(), ("choices", choices)]:
            setattr(trail, name, array.ctypes.data)
        self.native.function("trail")(ctypes.byref(trail), self._worker)
        if ENDS[trail.end] == "clash":
            last = self.native.packing.unpack(self._rows[trail.steps : trail.steps + 1])[0]
            [*self.run.steps(last)]  # the plain interpreter says which
            raise Disagreement("the engines disagree on a cell that is written twice")
        return trail


def walker(run: Run, engine: str, *, judging: bool = True) -> Walker:
    """The walker of an engine; MissingTool where `native` finds no C compiler."""
    model = run.model
    judged = [*model.properties.values()] if judging else []
    premises = (premise for prop in judged for premise in premises_of(model, prop))
    watched = [*model.witnesses.values(), *premises] if judging else []
    return Printed(run, judged, watched) if engine == "python" else Compiled(run, judged, watched)


# -- many runs --------------------------------------------------------------------------------------
@dataclass
class Walked:
    """What a number of random runs gave. Absence of a violation is a sample, not a proof."""

    run: Run
    seed: int
    verdict: Verdict = HOLDS  # in the states sampled; inconclusive where `why` says so
    why: str = ""
    runs: int = 0
    steps: int = 0
    seconds: float = 0.0
    fired: Counter[str] = field(default_factory=Counter)
    witnesses: dict[str, bool] = field(default_factory=dict)
    premises: dict[Premise, bool] = field(default_factory=dict)  # whether a state met each
    violation: Violation | None = None
    agreement: Agreement | None = None  # with the plain interpreter, sought first
    untried: list[str] = field(default_factory=list)  # where a number above the bound may matter

    @property
    def never_fired(self) -> list[str]:
        """Actions that no step of any run took."""
        return [name for name in self.run.model.actions if not self.fired[name]]

    @property
    def untested(self) -> list[str]:
        """Properties that no state put to the test."""
        return unmet({premise: met or None for premise, met in self.premises.items()})

    @property
    def strength(self) -> str:
        return f"sampled, {self.runs:,} runs, {self.steps:,} steps"


def walk(
    model: Model,
    configuration: Configuration,
    *,
    seed: int,
    runs: int = 200,
    length: int = 100,
    engine: str = "python",
) -> Walked:
    """`runs` random runs of at most `length` steps each, every state judged by every property.

    Inconclusive where a property was not put to the test, or no step was possible: with longer runs, more of
    them or larger bounds it may be.
    All ghost fields are kept. A run ends early where no step is left within the bound. MissingTool
    where the engine `native` finds no C compiler.
    """
    run = _kept(model, configuration)
    result = Walked(run, seed, witnesses=dict.fromkeys(model.witnesses, False))
    result.agreement = agreement(model, configuration)
    result.untried = untried(model, configuration, model.properties.values())
    if result.agreement.difference:
        result.verdict, result.why = VIOLATED, str(result.agreement)
        return result
    if not model.properties:
        result.verdict, result.why = INCONCLUSIVE, NOTHING
        return result
    started, met = time.perf_counter(), set[str]()
    try:
        made = walker(run, engine)
        for number in range(runs):
            steps, end = made.walk(dice_of(seed, number), length)
            result.runs += 1
            result.steps += len(steps)
            result.fired.update(run.instances[p].action.name for p in steps)
            met = made.witnesses
            if end:
                result.verdict, result.violation = VIOLATED, _violation(run, steps, end)
                break
    except KeyboardInterrupt:
        result.verdict, result.why = INCONCLUSIVE, "interrupted"
    result.seconds = time.perf_counter() - started
    result.witnesses = {name: name in met for name in model.witnesses}
    premises = (premise for prop in model.properties.values() for premise in premises_of(model, prop))
    result.premises = {premise: premise.name in met for premise in premises}
    if result.verdict is HOLDS and (result.untested or not result.steps):
        result.verdict, result.why = INCONCLUSIVE, UNTESTED if result.untested else NO_STEP
    return result


def _kept(model: Model, configuration: Configuration) -> Run:
    """A run with all ghost fields."""
    return Run(model, configuration, frozenset(f.name for f in model.fields.values() if f.kind == "ghost"))


def _violation(run: Run, positions: list[int], what: str) -> Violation:
    """The run as the plain interpreter takes it, which must find the same fault in its last state."""
    state, steps = run.initial, list[tuple[int, State]]()
    for position in positions:
        state = run.step(state, run.instances[position].action, run.instances[position].args)
        steps.append((position, state))
    if what in run.model.properties:
        found = run.violated(state, {what: run.model.properties[what]})
        if not found:
            raise Disagreement(f"the engines disagree on {what}")
        return Violation(what, found[1], steps)
    try:
        if [*run.steps(state)]:
            raise Disagreement(f"the engines disagree on a {what}")
    except ClaimFailed as failed:
        return Violation("claim", (), steps, int(failed.args[0]))
    return Violation("deadlock", (), steps)


# -- Hypothesis -----------------------------------------------------------------------------------
def runs(
    model: Model, configuration: Configuration, *, length: int = 50, engine: str = "python"
) -> st.SearchStrategy[list[tuple[Instance, State]]]:
    """Runs of a model for Hypothesis: each step an instance and the state after it, all ghosts kept.

        @given(runs(election.MODEL, cluster(election.MODEL, nodes=3, terms=3)))
        def test_my_claim(run): ...

    Shorter runs and earlier instances are simpler. MissingTool as `walk`.
    """
    if length < 0:
        raise UsageError(f"a run of {length} steps cannot be: give a length of 0 or more")
    run = _kept(model, configuration)
    made = walker(run, engine, judging=False)

    def taken(drawn: bytes) -> list[tuple[Instance, State]]:
        choices = np.frombuffer(drawn, ">u2")  # 0 is no step: so a step is shrunk away where it stands
        chosen = made.follow((choices[choices > 0] - 1).tolist())
        return [(run.instances[position], state) for position, state in chosen]

    return st.binary(min_size=2 * length, max_size=2 * length).map(taken)
