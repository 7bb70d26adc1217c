"""What a server must remember, in a file: whole or not at all, and refused where it is damaged.

A file is one line that says what it is, and the state as JSON. A new state is written beside it, synced, and
renamed over it, so a crash leaves the old file or the new one; what is left beside it is not looked at. So a
file that is cut off or changed is damage, and a server without its term and vote must not take part: it may
have voted. `load` says so and touches nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

from .raft import Durable, Entry
from .state_machine import Acquire, Cas, Expire, FencedPut, Put, Release, Renew, Request

VERSION = 1
COMMANDS = {k.__name__: k for k in (Put, Cas, Acquire, Renew, Release, Expire, FencedPut, Request)}


class DamagedError(Exception):
    """A stored state that cannot be trusted."""


def encode(durable: Durable) -> bytes:
    """The state as a file. ValueError for a command that is neither of `state_machine` nor plain."""
    log = [[entry.term, _plain(entry.command)] for entry in durable.log]
    body = json.dumps([durable.current_term, durable.voted_for, log]).encode()
    return f"oneleader {VERSION} {len(body)} {crc32(body):08x}\n".encode() + body


def decode(stored: bytes) -> Durable:
    """The state in a file; DamagedError, with what is wrong, where there is any doubt."""
    header, newline, body = stored.partition(b"\n")
    words = header.split(b" ")
    if not newline or len(words) != 4 or words[0] != b"oneleader" or not words[1].isdigit():
        raise DamagedError("it does not begin as a state of oneleader does")
    version = int(words[1])
    if version != VERSION:
        age = "a newer" if version > VERSION else "no known"
        raise DamagedError(f"it was written by {age} version ({version}; this one reads {VERSION})")
    if not words[2].isdigit() or len(body) != int(words[2]):
        raise DamagedError(f"it is cut off or has grown: {len(body)} bytes, where it says {words[2]!r}")
    if words[3] != f"{crc32(body):08x}".encode():
        raise DamagedError("its checksum is wrong")
    term, vote, log = json.loads(body)
    return Durable(term, vote, tuple(Entry(t, _command(command)) for t, command in log))


def load(path: Path) -> Durable:
    """The stored state, `Durable()` where there is none yet; DamagedError, and nothing is touched."""
    if not path.exists():
        return Durable()
    try:
        return decode(path.read_bytes())
    except DamagedError as damaged:
        raise DamagedError(
            f"{path}: {damaged}; this server may have voted, so do not delete it to start over: "
            "restore the file, or replace the server by a new one under another name"
        ) from None


def save(path: Path, durable: Durable) -> None:
    """Store the state; when this returns it will survive a crash."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(encode(durable))
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the renaming, too
    finally:
        os.close(folder)


def _plain(command: Any) -> Any:
    name = type(command).__name__
    if name in COMMANDS:
        return {name: [_plain(part) for part in vars(command).values()]}
    if command is None or isinstance(command, str | int | bool):
        return command
    raise ValueError(f"{command!r} cannot be stored: a command is one of {', '.join(COMMANDS)}, or plain")


def _command(plain: Any) -> Any:
    if not isinstance(plain, dict):
        return plain
    ((name, parts),) = plain.items()
    kind: Callable[..., Any] = COMMANDS[name]
    return kind(*map(_command, parts))
