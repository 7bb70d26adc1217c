"""Rules 2 to 4 of `raft.py`, judged by what a driver tells of its doings.

A driver tells a `DriverJudge`, one for each server, of every deed as it does it: that it handed in an event
(`Stepped`), wrote and synced (`Wrote`, `Synced`), took the node after a step for the true one (`Became`),
carried out an effect (`Did`), crashed (`Crashed`) and started again (`Restarted`). The judge knows nothing of
Raft but what a step asks for.

Steps that are taken one after the other before anything is carried out are a batch: they share one sync, and
their effects follow in their order. Nobody can tell that from steps that each were stored in no time. A
message may be lost, so a `Send` may be left out; no other effect may.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from .raft import (
    Apply,
    Durable,
    Effect,
    Node,
    ReadReady,
    Refuse,
    ResetElectionTimer,
    Restore,
    Send,
    Step,
    Store,
)

EFFECTS: tuple[type, ...] = (Send, ResetElectionTimer, Apply, Restore, ReadReady, Refuse)


@dataclass(frozen=True)
class Stepped:
    """The core was handed an event for a node, and gave this step."""

    before: Node
    step: Step


@dataclass(frozen=True)
class Wrote:
    durable: Durable


@dataclass(frozen=True)
class Synced:
    pass


@dataclass(frozen=True)
class Became:
    """From now on this is the node: for who asks it, and for the next event."""

    node: Node


@dataclass(frozen=True)
class Did:
    effect: Effect


@dataclass(frozen=True)
class Crashed:
    pass


@dataclass(frozen=True)
class Restarted:
    """The core was restarted with what was on the disk."""

    durable: Durable
    step: Step


Deed: TypeAlias = Stepped | Wrote | Synced | Became | Did | Crashed | Restarted


class BrokenRuleError(AssertionError):
    """A driver did not keep to a rule."""


class DriverJudge:
    """Of one server's driver, from a moment when nothing is left to do: `stored` is on the disk, and the
    server is down, or it is this node. `kinds`: the effects of which the driver tells."""

    def __init__(self, stored: Durable, node: Node | None = None, kinds: tuple[type, ...] = EFFECTS) -> None:
        self.kinds = kinds
        self._on_disk = [stored]  # what a crash may leave: one of these
        self._rest(node)

    def _rest(self, node: Node | None) -> None:
        """Nothing is left to do."""
        self._latest = node  # after all steps taken
        self._taken = 0  # so many steps
        self._untrue: deque[Node] = deque()  # after each step that is not true yet
        self._to_do: deque[tuple[int, Effect]] = deque()  # each with the number of its step
        self._to_store: Durable | None = None
        self._written: Durable | None = None
        self._is_begun = False  # something of the batch was carried out

    def hears(self, deed: Deed) -> None:
        """BrokenRuleError if this deed must not come now."""
        match deed:
            case Stepped(before, step):
                self._stepped(before, step)
            case Wrote(durable):
                self._wrote(durable)
            case Synced():
                self._synced()
            case Became(node):
                self._became(node)
            case Did(effect):
                self._did(effect)
            case Crashed():
                self._on_disk += [self._written] if self._written else []
                self._rest(None)
            case Restarted(durable, step):
                self._restarted(durable, step)

    def _stepped(self, before: Node, step: Step) -> None:
        if self._is_begun:
            self._ends_batch()
        if before != self._latest:
            _break(3, "an event was handed to a node that is not the one after the last step")
        self._take(step)

    def _take(self, step: Step) -> None:
        self._latest = step.node
        self._taken += 1
        self._untrue.append(step.node)
        for effect in step.effects:
            if isinstance(effect, Store):
                self._to_store = effect.durable
            elif isinstance(effect, self.kinds):
                self._to_do.append((self._taken, effect))

    def _ends_batch(self) -> None:
        left = [effect for _, effect in self._to_do if not isinstance(effect, Send)]
        if self._to_store is not None:
            _break(4, "the next event was handed in before the last step was stored")
        if left:
            _break(4, f"the next event was handed in before the effects of the last were done: {left[0]}")
        if self._untrue:
            _break(3, "the next event was handed in, and the last step was never true")
        self._to_do.clear()
        self._is_begun = False

    def _wrote(self, durable: Durable) -> None:
        self._is_begun = True
        if durable != self._to_store:
            _break(2, "something was written that is not what the last step asked to store")
        self._written = self._to_store

    def _synced(self) -> None:
        if self._written is None or self._written is not self._to_store:
            _break(2, "there was a sync, and what the last step asked to store had not been written")
        self._on_disk, self._to_store, self._written = [self._written], None, None

    def _became(self, node: Node) -> None:
        self._is_begun = True
        if self._to_store is not None:
            _break(3, "a step was taken to be true before its Store was synced")
        if not self._untrue or self._untrue.popleft() != node:
            _break(3, "a node was taken to be true that is not the one after the next step")

    def _did(self, effect: Effect) -> None:
        self._is_begun = True
        if self._to_store is not None:
            _break(2, f"an effect was carried out before the Store of its step was synced: {effect}")
        while self._to_do and self._to_do[0][1] is not effect and isinstance(self._to_do[0][1], Send):
            self._to_do.popleft()
        if not self._to_do or self._to_do[0][1] is not effect:
            _break(2, f"an effect was carried out that is not the next one: {effect}")
        number, _ = self._to_do.popleft()
        if number > self._taken - len(self._untrue):
            _break(3, f"an effect was carried out of a step that is not true yet: {effect}")

    def _restarted(self, durable: Durable, step: Step) -> None:
        if self._latest is not None:
            _break(4, "it was started while it was up")
        if durable not in self._on_disk:
            _break(3, "it was started with something else than was synced last")
        self._on_disk = [durable]
        self._take(step)


def _break(rule: int, what: str) -> NoReturn:
    raise BrokenRuleError(f"rule {rule}: {what}")
