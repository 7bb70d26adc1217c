"""How a node is run: its name, its peers, its times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..lease import Clocks
from ..raft import NodeId
from .clock import MICROSECONDS
from .links import Address, Tls
from .trace import ENDLESS, Rotation


@dataclass(frozen=True)
class NodeSettings:
    """Times in milliseconds; `drift` is how far any clock's rate may be from the true one, in thousandths."""

    id: NodeId
    peers: Mapping[NodeId, Address]  # those that the cluster began with
    data: Path
    cluster: str = "oneleader"
    secret: bytes = b""
    tls: Tls | None = None
    promise_ms: int = 300
    heartbeat_ms: int = 60
    drift: int = 10
    trace: bool = False
    trace_rotation: Rotation = ENDLESS
    compact_after: int = 10_000  # entries, at the least
    clockbound: Path | None = None  # its daemon's file, if it has to be there
    address: str = ""  # where peers reach this node, if not one of those

    @property
    def clocks(self) -> Clocks:
        return Clocks(self.promise_ms * MICROSECONDS, 1000 - self.drift, 1000 + self.drift)

    @property
    def own_address(self) -> str:
        """HOST:PORT."""
        host, port = self.peers.get(self.id, ("", 0))
        return f"{host}:{port}" if host else self.address
