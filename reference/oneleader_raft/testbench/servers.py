"""What a cluster by hand consists of: servers and their disks, messages in flight, lines of the trace."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ..raft import (
    ActionTaken,
    Apply,
    Compact,
    Durable,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    Message,
    Node,
    NodeId,
    ReadReady,
    Receive,
    Refuse,
    ResetElectionTimer,
    Restore,
    Send,
    Step,
)
from ..state_machine import Request, Result, StateMachine


class Disk:
    """What a server has stored. Only a synced write survives a crash; a torn one is as good as lost, since
    what it was to replace is still there (see `node.store`)."""

    def __init__(self, stored: Durable) -> None:
        self.written = self.synced = stored

    def write(self, durable: Durable) -> None:
        self.written = durable

    def sync(self) -> None:
        self.synced = self.written

    def crash(self) -> None:
        self.written = self.synced


@dataclass(frozen=True)
class Packet:
    """A message on its way. The number tells apart two packets with the same message."""

    number: int
    source: NodeId
    to: NodeId
    message: Message


@dataclass(frozen=True)
class PendingWrite:
    durable: Durable


@dataclass(frozen=True)
class Sync:
    pass


@dataclass(frozen=True)
class Applied:
    """The results of the requests that a server has just applied."""

    results: tuple[tuple[Request, Result], ...]


PendingOperation: TypeAlias = (
    PendingWrite | Sync | Send | ResetElectionTimer | Apply | Restore | ReadReady | Refuse
)
Done: TypeAlias = PendingWrite | Sync | Packet | ResetElectionTimer | Applied | Restore | ReadReady | Refuse


@dataclass
class SimulatedServer:
    """A node as it truly is, its clock, disk and state machine, and the step that it is in the middle of."""

    node: Node
    disk: Disk
    clock: int = 0
    machine: StateMachine = field(default_factory=StateMachine)
    is_up: bool = True
    event: Event | str = ""
    step: Step | None = None  # until it is true
    to_do: deque[PendingOperation] = field(default_factory=deque)

    @property
    def has_unsynced_write(self) -> bool:
        return bool(self.to_do) and isinstance(self.to_do[0], Sync)

    @property
    def has_stored_all(self) -> bool:
        return not self.to_do or not isinstance(self.to_do[0], PendingWrite | Sync)


# --- The trace --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TraceEntry:
    """One line of the trace: what happened to a server, the actions that it took, its state after them, and
    what all clocks showed."""

    node: NodeId
    event: Event | str
    actions: tuple[ActionTaken, ...]
    after: Node
    clocks: Mapping[NodeId, int]

    @property
    def words(self) -> str:
        return self.event if isinstance(self.event, str) else describe(self.event)


def describe(event: Event) -> str:
    match event:
        case ElectionTimeout():
            return "election timeout"
        case HeartbeatTimeout():
            return "heartbeat timeout"
        case Receive(message):
            return f"receive {message}"
        case Compact(index, _):
            return f"compact to {index}"
        case _:
            return str(event)
