"""second: whether cvc5 proves the same obligation, from a text that Z3 had no hand in (`smtlib.py`).

`unsat` is a proof. Everything else is no opinion, `sat` too: on these questions cvc5 has answered it with
models whose values lie outside of their sort (tests/readers/prove/test_second.py keeps such a question).

What cvc5 is known to leave open stands in `unconfirmed.json`; beyond that list nothing is excused.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from itertools import product
from math import inf, isfinite
from typing import Any

from oneleader.errors import MissingTool
from oneleader.language.model import Model
from oneleader.readers.prove.obligations import Obligation, parts
from oneleader.readers.prove.smtlib import script

# Each answers some questions that the others leave open; in this order most are settled by the first.
_ENUMERATED = {"enum-inst": "true", "prenex-quant": "none"}
PORTFOLIO: tuple[Mapping[str, str], ...] = (
    {},
    _ENUMERATED,
    {**_ENUMERATED, "pre-skolem-quant": "on"},
    {**_ENUMERATED, "enum-inst-interleave": "true"},
    {**_ENUMERATED, "pre-skolem-quant": "on", "enum-inst-interleave": "true", "decision": "justification"},
)
# cvc5's units of work an attempt, the same on every machine: less, which settles most, and then more.
RLIMITS = (200_000, 1_000_000)


def confirms(
    obligation: Obligation,
    hint: list[str] | None,
    *,
    rlimits: Iterable[int] = RLIMITS,
    seconds: float = inf,
) -> bool:
    """Whether cvc5 proves it: as a whole or each conjunct, from the hint or from everything.

    After so many `seconds` of processor time no attempt is begun any more, and the last one ends.
    """
    until, pieces = time.process_time() + seconds, parts(obligation)
    for rlimit, names in product(rlimits, (hint, None) if hint is not None else (None,)):
        if _proves(obligation, names, rlimit, until):
            return True
        if len(pieces) > 1 and all(_proves(piece, names, rlimit, until) for piece in pieces):
            return True
    return False


def _proves(obligation: Obligation, names: Iterable[str] | None, rlimit: int, until: float) -> bool:
    text, limits = script(obligation, names), {"rlimit-per": str(rlimit)}
    for options in PORTFOLIO:
        left = until - time.process_time()
        if isfinite(left):
            limits["tlimit-per"] = str(max(1, int(1000 * left)))
        if left > 0 and answer(text, {**options, **limits}) == "unsat":
            return True
    return False


def answer(text: str, options: Mapping[str, str]) -> str:
    """What cvc5 says to an SMT-LIB script: `unsat`, `sat`, `unknown` or an error's text."""
    cvc5 = _library()
    solver = cvc5.Solver(cvc5.TermManager())
    for name, value in options.items():
        solver.setOption(name, value)
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, text, "obligation")
    said = ""
    while not (command := parser.nextCommand()).isNull():
        said = command.invoke(solver, parser.getSymbolManager()) or said
    return str(said).strip()


def _library() -> Any:
    try:
        import cvc5
    except ImportError:
        raise MissingTool("the second prover is cvc5: pip install 'oneleader[cvc5]'.") from None
    return cvc5


@cache
def unconfirmed() -> Mapping[str, list[str]]:
    """For each model the obligations that cvc5 is known to leave open."""
    known: dict[str, list[str]] = json.loads(files(__package__).joinpath("unconfirmed.json").read_text())
    return known


def excused(model: Model, key: str) -> bool:
    """Whether this obligation of a shipped model is in the list, under its name or under that it extends."""
    extended = model.extends is not None and excused(model.extends, key)
    return key in unconfirmed().get(model.name, ()) or extended
