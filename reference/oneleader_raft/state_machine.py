"""What the log is for: a key-value store with locks, in which a retry takes effect once.

Dissertation 6.3: a client numbers its commands and repeats one, with the same number, until it has an answer.
The state machine keeps the last number and result of each client, and answers a repetition from there. So
`apply` may meet a command any number of times. A client has one command under way; sessions do not expire.

A lock is granted with the index of the entry that acquired it as its token (see `fencing`).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from .fencing import Grant


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
    """Its result is the token, or None while somebody else holds the lock."""

    lock: str


@dataclass(frozen=True)
class Release:
    """Its result is whether this was the token under which the lock was held."""

    lock: str
    token: int


Command: TypeAlias = Put | Cas | Acquire | Release
Result: TypeAlias = bool | int | None


@dataclass(frozen=True)
class Request:
    """A command, and which of the client's it is: numbers grow."""

    client: str
    number: int
    command: Command


@dataclass(frozen=True)
class StateMachine:
    values: Mapping[str, Hashable] = field(default_factory=dict)
    locks: Mapping[str, Grant] = field(default_factory=dict)
    sessions: Mapping[str, tuple[int, Result]] = field(default_factory=dict)


def apply(state: StateMachine, index: int, command: Hashable) -> tuple[StateMachine, Result]:
    """The state after the entry at `index`, and its result. What is no request changes nothing."""
    if not isinstance(command, Request):
        return state, None
    last, result = state.sessions.get(command.client, (0, None))
    was_applied = command.number <= last

    if was_applied:
        return state, result
    state, result = execute(state, index, command)
    sessions = {**state.sessions, command.client: (command.number, result)}
    return replace(state, sessions=sessions), result


def execute(state: StateMachine, index: int, request: Request) -> tuple[StateMachine, Result]:
    match request.command:
        case Put(key, value):
            return put(state, key, value), True
        case Cas(key, expected, value):
            is_expected = state.values.get(key) == expected
            return put(state, key, value) if is_expected else state, is_expected
        case Acquire(lock):
            return acquire(state, index, lock, request)
        case Release(lock, token):
            is_held = lock in state.locks and state.locks[lock].token == token
            others = {name: grant for name, grant in state.locks.items() if name != lock}
            return replace(state, locks=others) if is_held else state, is_held


def put(state: StateMachine, key: str, value: Hashable) -> StateMachine:
    return replace(state, values={**state.values, key: value})


def acquire(state: StateMachine, index: int, lock: str, request: Request) -> tuple[StateMachine, Result]:
    is_free = lock not in state.locks

    if not is_free:
        return state, None
    grant = Grant(request.client, index, (request.client, request.number))
    return replace(state, locks={**state.locks, lock: grant}), index
