"""The incident as it happened, and a lease that is trusted without fencing."""

from __future__ import annotations

import pytest

from oneleader import models
from oneleader.language import action
from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model
from oneleader.models.election import Node
from oneleader.models.flawed.lease_without_fencing import State
from oneleader.readers.explore.explore import explore_all
from oneleader.readers.explore.explored import Explored
from oneleader.verdict import HOLDS

INCIDENT = models.find("flawed/incident")
LEASE = models.find("flawed/lease_without_fencing")


def incident(nodes: int, *assumed: str) -> Configuration:
    return configure(INCIDENT, {"Node": nodes}).where(INCIDENT.fields["assumed"], assumed)


def lease(*compares: str) -> Configuration:
    sizes = {"Node": 2, "Term": 2, "Resource": 1, "lease": 1, "promise": 1, "slow": 1, "fast": 1}
    return configure(LEASE, sizes, "n2, n1 n2").where(LEASE.fields["compares"], compares)


def one(model: Model, at: Configuration, name: str) -> Explored:
    (found,) = explore_all(model, at, only=[name], engine="native")
    return found


def story(found: Explored) -> list[str]:
    """The steps of a counterexample as people write them."""
    assert found.violation
    instances = [found.run.instances[position] for position, _ in found.violation.steps]
    return [found.run.configuration.call(i.action, i.args) for i in instances]


@action
def give_up(s: State, n: Node) -> None:
    """Nobody steps down within its term."""
    never = n != n
    s.require(never)


@action
def transfer_leadership(s: State, n: Node, target: Node) -> None:
    """Nobody hands over."""
    never = n != n
    s.require(never)


@pytest.mark.parametrize("nodes", [2, 3, 5])
def test_a_partition_makes_two_leaders_and_a_stale_write(nodes: int) -> None:
    assert [call.partition("(")[0] for call in story(one(INCIDENT, incident(nodes), "one_leader"))] == [
        *("partition", "become_leader", "become_leader")
    ]
    steps = story(one(INCIDENT, incident(nodes), "no_stale_write"))
    assert len(steps) == 5
    old, new = steps[-1], steps[-2]
    assert old != new
    assert {call.partition("(")[0] for call in (old, new)} == {"write"}


def test_each_action_of_the_incident_fires() -> None:
    found = list(explore_all(INCIDENT, incident(3, "network")))
    assert {name for result in found for name in result.never_fired} == {"partition"}
    assert not one(INCIDENT, incident(2), "two_write_in_turn").never_fired


@pytest.mark.parametrize("nodes", [2, 3, 5])
def test_nothing_goes_wrong_as_long_as_the_network_is_whole(nodes: int) -> None:
    found = list(explore_all(INCIDENT, incident(nodes, "network")))
    assert {result.verdict for result in found} == {HOLDS}
    assert {name for result in found for name in result.properties} == {"one_leader", "no_stale_write"}
    assert [depth for result in found for depth in result.witnesses.values()] == [5]


def test_a_pause_after_the_check_outlasts_every_lease() -> None:
    assert len(story(one(LEASE, lease(), "no_stale_write"))) == 9
    names = [
        call.partition("(")[0]
        for call in story(
            one(LEASE.with_action(transfer_leadership).with_action(give_up), lease(), "no_stale_write")
        )
    ]
    assert len(names) == 10
    assert names[-2:] == ["write", "write"]
    assert names.index("decide_write") < names.index("elapse")  # the check comes before the pause


def test_the_lease_itself_is_sound_there() -> None:
    assert one(LEASE, lease(), "no_newer_leader").verdict is HOLDS
    assert one(LEASE, lease(), "leases_are_disjoint").verdict is HOLDS


def test_a_storage_that_compares_is_enough() -> None:
    found = one(LEASE, lease("r1"), "no_stale_write")
    assert found.verdict is HOLDS
    assert found.never_fired == []
    assert one(LEASE, lease("r1"), "a_write_is_overtaken").witnesses == {"a_write_is_overtaken": 8}
