"""A real cluster under real faults, judged: nothing acknowledged is lost, no stale read, no step that a model
forbids. And that the judges can say no: the same cluster with a faulty core."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oneleader.conformance import histories
from oneleader.conformance.histories import Operation
from oneleader.readers.replay.formats import node_folders as recorded
from oneleader.verdict import HOLDS, VIOLATED
from oneleader_raft.node.client import Client, UnknownOutcomeError
from oneleader_raft.node.local import MODULE, LocalCluster
from oneleader_raft.node.recording import TraceLine, merged, opened
from oneleader_raft.views import FIXED_MEMBERS

MODELS = list(FIXED_MEMBERS)
SECRET = "what the members of this cluster know"


@dataclass
class Run:
    folder: Path
    history: list[Operation]
    last: dict[str, Any]  # what the keys held in the end
    statuses: dict[str, int]
    followed: list[recorded.Judging]


def answering(cluster: LocalCluster, id: str) -> None:
    until = time.monotonic() + 15
    while not cluster.status(id):
        assert time.monotonic() < until, f"{id} does not answer; its log is in {cluster.folder}"
        time.sleep(0.02)


def another_leader(cluster: LocalCluster, than: str) -> str:
    until = time.monotonic() + 15
    while time.monotonic() < until:
        for id in cluster.members:
            said = cluster.status(id) if id != than and cluster.is_running(id) else None
            if said and said["lease_ms"] > 0:
                return id
    raise AssertionError(f"nobody but {than} leads; the nodes' logs are in {cluster.folder}")


def all_are_up(cluster: LocalCluster) -> None:
    """Each answers: what is not up yet would be ended by SIGTERM, and not stop by itself."""
    until = time.monotonic() + 60
    while not all(map(cluster.status, cluster.members)):
        assert time.monotonic() < until, f"not all nodes are up; their logs are in {cluster.folder}"
        time.sleep(0.1)


def some_writes(clients: Any) -> None:
    """The clients go on: some of what they ask for from now on is acknowledged."""
    before, until = clients.acknowledged, time.monotonic() + 15
    while clients.acknowledged < before + 5:
        assert time.monotonic() < until, "no write is acknowledged any more"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, proxies: Any, clients: Any) -> Run:
    folder = tmp_path_factory.mktemp("cluster")
    secret = folder / "secret"
    secret.write_text(SECRET)
    between = proxies()
    options = ("--secret-file", str(secret), "--trace-megabytes", "0.1")
    cluster = LocalCluster(folder, options=options, route=between.route)
    following = Following(folder)
    cluster.start()
    try:
        cluster.leader()
        writing = clients(cluster)
        some_writes(writing)
        killed = cluster.leader()
        cluster.kill(killed)
        another_leader(cluster, killed)
        some_writes(writing)
        cluster.start(killed)

        paused = cluster.leader()
        cluster.pause(paused)  # longer than its lease
        another_leader(cluster, paused)
        some_writes(writing)
        cluster.resume(paused)
        some_writes(writing)

        apart = cluster.leader()
        between.cut(apart)
        another_leader(cluster, apart)
        some_writes(writing)
        between.heal()
        some_writes(writing)

        for id in cluster.members:  # all at once: what was acknowledged is on their disks
            cluster.kill(id)
        cluster.start()
        cluster.leader()
        all_are_up(cluster)
        some_writes(writing)
        history = writing.stop()
        with Client(list(cluster.apis.values())) as client:
            last = {key: client.get(key) for key in writing.KEYS}
    finally:
        statuses = cluster.stop()
    return Run(folder, history, last, statuses, following.stop())


class Following(threading.Thread):
    """`oneleader replay --follow`, within this process: told to end by what ends it there."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder, self._is_over = folder, threading.Event()
        self.found: list[recorded.Judging] = []
        self.start()

    def run(self) -> None:
        def tell(at: Any) -> None:
            if self._is_over.is_set():
                raise KeyboardInterrupt

        self.found = recorded.follow(self._folder, ["pre_vote", "replication"], tell)

    def stop(self) -> list[recorded.Judging]:
        self._is_over.set()
        self.join()
        return self.found


def test_nothing_acknowledged_is_lost_and_no_read_is_stale(run: Run) -> None:
    now = max(o.called for o in run.history) + 1000
    in_the_end = [Operation("end", "read", key, now, now, result=value) for key, value in run.last.items()]
    judged = histories.judge([*run.history, *in_the_end])
    assert judged.verdict is HOLDS, "\n".join(map(str, judged.failing))
    kinds = {(o.kind, o.client[0]) for o in run.history}
    assert kinds >= {("write", "w"), ("cas", "w"), ("read", "w"), ("read", "r")}


