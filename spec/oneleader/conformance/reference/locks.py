"""Scenarios of a lock: clients, an issuer of grants and a storage, judged after each step by `fencing`.

    s = LockScenario()
    s.acquire()       # by a new client, from the reference's state machine
    s.send("c1")      # it writes, now or when it wakes: the write stays in the network
    s.expire()        # the issuer's patience ends
    s.arrive("c1")    # the write arrives, now or again, at the reference's storage

A failover takes the last grants from the issuer. Each client acquires once: who acquires again is another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from oneleader.conformance.reference.patch import LOCKS, LockRules
from oneleader.conformance.reference.scenario import Broken
from oneleader.models import fencing
from oneleader.readers.replay.candidates import LineRefused
from oneleader.readers.replay.formats.own import OwnFormat
from oneleader_raft.fencing import Storage
from oneleader_raft.state_machine import Acquire, Release, Request, Result, StateMachine

LOCK, RESOURCE = "lock", "r1"
HEADER: dict[str, Any] = {"format": "oneleader", "version": 1, "model": "fencing"}
HEADER |= {"elements": {"Resource": [RESOURCE]}}


class LockScenario:
    """An issuer, a storage, clients and the model beside them. `judged` is off for a recording alone."""

    def __init__(self, locks: LockRules = LOCKS, *, judged: bool = True) -> None:
        self.locks = locks
        self.program: list[str] = []
        self.steps: list[dict[str, Any]] = []
        self.issued = [(StateMachine(), 0)]  # the issuer's states, and the token of its last grant
        self.index = 0
        self.tokens: dict[str, int] = {}
        self.sent: set[str] = set()
        self.storage = Storage()
        self._model = OwnFormat(HEADER, fencing.MODEL, limit=1) if judged else None

    def trace_lines(self, model: str = "fencing") -> Iterator[str]:
        """The recording, which `replay` judges."""
        return map(json.dumps, [HEADER, *self.steps])

    def acquire(self) -> None:
        """A new client asks for the lock."""
        self._say("acquire")
        client = f"c{len(self.tokens) + 1}"
        machine, token = self._apply(Request(client, 1, Acquire(LOCK, ttl=0)))
        if isinstance(token, int) and not isinstance(token, bool):
            self.tokens[client] = token
            self.issued.append((machine, token))
            self._step("acquire", r=RESOURCE, c=client, t=token)

    def expire(self) -> None:
        """The issuer takes the lock back. Its holder hears nothing of it."""
        self._say("expire")
        machine, last = self.issued[-1]
        if LOCK in machine.locks:
            release = Request("issuer", len(self.program), Release(LOCK, machine.locks[LOCK].token))
            self.issued[-1] = (self._apply(release)[0], last)
            self._step("expire", r=RESOURCE)

    def fail_over(self) -> None:
        """A new issuer has lost the last grant, and whatever was the log behind it."""
        self._say("fail_over")
        if len(self.issued) > 1:
            self.issued.pop()
            machine, last = self.issued[-1]
            self.index = last
            self.issued[-1] = (StateMachine(sessions=machine.sessions), last)
            self._step("fail_over", r=RESOURCE, t=last)

    def send(self, client: str) -> None:
        """A client that was granted the lock writes."""
        self._say("send", client)
        if client in self.tokens:
            self.sent.add(client)
            self._step("send_write", r=RESOURCE, c=client)

    def arrive(self, client: str) -> None:
        """Its write arrives, and stays in the network."""
        self._say("arrive", client)
        if client in self.sent:
            value, token = f"{client} {len(self.steps)}", self.tokens[client]
            self.storage = self.locks.write(self.storage, token, client, value)
            how = "accept_write" if self.storage.value == value else "refuse_write"
            self._step(how, r=RESOURCE, t=token, c=client)

    def _say(self, verb: str, *arguments: str) -> None:
        self.program.append(f"s.{verb}({', '.join(map(repr, arguments))})")

    def _apply(self, request: Request) -> tuple[StateMachine, Result]:
        self.index += 1
        return self.locks.apply(self.issued[-1][0], self.index, request)

    def _step(self, action: str, **arguments: Any) -> None:
        holder = self.issued[-1][0].locks.get(LOCK)
        after: dict[str, Any] = {
            "holder": {RESOURCE: holder.holder if holder else None},
            "greatest": {RESOURCE: self.storage.token},
            "nonce": {RESOURCE: self.storage.nonce},
        }
        words = self.program[-1].removeprefix("s.")
        step = {"node": RESOURCE, "event": words, "actions": [[action, arguments]], "after": after}
        self.steps.append(step)
        if self._model:
            try:
                self._model.judge(json.loads(json.dumps(step)))
            except LineRefused as refused:
                guard = f"{refused.action.partition('(')[0]}, {refused.guard}" if refused.guard else "state"
                raise Broken(f"fencing: {guard}", refused.text) from None


VERBS = ["acquire"] * 3 + ["expire"] * 3 + ["send"] * 3 + ["arrive"] * 4 + ["fail_over"]


class LockMachine(RuleBasedStateMachine):
    """Draws scenarios of a lock, as `drawn.ScenarioMachine` does of a cluster."""

    nodes: ClassVar[int] = 0
    core: ClassVar[Any] = LOCKS
    failed: ClassVar[list[tuple[Broken, Any]]] = []
    steps: ClassVar[list[int]] = []

    def __init__(self) -> None:
        super().__init__()
        self.scenario = LockScenario(self.core)

    @rule(verb=st.sampled_from(VERBS), a=st.integers(0, 5))
    def happens(self, verb: str, a: int) -> None:
        clients = list(self.scenario.tokens) or ["c1"]
        client = clients[max(0, len(clients) - 1 - a)]
        self.steps.append(1)
        try:
            getattr(self.scenario, verb)(*([client] if verb in ("send", "arrive") else []))
        except Broken as broken:
            self.failed.append((broken, self.scenario))
            raise
