"""Leader leases: for how long a leader may act alone, by clocks that drift.

Dissertation 6.4.1, as proved in the model `lease` for any number of servers. A server that acknowledges a
leader promises, for `promise` on its own clock, to vote for nobody else and not to stand itself. The leader
holds a lease while a majority has acknowledged what it *sent* less than `lease` ago, on its own clock. No
clock is compared with another one: it is enough that while one advances by x and another one by y, slow * x
<= fast * y. With rates between 1 - rho and 1 + rho that is slow / fast = (1 - rho) / (1 + rho).

The bound is exact: a longer lease is unsafe. So is one that is counted from when a reply came in.
"""

from __future__ import annotations

from dataclasses import dataclass

LONG_AGO = -(10**18)  # before anything that a clock can show


@dataclass(frozen=True)
class Clocks:
    """What is assumed of clocks, and promised on that ground. Times are whole numbers of any one unit.

    promise     how long a server keeps a promise; no election timeout is shorter
    slow, fast  the least and the greatest rate of any clock
    """

    promise: int = 150
    slow: int = 1
    fast: int = 1

    def __post_init__(self) -> None:
        if not (self.promise > 0 and 0 < self.slow <= self.fast):
            raise ValueError(f"{self}: the promise and the rates are positive, and slow is at most fast")

    @property
    def lease(self) -> int:
        """The longest with lease * fast <= promise * slow."""
        return self.promise * self.slow // self.fast


@dataclass(frozen=True, order=True)
class Round:
    """One sending of AppendEntries to everybody: the leader's count of them, and its clock then.

    Followers echo it, so that the leader knows for each what it answers, and keeps no list.
    """

    number: int = 0
    sent_at: int = LONG_AGO


NO_ROUND = Round()
DEFAULT = Clocks()


def promise_ran_out(clocks: Clocks, promised_at: int, now: int) -> bool:
    return promised_at + clocks.promise <= now


def lease_holds(clocks: Clocks, majority_acknowledged: int, now: int) -> bool:
    """`majority_acknowledged`: a majority has answered what was sent at this time or later."""
    return now < majority_acknowledged + clocks.lease
