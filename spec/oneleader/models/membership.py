"""Changes of membership: dissertation chapter 4, and Ongaro's correction of July 2015, with the whole log.

The protocol. An entry of the log may bring a *configuration*: the servers whose quorums elect a leader and
commit entries. A server uses the latest configuration in its log, committed or not (dissertation 4.1): it is
in effect from the append on, and falls back to the one before where its entry is overwritten. Everybody
takes entries from a leader and answers candidates, in the configuration or not. A leader brings another
configuration under three rules:

- R1: it is `adjacent` to the present one: every quorum of the one shares a server with every quorum of the
  other. Majorities of sets that differ by one server do (4.1), and so do a joint configuration and each of
  the two that it joins (4.3): one relation stands for both ways. `readers.prove.counting` proves it.
- R2: the present one is committed.
- R3: the leader has committed an entry of its own term (the correction; without it two leaders can change
  the same configuration in two ways, and neither knows of the other's).

Why it works. What each server has confirmed it keeps, and it votes only for logs that have it, as long as no
leader that lacks the entry has been elected since: this needs no word about configurations. A configuration
rests on a *ground*: the commit index at its append, which is an entry of the same leader by R3 and comes
after the change before by R2. Where two logs hold each other's ground, their configurations are equal or
adjacent. A leader that commits and the next one that is elected are always in that position; so their
quorums share a server, that server has confirmed the entry, and the next leader has it. This is Leader
Completeness, and the same intersection gives Election Safety. The lemmas stand in `membership_lemmas`.

An entry is known by its term and index: a leader creates at most one at each. Each carries the configuration
in effect from it on, and `since`, the index of the entry that brought it; one that changes nothing repeats
what the entry before says. Index 0 has the initial configuration. A server that is in no quorum of a
configuration is a non-voting member (4.2.1): it is sent entries and counted nowhere.

As in `replication`: AppendEntries is a piece of what the leader of a term could send; see there.

Not modelled: what `replication` leaves out but for membership; that a removed server's timeouts disturb the
others (4.2.3): here anybody may stand at any time, and the cure, pre-vote and promises, is in `pre_vote` and
`lease`; snapshots, which are in `snapshots`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oneleader.language import (
    NIL,
    Fields,
    NumberSort,
    Option,
    action,
    axiom,
    both,
    constant,
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
from oneleader.models.election import FOLLOWER, LEADER, Node, Quorum, Term
from oneleader.models.replication import Index, Value


class Config(NumberSort):
    """A configuration; 0 is the initial one. Numbers are names here: their order means nothing."""


class Logs(Fields):
    """Configurations, logs, and what AppendEntries and its replies say of them."""

    member = constant(Node, Quorum)
    quorum_of = constant(Quorum, Config)
    adjacent = constant(Config, Config)  # from the first a leader may go to the second

    # Persistent. Each entry says which configuration is in effect from it on, and since which entry.
    log_length = field(Node, of=Index)
    log_term = field(Node, Index, of=Term)
    log_config = field(Node, Index, of=Config)
    log_since = field(Node, Index, of=Index)

    # Volatile.
    commit_index = field(Node, of=Index)

    # AppendEntries of the leader of a term: any piece of its log.
    leader_log_length = field(Term, of=Index)
    leader_log_term = field(Term, Index, of=Term)
    leader_log_config = field(Term, Index, of=Config)
    leader_log_since = field(Term, Index, of=Index)

    # Its replies: the server has stored the log of the leader of that term up to this index.
    acknowledged = field(Node, Term, of=Index)


class State(election.State, Logs):
    """The election's state, the logs, and the rest of the messages."""

    # Of entries, persistent and as AppendEntries carries them; with a commit index up to this.
    log_value = field(Node, Index, of=Option[Value])
    leader_log_value = field(Term, Index, of=Option[Value])
    leader_commit = field(Term, of=Index)

    # RequestVote of a candidate in a term: lastLogIndex and lastLogTerm.
    last_log_index = field(Node, Term, of=Index)
    last_log_term = field(Node, Term, of=Term)

    # History, for proofs only. What the entry says that the leader of a term created at an index, and the
    # commit index that its configuration's change rests on.
    value = ghost(Term, Index, of=Option[Value])
    config = ghost(Term, Index, of=Config)
    since = ghost(Term, Index, of=Index)
    ground = ghost(Term, Index, of=Index)

    # Of each leader: how long its log was when it was elected, and the last entry of its own that it has
    # committed (0: none yet). Of an entry of its own: the first later term whose leader lacks it (0: none).
    base_length = ghost(Term, of=Index)
    own_commit = ghost(Term, of=Index)
    overtaker = ghost(Term, Index, of=Term)

    # Of each commit: the quorum, and the leader's configuration at that time. The first commit of a leader
    # beyond an index, and the first later term whose leader has committed (0: none).
    committed_by = ghost(Term, Index, of=Option[Quorum])
    committed_with = ghost(Term, Index, of=Config)
    next_commit = ghost(Term, Index, of=Index)
    next_committing = ghost(Term, of=Term)

    # The commit that a server's commit index comes from: whose, and of which index. The same of a message.
    known_by = ghost(Node, of=Term)
    known_up_to = ghost(Node, of=Index)
    leader_known_by = ghost(Term, of=Term)
    leader_known_up_to = ghost(Term, of=Index)


