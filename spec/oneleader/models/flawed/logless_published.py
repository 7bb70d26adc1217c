"""The logless protocol as its specification publishes it: two leaders of one term, once votes are messages.

Reconfig asks that a quorum holds the leader's configuration (ConfigQuorumCheck) and that a quorum is in its
term (TermQuorumCheck), each of some quorum of its own; and SendConfig asks only that a configuration is
newer. In the published specification an election is one step: nobody has voted in a term before it has a
leader. Where a vote is a step of its own, a voter of a later term counts for the one quorum, as it holds the
configuration, and no longer for the other, which others make up. Its vote was for an older configuration, and
elects a leader that knows of no change.

This is about the published specification (Schultz, Dardik, Tripakis: Design and Analysis of a Logless
Dynamic Reconfiguration Protocol, 2021), whose properties hold of it as it is drawn. Nothing was seen of
MongoDB's code.
"""

from __future__ import annotations

from oneleader.language import action, both, model
from oneleader.models import logless
from oneleader.models.election import FOLLOWER, LEADER, Node, Quorum, Term
from oneleader.models.logless import (
    State,
    Version,
    all_meet,
    all_of,
    holds_the_same,
    make,
    newer,
    of_own,
)
from oneleader.models.membership import Config


@action
def change_members(s: State, n: Node, c: Config, q: Quorum, r: Quorum) -> None:
    """Reconfig: one quorum holds the configuration, and another is in the term."""
    is_leader = s.role[n] == LEADER  # Reconfig: only leaders make configurations
    are_quorums = both(of_own(s, n, q), of_own(s, n, r))  # Reconfig: of its own configuration
    config_is_on_quorum = all_of(s, q, lambda v: holds_the_same(s, n, v))  # Reconfig, ConfigQuorumCheck
    term_is_on_quorum = all_of(s, r, lambda v: s.term[v] == s.term[n])  # TermQuorumCheck: of another one
    quorums_meet = all_meet(s, n, c)  # Reconfig, QuorumsOverlap
    s.require(is_leader, are_quorums, config_is_on_quorum, term_is_on_quorum, quorums_meet)

    v = s.config_version[n] + 1
    s.config_version[n] = v
    make(s, s.config_term[n], v, c)


@action
def take_config(s: State, n: Node, t: Term, v: Version) -> None:
    """SendConfig: whatever term the server is in."""
    config_was_made = s.made[t, v]  # SendConfig
    is_follower = s.role[n] == FOLLOWER  # SendConfig: leaders make their own
    config_is_newer = newer(t, v, s.config_term[n], s.config_version[n])  # SendConfig, NewerConfig
    s.require(config_was_made, is_follower, config_is_newer)

    s.config_term[n] = t
    s.config_version[n] = v


MODEL = model(__name__, State, extends=logless.MODEL)
