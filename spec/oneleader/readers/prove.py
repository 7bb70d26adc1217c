"""prove: for any number of nodes and unbounded numbers, with Z3.

Each obligation (`obligations.py`) is negated and given to Z3 (`smt.py`); `unsat` proves it. What is
not proved is looked for at finite sizes (`induction.py`), so that a failure comes with a picture.

Effort is bounded by Z3's own count of its work (`rlimit`), not by a clock, and every attempt starts
in a context of its own: the same model gives the same answers on every machine.

A hint is the list of hypotheses that an earlier proof used. With it most proofs take milliseconds.
It is never trusted: fewer hypotheses can only make a proof harder, and where a hint no longer
suffices the whole set is tried and the row says that the hint is stale.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import z3

from oneleader.errors import Inexpressible, UsageError
from oneleader.language.expr import Expr
from oneleader.language.model import Model
from oneleader.language.sorts import base, is_number
from oneleader.readers.induction import Counterexample, smallest
from oneleader.readers.obligations import INIT, THEOREM, Obligation, obligations
from oneleader.readers.smt import AnySize, after, answer, meaning, orderly_interrupts

Hints = Mapping[str, list[str]]

PROVED, VIOLATED, INCONCLUSIVE, INEXPRESSIBLE = "proved", "violated", "inconclusive", "not expressible"
STATUS = {PROVED: 0, VIOLATED: 1, INCONCLUSIVE: 3, INEXPRESSIBLE: 3}
INTERRUPTED = 130

# With model-based instantiation Z3 answers the most questions; by patterns alone it is quicker on some
# of those that it leaves open. Each attempt may use `rlimit` units, about a second for a million.
PORTFOLIO: tuple[Mapping[str, Any], ...] = (
    {"mbqi": True, "random_seed": 0},
    {"mbqi": False, "random_seed": 0},
    {"mbqi": True, "random_seed": 7},
)
RLIMIT = 4_000_000


@dataclass(frozen=True)
class Row:
    """What became of one obligation."""

    step: str  # "init", "theorem" or an action
    goal: str  # a property, "claim 1", or "distinct writes of granted"
    verdict: str
    seconds: float
    rlimit: int  # units of Z3's work, over all attempts
    hint: str  # "used", "stale", or "none": there was none
    reason: str = ""  # a sentence, where the verdict is not "proved"
    counterexample: Counterexample | None = None

    @property
    def key(self) -> str:
        return f"{self.step}/{self.goal}"


@dataclass
class Proof:
    """All rows so far. `interrupted`: the rest was not tried."""

    model: Model
    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def verdict(self) -> str:
        """The gravest of the rows' verdicts: violated, then what is not known, then proved."""
        found = {row.verdict for row in self.rows}
        if self.interrupted or not self.rows:
            found.add(INCONCLUSIVE)
        return next((v for v in (VIOLATED, INCONCLUSIVE, INEXPRESSIBLE) if v in found), PROVED)

    @property
    def status(self) -> int:
        """The exit status of a program that did only this."""
        return INTERRUPTED if self.interrupted else STATUS[self.verdict]


def prove(
    model: Model,
    *,
    hints: Hints | None = None,
    only: Iterable[str] | None = None,
    rlimit: int = RLIMIT,
    seed: int = 0,
    progress: Callable[[Row], None] = lambda row: None,
) -> Proof:
    """Prove everything that the model says, or those obligations whose action, goal or key is in `only`.

    `hints`: those of `load_hints` unless given; {} for none. Ctrl-C returns what was done so far.
    """
    proof = Proof(model)
    start = time.perf_counter()
    try:
        with orderly_interrupts():
            for row in rows(model, hints=hints, only=only, rlimit=rlimit, seed=seed):
                proof.rows.append(row)
                progress(row)
    except KeyboardInterrupt:
        proof.interrupted = True
    proof.seconds = time.perf_counter() - start
    return proof


def rows(
    model: Model,
    *,
    hints: Hints | None = None,
    only: Iterable[str] | None = None,
    rlimit: int = RLIMIT,
    seed: int = 0,
) -> Iterator[Row]:
    """The rows of `prove`, one at a time."""
    hints = load_hints(model) if hints is None else hints
    for obligation in _chosen(model, only):
        yield judge(obligation, hints.get(obligation.key), rlimit=rlimit, seed=seed)


