"""What the log is for: a key-value store with locks, in which a retry takes effect once.

Dissertation 6.3: a client numbers its commands and repeats one, with the same number, until it has an answer.
The state machine keeps the last number and result of each client, and answers a repetition from there. So
`apply` may meet a command any number of times. A client has one command under way. What is remembered of a
client is forgotten by a command, `ForgetClients`, once it has asked for nothing for long, by the leader's
clock; a command that it repeats after that is a new one.

A lock is granted with the index of the entry that acquired it as its token (see `fencing`), for a while that
the holder renews. There is no time in here: that it has run out is a command as well, `Expire`, which the
leader proposes by its own clock. What was renewed in the meantime it leaves alone.

The maps are persistent: a command makes a new state that shares with the old one all that it leaves alone, so
it costs the same however much is stored, and an old state can still be read.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from immutables import Map

from .fencing import Holding, Storage, is_token


@dataclass(frozen=True)
class Put:
    key: str
    value: Hashable


@dataclass(frozen=True)
class Cas:
    """Put the value if the key has the expected one. Its result is whether it had."""

    key: str
    expected: Hashable
    value: Hashable


@dataclass(frozen=True)
class Acquire:
    """Its result is the token, or None while somebody holds the lock. `ttl` is in milliseconds."""

    lock: str
    ttl: int


@dataclass(frozen=True)
class Renew:
    """The ttl starts again. Its result is whether this was the token under which the lock was held."""

    lock: str
    token: int


@dataclass(frozen=True)
class Release:
    """Its result is whether this was the token under which the lock was held."""

    lock: str
    token: int


@dataclass(frozen=True)
class Expire:
    """The ttl has run out since the entry at index `renewed`. Its result is whether the lock was freed: not
    if it has another token by now, or was renewed by another entry."""

    lock: str
    token: int
    renewed: int


@dataclass(frozen=True)
class FencedPut:
    """Write if no newer grant has written to this key. Its result is whether it did. Fenced keys and others
    are kept apart. A token is a positive integer."""

    key: str
    value: Hashable
    token: int
    nonce: str


@dataclass(frozen=True)
class Locate:
    """Where the other servers reach this one: HOST:PORT, for a driver to read."""

    server: str
    address: str


@dataclass(frozen=True)
class ForgetClients:
    """Those whose last command is the entry at this index or an earlier one. Its result is whether there were
    any."""

    until: int


Command: TypeAlias = Put | Cas | Acquire | Renew | Release | Expire | FencedPut | Locate | ForgetClients
Result: TypeAlias = bool | int | None


@dataclass(frozen=True)
class Request:
    """A command, and which of the client's it is: numbers grow."""

    client: str
    number: int
    command: Command


@dataclass(frozen=True)
class Session:
    """Of a client: its last command, by number, the result, and at which index it was."""

    number: int = 0
    result: Result = None
    index: int = 0


@dataclass(frozen=True)
class StateMachine:
    values: Map[str, Hashable] = field(default_factory=Map)
    locks: Map[str, Holding] = field(default_factory=Map)
    fenced: Map[str, Storage] = field(default_factory=Map)
    sessions: Map[str, Session] = field(default_factory=Map)
    addresses: Map[str, str] = field(default_factory=Map)


def apply(state: StateMachine, index: int, command: Hashable) -> tuple[StateMachine, Result]:
    """The state after the entry at `index`, and its result. What is no request changes nothing."""
    if not isinstance(command, Request):
        return state, None
    last = state.sessions.get(command.client, Session())
    was_applied = command.number <= last.number

    if was_applied:
        return state, last.result
    state, result = execute(state, index, command)
    sessions = state.sessions.set(command.client, Session(command.number, result, index))
    return replace(state, sessions=sessions), result


def execute(state: StateMachine, index: int, request: Request) -> tuple[StateMachine, Result]:
    match request.command:
        case Put(key, value):
            return put(state, key, value), True
        case Cas(key, expected, value):
            is_expected = state.values.get(key) == expected
            return put(state, key, value) if is_expected else state, is_expected
        case Acquire(lock, ttl):
            return acquire(state, index, lock, ttl, request)
        case Renew(lock, token):
            return renew(state, index, lock, token)
        case Release(lock, token):
            grant = state.locks.get(lock)
            return free(state, lock, grant is not None and grant.token == token)
        case Expire(lock, token, renewed):
            grant = state.locks.get(lock)
            return free(state, lock, grant is not None and (grant.token, grant.renewed) == (token, renewed))
        case FencedPut(key, value, token, nonce):
            return fenced_put(state, key, value, token, nonce)
        case Locate(server, address):
            return replace(state, addresses=state.addresses.set(server, address)), True
        case ForgetClients(until):
            return forget(state, until)


def forget(state: StateMachine, until: int) -> tuple[StateMachine, Result]:
    silent = [client for client, session in state.sessions.items() if session.index <= until]
    sessions = state.sessions.mutate()
    for client in silent:
        del sessions[client]
    return replace(state, sessions=sessions.finish()), bool(silent)


def put(state: StateMachine, key: str, value: Hashable) -> StateMachine:
    return replace(state, values=state.values.set(key, value))


def acquire(
    state: StateMachine, index: int, lock: str, ttl: int, request: Request
) -> tuple[StateMachine, Result]:
    is_free = lock not in state.locks

    if not is_free:
        return state, None
    nonce = f"{request.client}/{request.number}"
    grant = Holding(request.client, index, nonce, ttl, renewed=index)
    return replace(state, locks=state.locks.set(lock, grant)), index


def renew(state: StateMachine, index: int, lock: str, token: int) -> tuple[StateMachine, Result]:
    grant = state.locks.get(lock)

    if grant is None or grant.token != token:
        return state, False
    return replace(state, locks=state.locks.set(lock, replace(grant, renewed=index))), True


def free(state: StateMachine, lock: str, is_held: bool) -> tuple[StateMachine, Result]:
    return replace(state, locks=state.locks.delete(lock)) if is_held else state, is_held


def fenced_put(
    state: StateMachine, key: str, value: Hashable, token: int, nonce: str
) -> tuple[StateMachine, Result]:
    storage = state.fenced.get(key, Storage())
    token_is_canonical = is_token(token)

    if not (token_is_canonical and storage.accepts(token, nonce)):
        return state, False
    return replace(state, fenced=state.fenced.set(key, storage.write(token, nonce, value))), True
