"""The core's values as JSON, and back only if they are well-formed.

A dataclass is an object with one key, its name, and its fields in order: `{"VoteReply": [3, "n2", true]}`.
What is read is checked against the annotations of the fields: an unknown name, a field too many or too few,
a value of another type, or a negative number that is not a clock's is refused. Whether anybody can have sent
the message is for `messages` to tell.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from .. import raft
from ..configuration import InEffect, Membership
from ..lease import LONG_AGO, Round
from ..raft import Message, Snapshot
from ..state_machine import Command, Request

MESSAGES = get_args(Message)
PARTS = (raft.Entry, Round, Snapshot, InEffect, Membership)
KINDS = {kind.__name__: kind for kind in (*MESSAGES, *PARTS, Request, *get_args(Command))}
MAY_BE_NEGATIVE = {"sent_at", "value", "expected"}  # clocks, and what clients store
LONGEST_INTEGER = 64  # bits, with the sign


class MalformedError(Exception):
    """What was read is no value of the kind wanted."""


def plain(value: Any) -> Any:
    """The value as JSON has it."""
    if is_dataclass(value):
        return {type(value).__name__: [plain(getattr(value, name)) for name in _names(value.__class__)]}
    if isinstance(value, tuple):
        return [plain(part) for part in value]
    return value


def message(value: Any) -> Message:
    return _one_of(MESSAGES, value)  # type: ignore[no-any-return]


def command(value: Any) -> Hashable:
    return _command(value, "command")  # type: ignore[no-any-return]


def in_effect(value: Any) -> InEffect:
    return _one_of((InEffect,), value)  # type: ignore[no-any-return]


# -- Reading -------------------------------------------------------------------------------------------


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


@cache
def _readers(kind: type) -> tuple[Callable[[Any], Any], ...]:
    """How to read each field of a dataclass."""
    hints = get_type_hints(kind)
    return tuple(_reader(hints[name], name) for name in _names(kind))


def _reader(hint: Any, name: str) -> Callable[[Any], Any]:
    if hint is Hashable or hint is object:
        return lambda value: _command(value, name)
    if get_origin(hint) is tuple:
        part = _reader(get_args(hint)[0], name)
        return lambda value: tuple(map(part, _typed(list, value, name)))
    if get_origin(hint) in (Union, types.UnionType):
        options = get_args(hint)
        if type(None) in options:
            (other,) = (option for option in options if option is not type(None))
            inner = _reader(other, name)
            return lambda value: None if value is None else inner(value)
        return lambda value: _one_of(options, value)
    if is_dataclass(hint):
        return lambda value: _one_of((hint,), value)
    if hint is int:
        return lambda value: _integer(value, name)
    return lambda value: _typed(hint, value, name)


def _one_of(kinds: tuple[Any, ...], value: Any) -> Any:
    if not isinstance(value, dict) or len(value) != 1:
        raise MalformedError("an object with one key, the name of its kind, was expected")
    ((name, parts),) = value.items()
    kind = KINDS.get(name)
    if kind is None or kind not in kinds:
        raise MalformedError(f"{str(name)[:40]!r} is not one of {', '.join(k.__name__ for k in kinds)}")
    readers = _readers(kind)
    if not isinstance(parts, list) or len(parts) != len(readers):
        raise MalformedError(f"{name} has {len(readers)} fields")
    return kind(*(read(part) for read, part in zip(readers, parts, strict=True)))


def _command(value: Any, name: str) -> Any:
    """A request, a configuration, or what is plain: a string, a whole number, true, false, null."""
    if isinstance(value, dict):
        return _one_of((Request, Membership), value)
    if value is None or isinstance(value, str | bool):
        return value
    return _integer(value, name)


def _integer(value: Any, name: str) -> int:
    _typed(int, value, name)
    if value < 0 and name not in MAY_BE_NEGATIVE:
        raise MalformedError(f"{name} is negative")
    if value.bit_length() >= LONGEST_INTEGER and value != LONG_AGO:
        raise MalformedError(f"{name} is out of range")
    return value  # type: ignore[no-any-return]


def _typed(kind: type, value: Any, name: str) -> Any:
    if type(value) is not kind:
        raise MalformedError(f"{name} is no {kind.__name__}")
    return value