def test_a_lost_write_in_this_history_would_be_seen(run: Run) -> None:
    """The same history, if the last acknowledged write had been lost."""
    key = "x"
    writes = [o for o in run.history if o.kind == "write" and o.key == key and o.returned < float("inf")]
    first = min(writes, key=lambda o: o.called)
    now = max(o.called for o in run.history) + 1000
    lost = Operation("end", "read", key, now, now, result=first.value)
    assert histories.judge([*run.history, lost]).verdict is VIOLATED


def names(line: TraceLine) -> list[str]:
    return [name for name, _ in line.said.actions]


@pytest.mark.parametrize("model", MODELS)
def test_each_model_allows_what_the_cluster_did(run: Run, model: str) -> None:
    (judged,) = recorded.judge(run.folder, [model])
    assert judged.result.verdict is HOLDS, "\n".join(judged.result.summary())
    taken = judged.result.steps
    assert taken["become_leader"] >= 4, "a first leader, and after a kill, a pause, a partition"
    given_up = taken["give_up"] if model != "election" else None  # there it is called a restart as well
    assert taken["restart"] == 3 + 1 + 3 or (given_up is None and taken["restart"] > 3 + 1 + 3)
    assert judged.result.events_judged > 200


def test_a_heartbeat_that_says_nothing_new_is_one_step_and_compared_each_time(
    run: Run, tmp_path: Path
) -> None:
    """And a trace that lies at such a line is refused there."""
    (honest,) = recorded.judge(run.folder, ["replication"])
    heard = [line for line in merged(opened(run.folder)) if "append_entries" in names(line)]
    assert honest.result.steps["append_entries"] < len(heard)

    latest: dict[str, Any] = {}
    repeated = []
    for line in heard:
        said = line.said.actions[-1]
        if latest.get(line.node) == said and names(line)[0] == "hear_leader":
            repeated.append(line)
        latest[line.node] = said
    liar = repeated[-1]
    for path in run.folder.glob("*.jsonl"):
        header, *steps = map(json.loads, path.read_text().splitlines())
        for said in steps:
            is_a_lie = (header["node"], said["step"]) == (liar.node, liar.said.step)
            said["after"]["commit"] += is_a_lie
        (tmp_path / path.name).write_text("".join(json.dumps(said) + "\n" for said in (header, *steps)))
    (judged,) = recorded.judge(tmp_path, ["replication"])
    assert judged.result.verdict is VIOLATED
    assert judged.result.refusal
    assert judged.result.refusal.text.startswith(f"commit_index[{liar.node}] is")


def test_it_was_judged_while_it_ran(run: Run) -> None:
    for judging in run.followed:
        assert judging.result.verdict is HOLDS, "\n".join(judging.result.summary())
        was_cut = judging.result.why.startswith("ended at line")  # on a machine that is too busy to keep up
        whole = sum(1 for _ in merged(opened(run.folder)))
        assert judging.result.events_judged == whole or (was_cut and judging.result.events_judged > 0)


def test_all_nodes_stopped_when_they_were_asked_to(run: Run) -> None:
    assert set(run.statuses.values()) == {0}


def test_the_traces_respect_causality(run: Run) -> None:
    """What a node received was sent before, by the order and by the one clock of this machine."""
    sent: dict[tuple[str, int], int] = {}
    for line in merged(opened(run.folder)):
        if line.said.source:
            assert sent[line.said.source] <= line.said.clock
        sent[line.node, line.said.step] = line.said.clock
    assert len(sent) > 200


# -- The judges can say no ---------------------------------------------------------------------------------

FAULTY = """
import sys
from oneleader.faults.catalogue import variant
from oneleader.conformance.reference.patch import patched
from oneleader_raft.node.__main__ import main
from oneleader_raft.raft import Role, Step

def believes_in_its_role():
    '''Who leads takes that for a lease, and does not give up though nobody answers.'''
    def holds_lease(node, now):
        return node.role is Role.LEADER
    def check_quorum(node, now):
        return Step(node)
    return patched(holds_lease, check_quorum)

name = sys.argv.pop(1)
sys.exit(main(core=believes_in_its_role() if name == "believes" else variant(name)))
"""


@pytest.fixture
def faulty(tmp_path: Path, clusters: Callable[..., LocalCluster]) -> Callable[..., LocalCluster]:
    script = tmp_path / "faulty.py"
    script.write_text(FAULTY)
    return lambda fault, **how: clusters(run=(str(script), fault), **how)


def test_a_stale_read_is_seen(faulty: Callable[..., LocalCluster], proxies: Any, clients: Any) -> None:
    """Three leaders are cut off in turn: on a slow machine one may have lost the lead just before."""
    between = proxies()
    cluster = faulty("believes", route=between.route)
    cluster.start()
    writing = clients(cluster, pause=0.03)
    for _ in range(3):
        apart = cluster.leader()
        some_writes(writing)
        between.cut(apart)
        another_leader(cluster, apart)
        some_writes(writing)
        time.sleep(0.3)
        between.heal()
    assert histories.judge(writing.stop()).verdict is VIOLATED


