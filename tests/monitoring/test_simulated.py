"""The situations of docs/monitoring.md, produced by the simulator, fire the alerts that belong to them.

Once in promtool, with the rules as they are; once in a Prometheus that scrapes them, with rules in a hurry.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess
from threading import Thread
from types import ModuleType
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from oneleader.conformance.reference.patch import patched
from oneleader.faults.catalogue import variant
from oneleader_raft.core import RAFT, Core
from oneleader_raft.fencing import Storage
from oneleader_raft.node.metrics import Metrics
from oneleader_raft.raft import (
    AppendEntries,
    Node,
    NodeId,
    Propose,
    Receive,
    ResetElectionTimer,
    Role,
    Step,
    TimeoutNow,
    store_entries,
)
from oneleader_raft.testbench.servers import Packet
from oneleader_raft.testbench.simulator import CALM, Simulation

SCRAPE = 15  # seconds
HEALTHY = 4  # scrapes before anything happens
SCRAPES = 21  # in all: five minutes
MILLISECOND = 1000  # in units of the clocks: metrics are about microseconds

SETTINGS = replace(
    CALM,
    election_timeout=(3000, 6000),
    heartbeat_interval=1000,
    rates=(MILLISECOND, MILLISECOND),
    slow=MILLISECOND,
    fast=MILLISECOND,
    clients=0,
    heal=0,
    fault_interval=3_600_000,  # faults come by hand
)
SLOW_NETWORK = replace(SETTINGS, delay=(700, 750))  # there and back, half of what is left of a lease of 3 s


def leads_on(node: Node, now: int) -> Step:
    """In the place of check-quorum: it is never checked."""
    return Step(node, (), (ResetElectionTimer(),))


leads_on.__name__ = "check_quorum"
STUBBORN = patched(leads_on)
VOTES_TWICE = variant("vote-twice")


class Watched:
    """A simulated cluster each of whose members has its metrics, as its driver would keep them."""

    def __init__(self, name: str, size: int, core: Core = RAFT) -> None:
        self.name = name
        self.simulation = Simulation((f"n{i + 1}" for i in range(size)), 1, SETTINGS, core, traced=False)
        self.cluster = self.simulation.cluster
        self.heard: dict[tuple[NodeId, NodeId], int] = {}
        self.cut_off: set[NodeId] = set()  # from Prometheus
        self.twice: set[NodeId] = set()
        self.metrics = {id: self._start(id) for id in self.cluster.members}
        self._carry_out, self._deliver = self.simulation.carry_out, self.cluster.deliver
        self.simulation.carry_out = self.carry_out  # type: ignore[method-assign]
        self.cluster.deliver = self.deliver  # type: ignore[method-assign]

    def _start(self, id: NodeId) -> Metrics:
        metrics = Metrics(self.name, id)
        metrics.observe(self.cluster.node(id), self.cluster.clock(id), ())
        return metrics

    # Who hears whom, and what comes of each step

    def deliver(self, packet: Packet, *, finish: bool = True) -> bool:
        is_delivered = self._deliver(packet, finish=finish)
        if is_delivered:
            self.heard[packet.to, packet.source] = self.simulation.now
        return is_delivered

    def carry_out(self, id: NodeId) -> None:
        self._carry_out(id)
        self.observe(id)

    def observe(self, id: NodeId) -> None:
        since = self.simulation.now - 2 * SETTINGS.heartbeat_interval
        connected = [a for a in self.cluster.members if self.heard.get((id, a), -1) >= since]
        self.metrics[id].observe(self.cluster.node(id), self.cluster.clock(id), connected)

    # What may happen

    @property
    def leader(self) -> NodeId:
        """The one of the latest term."""
        terms = {id: n.current_term for id, n in self.cluster.nodes.items() if n.role is Role.LEADER}
        return max(terms, key=lambda id: terms[id])

    @property
    def followers(self) -> list[NodeId]:
        return [id for id in self.cluster.members if id != self.leader]

    def isolate(self, some: Collection[NodeId]) -> None:
        for a in some:
            for b in self.cluster.members:
                self.cluster.partition(a, b)

    def crash(self, some: Collection[NodeId]) -> None:
        for id in some:
            self.cluster.crash(id)

    def restart(self, id: NodeId) -> None:
        self.cluster.restart(id, finish=False)
        self.metrics[id] = self._start(id)
        self.carry_out(id)

    def transfer(self, target: NodeId) -> None:
        self.cluster.transfer(self.leader, target, finish=False)
        self.carry_out(self.leader)

    def ask_to_stand(self, target: NodeId) -> None:
        """As a leader does that hands over, but without a word to it."""
        order = TimeoutNow(self.cluster.node(self.leader).current_term, self.leader)
        self.cluster.handle(target, Receive(order), finish=False)
        self.carry_out(target)

    # What Prometheus sees

    def scrape(self) -> dict[str, str | None]:
        """What each address answers; None where nobody does."""
        texts: dict[str, str | None] = {}
        for id in self.cluster.members:
            answers = self.cluster.is_up(id) and id not in self.cut_off
            if answers:
                self.observe(id)
            texts[f"{self.name}/{id}"] = self.metrics[id].exposition()[0].decode() if answers else None
            if id in self.twice:
                texts[f"{self.name}/{id}/again"] = texts[f"{self.name}/{id}"]
        return texts


# --- The situations ---------------------------------------------------------------------------------------

Expected = dict[str, list[dict[str, str]]]  # by alert, the labels of each beside severity and cluster


@dataclass(frozen=True)
class Situation:
    """What is done to a cluster before each scrape, counted from 0 after some healthy ones; what it fires.
    Members are called by what they are when it begins: leader, first and last follower."""

    name: str
    cause: Callable[[Watched, int], None]
    fires: Callable[[NodeId, list[NodeId]], Expected] = lambda leader, followers: {}
    size: int = 3
    core: Core = RAFT

    def record(self) -> Recording:
        watched = Watched(self.name, self.size, self.core)
        scrapes, fires = [], {}
        for i in range(SCRAPES):
            if i == HEALTHY:
                fires = self.fires(watched.leader, watched.followers)
            if i >= HEALTHY:
                self.cause(watched, i - HEALTHY)
            watched.simulation.run(watched.simulation.now + SCRAPE * 1000)
            scrapes.append(watched.scrape())
        return Recording(self.name, scrapes, fires)


@dataclass(frozen=True)
class Recording:
    """What each address answered at each scrape, and the alerts that have to fire."""

    name: str
    scrapes: list[dict[str, str | None]]
    fires: Expected


def once(cause: Callable[[Watched], None], at: int = 0) -> Callable[[Watched, int], None]:
    return lambda watched, i: cause(watched) if i == at else None


def nothing(watched: Watched, i: int) -> None:
    pass


def two_leaders(watched: Watched) -> None:
    """The two do not hear each other, or they would notice; the third one votes for both."""
    one, two = watched.followers
    watched.cluster.partition(one, two)
    watched.ask_to_stand(one)
    watched.ask_to_stand(two)


def restarts(watched: Watched, i: int) -> None:
    """A follower for one scrape, the leader for one."""
    if i in (0, 4):
        watched.crash([watched.followers[0] if i == 0 else watched.leader])
    if i in (1, 5):
        watched.restart(next(id for id in watched.cluster.members if not watched.cluster.is_up(id)))


def fifteen_elections(watched: Watched, i: int) -> None:
    if i < 15:
        watched.transfer(watched.followers[i % 2])


def slow_network(watched: Watched) -> None:
    watched.simulation.settings = SLOW_NETWORK


def refused_write(watched: Watched) -> None:
    """Lock 9 was granted after lock 5, whose holder has not heard of it."""
    storage = Storage().write(9, "b/1", "new")
    watched.metrics[watched.leader].fenced_write(storage.accepts(9, "b/1"))
    watched.metrics[watched.leader].fenced_write(storage.accepts(5, "a/1"))


def stuck(watched: Watched) -> None:
    """A leader that does not step down, and whose entries reach nobody."""
    watched.isolate(watched.followers)
    propose(watched)


def propose(watched: Watched) -> None:
    leader = watched.leader
    watched.cluster.handle(leader, Propose("x"), finish=False)
    watched.carry_out(leader)


def hears_and_learns_nothing(node: Node, m: AppendEntries) -> Step:
    """n3 stores what it is sent and forgets what the leader has committed: akka-raft#33."""
    taken = store_entries(node, m)
    if node.id != "n3":
        return taken
    return replace(taken, node=replace(taken.node, commit_index=node.commit_index))


