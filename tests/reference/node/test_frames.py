"""Frames and the handshake: what is damaged, repeated, a stranger's or of another version does not pass."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oneleader_raft.lease import Clocks
from oneleader_raft.node import frames
from oneleader_raft.node.frames import Channel, FrameError, Identity

KEY = b"the key of this connection"


def read(data: bytes, key: bytes = KEY, number: int = 1, most: int = 1000) -> tuple[int, bytes]:
    async def unseal() -> tuple[int, bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await frames.unseal(reader, key, number, most)

    return asyncio.run(unseal())


def test_what_is_sealed_can_be_read() -> None:
    assert read(frames.seal(KEY, 1, frames.MESSAGE, b"hello")) == (frames.MESSAGE, b"hello")


def test_every_changed_bit_and_every_cut_is_seen() -> None:
    whole = frames.seal(KEY, 1, frames.MESSAGE, b"hello")
    for position in range(len(whole) * 8):
        changed = bytearray(whole)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises((FrameError, EOFError)):
            read(bytes(changed))
    for size in range(len(whole)):
        with pytest.raises(EOFError):
            read(whole[:size])


@given(st.binary(max_size=200))
@example(b"1L\x03\x03\x00\x00\x00\x00" + bytes(16))
def test_no_bytes_that_are_not_sealed_pass(data: bytes) -> None:
    with pytest.raises((FrameError, EOFError)):
        read(data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "these are no frames of oneleader"),
        (b"1L\x09" + bytes(40), "frames of version 9, and this node speaks 5"),
        (b"1L\x05\x03\xff\xff\xff\xff", "a frame of 4294967295 bytes, and at most 1000 are read"),
        (frames.seal(b"another", 1, 3, b""), "does not know the cluster's secret"),
        (frames.seal(KEY, 2, 3, b""), "a frame is damaged"),
    ],
)
def test_what_is_wrong_with_a_frame_is_said(data: bytes, says: str) -> None:
    with pytest.raises(FrameError, match=says):
        read(data)


# -- The handshake -----------------------------------------------------------------------------------------

N1 = Identity("c", "n1", "http://a", frozenset({"n1", "n2", "n3"}), Clocks(), b"the cluster's secret")
N2 = replace(N1, id="n2", api="http://b")


async def anyone(peer: str, store: str) -> None:
    """A node that has met nobody yet."""


async def no_other_store(peer: str, store: str) -> None:
    if store != "first":
        raise FrameError(f"{peer} has another store")


class Pipe:
    """What one side writes the other reads; `log` keeps it."""

    def __init__(self, to: asyncio.StreamReader) -> None:
        self.log: list[bytes] = []
        self._to = to

    def write(self, data: bytes) -> None:
        self.log.append(data)
        self._to.feed_data(data)


async def shake(
    dialer: Identity, acceptor: Identity, peer: str = "n2", recognise: frames.Recognise = anyone
) -> list[Channel | BaseException]:
    at_dialer, at_acceptor = asyncio.StreamReader(), asyncio.StreamReader()

    async def or_hang_up(side: object, other: asyncio.StreamReader) -> Channel:
        try:
            return await side  # type: ignore[misc, no-any-return]
        except BaseException:
            other.feed_eof()
            raise

    return await asyncio.gather(
        or_hang_up(frames.dial(at_dialer, Pipe(at_acceptor), dialer, peer, recognise), at_acceptor),
        or_hang_up(frames.accept(at_acceptor, Pipe(at_dialer), acceptor, recognise), at_dialer),
        return_exceptions=True,
    )


def test_who_joins_is_known_from_then_on_and_knows_everybody_until_then() -> None:
    joining, before = replace(N1, id="n4", known=None), replace(N2, known=frozenset({"n1"}))
    later = replace(N2, id="n7", known=frozenset({"n4"}))
    assert all(isinstance(side, Channel) for side in asyncio.run(shake(later, joining, "n4")))
    refused, why = asyncio.run(shake(joining, before))
    assert "'n4' is not another member of this cluster: add it with `oneleader node add`" in str(why)
    assert "refused by the other node" in str(refused)
    after = replace(before, known=frozenset({"n4"}))
    assert all(isinstance(side, Channel) for side in asyncio.run(shake(joining, after)))


@pytest.mark.parametrize("name", ["../n3", "n3/x", "", "n" * 65, "n 3"])
def test_who_joins_takes_nobody_for_a_node_who_has_no_name_of_one(name: str) -> None:
    """The parts of a snapshot go to a file that is named after who sends it."""
    _, why = asyncio.run(shake(replace(N1, id=name), replace(N2, known=None)))
    assert f"{name!r} is no name of a node" in str(why)


def test_members_know_each_other() -> None:
    at_n1, at_n2 = asyncio.run(shake(N1, N2))
    assert isinstance(at_n1, Channel)
    assert isinstance(at_n2, Channel)
    assert (at_n1.peer, at_n1.api, at_n2.peer, at_n2.api) == ("n2", "http://b", "n1", "http://a")
    assert (at_n1.sends_with, at_n1.reads_with) == (at_n2.reads_with, at_n2.sends_with)
    assert at_n1.sends_with != at_n1.reads_with


@pytest.mark.parametrize(
    ("dialer", "peer"),
    [
        (replace(N1, secret=b"a stranger's guess"), "n2"),
        (replace(N1, secret=b""), "n2"),
        (replace(N1, cluster="another"), "n2"),
        (replace(N1, id="n9"), "n2"),
        (replace(N1, id="n2"), "n2"),
        (replace(N1, clocks=Clocks(149)), "n2"),
        (replace(N1, members=frozenset({"n1", "n2", "n3", "n4", "n5"})), "n2"),
        (N1, "n3"),
    ],
)
def test_a_stranger_joins_neither_way(dialer: Identity, peer: str) -> None:
    """Wrong secret, none, another cluster, no member, an impostor, a shorter promise, another one meant."""
    outcomes = asyncio.run(shake(dialer, N2, peer))
    assert all(isinstance(outcome, FrameError | EOFError) for outcome in outcomes), outcomes
    assert any(isinstance(outcome, FrameError) for outcome in outcomes)
    outcomes = asyncio.run(shake(N2, replace(dialer), "n1"))
    if dialer != N1:
        assert all(isinstance(outcome, FrameError | EOFError) for outcome in outcomes), outcomes


@pytest.mark.parametrize(
    ("dialer", "why"),
    [
        (replace(N1, cluster="d"), "a node of the cluster 'd', and this one is of 'c'"),
        (replace(N1, members=frozenset({"n1", "n2"}), store="first"), "give all nodes the same --peers"),
        (replace(N1, store="made again"), "n1 has another store"),
        (replace(N1, clocks=Clocks(149), store="first"), "n1 has Clocks"),
    ],
    ids=["cluster", "members", "store", "clocks"],
)
def test_both_sides_are_told_why_a_member_is_refused(dialer: Identity, why: str) -> None:
    outcomes = asyncio.run(shake(dialer, replace(N2, store="first"), recognise=no_other_store))
    at_dialer, at_acceptor = outcomes
    assert why in str(at_acceptor)
    assert f"refused by the other node: {at_acceptor}" == str(at_dialer)


def test_a_dialer_refuses_another_store_as_well() -> None:
    at_dialer, at_acceptor = asyncio.run(
        shake(replace(N1, store="first"), replace(N2, store="made again"), recognise=no_other_store)
    )
    assert "n2 has another store" in str(at_dialer)
    assert isinstance(at_acceptor, EOFError)


def test_who_repeats_a_handshake_that_it_has_heard_does_not_get_in() -> None:
    """It has no key for the proof: the acceptor's nonce is new."""

    async def replayed() -> Channel:
        at_dialer, at_acceptor = asyncio.StreamReader(), asyncio.StreamReader()
        heard = Pipe(at_acceptor)
        await asyncio.gather(
            frames.dial(at_dialer, heard, N1, "n2", anyone),
            frames.accept(at_acceptor, Pipe(at_dialer), N2, anyone),
        )
        again = asyncio.StreamReader()
        again.feed_data(b"".join(heard.log))
        return await frames.accept(again, Pipe(asyncio.StreamReader()), N2, anyone)

    with pytest.raises(FrameError, match="damaged"):
        asyncio.run(replayed())


