"""What the proof of `membership` needs beside Figure 3: invariants of every step, and lemmas between them.

In the order in which the argument goes: votes and terms; logs as copies of leaders' logs; entries that were
confirmed, and the first leader that lacks them; configurations and the commit that each rests on; commits.
Then the lemmas: two logs that hold each other's grounds have equal or adjacent configurations; so who wins an
election has what was committed, and what a leader commits all later leaders have.

Only two lines speak of quorums of two configurations: the axiom, and the lemma about grounds that makes it
apply. Minimality is kept by history (the first leader that lacks an entry, the first commit beyond an index),
so that no step needs an induction of its own.
"""

from __future__ import annotations

from oneleader.language import NIL, both, either, implies, invariant, ite, no, theorem
from oneleader.models.election import CANDIDATE, LEADER, Node, Quorum, Term
from oneleader.models.membership import (
    Config,
    State,
    acknowledged_by,
    close,
    committed,
    config_of,
    last_term,
    matches,
)
from oneleader.models.replication import Index


def config_at(s: State, t: Term, i: Index) -> Config:
    """The configuration in effect at an index of the log of the leader of t."""
    return s.config[s.leader_log_term[t, i], i]


def since_at(s: State, t: Term, i: Index) -> Index:
    """The index at which the configuration in effect at an index began."""
    return s.since[s.leader_log_term[t, i], i]


def ground_at(s: State, t: Term, i: Index) -> Index:
    """What was committed when the configuration in effect at an index was appended."""
    return s.ground[s.leader_log_term[t, i], i]


def created(s: State, t: Term, i: Index) -> bool:
    """The leader of t has appended an entry of its own term at i."""
    return both(i > 0, i <= s.leader_log_length[t], s.leader_log_term[t, i] == t)


def elected(s: State, t: Term) -> bool:
    """The term has had a leader."""
    return s.elected_by[t] != NIL


def has(s: State, u: Term, t: Term, i: Index) -> bool:
    """The leader of u has the entry of term t at i."""
    return both(i <= s.leader_log_length[u], s.leader_log_term[u, i] == t)


def overtaken_by(s: State, t: Term, i: Index, u: Term) -> bool:
    """Up to term u there has been a leader after t that lacks the entry."""
    return both(s.overtaker[t, i] != 0, s.overtaker[t, i] <= u)


# -- What holds: votes and terms -------------------------------------------------------------------
@invariant
def requested_not_from_future(s: State, n: Node, t: Term) -> bool:
    """Nobody has asked for votes in a term that it has not reached; there is no election in term 0."""
    return implies(s.requested[n, t], both(t > 0, t <= s.term[n]))


@invariant
def heartbeat_not_from_future(s: State, n: Node, t: Term) -> bool:
    """Nobody has led in a term that it has not reached; nobody leads in term 0."""
    return implies(s.heartbeat[n, t], both(t > 0, t <= s.term[n]))


@invariant
def granted_was_requested(s: State, voter: Node, t: Term, candidate: Node) -> bool:
    """A vote was asked for."""
    return implies(s.granted[voter, t, candidate], s.requested[candidate, t])


@invariant
def stored_vote_was_requested(s: State, voter: Node, candidate: Node) -> bool:
    """A vote in stable storage was asked for, in the voter's term."""
    return implies(s.voted_for[voter] == candidate, s.requested[candidate, s.term[voter]])


@invariant
def candidate_has_not_led(s: State, n: Node) -> bool:
    """A candidate has not been leader in its term: it stands once in a term."""
    return implies(s.role[n] == CANDIDATE, no(s.heartbeat[n, s.term[n]]))


@invariant
def candidate_has_asked(s: State, n: Node) -> bool:
    """A candidate has asked for votes in its term, told of the log that it has, which is from before."""
    t = s.term[n]
    told_length = s.last_log_index[n, t] == s.log_length[n]
    told_term = s.last_log_term[n, t] == last_term(s, n)
    is_older = last_term(s, n) < t
    return implies(s.role[n] == CANDIDATE, both(s.requested[n, t], told_length, told_term, is_older))


@invariant
def elected_was_heard(s: State, t: Term) -> bool:
    """A term that was won has a leader; it is not term 0."""
    return implies(elected(s, t), both(t > 0, Node.any(lambda n: s.heartbeat[n, t])))


@invariant
def electors_moved_on(s: State, t: Term, q: Quorum, v: Node) -> bool:
    """Each server that elected the leader of a term has reached that term."""
    return implies(both(s.elected_by[t] == q, s.member[v, q]), t <= s.term[v])


@invariant
def electors_voted_for_the_leader(s: State, t: Term, q: Quorum, v: Node, n: Node) -> bool:
    """Each server that elected the leader of a term voted for no one else."""
    voted = both(s.elected_by[t] == q, s.member[v, q], s.granted[v, t, n])
    return implies(voted, s.heartbeat[n, t])


