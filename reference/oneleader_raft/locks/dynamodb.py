"""Locks in DynamoDB (boto3): each step is one conditional write of one item, or a consistent read.

The table has a string as its partition key, `name`, and nothing else. A lock is the item `lock/NAME` (token,
nonce, expires), a key is the item `fenced/KEY` (token, nonce, value); neither is ever deleted, so do not
enable DynamoDB's time to live on `expires`.

What it assumes: a table in one region. A global table in its usual mode lets two regions write at once and
keeps one of the writes: then nothing here holds. DynamoDB has no clock that a condition could ask, so a lock
expires by the wall clock of the host that asks: set forward it ends a lock early, and fencing holds whatever
it shows. A backup that is restored sets tokens back.

boto3 repeats a request whose answer was lost. Where the repeated one is refused, the first may have done what
was asked and somebody else gone on from there, so that is unknown and no refusal.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from .boto import was_repeated
from .steps import IssueStep, LockStep, ReadStep, ReleaseStep, RenewStep, Row, UnknownError, WriteStep

TABLE = "oneleader"
KEY = "name"
REFUSED = "ConditionalCheckFailedException"

# Of each step: what has to be so, and what is changed then. Names have a `#`, as DynamoDB reserves some.
IS_OF_GRANT = "#token = :token AND #nonce = :nonce AND #expires > :now"
CONDITIONS: Mapping[type[LockStep], str] = {
    IssueStep: "attribute_not_exists(#token) OR #expires <= :now",
    RenewStep: IS_OF_GRANT,
    ReleaseStep: IS_OF_GRANT,
    WriteStep: ("attribute_not_exists(#token) OR #token < :token OR (#token = :token AND #nonce = :nonce)"),
}
UPDATES: Mapping[type[LockStep], str] = {
    IssueStep: "SET #token = if_not_exists(#token, :zero) + :one, #nonce = :nonce, #expires = :expires",
    RenewStep: "SET #expires = :expires",
    ReleaseStep: "SET #expires = :zero",
    WriteStep: "SET #token = :token, #nonce = :nonce, #value = :value",
}


def make_table(client: Any, table: str = TABLE) -> None:
    """The table, paid by the request; it is there when this returns."""
    key = {"AttributeName": KEY, "KeyType": "HASH"}
    attribute = {"AttributeName": KEY, "AttributeType": "S"}
    client.create_table(
        TableName=table,
        KeySchema=[key],
        AttributeDefinitions=[attribute],
        BillingMode="PAY_PER_REQUEST",
    )
    client.get_waiter("table_exists").wait(TableName=table)


def values(step: LockStep, now: int) -> dict[str, int | str]:
    """All that a condition or an update may name."""
    known = {f":{name}": value for name, value in vars(step).items()}
    return known | {":now": now, ":expires": now + int(known.get(":ttl", 0)), ":zero": 0, ":one": 1}


def typed(value: int | str) -> dict[str, str]:
    return {"N": str(value)} if isinstance(value, int) else {"S": value}


class DynamoStore:
    """`client` is boto3's: `boto3.client("dynamodb")`; it may be shared by threads."""

    conditions = CONDITIONS

    def __init__(self, client: Any, table: str = TABLE) -> None:
        self._client, self._table = client, table

    def perform(self, step: LockStep) -> Row | None:
        is_of_key = isinstance(step, WriteStep | ReadStep)
        key = {KEY: {"S": f"fenced/{step.key}" if is_of_key else f"lock/{step.lock}"}}  # type: ignore[union-attr]
        try:
            return self._read(key) if isinstance(step, ReadStep) else self._write(step, key)
        except ClientError as error:
            if error.response["Error"]["Code"] == REFUSED and not was_repeated(error):
                return None
            raise UnknownError(step, error) from error
        except BotoCoreError as error:
            raise UnknownError(step, error) from error

    def close(self) -> None:
        pass

    def _read(self, key: Any) -> Row | None:
        item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return (item["value"]["S"], int(item["token"]["N"])) if item else None

    def _write(self, step: LockStep, key: Any) -> Row:
        condition, update = self.conditions[type(step)], UPDATES[type(step)]
        text = f"{condition} {update}"
        names = {f"#{name}": name for name in ("token", "nonce", "expires", "value") if f"#{name}" in text}
        known = values(step, time.time_ns() // 1_000_000)
        answer = self._client.update_item(
            TableName=self._table,
            Key=key,
            ConditionExpression=condition,
            UpdateExpression=update,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={n: typed(v) for n, v in known.items() if n in named(text)},
            ReturnValues="ALL_NEW",
        )["Attributes"]
        return int(answer["token"]["N"]), answer["nonce"]["S"]


def named(text: str) -> set[str]:
    """The values that an expression names."""
    return {word.strip("(),") for word in text.split() if word.strip("(),").startswith(":")}


class AsyncDynamoStore:
    """The same in a thread."""

    def __init__(self, client: Any, table: str = TABLE) -> None:
        self._store = DynamoStore(client, table)

    async def perform(self, step: LockStep) -> Row | None:
        return await asyncio.to_thread(self._store.perform, step)

    async def close(self) -> None:
        pass
