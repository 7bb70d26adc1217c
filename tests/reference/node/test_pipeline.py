"""Heartbeats do not wait behind big values, nothing is sent twice, and what is lost is sent again."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from oneleader_raft.lease import Clocks, Round
from oneleader_raft.node import frames, links
from oneleader_raft.node.frames import Identity
from oneleader_raft.node.inbox import MOST_BYTES_AT_ONCE, Happening, Inbox
from oneleader_raft.node.links import Links
from oneleader_raft.node.pipeline import MOST_UNDER_WAY, Pipeline, size
from oneleader_raft.raft import (
    AppendEntries,
    AppendReply,
    Compact,
    Durable,
    ElectionTimeout,
    Entry,
    Event,
    HeartbeatTimeout,
    Message,
    Node,
    PreVoteReply,
    Propose,
    Receive,
    Send,
    VoteReply,
    restart,
    step,
)
from oneleader_raft.state_machine import Put, Request

MEMBERS = ("n1", "n2")
BIG = 240_000  # bytes of a value
OWN = Identity("c", "n1", "", frozenset(MEMBERS), Clocks(), b"a secret of sixteen", "s1")
PEER = replace(OWN, id="n2", store="s2")


def put(number: int, length: int = BIG) -> Request:
    return Request("c", number, Put("k", "v" * length))


def leader() -> Node:
    """It leads both members in term 1, and the other one has its no-op."""
    node = restart("n1", MEMBERS, Durable(), -(10**9)).node
    for event in (
        ElectionTimeout(),
        Receive(PreVoteReply(1, "n2", True)),
        Receive(VoteReply(1, "n2", True)),
        Receive(AppendReply(1, "n2", True, Round(1, 0), 1)),
    ):
        node = step(node, event, 0).node
    assert node.commit_index == 1
    return node


# -- A link that is read slowly --------------------------------------------------------------------------


async def anyone(peer: str, store: str) -> None: ...


async def ignored(source: object, message: Message) -> None: ...


Met = tuple[asyncio.StreamReader, frames.Channel]


async def dialled(test: Callable[[Links, Met], Awaitable[None]]) -> None:
    """Links to a peer that reads only what the test reads."""
    met: asyncio.Future[Met] = asyncio.get_running_loop().create_future()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.set_result((reader, await frames.accept(reader, writer, PEER, anyone)))

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    listener.bind(("127.0.0.1", 0))
    server = await asyncio.start_server(accepted, sock=listener, limit=1 << 12)
    here = Links(OWN, ignored, lambda: 0, anyone)
    here.meet(["n2"], {"n2": listener.getsockname()[:2]}, frozenset({"n2"}))
    try:
        there = await met
        while not here.reaches("n2"):
            await asyncio.sleep(0.001)
        await test(here, there)
    finally:
        await here.stop()
        server.close()


def test_of_two_processes_on_one_store_the_second_is_refused_while_the_first_is_heard(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A copy of a folder, started beside the original; both sides say why. One that has ended is in nobody's
    way, nor is the same process that dials again."""

    async def main() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        where = {"n1": listener.getsockname()[:2]}
        here = Links(OWN, ignored, lambda: 0, anyone)
        here.meet([], {}, frozenset({"n2"}))
        await here.start(listener, 0.02)

        async def begun(process: str) -> Links:
            peer = Links(replace(PEER, process=process), ignored, lambda: 0, anyone)
            await peer.start(socket.create_server(("127.0.0.1", 0)), 0.02)
            peer.meet(["n1"], where, frozenset({"n1"}))
            return peer

        first = await begun("first")
        await met(lambda: first.reaches("n1"))
        here.drop("n2")
        await met(lambda: not first.reaches("n1"))
        await met(lambda: first.reaches("n1"))
        copy = await begun("copy")
        await met(lambda: len(caplog.records) >= 2)
        assert first.reaches("n1")
        assert not copy.reaches("n1")
        await first.stop()
        await met(lambda: copy.reaches("n1"))
        await copy.stop()
        await here.stop()

    async def met(what: Callable[[], bool]) -> None:
        while not what():
            await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(main(), 30))
    refused = {(r.getMessage(), vars(r)["why"].partition(", on this store")[0]) for r in caplog.records}
    assert refused == {
        ("refused", "another process runs as n2"),
        ("not joined", "refused by the other node: another process runs as n2"),
    }


