"""The catalogue: named changes to a correct model and of the reference, most of them bugs of real systems.

A reader that misses its fault fails the run: that is how we know that the checks can fail.
"""

from __future__ import annotations

from oneleader.errors import UsageError
from oneleader.faults import election, leases, liveness, locks, logs, membership, snapshots
from oneleader.faults.fault import FAULTS, Fault, Variant
from oneleader_raft.core import Core

MODULES = (election, logs, membership, snapshots, leases, locks, liveness)  # each enters its own

__all__ = ["FAULTS", "MODULES", "Fault", "find", "variant", "variants"]


def find(id: str) -> Fault:
    """The fault of this id; UsageError with the ids there are."""
    if id not in FAULTS:
        raise UsageError(f"there is no fault {id!r}: choose from {', '.join(FAULTS)}")
    return FAULTS[id]


def variants() -> dict[str, Variant]:
    """The faults that the reference can have, its locks included."""
    return {id: f.variant for id, f in FAULTS.items() if isinstance(f.variant, Variant)}


def variant(id: str) -> Core:
    """The faulty core; UsageError where it is no fault of the reference."""
    found = find(id).variant
    core = found.core if isinstance(found, Variant) else None
    if not isinstance(core, Core):
        raise UsageError(f"{id} is no fault of the reference's core: {found if core is None else 'of locks'}")
    return core
