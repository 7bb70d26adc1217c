"""The lines of a recording: those that are read at once are read as with care."""

from __future__ import annotations

import random

import pytest

from oneleader.readers.replay import lines

PLAIN = (
    b'{"node": "n1", "event": "x:y", "actions": [["a", {"q": ["n1"]}]], "after": {"t": {"n1": 1.5e3}}}\n',
    '{"\u00e9": {"a": {"b": [1, -0, null, true]}, "a": 123456789012345678901234567890}}'.encode(),
    b'{"a": ":", "b": 1, "c": {"": 2}}',
)
PARTS = (
    *(b'"a":1,', b"\\u003a", b'\\"', b"NaN", b"1e999", b":", b",", b'"', b"{", b"}", b"[", b"]", b"-", b"0"),
    *(b"\x00", b"\xff", b" ", b"\n", b"\t", "\u00e9".encode(), b"\xed\xa0\x80", b"\xef\xbb\xbf"),
)


def mangled(at: random.Random) -> bytes:
    """A line with some bytes left out and others put in."""
    found = bytearray(at.choice(PLAIN))
    for _ in range(at.randrange(4)):
        place = at.randrange(len(found) + 1)
        if at.random() < 0.4:
            del found[place : place + at.choice([1, 1, 2, 5])]
        else:
            found[place:place] = at.choice(PARTS)
    return bytes(found)


def test_what_is_read_at_once_is_what_care_reads() -> None:
    at, read = random.Random(1), 0
    for _ in range(5_000):
        line = mangled(at)
        found = lines._at_once(line)
        if found is not None:
            read += 1
            assert repr(lines._with_care(2, line)) == repr(found), line
    assert 200 < read < 4_000


@pytest.mark.parametrize(
    "line",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": 1, "a": "\\u003a"}',  # the colon that is lost comes back
        b'{"a": NaN}',
        b"[1]",
    ],
)
def test_care_has_the_last_word(line: bytes) -> None:
    assert lines._at_once(line) is None
