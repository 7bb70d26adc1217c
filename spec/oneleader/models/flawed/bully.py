"""The bully algorithm (Garcia-Molina, *Elections in a Distributed Computing System*, 1982).

The live node with the greatest number coordinates. Who hears nothing from its coordinator asks the
greater nodes; where none answers it halts the smaller ones, and takes over when they have stopped.
There are neither terms nor quorums: silence is taken for death. The paper says when that is right
(assumptions 5, 8 and 9 of its section II), and here each of these is a switch:

    FAIL_STOP   a node that failed knows it when it is back, and starts afresh
    NETWORK     no message between live nodes is lost: there is no partition
    PROMPT      a live node answers at once: there is no pause, and no delay longer than the time-out

With all three there is one coordinator. Without any one of them there are two.

A call and its answer are one step. Not modelled here: the reorganisation of the paper's applications,
messages that cross, and that a coordinator is elected at all.
"""

from __future__ import annotations

from enum import IntEnum

from oneleader.language import (
    NIL,
    Fields,
    NumberSort,
    Option,
    action,
    both,
    constant,
    field,
    implies,
    ite,
    model,
    no,
    theorem,
    witness,
)


class Assumption(IntEnum):
    """What the paper assumes of nodes and network."""

    FAIL_STOP = 0
    NETWORK = 1
    PROMPT = 2


FAIL_STOP, NETWORK, PROMPT = Assumption


class Status(IntEnum):
    """The paper's states; `halting` is its election state where it has asked the greater nodes."""

    DOWN = 0
    ELECTION = 1
    HALTING = 2
    NORMAL = 3


DOWN, ELECTION, HALTING, NORMAL = Status


class Node(NumberSort):
    """A node, counted from 0: a bound of 2 makes three. The greater number is the greater bully."""


class State(Fields):
    """The nodes, and what stands between them."""

    assumed = constant(Assumption)

    status = field(Node, of=Status)
    superior = field(Node, of=Option[Node])  # who halted it or, when it is normal, its coordinator
    paused = field(Node, of=bool)  # it is alive, and does and answers nothing
    beyond = field(Node, of=bool)  # on the other side of a partition


def is_awake(s: State, n: Node) -> bool:
    """The node is alive and does not pause."""
    return both(s.status[n] != DOWN, no(s.paused[n]))


def answers(s: State, n: Node, other: Node) -> bool:
    """The other node answers this one before the time-out."""
    return both(is_awake(s, other), s.beyond[n] == s.beyond[other])


def coordinates(s: State, n: Node) -> bool:
    """The node takes itself to be the coordinator."""
    return both(s.status[n] == NORMAL, s.superior[n] == n)


# -- Failures ------------------------------------------------------------------------------------
@action
def crash(s: State, n: Node) -> None:
    """A node fails."""
    is_up = s.status[n] != DOWN  # a node that is up may fail
    s.require(is_up)

    s.status[n] = DOWN
    s.paused[n] = False
    s.superior[n] = ite(s.assumed[FAIL_STOP], NIL, s.superior[n])


@action
def recover(s: State, n: Node) -> None:
    """A node is back: it calls an election or, not knowing that it was away, goes on."""
    is_down = s.status[n] == DOWN  # a node that is down may come back
    s.require(is_down)

    s.status[n] = ite(s.superior[n] == NIL, ELECTION, NORMAL)


@action
def pause(s: State, n: Node) -> None:
    """A node stops for longer than the time-out: a garbage collection, a suspended machine, a slow link."""
    nodes_may_pause = no(s.assumed[PROMPT])  # assumption 9: a node never pauses
    is_running = is_awake(s, n)  # only what runs can pause
    s.require(nodes_may_pause, is_running)

    s.paused[n] = True


@action
def resume(s: State, n: Node) -> None:
    """It goes on. For it, no time has passed."""
    is_paused = s.paused[n]  # only what pauses can go on
    s.require(is_paused)

    s.paused[n] = False


@action
def partition(s: State, n: Node) -> None:
    """The node's links fail, or come back."""
    network_may_fail = no(s.assumed[NETWORK])  # assumption 8: the communication subsystem does not fail
    s.require(network_may_fail)

    s.beyond[n] = no(s.beyond[n])


