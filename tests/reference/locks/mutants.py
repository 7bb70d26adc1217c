"""Stores with one thing wrong, each of which somebody has shipped: the scripts and statements, edited.

A store is edited when its test begins: where a text has changed so much that an edit finds no place, that one
test fails and says so, and all others run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oneleader_raft.locks.redis import SCRIPTS, RedisStore
from oneleader_raft.locks.sqlite import STATEMENTS, SqliteStore
from oneleader_raft.locks.steps import IssueStep, LockStep, ReleaseStep, Row, WriteStep

Edit = tuple[type[LockStep], str, str]  # in which step, what, and what stands there instead


def edited(texts: Any, edits: tuple[Edit, ...]) -> dict[type[LockStep], str]:
    changed = dict(texts)
    for step, old, new in edits:
        if old not in changed[step]:
            raise LookupError(f"the text of {step.__name__} has no {old!r} any more: write this edit again")
        changed[step] = changed[step].replace(old, new)
    return changed


@dataclass(frozen=True)
class Wrong:
    """A store and what is wrong in its texts."""

    kind: type[RedisStore] | type[SqliteStore]
    edits: tuple[Edit, ...]

    def store(self) -> type[Any]:
        """LookupError where an edit finds no place."""
        if issubclass(self.kind, RedisStore):
            return type("Mutant", (self.kind,), {"scripts": edited(SCRIPTS, self.edits)})
        return type("Mutant", (self.kind,), {"statements": edited(STATEMENTS, self.edits)})


def redis_with(*edits: Edit) -> Wrong:
    return Wrong(RedisStore, edits)


def sqlite_with(*edits: Edit) -> Wrong:
    return Wrong(SqliteStore, edits)


class CheckThenWrite(SqliteStore):
    """Reads the greatest token, compares, and then writes: in between, others do what they do. Its statement
    is to write whatever the token."""

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self.between: list[Callable[[], None]] = []

    def perform(self, step: LockStep) -> Row | None:
        if not isinstance(step, WriteStep):
            return super().perform(step)
        query = "SELECT token, nonce FROM oneleader_fenced WHERE key = ?"
        seen = self._connection.execute(query, (step.key,)).fetchone()
        is_newer = seen is None or step.token > seen[0]
        is_the_same_grant = seen == (step.token, step.nonce)
        if not (is_newer or is_the_same_grant):
            return None
        while self.between:
            self.between.pop()()
        return super().perform(step)


GRANT = "AND token = :token AND nonce = :nonce AND expires"
HOLDER = "token ~= ARGV[1] or nonce ~= ARGV[2] or "

# name: the store, and which answers of it the model does not allow.
MUTANTS: dict[str, tuple[Wrong, str]] = {
    "redis: tokens compared as strings": (
        redis_with((WriteStep, "is_newer(ARGV[2], seen[1])", "ARGV[2] > seen[1]")),
        "refuse_write|accept_write",
    ),
    "redis: tokens compared as doubles": (
        redis_with((WriteStep, "is_newer(ARGV[2], seen[1])", "tonumber(ARGV[2]) > tonumber(seen[1])")),
        "refuse_write",
    ),
    "redis: the token expires with the lock": (
        redis_with((WriteStep, "  return {ARGV", "  redis.call('PEXPIRE', KEYS[1], 0)\n  return {ARGV")),
        "accept_write|read",
    ),
    "redis: the lock goes with its counter": (
        redis_with(
            (ReleaseStep, "redis.call('HSET', KEYS[1], 'expires', '0')", "redis.call('DEL', KEYS[1])")
        ),
        "acquire",
    ),
    "redis: the nonce is ignored": (
        redis_with((WriteStep, " and seen[2] == ARGV[3]", "")),
        "accept_write",
    ),
    "redis: one write a token": (
        redis_with((WriteStep, " or is_the_same_grant", "")),
        "refuse_write",
    ),
    "redis: release does not compare": (redis_with((ReleaseStep, HOLDER, "")), "release"),
    "sqlite: tokens compared as strings": (
        sqlite_with(
            (
                WriteStep,
                "seen.token < excluded.token",
                "CAST(seen.token AS TEXT) < CAST(excluded.token AS TEXT)",
            )
        ),
        "refuse_write|accept_write",
    ),
    "sqlite: `>=` for `>`": (
        sqlite_with((WriteStep, "seen.token < excluded.token", "seen.token <= excluded.token")),
        "accept_write",
    ),
    "sqlite: release does not compare": (sqlite_with((ReleaseStep, GRANT, "AND expires")), "release"),
    "sqlite: release compares tokens alone": (
        sqlite_with((ReleaseStep, " AND nonce = :nonce", "")),
        "release",
    ),
    "sqlite: issue does not look": (
        sqlite_with((IssueStep, "WHERE held.expires <= ", "WHERE 0 <= ")),
        "acquire",
    ),
    "sqlite: check, then write": (
        Wrong(CheckThenWrite, ((WriteStep, "seen.token < excluded.token", "true"),)),
        "accept_write|read",
    ),
}
