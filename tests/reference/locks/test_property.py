"""One property test for every store; and what it finds in stores that are wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from oneleader_raft.locks.sqlite import SqliteStore
from oneleader_raft.locks.steps import WriteStep
from tests.reference.locks import subjects
from tests.reference.locks.machine import Broken, Subject, machine, play
from tests.reference.locks.mutants import MUTANTS, Wrong, redis_with, sqlite_with

EXAMPLES = max(60, settings.default.max_examples)
STEPS = settings(
    max_examples=EXAMPLES, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
SEARCH = settings(
    STEPS,
    max_examples=1000,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
EVENTS = {
    *("acquired", "held", "expired", "released", "released in vain", "renewed", "lost"),
    *("failed over", "accepted", "refused", "raced"),
}

STORES: dict[str, Callable[[pytest.FixtureRequest, Path], AbstractContextManager[Subject]]] = {
    "sqlite": lambda _, folder: subjects.sqlite(folder / "locks.db"),
    "sqlite, async": lambda _, folder: subjects.async_sqlite(folder / "locks.db"),
    "postgres": lambda request, _: subjects.postgres(request.getfixturevalue("postgres_server")),
    "postgres, async": lambda request, _: subjects.async_postgres(request.getfixturevalue("postgres_server")),
    "redis": lambda request, _: subjects.redis_(request.getfixturevalue("redis_server")),
    "redis, async": lambda request, _: subjects.async_redis(request.getfixturevalue("redis_server")),
    "etcd": lambda request, _: subjects.etcd(request.getfixturevalue("etcd_server")),
    "etcd, async": lambda request, _: subjects.async_etcd(request.getfixturevalue("etcd_server")),
    "dynamodb": lambda request, _: subjects.dynamodb(request.getfixturevalue("dynamodb_client")),
    "s3": lambda request, _: subjects.s3(request.getfixturevalue("s3_client")),
    "cluster": lambda request, _: subjects.cluster(request.getfixturevalue("nodes")),
    "cluster, async": lambda request, _: subjects.async_cluster(request.getfixturevalue("nodes")),
}


@pytest.mark.parametrize("name", STORES)
def test_a_store_does_only_what_the_model_allows(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    slow = {"cluster": 6, "etcd": 6, "dynamodb": 12, "s3": 12}
    share = slow.get(name.split(",")[0], 1) * (2 if "async" in name else 1)
    few = settings(STEPS, max_examples=EXAMPLES // share, derandomize=True, database=None)
    with STORES[name](request, tmp_path) as subject:
        driven = machine(subject)
        run_state_machine_as_test(driven, settings=few if share > 1 else STEPS)
    if share == 1:
        assert driven.happened.keys() == EVENTS, "otherwise something was never tried"
    if "etcd" not in name:  # its issuer loses nothing, and is not replaced
        assert driven.happened.keys() >= {"taken over" if subject.replace else "failed over"}


def with_fault(wrong: Wrong, request: pytest.FixtureRequest, folder: Path) -> AbstractContextManager[Subject]:
    kind = wrong.store()
    if issubclass(kind, SqliteStore):
        return subjects.sqlite(folder / "locks.db", kind)
    return subjects.redis_(request.getfixturevalue("redis_server"), kind)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_store_is_caught(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    wrong, what = MUTANTS[name]
    with with_fault(wrong, request, tmp_path) as subject, pytest.raises(Broken) as caught:
        run_state_machine_as_test(machine(subject), settings=SEARCH)
    assert re.match(what, str(caught.value))


def test_an_edit_without_a_place_fails_alone() -> None:
    """Any change of a shipped text may take an edit's place away; the property test goes on all the same."""
    for wrong in (redis_with((WriteStep, "no such text", "")), sqlite_with((WriteStep, "no such text", ""))):
        with pytest.raises(LookupError, match="the text of WriteStep has no 'no such text' any more"):
            wrong.store()


# name: the greatest token before, what happens, and the property that this breaks.
SCENARIOS = {
    "redis: tokens compared as strings": (
        8,
        "acquire, write 0, expire, acquire, write 1",
        "newest_is_never_refused",
    ),
    "redis: tokens compared as doubles": (
        2**53 - 1,
        "acquire, write 0, expire, acquire, write 1",
        "newest_is_never_refused",
    ),
    "redis: the nonce is ignored": (
        0,
        "acquire, expire, acquire, write 1, fail_over 1, acquire, write 2",
        "one_holder_per_token",
    ),
    "sqlite: `>=` for `>`": (
        0,
        "acquire, expire, acquire, write 1, fail_over 1, acquire, write 2",
        "one_holder_per_token",
    ),
    "sqlite: check, then write": (0, "acquire, expire, acquire, race 0 1", "no_stale_write"),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_shortest_way_to_break_a_property(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    first, steps, breaks = SCENARIOS[name]
    with with_fault(MUTANTS[name][0], request, tmp_path) as subject, pytest.raises(Broken) as caught:
        play(machine(subject)(), first, steps)
    assert breaks in caught.value.properties


@pytest.mark.parametrize("name", STORES)
def test_and_no_store_takes_it(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with STORES[name](request, tmp_path) as subject:
        for first, steps, _ in SCENARIOS.values():
            if subject.set_back is not None or "fail_over" not in steps:  # a cluster loses nothing
                play(machine(subject)(), first, steps)


@pytest.mark.parametrize(
    ("condition", "first", "steps", "breaks"),
    [
        (
            "attribute_not_exists(#token) OR #token <= :token",
            0,
            "acquire, expire, acquire, write 1, fail_over 1, acquire, write 2",
            "one_holder_per_token",
        ),
        (
            "attribute_not_exists(#token) OR #token < :token",
            0,
            "acquire, write 0, write 0",
            "newest_is_never_refused",
        ),
        (
            "#token <> :zero OR attribute_not_exists(#token)",
            0,
            "acquire, expire, acquire, write 1, write 0",
            "no_stale_write",
        ),
    ],
)
def test_a_wrong_condition_in_dynamodb_is_caught(
    condition: str, first: int, steps: str, breaks: str, dynamodb_client: Any
) -> None:
    from oneleader_raft.locks.dynamodb import CONDITIONS, DynamoStore

    class WrongStore(DynamoStore):
        conditions = CONDITIONS | {WriteStep: condition}

    with subjects.dynamodb(dynamodb_client, WrongStore) as subject, pytest.raises(Broken) as caught:
        play(machine(subject)(), first, steps)
    assert breaks in caught.value.properties
