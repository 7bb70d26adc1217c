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
from pathlib import Path
from typing import Any

import z3

from oneleader.errors import Inexpressible, UsageError
from oneleader.language.expr import Expr, either, lift
from oneleader.language.model import Model
from oneleader.language.sorts import base, is_number, is_time
from oneleader.readers.prove.induction import Counterexample, smallest
from oneleader.readers.prove.obligations import INIT, THEOREM, Obligation, obligations
from oneleader.readers.prove.smt import AnySize, after, answer, meaning, orderly_interrupts
from oneleader.verdict import HOLDS, INCONCLUSIVE, NOT_EXPRESSIBLE, VIOLATED, Verdict, exit_status, gravest

Hints = Mapping[str, list[str]]

# With model-based instantiation Z3 answers the most questions; by patterns alone it is quicker on some
# of those that it leaves open. Each attempt may use `rlimit` units, about a second for a million.
PORTFOLIO: tuple[Mapping[str, Any], ...] = (
    {"mbqi": True, "random_seed": 0},
    {"mbqi": False, "random_seed": 0},
    {"mbqi": True, "random_seed": 7},
)
RLIMIT = 4_000_000
RLIMIT_OWN = 200_000


@dataclass(frozen=True)
class ProofRow:
    """What became of one obligation."""

    step: str  # "init", "theorem" or an action
    goal: str  # a property, "claim 1", or "distinct writes of granted"
    verdict: Verdict
    seconds: float
    rlimit: int  # units of Z3's work, over all attempts
    hint: str  # "used", "stale", or "none": there was none
    reason: str = ""  # a sentence, where it is not proved
    counterexample: Counterexample | None = None

    @property
    def key(self) -> str:
        return f"{self.step}/{self.goal}"


@dataclass
class Proof:
    """All rows so far. `interrupted`: the rest was not tried."""

    model: Model
    rows: list[ProofRow] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def verdict(self) -> Verdict:
        """The gravest of the rows' verdicts; of an interrupted proof at best inconclusive."""
        return gravest([row.verdict for row in self.rows] + [INCONCLUSIVE] * self.interrupted)

    @property
    def status(self) -> int:
        """The exit status of a program that did only this."""
        return exit_status([self.verdict], interrupted=self.interrupted)


def prove(
    model: Model,
    *,
    hints: Hints | None = None,
    only: Iterable[str] | None = None,
    rlimit: int = RLIMIT,
    seed: int = 0,
    progress: Callable[[ProofRow], None] = lambda row: None,
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
) -> Iterator[ProofRow]:
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
            if f.kind == "parameter" or (
                (is_number(base(f.of)) or is_time(f.of)) and obligation.step != INIT
            ):
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


def judge(obligation: Obligation, hint: list[str] | None, *, rlimit: int = RLIMIT, seed: int = 0) -> ProofRow:
    """Prove one obligation, or say what is wrong with it."""
    start = time.perf_counter()
    row = ProofRow(obligation.step, obligation.goal, HOLDS, 0.0, 0, "none")
    if refined := _judged_elsewhere(obligation):
        reason = f"it holds of {refined.name}, and `refine` checks that each step here is a step there"
        return replace(row, verdict=NOT_EXPRESSIBLE, reason=reason)
    try:
        row, last = _attempts(obligation, hint, row, rlimit, seed)
    except Inexpressible as error:
        row = replace(row, verdict=NOT_EXPRESSIBLE, reason=str(error))
    else:
        if last.result != "unsat":
            row = _refuted(obligation, row, last)
    return replace(row, seconds=time.perf_counter() - start)


def _judged_elsewhere(obligation: Obligation) -> Model | None:
    """The refined model whose theorem this is, where its lemmas were left out: it is proved there."""
    model, refined = obligation.model, obligation.model.refines
    if refined is None or obligation.step != THEOREM or obligation.goal not in refined.theorems:
        return None
    return None if refined.invariants.keys() <= model.invariants.keys() else refined


