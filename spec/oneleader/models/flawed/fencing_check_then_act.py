"""A storage that checks the token and writes in two steps.

The incident's write-up does it: WriteWithFencing reads the current token, compares, and then calls
storage.Set. Whatever was true at the check need not be true at the write: the older write, checked
first and paused there, lands after the newer one. Measured on Redis 7.0.15: reading the token and
then writing lets a stale write through.

The comparison has to be part of the write: one script, one UPDATE ... WHERE, one conditional put.
The write-up's lock whole, as it stands: `flawed/redis_lock`.
"""

from __future__ import annotations

from oneleader.language import action, both, constant, either, field, model, no
from oneleader.models import fencing
from oneleader.models.fencing import Client, Resource, Token


class State(fencing.State):
    """Fencing, and the writes between their check and their effect."""

    is_atomic = constant(Resource)
    checked = field(Resource, Token, Client, of=bool)  # compared, and not written yet


@action
def check_write(s: State, r: Resource, t: Token, c: Client) -> None:
    """The first step: read the token and compare."""
    two_steps_are_taken = no(s.is_atomic[r])  # the write-up: getCurrentToken(key)
    write_was_sent = s.sent[r, t, c]  # the network: a write may stay in it
    write_is_current = fencing.is_current(s, r, t, c)  # fencing: no token older than one seen
    s.require(two_steps_are_taken, write_was_sent, write_is_current)

    s.checked[r, t, c] = True


@action
def accept_write(s: State, r: Resource, t: Token, c: Client) -> None:
    """The second step: write. A sound storage compares in this very step."""
    is_current = both(s.sent[r, t, c], fencing.is_current(s, r, t, c))
    write_is_let_through = either(s.checked[r, t, c], both(s.is_atomic[r], is_current))  # storage.Set
    s.require(write_is_let_through)

    s.checked[r, t, c] = False
    fencing.land(s, r, t, c)


MODEL = model(__name__, State, extends=fencing.MODEL, without=fencing.LEMMAS, usual={"is_atomic": ()})
