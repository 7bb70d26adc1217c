"""The write-up's lease: `IsLeader` counts from the receipt of a renewal, and no voter has promised anything.

`time.Since(n.leaseRenewed) > n.leaseTimeout`, where `leaseRenewed` is set when `renewLease` returns. Two
rules are missing, each a switch that is on where it is kept:

    SENT      a lease counts from when the renewal was *sent*: the voter's promise began before its answer
              was on its way
    PROMISES  who has acknowledged a renewal votes for nobody, and does not stand, for a while. The
              write-up's `StartElection` and `requestVote` know of no lease

Each is needed, with clocks that do not drift at all. What else is wrong there: at the very end of a
lease `>` still says leader, which costs a tick (the lease is one longer than `leaseTimeout`, and where it
was as long as it may be it is too long); `MaintainLeadership` returns for good when one renewal fails, and
a server that is elected again renews nothing; and what is done after `return true` may be done at any later
time, which no lease helps against: `flawed/lease_without_fencing`.
"""

from __future__ import annotations

from enum import IntEnum

from oneleader.language import action, constant, either, model, no
from oneleader.models import election, lease
from oneleader.models.election import Node, Term
from oneleader.models.flawed import lease_from_receipt
from oneleader.models.lease import Round


class Rule(IntEnum):
    """What a lease rests on."""

    SENT = 0
    PROMISES = 1


SENT, PROMISES = Rule


class State(lease_from_receipt.State):
    """A lease from receipt, and what is done rightly."""

    kept = constant(Rule)


@action
def receive_acknowledgement(s: State, leader: Node, voter: Node, k: Round) -> None:
    """`n.leaseRenewed = time.Now()`, when `renewLease` returns."""
    counts_from_receipt = no(s.kept[SENT])  # the write-up: time.Since(n.leaseRenewed)
    s.require(counts_from_receipt)

    lease_from_receipt.receive_acknowledgement(s, leader, voter, k)


@action
def start_election(s: State, n: Node) -> None:
    """`StartElection`: a server stands when it likes."""
    promise_ran_out = s.since_promise[n] >= s.promise
    may_stand = either(no(s.kept[PROMISES]), promise_ran_out)  # dissertation 6.4.1
    s.require(may_stand)

    election.start_election(s, n)


@action
def grant_vote(s: State, voter: Node, candidate: Node, t: Term) -> None:
    """The other side of `requestVote`: a server that has not voted in the term does."""
    promise_ran_out = s.since_promise[voter] >= s.promise
    was_forced = Node.any(lambda leader: s.forced[leader, candidate, t])
    may_vote = either(no(s.kept[PROMISES]), promise_ran_out, was_forced)  # dissertation 4.2.3
    s.require(may_vote)

    election.grant_vote(s, voter, candidate, t)


# Lemmas about promises and sending: they break before any harm is done.
LEMMAS = (
    "promise_is_not_ahead",
    "stored_vote_broke_no_promise",
    "granted_vote_broke_no_promise",
    "overtakers_broke_no_promise",
)

MODEL = model(__name__, State, extends=lease.MODEL, without=LEMMAS, usual={"kept": ()})
