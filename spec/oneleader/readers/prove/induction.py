"""induction: the smallest finite counterexample to an obligation that was not proved.

Z3's answer at any size is `unknown`, or a model that nobody can read. A finite instance of the same
obligation has no quantifiers; the smallest one is found in a fraction of a second, and every one is
checked with the plain interpreter, which shares nothing with the translation, before it is shown.

The state before the step satisfies the invariants, and need not be reachable: the invariants are
then too weak, which is why such a state is called a counterexample to induction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import z3

from oneleader.errors import Disagreement, SpecError, UsageError
from oneleader.language.configuration import Cells, Configuration
from oneleader.language.expr import Expr
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.language.sorts import AnySort, base, is_number, is_set, is_time
from oneleader.language.trace import Update, compared_times
from oneleader.readers.prove.algebra import after, meaning
from oneleader.readers.prove.obligations import AFTER, GUARDS, INIT, Obligation
from oneleader.readers.prove.smt import FieldTable, Finite, ValueRow, answer
from oneleader.readers.run import ClaimFailed, Cut, Disabled, Instance, Run
from oneleader.readers.run import State as Plain

MOST_ELEMENTS, MOST_NUMBER = 4, 3
MOST_TOTAL = 3  # times the number of sorts: not all of them large at once
MOST_SIZES = 100
RLIMIT = 3_000_000  # for each size
RLIMIT_SMALLER = 300_000  # for each attempt to find a simpler state of that size


@dataclass(frozen=True)
class Counterexample:
    """A state that satisfies the invariants, and what goes wrong in it or after one step."""

    obligation: Obligation
    configuration: Configuration
    cells: Cells  # ghosts included
    before: Plain
    instance: Instance | None  # None: no step, the goal speaks of one state
    after: Plain | None  # None: the step itself is at fault (a claim, two writes of one cell)
    args: tuple[Any, ...]  # of the property that is false


def smallest(obligation: Obligation) -> Counterexample | None:
    """The smallest counterexample, checked; None if there is none up to the size limit."""
    for configuration in sizes(obligation.model):
        found = Search(obligation, configuration).find()
        if found:
            return checked(found)
    return None


# -- sizes ----------------------------------------------------------------------------------------
def sizes(model: Model) -> Iterator[Configuration]:
    """Small configurations, in order of their total size. Constants are left open."""
    used = _sized_sorts(model)
    ranges = [range(1, 1 + (MOST_ELEMENTS if is_set(s) else MOST_NUMBER)) for s in used]
    every = (chosen for chosen in product(*ranges) if sum(chosen) <= MOST_TOTAL * len(used))
    for chosen in sorted(every, key=lambda c: (sum(c), c))[:MOST_SIZES]:
        yield sized(_from_first(model, dict(zip(used, chosen, strict=True))))


def _sized_sorts(model: Model) -> list[AnySort]:
    return [s for s in model.sorts.values() if is_set(s) or is_number(s) or is_time(s)]


def even(model: Model, size: int) -> Configuration:
    """So many elements of each sort."""
    return sized(_from_first(model, dict.fromkeys(_sized_sorts(model), size)))


def _from_first(model: Model, size: dict[AnySort, int]) -> dict[AnySort, int]:
    """The same, but for numbers that start above 1: these reach that much further."""
    for f in model.fields.values():
        of = base(f.of)
        if is_number(of) and f.init > 1:
            size[of] = max(size[of], f.init + min(size[of], MOST_NUMBER) - 1)
    return size


def sized(size: Mapping[AnySort, int]) -> Configuration:
    """So many elements of each set sort, numbers up to so many."""
    letters = _letters([s.__name__ for s in size if is_set(s)])
    return Configuration(
        elements={
            s.__name__: tuple(f"{letters[s.__name__]}{i + 1}" for i in range(n))
            for s, n in size.items()
            if is_set(s)
        },
        greatest={s.__name__: n for s, n in size.items() if is_number(s)},
        longest={s.__name__: n for s, n in size.items() if is_time(s)},
    )


def _letters(names: list[str]) -> dict[str, str]:
    """Node -> n, Quorum -> q; the whole name where a letter is taken."""
    firsts = [name[0].lower() for name in names]
    return {n: f if firsts.count(f) == 1 else n.lower() for n, f in zip(names, firsts, strict=True)}


def with_members(model: Model, configuration: Configuration) -> Configuration:
    """Elements named after their members: a quorum q1 whose members are n1 and n2 is {n1 n2}."""
    elements = dict(configuration.elements)
    for f in model.fields.values():
        if f.kind == "constant" and len(f.index) == 2 and all(map(is_set, f.index)):
            member, of = f.index
            if member is not of:
                pairs = sorted(configuration.constants[f.name])
                elements[of.__name__] = _sets(
                    [
                        [elements[member.__name__][m] for m, s in pairs if s == i]
                        for i in configuration.domain(of)
                    ]
                )
    return replace(configuration, elements=elements)


def _sets(members: list[list[str]]) -> tuple[str, ...]:
    labels: list[str] = []
    for names in members:
        label = "{" + " ".join(names) + "}"
        labels.append(label + "'" * sum(known.rstrip("'") == label for known in labels))
    return tuple(labels)


# -- one size -------------------------------------------------------------------------------------
class Search:
    """One obligation, negated, at one size."""

    def __init__(self, obligation: Obligation, configuration: Configuration) -> None:
        self.configuration, self.fields = configuration, obligation.model.fields
        self.finite = finite = Finite(configuration)
        initial = obligation.step == INIT
        self.before = finite.initial(self.fields) if initial else finite.state(self.fields)
        self.solver = z3.SimpleSolver(ctx=finite.context)
        self.solver.add(*(finite.closed(prop, self.before) for prop in obligation.assumed.values()))
        for _, a, b in compared_times(obligation.model):  # a configuration is refused otherwise
            known = (meaning(finite, x, self.before, {}) if x is not None else 1 for x in (a, b))
            self.solver.add(finite.at_most(*known))
        self.solver.add(*finite.domains)
        self.ask(obligation)

    def ask(self, obligation: Obligation) -> None:
        """Add what this obligation says beyond what is assumed of the state."""
        self.obligation, finite = obligation, self.finite
        action, known = obligation.action, len(finite.domains)
        params = action.params if action else ()
        self.args = {p.args[0]: finite.constant(f"arg {p.args[0]}", p.sort) for p in params}
        self.after: dict[str, FieldTable] = self.before
        if action:
            self.after = finite.tabled(after(finite, action.updates, self.before, self.args), self.fields)
        self.solver.add(*finite.domains[known:], *self._question())

    def _question(self) -> Iterator[Any]:
        obligation, finite = self.obligation, self.finite
        for _, fact in obligation.facts:
            yield meaning(finite, fact, self.before, self.args)
        if obligation.action:
            for update in obligation.action.updates.values():
                yield self._stays_within(update)
        yield from self._symmetry()
        if isinstance(obligation.body, Expr):
            of = self.after if obligation.of == AFTER else self.before
            yield finite.no(meaning(finite, obligation.body, of, self.args))
        else:
            yield finite.no(finite.closed(obligation.body, self.after))

    def _stays_within(self, update: Update) -> Any:
        """No index and no value leaves the bound: a plain run would cut the step."""
        finite, f = self.finite, update.field
        if update.rewriting is not None:
            return finite.both(*(finite.within(cell, f.of) for cell in self.after[f.name].cells.values()))
        parts = [
            (part, sort)
            for w in update.writes
            for part, sort in zip((*w.index, w.value), (*f.index, f.of), strict=True)
            if not is_time(sort)  # what is longer than the longest is stored as that
        ]
        return finite.both(
            *(finite.within(meaning(finite, e, self.before, self.args), sort) for e, sort in parts)
        )

    def _symmetry(self) -> Iterator[Any]:
        """Elements can be renamed: the first argument is n1, the next n1 or n2, and so on."""
        taken: dict[AnySort, list[Any]] = {}
        for param in self.obligation.action.params if self.obligation.action else ():
            arg = self.args[param.args[0]]
            if is_set(param.sort):
                earlier = taken.setdefault(param.sort, [])
                yield self.finite.either(arg == 0, *(arg <= other + 1 for other in earlier))
                earlier.append(arg)

    # -- answers -----------------------------------------------------------------------------
    def any(self) -> Counterexample | None:
        """The first counterexample of this size that comes."""
        return self._decoded(self.solver.model()) if self._satisfiable(RLIMIT_SMALLER) else None

    def find(self) -> Counterexample | None:
        """A counterexample of this size with few cells that differ from the first state."""
        if not self._satisfiable(RLIMIT):
            return None
        best = self.solver.model()
        lit = [
            cell != self.finite.first(table.field)
            for table in self.before.values()
            for cell in table.cells.values()
            if z3.is_expr(cell)
        ]
        while True:
            count = sum(z3.is_true(best.eval(x, model_completion=True)) for x in lit)
            if count == 0:
                break
            self.solver.add(z3.AtMost(*lit, count - 1))
            if not self._satisfiable(RLIMIT_SMALLER):
                break
            best = self.solver.model()
        return self._decoded(best)

    def _satisfiable(self, rlimit: int) -> bool:
        return bool(answer(self.solver, rlimit)[0] == z3.sat)

    def _decoded(self, model: z3.ModelRef) -> Counterexample:
        def value(term: Any) -> Any:
            if isinstance(term, ValueRow):
                return tuple(map(value, term.values))
            known = model.eval(term, model_completion=True) if z3.is_expr(term) else term
            if not z3.is_expr(known):
                return known
            return z3.is_true(known) if z3.is_bool(known) else known.as_long()

        def state(tables: dict[str, FieldTable]) -> Plain:
            return tuple(value(tables[f.name].cells[key]) for f, key in cells.keys)

        obligation, of = self.obligation, self.obligation.model
        constants = {
            f.name: frozenset(k for k, cell in self.before[f.name].cells.items() if value(cell))
            for f in self.fields.values()
            if f.kind == "constant"
        }
        parameters = {n: value(self.before[n].cells[()]) for n in of.parameters}
        configuration = replace(self.configuration, constants=constants, parameters=parameters)
        configuration = with_members(of, configuration)
        cells = Cells.of(of, configuration, _ghosts(self.fields))
        action = obligation.action
        taken = action.action if action and obligation.of != GUARDS else None
        own = [*self.args.values()][: len(taken.params)] if taken else []  # those of a property stand after
        instance = Instance(taken, tuple(map(value, own))) if taken else None
        reached = state(self.after) if obligation.property or obligation.of == AFTER else None
        return Counterexample(obligation, configuration, cells, state(self.before), instance, reached, ())


def _ghosts(fields: dict[str, Field]) -> frozenset[str]:
    return frozenset(n for n, f in fields.items() if f.kind == "ghost")


# -- the plain interpreter's opinion ----------------------------------------------------------------
def checked(found: Counterexample) -> Counterexample:
    """The same, with the arguments of the false property. Disagreement unless the plain interpreter sees
    what z3 says: invariants that hold before, the same step, and a goal that is false."""
    obligation = found.obligation
    run, wrong = plain(found)
    if not wrong and found.instance:
        wrong = _wrong_step(found, run, found.instance)
    if not wrong and obligation.property and found.after is not None:
        false = run.violated(found.after, {obligation.goal: obligation.property})
        if false:
            return replace(found, args=false[1])
        wrong = f"{obligation.goal} holds"
    if wrong:
        raise Disagreement(
            f"{obligation.key} with {found.configuration.describe()}: z3 finds {found.before}, "
            f"{found.instance and found.instance.args}, {found.after}; when run, {wrong}"
        )
    return found


def plain(found: Counterexample) -> tuple[Run, str]:
    """The plain interpreter of its size, and what that says is wrong with the state before the step."""
    model = found.obligation.model
    try:
        run = Run(model, found.configuration, _ghosts(model.fields))
    except UsageError as error:
        raise Disagreement(f"{found.obligation.key}: {error}") from None
    return run, _wrong_before(found, run)


def _wrong_before(found: Counterexample, run: Run) -> str:
    """How the state before differs from one in which the goal has to hold; empty if it does not."""
    if found.obligation.step == INIT:
        return "" if found.before == run.initial else "this is not the first state"
    broken = run.violated(found.before, found.obligation.model.invariants)
    return f"{broken[0].name} is false before the step" if broken else ""


def _wrong_step(found: Counterexample, run: Run, instance: Instance) -> str:
    """How the plain interpreter's step differs; empty if it does not."""
    try:
        reached = run.step(found.before, instance.action, instance.args)
    except ClaimFailed:
        return "" if found.obligation.goal.startswith("claim") else "a claim is false"
    except SpecError as error:
        twice = found.obligation.goal.startswith("distinct writes") and "written twice" in str(error)
        return "" if twice else str(error)
    except (Disabled, Cut) as error:
        return f"the step is refused: {error!r}"
    if found.after is None:
        return "nothing is wrong with the step"
    return "" if reached == found.after else f"{reached} is reached"