hears_and_learns_nothing.__name__ = "store_entries"
LEARNS_NOTHING = patched(hears_and_learns_nothing)


def hear_none(members: Collection[NodeId]) -> Expected:
    """Those that are cut off, while somebody leads."""
    return {"OneleaderMemberHearsNoLeader": [{"member": id} for id in members]} if members else {}


def without_quorum(size: int, missing: int) -> Situation:
    """A leader that hears so few that a quorum is exact, or `missing` short."""
    quorum = size // 2 + 1
    away = size - quorum + missing
    return Situation(
        f"quorum-of-{size}" + ("-missed" if missing else ""),
        once(lambda w: w.isolate(w.followers[:away])),
        lambda leader, followers: (
            hear_none(followers[:away])
            | ({"OneleaderLeaderWithoutQuorum": [{"member": leader}]} if missing else {})
        ),
        size,
        STUBBORN if missing else RAFT,
    )


SITUATIONS = [
    Situation("healthy", nothing),
    Situation("healthy-too", nothing),
    Situation(
        "two-leaders",
        once(two_leaders),
        lambda leader, followers: {"OneleaderTwoLeadersInOneTerm": [{"term": "2"}]},
        core=VOTES_TWICE,
    ),
    Situation(
        "stale-leader-that-steps-down",
        once(lambda w: w.isolate([w.leader])),
        lambda leader, followers: hear_none([leader]),
    ),
    Situation(
        "stale-leader-that-does-not",
        once(lambda w: w.isolate([w.leader])),
        lambda leader, followers: {
            "OneleaderStaleLeader": [{"member": leader}],
            "OneleaderLeaderWithoutQuorum": [{"member": leader}],
        },
        core=STUBBORN,
    ),
    *(without_quorum(size, 0) for size in range(1, 8)),
    *(without_quorum(size, 1) for size in range(2, 8)),
    Situation(
        "no-leader",
        once(lambda w: w.isolate(w.cluster.members)),
        lambda leader, followers: {"OneleaderNoLeader": [{}]},
    ),
    Situation(
        "majority-down",
        once(lambda w: w.crash([w.leader, w.followers[0]])),
        lambda leader, followers: {
            "OneleaderNoLeader": [{}],
            "OneleaderMajorityUnreachable": [{}],
            "OneleaderMemberDown": [{"member": leader}, {"member": followers[0]}],
        },
    ),
    Situation(
        "all-down",
        once(lambda w: w.crash(w.cluster.members)),
        lambda leader, followers: {
            "OneleaderMajorityUnreachable": [{}],
            "OneleaderMemberDown": [{"member": id} for id in (leader, *followers)],
        },
    ),
    Situation(
        "majority-not-scraped",
        once(lambda w: w.cut_off.update(w.cluster.members) or w.cut_off.remove(w.followers[0])),
        lambda leader, followers: {
            "OneleaderMajorityUnreachable": [{}],
            "OneleaderMemberDown": [{"member": leader}, {"member": followers[1]}],
        },
    ),
    Situation(
        "member-twice",
        once(lambda w: w.twice.add(w.leader)),
        lambda leader, followers: {"OneleaderMemberTwice": [{"member": leader}]},
    ),
    Situation("restarts", restarts),
    Situation(
        "fifteen-elections", fifteen_elections, lambda leader, followers: {"OneleaderManyElections": [{}]}
    ),
    Situation(
        "slow-network",
        once(slow_network),
        lambda leader, followers: {"OneleaderLeaseRenewedLate": [{}]},
    ),
    Situation(
        "no-progress",
        once(stuck),
        lambda leader, followers: (
            hear_none(followers)
            | {
                "OneleaderLeaderWithoutQuorum": [{"member": leader}],
                "OneleaderNoProgress": [{"member": leader}],
            }
        ),
        core=STUBBORN,
    ),
    Situation(
        "learns-nothing",
        once(propose),
        lambda leader, followers: {"OneleaderMemberLags": [{"member": "n3"}]},
        core=LEARNS_NOTHING,
    ),
    Situation(
        "wiped",
        once(lambda w: w.metrics[w.leader].strange_store(w.followers[0], True)),
        lambda leader, followers: {"OneleaderStrangeStore": [{"member": leader}]},
    ),
    Situation(
        "refused-write",
        once(refused_write, at=1),
        lambda leader, followers: {"OneleaderFencedWritesRefused": [{}]},
    ),
]


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    return [situation.record() for situation in SITUATIONS]


