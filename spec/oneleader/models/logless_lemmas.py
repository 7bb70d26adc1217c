"""What the proof of `logless` needs beside Election Safety: invariants of every step, and lemmas.

In the order in which the argument goes: who has asked and led; which configurations were made; that of two
configurations the quorums meet or the older one is disabled; and the same of a configuration that a vote was
asked for with. Then the lemmas: who wins a term is the first, and what a leader makes disables what was.
"""

from __future__ import annotations

from oneleader.language import NIL, both, either, implies, invariant, no, theorem
from oneleader.models.election import CANDIDATE, LEADER, Node, Quorum, Term
from oneleader.models.logless import (
    State,
    Version,
    all_of,
    holds_newer,
    holds_the_same,
    is_quorum,
    meet,
    newer,
    of_own,
)


def asked_with(s: State, c: Node, t: Term, q: Quorum) -> bool:
    """It is a quorum of the configuration with which the candidate asked for votes of the term."""
    return is_quorum(s, s.asked_term[c, t], s.asked_version[c, t], q)


def blocked(s: State, c: Node, t: Term, q: Quorum) -> bool:
    """Somebody in the quorum has not voted for the candidate in the term, and will not."""

    def will_not(v: Node) -> bool:
        has_voted = both(s.term[v] == t, s.voted_for[v] != NIL, s.voted_for[v] != c)
        is_newer = holds_newer(s, v, s.asked_term[c, t], s.asked_version[c, t])
        return either(s.term[v] > t, is_newer, has_voted)

    def may_be_stored(v: Node) -> bool:
        return both(s.term[v] == t, s.voted_for[v] == c)

    return Node.any(lambda v: both(s.member[v, q], no(s.granted[v, t, c]), no(may_be_stored(v)), will_not(v)))


def disabled(s: State, t: Term, v: Version, q: Quorum) -> bool:
    """Somebody in the quorum holds a newer configuration."""
    return Node.any(lambda n: both(s.member[n, q], holds_newer(s, n, t, v)))


def reached(s: State, q: Quorum, t: Term) -> bool:
    """Somebody in the quorum has reached the term."""
    return Node.any(lambda n: both(s.member[n, q], s.term[n] >= t))


# -- Who has asked, and who has led ----------------------------------------------------------------
@invariant
def requested_not_from_future(s: State, n: Node, t: Term) -> bool:
    """Nobody asks in a term that it has not reached, and all ask with an older configuration."""
    return implies(s.requested[n, t], both(t > 0, t <= s.term[n], s.asked_term[n, t] < t))


@invariant
def granted_was_requested(s: State, voter: Node, t: Term, candidate: Node) -> bool:
    """A vote was asked for."""
    return implies(s.granted[voter, t, candidate], s.requested[candidate, t])


@invariant
def stored_vote_was_requested(s: State, voter: Node, candidate: Node) -> bool:
    """So was one that is stored."""
    return implies(s.voted_for[voter] == candidate, s.requested[candidate, s.term[voter]])


@invariant
def candidate_has_asked(s: State, n: Node) -> bool:
    """A candidate has asked with the configuration that it holds, and has not led in its term."""
    t = s.term[n]
    same = both(s.asked_term[n, t] == s.config_term[n], s.asked_version[n, t] == s.config_version[n])
    return implies(s.role[n] == CANDIDATE, both(s.requested[n, t], same, no(s.heartbeat[n, t])))


@invariant
def led_was_requested(s: State, n: Node, t: Term) -> bool:
    """A leader has asked for votes."""
    return implies(s.heartbeat[n, t], both(s.requested[n, t], s.elected_by[t] != NIL))


@invariant
def one_leader_a_term(s: State, t: Term, a: Node, b: Node) -> bool:
    """Figure 3, Election Safety, as what each step keeps."""
    return implies(both(s.heartbeat[a, t], s.heartbeat[b, t]), a == b)


@invariant
def elected_by_a_quorum_of_its_configuration(s: State, n: Node, t: Term, q: Quorum) -> bool:
    """The quorum is one of the configuration with which it asked, and of the first one of its term."""
    quorum_of_first = is_quorum(s, t, s.asked_version[n, t], q)
    return implies(
        both(s.heartbeat[n, t], s.elected_by[t] == q), both(asked_with(s, n, t, q), quorum_of_first)
    )


