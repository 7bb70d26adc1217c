"""question: an obligation in the terms of some prover."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from oneleader.language.expr import Expr
from oneleader.language.sorts import base, is_number, is_time
from oneleader.readers.prove.algebra import Unbounded, after, meaning
from oneleader.readers.prove.obligations import AFTER, INIT, Obligation


class Question:
    """An obligation at any size: its negated goal, and hypotheses by name, translated when asked for."""

    def __init__(self, obligation: Obligation, algebra: Unbounded) -> None:
        fields = obligation.model.fields
        before = algebra.initial(fields) if obligation.step == INIT else algebra.state(fields)
        action = obligation.action
        params = action.params if action else ()
        values = {p.args[0]: algebra.constant(f"arg {p.args[0]}", p.sort) for p in params}
        naturals = (algebra.natural(values[p.args[0]], p.sort) for p in params)
        self.parameters = [n for n in naturals if n is not None]
        later = after(algebra, action.updates, before, values) if action else before
        if isinstance(obligation.body, Expr):
            goal = meaning(algebra, obligation.body, later if obligation.of == AFTER else before, values)
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
