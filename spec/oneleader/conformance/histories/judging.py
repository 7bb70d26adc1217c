"""Linearizability: did clients see one object for each key, whose operations took effect one by one?

Herlihy and Wing (1990): a history is linearizable if each operation can be given a moment between its
call and its return, so that in the order of these moments every result is what the object would have
said. Keys are independent, and a history is linearizable if it is so for each key (locality, theorem 1
there), so keys are judged apart and long histories stay feasible.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from math import inf
from time import process_time
from typing import Any

from oneleader.conformance.histories.objects import REGISTER, SharedObject, tells
from oneleader.conformance.histories.search import OutOfTime, search_all
from oneleader.conformance.histories.shrinking import first_failure, smallest, up_to
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict
from oneleader_raft.testbench.clients import Operation

SHRINK_SECONDS = 2.0
NO_TIME = "the time given with --seconds ran out"
NOTHING_TOLD = "no operation has a known result that could be another one: nothing was compared"
MOST_TIMES, LEAST_SECONDS = 20, 0.2  # shrinking: at most so many times the verdict, or this


@dataclass(frozen=True)
class JudgedHistory:
    """The verdict on a history; where it is violated, the key and a smallest part that shows it.

    `stuck` is the operation at whose return no order is left: the first place that no order explains.
    `is_smallest`: nothing can be left out of the part; else time for that ran out. `why` it is inconclusive.
    """

    verdict: Verdict
    operations: int
    keys: int
    model: str = REGISTER.name
    key: str = ""
    failing: tuple[Operation, ...] = ()
    stuck: Operation | None = None
    is_smallest: bool = True
    seconds: float = 0.0
    why: str = ""


def judge(
    history: Iterable[Operation],
    model: SharedObject = REGISTER,
    initial: Any = None,
    *,
    seconds: float = inf,
    shrink_seconds: float = SHRINK_SECONDS,
) -> JudgedHistory:
    """Whether the history is linearizable, key by key. ValueError where the object has no such operation.

    Inconclusive where clients were told nothing: whatever writes do, some order explains them.
    `initial` is what each key holds at first. `seconds` of processor time bound the verdict, which is then
    inconclusive, and `shrink_seconds` the search for a smallest part, which never takes more than
    twenty times the verdict (and no less than a fifth of a second, which nobody notices).
    """
    began = process_time()
    start = model.initial if initial is None else model.start(initial)
    shown = sorted(history, key=lambda o: (o.key, o.called))
    checked = [model.checked(o) for o in shown]
    pairs = zip(checked, shown, strict=True)
    of_key = {key: list(group) for key, group in groupby(pairs, key=lambda pair: pair[0].key)}
    size = len(shown), len(of_key), model.name
    if not any(map(tells, checked)):
        return JudgedHistory(INCONCLUSIVE, *size, why=NOTHING_TOLD, seconds=process_time() - began)
    operations_of = {key: [o for o, _ in group] for key, group in of_key.items()}
    try:
        key, found = search_all(operations_of, model, start, began + seconds)
    except OutOfTime as error:
        return JudgedHistory(INCONCLUSIVE, *size, error.key, why=NO_TIME, seconds=process_time() - began)
    took = process_time() - began
    if found.stuck is None:
        return JudgedHistory(HOLDS, *size, seconds=took)
    operations, group = operations_of[key], of_key[key]
    until = process_time() + min(shrink_seconds, max(LEAST_SECONDS, MOST_TIMES * took))
    stuck = first_failure(operations, found.stuck, model, start, until)
    time = inf if stuck is None else stuck.returned
    failing, as_told = up_to(operations, time), up_to([o for _, o in group], time)
    part, is_smallest = smallest(failing, model, start, until)
    told_of = dict(zip(map(id, failing), as_told, strict=True))
    told = tuple(told_of[id(o)] for o in part)
    place = next(o for c, o in group if c is (stuck or found.stuck))
    return JudgedHistory(VIOLATED, *size, key, told, place, is_smallest, took)
