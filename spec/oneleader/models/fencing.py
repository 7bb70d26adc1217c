"""Fencing: what a resource does about a holder that no longer holds its lock.

A lock is granted with a token, and each write carries the token of the writer's grant. The resource
keeps the greatest token that it has seen; it compares and writes in one atomic step. Nobody need
know who holds the lock, and no clock is read: a client may pause for as long as it likes between its
grant and its write, and a write may stay in the network, or arrive twice.

The token of a lock is the log index of its committed acquire entry, or a counter of the issuer; the
token of what a leader itself writes is its term. One resource uses one kind.

An issuer whose state was lost in a failover gives out a token again. So the resource keeps the nonce
of the grant beside the token, and of two grants with one token it accepts the first that writes.
Here the nonce is the client: one that draws a nonce for each acquire is, here, a client for each.

Not modelled here: what is written, a failover of the resource itself (it loses the greatest token,
and nothing here survives that), and how the issuer agrees on its grants.
"""

from __future__ import annotations

from oneleader.language import (
    NIL,
    Fields,
    NumberSort,
    Option,
    SetSort,
    action,
    both,
    either,
    field,
    ghost,
    implies,
    invariant,
    model,
    no,
    theorem,
    witness,
)


class Resource(SetSort):
    """What a lock protects: a storage that compares tokens. Each has a lock of its own."""


class Client(SetSort):
    """Somebody who acquires locks and writes; also the nonce of its grants."""


class Token(NumberSort):
    """The number of a grant; 0 before the first."""


class State(Fields):
    """The issuer of the locks, the network, and the resources."""

    # The issuer.
    holder = field(Resource, of=Option[Client])  # who has the lock, as far as the issuer knows
    last = field(Resource, of=Token)  # the token of the last grant that the issuer knows of

    # The network: everything ever sent. Nobody takes back a grant: a client may go on believing in it.
    granted = field(Resource, Token, Client, of=bool)  # the issuer's answer
    sent = field(Resource, Token, Client, of=bool)  # a write, with the token and nonce of its grant

    # The resource: persistent, and written together with what is protected.
    greatest = field(Resource, of=Token)  # the greatest token seen
    nonce = field(Resource, of=Option[Client])  # the grant that it was seen with

    # History, for proofs and witnesses only.
    lost = ghost(Resource, of=bool)  # the issuer has lost grants in a failover
    granted_after = ghost(Resource, Token, Token, of=bool)  # the first was granted after the second was
    landed_after = ghost(Resource, Token, Token, of=bool)  # a write with the first, after (or as) the second
    accepted = ghost(Resource, Token, Client, of=bool)  # a write of this grant has landed
    refused = ghost(Resource, Token, Client, of=bool)  # a write of this grant was refused
    landed_under = ghost(Resource, Client, Client, of=bool)  # a write of the first; the second held the lock


# -- The issuer ----------------------------------------------------------------------------------
@action
def acquire(s: State, r: Resource, c: Client, t: Token) -> None:
    """The issuer grants the lock. Tokens may leave numbers out, as log indices do."""
    lock_is_free = s.holder[r] == NIL  # the lock: one holder at a time
    token_is_newer = t > s.last[r]  # fencing: strictly monotone
    s.require(lock_is_free, token_is_newer)

    s.granted_after.where(lambda old, q, x, y: either(old, both(q == r, x == t, was_granted(s, q, y))))
    s.holder[r] = c
    s.last[r] = t
    s.granted[r, t, c] = True


@action
def expire(s: State, r: Resource) -> None:
    """The holder releases its lock, or the issuer's patience ends: the holder may never hear of it."""
    lock_is_held = s.holder[r] != NIL  # the lock: there is one to end
    s.require(lock_is_held)

    s.holder[r] = NIL


@action
def fail_over(s: State, r: Resource, t: Token) -> None:
    """A new issuer takes over and has lost the last grants: it will give out their tokens again."""
    grants_are_lost = t < s.last[r]  # asynchronous replication of the issuer
    s.require(grants_are_lost)

    s.holder[r] = NIL
    s.last[r] = t
    s.lost[r] = True


