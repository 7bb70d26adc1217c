"""Faults for as long as you like, on nodes that compact their logs all the time: `make soak MINUTES=30`."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneleader.conformance import histories
from oneleader.verdict import HOLDS
from oneleader_raft.node.client import Client
from oneleader_raft.node.local import LocalCluster
from oneleader_raft.testbench.clients import Operation

MINUTES = float(os.environ.get("ONELEADER_SOAK_MINUTES", "0"))
SEED = int(os.environ.get("ONELEADER_SOAK_SEED", "1"))
MOST_MEMORY = 200  # MB that a node may have at the end


@pytest.mark.skipif(not MINUTES, reason="it takes as long as it is told to: make soak MINUTES=30")
def test_a_long_life_with_faults(tmp_path: Path, proxies: Callable[[], Any], clients: Any) -> None:
    """Nothing acknowledged is lost and no read is stale; all end at one entry; nobody is said to have lost
    what it acknowledged; memory and files stay small. The seed is printed."""
    print(f"seed {SEED}: ONELEADER_SOAK_SEED={SEED} make soak MINUTES={MINUTES:g}")
    chance, between = random.Random(SEED), proxies()
    options = ("--compact-after", "15")
    cluster = LocalCluster(tmp_path, options=options, route=between.route, trace=False)
    cluster.start()
    cluster.leader()
    writing = clients(cluster, writers=3, pause=0.02)
    until = time.monotonic() + MINUTES * 60
    try:
        while time.monotonic() < until:
            fault(cluster, between, chance)
            time.sleep(chance.uniform(0.5, 2))
        between.heal()
        cluster.leader()
        history = writing.stop()
        with Client(list(cluster.apis.values()), deadline=30) as client:
            last = {key: client.get(key) for key in writing.KEYS}
        end = time.monotonic() + 30
        while len({(cluster.status(id) or {}).get("commit") for id in cluster.members}) > 1:
            assert time.monotonic() < end, [cluster.status(id) for id in cluster.members]
            time.sleep(0.1)
        memory = [megabytes(cluster.processes[id].pid) for id in cluster.members]
    finally:
        writing.stop()
        cluster.stop()
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    print(f"{len(history)} operations, {logs.count('sends a snapshot')} snapshots sent, {memory} MB")
    now = max(o.called for o in history) + 1000
    in_the_end = [Operation("end", "read", key, now, now, result=value) for key, value in last.items()]
    judged = histories.judge([*history, *in_the_end])
    assert judged.verdict is HOLDS, "\n".join(map(str, judged.failing))
    assert not [word for word in ("Traceback", "lost entries", '"error"') if word in logs]
    assert logs.count("sends a snapshot") > 0
    assert max(memory) < MOST_MEMORY
    assert len(list(tmp_path.glob("*.snapshot-*"))) <= 2 * len(cluster.members)


def fault(cluster: LocalCluster, between: Any, chance: random.Random) -> None:
    id = chance.choice(cluster.members)
    match chance.choice(["kill", "kill", "pause", "cut", "all"]):
        case "kill":
            cluster.kill(id)
            time.sleep(chance.uniform(0.2, 3))
            cluster.start(id)
        case "pause":
            cluster.pause(id)
            time.sleep(chance.uniform(0.2, 2))
            cluster.resume(id)
        case "cut":
            between.cut(id)
            time.sleep(chance.uniform(0.2, 3))
            between.heal()
        case "all":
            for each in cluster.members:
                cluster.kill(each)
            cluster.start()


def megabytes(process: int) -> int:
    text = Path(f"/proc/{process}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) // 1024
