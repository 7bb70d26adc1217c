"""Changes of membership without a log: MongoDB's protocol (Schultz, Dardik, Tripakis 2021), repaired.

The protocol. A configuration is not an entry of a log: each server holds one, with the term of the leader
that made it and a version, and takes any newer one that it hears of. The term counts first, then the
version. A candidate asks with the configuration that it holds, nobody votes for an older one than it holds
itself, and who wins makes the configuration its own: of its term, with the version that it had. A leader
makes the next version where

- all quorums of the new configuration share a server with all quorums of its own;
- a quorum of its own holds its configuration, and *the same* quorum is in its term.

A configuration is taken only in a term that is reached.

What is repaired. The published specification asks for two quorums, one that holds the configuration and one
that is in the term, and lets a server take a configuration of a term that it has not reached. It draws an
election as one step, and there that is enough. With a request, a vote and a victory as steps of their own it
elects two leaders of one term: see `flawed/logless_published`. This speaks of the published specification
alone: nothing is known here of MongoDB's code, which compares more than the specification does.

Why it works. Two configurations of which some quorums do not meet are never both in use: the older one is
*disabled*, each of its quorums has a server that holds a newer one and votes for no older. And of a vote that
was asked for before: either the configurations meet, or somebody in each quorum will not grant it any more.

Not modelled: the log that MongoDB has beside it, and that what is committed is kept when members change.
"""

from __future__ import annotations

from typing import Any

from oneleader.language import (
    NumberSort,
    action,
    axiom,
    both,
    constant,
    either,
    field,
    implies,
    model,
    no,
    witness,
)
from oneleader.models import election
from oneleader.models.election import CANDIDATE, FOLLOWER, LEADER, Node, Quorum, Term
from oneleader.models.membership import Config


class Version(NumberSort):
    """Of a configuration, within the term of the leader that made it."""


class State(election.State):
    """The election's state, and the configuration that each server holds."""

    quorum_of = constant(Quorum, Config)  # of the sets of members that an operator may ask for

    # Persistent: the term and the version of the configuration that a server holds.
    config_term = field(Node, of=Term)
    config_version = field(Node, of=Version)

    # The network. RequestVote of a candidate in a term: the configuration that it asks with. Heartbeats: the
    # configurations that leaders have made, each with its members.
    asked_term = field(Node, Term, of=Term)
    asked_version = field(Node, Term, of=Version)
    made = field(Term, Version, of=bool)
    members_of = field(Term, Version, of=Config)


def newer(t: Term, v: Version, u: Term, w: Version) -> bool:
    """The configuration of version v of term t is newer than that of w of u."""
    return either(t > u, both(t == u, v > w))


def holds_newer(s: State, n: Node, t: Term, v: Version) -> bool:
    """The server holds a newer configuration."""
    return newer(s.config_term[n], s.config_version[n], t, v)


def is_quorum(s: State, t: Term, v: Version, q: Quorum) -> bool:
    """A configuration was made, and this is a quorum of its members."""
    return both(s.made[t, v], s.quorum_of[q, s.members_of[t, v]])


def of_own(s: State, n: Node, q: Quorum) -> bool:
    """It is a quorum of the configuration that the server holds."""
    return is_quorum(s, s.config_term[n], s.config_version[n], q)


def meet(s: State, p: Quorum, q: Quorum) -> bool:
    """Two quorums share a server."""
    return Node.any(lambda n: both(s.member[n, p], s.member[n, q]))


def all_of(s: State, q: Quorum, says: Any) -> bool:
    """It is true of everybody in the quorum."""
    return Node.all(lambda v: implies(s.member[v, q], says(v)))


@axiom
def majorities_meet(s: State, c: Config, p: Quorum, q: Quorum) -> bool:
    """Any two quorums of one set of members share a server."""
    return implies(both(s.quorum_of[p, c], s.quorum_of[q, c]), meet(s, p, q))


# -- Configurations --------------------------------------------------------------------------------
@action
def bootstrap(s: State, c: Config) -> None:
    """The operator names the first configuration, version 0 of term 0."""
    nothing_was_made = no(s.made[0, 0])  # Init
    s.require(nothing_was_made)

    make(s, 0, 0, c)


def make(s: State, t: Any, v: Any, c: Any) -> None:
    """A configuration with these members, which may be sent from now on."""
    s.made[t, v] = True
    s.members_of[t, v] = c


