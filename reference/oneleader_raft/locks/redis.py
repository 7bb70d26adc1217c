"""Locks in Redis 5 or later (redis-py), also in Redis Cluster: each step is a script over one key.

What it assumes: Redis remembers. `appendonly yes` with `appendfsync always`, and no eviction (`noeviction`,
or a volatile-* policy: no key here has a time to live). And that no replica is promoted: replication is
asynchronous, so a promotion can lose the greatest token, and then an older one is accepted. Fencing does not
survive it, and no nonce helps. Locks expire by the server's TIME.

A client must send each command once. redis-py 6 and later repeats one whose answer was lost, up to ten times:
a write that was accepted may then be refused, or land once more upon a later one.

Lua's numbers are doubles, in which 2^53 and 2^53 + 1 are equal, and its strings compare "9" > "10". So a
token stays a string, a canonical decimal, and is compared by length and then digit by digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from hashlib import sha1
from typing import Any, TypeAlias

from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import NoScriptError, TimeoutError

from .steps import IssueStep, LockStep, ReadStep, ReleaseStep, RenewStep, Row, UnknownError, WriteStep

PREFIX = "oneleader"

CLOCK = """
local function now()  -- milliseconds
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function milliseconds(number) return string.format('%.0f', number) end
"""

TOKENS = """
local function is_token(t)  -- canonical, and at most 2^63 - 1
  return string.match(t, '^[1-9]%d*$') and (#t < 19 or #t == 19 and t <= '9223372036854775807')
end
local function is_newer(a, b)
  if #a ~= #b then return #a > #b end
  for i = 1, #a do
    if a:byte(i) ~= b:byte(i) then return a:byte(i) > b:byte(i) end
  end
  return false
end
"""

HELD = """
local held = redis.call('HMGET', KEYS[1], 'token', 'nonce', 'expires')
local token, nonce, expires = held[1], held[2], tonumber(held[3] or '0')
"""

ISSUE = f"""{CLOCK}{HELD}
if expires > now() then return false end
redis.call('HINCRBY', KEYS[1], 'token', 1)
redis.call('HSET', KEYS[1], 'nonce', ARGV[1], 'expires', milliseconds(now() + ARGV[2]))
return redis.call('HMGET', KEYS[1], 'token', 'nonce')
"""

RENEW = f"""{CLOCK}{HELD}
if token ~= ARGV[1] or nonce ~= ARGV[2] or expires <= now() then return false end
redis.call('HSET', KEYS[1], 'expires', milliseconds(now() + ARGV[3]))
return {{token, nonce}}
"""

RELEASE = f"""{CLOCK}{HELD}
if token ~= ARGV[1] or nonce ~= ARGV[2] or expires <= now() then return false end
redis.call('HSET', KEYS[1], 'expires', '0')
return {{token, nonce}}
"""

WRITE = f"""{TOKENS}
if not is_token(ARGV[2]) then return redis.error_reply('ERR no token: ' .. ARGV[2]) end
local seen = redis.call('HMGET', KEYS[1], 'token', 'nonce')
local is_first = not seen[1]
local is_the_same_grant = seen[1] == ARGV[2] and seen[2] == ARGV[3]
if is_first or is_newer(ARGV[2], seen[1]) or is_the_same_grant then
  redis.call('HSET', KEYS[1], 'value', ARGV[1], 'token', ARGV[2], 'nonce', ARGV[3])
  return {{ARGV[2], ARGV[3]}}
end
return false
"""

READ = """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
return redis.call('HMGET', KEYS[1], 'value', 'token')
"""

SCRIPTS: Mapping[type[LockStep], str] = {
    IssueStep: ISSUE,
    RenewStep: RENEW,
    ReleaseStep: RELEASE,
    WriteStep: WRITE,
    ReadStep: READ,
}
KINDS = {IssueStep: "lock", RenewStep: "lock", ReleaseStep: "lock", WriteStep: "fenced", ReadStep: "fenced"}
LOST = (LostConnection, TimeoutError)
Call: TypeAlias = tuple[str, str, list[str]]  # script, key, arguments


def call_for(scripts: Mapping[type[LockStep], str], step: LockStep) -> Call:
    """The fields of a step, in order, are its key and the arguments of its script."""
    name, *rest = map(str, astuple(step))
    return scripts[type(step)], f"{PREFIX}:{KINDS[type(step)]}:{name}", rest


def row_of(step: LockStep, reply: Any) -> Row | None:
    """The row in a reply; a client may decode replies or not."""
    if reply is None:
        return None
    words = [word.decode() if isinstance(word, bytes) else str(word) for word in reply]
    position = 1 if isinstance(step, ReadStep) else 0  # of the token
    return tuple(int(word) if i == position else word for i, word in enumerate(words))


def digest(script: str) -> str:
    return sha1(script.encode()).hexdigest()


def check_client(client: Any) -> None:
    """ValueError if it would send a command again of which it has heard nothing."""
    retry = client.get_retry() if hasattr(client, "get_retry") else client.retry
    if retry is not None and retry.get_retries() != 0:
        raise ValueError(
            "a lock needs a Redis client that repeats no command whose answer was lost: "
            "give redis.Redis retry=None, and redis.RedisCluster retry=Retry(NoBackoff(), 0)"
        )


class RedisStore:
    """Over a `redis.Redis` or `redis.RedisCluster` of yours, which stays open. ValueError if it retries."""

    scripts = SCRIPTS

    def __init__(self, client: Any) -> None:
        check_client(client)
        self._client = client

    def perform(self, step: LockStep) -> Row | None:
        script, key, arguments = call_for(self.scripts, step)
        try:
            try:
                reply = self._client.evalsha(digest(script), 1, key, *arguments)
            except NoScriptError:
                reply = self._client.eval(script, 1, key, *arguments)
        except LOST as error:
            raise UnknownError(step, error) from error
        return row_of(step, reply)

    def close(self) -> None:
        pass


class AsyncRedisStore:
    """The same over a `redis.asyncio.Redis` or `redis.asyncio.RedisCluster`."""

    scripts = SCRIPTS

    def __init__(self, client: Any) -> None:
        check_client(client)
        self._client = client

    async def perform(self, step: LockStep) -> Row | None:
        script, key, arguments = call_for(self.scripts, step)
        try:
            try:
                reply = await self._client.evalsha(digest(script), 1, key, *arguments)
            except NoScriptError:
                reply = await self._client.eval(script, 1, key, *arguments)
        except LOST as error:
            raise UnknownError(step, error) from error
        return row_of(step, reply)

    async def close(self) -> None:
        pass