@invariant
def elected_by_a_quorum_of_its_configuration(s: State, t: Term, q: Quorum) -> bool:
    """The quorum was one of the configuration that the leader's log ended with."""
    return implies(s.elected_by[t] == q, s.quorum_of[q, config_at(s, t, s.base_length[t])])


# -- What holds: logs ------------------------------------------------------------------------------
@invariant
def nothing_before_the_first_entry(s: State, n: Node, t: Term) -> bool:
    """Index 0 has term 0 in every log."""
    return both(s.log_term[n, 0] == 0, s.leader_log_term[t, 0] == 0)


@invariant
def leader_log_was_announced(s: State, t: Term) -> bool:
    """A term whose leader has a log has a leader."""
    return implies(s.leader_log_length[t] > 0, elected(s, t))


@invariant
def entry_is_a_leaders(s: State, n: Node, i: Index) -> bool:
    """An entry of a term was created by the leader of that term, at this index."""
    t = s.log_term[n, i]
    return implies(both(i > 0, i <= s.log_length[n]), both(t > 0, t <= s.term[n], created(s, t, i)))


@invariant
def log_is_a_leaders(s: State, n: Node, i: Index, j: Index) -> bool:
    """Up to an entry of a term, a log is the log of the leader of that term."""
    t = s.log_term[n, i]
    same = s.log_term[n, j] == s.leader_log_term[t, j]
    return implies(both(j > 0, j <= i, i <= s.log_length[n]), same)


@invariant
def leader_entry_is_a_leaders(s: State, u: Term, i: Index) -> bool:
    """An entry in a leader's log was created by the leader of the entry's term, not a later one."""
    t = s.leader_log_term[u, i]
    return implies(both(i > 0, i <= s.leader_log_length[u]), both(t > 0, t <= u, created(s, t, i)))


@invariant
def leader_log_is_a_leaders(s: State, u: Term, i: Index, j: Index) -> bool:
    """Up to an entry of a term, a leader's log is the log of the leader of that term; terms never fall."""
    t = s.leader_log_term[u, i]
    same_term = s.leader_log_term[u, j] == s.leader_log_term[t, j]
    in_log = both(j > 0, j <= i, i <= s.leader_log_length[u])
    return implies(in_log, both(same_term, s.leader_log_term[u, j] <= t))


@invariant
def an_entry_is_as_created(s: State, n: Node, i: Index) -> bool:
    """An entry says in every log what the leader that created it said."""
    t = s.log_term[n, i]
    of_configuration = both(s.log_config[n, i] == s.config[t, i], s.log_since[n, i] == s.since[t, i])
    return implies(i <= s.log_length[n], both(s.log_value[n, i] == s.value[t, i], of_configuration))


@invariant
def a_leaders_entry_is_as_created(s: State, u: Term, i: Index) -> bool:
    """And in every message."""
    t = s.leader_log_term[u, i]
    of_configuration = both(
        s.leader_log_config[u, i] == s.config[t, i], s.leader_log_since[u, i] == s.since[t, i]
    )
    return implies(
        i <= s.leader_log_length[u], both(s.leader_log_value[u, i] == s.value[t, i], of_configuration)
    )


@invariant
def nothing_was_created_before(s: State, t: Term, i: Index) -> bool:
    """Term 0 and index 0 have the initial configuration and no value."""
    nothing = both(s.value[t, i] == NIL, s.config[t, i] == 0, s.since[t, i] == 0)
    return implies(no(both(t > 0, i > 0)), nothing)


@invariant
def base_is_older(s: State, t: Term, i: Index) -> bool:
    """What a leader's log had when it was elected is from before, and what came later is its own."""
    in_log = both(i > 0, i <= s.leader_log_length[t])
    is_own = s.leader_log_term[t, i] == t
    inside = s.base_length[t] <= s.leader_log_length[t]
    return both(
        inside,
        implies(in_log, both(implies(is_own, s.base_length[t] < i), either(is_own, i <= s.base_length[t]))),
    )


@invariant
def acknowledged_was_sent(s: State, n: Node, t: Term) -> bool:
    """Nobody has confirmed more than the leader's log, or anything in a term that it has not reached."""
    in_time = implies(s.acknowledged[n, t] > 0, t <= s.term[n])
    return both(s.acknowledged[n, t] <= s.leader_log_length[t], in_time)


# -- What holds: entries that were confirmed, and the first leader that lacks them ------------------
@invariant
def overtaker_lacks(s: State, t: Term, i: Index) -> bool:
    """The term noted is a later one whose leader lacks the entry."""
    u = s.overtaker[t, i]
    return implies(u != 0, both(t < u, elected(s, u), no(has(s, u, t, i))))


@invariant
def overtaker_is_first(s: State, t: Term, i: Index, u: Term) -> bool:
    """It is the first such term."""
    lacks = both(t < u, elected(s, u), no(has(s, u, t, i)))
    return implies(lacks, overtaken_by(s, t, i, u))


