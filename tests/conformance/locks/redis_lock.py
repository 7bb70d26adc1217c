"""The same locks over Redis. Time is moved by ending the lock in the server, and on the clients' clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from oneleader_raft.locks import Locks
from oneleader_raft.locks.redis import RedisStore
from tests.conformance.locks.sqlite_lock import SqliteLock

KEY = "oneleader:lock:lock"


class MovedStore(RedisStore):
    """Its `seconds` are those of the clients. The server's own go on, and are too few to matter."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.client, self.seconds = client, 1.0


class RedisLock(SqliteLock):
    ttl = 3600.0

    def __init__(self, client: redis.Redis, clients: Sequence[str]) -> None:
        client.flushdb()
        self.moved = MovedStore(client)
        self.kept = self.moved  # type: ignore[assignment]
        self.locks = Locks(self.moved, clock=lambda: self.moved.seconds)
        self.deadlines = {}

    def expire(self) -> None:
        self.moved.seconds += 2 * self.ttl
        if self.moved.client.exists(KEY):
            self.moved.client.hset(KEY, "expires", 0)
