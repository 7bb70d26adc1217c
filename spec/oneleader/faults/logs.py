"""Faults of logs: what is appended, what is committed, and which log may lead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from immutables import Map

from oneleader.conformance.reference.patch import changed, patched, restarting, took
from oneleader.faults.fault import NO_TRACE, NOT_WRITTEN, Because, core_fault, fault
from oneleader.language import action, both, either, ite, no
from oneleader.language.model import Model
from oneleader.models import election, replication
from oneleader.models.election import FOLLOWER, Node, Term
from oneleader.models.replication import Index, State
from oneleader_raft import raft, state_machine
from oneleader_raft.core import Core
from oneleader_raft.raft import (
    AppendEntries,
    AppendReply,
    Event,
    RequestPreVote,
    RequestVote,
    Role,
    Step,
    Store,
)
from oneleader_raft.state_machine import StateMachine

ONE = {"Node": 1, "Quorum": 1, "Value": 1, "Term": 1, "Index": 1}
LC, SMS = "Leader Completeness", "State Machine Safety"


# --- Who may lead -----------------------------------------------------------------------------------------


@fault(
    "a vote for any log",
    sources="the reason for RequestVote receiver 2, section 5.4.1",
    breaks=LC,
    base=replication.MODEL,
    sizes={"Node": 3, "Term": 2, "Index": 1, "Value": 1},
    explore=("state_machine_safety", 19),
    prove=("grant_vote", "choosable_is_a_candidates"),
    fails_at={"Node": 2, "Quorum": 1, "Value": 1, "Term": 2, "Index": 1},
    tlc="MCReplication_bug_any_log.cfg",
)
def any_log_wins(m: Model) -> Model:
    """A voter does not compare logs: a server without the committed entries leads, and overwrites them."""
    return m.without_guard("grant_vote", "log_is_up_to_date")


@any_log_wins.core(
    replay="campaign n1 n2; trip n1 n2; campaign n3 n2; campaign n3 n2",
    refused="replication: grant_vote, log_is_up_to_date",
    begin="campaign n1 n2; trip n1 n2",
)
def _() -> Core:
    def is_up_to_date(node: raft.Node, m: RequestPreVote | RequestVote) -> bool:
        return True

    return patched(is_up_to_date)


@fault(
    "a vote denied only to a log that is older and shorter",
    sources="liferaft#8",
    breaks=LC,
    base=replication.MODEL,
    sizes={"Node": 3, "Term": 2, "Index": 2, "Value": 1},
    explore=("choosable_is_a_candidates", 12),
    prove=("grant_vote", "choosable_is_a_candidates"),
    fails_at={"Node": 2, "Quorum": 1, "Value": 1, "Term": 2, "Index": 2},
    tlc=NOT_WRITTEN,
)
def shorter_log_wins(m: Model) -> Model:
    """Of two logs with the same last term the shorter one wins as well, without what the longer one has."""

    @action
    def grant_vote(s: State, voter: Node, candidate: Node, t: Term) -> None:
        is_as_new = s.last_log_term[candidate, t] >= replication.last_term(s, voter)
        is_as_long = s.last_log_index[candidate, t] >= s.log_length[voter]
        either_will_do = either(is_as_new, is_as_long)  # the fault: section 5.4.1 asks for more
        s.require(either_will_do)

        election.grant_vote(s, voter, candidate, t)

    return m.with_action(grant_vote)


@shorter_log_wins.core(
    replay="campaign n1 n2; sync n1 n3; propose n1; trip n1 n2; campaign n3 n2",
    refused="replication: grant_vote, log_is_up_to_date",
)
def _() -> Core:
    def is_up_to_date(node: raft.Node, m: RequestPreVote | RequestVote) -> bool:
        return m.last_log_term >= node.last_term or m.last_log_index >= node.last_index

    return patched(is_up_to_date)


# --- What is committed ------------------------------------------------------------------------------------


@fault(
    "an entry of an older term is committed by counting",
    sources="logcabin#44, PySyncObj#169: Figure 8",
    breaks=LC,
    base=replication.MODEL,
    sizes={"Node": 2, "Term": 2, "Index": 1, "Value": 1},
    explore=("committed_by_quorum", 16),
    prove=("advance_commit", "committed_by_quorum"),
    fails_at={"Node": 1, "Quorum": 1, "Value": 1, "Term": 2, "Index": 1},
    tlc="MCReplication_bug_commits_old_terms.cfg",
)
def commits_old_terms(m: Model) -> Model:
    """A leader commits an entry of an older term because a majority stores it; a server with a newer entry
    may still be elected by that majority, and overwrite it. (The harm takes four terms; what explore shows is
    the rule behind Leader Completeness, broken as soon as such an entry is committed.)"""
    return m.without_guard("advance_commit", "entry_is_own")


@commits_old_terms.core(
    replay="campaign n1 n2; propose n1; timeout n1; campaign n1 n2; sync n1 n2; trip n1 n2",
    refused="replication: advance_commit, entry_is_own",
)
def _() -> Core:
    """It appends no entry of its own when it is elected: the reference does, and sends it with all before it,
    which hides this fault."""

    def become_leader(node: raft.Node, now: int) -> Step:
        progress = dict.fromkeys(node.peers, raft.Progress(node.last_index + 1))
        leadership = raft.Leadership(now, 0, progress)
        elected = replace(node, role=Role.LEADER, leader_id=node.id, leadership=leadership)
        how = raft.action("become_leader", n=node.id, q=tuple(sorted(node.votes)))
        return Step(elected, (how,)).then(lambda node: raft.broadcast(node, now))

    def advance_commit(node: raft.Node) -> Step:
        i = raft.reached_by_majority(node, node.last_index, raft.stored)
        if i <= node.commit_index:
            return Step(node)
        storing = raft.reaching(node, node.last_index, raft.stored, i)
        committed = raft.action("advance_commit", n=node.id, i=i, q=tuple(sorted(storing)))
        return Step(replace(node, commit_index=i), (committed,))

    return patched(become_leader, advance_commit)


@fault(
    "a leader commits what it has alone",
    sources="the reason for Leaders 4",
    breaks=LC,
    base=replication.MODEL,
    sizes={"Node": 3, "Term": 2, "Index": 1, "Value": 1},
    explore=("leader_completeness", 14),
    prove=("advance_commit", "committed_by_quorum"),
    fails_at=ONE,
    tlc="MCReplication_bug_commit_alone.cfg",
)
def commits_alone(m: Model) -> Model:
    """The leader's own log is enough to commit an entry."""
    return m.without_guard("advance_commit", "quorum_stores")


