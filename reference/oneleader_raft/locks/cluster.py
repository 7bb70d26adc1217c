"""Locks on the cluster itself, by its HTTP API: the only store here that grants and keeps through failovers.

A token is the index of the committed entry that acquired the lock, so it is given once and grows, no matter
who leads. Fenced keys are in the same log. A ttl is counted by the leader's clock, and again by a new one. A
request is repeated, by the same name and number, until `deadline` seconds have passed: it takes effect once.

What it assumes: what the cluster assumes (`node`): a majority up, disks that keep what they synced.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..node import client
from ..node.client import ApiOperation, AsyncClient, Client, UnknownOutcomeError
from .steps import IssueStep, LockStep, ReadStep, ReleaseStep, RenewStep, Row, UnknownError, WriteStep


def operation_for(step: LockStep) -> ApiOperation[Any]:
    match step:
        case IssueStep(lock, _, ttl):
            return client.acquire(lock, ttl)
        case RenewStep(lock, token):
            return client.renew(lock, token)
        case ReleaseStep(lock, token):
            return client.release(lock, token)
        case WriteStep(key, value, token, nonce):
            return client.fenced_put(key, value, token, nonce)
        case ReadStep(key):
            return client.fenced_get(key)


def row_of(step: LockStep, answer: Any) -> Row | None:
    """A grant, what a key holds, or whether it was done; token 0 is that of a key never written."""
    match step, answer:
        case _, client.HeldLock(_, token, nonce):
            return token, nonce
        case _, client.Fenced(value, token):
            return (str(value), token) if token else None
        case ((RenewStep() | ReleaseStep() | WriteStep()), True):
            return step.token, step.nonce
    return None


class ClusterStore:
    """`nodes`: the addresses of some, as http://HOST:PORT. One request under way at a time."""

    def __init__(self, nodes: Sequence[str], name: str | None = None, deadline: float = 10.0) -> None:
        self._client = Client(nodes, name, deadline)

    def perform(self, step: LockStep) -> Row | None:
        try:
            return row_of(step, self._client.do(operation_for(step)))
        except UnknownOutcomeError as error:
            raise UnknownError(step, error) from error

    def close(self) -> None:
        self._client.close()


class AsyncClusterStore:
    """The same for asyncio."""

    def __init__(self, nodes: Sequence[str], name: str | None = None, deadline: float = 10.0) -> None:
        self._client = AsyncClient(nodes, name, deadline)

    async def perform(self, step: LockStep) -> Row | None:
        try:
            return row_of(step, await self._client.do(operation_for(step)))
        except UnknownOutcomeError as error:
            raise UnknownError(step, error) from error

    async def close(self) -> None:
        await self._client.close()