# -- Writing -------------------------------------------------------------------------------------
@action
def send_write(s: State, r: Resource, t: Token, c: Client) -> None:
    """A client that was granted the lock writes. It may have paused: for it, no time has passed."""
    token_was_granted = s.granted[r, t, c]  # the client: it believes that it holds the lock
    s.require(token_was_granted)

    s.sent[r, t, c] = True


@action
def accept_write(s: State, r: Resource, t: Token, c: Client) -> None:
    """A write arrives, now or late or again. The resource compares and writes in one atomic step."""
    write_was_sent = s.sent[r, t, c]  # the network: a write may stay in it
    write_is_current = is_current(s, r, t, c)  # fencing: no token older than one seen, one grant a token
    s.require(write_was_sent, write_is_current)

    land(s, r, t, c)


@action
def refuse_write(s: State, r: Resource, t: Token, c: Client) -> None:
    """A write arrives and changes nothing."""
    write_was_sent = s.sent[r, t, c]  # the network: a write may stay in it
    write_is_stale = no(is_current(s, r, t, c))  # fencing: a newer grant has written, or its duplicate
    s.require(write_was_sent, write_is_stale)

    s.refused[r, t, c] = True


def is_current(s: State, r: Resource, t: Token, c: Client) -> bool:
    """What the resource asks of a write."""
    return either(t > s.greatest[r], both(t == s.greatest[r], s.nonce[r] == c))


def land(s: State, r: Resource, t: Token, c: Client) -> None:
    """The effects of a write, and its entry into history."""
    s.greatest[r] = t
    s.nonce[r] = c

    s.accepted[r, t, c] = True
    s.landed_after.where(
        lambda old, q, x, y: either(old, both(q == r, x == t, either(y == t, s.landed_after[q, y, y])))
    )
    s.landed_under.where(lambda old, q, w, h: either(old, both(q == r, w == c, s.holder[q] == h)))


def was_granted(s: State, r: Resource, t: Token) -> bool:
    """Somebody was given this token."""
    return Client.any(lambda c: s.granted[r, t, c])


# -- What fencing is for -------------------------------------------------------------------------
@theorem
def no_stale_write(s: State, r: Resource, old: Token, new: Token) -> bool:
    """While tokens are unique: no write of an older holder lands after one of a newer holder."""
    tokens_are_unique, is_newer = no(s.lost[r]), s.granted_after[r, new, old]
    return implies(both(tokens_are_unique, is_newer), no(s.landed_after[r, old, new]))


@theorem
def newest_is_never_refused(s: State, r: Resource, c: Client) -> bool:
    """While tokens are unique: the newest holder's write would be accepted now, and so at any time."""
    is_newest = both(no(s.lost[r]), s.granted[r, s.last[r], c])
    return implies(is_newest, is_current(s, r, s.last[r], c))


@invariant
def one_holder_per_token(s: State, r: Resource, t: Token, a: Client, b: Client) -> bool:
    """Tokens may repeat: even then a token is accepted of one grant only."""
    return implies(both(s.accepted[r, t, a], s.accepted[r, t, b]), a == b)


@invariant
def history_is_in_token_order(s: State, r: Resource, t: Token, u: Token) -> bool:
    """Whatever the issuer does: no accepted write came after one with a greater token."""
    return implies(s.landed_after[r, t, u], u <= t)


# -- Why it holds --------------------------------------------------------------------------------
@invariant
def sent_was_granted(s: State, r: Resource, t: Token, c: Client) -> bool:
    """A write carries the token and the nonce of a grant."""
    return implies(s.sent[r, t, c], s.granted[r, t, c])


@invariant
def no_grant_is_zero(s: State, r: Resource, t: Token, c: Client) -> bool:
    """Zero is the token of nobody: a resource starts with it."""
    return implies(s.granted[r, t, c], t > 0)


