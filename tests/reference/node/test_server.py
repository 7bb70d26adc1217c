"""The driver's order: synced, then written down, then sent; and what it does with many events at once."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from oneleader_raft.lease import Clocks, Round
from oneleader_raft.node import codec, frames
from oneleader_raft.node.complaints import MOST, SECONDS, Complaints
from oneleader_raft.node.errors import NotLeaderError, OutcomeUnknownError
from oneleader_raft.node.frames import Identity
from oneleader_raft.node.server import Happening, Server
from oneleader_raft.node.settings import NodeSettings
from oneleader_raft.node.stalls import DISK, PROCESSOR, Stalls
from oneleader_raft.raft import (
    AppendEntries,
    AppendReply,
    ElectionTimeout,
    Entry,
    Message,
    PreVoteReply,
    Propose,
    Receive,
    RequestVote,
    Role,
    VoteReply,
)
from oneleader_raft.state_machine import Put, Request

PEERS = dict.fromkeys(("n1", "n2", "n3"), ("127.0.0.1", 1))
Did = list[tuple[str, Any]]


def driven(folder: Path, test: Callable[[Server, Did], Awaitable[None]]) -> Did:
    """Hand events to a node whose disk, trace and links note in which order they were used."""
    did: Did = []

    async def main() -> None:
        server = Server(NodeSettings("n1", PEERS, folder, promise_ms=20, heartbeat_ms=5, trace=True))
        time.sleep(0.03)  # its promise of the start has run out
        server._reset_election_timer = lambda: None  # type: ignore[method-assign]
        save, write = server._store.save, server._trace.write

        def noted_save(durable: Any, trace: str = "") -> None:
            time.sleep(0.01)
            save(durable, trace)
            did.append(("save", durable))

        def noted_write(lines: str) -> None:
            write(lines)
            did.append(("line", lines))

        server._store.save = noted_save  # type: ignore[method-assign]
        server._trace.write = noted_write  # type: ignore[method-assign]
        server.links.send = lambda to, step, message: did.append(("send", (to, step, message)))  # type: ignore[method-assign]
        await asyncio.wait_for(test(server, did), 20)

    asyncio.run(main())
    return did


def received(source: str, message: Message) -> Happening:
    return Happening(Receive(message), (source, 1))


def test_a_vote_is_synced_then_written_down_then_sent(tmp_path: Path) -> None:
    async def test(server: Server, did: Did) -> None:
        await server._handle([received("n2", RequestVote(3, "n2", 0, 0))])

    did = driven(tmp_path, test)
    assert [what for what, _ in did] == ["save", "line", "send"]
    assert (did[0][1].current_term, did[0][1].voted_for) == (3, "n2")
    assert [action in did[1][1] for action in ("grant_vote", "reply_vote")] == [True, True]
    to, step, message = did[2][1]
    assert (to, step, message) == ("n2", 3, VoteReply(3, "n1", True)), "step 1 is the start, 2 the vote"


async def lead(server: Server) -> None:
    await server._handle([Happening(ElectionTimeout())])
    await server._handle([received("n2", PreVoteReply(1, "n2", True))])
    await server._handle([received("n2", VoteReply(1, "n2", True))])
    assert server.node.role is Role.LEADER


def test_events_that_wait_together_share_a_sync_and_say_it_once(tmp_path: Path) -> None:
    commands = [Request("c", number, Put("k", number)) for number in (1, 2, 3)]

    async def test(server: Server, did: Did) -> None:
        await lead(server)
        did.clear()
        await server._handle([Happening(Propose(command)) for command in commands])

    did = driven(tmp_path, test)
    assert [what for what, _ in did] == ["save", "line", "send", "send"]
    assert [entry.command for entry in did[0][1].log[1:]] == commands
    assert did[1][1].count('["client_request"') == 3
    assert [(to, len(m.entries)) for to, _, m in (said for _, said in did[2:])] == [("n2", 4), ("n3", 4)]


def test_who_waits_for_a_leader_that_is_one_no_more_does_not_know(tmp_path: Path) -> None:

    async def test(server: Server, did: Did) -> None:
        write = asyncio.create_task(server.write(server.request(Put("k", 0))))
        await asyncio.sleep(0)
        await server._handle([server._inbox.get_nowait()])
        with pytest.raises(NotLeaderError):
            await write
        await lead(server)
        write = asyncio.create_task(server.write(server.request(Put("k", 1))))
        read = asyncio.create_task(server.read())
        await asyncio.sleep(0)
        await server._handle([server._inbox.get_nowait(), server._inbox.get_nowait()])
        assert not write.done()
        await server._handle(
            [received("n3", AppendEntries(2, "n3", 0, 0, (Entry(2, "no-op"),), 1, Round(1, 1)))]
        )
        with pytest.raises(OutcomeUnknownError):
            await write
        with pytest.raises(NotLeaderError):
            await read
        assert server.node.log == (Entry(2, "no-op"),)

    driven(tmp_path, test)


def test_it_is_answered_when_it_is_committed(tmp_path: Path) -> None:
    async def test(server: Server, did: Did) -> None:
        await lead(server)
        write = asyncio.create_task(server.write(Request("c", 1, Put("k", "v"))))
        again = asyncio.create_task(server.write(Request("c", 1, Put("k", "v"))))
        await asyncio.sleep(0)
        await server._handle([server._inbox.get_nowait()])
        assert server._inbox.empty(), "the repetition waits for the same entry"
        assert not write.done()
        reply = AppendReply(1, "n2", True, server.node.leadership.round, 2)
        await server._handle([received("n2", reply)])
        assert await write is True
        assert await again is True
        assert dict(server.machine.values) == {"k": "v"}
        assert server.node.commit_index == 2

    driven(tmp_path, test)


@pytest.mark.parametrize("drift", [0, 1, 10, 100, 999])
def test_a_lease_allows_for_the_drift_of_clocks(tmp_path: Path, drift: int) -> None:
    """A promise on the fastest clock is over later than a lease on the slowest."""
    settings = NodeSettings("n1", PEERS, tmp_path, promise_ms=300, drift=drift)
    promise = settings.clocks.promise / (1000 + drift)
    lease = settings.clocks.lease / (1000 - drift)
    assert lease <= promise < lease + 1 / (1000 - drift), "the longest that is safe"
    assert settings.clocks.promise == 300_000

    async def run() -> Clocks:
        return Server(settings).node.clocks

    assert asyncio.run(run()) == settings.clocks


def test_check_quorum_goes_on_as_long_as_it_leads(tmp_path: Path) -> None:
    """The timer of a leader begins again each time; without an answer for a promise it steps down."""

    async def test(server: Server, did: Did) -> None:
        now = server.clock.now()
        server.clock.now = lambda: now  # type: ignore[method-assign]
        del server._reset_election_timer
        await lead(server)
        for _ in range(3):
            await server._handle(
                [received("n2", AppendReply(1, "n2", True, server.node.leadership.round, 1))]
            )
            timer = server._election
            assert timer is not None
            await server._handle([Happening(ElectionTimeout())])
            assert server.node.role is Role.LEADER
            assert timer.cancelled()
            assert server._election is not timer
        assert server._election is not None
        now += server.settings.clocks.promise
        waiting = await asyncio.wait_for(server._inbox.get(), 5)
        assert waiting.event == ElectionTimeout()
        await server._handle([waiting])
        assert server.node.role is Role.FOLLOWER

    driven(tmp_path, test)


def test_who_did_not_run_reads_what_has_come_before_it_takes_its_leader_for_gone(tmp_path: Path) -> None:
    """Once: where a process is late all the time, it has to stand for election all the same."""

    async def test(server: Server, did: Did) -> None:
        del server._reset_election_timer
        server._reset_election_timer()
        time.sleep(0.1)  # longer than any election timeout, and what the leader says waits in the socket
        await asyncio.sleep(0)
        assert server._inbox.empty()
        server._reset_election_timer()  # as what it says has been read
        time.sleep(0.1)
        await asyncio.sleep(0)
        assert server._inbox.empty()
        time.sleep(0.1)
        waiting = await asyncio.wait_for(server._inbox.get(), 5)
        assert waiting.event == ElectionTimeout()

    driven(tmp_path, test)


def test_a_disk_or_a_machine_that_keeps_a_node_waiting_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A save takes 10 ms here, as long as half a promise. Of the same, one line a second."""
    driven(tmp_path, lambda server, did: lead(server))
    assert [(r.getMessage(), vars(r)["why"]) for r in caplog.records if r.levelname == "WARNING"] == [
        ("stalled", DISK)
    ]
    caplog.clear()
    times = iter((1.1, 1.2, 1.3, 2.2))
    stalls = Stalls(0.15, lambda: next(times))
    for late in (0.1, 0.2, 0.5, 0.4, 0.3):
        stalls.note(PROCESSOR, late)
    assert [(vars(r)["longest_ms"], vars(r)["ms"]) for r in caplog.records] == [(200, 200), (500, 1200)]


