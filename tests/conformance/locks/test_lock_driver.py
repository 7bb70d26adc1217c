"""Locks through the driver: our own hold; each wrong one is found, by what clients see and by the model."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from oneleader.cli.conform import conform
from oneleader.conformance.locks import trial as clauses
from oneleader.conformance.locks.driver import conform_lock, lock_again
from oneleader.conformance.locks.trial import CLIENTS, LOCK_CLAUSES
from oneleader.conformance.reference.patch import LOCKS
from oneleader.errors import UsageError
from oneleader.faults.catalogue import FAULTS
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict
from tests.conformance.locks.redis_lock import RedisLock
from tests.conformance.locks.sqlite_lock import (
    AnybodyReleases,
    ReadsAnOldValue,
    RefusesTheNewest,
    SqliteLock,
    TokensGoBack,
    WithoutFencing,
    WritesAfterItsTime,
)
from tests.places import ROOT
from tests.services import RedisServer, redis_server
from workshop.studies.reference_lock import ReferenceLock

__all__ = ["redis_server"]

CURRENT = "accept_write: write_is_current (fencing: no token older than one seen, one grant a token)"
WRONG = {
    WithoutFencing: (clauses.STALE, CURRENT),
    TokensGoBack: (clauses.TOKENS, "acquire: token_is_newer (fencing: strictly monotone)"),
    WritesAfterItsTime: (clauses.OVER, None),
    AnybodyReleases: (clauses.ONE, "acquire: lock_is_free (the lock: one holder at a time)"),
    RefusesTheNewest: (
        None,
        "refuse_write: write_is_stale (fencing: a newer grant has written, or its duplicate)",
    ),
    ReadsAnOldValue: (clauses.LAST, None),
}


@pytest.mark.parametrize("clients", [1, 3])
def test_our_own_lock_holds(clients: int) -> None:
    found = conform_lock(SqliteLock, clients=clients, walks=100, seed=1)
    assert found.verdicts == {CLIENTS: HOLDS, "fencing": HOLDS}, found.text
    assert not found.not_judged


def test_so_it_does_over_redis(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        found = conform_lock(partial(RedisLock, client), walks=40, seed=1)
    assert found.verdicts == {CLIENTS: HOLDS, "fencing": HOLDS}, found.text


def test_each_clause_is_seen_to_fail() -> None:
    assert {clause for clause, _ in WRONG.values()} - {None} == set(LOCK_CLAUSES)


@pytest.mark.parametrize("kind", WRONG, ids=lambda kind: kind.__name__)
def test_a_wrong_one_is_found(kind: type[SqliteLock]) -> None:
    clause, guard = WRONG[kind]
    wanted = {f"{CLIENTS}: {clause}" if clause else "", f"fencing: {guard}" if guard else ""} - {""}
    found = conform_lock(kind, walks=60, seed=1)
    assert wanted <= {cause.key for cause in found.causes}, found.text
    for cause in found.causes:
        assert len(cause.events) <= 8, cause
        assert cause.key in {again.key for again in lock_again(kind, cause.events).causes}


@pytest.mark.parametrize(("id", "verdict"), [("", HOLDS), ("no-nonce", VIOLATED)])
def test_an_issuer_may_lose_its_last_grants(id: str, verdict: Verdict) -> None:
    """Of two grants with one token one may write; after two that were lost tokens begin lower."""
    rules = FAULTS[id].variant.core if id else LOCKS
    found = conform_lock(partial(ReferenceLock, rules=rules), walks=100, seed=1)
    assert found.verdict is verdict, found.text


class NeverGranted(SqliteLock):
    def acquire(self, client: str) -> None:
        return None


def test_where_the_lock_is_never_granted_nothing_holds() -> None:
    assert conform_lock(NeverGranted, walks=5, seed=1).verdict is INCONCLUSIVE


def run(name: str, *arguments: str) -> Result:
    shim = [sys.executable, "-m", "tests.conformance.locks.sqlite_lock", name]
    return CliRunner().invoke(conform, [*arguments, "--", *shim], standalone_mode=False)


@pytest.fixture
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PYTHONPATH", "spec:reference:.")


@pytest.mark.usefixtures("_at_the_root")
@pytest.mark.parametrize(("name", "status"), [("SqliteLock", 0), ("WithoutFencing", 1)])
def test_through_a_shim(name: str, status: int, tmp_path: Path) -> None:
    done = run(name, "--walks", "30", "--seed", "1", "--json", "--out", str(tmp_path))
    assert done.return_value == status, done.output
    assert json.loads(done.output)["verdicts"]["fencing"] == str(VIOLATED if status else HOLDS)
    for path in tmp_path.iterdir():
        again = run(name, "--again", str(path))
        assert (again.return_value, json.loads(path.read_text())["cause"] in again.output) == (1, True)


@pytest.mark.usefixtures("_at_the_root")
def test_a_lock_has_no_liveness() -> None:
    done = run("SqliteLock", "--liveness")
    assert isinstance(done.exception, UsageError), done.output
