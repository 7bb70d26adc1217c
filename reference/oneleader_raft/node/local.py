"""A cluster on this machine: each node a process on free loopback ports, all data in one folder."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..raft import NodeId
from .links import Address

HOST = "127.0.0.1"
LISTENING = range(10_000, 32_768)  # Linux takes ports for outgoing connections from 32,768 on, others later
MODULE = ("-m", "oneleader_raft.node")
Route = Callable[[NodeId, NodeId, Address], Address]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, and of which the system makes none for a connection that goes out.

    One that it does would not stay free. Who then connects to it before its node listens may be given it as
    its own, too, and speak to itself.
    """
    found: dict[int, socket.socket] = {}
    while len(found) < count:
        port = LISTENING[secrets.randbelow(len(LISTENING))]
        with contextlib.suppress(OSError):
            found[port] = socket.create_server((HOST, port))
    for listener in found.values():
        listener.close()
    return [*found]


class LocalCluster:
    """Processes, by node; they end with this one, however it ends. `members` are those that it begins with.

    route  where a node reaches another one, if not directly
    """

    def __init__(
        self,
        folder: Path,
        nodes: int = 3,
        options: Sequence[str] = (),
        run: Sequence[str] = MODULE,
        route: Route = lambda source, to, address: address,
        trace: bool = True,
        names: str = "n",
    ) -> None:
        self.folder, self.run, self._route = folder, run, route
        self.options = (*options, "--trace") if trace else options
        self.members = [f"{names}{i}" for i in range(1, nodes + 1)]
        ports = free_ports(2 * nodes)
        self.addresses = {id: (HOST, port) for id, port in zip(self.members, ports, strict=False)}
        self.apis = {
            id: f"http://{HOST}:{port}" for id, port in zip(self.members, ports[nodes:], strict=True)
        }
        self.processes: dict[NodeId, subprocess.Popen[bytes]] = {}

    def start(self, *ids: NodeId) -> None:
        """Start these nodes, or all. Each writes its log to its own file in the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for id in ids or self.members:
            routes = {to: self._route(id, to, self.addresses[to]) for to in self.members}
            peers = ",".join(f"{to}={host}:{port}" for to, (host, port) in routes.items())
            host, port = self.addresses[id]
            where = ["--listen", f"{host}:{port}", "--api", self.apis[id].removeprefix("http://")]
            where += [] if id in self.members else ["--join"]
            command = (sys.executable, *self.run, "--id", id, "--peers", peers, *where, *self.options)
            with (self.folder / f"{id}.log").open("ab") as log:
                self.processes[id] = subprocess.Popen(
                    (*command, "--data", str(self.folder), "--until-stdin-ends"),
                    stdin=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                )

    def place(self, id: NodeId) -> str:
        """Ports for one more node, which is to join: where peers reach it, as HOST:PORT."""
        port, api = free_ports(2)
        self.addresses[id], self.apis[id] = (HOST, port), f"http://{HOST}:{api}"
        return f"{HOST}:{port}"

    def is_running(self, id: NodeId) -> bool:
        return id in self.processes and self.processes[id].poll() is None

    def kill(self, id: NodeId) -> None:
        """kill -9."""
        self.processes[id].kill()
        self.processes[id].wait()

    def pause(self, id: NodeId) -> None:
        os.kill(self.processes[id].pid, signal.SIGSTOP)

    def resume(self, id: NodeId) -> None:
        os.kill(self.processes[id].pid, signal.SIGCONT)

    def stop(self) -> dict[NodeId, int]:
        """Ask all to stop, and end those that do not. Their exit statuses."""
        running = [p for p in self.processes.values() if p.poll() is None]
        for process in running:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return {id: process.returncode for id, process in self.processes.items()}

    def status(self, id: NodeId, seconds: float = 0.5) -> dict[str, Any] | None:
        """What the node says of itself; None if it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.apis[id]}/v1/status", timeout=seconds) as answer:
                return json.load(answer)  # type: ignore[no-any-return]
        except (OSError, ValueError):
            return None

    def leader(self, seconds: float = 60.0) -> NodeId:
        """Who leads, by its lease, waiting for one. TimeoutError with what the nodes have logged."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for id in self.apis:
                said = self.status(id) if self.is_running(id) else None
                if said and said["lease_ms"] > 0:
                    return id
            time.sleep(0.02)
        raise TimeoutError(f"no node leads after {seconds} s; their logs are in {self.folder}")
