"""The rules for drivers, judged: the simulator keeps them under all faults, and each broken one is found."""

from __future__ import annotations

from typing import Any

import pytest

from oneleader_raft.driving import Became, BrokenRuleError
from oneleader_raft.raft import Apply, Durable, Event, Node, ResetElectionTimer, Send, Step
from oneleader_raft.testbench.cluster import Cluster
from oneleader_raft.testbench.servers import PendingWrite, SimulatedServer, Sync
from oneleader_raft.testbench.simulator import CHANGING, FAULTY, Simulation, SimulationSettings


@pytest.mark.parametrize("settings", [FAULTY, CHANGING], ids=["faulty", "changing"])
def test_the_simulator_keeps_the_rules_under_faults(settings: SimulationSettings) -> None:
    simulation = Simulation(["n1", "n2", "n3"], seed=7, settings=settings, traced=False)
    simulation.cluster.judge_driver()
    simulation.run(4000)
    happened = simulation.cluster.happened
    assert happened["restart"] >= 3
    assert sum(number for what, number in happened.items() if what.startswith("crash")) >= 3


class StoresLast(Cluster):
    def _begin(self, server: SimulatedServer, event: Event | str, step: Step, finish: bool) -> None:
        super()._begin(server, event, step, finish=False)
        if isinstance(server.to_do[0], PendingWrite):
            server.to_do.rotate(-2)
        self.finish(server.node.id)


class NeverSyncs(Cluster):
    def _begin(self, server: SimulatedServer, event: Event | str, step: Step, finish: bool) -> None:
        super()._begin(server, event, step, finish=False)
        if any(isinstance(operation, Sync) for operation in server.to_do):
            server.to_do.remove(Sync())
        self.finish(server.node.id)


class SendsBackwards(Cluster):
    def _begin(self, server: SimulatedServer, event: Event | str, step: Step, finish: bool) -> None:
        backwards = [e for e in step.effects if isinstance(e, Send)][::-1]
        others = [e for e in step.effects if not isinstance(e, Send)]
        super()._begin(server, event, Step(step.node, step.actions, (*others, *backwards)), finish)


class WritesAnotherTerm(Cluster):
    def _begin(self, server: SimulatedServer, event: Event | str, step: Step, finish: bool) -> None:
        super()._begin(server, event, step, finish=False)
        if isinstance(server.to_do[0], PendingWrite):
            server.to_do[0] = PendingWrite(Durable(99))
        self.finish(server.node.id)


class IsTrueTooSoon(Cluster):
    def _becomes_true_if_stored(self, server: SimulatedServer) -> None:
        if server.step is not None:
            server.node, server.step = server.step.node, None
            self._tell(server.node.id, Became(server.node))


class ForgetsAStep(Cluster):
    """A step without a Store is forgotten."""

    def _begin(self, server: SimulatedServer, event: Event | str, step: Step, finish: bool) -> None:
        before = server.node
        super()._begin(server, event, step, finish)
        server.node = before if before.durable == step.node.durable else server.node


class NeverApplies(Cluster):
    def _begin(self, server: SimulatedServer, event: Event | str, step: Step, finish: bool) -> None:
        kept = tuple(effect for effect in step.effects if not isinstance(effect, Apply))
        super()._begin(server, event, Step(step.node, step.actions, kept), finish)


class GoesOnBeforeItIsDone(Cluster):
    """The effects of a step wait until the next event has been handled."""

    def _idle(self, id: str) -> SimulatedServer:
        return self._up(id)

    def finish(self, id: str) -> list[Any]:
        done = []
        while self.is_busy(id) and not isinstance(self._servers[id].to_do[0], ResetElectionTimer):
            done.append(self.advance(id))
        return done


class StartsFromABackup(Cluster):
    def restart(self, id: str, *, finish: bool = True) -> None:
        self.disk(id).written = Durable()
        super().restart(id, finish=finish)


def drive(kind: type[Cluster]) -> Node:
    """A leader is elected, commits an entry, crashes and comes back."""
    cluster = kind(["n1", "n2", "n3"])
    cluster.judge_driver()
    cluster.elapse(cluster.clocks.promise)
    cluster.election_timeout("n1")
    while cluster.pending:
        cluster.deliver(cluster.pending[0])
    cluster.propose("n1", "a command")
    while cluster.pending:
        cluster.deliver(cluster.pending[0])
    cluster.heartbeat_timeout("n1")
    cluster.crash("n1")
    cluster.restart("n1")
    return cluster.node("n1")


def test_a_driver_that_keeps_the_rules() -> None:
    assert drive(Cluster).last_index == 2


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (StoresLast, "rule 2: an effect was carried out before the Store"),
        (NeverSyncs, "rule 2: an effect was carried out before the Store"),
        (SendsBackwards, "rule 2: an effect was carried out that is not the next one"),
        (WritesAnotherTerm, "rule 2: something was written"),
        (IsTrueTooSoon, "rule 3: a step was taken to be true before its Store was synced"),
        (ForgetsAStep, "rule 3: an event was handed to a node that is not the one"),
        (StartsFromABackup, "rule 3: it was started with something else"),
        (NeverApplies, "rule (2|4): "),
        (GoesOnBeforeItIsDone, "rule 4: the next event was handed in before the effects"),
    ],
)
def test_a_driver_that_breaks_a_rule_is_found(kind: type[Cluster], rule: str) -> None:
    with pytest.raises(BrokenRuleError, match=rule):
        drive(kind)
