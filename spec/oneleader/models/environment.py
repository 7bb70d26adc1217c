"""The composition in its surroundings: what each approach gives while clocks, pauses or the network are bad.

`system`, with a split of the network, with what a leader has read, and with four things that may be given:

    CLOCKS        a promise outlasts the lease that rests on it: clocks drift less than the lease allows for
    PROMPT        a write arrives before anything else happens: nobody pauses after the check, no link is slow
    FENCED_READS  a read carries the token too, and a storage that fences refuses older ones from then on
    HEALS         a split does not last for ever

The servers that are `away` are cut off from the others when the network has split; the storage is reached
from both sides, which is the worse case. A leader that may act reads the storage and bases its
writes on that and on its own: an update is lost where somebody else has written in between.

`python -m workshop trade-offs` makes docs/results/trade-offs.md from this model. With the quorum `n1` alone,
n1 is a lock server: the approaches without elections.
"""

from __future__ import annotations

from enum import IntEnum

from oneleader.language import (
    action,
    both,
    constant,
    either,
    field,
    ghost,
    ite,
    model,
    no,
    theorem,
    witness,
)
from oneleader.models import system
from oneleader.models.election import Node, Quorum
from oneleader.models.system import FENCING, is_voter


class Given(IntEnum):
    """What may be relied on."""

    CLOCKS = 0
    PROMPT = 1
    FENCED_READS = 2
    HEALS = 3


CLOCKS, PROMPT, FENCED_READS, HEALS = Given


class State(system.State):
    """The composition, and what stands around it."""

    given = constant(Given)
    away = constant(Node)

    is_split = field(of=bool)
    has_read = field(Node, of=bool)  # it knows what is in the storage, or believes that it does

    # History, for properties only.
    is_current = ghost(Node, of=bool)  # nobody else has written since the leader read
    is_based = ghost(Node, of=bool)  # nor since it decided on its pending write
    lost = ghost(of=bool)  # a write was based on something that was there no more
    served = ghost(of=bool)  # a write of the newest leader landed from the greater side of the split


def is_calm(s: State) -> bool:
    """No write is under way, as far as that has to be waited for."""
    return either(no(s.given[PROMPT]), Node.all(lambda v: s.pending[v] == 0))


def is_near(s: State, n: Node, m: Node) -> bool:
    """The split does not stand between the two."""
    return either(no(s.is_split), both(s.away[n], s.away[m]), both(no(s.away[n]), no(s.away[m])))


def are_near(s: State, n: Node, q: Quorum) -> bool:
    """The server's voters hear it."""
    return system.all_voters(s, n, q, lambda v: is_near(s, n, v))


@action
def split(s: State) -> None:
    """The network splits."""
    network_is_whole = no(s.is_split)  # a split: one is enough
    somebody_is_away = Node.any(lambda v: s.away[v])  # a split: there are two sides
    writes_have_arrived = is_calm(s)  # PROMPT: nothing happens before
    s.require(network_is_whole, somebody_is_away, writes_have_arrived)

    s.is_split = True


@action
def heal(s: State) -> None:
    """The network is whole again."""
    network_is_split = both(s.is_split, s.given[HEALS])  # HEALS: a split does not last for ever
    writes_have_arrived = is_calm(s)  # PROMPT: nothing happens before
    s.require(network_is_split, writes_have_arrived)

    s.is_split = False


# -- Leaders -------------------------------------------------------------------------------------
@action
def elect(s: State, n: Node, q: Quorum) -> None:
    """Section 5.2, among those who hear each other; nobody of them knows any more what is in the storage."""
    voters_are_near = are_near(s, n, q)  # section 5.2: votes are messages
    writes_have_arrived = is_calm(s)  # PROMPT: nothing happens before
    s.require(voters_are_near, writes_have_arrived)

    system.elect(s, n, q)
    s.has_read.where(lambda old, v: both(old, no(is_voter(s, v, n, q))))


