"""One register whose values are all different: whether some order explains its history, in no time.

Where each value is written once, it is known which write each read has seen, and no order need be searched
for: Gibbons and Korach, "Testing shared memories" (1997), section 4.2. What any history of any object needs
is in `histories/search.py`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from itertools import combinations

from oneleader.conformance.histories import Operation

Zone = tuple[float, float]  # of a value: when the first operation on it returned, and the last one was called


def is_explained(writes: Mapping[Hashable, Operation], reads: Iterable[Operation]) -> bool:
    """Whether the reads can have seen these writes, one a value; a read of None was before all of them."""
    zones: dict[Hashable, Zone] = {None: (0, 0)}
    zones |= {value: (write.returned, write.called) for value, write in writes.items()}
    for read in reads:
        value = read.result
        is_too_early = value in writes and read.returned < writes[value].called
        if value not in zones or is_too_early:
            return False
        first, last = zones[value]
        zones[value] = (min(first, read.returned), max(last, read.called))
    return not any(clash(one, other) for one, other in combinations(zones.values(), 2))


def clash(one: Zone, other: Zone) -> bool:
    """No order has one value wholly before the other.

    Where the first return is before the last call, the register held the value all the time between. Two
    such times may not overlap; where all operations on a value overlap, they fit at one instant, within
    no such time.
    """
    return one[0] < other[1] and other[0] < one[1] and (one[0] < one[1] or other[0] < other[1])
