"""The search for an order, by the engine that there is: compiled, or interpreted where nothing compiles.

Keys take turns. A key for which the search takes for ever does not hide the failure of another one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache
from math import inf
from time import process_time

from oneleader.conformance.histories import compiled, interpreted
from oneleader.conformance.histories.objects import SharedObject
from oneleader.conformance.histories.timeline import MOST_BYTES, Searched, Searching
from oneleader.errors import UsageError
from oneleader_raft.testbench.clients import Operation

Engine = Callable[[Sequence[Operation], SharedObject, Hashable], Searching]


class OutOfTime(Exception):
    """The search was given up at this key: nothing is known."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@cache
def engine() -> Engine:
    """The compiled search, or the interpreted one where no compiler is found or it fails."""
    try:
        compiled.loaded()
    except (UsageError, OSError):
        return interpreted.searching
    return compiled.searching


def search(
    operations: Sequence[Operation], model: SharedObject, initial: Hashable, until: float = inf
) -> Searched:
    """An order in which the operations of one object may have taken effect, if there is one.

    `until` is in processor time; OutOfTime where it passes.
    """
    return search_all({"": operations}, model, initial, until)[1]


def search_all(
    of_key: Mapping[str, Sequence[Operation]], model: SharedObject, initial: Hashable, until: float = inf
) -> tuple[str, Searched]:
    """The first key found whose operations no order explains, or else the last one whose order was found."""
    under_way = {key: engine()(operations, model, initial) for key, operations in of_key.items()}
    begun, last = set[str](), ("", Searched([]))
    while under_way:
        for key, one in list(under_way.items()):
            try:
                one.send(MOST_BYTES // len(under_way) if key in begun else None)  # type: ignore[arg-type]
                begun.add(key)
            except StopIteration as done:
                del under_way[key]
                last = key, done.value
                if last[1].order is None:
                    return last
            if under_way and process_time() > until:
                raise OutOfTime(next(iter(under_way)))
    return last