@invariant
def token_is_known(s: State, r: Resource, t: Token, c: Client) -> bool:
    """An issuer that has lost nothing knows of each grant."""
    return implies(both(no(s.lost[r]), s.granted[r, t, c]), t <= s.last[r])


@invariant
def token_has_one_client(s: State, r: Resource, t: Token, a: Client, b: Client) -> bool:
    """An issuer that has lost nothing gives a token to one client."""
    return implies(both(no(s.lost[r]), s.granted[r, t, a], s.granted[r, t, b]), a == b)


@invariant
def tokens_grow(s: State, r: Resource, new: Token, old: Token) -> bool:
    """An issuer that has lost nothing gives later grants greater tokens."""
    return implies(both(no(s.lost[r]), s.granted_after[r, new, old]), old < new)


@invariant
def seen_was_granted(s: State, r: Resource, c: Client) -> bool:
    """What the resource has seen is a grant."""
    return implies(s.nonce[r] == c, s.granted[r, s.greatest[r], c])


@invariant
def nothing_was_seen(s: State, r: Resource) -> bool:
    """A resource without a nonce has seen no token."""
    return implies(s.nonce[r] == NIL, s.greatest[r] == 0)


@invariant
def landed_was_seen(s: State, r: Resource, t: Token) -> bool:
    """The greatest token seen is at least that of each accepted write."""
    return implies(s.landed_after[r, t, t], t <= s.greatest[r])


@invariant
def pairs_have_landed(s: State, r: Resource, t: Token, u: Token) -> bool:
    """What came after something has come, and so has the other."""
    return implies(s.landed_after[r, t, u], both(s.landed_after[r, t, t], s.landed_after[r, u, u]))


@invariant
def accepted_was_seen(s: State, r: Resource, t: Token, c: Client) -> bool:
    """An accepted grant is the one that the resource remembers, or one with a smaller token."""
    is_remembered = both(t == s.greatest[r], s.nonce[r] == c)
    return implies(s.accepted[r, t, c], either(t < s.greatest[r], is_remembered))


# -- What can happen: nothing above holds for want of cases --------------------------------------
@witness
def a_stale_write_is_refused(s: State, r: Resource, t: Token, c: Client) -> bool:
    """A write with a token smaller than one seen was refused."""
    return both(s.refused[r, t, c], t < s.greatest[r])


@witness
def a_paused_client_writes_late(s: State, r: Resource, old: Token, new: Token, c: Client) -> bool:
    """A newer holder has written, an older one wakes and writes, and that write comes to nothing."""
    newer_has_landed = both(s.granted_after[r, new, old], s.landed_after[r, new, new])
    return both(no(s.lost[r]), newer_has_landed, s.refused[r, old, c], no(s.landed_after[r, old, old]))


@witness
def one_of_two_duplicates_is_refused(s: State, r: Resource, t: Token, a: Client, b: Client) -> bool:
    """After a failover two clients have one token; one of them has written, and the other was refused."""
    return both(a != b, s.accepted[r, t, a], s.refused[r, t, b], t == s.greatest[r])


@witness
def two_holders_write_in_turn(s: State, r: Resource, t: Token, u: Token) -> bool:
    """Two writes landed, and the later one has the greater token."""
    return both(u < t, s.landed_after[r, t, u])


@witness
def limit_old_holder_writes_before_the_new_one(s: State, r: Resource, old: Client, new: Client) -> bool:
    """What fencing cannot give. The new holder has the lock and has not written yet; the old one, which
    is no longer the holder, writes, and succeeds. Only a lease, or waiting, keeps it from that."""
    new_has_not_written = Token.all(lambda t: no(s.accepted[r, t, new]))
    return both(old != new, s.holder[r] == new, s.landed_under[r, old, new], new_has_not_written)


@witness
def limit_newest_holder_is_refused(s: State, r: Resource, c: Client, t: Token) -> bool:
    """What the nonce cannot give. Of two grants with one token the older may write first: then the holder
    itself is refused, and has to acquire the lock again."""
    return both(s.holder[r] == c, s.last[r] == t, s.refused[r, t, c])


MODEL = model(__name__, State)
