"""Every handler of the reference, along every path, for all integers; and that the proof can fail."""

from __future__ import annotations

from dataclasses import replace

import pytest
import z3

from oneleader.conformance.handlers.handlers import PathProof, prove_handler, runs
from oneleader.conformance.handlers.running import ALONE, ANY, ANY_ALONE, HANDLERS, WHOLE
from oneleader.conformance.handlers.servers import Scope
from oneleader.conformance.handlers.symbolic import members_of
from oneleader.conformance.reference.patch import patched
from oneleader.faults import snapshots
from oneleader.faults.catalogue import variant
from oneleader.readers.prove.smt import answer
from oneleader.verdict import HOLDS, VIOLATED
from oneleader_raft import raft
from oneleader_raft.core import RAFT, Core
from oneleader_raft.lease import Round
from oneleader_raft.raft import Node, Send, Step
from workshop.pages.handlers import PAGE, told


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_is_proved(handler: str) -> None:
    """For any number of servers from 2 on, logs of any length, any part of them compacted, and any number of
    pending reads; docs/results/handlers.md has the figures of this run."""
    found = prove_handler(handler, ANY)
    assert (found.verdict, found.failing) == (HOLDS, "")
    assert found.paths >= 5  # none is left out unseen
    listed = (row[1:] for row in told(PAGE.read_text("utf-8")) if row[0] == handler)
    assert next(listed) == (found.paths, found.goals)


@pytest.mark.parametrize("handler", ["restart", "heartbeat timeout"])
def test_a_handler_of_whole_logs_is_proved(handler: str) -> None:
    """By `replication`, which knows no snapshot; `make handlers` runs them all."""
    found = prove_handler(handler, WHOLE)
    assert (found.verdict, found.failing) == (HOLDS, "")


@pytest.mark.parametrize("handler", ["AppendReply", "AppendEntries", "RequestVote"])
def test_a_long_handler_is_proved_within_bounds(handler: str) -> None:
    """Two servers, logs of an entry at most, no read that is pending: with one it takes minutes."""
    found = prove_handler(handler, Scope(reads=0))
    assert (found.verdict, found.failing) == (HOLDS, "")
    assert found.paths >= 10


@pytest.mark.parametrize("handler", [*ALONE, "TimeoutNow"])
def test_a_server_alone(handler: str) -> None:
    """Nobody but servers that are no members sends it anything: told to stand it leads at once, perhaps a
    second time; the other messages are left to `make handlers`."""
    found = prove_handler(handler, ANY_ALONE)
    assert (found.verdict, found.failing) == (HOLDS, "")


def test_a_round_is_never_sent_twice() -> None:
    """Two broadcasts of one round would make one answer count for both."""

    def broadcast(node: Node, now: int) -> Step:
        round = Round(max(node.leadership.round.number, 1), now)
        node = replace(node, leadership=replace(node.leadership, round=round))
        return Step(node, (raft.action("send_heartbeat", n=node.id, k=f"r{round.number}"),))

    found = prove_handler("heartbeat timeout", ANY_ALONE, patched(broadcast))
    assert (found.verdict, found.failing) == (VIOLATED, "lease: send_heartbeat: round_is_new")


@pytest.mark.parametrize(("handler", "reads"), [("propose", 0), ("read", 1), ("heartbeat timeout", 0)])
def test_both_proofs_of_a_handler_agree(handler: str, reads: int) -> None:
    """Within bounds the core's loops are run themselves, where any size takes them by their contracts. A
    pending read is told apart by `read` alone; `make handlers` has two with each."""
    assert prove_handler(handler, Scope(reads=reads)).verdict is HOLDS


THREE = {
    "restart": Scope(3, log=1),
    "is_leader": Scope(3, log=1),
    "PreVoteReply": Scope(3, log=0),
    "TimeoutNow": Scope(3, log=0),
    "RequestVote": Scope(3, log=0, reads=0),
    "VoteReply": Scope(3, log=1, reads=0),  # minutes with one; of any size it is proved above, with any
    "AppendEntries": Scope(3, log=0),  # with an entry 1,008 paths, some 50 s: `make handlers`
}


@pytest.mark.parametrize("handler", THREE)
def test_three_servers(handler: str) -> None:
    """A majority that is not everybody: what one server hears from another about a third. Without an entry
    no server leads: those scopes are of followers and candidates."""
    found = prove_handler(handler, THREE[handler])
    assert (found.verdict, found.failing) == (HOLDS, "")


def test_with_three_servers_a_follower_may_name_the_wrong_one() -> None:
    """It hears a leader, and takes the third server for it: of two servers there is no third."""

    def acknowledge(node: Node, m: raft.AppendEntries, now: int) -> Step:
        taken = correct(node, m, now)
        (*_, last) = node.peers
        return replace(taken, node=replace(taken.node, leader_id=last))

    correct = raft.acknowledge
    found = prove_handler("AppendEntries", Scope(3, log=0), core=patched(acknowledge))
    assert (found.verdict, found.failing) == (VIOLATED, "election: whom it takes for the leader leads")
    assert prove_handler("AppendEntries", Scope(2, log=0), core=patched(acknowledge)).verdict is HOLDS