@invariant
def confirmed_is_kept(s: State, n: Node, t: Term, i: Index) -> bool:
    """Who has confirmed an entry keeps it, unless there was a leader that lacks it."""
    confirmed = both(created(s, t, i), i <= s.acknowledged[n, t])
    has_it = both(i <= s.log_length[n], s.log_term[n, i] == t)
    return implies(confirmed, either(has_it, overtaken_by(s, t, i, s.term[n])))


@invariant
def confirmed_is_a_candidates(s: State, voter: Node, candidate: Node, t: Term, i: Index) -> bool:
    """So has the candidate of a later term for whom it has voted (section 5.4.3)."""
    u = s.term[candidate]
    has_voted = either(s.granted[voter, u, candidate], voted_now(s, voter, candidate))
    stands = both(s.role[candidate] == CANDIDATE, t < u, has_voted)
    confirmed = both(created(s, t, i), i <= s.acknowledged[voter, t])
    has_it = both(i <= s.log_length[candidate], s.log_term[candidate, i] == t)
    return implies(both(stands, confirmed), either(has_it, overtaken_by(s, t, i, u)))


def voted_now(s: State, voter: Node, candidate: Node) -> bool:
    """The voter has voted for the candidate in the candidate's term, whether it has answered or not."""
    return both(s.term[voter] == s.term[candidate], s.voted_for[voter] == candidate)


@invariant
def electors_of_the_overtaker_did_not_confirm(s: State, t: Term, i: Index, q: Quorum, v: Node) -> bool:
    """Nobody who elected the first leader that lacks an entry has confirmed it."""
    elector = both(s.elected_by[s.overtaker[t, i]] == q, s.member[v, q])
    return implies(both(s.overtaker[t, i] != 0, created(s, t, i), elector), s.acknowledged[v, t] < i)


# -- What holds: configurations --------------------------------------------------------------------
@invariant
def configuration_began(s: State, t: Term, y: Index) -> bool:
    """A configuration began at an index of the log and rests on an earlier one."""
    x, m = since_at(s, t, y), ground_at(s, t, y)
    rests = ite(x > 0, both(m > 0, m < x), no(m > 0))
    return implies(y <= s.leader_log_length[t], both(x <= y, rests))


@invariant
def configuration_lasts(s: State, t: Term, y: Index, j: Index) -> bool:
    """From where it began it is in effect."""
    x, m = since_at(s, t, y), ground_at(s, t, y)
    same = both(config_at(s, t, j) == config_at(s, t, y), since_at(s, t, j) == x, ground_at(s, t, j) == m)
    return implies(both(y <= s.leader_log_length[t], x <= j, j <= y), same)


@invariant
def configuration_before_lasted(s: State, t: Term, y: Index, j: Index) -> bool:
    """Up to where it began, from what it rests on, the one before was in effect."""
    x, m = since_at(s, t, y), ground_at(s, t, y)
    same = both(config_at(s, t, j) == config_at(s, t, m), since_at(s, t, j) <= m)
    return implies(both(y <= s.leader_log_length[t], m <= j, j < x), same)


@invariant
def configuration_is_close_to_the_one_before(s: State, t: Term, y: Index) -> bool:
    """R1: the two are adjacent."""
    before = config_at(s, t, ground_at(s, t, y))
    return implies(y <= s.leader_log_length[t], close(s, before, config_at(s, t, y)))


@invariant
def configuration_rests_on_a_commit(s: State, t: Term, y: Index) -> bool:
    """R2 and R3: the leader that changed it had committed an entry of its own, with all changes before."""
    x, m = since_at(s, t, y), ground_at(s, t, y)
    u = s.leader_log_term[t, x]
    rests = both(s.leader_log_term[t, m] == u, committed(s, u, m))
    return implies(both(y <= s.leader_log_length[t], x > 0), rests)


@invariant
def one_change_beyond_the_commit(s: State, t: Term, j: Index) -> bool:
    """Beyond what it has committed, a leader changes the configuration once; before it has, never."""
    now, then = config_at(s, t, s.leader_log_length[t]), config_at(s, t, j)
    beyond = both(s.base_length[t] <= j, j <= s.leader_log_length[t], s.own_commit[t] <= j)
    return implies(beyond, ite(s.own_commit[t] == 0, then == now, close(s, then, now)))


# -- What holds: commitment ------------------------------------------------------------------------
@invariant
def leader_knows_its_own_commits(s: State, n: Node) -> bool:
    """A leader's commit index is that of its own last commit, or not beyond what it was elected with."""
    t = s.term[n]
    none_yet = both(s.own_commit[t] == 0, s.commit_index[n] <= s.base_length[t])
    return implies(s.role[n] == LEADER, either(none_yet, s.commit_index[n] == s.own_commit[t]))


