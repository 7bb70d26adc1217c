"""The five steps as SQL, one statement each: the same for SQLite and PostgreSQL but for the clock.

A statement is atomic: no other writer gets between its comparison and its writing. In PostgreSQL that takes
READ COMMITTED, where ON CONFLICT compares with the row as it is once it has been locked.

`{now}` is the store's clock in milliseconds. Where a row is left as it is, nothing is returned.
"""

from __future__ import annotations

from collections.abc import Mapping

from .steps import IssueStep, LockStep, ReadStep, ReleaseStep, RenewStep, WriteStep

TABLES = """
CREATE TABLE IF NOT EXISTS oneleader_lock (
    lock TEXT PRIMARY KEY,
    -- of the last grant: it only ever grows
    token BIGINT NOT NULL CHECK (token BETWEEN 1 AND 9223372036854775807),
    nonce TEXT NOT NULL,
    -- the lock is held until then; 0: released
    expires BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS oneleader_fenced (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    -- the greatest seen, and the grant that it was seen with
    token BIGINT NOT NULL CHECK (token BETWEEN 1 AND 9223372036854775807),
    nonce TEXT NOT NULL
);
"""

ISSUE = """
INSERT INTO oneleader_lock AS held (lock, token, nonce, expires) VALUES (:lock, 1, :nonce, {now} + :ttl)
ON CONFLICT (lock) DO UPDATE SET token = held.token + 1, nonce = excluded.nonce, expires = {now} + :ttl
WHERE held.expires <= {now}
RETURNING token, nonce
"""

RENEW = """
UPDATE oneleader_lock SET expires = {now} + :ttl
WHERE lock = :lock AND token = :token AND nonce = :nonce AND expires > {now}
RETURNING token, nonce
"""

RELEASE = """
UPDATE oneleader_lock SET expires = 0
WHERE lock = :lock AND token = :token AND nonce = :nonce AND expires > {now}
RETURNING token, nonce
"""

WRITE = """
INSERT INTO oneleader_fenced AS seen (key, value, token, nonce) VALUES (:key, :value, :token, :nonce)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, token = excluded.token, nonce = excluded.nonce
WHERE seen.token < excluded.token OR (seen.token = excluded.token AND seen.nonce = excluded.nonce)
RETURNING token, nonce
"""

READ = "SELECT value, token FROM oneleader_fenced WHERE key = :key"

STATEMENTS: Mapping[type[LockStep], str] = {
    IssueStep: ISSUE,
    RenewStep: RENEW,
    ReleaseStep: RELEASE,
    WriteStep: WRITE,
    ReadStep: READ,
}


def with_clock(now: str) -> dict[type[LockStep], str]:
    """The statements over a store's own expression for the time in milliseconds."""
    return {step: statement.replace("{now}", now) for step, statement in STATEMENTS.items()}