# -- Which configurations were made ----------------------------------------------------------------
@invariant
def leader_holds_its_own(s: State, n: Node) -> bool:
    """A leader holds a configuration of its term."""
    was_made = s.made[s.config_term[n], s.config_version[n]]
    return implies(s.role[n] == LEADER, both(s.config_term[n] == s.term[n], was_made))


@invariant
def leader_holds_the_newest_of_its_term(s: State, n: Node, v: Version) -> bool:
    """It is the newest one of the term."""
    return implies(both(s.role[n] == LEADER, s.made[s.term[n], v]), v <= s.config_version[n])


@invariant
def held_is_reached(s: State, n: Node) -> bool:
    """Nobody holds a configuration of a term that it has not reached."""
    return s.config_term[n] <= s.term[n]


@invariant
def made_by_a_leader(s: State, t: Term, v: Version) -> bool:
    """All but the first configuration were made by the leader of their term."""
    is_another = either(t > 0, v > 0)
    return implies(both(s.made[t, v], is_another), Node.any(lambda n: s.heartbeat[n, t]))


@invariant
def the_first_was_made(s: State, t: Term, v: Version) -> bool:
    """Before the operator has named the first configuration there is none."""
    return implies(s.made[t, v], s.made[0, 0])


@invariant
def held_was_made(s: State, n: Node) -> bool:
    """What a server holds was made, or is what all hold at first."""
    is_first = both(s.config_term[n] == 0, s.config_version[n] == 0)
    return either(s.made[s.config_term[n], s.config_version[n]], is_first)


@invariant
def asked_was_made(s: State, n: Node, t: Term) -> bool:
    """So it is with what a candidate asks with."""
    a, b = s.asked_term[n, t], s.asked_version[n, t]
    return implies(s.requested[n, t], either(s.made[a, b], both(a == 0, b == 0)))


# -- Of two configurations the quorums meet, or the older one is disabled --------------------------
@invariant
def quorums_of_one_meet(s: State, t: Term, v: Version, p: Quorum, q: Quorum) -> bool:
    """Quorums of one configuration meet."""
    return implies(both(is_quorum(s, t, v, p), is_quorum(s, t, v, q)), meet(s, p, q))


@invariant
def older_meets_newer_or_is_disabled(
    s: State, t: Term, v: Version, u: Term, w: Version, p: Quorum, q: Quorum, r: Quorum
) -> bool:
    """Quorums of an older configuration and of a newer one meet, or every quorum of the older is disabled."""
    of_older = both(is_quorum(s, t, v, p), is_quorum(s, t, v, r))
    asked = both(of_older, is_quorum(s, u, w, q), newer(u, w, t, v))
    return implies(asked, either(meet(s, p, q), disabled(s, t, v, r)))


@invariant
def quorums_reach_the_terms_of_what_was_made(
    s: State, t: Term, v: Version, u: Term, w: Version, p: Quorum, r: Quorum
) -> bool:
    """Each quorum has reached the term of every configuration, or every one is disabled."""
    asked = both(is_quorum(s, t, v, p), is_quorum(s, t, v, r), s.made[u, w])
    return implies(asked, either(reached(s, p, u), disabled(s, t, v, r)))


@invariant
def asked_meets_what_was_made_before(
    s: State, c: Node, t: Term, u: Term, w: Version, x: Quorum, p: Quorum, q: Quorum
) -> bool:
    """What was asked with meets the newer configurations of earlier terms, or the candidate is blocked."""
    is_newer = both(u < t, newer(u, w, s.asked_term[c, t], s.asked_version[c, t]))
    quorums = both(is_quorum(s, u, w, q), asked_with(s, c, t, x), asked_with(s, c, t, p))
    asked = both(s.requested[c, t], is_newer, quorums)
    return implies(asked, either(meet(s, p, q), blocked(s, c, t, x)))


@invariant
def asked_meets_what_was_made_after(
    s: State, c: Node, t: Term, u: Term, w: Version, x: Quorum, p: Quorum, q: Quorum, r: Quorum
) -> bool:
    """So with those of later terms, or somebody in each quorum holds one of them."""
    quorums = both(asked_with(s, c, t, x), asked_with(s, c, t, p), asked_with(s, c, t, r))
    asked = both(s.requested[c, t], no(s.heartbeat[c, t]), t < u, is_quorum(s, u, w, q), quorums)
    overtaken = Node.any(lambda n: both(s.member[n, r], s.config_term[n] > t))
    return implies(asked, either(meet(s, p, q), overtaken, blocked(s, c, t, x)))


