"""judges: a property as the text of a Python function, for where one cell has changed.

The function tries the values of the property's parameters for which the change can have made it false, and
returns the first for which it is false. What makes it false is a conjunction: a conjunct that equates a
parameter fixes it, those that compare it give its range, and those that speak of nothing free come first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oneleader.language.expr import Expr
from oneleader.language.model import Model
from oneleader.language.sorts import is_number, is_set
from oneleader.language.trace import trace_property
from oneleader.readers.replay.candidates import MOST_BINDINGS
from oneleader.readers.replay.literals import bounds, equated, literals, variables_of
from oneleader.readers.replay.text import ValueText
from oneleader.readers.replay.triggers import Trigger

FEW = (
    5  # numbers that are tried where the change names none: all, in a recording as small as a counterexample
)


class JudgeText(ValueText):
    """Writes one judge: `lines` for what is fixed by the changed cell, `loops` for all that is tried."""

    def __init__(self, model: Model, kinds: Mapping[str, str], trigger: Trigger) -> None:
        traced = trace_property(model, trigger.property)
        super().__init__(model, kinds, {traced.params[i].args[0]: f"p{i}" for i in trigger.fixed})
        self.trigger, self.params = trigger, traced.params
        self.names = {p.args[0]: f"p{i}" for i, p in enumerate(traced.params)}
        self.where = literals(traced.body, False)
        self.known = dict(self.env)  # with the parameters that loops give
        self.loops: list[str] = []
        self.pad = ""
        self.limits: list[str] = []

    def function(self, name: str) -> str:
        """The text of the whole function."""
        self.lines += [f"p{i} = key[{at}]" for i, at in self.trigger.fixed.items()]
        free = [p for p in self.params if p.args[0] not in self.env]
        self._test()
        while free:
            p = min(free, key=self._cost)
            free = [q for q in free if q is not p]
            self._give(p)
            self._test()
        self.loops.append(f"{self.pad}return ({''.join(f'{n}, ' for n in self.names.values())})")
        body = "\n    ".join([*dict.fromkeys(self.limits), *self.lines, *self.loops])
        return f"def {name}(key, old, new):\n    {body}\n    return None\n"

    def _cost(self, p: Expr) -> int:
        """What is cheap to try comes first: what is equated, then elements, then numbers in a range."""
        if equated(p, self.where, set(self.known)):
            return 0
        if not is_number(p.sort):
            return 1
        return 2 if self._is_compared(p) else 3

    def _is_compared(self, p: Expr) -> bool:
        return any(self.params[i] is p for i in self.trigger.compared)

    def _say(self, text: str) -> None:
        (self.loops if self.pad else self.lines).append(self.pad + text)

    def _test(self) -> None:
        """Leave where a conjunct that speaks of nothing free does not hold."""
        ready = [e for e in self.where if variables_of(e) <= self.known.keys()]
        self.where = [e for e in self.where if not variables_of(e) <= self.known.keys()]
        for e in ready:
            self._say(f"if not {self.value(e, self.known)}: {'continue' if self.pad else 'return None'}")

    def _give(self, p: Expr) -> None:
        """ValueText for a parameter."""
        name = self.names[p.args[0]]
        if found := equated(p, self.where, set(self.known)):
            literal, value = found
            self.where = [e for e in self.where if e is not literal]
            self._say(f"{name} = {self.value(value, self.known)}")
            if not self.pad:
                self.env[p.args[0]] = name
        else:
            domain = self._numbers(p) if is_number(p.sort) else self.domain(p.sort)
            self.loops.append(f"{self.pad}for {name} in {domain}:")
            self.pad += "  "
        self.known[p.args[0]] = name

    def domain(self, sort: Any) -> str:
        """All of a sort, if that is little: rounds, values and terms become many."""
        if is_set(sort) or is_number(sort):
            many = f"len(elements_{sort.__name__})" if is_set(sort) else f"greatest[{sort.__name__}]"
            self.limits.append(f"if {many} > {MOST_BINDINGS}: return PASSED_OVER")
        return super().domain(sort)

    def _numbers(self, p: Expr) -> str:
        """The range of a number, if it is a short one."""
        low, high, _ = bounds(p, self.where)
        low = [(e, strict) for e, strict in low if variables_of(e) <= self.known.keys()]
        high = [(e, strict) for e, strict in high if variables_of(e) <= self.known.keys()]
        if self._is_compared(p):
            numbers, most = "range(max(0, min(old, new)), max(old, new) + 1)", MOST_BINDINGS
        else:
            numbers, most = self.range(low, high, self.known) if high else self.domain(p.sort), FEW
        self._say(f"r{self.names[p.args[0]]} = {numbers}")
        self._say(f"if len(r{self.names[p.args[0]]}) > {most}: return PASSED_OVER")
        return f"r{self.names[p.args[0]]}"
