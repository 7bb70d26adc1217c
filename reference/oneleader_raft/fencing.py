"""Fencing tokens: what a storage asks of those who write to it, so that a paused holder does no harm.

Proved in the model `fencing` for any number of clients. A lock's token is the log index of its committed
acquire entry; the token of what a leader itself writes is its term. One storage uses one kind. The storage
compares and writes in one atomic step. Two grants with one token, which an issuer that lost its state may
give out, are told apart by their nonces: the first that writes has it.

What fencing cannot do: stop an old holder before the new one's first write.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True)
class Holding:
    """A lock, held: by whom, under which token, drawn with which nonce, for how long after the entry at index
    `renewed` (`ttl` in milliseconds, which those measure who keep time)."""

    holder: str
    token: int
    nonce: Hashable
    ttl: int = 0
    renewed: int = 0


@dataclass(frozen=True)
class Storage:
    """The greatest token seen, its nonce, and what was written with it."""

    token: int = 0
    nonce: Hashable = None
    value: Hashable = None

    def accepts(self, token: int, nonce: Hashable) -> bool:
        is_newer = token > self.token
        is_the_same_grant = token == self.token and nonce == self.nonce
        return is_newer or is_the_same_grant

    def write(self, token: int, nonce: Hashable, value: Hashable) -> Storage:
        """The storage afterwards: the same if it refuses."""
        return Storage(token, nonce, value) if self.accepts(token, nonce) else self


GREATEST = 2**63 - 1  # what a column of 64 bits can hold


def is_token(token: object) -> bool:
    """A positive whole number that every storage can hold: no True, no 1.0, no '1', no nan."""
    return type(token) is int and 1 <= token <= GREATEST
