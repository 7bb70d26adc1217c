"""Liveness in the simulator: soon after faults have ended there is a leader, it commits, and it stays; all
that hear it learn what is committed, whom it is asked to hand over to leads, and who is added catches up.

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


def idle(seed: int, core: Core, nodes: int) -> Simulation:
    """Nothing lasts, and no client asks for anything: what comes about comes by heartbeats. One more server
    is up, and no member."""
    ids = [f"n{i + 1}" for i in range(nodes)]
    settings = replace(FAULTY, clients=0, joining=1)
    simulation = Simulation(ids, seed, settings, core, traced=False)
    simulation.run(STORM)
    simulation.end_faults()
    simulation.run(STORM + RETURN)
    return simulation


LASTING: dict[str, Begin] = {
    f.__name__.replace("_", " "): after_a_storm(f) for f in (whole, deaf, bridge, down, failed_transfer)
} | {"left behind": left_behind, "idle": idle}


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
    return "" if lasting != "idle" else _unlearned(simulation, leader) or _undone(simulation, leader)


def _unlearned(simulation: Simulation, leader: NodeId) -> str:
    """A member does not know what its leader has committed, nor does it learn of one entry more."""
    simulation.cluster.propose(leader, "one more", finish=False)
    simulation.carry_out(leader)
    simulation.run(simulation.now + PATIENCE * TIMEOUT)
    node = simulation.cluster.node(leader)
    late = [n for n in node.members if simulation.cluster.node(n).commit_index < node.commit_index]
    return f"not learned by {' '.join(late)}: what {leader} has committed" if late else ""


def _undone(simulation: Simulation, leader: NodeId) -> str:
    """A server that is added does not catch up, or whom the leader hands over to does not lead: everybody is
    up, and who is asked to stand needs no election timeout."""
    cluster = simulation.cluster
    members = cluster.node(leader).members
    (added,) = set(cluster.members) - {*members}
    cluster.change_members(leader, [*members, added], finish=False)
    simulation.carry_out(leader)
    simulation.run(simulation.now + PATIENCE * TIMEOUT)
    committed = cluster.node(leader).commit_index
    if added not in cluster.node(leader).members or cluster.node(added).commit_index < committed:
        return f"not caught up: {added}, which was added"
    target = _another(simulation, leader)
    cluster.transfer(leader, target, finish=False)
    simulation.carry_out(leader)
    took_over = simulation.run(
        simulation.now + FAULTY.election_timeout[0], lambda: cluster.node(target).role is Role.LEADER
    )
    return "" if took_over else f"not handed over: {leader} was asked to, and {target} does not lead"


def _takes_itself_for_leader(simulation: Simulation) -> NodeId:
    """The newest that does; anybody where nobody does."""
    nodes = simulation.cluster.nodes.values()
    return max(nodes, key=lambda node: (node.role is Role.LEADER, node.current_term)).id


def _another(simulation: Simulation, leader: NodeId) -> NodeId:
    return next(id for id in simulation.cluster.members if id != leader)