# -- Lemmas: who wins a term is the first ----------------------------------------------------------
def wins(s: State, n: Node, q: Quorum) -> bool:
    """A candidate has the votes of a quorum of its configuration."""
    return both(s.role[n] == CANDIDATE, of_own(s, n, q), all_of(s, q, lambda v: s.votes[n, v]))


@theorem
def electors_granted(s: State, n: Node, q: Quorum, v: Node) -> bool:
    """Who is in the quorum that a candidate wins with has granted it its vote."""
    return implies(both(wins(s, n, q), s.member[v, q]), s.granted[v, s.term[n], n])


@theorem
def who_wins_is_not_blocked(s: State, n: Node, q: Quorum) -> bool:
    """None of them has refused."""
    return implies(wins(s, n, q), no(blocked(s, n, s.term[n], q)))


@theorem
def a_leader_is_not_blocked(s: State, d: Node, t: Term, y: Quorum) -> bool:
    """Nobody in the quorum that elected a leader has refused."""
    return implies(both(s.heartbeat[d, t], s.elected_by[t] == y), no(blocked(s, d, t, y)))


@theorem
def the_older_asked_meets_the_newer(s: State, c: Node, d: Node, t: Term, x: Quorum, y: Quorum) -> bool:
    """Of two candidates of a term, the one that asks with the older configuration meets the other's."""
    is_newer = newer(s.asked_term[d, t], s.asked_version[d, t], s.asked_term[c, t], s.asked_version[c, t])
    asked = both(s.requested[c, t], s.requested[d, t], asked_with(s, c, t, x), asked_with(s, d, t, y))
    return implies(both(asked, is_newer), either(meet(s, x, y), blocked(s, c, t, x)))


@theorem
def the_same_asked_meet(s: State, c: Node, d: Node, t: Term, x: Quorum, y: Quorum) -> bool:
    """Two that ask with the same configuration have quorums that meet."""
    same = both(s.asked_term[d, t] == s.asked_term[c, t], s.asked_version[d, t] == s.asked_version[c, t])
    return implies(both(same, asked_with(s, c, t, x), asked_with(s, d, t, y)), meet(s, x, y))


@theorem
def asked_meet_a_leaders(s: State, c: Node, d: Node, t: Term, x: Quorum, y: Quorum) -> bool:
    """A candidate's quorums meet the one that elected the leader of its term, or it is blocked."""
    has_led = both(s.heartbeat[d, t], s.elected_by[t] == y)
    asked = both(has_led, s.requested[c, t], asked_with(s, c, t, x))
    return implies(asked, either(meet(s, x, y), blocked(s, c, t, x)))


@theorem
def a_leader_blocks_with_its_quorum(s: State, c: Node, d: Node, t: Term, x: Quorum, y: Quorum) -> bool:
    """Where a term has a leader, every other candidate of it is blocked."""
    has_led = both(s.heartbeat[d, t], s.elected_by[t] == y, c != d)
    return implies(both(has_led, s.requested[c, t], asked_with(s, c, t, x)), blocked(s, c, t, x))


@theorem
def a_leader_blocks_others(s: State, c: Node, d: Node, t: Term, x: Quorum) -> bool:
    """So whatever quorum elected it."""
    is_another = both(s.heartbeat[d, t], c != d)
    return implies(both(is_another, s.requested[c, t], asked_with(s, c, t, x)), blocked(s, c, t, x))


@theorem
def a_term_is_won_once(s: State, n: Node, q: Quorum, m: Node) -> bool:
    """Who wins a term is the first to lead in it."""
    return implies(wins(s, n, q), no(s.heartbeat[m, s.term[n]]))


@theorem
def nobody_has_asked_with_the_winners_term(s: State, n: Node, q: Quorum, c: Node, t: Term) -> bool:
    """The winner has made no configuration yet, so nobody has asked for votes with one of its term."""
    return implies(both(wins(s, n, q), s.requested[c, t]), s.asked_term[c, t] != s.term[n])


