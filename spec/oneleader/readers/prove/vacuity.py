"""vacuity: nothing is proved of nothing.

From axioms that contradict each other everything follows, a step that no state allows keeps every
invariant, and `implies(p, q)` says nothing where p can never hold. So each of these is shown to be
possible by a finite instance, which Z3 finds at a small size and the plain interpreter confirms:

| question                  | an instance is                                                       |
|---------------------------|----------------------------------------------------------------------|
| axioms and Init           | constants that satisfy the axioms, and the first state               |
| an action                 | a state in which axioms, invariants, theorems and its guards hold     |
| the premise of a property | a state in which axioms, invariants, theorems and the premise hold    |
| a stage of a `leads_to`   | the same of what is given, the stage, and a goal that is not reached  |

An instance's state need not be reachable. It stands for one in which numbers go on for ever: beyond its
bounds every constant is false, and every field as it was at first. So what an invariant says of greater
numbers alone may rule it out: first Z3 is asked for a moment whether any size is possible at all. And where
an axiom may be false beyond, the instance shows nothing: only Z3 can say that the axioms have a model.
What has no small instance is asked at any size: where Z3 proves that there is none, the answer is
`violated`; else nobody knows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import z3

from oneleader.errors import Disagreement, Inexpressible, SpecError
from oneleader.language.configuration import Configuration
from oneleader.language.expr import FALSE, TRUE, Expr, both, lift, no
from oneleader.language.model import Model
from oneleader.language.trace import trace_action, trace_property
from oneleader.readers.beyond import untried_axioms
from oneleader.readers.prove.attempts import PORTFOLIO, Attempt, attempt
from oneleader.readers.prove.induction import Counterexample, Search, even, plain, sizes
from oneleader.readers.prove.obligations import INIT, THEOREM, Obligation, guards_of
from oneleader.readers.prove.progress import Chain
from oneleader.readers.prove.question import Question
from oneleader.readers.prove.smt import AnySize, answer
from oneleader.readers.run import ClaimFailed, Cut, Disabled, Instance, Run, State
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict

AXIOMS_AND_INIT = "axioms and Init"
MOST_TRIED = 30  # sizes, once one and two elements of each sort were not enough
RLIMIT_FIRST, RLIMIT_ANY = 20_000, 2_000_000  # of Z3's work


@dataclass(frozen=True)
class PossibleAnswer:
    """Whether something is possible; the instance that shows it, or a sentence."""

    what: str  # AXIOMS_AND_INIT, the name of an action, or `premise 1 of a_property`
    verdict: Verdict
    reason: str
    instance: Counterexample | None
    core: tuple[str, ...] = ()  # from which Z3 concluded that it is impossible

    @property
    def kind(self) -> str:
        """In the plural, for counting."""
        if self.what == AXIOMS_AND_INIT:
            return self.what
        return "premises" if self.what.startswith("premise ") else "actions"


def answers(
    model: Model, actions: Collection[str] | None = None, goals: Collection[str] | None = None
) -> list[PossibleAnswer]:
    """Everything that has to be possible, in the order of the model; or for these actions and goals alone."""
    left = dict(questions(model, actions, goals))
    order, found = [*left], dict[str, PossibleAnswer]()

    def refute(some: Iterable[str]) -> None:
        for what in some:
            if attempt(left[what], PORTFOLIO[0], rlimit=RLIMIT_ANY).result == "unsat":
                last = attempt(left[what], PORTFOLIO[0], rlimit=2 * RLIMIT_ANY, core=True)
                found[what] = PossibleAnswer(what, VIOLATED, _why(what, last), None, last.core)
                del left[what]

    # What numbers beyond an instance's bounds rule out no instance shows: so any size is asked about first.
    refute([*left] if _axioms_beyond(model, even(model, 1)) else _ruled_out(model, left))
    for some in ((even(model, 1), even(model, 2)), islice(sizes(model), MOST_TRIED)):
        for configuration in some:
            if not left:
                break
            world = World(model, configuration)
            for what, question in [*left.items()]:
                if instance := world.instance(question):
                    found[what] = _shown(what, question, instance)
                    del left[what]
        refute([*left])
    open_ = "no instance was found at small sizes, and none was shown to be impossible"
    return [found.get(what, PossibleAnswer(what, INCONCLUSIVE, open_, None)) for what in order]


def _axioms_beyond(model: Model, at: Configuration) -> list[str]:
    """Where an axiom may be false of numbers beyond an instance's bounds, its constants being false there."""
    return untried_axioms(model, at, constants_end=True)


def _ruled_out(model: Model, asked: Mapping[str, Obligation]) -> list[str]:
    """Which of these Z3 rules out at any size, each within a moment; one solver knows the invariants."""
    algebra = AnySize()
    solver = z3.SimpleSolver(ctx=algebra.context)
    known = Question(Obligation(model, THEOREM, "", None, (), FALSE), algebra)
    for hypothesis in known.hypotheses.values():
        with suppress(Inexpressible):  # assuming less is sound
            solver.add(hypothesis())
    return [what for what, question in asked.items() if _is_ruled_out(question, algebra, solver)]


