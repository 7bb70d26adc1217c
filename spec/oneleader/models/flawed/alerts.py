"""The write-up's alerts on leaders, over what a monitoring system sees of a cluster that is sound.

A scrape reads one server's gauges; the next server's may be read much later, or before. An alert is
evaluated over the last scrape of each. Both alerts of the write-up fire while nothing is wrong:

    MultipleLeaders      `count(raft_leader==1) > 1`: an old leader of a lower term has not noticed yet
    LeaderWithoutQuorum  `raft_peers_connected < (raft_peers_total / 2 + 1)`: half of an odd number is no
                         integer there, and an exact quorum of five, which is 3, is below 3.5

Beside each stands what says the same and means it: two servers have led *one* term, by a gauge of the last
term that each has led; and no more than half of the servers are connected, itself among them.
The write-up says not whether `raft_peers_connected` counts the server itself: here it does, and where it
does not the alert fires at one server more than a quorum too.
"""

from __future__ import annotations

from oneleader.language import (
    Fields,
    NumberSort,
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
from oneleader.models.election import Node, Quorum


class Term(NumberSort):
    """Logical time; 0 before the first election."""


class State(Fields):
    """The servers, the network, and the last scrape of each server."""

    member = constant(Node, Quorum)

    term = field(Node, of=Term)
    leads = field(Node, of=bool)  # the gauge raft_leader
    last_led = field(Node, of=Term)  # the gauge of the last term that it has led; 0: absent
    beyond = field(Node, of=bool)  # on the other side of a partition

    saw_leader = field(Node, of=bool)  # raft_leader, as scraped
    saw_led = field(Node, of=Term)  # the last term led, as scraped

    led = field(Node, Term, of=bool)  # who has led which term: what monitoring would like to know


def is_connected(s: State, n: Node, m: Node) -> bool:
    """Nothing stands between the two."""
    return s.beyond[n] == s.beyond[m]


# -- The cluster ---------------------------------------------------------------------------------
@action
def elect(s: State, n: Node, q: Quorum) -> None:
    """Section 5.2: a server stands, gets the votes of a quorum, and leads; the voters follow."""
    is_no_leader = no(s.leads[n])  # Figure 2, Followers 2
    is_voter = s.member[n, q]  # Figure 2, Candidates 1: it votes for itself
    quorum_answers = Node.all(lambda v: implies(s.member[v, q], is_connected(s, n, v)))  # section 5.2
    term_is_newer = Node.all(lambda v: implies(s.member[v, q], s.term[v] <= s.term[n]))  # receiver 1
    s.require(is_no_leader, is_voter, quorum_answers, term_is_newer)

    t = s.term[n] + 1
    s.term.where(lambda old, v: ite(s.member[v, q], t, old))
    s.leads.where(lambda old, v: ite(s.member[v, q], v == n, old))
    s.last_led[n] = t
    s.led[n, t] = True


@action
def step_down(s: State, n: Node, other: Node) -> None:
    """Figure 2, All Servers 2: a server hears of a later term."""
    is_heard = is_connected(s, n, other)  # the network
    term_is_newer = s.term[n] < s.term[other]  # Figure 2, All Servers 2
    s.require(is_heard, term_is_newer)

    s.term[n] = s.term[other]
    s.leads[n] = False


@action
def restart(s: State, n: Node) -> None:
    """A crash: gauges start again."""
    s.leads[n] = False
    s.last_led[n] = 0


@action
def partition(s: State, n: Node) -> None:
    """The server's links fail, or come back."""
    s.beyond[n] = no(s.beyond[n])


@action
def scrape(s: State, n: Node) -> None:
    """The monitoring system reads the gauges of one server."""
    s.saw_leader[n] = s.leads[n]
    s.saw_led[n] = s.last_led[n]


# -- The alerts ----------------------------------------------------------------------------------
def multiple_leaders(s: State) -> bool:
    """`count(raft_leader==1) > 1`."""
    return Node.count(lambda n: s.saw_leader[n]) > 1


def two_leaders_of_one_term(s: State) -> bool:
    """Two servers say that they have led the same term, whenever that was."""
    return Node.any(
        lambda a: Node.any(lambda b: both(a != b, s.saw_led[a] > 0, s.saw_led[a] == s.saw_led[b]))
    )


def connected(s: State, n: Node) -> int:
    """The gauge raft_peers_connected, the server itself counted."""
    return Node.count(lambda m: is_connected(s, n, m))


def leader_without_quorum(s: State, n: Node) -> bool:
    """`raft_leader == 1 and raft_peers_connected < (raft_peers_total / 2 + 1)`, in fractions: twice that."""
    return both(s.leads[n], connected(s, n) + connected(s, n) < Node.count(lambda m: True) + 2)


def leader_without_majority(s: State, n: Node) -> bool:
    """`raft_leader == 1 and raft_members_connected <= raft_members / 2`."""
    return both(s.leads[n], connected(s, n) + connected(s, n) <= Node.count(lambda m: True))


# -- What an alert should mean -------------------------------------------------------------------------
def is_split(s: State) -> bool:
    """Two servers have led one term."""
    return Term.any(lambda t: Node.any(lambda a: Node.any(lambda b: both(a != b, s.led[a, t], s.led[b, t]))))


def reaches_quorum(s: State, n: Node) -> bool:
    """A quorum can hear the server."""
    return Quorum.any(lambda q: Node.all(lambda v: implies(s.member[v, q], is_connected(s, n, v))))


@theorem
def multiple_leaders_is_true(s: State) -> bool:
    """The write-up: where MultipleLeaders fires, two servers have led one term."""
    return implies(multiple_leaders(s), is_split(s))


@theorem
def two_leaders_of_one_term_is_true(s: State) -> bool:
    """As it should be: the same of the last terms led."""
    return implies(two_leaders_of_one_term(s), is_split(s))


@theorem
def leader_without_quorum_is_true(s: State, n: Node) -> bool:
    """The write-up: where LeaderWithoutQuorum fires, the leader reaches no quorum."""
    return implies(leader_without_quorum(s, n), no(reaches_quorum(s, n)))


@theorem
def leader_without_majority_is_true(s: State, n: Node) -> bool:
    """As it should be: the same of half of the servers."""
    return implies(leader_without_majority(s, n), no(reaches_quorum(s, n)))


@theorem
def leader_without_majority_is_complete(s: State, n: Node) -> bool:
    """And nothing is missed: a leader that reaches no quorum is told."""
    return implies(both(s.leads[n], no(reaches_quorum(s, n))), leader_without_majority(s, n))


@witness
def a_leader_is_cut_off(s: State, n: Node) -> bool:
    """A leader reaches no quorum."""
    return both(s.leads[n], no(reaches_quorum(s, n)))


@witness
def two_are_seen_to_lead(s: State, a: Node, b: Node) -> bool:
    """Two gauges of raft_leader are 1."""
    return both(a != b, s.saw_leader[a], s.saw_leader[b])


MODEL = model(__name__, State)
