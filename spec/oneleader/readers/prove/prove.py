"""prove: for any number of nodes and unbounded numbers, with Z3.

Each obligation (`obligations.py`) is negated and given to Z3 (`smt.py`); `unsat` proves it. What is
not proved is looked for at finite sizes (`induction.py`), so that a failure comes with a picture.

Nothing is proved of nothing: `vacuity.py` shows that the axioms have a model and that every action and
every premise is possible. What a proof used and the run did not prove (`--only`) is named, and then
the whole is `inconclusive`: it holds only if that does.

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
from math import inf
from pathlib import Path
from typing import Any

from oneleader.errors import Inexpressible, UsageError
from oneleader.language.model import Model
from oneleader.readers.agree import Agreement, small_agreement
from oneleader.readers.prove.attempts import PORTFOLIO, RESTARTS, RLIMIT_RESTART, Attempt, attempt
from oneleader.readers.prove.hints import Hints, hints_file, load_hints
from oneleader.readers.prove.induction import Counterexample, smallest
from oneleader.readers.prove.obligations import AFTER, GUARDS, INIT, THEOREM, Obligation, parts
from oneleader.readers.prove.progress import every_obligation
from oneleader.readers.prove.second import confirms, excused
from oneleader.readers.prove.smt import orderly_interrupts
from oneleader.readers.prove.vacuity import PossibleAnswer, answers
from oneleader.verdict import HOLDS, INCONCLUSIVE, NOT_EXPRESSIBLE, VIOLATED, Verdict, exit_status, gravest

Z3, CVC5, BOTH = "z3", "cvc5", "both"
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
    hypotheses: tuple[str, ...] = ()  # those that the proof may have used
    by: tuple[str, ...] = ()  # the provers that proved it

    @property
    def key(self) -> str:
        return f"{self.step}/{self.goal}"


@dataclass
class Proof:
    """All rows so far, and what was shown to be possible. `interrupted`: the rest was not tried."""

    model: Model
    rows: list[ProofRow] = field(default_factory=list)
    possible: list[PossibleAnswer] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False
    agreement: Agreement | None = None  # with the plain interpreter

    @property
    def verdict(self) -> Verdict:
        """The gravest of all verdicts; inconclusive at best where a property is proved in part, or by what
        was not proved here."""
        found = [row.verdict for row in self.rows]
        if found:  # of no obligation, nothing is said
            found += [answer.verdict for answer in self.possible]
            found += [self.agreement.verdict] if self.agreement else []
        is_open = self.interrupted or bool(self.assumes or self.in_part)
        return gravest(found + [INCONCLUSIVE] * is_open)

    @property
    def in_part(self) -> list[str]:
        """The properties of which every obligation that was asked is proved, and some were not asked."""
        goals = dict.fromkeys(row.goal for row in self.rows if row.goal in self.model.properties)
        by = {goal: gravest(row.verdict for row in self.rows if row.goal == goal) for goal in goals}
        return [goal for goal, verdict in by.items() if verdict is HOLDS and not self.proves(goal)]

    @property
    def assumes(self) -> list[str]:
        """What these proofs use and this run did not prove.

        An invariant is proved where it holds at first and after every action; a claim, or that writes are
        distinct, in the action that relies on it. Without an action's writes distinct, what it leads to is
        not what was judged.
        """
        used: dict[str, None] = {}
        several = [o for o in every_obligation(self.model) if o.goal.startswith("distinct writes")]
        for row in self.rows:
            if row.verdict is HOLDS:
                used |= dict.fromkeys(_relied_on(row.step, row.hypotheses))
                used |= dict.fromkeys(o.key for o in several if o.step == row.step and o.key != row.key)
        return [name for name in used if not self.proves(name)]

    def proves(self, name: str) -> bool:
        """Whether every obligation of this property, or the one of this key, was proved here."""
        proved = {row.key for row in self.rows if row.verdict is HOLDS}
        return all(o.key in proved for o in every_obligation(self.model) if name in (o.goal, o.key))

    @property
    def status(self) -> int:
        """The exit status of a program that did only this."""
        return exit_status([self.verdict], interrupted=self.interrupted)


def _relied_on(step: str, hypotheses: Iterable[str]) -> Iterator[str]:
    """Of these hypotheses those that have to be proved: properties, and goals of the same action."""
    for hypothesis in hypotheses:
        kind, _, name = hypothesis.partition(" ")
        if kind in ("invariant", "theorem"):
            yield name
        elif kind in ("claim", "distinct"):
            yield f"{step}/{hypothesis}"


def prove(
    model: Model,
    *,
    hints: Hints | None = None,
    only: Iterable[str] | None = None,
    rlimit: int = RLIMIT,
    seed: int = 0,
    prover: str = Z3,
    progress: Callable[[ProofRow], None] = lambda row: None,
) -> Proof:
    """Prove everything that the model says, or those obligations whose action, goal or key is in `only`.

    `hints`: those of `load_hints` unless given; {} for none. Ctrl-C returns what was done so far.
    """
    proof = Proof(model, agreement=small_agreement(model))
    start = time.perf_counter()
    try:
        with orderly_interrupts():
            for row in rows(model, hints=hints, only=only, rlimit=rlimit, seed=seed, prover=prover):
                proof.rows.append(row)
                progress(row)
            steps, goals = ({r.step for r in proof.rows}, {r.goal for r in proof.rows})
            found = answers(model, steps, goals) if only else answers(model)
            proof.possible = [_weighed(proof, answer) for answer in found]
    except KeyboardInterrupt:
        proof.interrupted = True
    proof.seconds = time.perf_counter() - start
    return proof


def _weighed(proof: Proof, answer: PossibleAnswer) -> PossibleAnswer:
    """The answer; where it is no, and follows from what was not proved here, nobody knows."""
    open_ = [name for name in _relied_on("", answer.core) if not proof.proves(name)]
    if answer.verdict is not VIOLATED or not open_:
        return answer
    return replace(answer, verdict=INCONCLUSIVE, reason=f"{answer.reason}; {open_[0]} is not proved here")


def rows(
    model: Model,
    *,
    hints: Hints | None = None,
    only: Iterable[str] | None = None,
    rlimit: int = RLIMIT,
    seed: int = 0,
    prover: str = Z3,
) -> Iterator[ProofRow]:
    """The rows of `prove`, one at a time."""
    hints = load_hints(model) if hints is None else hints
    for obligation in _chosen(model, only):
        hint = hints.get(obligation.key)
        if prover == CVC5:
            yield by_cvc5(obligation, hint)
            continue
        row = judge(obligation, hint, rlimit=rlimit, seed=seed)
        yield _confirmed(obligation, hint, row) if prover == BOTH else row


def _chosen(model: Model, only: Iterable[str] | None) -> list[Obligation]:
    every = list(every_obligation(model))
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
        row = replace(row, by=(Z3,)) if last.result == "unsat" else _refuted(obligation, row, last)
    return replace(row, seconds=time.perf_counter() - start)


def by_cvc5(obligation: Obligation, hint: list[str] | None, *, seconds: float = inf) -> ProofRow:
    """What cvc5 alone says: it proves, or has no opinion. `seconds`: as of `second.confirms`."""
    start = time.perf_counter()
    row = ProofRow(obligation.step, obligation.goal, HOLDS, 0.0, 0, "none", hypotheses=obligation.hypotheses)
    if refined := _judged_elsewhere(obligation):
        return replace(row, verdict=NOT_EXPRESSIBLE, reason=f"it holds of {refined.name}")
    try:
        if confirms(obligation, hint, seconds=seconds):
            row = replace(row, by=(CVC5,))
        else:
            row = replace(row, verdict=INCONCLUSIVE, reason="cvc5 found no proof: that says nothing")
    except Inexpressible as error:
        row = replace(row, verdict=NOT_EXPRESSIBLE, reason=str(error))
    return replace(row, seconds=time.perf_counter() - start)


def _confirmed(obligation: Obligation, hint: list[str] | None, row: ProofRow) -> ProofRow:
    """Z3's row after cvc5 was asked the same: what Z3 alone proves is not known, unless that is expected."""
    if row.verdict is NOT_EXPRESSIBLE:
        return row
    start = time.perf_counter()
    agreed = confirms(obligation, hint)
    row = replace(row, by=(*row.by, *((CVC5,) if agreed else ())))
    row = replace(row, seconds=row.seconds + time.perf_counter() - start)
    if agreed and row.verdict is not HOLDS:
        return replace(row, reason=f"{row.reason}; cvc5 proves it: one of the two translations is wrong")
    if agreed or row.verdict is not HOLDS or excused(obligation.model, row.key):
        return row
    return replace(row, verdict=INCONCLUSIVE, reason="z3 proves it, and cvc5 does not confirm that")


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
    portfolio, restarts = (
        [{**options, "random_seed": options["random_seed"] + seed} for options in of]
        for of in (PORTFOLIO, RESTARTS)
    )
    if hint is not None:
        last = _first(obligation, restarts, rlimit=min(rlimit // 4, RLIMIT_RESTART), names=hint)
        if last.result == "unknown":
            last = _search(obligation, portfolio, rlimit=rlimit // 4, names=hint)
        named = tuple(name for name in obligation.hypotheses if name in hint)
        row = replace(row, rlimit=last.rlimit, hint="used" if last.result == "unsat" else "stale")
        row = replace(row, hypotheses=named)
        if last.result == "unsat":
            return row, last
    if obligation.action:  # what is to be kept, and what was proved of this step
        own = [f"invariant {obligation.goal}", *(name for name, _ in obligation.facts)]
        last = attempt(obligation, portfolio[0], rlimit=RLIMIT_OWN, names=own)
        named = tuple(name for name in obligation.hypotheses if name in own)
        row = replace(row, rlimit=row.rlimit + last.rlimit, hypotheses=named)
        if last.result == "unsat":
            return row, last
    last = _search(obligation, portfolio, rlimit=rlimit)
    return replace(row, rlimit=row.rlimit + last.rlimit, hypotheses=obligation.hypotheses), last


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
    if obligation.of == GUARDS:
        return "the step is not possible in this stage: what waits for it starves"
    if obligation.of == AFTER:
        return "a step leads away from this stage, and the goal is not reached"
    if obligation.property is None:
        return "false where the invariants and the guards hold"
    return "not inductive: all invariants hold before the step, and this one is false after it"


# -- hints ----------------------------------------------------------------------------------------
def update_hints(model: Model, path: Path | None = None, *, rlimit: int = RLIMIT) -> Path:
    """Prove everything again and write down which hypotheses each proof needed. The file written."""
    found = {o.key: _core(o, rlimit) for o in every_obligation(model)}
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