def last_term(s: Logs, n: Node) -> Term:
    """The term of a server's last entry; 0 for an empty log."""
    return s.log_term[n, s.log_length[n]]


def config_of(s: Logs, n: Node) -> Config:
    """The configuration that a server uses: the latest in its log, committed or not (dissertation 4.1)."""
    return s.log_config[n, s.log_length[n]]


def since_of(s: Logs, n: Node) -> Index:
    """The index of the entry that brought the configuration in use."""
    return s.log_since[n, s.log_length[n]]


def votes_in(s: Logs, n: Node, c: Config) -> bool:
    """The server is a voting member of the configuration: it is in one of its quorums."""
    return Quorum.any(lambda q: both(s.quorum_of[q, c], s.member[n, q]))


def close(s: Logs, c: Config, d: Config) -> bool:
    """Equal, or adjacent one way or the other."""
    are_apart = both(c != d, no(s.adjacent[c, d]), no(s.adjacent[d, c]))
    return no(are_apart)


@axiom
def close_quorums_intersect(s: Logs, p: Quorum, c: Config, q: Quorum, d: Config) -> bool:
    """Quorums of equal or adjacent configurations share a server."""
    is_asked = both(s.quorum_of[p, c], s.quorum_of[q, d], close(s, c, d))
    return implies(is_asked, Node.any(lambda n: both(s.member[n, p], s.member[n, q])))


# -- Changes of membership -------------------------------------------------------------------------
@action
def change_config(s: State, n: Node, c: Config) -> None:
    """Dissertation 4.1: the leader appends a configuration, which is in effect at once."""
    is_leader = s.role[n] == LEADER  # dissertation 4.1
    is_adjacent = s.adjacent[config_of(s, n), c]  # dissertation 4.1 and 4.3, R1: one server, or joint
    last_is_committed = since_of(s, n) <= s.commit_index[n]  # dissertation 4.1, R2
    own_is_committed = s.log_term[n, s.commit_index[n]] == s.term[n]  # raft-dev, July 2015, R3
    new_members_caught_up = have_caught_up(s, n, s.term[n], c)  # dissertation 4.2.1
    s.require(is_leader, is_adjacent, last_is_committed, own_is_committed, new_members_caught_up)

    i = s.log_length[n] + 1
    append(s, n, NIL, c, since=i, ground=s.commit_index[n])


def have_caught_up(s: Logs, n: Node, t: Term, c: Config) -> bool:
    """Who votes in the configuration and did not before has stored what the leader has committed."""
    return Node.all(
        lambda v: either(
            no(votes_in(s, v, c)),
            votes_in(s, v, config_of(s, n)),
            s.commit_index[n] <= s.acknowledged[v, t],
        )
    )


