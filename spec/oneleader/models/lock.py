"""A lock whose grants expire, and a storage that is fenced by the number of each grant.

The model that docs/tutorial.md writes step by step: the smallest one that uses the whole language.
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


class Client(SetSort):
    """Somebody who wants to write."""


class Token(NumberSort):
    """The number of a grant; 0 before the first."""


class State(Fields):
    """The server, the clients and the storage."""

    holder = field(of=Option[Client])  # the server: who has the lock
    last = field(of=Token)  # the server: the token of its last grant
    granted = field(Client, Token, of=bool)  # the tokens that a client means to use
    greatest = field(of=Token)  # the storage: the greatest token that it has seen
    overtaken = ghost(of=bool)  # history: a write came after one with a greater token


@action
def acquire(s: State, c: Client) -> None:
    """The server grants the lock, with a token greater than all before."""
    lock_is_free = s.holder == NIL  # the lock: one holder at a time
    s.require(lock_is_free)

    t = s.last + 1
    s.holder = c
    s.last = t
    s.granted[c, t] = True


@action
def release(s: State, c: Client) -> None:
    """The holder gives the lock back and will use none of its tokens again."""
    client_is_holder = s.holder == c  # the lock: only its holder releases it
    s.require(client_is_holder)

    s.holder = NIL
    s.granted.where(lambda old, other, t: both(old, other != c))


@action
def expire(s: State) -> None:
    """The server's patience ends. The client hears nothing of it: that is the whole problem."""
    lock_is_held = s.holder != NIL  # the lease: there is one to end
    s.require(lock_is_held)

    s.holder = NIL


@action
def write(s: State, c: Client, t: Token) -> None:
    """A client writes, whatever the server thinks by now; the storage compares tokens."""
    token_was_granted = s.granted[c, t]  # the client: it believes that it holds the lock
    token_is_not_stale = t >= s.greatest  # fencing: no token older than one seen
    s.require(token_was_granted, token_is_not_stale)
    s.claim(t <= s.last)

    s.overtaken = either(s.overtaken, t < s.greatest)
    s.greatest = t


@invariant
def token_was_counted(s: State, c: Client, t: Token) -> bool:
    """No token is in use that the server has not given out."""
    return implies(s.granted[c, t], t <= s.last)


@invariant
def token_has_one_client(s: State, t: Token, a: Client, b: Client) -> bool:
    """A token is given to one client."""
    return implies(both(s.granted[a, t], s.granted[b, t]), a == b)


@invariant
def write_is_never_overtaken(s: State) -> bool:
    """No write lands after one with a greater token: what fencing is for."""
    return no(s.overtaken)


@theorem
def last_token_has_one_user(s: State) -> bool:
    """However many believe that they hold the lock, the newest token is one client's."""
    return Client.all(
        lambda a: Client.all(lambda b: implies(both(s.granted[a, s.last], s.granted[b, s.last]), a == b))
    )


@witness
def two_believe(s: State, a: Client, b: Client, t: Token, u: Token) -> bool:
    """Two clients believe that they hold the lock: why the server alone is not enough."""
    return both(a != b, s.granted[a, t], s.granted[b, u], t != u)


@witness
def nobody_believes(s: State) -> bool:
    """After a grant, nobody is left who would use one."""
    return both(s.last > 0, no(Client.any(lambda c: Token.any(lambda t: s.granted[c, t]))))


MODEL = model(__name__, State)
