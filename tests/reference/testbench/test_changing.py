"""Simulated runs in which members change, servers join and come back, and logs are compacted at any time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from oneleader.conformance import histories
from oneleader.conformance.histories.judging import NOTHING_TOLD
from oneleader.models import MODELS
from oneleader.readers.replay.replay import replay_lines
from oneleader.verdict import HOLDS, INCONCLUSIVE
from oneleader_raft.raft import Entry, Node, NodeId, Step
from oneleader_raft.testbench.cluster import Cluster
from oneleader_raft.testbench.safety import Safety, UnsafeError
from oneleader_raft.testbench.simulator import CHANGING, FAULTY, Simulation, SimulationSettings
from oneleader_raft.views import VIEWS

SEEDS = (*range(11), 47)
UNTIL = 6000
WITHOUT_COMPACTION = replace(CHANGING, compaction=0)


@cache
def run(seed: int, settings: SimulationSettings = CHANGING, *, until: int = UNTIL) -> Simulation:
    """One to four members at first, and two servers that may join. UnsafeError where something is broken."""
    simulation = Simulation([f"n{i + 1}" for i in range(1 + seed % 4)], seed, settings)
    simulation.watchers.append(Safety(simulation.cluster).check)
    simulation.run(until)
    return simulation


def taken(runs: list[Simulation]) -> Counter[str]:
    return Counter(
        action.name for run in runs for entry in run.cluster.trace or () for action in entry.actions
    )


def test_every_run_is_safe_and_linearizable() -> None:
    """Figure 3, leases and snapshots after each step; what clients saw; and clients do get somewhere."""
    operations, untold = 0, 0
    for seed in SEEDS:
        found = run(seed)
        judged = histories.judge(found.operations)
        is_untold = (judged.verdict, judged.why) == (INCONCLUSIVE, NOTHING_TOLD)
        assert judged.verdict is HOLDS or is_untold, f"seed {seed}: {judged}"
        untold += is_untold
        operations += len(found.history)
    assert operations > 300
    assert untold < len(SEEDS) / 4


def test_all_that_can_happen_happens() -> None:
    runs = [run(seed) for seed in SEEDS]
    actions = taken(runs)
    wanted = set(MODELS["snapshots"].actions)
    assert {action for action in wanted if actions[action]} == wanted
    assert {"crash, unsynced write lost", "crash, unsynced write kept"} <= {
        what for r in runs for what in r.cluster.happened
    }
    joint = [e for e in all_changes(runs) if e.configuration.is_joint]
    assert joint
    assert len(all_changes(runs)) > 2 * len(joint)


def all_changes(runs: list[Simulation]) -> list[object]:
    return [
        change for r in runs for node in r.cluster.nodes.values() for change in node.history if change.since
    ]


def test_servers_join_leave_and_come_back() -> None:
    """Of what the leaders' logs say: some server is a member, then is none, and then is one again."""
    came_back, joined = set(), set()
    for seed in SEEDS:
        cluster = run(seed, WITHOUT_COMPACTION).cluster
        node = max(cluster.nodes.values(), key=lambda node: node.commit_index)
        for id in cluster.members:
            was = [id in known.configuration.voters for known in node.history]
            text = "".join("x" if there else "." for there in was)
            joined |= {seed} if ".x" in text else set()
            came_back |= {seed} if "x.x" in text.replace("..", ".") else set()
    assert joined
    assert came_back


def test_a_snapshot_is_torn_by_a_crash() -> None:
    """A crash between the write of a snapshot and its sync: the server goes on all the same."""
    seen = set()

    def watch(cluster: Cluster, id: NodeId) -> None:
        disk = cluster.disk(id)
        if disk.written.snapshot is not disk.synced.snapshot:
            seen.add("torn")

    simulation = Simulation(["n1", "n2", "n3"], 1, replace(CHANGING, crash_at_disk=0.3, compaction=1))
    crash = simulation.cluster.crash

    def crashing(id: NodeId, *, lose_unsynced: bool = True) -> None:
        watch(simulation.cluster, id)
        crash(id, lose_unsynced=lose_unsynced)

    simulation.cluster.crash = crashing  # type: ignore[method-assign]
    simulation.watchers.append(Safety(simulation.cluster).check)
    simulation.run(UNTIL)
    assert seen == {"torn"}


@pytest.mark.parametrize(("model", "settings"), [("snapshots", CHANGING), ("membership", WITHOUT_COMPACTION)])
def test_every_run_is_one_of_the_model(model: str, settings: SimulationSettings) -> None:
    judged = 0
    for seed in (0, 1, 2):
        found = replay_lines(list(run(seed, settings, until=2500).cluster.trace_lines(model)))
        assert found.verdict is HOLDS, f"seed {seed}: {found.refusal}"
        judged += found.lines
    assert judged > 500


def test_the_other_models_end_where_members_change() -> None:
    lines = {model: len(list(run(2).cluster.trace_lines(model))) for model in VIEWS}
    assert max(lines[m] for m in VIEWS if m != "snapshots") < lines["snapshots"]


def test_the_same_seed_gives_the_same_run_and_others_stay_as_they_were() -> None:
    again = Simulation(["n1", "n2"], 1, CHANGING)
    again.run(UNTIL)
    assert again.cluster.nodes == run(1).cluster.nodes
    assert (FAULTY.joining, FAULTY.change, FAULTY.compaction) == (0, 0, 0)


@pytest.mark.parametrize("what", ["term", "configuration", "state"])
def test_a_snapshot_that_says_something_else_is_seen(what: str) -> None:
    """Each of the three, in the cluster of a core that changes it."""
    cluster = Cluster(["n1"])
    safety = Safety(cluster)
    cluster.elapse(cluster.clocks.promise)
    cluster.election_timeout("n1")
    safety.check("n1")
    cluster.compact("n1")
    safety.check("n1")
    cluster.propose("n1", "x")
    safety.check("n1")
    cluster.compact("n1")
    snapshot = cluster.node("n1").snapshot
    wrong = {
        "term": {"term": 9},
        "configuration": {"in_effect": replace(snapshot.in_effect, since=1)},
        "state": {"state": None},
    }[what]
    cluster._servers["n1"].node = replace(cluster.node("n1"), snapshot=replace(snapshot, **wrong))
    with pytest.raises(UnsafeError, match=f"snapshots: that of n1 has the {what}"):
        safety.check("n1")


def test_entries_that_are_gone_too_early_are_seen() -> None:
    cluster = Cluster(["n1", "n2"])
    node: Node = cluster.node("n2")
    cluster._servers["n2"].node = replace(
        node, log=(Entry(1, "x"),), snapshot=replace(node.snapshot, index=1), commit_index=1
    )
    assert Step(cluster.node("n2"))
    with pytest.raises(UnsafeError, match="a snapshot of what nobody has committed"):
        Safety(cluster).check("n2")
