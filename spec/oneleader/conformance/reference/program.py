"""Scenarios as text: one call a line, `campaign n1 n2`; played, and made as short as they can be.

trip n1 n2 1                    numbers are `back` or moments
deliver n2 n1 0 again           a copy stays on its way
crash_in n2 before-the-sync n1  a name of several words
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from oneleader.conformance.reference.scenario import Broken

Program = tuple[str, ...]


def lines(text: str) -> Program:
    """The lines of a program; `;` ends one as well."""
    return tuple(line.strip() for line in text.replace(";", "\n").splitlines() if line.strip())


def told(calls: Sequence[str]) -> Program:
    """The program of a scenario, as `play` reads it."""
    return tuple(map(_told, calls))


def _told(line: str) -> str:
    call = ast.parse(line, mode="eval").body
    assert isinstance(call, ast.Call)
    assert isinstance(call.func, ast.Attribute)
    values = [ast.literal_eval(a) for a in call.args]
    words = ["again" if v is True else "0" if v is False else str(v).replace(" ", "-") for v in values]
    return " ".join([call.func.attr, *words])


def _value(word: str) -> object:
    return int(word) if word.isdigit() else True if word == "again" else word.replace("-", " ")


def play(scenario: Any, program: Sequence[str]) -> Broken | None:
    """Go on with the scenario until something is broken: what was."""
    try:
        for line in program:
            verb, *words = line.split()
            getattr(scenario, verb)(*map(_value, words))
    except Broken as broken:
        return broken
    return None
