"""Pre-vote and check-quorum: elections that a server cut off from its leader cannot disturb.

Dissertation 9.6: a server asks whether it would get votes before it raises its term. Dissertation 6.2
and 4.2.3: a leader that does not hear from a quorum steps down, and a server that hears from a leader
ignores requests for votes. Elections go on as in `election`, and their safety rests on none of this.

Time is one flag for each pair: `heard[n, v]` until an election timeout has passed, which may be at any
moment (`lose_touch`). A pre-candidate is a follower that is asking.

Not modelled here: the log and its up-to-date check, leases, membership, leadership transfer.
"""

from __future__ import annotations

from oneleader.language import (
    NIL,
    Option,
    action,
    both,
    either,
    field,
    ghost,
    implies,
    invariant,
    ite,
    model,
    no,
    theorem,
    witness,
)
from oneleader.models import election
from oneleader.models.election import CANDIDATE, FOLLOWER, LEADER, Node, Quorum, Term


class State(election.State):
    """The election's state, and what servers know of each other lately."""

    # Volatile: lost in a crash.
    asking = field(Node, of=bool)  # a pre-candidate: it asks whether it would get votes
    pre_votes = field(Node, Node, of=bool)  # pre_votes[candidate, voter]: collected by the pre-candidate
    heard = field(Node, Node, of=bool)  # a follower its leader, a leader its followers: within a timeout

    # The network: everything ever sent.
    pre_requested = field(Node, Term, of=bool)  # PreVote request: pre-candidate, the term after its own
    pre_granted = field(Node, Term, Node, of=bool)  # its reply: voter, that term, pre-candidate
    replied = field(Node, Term, of=bool)  # a reply to AppendEntries: follower, term
    told = field(Node, Term, of=bool)  # a reply that grants nothing: whom it goes to, the sender's term

    # History, for proofs and witnesses only.
    backed_by = ghost(Node, Term, of=Option[Quorum])  # whose pre-votes the candidate of a term had
    gave_up = ghost(Node, of=bool)  # it led, heard from no quorum and stepped down


def _forget(s: State, n: Node) -> None:
    """What a server knew of others as pre-candidate, as leader or of its leader."""
    s.asking[n] = False
    s.pre_votes.where(lambda old, c, v: both(c != n, old))
    s.heard.where(lambda old, m, v: both(m != n, old))


def _follow(s: State, n: Node) -> None:
    """A server that neither stands nor leads."""
    s.role[n] = FOLLOWER
    s.votes.where(lambda old, c, v: both(c != n, old))
    _forget(s, n)


# -- Asking first --------------------------------------------------------------------------------
@action
def start_pre_vote(s: State, n: Node) -> None:
    """Dissertation 9.6: an election timeout elapses. The term stays; a candidate abandons its election."""
    not_leader = s.role[n] != LEADER  # Figure 2, Followers 2, Candidates 4
    leader_is_silent = Node.all(lambda v: no(s.heard[n, v]))  # Figure 2, Followers 2
    s.require(not_leader, leader_is_silent)

    t = s.term[n] + 1
    s.role[n] = FOLLOWER
    s.votes.where(lambda old, c, v: both(c != n, old))
    s.asking[n] = True
    s.pre_votes.where(lambda old, c, v: ite(c == n, v == n, old))
    s.pre_requested[n, t] = True
    s.pre_granted[n, t, n] = True  # its own needs no message, as with votes


@action
def grant_pre_vote(s: State, voter: Node, candidate: Node, t: Term) -> None:
    """Dissertation 9.6: would the voter vote for it? A promise of nothing, given to any server that asks."""
    pre_vote_was_requested = s.pre_requested[candidate, t]  # dissertation 9.6: a pre-candidate asked
    term_is_newer = t > s.term[voter]  # dissertation 9.6: it would be a new election for the voter
    not_leader = s.role[voter] != LEADER  # dissertation 9.6, 4.2.3: a leader hears of itself
    leader_is_silent = Node.all(lambda v: no(s.heard[voter, v]))  # dissertation 9.6: no heartbeat lately
    s.require(pre_vote_was_requested, term_is_newer, not_leader, leader_is_silent)

    s.pre_granted[voter, t, candidate] = True


@action
def receive_pre_vote(s: State, candidate: Node, voter: Node, t: Term) -> None:
    """Dissertation 9.6: the pre-candidate collects a pre-vote for the term after its own."""
    pre_vote_was_granted = s.pre_granted[voter, t, candidate]  # dissertation 9.6
    term_is_next = t == s.term[candidate] + 1  # dissertation 9.6: of the election that it asked for
    is_asking = s.asking[candidate]  # dissertation 9.6: only before the election
    s.require(pre_vote_was_granted, term_is_next, is_asking)

    s.pre_votes[candidate, voter] = True


@action
def start_election(s: State, n: Node, q: Quorum) -> None:
    """Dissertation 9.6: a quorum would vote for it; only now it raises its term."""
    quorum_pre_voted = Node.all(lambda v: implies(s.member[v, q], s.pre_votes[n, v]))  # dissertation 9.6
    s.require(quorum_pre_voted)

    t = s.term[n] + 1
    election.start_election(s, n)
    s.backed_by[n, t] = q
    _forget(s, n)