def test_what_a_node_knows_better_never_reaches_the_core(tmp_path: Path) -> None:
    """A match beyond the leader's log would end in IndexError at the next heartbeat."""

    async def test(server: Server, did: Did) -> None:
        await lead(server)
        before = server.node
        round = before.leadership.round
        await server._handle([received("n2", AppendReply(1, "n2", True, round, 99))])
        await server._handle([received("n2", VoteReply(2**61, "n2", False))])
        assert server.node == before

    driven(tmp_path, test)


@pytest.mark.parametrize("secret", [b"", b"the cluster's secret"], ids=["without a secret", "with one"])
def test_terms_that_jump_are_refused_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, secret: bytes
) -> None:
    """On a real connection of a member that speaks the protocol."""
    jumps = [VoteReply(2**62 - 1, "n2", False), VoteReply(2**33, "n2", False), RequestVote(2**61, "n2", 1, 1)]

    async def main() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        peers = PEERS | {"n1": listener.getsockname()[:2]}
        server = Server(NodeSettings("n1", peers, tmp_path, secret=secret))
        node = asyncio.create_task(server.run(listener))
        own = Identity("oneleader", "n2", "", frozenset(PEERS), server.settings.clocks, secret, "a store")
        reader, writer = await asyncio.open_connection(*peers["n1"])
        channel = await frames.dial(reader, writer, own, "n1", anyone)
        for message in jumps:
            said = json.dumps({"step": 1, "message": codec.plain(message)}).encode()
            writer.write(channel.seal(frames.MESSAGE, said))
        while len([r for r in caplog.records if r.message == "impossible message"]) < len(jumps):
            await asyncio.sleep(0.01)
        assert server.node.current_term == 0
        writer.close()
        node.cancel()
        await asyncio.gather(node, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), 60))
    said = [vars(record)["why"] for record in caplog.records if record.message == "impossible message"]
    assert said == [f"{type(m).__name__}: term {m.term}, after term 0" for m in jumps]


async def anyone(peer: str, store: str) -> None:
    pass


def test_complaints_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    complaints = Complaints(lambda: now)
    for term in range(10_000):
        complaints.warn("impossible message", f"term {term // 2}", source="n2")
    assert [vars(r)["why"] for r in caplog.records] == [f"term {term}" for term in range(MOST)]
    now = SECONDS
    complaints.warn("refused", "another", address="10.0.0.9")
    last = vars(caplog.records[-1])
    assert (last["address"], last["left_out"]) == ("10.0.0.9", 10_000 - 2 * MOST)
    complaints.warn("refused", "a third", address="10.0.0.9")
    assert not hasattr(caplog.records[-1], "left_out")
