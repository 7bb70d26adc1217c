"""Leader leases: for how long a leader may answer reads alone, with clocks that drift.

A leader sends heartbeats in rounds. A voter that acknowledges one promises, for `promise` on its own
clock, to vote for nobody and not to stand itself. The leader holds a lease for `lease` on its own
clock, counted from *sending*, while a quorum has acknowledged rounds that recent.

No clock is compared with another, and true time does not occur. Each clock runs at its own rate, and
may change it at any time, between `slow` and `fast`; all that follows from this is that while one
clock advances by x and another by y, slow * x <= fast * y. The lease is safe where
`lease * fast <= promise * slow`: with rates 1 - rho and 1 + rho that is L(1 + rho) <= D(1 - rho).
Clocks that are all within epsilon of true time are safe where L + 4 * epsilon <= D; the proof asks of
clocks nothing but what follows from either, see `tests/models/test_lease.py`.

Not modelled here: what a leader does with its lease (reads, and that an entry of its own term has to
be committed first), the log, and votes refused without adopting their term.
"""

from __future__ import annotations

from oneleader.language import (
    LONG_AGO,
    NIL,
    Each,
    Option,
    SetSort,
    TimeSort,
    action,
    axiom,
    both,
    either,
    field,
    ghost,
    implies,
    invariant,
    ite,
    model,
    no,
    parameter,
    theorem,
    witness,
)
from oneleader.models import election
from oneleader.models.election import CANDIDATE, FOLLOWER, LEADER, Node, Quorum, Term


class Round(SetSort):
    """One sending of heartbeats by a leader of some term to everybody."""


class Elapsed(TimeSort):
    """Time by one server's clock."""


class State(election.State):
    """What elections have, promises, and the leader's memory of when it sent what."""

    lease = parameter(of=Elapsed)  # how long the leader relies on an acknowledgement, on its clock
    promise = parameter(of=Elapsed)  # how long the voter keeps its promise, on its clock
    slow = parameter(of=Elapsed)  # what any clock advances at least, while true time advances by one unit
    fast = parameter(of=Elapsed)  # ... and at most

    # Volatile: lost in a crash.
    since_promise = field(Node, of=Elapsed, init=LONG_AGO)  # since the voter last promised
    since_sent = field(Node, Round, of=Elapsed, init=LONG_AGO)  # since the leader sent this round
    lease_is_void = field(Node, of=bool)  # the leader has started a transfer

    # The network: everything ever sent.
    sent = field(Node, Term, Round, of=bool)  # AppendEntries: leader, term, round
    acknowledged = field(Node, Node, Term, Round, of=bool)  # its reply: voter, leader, term, round
    timeout_now = field(Node, Node, Term, of=bool)  # TimeoutNow: leader, to whom, the term to stand in
    forced = field(Node, Node, Term, of=bool)  # RequestVote that says so: leader, candidate, term

    # History, for proofs and witnesses only.
    overtaken_by = ghost(Term, of=Option[Quorum])  # the quorum of the first leader of a later term
    interrupted = ghost(Node, of=bool)  # a crash came between the server's promise and its end


def is_leader(s: State, n: Node, t: Term) -> bool:
    """The server leads this term."""
    return both(s.role[n] == LEADER, s.term[n] == t)


def acknowledged_lately(s: State, n: Node, v: Node) -> bool:
    """The leader itself, or a voter that has acknowledged a round sent less than a lease ago."""
    lately = Round.any(lambda k: both(s.acknowledged[v, n, s.term[n], k], s.since_sent[n, k] < s.lease))
    return either(v == n, lately)


def holds_lease(s: State, n: Node, q: Quorum) -> bool:
    """Dissertation 6.4.1: the leader has heard from a quorum, counted from when it asked."""
    quorum_is_recent = Node.all(lambda v: implies(s.member[v, q], acknowledged_lately(s, n, v)))
    return both(s.role[n] == LEADER, no(s.lease_is_void[n]), quorum_is_recent)


# -- Time ----------------------------------------------------------------------------------------
@action
def elapse(s: State, advance: Each[Node, Elapsed]) -> None:
    """Time passes, however much, and nobody need act meanwhile: a pause is time that elapses."""
    drift_is_bounded = Node.all(  # each clock's rate is between slow and fast
        lambda a: Node.all(lambda b: s.slow * advance[a] <= s.fast * advance[b])
    )
    s.require(drift_is_bounded)

    s.since_promise.where(lambda old, n: old + advance[n])
    s.since_sent.where(lambda old, n, k: old + advance[n])


