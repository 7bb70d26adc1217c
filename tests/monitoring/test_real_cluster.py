"""A Prometheus that scrapes three real nodes: silent while they are well, and not while two are killed."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oneleader_raft.node.local import LocalCluster

FACTOR = 30  # rules in a hurry: `for: 2m` is 4 s
# Timeouts that a busy machine keeps, so that no election and no late renewal comes from the machine.
PATIENT = ("--cluster", "green", "--promise-ms", "1000", "--heartbeat-ms", "150")
QUICK = ("--cluster", "red", "--promise-ms", "300", "--heartbeat-ms", "60")

# A node that leads on whoever is silent: check-quorum, dissertation 6.2, is left out.
STUBBORN = """
import sys
from oneleader.conformance.reference.patch import patched
from oneleader_raft.node.__main__ import main
from oneleader_raft.raft import ResetElectionTimer, Step

def check_quorum(node, now):
    return Step(node, (), (ResetElectionTimer(),))

sys.exit(main(core=patched(check_quorum)))
"""

# Of two followers one stores what it is sent, and forgets what is committed: akka-raft#33.
FORGETFUL = """
import sys
from dataclasses import replace
from oneleader.conformance.reference.patch import patched
from oneleader_raft import raft
from oneleader_raft.node.__main__ import main

correct = raft.store_entries

def store_entries(node, m):
    taken = correct(node, m)
    if node.id != max({*node.members} - {m.leader_id}):
        return taken
    return replace(taken, node=replace(taken.node, commit_index=node.commit_index))

sys.exit(main(core=patched(store_entries)))
"""


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[Callable[..., LocalCluster]]:
    """Starts clusters of three, which are gone after the test."""
    started: list[LocalCluster] = []

    def start(options: tuple[str, ...], **how: Any) -> LocalCluster:
        cluster = LocalCluster(tmp_path, 3, options, trace=False, **how)
        started.append(cluster)
        cluster.start()
        return cluster

    yield start
    for cluster in started:
        cluster.stop()


@dataclass
class Watch:
    """A Prometheus that scrapes a cluster."""

    server: Any

    def firing(self) -> set[tuple[str, str]]:
        """The alerts, each with the member that it is about, if it is about one."""
        return {(labels["alertname"], labels.get("instance", "")) for labels in self.server.firing()}

    def fires(self, alert: str, member: str = "") -> bool:
        """Within a minute."""
        return soon(lambda: (alert, member) in self.firing())


@pytest.fixture
def watch(prometheus: Callable[..., Any]) -> Callable[..., Watch]:
    def of(cluster: LocalCluster, again: bool = False) -> Watch:
        """`again`: the first node is scraped under a second address."""
        apis = {id: api.removeprefix("http://") for id, api in cluster.apis.items()}
        targets = [{"targets": [api], "labels": {"instance": id}} for id, api in apis.items()]
        if again:
            port = next(iter(apis.values())).rpartition(":")[2]
            targets.append({"targets": [f"localhost:{port}"], "labels": {"instance": "again"}})
        watch = Watch(prometheus(targets, FACTOR))
        assert soon(lambda: len(watch.server.query("up == 1")) == len(targets))
        return watch

    return of


def soon(what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not what() and time.monotonic() < deadline:
        time.sleep(0.1)
    return what()


def ask(cluster: LocalCluster, method: str, path: str, **body: Any) -> tuple[int, Any]:
    """Of the leader: the status and the answer."""
    url, text = cluster.apis[cluster.leader(30)] + path, json.dumps(body).encode()
    request = urllib.request.Request(url, text or None, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def write_in_vain(api: str) -> int:
    """To a leader that cannot commit: what it answers in the end."""
    headers = {"Content-Type": "application/json", "X-Deadline-Ms": "500"}
    request = urllib.request.Request(f"{api}/v1/keys/k", b'{"value": 1}', headers, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def write_by_two_holders(cluster: LocalCluster) -> list[int]:
    """The second one writes, and then the first one, which has not heard that its lock went over."""
    grants = []
    for _ in range(2):
        status, grant = ask(cluster, "POST", "/v1/locks/printer", ttl_ms=60_000)
        assert status == 201, grant
        grants.append(grant)
        ask(cluster, "DELETE", f"/v1/locks/printer?token={grant['token']}")
    return [
        ask(cluster, "PUT", "/v1/fenced/paper", value=name, token=grant["token"], nonce=grant["nonce"])[0]
        for name, grant in (("second", grants[1]), ("first", grants[0]))
    ]


def test_alerts_fire_on_what_happens_to_a_real_cluster(
    clusters: Callable[..., LocalCluster], watch: Callable[..., Watch]
) -> None:
    cluster = clusters(PATIENT)
    leader = cluster.leader(30)
    follower, _ = (id for id in cluster.members if id != leader)
    prometheus = watch(cluster)

    # well
    time.sleep(3)  # `for: 1m` has passed
    assert prometheus.firing() == set()
    (holder,) = prometheus.server.query("oneleader_lease_seconds > 0")
    assert (holder["metric"]["cluster"], holder["metric"]["member"]) == ("green", leader)
    assert soon(lambda: len(prometheus.server.query("oneleader_connected_members == 3")) == 3)

    # a stale holder of a lock
    assert write_by_two_holders(cluster) == [200, 409]
    stale = ("OneleaderFencedWritesRefused", "")
    assert soon(lambda: prometheus.firing() == {stale}), prometheus.firing()

    # two of three killed
    for id in (leader, follower):
        cluster.kill(id)
    due = {
        ("OneleaderNoLeader", ""),
        ("OneleaderMajorityUnreachable", ""),
        ("OneleaderMemberDown", leader),
        ("OneleaderMemberDown", follower),
    }
    assert soon(lambda: prometheus.firing() - {stale} == due), prometheus.firing()

    # and back
    cluster.start(leader, follower)
    assert soon(lambda: not due & prometheus.firing()), prometheus.firing()
    assert prometheus.firing() <= {stale}

    # one loses its disk: the others refuse it
    wiped = next(id for id in cluster.members if id != cluster.leader(30))
    lose_disks(cluster, [wiped])
    strange = {("OneleaderStrangeStore", id) for id in cluster.members if id != wiped}
    due = strange | {("OneleaderMemberHearsNoLeader", wiped)}
    assert soon(lambda: prometheus.firing() - {stale} == due), prometheus.firing()


def other_leader(cluster: LocalCluster, than: str) -> dict[str, Any]:
    """Who leads beside this one: what it says of itself."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        for id in cluster.members:
            said = cluster.status(id) if id != than and cluster.is_running(id) else None
            if said and said["lease_ms"] > 0:
                found.append(said)
        return bool(found)

    assert soon(look), f"nobody leads but {than}: the logs are in {cluster.folder}"
    return found[-1]