FAULTS = {
    "commits-old-terms": ("VoteReply", "replication: no-op"),
    "truncates-always": ("AppendEntries", "replication: state: log_length"),
    "commit-index-falls": ("AppendEntries", "replication: state: commit_index"),
    "no-prefix-check": ("AppendEntries", "replication: append_entries: prefix_matches"),
    "heartbeat-is-a-match": ("AppendReply", "replication: advance_commit: quorum_stores"),
    "shorter-log-wins": ("RequestVote", "replication: grant_vote: log_is_up_to_date"),
    "answers-before-storing": ("PreVoteReply", "replication: stored first"),
    "forgets-its-log": ("restart", "replication: stored"),
    "own-vote-not-saved": ("TimeoutNow", "election: state: voted_for"),
    "refusal-is-a-vote": ("VoteReply", "election: receive_vote: vote_was_granted"),
    "pre-vote-clears-the-vote": ("RequestPreVote", "election: state: voted_for"),
    "pre-vote-counts-as-a-vote": ("PreVoteReply", "election: receive_vote: vote_was_granted"),
    "votes-within-its-promise": ("election timeout", "replication: asks"),
    "reads-before-its-no-op": ("read", "lease: read: index"),
    "reads-without-asking": ("election timeout", "lease: read: leads"),
    "stale-refusal-counts": ("AppendEntries", "pre_vote: AppendReply: an answer to a leader"),
    "role-is-a-lease": ("is_leader", "lease: is_leader"),
    "lease-from-receipt": ("AppendReply", "lease: followers acknowledged"),
    "lease-as-long-as-the-promise": ("is_leader", "lease: is_leader"),
    "promise-forgotten": ("restart", "lease: state: since_promise"),
    "transfer-keeps-the-lease": ("is_leader", "lease: is_leader"),
}


@pytest.mark.parametrize("id", FAULTS)
def test_a_fault_is_not_proved(id: str) -> None:
    """By the model that is the first to refuse it; the others are not asked."""
    handler, failing = FAULTS[id]
    model, *_ = failing.split(": ")
    models = (model, "replication") if model == "pre_vote" else (model,)  # which knows what is not raised
    found = prove_handler(handler, Scope(), variant(id), models=models)
    assert (found.verdict, found.failing) == (VIOLATED, failing)


FAULTS_OF_SNAPSHOTS = {
    "snapshot-of-anything": ("compact", "snapshots: compact: entry_is_committed"),
    "sends-what-is-gone": ("heartbeat timeout", "snapshots: AppendEntries: what is before"),
    "snapshot-sets-the-term": ("InstallSnapshot", "election: state: term"),
    "state-not-restored": ("serve", "snapshots: restored"),
    "takes-an-old-snapshot": ("InstallSnapshot", "snapshots: install_snapshot: is_news"),
}


@pytest.mark.parametrize("id", FAULTS_OF_SNAPSHOTS)
def test_a_fault_with_snapshots_is_not_proved(id: str) -> None:
    """For any number of servers and logs of any length: there is no bounded form with snapshots."""
    handler, failing = FAULTS_OF_SNAPSHOTS[id]
    model, *_ = failing.split(": ")
    found = prove_handler(handler, ANY, variant(id), (snapshots,), (model,))
    assert (found.verdict, found.failing) == (VIOLATED, failing)


def test_each_way_to_take_a_snapshot_can_be_gone() -> None:
    """What is assumed there is no contradiction: Z3 has a state of the model and a server for each."""
    ways = {"append_entries", "keep_after_snapshot", "install_snapshot"}  # it is old, or has news
    for path, ran, cluster in runs("InstallSnapshot", ANY):
        taken = ran.step.actions[-1].name if ran.step and ran.step.actions else ""
        if taken in ways:
            proof = PathProof(cluster, "snapshots", path, ran)
            solver = z3.SimpleSolver(ctx=cluster.context)
            solver.add(*proof.assumed)
            ways -= {taken} if answer(solver, 200_000)[0] == z3.sat else set()
    assert ways == set()


def entries_from_the_future() -> Core:
    """A leader appends entries of the next term."""

    def append(node: Node, command: object, now: int) -> Step:
        log = (*node.log, raft.Entry(node.current_term + 1, command))  # type: ignore[arg-type]
        return raft.broadcast(replace(node, log=log), now)

    return patched(append)