def _attempts(
    obligation: Obligation, hint: list[str] | None, row: ProofRow, rlimit: int, seed: int
) -> tuple[ProofRow, Attempt]:
    """Try the hint, then what is often enough, then everything that is known."""
    portfolio = [{**options, "random_seed": options["random_seed"] + seed} for options in PORTFOLIO]
    if hint is not None:
        last = _search(obligation, portfolio, rlimit=rlimit // 4, names=hint)
        row = replace(row, rlimit=last.rlimit, hint="used" if last.result == "unsat" else "stale")
        if last.result == "unsat":
            return row, last
    if obligation.action:  # what is to be kept, and what was proved of this step
        own = [f"invariant {obligation.goal}", *(name for name, _ in obligation.facts)]
        last = attempt(obligation, portfolio[0], rlimit=RLIMIT_OWN, names=own)
        row = replace(row, rlimit=row.rlimit + last.rlimit)
        if last.result == "unsat":
            return row, last
    last = _search(obligation, portfolio, rlimit=rlimit)
    return replace(row, rlimit=row.rlimit + last.rlimit), last


def _search(
    obligation: Obligation,
    portfolio: Iterable[Mapping[str, Any]],
    *,
    rlimit: int,
    names: Iterable[str] | None = None,
) -> Attempt:
    """Each configuration in turn on the whole obligation, then on each part of its goal."""
    found = _first(obligation, portfolio, rlimit=rlimit, names=names)
    pieces = parts(obligation)
    if found.result != "unknown" or len(pieces) == 1:
        return found
    for piece in pieces:
        last = _first(piece, portfolio, rlimit=rlimit, names=names)
        found = replace(last, rlimit=found.rlimit + last.rlimit)
        if last.result != "unsat":
            break
    return found


def _first(
    obligation: Obligation,
    portfolio: Iterable[Mapping[str, Any]],
    *,
    rlimit: int,
    names: Iterable[str] | None = None,
) -> Attempt:
    """The first answer; `unknown` where no configuration gives one."""
    used = 0
    for options in portfolio:
        last = attempt(obligation, options, rlimit=rlimit, names=names)
        used += last.rlimit
        if last.result != "unknown":
            break
    return replace(last, rlimit=used)


def parts(obligation: Obligation) -> list[Obligation]:
    """The same, with one conjunct of the goal each: both together are harder for Z3 than one by one."""
    goal = obligation.body
    if isinstance(goal, Expr):
        return [replace(obligation, body=part) for part in conjuncts(goal)]
    return [replace(obligation, body=replace(goal, body=part)) for part in conjuncts(goal.body)]


def conjuncts(expr: Expr) -> list[Expr]:
    """What must be true, one by one: of `p or (q and r)` it is `p or q` and `p or r`."""
    if expr.op == "and":
        return [part for arg in expr.args for part in conjuncts(arg)]
    if expr.op == "or":
        *others, last = expr.args
        return [lift(either(*others, part), bool) for part in conjuncts(last)]
    return [expr]


def _refuted(obligation: Obligation, row: ProofRow, last: Attempt) -> ProofRow:
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
    return Path(__file__).parent / "hints" / f"{model.name}.json"


def load_hints(model: Model) -> Hints:
    """The committed hints of a model and of those that it extends; none where there is no file."""
    path = hints_file(model)
    own: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {**(load_hints(model.extends) if model.extends else {}), **own}


def update_hints(model: Model, path: Path | None = None, *, rlimit: int = RLIMIT) -> Path:
    """Prove everything anew and write down which hypotheses each proof needed. The file written."""
    found = {o.key: _core(o, rlimit) for o in obligations(model)}
    inherited = load_hints(model.extends) if model.extends else {}
    lines = ",\n".join(
        f"{json.dumps(key)}: {json.dumps(core)}"
        for key, core in found.items()
        if core not in (None, inherited.get(key))
    )
    path = path or hints_file(model)
    path.parent.mkdir(exist_ok=True)
    path.write_text("{\n" + lines + "\n}\n", encoding="utf-8")
    return path


def _core(obligation: Obligation, rlimit: int) -> list[str] | None:
    """Hypotheses that suffice, tried as a hint would be. None: not proved, or not with those alone."""
    try:
        for pieces in ([obligation], parts(obligation)):
            cores = [_needed(piece, rlimit) for piece in pieces]
            if None not in cores:
                core = sorted(set().union(*(c for c in cores if c is not None)))
                again = _search(obligation, PORTFOLIO, rlimit=rlimit // 4, names=core)
                return core if again.result == "unsat" else None
    except Inexpressible:
        pass
    return None


def _needed(obligation: Obligation, rlimit: int) -> tuple[str, ...] | None:
    """The hypotheses of some proof, from few to all; None where there is none."""
    own = [f"invariant {obligation.goal}", *(name for name, _ in obligation.facts)]
    known = load_hints(obligation.model).get(obligation.key)
    for names in (own, known, None):
        for options in PORTFOLIO if names is None or names is known else PORTFOLIO[:1]:
            limit = rlimit if names is None else rlimit // 4
            found = attempt(obligation, options, rlimit=limit, names=names, core=True)
            if found.result == "unsat":
                return found.core
    return None