@action
def change_members(s: State, n: Node, c: Config, q: Quorum) -> None:
    """Reconfig: the leader makes the next version."""
    is_leader = s.role[n] == LEADER  # Reconfig: only leaders make configurations
    is_a_quorum = of_own(s, n, q)  # Reconfig: of its own configuration
    config_is_on_quorum = all_of(s, q, lambda v: holds_the_same(s, n, v))  # Reconfig, ConfigQuorumCheck
    term_is_on_quorum = all_of(
        s, q, lambda v: s.term[v] == s.term[n]
    )  # Reconfig, TermQuorumCheck: the same one
    quorums_meet = all_meet(s, n, c)  # Reconfig, QuorumsOverlap
    s.require(is_leader, is_a_quorum, config_is_on_quorum, term_is_on_quorum, quorums_meet)

    v = s.config_version[n] + 1
    s.config_version[n] = v
    make(s, s.config_term[n], v, c)


def holds_the_same(s: State, a: Node, b: Node) -> bool:
    """Two servers hold the same configuration."""
    return both(s.config_term[a] == s.config_term[b], s.config_version[a] == s.config_version[b])


def all_meet(s: State, n: Node, c: Config) -> bool:
    """Each quorum of the server's configuration shares a server with each of these members."""
    return Quorum.all(
        lambda p: Quorum.all(lambda q: implies(both(of_own(s, n, p), s.quorum_of[q, c]), meet(s, p, q)))
    )


@action
def take_config(s: State, n: Node, t: Term, v: Version) -> None:
    """SendConfig: a server takes a newer configuration, from any sender and however late."""
    config_was_made = s.made[t, v]  # SendConfig
    is_follower = s.role[n] == FOLLOWER  # SendConfig: leaders make their own
    config_is_newer = newer(t, v, s.config_term[n], s.config_version[n])  # SendConfig, NewerConfig
    term_is_reached = t <= s.term[n]  # not published: the heartbeat's term is adopted first
    s.require(config_was_made, is_follower, config_is_newer, term_is_reached)

    s.config_term[n] = t
    s.config_version[n] = v


# -- Elections -------------------------------------------------------------------------------------
@action
def start_election(s: State, n: Node) -> None:
    """Figure 2, Candidates 1: RequestVote says with which configuration the candidate asks."""
    t, config_term, config_version = s.term[n] + 1, s.config_term[n], s.config_version[n]
    election.start_election(s, n)
    s.asked_term[n, t] = config_term
    s.asked_version[n, t] = config_version


@action
def grant_vote(s: State, voter: Node, candidate: Node, t: Term) -> None:
    """CanVoteForConfig: nobody votes for an older configuration than it holds."""
    asked_term, asked_version = s.asked_term[candidate, t], s.asked_version[candidate, t]
    config_is_as_new = no(holds_newer(s, voter, asked_term, asked_version))  # CanVoteForConfig
    s.require(config_is_as_new)

    election.grant_vote(s, voter, candidate, t)


@action
def become_leader(s: State, n: Node, q: Quorum) -> None:
    """BecomeLeader: votes of a quorum of the configuration that it holds, which becomes one of its term."""
    is_a_quorum = of_own(s, n, q)  # BecomeLeader
    s.require(is_a_quorum)

    t, u, v = s.term[n], s.config_term[n], s.config_version[n]
    election.become_leader(s, n, q)
    s.config_term[n] = t
    make(s, t, v, s.members_of[u, v])


# -- What can happen -------------------------------------------------------------------------------
@witness
def a_leader_changed_members(s: State, n: Node) -> bool:
    """A leader has made a configuration of its own, and a quorum of that holds it."""
    others_hold_it = Quorum.any(
        lambda q: both(of_own(s, n, q), all_of(s, q, lambda v: holds_the_same(s, n, v)))
    )
    return both(s.role[n] == LEADER, s.config_version[n] > 0, others_hold_it)


@witness
def a_change_was_lost(s: State, n: Node, t: Term, v: Version) -> bool:
    """A leader has made a configuration, and a later leader's first one is of an older version."""
    is_later = both(s.role[n] == LEADER, t < s.term[n], s.asked_version[n, s.term[n]] < v)
    return both(is_later, t > 0, s.made[t, v])


@witness
def a_vote_for_an_older_configuration(s: State, n: Node) -> bool:
    """A candidate cannot win any more with the configuration that it holds: a newer one has disabled it."""
    t, v = s.config_term[n], s.config_version[n]
    is_disabled = Quorum.all(
        lambda q: implies(of_own(s, n, q), Node.any(lambda m: both(s.member[m, q], holds_newer(s, m, t, v))))
    )
    return both(s.role[n] == CANDIDATE, s.made[t, v], is_disabled)


MODEL = model(
    __name__,
    State,
    extends=election.MODEL,
    without=("quorums_intersect", "a_split_vote"),
    lemmas=f"{__name__}_lemmas",
    usual={"Version": 1, "Config": 1},
)
