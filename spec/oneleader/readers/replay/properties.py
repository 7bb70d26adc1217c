"""properties: a model's axioms, invariants and theorems, judged on what a recording says and reaches.

Guards alone do not show that a reached state is a safe one: a recording also states constants, rates and
where its nodes start. So axioms are judged once, on what the header says, and invariants and theorems after
each line, on every candidate state.

Judging all of a property after each line would cost the size of the state. A property can become false only
where a cell that it reads has changed: the changed cell fixes those parameters that index it, a number
compared with it ranges over what lies between the old and the new value, and all that is left is tried out.
Where that is more than `MOST_BINDINGS`, the property is not judged on that line; `passed_over` counts it.
Those that speak of quorums, or of many things at once, have many cases to try: they are judged of the first
states, and then of one in so many. So are all of a model whose proof is complete (`is_proved`): it says that
guards alone keep them true, from the model's initial state on, where the axioms hold. It says nothing once a
line has said what stood before it (`begin_elsewhere`).
Properties that read history (ghost fields) are judged as long as that history can be kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

from oneleader.language.definitions import Property
from oneleader.language.model import Model
from oneleader.language.sorts import is_number, is_set
from oneleader.language.trace import reads, trace_property
from oneleader.models import MODELS
from oneleader.readers.prove.hints import hints_file
from oneleader.readers.replay.candidates import (
    PASSED_OVER,
    Candidate,
    Judge,
    LineRefused,
    NotModelled,
    OpenRun,
    call_of,
)
from oneleader.readers.replay.triggers import Trigger, triggers_of

FEW_PARAMETERS = 3
FIRST, EVERY = 200, 256  # states of which what costs much is judged: the first ones, then one in so many


class Properties:
    """The properties of a model that a recording's states are judged by."""

    def __init__(self, run: OpenRun, *without: str, is_proved: bool = False) -> None:
        """`without` names fields; properties that read one of them are not judged.

        `is_proved`: all are proved to hold wherever the axioms and the guards do, and the recording begins
        where the model does.
        """
        self.run, self.without, self.is_proved = run, set(without), is_proved
        model = run.model
        self.reads = {p.name: reads(trace_property(model, p).body) for p in model.properties.values()}
        constants = {f.name for f in model.fields.values() if f.kind == "constant"}
        self.costly = {
            name
            for name, prop in model.properties.items()
            if self.reads[name] & constants or len(prop.params) > FEW_PARAMETERS
        }
        self.states = 0  # so far
        self.first = FIRST  # up to this one of them, what costs much is judged
        self.due = 1  # the next one of which it is
        self.rested = 0  # of them not judged at all
        self.triggers: dict[str, list[Trigger]] = {}
        self.judges: dict[str, list[tuple[Property, Judge]]] = {}  # made when the field changes first
        self.passed_over: Counter[str] = Counter()  # name -> states on which it was not judged
        for prop in run.model.properties.values():
            for name, trigger in triggers_of(run.model, prop):
                triggers = self.triggers.setdefault(name, [])
                if trigger not in triggers:
                    triggers.append(trigger)

    def check(self, before: Candidate, after: Candidate) -> None:
        """Refused where a property is false after a line and was not judged false before."""
        if self.rests:
            self.rest()
            return
        self.states += 1
        if judges_all := self.states >= self.due:
            self.due = self.states + 1 if self.states < self.first else self.states // EVERY * EVERY + EVERY
        self.run.now = after
        for name in after.whole:
            missed = {trigger.property.name for trigger in self.triggers.get(name, ())}
            self.passed_over.update(filter(self.can_judge, missed))
        for name, index in after.touches():
            judges = self.judges.get(name)
            if judges is None:
                judges = self.judges[name] = list(self._judging(name))
            if judges:
                old, new = before.get(name, index), after.get(name, index)
                if old != new:
                    key = index if isinstance(index, tuple) else (index,)
                    self._judge(judges, key, (old, new), judges_all)

    def begin_elsewhere(self) -> None:
        """The next line says what stood before it, so that no proof speaks of the states from there on."""
        self.is_proved, self.first, self.due = False, self.states + FIRST, self.states + 1

    def check_beginning(self, state: Candidate, node: str) -> None:
        """NotModelled where a node begins in a state that a property forbids which is not judged otherwise.

        What a recording calls incomplete it lacks of other nodes, not of the one whose beginning it states;
        and of history, of which no line says anything.
        """
        model = self.run.model
        history = {f.name for f in model.fields.values() if f.kind == "ghost"}
        for prop in model.properties.values():
            if self.reads[prop.name] & history or self.can_judge(prop.name):
                continue
            kinds = [sort for _, sort in prop.params]
            domains = [[node] if sort.__name__ == "Node" else self.run.domain(sort) for sort in kinds]
            for args in product(*domains):
                if not self.run.holds(prop, state, args):
                    raise NotModelled(
                        f"{node} begins in a state that {call_of(prop, args)} forbids, and of what that "
                        "reads the recording says a part (`incomplete`): whether it is false is open"
                    )

    @property
    def rests(self) -> bool:
        """The next state is not judged: what is proved is only sampled."""
        return self.is_proved and self.states + 1 < self.due

    def rest(self, states: int = 1) -> None:
        """So many states that are not judged."""
        self.states += states
        self.rested += states

    def _judging(self, field: str) -> Iterator[tuple[Property, Judge]]:
        for trigger in self.triggers.get(field, ()):
            if self.can_judge(trigger.property.name):
                yield trigger.property, self.run.judging(trigger)

    def _judge(
        self, judges: list[tuple[Property, Judge]], key: Any, values: tuple[Any, Any], judges_all: bool
    ) -> None:
        for prop, judge in judges:
            is_due = judges_all or prop.name not in self.costly
            found = judge(key, *values) if is_due else PASSED_OVER
            if found is PASSED_OVER:
                self.passed_over[prop.name] += 1
            elif found is not None:
                raise broken(prop, found)

    def judged(self) -> Iterator[Property]:
        """The properties that the recording can be judged by: those that read nothing hidden or lost."""
        return (p for p in self.run.model.properties.values() if self.can_judge(p.name))

    def can_judge(self, name: str) -> bool:
        """Whether all that the property reads is there."""
        return not self.reads[name] & (self.run.lost | self.without)

    def lose_history(self, fields: Iterable[str] = ()) -> None:
        """From now on no property that reads history is judged, nor one that reads these fields."""
        lost = self.run.lost | self.without
        self.run.lose_history()
        self.without |= set(fields)
        if self.run.lost | self.without > lost:
            self.judges.clear()

    def words(self) -> Iterator[str]:
        """Which properties were judged, and which were not."""
        every = self.run.model.properties
        known = {prop.name for prop in self.judged()}
        whole = len(known - self.passed_over.keys())
        on = f"{self.states - self.rested:,} of {self.states:,} states" if self.rested else "every state"
        yield f"{whole} of {len(every)} properties judged on {on} reached"
        if self.rested:
            yield f"the proof of {self.run.model.name} says that its guards keep them true on the others"
        if self.passed_over:
            yield f"judged of some states only, where it was soon done: {', '.join(sorted(self.passed_over))}"
        if hidden := [name for name in every if name not in known]:
            reads = "history, quorums that change, or what is said in part"
            yield f"not judged, for they read {reads}: {', '.join(hidden)}"


