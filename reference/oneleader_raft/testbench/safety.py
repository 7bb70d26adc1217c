"""What must hold of a cluster at any moment, said once more in plain Python: Figure 3, and leases.

The models say the same for any cluster, and a trace is compared with them elsewhere. This needs no model,
and judges a faulty core by what goes wrong and not by the step that broke a rule.
"""

from __future__ import annotations

from ..raft import Entry, Node, NodeId, Role
from .cluster import Cluster


class UnsafeError(AssertionError):
    """One of the properties does not hold."""


class Safety:
    """Watches a cluster; `check` after each step of a server."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.leaders: dict[int, NodeId] = {}  # of each term
        self.committed: list[tuple[Entry, int]] = []  # with the term of the leader that did

    def check(self, id: NodeId) -> None:
        """UnsafeError if the step that this server just took broke something."""
        node = self.cluster.node(id)
        self.election_safety(node)
        self.state_machine_safety(node)
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
        committed = node.log[: node.commit_index]
        known = min(len(committed), len(self.committed))
        if len(committed) < node.commit_index:
            raise UnsafeError(f"State Machine Safety: {node.id} has committed more than it has")
        for i in range(known):
            theirs, _ = self.committed[i]
            if committed[i] is not theirs and committed[i] != theirs:
                raise UnsafeError(
                    f"State Machine Safety: at index {i + 1} {node.id} has committed {committed[i]}, "
                    f"somebody else {theirs}"
                )
        self.committed += ((entry, node.current_term) for entry in committed[known:])  # leaders come first

    def leader_completeness(self, node: Node) -> None:
        """Figure 3: what was committed in a term, the leaders of later terms have. The term in which it was
        committed, not that of the entry: an old entry may be committed after the leader of a term between."""
        if node.role is not Role.LEADER:
            return
        earlier = [entry for entry, term in self.committed if term < node.current_term]
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
