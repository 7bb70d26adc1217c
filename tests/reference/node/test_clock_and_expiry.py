"""The clock does not go back; a lock runs out a ttl after the leader has known of it, not before."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from pathlib import Path

import pytest

from oneleader_raft.fencing import Holding
from oneleader_raft.node import clock
from oneleader_raft.node.clock import Clock, ClockWentBackError
from oneleader_raft.node.disruption import ClockDisruptedError, Disruption
from oneleader_raft.node.errors import DamagedError
from oneleader_raft.node.expiry import Expiry, Silence
from oneleader_raft.node.server import Server
from oneleader_raft.node.settings import NodeSettings
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


def clockbound(path: Path, marker: int, status: int = 1, generation: int = 2, watches: int = 1) -> Path:
    """The file that ClockBound's daemon keeps, as its protocol says."""
    magic, drift = (0x414D5A4E, 0x43420200), 50_000
    head = struct.pack("=IIIHH", *magic, 80, 2, generation)
    path.write_bytes(head + struct.pack("=qqqqqQIiB7x", 1, 0, 2, 0, 900, marker, drift, status, watches))
    return path


def test_what_clockbound_says_of_the_clock_is_believed(tmp_path: Path) -> None:
    path = clockbound(tmp_path / "shm0", 7)
    told = Disruption(path)
    told.check()
    path.unlink()
    told.check()
    clockbound(path, 7, generation=4)
    told.check()
    clockbound(path, 8, generation=5)
    told.check()  # it is being written
    for marker, status, says in ((8, 1, "its marker is 8, and was 7"), (7, 3, "the clock is disrupted")):
        clockbound(path, marker, status)
        with pytest.raises(ClockDisruptedError, match=says):
            told.check()
        with pytest.raises(ClockDisruptedError):
            Clock(check=told.check).now()


@pytest.mark.parametrize("there", ["nothing", "a daemon that does not watch", "another file", "a short one"])
def test_clockbound_has_to_be_there_if_it_is_asked_for(tmp_path: Path, there: str) -> None:
    path = tmp_path / "shm0"
    if there != "nothing":
        clockbound(path, 7, watches=0)
    if there == "another file":
        path.write_bytes(bytes(100))
    if there == "a short one":
        path.write_bytes(path.read_bytes()[:40])
    Disruption(path).check()
    with pytest.raises(DamagedError, match="is no file of a ClockBound daemon that watches"):
        Disruption(path, is_wanted=True)


def test_a_leader_whose_clock_was_disrupted_stops_and_sends_nothing_more(tmp_path: Path) -> None:
    path = clockbound(tmp_path / "shm0", 7)

    async def main() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        peers = {"n1": listener.getsockname()[:2]}
        settings = NodeSettings("n1", peers, tmp_path, promise_ms=50, heartbeat_ms=10, clockbound=path)
        server = Server(settings)
        node = asyncio.create_task(server.run(listener))
        while server.lease_left == 0:
            await asyncio.sleep(0.01)
        clockbound(path, 8)
        with pytest.raises(ClockDisruptedError):
            server.lease_left  # noqa: B018  # the lease is void at once
        with pytest.raises(ClockDisruptedError):
            await asyncio.wait_for(node, 20)

    asyncio.run(main())


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