@action
def step_down(s: State, n: Node, other: Node) -> None:
    """Figure 2, All Servers 2."""
    other_is_near = is_near(s, n, other)  # section 5.1: terms are exchanged in messages
    writes_have_arrived = is_calm(s)  # PROMPT: nothing happens before
    s.require(other_is_near, writes_have_arrived)

    system.step_down(s, n, other)
    s.has_read[n] = False


@action
def restart(s: State, n: Node) -> None:
    """A crash."""
    system.restart(s, n)
    s.has_read[n] = False


# -- Leases --------------------------------------------------------------------------------------
@action
def take_lease(s: State, n: Node, q: Quorum) -> None:
    """Dissertation 6.4.1, among those who hear each other."""
    voters_are_near = are_near(s, n, q)  # dissertation 6.4.1: acknowledgements are messages
    writes_have_arrived = is_calm(s)  # PROMPT: nothing happens before
    s.require(voters_are_near, writes_have_arrived)

    system.take_lease(s, n, q)


@action
def end_lease(s: State, n: Node) -> None:
    """The lease runs out on the leader's clock."""
    writes_have_arrived = is_calm(s)  # PROMPT: nothing happens before
    s.require(writes_have_arrived)

    system.end_lease(s, n)
    s.has_read[n] = False


@action
def end_promise(s: State, v: Node, n: Node) -> None:
    """The promise runs out on the voter's clock: after the lease, or whenever that clock is ahead."""
    has_promised = s.promised[v, n]  # the promise: there is one to end
    rests_on_it = Quorum.any(lambda q: both(s.lease[n] == q, is_voter(s, v, n, q)))
    lease_is_over = either(no(s.given[CLOCKS]), no(rests_on_it))  # `lease`: L(1 + rho) <= D(1 - rho)
    writes_have_arrived = is_calm(s)  # PROMPT: nothing happens before
    s.require(has_promised, lease_is_over, writes_have_arrived)

    s.promised[v, n] = False


# -- Reads and writes ----------------------------------------------------------------------------
@action
def read(s: State, n: Node) -> None:
    """A leader that may act reads what is in the storage."""
    leader_may_act = system.may_act(s, n)  # the check: by its lease, or by its role
    fences = both(s.given[FENCED_READS], no(s.off[FENCING]))
    storage_accepts = either(no(fences), s.term[n] >= s.greatest)  # fencing: no token older than one seen
    writes_have_arrived = is_calm(s)  # PROMPT: nothing happens before
    s.require(leader_may_act, storage_accepts, writes_have_arrived)

    s.has_read[n] = True
    s.greatest = ite(fences, s.term[n], s.greatest)
    s.is_current[n] = True


@action
def decide_write(s: State, n: Node) -> None:
    """A leader finds that it may act, and decides to write on what it has read."""
    storage_was_read = s.has_read[n]  # read, modify, write
    writes_have_arrived = is_calm(s)  # PROMPT: nothing happens before
    s.require(storage_was_read, writes_have_arrived)

    system.decide_write(s, n)
    s.is_based[n] = s.is_current[n]


@action
def write(s: State, n: Node) -> None:
    """The write arrives: what the others have read, and what they decided on it, is of the past."""
    is_newest = s.decided[n] == s.elected
    system.write(s, n)
    s.served = either(s.served, both(s.is_split, no(s.away[n]), is_newest))
    s.lost = either(s.lost, no(s.is_based[n]))
    s.is_current.where(lambda old, v: v == n)
    s.is_based.where(lambda old, v: both(old, v == n))


@action
def give_up_write(s: State, n: Node) -> None:
    """The write is lost, or refused."""
    write_is_pending = s.pending[n] > 0  # the network: a write that was sent
    s.require(write_is_pending)

    s.pending[n] = 0


# -- What holds, depending on all of this --------------------------------------------------------
@theorem
def no_lost_update(s: State) -> bool:
    """A writer has seen what is there."""
    return no(s.lost)


@witness
def a_write_is_served(s: State) -> bool:
    """The network is split, and the newest leader has written from the greater side."""
    return s.served


MODEL = model(__name__, State, extends=system.MODEL, usual={"off": (), "given": (), "away": ()})