@action
def retire(s: State, n: Node) -> None:
    """Dissertation 4.2.2: a leader steps down once the configuration without it is committed. Until then it
    leads servers that it is not counted among."""
    is_leader = s.role[n] == LEADER  # dissertation 4.2.2
    is_no_member = no(votes_in(s, n, config_of(s, n)))  # dissertation 4.2.2
    removal_is_committed = since_of(s, n) <= s.commit_index[n]  # dissertation 4.2.2
    s.require(is_leader, is_no_member, removal_is_committed)

    s.role[n] = FOLLOWER
    s.votes.where(lambda old, c, v: both(c != n, old))


# -- Elections -------------------------------------------------------------------------------------
@action
def start_election(s: State, n: Node) -> None:
    """Figure 2, Candidates 1: RequestVote says how long and how new the candidate's log is. A server that is
    in no configuration it knows may stand as well (dissertation 4.2.2)."""
    t, index, term = s.term[n] + 1, s.log_length[n], last_term(s, n)
    election.start_election(s, n)
    s.last_log_index[n, t] = index
    s.last_log_term[n, t] = term


@action
def grant_vote(s: State, voter: Node, candidate: Node, t: Term) -> None:
    """Figure 2, RequestVote receiver 2, second half. Anybody votes for anybody (dissertation 4.1)."""
    theirs_is_newer = s.last_log_term[candidate, t] > last_term(s, voter)
    terms_are_equal = s.last_log_term[candidate, t] == last_term(s, voter)
    theirs_is_as_long = s.last_log_index[candidate, t] >= s.log_length[voter]
    log_is_up_to_date = either(theirs_is_newer, both(terms_are_equal, theirs_is_as_long))  # section 5.4.1
    s.require(log_is_up_to_date)

    election.grant_vote(s, voter, candidate, t)


@action
def become_leader(s: State, n: Node, q: Quorum) -> None:
    """Figure 2, Leaders 1: votes of a quorum of the configuration that the candidate uses."""
    is_a_quorum = s.quorum_of[q, config_of(s, n)]  # dissertation 4.1: the latest configuration in its log
    s.require(is_a_quorum)

    election.become_leader(s, n, q)
    announce_log(s, n)
    remember_election(s, n, lambda i: s.log_term[n, i])


def announce_log(s: State, n: Node) -> None:
    """What the leader of this term may send from now on is the log that it has."""
    t, length = s.term[n], s.log_length[n]
    s.leader_log_length[t] = length
    s.leader_log_term.where(lambda old, u, i: ite(u == t, s.log_term[n, i], old))
    s.leader_log_value.where(lambda old, u, i: ite(u == t, s.log_value[n, i], old))
    s.leader_log_config.where(lambda old, u, i: ite(u == t, s.log_config[n, i], old))
    s.leader_log_since.where(lambda old, u, i: ite(u == t, s.log_since[n, i], old))
    s.leader_commit[t] = s.commit_index[n]
    s.acknowledged[n, t] = length


@action
def restart(s: State, n: Node) -> None:
    """Figure 2, State: the log is persistent, the commit index is not."""
    election.restart(s, n)
    s.commit_index[n] = 0


@action
def give_up(s: State, n: Node) -> None:
    """Dissertation 6.2: a leader that no quorum answers steps down; and a candidate may have lost."""
    stands_or_leads = s.role[n] != FOLLOWER  # Figure 2, Rules for Servers
    s.require(stands_or_leads)

    s.role[n] = FOLLOWER
    s.votes.where(lambda old, c, v: both(c != n, old))


# -- The log ---------------------------------------------------------------------------------------
@action
def client_request(s: State, n: Node, value: Value) -> None:
    """Figure 2, Leaders 2: an entry that changes no configuration."""
    is_leader = s.role[n] == LEADER  # Figure 2, Leaders 2
    s.require(is_leader)

    ground = s.ground[last_term(s, n), s.log_length[n]]
    append(s, n, value, config_of(s, n), since=since_of(s, n), ground=ground)


def append(s: State, n: Node, value: Any, c: Config, since: Index, ground: Index) -> None:
    """One more entry of the leader's term, in its log and in what it may send."""
    t, i = s.term[n], s.log_length[n] + 1
    s.log_length[n] = i
    s.log_term[n, i] = t
    s.log_value[n, i] = value
    s.log_config[n, i] = c
    s.log_since[n, i] = since
    s.leader_log_length[t] = i
    s.leader_log_term[t, i] = t
    s.leader_log_value[t, i] = value
    s.leader_log_config[t, i] = c
    s.leader_log_since[t, i] = since
    s.acknowledged[n, t] = i

    s.value[t, i] = value
    s.config[t, i] = c
    s.since[t, i] = since
    s.ground[t, i] = ground