def test_a_frame_of_another_connection_or_said_twice_or_reflected_is_refused() -> None:
    async def channels() -> tuple[Channel, Channel, Channel]:
        one, other = await shake(N1, N2), await shake(N1, N2)
        assert isinstance(one[0], Channel)
        assert isinstance(one[1], Channel)
        assert isinstance(other[1], Channel)
        return one[0], one[1], other[1]

    at_n1, at_n2, elsewhere = asyncio.run(channels())
    said = at_n1.seal(frames.MESSAGE, b"vote for me")
    number = at_n1.sent
    assert read(said, at_n2.reads_with, number) == (frames.MESSAGE, b"vote for me")
    for key, at in (
        (at_n2.reads_with, number + 1),
        (elsewhere.reads_with, number),
        (at_n1.reads_with, number),
    ):
        with pytest.raises(FrameError):
            read(said, key, at)


@given(st.binary(max_size=80))
def test_no_introduction_that_can_be_read_does_harm(body: bytes) -> None:
    """Sealed as it should be, but saying anything."""

    async def introduced() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(frames.seal(N2.secret, 0, frames.HELLO, body))
        reader.feed_eof()
        await frames.accept(reader, Pipe(asyncio.StreamReader()), N2, anyone)

    with pytest.raises((FrameError, EOFError)):
        asyncio.run(introduced())


def test_who_sends_too_fast_is_read_slower() -> None:
    async def seconds() -> float:
        loop = asyncio.get_running_loop()
        pace, began = frames.Pace(a_second=10_000, least=1), loop.time()
        for _ in range(10):
            await pace.spend(1000)
        return loop.time() - began

    assert 0.4 < asyncio.run(seconds()) < 5
