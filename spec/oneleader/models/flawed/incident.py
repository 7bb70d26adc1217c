"""The incident as it happened: an election without a quorum, without terms, and a storage without fencing.

A server that hears no leader becomes one. That is right as long as the network does not split, which is the
assumption that nobody wrote down; it is the switch here. When it does split, each part has a leader, and
when it is whole again nothing tells the old leader from the new one: both write.

Which cure would have prevented what: `models/system.py`, and docs/results/trade-offs.md.
"""

from __future__ import annotations

from enum import IntEnum

from oneleader.language import (
    Fields,
    SetSort,
    action,
    both,
    constant,
    either,
    field,
    ghost,
    implies,
    model,
    no,
    theorem,
    witness,
)


class Assumption(IntEnum):
    """What nobody wrote down."""

    NETWORK = 0


class Node(SetSort):
    """A server."""


class State(Fields):
    """The servers, and a storage that takes what comes."""

    assumed = constant(Assumption)

    beyond = field(Node, of=bool)  # on the other side of a partition
    leads = field(Node, of=bool)

    # History: what the storage, which compares nothing, cannot know.
    newer = ghost(Node, Node, of=bool)  # newer[a, b]: a became the leader after b did
    landed = ghost(Node, of=bool)  # a write has landed since the server became the leader
    stale = ghost(of=bool)  # a write landed after one of a newer leader


@action
def partition(s: State, n: Node) -> None:
    """The server's links fail, or come back."""
    network_may_fail = no(s.assumed[Assumption.NETWORK])  # the assumption: the network does not split
    s.require(network_may_fail)

    s.beyond[n] = no(s.beyond[n])


@action
def crash(s: State, n: Node) -> None:
    """A leader is gone."""
    is_leader = s.leads[n]  # the leader fails
    s.require(is_leader)

    s.leads[n] = False


@action
def become_leader(s: State, n: Node) -> None:
    """The server hears no leader, and that is enough for it."""
    hears_no_leader = Node.all(  # the incident: a time-out, and nobody is asked
        lambda m: implies(s.beyond[m] == s.beyond[n], no(s.leads[m]))
    )
    s.require(hears_no_leader)

    s.leads[n] = True
    s.newer.where(lambda old, a, b: both(b != n, either(old, a == n)))
    s.landed[n] = False


@action
def write(s: State, n: Node) -> None:
    """A leader writes, and the storage takes it."""
    is_leader = s.leads[n]  # the incident: a leader writes, however old
    s.require(is_leader)

    s.stale = either(s.stale, Node.any(lambda m: both(s.newer[m, n], s.landed[m])))
    s.landed[n] = True


@theorem
def one_leader(s: State, a: Node, b: Node) -> bool:
    """At most one server leads."""
    return implies(both(s.leads[a], s.leads[b]), a == b)


@theorem
def no_stale_write(s: State) -> bool:
    """No write lands after one of a newer leader."""
    return no(s.stale)


@witness
def two_write_in_turn(s: State, a: Node, b: Node) -> bool:
    """One led and wrote, and then another."""
    return both(s.newer[a, b], s.landed[a], s.landed[b])


MODEL = model(__name__, State, usual={"assumed": ()})
