"""Faults of changes of membership: which configuration may follow which, and when.

Each is explored in `membership_steps`, where an election is one step, and its proof fails in `membership`; or
it is one of the reference alone, where it is what a model takes as given that goes wrong.
"""

from __future__ import annotations

from dataclasses import replace

from oneleader.conformance.reference.patch import patched
from oneleader.faults.fault import Because, core_fault, fault
from oneleader.language.model import Model
from oneleader.models import membership, membership_steps
from oneleader_raft import raft
from oneleader_raft.configuration import History, Membership
from oneleader_raft.core import Core
from oneleader_raft.raft import Entry, Node, NodeId, Step

ES = "Election Safety"
ONE = {"Node": 1, "Quorum": 1, "Value": 1, "Term": 1, "Index": 1, "Config": 1}
RAFT_DEV = "Ongaro on raft-dev, July 2015; copycat#23"
FOUR = "n1 n2 n3 n4"
GIVEN = Because("the models take as given what a quorum is, and which configuration an entry brings")
LED = "campaign n1 n2; trip n1 n2"  # with an entry of its own committed


@fault(
    "several servers join or leave at once",
    sources="the reason for the rule of one server at a time, dissertation 4.1",
    breaks=ES,
    base=membership_steps.MODEL,
    whole=membership.MODEL,
    sizes={"Node": 3, "Term": 2, "Index": 2},
    quorums="n1 n2 n3, n1",
    explore=("election_safety", 7),
    prove=("change_config", "configuration_is_close_to_the_one_before"),
    fails_at=ONE | {"Index": 2},
    tlc="MCMembership_bug_several_at_once.cfg",
)
def several_at_once(m: Model) -> Model:
    """R1 dropped: two servers leave in one step. Who has the new configuration elects a leader alone, and the
    two that have not heard of it elect another in the same term."""
    return m.without_guard("change_config", "is_adjacent")


@several_at_once.core(
    replay=f"{LED}; swap n1 n2 n4; sync n1 n4; trip n1 n4",
    refused="membership: change_config, is_adjacent",
    joining=1,
    begin=f"{LED}; swap n1 n2 n4; sync n1 n4",
)
def _() -> Core:
    def next_configuration(node: Node) -> Membership | None:
        return Membership(node.leadership.wanted) if node.leadership.wanted else None

    return patched(next_configuration)


@fault(
    "a change before the one before it is committed",
    sources="the reason for the rule of one change at a time, dissertation 4.1",
    breaks=ES,
    base=membership_steps.MODEL,
    whole=membership.MODEL,
    sizes={"Node": 3, "Term": 2, "Index": 3},
    quorums="n1 n2 n3, n1 n2, n1",
    explore=("election_safety", 8),
    prove=("change_config", "one_change_beyond_the_commit"),
    fails_at=ONE | {"Node": 2, "Quorum": 2, "Index": 3, "Config": 2},
    tlc="MCMembership_bug_change_upon_change.cfg",
)
def change_upon_change(m: Model) -> Model:
    """R2 dropped: a leader removes one server and then another, and nobody has confirmed either. Together
    they are a change of two servers."""
    return m.without_guard("change_config", "last_is_committed")


@change_upon_change.core(
    replay=f"{LED}; remove n1 n3; remove n1 n2",
    refused="membership: change_config, last_is_committed",
    begin=LED,
)
def _() -> Core:
    def why_unchangeable(node: Node, members: tuple[NodeId, ...], now: int) -> str:
        return correct(with_all_committed(node), members, now)

    def go_on_with_change(node: Node, now: int) -> Step:
        configuration = raft.next_configuration(node)
        own_is_committed = node.term_at(node.commit_index) == node.current_term
        if configuration is None or not (own_is_committed and raft.have_caught_up(node)):
            return Step(node)
        return raft.change_configuration(node, configuration, now)

    correct = raft.why_unchangeable
    return patched(why_unchangeable, go_on_with_change)


def with_all_committed(node: Node) -> Node:
    return replace(node, commit_index=node.last_index)


