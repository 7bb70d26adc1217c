"""What a member says of itself, step by step, on a cluster driven by hand. Times are microseconds."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from oneleader_raft.lease import Clocks
from oneleader_raft.node.metrics import NAMES, SECOND, Metrics, lease_left
from oneleader_raft.testbench.cluster import Cluster

MILLISECOND = SECOND // 1000
PROMISE = 150 * MILLISECOND
THREE = ("n1", "n2", "n3")


class Driver:
    """Members that are observed after every step, as a driver does."""

    def __init__(self, members: tuple[str, ...] = THREE) -> None:
        self.cluster = Cluster(members, clocks=Clocks(PROMISE))
        self.metrics = {id: Metrics("green", id) for id in members}
        self.observe()

    def observe(self) -> None:
        for id, metrics in self.metrics.items():
            if self.cluster.is_up(id):
                peers = [peer for peer in self.cluster.members if peer != id]
                metrics.observe(self.cluster.node(id), self.cluster.clock(id), peers)

    def elapse(self, milliseconds: int) -> None:
        self.cluster.elapse(milliseconds * MILLISECOND)
        self.observe()

    def deliver_all(self, milliseconds: int = 0) -> None:
        """All messages in flight, and those that answer them; each takes so long."""
        while packets := self.cluster.pending:
            self.elapse(milliseconds)
            for packet in packets:
                self.cluster.deliver(packet)
                self.observe()

    def elect(self, id: str) -> None:
        self.elapse(2 * PROMISE // MILLISECOND)
        self.cluster.election_timeout(id)
        self.observe()
        self.deliver_all()

    def heartbeat(self, id: str, milliseconds: int = 0) -> None:
        self.cluster.heartbeat_timeout(id)
        self.observe()
        self.deliver_all(milliseconds)

    def restart(self, id: str) -> None:
        self.cluster.crash(id)
        self.cluster.restart(id)
        self.metrics[id] = Metrics("green", id)
        self.observe()

    def says(self, id: str, name: str, **labels: str) -> float | None:
        """The value of a series; None where there is none."""
        found = samples(self.metrics[id])
        return found.get((name, frozenset({"cluster": "green", "member": id, **labels}.items())))


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.exposition()[0].decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


@pytest.fixture
def driver() -> Driver:
    return Driver()


def test_every_name_passes_promtool_and_is_there(
    driver: Driver, promtool: Callable[..., CompletedProcess[str]]
) -> None:
    driver.elect("n1")
    text = driver.metrics["n1"].exposition()[0].decode()
    checked = promtool("check", "metrics", text=text)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    assert {name for name, _ in samples(driver.metrics["n1"])} == NAMES


@pytest.mark.parametrize(("name", "kind"), [("raft_peers_total", "gauge"), ("raft_term_changes", "counter")])
def test_two_names_of_the_write_up_are_not_legal(
    name: str, kind: str, promtool: Callable[..., CompletedProcess[str]]
) -> None:
    checked = promtool("check", "metrics", text=f"# HELP {name} x\n# TYPE {name} {kind}\n{name} 3\n")
    assert checked.returncode != 0
    assert "_total" in checked.stderr
    assert name not in NAMES


def test_before_it_is_observed_a_member_says_only_that_it_has_counted_nothing() -> None:
    found = samples(Metrics("green", "n1"))
    assert {name for name, _ in found} == {name for name in NAMES if name.endswith("_total")}
    assert set(found.values()) == {0}


def test_the_role_the_term_and_who_hears_whom(driver: Driver) -> None:
    assert driver.says("n1", "oneleader_role", role="follower") == 1
    assert driver.says("n1", "oneleader_hears_leader") == 0
    driver.elect("n1")
    assert driver.says("n1", "oneleader_role", role="leader") == driver.says("n1", "raft_leader") == 1
    assert driver.says("n1", "oneleader_role", role="follower") == 0
    assert driver.says("n2", "oneleader_role", role="leader") == driver.says("n2", "raft_leader") == 0
    assert driver.says("n2", "oneleader_term") == 1
    assert [driver.says(id, "oneleader_hears_leader") for id in THREE] == [1, 1, 1]
    driver.elapse(PROMISE // MILLISECOND)
    assert [driver.says(id, "oneleader_hears_leader") for id in THREE] == [1, 0, 0]


def test_the_last_term_led_is_absent_where_it_never_led_and_stays_after_it_has(driver: Driver) -> None:
    assert driver.says("n1", "oneleader_last_term_led") is None
    driver.elect("n1")
    assert driver.says("n1", "oneleader_last_term_led") == 1
    driver.elect("n2")
    assert driver.says("n1", "oneleader_role", role="leader") == 0
    assert driver.says("n1", "oneleader_last_term_led") == 1
    assert driver.says("n2", "oneleader_last_term_led") == 2
    driver.restart("n1")
    assert driver.says("n1", "oneleader_last_term_led") is None


def test_elections_are_counted_by_who_stands_and_a_restart_is_none(driver: Driver) -> None:
    driver.elect("n1")
    driver.elect("n1")  # it leads: no election
    driver.elect("n2")
    assert [driver.says(id, "oneleader_elections_started_total") for id in THREE] == [1, 1, 0]
    driver.restart("n1")
    driver.heartbeat("n2")
    assert driver.says("n1", "oneleader_term") == 2
    assert driver.says("n1", "oneleader_elections_started_total") == 0


def test_the_lease_runs_out_at_its_end_and_is_void_after_a_transfer(driver: Driver) -> None:
    driver.elect("n1")
    assert driver.says("n1", "oneleader_lease_seconds") == pytest.approx(0.15)
    assert driver.says("n2", "oneleader_lease_seconds") == 0
    driver.elapse(149)
    assert driver.says("n1", "oneleader_lease_seconds") == pytest.approx(0.001)
    node, now = driver.cluster.node("n1"), driver.cluster.clock("n1")
    assert lease_left(node, now) == MILLISECOND
    driver.elapse(1)
    assert driver.says("n1", "oneleader_lease_seconds") == 0
    driver.heartbeat("n1")
    assert driver.says("n1", "oneleader_lease_seconds") == pytest.approx(0.15)
    driver.cluster.transfer("n1", "n2")
    driver.observe()
    assert driver.says("n1", "oneleader_lease_seconds") == 0


def renewals(driver: Driver, outcome: str) -> float | None:
    return driver.says("n1", "oneleader_lease_renewals_total", outcome=outcome)


def test_a_renewal_is_late_when_little_of_the_lease_is_left(driver: Driver) -> None:
    driver.elect("n1")
    assert renewals(driver, "in_time") == renewals(driver, "late") == 0  # the first is no renewal
    driver.elapse(50)
    driver.heartbeat("n1")
    assert (renewals(driver, "in_time"), renewals(driver, "late")) == (1, 0)
    driver.elapse(112)  # 38 of 150 ms are left: a bit more than a quarter
    driver.heartbeat("n1")
    assert (renewals(driver, "in_time"), renewals(driver, "late")) == (2, 0)
    driver.elapse(113)
    driver.heartbeat("n1")
    assert (renewals(driver, "in_time"), renewals(driver, "late")) == (2, 1)
    driver.elapse(400)  # it had run out
    driver.heartbeat("n1")
    assert (renewals(driver, "in_time"), renewals(driver, "late")) == (2, 2)


def test_a_new_term_renews_no_lease_of_an_older_one(driver: Driver) -> None:
    driver.elect("n1")
    driver.elect("n2")
    driver.elect("n1")
    assert driver.says("n1", "oneleader_last_term_led") == 3
    assert renewals(driver, "in_time") == renewals(driver, "late") == 0


def test_nor_does_a_leader_that_was_not_looked_at_in_between() -> None:
    """A driver observes after every step; whoever does so only at a scrape loses counts, and invents none."""
    driver, seldom = Driver(), Metrics("green", "n1")
    for leader in ("n1", "n2", "n1"):
        driver.elect(leader)
        if leader == "n1":
            seldom.observe(driver.cluster.node("n1"), driver.cluster.clock("n1"), ())
    found = {name: value for (name, _), value in samples(seldom).items() if "renewals" in name}
    assert found == {"oneleader_lease_renewals_total": 0}


def test_a_void_lease_is_not_renewed(driver: Driver) -> None:
    driver.elect("n1")
    driver.cluster.partition("n1", "n2")
    driver.cluster.transfer("n1", "n2")  # which will never know
    driver.elapse(50)
    driver.heartbeat("n1")
    assert driver.says("n1", "oneleader_role", role="leader") == 1
    assert renewals(driver, "in_time") == renewals(driver, "late") == 0


def test_a_leader_alone_needs_no_renewal() -> None:
    driver = Driver(("n1",))
    driver.elect("n1")
    driver.elapse(1000)
    driver.heartbeat("n1")
    assert driver.says("n1", "oneleader_lease_seconds") == pytest.approx(0.15)
    assert renewals(driver, "in_time") == renewals(driver, "late") == 0


def test_members_count_themselves_and_no_learners(driver: Driver) -> None:
    metrics = Metrics("green", "n1")
    metrics.observe(driver.cluster.node("n1"), 0, ["n2", "learner"])
    found = {name: value for (name, _), value in samples(metrics).items()}
    assert found["oneleader_members"] == 3
    assert found["oneleader_connected_members"] == found["raft_peers_connected"] == 2


def test_indices(driver: Driver) -> None:
    driver.elect("n1")
    driver.cluster.propose("n1", "x")
    driver.observe()
    assert driver.says("n1", "oneleader_last_index") == 2
    assert driver.says("n1", "oneleader_commit_index") == 1
    driver.deliver_all()
    assert driver.says("n1", "oneleader_commit_index") == 2


def test_fenced_writes_by_outcome(driver: Driver) -> None:
    for accepted in (True, False, True):
        driver.metrics["n1"].fenced_write(accepted)
    assert driver.says("n1", "oneleader_fenced_writes_total", outcome="accepted") == 2
    assert driver.says("n1", "oneleader_fenced_writes_total", outcome="refused") == 1
