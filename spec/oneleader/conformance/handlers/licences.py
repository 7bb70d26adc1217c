"""What a message may say: what has to stand in the model's network, and in its ghosts, for each field of it.

`coupling` asks this of every message that a server sends, and knows it of every message that arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import z3

from oneleader.conformance.handlers.clusters import Fact
from oneleader.conformance.handlers.paths import term_of
from oneleader.models.election import Node as NodeSort
from oneleader.readers.prove.algebra import SymbolicState
from oneleader_raft.raft import (
    AppendEntries,
    AppendReply,
    InstallSnapshot,
    PreVoteReply,
    RequestPreVote,
    RequestVote,
    TimeoutNow,
    VoteReply,
)

if TYPE_CHECKING:
    from oneleader.conformance.handlers.coupling import Coupling

Licence: TypeAlias = Iterator[Fact]


def request_vote(c: Coupling, state: SymbolicState, m: RequestVote, to: Any) -> Licence:
    candidate, t = c.cluster.node(m.candidate_id), term_of(m.term)
    yield "a candidate asked", state["requested"](candidate, t)
    if c.name == "pre_vote":
        yield "of a term that it reached", c.cluster.both(t > 0, t <= state["term"](candidate))
        yield "nobody hands over", m.forced_by is None
    if c.has("last_log_index"):
        yield "its log", state["last_log_index"](candidate, t) == term_of(m.last_log_index)
        yield "its log", state["last_log_term"](candidate, t) == term_of(m.last_log_term)
    if c.name == "lease" and m.forced_by is not None:
        leader = c.value(NodeSort, m.forced_by)
        yield "a leader asked it to", state["forced"](leader, candidate, t)


def request_pre_vote(c: Coupling, state: SymbolicState, m: RequestPreVote, to: Any) -> Licence:
    if c.name == "pre_vote":
        yield "a server asked", state["pre_requested"](c.cluster.node(m.candidate_id), term_of(m.term))


def _tells_term(c: Coupling, state: SymbolicState, t: Any, to: Any) -> Licence:
    yield "its term is known", c.term_is_known(state, t)
    if c.name == "pre_vote":
        yield "it was told", state["told"](to, t)


def vote_reply(c: Coupling, state: SymbolicState, m: VoteReply, to: Any) -> Licence:
    if not m.vote_granted:
        yield from _tells_term(c, state, term_of(m.term), to)
        return
    t = term_of(m.term)
    yield "the vote was granted", state["granted"](c.cluster.node(m.voter_id), t, to)
    yield "its term is known", c.term_is_known(state, t)
    if c.name == "pre_vote":
        yield "of a term that it reached", t <= state["term"](to)


def pre_vote_reply(c: Coupling, state: SymbolicState, m: PreVoteReply, to: Any) -> Licence:
    if not m.vote_granted:
        yield from _tells_term(c, state, term_of(m.term), to)
    elif c.name == "pre_vote":
        yield (
            "the pre-vote was granted",
            state["pre_granted"](c.cluster.node(m.voter_id), term_of(m.term), to),
        )


def append_entries(c: Coupling, state: SymbolicState, m: AppendEntries, to: Any) -> Licence:
    cluster, t, prev = c.cluster, term_of(m.term), c.cluster.integer(m.prev_log_index)
    yield from _of_leader_itself(c, state, m)
    if not c.has("leader_log_length"):
        return
    for fact in cluster.each_entry(
        m.entries, prev, lambda i, term, value: cluster.both(term >= 1, term <= t), *_of_leader(c, state, t)
    ):
        yield "its entries are of its term or before", fact
    if not c.has("leader_snapshot"):
        yield "nothing is before index 1", z3.Implies(prev == 0, cluster.integer(m.prev_log_term) == 0)
    yield from _is_of_log(c, state, m, prev, to)


def _of_leader_itself(c: Coupling, state: SymbolicState, m: AppendEntries | InstallSnapshot) -> Licence:
    """It is from the leader of its term, in a round that was sent."""
    cluster, leader, t = c.cluster, c.cluster.node(m.leader_id), term_of(m.term)
    yield "a leader sent it", state["heartbeat"](leader, t)
    yield "its term is known", cluster.both(t > 0, c.term_is_known(state, t))
    if c.is_premise:
        for fact in cluster.each_server(
            lambda v: c.invariant("election_safety", state, t=t, a=v, b=leader),
            lambda v: state["heartbeat"](v, t),
        ):
            yield "theorem", fact
    if c.name == "pre_vote":
        yield "in a round", term_of(m.round.number) >= 1
    if c.name == "lease":
        yield "the round was sent", state["sent"](leader, t, cluster.integer(m.round.number))
        yield "when it was sent", c.round_was_sent_at(state, leader, t, m.round)


def _of_leader(c: Coupling, state: SymbolicState, t: Any) -> list[Callable[[Any], Any]]:
    """By an index: the entry in the log of the leader of t."""
    fields = ("leader_log_term", "leader_log_value")
    return [lambda i, read=state[field]: read(t, i) for field in fields]  # type: ignore[misc]


def _is_of_log(c: Coupling, state: SymbolicState, m: AppendEntries, prev: Any, to: Any) -> Licence:
    """What it holds stands in the log of the leader of its term."""
    cluster, t = c.cluster, term_of(m.term)
    sort = c.model.fields["log_value"].of
    terms, values = _of_leader(c, state, t)
    yield "its log is as long", prev + cluster.length(m.entries) <= state["leader_log_length"](t)
    yield "what is before", terms(prev) == cluster.integer(m.prev_log_term)
    for fact in cluster.each_entry(
        m.entries,
        prev,
        lambda i, term, value: cluster.both(terms(i) == term, values(i) == cluster.logged(sort, value)),
        terms,
        values,
    ):
        yield "its entries", fact
    if cluster.has_changes:
        yield from _brings_configurations(c, state, m, prev)
    if c.is_premise and not c.has("leader_snapshot"):
        for fact in cluster.each_entry(
            m.entries,
            prev,
            lambda i, term, value: c.invariant("leader_log_is_a_leaders", state, u=t, i=i, j=i),
            terms,
        ):
            yield "invariant", fact
    yield "what is committed", term_of(m.leader_commit) <= state["leader_commit"](t)
    if c.has("leader_snapshot"):
        yield "the leader has what it sends", state["leader_snapshot"](t) <= prev
    if c.is_premise and c.has("leader_snapshot"):
        for fact in cluster.each_index(
            m.entries, prev, lambda i: c.invariant("a_leaders_entry_is_as_created", state, u=t, i=i), terms
        ):
            yield "invariant", fact
        yield from _knows_what_is_committed(c, state, m, to, [])


def _brings_configurations(c: Coupling, state: SymbolicState, m: AppendEntries, prev: Any) -> Licence:
    """An entry brings a configuration, or goes on with that of the entry before."""
    t = term_of(m.term)
    configs, since = (partial(state[f"leader_log_{what}"], t) for what in ("config", "since"))
    for fact in c.cluster.brought(c.path, m.entries, prev, configs, since, configs, since):
        yield "its configurations", fact
    if c.is_premise:
        for fact in c.cluster.each_index(
            m.entries,
            prev,
            lambda i: c.invariant("a_leaders_entry_is_as_created", state, u=t, i=i),
            *(partial(state[f"leader_log_{what}"], t) for what in ("term", "config", "since")),
        ):
            yield "invariant", fact


def install_snapshot(c: Coupling, state: SymbolicState, m: InstallSnapshot, to: Any) -> Licence:
    t, k = term_of(m.term), c.cluster.integer(m.snapshot.index)
    yield from _of_leader_itself(c, state, m)
    if not c.has("leader_snapshot"):
        return
    its_term = c.cluster.integer(m.snapshot.term)
    yield "it stands for entries of its term or before", c.cluster.both(k >= 1, its_term >= 1, its_term <= t)
    has_it = c.cluster.both(state["leader_snapshot"](t) <= k, k <= state["leader_commit"](t))
    yield "the leader has it", has_it
    yield "its last entry", state["leader_log_term"](t, k) == its_term
    if c.cluster.has_changes:
        since, number = c.cluster.as_of_snapshot(m.snapshot)
        yield "its configuration", since <= k
        yield "its configuration", state["leader_log_config"](t, k) == number
        yield "its configuration", state["leader_log_since"](t, k) == since
    if c.is_premise:
        yield "invariant", c.invariant("leader_commit_is_known", state, u=t)
        yield from _knows_what_is_committed(c, state, m, to, [k])


def _knows_what_is_committed(
    c: Coupling, state: SymbolicState, m: AppendEntries | InstallSnapshot, to: Any, indices: list[Any]
) -> Licence:
    """What the model proves where what the receiver has of the log is committed, and the message may not say
    so any more: at the index of its snapshot and at these."""
    t = term_of(m.term)
    yield "invariant", c.invariant("nothing_before_the_first_entry", state, n=to, t=t)
    yield "invariant", c.invariant("elected_by_some_quorum", state, n=c.cluster.node(m.leader_id), t=t)
    for i in [state["snapshot_index"](to), *indices]:
        yield "theorem", c.invariant("what_is_known_is_in_later_leader_logs", state, n=to, u=t, i=i)
        yield "invariant", c.invariant("a_leaders_entry_is_as_created", state, u=t, i=i)
        yield "invariant", c.invariant("an_entry_is_as_created", state, n=to, i=i)


def append_reply(c: Coupling, state: SymbolicState, m: AppendReply, to: Any) -> Licence:
    follower, t, cluster = c.cluster.node(m.follower_id), term_of(m.term), c.cluster
    number = cluster.integer(m.round.number)
    is_answer = number != 0
    yield "its term is known", c.term_is_known(state, t)
    if c.name == "pre_vote":
        yield "an answer to a leader", z3.Implies(is_answer, state["heartbeat"](to, t))
        yield "it was told", z3.Or(is_answer, state["told"](to, t))
        yield "it heard the leader", z3.Implies(is_answer, state["replied"](follower, t))
    if c.has("leader_log_length") and m.success:
        stored = state["acknowledged"](follower, t)
        if not c.has("leader_snapshot"):  # so nobody else wins t, and begins to store another log in it
            yield "an answer to a leader", state["heartbeat"](to, t)
        yield "it stores as much", term_of(m.index) <= stored
        yield "and the leader has as much", term_of(m.index) <= state["leader_log_length"](t)
    if c.name == "lease":
        answered = cluster.both(state["sent"](to, t, number), state["acknowledged"](follower, to, t, number))
        yield "it promised", z3.Implies(is_answer, answered)
        yield "when it was asked", z3.Implies(is_answer, c.round_was_sent_at(state, to, t, m.round))


def timeout_now(c: Coupling, state: SymbolicState, m: TimeoutNow, to: Any) -> Licence:
    """`pre_vote` is not asked about what follows: it knows nobody who is told to stand."""
    t = term_of(m.term)
    if c.name != "pre_vote":
        yield "its term is known", c.term_is_known(state, t)
    if c.name == "lease":
        yield "a leader asked", state["timeout_now"](c.cluster.node(m.leader_id), to, t + 1)


LICENCES: dict[type, Callable[[Coupling, SymbolicState, Any, Any], Licence]] = {
    RequestVote: request_vote,
    RequestPreVote: request_pre_vote,
    VoteReply: vote_reply,
    PreVoteReply: pre_vote_reply,
    AppendEntries: append_entries,
    AppendReply: append_reply,
    InstallSnapshot: install_snapshot,
    TimeoutNow: timeout_now,
}
