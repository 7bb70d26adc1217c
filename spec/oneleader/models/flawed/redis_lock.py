"""The write-up's lock: a Lua script in Redis that compares epochs, and a write that is checked and then done.

`AcquireLockWithFencing` and `WriteWithFencing`, line by line. An epoch is what `getCurrentEpoch()` gave a
client some time ago: there are newer ones since, and other clients have the same. The lock's hash has
the owner and the epoch. `getCurrentToken(key)` can only be the epoch in it: nothing else keeps a token.
Three rules are missing, each a switch that is on where it is kept:

    NUMBERS    epochs are compared as numbers. HGET and ARGV give strings, and "10" < "9"
    REMEMBERS  the epoch outlives the lock, and each grant's is greater than all before. EXPIRE removes both,
               and then `owner == false` lets any epoch in
    ATOMIC     a write compares its token and lands in one step. The code reads the token, compares, and
               then calls `storage.Set`

Each is needed. tests/workshop/writeup runs the same steps against a Redis server, with the script as it is.
Not modelled here: that the Go code fails on `result.(int64)`, since the script returns a string; that a
lock is never released, nor renewed before it expires; and a failover of Redis.
"""

from __future__ import annotations

from enum import IntEnum

from oneleader.language import (
    NIL,
    Fields,
    Option,
    action,
    both,
    constant,
    either,
    field,
    ghost,
    implies,
    ite,
    model,
    no,
    theorem,
    witness,
)
from oneleader.models.fencing import Client, Token
from oneleader.models.flawed.fencing_tokens_as_strings import sorts_before


class Rule(IntEnum):
    """What the script and the write would have to keep to."""

    NUMBERS = 0
    REMEMBERS = 1
    ATOMIC = 2


NUMBERS, REMEMBERS, ATOMIC = Rule


FIRST = 8  # the epoch in which a run begins: the tenth is two elections away


class State(Fields):
    """Redis, the clients, and history."""

    kept = constant(Rule)

    # The hash "lock:resource" in Redis. Without REMEMBERS both are gone when the lock expires.
    owner = field(of=Option[Client])
    epoch = field(of=Token)

    # The clients.
    newest = field(of=Token, init=FIRST)  # the cluster's epoch
    token = field(Client, of=Token)  # what the script returned; 0: nothing
    checked = field(Client, of=bool)  # `token < currentToken` was false, and storage.Set is still to come

    # History.
    granted = ghost(Client, Token, of=bool)
    landed = ghost(of=Token)  # the greatest token with which a write has landed
    stale = ghost(of=bool)  # a write landed after one with a greater token
    passed_over = ghost(of=bool)  # the script refused an epoch greater than all before


@action
def elect(s: State) -> None:
    """The cluster has a new leader, and a new epoch."""
    s.newest = s.newest + 1


@action
def acquire(s: State, c: Client, t: Token) -> None:
    """`redis.call("HMSET", key, "owner", ARGV[2], "epoch", epoch)`."""
    epoch_is_known = both(t >= FIRST, t <= s.newest)  # the write-up: getCurrentEpoch(), some time ago
    client_goes_on = s.token[c] <= t  # the client: its epochs do not go back
    script_accepts = accepts(s, t)  # the write-up: owner == false or redis.call("HGET", key, "epoch") < epoch
    s.require(epoch_is_known, client_goes_on, script_accepts)

    s.owner = c
    s.epoch = t
    s.token[c] = t
    s.granted[c, t] = True


@action
def refuse(s: State, t: Token) -> None:
    """`return nil`."""
    epoch_is_known = both(t >= FIRST, t <= s.newest)  # the write-up: getCurrentEpoch(), some time ago
    script_refuses = no(accepts(s, t))  # the write-up: else
    s.require(epoch_is_known, script_refuses)

    s.passed_over = either(s.passed_over, no(Client.any(lambda c: Token.any(lambda u: taken(s, c, u, t)))))


@action
def expire(s: State) -> None:
    """`redis.call("EXPIRE", key, 10)`, ten seconds later. Nobody tells the owner."""
    lock_is_held = s.owner != NIL  # the lock: there is one to end
    s.require(lock_is_held)

    s.owner = NIL
    s.epoch = ite(s.kept[REMEMBERS], s.epoch, 0)


@action
def check_write(s: State, c: Client) -> None:
    """`currentToken := getCurrentToken(key); if token < currentToken { return ErrStaleWrite }`."""
    two_steps_are_taken = no(s.kept[ATOMIC])  # the write-up: WriteWithFencing
    has_token = s.token[c] > 0  # the client: the script gave it one
    token_is_not_stale = s.token[c] >= s.epoch  # the write-up: token < currentToken, of two int64
    s.require(two_steps_are_taken, has_token, token_is_not_stale)

    s.checked[c] = True


@action
def write(s: State, c: Client) -> None:
    """`return storage.Set(key, value)`; with ATOMIC the storage compares in this very step."""
    has_token = s.token[c] > 0  # the client: the script gave it one
    compares_itself = both(s.kept[ATOMIC], s.token[c] >= s.epoch)
    write_goes_on = either(s.checked[c], compares_itself)  # the write-up: the check came before
    s.require(has_token, write_goes_on)

    t = s.token[c]
    s.checked[c] = False
    s.stale = either(s.stale, t < s.landed)
    s.landed = ite(s.landed < t, t, s.landed)


def accepts(s: State, t: Token) -> bool:
    """The script's condition: HGET gives false where there is no lock."""
    is_newer = ite(s.kept[NUMBERS], s.epoch < t, sorts_before(s.epoch, t))
    return either(is_newer, both(s.owner == NIL, no(s.kept[REMEMBERS])))


def taken(s: State, c: Client, u: Token, t: Token) -> bool:
    """The lock was granted with this epoch, or a greater one."""
    return both(s.granted[c, u], u >= t)


# -- What holds, where the rules are kept --------------------------------------------------------------
@theorem
def no_stale_write(s: State) -> bool:
    """No write lands after one with a greater token."""
    return no(s.stale)


@theorem
def one_owner_per_token(s: State, a: Client, b: Client, t: Token) -> bool:
    """A token tells its owner from every other."""
    return implies(both(s.granted[a, t], s.granted[b, t]), a == b)


@theorem
def newest_is_never_refused(s: State) -> bool:
    """Who comes with an epoch greater than all before gets the lock."""
    return no(s.passed_over)


@witness
def two_write_in_turn(s: State, a: Client, b: Client, t: Token) -> bool:
    """One has written, and another holds the lock with a greater token."""
    return both(s.landed == t, s.granted[a, t], s.owner == b, s.epoch > t)


MODEL = model(__name__, State, usual={"kept": ()})
