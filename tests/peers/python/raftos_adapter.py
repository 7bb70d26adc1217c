"""An adapter around raftos, over datagrams as it sends them, its files in a temporary folder."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import raftos
from raftos.serializers import JSONSerializer
from raftos.state import Candidate, Leader, State
from raftos.storage import FileStorage, Log

from oneleader.conformance.adapter import Adapter, May, Observed, Report, Sent

PORT = 9000
NEVER = 1e9  # seconds: no timer rings unless the test lets it
asyncio.futures.InvalidStateError = asyncio.InvalidStateError  # where the Python of raftos' time had it


class Wire:
    """What the library asks of its server: it keeps what is sent."""

    def __init__(self, node: str, nodes: Sequence[str], loop: asyncio.AbstractEventLoop) -> None:
        (self.host, self.port), self.loop = (node, PORT), loop
        self.cluster = [(other, PORT) for other in nodes if other != node]
        self.cluster_count = len(self.cluster)
        self.sent: list[Sent] = []
        self.state = type("StateOfOne", (State,), {})(self)  # it keeps its leader in its class

    async def send(self, message: Any, to: str | tuple[str, int]) -> None:
        self.sent.append(Sent(to.split(":")[0] if isinstance(to, str) else to[0], dict(message)))

    def broadcast(self, message: Any) -> None:
        for to in self.cluster:
            self.loop.create_task(self.send(message, to))


class RaftosAdapter(Adapter):
    may = (May.STEP_DOWN, May.ASK_AGAIN)

    def __init__(self, nodes: Sequence[str]) -> None:
        self.nodes, self.folder, self.loop = nodes, tempfile.TemporaryDirectory(), asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        settings = {"log_path": self.folder.name, "heartbeat_interval": NEVER, "serializer": JSONSerializer}
        raftos.configure(settings)
        self.servers: dict[str, Wire | None] = {}
        self.answered: list[str] = []
        for node in nodes:
            self.restart(node)

    def run(self, node: str, act: Callable[[], object]) -> Report:
        """Let the library do what it has put off."""
        self.loop.call_soon(act)
        failed: list[Exception] = []
        self.loop.set_exception_handler(lambda _, said: failed.extend(filter(None, [said.get("exception")])))
        for _ in range(9):
            self.loop.run_until_complete(asyncio.sleep(0))
        if failed:
            raise failed[0]
        server, answered, self.answered = self.servers[node], self.answered, []
        sent, server.sent = server.sent, []
        return Report(sent, answered=answered)

    def restart(self, node: str) -> Report:
        self.servers[node] = Wire(node, self.nodes, self.loop)
        return self.run(node, self.servers[node].state.start)

    def timeout(self, node: str) -> Report:
        now = self.servers[node].state.state
        timer = now.step_down_timer if isinstance(now, Leader) else now.election_timer
        return self.run(node, timer.callback)

    def heartbeat(self, node: str) -> Report:
        now = self.servers[node].state.state
        return self.run(node, now.heartbeat) if isinstance(now, Leader) else Report()

    def receive(self, node: str, message: Any, sender: str = "") -> Report:
        message = {**message, "sender": (sender, PORT)}
        return self.run(node, lambda: self.servers[node].state.request_handler(message))

    def propose(self, node: str, value: str) -> Report:
        state = self.servers[node].state
        if not isinstance(state.state, Leader):
            return Report()

        async def put() -> None:
            await state.set_value("register", value)
            self.answered.append(value)

        return self.run(node, lambda: self.loop.create_task(put()))

    def crash(self, node: str) -> Report:
        self.servers[node].state.stop()
        self.servers[node] = None
        return Report()

    def observe(self, node: str) -> Observed:
        server = self.servers[node]
        disk, log = (
            (server.state.storage, server.state.log)
            if server
            else (FileStorage(f"{node}:{PORT}"), Log(f"{node}:{PORT}"))
        )
        entries = [(entry["term"], entry["command"]["register"]) for entry in log.cache]
        vote = disk["voted_for"] and disk["voted_for"].split(":")[0]
        role = None
        if server:
            state = server.state.state
            role = (
                "leader"
                if isinstance(state, Leader)
                else "candidate"
                if isinstance(state, Candidate)
                else "follower"
            )
        return Observed(disk["term"], vote, role, None, entries, 1, log.commit_index if server else None)

    def close(self) -> None:
        self.loop.set_exception_handler(lambda *_: None)
        _ = [task.cancel() for task in asyncio.all_tasks(self.loop)]  # proposals that never were answered
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()
        asyncio.set_event_loop(None)
        self.folder.cleanup()