def heartbeats_tell_too_much() -> Core:
    """A heartbeat says that everything is committed."""
    correct = raft.append_entries_to

    def append_entries_to(leader: Node, to: str) -> Send:
        send = correct(leader, to)
        return replace(send, message=replace(send.message, leader_commit=leader.last_index))

    return patched(append_entries_to)


def transfer_is_forgotten() -> Core:
    """Who was asked to stand is asked once, and the leader goes on as if it had not asked."""

    def on_transfer(node: Node, target: str) -> Step:
        if node.role is not raft.Role.LEADER:
            return Step(node)
        asked = raft.action("transfer_leadership", n=node.id, target=target)
        return Step(node, (asked,), (Send(target, raft.TimeoutNow(node.current_term, node.id)),))

    return patched(on_transfer)


MORE = {
    "propose": entries_from_the_future(),
    "heartbeat timeout": heartbeats_tell_too_much(),
    "transfer": transfer_is_forgotten(),
}


@pytest.mark.parametrize(("handler", "core"), MORE.items())
def test_no_handler_is_proved_whatever_it_does(handler: str, core: Core) -> None:
    """With the faults above: each handler is seen to fail, so no premise is a contradiction."""
    assert prove_handler(handler, Scope(), core=core).verdict is VIOLATED
    found = {handler for handler, _ in (*FAULTS.values(), *FAULTS_OF_SNAPSHOTS.values())}
    assert found | {*MORE} | {*PARTS} == {*HANDLERS}


def touch_is_never_lost() -> Core:
    def hears_leader(node: Node, now: int) -> bool:
        return True

    return patched(hears_leader)


def leaders_go_at_will() -> Core:
    def retire(node: Node) -> Step:
        return raft.follow(node)

    return patched(retire)


PARTS = {
    "lose_touch": (touch_is_never_lost(), "snapshots: hears whom it knows"),
    "advance_change": (leaders_go_at_will(), "election: state: role"),
}


@pytest.mark.parametrize("handler", PARTS)
def test_each_part_of_a_step_can_fail(handler: str) -> None:
    """With `serve`, which a fault of snapshots shows to fail."""
    core, failing = PARTS[handler]
    found = prove_handler(handler, ANY, core)
    assert (found.verdict, found.failing) == (VIOLATED, failing)


def test_each_part_is_run_alone() -> None:
    """An event applies nothing; what is due after it sends nothing."""

    def effects(handler: str) -> set[type]:
        steps = (ran.step for _, ran, _ in runs(handler, ANY))
        return {type(effect) for step in steps if step for effect in members_of(step.effects)}

    assert effects("AppendReply") == {raft.Store, raft.Send, raft.Refuse}
    assert effects("serve") == {raft.Store, raft.Apply, raft.Restore, raft.ReadReady}


def test_parts_in_another_order_are_not_proved() -> None:
    """A server that loses touch last has heard no leader while something happened to it."""

    def step(node: Node, event: raft.Event, now: int) -> Step:
        taken = raft.on_event(node, event, now).then(lambda node: raft.advance_change(node, now))
        taken = taken.then(lambda after: raft.serve(after, node.commit_index, now))
        return taken.then(lambda node: raft.lose_touch(node, now))

    found = prove_handler("heartbeat timeout", ANY, replace(RAFT, step=step))
    assert found.verdict is VIOLATED
    assert found.failing.endswith("each part, in its order")


def test_whoever_answers_in_anothers_name_is_not_proved() -> None:
    """What arrives is taken to be from another server: so each says that it is from who sends it."""

    def tell_term(node: Node, to: str, t: int, refusal: raft.Message) -> Step:
        named = replace(refusal, voter_id=to)  # type: ignore[call-arg]
        return correct(node, to, t, named)

    correct = raft.tell_term
    found = prove_handler("RequestPreVote", ANY, patched(tell_term), models=("election",))
    assert (found.verdict, found.failing) == (VIOLATED, "election: from itself")


def test_an_error_that_can_happen_is_a_violation() -> None:
    def on_heartbeat_timeout(node: Node, now: int) -> Step:
        return raft.broadcast(node, now)  # followers have no progress to send from

    found = prove_handler("heartbeat timeout", Scope(log=0), core=patched(on_heartbeat_timeout))
    assert found.verdict is VIOLATED
    assert "KeyError" in found.failing


@pytest.mark.parametrize(
    ("handler", "core", "failing"),
    [
        ("heartbeat timeout", heartbeats_tell_too_much(), "replication: AppendEntries: what is committed"),
        ("transfer", transfer_is_forgotten(), "replication: to another"),
        ("propose", entries_from_the_future(), "whole"),
    ],
)
def test_a_faulty_core_is_not_proved_for_any_size(handler: str, core: Core, failing: str) -> None:
    """The last one takes a log apart: what is not understood is no proof."""
    found = prove_handler(handler, WHOLE, core)
    assert found.verdict is not HOLDS
    assert failing in found.failing