# -- Elections, in which servers that hear a leader take no part ---------------------------------------
@action
def grant_vote(s: State, voter: Node, candidate: Node, t: Term) -> None:
    """Dissertation 4.2.3: no vote from a server that hears a leader."""
    leader_is_silent = Node.all(lambda v: no(s.heard[voter, v]))  # dissertation 4.2.3
    s.require(leader_is_silent)

    election.grant_vote(s, voter, candidate, t)


@action
def become_leader(s: State, n: Node, q: Quorum) -> None:
    """Figure 2, Candidates 2. It has just heard from those that voted for it."""
    election.become_leader(s, n, q)
    s.heard.where(lambda old, m, v: ite(m == n, both(v != n, s.votes[n, v]), old))


@action
def update_term(s: State, n: Node, t: Term) -> None:
    """Figure 2, All Servers 2, of a request for votes: dissertation 4.2.3 has it ignored near a leader."""
    not_leader = s.role[n] != LEADER  # dissertation 4.2.3: a leader hears of itself
    leader_is_silent = Node.all(lambda v: no(s.heard[n, v]))  # dissertation 4.2.3
    s.require(not_leader, leader_is_silent)

    election.update_term(s, n, t)
    _forget(s, n)


# -- Keeping in touch ----------------------------------------------------------------------------
@action
def hear_leader(s: State, n: Node, leader: Node, t: Term) -> None:
    """Section 5.2: a heartbeat, and the reply to it. A pre-candidate gives up: there is a leader."""
    leader_was_heard = s.heartbeat[leader, t]  # section 5.2: AppendEntries from a leader
    term_is_current = s.term[n] == t  # Figure 2, AppendEntries receiver 1
    is_follower = s.role[n] == FOLLOWER  # Figure 2, Followers 1; a candidate steps down
    s.require(leader_was_heard, term_is_current, is_follower)

    s.asking[n] = False
    s.pre_votes.where(lambda old, c, v: both(c != n, old))
    s.heard[n, leader] = True
    s.replied[n, t] = True


@action
def step_down(s: State, n: Node, leader: Node, t: Term) -> None:
    """Figure 2, Candidates 3: that is a heartbeat too."""
    election.step_down(s, n, leader, t)
    s.heard[n, leader] = True
    s.replied[n, t] = True


@action
def receive_reply(s: State, leader: Node, follower: Node, t: Term) -> None:
    """Dissertation 6.2: the leader hears from a follower."""
    reply_was_sent = s.replied[follower, t]  # dissertation 6.2: a heartbeat that arrived
    term_is_current = s.term[leader] == t  # Figure 2, AppendEntries results
    is_leader = s.role[leader] == LEADER  # dissertation 6.2
    s.require(reply_was_sent, term_is_current, is_leader)

    s.heard[leader, follower] = True


@action
def lose_touch(s: State, n: Node) -> None:
    """An election timeout passes: what was heard before it counts no more."""
    s.heard.where(lambda old, m, v: both(m != n, old))


@action
def give_up(s: State, n: Node) -> None:
    """Dissertation 6.2: a leader without a quorum steps down. A candidate may, for it may have lost."""
    stands_or_leads = either(s.role[n] != FOLLOWER, s.asking[n])  # Figure 2, Rules for Servers
    quorum_is_silent = either(  # dissertation 6.2: an election timeout without a round of heartbeats
        s.role[n] != LEADER,
        Quorum.all(lambda q: Node.any(lambda v: both(s.member[v, q], v != n, no(s.heard[n, v])))),
    )
    s.require(stands_or_leads, quorum_is_silent)

    s.gave_up[n] = either(s.gave_up[n], s.role[n] == LEADER)
    _follow(s, n)


# -- Newer terms, other than from requests for votes --------------------------------------------------
@action
def tell_term(s: State, n: Node, sender: Node, t: Term) -> None:
    """Figure 2, receivers 1: a reply that grants nothing still tells the term of the server that replies."""
    message_was_sent = either(  # Figure 2, RequestVote and AppendEntries; dissertation 9.6
        s.requested[sender, t], s.heartbeat[sender, t], s.pre_requested[sender, t]
    )
    term_was_reached = t <= s.term[n]  # Figure 2, receivers 1: reply false if term < currentTerm
    s.require(message_was_sent, term_was_reached)

    s.told[sender, s.term[n]] = True


@action
def learn_term(s: State, n: Node, t: Term) -> None:
    """Figure 2, All Servers 2, of a leader's message or of a reply: nothing of these is ignored."""
    term_was_told = either(s.told[n, t], Node.any(lambda v: s.heartbeat[v, t]))  # Figure 2, All Servers 2
    term_is_newer = t > s.term[n]  # Figure 2, All Servers 2
    s.require(term_was_told, term_is_newer)

    s.term[n] = t
    s.voted_for[n] = NIL
    _follow(s, n)


@action
def restart(s: State, n: Node) -> None:
    """Figure 2, State: all that is new here is volatile."""
    election.restart(s, n)
    _forget(s, n)


