"""boto3 repeats a request whose answer was lost: what is refused then may have been done."""

from __future__ import annotations

from typing import Any

import pytest

from oneleader_raft.locks import UnknownError
from oneleader_raft.locks.steps import IssueStep, ReadStep, ReleaseStep, WriteStep

pytest.importorskip("botocore", reason="boto3 is missing: pip install 'oneleader[s3]'")

from oneleader_raft.locks.dynamodb import DynamoStore
from oneleader_raft.locks.s3 import S3Store
from tests.reference.locks.lost import answer_lost

KINDS = [("dynamodb", "dynamodb.UpdateItem"), ("s3", "s3.PutObject")]


def store_of(kind: str, request: pytest.FixtureRequest) -> tuple[Any, Any]:
    client = request.getfixturevalue(f"{kind}_client")
    return client, DynamoStore(client) if kind == "dynamodb" else S3Store(client, "locks")


@pytest.mark.parametrize(("kind", "event"), KINDS)
def test_a_write_that_others_have_followed_is_unknown_and_not_refused(
    kind: str, event: str, request: pytest.FixtureRequest
) -> None:
    client, store = store_of(kind, request)

    def somebody_else() -> None:
        assert store.perform(ReadStep("followed")) == ("old", 1)  # so it was written, for all to see
        assert store.perform(WriteStep("followed", "new", 2, "m")) == (2, "m")

    with answer_lost(client, event, somebody_else), pytest.raises(UnknownError):
        store.perform(WriteStep("followed", "old", 1, "n"))
    assert store.perform(ReadStep("followed")) == ("new", 2)
    assert store.perform(WriteStep("followed", "old", 1, "n")) is None  # nothing was lost: a refusal


@pytest.mark.parametrize(("kind", "event"), KINDS)
def test_a_lock_that_was_released_and_taken_again_is_unknown(
    kind: str, event: str, request: pytest.FixtureRequest
) -> None:
    client, store = store_of(kind, request)
    assert store.perform(IssueStep("released", "n", 60_000)) == (1, "n")
    with (
        answer_lost(client, event, lambda: store.perform(IssueStep("released", "m", 60_000))),
        pytest.raises(UnknownError),
    ):
        store.perform(ReleaseStep("released", 1, "n"))
    assert store.perform(IssueStep("released", "o", 60_000)) is None
