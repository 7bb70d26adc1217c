"""obligations: what has to be proved of a model, as expressions; no solver is involved yet.

| step        | goal                        | proved from                                          |
|-------------|-----------------------------|------------------------------------------------------|
| init        | each invariant              | axioms                                               |
| an action   | distinct writes of a field  | axioms, invariants and theorems before it, guards    |
| an action   | claim 1, claim 2 ...        | the same, and the goals above                        |
| an action   | each invariant, afterwards  | the same, and all claims                             |
| theorem     | each theorem                | axioms, invariants and earlier theorems, one state   |

So a theorem is also a lemma: it spares the invariants what follows from them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import combinations, takewhile

from oneleader.language.definitions import Property
from oneleader.language.expr import Expr, both, either, equal, lift, no
from oneleader.language.model import Model
from oneleader.language.trace import TracedAction, TracedProperty, Update, trace_action, trace_property

INIT, THEOREM = "init", "theorem"
BEFORE, AFTER, GUARDS = "before", "after", "guards"  # of which state an expression speaks; or of guards alone


@dataclass(frozen=True)
class Obligation:
    """One thing to prove. It is false in some state, or after some step, or it is a fact."""

    model: Model
    step: str  # INIT, THEOREM or the name of an action
    goal: str  # the name of a property, or "claim 1", or "distinct writes of granted"
    action: TracedAction | None
    facts: tuple[tuple[str, Expr], ...]  # guards, and goals of this action proved earlier
    body: TracedProperty | Expr  # an expression speaks of the action's parameters, and of
    of: str = BEFORE  # the state before the step, or after it; or says that the step is possible

    @property
    def key(self) -> str:
        return f"{self.step}/{self.goal}"

    @cached_property
    def assumed(self) -> dict[str, TracedProperty]:
        """Axioms, invariants and theorems that hold before the step; for a theorem, those above it."""
        model = self.model
        known = {f"axiom {n}": trace_property(model, p) for n, p in model.axioms.items()}
        if self.step != INIT:
            known |= {f"invariant {n}": trace_property(model, p) for n, p in model.invariants.items()}
            above = takewhile(lambda p: self.step != THEOREM or p.name != self.goal, model.theorems.values())
            known |= {f"theorem {p.name}": trace_property(model, p) for p in above}
        return known

    @cached_property
    def hypotheses(self) -> tuple[str, ...]:
        """The names of everything that it may be proved from: what counts elements is never assumed."""
        bodies = [(name, prop.body) for name, prop in self.assumed.items()]
        return tuple(name for name, body in (*bodies, *self.facts) if not mentions(body, "count"))

    @property
    def property(self) -> Property | None:
        """The property that is the goal, if it is one."""
        return self.body.property if isinstance(self.body, TracedProperty) else None


def obligations(model: Model) -> Iterator[Obligation]:
    """Everything that has to be proved, in a fixed order."""
    invariants = [trace_property(model, p) for p in model.invariants.values()]
    for prop in invariants:
        yield Obligation(model, INIT, prop.property.name, None, (), prop)
    for action in model.actions.values():
        traced = trace_action(model, action)
        facts = guards_of(traced)
        for name, expr in (*_distinct_writes(traced), *_claims(traced)):
            yield Obligation(model, action.name, name, traced, facts, expr)
            facts = (*facts, (name, expr))
        for prop in invariants:
            yield Obligation(model, action.name, prop.property.name, traced, facts, prop)
    for theorem in model.theorems.values():
        yield Obligation(model, THEOREM, theorem.name, None, (), trace_property(model, theorem))


def guards_of(traced: TracedAction) -> tuple[tuple[str, Expr], ...]:
    """Guards by name. An action that takes over another one may have two of the same name."""
    facts = []
    seen: Counter[str] = Counter()
    for guard, expr in traced.guards:
        seen[guard.name] += 1
        again = f" {seen[guard.name]}" if seen[guard.name] > 1 else ""
        facts.append((f"guard {guard.name}{again}", expr))
    return tuple(facts)


def _claims(traced: TracedAction) -> list[tuple[str, Expr]]:
    return [(f"claim {i}", claim) for i, claim in enumerate(traced.claims, start=1)]


def _distinct_writes(traced: TracedAction) -> list[tuple[str, Expr]]:
    """For each field with several point writes: that no two of them meet."""
    found = []
    for name, update in traced.updates.items():
        if len(update.writes) > 1:
            found.append((f"distinct writes of {name}", _apart(update)))
    return found


def _apart(update: Update) -> Expr:
    pairs = combinations((write.index for write in update.writes), 2)
    return lift(both(*(no(both(*map(equal, one, other))) for one, other in pairs)), bool)


@lru_cache(maxsize=65536)
def mentions(expr: Expr, op: str) -> bool:
    """Whether this operation stands somewhere in the expression."""
    return expr.op == op or any(isinstance(arg, Expr) and mentions(arg, op) for arg in expr.args)


def parts(obligation: Obligation) -> list[Obligation]:
    """The same, with one conjunct of the goal each: all together are harder for a prover than one by one."""
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
