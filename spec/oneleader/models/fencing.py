"""Fencing: what a resource does about a holder that no longer holds its lock.

A lock is granted with a token, and each write carries the token of the writer's grant. The resource
keeps the greatest token that it has seen; it compares and writes in one atomic step. Nobody need
know who holds the lock, and no clock is read: a client may pause for as long as it likes between its
grant and its write, and a write may stay in the network, or arrive twice.

The token of a lock is the log index of its committed acquire entry, or a counter of the issuer; the
token of what a leader itself writes is its term. One resource uses one kind.

An issuer whose state was lost in a failover gives out a token again. So the resource keeps the nonce
of the grant beside the token, and of two grants with one token it accepts the first that writes.
Each client draws a nonce for each acquire. Here the nonce is the client, and a client acquires a lock
once: who acquires it again is, here, another client.

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
    """Somebody who acquires each lock once and writes; also the nonce of its grant."""


class Token(NumberSort):
    """The number of a grant; 0 before the first."""


class State(Fields):
    """The issuer of the locks, the network, and the resources."""

    # The issuer.
    holder = field(Resource, of=Option[Client])  # who has the lock, as far as the issuer knows
    last = field(Resource, of=Token)  # the token of the last grant that the issuer knows of

    # The clients. Nobody takes back a token: a client may go on believing that it holds the lock.
    token = field(Resource, Client, of=Token)  # of its grant; 0: it has none

    # The network: everything ever sent.
    sent = field(Resource, Token, Client, of=bool)  # a write, with the token and the nonce of its grant

    # The resource: persistent, and written together with what is protected.
    greatest = field(Resource, of=Token)  # the greatest token seen
    nonce = field(Resource, of=Option[Client])  # the grant that it was seen with

    # History, for proofs and witnesses only.
    lost = ghost(Resource, of=bool)  # the issuer has lost grants in a failover
    granted_after = ghost(Resource, Client, Client, of=bool)  # the first was granted the lock later
    landed_after = ghost(Resource, Client, Client, of=bool)  # a write of the first, after one of the second
    landed_under = ghost(Resource, Client, Client, of=bool)  # a write of the first; the second had the lock
    refused = ghost(Resource, Client, Client, of=bool)  # a write of the first; the second had been granted it


# -- The issuer ----------------------------------------------------------------------------------
@action
def acquire(s: State, r: Resource, c: Client, t: Token) -> None:
    """The issuer grants the lock. Tokens may leave numbers out, as log indices do."""
    lock_is_free = s.holder[r] == NIL  # the lock: one holder at a time
    client_is_new = s.token[r, c] == 0  # the nonce: a fresh one for each acquire
    token_is_newer = t > s.last[r]  # fencing: strictly monotone
    s.require(lock_is_free, client_is_new, token_is_newer)

    s.granted_after.where(lambda old, q, x, y: either(old, both(q == r, x == c, s.token[q, y] > 0)))
    s.holder[r] = c
    s.last[r] = t
    s.token[r, c] = t


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
def send_write(s: State, r: Resource, c: Client) -> None:
    """A client that was granted the lock writes. It may have paused: for it, no time has passed."""
    lock_was_granted = s.token[r, c] > 0  # the client: it believes that it holds the lock
    s.require(lock_was_granted)

    s.sent[r, s.token[r, c], c] = True


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

    refuse(s, r, c)


def is_current(s: State, r: Resource, t: Token, c: Client) -> bool:
    """What the resource asks of a write."""
    return either(t > s.greatest[r], both(t == s.greatest[r], s.nonce[r] == c))


def land(s: State, r: Resource, t: Token, c: Client) -> None:
    """The effects of a write, and its entry into history."""
    s.greatest[r] = t
    s.nonce[r] = c

    s.landed_after.where(
        lambda old, q, x, y: either(old, both(q == r, x == c, either(y == c, s.landed_after[q, y, y])))
    )
    s.landed_under.where(lambda old, q, x, h: either(old, both(q == r, x == c, s.holder[q] == h)))


def refuse(s: State, r: Resource, c: Client) -> None:
    """The entry of a refusal into history."""
    s.refused.where(lambda old, q, x, y: either(old, both(q == r, x == c, s.token[q, y] > 0)))


# -- What fencing is for -------------------------------------------------------------------------
@theorem
def no_stale_write(s: State, r: Resource, old: Client, new: Client) -> bool:
    """While tokens are unique: no write of an older holder lands after one of a newer holder."""
    tokens_are_unique, is_newer = no(s.lost[r]), s.granted_after[r, new, old]
    return implies(both(tokens_are_unique, is_newer), no(s.landed_after[r, old, new]))


@invariant
def newest_is_never_refused(s: State, r: Resource, c: Client) -> bool:
    """While tokens are unique: when a write was refused, somebody newer had been granted the lock."""
    was_refused = both(no(s.lost[r]), s.refused[r, c, c])
    return implies(was_refused, Client.any(lambda d: both(s.granted_after[r, d, c], s.refused[r, c, d])))


@invariant
def one_holder_per_token(s: State, r: Resource, a: Client, b: Client) -> bool:
    """Tokens may repeat: even then the writes accepted with one token are one holder's."""
    both_have_landed = both(s.landed_after[r, a, a], s.landed_after[r, b, b])
    return implies(both(both_have_landed, s.token[r, a] == s.token[r, b]), a == b)


@invariant
def history_is_in_token_order(s: State, r: Resource, first: Client, later: Client) -> bool:
    """Whatever the issuer does: no accepted write came after one with a greater token."""
    return implies(s.landed_after[r, later, first], s.token[r, first] <= s.token[r, later])


