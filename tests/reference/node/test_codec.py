"""Messages and commands as JSON: what is written comes back, and nothing else is taken for one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneleader_raft.configuration import Membership
from oneleader_raft.lease import DEFAULT, NO_ROUND, Round
from oneleader_raft.node import codec, links, pipeline
from oneleader_raft.node.codec import MalformedError
from oneleader_raft.node.frames import FrameError, Identity
from oneleader_raft.raft import (
    AppendEntries,
    AppendReply,
    Entry,
    InstallSnapshot,
    Message,
    Snapshot,
    VoteReply,
)
from oneleader_raft.state_machine import Command, Put, Request

VALUES = st.none() | st.text() | st.integers(-(2**63) + 1, 2**63 - 1)
NATURAL = st.integers(0, 2**63 - 1)
st.register_type_strategy(int, NATURAL)
REQUESTS = st.builds(
    Request,
    st.text(),
    NATURAL,
    st.one_of(
        *(
            st.builds(kind, **{"value": VALUES} if kind.__name__ in ("Put", "FencedPut") else {})
            if kind.__name__ != "Cas"
            else st.builds(kind, st.text(), VALUES, VALUES)
            for kind in get_args(Command)
        )
    ),
)
CONFIGURATIONS = st.builds(Membership)
ENTRIES = st.builds(Entry, NATURAL, st.just("no-op") | REQUESTS | CONFIGURATIONS)
SNAPSHOTS = st.builds(Snapshot, state=st.none() | st.text())
ROUNDS = st.just(NO_ROUND) | st.builds(Round, NATURAL, NATURAL)
WITH_PARTS = (AppendEntries, AppendReply, InstallSnapshot)
MESSAGES = st.one_of(
    *(st.builds(kind) for kind in get_args(Message) if kind not in WITH_PARTS),
    st.builds(InstallSnapshot, snapshot=SNAPSHOTS, round=ROUNDS),
    st.builds(AppendEntries, entries=st.lists(ENTRIES, max_size=3).map(tuple), round=ROUNDS),
    st.builds(AppendReply, round=ROUNDS),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=8) | st.dictionaries(st.sampled_from(list(codec.KINDS)), inner, max_size=2)
    ),
    max_leaves=12,
)


@given(MESSAGES)
def test_a_message_comes_back(message: Message) -> None:
    assert codec.message(json.loads(json.dumps(codec.plain(message)))) == message


@given(REQUESTS | st.just("no-op"))
def test_a_command_comes_back(command: Any) -> None:
    assert codec.command(json.loads(json.dumps(codec.plain(command)))) == command


@given(JSON)
def test_what_is_no_message_is_refused_in_words(value: Any) -> None:
    for read in (codec.message, codec.command):
        try:
            found = read(value)
        except MalformedError:
            continue
        assert json.dumps(codec.plain(found)) == json.dumps(value)


OWN = Identity("oneleader", "n1", "", frozenset({"n1", "n2", "n3"}), DEFAULT)
REPLY = {"VoteReply": [3, "n2", True]}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"VoteReply": [3, "n2"]}, "VoteReply has 3 fields"),
        ({"VoteReply": [3, "n2", True, 1]}, "VoteReply has 3 fields"),
        ({"VoteReply": [-3, "n2", True]}, "term is negative"),
        ({"VoteReply": [True, "n2", True]}, "term is no int"),
        ({"VoteReply": [3, "n2", 1]}, "vote_granted is no bool"),
        ({"VoteReply": [2**63, "n2", True]}, "term is out of range"),
        ({"Vote": []}, "'Vote' is not one of"),
        ({"Entry": [1, "no-op"]}, "'Entry' is not one of"),
        ({"Request": ["c", 1, {"Request": ["c", 1, None]}]}, "'Request' is not one of"),
        (REPLY | {"more": 1}, "an object with one key"),
        (["VoteReply"], "an object with one key"),
    ],
)
def test_what_is_wrong_is_said(value: Any, says: str) -> None:
    with pytest.raises(MalformedError, match=says):
        codec.message(value)


def test_a_frame_holds_a_message_of_its_sender() -> None:
    body = {"step": 7, "message": REPLY}
    assert links.read(json.dumps(body).encode(), "n2", OWN) == (("n2", 7), VoteReply(3, "n2", True))
    with pytest.raises(FrameError, match="n3 speaks in the name of n2"):
        links.read(json.dumps(body).encode(), "n3", OWN)
    for wrong in (b"", b"[" * 100_000, b'{"step": 7}', b'{"step": true, "message": {}}', b"\xff"):
        with pytest.raises(FrameError):
            links.read(wrong, "n2", OWN)


def test_a_message_that_nobody_can_have_sent_is_no_message() -> None:
    """Its values are of the right kinds, and the core would raise StopIteration or IndexError."""
    possible = AppendEntries(5, "n2", 0, 0, (Entry(5, "no-op"),), 0, Round(1, 1))
    for message in (replace(possible, prev_log_term=5), replace(possible, prev_log_index=7)):
        body = json.dumps({"step": 7, "message": codec.plain(message)}).encode()
        with pytest.raises(FrameError, match="nobody can have sent"):
            links.read(body, "n2", OWN)


def test_a_long_message_is_cut_to_a_beginning_that_fits() -> None:
    entries = tuple(Entry(1, Request("c", i, Put("k", "v" * 100_000))) for i in range(1, 30))
    whole = AppendEntries(1, "n1", 0, 0, entries, 0, Round(1, 1))
    cut = pipeline.fitting(whole)
    assert isinstance(cut, AppendEntries)
    assert 0 < len(cut.entries) < 29
    assert cut == replace(whole, entries=entries[: len(cut.entries)])
    single = replace(whole, entries=(Entry(1, Request("c", 1, Put("k", "v" * 2_000_000))),))
    assert pipeline.fitting(single) == single
