"""Locks in etcd 3.4 or later, by its JSON gateway: each step is a transaction. Needs nothing to be installed.

A token is the revision of etcd at which the lock's key was created: given once, and growing over all locks.
The key goes with its lease, the revision does not, so nothing has to be kept of a lock that is over. A fenced
key holds token, nonce and value as one text that begins with the token in nineteen digits, as etcd compares
texts: then "newer" is a comparison of texts, in the transaction that writes.

What it assumes: what etcd does, a majority up and disks that keep what they synced. A backup that is restored
sets revisions back, and with them tokens. A lease lasts whole seconds, two at the least, by the clock of
etcd's leader, and begins again with a new leader: a lock lasts its ttl at the least.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.error
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any, TypeAlias

from .steps import IssueStep, LockStep, ReadStep, ReleaseStep, RenewStep, Row, UnknownError, WriteStep

Json: TypeAlias = dict[str, Any]
PREFIX = "oneleader"
DIGITS = 19  # of the greatest token


# -- What is asked -------------------------------------------------------------------------------------


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def decoded(text: str) -> str:
    return b64decode(text).decode()


def compare(key: str, target: str, result: str, value: str) -> Json:
    """`target` is CREATE (a revision) or VALUE (a text)."""
    field = "create_revision" if target == "CREATE" else "value"
    return {"key": key, "target": target, "result": result, field: value}


def put(key: str, value: str, lease: str = "0") -> Json:
    return {"request_put": {"key": key, "value": encoded(value), "lease": lease}}


def transaction(where: Sequence[Json], then: Json, otherwise: Json | None = None) -> Json:
    return {"compare": list(where), "success": [then], "failure": [] if otherwise is None else [otherwise]}


def is_granted(key: str, step: RenewStep | ReleaseStep) -> list[Json]:
    of_this_token = compare(key, "CREATE", "EQUAL", str(step.token))
    return [of_this_token, compare(key, "VALUE", "EQUAL", encoded(step.nonce))]


def begins(token: int, nonce: str = "") -> str:
    """How the text of a write begins. A nonce is written in hexadecimal digits, so it holds no `/`."""
    return f"{token:0{DIGITS}}/{nonce.encode().hex()}"


def write(key: str, step: WriteStep) -> Json:
    """`fencing.Storage.accepts`: nothing was written, or under a lesser token, or under the same grant."""
    grant = begins(step.token, step.nonce)
    then = put(key, f"{grant}/={step.value}")
    is_first = [compare(key, "CREATE", "EQUAL", "0")]
    is_newer = [compare(key, "VALUE", "LESS", encoded(begins(step.token)))]
    is_the_same_grant = [
        compare(key, "VALUE", "GREATER", encoded(f"{grant}/")),
        compare(key, "VALUE", "LESS", encoded(f"{grant}0")),  # what comes after `/`
    ]
    or_the_same = {"request_txn": transaction(is_the_same_grant, then)}
    or_newer = {"request_txn": transaction(is_newer, then, or_the_same)}
    return transaction(is_first, then, or_newer)


# -- What is answered ----------------------------------------------------------------------------------


def has_succeeded(answer: Json) -> bool:
    """The transaction, or one within it."""
    within = (part["response_txn"] for part in answer.get("responses", ()) if "response_txn" in part)
    return bool(answer.get("succeeded")) or any(map(has_succeeded, within))


def found(answer: Json) -> Row | None:
    for pair in answer.get("kvs", ()):
        grant, _, value = decoded(pair["value"]).partition("/=")
        return value, int(grant[:DIGITS])
    return None


class EtcdStore:
    """`endpoints`: some of etcd's, as http://HOST:PORT; where one refuses the connection the next is asked.

    `tls` is the context of https, with a certificate for the client where etcd wants one."""

    def __init__(
        self, endpoints: Sequence[str], patience: float = 5.0, tls: ssl.SSLContext | None = None
    ) -> None:
        if not endpoints:
            raise ValueError("etcd needs the address of a member: http://HOST:PORT")
        self._endpoints, self._patience = [endpoint.rstrip("/") for endpoint in endpoints], patience
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)]
        self._opener = urllib.request.build_opener(*handlers)

    def perform(self, step: LockStep) -> Row | None:
        kind = "fenced" if isinstance(step, WriteStep | ReadStep) else "lock"
        name = step.key if isinstance(step, WriteStep | ReadStep) else step.lock
        key = encoded(f"{PREFIX}/{kind}/{name}")
        match step:
            case IssueStep(_, nonce, ttl):
                return self._issue(step, key, nonce, ttl)
            case ReadStep():
                return found(self._ask(step, "kv/range", {"key": key}))
            case RenewStep(_, _, nonce, ttl):
                wanted = transaction(is_granted(key, step), put(key, nonce, self._lease(step, ttl)))
            case ReleaseStep():
                wanted = transaction(is_granted(key, step), {"request_delete_range": {"key": key}})
            case WriteStep():
                wanted = write(key, step)
        return (step.token, step.nonce) if has_succeeded(self._ask(step, "kv/txn", wanted)) else None

    def close(self) -> None:
        pass

    def _issue(self, step: LockStep, key: str, nonce: str, ttl: int) -> Row | None:
        lease = self._lease(step, ttl)
        is_free = [compare(key, "CREATE", "EQUAL", "0")]
        answer = self._ask(step, "kv/txn", transaction(is_free, put(key, nonce, lease)))
        if has_succeeded(answer):
            return int(answer["header"]["revision"]), nonce
        self._ask(step, "lease/revoke", {"ID": lease})
        return None

    def _lease(self, step: LockStep, ttl: int) -> str:
        """Whole seconds, no fewer than the ttl."""
        return str(self._ask(step, "lease/grant", {"TTL": str(-(-ttl // 1000))})["ID"])

    def _ask(self, step: LockStep, path: str, body: Json) -> Json:
        cause: object = "no endpoint"
        for endpoint in self._endpoints:
            request = urllib.request.Request(f"{endpoint}/v3/{path}", json.dumps(body).encode())
            try:
                with self._opener.open(request, timeout=self._patience) as answer:
                    return json.load(answer)  # type: ignore[no-any-return]
            except urllib.error.HTTPError as error:
                raise UnknownError(step, error.read(500).decode(errors="replace").strip()) from error
            except (OSError, ValueError, HTTPException) as error:
                cause = getattr(error, "reason", error)
                if not isinstance(cause, ConnectionRefusedError):
                    break  # it may have happened
        raise UnknownError(step, cause)


class AsyncEtcdStore:
    """The same in a thread."""

    def __init__(
        self, endpoints: Sequence[str], patience: float = 5.0, tls: ssl.SSLContext | None = None
    ) -> None:
        self._store = EtcdStore(endpoints, patience, tls)

    async def perform(self, step: LockStep) -> Row | None:
        return await asyncio.to_thread(self._store.perform, step)

    async def close(self) -> None:
        pass
