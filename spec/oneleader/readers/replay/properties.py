"""properties: a model's axioms, invariants and theorems, judged on what a recording says and reaches.

Guards alone do not show that a reached state is a safe one: a recording also states constants, rates and
where its nodes start. So axioms are judged once, on what the header says, and invariants and theorems after
each line, on every candidate state.

Judging all of a property after each line would cost the size of the state. A property can become false only
where a cell that it reads has changed: the changed cell fixes those parameters that index it, a number
compared with it ranges over what lies between the old and the new value, and all that is left is tried out.
Where that is more than `MOST_BINDINGS`, the property is not judged on that line; `passed_over` counts it.
Properties that read history (ghost fields) are judged as long as that history can be kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from oneleader.language.definitions import Property
from oneleader.language.expr import Expr
from oneleader.language.model import Model
from oneleader.language.sorts import is_number
from oneleader.language.trace import reads, trace_property
from oneleader.readers.replay.candidates import Candidate, LineRefused, OpenRun, call_of

MOST_BINDINGS = 64  # of one property to one changed cell


@dataclass(frozen=True)
class Trigger:
    """A place where a property reads a field: which parameters index it, and which are compared with it."""

    property: Property
    fixed: Mapping[int, int]  # parameter -> position in the field's index
    compared: frozenset[int]  # parameters that stand beside it in a comparison


class Properties:
    """The properties of a model that a recording's states are judged by."""

    def __init__(self, run: OpenRun, without: str = "") -> None:
        """`without` names a constant; properties that read it are not judged."""
        self.run, self.without = run, {without}
        model = run.model
        self.reads = {p.name: reads(trace_property(model, p).body) for p in model.properties.values()}
        self.triggers: dict[str, list[Trigger]] = {}
        self.passed_over: Counter[str] = Counter()  # name -> states on which it was not judged
        for prop in run.model.properties.values():
            for name, trigger in _triggers(run.model, prop):
                triggers = self.triggers.setdefault(name, [])
                if trigger not in triggers:
                    triggers.append(trigger)

    def check(self, before: Candidate, after: Candidate) -> None:
        """Refused where a property is false after a line and was not judged false before."""
        done: set[tuple[Any, ...]] = set()
        for (name, index), new in list(after.changes.items()):
            old = before.get(name, index)
            if old == new:
                continue
            key = index if isinstance(index, tuple) else (index,)
            for trigger in self.triggers.get(name, ()):
                if self.can_judge(trigger.property.name):
                    self._judge(trigger, after, key, (old, new), done)

    def judged(self) -> Iterator[Property]:
        """The properties that the recording can be judged by: those that read nothing hidden or lost."""
        return (p for p in self.run.model.properties.values() if self.can_judge(p.name))

    def can_judge(self, name: str) -> bool:
        """Whether all that the property reads is there."""
        return not self.reads[name] & (self.run.lost | self.without)

    def words(self) -> Iterator[str]:
        """Which properties were judged, and which were not."""
        every = self.run.model.properties
        known = {prop.name for prop in self.judged()}
        whole = len(known - self.passed_over.keys())
        yield f"{whole} of {len(every)} properties judged on every state reached"
        if self.passed_over:
            yield f"judged only where few cases were left to try: {', '.join(sorted(self.passed_over))}"
        if hidden := [name for name in every if name not in known]:
            yield f"not judged, for they read history, or quorums that change: {', '.join(hidden)}"

    def _judge(
        self,
        trigger: Trigger,
        state: Candidate,
        key: tuple[Any, ...],
        values: tuple[Any, Any],
        done: set[tuple[Any, ...]],
    ) -> None:
        domains = [self._values(trigger, i, key, values) for i in range(len(trigger.property.params))]
        if prod(map(len, domains)) > MOST_BINDINGS:
            self.passed_over[trigger.property.name] += 1
            return
        for args in product(*domains):
            if (trigger.property.name, args) not in done:
                done.add((trigger.property.name, args))
                if not self.run.holds(trigger.property, state, args):
                    raise broken(trigger.property, args)

    def _values(self, trigger: Trigger, i: int, key: tuple[Any, ...], values: tuple[Any, Any]) -> Any:
        """What a parameter may be for the property to have become false by this change."""
        _, sort = trigger.property.params[i]
        if i in trigger.fixed:
            return (key[trigger.fixed[i]],)
        if i in trigger.compared and is_number(sort):
            return range(max(0, min(values)), max(values) + 1)
        return self.run.domain(sort)


def check_axioms(run: OpenRun) -> None:
    """Refused where what the recording says of constants and parameters breaks an axiom."""
    for axiom in run.model.axioms.values():
        for args in product(*(run.domain(sort) for _, sort in axiom.params)):
            if not run.holds(axiom, run.now, args):
                raise broken(axiom, args)


def broken(prop: Property, args: tuple[Any, ...]) -> LineRefused:
    """`election_safety(t=2, a=n1, b=n2) is false: Figure 3: at most one leader ...`"""
    clause = prop.doc.partition("\n")[0]
    return LineRefused(f"the {prop.kind} {call_of(prop, args)} is false: {clause}", property=prop.name)


def _triggers(model: Model, prop: Property) -> Iterator[tuple[str, Trigger]]:
    traced = trace_property(model, prop)
    position = {p.serial: i for i, p in enumerate(traced.params)}

    def walk(x: Expr, beside: frozenset[int]) -> Iterator[tuple[str, Trigger]]:
        if x.op == "read" and not model.fields[x.args[0]].fixed:
            fixed = {position[a.serial]: k for k, a in enumerate(x.args[1:]) if a.serial in position}
            yield x.args[0], Trigger(prop, fixed, beside - fixed.keys())
        parts = [a for a in x.args if isinstance(a, Expr)]
        is_comparison = x.op in ("eq", "lt", "le")
        for part in parts:
            others = (a for a in parts if a is not part) if is_comparison else ()
            yield from walk(part, frozenset(position[a.serial] for a in others if a.serial in position))

    yield from walk(traced.body, frozenset())