# -- Heartbeats ----------------------------------------------------------------------------------
@action
def send_heartbeat(s: State, n: Node, k: Round) -> None:
    """Section 5.2, heartbeats: the leader notes by its own clock when it sent this round."""
    is_a_leader = s.role[n] == LEADER  # section 5.2: leaders send heartbeats
    round_is_new = no(s.sent[n, s.term[n], k])  # dissertation 6.4: each round is told from the others
    s.require(is_a_leader, round_is_new)

    s.sent[n, s.term[n], k] = True
    s.since_sent[n, k] = 0


@action
def acknowledge(s: State, voter: Node, leader: Node, t: Term, k: Round) -> None:
    """Dissertation 6.4.1: who acknowledges will not help to elect another leader for a while."""
    heartbeat_was_sent = s.sent[leader, t, k]  # section 5.2: AppendEntries from a leader
    term_is_current = s.term[voter] == t  # Figure 2, AppendEntries receiver 1
    is_follower = s.role[voter] == FOLLOWER  # Figure 2, Candidates 3: it has stepped down before
    s.require(heartbeat_was_sent, term_is_current, is_follower)

    s.acknowledged[voter, leader, t, k] = True
    s.since_promise[voter] = 0


@action
def give_up(s: State, n: Node) -> None:
    """Dissertation 6.2: a leader that has not heard from a quorum lately steps down. Which replies have
    arrived is not modelled, so it may at any moment; and a candidate may, for it may have lost."""
    stands_or_leads = s.role[n] != FOLLOWER  # Figure 2, Rules for Servers
    s.require(stands_or_leads)

    s.role[n] = FOLLOWER
    s.votes.where(lambda old, c, v: both(c != n, old))
    s.lease_is_void[n] = False
    s.since_sent.where(lambda old, m, k: ite(m == n, LONG_AGO, old))


# -- Transfer of leadership ----------------------------------------------------------------------
@action
def transfer_leadership(s: State, n: Node, target: Node) -> None:
    """Dissertation 3.10: the leader asks another server to stand at once. It gives up its lease first,
    and for good: the request that this brings about may arrive when the leader no longer expects it."""
    is_a_leader = s.role[n] == LEADER  # dissertation 3.10: the prior leader sends TimeoutNow
    s.require(is_a_leader)

    s.lease_is_void[n] = True
    s.timeout_now[n, target, s.term[n] + 1] = True


@action
def start_forced_election(s: State, n: Node, leader: Node) -> None:
    """Dissertation 3.10 and 4.2.3: told to by the leader, with requests that disregard promises."""
    t = s.term[n] + 1
    transfer_was_asked = s.timeout_now[leader, n, t]  # dissertation 3.10: TimeoutNow of the current term
    s.require(transfer_was_asked)

    election.start_election(s, n)
    s.forced[leader, n, t] = True


# -- Elections, with promises --------------------------------------------------------------------
@action
def start_election(s: State, n: Node) -> None:
    """Figure 2, Followers 2, when the promise has run out: it binds the voter as a candidate too."""
    promise_ran_out = s.since_promise[n] >= s.promise  # dissertation 6.4.1: a server that acknowledged waits
    s.require(promise_ran_out)

    election.start_election(s, n)


@action
def grant_vote(s: State, voter: Node, candidate: Node, t: Term) -> None:
    """Figure 2, RequestVote RPC, receiver, when the promise has run out or the leader itself gave it up."""
    promise_ran_out = s.since_promise[voter] >= s.promise  # dissertation 4.2.3: no vote within the timeout
    was_forced = Node.any(lambda leader: s.forced[leader, candidate, t])
    vote_is_due = either(promise_ran_out, was_forced)  # dissertation 4.2.3: but for a transfer
    s.require(vote_is_due)

    election.grant_vote(s, voter, candidate, t)


@action
def become_leader(s: State, n: Node, q: Quorum) -> None:
    """Figure 2, Candidates 2: no lease yet, for nothing has been sent."""
    election.become_leader(s, n, q)
    s.overtaken_by.where(lambda old, t: ite(both(old == NIL, t < s.term[n]), q, old))


@action
def update_term(s: State, n: Node, t: Term) -> None:
    """Figure 2, All Servers 2: a leader that steps down forgets what it sent."""
    election.update_term(s, n, t)
    s.lease_is_void[n] = False
    s.since_sent.where(lambda old, m, k: ite(m == n, LONG_AGO, old))