def is_proved(model: Model) -> bool:
    """Whether the model comes with oneleader as it stands, and a proof of all its properties with it."""
    return MODELS.get(model.name) is model and hints_file(model).is_file()


class Axioms:
    """A model's axioms, judged on what a recording says of constants and parameters.

    `said` names the constants that the recording lists itself. The elements of their sorts need not all be
    named at first, and one that appears later, say a quorum of which no list says anything, may break an
    axiom, too: then they are judged again.
    """

    def __init__(self, run: OpenRun, said: Iterable[str]) -> None:
        self.run, self.of = run, -1  # how many elements there were when they were judged last
        sorts = {sort for name in said for sort in run.model.fields[name].index}
        self.numbers = [sort for sort in sorts if is_number(sort)]
        self.elements = [run.elements.setdefault(sort, {}) for sort in sorts if is_set(sort)]

    def check(self) -> None:
        """Refused where one is false."""
        run = self.run
        known = 0
        for elements in self.elements:
            known += len(elements)
        for sort in self.numbers:
            known += run.greatest.get(sort, 0)
        if known == self.of:
            return
        self.of = known
        for axiom in run.model.axioms.values():
            for args in product(*(run.domain(sort) for _, sort in axiom.params)):
                if not run.holds(axiom, run.now, args):
                    raise broken(axiom, args)


def broken(prop: Property, args: tuple[Any, ...]) -> LineRefused:
    """`election_safety(t=2, a=n1, b=n2) is false: Figure 3: at most one leader ...`"""
    clause = prop.doc.partition("\n")[0]
    return LineRefused(f"the {prop.kind} {call_of(prop, args)} is false: {clause}", property=prop.name)
