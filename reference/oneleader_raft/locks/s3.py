"""Locks in S3 (boto3): each step reads one object and writes it on the condition that it is as it was read.

A lock is the object `oneleader/lock/NAME` (token, nonce, expires), a key is `oneleader/fenced/KEY` (token,
nonce, value), both as JSON; neither is ever deleted, so let no lifecycle rule expire them. The condition is
`If-Match` with the ETag that was read, or `If-None-Match: *` where there was no object.

An ETag is a hash of the content: where a content comes back, so does its ETag, and a write that was on its
way since the first time lands on the second (ABA). So each write puts a word into its object that was never
there before, and no content ever comes back. That word also says, of a write whose answer was lost and that
boto3 has repeated, that it was this one that happened; where it is gone, others may have written since, and
the outcome is unknown.

What it assumes: conditional writes, which Amazon has since November 2024 and not every store that speaks S3;
one that ignores the condition protects nothing. One bucket: replication to another one is asynchronous, and
a bucket that takes its place has lost writes. The right to list the bucket: without it, S3 does not tell an
object that is not there from one that is forbidden. A lock expires by the wall clock of the host that asks.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import Any
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from ..fencing import Storage
from .boto import was_repeated
from .steps import (
    IssueStep,
    LockError,
    LockStep,
    ReadStep,
    ReleaseStep,
    RenewStep,
    Row,
    UnknownError,
    WriteStep,
)

PREFIX = "oneleader/"
ABSENT = "NoSuchKey"
OVERTAKEN = ("PreconditionFailed", "ConditionalRequestConflict", ABSENT)  # it is not as it was read
MOST_TRIES = 50  # each of which somebody else has overtaken

Content = dict[str, Any]


def following(step: LockStep, held: Content | None, now: int) -> Content | None:
    """What the object holds after the step; None if the step is refused."""
    match step:
        case IssueStep(nonce=nonce, ttl=ttl):
            is_free = held is None or held["expires"] <= now
            token = held["token"] + 1 if held else 1
            return {"token": token, "nonce": nonce, "expires": now + ttl} if is_free else None
        case RenewStep(token=token, nonce=nonce) | ReleaseStep(token=token, nonce=nonce):
            is_held = held is not None and held["expires"] > now
            if not (held and is_held and (held["token"], held["nonce"]) == (token, nonce)):
                return None
            return held | {"expires": now + step.ttl if isinstance(step, RenewStep) else 0}
        case WriteStep(value=value, token=token, nonce=nonce):
            seen = Storage(held["token"], held["nonce"]) if held else Storage()
            content = {"token": token, "nonce": nonce, "value": value}
            return content if seen.accepts(token, nonce) else None
    raise TypeError(f"{step!r} writes nothing")


class S3Store:
    """`client` is boto3's: `boto3.client("s3")`; it may be shared by threads."""

    def __init__(self, client: Any, bucket: str, prefix: str = PREFIX) -> None:
        self._client, self._bucket, self._prefix = client, bucket, prefix

    def perform(self, step: LockStep) -> Row | None:
        try:
            return self._read(step) if isinstance(step, ReadStep) else self._write(step)
        except (BotoCoreError, ClientError) as error:
            raise UnknownError(step, error) from error

    def close(self) -> None:
        pass

    def _read(self, step: ReadStep) -> Row | None:
        held, _ = self._get(self._place(step))
        return (held["value"], held["token"]) if held else None

    def _write(self, step: LockStep) -> Row | None:
        place, word = self._place(step), secrets.token_hex(16)
        for _ in range(MOST_TRIES):
            held, etag = self._get(place)
            content = following(step, held, time.time_ns() // 1_000_000)
            if content is None:
                return None
            if self._put(place, content | {"write": word}, etag):
                return content["token"], content["nonce"]
        raise UnknownError(step, f"others have written {place} {MOST_TRIES} times meanwhile")

    def _place(self, step: LockStep) -> str:
        """The object's key: no name can be another's, nor a `..` that some client takes for a path."""
        is_of_key = isinstance(step, WriteStep | ReadStep)
        name = quote(step.key if is_of_key else step.lock, safe="").replace(".", "%2E")  # type: ignore[union-attr]
        return f"{self._prefix}{'fenced' if is_of_key else 'lock'}/{name}"

    def _get(self, place: str) -> tuple[Content | None, str]:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=place)
        except ClientError as error:
            if error.response["Error"]["Code"] == ABSENT:
                return None, ""
            raise
        return self._content(place, answer["Body"].read()), answer["ETag"]

    def _content(self, place: str, body: bytes) -> Content:
        try:
            held = json.loads(body)
        except ValueError:
            held = None
        kept = "value" if place.startswith(f"{self._prefix}fenced/") else "expires"
        if not isinstance(held, dict) or held.keys() != {"token", "nonce", "write", kept}:
            raise LockError(f"{place} in the bucket {self._bucket} was not written by these locks")
        return held

    def _put(self, place: str, content: Content, etag: str) -> bool:
        """False if the object is not as it was read; ClientError where this write itself may be why."""
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        body = json.dumps(content).encode()
        try:
            self._client.put_object(Bucket=self._bucket, Key=place, Body=body, **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] not in OVERTAKEN:
                raise
            if not was_repeated(error):
                return False
            held, _ = self._get(place)
            if held is None or held["write"] != content["write"]:
                raise
        return True


class AsyncS3Store:
    """The same in a thread."""

    def __init__(self, client: Any, bucket: str, prefix: str = PREFIX) -> None:
        self._store = S3Store(client, bucket, prefix)

    async def perform(self, step: LockStep) -> Row | None:
        return await asyncio.to_thread(self._store.perform, step)

    async def close(self) -> None:
        pass