@action
def append_entries(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index) -> None:
    """Figure 2, AppendEntries RPC: entries prev+1 to last of the leader of t, none against mine."""
    entries_were_sent = sent(s, t, prev, last, commit)  # Figure 2, AppendEntries arguments
    term_is_current = s.term[n] == t  # Figure 2, AppendEntries receiver 1
    is_follower = s.role[n] == FOLLOWER  # Figure 2, Candidates 3
    prefix_matches = matches(s, n, t, prev)  # Figure 2, AppendEntries receiver 2
    nothing_conflicts = no(conflicts(s, n, t, prev, last))  # Figure 2, AppendEntries receiver 3
    s.require(entries_were_sent, term_is_current, is_follower, prefix_matches, nothing_conflicts)

    longer = ite(s.log_length[n] < last, last, s.log_length[n])
    store(s, n, t, prev, last, commit, longer)


@action
def replace_entries(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index) -> None:
    """Figure 2, AppendEntries RPC: one of them conflicts with mine, which goes with all that follow. So
    does its configuration: the server falls back to that of the last entry it keeps."""
    entries_were_sent = sent(s, t, prev, last, commit)  # Figure 2, AppendEntries arguments
    term_is_current = s.term[n] == t  # Figure 2, AppendEntries receiver 1
    is_follower = s.role[n] == FOLLOWER  # Figure 2, Candidates 3
    prefix_matches = matches(s, n, t, prev)  # Figure 2, AppendEntries receiver 2
    something_conflicts = conflicts(s, n, t, prev, last)  # Figure 2, AppendEntries receiver 3
    s.require(entries_were_sent, term_is_current, is_follower, prefix_matches, something_conflicts)

    store(s, n, t, prev, last, commit, last)


def sent(s: State, t: Term, prev: Index, last: Index, commit: Index) -> bool:
    """The leader of t sent its entries prev+1 to last with this leaderCommit, or could have."""
    leader_was_heard = Node.any(lambda leader: s.heartbeat[leader, t])
    return both(leader_was_heard, prev <= last, last <= s.leader_log_length[t], commit <= s.leader_commit[t])


def matches(s: Logs, n: Node, t: Term, prev: Index) -> bool:
    """The log has an entry at prev, and it is the leader's."""
    return both(prev <= s.log_length[n], s.log_term[n, prev] == s.leader_log_term[t, prev])


def conflicts(s: Logs, n: Node, t: Term, prev: Index, last: Index) -> bool:
    """An entry of mine has the same index as a new one and another term."""
    return Index.any(
        lambda i: both(prev < i, i <= last, i <= s.log_length[n], s.log_term[n, i] != s.leader_log_term[t, i])
    )


def store(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index, length: Index) -> None:
    """Figure 2, AppendEntries receiver 4 and 5, and its reply: the leader's entries prev+1 to last."""

    def kept(m: Node, i: Index, old: Any, new: Any, nothing: Any) -> Any:
        is_new = both(prev < i, i <= last)
        return ite(m == n, ite(is_new, new, ite(i <= length, old, nothing)), old)

    s.log_term.where(lambda old, m, i: kept(m, i, old, s.leader_log_term[t, i], 0))
    s.log_value.where(lambda old, m, i: kept(m, i, old, s.leader_log_value[t, i], NIL))
    s.log_config.where(lambda old, m, i: kept(m, i, old, s.leader_log_config[t, i], 0))
    s.log_since.where(lambda old, m, i: kept(m, i, old, s.leader_log_since[t, i], 0))
    s.log_length[n] = length
    s.acknowledged[n, t] = ite(s.acknowledged[n, t] < last, last, s.acknowledged[n, t])
    learn_commit(s, n, t, ite(commit < last, commit, last))


