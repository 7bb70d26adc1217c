"""The log as a running node keeps it: the tuple that the core asks for, without its copies.

The core takes the log up to an index and adds entries; with tuples that copies all of it at each step. A
`Log` is the beginning of a list that is only ever added to: the next log shares the list, and sees more of
it. Where the list goes on with other entries already, since another log has added them, this one is copied:
that happens where a follower's entries are replaced, and nowhere else.

To the core it is a tuple: it can be indexed, sliced, added to, counted and compared. What begins at its first
entry is a `Log` again; any other part is a tuple, as messages have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeAlias, cast

from ..raft import Durable, Entry, Node

Entries: TypeAlias = tuple[Entry, ...]


class Log:
    """The first `size` entries of a list."""

    __slots__ = ("_list", "_size")
    __hash__ = None  # type: ignore[assignment]  # as nobody asks, and it would cost the length

    def __init__(self, entries: list[Entry], size: int) -> None:
        self._list, self._size = entries, size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._list[: self._size])

    def __getitem__(self, at: Any) -> Any:
        if not isinstance(at, slice):
            return self._list[range(self._size)[at]]
        start, stop, step = at.indices(self._size)
        if at.start is None and step == 1:
            return Log(self._list, stop)
        return tuple(self._list[start:stop:step])

    def __add__(self, entries: Entries) -> Log:
        end = self._size + len(entries)
        there = self._list[self._size : end]
        if tuple(there) != entries[: len(there)]:
            return Log(self._list[: self._size] + list(entries), end)
        self._list.extend(entries[len(there) :])
        return Log(self._list, end)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Log | tuple):
            return NotImplemented
        return len(self) == len(other) and common_prefix(self, other) == len(self)

    def __repr__(self) -> str:
        return repr(tuple(self))


def growing(entries: Entries) -> Entries:
    """The same entries as a log that may grow."""
    if isinstance(entries, Log):
        return cast(Entries, entries)
    return cast(Entries, Log(list(entries), len(entries)))


def with_growing_log(node: Node) -> Node:
    """A node whose log begins after another entry than before has a new one, as a tuple."""
    if isinstance(node.log, Log):
        return node
    return replace(node, log=growing(node.log))


def common_prefix(old: Entries | Log, new: Entries | Log) -> int:
    """How many entries both begin with."""
    shorter = min(len(old), len(new))
    share_a_list = isinstance(old, Log) and isinstance(new, Log) and old._list is new._list
    if old is new or share_a_list or tuple(old[:shorter]) == tuple(new[:shorter]):
        return shorter
    return next(i for i in range(shorter) if old[i] != new[i])


def last_index(durable: Durable) -> int:
    return durable.snapshot.index + len(durable.log)


def after(durable: Durable, index: int) -> Entries:
    """Its entries after an index that is that of its snapshot or a later one."""
    return durable.log[index - durable.snapshot.index :]