@commits_alone.core(replay="campaign n1 n2", refused="replication: advance_commit, quorum_stores")
def _() -> Core:
    def reached_by_majority(node: raft.Node, own: int, of: Any) -> int:
        return own if own == node.last_index else correct(node, own, of)

    correct = raft.reached_by_majority
    return patched(reached_by_majority)


@fault(
    "an answer to a heartbeat is taken for a match",
    sources="ratis PR#1519",
    breaks=SMS,
    base=replication.MODEL,
    sizes={"Node": 2, "Term": 1, "Index": 1, "Value": 1},
    explore=("choosable_is_kept", 8),
    prove=("append_entries", "choosable_is_kept"),
    fails_at=ONE,
    tlc=NOT_WRITTEN,
)
def heartbeat_is_a_match(m: Model) -> Model:
    """A leader takes the answer to a heartbeat to say that the whole log is there."""

    @action
    def append_entries(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index) -> None:
        entries_were_sent = replication.sent(s, t, prev, last, commit)  # Figure 2, AppendEntries arguments
        term_is_current = s.term[n] == t  # Figure 2, AppendEntries receiver 1
        is_follower = s.role[n] == FOLLOWER  # Figure 2, Candidates 3
        prefix_matches = replication.matches(s, n, t, prev)  # Figure 2, AppendEntries receiver 2
        s.require(entries_were_sent, term_is_current, is_follower, prefix_matches)

        s.acknowledged[n, t] = s.leader_log_length[t]  # the fault: no more than `last` was matched

    return m.with_action(append_entries)


@heartbeat_is_a_match.core(
    replay="campaign n1 n2; propose n1; trip n1 n2 1",
    refused="replication: advance_commit, quorum_stores",
    begin="campaign n1 n2; propose n1",
)
def _() -> Core:
    correct = raft.on_append_reply

    def on_append_reply(node: raft.Node, m: AppendReply) -> Step:
        return correct(node, replace(m, index=node.last_index) if m.success else m)

    return patched(on_append_reply)


# --- What a follower does with entries --------------------------------------------------------------------


def keep(s: State, n: Node, t: Term, prev: Index, last: Index) -> Any:
    """The effects of an AppendEntries without a conflict, but for the commit index; the length of the log."""

    def is_new(m: Node, i: Index) -> bool:
        return both(m == n, prev < i, i <= last)

    length = ite(s.log_length[n] < last, last, s.log_length[n])
    acknowledged = ite(s.acknowledged[n, t] < last, last, s.acknowledged[n, t])
    s.log_term.where(lambda old, m, i: ite(is_new(m, i), s.leader_log_term[t, i], old))
    s.log_value.where(lambda old, m, i: ite(is_new(m, i), s.leader_log_value[t, i], old))
    s.log_length[n] = length
    s.acknowledged[n, t] = acknowledged
    return length


