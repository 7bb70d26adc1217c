"""Faults of changes of membership: which configuration may follow which, and when.

Each is explored in `membership_steps`, where an election is one step, and its proof fails in `membership`.
"""

from __future__ import annotations

from oneleader.faults.fault import NOT_WRITTEN, fault
from oneleader.language.model import Model
from oneleader.models import membership, membership_steps

ES = "Election Safety"
ONE = {"Node": 1, "Quorum": 1, "Value": 1, "Term": 1, "Index": 1, "Config": 1}
RAFT_DEV = "Ongaro on raft-dev, July 2015; copycat#23"
FOUR = "n1 n2 n3 n4"


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


def change_before_a_commit(m: Model) -> Model:
    """R3 dropped."""
    return m.without_guard("change_config", "own_is_committed")


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
    tlc=NOT_WRITTEN,
)
def added_and_added(m: Model) -> Model:
    """R3 dropped. The leader of one term adds n5, and that of the next, who has not heard of it, adds n6. Of
    the six servers, three with n5 are a majority to the one, and three with n6 to the other."""
    return change_before_a_commit(m)


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
    tlc=NOT_WRITTEN,
)
def added_and_removed(m: Model) -> Model:
    """R3 dropped. Three of five are a majority with n5; two of three are one without n1."""
    return change_before_a_commit(m)


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
    tlc=NOT_WRITTEN,
)
def removed_and_removed(m: Model) -> Model:
    """R3 dropped. Two of n1, n2, n3 are a majority, and so are two of n2, n3, n4."""
    return change_before_a_commit(m)