def learn_commit(s: State, n: Node, t: Term, up_to: Index) -> None:
    """Figure 2, AppendEntries receiver 5: the commit index never falls."""
    is_news = s.commit_index[n] < up_to
    s.commit_index[n] = ite(is_news, up_to, s.commit_index[n])
    s.known_by[n] = ite(is_news, s.leader_known_by[t], s.known_by[n])
    s.known_up_to[n] = ite(is_news, s.leader_known_up_to[t], s.known_up_to[n])


@action
def advance_commit(s: State, n: Node, i: Index, q: Quorum) -> None:
    """Figure 2, Leaders 4: a quorum of the configuration that the leader uses stores an entry of its term."""
    is_leader = s.role[n] == LEADER  # Figure 2, Leaders 4
    entry_is_new = both(s.commit_index[n] < i, i <= s.log_length[n])  # Figure 2, Leaders 4: N > commitIndex
    is_a_quorum = s.quorum_of[q, config_of(s, n)]  # dissertation 4.1: the latest configuration in its log
    quorum_stores = acknowledged_by(s, q, s.term[n], i)  # Figure 2, Leaders 4: a majority of matchIndex
    entry_is_own = s.log_term[n, i] == s.term[n]  # section 5.4.2 and Figure 8
    s.require(is_leader, entry_is_new, is_a_quorum, quorum_stores, entry_is_own)

    s.commit_index[n] = i
    s.leader_commit[s.term[n]] = i
    remember_commit(s, n, i, q)


def acknowledged_by(s: Logs, q: Quorum, t: Term, i: Index) -> bool:
    """All of the quorum have stored the log of the leader of t up to i."""
    return Node.all(lambda v: implies(s.member[v, q], i <= s.acknowledged[v, t]))


# -- History: what the proof remembers of an election and of a commit ------------------------------
def remember_election(s: State, n: Node, term_at: Callable[[Index], Any]) -> None:
    """The log with which it was won, what was known, and which entries of earlier leaders it lacks."""
    t, length = s.term[n], s.log_length[n]
    s.base_length[t] = length
    s.leader_known_by[t] = s.known_by[n]
    s.leader_known_up_to[t] = s.known_up_to[n]

    def is_first_to_lack(old: Any, u: Term, i: Index) -> bool:
        lacks = either(length < i, term_at(i) != u)
        return both(u < t, lacks, either(old == 0, t < old))

    s.overtaker.where(lambda old, u, i: ite(is_first_to_lack(old, u, i), t, old))


def remember_commit(s: State, n: Node, i: Index, q: Quorum) -> None:
    """Who committed, in which configuration, and that it is the first commit beyond what was before."""
    t = s.term[n]
    s.known_by[n] = t
    s.known_up_to[n] = i
    s.leader_known_by[t] = t
    s.leader_known_up_to[t] = i
    s.own_commit[t] = i
    s.committed_by[t, i] = q
    s.committed_with[t, i] = config_of(s, n)
    s.next_commit.where(lambda old, u, j: ite(both(u == t, old == 0, j < i), i, old))
    s.next_committing.where(lambda old, u: ite(both(u < t, either(old == 0, t < old)), t, old))


def committed(s: State, t: Term, i: Index) -> bool:
    """The leader of t committed this entry of its own: not only by one that follows it."""
    return s.committed_by[t, i] != NIL


# -- Figure 3. Election safety is the election's -----------------------------------------------------
@invariant
def leader_append_only(s: State, n: Node, i: Index) -> bool:
    """Figure 3: a leader's log is what it has announced in its term, which nothing takes back."""
    t = s.term[n]
    same_length = s.log_length[n] == s.leader_log_length[t]
    same_term = s.log_term[n, i] == s.leader_log_term[t, i]
    in_log = both(i > 0, i <= s.log_length[n])
    return implies(s.role[n] == LEADER, both(same_length, implies(in_log, same_term)))


@theorem
def log_matching(s: State, a: Node, b: Node, i: Index, j: Index) -> bool:
    """Figure 3: logs with an entry of the same index and term are identical up to it."""
    in_both = both(j <= i, i <= s.log_length[a], i <= s.log_length[b])
    same_entry = s.log_term[a, i] == s.log_term[b, i]
    return implies(both(in_both, same_entry), agree(s, a, b, j))