def test_a_heartbeat_does_not_wait_behind_big_values() -> None:
    """Counted are the bytes that come before it. They were all that a buffer holds, or it was dropped."""
    node, before = leader(), 0

    async def test(here: Links, there: Met) -> None:
        nonlocal node, before
        sends, (reader, channel) = Pipeline(here), there
        for number in range(1, 65):
            taken = step(node, Propose(put(number)), number)
            node = taken.node
            for effect in taken.effects:
                if isinstance(effect, Send) and isinstance(effect.message, AppendEntries):
                    sends.send(node, number, effect.to, effect.message)
            await asyncio.sleep(0)
        last, whole = node.leadership.round, 0
        while True:
            kind, body = await channel.unseal(reader)
            if kind == frames.MESSAGE:
                _, message = links.read(body, "n1", PEER)
                assert isinstance(message, AppendEntries)
                assert message.entries == ()
                assert message.prev_log_index == 1 + whole, "after what has left whole"
                if message.round == last:
                    return
            whole += kind == frames.LAST_PART
            before += len(body)

    asyncio.run(asyncio.wait_for(dialled(test), 20))
    assert 0 < before < 4 * BIG, "of 64"


def test_what_leaves_in_parts_arrives_whole() -> None:
    """Of lengths about the bounds, on a connection that both ends read."""
    came: list[Message] = []

    async def test(here: Links, there: Met) -> None:
        async def arrived(source: object, message: Message) -> None:
            came.append(message)

        end = Links(PEER, arrived, lambda: 0, anyone)
        listening = asyncio.create_task(end._listen(*there))
        for number, length in enumerate(lengths):
            message = AppendEntries(1, "n1", 0, 0, (Entry(1, "v" * length),), 0, Round(1, 0))
            assert here.send("n2", 1, message)
            while len(came) <= number:
                await asyncio.sleep(0.001)
            assert came[-1] == message
        listening.cancel()

    empty = len(b'{"step":1,"message":{"AppendEntries":[1,"n1",0,0,[{"Entry":[1,""]}],0,{"Round":[1,0]}]}}')
    bounds = [n * links.PART - empty for n in (1, 2, 3)]
    lengths = [0, *(bound + more for bound in bounds for more in (-1, 0, 1)), 10 * BIG]
    asyncio.run(asyncio.wait_for(dialled(test), 20))


# -- What is sent, and what of it is lost ----------------------------------------------------------------


class Wire:
    """A sender of which the test says what happens. What is sent in parts arrives later than what follows."""

    def __init__(self) -> None:
        self.line: object = object()
        self.sent: list[AppendEntries] = []
        self.parts: AppendEntries | None = None
        self.is_full = self.takes_parts = False

    def send(self, to: str, step: int, message: Message) -> bool:
        assert isinstance(message, AppendEntries)
        if message.entries and self.takes_parts:
            assert self.parts is None
            self.parts = message
        else:
            self.sent.append(message)
        return True

    def connection(self, to: str) -> object:
        return self.line

    def is_busy(self, to: str) -> bool:
        return self.is_full or self.parts is not None

    def is_in_parts(self, to: str) -> bool:
        return self.parts is not None

    def arrive(self) -> None:
        if self.parts:
            self.sent.append(self.parts)
            self.parts = None

    def cut(self) -> None:
        self.line, self.sent, self.parts = object(), [], None


class Pair:
    """A leader with its pipeline, and a follower, over a wire and back."""

    def __init__(self) -> None:
        self.leader, self.wire, self.replies = leader(), Wire(), list[Message]()
        self.follower = restart("n2", MEMBERS, Durable(1, "n1", self.leader.log), 0).node
        self.pipeline, self.now = Pipeline(self.wire), 0
        self.entries_sent = 0

    def lead(self, event: Event) -> None:
        self.now += 1
        taken = step(self.leader, event, self.now)
        self.leader = taken.node
        self.pipeline.hear(event)
        before = len(self.wire.sent), self.wire.parts
        for effect in taken.effects:
            if isinstance(effect, Send) and isinstance(effect.message, AppendEntries):
                self.pipeline.send(self.leader, 1, effect.to, effect.message)
        new = self.wire.sent[before[0] :] + ([self.wire.parts] if self.wire.parts is not before[1] else [])
        self.entries_sent += sum(len(message.entries) for message in new if message)

    def go_on(self) -> None:
        while self.pipeline.can_go_on(self.leader):
            before = self.entries_sent
            self.lead(HeartbeatTimeout())
            assert self.entries_sent > before, "it would ring the timer for ever"

    def follow(self) -> None:
        if self.wire.sent:
            taken = step(self.follower, Receive(self.wire.sent.pop(0)), self.now)
            self.follower = taken.node
            self.replies += [effect.message for effect in taken.effects if isinstance(effect, Send)]

    def answer(self) -> None:
        if self.replies:
            self.lead(Receive(self.replies.pop(0)))

    def calm(self) -> None:
        self.wire.is_full = self.wire.takes_parts = False
        self.wire.arrive()
        for _ in range(3):
            self.lead(HeartbeatTimeout())
            self.go_on()
            while self.wire.sent or self.replies:
                self.follow()
                self.answer()
                self.go_on()


