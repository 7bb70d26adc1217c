"""The simulator: the same run for the same seed, every fault, and a trace that the model explains."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from immutables import Map

from oneleader.conformance import histories
from oneleader.conformance.histories.judging import NOTHING_TOLD
from oneleader.models import MODELS
from oneleader.readers.replay.replay import replay_lines
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from oneleader_raft import raft
from oneleader_raft.core import RAFT, Core
from oneleader_raft.raft import (
    Event,
    Node,
    PreVoteReply,
    Receive,
    Role,
    Send,
    Step,
    Store,
    TwoLeadersError,
    VoteReply,
)
from oneleader_raft.testbench.cluster import Cluster
from oneleader_raft.testbench.safety import Safety, UnsafeError
from oneleader_raft.testbench.servers import Packet, PendingWrite, Sync
from oneleader_raft.testbench.simulator import CALM, DRIFTING, FAULTY, Simulation, SimulationSettings
from oneleader_raft.views import FIXED_MEMBERS, VIEWS

FIVE = ("n1", "n2", "n3", "n4", "n5")
FOUR = FIVE[:4]
THREE = FIVE[:3]
SEEDS = range(200)


# --- An independent judge: the model's actions in plain Python, applied to a trace ------------------------


class Refused(Exception):
    """The model does not allow this line of the trace."""


class Replayer:
    """The state of the model `election`, and its actions with their guards."""

    def __init__(self, nodes: list[str]) -> None:
        self.nodes = nodes
        self.term: dict[str, int] = dict.fromkeys(nodes, 0)
        self.voted_for: dict[str, str | None] = dict.fromkeys(nodes)
        self.role = dict.fromkeys(nodes, "follower")
        self.votes: dict[str, set[str]] = {n: set() for n in nodes}
        self.requested: set[tuple[str, int]] = set()
        self.replied: set[tuple[str, str, int]] = set()
        self.heartbeat: set[tuple[str, int]] = set()

    def require(self, *guards: bool) -> None:
        if not all(guards):
            raise Refused(guards)

    def start_election(self, n: str) -> None:
        self.require(self.role[n] != "leader")
        self.term[n], self.voted_for[n], self.role[n], self.votes[n] = self.term[n] + 1, n, "candidate", {n}
        self.requested.add((n, self.term[n]))

    def update_term(self, n: str, t: int) -> None:
        seen = {t for _, t in self.requested | self.heartbeat} | {t for _, _, t in self.replied}
        self.require(t in seen, t > self.term[n])
        self.term[n], self.voted_for[n], self.role[n], self.votes[n] = t, None, "follower", set()

    def grant_vote(self, voter: str, candidate: str, t: int) -> None:
        vote_is_free = self.voted_for[voter] in (None, candidate)
        self.require((candidate, t) in self.requested, self.term[voter] == t, vote_is_free)
        self.voted_for[voter] = candidate

    def reply_vote(self, voter: str, candidate: str, t: int) -> None:
        self.require(self.voted_for[voter] == candidate, self.term[voter] == t)
        self.replied.add((voter, candidate, t))

    def receive_vote(self, candidate: str, voter: str, t: int) -> None:
        was_sent = (voter, candidate, t) in self.replied
        self.require(was_sent, self.term[candidate] == t, self.role[candidate] == "candidate")
        self.votes[candidate] = self.votes[candidate] | {voter}

    def become_leader(self, n: str, q: list[str]) -> None:
        is_least_majority = len(q) == len(set(q)) == len(self.nodes) // 2 + 1
        self.require(self.role[n] == "candidate", is_least_majority, set(q) <= self.votes[n])
        self.role[n] = "leader"
        self.heartbeat.add((n, self.term[n]))

    def step_down(self, n: str, leader: str, t: int) -> None:
        self.require((leader, t) in self.heartbeat, self.term[n] == t, self.role[n] == "candidate")
        self.role[n], self.votes[n] = "follower", set()

    def restart(self, n: str) -> None:
        self.role[n], self.votes[n] = "follower", set()

    def after(self, n: str) -> dict[str, Any]:
        state = {"term": self.term[n], "voted_for": self.voted_for[n], "role": self.role[n]}
        return {name: {n: value} for name, value in (state | {"votes": sorted(self.votes[n])}).items()}


def judge(lines: Iterable[str]) -> None:
    header, *entries = map(json.loads, lines)
    model = Replayer(header["nodes"])
    for number, entry in enumerate(entries, 2):
        for name, arguments in entry["actions"]:
            try:
                getattr(model, name)(**arguments)
            except Refused as refused:
                raise Refused(f"line {number}: {name} {arguments} {refused}") from None
        if model.after(entry["node"]) != entry["after"]:
            raise Refused(f"line {number}: {entry} but the model has {model.after(entry['node'])}")


def leaders_by_term(cluster: Cluster) -> dict[int, set[str]]:
    leaders: dict[int, set[str]] = {}
    for entry in cluster.trace or ():
        if entry.after.role is Role.LEADER:
            leaders.setdefault(entry.after.current_term, set()).add(entry.node)
    return leaders


def actions_of(cluster: Cluster) -> list[str]:
    return [str(taken) for entry in cluster.trace or () for taken in entry.actions]


def stand(cluster: Cluster, id: str) -> None:
    """The server starts an election: time passes, it asks first, and everybody whom it reaches would vote."""
    cluster.elapse(cluster.clocks.promise)
    cluster.election_timeout(id)
    asked = [packet for packet in cluster.pending if packet.source == id]
    for packet in asked[-len(cluster.members) + 1 :]:
        cluster.deliver(packet)
        reply = cluster.pending[-1]
        if isinstance(reply.message, PreVoteReply):
            cluster.deliver(reply)


def digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def simulate(seed: int, settings: SimulationSettings = FAULTY, core: Core = RAFT) -> Simulation:
    simulation = Simulation((THREE, FOUR, FIVE)[seed % 3], seed, settings, core)
    simulation.run(until=3000)
    return simulation


@pytest.fixture(scope="module")
def runs() -> list[Simulation]:
    return [simulate(seed) for seed in SEEDS]


# --- Many seeds -------------------------------------------------------------------------------------------


def test_never_two_leaders_in_a_term(runs: list[Simulation]) -> None:
    for run in runs:
        for term, leaders in leaders_by_term(run.cluster).items():
            assert len(leaders) == 1, f"seed {run.cluster.seed}, term {term}: {leaders}"


def test_every_trace_is_one_of_the_model(runs: list[Simulation]) -> None:
    for run in runs:
        judge(run.cluster.trace_lines())


def test_elections_happen_even_among_faults(runs: list[Simulation]) -> None:
    elections = [len(leaders_by_term(run.cluster)) for run in runs]
    assert sum(map(bool, elections)) > 0.9 * len(runs)
    assert sum(elections) > 2 * len(runs)


def test_every_kind_of_fault_occurs(runs: list[Simulation]) -> None:
    happened: Counter[str] = sum((run.cluster.happened for run in runs), Counter())
    rare = {kind: count for kind, count in happened.items() if count < 10}
    assert not rare
    assert set(happened) == {
        "message dropped",
        "message duplicated",
        "message reordered",
        "message lost at a cut link",
        "message lost at a down server",
        "link cut",
        "link cut one way",
        "links mended",
        "partition: one link",
        "partition: a bridge",
        "partition: two sides",
        "pause",
        "transfer asked for",
        "crash",
        "crash before the write",
        "crash, unsynced write lost",
        "crash, unsynced write kept",
        "crash, messages unsent",
        "restart",
    }


def test_every_action_of_the_model_occurs(runs: list[Simulation]) -> None:
    """Of all models whose view of a run there is, and of each of them alone."""
    entries = [entry for run in runs for entry in run.cluster.trace or ()]
    for name in FIXED_MEMBERS:
        view = VIEWS[name]
        taken = {action for entry in entries for action, _ in view.taken(entry.actions)}
        wanted = set(MODELS[name].actions) - {"elapse"}
        assert taken == wanted, name


def test_without_faults_the_first_leader_stays() -> None:
    for seed in range(20):
        cluster = simulate(seed, CALM).cluster
        (leader,) = (id for id, node in cluster.nodes.items() if node.role is Role.LEADER)
        assert {node.current_term for node in cluster.nodes.values()} == {cluster.node(leader).current_term}
        assert "crash" not in cluster.happened


def test_a_cluster_of_one_has_a_leader() -> None:
    simulation = Simulation(["n1"], seed=1, settings=CALM)
    simulation.run(300)
    assert simulation.cluster.node("n1").role is Role.LEADER
    judge(simulation.cluster.trace_lines())


# --- Against the models, the properties, and what clients saw ---------------------------------------------


@pytest.mark.parametrize("model", FIXED_MEMBERS)
def test_every_run_is_one_of_the_model(runs: list[Simulation], model: str) -> None:
    """State for state: each step is one that the model allows, and leads where it says."""
    judged = 0
    for run in runs[:60]:
        found = replay_lines(list(run.cluster.trace_lines(model)))
        assert found.verdict is HOLDS, f"seed {run.cluster.seed}: {found.refusal}"
        judged += found.lines
    assert judged > 5000


def watched(
    seed: int, settings: SimulationSettings = FAULTY, core: Core = RAFT, until: int = 3000
) -> Simulation:
    """A run in which Figure 3 and leases are looked at after each step. UnsafeError where they are broken."""
    simulation = Simulation((THREE, FOUR, FIVE)[seed % 3], seed, settings, core, traced=False)
    simulation.watchers.append(Safety(simulation.cluster).check)
    simulation.run(until)
    return simulation


def test_every_run_is_safe_and_linearizable() -> None:
    """What clients saw holds, but where nobody was told anything that an order could contradict."""
    operations, untold = 0, 0
    for seed in range(150):
        simulation = watched(seed)
        judged = histories.judge(simulation.operations)
        is_untold = (judged.verdict, judged.why) == (INCONCLUSIVE, NOTHING_TOLD)
        assert judged.verdict is HOLDS or is_untold, f"seed {seed}: {judged}"
        untold += is_untold
        operations += sum(o.returned < float("inf") for o in simulation.history)
    assert operations > 1000
    assert untold < 150 / 4


def broken_by(seeds: Iterable[int], settings: SimulationSettings, core: Core = RAFT) -> str:
    for seed in seeds:
        try:
            judged = histories.judge(watched(seed, settings, core).operations)
        except (UnsafeError, TwoLeadersError) as unsafe:
            return str(unsafe).partition(":")[0]
        if judged.verdict is VIOLATED:
            return "linearizability"
    return ""


def test_clocks_outside_of_the_bound_break_leases() -> None:
    """What is stated of clocks is needed: the same runs with rates that drift further."""
    assert broken_by(range(400), DRIFTING) == "leases"


@pytest.mark.parametrize(("slow", "fast", "safe"), [(98, 102, True), (98, 103, False)])
def test_the_bound_on_clocks_is_exact(slow: int, fast: int, safe: bool) -> None:
    """A leader with the slowest clock is cut off; the others, with the fastest, keep their promises."""
    clocks = SimulationSettings().clocks
    cluster = Cluster(THREE, clocks=clocks)
    stand(cluster, "n1")
    for follower in ("n2", "n3"):
        cluster.deliver(latest(cluster, "n1", follower))
        cluster.deliver(latest(cluster, follower, "n1"))  # a vote
    for follower in ("n2", "n3"):
        cluster.deliver(latest(cluster, "n1", follower))
        cluster.deliver(latest(cluster, follower, "n1"))  # the acknowledgement of a round
    assert cluster.is_leader("n1")

    moments = -(-clocks.promise // fast)  # until their promises have run out
    cluster.elapse({"n1": moments * slow, "n2": moments * fast, "n3": moments * fast})
    cluster.election_timeout("n2")
    for source, to in (("n2", "n3"), ("n3", "n2")) * 2:
        cluster.deliver(latest(cluster, source, to))
    assert cluster.node("n2").role is Role.LEADER
    assert cluster.is_leader("n1") is not safe


def test_retries_that_take_effect_twice_are_seen() -> None:
    def forgetful(state: Any, index: int, command: Any) -> Any:
        return RAFT.apply(replace(state, sessions=Map()), index, command)

    assert broken_by(range(150), FAULTY, Core(apply=forgetful)) == "linearizability"


def test_without_faults_clients_are_served() -> None:
    simulation = Simulation(FIVE, 1, CALM, traced=False)
    simulation.run(5000)
    assert len(simulation.history) > 100
    assert all(o.returned < float("inf") for o in simulation.history[10:])
    assert {o.kind for o in simulation.history} == {"read", "write", "cas"}


# --- Determinism ------------------------------------------------------------------------------------------


PRINT_A_TRACE = """
from oneleader_raft.testbench.simulator import Simulation
simulation = Simulation(["n5", "n3", "n1", "n2", "n4"], seed=7)
simulation.run(5000)
print("\\n".join(simulation.cluster.trace_lines()))
"""


def test_the_same_seed_gives_the_same_trace_in_another_process() -> None:
    def trace(hash_seed: str) -> bytes:
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        return subprocess.run(
            [sys.executable, "-c", PRINT_A_TRACE], env=environment, stdout=subprocess.PIPE, check=True
        ).stdout

    one, other = trace("1"), trace("2")
    assert one == other
    assert one.count(b"\n") > 300


def test_another_seed_gives_another_trace() -> None:
    assert len({digest(list(simulate(seed).cluster.trace_lines())[1:]) for seed in range(0, 30, 3)}) == 10


def test_the_same_trace_on_every_machine_and_python() -> None:
    """If a change of the core or of the simulator was meant to change runs, print the new digest here."""
    assert digest(simulate(7).cluster.trace_lines()) == GOLDEN, "the runs of all seeds have changed"


GOLDEN = "e0da2f6d645ef3d01cb1561763978be3437dc2ebd2e2069af8527fc1760771dc"


# --- The trace --------------------------------------------------------------------------------------------


def test_the_trace_as_written(tmp_path: Path) -> None:
    cluster = Cluster(["n2", "n1", "n3"], seed=5)
    stand(cluster, "n2")
    cluster.deliver(latest(cluster, "n2", "n1"))
    cluster.write_trace(tmp_path / "trace.jsonl")

    header, *lines = map(json.loads, (tmp_path / "trace.jsonl").read_text().splitlines())
    timeout, grant, reply = (line for line in lines[3:] if line["actions"])
    vote = {"voter": "n1", "candidate": "n2", "t": 1}
    after = {"term": {"n1": 1}, "voted_for": {"n1": "n2"}, "role": {"n1": "follower"}, "votes": {"n1": []}}
    assert header == {
        "format": "oneleader",
        "version": 1,
        "model": "election",
        "nodes": ["n1", "n2", "n3"],
        "quorums": "majority",
        "seed": 5,
    }
    assert timeout["actions"] == [["start_election", {"n": "n2"}]]
    assert grant == {
        "node": "n1",
        "event": "receive RequestVote(term=1, candidate_id='n2', last_log_index=0, last_log_term=0, "
        "forced_by=None)",
        "actions": [["update_term", {"n": "n1", "t": 1}], ["grant_vote", vote]],
        "after": after,
    }
    assert (reply["actions"], reply["after"]) == ([["reply_vote", vote]], after)


# --- Faults by hand ---------------------------------------------------------------------------------------


def latest(cluster: Cluster, source: str, to: str) -> Packet:
    return next(packet for packet in reversed(cluster.pending) if (packet.source, packet.to) == (source, to))


def steps_until(cluster: Cluster, id: str, kind: type) -> None:
    while not isinstance(cluster.advance(id), kind):
        pass


def asked_for_a_vote() -> Cluster:
    """n2 has been asked by n1 and is in the middle of granting its vote."""
    cluster = Cluster(THREE)
    stand(cluster, "n1")
    cluster.deliver(latest(cluster, "n1", "n2"), finish=False)
    return cluster


def test_a_step_is_true_only_when_its_write_is_synced() -> None:
    cluster = asked_for_a_vote()
    steps_until(cluster, "n2", PendingWrite)
    assert cluster.node("n2").current_term == 0
    before = len(actions_of(cluster))

    steps_until(cluster, "n2", Sync)
    assert cluster.node("n2").voted_for == "n1"
    taken = ["update_term(n=n2, t=1)", "grant_vote(voter=n2, candidate=n1, t=1)"]
    assert actions_of(cluster)[before:] == taken

    cluster.finish("n2")
    assert actions_of(cluster)[before + 2 :] == ["reply_vote(voter=n2, candidate=n1, t=1)"]
    assert cluster.pending[-1].message == VoteReply(1, "n2", True)
    judge(cluster.trace_lines())


@pytest.mark.parametrize(
    ("done", "lose_unsynced", "event", "taken", "voted_for"),
    [
        (None, False, "crash before the write", [], None),
        (PendingWrite, True, "crash, unsynced write lost", [], None),
        (PendingWrite, False, "crash, unsynced write kept", ["update_term", "grant_vote"], "n1"),
        (Sync, True, "crash, messages unsent", ["update_term", "grant_vote"], "n1"),
    ],
    ids=str,
)
def test_a_crash_in_the_middle_of_a_step(
    done: type | None, lose_unsynced: bool, event: str, taken: list[str], voted_for: str | None
) -> None:
    cluster = asked_for_a_vote()
    begun = len(cluster.trace or ())
    if done is not None:
        steps_until(cluster, "n2", done)
    cluster.crash("n2", lose_unsynced=lose_unsynced)
    cluster.restart("n2")

    by_n2 = (cluster.trace or [])[begun:]
    assert [name.name for entry in by_n2 for name in entry.actions] == [*taken, "restart"]
    assert [entry.words for entry in by_n2][-2:] == [event, "restart"]
    assert cluster.node("n2").voted_for == voted_for
    assert not any(isinstance(packet.message, VoteReply) for packet in cluster.pending)
    judge(cluster.trace_lines())


def test_messages_are_delivered_duplicated_and_dropped_in_any_order() -> None:
    cluster = Cluster(THREE)
    stand(cluster, "n1")
    first = latest(cluster, "n1", "n2")
    stand(cluster, "n1")
    second, to_n3 = latest(cluster, "n1", "n2"), latest(cluster, "n1", "n3")
    copy = cluster.duplicate(second)
    cluster.drop(to_n3)
    for packet in (second, first, copy):
        assert cluster.deliver(packet)

    assert cluster.happened["message reordered"] == 1
    answers = [p.message for p in cluster.pending if p.source == "n2" and isinstance(p.message, VoteReply)]
    assert answers == [VoteReply(2, "n2", True), VoteReply(2, "n2", False), VoteReply(2, "n2", True)]
    with pytest.raises(KeyError):
        cluster.deliver(second)
    judge(cluster.trace_lines())


def test_a_duplicated_vote_elects_nobody() -> None:
    cluster = Cluster(FIVE)
    stand(cluster, "n1")
    cluster.deliver(latest(cluster, "n1", "n2"))
    reply = latest(cluster, "n2", "n1")
    assert isinstance(reply.message, VoteReply)
    for packet in (reply, cluster.duplicate(reply), cluster.duplicate(reply)):
        cluster.deliver(packet)
    assert cluster.node("n1").role is Role.CANDIDATE
    judge(cluster.trace_lines())


@pytest.mark.parametrize("one_way", [True, False])
def test_a_partition_cuts_one_way_or_both_and_heals(one_way: bool) -> None:
    def arrives(source: str, to: str) -> bool:
        cluster.elapse(cluster.clocks.promise)
        cluster.election_timeout(source)
        return cluster.deliver(latest(cluster, source, to))

    cluster = Cluster(THREE)
    cluster.partition("n1", "n2", one_way=one_way)
    assert not arrives("n1", "n2")
    assert arrives("n2", "n1") is one_way
    assert arrives("n1", "n3")
    cluster.heal()
    assert arrives("n1", "n2")


def test_a_server_that_is_down_or_busy_takes_no_events() -> None:
    cluster = asked_for_a_vote()
    with pytest.raises(ValueError, match=r"n2 is in the middle of a step \(receive RequestVote"):
        cluster.election_timeout("n2")
    with pytest.raises(ValueError, match="n2 is up: crash it first"):
        cluster.restart("n2")
    cluster.crash("n2")
    with pytest.raises(ValueError, match="n2 is down: restart it first"):
        cluster.heartbeat_timeout("n2")

    cluster.elapse(cluster.clocks.promise)
    cluster.election_timeout("n1")
    assert not cluster.deliver(latest(cluster, "n1", "n2")), "a message to a server that is down is lost"


def test_faults_by_hand_mix_with_a_simulation() -> None:
    simulation = Simulation(THREE, seed=3, settings=CALM)
    simulation.run(1000)
    (leader,) = (id for id, node in simulation.cluster.nodes.items() if node.role is Role.LEADER)
    simulation.cluster.crash(leader)
    simulation.run(2000)
    *_, successor = leaders_by_term(simulation.cluster).values()
    assert leader not in successor
    simulation.cluster.restart(leader)
    simulation.run(3000)
    assert len({node.current_term for node in simulation.cluster.nodes.values()}) == 1
    judge(simulation.cluster.trace_lines())


# --- The judge is no rubber stamp: faulty variants of the core are refused --------------------------------


def edit_effects(edit: Callable[[Step], Iterator[raft.Effect]]) -> Core:
    def step(node: Node, event: Event, now: int) -> Step:
        taken = raft.step(node, event, now)
        return replace(taken, effects=tuple(edit(taken)))

    return Core(step=step)


def forgets_the_vote(taken: Step) -> Iterator[raft.Effect]:
    """Only the term is stored."""
    for effect in taken.effects:
        yield Store(replace(effect.durable, voted_for=None)) if isinstance(effect, Store) else effect


def answers_before_storing(taken: Step) -> Iterator[raft.Effect]:
    yield from sorted(taken.effects, key=lambda effect: not isinstance(effect, Send))


def counts_old_replies(node: Node, event: Event, now: int) -> Step:
    match event:
        case Receive(VoteReply(t, voter, True)) if t < node.current_term:
            event = Receive(VoteReply(node.current_term, voter, True))
    return raft.step(node, event, now)


def counts_refusals(node: Node, event: Event, now: int) -> Step:
    match event:
        case Receive(VoteReply(t, voter, False)) if t == node.current_term:
            event = Receive(VoteReply(t, voter, True))
    return raft.step(node, event, now)


def votes_twice(node: Node, event: Event, now: int) -> Step:
    match event:
        case Receive(raft.RequestVote(t)) if t == node.current_term and node.role is Role.FOLLOWER:
            node = replace(node, voted_for=None)
    return raft.step(node, event, now)


@pytest.mark.parametrize(
    "core",
    [
        pytest.param(edit_effects(forgets_the_vote), id="forgets the vote"),
        pytest.param(edit_effects(answers_before_storing), id="answers before storing"),
        pytest.param(Core(step=counts_old_replies), id="counts old replies"),
        pytest.param(Core(step=counts_refusals), id="counts refusals"),
        pytest.param(Core(step=votes_twice), id="votes twice"),
    ],
)
def test_a_faulty_core_is_refused(core: Core) -> None:
    def is_refused(seed: int) -> bool:
        try:
            judge(simulate(seed, core=core).cluster.trace_lines())
        except (Refused, TwoLeadersError):
            return True
        return False

    assert any(map(is_refused, SEEDS))


def test_a_forgotten_vote_elects_two_leaders() -> None:
    """Why Figure 2 has the vote on stable storage: n2 votes for n1, crashes, and votes for n3."""
    cluster = Cluster(THREE, edit_effects(forgets_the_vote))
    cluster.elapse(cluster.clocks.promise)
    for candidate in ("n1", "n3"):
        cluster.election_timeout(candidate)
        cluster.deliver(latest(cluster, candidate, "n2"))
        cluster.deliver(latest(cluster, "n2", candidate))
    for candidate in ("n1", "n3"):
        cluster.deliver(latest(cluster, candidate, "n2"))
        cluster.deliver(latest(cluster, "n2", candidate))
        cluster.crash("n2")
        cluster.restart("n2")
        cluster.elapse(cluster.clocks.promise)

    assert leaders_by_term(cluster) == {1: {"n1", "n3"}}
    with pytest.raises(Refused):
        judge(cluster.trace_lines())
    with pytest.raises(TwoLeadersError):
        cluster.deliver(latest(cluster, "n1", "n3"))
