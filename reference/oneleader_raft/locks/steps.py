"""What a store of locks does: five steps, each atomic, each answered by a row or by None.

    Issue    grant the lock if it is free                    (token, nonce), or None: it is held
    Renew    let the grant run for its ttl from now          (token, nonce), or None: it is over
    Release  end the grant                                   (token, nonce), or None: it was over
    Write    compare and write: `fencing.Storage.write`      (token, nonce), or None: it is stale
    Read     the last write accepted                         (value, token), or None: there is none

A lock is a row (token, nonce, expires) that is never deleted and never expires: release and expiry end the
grant and leave the token. A key is a row (value, token, nonce). Time is the store's own clock.

What a step is made of is checked here, once for every store: a name, a value that each store gives back as
it was, a token that is a canonical positive integer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ..fencing import GREATEST, is_token

Row: TypeAlias = tuple[str | int, ...]
LONGEST_NAME = 200  # bytes
LONGEST_TTL = 24 * 60 * 60 * 1000  # milliseconds: a day


@dataclass(frozen=True)
class IssueStep:
    """Grant the lock for `ttl` milliseconds. A store may draw another nonce: the row says which."""

    lock: str
    nonce: str
    ttl: int

    def __post_init__(self) -> None:
        check_name("lock", self.lock)
        check_ttl(self.ttl)


@dataclass(frozen=True)
class RenewStep:
    lock: str
    token: int
    nonce: str
    ttl: int

    def __post_init__(self) -> None:
        check_name("lock", self.lock)
        check_token(self.token)
        check_ttl(self.ttl)


@dataclass(frozen=True)
class ReleaseStep:
    lock: str
    token: int
    nonce: str

    def __post_init__(self) -> None:
        check_name("lock", self.lock)
        check_token(self.token)


@dataclass(frozen=True)
class WriteStep:
    key: str
    value: str
    token: int
    nonce: str

    def __post_init__(self) -> None:
        check_name("key", self.key)
        check_text("value", self.value)
        check_token(self.token)
        check_name("nonce", self.nonce)


@dataclass(frozen=True)
class ReadStep:
    key: str

    def __post_init__(self) -> None:
        check_name("key", self.key)


LockStep: TypeAlias = IssueStep | RenewStep | ReleaseStep | WriteStep | ReadStep


def step_name(step: LockStep) -> str:
    """`issue`, `renew` ..."""
    return type(step).__name__.removesuffix("Step").lower()


class LockStore(Protocol):
    """Where locks and keys are kept. `perform` raises UnknownError where it cannot tell what became of it."""

    def perform(self, step: LockStep) -> Row | None: ...

    def close(self) -> None: ...


class AsyncLockStore(Protocol):
    async def perform(self, step: LockStep) -> Row | None: ...

    async def close(self) -> None: ...


class LockError(Exception):
    """Why a lock or a write was not to be had; the message says what to do."""


class UnknownError(LockError):
    """No answer came: the step has happened, or will, or never."""

    def __init__(self, step: LockStep, cause: object) -> None:
        super().__init__(
            f"no answer to {step_name(step)}: {cause}; it may have happened. A write or a "
            "renewal can be repeated as it is; a lock that was acquired unseen ends with its ttl"
        )


def check_token(token: object) -> None:
    if not is_token(token):
        raise ValueError(f"{token!r} is no token: a token is a whole number from 1 to {GREATEST}, as granted")


def check_text(what: str, text: object) -> None:
    """PostgreSQL has no NUL, and lone surrogates have no encoding."""
    if not isinstance(text, str):
        raise ValueError(f"the {what} {text!r} is not text: encode it, for example as JSON")
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError(f"the {what} {text!r} holds a NUL or a lone surrogate, which no store keeps")


def check_name(what: str, name: object) -> None:
    check_text(what, name)
    if not name or len(str(name).encode()) > LONGEST_NAME:
        raise ValueError(f"the {what} {name!r} has not 1 to {LONGEST_NAME} bytes")


def check_ttl(ttl: object) -> None:
    if type(ttl) is not int or not 0 < ttl <= LONGEST_TTL:
        raise ValueError(
            f"a ttl is a whole number of milliseconds up to a day, {LONGEST_TTL}; this is {ttl!r}"
        )
