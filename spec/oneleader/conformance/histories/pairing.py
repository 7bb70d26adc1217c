"""Calls and completions, in the order in which they were seen, made into operations.

`invoke` begins an operation, `ok` ends it, `fail` says that it did not happen, `info` that nobody knows. What
is still under way at the end is unknown too. Positions in the list are the times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Any

from oneleader.conformance.histories.objects import (
    ACQUIRE,
    ADD,
    APPEND,
    CAS,
    READS,
    REMOVE,
    WRITES,
    comparable,
    known_kinds,
    unknown_kind,
)
from oneleader.words import quoted
from oneleader_raft.testbench.clients import Operation, written

INVOKE, OK, FAIL, INFO = TYPES = ("invoke", "ok", "fail", "info")
UNSAID: Any = object()  # the value of a line that has none: null is a value
CHANGES = {*WRITES, APPEND, CAS, ADD, REMOVE}


class BadLine(ValueError):
    """What is wrong with a line of a history."""

    def __init__(self, line: int, said: str) -> None:
        super().__init__(said)
        self.line = line


@dataclass(frozen=True)
class LoggedOperation(Operation):
    """An operation that stands in a file, from this line on."""

    line: int = 0


@dataclass(frozen=True)
class Moment:
    """A call or a completion. `value` is as in Jepsen: of a cas [expected, value], of a read's completion its
    result."""

    line: int
    client: str
    type: str
    kind: str
    key: str = ""
    value: Any = UNSAID


def paired(moments: Iterable[Moment], *, failed_cas_compared: bool = False) -> list[LoggedOperation]:
    """The operations. A failed cas did not happen, or (in etcd's logs) compared and found another value."""
    return [
        operation
        for called, returned, begin, end in _pairs(moments)
        if (operation := _operation(called, returned, begin, end, failed_cas_compared)) is not None
    ]


def _pairs(moments: Iterable[Moment]) -> Iterator[tuple[int, float, Moment, Moment | None]]:
    under_way: dict[str, tuple[int, Moment]] = {}
    for time, m in enumerate(moments):
        if m.type not in TYPES:
            raise BadLine(m.line, f"{quoted(m.type)} is not one of {', '.join(TYPES)}")
        if m.type == INVOKE:
            if m.client in under_way:
                line = under_way[m.client][1].line
                raise BadLine(m.line, f"client {m.client} calls while its call of line {line} is under way")
            under_way[m.client] = time, m
            continue
        if m.client not in under_way:
            raise BadLine(m.line, f"a completion of client {m.client}, which has no call under way")
        called, begin = under_way.pop(m.client)
        if (begin.kind, begin.key) != (m.kind, m.key):
            other, this = (f"{of.kind} {of.key}".strip() for of in (begin, m))
            raise BadLine(m.line, f"this completes {this}, but line {begin.line} called {other}")
        yield called, inf if m.type == INFO else time, begin, m
    for called, begin in under_way.values():
        yield called, inf, begin, None


def _operation(
    called: int, returned: float, begin: Moment, end: Moment | None, failed_cas_compared: bool
) -> LoggedOperation | None:
    failed = end is not None and end.type == FAIL
    if failed and not (failed_cas_compared and begin.kind == CAS):
        return None
    if begin.kind not in known_kinds():
        raise BadLine(begin.line, unknown_kind(begin.kind))
    if begin.kind in CHANGES and begin.value is UNSAID:
        raise BadLine(begin.line, f"this {begin.kind} has no value")
    value, expected, result = _said(begin), None, None
    asks, known = begin.kind in READS or begin.kind == ACQUIRE, end is not None and returned != inf
    if begin.kind == CAS:
        if not isinstance(value, tuple) or len(value) != 2:
            raise BadLine(begin.line, f"a cas has two values, [expected new], not {written(value)}")
        expected, value = value
        result = not failed if known else None
    if end is not None and known:
        if begin.kind in READS and end.value is UNSAID:
            raise BadLine(end.line, f"this completes a {begin.kind} and has no value: null stands for none")
        _expect_no_other(begin, end, asks)
        result = _said(end) if asks else result
    value = None if asks else value
    return LoggedOperation(
        begin.client, begin.kind, begin.key, called, returned, value, expected, result, begin.line
    )


def _said(m: Moment) -> Any:
    return None if m.value is UNSAID else m.value


def _expect_no_other(begin: Moment, end: Moment, asks: bool) -> None:
    """Both say the same, or one says nothing. Knossos writes what came of a call beside the call, too."""
    called, completes = _said(begin), _said(end)
    if (called if asks else completes) is not None and not _alike(called, completes):
        of, so = written(called), written(completes)
        raise BadLine(end.line, f"line {begin.line} called {begin.kind} {of}, this completes {so}")


def _alike(one: Any, other: Any) -> bool:
    try:
        return comparable(one) == comparable(other)
    except TypeError:  # which the object that they are values of says
        return bool(one == other)
