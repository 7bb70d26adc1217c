"""What is stored comes back; what is damaged is refused, in one sentence, and nothing is overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneleader_raft.raft import NOOP, Durable, Entry
from oneleader_raft.state_machine import Acquire, Cas, Expire, FencedPut, Put, Release, Renew, Request
from oneleader_raft.storage import DamagedError, decode, encode, load, save

COMMANDS = st.one_of(
    st.just(NOOP),
    st.builds(
        Request,
        st.text(),
        st.integers(1, 9),
        st.one_of(
            st.builds(Put, st.text(), st.integers() | st.text()),
            st.builds(Cas, st.text(), st.none() | st.text(), st.text()),
            st.builds(Acquire, st.text(), st.integers(1)),
            st.builds(Renew, st.text(), st.integers(0)),
            st.builds(Release, st.text(), st.integers(0)),
            st.builds(Expire, st.text(), st.integers(0), st.integers(0)),
            st.builds(FencedPut, st.text(), st.integers() | st.text(), st.integers(1), st.text()),
        ),
    ),
)
STATES = st.builds(
    Durable,
    st.integers(0),
    st.none() | st.text(),
    st.lists(st.builds(Entry, st.integers(0), COMMANDS), max_size=4).map(tuple),
)
STATE = Durable(3, "n2", (Entry(1, NOOP), Entry(3, Request("c1", 1, Put("k", "v")))))


@given(STATES)
def test_what_is_stored_comes_back(state: Durable) -> None:
    assert decode(encode(state)) == state


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "n1"
    assert load(path) == Durable()
    save(path, STATE)
    (tmp_path / "n1.new").write_bytes(encode(Durable(9))[:-3])  # a crash in the next write
    assert load(path) == STATE
    save(path, Durable(4))
    assert load(path) == Durable(4)


def test_every_cut_and_every_changed_byte_is_seen() -> None:
    whole = encode(STATE)
    for size in range(len(whole)):
        with pytest.raises(DamagedError):
            decode(whole[:size])
    for position in range(len(whole)):
        for bit in (1, 0x80):
            changed = bytearray(whole)
            changed[position] ^= bit
            with pytest.raises(DamagedError):
                decode(bytes(changed))


@pytest.mark.parametrize(
    ("stored", "says"),
    [
        (b"", "it does not begin as a state of oneleader does"),
        (b"hello\nworld", "it does not begin as a state of oneleader does"),
        (encode(STATE)[:-1], "it is cut off or has grown"),
        (encode(STATE).replace(b"n2", b"n3"), "its checksum is wrong"),
        (
            encode(STATE).replace(b"oneleader 1", b"oneleader 2"),
            "it was written by a newer version (2; this one reads 1)",
        ),
    ],
)
def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path, stored: bytes, says: str) -> None:
    path = tmp_path / "n1"
    path.write_bytes(stored)
    with pytest.raises(DamagedError) as refused:
        load(path)
    assert says in str(refused.value)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == stored
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_read_back_is_not_written() -> None:
    with pytest.raises(ValueError, match="cannot be stored"):
        encode(Durable(1, None, (Entry(1, (1, 2)),)))
