"""Locks in S3: the condition of each write, writes that arrive twice, and whose answers are lost."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from oneleader_raft.locks import AsyncLocks, Found, HeldError, Locks, StaleError, UnknownError
from oneleader_raft.locks.steps import IssueStep, LockError, ReadStep, ReleaseStep, RenewStep, WriteStep
from tests.reference.locks import subjects
from tests.reference.locks.lost import answer_lost
from tests.reference.locks.machine import Broken, machine, play

botocore = pytest.importorskip("botocore", reason="boto3 is missing: pip install 'oneleader[s3]'")

from botocore.exceptions import ClientError, EndpointConnectionError  # noqa: E402

from oneleader_raft.locks.s3 import MOST_TRIES, AsyncS3Store, S3Store  # noqa: E402

BUCKET = "locks"


class Unconditional(S3Store):
    """Reads, compares, and writes whatever is there by then."""

    def _put(self, place: str, content: Any, etag: str) -> bool:
        self._client.put_object(Bucket=self._bucket, Key=place, Body=json.dumps(content).encode())
        return True


class Blind(S3Store):
    """Compares ETags, and replaces an object that others have made meanwhile."""

    def _put(self, place: str, content: Any, etag: str) -> bool:
        return super()._put(place, content, etag) if etag else Unconditional._put(self, place, content, etag)


@pytest.mark.parametrize("wrong", [Unconditional, Blind])
def test_a_write_without_its_condition_is_caught(wrong: type[S3Store], s3_client: Any) -> None:
    with subjects.s3(s3_client, wrong) as subject, pytest.raises(Broken) as caught:
        play(machine(subject)(), 0, "acquire, expire, acquire, race 0 1")
    assert "no_stale_write" in caught.value.properties


class Network:
    """Between a store and S3: it keeps what is written."""

    def __init__(self, client: Any) -> None:
        self.sent: list[dict[str, Any]] = []
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_object(self, **request: Any) -> Any:
        self.sent.append(request)
        return self._client.put_object(**request)


class Wordless(S3Store):
    """Its objects hold nothing but what was asked for: a content may come back, and its ETag does."""

    def _put(self, place: str, content: Any, etag: str) -> bool:
        return super()._put(place, content | {"write": ""}, etag)


@pytest.mark.parametrize(("kind", "keeps"), [(S3Store, True), (Wordless, False)])
def test_a_write_that_arrives_twice_lands_once_though_a_value_comes_back(
    kind: type[S3Store], keeps: bool, s3_client: Any
) -> None:
    """ABA: blue, red, blue, and red once more."""
    network = Network(s3_client)
    locks, key = Locks(kind(network, BUCKET)), f"colour {kind.__name__}"
    grant = locks.acquire(key)
    for value in ("blue", "red", "blue"):
        locks.write(grant, key, value)
    late = network.sent[2]
    assert b"red" in late["Body"]
    if keeps:
        with pytest.raises(ClientError, match="PreconditionFailed"):
            s3_client.put_object(**late)
    else:
        s3_client.put_object(**late)
    assert locks.read(key) == Found("blue" if keeps else "red", grant.token)


def test_a_write_whose_answer_is_lost_is_not_taken_for_somebody_elses(s3_client: Any) -> None:
    store = S3Store(s3_client, BUCKET)
    for step in (
        IssueStep("lost", "n", 60_000),
        RenewStep("lost", 1, "n", 60_000),
        WriteStep("lost", "v", 1, "n"),
        ReleaseStep("lost", 1, "n"),
    ):
        with answer_lost(s3_client, "s3.PutObject"):
            assert store.perform(step) == (1, "n"), step
    assert store.perform(IssueStep("lost", "m", 60_000)) == (2, "m")


def test_who_is_always_overtaken_gives_up(s3_client: Any) -> None:
    class Overtaken(S3Store):
        tries = 0

        def _put(self, place: str, content: Any, etag: str) -> bool:
            self.tries += 1
            s3_client.put_object(
                Bucket=BUCKET, Key=place, Body=json.dumps(content | {"write": str(self.tries)}).encode()
            )
            return super()._put(place, content, etag)

    store = Overtaken(s3_client, BUCKET)
    with pytest.raises(UnknownError, match="others have written oneleader/fenced/busy 50 times meanwhile"):
        store.perform(WriteStep("busy", "v", 1, "n"))
    assert store.tries == MOST_TRIES


def test_what_s3_says_is_not_called_a_refusal(s3_client: Any) -> None:
    """A bucket that is not there, a server that does not answer, an object of somebody else."""

    class Nobody:
        def get_object(self, **request: Any) -> Any:
            raise EndpointConnectionError(endpoint_url="http://nowhere")

    for store in (S3Store(s3_client, "absent"), S3Store(Nobody(), BUCKET)):
        for step in (WriteStep("k", "v", 1, "n"), ReadStep("k"), IssueStep("k", "n", 1000)):
            with pytest.raises(UnknownError):
                store.perform(step)
            with pytest.raises(UnknownError):
                asyncio.run(AsyncS3Store(store._client, store._bucket).perform(step))
    for body in (b"", b"hello", b"[]", b'{"token": 1}'):
        s3_client.put_object(Bucket=BUCKET, Key="oneleader/lock/theirs", Body=body)
        with pytest.raises(LockError, match="was not written by these locks"):
            S3Store(s3_client, BUCKET).perform(IssueStep("theirs", "n", 1000))


def test_no_name_is_another_ones_place(s3_client: Any) -> None:
    store = S3Store(s3_client, BUCKET)
    names = [
        "a",
        "A",
        "a/b",
        "a%2Fb",
        "../fenced/a",
        "..",
        ".",
        "%2E",
        " ",
        "+",
        "\u00e9",
        "e\u0301",
        "*",
        "\n",
    ]
    for name in names:
        assert store.perform(IssueStep(name, f"of {name}", 60_000)) == (1, f"of {name}")
        assert store.perform(WriteStep(name, name, 1, "n")) == (1, "n")
    assert [store.perform(ReadStep(name)) for name in names] == [(name, 1) for name in names]
    longest = "\u4e2d" * 66
    assert store.perform(IssueStep(longest, "n", 1000)) == (1, "n")


def test_async_locks_do_the_same(s3_client: Any) -> None:
    async def use() -> None:
        async with AsyncLocks(AsyncS3Store(s3_client, BUCKET)) as locks:
            old = await locks.acquire("async")
            with pytest.raises(HeldError):
                await locks.acquire("async")
            assert await locks.release(old)
            new = await locks.acquire("async")
            await locks.write(new, "async", "new")
            with pytest.raises(StaleError):
                await locks.write_with_fencing("async", "old", old.token, old.nonce)
            assert await locks.read("async") == Found("new", new.token)

    asyncio.run(use())