def _chosen(model: Model, only: Iterable[str] | None) -> list[Obligation]:
    every = list(obligations(model))
    if only is None:
        return every
    wanted = set(only)
    names = {o.key: {o.step, o.goal, o.key} for o in every}
    unknown = sorted(wanted - set().union(*names.values()))
    if unknown:
        steps, goals = dict.fromkeys(o.step for o in every), dict.fromkeys(o.goal for o in every)
        raise UsageError(
            f"{model.name} has no obligation {unknown[0]!r}: choose from {', '.join((*steps, *goals))}, "
            f"or one of each as {every[0].key}"
        )
    return [o for o in every if names[o.key] & wanted]


# -- one obligation ---------------------------------------------------------------------------------
class Question:
    """An obligation at any size: its negated goal, and hypotheses by name, translated when asked for."""

    def __init__(self, obligation: Obligation) -> None:
        self.algebra = algebra = AnySize()
        fields = obligation.model.fields
        before = algebra.initial(fields) if obligation.step == INIT else algebra.state(fields)
        action = obligation.action
        params = action.params if action else ()
        values = {p.args[0]: algebra.constant(f"arg {p.args[0]}", p.sort) for p in params}
        naturals = (algebra.natural(values[p.args[0]], p.sort) for p in params)
        self.parameters = [n for n in naturals if n is not None]
        later = after(algebra, action.updates, before, values) if action else before
        if isinstance(obligation.body, Expr):
            goal = meaning(algebra, obligation.body, before, values)
        else:
            goal = algebra.closed(obligation.body, later)
        self.negated = algebra.no(goal)
        self.hypotheses: dict[str, Callable[[], Any]] = {}
        for name, prop in obligation.assumed.items():
            self.hypotheses[name] = partial(algebra.closed, prop, before)
        for name, fact in obligation.facts:
            self.hypotheses[name] = partial(meaning, algebra, fact, before, values)
        for name, f in fields.items():
            if is_number(base(f.of)) and obligation.step != INIT:
                self.hypotheses[f"natural {name}"] = partial(algebra.field_is_natural, f, before)


@dataclass(frozen=True)
class Attempt:
    """One answer of Z3 about one obligation."""

    result: str  # "unsat" proves it
    rlimit: int
    left_out: bool  # a hypothesis that is not expressible was not assumed
    core: tuple[str, ...] = ()


def attempt(
    obligation: Obligation,
    options: Mapping[str, Any],
    *,
    rlimit: int,
    names: Iterable[str] | None = None,
    core: bool = False,
) -> Attempt:
    """Ask Z3 once, assuming only the hypotheses in `names` if given; with `core`, which ones it needed."""
    question = Question(obligation)
    solver = z3.SimpleSolver(ctx=question.algebra.context)
    solver.set(**options)
    if core:
        solver.set(**{"core.minimize": True})
    left_out = False
    for name, hypothesis_of in question.hypotheses.items():
        if names is not None and name not in names:
            continue
        try:
            hypothesis = hypothesis_of()
        except Inexpressible:
            left_out = True  # assuming less is sound
        else:
            solver.assert_and_track(hypothesis, name) if core else solver.add(hypothesis)
    solver.add(question.negated, *question.parameters)
    result, used = answer(solver, rlimit)
    needed = tuple(sorted(map(str, solver.unsat_core()))) if core and result == z3.unsat else ()
    return Attempt(str(result), used, left_out, needed)


def judge(obligation: Obligation, hint: list[str] | None, *, rlimit: int = RLIMIT, seed: int = 0) -> Row:
    """Prove one obligation, or say what is wrong with it."""
    start = time.perf_counter()
    row = Row(obligation.step, obligation.goal, PROVED, 0.0, 0, "none")
    refined = obligation.model.refines
    if refined and obligation.step == THEOREM and obligation.goal in refined.theorems:
        reason = f"it holds of {refined.name}, and `refine` checks that each step here is a step there"
        return replace(row, verdict=INEXPRESSIBLE, reason=reason)
    try:
        row, last = _attempts(obligation, hint, row, rlimit, seed)
    except Inexpressible as error:
        row = replace(row, verdict=INEXPRESSIBLE, reason=str(error))
    else:
        if last.result != "unsat":
            row = _refuted(obligation, row, last)
    return replace(row, seconds=time.perf_counter() - start)


