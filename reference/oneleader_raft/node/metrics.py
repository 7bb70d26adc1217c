"""What a member tells Prometheus of itself; the rules in `monitoring/` ask for nothing else.

The driver calls `observe` right after the start, after every step, and at every scrape. Gauges say what was
observed last. Counters begin at 0 with the process and are all there from the first scrape on, so that
`increase` misses neither a restart nor the first count.

Each series says by itself which cluster and which member it is of. Every rule is about one cluster: were this
left to the configuration of the scrape, a scrape without it would take two healthy clusters for one with two
leaders. (A scrape that sets `cluster` itself needs `honor_labels: true`; then `up` has it as well.)

The names of the incident's write-up that are legal are there too, as aliases. Two are not, for
`promtool check metrics` and for human readers: `raft_peers_total` ends like a counter and is not one (here
`oneleader_members`); `raft_term_changes` is a counter and does not (`oneleader_elections_started_total`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .. import raft
from ..raft import Node, NodeId, Role

SECOND = 1_000_000  # in units of the node's clock: microseconds
THIN = 0.25  # a renewal is late if less than this part of the lease was left
IDENTITY = ("cluster", "member")


@dataclass(frozen=True)
class MemberSeen:
    """A member as it was observed last. `connected` counts voting members, itself among them."""

    node: Node
    now: int
    members: int
    connected: int
    last_term_led: int | None
    strange_stores: int = 0

    @property
    def leads(self) -> bool:
        """By its role: what it believes. Whether it may act on that, the lease says."""
        return self.node.role is Role.LEADER


def hears_leader(node: Node, now: int) -> bool:
    """It knows a leader, itself or one that it has acknowledged within a promise. After a restart it is bound
    by a promise as well, and knows none."""
    return node.leader_id is not raft.NIL and raft.hears_leader(node, now)


def lease_left(node: Node, now: int) -> int:
    """For how long from now the node may act as the leader, on its own clock; 0 where it may not."""
    if not raft.is_leader(node, now):
        return 0
    return lease_end(node, now) - now


def lease_end(node: Node, now: int) -> int:
    """When the lease of a leader that hears no more from now on runs out, or has run out."""
    return raft.majority_acknowledged(node, now) + node.clocks.lease


# --- The names --------------------------------------------------------------------------------------------


class Gauge(NamedTuple):
    """A name, what it says, and how it is read off; there is no series where that gives None."""

    name: str
    help: str
    read: Callable[[MemberSeen], float | None]


class CountedMetric(NamedTuple):
    """A name without its `_total`, what is counted, and the label, if any, with its values."""

    name: str
    help: str
    label: str | None = None
    values: tuple[str, ...] = ("",)


ROLE = "oneleader_role"
ROLE_HELP = "1 for the role that the member takes itself to be in, 0 for the others."

GAUGES = (
    Gauge("oneleader_term", "The current term.", lambda seen: seen.node.current_term),
    Gauge(
        "oneleader_last_term_led",
        "The last term that this process led; absent where it never led.",
        lambda seen: seen.last_term_led,
    ),
    Gauge(
        "oneleader_hears_leader",
        "1 if it leads, or has acknowledged a leader of its term within a promise.",
        lambda seen: float(hears_leader(seen.node, seen.now)),
    ),
    Gauge(
        "oneleader_lease_seconds",
        "How long the lease of the leader still runs, on its own clock; 0 where there is none.",
        lambda seen: lease_left(seen.node, seen.now) / SECOND,
    ),
    Gauge("oneleader_commit_index", "The last committed entry known.", lambda seen: seen.node.commit_index),
    Gauge("oneleader_last_index", "The last entry of the log.", lambda seen: seen.node.last_index),
    Gauge("oneleader_members", "Members with a vote.", lambda seen: seen.members),
    Gauge(
        "oneleader_connected_members",
        "Members with a vote heard from within two heartbeat intervals, itself included.",
        lambda seen: seen.connected,
    ),
    Gauge(
        "oneleader_strange_stores",
        "Peers that it refuses: their store is not the one that it met, or has lost what it acknowledged.",
        lambda seen: seen.strange_stores,
    ),
    Gauge("raft_leader", "Alias: oneleader_role of leader.", lambda seen: float(seen.leads)),
    Gauge("raft_peers_connected", "Alias: oneleader_connected_members.", lambda seen: seen.connected),
)

ELECTIONS = CountedMetric("oneleader_elections_started", "Elections that the member stood for.")
RENEWALS = CountedMetric(
    "oneleader_lease_renewals",
    f"Renewals of a leader's lease; late: less than {THIN:.0%} of it was left.",
    "outcome",
    ("in_time", "late"),
)
FENCED_WRITES = CountedMetric(
    "oneleader_fenced_writes",
    "Writes with a fencing token that the member answered; refused: the token was stale.",
    "outcome",
    ("accepted", "refused"),
)
COUNTS = (ELECTIONS, RENEWALS, FENCED_WRITES)

NAMES = frozenset({ROLE, *(g.name for g in GAUGES), *(f"{c.name}_total" for c in COUNTS)})


# --- The metrics of one member ----------------------------------------------------------------------------


class Metrics(Collector):
    """The metrics of one member of one cluster, in a registry of their own. A learner counts neither as a
    member nor as connected."""

    def __init__(self, cluster: str, member: str) -> None:
        self.registry = CollectorRegistry()
        self._identity = (cluster, member)
        self._seen: MemberSeen | None = None
        self._strange: set[str] = set()
        self._counted: Counter[tuple[CountedMetric, str]] = Counter()
        self.registry.register(self)

    def observe(self, node: Node, now: int, connected: Collection[NodeId]) -> None:
        """The member as it is now; its clock in microseconds.

        connected  the peers heard from within two heartbeat intervals, itself excluded
        """
        before = self._seen
        if before is not None:
            self._counted[ELECTIONS, ""] += started_election(before.node, node)
            self._count_renewal(before, node, now)

        led_before = before.last_term_led if before is not None else None
        last_term_led = node.current_term if node.role is Role.LEADER else led_before
        heard = {*node.members}.intersection((*connected, node.id))
        self._seen = MemberSeen(node, now, len(node.members), len(heard), last_term_led, len(self._strange))

    def strange_store(self, peer: NodeId, is_strange: bool) -> None:
        """A peer showed its store, or was seen to have lost entries."""
        if is_strange:
            self._strange.add(peer)
        else:
            self._strange.discard(peer)

    def fenced_write(self, accepted: bool) -> None:
        """A fenced write was answered: once for each, by the member that answers the client."""
        self._counted[FENCED_WRITES, "accepted" if accepted else "refused"] += 1

    def exposition(self) -> tuple[bytes, str]:
        """The body of an answer to a scrape, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterator[Metric]:
        if self._seen is not None:
            yield self._role(self._seen)
            yield from self._gauges(self._seen)
        yield from self._counters()

    # Within

    def _role(self, seen: MemberSeen) -> Metric:
        family = GaugeMetricFamily(ROLE, ROLE_HELP, labels=(*IDENTITY, "role"))
        for role in Role:
            family.add_metric((*self._identity, role.value), float(seen.node.role is role))
        return family

    def _gauges(self, seen: MemberSeen) -> Iterator[Metric]:
        for gauge in GAUGES:
            value = gauge.read(seen)
            if value is not None:
                family = GaugeMetricFamily(gauge.name, gauge.help, labels=IDENTITY)
                family.add_metric(self._identity, value)
                yield family

    def _counters(self) -> Iterator[Metric]:
        for count in COUNTS:
            label = () if count.label is None else (count.label,)
            family = CounterMetricFamily(count.name, count.help, labels=(*IDENTITY, *label))
            for value in count.values:
                own = () if count.label is None else (value,)
                family.add_metric((*self._identity, *own), self._counted[count, value])
            yield family

    def _count_renewal(self, before: MemberSeen, node: Node, now: int) -> None:
        """A majority has acknowledged something newer. A leader that is a majority alone needs no renewal."""
        led_before = before.leads and before.node.current_term == node.current_term
        leads_still = led_before and node.role is Role.LEADER
        needs_others = len(node.members) > 1
        if not (leads_still and needs_others):
            return

        had_a_lease = raft.majority_acknowledged(before.node, before.now) >= before.node.leadership.since
        may_have_one = node.leadership.transfer_to is raft.NIL
        old_end = lease_end(before.node, before.now)
        is_longer = lease_end(node, now) > old_end
        if had_a_lease and may_have_one and is_longer:
            is_late = old_end - now < THIN * node.clocks.lease
            self._counted[RENEWALS, "late" if is_late else "in_time"] += 1


def started_election(before: Node, after: Node) -> bool:
    """Only who stands for election votes for itself, in a term that is new to it."""
    term_is_new = after.current_term > before.current_term
    return term_is_new and after.voted_for == after.id