@fault(
    "a follower cuts its log off without a conflict",
    sources="raftos#26: a delayed, shorter AppendEntries",
    breaks=LC,
    base=replication.MODEL,
    sizes={"Node": 2, "Term": 1, "Index": 1, "Value": 1},
    explore=("commit_index_is_committed", 11),
    prove=("append_entries", "choosable_is_kept"),
    fails_at=ONE,
    tlc="MCReplication_bug_truncate_always.cfg",
)
def truncates_always(m: Model) -> Model:
    """Every AppendEntries ends the log, though nothing in it conflicts: a late, short one takes entries back
    that the follower has confirmed."""

    @action
    def append_entries(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index) -> None:
        entries_were_sent = replication.sent(s, t, prev, last, commit)  # Figure 2, AppendEntries arguments
        term_is_current = s.term[n] == t  # Figure 2, AppendEntries receiver 1
        is_follower = s.role[n] == FOLLOWER  # Figure 2, Candidates 3
        prefix_matches = replication.matches(s, n, t, prev)  # Figure 2, AppendEntries receiver 2
        s.require(entries_were_sent, term_is_current, is_follower, prefix_matches)

        replication.store(s, n, t, prev, last, commit, last)  # the fault: no more than `last` is kept

    return m.with_action(append_entries)


@truncates_always.core(replay="succeed n1 n2", refused="replication: state")
def _() -> Core:
    correct = raft.store_entries

    def store_entries(node: raft.Node, m: AppendEntries) -> Step:
        taken = correct(node, m)
        matched = took(taken, "append_entries", "replace_entries")
        kept = m.prev_log_index - node.snapshot.index
        return changed(taken, log=node.log[:kept] + m.entries) if matched and kept >= 0 else taken

    return patched(store_entries)


@fault(
    "entries are appended whatever is before them",
    sources="the reason for AppendEntries receiver 2",
    breaks=SMS,
    base=replication.MODEL,
    sizes={"Node": 3, "Term": 2, "Index": 2, "Value": 1},
    explore=("log_matching", 9),
    prove=("append_entries", "log_is_a_leaders"),
    fails_at=ONE,
    tlc="MCReplication_bug_no_prefix_check.cfg",
)
def no_prefix_check(m: Model) -> Model:
    """A follower does not compare the entry before the new ones."""
    return m.without_guard("append_entries", "prefix_matches")


@no_prefix_check.core(replay="campaign n2 n3; sync n2 n1; succeed n1 n3", refused="replication: state")
def _() -> Core:
    correct = raft.store_entries

    def store_entries(node: raft.Node, m: AppendEntries) -> Step:
        prev = min(m.prev_log_index, node.last_index)
        return correct(node, replace(m, prev_log_index=prev, prev_log_term=node.term_at(prev)))

    return patched(store_entries)


@fault(
    "a follower's commit index falls",
    sources="PySyncObj#166: not the maximum of both",
    breaks="monotonicity",
    base=replication.MODEL,
    sizes={"Node": 2, "Term": 1, "Index": 1, "Value": 1},
    explore=("claim", 10),
    prove=("append_entries", "claim 1"),
    fails_at=ONE,
    tlc="MCReplication_bug_commit_falls.cfg",
)
def commit_index_falls(m: Model) -> Model:
    """A follower takes over the leader's commit index, though its own is greater."""

    @action
    def append_entries(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index) -> None:
        entries_were_sent = replication.sent(s, t, prev, last, commit)  # Figure 2, AppendEntries arguments
        term_is_current = s.term[n] == t  # Figure 2, AppendEntries receiver 1
        is_follower = s.role[n] == FOLLOWER  # Figure 2, Candidates 3
        prefix_matches = replication.matches(s, n, t, prev)  # Figure 2, AppendEntries receiver 2
        s.require(entries_were_sent, term_is_current, is_follower, prefix_matches)
        up_to = ite(commit < last, commit, last)
        s.claim(s.commit_index[n] <= up_to)  # monotonicity

        keep(s, n, t, prev, last)
        s.commit_index[n] = up_to  # the fault: receiver 5 is "if leaderCommit > commitIndex"

    return m.with_action(append_entries)


@commit_index_falls.core(
    replay="campaign n2 n3; sync n2 n3; propose n2; campaign n2 n3", refused="replication: state"
)
def _() -> Core:
    correct = raft.store_entries

    def store_entries(node: raft.Node, m: AppendEntries) -> Step:
        taken = correct(node, m)
        up_to = min(m.leader_commit, m.prev_log_index + len(m.entries))
        stored = took(taken, "append_entries", "replace_entries")
        return changed(taken, commit_index=up_to) if stored else taken

    return patched(store_entries)