def change_before_a_commit(m: Model) -> Model:
    """R3 dropped."""
    return m.without_guard("change_config", "own_is_committed")


def changing_before_a_commit() -> Core:
    """R3 dropped, in the reference."""

    def go_on_with_change(node: Node, now: int) -> Step:
        configuration = raft.next_configuration(node)
        if configuration is None or node.since > node.commit_index:
            return Step(node)
        if not raft.have_caught_up(node):
            return Step(node)
        return raft.change_configuration(node, configuration, now)

    return patched(go_on_with_change)


@fault(
    "two leaders add a server each, before either has committed in its term",
    sources=f"{RAFT_DEV}: add and add",
    breaks=ES,
    base=membership_steps.MODEL,
    whole=membership.MODEL,
    sizes={"Node": 6, "Term": 3, "Index": 1},
    quorums=f"{FOUR}, {FOUR} n5, {FOUR} n6",
    explore=("election_safety", 6),
    prove=("change_config", "one_change_beyond_the_commit"),
    fails_at=ONE,
    tlc="MCMembershipCorrection_bug_added_and_added.cfg",
)
def added_and_added(m: Model) -> Model:
    """R3 dropped. The leader of one term adds n5, and that of the next, who has not heard of it, adds n6. Of
    the six servers, three with n5 are a majority to the one, and three with n6 to the other."""
    return change_before_a_commit(m)


added_and_added.core(
    replay="timeout n1; trip n1 n2; trip n1 n3; trip n1 n2; trip n1 n3; add n1 n5",
    refused="membership: change_config, own_is_committed",
    nodes=4,
    joining=2,
    begin="timeout n1; trip n1 n2; trip n1 n3; trip n1 n2; trip n1 n3",
)(changing_before_a_commit)


@fault(
    "one leader adds a server and another removes one, before either has committed in its term",
    sources=f"{RAFT_DEV}: add and remove",
    breaks=ES,
    base=membership_steps.MODEL,
    whole=membership.MODEL,
    sizes={"Node": 5, "Term": 3, "Index": 1},
    quorums=f"{FOUR}, {FOUR} n5, n2 n3 n4",
    explore=("election_safety", 6),
    prove=("change_config", "configuration_rests_on_a_commit"),
    fails_at=ONE,
    tlc="MCMembershipCorrection_bug_added_and_removed.cfg",
)
def added_and_removed(m: Model) -> Model:
    """R3 dropped. Three of five are a majority with n5; two of three are one without n1."""
    return change_before_a_commit(m)


added_and_removed.core(
    replay="timeout n1; trip n1 n2; trip n1 n3; trip n1 n2; trip n1 n3; remove n1 n1",
    refused="membership: change_config, own_is_committed",
    nodes=4,
    joining=1,
    begin="timeout n1; trip n1 n2; trip n1 n3; trip n1 n2; trip n1 n3",
)(changing_before_a_commit)


@fault(
    "two leaders remove a server each, before either has committed in its term",
    sources=f"{RAFT_DEV}: remove and remove",
    breaks=ES,
    base=membership_steps.MODEL,
    whole=membership.MODEL,
    sizes={"Node": 4, "Term": 3, "Index": 1},
    quorums=f"{FOUR}, n1 n2 n3, n2 n3 n4",
    explore=("election_safety", 6),
    prove=("change_config", "configuration_began"),
    fails_at=ONE,
    tlc="MCMembershipCorrection_bug_removed_and_removed.cfg",
)
def removed_and_removed(m: Model) -> Model:
    """R3 dropped. Two of n1, n2, n3 are a majority, and so are two of n2, n3, n4."""
    return change_before_a_commit(m)


removed_and_removed.core(
    replay="timeout n1; trip n1 n2; trip n1 n3; trip n1 n2; trip n1 n3; remove n1 n4",
    refused="membership: change_config, own_is_committed",
    nodes=4,
    begin="timeout n1; trip n1 n2; trip n1 n3; trip n1 n2; trip n1 n3",
)(changing_before_a_commit)


# --- In the reference alone -------------------------------------------------------------------------------


