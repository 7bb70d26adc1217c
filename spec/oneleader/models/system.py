"""The composition: an elected leader takes a lease, has a token and writes to the storage.

Four switches, each a cure of the incident, all of them there unless they are `off`:

    QUORUM   off: any one voter is a quorum
    TERMS    off: terms are neither carried nor compared, and each leader counts its own tokens
    LEASE    off: a leader acts by its role
    FENCING  off: the storage accepts everything

What the other models prove is a rule here: a quorum's votes are one step (`election`), the promises
that a lease rests on outlast it (`lease`), and the storage compares and writes in one step (`fencing`).
What this model adds is how they meet. `oneleader settings system` explores it under all sixteen settings.

Any time may pass between any two steps, and a message that is lost is a step that is not taken.
Not modelled here: the log, clocks, elections that fail, transfer of leadership; safety only.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from oneleader.language import (
    NIL,
    Fields,
    NumberSort,
    Option,
    action,
    both,
    constant,
    either,
    field,
    ghost,
    implies,
    ite,
    model,
    no,
    theorem,
    witness,
)
from oneleader.models.election import Node, Quorum


class Switch(IntEnum):
    """The four cures."""

    QUORUM = 0
    TERMS = 1
    LEASE = 2
    FENCING = 3


QUORUM, TERMS, LEASE, FENCING = Switch


class Term(NumberSort):
    """The number of an election, and the token of what its leader writes; 0 before the first."""


class Era(NumberSort):
    """Which election it was, as somebody who saw them all would count; 0 before the first."""


class State(Fields):
    """The servers, and one storage."""

    member = constant(Node, Quorum)
    off = constant(Switch)

    # The servers.
    term = field(Node, of=Term)  # the latest it knows of; without TERMS, how often it was elected
    leads = field(Node, of=bool)  # it takes itself to be the leader
    lease = field(Node, of=Option[Quorum])  # whose promises its lease rests on
    promised = field(Node, Node, of=bool)  # promised[voter, leader]: to elect nobody for a while
    pending = field(Node, of=Term)  # the token of a write that was decided on and has not arrived, or 0

    # The storage.
    greatest = field(of=Term)  # the greatest token that it has seen

    # History, for properties only.
    elected = ghost(of=Era)  # the latest election
    won = ghost(Node, of=Era)  # the latest election that the server won
    decided = ghost(Node, of=Era)  # the election that its pending write is of
    landed = ghost(of=Era)  # the latest election of whose leader a write has landed
    stale = ghost(of=bool)  # a write landed after one of a leader elected later
    outdated = ghost(of=bool)  # a write landed after another leader was elected


def is_voter(s: State, v: Node, n: Node, q: Quorum) -> bool:
    """The server itself and, with quorums, all of this one."""
    return either(v == n, both(no(s.off[QUORUM]), s.member[v, q]))


def all_voters(s: State, n: Node, q: Quorum, agree: Callable[[Any], bool]) -> bool:
    """What holds of every one of them."""
    return Node.all(lambda v: implies(is_voter(s, v, n, q), agree(v)))


def no_later_term(s: State, n: Node, q: Quorum) -> bool:
    """None of them knows a later term than the server's, as far as terms are compared."""
    return either(s.off[TERMS], all_voters(s, n, q, lambda v: s.term[v] <= s.term[n]))


def term_after(s: State, n: Node, q: Quorum, t: Term) -> None:
    """The server's term is t and, where terms are carried, so is that of those who hear from it."""
    carried = no(s.off[TERMS])
    s.term.where(lambda old, v: ite(either(v == n, both(carried, is_voter(s, v, n, q))), t, old))


def may_act(s: State, n: Node) -> bool:
    """The server takes itself to be the leader and, with leases, holds one."""
    return both(s.leads[n], either(s.off[LEASE], s.lease[n] != NIL))


# -- Leaders -------------------------------------------------------------------------------------
@action
def elect(s: State, n: Node, q: Quorum) -> None:
    """Section 5.2: a server stands and gets its quorum's votes; who votes for another follows it."""
    is_no_leader = no(s.leads[n])  # Figure 2, Followers 2
    term_is_newer = no_later_term(s, n, q)  # Figure 2, RequestVote receiver 1: the term will be one more
    nobody_promised = all_voters(s, n, q, lambda v: no(Node.any(lambda m: s.promised[v, m])))
    promise_is_over = either(s.off[LEASE], nobody_promised)  # dissertation 6.4.1
    s.require(is_no_leader, term_is_newer, promise_is_over)

    era = s.elected + 1
    term_after(s, n, q, s.term[n] + 1)
    s.leads.where(lambda old, v: either(v == n, both(old, no(is_voter(s, v, n, q)))))
    s.lease.where(lambda old, v: ite(is_voter(s, v, n, q), NIL, old))
    s.elected = era
    s.won[n] = era


