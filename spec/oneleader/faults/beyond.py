"""Known bugs of real systems that nothing here can be shown, each with the reason."""

from __future__ import annotations

from dataclasses import dataclass

MEMBERSHIP = (
    "in `membership` a configuration is in effect from the append on, and the reference has one alone"
)
SNAPSHOTS = "in `snapshots` a snapshot says nothing of a server's term, and the reference has none"


@dataclass(frozen=True)
class Beyond:
    """A bug, where it was seen, what it breaks, and why it is not in the catalogue."""

    title: str
    sources: str
    breaks: str
    why: str


BEYOND = (
    Beyond("a snapshot sets the term to that of its last entry", "willemt PR#118", "monotonicity", SNAPSHOTS),
    Beyond("a configuration takes effect when it is applied", "etcd#12359", "availability", MEMBERSHIP),
    Beyond(
        "granting a pre-vote resets the election timer",
        "hashicorp/raft PR#609, #606",
        "availability",
        "two timers race a little longer: an election is late, and no bound tells that from chance",
    ),
    Beyond(
        "a successor keeps a too old view of the old lease and writes early",
        "yugabyte#18121",
        "linearizability",
        "here a successor waits for no lease: promises kept it from being elected while one ran",
    ),
    Beyond(
        "a deposed leader still revokes or renews leases",
        "etcd#15247, #12528",
        "mutual exclusion",
        "in `fencing` a lock may end at any moment, rightly or not: writes are safe all the same",
    ),
)