@fault(
    "a follower commits beyond what it was sent",
    sources='the reason for "min(leaderCommit, index of last new entry)", AppendEntries receiver 5',
    breaks=SMS,
    base=replication.MODEL,
    sizes={"Node": 2, "Term": 2, "Index": 1, "Value": 1},
    quorums="n2, n1 n2",
    explore=("state_machine_safety", 13),
    prove=("append_entries", "log_is_committed"),
    fails_at={"Node": 2, "Quorum": 1, "Value": 1, "Term": 2, "Index": 1},
    tlc="MCReplication_bug_commit_as_told.cfg",
)
def commit_as_told(m: Model) -> Model:
    """A follower takes the leader's commit index as it is: behind the new entries it may have
    others, of an old term."""

    @action
    def append_entries(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index) -> None:
        entries_were_sent = replication.sent(s, t, prev, last, commit)  # Figure 2, AppendEntries arguments
        term_is_current = s.term[n] == t  # Figure 2, AppendEntries receiver 1
        is_follower = s.role[n] == FOLLOWER  # Figure 2, Candidates 3
        prefix_matches = replication.matches(s, n, t, prev)  # Figure 2, AppendEntries receiver 2
        nothing_conflicts = no(replication.conflicts(s, n, t, prev, last))  # AppendEntries receiver 3
        s.require(entries_were_sent, term_is_current, is_follower, prefix_matches, nothing_conflicts)

        length = keep(s, n, t, prev, last)
        reached = ite(commit < length, commit, length)  # the fault: not `last`
        s.commit_index[n] = ite(s.commit_index[n] < reached, reached, s.commit_index[n])

    return m.with_action(append_entries)


# --- What survives a crash --------------------------------------------------------------------------------


@fault(
    "a crash takes entries",
    sources="Figure 2, State: the log is persistent; the write that was not synced",
    breaks=SMS,
    base=replication.MODEL,
    sizes={"Node": 2, "Term": 1, "Index": 1, "Value": 1},
    explore=("choosable_is_kept", 8),
    prove=("restart", "choosable_is_kept"),
    fails_at=ONE,
    tlc="MCReplication_bug_volatile_log.cfg",
)
def forgets_its_log(m: Model) -> Model:
    """A server that restarts has lost what it has confirmed to be stored."""

    @action
    def restart(s: State, n: Node) -> None:
        election.restart(s, n)
        s.commit_index[n] = 0
        s.log_length[n] = 0
        s.log_term.where(lambda old, m, i: ite(m == n, 0, old))

    return m.with_action(restart)


@forgets_its_log.core(
    replay="campaign n1 n2; trip n1 n2; crash n2; restart n2",
    refused="replication: state",
    begin="campaign n1 n2; trip n1 n2",
)
def _() -> Core:
    return restarting(lambda durable: replace(durable, log=durable.log[: max(len(durable.log) - 1, 0)]))


@core_fault(
    "answered before it was stored",
    sources="Figure 2, persistent state: updated on stable storage before responding to RPCs",
    breaks=SMS,
    why=Because(
        "in the models an action stores and answers at once, or `reply_vote` asks for what is stored"
    ),
    replay="timeout n1; trip n1 n2; crash_in n2 after-one-send n1; restart n2",
    begin="timeout n1; trip n1 n2",
    refused="election: state",
    cause=("election: ", "replication: "),
)
def answers_before_storing() -> Core:
    """What must be remembered is stored after the answer was sent: a crash between the two forgets it."""

    def step(node: raft.Node, event: Event, now: int) -> Step:
        taken = raft.step(node, event, now)
        return replace(taken, effects=tuple(sorted(taken.effects, key=lambda e: isinstance(e, Store))))

    return Core(step=step)


# --- Retries ----------------------------------------------------------------------------------------------


@core_fault(
    "a retry takes effect twice",
    sources="dissertation 6.3: a retry of a write that had taken effect",
    breaks="linearizability",
    why=Because("no model has sessions, or any other state machine on top of the log"),
    replay="campaign n1 n2; propose n1; deliver n1 n2; campaign n2 n3; sync n2 n3; trip n2 n3; read n2; "
    "propose n2; trip n2 n3; retry n2; trip n2 n3; read n2",
    begin="campaign n1 n2; propose n1; deliver n1 n2; campaign n2 n3; sync n2 n3; trip n2 n3; read n2; "
    "propose n2; trip n2 n3; retry n2",
    refused=NO_TRACE,
    cause="linearizability",
)
def retries_apply_twice() -> Core:
    """The state machine keeps no sessions: a write that is repeated undoes what came in between."""

    def apply(state: StateMachine, index: int, command: Any) -> Any:
        return state_machine.apply(replace(state, sessions=Map()), index, command)

    return Core(apply=apply)
