"""A lease that is trusted without fencing.

The leader checks its lease, which is sound, and decides to write. Then it pauses: a garbage collection,
a suspended machine, a slow link. The lease ends, another leader is elected and writes, and then the
first one's write arrives. Nothing asks it anything.

No lease is short enough for this, since the pause comes after the check. The storage has to compare.
"""

from __future__ import annotations

from oneleader.language import action, both, constant, either, field, ghost, ite, model, no, theorem, witness
from oneleader.models import lease
from oneleader.models.election import Node, Quorum, Term
from oneleader.models.fencing import Resource


class State(lease.State):
    """Leaders with leases, the writes that are under way, and the storages."""

    compares = constant(Resource)  # the storage takes no write of an older term than one seen

    decided = field(Node, Term, Resource, of=bool)  # checked and sent by the leader of this term
    latest = field(Resource, of=Term)  # the latest term of which a write has landed
    stale = ghost(of=bool)  # a write landed after one of a later term


@action
def decide_write(s: State, n: Node, q: Quorum, r: Resource) -> None:
    """The leader finds that it holds a lease."""
    lease_is_held = lease.holds_lease(s, n, q)  # dissertation 6.4.1: it acts within its lease
    s.require(lease_is_held)

    s.decided[n, s.term[n], r] = True


@action
def write(s: State, n: Node, t: Term, r: Resource) -> None:
    """The write arrives. Any time may have passed since the check."""
    write_was_decided = s.decided[n, t, r]  # the network: a write may stay in it
    storage_accepts = either(no(s.compares[r]), t >= s.latest[r])  # fencing: no term older than one seen
    s.require(write_was_decided, storage_accepts)

    s.decided[n, t, r] = False
    s.stale = either(s.stale, t < s.latest[r])
    s.latest[r] = ite(t < s.latest[r], s.latest[r], t)


@theorem
def no_stale_write(s: State) -> bool:
    """No write lands after one of a later leader's."""
    return no(s.stale)


@witness
def a_write_is_overtaken(s: State, n: Node, t: Term, r: Resource) -> bool:
    """A leader decided to write, paused, and a later one has written."""
    return both(s.decided[n, t, r], t < s.latest[r])


MODEL = model(__name__, State, extends=lease.MODEL, usual={"compares": ()})