@invariant
def commit_index_is_known(s: State, n: Node) -> bool:
    """A commit index comes from a commit that covers it, of a leader whose log is the server's up to it."""
    i, t, k = s.commit_index[n], s.known_by[n], s.known_up_to[n]
    is_covered = both(committed(s, t, k), i <= k, t <= s.term[n])
    return implies(i > 0, both(is_covered, i <= s.log_length[n], s.log_term[n, i] == s.leader_log_term[t, i]))


@invariant
def leader_commit_is_known(s: State, u: Term) -> bool:
    """So does one that a leader tells."""
    i, t, k = s.leader_commit[u], s.leader_known_by[u], s.leader_known_up_to[u]
    is_covered = both(committed(s, t, k), i <= k, t <= u, elected(s, u))
    return implies(i > 0, both(is_covered, agree_at(s, u, t, i)))


@invariant
def own_commit_is_committed(s: State, t: Term) -> bool:
    """A leader's commit index is that of an entry of its own."""
    i = s.own_commit[t]
    return implies(i > 0, both(committed(s, t, i), created(s, t, i)))


@invariant
def committed_was_created(s: State, t: Term, i: Index) -> bool:
    """What is committed is an entry of the leader."""
    return implies(committed(s, t, i), both(created(s, t, i), i <= s.own_commit[t]))


@invariant
def committed_by_a_quorum(s: State, t: Term, i: Index, q: Quorum, v: Node) -> bool:
    """A quorum has confirmed it."""
    return implies(both(s.committed_by[t, i] == q, s.member[v, q]), i <= s.acknowledged[v, t])


@invariant
def committed_by_a_quorum_of_a_configuration(s: State, t: Term, i: Index, q: Quorum) -> bool:
    """It was a quorum of the configuration that the leader had then."""
    return implies(s.committed_by[t, i] == q, s.quorum_of[q, s.committed_with[t, i]])


@invariant
def next_commit_is_committed(s: State, t: Term, j: Index) -> bool:
    """The first commit beyond an index is one."""
    i = s.next_commit[t, j]
    return implies(i != 0, both(j < i, committed(s, t, i)))


@invariant
def next_commit_is_first(s: State, t: Term, j: Index, i: Index) -> bool:
    """And it is the first."""
    f = s.next_commit[t, j]
    return implies(both(committed(s, t, i), j < i), both(f != 0, f <= i))


@invariant
def next_commit_is_close(s: State, t: Term, j: Index) -> bool:
    """Its configuration is close to the one in effect at that index."""
    f = s.next_commit[t, j]
    asked = both(s.base_length[t] <= j, j <= s.leader_log_length[t], f != 0)
    return implies(asked, close(s, config_at(s, t, j), s.committed_with[t, f]))


@invariant
def first_commit_is_with_the_first_configuration(s: State, t: Term) -> bool:
    """R3: a leader's first commit is with the configuration that elected it."""
    base = s.base_length[t]
    f = s.next_commit[t, base]
    return implies(f != 0, config_at(s, t, base) == s.committed_with[t, f])


@invariant
def next_committing_has_committed(s: State, u: Term) -> bool:
    """The next term whose leader has committed is one."""
    t = s.next_committing[u]
    return implies(t != 0, both(u < t, s.own_commit[t] > 0))


@invariant
def next_committing_is_first(s: State, u: Term, t: Term) -> bool:
    """And it is the first."""
    f = s.next_committing[u]
    return implies(both(s.own_commit[t] > 0, u < t), both(f != 0, f <= t))


@invariant
def committed_is_in_later_leader_logs(s: State, t: Term, i: Index, u: Term) -> bool:
    """Figure 3, leader completeness: what is committed, the leaders of all later terms have."""
    return implies(both(committed(s, t, i), t < u, elected(s, u)), has(s, u, t, i))


# -- Lemmas ----------------------------------------------------------------------------------------
def agree_at(s: State, t: Term, u: Term, i: Index) -> bool:
    """Two leaders' logs have the same entry at an index."""
    inside = both(i <= s.leader_log_length[t], i <= s.leader_log_length[u])
    return both(inside, s.leader_log_term[t, i] == s.leader_log_term[u, i])


@theorem
def prefix_is_the_leaders(s: State, n: Node, t: Term, prev: Index, j: Index) -> bool:
    """The prefix check of AppendEntries is enough: where one entry matches, so do all before it."""
    in_prefix = both(j <= prev, prev <= s.leader_log_length[t], matches(s, n, t, prev))
    return implies(both(j > 0, in_prefix), s.log_term[n, j] == s.leader_log_term[t, j])


@theorem
def leader_logs_match(s: State, t: Term, u: Term, i: Index, j: Index) -> bool:
    """Figure 3, log matching, of leaders' logs."""
    return implies(both(agree_at(s, t, u, i), j <= i), s.leader_log_term[t, j] == s.leader_log_term[u, j])