def lose_disks(cluster: LocalCluster, ids: list[str]) -> None:
    """They are killed, and start again with empty disks: without term, vote and log."""
    for id in ids:
        cluster.kill(id)
        for file in cluster.folder.glob(f"{id}.db*"):
            file.unlink()
    cluster.start(*ids)


def test_alerts_fire_on_what_must_not_happen_to_a_real_cluster(
    clusters: Callable[..., LocalCluster], watch: Callable[..., Watch], proxies: Any
) -> None:
    cluster = clusters(QUICK, run=("-c", STUBBORN), route=proxies.route)
    leader = cluster.leader(30)
    while cluster.status(leader, 30)["term"] != 1:  # type: ignore[index]
        lose_disks(cluster, cluster.members)
        leader = cluster.leader(30)
    followers = [id for id in cluster.members if id != leader]
    prometheus = watch(cluster)

    # a leader that is cut off, and does not step down
    proxies.cut(leader)
    other_leader(cluster, leader)
    assert write_in_vain(cluster.apis[leader]) == 504
    assert prometheus.fires("OneleaderStaleLeader", leader)
    assert prometheus.fires("OneleaderLeaderWithoutQuorum", leader)
    assert prometheus.fires("OneleaderNoProgress", leader)
    silent = {"OneleaderTwoLeadersInOneTerm", "OneleaderNoLeader", "OneleaderMajorityUnreachable"}
    assert not silent & {alert for alert, _ in prometheus.firing()}

    # two leaders of one term: a majority has forgotten whom it voted for
    lose_disks(cluster, followers)
    while other_leader(cluster, leader)["term"] != 1:
        lose_disks(cluster, followers)
    assert prometheus.fires("OneleaderTwoLeadersInOneTerm")
    cluster.kill(leader)  # Prometheus does not forget it
    assert soon(lambda: len(prometheus.server.query("up == 1")) == 2)
    assert ("OneleaderTwoLeadersInOneTerm", "") in prometheus.firing()


def test_alerts_fire_on_what_wears_a_real_cluster_down(
    clusters: Callable[..., LocalCluster], watch: Callable[..., Watch]
) -> None:
    cluster = clusters(QUICK, run=("-c", FORGETFUL))
    cluster.leader(30)
    prometheus = watch(cluster, again=True)
    assert prometheus.fires("OneleaderMemberTwice")
    assert ask(cluster, "PUT", "/v1/keys/k", value=1)[0] == 200

    def lags() -> bool:
        forgetful = max({*cluster.members} - {cluster.leader(30)})
        return ("OneleaderMemberLags", forgetful) in prometheus.firing()

    assert soon(lags), prometheus.firing()

    def until_fires(alert: str, again: Callable[[str], None]) -> bool:
        for _ in range(100):
            if (alert, "") in prometheus.firing():
                return True
            again(cluster.leader(30))
        return False

    def hold_up_followers(leader: str) -> None:
        """For most of a lease, but not until they stand for election."""
        followers = [id for id in cluster.members if id != leader]
        for id in followers:
            cluster.pause(id)
        time.sleep(0.24)
        for id in followers:
            cluster.resume(id)
        time.sleep(0.1)

    def depose(leader: str) -> None:
        cluster.pause(leader)
        other_leader(cluster, leader)
        cluster.resume(leader)

    assert until_fires("OneleaderLeaseRenewedLate", hold_up_followers)
    assert until_fires("OneleaderManyElections", depose)
