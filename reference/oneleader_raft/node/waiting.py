"""Clients that wait for an answer: for a write by their name and its number, for a read by an id drawn here.

A write is proposed once, however often its client repeats it meanwhile; all who ask hear the same outcome.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Callable, Hashable

from ..raft import Event, NodeId, Propose, Read
from ..state_machine import Request, Result, Session, StateMachine
from .errors import BusyError, NotLeaderError, OutcomeUnknownError, StaleRequestError


class Waiting:
    """`propose` hands an event to the core, or raises BusyError."""

    def __init__(self, propose: Callable[[Event], None]) -> None:
        self._propose = propose
        self._writes: dict[tuple[str, int], list[asyncio.Future[Result]]] = defaultdict(list)
        self._reads: dict[Hashable, asyncio.Future[tuple[int, StateMachine]]] = {}

    @property
    def for_writes(self) -> bool:
        return bool(self._writes)

    async def write(self, request: Request) -> Result:
        """Its result, once it is committed and applied."""
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        waiting = self._writes[request.client, request.number]
        waiting.append(answer)
        if len(waiting) == 1:
            try:
                self._propose(Propose(request))
            except BusyError:
                del self._writes[request.client, request.number]
                raise
        return await answer

    async def read(self) -> tuple[int, StateMachine]:
        """The state as of a moment between this call and its return, and after which entry it is."""
        answer: asyncio.Future[tuple[int, StateMachine]] = asyncio.get_running_loop().create_future()
        id = secrets.token_hex(8)
        self._reads[id] = answer
        try:
            self._propose(Read(id))
            return await answer
        finally:
            self._reads.pop(id, None)

    def applied(self, before: StateMachine, command: Hashable, result: Result) -> None:
        if isinstance(command, Request):
            last = before.sessions.get(command.client, Session()).number
            stale = StaleRequestError(f"request {command.number} of {command.client} is older than {last}")
            self._settle((command.client, command.number), stale if command.number < last else result)

    def answer_read(self, id: Hashable, index: int, state: StateMachine) -> None:
        answer = self._reads.get(id)
        if answer and not answer.done():
            answer.set_result((index, state))

    def refuse(self, what: Hashable, leader: NodeId | None) -> None:
        """A write, or a read by its id, that this node cannot serve; `leader` may."""
        if isinstance(what, Request):
            self._settle((what.client, what.number), NotLeaderError(leader))
            return
        answer = self._reads.get(what)
        if answer and not answer.done():
            answer.set_exception(NotLeaderError(leader))

    def give_up(self, why: str) -> None:
        """The leadership is lost: what was proposed may be committed by the next leader, or not."""
        for request in list(self._writes):
            self._settle(request, OutcomeUnknownError(why))

    def _settle(self, request: tuple[str, int], outcome: Result | Exception) -> None:
        for answer in self._writes.pop(request, ()):
            if answer.done():
                continue
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)
