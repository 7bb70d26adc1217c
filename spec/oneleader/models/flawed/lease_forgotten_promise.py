"""A promise that does not survive a restart: the voter votes at once, inside the lease that relies on it.

Seen in 28 of 40 runs of etcd's raft library 3.4.23 with lease-based reads.
"""

from __future__ import annotations

from oneleader.language import LONG_AGO, action, ite, model
from oneleader.models import election, lease
from oneleader.models.election import Node
from oneleader.models.lease import State


@action
def restart(s: State, n: Node) -> None:
    """A crash loses the promise, and the server does not wait."""
    election.restart(s, n)
    s.since_promise[n] = LONG_AGO
    s.lease_is_void[n] = False
    s.since_sent.where(lambda old, m, k: ite(m == n, LONG_AGO, old))


MODEL = model(__name__, State, extends=lease.MODEL)