@action
def step_down(s: State, n: Node, other: Node) -> None:
    """Figure 2, All Servers 2: a server hears of a later term."""
    terms_are_carried = no(s.off[TERMS])  # without them nothing tells an old leader from a new one
    term_is_newer = s.term[n] < s.term[other]  # Figure 2, All Servers 2
    s.require(terms_are_carried, term_is_newer)

    s.term[n] = s.term[other]
    s.leads[n] = False
    s.lease[n] = NIL


@action
def restart(s: State, n: Node) -> None:
    """A crash: what the server was about to do is lost, its term and its promises are not."""
    s.leads[n] = False
    s.lease[n] = NIL
    s.pending[n] = 0


# -- Leases --------------------------------------------------------------------------------------
@action
def take_lease(s: State, n: Node, q: Quorum) -> None:
    """Dissertation 6.4.1: heartbeats, and a quorum that answers them and promises to wait."""
    leases_are_used = no(s.off[LEASE])  # otherwise a leader acts by its role
    is_a_leader = s.leads[n]  # section 5.2: leaders send heartbeats
    term_is_current = no_later_term(s, n, q)  # Figure 2, AppendEntries receiver 1
    nobody_else_leads = all_voters(s, n, q, lambda v: either(v == n, no(s.leads[v])))  # followers answer
    s.require(leases_are_used, is_a_leader, term_is_current, nobody_else_leads)

    s.lease[n] = q
    s.promised.where(lambda old, v, m: either(old, both(m == n, is_voter(s, v, n, q))))
    term_after(s, n, q, s.term[n])


@action
def end_lease(s: State, n: Node) -> None:
    """The lease runs out on the leader's clock."""
    lease_is_held = s.lease[n] != NIL  # the lease: there is one to end
    s.require(lease_is_held)

    s.lease[n] = NIL


@action
def end_promise(s: State, v: Node, n: Node) -> None:
    """The promise runs out on the voter's clock, which is after any lease that rests on it."""
    has_promised = s.promised[v, n]  # the promise: there is one to end
    rests_on_it = Quorum.any(lambda q: both(s.lease[n] == q, is_voter(s, v, n, q)))
    lease_is_over = no(rests_on_it)  # the model `lease`: L(1 + rho) <= D(1 - rho)
    s.require(has_promised, lease_is_over)

    s.promised[v, n] = False


# -- Writes --------------------------------------------------------------------------------------
@action
def decide_write(s: State, n: Node) -> None:
    """A leader finds that it may act, and decides to write. Then it may pause for any time."""
    leader_may_act = may_act(s, n)  # the check: by its lease, or by its role
    s.require(leader_may_act)

    s.pending[n] = s.term[n]
    s.decided[n] = s.won[n]


@action
def write(s: State, n: Node) -> None:
    """The write arrives; with fencing the storage compares its token in the same step."""
    write_is_pending = s.pending[n] > 0  # the network: a write that was sent
    storage_accepts = either(
        s.off[FENCING], s.pending[n] >= s.greatest
    )  # fencing: no token older than one seen
    s.require(write_is_pending, storage_accepts)

    era = s.decided[n]
    s.stale = either(s.stale, era < s.landed)
    s.outdated = either(s.outdated, era < s.elected)
    s.landed = ite(s.landed < era, era, s.landed)
    s.greatest = ite(s.off[FENCING], s.greatest, s.pending[n])
    s.pending[n] = 0


# -- What holds, depending on the switches -------------------------------------------------------
@theorem
def one_leader_per_term(s: State, a: Node, b: Node) -> bool:
    """No two leaders have one number: it tells them apart."""
    return implies(both(s.leads[a], s.leads[b], s.term[a] == s.term[b]), a == b)


@theorem
def one_acting_leader(s: State, a: Node, b: Node) -> bool:
    """At most one server finds that it may act."""
    return implies(both(may_act(s, a), may_act(s, b)), a == b)


@theorem
def no_stale_write(s: State) -> bool:
    """No write lands after one of a leader that was elected later."""
    return no(s.stale)


@theorem
def newest_is_accepted(s: State, n: Node) -> bool:
    """The storage refuses no write of the leader elected last."""
    is_newest = both(s.pending[n] > 0, s.decided[n] == s.elected)
    return implies(both(is_newest, no(s.off[FENCING])), s.pending[n] >= s.greatest)


# -- What can happen -----------------------------------------------------------------------------
@witness
def two_leaders(s: State, a: Node, b: Node) -> bool:
    """Two servers take themselves to be the leader."""
    return both(a != b, s.leads[a], s.leads[b])


@witness
def limit_outdated_write(s: State) -> bool:
    """A write landed when another leader had been elected, which had written nothing yet.

    Nothing here prevents it: the write was decided on in time, and nobody has told the storage."""
    return both(s.outdated, no(s.stale))


MODEL = model(__name__, State, usual={"Era": 3, "off": ()})
