"""What must hold of a cluster at any moment, said once more in plain Python: Figure 3, leases, snapshots.

The models say the same for any cluster, and a trace is compared with them elsewhere. This needs no model,
and judges a faulty core by what goes wrong and not by the step that broke a rule.
"""

from __future__ import annotations

from ..configuration import InEffect, Membership, initial
from ..raft import Entry, Node, NodeId, Role, Snapshot
from ..state_machine import StateMachine, apply
from .cluster import Cluster


class UnsafeError(AssertionError):
    """One of the properties does not hold."""


class Safety:
    """Watches a cluster; `check` after each step of a server."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.leaders: dict[int, NodeId] = {}  # of each term
        self.committed: list[tuple[Entry, int]] = []  # with the term of the leader that did
        self._judged: dict[NodeId, Snapshot] = {}
        self.machines = [StateMachine()]  # after so many entries
        self.in_effect: list[InEffect] = [*initial(cluster.initial)]  # the same of the configuration

    def check(self, id: NodeId) -> None:
        """UnsafeError if the step that this server just took broke something."""
        node = self.cluster.node(id)
        self.election_safety(node)
        self.state_machine_safety(node)
        self.snapshots_are_of_what_is_committed(node)
        self.leader_completeness(node)
        self.leases_are_disjoint()

    def election_safety(self, node: Node) -> None:
        """Figure 3: "at most one leader can be elected in a given term"."""
        if node.role is Role.LEADER:
            other = self.leaders.setdefault(node.current_term, node.id)
            if other != node.id:
                raise UnsafeError(
                    f"Election Safety: {other} and {node.id} both lead term {node.current_term}"
                )

    def state_machine_safety(self, node: Node) -> None:
        """Figure 3: no two servers apply different entries at the same index."""
        first = node.snapshot.index
        if not first <= node.commit_index <= node.last_index:
            raise UnsafeError(f"State Machine Safety: {node.id} has committed more than it has")
        if first > len(self.committed):
            raise UnsafeError(f"State Machine Safety: {node.id} has a snapshot of what nobody has committed")
        committed = node.log[: node.commit_index - first]
        for i, (own, (theirs, _)) in enumerate(
            zip(committed, self.committed[first:], strict=False), first + 1
        ):
            if own is not theirs and own != theirs:
                raise UnsafeError(
                    f"State Machine Safety: at index {i} {node.id} has committed {own}, "
                    f"somebody else {theirs}"
                )
        for entry in committed[len(self.committed) - first :]:
            self._commit(entry, node.current_term)  # leaders come first

    def _commit(self, entry: Entry, term: int) -> None:
        self.committed.append((entry, term))
        index = len(self.committed)
        self.machines.append(apply(self.machines[-1], index, entry.command)[0])
        brought = entry.command
        self.in_effect.append(
            InEffect(index, brought) if isinstance(brought, Membership) else self.in_effect[-1]
        )

    def snapshots_are_of_what_is_committed(self, node: Node) -> None:
        """Section 7: what a snapshot says is as of its index."""
        snapshot, k = node.snapshot, node.snapshot.index
        if k == 0 or self._judged.get(node.id) is snapshot:
            return
        self._judged[node.id] = snapshot
        entry, _ = self.committed[k - 1]
        parts = {
            "term": (snapshot.term, entry.term),
            "configuration": (snapshot.in_effect, self.in_effect[k]),
            "state": (snapshot.state, self.machines[k]),
        }
        for name, (said, true) in parts.items():
            if said != true:
                raise UnsafeError(
                    f"snapshots: that of {node.id} has the {name} {said} at {k}, and it was {true}"
                )

    def leader_completeness(self, node: Node) -> None:
        """Figure 3: what was committed in a term, the leaders of later terms have. The term in which it was
        committed, not that of the entry: an old entry may be committed after the leader of a term between."""
        if node.role is not Role.LEADER:
            return
        first = node.snapshot.index
        earlier = [entry for entry, term in self.committed if term < node.current_term][first:]
        if list(node.log[: len(earlier)]) != earlier:
            raise UnsafeError(
                f"Leader Completeness: {node.id} leads term {node.current_term} without {earlier}"
            )

    def leases_are_disjoint(self) -> None:
        """At most one server may act as the leader, and nobody was elected after it."""
        holders = [id for id in self.cluster.members if self.cluster.is_leader(id)]
        if len(holders) > 1:
            raise UnsafeError(f"leases: {' and '.join(holders)} hold one at once")
        for id in holders:
            term = self.cluster.node(id).current_term
            if max(self.leaders, default=0) > term:
                raise UnsafeError(f"leases: {id} holds one for term {term}, and a later term has a leader")