# -- The algorithm -------------------------------------------------------------------------------
@action
def suspect(s: State, n: Node, coordinator: Node) -> None:
    """A node finds that its coordinator does not answer as such, and calls an election."""
    is_running = is_awake(s, n)  # only what runs can act
    is_its_coordinator = both(s.status[n] == NORMAL, s.superior[n] == coordinator)  # section IV: "check"
    coordinator_is_silent = no(both(answers(s, n, coordinator), coordinates(s, coordinator)))  # a time-out
    s.require(is_running, is_its_coordinator, coordinator_is_silent)

    s.status[n] = ELECTION
    s.superior[n] = NIL


@action
def check_members(s: State, n: Node, member: Node) -> None:
    """A coordinator finds a node that does not follow it, and calls an election."""
    is_coordinator = both(is_awake(s, n), coordinates(s, n))  # section IV: the coordinator asks everybody
    member_is_lost = both(answers(s, n, member), s.superior[member] != n)  # section IV: "not normal"
    s.require(is_coordinator, member_is_lost)

    s.status[n] = ELECTION
    s.superior[n] = NIL


@action
def stand(s: State, n: Node) -> None:
    """No greater node answers: this one is to be the coordinator."""
    is_electing = both(is_awake(s, n), s.status[n] == ELECTION)  # section IV: "election"
    greater_are_silent = Node.all(lambda m: implies(n < m, no(answers(s, n, m))))  # "are you up?"
    s.require(is_electing, greater_are_silent)

    s.status[n] = HALTING
    s.superior[n] = NIL


@action
def halt(s: State, n: Node, smaller: Node) -> None:
    """It makes a smaller node stop whatever it does."""
    is_halting = both(is_awake(s, n), s.status[n] == HALTING)  # section IV: "enter election"
    smaller_answers = both(smaller < n, answers(s, n, smaller))  # servers that are up obey
    s.require(is_halting, smaller_answers)

    s.status[smaller] = ELECTION
    s.superior[smaller] = n


@action
def take_over(s: State, n: Node) -> None:
    """All smaller nodes have stopped, or are silent: this one is the coordinator."""
    is_halting = both(is_awake(s, n), s.status[n] == HALTING)  # section IV: "set coordinator"
    smaller_have_stopped = Node.all(
        lambda m: implies(both(m < n, answers(s, n, m)), has_stopped(s, m, n))
    )  # section IV: after "enter election" to each
    s.require(is_halting, smaller_have_stopped)

    s.status[n] = NORMAL
    s.superior[n] = n


@action
def inform(s: State, n: Node, smaller: Node) -> None:
    """The coordinator tells a node that it halted to go on."""
    is_coordinator = both(is_awake(s, n), coordinates(s, n))  # section IV: "set state normal"
    smaller_waits = both(answers(s, n, smaller), has_stopped(s, smaller, n))  # it obeys who halted it
    s.require(is_coordinator, smaller_waits)

    s.status[smaller] = NORMAL


def has_stopped(s: State, n: Node, by: Node) -> bool:
    """The node has stopped for this one."""
    return both(s.status[n] == ELECTION, s.superior[n] == by)


# -- What holds, while all is as assumed ---------------------------------------------------------
@theorem
def one_coordinator(s: State, a: Node, b: Node) -> bool:
    """At most one live node takes itself to be the coordinator."""
    return implies(both(coordinates(s, a), coordinates(s, b)), a == b)


@theorem
def normal_nodes_agree(s: State, a: Node, b: Node) -> bool:
    """Assertion 1: any two live nodes that work normally have the same coordinator."""
    return implies(both(s.status[a] == NORMAL, s.status[b] == NORMAL), s.superior[a] == s.superior[b])


# -- What can happen -----------------------------------------------------------------------------
@witness
def somebody_follows(s: State, n: Node, m: Node) -> bool:
    """A coordinator has a follower."""
    return both(n != m, coordinates(s, n), s.status[m] == NORMAL, s.superior[m] == n)


@witness
def a_smaller_one_coordinates(s: State, n: Node, m: Node, follower: Node) -> bool:
    """The greatest node is down, and another coordinates."""
    followed = both(follower != n, s.status[follower] == NORMAL, s.superior[follower] == n)
    return both(n < m, s.status[m] == DOWN, coordinates(s, n), followed)


@witness
def a_bully_returns(s: State, n: Node, m: Node) -> bool:
    """A greater node is about to halt the coordinator."""
    return both(n < m, coordinates(s, n), s.status[m] == HALTING)


MODEL = model(__name__, State, usual={"assumed": ()})
