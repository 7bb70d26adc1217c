"""What the API promises, without any store: deadlines, errors, context managers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from oneleader_raft.locks import (
    AsyncLocks,
    Grant,
    HeldError,
    Locks,
    LostError,
    StaleError,
    UnknownError,
)
from oneleader_raft.locks.steps import IssueStep, LockStep, ReadStep, ReleaseStep, RenewStep, Row, WriteStep


@dataclass
class Slow:
    """Answers as it is told, `seconds` after it was asked by a clock of its own."""

    answers: dict[type[LockStep], Row | None] = field(
        default_factory=lambda: {IssueStep: (7, "n"), RenewStep: (7, "n")}
    )
    seconds: float = 2.0
    now: float = 100.0
    asked: list[LockStep] = field(default_factory=list)

    def perform(self, step: LockStep) -> Row | None:
        self.asked.append(step)
        self.now += self.seconds
        return self.answers.get(type(step))

    def close(self) -> None:
        pass


def slow(**words: Any) -> tuple[Slow, Locks]:
    store = Slow(**words)
    return store, Locks(store, clock=lambda: store.now)


def test_a_deadline_counts_from_before_the_request_and_allows_for_drift() -> None:
    _, locks = slow()
    grant = locks.acquire("r", ttl=10)
    assert grant.deadline == 100 + 9.801  # 10 s * 990 / 1010, rounded down
    assert locks.left(grant) == pytest.approx(7.801)
    assert locks.renew(grant).deadline == 102 + 9.801


def test_rates_are_what_was_stated() -> None:
    store = Slow()
    assert Locks(store, rates=(90, 110), clock=lambda: store.now).acquire("r", 11).deadline == 109
    with pytest.raises(ValueError, match="slow is at most fast"):
        Locks(store, rates=(3, 2))


def test_an_answer_that_comes_after_the_deadline_grants_nothing() -> None:
    _, locks = slow(seconds=10)
    with pytest.raises(LostError, match="stop what it protects"):
        locks.acquire("r", ttl=10)


def test_a_write_under_a_grant_that_is_over_is_not_sent() -> None:
    store, locks = slow()
    grant = locks.acquire("r")
    store.now = grant.deadline
    with pytest.raises(LostError):
        locks.write(grant, "k", "v")
    assert len(store.asked) == 1


def test_a_token_alone_has_no_deadline() -> None:
    store, locks = slow(answers={WriteStep: (7, "-")})
    locks.write_with_fencing("k", "v", 7)
    assert store.asked == [WriteStep("k", "v", 7, "-")]


def test_errors_say_what_to_do() -> None:
    _, locks = slow(answers={})
    grant = Grant("r", 7, "n", 1000, 1e9)
    for call, error, said in [
        (lambda: locks.acquire("r"), HeldError, "try again, or wait"),
        (lambda: locks.renew(grant), LostError, "acquire the lock again"),
        (lambda: locks.write(grant, "k", "v"), StaleError, "read again before you write"),
    ]:
        with pytest.raises(error, match=said):
            call()
    assert locks.release(grant) is False
    assert locks.read("k") is None


def test_waiting_ends() -> None:
    store, locks = slow(answers={}, seconds=0.4)
    with pytest.raises(HeldError):
        locks.acquire("r", wait=1)
    assert len(store.asked) == 3
    assert len({step.nonce for step in store.asked if isinstance(step, IssueStep)}) == 1


def test_a_lock_is_released_however_the_work_ends() -> None:
    store, locks = slow()
    with pytest.raises(ZeroDivisionError), locks.hold("r"):
        raise ZeroDivisionError
    assert isinstance(store.asked[-1], ReleaseStep)


def test_a_release_that_gets_no_answer_is_left_to_the_ttl() -> None:
    class Cut(Slow):
        def perform(self, step: LockStep) -> Row | None:
            if isinstance(step, ReleaseStep):
                raise UnknownError(step, "the network is cut")
            return super().perform(step)

    with Locks(Cut(seconds=0)).hold("r"):
        pass


def test_one_store_grants_and_another_one_keeps() -> None:
    issuer, storage = Slow(seconds=0), Slow({WriteStep: (7, "n"), ReadStep: ("v", 7)}, seconds=0)
    with Locks(issuer, storage) as locks, locks.hold("r") as grant:
        locks.write(grant, "k", "v")
        assert locks.read("k") is not None
    assert [type(step) for step in issuer.asked] == [IssueStep, ReleaseStep]
    assert storage.asked == [WriteStep("k", "v", 7, "n"), ReadStep("k")]


def test_async_waits_pauses_and_releases() -> None:
    class Later:
        asked: list[LockStep] = []

        async def perform(self, step: LockStep) -> Row | None:
            self.asked.append(step)
            return None if len(self.asked) == 1 else (7, "n")

        async def close(self) -> None:
            self.asked.clear()

    async def use() -> None:
        async with AsyncLocks(Later()) as locks:
            async with locks.hold("r", wait=5) as grant:
                await locks.write(grant, "k", "v")
            assert [type(step) for step in Later.asked] == [IssueStep, IssueStep, WriteStep, ReleaseStep]

    asyncio.run(use())


def test_a_cancelled_task_releases_its_lock() -> None:
    class Async(Slow):
        async def perform(self, step: LockStep) -> Row | None:  # type: ignore[override]
            return super().perform(step)

    async def use() -> None:
        store = Async(seconds=0)

        async def work() -> None:
            async with AsyncLocks(store).hold("r"):
                held.set()
                await asyncio.sleep(60)

        held, task = asyncio.Event(), asyncio.create_task(work())
        await held.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert isinstance(store.asked[-1], ReleaseStep)

    asyncio.run(use())


NO_TOKENS = [0, -1, 2**63, True, 1.0, float("nan"), "1", "01", " 1", None]
BAD: list[Callable[[], LockStep]] = [
    *(lambda token=token: WriteStep("k", "v", token, "n") for token in NO_TOKENS),
    *(lambda token=token: RenewStep("r", token, "n", 1) for token in NO_TOKENS),
    *(lambda token=token: ReleaseStep("r", token, "n") for token in NO_TOKENS),
    *(lambda ttl=ttl: IssueStep("r", "n", ttl) for ttl in (0, -1, 1.5, True, 10**9, None)),
    *(lambda name=name: ReadStep(name) for name in ("", "a\0b", "\ud800", "x" * 201, None, b"k")),
    *(lambda value=value: WriteStep("k", value, 1, "n") for value in ("a\0b", "\udfff", None, b"v", 1)),
]


@pytest.mark.parametrize("step", BAD)
def test_what_makes_no_sense_is_refused_before_it_is_sent(step: Callable[[], LockStep]) -> None:
    with pytest.raises(ValueError, match=r"^(?!.*\n).+$"):
        step()


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 1e6, 0.0001, True, "1", None, b"1", [1]])
def test_a_ttl_is_a_number_from_a_millisecond_to_a_day(ttl: Any) -> None:
    store, locks = slow()
    with pytest.raises(ValueError, match="to a day"):
        locks.acquire("r", ttl)
    assert store.asked == []


@pytest.mark.parametrize("wait", [-1, float("nan"), True, "1", None, b"1", 10**400])
def test_a_wait_is_a_number_of_seconds(wait: Any) -> None:
    """With nan it would never end."""
    store, locks = slow()
    with pytest.raises(ValueError, match="a wait is given in seconds"):
        locks.acquire("r", wait=wait)
    assert store.asked == []
