"""The clock does not go back; a lock runs out a ttl after the leader has known of it, not before."""

from __future__ import annotations

import time

import pytest

from oneleader_raft.fencing import Holding
from oneleader_raft.node import clock
from oneleader_raft.node.clock import Clock, ClockWentBackError
from oneleader_raft.node.expiry import Expiry, Silence
from oneleader_raft.state_machine import Expire, ForgetClients


def test_one_that_goes_back_is_refused() -> None:
    readings = iter([5, 7, 7, 6, 3, 8])
    c = Clock(lambda: next(readings))
    assert [c.now(), c.now()] == [7, 7]
    for by in (1, 4):
        with pytest.raises(ClockWentBackError, match=f"went back by {by} microseconds"):
            c.now()
    assert c.now() == 8


def test_it_counts_microseconds_through_a_suspend() -> None:
    before = clock.read()
    time.sleep(0.01)
    assert 10_000 <= clock.read() - before < 5_000_000
    assert getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC) == clock.CLOCK


def grant(token: int, renewed: int | None = None, ttl: int = 10) -> Holding:
    return Holding("c", token, f"c/{token}", ttl, renewed or token)


def test_a_lock_runs_out_after_its_ttl() -> None:
    expiry, locks = Expiry(), {"l": grant(3)}
    assert expiry.due(locks, 1_000_000) == []
    assert expiry.due(locks, 1_009_999) == []
    assert expiry.due(locks, 1_010_000) == [Expire("l", 3, 3)]
    assert expiry.due(locks, 1_010_001) == [], "said once a ttl"
    assert expiry.due(locks, 1_020_000) == [Expire("l", 3, 3)]
    assert expiry.due({}, 1_030_000) == []


def test_who_was_silent_for_an_hour_is_forgotten() -> None:
    silence = Silence(patience=100)
    assert silence.due(7, 1000) is None
    assert silence.due(9, 1099) is None
    assert silence.due(12, 1100) == ForgetClients(7)
    assert silence.due(13, 1199) is None
    assert silence.due(14, 1200) == ForgetClients(12)
    silence.forget()
    assert silence.due(15, 1300) is None, "a new leader measures again"
    assert silence.due(16, 1400) == ForgetClients(15)


def test_a_renewal_a_new_grant_and_a_new_leader_begin_anew() -> None:
    expiry = Expiry()
    assert expiry.due({"l": grant(3)}, 0) == []
    assert expiry.due({"l": grant(3, renewed=5)}, 9_000) == []
    assert expiry.due({"l": grant(3, renewed=5)}, 18_999) == []
    assert expiry.due({"l": grant(7)}, 19_000) == []
    assert expiry.due({"l": grant(7)}, 28_999) == []
    expiry.forget()
    assert expiry.due({"l": grant(7)}, 29_000) == []
    assert expiry.due({"l": grant(7)}, 39_000) == [Expire("l", 7, 7)]