@theorem
def who_wins_meets_what_was_newer(
    s: State, n: Node, w: Quorum, c: Node, u: Term, p: Quorum, o: Quorum
) -> bool:
    """Who wins has quorums that meet the newer ones asked with in earlier terms."""
    is_newer = newer(s.asked_term[c, u], s.asked_version[c, u], s.config_term[n], s.config_version[n])
    asked = both(s.requested[c, u], u < s.term[n], is_newer, of_own(s, n, o), asked_with(s, c, u, p))
    return implies(both(wins(s, n, w), asked), meet(s, p, o))


@theorem
def who_wins_meets_what_was_asked(
    s: State, n: Node, w: Quorum, c: Node, u: Term, x: Quorum, p: Quorum, o: Quorum, r: Quorum
) -> bool:
    """Who wins has quorums that meet those asked with in earlier terms, unless these lead to nothing."""
    asked = both(s.requested[c, u], no(s.heartbeat[c, u]), u < s.term[n], of_own(s, n, o))
    quorums = both(asked_with(s, c, u, x), asked_with(s, c, u, p), asked_with(s, c, u, r))
    overtaken = Node.any(lambda m: both(s.member[m, r], s.config_term[m] > u))
    leads_to_nothing = either(meet(s, p, o), overtaken, blocked(s, c, u, x))
    return implies(both(wins(s, n, w), asked, quorums), leads_to_nothing)


@theorem
def who_wins_meets_what_was_made(
    s: State, n: Node, q: Quorum, u: Term, v: Version, p: Quorum, r: Quorum
) -> bool:
    """Who wins with a quorum meets those of configurations of earlier terms that are not disabled."""
    asked = both(is_quorum(s, u, v, p), is_quorum(s, u, v, r), u < s.term[n])
    return implies(both(wins(s, n, q), asked), either(meet(s, p, q), disabled(s, u, v, r)))


@theorem
def who_wins_is_in_reach(s: State, n: Node, q: Quorum, p: Quorum) -> bool:
    """All quorums of the configuration with which it wins have reached its term."""
    return implies(both(wins(s, n, q), of_own(s, n, p)), reached(s, p, s.term[n]))


@theorem
def who_wins_reaches_earlier_ones(
    s: State, n: Node, q: Quorum, u: Term, v: Version, p: Quorum, r: Quorum
) -> bool:
    """So have those of earlier terms, which are not disabled."""
    asked = both(is_quorum(s, u, v, p), is_quorum(s, u, v, r), u < s.term[n])
    return implies(both(wins(s, n, q), asked), either(disabled(s, u, v, r), reached(s, p, s.term[n])))


@theorem
def who_wins_reaches_later_leaders(
    s: State, n: Node, q: Quorum, u: Term, d: Node, p: Quorum, r: Quorum
) -> bool:
    """Who wins a term after that of a later leader has reached it, or is overtaken."""
    asked = both(s.heartbeat[d, u], s.term[n] < u, of_own(s, n, p), of_own(s, n, r))
    overtaken = Node.any(lambda m: both(s.member[m, r], s.config_term[m] > s.term[n]))
    return implies(both(wins(s, n, q), asked), either(overtaken, reached(s, p, u)))


# -- Lemmas: what a leader makes next disables what was --------------------------------------------
def may_change(s: State, n: Node, q: Quorum) -> bool:
    """The leader may make its next configuration: a quorum holds this one, and is in its term."""
    is_on_quorum = all_of(s, q, lambda v: both(holds_the_same(s, n, v), s.term[v] == s.term[n]))
    return both(s.role[n] == LEADER, of_own(s, n, q), is_on_quorum)


@theorem
def who_may_change_holds_the_newest(s: State, n: Node, q: Quorum, u: Term, w: Version) -> bool:
    """Nobody has made a newer configuration than that of a leader that may change it."""
    is_newer = newer(u, w, s.config_term[n], s.config_version[n])
    return implies(both(may_change(s, n, q), s.made[u, w]), no(is_newer))


@theorem
def who_may_change_has_disabled_the_older(
    s: State, n: Node, q: Quorum, u: Term, w: Version, p: Quorum
) -> bool:
    """All older configurations are disabled."""
    is_older = both(is_quorum(s, u, w, p), newer(s.config_term[n], s.config_version[n], u, w))
    return implies(both(may_change(s, n, q), is_older), disabled(s, u, w, p))
