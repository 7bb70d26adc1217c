"""Faults for as long as you like, on nodes that compact their logs all the time: `make soak MINUTES=30`.

In the second half nobody is killed, so that processes grow old: by then their memory, their open files, what
the folder holds, and the terms that a fault costs have to stay as they are.

Where no node leads in the end, that may be a fault of the nodes, or of a machine that runs them too rarely:
their logs say how long each was not run, or waited for its disk. If that explains it, the run is said to be
inconclusive, and is not called good. After a failure the logs are in runs/soak.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
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
KEPT = Path("runs/soak")
ALL, LIVING = ["kill", "kill", "pause", "cut", "all"], ["pause", "cut"]


@pytest.mark.skipif(not MINUTES, reason="it takes as long as it is told to: make soak MINUTES=30")
def test_a_long_life_with_faults(tmp_path: Path, proxies: Callable[[], Any], clients: Any) -> None:
    """Nothing acknowledged is lost and no read is stale; all end at one entry; nobody is said to have lost
    what it acknowledged; nothing grows. The seed is printed."""
    print(f"seed {SEED}: ONELEADER_SOAK_SEED={SEED} make soak MINUTES={MINUTES:g}")
    chance, between = random.Random(SEED), proxies()
    options = ("--compact-after", "15")
    cluster = LocalCluster(tmp_path, options=options, route=between.route, trace=False)
    cluster.start()
    cluster.leader()
    writing, watching = clients(cluster, writers=3, pause=0.02), Watching(cluster)
    began = time.monotonic()
    try:
        for kinds, until in ((ALL, began + MINUTES * 30), (LIVING, began + MINUTES * 60)):
            while time.monotonic() < until:
                fault(cluster, between, chance, kinds)
                watching.faults += 1
                time.sleep(chance.uniform(0.5, 2))
        between.heal()
        calm = datetime.now(UTC)
        try:
            cluster.leader(CALM_SECONDS)
        except TimeoutError:
            pytest.fail(why_without_a_leader(cluster, calm))
        history = writing.stop()
        with Client(list(cluster.apis.values()), deadline=30) as client:
            last = {key: client.get(key) for key in writing.KEYS}
        end = time.monotonic() + 30
        while len({(cluster.status(id) or {}).get("commit") for id in cluster.members}) > 1:
            assert time.monotonic() < end, [cluster.status(id) for id in cluster.members]
            time.sleep(0.1)
    except BaseException:
        keep_logs(tmp_path)
        raise
    finally:
        samples = watching.stop()
        print(f"{watching.faults} faults", *samples[:: max(1, len(samples) // 20)], sep="\n")
        writing.stop()
        cluster.stop()
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    sent = logs.count("sends a snapshot")
    print(f"{len(history)} operations, {sent} snapshots sent")
    now = max(o.called for o in history) + 1000
    in_the_end = [Operation("end", "read", key, now, now, result=value) for key, value in last.items()]
    judged = histories.judge([*history, *in_the_end])
    found = list(map(str, judged.failing)) if judged.verdict is not HOLDS else []
    found += [f"{word} in a log" for word in ("Traceback", "lost entries", '"error"') if word in logs]
    found += growing(samples[len(samples) // 2 :])
    if found or not sent:
        keep_logs(tmp_path)
    assert not found
    assert sent > 0
    assert len(list(tmp_path.glob("*.snapshot-*"))) <= 2 * len(cluster.members)


def fault(cluster: LocalCluster, between: Any, chance: random.Random, kinds: list[str]) -> None:
    id = chance.choice(cluster.members)
    match chance.choice(kinds):
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


# -- Why there is no leader --------------------------------------------------------------------------------

CALM_SECONDS = 300.0  # after the last fault, for a leader to be there
MOST_STALLED = 0.05  # of the time, for a node that can be expected to keep its times
STALLED = "the machine did not run these nodes, or their disk kept them waiting, so nothing is said of them"


def why_without_a_leader(cluster: LocalCluster, since: datetime) -> str:
    """INCONCLUSIVE where a majority was stalled for so much of the time that no leader can be expected."""
    seconds = (datetime.now(UTC) - since).total_seconds()
    parts = {id: stalled(cluster.folder / f"{id}.log", since) / seconds for id in cluster.members}
    told = ", ".join(f"{id} {part:.0%}" for id, part in parts.items())
    is_explained = sum(part > MOST_STALLED for part in parts.values()) > len(parts) // 2
    verdict = f"INCONCLUSIVE: {STALLED}" if is_explained else "no leader, and the machine does not explain it"
    return f"{verdict}; stalled for this part of the last {seconds:.0f} s: {told}; the logs are in {KEPT}"


def stalled(log: Path, since: datetime) -> float:
    """Seconds, by the lines of a node's log."""
    lines = map(json.loads, log.read_text().splitlines())
    late = [
        said for said in lines if said["event"] == "stalled" and datetime.fromisoformat(said["at"]) > since
    ]
    return sum(float(said["ms"]) for said in late) / 1000


