"""The core as a parameter: a faulty variant is another `Core`, not a switch in `raft.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import raft, state_machine
from .lease import Clocks
from .raft import Durable, Event, Node, NodeId, Step
from .state_machine import Result, StateMachine


@dataclass(frozen=True)
class Core:
    """The Raft that the cluster runs, and the state machine on top."""

    step: Callable[[Node, Event, int], Step] = raft.step
    restart: Callable[[NodeId, tuple[NodeId, ...], Durable, int, Clocks], Step] = raft.restart
    is_leader: Callable[[Node, int], bool] = raft.is_leader
    apply: Callable[[StateMachine, int, object], tuple[StateMachine, Result]] = state_machine.apply


RAFT = Core()