@pytest.mark.parametrize("seed", range(30))
def test_a_follower_gets_all_whatever_is_lost_or_overtaken(seed: int) -> None:
    draw, pair, number = random.Random(seed), Pair(), 0
    for _ in range(300):
        match draw.choice("pppbbffffffffaaaaaaaaaalcssdd"):
            case "p" | "b" as what:
                number += 1
                pair.lead(Propose(put(number, BIG if what == "b" else 10)))
            case "f":
                pair.follow()
            case "a":
                pair.answer()
            case "l":
                pair.wire.is_full = not pair.wire.is_full
            case "s":
                pair.wire.takes_parts = not pair.wire.takes_parts
            case "d":
                pair.wire.arrive()
            case "c":
                pair.wire.cut()
                del pair.replies[draw.randint(0, len(pair.replies)) :]
        pair.go_on()
    pair.calm()
    assert number > 10
    assert pair.follower.log == pair.leader.log, f"seed {seed}"
    assert pair.follower.commit_index == pair.leader.commit_index == pair.leader.last_index


def test_on_one_connection_nothing_is_sent_twice_and_what_is_under_way_is_limited() -> None:
    """The core asks to send all that is not acknowledged, again and again."""
    pair = Pair()
    for number in range(1, 41):
        pair.lead(Propose(put(number, BIG if number % 2 else 10)))
        pair.lead(HeartbeatTimeout())
        under_way = sum(size(entry) for message in pair.wire.sent for entry in message.entries)
        assert under_way < MOST_UNDER_WAY + BIG + 1000
    assert len(pair.wire.sent) == 80, "each of them is a heartbeat at the least"
    assert pair.entries_sent < 10
    pair.calm()
    assert pair.entries_sent == 40
    assert pair.follower.log == pair.leader.log


def test_a_follower_that_lost_what_was_sent_is_sent_it_again_on_the_same_connection() -> None:
    """It should not happen: frames are counted. It is not waited for either."""
    pair = Pair()
    pair.lead(Propose(put(1)))
    pair.lead(Propose(put(2)))
    pair.wire.sent.clear()
    pair.calm()
    assert pair.follower.log == pair.leader.log


def test_who_is_to_get_a_snapshot_is_not_sent_for_ever() -> None:
    """The core sends no entries where the log begins later: the timer would ring again and again."""
    node, wire = restart("n1", ("n1", "n2", "n3"), Durable(), -(10**9)).node, Wire()
    pipeline = Pipeline(wire)
    events: list[Event] = [
        ElectionTimeout(),
        Receive(PreVoteReply(1, "n2", True)),
        Receive(VoteReply(1, "n2", True)),
        Receive(AppendReply(1, "n3", True, Round(1, 0), 1)),
        *(Propose(put(number, 10)) for number in range(3)),
        Receive(AppendReply(1, "n2", True, Round(4, 0), 4)),
        Propose(put(4, 10)),
    ]
    for event in events:
        taken = step(node, event, 0)
        node, wire.is_full = taken.node, event is events[-1]
        for effect in taken.effects:
            if isinstance(effect, Send) and effect.to == "n3" and isinstance(effect.message, AppendEntries):
                pipeline.send(node, 1, "n3", effect.message)
    wire.is_full = False
    assert pipeline.can_go_on(node)
    assert not pipeline.can_go_on(step(node, Compact(3, None), 0).node)


# -- What is stored at once ------------------------------------------------------------------------------


def test_a_batch_has_no_more_bytes_than_are_stored_in_a_moment_and_peers_come_first() -> None:
    """Heartbeats and answers wait for the sync of a batch: 64 big values were one, and answers came after."""
    answer = Happening(Receive(AppendReply(1, "n2", True, Round(1, 0), 1)), ("n2", 1))

    async def main() -> list[list[Happening]]:
        inbox = Inbox(1000)
        for number in range(64):
            inbox.put_nowait(Happening(Propose(put(number))))
        for number in range(64, 264):
            inbox.put_nowait(Happening(Propose(put(number, 10))))
        batches = [await inbox.batch()]
        inbox.put_nowait(answer)
        inbox.put_nowait(Happening(HeartbeatTimeout()))
        while not inbox.empty():
            batches.append(await inbox.batch())
        return batches

    batches = asyncio.run(main())
    most = MOST_BYTES_AT_ONCE // BIG + 1
    assert [len(batch) for batch in batches[:3]] == [most, most + 2, most]
    assert batches[1][0] is answer
    assert len(batches[-1]) >= 150, "small ones share a sync as before"
    proposed = [h.event.command for batch in batches for h in batch if isinstance(h.event, Propose)]
    assert [r.number for r in proposed if isinstance(r, Request)] == [*range(264)]
