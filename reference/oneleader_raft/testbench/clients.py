"""Clients of a simulated cluster and what they did, as `oneleader.conformance.histories` judges it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Any

from ..raft import NodeId
from ..state_machine import Cas, Put, Request


@dataclass(frozen=True)
class Operation:
    """What one client did to one key.

    read   `result` is what it read; None where nothing was written yet
    write  of `value`
    cas    of `value` where the register held `expected`; `result` is True or False

    Other objects have other kinds (`oneleader.conformance.histories.objects`).

    `called` and `returned` are in any unit that orders them. `returned` is inf for an operation whose
    outcome nobody knows.
    """

    client: str
    kind: str
    key: str
    called: float
    returned: float = inf
    value: Hashable = None
    expected: Hashable = None
    result: Hashable = None

    def __str__(self) -> str:
        of = f" {self.key}" if self.key else ""
        value, expected, result = written(self.value), written(self.expected), written(self.result)
        words = {
            "read": f"read{of} -> {result}",
            "write": f"write{of} := {value}",
            "cas": f"cas{of} from {expected} to {value} -> {result}",
        }
        value = "" if self.value is None else f" {value}"
        returned = "" if self.result is None else f" -> {result}"
        said = words.get(self.kind, f"{self.kind}{of}{value}{returned}")
        end = "?" if self.returned == inf else f"{self.returned:g}"
        return f"{self.client:8} {self.called:g} .. {end}  {said}"


def written(value: Any) -> str:
    """A value as histories write it: null, true, [1, 2], {1, 2}."""
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(written, value)))}}}"
    return str(value)


@dataclass
class SimulatedClient:
    """Somebody with one operation under way, who repeats it, under the same number, until it is answered."""

    name: str
    number: int = 0
    operation: Operation | None = None
    attempt: int = 0
    asks: NodeId = ""
    seen: Hashable = None

    @property
    def request(self) -> Request | None:
        """The command of its operation; None for a read."""
        match self.operation:
            case Operation(kind="write", key=key, value=value):
                return Request(self.name, self.number, Put(key, value))
            case Operation(kind="cas", key=key, value=value, expected=expected):
                return Request(self.name, self.number, Cas(key, expected, value))
        return None
