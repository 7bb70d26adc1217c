"""Where faults of the reference are put: every function of `oneleader_raft.raft` is a place for one.

The reference has no switches. A faulty core runs it with other rules in the place of those of their names.
Each rule says which actions of the models it takes, as an implementation with this bug would: the judges must
find that a model does not allow them, or that the server is not in the state that they lead to.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from oneleader_raft import raft, state_machine
from oneleader_raft.core import Core
from oneleader_raft.fencing import Storage
from oneleader_raft.lease import Clocks
from oneleader_raft.raft import Durable, Event, Node, NodeId, Step
from oneleader_raft.state_machine import Result, StateMachine


@dataclass(frozen=True)
class LockRules:
    """What issues the grants of a lock, and what a storage does about a write; a fault is another one."""

    apply: Callable[[StateMachine, int, object], tuple[StateMachine, Result]] = state_machine.apply
    write: Callable[[Storage, int, Hashable, Hashable], Storage] = Storage.write


LOCKS = LockRules()
Restart = Callable[[NodeId, tuple[NodeId, ...], Durable, int, Clocks], Step]


@dataclass(frozen=True)
class Patched(Core):
    """The reference with others in the place of these of its rules."""

    rules: frozenset[str] = frozenset()


def patched(*rules: Callable[..., Any], restart: Restart = raft.restart) -> Patched:
    """The reference with other rules in the place of those of their names."""

    @contextmanager
    def in_place() -> Iterator[None]:
        correct = {rule.__name__: getattr(raft, rule.__name__) for rule in rules}
        vars(raft).update({rule.__name__: rule for rule in rules})
        try:
            yield
        finally:
            vars(raft).update(correct)

    def step(node: Node, event: Event, now: int) -> Step:
        with in_place():
            return raft.step(node, event, now)

    def is_leader(node: Node, now: int) -> bool:
        with in_place():
            return raft.is_leader(node, now)

    names = frozenset(rule.__name__ for rule in rules)
    others = frozenset({"restart"}) if restart is not raft.restart else frozenset()
    return Patched(step, restart, is_leader, rules=names | others)


def restarting(change: Callable[[Durable], Durable]) -> Core:
    """The reference that finds something else on its disk than it has stored."""

    def restart(id: NodeId, members: tuple[NodeId, ...], durable: Durable, now: int, clocks: Clocks) -> Step:
        return raft.restart(id, members, change(durable), now, clocks)

    return patched(restart=restart)


def took(taken: Step, *names: str) -> bool:
    """One of these actions is in the step."""
    return any(action.name in names for action in taken.actions)


def changed(taken: Step, **fields: Any) -> Step:
    """The step, after which the node is different."""
    return replace(taken, node=replace(taken.node, **fields))


def of_term(taken: Step, t: int) -> Step:
    """The step, reporting this term: a server that does not look at terms takes it for its own."""
    actions = (
        replace(action, arguments=tuple((k, t if k == "t" else v) for k, v in action.arguments))
        for action in taken.actions
    )
    return replace(taken, actions=tuple(actions))