def _is_ruled_out(question: Obligation, algebra: AnySize, solver: z3.Solver) -> bool:
    own = Question(question, algebra)
    names = [name for name, _ in question.facts]
    try:
        said = [own.hypotheses[name]() for name in names] + [own.negated, *own.parameters]
    except Inexpressible:
        return False
    solver.push()
    solver.add(*said)
    result, _ = answer(solver, RLIMIT_FIRST)
    solver.pop()
    return bool(result == z3.unsat)


def _shown(what: str, question: Obligation, instance: Counterexample) -> PossibleAnswer:
    """What an instance shows; of axioms that may be false beyond its bounds nothing."""
    beyond = _axioms_beyond(question.model, instance.configuration) if what == AXIOMS_AND_INIT else []
    asked = (attempt(question, options, rlimit=RLIMIT_ANY) for options in PORTFOLIO if beyond)
    if beyond and not any(one.result == "sat" and not one.left_out for one in asked):
        reason = f"have a model only up to its bounds, and {beyond[0]} says more of greater numbers"
        return PossibleAnswer(what, INCONCLUSIVE, reason, instance)
    return PossibleAnswer(what, HOLDS, "", instance)


def _why(what: str, last: Attempt) -> str:
    """In words, what Z3 found to be impossible."""
    said = " and ".join(last.core)
    if what == AXIOMS_AND_INIT:
        return f"contradict each other ({said}): everything follows from them" if said else "cannot be met"
    holds = f"where {said} hold" if len(last.core) > 1 else f"where {said} holds" if said else "anywhere"
    return f"is never possible {holds}: what is proved of it says nothing"


# -- questions --------------------------------------------------------------------------------------
def questions(
    model: Model, actions: Collection[str] | None, goals: Collection[str] | None
) -> Iterator[tuple[str, Obligation]]:
    """As obligations that must not be provable: a counterexample to each is the instance wanted."""
    yield AXIOMS_AND_INIT, Obligation(model, INIT, "", None, (), FALSE)
    for name, action in model.actions.items():
        if actions is None or name in actions:
            traced = trace_action(model, action)
            yield name, Obligation(model, name, "", traced, guards_of(traced), FALSE)
    for name, prop in model.properties.items():
        if goals is None or name in goals:
            traced_property = trace_property(model, prop)
            for number, premise in enumerate(premises(traced_property.body), start=1):
                never = lift(no(_for_some(traced_property.params, premise)), bool)
                yield f"premise {number} of {name}", Obligation(model, THEOREM, "", None, (), never)
    for name, found in model.progress.items():
        if goals is None or any(goal.startswith(f"{name}:") for goal in goals):
            for number, stage in enumerate(Chain(model, found).stages(), start=1):
                never = lift(no(stage), bool)
                yield f"premise {number} of {name}", Obligation(model, THEOREM, "", None, (), never)


def premises(body: Expr) -> Iterator[Expr]:
    """What has to be true for the last part of each disjunction to matter: of `implies(p, q)` it is p.

    In fewer parts than `readers/premises.py` asks: here an instance that is not there counts as a mistake.
    """
    if body is TRUE:
        yield FALSE  # it says nothing at all
    elif body.op == "and":
        for part in body.args:
            yield from premises(part)
    elif body.op == "all":
        variable, inner = body.args
        yield from (_for_some((variable,), premise) for premise in premises(inner))
    elif body.op == "or":
        *others, last = body.args
        premise = lift(both(*map(no, others)), bool)
        yield premise
        for further in premises(last):
            yield lift(both(premise, further), bool)


def _for_some(variables: Iterable[Expr], body: Expr) -> Expr:
    for variable in variables:
        body = Expr("any", (variable, body), bool)
    return body


# -- instances --------------------------------------------------------------------------------------
class World(Search):
    """All states of one size in which axioms, invariants and theorems hold: many questions, one solver."""

    def __init__(self, model: Model, configuration: Configuration) -> None:
        super().__init__(Obligation(model, THEOREM, "", None, (), FALSE), configuration)

    def instance(self, question: Obligation) -> Counterexample | None:
        """An instance of this size, confirmed by the plain interpreter; None if there is none."""
        if question.step == INIT:
            found = Search(question, self.configuration).any()
        else:
            self.solver.push()
            self.ask(question)
            found = self.any()
            self.solver.pop()
        return confirmed(found) if found else None


def confirmed(found: Counterexample) -> Counterexample:
    """The same; Disagreement unless the plain interpreter allows the state and the step."""
    run, wrong = plain(found)
    if not wrong and found.instance:
        wrong = _refused(run, found.before, found.instance)
    if wrong:
        raise Disagreement(f"{found.obligation.step} is said to be possible; when run, {wrong}")
    return found


def _refused(run: Run, state: State, instance: Instance) -> str:
    """Why the plain interpreter does not take a step. A claim or two writes are obligations of their own."""
    try:
        run.step(state, instance.action, instance.args)
    except ClaimFailed:
        return ""
    except SpecError as error:
        return "" if "written twice" in str(error) else str(error)
    except (Disabled, Cut) as error:
        return f"the step is refused: {error!r}"
    return ""