# -- Why it holds --------------------------------------------------------------------------------
@invariant
def sent_was_granted(s: State, r: Resource, t: Token, c: Client) -> bool:
    """A write carries the token of its client's grant."""
    return implies(s.sent[r, t, c], both(s.token[r, c] == t, t > 0))


@invariant
def later_was_granted(s: State, r: Resource, new: Client, old: Client) -> bool:
    """Who was granted the lock later was granted it, and so was who came before."""
    return implies(s.granted_after[r, new, old], both(s.token[r, new] > 0, s.token[r, old] > 0))


@invariant
def grants_are_ordered(s: State, r: Resource, a: Client, b: Client) -> bool:
    """Of two grants one came later."""
    both_were_granted = both(a != b, s.token[r, a] > 0, s.token[r, b] > 0)
    return implies(both_were_granted, either(s.granted_after[r, a, b], s.granted_after[r, b, a]))


@invariant
def token_is_known(s: State, r: Resource, c: Client) -> bool:
    """An issuer that has lost nothing knows of each grant."""
    return implies(no(s.lost[r]), s.token[r, c] <= s.last[r])


@invariant
def token_has_one_client(s: State, r: Resource, a: Client, b: Client) -> bool:
    """An issuer that has lost nothing gives a token to one client."""
    tokens_are_equal = both(s.token[r, a] > 0, s.token[r, a] == s.token[r, b])
    return implies(both(no(s.lost[r]), tokens_are_equal), a == b)


@invariant
def tokens_grow(s: State, r: Resource, new: Client, old: Client) -> bool:
    """An issuer that has lost nothing gives later grants greater tokens."""
    return implies(both(no(s.lost[r]), s.granted_after[r, new, old]), s.token[r, old] < s.token[r, new])


@invariant
def seen_was_granted(s: State, r: Resource, c: Client) -> bool:
    """What the resource has seen is a grant."""
    return implies(s.nonce[r] == c, both(s.greatest[r] == s.token[r, c], s.token[r, c] > 0))


@invariant
def nothing_was_seen(s: State, r: Resource) -> bool:
    """A resource without a nonce has seen no token."""
    return implies(s.nonce[r] == NIL, s.greatest[r] == 0)


@invariant
def landed_was_seen(s: State, r: Resource, c: Client) -> bool:
    """Whose write has landed: the one whom the resource remembers, or one with a smaller token."""
    is_remembered = both(s.nonce[r] == c, s.token[r, c] == s.greatest[r])
    is_passed = both(s.token[r, c] > 0, s.token[r, c] < s.greatest[r])
    return implies(s.landed_after[r, c, c], either(is_remembered, is_passed))


@invariant
def pairs_have_landed(s: State, r: Resource, a: Client, b: Client) -> bool:
    """What came after something has come, and so has the other."""
    return implies(s.landed_after[r, a, b], both(s.landed_after[r, a, a], s.landed_after[r, b, b]))


# -- What can happen: no property above is vacuous --------------------------------------
@witness
def a_stale_write_is_refused(s: State, r: Resource, c: Client) -> bool:
    """A write with a token smaller than one seen was refused."""
    return both(s.refused[r, c, c], s.token[r, c] < s.greatest[r])


@witness
def a_paused_client_writes_late(s: State, r: Resource, old: Client, new: Client) -> bool:
    """A newer holder has written, an older one wakes and writes, and that comes to nothing."""
    newer_has_written = both(s.granted_after[r, new, old], s.landed_after[r, new, new])
    return both(no(s.lost[r]), newer_has_written, s.refused[r, old, old], no(s.landed_after[r, old, old]))


@witness
def two_holders_write_in_turn(s: State, r: Resource, old: Client, new: Client) -> bool:
    """Two writes landed, and the later one has the greater token."""
    return both(s.landed_after[r, new, old], s.token[r, old] < s.token[r, new])


@witness
def one_of_two_duplicates_is_refused(s: State, r: Resource, a: Client, b: Client) -> bool:
    """After a failover two clients have one token; one of them has written, and the other was refused."""
    return both(a != b, s.token[r, a] == s.token[r, b], s.landed_after[r, a, a], s.refused[r, b, b])


@witness
def limit_old_holder_writes_before_the_new_one(s: State, r: Resource, old: Client, new: Client) -> bool:
    """What fencing cannot give. The new holder has the lock and has not written yet; the old one, which
    is no longer the holder, writes, and succeeds. Only a lease, or waiting, keeps it from that."""
    return both(old != new, s.holder[r] == new, s.landed_under[r, old, new], no(s.landed_after[r, new, new]))


@witness
def limit_newest_holder_is_refused(s: State, r: Resource, c: Client) -> bool:
    """What the nonce cannot give. Of two grants with one token the older may write first: then the holder
    itself is refused, and has to acquire the lock again."""
    return both(s.holder[r] == c, s.refused[r, c, c])


# For models that differ: with a flaw, lemmas break before harm is done; without failovers, some
# things cannot be reached.
LEMMAS = (
    "sent_was_granted",
    "later_was_granted",
    "grants_are_ordered",
    "token_is_known",
    "token_has_one_client",
    "tokens_grow",
    "seen_was_granted",
    "nothing_was_seen",
    "landed_was_seen",
    "pairs_have_landed",
)
FAILOVER = ("fail_over", "one_of_two_duplicates_is_refused", "limit_newest_holder_is_refused")

MODEL = model(__name__, State)