def _attempts(
    obligation: Obligation, hint: list[str] | None, row: Row, rlimit: int, seed: int
) -> tuple[Row, Attempt]:
    """Try the hint, then everything that is known with each configuration in turn."""
    portfolio = [{**options, "random_seed": options["random_seed"] + seed} for options in PORTFOLIO]
    if hint is not None:
        last = attempt(obligation, portfolio[0], rlimit=rlimit, names=hint)
        row = replace(row, rlimit=last.rlimit, hint="used" if last.result == "unsat" else "stale")
        if last.result == "unsat":
            return row, last
    for names in _selections(obligation):
        last = attempt(obligation, portfolio[0], rlimit=rlimit // 4, names=names)
        row = replace(row, rlimit=row.rlimit + last.rlimit)
        if last.result == "unsat":  # anything else proves nothing where something was not assumed
            return row, last
    for options in portfolio:
        last = attempt(obligation, options, rlimit=rlimit)
        row = replace(row, rlimit=row.rlimit + last.rlimit)
        if last.result != "unknown":
            break
    return row, last


def _selections(obligation: Obligation) -> Iterator[list[str]]:
    """Fewer hypotheses are easier: those of the step and the goal itself; then all but the theorems."""
    names = list(Question(obligation).hypotheses)
    invariants = [n for n in names if n.startswith("invariant ")]
    theorems = [n for n in names if n.startswith("theorem ")]
    if len(invariants) > 1:
        near = {*names} - {*invariants} - {*theorems} | {f"invariant {obligation.goal}"}
        yield [n for n in names if n in near]
    if theorems:
        yield [n for n in names if n not in theorems]


def _refuted(obligation: Obligation, row: Row, last: Attempt) -> Row:
    """What to say of an obligation that Z3 did not prove."""
    found = smallest(obligation)
    if found:
        return replace(row, verdict=VIOLATED, reason=_fault(obligation), counterexample=found)
    if last.result == "sat" and not last.left_out:
        reason = f"{_fault(obligation)}; z3 has a counterexample, but no small finite size shows it"
        return replace(row, verdict=VIOLATED, reason=reason)
    reason = f"z3 gave no answer in {row.rlimit:,} units; no counterexample was found at small sizes"
    return replace(row, verdict=INCONCLUSIVE, reason=reason)


def _fault(obligation: Obligation) -> str:
    """In words, what a counterexample shows."""
    if obligation.step == INIT:
        return "false in the first state"
    if obligation.step == THEOREM:
        return "does not follow from the invariants"
    if obligation.property is None:
        return "false where the invariants and the guards hold"
    return "not inductive: all invariants hold before the step, and this one is false after it"


# -- hints ----------------------------------------------------------------------------------------
def hints_file(model: Model) -> Path:
    return Path(__file__).parents[1] / "hints" / f"{model.name}.json"


def load_hints(model: Model) -> Hints:
    """The committed hints of a model; none if there is no file."""
    path = hints_file(model)
    if not path.exists():
        return {}
    loaded: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def update_hints(model: Model, path: Path | None = None, *, rlimit: int = RLIMIT) -> Path:
    """Prove everything anew and write down which hypotheses each proof needed. The file written.

    What a hint names now is tried before everything that is known: a proof once found is not lost, and
    where Z3 finds none, a hint written by hand may show it one.
    """
    known = load_hints(model) if path is None else {}
    found = {o.key: _core(o, known.get(o.key), rlimit) for o in obligations(model)}
    lines = ",\n".join(
        f"{json.dumps(key)}: {json.dumps(core)}" for key, core in found.items() if core is not None
    )
    path = path or hints_file(model)
    path.parent.mkdir(exist_ok=True)
    path.write_text("{\n" + lines + "\n}\n", encoding="utf-8")
    return path


def _core(obligation: Obligation, known: list[str] | None, rlimit: int) -> list[str] | None:
    """Hypotheses that suffice, tried as a hint would be. None: not proved, or not with those alone."""
    try:
        for names, options in product((known, None) if known else (None,), PORTFOLIO):
            found = attempt(obligation, options, rlimit=rlimit, names=names, core=True)
            if found.result == "unsat":
                again = attempt(obligation, PORTFOLIO[0], rlimit=rlimit, names=found.core)
                if again.result == "unsat":
                    return list(found.core)
        if known and attempt(obligation, PORTFOLIO[0], rlimit=rlimit, names=known).result == "unsat":
            return known  # a smaller one was found, and is harder
    except Inexpressible:
        pass
    return None