@theorem
def terms_never_fall(s: State, t: Term, i: Index, j: Index) -> bool:
    """No entry of a leader's log has a later term than one after it."""
    in_log = both(j <= i, i <= s.leader_log_length[t])
    return implies(in_log, s.leader_log_term[t, j] <= s.leader_log_term[t, i])


@theorem
def terms_between_a_ground_and_its_change(s: State, t: Term, y: Index, j: Index) -> bool:
    """From what a change rests on to the change, all entries are one leader's."""
    between = both(ground_at(s, t, y) <= j, j <= since_at(s, t, y))
    one_term = s.leader_log_term[t, j] == s.leader_log_term[t, since_at(s, t, y)]
    return implies(both(y <= s.leader_log_length[t], between), one_term)


def inside(s: State, t: Term, y: Index, u: Term, z: Index) -> bool:
    """Two indices are in two leaders' logs."""
    return both(y <= s.leader_log_length[t], z <= s.leader_log_length[u])


@theorem
def close_to_what_began_before(s: State, t: Term, y: Index, u: Term, z: Index) -> bool:
    """A configuration is close to that of a log that shares its ground and changed no more after it."""
    m = ground_at(s, t, y)
    shared = both(m <= z, agree_at(s, t, u, m), since_at(s, u, z) <= m)
    return implies(both(inside(s, t, y, u, z), shared), close(s, config_at(s, t, y), config_at(s, u, z)))


@theorem
def changes_from_one_ground_are_of_one_term(s: State, t: Term, y: Index, u: Term, z: Index) -> bool:
    """Where two logs share the later of their grounds and both change after it, one leader changed them."""
    m, x, w = ground_at(s, t, y), since_at(s, t, y), since_at(s, u, z)
    shared = both(m <= z, agree_at(s, t, u, m), ground_at(s, u, z) <= m, m < w)
    one_term = both(m < x, s.leader_log_term[t, x] == s.leader_log_term[u, w])
    return implies(both(inside(s, t, y, u, z), shared), one_term)


@theorem
def changes_of_one_term_are_not_apart(s: State, t: Term, y: Index, u: Term, z: Index) -> bool:
    """A leader's next change after a ground is one and the same in all logs."""
    x, w = since_at(s, t, y), since_at(s, u, z)
    one_term = s.leader_log_term[t, x] == s.leader_log_term[u, w]
    beyond = both(ground_at(s, u, z) < x, x > 0, w > 0)
    return implies(both(inside(s, t, y, u, z), one_term, beyond), w <= x)


@theorem
def logs_that_share_the_later_ground_are_close(s: State, t: Term, y: Index, u: Term, z: Index) -> bool:
    """Two logs that share what the configuration of either rests on: these are equal or adjacent."""
    m = ground_at(s, t, y)
    shared = both(m <= z, agree_at(s, t, u, m), ground_at(s, u, z) <= m)
    return implies(both(inside(s, t, y, u, z), shared), close(s, config_at(s, t, y), config_at(s, u, z)))


@theorem
def logs_that_share_their_grounds_are_close(s: State, t: Term, y: Index, u: Term, z: Index) -> bool:
    """Where each of two logs has what the other's configuration rests on, these are equal or adjacent."""
    m, k = ground_at(s, t, y), ground_at(s, u, z)
    shared = both(m <= z, agree_at(s, t, u, m), k <= y, agree_at(s, t, u, k))
    return implies(both(inside(s, t, y, u, z), shared), close(s, config_at(s, t, y), config_at(s, u, z)))


def wins(s: State, n: Node, q: Quorum) -> bool:
    """A candidate has the votes of a quorum of its configuration."""
    votes = Node.all(lambda v: implies(s.member[v, q], s.votes[n, v]))
    return both(s.role[n] == CANDIDATE, s.quorum_of[q, config_of(s, n)], votes)


@theorem
def committed_is_not_overtaken(s: State, t: Term, i: Index) -> bool:
    """No leader of a later term lacks what is committed."""
    return implies(committed(s, t, i), s.overtaker[t, i] == 0)


@theorem
def last_entry_is_its_leaders(s: State, n: Node) -> bool:
    """A server's last entry was created by the leader of its term."""
    u, length = last_term(s, n), s.log_length[n]
    is_created = both(created(s, u, length), s.base_length[u] < length)
    return ite(length > 0, is_created, no(u > 0))


@theorem
def a_log_is_its_last_leaders(s: State, n: Node, i: Index) -> bool:
    """A server's log is the beginning of that of the leader of its last entry."""
    u = last_term(s, n)
    same = both(i <= s.leader_log_length[u], s.log_term[n, i] == s.leader_log_term[u, i])
    return implies(i <= s.log_length[n], same)


@theorem
def terms_of_a_log_never_fall(s: State, n: Node, i: Index) -> bool:
    """No entry of a log has a later term than the last."""
    return implies(i <= s.log_length[n], s.log_term[n, i] <= last_term(s, n))