@action
def restart(s: State, n: Node) -> None:
    """A crash loses the promise and its clock: the server waits as if it had just promised."""
    promised = Node.any(lambda leader: Round.any(lambda k: s.acknowledged[n, leader, s.term[n], k]))
    is_interrupted = both(promised, s.since_promise[n] < s.promise)

    election.restart(s, n)
    s.since_promise[n] = 0
    s.lease_is_void[n] = False
    s.since_sent.where(lambda old, m, k: ite(m == n, LONG_AGO, old))
    s.interrupted[n] = either(s.interrupted[n], is_interrupted)


# -- What holds ----------------------------------------------------------------------------------
@axiom
def clocks_run(s: State) -> bool:
    """Clocks advance, and the greatest rate is no less than the least."""
    return both(s.slow > 0, s.slow <= s.fast)


@axiom
def lease_is_short_enough(s: State) -> bool:
    """Even on the slowest clock the lease ends before the promise on the fastest."""
    return s.lease * s.fast <= s.promise * s.slow


@invariant
def heartbeat_not_from_future(s: State, n: Node, t: Term) -> bool:
    """Nobody has led a term that it has not reached."""
    return implies(s.heartbeat[n, t], t <= s.term[n])


@invariant
def candidate_has_not_led(s: State, n: Node) -> bool:
    """A candidate has not been the leader of its term."""
    return implies(s.role[n] == CANDIDATE, no(s.heartbeat[n, s.term[n]]))


@invariant
def sent_by_leader(s: State, n: Node, t: Term, k: Round) -> bool:
    """Rounds of a term are sent by its leader."""
    return implies(s.sent[n, t, k], s.heartbeat[n, t])


@invariant
def acknowledged_was_sent(s: State, v: Node, n: Node, t: Term, k: Round) -> bool:
    """What is acknowledged was sent."""
    return implies(s.acknowledged[v, n, t, k], s.sent[n, t, k])


@invariant
def promise_is_not_ahead(s: State, v: Node, n: Node, t: Term, k: Round) -> bool:
    """By however much the clocks drift, the voter's promise is not far ahead of the round that it answers."""
    awaited = both(s.acknowledged[v, n, t, k], is_leader(s, n, t))
    return implies(awaited, s.slow * s.since_promise[v] <= s.fast * s.since_sent[n, k])


@invariant
def forced_was_asked(s: State, leader: Node, c: Node, t: Term) -> bool:
    """Who disregards promises was told to stand."""
    return implies(s.forced[leader, c, t], s.timeout_now[leader, c, t])


@invariant
def timeout_now_from_leader(s: State, leader: Node, c: Node, t: Term, u: Term) -> bool:
    """A server that is told to stand in a term was told by the leader of the one before."""
    return implies(both(s.timeout_now[leader, c, u], t + 1 == u), s.heartbeat[leader, t])


@invariant
def transfer_voids_lease(s: State, leader: Node, c: Node, u: Term, n: Node, t: Term) -> bool:
    """A leader of whose doing it may be that somebody stands in the next term relies on no promise."""
    asked = both(s.timeout_now[leader, c, u], is_leader(s, n, t), t + 1 == u)
    return implies(asked, s.lease_is_void[n])


@invariant
def later_transfer_overtakes(s: State, leader: Node, c: Node, t: Term, u: Term) -> bool:
    """Where somebody was told to stand in a later term than the next, there was another leader between."""
    return implies(both(s.timeout_now[leader, c, u], t + 1 < u), s.overtaken_by[t] != NIL)


@invariant
def overtaken_by_some_quorum(s: State, n: Node, t: Term, u: Term) -> bool:
    """A term after which another had a leader was overtaken by a quorum."""
    return implies(both(s.heartbeat[n, u], t < u), s.overtaken_by[t] != NIL)


@invariant
def overtakers_moved_on(s: State, t: Term, q: Quorum, v: Node) -> bool:
    """Who has elected the leader of a later term is past this one."""
    return implies(both(s.overtaken_by[t] == q, s.member[v, q]), t < s.term[v])


def relies_on(s: State, n: Node, t: Term, v: Node, k: Round) -> bool:
    """The leader may count this acknowledgement for its lease."""
    return both(is_leader(s, n, t), no(s.lease_is_void[n]), s.acknowledged[v, n, t, k])


