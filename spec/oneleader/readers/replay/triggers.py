"""triggers: where a change of a cell can make a property false, and for which values of its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from oneleader.language.definitions import Property
from oneleader.language.expr import Expr
from oneleader.language.model import Model
from oneleader.language.trace import trace_property


@dataclass(frozen=True)
class Trigger:
    """A place where a property reads a field: which parameters index it, and which are compared with it."""

    property: Property
    fixed: Mapping[int, int]  # parameter -> position in the field's index
    compared: frozenset[int]  # parameters that stand beside it in a comparison


def triggers_of(model: Model, prop: Property) -> Iterator[tuple[str, Trigger]]:
    """Each place where a property reads a field that changes, with the field's name."""
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
