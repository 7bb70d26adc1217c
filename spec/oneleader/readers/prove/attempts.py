"""attempts: asking Z3 about one obligation, with bounded effort."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import z3

from oneleader.errors import Inexpressible
from oneleader.readers.prove.obligations import Obligation
from oneleader.readers.prove.question import Question
from oneleader.readers.prove.smt import AnySize, answer

# With model-based instantiation Z3 answers the most questions; by patterns alone it is quicker on some
# of those that it leaves open. Each attempt may use `rlimit` units, about a second for a million.
PORTFOLIO: tuple[Mapping[str, Any], ...] = (
    {"mbqi": True, "random_seed": 0},
    {"mbqi": False, "random_seed": 0},
    {"mbqi": True, "random_seed": 7},
)
# Where Z3 proves a thing at all, it often does so at once or never, by the luck of its seed: so with the few
# hypotheses of a hint it first begins again and again, each time for a moment.
RESTARTS: tuple[Mapping[str, Any], ...] = tuple({"mbqi": True, "random_seed": seed} for seed in range(8))
RLIMIT_RESTART = 200_000


@dataclass(frozen=True)
class Attempt:
    """One answer of Z3 about one obligation."""

    result: str  # "unsat" proves it
    rlimit: int
    left_out: bool  # a hypothesis that is not expressible was not assumed
    core: tuple[str, ...] = ()


def attempt(
    obligation: Obligation,
    options: Mapping[str, Any],
    *,
    rlimit: int,
    names: Iterable[str] | None = None,
    core: bool = False,
) -> Attempt:
    """Ask Z3 once, assuming only the hypotheses in `names` if given; with `core`, which ones it needed."""
    algebra = AnySize()
    question = Question(obligation, algebra)
    solver = z3.SimpleSolver(ctx=algebra.context)
    solver.set(**options)
    if core:
        solver.set(**{"core.minimize": True})
    left_out = False
    for name, hypothesis_of in question.hypotheses.items():
        if names is not None and name not in names:
            continue
        try:
            hypothesis = hypothesis_of()
        except Inexpressible:
            left_out = True  # assuming less is sound
        else:
            solver.assert_and_track(hypothesis, name) if core else solver.add(hypothesis)
    solver.add(question.negated, *question.parameters)
    result, used = answer(solver, rlimit)
    needed = tuple(sorted(map(str, solver.unsat_core()))) if core and result == z3.unsat else ()
    return Attempt(str(result), used, left_out, needed)