def keep_logs(folder: Path) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    for log in folder.glob("*.log"):
        shutil.copy(log, KEPT)


@pytest.mark.parametrize(
    ("ms", "verdict"), [(400, "no leader, and the machine"), (1000, "INCONCLUSIVE: the")]
)
def test_a_machine_that_does_not_run_its_nodes_is_told_from_no_leader(
    ms: int, verdict: str, tmp_path: Path
) -> None:
    """Ten seconds; of three nodes two are stalled for so long, and a line of before does not count."""
    cluster, now = LocalCluster(tmp_path), datetime.now(UTC)
    for id, late in (("n1", ms), ("n2", ms), ("n3", 0)):
        said = [
            {"at": (now - timedelta(seconds=s)).isoformat(), "event": "stalled", "ms": late} for s in (1, 99)
        ]
        (tmp_path / f"{id}.log").write_text("".join(json.dumps(each) + "\n" for each in said))
    told = why_without_a_leader(cluster, now - timedelta(seconds=10))
    assert told.startswith(verdict)
    assert f"n1 {ms / 100:.0f}%, n2 {ms / 100:.0f}%, n3 0%" in told


# -- What may not grow -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """Of all nodes at one moment: the most memory and the most open files of one, the bytes that the folder
    holds beside the logs of the processes, the newest term, and how many faults there were before."""

    seconds: float
    megabytes: float
    open_files: int
    kilobytes: float
    term: int
    faults: int

    def __str__(self) -> str:
        return (
            f"{self.seconds:5.0f} s  {self.megabytes:4.0f} MB  {self.open_files:3} open files  "
            f"{self.kilobytes:6.0f} kB stored  term {self.term:4}  {self.faults:4} faults"
        )


class Watching:
    """A thread that looks at a cluster while somebody else makes faults, and counts them here."""

    def __init__(self, cluster: LocalCluster, pause: float = 2.0) -> None:
        self.faults = 0
        self._cluster, self._pause, self._began = cluster, pause, time.monotonic()
        self._samples: list[Sample] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> list[Sample]:
        self._stopped.set()
        self._thread.join()
        return self._samples

    def _watch(self) -> None:
        while not self._stopped.wait(self._pause):
            try:
                self._samples.append(self._sample())
            except (OSError, ValueError, IndexError):  # a node or a file that is gone while it is looked at
                continue

    def _sample(self) -> Sample:
        processes = [Path(f"/proc/{p.pid}") for p in self._cluster.processes.values()]
        told = [self._cluster.status(id) for id in self._cluster.members]
        files = [path for path in self._cluster.folder.iterdir() if path.suffix != ".log"]
        return Sample(
            time.monotonic() - self._began,
            max(map(megabytes, processes)),
            max(len(list((process / "fd").iterdir())) for process in processes),
            sum(path.stat().st_size for path in files) / 1024,
            max(said["term"] for said in told if said),
            self.faults,
        )


def growing(samples: list[Sample]) -> list[str]:
    """What has grown from the first third to the last: by more than a fifth and a little, since no two
    moments are alike. Of terms, how many a fault costs."""
    third = len(samples) // 3
    early, late = samples[:third], samples[-third:]
    found = []
    for what, little in (("megabytes", 5), ("open_files", 5), ("kilobytes", 100)):
        before, now = (statistics.median(getattr(s, what) for s in part) for part in (early, late))
        if now > 1.2 * before + little:
            found.append(f"{what}: {before:g}, and {now:g} in the end")
    before, now = (terms_a_fault(part) for part in (early, late))
    if now > 1.5 * before + 1:
        found.append(f"terms that a fault costs: {before:.2f}, and {now:.2f} in the end")
    return found


def terms_a_fault(samples: list[Sample]) -> float:
    return (samples[-1].term - samples[0].term) / max(1, samples[-1].faults - samples[0].faults)


def megabytes(process: Path) -> float:
    text = (process / "status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


FLAT = [Sample(10 * i, 50 + i % 3, 20 + i % 2, 300 + i % 7, 5 + i, i) for i in range(90)]


@pytest.mark.parametrize(
    ("what", "rise"), [("megabytes", 0.3), ("open_files", 0.3), ("kilobytes", 4), ("term", 3)]
)
def test_what_grows_is_seen(what: str, rise: float) -> None:
    """Terms: a fault costs ever more of them."""
    assert not growing(FLAT)
    risen = [
        replace(s, **{what: getattr(s, what) + rise * i ** (2 if what == "term" else 1)})
        for i, s in enumerate(FLAT)
    ]
    (found,) = growing(risen)
    assert found.startswith("terms" if what == "term" else what)