@core_fault(
    "the joint state is left before it is committed",
    sources="camunda#63168",
    breaks=ES,
    why=Because("it is the fault change-upon-change, of a configuration that is joint"),
    replay=f"{LED}; swap n1 n2 n4; sync n1 n4; trip n1 n4; heartbeat n1",
    refused="membership: change_config, last_is_committed",
    joining=1,
    begin=f"{LED}; swap n1 n2 n4; sync n1 n4",
)
def joint_left_early() -> Core:
    """A leader goes on to the new members while a majority of the old ones may not know that they are to be
    replaced: these elect another leader alone."""

    def go_on_with_change(node: Node, now: int) -> Step:
        if node.configuration.is_joint:
            return raft.change_configuration(node, Membership(node.configuration.members), now)
        return correct(node, now)

    correct = raft.go_on_with_change
    return patched(go_on_with_change)


@core_fault(
    "a majority of all servers while joint",
    sources="the reason for both majorities, dissertation 4.3",
    breaks=ES,
    why=GIVEN,
    replay=f"{LED}; swap n1 n2 n3; sync n1 n3; trip n1 n3; trip n1 n3",
    refused="membership: advance_commit, is_a_quorum",
    cause=("membership: ", "snapshots: "),
    nodes=2,
    joining=1,
    begin=f"{LED}; swap n1 n2 n3; sync n1 n3; trip n1 n3",
)
def joint_counts_together() -> Core:
    """In a joint configuration a majority of the servers of both sets together is enough: it need not be one
    of either."""

    def is_majority(node: Node, servers: frozenset[NodeId]) -> bool:
        return len(servers & set(node.members)) * 2 > len(node.members)

    return patched(is_majority)


@core_fault(
    "a leader that is removed counts itself",
    sources='the reason for dissertation 4.2.2: it "must not include itself in majorities"',
    breaks="Leader Completeness",
    why=GIVEN,
    replay=f"{LED}; remove n1 n1; trip n1 n2",
    refused="membership: advance_commit, is_a_quorum",
    cause=("membership: ", "snapshots: "),
    begin=LED,
)
def removed_leader_counts_itself() -> Core:
    """It commits its own removal with one server of two: the other one and its like elect a leader without
    the entry."""

    def reaching(leader: Node, own: int, of: object, least: int) -> frozenset[NodeId]:
        return correct(leader, own, of, least) | {leader.id}  # type: ignore[arg-type]

    def is_majority(node: Node, servers: frozenset[NodeId]) -> bool:
        return all(len(servers) * 2 > len(part) for part in node.configuration.sets)

    correct = raft.reaching
    return patched(reaching, is_majority)


@core_fault(
    "a new member counts before it has caught up",
    sources="the reason for dissertation 4.2.1",
    breaks="availability",
    why=Because("it breaks no safety: `new_members_caught_up` is a guard that the proof does not need"),
    replay=f"{LED}; add n1 n4",
    refused="membership: change_config, new_members_caught_up",
    joining=1,
    begin=LED,
)
def joins_at_once() -> Core:
    """A server with an empty log is a member at once: until it has the log, one failure is one too many."""

    def to_join(node: Node) -> tuple[NodeId, ...]:
        return ()

    return patched(to_join)


@core_fault(
    "a configuration takes effect when it is applied",
    sources="etcd-io/raft#456, etcd#12359",
    breaks=ES,
    why=GIVEN,
    replay=f"{LED}; remove n1 n3",
    refused="membership: state",
    begin=LED,
)
def in_effect_when_applied() -> Core:
    """A server uses the latest configuration that it has applied, not the latest in its log, and nothing
    forbids it to stand with one that is committed and not applied: one leader is elected by the old members
    and another one by the new ones."""

    def brought(kept: int, entries: tuple[Entry, ...]) -> History:
        return ()

    def apply_committed(node: Node, applied: int) -> Step:
        new = latest(applied, node.after(applied)[: node.commit_index - applied])
        return correct(replace(node, history=(*node.history, *new)), applied)

    latest, correct = raft.brought, raft.apply_committed
    return patched(brought, apply_committed)
