"""JSON in which no key stands twice: readers would keep the last one and lose what the first one says.

Nor does NaN or Infinity stand in it, which Python writes and reads, and JSON does not have.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import msgspec

WRITE = msgspec.json.Encoder().encode


class Twice(ValueError):
    """A key that stands twice."""


class NoNumber(ValueError):
    """NaN, Infinity or -Infinity."""


def is_whole(text: bytes, found: Any) -> bool:
    """Whether all of the text's keys are in what was read of it: with each that was lost goes a colon.

    Escapes may hide colons, so a text that has any has to be read `with_care`.
    """
    return b"\\" not in text and WRITE(found).count(b":") == text.count(b":")


def with_care(text: str | bytes) -> Any:
    """What the text says; ValueError where it is not JSON, of a kind of its own where that is known here."""
    return json.loads(text, object_pairs_hook=_distinct, parse_constant=_refuse)


def _refuse(word: str) -> NoReturn:
    raise NoNumber(word)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise Twice(next(key for key in keys if keys.count(key) > 1))
    return found
