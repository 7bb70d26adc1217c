"""Tokens compared as strings: "10" comes before "9".

The incident's write-up does it: HGET returns a string, ARGV[1] is a string, and Lua's `<` compares
two strings by their bytes. Measured on Redis 7.0.15 with that script: with epoch 9 stored, the epochs
10, 11 and 100 are refused. Any column, header or key of text that is compared as it stands is the
same flaw. It sleeps until the tenth grant, or the hundredth. The write-up's lock whole, as it stands:
`flawed/redis_lock`.

Tokens here are 0 to 19, which is where the first digit is added; grants 1 to 8 have been made before.
"""

from __future__ import annotations

from oneleader.language import action, both, constant, either, field, ite, model, no
from oneleader.models import fencing
from oneleader.models.fencing import Client, Resource, Token


class State(fencing.State):
    """Fencing after eight grants, and which resources compare numbers."""

    compares_numbers = constant(Resource)
    last = field(Resource, of=Token, init=8)


@action
def accept_write(s: State, r: Resource, t: Token, c: Client) -> None:
    """A write arrives and is compared as text."""
    write_was_sent = s.sent[r, t, c]  # the network: a write may stay in it
    write_is_current = is_current(s, r, t, c)  # fencing, as the resource understands it
    s.require(write_was_sent, write_is_current)

    fencing.land(s, r, t, c)


@action
def refuse_write(s: State, r: Resource, t: Token, c: Client) -> None:
    """A write arrives, is compared as text, and changes nothing."""
    write_was_sent = s.sent[r, t, c]  # the network: a write may stay in it
    write_is_stale = no(is_current(s, r, t, c))  # fencing, as the resource understands it
    s.require(write_was_sent, write_is_stale)

    fencing.refuse(s, r, c)


def is_current(s: State, r: Resource, t: Token, c: Client) -> bool:
    """What the resource asks of a write."""
    seen = s.greatest[r]
    is_newer = ite(s.compares_numbers[r], seen < t, sorts_before(seen, t))
    return either(is_newer, both(t == seen, s.nonce[r] == c))


def sorts_before(t: Token, u: Token) -> bool:
    """The order of the strings "0" to "19": 0, 1, 10 to 19, 2 to 9. Between strings of one length it is
    the order of the numbers; "10" to "19" come after "1" and before "2"."""
    shorter_first = both(t < 10, u >= 10)
    longer_first = both(t >= 10, u < 10)
    return ite(shorter_first, t <= 1, ite(longer_first, u > 1, t < u))


MODEL = model(
    __name__,
    State,
    extends=fencing.MODEL,
    without=(*fencing.LEMMAS, *fencing.FAILOVER),
    usual={"compares_numbers": ()},
)