@invariant
def stored_vote_broke_no_promise(s: State, v: Node, n: Node, t: Term, k: Round) -> bool:
    """A server that has voted in a later term did so when the lease from its acknowledgement had ended."""
    voted = both(t < s.term[v], s.voted_for[v] != NIL, s.overtaken_by[t] == NIL)
    return implies(both(relies_on(s, n, t, v, k), voted), s.since_sent[n, k] >= s.lease)


@invariant
def granted_vote_broke_no_promise(s: State, v: Node, n: Node, t: Term, k: Round, u: Term, c: Node) -> bool:
    """The same of a vote that was sent."""
    voted = both(t < u, s.granted[v, u, c], s.overtaken_by[t] == NIL)
    return implies(both(relies_on(s, n, t, v, k), voted), s.since_sent[n, k] >= s.lease)


@invariant
def overtakers_broke_no_promise(s: State, v: Node, n: Node, t: Term, k: Round, q: Quorum) -> bool:
    """The quorum that first elected a later leader had kept its promises."""
    overtook = both(s.overtaken_by[t] == q, s.member[v, q])
    return implies(both(relies_on(s, n, t, v, k), overtook), s.since_sent[n, k] >= s.lease)


@theorem
def no_newer_leader(s: State, n: Node, q: Quorum, other: Node, t: Term) -> bool:
    """While a leader holds a lease, nobody has been elected in a later term."""
    return implies(both(holds_lease(s, n, q), s.heartbeat[other, t]), t <= s.term[n])


@theorem
def leases_are_disjoint(s: State, a: Node, p: Quorum, b: Node, q: Quorum) -> bool:
    """At most one server holds a lease."""
    return implies(both(holds_lease(s, a, p), holds_lease(s, b, q)), a == b)


# -- What can happen -----------------------------------------------------------------------------
@witness
def a_lease_is_held(s: State, n: Node, q: Quorum) -> bool:
    """Somebody holds a lease."""
    return holds_lease(s, n, q)


@witness
def a_lease_beside_an_old_leader(s: State, n: Node, q: Quorum, old: Node) -> bool:
    """Somebody holds a lease while another, of an earlier term, takes itself to be the leader."""
    return both(holds_lease(s, n, q), s.role[old] == LEADER, s.term[old] < s.term[n])


@witness
def a_leader_after_a_lease(s: State, n: Node, q: Quorum, other: Node) -> bool:
    """A leader had a lease, it ran out, and another was elected before the first one noticed."""
    had_lease = Node.all(
        lambda v: implies(
            s.member[v, q], either(v == n, Round.any(lambda k: s.acknowledged[v, n, s.term[n], k]))
        )
    )
    overtaken = both(s.role[other] == LEADER, s.term[n] < s.term[other])
    return both(s.role[n] == LEADER, no(s.lease_is_void[n]), had_lease, overtaken)


@witness
def a_promise_ran_out(s: State, v: Node, n: Node, k: Round, c: Node) -> bool:
    """A voter promised, waited, and voted for another in the next term, nobody having asked for that."""
    asked = Node.any(lambda leader: s.forced[leader, c, s.term[v]])
    voted = both(v != c, s.voted_for[v] == c, no(asked))
    return Term.any(lambda t: both(t < s.term[v], s.acknowledged[v, n, t, k], voted))


@witness
def a_transfer_within_promises(s: State, leader: Node, c: Node, v: Node, k: Round) -> bool:
    """A leader made way, and a voter helped to elect another while its promise still ran."""
    promised = Term.any(lambda t: both(t + 1 == s.term[c], s.acknowledged[v, leader, t, k]))
    elected = both(s.role[c] == LEADER, s.forced[leader, c, s.term[c]], s.granted[v, s.term[c], c])
    return both(v != c, promised, elected, s.since_promise[v] < s.promise)


@witness
def a_restart_within_a_promise(s: State, v: Node) -> bool:
    """A voter crashed with a promise to keep, waited, and voted again in a later term."""
    waited = both(s.interrupted[v], s.since_promise[v] >= s.promise)
    return both(waited, Node.any(lambda c: both(c != v, s.voted_for[v] == c)))


MODEL = model(
    __name__,
    State,
    extends=election.MODEL,
    refines=election.MODEL,
    without=("a_split_vote",),  # of elections alone: it needs three servers
    usual={"Round": 1, "lease": 2, "promise": 3, "slow": 2, "fast": 3},
)
