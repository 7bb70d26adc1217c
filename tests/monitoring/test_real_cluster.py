"""A Prometheus that scrapes three real nodes: silent while they are well, and not while two are killed."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oneleader_raft.node.local import LocalCluster

FACTOR = 30  # rules in a hurry: `for: 2m` is 4 s
# Timeouts that a busy machine keeps, so that no election and no late renewal comes from the machine.
OPTIONS = ("--cluster", "green", "--promise-ms", "1500", "--heartbeat-ms", "200", "--no-trace")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    cluster = LocalCluster(tmp_path, 3, OPTIONS)
    cluster.start()
    yield cluster
    cluster.stop()


def ask(cluster: LocalCluster, method: str, path: str, **body: Any) -> tuple[int, Any]:
    """Of the leader: the status and the answer."""
    url, text = cluster.apis[cluster.leader(30)] + path, json.dumps(body).encode()
    request = urllib.request.Request(url, text or None, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


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
    cluster: LocalCluster, prometheus: Callable[..., Any]
) -> None:
    leader = cluster.leader(30)
    followers = [id for id in cluster.members if id != leader]
    addresses = [api.removeprefix("http://") for api in cluster.apis.values()]
    targets = [
        {"targets": [address], "labels": {"instance": id}}
        for id, address in zip(cluster.apis, addresses, strict=True)
    ]
    server = prometheus(targets, FACTOR)

    def firing() -> set[tuple[str, str]]:
        return {(labels["alertname"], labels.get("instance", "")) for labels in server.firing()}

    def soon(what: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + 60
        while not what() and time.monotonic() < deadline:
            time.sleep(0.1)
        return what()

    # well
    assert soon(lambda: len(server.query("up == 1")) == 3)
    time.sleep(3)  # `for: 1m` has passed
    assert firing() == set()
    (holder,) = server.query("oneleader_lease_seconds > 0")
    assert (holder["metric"]["cluster"], holder["metric"]["member"]) == ("green", leader)
    connected = server.query("oneleader_connected_members")
    assert [sample["value"][1] for sample in connected] == ["3", "3", "3"]

    # a stale holder of a lock
    assert write_by_two_holders(cluster) == [200, 409]
    stale = ("OneleaderFencedWritesRefused", "")
    assert soon(lambda: firing() == {stale}), firing()

    # two of three killed
    for id in (leader, followers[0]):
        cluster.kill(id)
    due = {
        ("OneleaderNoLeader", ""),
        ("OneleaderMajorityUnreachable", ""),
        ("OneleaderMemberDown", leader),
        ("OneleaderMemberDown", followers[0]),
    }
    assert soon(lambda: firing() - {stale} == due), firing()

    # and back
    cluster.start(leader, followers[0])
    assert soon(lambda: not due & firing()), firing()
    assert firing() <= {stale}
