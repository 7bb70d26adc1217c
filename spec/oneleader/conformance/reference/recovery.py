"""Liveness in the simulator: soon after faults have ended there is a leader, it commits, and it stays.

A run of random faults, which then end but for one that lasts, chosen against the leader of the moment.
`wrong` says in words what is missing a bounded number of election timeouts later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from oneleader_raft.core import RAFT, Core
from oneleader_raft.raft import Durable, Entry, NodeId, Role
from oneleader_raft.testbench.simulator import CALM, FAULTY, Simulation

STORM = 3000  # milliseconds of faults
TIMEOUT = FAULTY.election_timeout[1]
Begin = Callable[[int, Core, int], Simulation]  # by seed, core and number of servers

PATIENCE = 6  # election timeouts: measured, 2.3 of them at most
RETURN = FAULTY.downtime[1] + FAULTY.pause_time[1]  # until all that were down or paused are back


def whole(simulation: Simulation, leader: NodeId) -> None:
    """Nothing lasts."""


def deaf(simulation: Simulation, leader: NodeId) -> None:
    """The leader is heard by all and hears nobody."""
    for other in simulation.cluster.members:
        if other != leader:
            simulation.cluster.partition(other, leader, one_way=True)


def bridge(simulation: Simulation, leader: NodeId) -> None:
    """The leader and another one reach all but each other."""
    simulation.cluster.partition(leader, _another(simulation, leader))


def down(simulation: Simulation, leader: NodeId) -> None:
    """The leader is gone for good."""
    simulation.cluster.crash(leader)


def failed_transfer(simulation: Simulation, leader: NodeId) -> None:
    """The leader has asked another one to take over, who is gone for good."""
    target = _another(simulation, leader)
    simulation.cluster.crash(target)
    simulation.cluster.transfer(leader, target)


def after_a_storm(lasting: Callable[[Simulation, NodeId], None]) -> Begin:
    """Faults of all kinds, which end; then one that lasts."""

    def begin(seed: int, core: Core, nodes: int) -> Simulation:
        simulation = Simulation([f"n{i + 1}" for i in range(nodes)], seed, core=core, traced=False)
        simulation.run(STORM)
        simulation.end_faults()
        simulation.run(STORM + RETURN)
        simulation.settings = replace(simulation.settings, heal=0)  # what is cut from now on stays cut
        lasting(simulation, _takes_itself_for_leader(simulation))
        return simulation

    return begin


def left_behind(seed: int, core: Core, nodes: int) -> Simulation:
    """Of a bare majority that is up one has a later term, of an election that it lost, and a shorter log."""
    entries = (Entry(1, "old"), Entry(1, "new"))
    ids = [f"n{i + 1}" for i in range(nodes)]
    stored = dict.fromkeys(ids, Durable(1, None, entries)) | {"n1": Durable(3, "n1", entries[:1])}
    calm = replace(CALM, heal=0)
    simulation = Simulation(ids, seed, calm, core, traced=False, stored=stored)
    for id in ids[nodes // 2 + 1 :]:
        simulation.cluster.crash(id)
    return simulation


LASTING: dict[str, Begin] = {
    f.__name__.replace("_", " "): after_a_storm(f) for f in (whole, deaf, bridge, down, failed_transfer)
} | {"left behind": left_behind}


def wrong(seed: int, lasting: str, core: Core = RAFT, nodes: int = 3) -> str:
    """What is missing at the end of the run with this seed; nothing is the empty sentence."""
    simulation = LASTING[lasting](seed, core, nodes)
    simulation.run(simulation.now + PATIENCE * TIMEOUT)
    leader = simulation.leader()
    if leader is None:
        return f"no leader in {PATIENCE} election timeouts"
    node = simulation.cluster.node(leader)
    if node.commit_index < node.leadership.noop:
        return f"nothing committed in {PATIENCE} election timeouts, though {leader} leads"
    simulation.run(simulation.now + PATIENCE * TIMEOUT)
    if (simulation.leader(), simulation.cluster.node(leader).current_term) != (leader, node.current_term):
        return f"deposed: {leader}, the leader of term {node.current_term}, though nothing new had failed"
    return ""


def _takes_itself_for_leader(simulation: Simulation) -> NodeId:
    """The newest that does; anybody where nobody does."""
    nodes = simulation.cluster.nodes.values()
    return max(nodes, key=lambda node: (node.role is Role.LEADER, node.current_term)).id


def _another(simulation: Simulation, leader: NodeId) -> NodeId:
    return next(id for id in simulation.cluster.members if id != leader)