# --- In promtool: the rules as they are -------------------------------------------------------------------

OF_A_SERIES = (  # these keep where it came from
    "OneleaderStaleLeader",
    "OneleaderLeaderWithoutQuorum",
    "OneleaderNoProgress",
    "OneleaderMemberHearsNoLeader",
    "OneleaderMemberLags",
    "OneleaderStrangeStore",
)


def series(recordings: list[Recording]) -> dict[str, list[str]]:
    """All that was recorded, as a Prometheus that scrapes all of it has it: a value for each scrape."""
    values: dict[str, list[str]] = {}
    for recording in recordings:
        for i, scrape in enumerate(recording.scrapes):
            for address, text in scrape.items():
                values.setdefault(f'up{{job="oneleader", instance="{address}"}}', ["_"] * i)
                values[f'up{{job="oneleader", instance="{address}"}}'].append("0" if text is None else "1")
                for name, value in samples(address, text or ""):
                    values.setdefault(name, ["_"] * i).append(value)
            for name in values:
                if f"{recording.name}/" in name and len(values[name]) == i:
                    values[name].append("stale")
    return values


def samples(address: str, text: str) -> Iterator[tuple[str, str]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = {**sample.labels, "job": "oneleader", "instance": address}
            matcher = ", ".join(f'{label}="{value}"' for label, value in labels.items())
            yield f"{sample.name}{{{matcher}}}", f"{sample.value:g}"


def expected(recordings: list[Recording], rules: dict[str, Any], alert: str) -> list[dict[str, Any]]:
    """The alerts of this name that have to fire, as promtool wants them."""
    found = []
    for recording in recordings:
        for labels in recording.fires.get(alert, []):
            address = {"job": "oneleader", "instance": f"{recording.name}/{labels.get('member')}"}
            if alert == "OneleaderMemberDown":
                of_it = address
            else:
                of_it = {"cluster": recording.name, **labels, **(address if alert in OF_A_SERIES else {})}
            found.append({"exp_labels": rules[alert]["labels"] | of_it})
    return found


def judged(
    promtool: Callable[..., CompletedProcess[str]],
    folder: Path,
    rules: dict[str, Any],
    recordings: list[Recording],
) -> CompletedProcess[str]:
    """promtool's verdict: all silent before anything happens, and all fire that have to at the end."""
    bare = [{key: value for key, value in rule.items() if key != "annotations"} for rule in rules.values()]
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "oneleader", "rules": bare}]}))
    quiet, end = (HEALTHY - 1) * SCRAPE, (SCRAPES - 1) * SCRAPE
    test = {
        "interval": f"{SCRAPE}s",
        "input_series": [{"series": n, "values": " ".join(v)} for n, v in series(recordings).items()],
        "alert_rule_test": [
            *({"eval_time": f"{quiet}s", "alertname": alert, "exp_alerts": []} for alert in rules),
            *(
                {
                    "eval_time": f"{end}s",
                    "alertname": alert,
                    "exp_alerts": expected(recordings, rules, alert),
                }
                for alert in rules
            ),
        ],
    }
    settings = {"rule_files": ["rules.yml"], "evaluation_interval": f"{SCRAPE}s", "tests": [test]}
    (folder / "rules.test.yml").write_text(yaml.safe_dump(settings))
    return promtool("test", "rules", folder / "rules.test.yml")