# -- What holds ----------------------------------------------------------------------------------
@invariant
def pre_votes_were_granted(s: State, candidate: Node, voter: Node, t: Term) -> bool:
    """Each collected pre-vote was given for the term after the pre-candidate's."""
    collected = both(s.pre_votes[candidate, voter], t == s.term[candidate] + 1)
    return implies(collected, s.pre_granted[voter, t, candidate])


@invariant
def pre_votes_are_asked_for(s: State, candidate: Node, voter: Node) -> bool:
    """A server with pre-votes is still asking."""
    return implies(s.pre_votes[candidate, voter], s.asking[candidate])


@invariant
def pre_candidate_hears_no_leader(s: State, n: Node, v: Node) -> bool:
    """A server that asks is a follower that has lost its leader."""
    return implies(s.asking[n], both(s.role[n] == FOLLOWER, no(s.heard[n, v])))


@invariant
def candidate_hears_no_leader(s: State, n: Node, v: Node) -> bool:
    """So has a candidate."""
    return implies(s.role[n] == CANDIDATE, no(s.heard[n, v]))


@invariant
def backed_by_some_quorum(s: State, n: Node, t: Term) -> bool:
    """An election has a quorum that backed it."""
    return implies(s.requested[n, t], s.backed_by[n, t] != NIL)


@invariant
def backed_by_quorum(s: State, n: Node, t: Term, q: Quorum, v: Node) -> bool:
    """Every member of that quorum gave its pre-vote."""
    return implies(both(s.backed_by[n, t] == q, s.member[v, q]), s.pre_granted[v, t, n])


@invariant
def leader_asked_for_votes(s: State, n: Node, t: Term) -> bool:
    """The leader of a term has stood in it."""
    return implies(s.heartbeat[n, t], s.requested[n, t])


@invariant
def candidate_asked_for_votes(s: State, n: Node) -> bool:
    """A candidate has asked for votes."""
    return implies(s.role[n] == CANDIDATE, s.requested[n, s.term[n]])


@invariant
def term_was_requested(s: State, n: Node) -> bool:
    """Terms grow by elections alone."""
    return either(s.term[n] == 0, Node.any(lambda c: s.requested[c, s.term[n]]))


@invariant
def told_term_was_requested(s: State, n: Node, t: Term) -> bool:
    """A term that a reply tells is one of an election."""
    return implies(s.told[n, t], implies(t > 0, Node.any(lambda c: s.requested[c, t])))


@theorem
def no_term_without_pre_votes(s: State, n: Node) -> bool:
    """Dissertation 9.6: where no quorum would vote, no term is raised: all of one gave a pre-vote before."""
    backed = Node.any(
        lambda c: Quorum.any(
            lambda q: Node.all(lambda v: implies(s.member[v, q], s.pre_granted[v, s.term[n], c]))
        )
    )
    return either(s.term[n] == 0, backed)


# -- What can happen: no property above is vacuous --------------------------------------
@witness
def a_pre_vote_in_vain(s: State, n: Node, voter: Node) -> bool:
    """A pre-candidate has asked and given up, somebody granted it a pre-vote, and no term has changed."""
    asked = both(n != voter, s.pre_granted[voter, 1, n], no(s.asking[n]))
    return both(asked, Node.all(lambda v: s.term[v] == 0))


@witness
def two_pre_candidates_with_a_quorum_each(s: State, a: Node, b: Node, p: Quorum, q: Quorum) -> bool:
    """Pre-votes bind nobody: both may start an election of the same term."""
    asks = both(a != b, s.asking[a], s.asking[b], s.term[a] == s.term[b])
    backed = Node.all(
        lambda v: both(implies(s.member[v, p], s.pre_votes[a, v]), implies(s.member[v, q], s.pre_votes[b, v]))
    )
    return both(asks, backed)


@witness
def a_lost_server_asks_beside_a_leader(s: State, n: Node, leader: Node, follower: Node) -> bool:
    """A server cut off from its leader asks, and the term stays: a follower of that leader hears it still."""
    asks = both(s.asking[n], n != follower, s.pre_requested[n, s.term[n] + 1], s.term[n] == s.term[leader])
    return both(asks, s.role[leader] == LEADER, s.heard[follower, leader], s.heard[leader, follower])


@witness
def a_leader_gave_up_for_another(s: State, old: Node, new: Node) -> bool:
    """A leader without a quorum stepped down, and in a later term another one was elected."""
    return both(s.gave_up[old], old != new, s.role[new] == LEADER)


@witness
def a_leader_hears_a_follower(s: State, leader: Node, follower: Node) -> bool:
    """Both hear each other."""
    return both(s.role[leader] == LEADER, s.heard[leader, follower], s.heard[follower, leader])


@witness
def a_reply_tells_a_newer_term(s: State, leader: Node, t: Term) -> bool:
    """A leader will learn from a reply that it is outdated."""
    return both(s.role[leader] == LEADER, s.told[leader, t], t > s.term[leader])


MODEL = model(__name__, State, extends=election.MODEL, refines=election.MODEL)