def test_a_candidate_without_its_own_vote_is_seen(faulty: Callable[..., LocalCluster]) -> None:
    cluster = faulty("own-vote-not-saved")
    cluster.start()
    until = time.monotonic() + 60

    def traces() -> list[str]:
        return [path.read_text() for path in cluster.folder.glob("*.trace.jsonl")]

    while len(traces()) < 3 or not any('"start_election"' in trace for trace in traces()):
        assert time.monotonic() < until, f"no election; the nodes' logs are in {cluster.folder}"
        time.sleep(0.05)
    cluster.stop()
    refused_at(cluster, "election", "voted_for[n")


def test_a_restart_with_less_than_was_stored_is_seen(faulty: Callable[..., LocalCluster]) -> None:
    cluster = faulty("forgets-its-log")
    cluster.start()
    restarted = cluster.leader()
    cluster.kill(restarted)
    cluster.start(restarted)
    answering(cluster, restarted)
    cluster.stop()
    refused_at(cluster, "replication", "log_length[n")


def refused_at(cluster: LocalCluster, model: str, field: str) -> None:
    (judged,) = recorded.judge(cluster.folder, [model])
    assert judged.result.verdict is VIOLATED
    assert judged.result.refusal
    assert judged.result.refusal.text.startswith(field)


MOMENTS = ("before the sync", "after the sync", "in the line")


def test_a_crash_at_the_worst_moment_breaks_nothing(
    tmp_path: Path, clusters: Callable[..., LocalCluster]
) -> None:
    """Each node dies in its 9th save, or between it and the line of its trace: at each of the moments, one
    after the other, and is started again."""
    script = tmp_path / "dying.py"
    script.write_text(DYING)
    cluster = clusters()
    deaths = dict.fromkeys(cluster.members, 0)

    def start(id: str) -> None:
        left = MOMENTS[deaths[id] :]
        cluster.run = (str(script), left[0]) if left else MODULE
        cluster.start(id)

    for id in cluster.members:
        start(id)
    acknowledged: list[int] = []
    with Client(list(cluster.apis.values())) as client:
        until = time.monotonic() + 240
        while min(deaths.values()) < len(MOMENTS):
            assert time.monotonic() < until, (deaths, cluster.folder)
            for id in cluster.members:
                if not cluster.is_running(id):
                    assert cluster.processes[id].returncode == 7, cluster.folder
                    deaths[id] += 1
                    start(id)
            number = len(acknowledged)
            client.deadline = 1
            try:
                assert client.put(f"k{number}", number)
                acknowledged.append(number)
            except UnknownOutcomeError:
                continue
        client.deadline = 30
        all_are_up(cluster)
        assert [client.get(f"k{number}") for number in acknowledged] == acknowledged
    assert len(acknowledged) > 12
    cluster.stop()
    for judging in recorded.judge(cluster.folder):
        assert judging.result.verdict is HOLDS, "\n".join(judging.result.summary())
        assert judging.result.steps["restart"] >= 3 + 3 * len(MOMENTS), "too few have died"


DYING = """
import os, sys
from oneleader_raft.node.__main__ import main
from oneleader_raft.node.store import NodeStore
from oneleader_raft.node.trace import Trace

moment, saves, save, write = sys.argv.pop(1), [], NodeStore.save, Trace.write

def dying_save(self, durable, trace=""):
    saves.append(trace)
    if len(saves) == 9 and moment == "before the sync":
        os._exit(7)
    save(self, durable, trace)
    if len(saves) == 9 and moment == "after the sync":
        os._exit(7)

def dying_write(self, lines):
    if len(saves) == 9:
        write(self, lines[: len(lines) // 2])
        os._exit(7)
    write(self, lines)

NodeStore.save = dying_save
if moment == "in the line":
    Trace.write = dying_write
sys.exit(main())
"""


def test_a_stopped_node_does_not_come_back_with_another_ones_state(
    clusters: Callable[..., LocalCluster],
) -> None:
    """One sentence and status 2, as for every bad start."""
    cluster = clusters(nodes=1)
    cluster.start()
    cluster.leader()
    cluster.processes["n1"].send_signal(signal.SIGTERM)
    assert cluster.processes["n1"].wait(10) == 0
    (cluster.folder / "n1.db").rename(cluster.folder / "n2.db")
    command = (sys.executable, "-m", "oneleader_raft.node", "--id", "n2", "--peers", "n2=127.0.0.1:1")
    ended = subprocess.run(
        (*command, "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0", "--data", str(cluster.folder)),
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert ended.returncode == 2
    assert "it is the state of n1, and this is n2" in ended.stderr
    assert ended.stderr.count("\n") == 1