def test_every_alert_is_produced(recordings: list[Recording], rules: dict[str, Any]) -> None:
    assert {alert for recording in recordings for alert in recording.fires} == set(rules)


def test_what_was_recorded_passes_the_check_of_metrics(
    recordings: list[Recording], promtool: Callable[..., CompletedProcess[str]]
) -> None:
    text = next(text for text in recordings[-1].scrapes[-1].values() if text)
    checked = promtool("check", "metrics", text=text)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_the_situations_fire_their_alerts_and_no_others(
    recordings: list[Recording],
    rules: dict[str, Any],
    promtool: Callable[..., CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    verdict = judged(promtool, tmp_path, rules, recordings)
    assert verdict.returncode == 0, verdict.stderr

    quiet, loud = recordings[0], recordings[2]
    for wrong in ([replace(quiet, fires=loud.fires)], [replace(loud, fires={})]):
        assert judged(promtool, tmp_path, rules, wrong).returncode == 1


# --- In Prometheus: it scrapes the addresses, by rules in a hurry -----------------------------------------

FACTOR = 30  # a scrape of 15 s is one of half a second; `for: 2m` is 4 s
PACE = 0.25  # seconds between two scrapes of a recording: twice as fast as Prometheus looks


class Player(ThreadingHTTPServer):
    """Answers at /cluster/member/metrics what was recorded for the scrape that it is at: nothing much for an
    address that is not there yet, and an error for a member that does not answer."""

    daemon_threads = True

    def __init__(self, recordings: list[Recording]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.recordings = recordings
        self.at = 0

    @property
    def texts(self) -> dict[str, str | None]:
        return {address: text for r in self.recordings for address, text in r.scrapes[self.at].items()}

    def targets(self) -> list[dict[str, Any]]:
        """Static configurations for everybody who is ever there, called by the address."""
        everybody = {address for r in self.recordings for scrape in r.scrapes for address in scrape}
        port = f"127.0.0.1:{self.server_address[1]}"
        return [
            {"targets": [port], "labels": {"instance": a, "__metrics_path__": f"/{a}/metrics"}}
            for a in sorted(everybody)
        ]


class Answer(BaseHTTPRequestHandler):
    server: Player
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        text = self.server.texts.get(self.path.removeprefix("/").removesuffix("/metrics"), "")
        body = (text or "").encode()
        self.send_response(503 if text is None else 200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nobody wants to read it."""


@pytest.fixture(scope="module")
def player(recordings: list[Recording]) -> Iterator[Player]:
    """Serves all but the longer rows of quorums, which promtool has seen."""
    server = Player([r for r in recordings if not r.name.startswith(("quorum-of-6", "quorum-of-7"))])
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


Fired = set[tuple[str, ...]]  # alert, cluster, member or address, term


@pytest.fixture(scope="module")
def due(player: Player) -> Fired:
    return {
        (
            alert,
            "" if alert == "OneleaderMemberDown" else r.name,
            who(alert, r, labels),
            labels.get("term", ""),
        )
        for r in player.recordings
        for alert, several in r.fires.items()
        for labels in several
    }


@pytest.fixture(scope="module")
def played(player: Player, prometheus: Callable[..., Any], due: Fired) -> tuple[Any, Fired]:
    """The server that has seen all of it, and all that has ever fired there."""
    targets = player.targets()
    server = prometheus(targets, FACTOR)
    fired: Fired = set()

    def has_fired() -> Fired:
        for labels in server.firing():
            own = (labels.get("cluster", ""), labels.get("member", labels.get("instance", "")))
            fired.add((labels["alertname"], *own, labels.get("term", "")))
        return fired

    def evaluations() -> str:
        (group,) = server.get("rules")["groups"]
        return str(group["lastEvaluation"])

    assert soon(lambda: len(server.query("up == 1")) == len(targets)), "not everybody is scraped"
    for _ in range(2):
        last = evaluations()
        assert soon(lambda last=last: evaluations() != last), "the rules are not evaluated"
    for player.at in range(SCRAPES):
        if player.at == HEALTHY:
            assert not has_fired(), "before anything happened"
        time.sleep(PACE)
        has_fired()
    soon(lambda: due <= has_fired())
    return server, fired


def test_a_prometheus_that_scrapes_the_situations_fires_the_same_alerts(
    played: tuple[Any, Fired], due: Fired
) -> None:
    _, fired = played
    assert fired == due


def test_each_query_of_the_dashboard_finds_something(
    played: tuple[Any, Fired], dashboard: ModuleType
) -> None:
    server, _ = played
    for panel in dashboard.dashboard()["panels"]:
        for target in panel["targets"]:
            cluster = "no-leader" if "ALERTS" in target["expr"] else "fifteen-elections"
            expr = target["expr"].replace("$cluster", cluster).replace("$__rate_interval", "10s")
            assert server.query(expr), f"{panel['title']}: {expr}"


def soon(what: Callable[[], bool]) -> bool:
    """Does it become true within a minute?"""
    deadline = time.monotonic() + 60
    while not what() and time.monotonic() < deadline:
        time.sleep(PACE)
    return what()


def who(alert: str, recording: Recording, labels: dict[str, str]) -> str:
    member = labels.get("member", "")
    return f"{recording.name}/{member}" if alert == "OneleaderMemberDown" else member