@theorem
def a_log_that_differs_lacks_what_follows(s: State, n: Node, u: Term, i: Index, j: Index) -> bool:
    """Where a log differs from a leader's, the leader has none of the entries that follow in the log."""
    differs = both(j > 0, j <= i, i <= s.log_length[n], s.log_term[n, j] != s.leader_log_term[u, j])
    return implies(differs, no(has(s, u, s.log_term[n, i], i)))


def up_to_date(s: State, candidate: Node, voter: Node) -> bool:
    """Section 5.4.1, of the logs as they are now."""
    is_newer = last_term(s, candidate) > last_term(s, voter)
    is_as_long = s.log_length[candidate] >= s.log_length[voter]
    return either(is_newer, both(last_term(s, candidate) == last_term(s, voter), is_as_long))


@theorem
def newer_log_goes_as_far(s: State, voter: Node, candidate: Node, t: Term, i: Index) -> bool:
    """A log that is as up to date has the voter's entry, unless a leader up to its last term lacked it."""
    voter_has_it = both(i > 0, i <= s.log_length[voter], s.log_term[voter, i] == t)
    has_it = both(i <= s.log_length[candidate], s.log_term[candidate, i] == t)
    lacked = overtaken_by(s, t, i, last_term(s, candidate))
    return implies(both(up_to_date(s, candidate, voter), voter_has_it), either(has_it, lacked))


@theorem
def winner_has_what_its_voters_confirmed(s: State, n: Node, q: Quorum, v: Node, t: Term, i: Index) -> bool:
    """A winner has what its voters have confirmed, unless a leader before lacked it."""
    confirmed = both(s.member[v, q], t < s.term[n], created(s, t, i), i <= s.acknowledged[v, t])
    has_it = both(i <= s.log_length[n], s.log_term[n, i] == t)
    return implies(both(wins(s, n, q), confirmed), either(overtaken_by(s, t, i, s.term[n]), has_it))


@theorem
def winner_has_close_commits(s: State, n: Node, q: Quorum, t: Term, i: Index) -> bool:
    """A winner has what was committed with a configuration close to its own."""
    is_close = both(committed(s, t, i), close(s, config_of(s, n), s.committed_with[t, i]))
    has_it = both(i <= s.log_length[n], s.log_term[n, i] == t)
    return implies(both(wins(s, n, q), t < s.term[n], is_close), has_it)


@theorem
def winner_has_its_last_terms_commits(s: State, n: Node, q: Quorum, i: Index) -> bool:
    """A winner has all that was committed in the term of its last entry."""
    return implies(both(wins(s, n, q), committed(s, last_term(s, n), i)), i <= s.log_length[n])


@theorem
def winner_has_what_its_last_leader_has(s: State, n: Node, t: Term, i: Index) -> bool:
    """A log has what was committed in terms before that of its last entry."""
    has_it = both(i <= s.log_length[n], s.log_term[n, i] == t)
    return implies(both(t < last_term(s, n), committed(s, t, i)), has_it)


@theorem
def ground_was_committed(s: State, t: Term, y: Index) -> bool:
    """What a configuration in a leader's log rests on was committed, no matter who changed it."""
    m, u = ground_at(s, t, y), s.leader_log_term[t, since_at(s, t, y)]
    is_committed = both(s.leader_log_term[t, m] == u, implies(m > 0, committed(s, u, m)))
    return implies(y <= s.leader_log_length[t], both(m <= y, u <= s.leader_log_term[t, y], is_committed))


@theorem
def ground_is_in_later_leader_logs(s: State, t: Term, y: Index, u: Term) -> bool:
    """What a configuration in a leader's log rests on, the leaders of all terms after its own have."""
    m = ground_at(s, t, y)
    is_later = both(elected(s, u), s.leader_log_term[t, y] < u)
    return implies(both(y <= s.leader_log_length[t], is_later), agree_at(s, t, u, m))


@theorem
def ground_is_in_the_winners_log(s: State, n: Node, q: Quorum, t: Term, y: Index) -> bool:
    """A winner has what a configuration rests on that was changed by its last entry's term."""
    u, m = last_term(s, n), ground_at(s, t, y)
    is_older = both(y <= s.leader_log_length[t], s.leader_log_term[t, since_at(s, t, y)] <= u)
    return implies(both(wins(s, n, q), is_older), both(m <= s.log_length[n], agree_at(s, u, t, m)))


@theorem
def winner_is_close_to_leaders_that_changed_nothing(s: State, n: Node, q: Quorum, t: Term) -> bool:
    """A winner has a configuration close to that of any later leader than its last entry's, if this
    was changed no later than that."""
    u, base = last_term(s, n), s.base_length[t]
    is_older = s.leader_log_term[t, since_at(s, t, base)] <= u
    is_close = close(s, config_of(s, n), config_at(s, t, base))
    return implies(both(wins(s, n, q), elected(s, t), u < t, is_older), is_close)


