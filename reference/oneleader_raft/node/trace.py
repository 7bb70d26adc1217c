"""What a node did, a JSON line for each step that became true; `recording` makes one recording of all nodes'.

    {"format": "oneleader-node", "version": 1, "node": "n1", "members": [...], "clocks": {...}}
    {"step": 7, "event": "receive RequestVote", "from": ["n2", 12], "clock": 81230042,
     "actions": [["grant_vote", {...}]], "after": {"term": 3, ..., "first": 4, "entries": [[2, "no-op"]]}}

`from` is the sender of the message received, and the number of the last line that it had written when it
sent it. `clock` is in microseconds. Of the log, `entries` are those from index `first` on: what the step
changed, or was told. A `restart` says all that was stored.

Where the trace rotates, a file that is full is followed by one whose first line is a step of nothing, `cut`:
it says the whole state, so that the files can be judged together, where the judge compares it, and the later
ones alone, where it is believed. The next file gets its name when that line stands in it.

A line is written when its step is synced and before any of its messages leaves. A crash may come between the
sync and the line: so the lines of the last save are stored with it (`Store.trace`), and a restart writes
those that are missing. A line that was cut off by the crash is taken back first.

Since the state is synced before its line is written, the trace can never know more than the state. Where it
does, the state is an old one (a backup, or a database that has lost its end), and the node must not start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..lease import Clocks
from ..raft import (
    ActionTaken,
    Compact,
    Durable,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    Node,
    NodeId,
    Propose,
    Receive,
)
from .disk import using
from .errors import DamagedError
from .log import common_prefix, last_index
from .trace_lines import CUT
from .trace_parts import parts, path_of

FORMAT, VERSION = "oneleader-node", 1
Source = tuple[NodeId, int]


@dataclass(frozen=True)
class Rotation:
    """A file is full when it has so many bytes, and so many are kept; 0 is without limit."""

    full: int = 0
    files: int = 0


ENDLESS = Rotation()


class Trace:
    """The files of one node; with no folder it counts and writes nothing. `step` numbers the last line."""

    def __init__(
        self,
        folder: Path | None,
        id: NodeId,
        members: tuple[NodeId, ...],
        clocks: Clocks,
        stored: Durable,
        kept: str = "",
        rotation: Rotation = ENDLESS,
    ) -> None:
        """`stored` is the state as the store has it, with the lines kept beside it. DamagedError where the
        trace knows more."""
        self.step = 0
        self._file: int | None = None
        if folder is None:
            return
        self._folder, self._id, self._rotation = folder, id, rotation
        self._header = json.dumps(_header(id, members, clocks)) + "\n"
        self._latest: tuple[int, Node] | None = None  # the clock and the node of the last line
        self._part = parts(folder).get(id, [1])[-1]
        path = path_of(folder, id, self._part)
        with using(path):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            self._size, last = _whole_lines(self._file, path, id)
            os.ftruncate(self._file, self._size)
        if not self._size:
            self.write(self._header)
        self.step = last["step"] if last else 0
        missing = [line for line in kept.splitlines(True) if json.loads(line)["step"] > self.step]
        if self.step and not missing:
            _compare(path, last["after"], stored)
        self.write("".join(missing))
        self.step += len(missing)

    def line(
        self,
        event: Event | str,
        source: Source | None,
        clock: int,
        actions: Iterable[ActionTaken],
        before: Node | None,
        after: Node,
    ) -> str:
        """The line of a step, with the next number; none where a reader would see nothing in it."""
        taken = [[action.name, dict(action.arguments)] for action in actions]
        state = _state(after)
        if self._file is None or (not taken and before is not None and state == _state(before)):
            return ""
        self._latest = clock, after
        return self._numbered(words(event), source, clock, taken, after, _first_touched(taken, before, after))

    def write(self, lines: str) -> None:
        """UnusableError, perhaps in the midst of a line, which the next start takes back."""
        if self._file is None or not lines:
            return
        with using(path_of(self._folder, self._id, self._part)):
            self._size += _write(self._file, lines)
        if self._latest and 0 < self._rotation.full <= self._size:
            self._rotate(*self._latest)

    def _numbered(
        self,
        event: str,
        source: Source | None,
        clock: int,
        taken: list[list[Any]],
        after: Node,
        first: int,
        **more: Any,
    ) -> str:
        entries = [[entry.term, str(entry.command)] for entry in after.after(first - 1)]
        self.step += 1
        said = {"step": self.step, "event": event, "from": source, "clock": clock, "actions": taken}
        return (
            json.dumps(said | more | {"after": _state(after) | {"first": first, "entries": entries}}) + "\n"
        )

    def _rotate(self, clock: int, node: Node) -> None:
        """The next file; it is there with its first line or not at all."""
        path = path_of(self._folder, self._id, self._part + 1)
        begun = path.with_suffix(".new")
        members = [list(part) for part in node.configuration.sets]
        cut = self._numbered(CUT, None, clock, [], node, node.snapshot.index + 1, members=members)
        with using(begun):
            following = os.open(begun, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
            self._size = _write(following, self._header + cut)
            begun.rename(path)
        self.close()
        self._file, self._part = following, self._part + 1
        if self._rotation.files:
            for number in parts(self._folder)[self._id][: -self._rotation.files]:
                path_of(self._folder, self._id, number).unlink()

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)


def _write(file: int, lines: str) -> int:
    """How many bytes these are."""
    data = lines.encode()
    size = len(data)
    while data:
        data = data[os.write(file, data) :]
    return size


def words(event: Event | str) -> str:
    match event:
        case str():
            return event
        case ElectionTimeout():
            return "election timeout"
        case HeartbeatTimeout():
            return "heartbeat timeout"
        case Receive(message):
            return f"receive {type(message).__name__}"
        case Propose(command):
            return f"propose {str(command)[:200]}"
        case Compact(index):
            return f"compact {index}"
        case _:
            return str(event)[:200]


def _compare(path: Path, last: dict[str, Any], stored: Durable) -> None:
    """DamagedError if the stored state is not the one that the last line saw."""
    seen = last["term"], last["voted_for"], last["length"]
    found = stored.current_term, stored.voted_for, last_index(stored)
    if found == seen:
        return
    told = "{} ends with term {}, vote {} and {} entries, and the stored state has term {}, vote {} and {}"
    if (found[0], found[2]) >= (seen[0], seen[2]):
        advice = "it went on without a trace; move the traces of all nodes away, none can be judged any more"
    else:
        advice = (
            "it is an old one or has lost its end; this node may have voted since, "
            "so replace it by a new one under another name"
        )
    raise DamagedError(f"{told.format(path, *seen, *found)}: {advice}")


def _header(id: NodeId, members: tuple[NodeId, ...], clocks: Clocks) -> dict[str, Any]:
    said = {"promise": clocks.promise, "slow": clocks.slow, "fast": clocks.fast}
    return {
        "format": FORMAT,
        "version": VERSION,
        "node": id,
        "members": sorted(members),
        "clocks": said,
    }


def _state(node: Node) -> dict[str, Any]:
    return {
        "term": node.current_term,
        "voted_for": node.voted_for,
        "role": node.role.value,
        "votes": sorted(node.votes),
        "pre_votes": sorted(node.pre_votes),
        "leader": node.leader_id,
        "promised_at": node.promised_at,
        "length": node.last_index,
        "commit": node.commit_index,
    }


def _first_touched(taken: list[list[Any]], before: Node | None, after: Node) -> int:
    """The index from which on the step may have changed the log, or was told what it has. Of what a snapshot
    stands for there is nothing to say."""
    begins = after.snapshot.index
    if before is None:
        return begins + 1
    told: list[int] = [a["prev"] for name, a in taken if name in ("append_entries", "replace_entries")]
    is_compacted = begins != before.snapshot.index
    old = before.after(min(begins, before.last_index)) if is_compacted else before.log
    return 1 + max(begins, min(begins + common_prefix(old, after.log), *told, after.last_index))


def _whole_lines(file: int, path: Path, id: NodeId) -> tuple[int, dict[str, Any]]:
    """Where the last whole line ends, and what it says, if it is a step's. DamagedError, and nothing is
    written, if this is not a trace of the node."""
    size = os.fstat(file).st_size
    window = 1 << 16
    while True:
        start = max(0, size - window)
        tail = os.pread(file, size - start, start)
        lines = tail[: tail.rfind(b"\n") + 1].splitlines()
        if len(lines) > 1 or start == 0:
            break
        window *= 4
    try:
        if size:
            _check_beginning(os.pread(file, 1 << 16, 0).split(b"\n")[0], id)
        is_begun = len(lines) > 1 or start > 0  # beyond the line that says whose it is
        last = json.loads(lines[-1]) if is_begun else {}
        if is_begun:
            _check_step(last)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise DamagedError(
            f"{path} is not a trace of {id}, or is damaged: move the traces of all nodes away, "
            "none can be judged any more"
        ) from None
    return start + tail.rfind(b"\n") + 1, last


def _check_beginning(line: bytes, id: NodeId) -> None:
    """ValueError if no trace of this node begins so, not even one that was cut off in its first line."""
    begins = f'{{"format": "{FORMAT}", "version": {VERSION}, "node": "{id}", '.encode()
    if not (line.startswith(begins) or begins.startswith(line)):
        raise ValueError


def _check_step(line: dict[str, Any]) -> None:
    """ValueError, TypeError, KeyError"""
    after = line["after"]
    if not all(type(number) is int for number in (line["step"], after["term"], after["length"])):
        raise ValueError
    after["voted_for"]