@theorem
def leader_completeness(s: State, n: Node, t: Term, i: Index, j: Index) -> bool:
    """Figure 3: what was committed in a term is in the logs of the leaders of this and all later terms."""
    is_committed = both(committed(s, t, i), t <= s.term[n], j <= i)
    has_it = both(j <= s.log_length[n], s.log_term[n, j] == s.leader_log_term[t, j])
    return implies(both(s.role[n] == LEADER, is_committed), has_it)


@theorem
def state_machine_safety(s: State, a: Node, b: Node, i: Index) -> bool:
    """Figure 3: no two servers apply different entries at the same index."""
    both_may_apply = both(i <= s.commit_index[a], i <= s.commit_index[b])
    return implies(both_may_apply, agree(s, a, b, i))


def agree(s: State, a: Node, b: Node, i: Index) -> bool:
    """Two logs have the same entry at an index: value and configuration too."""
    same_config = both(s.log_config[a, i] == s.log_config[b, i], s.log_since[a, i] == s.log_since[b, i])
    return both(s.log_term[a, i] == s.log_term[b, i], s.log_value[a, i] == s.log_value[b, i], same_config)


# -- What can happen -------------------------------------------------------------------------------
def changed(s: State, t: Term, i: Index) -> bool:
    """The leader of t brought a configuration by its entry at i."""
    return both(i > 0, s.since[t, i] == i)


@witness
def a_configuration_is_changed_twice(s: State, t: Term, i: Index, j: Index) -> bool:
    """A leader has made two changes, and committed both."""
    one = both(changed(s, t, i), i <= s.own_commit[t])
    two = both(i < j, changed(s, t, j), j <= s.own_commit[t])
    return both(one, two)


@witness
def a_change_is_in_effect_before_it_is_committed(s: State, n: Node) -> bool:
    """A leader uses a configuration that nobody has committed."""
    return both(s.role[n] == LEADER, since_of(s, n) > s.commit_index[n])


@witness
def a_change_was_replaced(s: State, n: Node, t: Term, i: Index) -> bool:
    """A server has confirmed a change and has another leader's entry there now."""
    confirmed = both(changed(s, t, i), i <= s.acknowledged[n, t])
    return both(confirmed, i <= s.log_length[n], s.log_term[n, i] > t)


@witness
def a_leader_was_elected_by_a_new_configuration(s: State, n: Node) -> bool:
    """A leader was elected by a quorum that is not one of the initial configuration."""
    t = s.term[n]
    not_initial = Quorum.any(lambda q: both(s.elected_by[t] == q, no(s.quorum_of[q, 0])))
    return both(s.role[n] == LEADER, not_initial)


@witness
def two_leaders_have_different_configurations(s: State, a: Node, b: Node) -> bool:
    """An old leader and a new one use different configurations."""
    both_lead = both(s.role[a] == LEADER, s.role[b] == LEADER, s.term[a] < s.term[b])
    return both(both_lead, config_of(s, a) != config_of(s, b))


@witness
def a_leader_commits_its_own_removal(s: State, n: Node) -> bool:
    """Dissertation 4.2.2: a leader has committed a configuration of its own in which it is no member."""
    t, i = s.term[n], since_of(s, n)
    return both(
        s.role[n] == LEADER, changed(s, t, i), i <= s.own_commit[t], no(votes_in(s, n, config_of(s, n)))
    )


@witness
def a_change_is_finished_by_another_leader(s: State, t: Term, i: Index, u: Term, j: Index) -> bool:
    """A leader brought a configuration, a joint one perhaps; one of a later term went on from there."""
    inherited = both(t < u, changed(s, t, i), s.leader_log_term[u, i] == t, s.own_commit[t] < i)
    from_there = s.leader_log_since[u, s.ground[u, j]] == i
    return both(inherited, changed(s, u, j), from_there)


MODEL = model(
    __name__,
    State,
    extends=election.MODEL,
    without=("quorums_intersect",),
    lemmas=f"{__name__}_lemmas",
    usual={"Index": 2, "Config": 1, "Value": 1},
)
