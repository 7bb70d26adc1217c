"""A fencing token that expires with its lock.

The incident's write-up does it: its script compares epochs in the lock's own hash and then calls
EXPIRE on it, so that after ten quiet seconds the epoch is gone, and an older epoch acquires again
(measured on Redis 7.0.15). A counter kept beside the lock under the same expiry is the same flaw on
the issuer's side: it starts again from 1, and the new holder is taken for an old one.

What has to live as long as the resource does: the greatest token where it is compared, and the
counter where it is issued. Both switches say where that is so. The write-up's lock whole, as it stands:
`flawed/redis_lock`.
"""

from __future__ import annotations

from oneleader.language import NIL, action, constant, ite, model
from oneleader.models import fencing
from oneleader.models.fencing import Resource


class State(fencing.State):
    """Fencing, and which resources and issuers remember."""

    storage_remembers = constant(Resource)  # without it the resource forgets the greatest token
    issuer_remembers = constant(Resource)  # without it the issuer counts from 1 again


@action
def expire(s: State, r: Resource) -> None:
    """EXPIRE removes the lock, and with it what was kept in the same key."""
    lock_is_held = s.holder[r] != NIL  # the lock: there is one to end
    s.require(lock_is_held)

    s.holder[r] = NIL
    s.greatest[r] = ite(s.storage_remembers[r], s.greatest[r], 0)
    s.nonce[r] = ite(s.storage_remembers[r], s.nonce[r], NIL)
    s.last[r] = ite(s.issuer_remembers[r], s.last[r], 0)


MODEL = model(
    __name__,
    State,
    extends=fencing.MODEL,
    without=fencing.LEMMAS,
    usual={"storage_remembers": (), "issuer_remembers": ()},
)
