"""Calls and completions, in the order in which they were seen, made into operations.

`invoke` begins an operation, `ok` ends it, `fail` says that it did not happen, `info` that nobody knows. What
is still under way at the end is unknown too. Positions in the list are the times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Any

from oneleader.conformance.histories.objects import ACQUIRE, CAS, READ, known_kinds, unknown_kind
from oneleader.words import quoted
from oneleader_raft.testbench.clients import Operation, written

INVOKE, OK, FAIL, INFO = TYPES = ("invoke", "ok", "fail", "info")


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
    """A call or a completion. `value` is as in Jepsen: of a cas [expected, value], of a read its result."""

    line: int
    client: str
    type: str
    kind: str
    key: str = ""
    value: Any = None


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
            what = f"{m.kind} {m.key}".strip()
            raise BadLine(
                m.line, f"this completes a {what}, but line {begin.line} called {begin.kind} {begin.key}"
            )
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
    value, expected, result = begin.value, None, None
    known = end is not None and returned != inf
    if begin.kind == CAS:
        if not isinstance(value, tuple) or len(value) != 2:
            raise BadLine(begin.line, f"a cas has two values, [expected new], not {written(value)}")
        if known and end is not None and isinstance(end.value, tuple):
            _expect_the_call(begin, end)
        expected, value = value
        result = not failed if known else None
    elif begin.kind in (READ, "get", ACQUIRE):
        value, result = None, end.value if known and end is not None else None
    elif known and end is not None and end.value is not None:
        _expect_the_call(begin, end)
    return LoggedOperation(
        begin.client, begin.kind, begin.key, called, returned, value, expected, result, begin.line
    )


def _expect_the_call(begin: Moment, end: Moment) -> None:
    """A completion names what was called."""
    if end.value != begin.value:
        called, completes = written(begin.value), written(end.value)
        raise BadLine(end.line, f"line {begin.line} called {begin.kind} {called}, this completes {completes}")