@theorem
def winner_is_close_to_its_last_leaders_next(s: State, n: Node, q: Quorum, t: Term) -> bool:
    """A winner has a configuration close to that which elected the next leader that committed."""
    u = last_term(s, n)
    is_next = both(
        u < t, t < s.term[n], elected(s, t), either(t <= s.next_committing[u], s.next_committing[u] == 0)
    )
    is_close = close(s, config_of(s, n), config_at(s, t, s.base_length[t]))
    return implies(both(wins(s, n, q), is_next), is_close)


@theorem
def a_leader_first_commits_with_its_first_configuration(s: State, t: Term) -> bool:
    """A leader that has committed did so first with the configuration that elected it."""
    f = s.next_commit[t, s.base_length[t]]
    with_first = s.committed_with[t, f] == config_at(s, t, s.base_length[t])
    return implies(s.own_commit[t] > 0, both(elected(s, t), committed(s, t, f), with_first))


@theorem
def nothing_was_committed_since_the_winners_last_term(s: State, n: Node, q: Quorum, t: Term) -> bool:
    """Between that term and the one in which it wins no leader has committed."""
    between = both(last_term(s, n) < t, t < s.term[n])
    return implies(both(wins(s, n, q), between), s.own_commit[t] == 0)


@theorem
def committed_is_a_winners(s: State, n: Node, q: Quorum, t: Term, i: Index) -> bool:
    """A winner has all that was committed in earlier terms."""
    has_it = both(i <= s.log_length[n], s.log_term[n, i] == t)
    return implies(both(wins(s, n, q), t < s.term[n], committed(s, t, i)), has_it)


@theorem
def winner_is_close_to_its_terms_leader(s: State, n: Node, q: Quorum) -> bool:
    """Nobody has won its term before with a configuration that is not close to its own."""
    t = s.term[n]
    is_close = close(s, config_of(s, n), config_at(s, t, s.base_length[t]))
    is_another = both(elected(s, t), no(is_close))
    return implies(wins(s, n, q), no(is_another))


@theorem
def a_term_is_won_once(s: State, n: Node, q: Quorum) -> bool:
    """The winner of a term is the first to lead in it."""
    return implies(wins(s, n, q), no(elected(s, s.term[n])))


@theorem
def older_entries_are_in_the_base(s: State, u: Term, i: Index) -> bool:
    """What a leader's log has of earlier terms it had when it was elected."""
    base = s.base_length[u]
    is_older = both(i <= s.leader_log_length[u], s.leader_log_term[u, i] < u)
    return implies(is_older, both(i <= base, s.leader_log_term[u, i] <= s.leader_log_term[u, base]))


@theorem
def first_that_lacks_it_has_no_newer_entry(s: State, t: Term, i: Index) -> bool:
    """The first leader that lacks an entry was elected with a log of its term or of before."""
    u = s.overtaker[t, i]
    return implies(both(created(s, t, i), u != 0), s.leader_log_term[u, s.base_length[u]] <= t)


@theorem
def nothing_was_committed_that_the_first_lacks(s: State, t: Term, i: Index) -> bool:
    """What the leader of the entry had committed, the first leader that lacks the entry has."""
    u = s.overtaker[t, i]
    has_it = both(s.own_commit[t] <= s.base_length[u], t <= s.leader_log_term[u, s.base_length[u]])
    return implies(both(created(s, t, i), u != 0, s.own_commit[t] > 0), has_it)


@theorem
def first_that_lacks_it_is_close_if_of_one_term(s: State, t: Term, i: Index) -> bool:
    """Was it elected with a log of the same term, its configuration is close to that leader's."""
    u = s.overtaker[t, i]
    one_term = both(u != 0, s.leader_log_term[u, s.base_length[u]] == t)
    now = config_at(s, t, s.leader_log_length[t])
    return implies(both(created(s, t, i), one_term), close(s, now, config_at(s, u, s.base_length[u])))


@theorem
def a_leader_was_elected_with_an_older_log(s: State, t: Term) -> bool:
    """The last entry that a leader had when it was elected is of an earlier term."""
    return implies(elected(s, t), s.leader_log_term[t, s.base_length[t]] < t)


@theorem
def ground_is_in_later_leaders_bases(s: State, t: Term, y: Index, u: Term) -> bool:
    """What a configuration rests on, the leaders of later terms had when they were elected."""
    is_later = both(y <= s.leader_log_length[t], elected(s, u), s.leader_log_term[t, y] < u)
    return implies(is_later, ground_at(s, t, y) <= s.base_length[u])


@theorem
def first_that_lacks_it_is_close_if_older(s: State, t: Term, i: Index) -> bool:
    """Was it elected with a log from before, its configuration is close to that which elected the leader."""
    u, base = s.overtaker[t, i], s.base_length[t]
    is_older = both(u != 0, s.leader_log_term[u, s.base_length[u]] < t)
    is_close = close(s, config_at(s, t, base), config_at(s, u, s.base_length[u]))
    return implies(both(created(s, t, i), is_older), is_close)


@theorem
def first_that_lacks_it_is_close(s: State, t: Term, i: Index) -> bool:
    """A leader's configuration is close to that which elected the first leader that lacks its entry."""
    u, now = s.overtaker[t, i], config_at(s, t, s.leader_log_length[t])
    is_close = close(s, now, config_at(s, u, s.base_length[u]))
    return implies(both(created(s, t, i), u != 0), is_close)


@theorem
def leader_uses_its_logs_configuration(s: State, n: Node) -> bool:
    """A leader's configuration is the last one in what it has announced."""
    t = s.term[n]
    return implies(s.role[n] == LEADER, config_of(s, n) == config_at(s, t, s.leader_log_length[t]))


@theorem
def committable_is_not_overtaken(s: State, n: Node, i: Index, q: Quorum) -> bool:
    """What a leader may commit, the leaders of all later terms have (section 5.4.3)."""
    t = s.term[n]
    may = both(s.role[n] == LEADER, created(s, t, i), s.quorum_of[q, config_of(s, n)])
    return implies(both(may, acknowledged_by(s, q, t, i)), s.overtaker[t, i] == 0)


@theorem
def change_rests_on_an_own_commit(s: State, n: Node) -> bool:
    """R3, as a leader knows it: where the entry at its commit index is its own, it committed it itself."""
    t = s.term[n]
    is_own = both(s.role[n] == LEADER, s.log_term[n, s.commit_index[n]] == t)
    return implies(is_own, both(s.own_commit[t] > 0, s.commit_index[n] == s.own_commit[t]))


@theorem
def committed_is_in_leader_logs(s: State, t: Term, i: Index, u: Term, j: Index) -> bool:
    """What a commit covers is the same in the logs of its leader and of all later ones."""
    is_later = both(committed(s, t, i), t <= u, elected(s, u))
    return implies(both(is_later, j <= i), agree_at(s, u, t, j))


@theorem
def what_is_known_is_in_later_leader_logs(s: State, n: Node, u: Term, i: Index) -> bool:
    """What a server knows to be committed, it has in common with the leaders of all terms since."""
    asked = both(i <= s.commit_index[n], s.known_by[n] <= u, elected(s, u))
    has_it = both(i <= s.leader_log_length[u], s.log_term[n, i] == s.leader_log_term[u, i])
    return implies(both(i > 0, asked), has_it)


@theorem
def what_is_known_is_the_same(s: State, a: Node, b: Node, i: Index) -> bool:
    """Two servers know of the same entries that they are committed."""
    both_know = both(i <= s.commit_index[a], i <= s.commit_index[b])
    return implies(both_know, s.log_term[a, i] == s.log_term[b, i])


# -- What a lease rests on, and the next election --------------------------------------------------
def is_next(s: State, t: Term, u: Term) -> bool:
    """The first term after t that has had a leader."""
    nobody_between = Term.all(lambda w: implies(both(t < w, w < u), no(elected(s, w))))
    return both(t < u, elected(s, u), nobody_between)


@theorem
def next_that_lacks_it_is_the_first(s: State, t: Term, i: Index, u: Term) -> bool:
    """If the next leader lacks an entry, it is the first that does."""
    lacks = both(is_next(s, t, u), created(s, t, i), no(has(s, u, t, i)))
    return implies(lacks, s.overtaker[t, i] == u)


@theorem
def next_that_has_it_has_no_more(s: State, t: Term, u: Term) -> bool:
    """If it has the last entry that a leader has created, it was elected with that leader's log."""
    last, base = s.leader_log_length[t], s.base_length[u]
    has_it = both(is_next(s, t, u), created(s, t, last), has(s, u, t, last))
    return implies(has_it, both(base == last, s.leader_log_term[u, base] == t))


@theorem
def next_leader_is_close(s: State, t: Term, u: Term) -> bool:
    """Once a leader has an entry of its own, its configuration is close to that which elects the next one."""
    last = s.leader_log_length[t]
    is_close = close(s, config_at(s, t, last), config_at(s, u, s.base_length[u]))
    return implies(both(is_next(s, t, u), created(s, t, last)), is_close)


@theorem
def leases_meet_the_next_election(s: State, n: Node, u: Term) -> bool:
    """Whatever either has changed: a quorum of the configuration that a leader uses, on which a lease rests,
    shares a server with the one that elected the next leader."""
    t = s.term[n]
    is_close = close(s, config_of(s, n), config_at(s, u, s.base_length[u]))
    leads = both(s.role[n] == LEADER, created(s, t, s.log_length[n]))
    return implies(both(leads, is_next(s, t, u)), is_close)
